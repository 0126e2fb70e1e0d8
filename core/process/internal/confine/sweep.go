package confine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// How the name of a box's folder begins, and what that of the lock beside it ends
// with.
const (
	boxPrefix  = "xai"
	lockSuffix = ".lock"
)

// lock is a file beside the folder of a box, for as long as its host is there. It is
// the host's own and empty, and nobody else can write it; a host that is killed loses
// its hold on the file, and leaves the file behind with the folder.
type lock struct{ file *os.File }

// folder makes a folder in dir that no sweep removes until its lock is released.
func folder(dir string) (path string, l *lock, err error) {
	for range 10 { // a sweep may come between the making of a lock and the hold on it
		f, err := os.CreateTemp(dir, boxPrefix+"*"+lockSuffix)
		if err != nil {
			return "", nil, err
		}
		l := &lock{f}
		if !hold(f) {
			f.Close()
			continue
		}
		path := strings.TrimSuffix(f.Name(), lockSuffix)
		if err := os.Mkdir(path, 0o700); err != nil {
			return "", nil, errors.Join(err, l.release())
		}
		return path, l, nil
	}
	return "", nil, errors.New("somebody takes away the locks of folders in " + dir)
}

// release removes the lock. The folder is gone.
func (l *lock) release() error {
	err := l.file.Close()
	if gone := os.Remove(l.file.Name()); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// swept are the folders that this program has swept.
var swept sync.Map // path → func()

// sweepOnce removes from a folder for temporary files, once, what hosts that were
// killed have left there.
func sweepOnce(dir string) {
	once, _ := swept.LoadOrStore(dir, sync.OnceFunc(func() { sweep(dir) }))
	once.(func())()
}

// sweep removes the folders whose locks are this user's and held by nobody. It goes
// by the locks, which nobody else can make in this user's name: a folder may belong
// to the user that a process had. What cannot be removed stays.
func sweep(dir string) {
	locks, err := filepath.Glob(filepath.Join(dir, boxPrefix+"*"+lockSuffix))
	if err != nil {
		return
	}
	for _, path := range locks {
		f, ok := abandoned(path)
		if !ok {
			continue
		}
		// Links are removed and not followed, and so are those within.
		if os.RemoveAll(strings.TrimSuffix(path, lockSuffix)) == nil {
			_ = os.Remove(path)
		}
		f.Close()
	}
}
