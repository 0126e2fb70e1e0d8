package confine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// resist is what the test's process does: with others of its kind it stops and ends
// whoever is of its user, over and over.
func resist() {
	for range 3 {
		if pid, _, _ := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0); pid == 0 {
			break
		}
	}
	os.Stdout.WriteString("begun\n")
	stop()
}

// stop stops everybody without Go's runtime, which a copy of a process has in part.
//
//go:nosplit
func stop() {
	for {
		syscall.RawSyscall(syscall.SYS_KILL, ^uintptr(0), uintptr(syscall.SIGSTOP), 0)
	}
}

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "resist" {
		resist()
	}
	Main()
	os.Exit(m.Run())
}

// TestEndsWhoResists holds that a box ends the processes of its user although they
// stop whom they can, where nothing but the user holds them together.
func TestEndsWhoResists(t *testing.T) {
	if !Probe("").Root {
		return // a process has no user of its own
	}
	box, err := New(Rights{Files: true, Tasks: 20}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	box.machine.ProcessNamespace, box.machine.Landlock, box.machine.Seccomp = false, 0, false
	box.Confinement.alone = false
	exe, err := OpenSelf("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	for range 5 {
		child, err := box.Start(t.Context(), Command{Exe: exe, Args: []string{"resist"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := child.Stdout.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		child.Kill()
		<-child.Done()
		if d := time.Since(start); d > asTimeout/2 {
			t.Errorf("it took %v", d)
		}
		if err := child.Close(); err != nil {
			t.Error(err)
		}
	}
	left := of(t, box.user.uid)
	for deadline := time.Now().Add(10 * time.Second); left != nil && time.Now().Before(deadline); left = of(t, box.user.uid) {
		time.Sleep(10 * time.Millisecond) // who is ended has yet to end
	}
	if left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// of returns the processes of a user.
func of(t *testing.T, uid int) (pids []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		status, _ := os.ReadFile(path)
		if strings.Contains(string(status), "\nUid:\t"+strconv.Itoa(uid)) && !strings.Contains(string(status), "\nState:\tZ") {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}
