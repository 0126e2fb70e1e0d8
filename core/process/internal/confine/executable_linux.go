package confine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// seal copies a file into memory that cannot be changed any more, and returns the
// copy and its SHA-256.
func seal(f *os.File) (*os.File, string, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("xai", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 every such file could be executed
		fd, err = unix.MemfdCreate("xai", flags)
	}
	if err != nil {
		return nil, "", os.NewSyscallError("memfd_create", err)
	}
	m := os.NewFile(uintptr(fd), f.Name())
	sum, err := hashOf(f, m)
	if err == nil {
		err = os.NewSyscallError("fchmod", unix.Fchmod(fd, 0o555))
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
		err = os.NewSyscallError("fcntl", err)
	}
	if err != nil {
		return nil, "", errors.Join(err, m.Close())
	}
	return m, sum, nil
}

// openSelf opens the program at path, or a copy where another user could not
// execute it.
func openSelf(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.Mode()&0o005 == 0o005 {
		return f, nil
	}
	defer f.Close()
	m, _, err := seal(f)
	return m, err
}
