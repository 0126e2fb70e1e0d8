// Package filelock makes processes wait for each other.
package filelock

import (
	"context"
	"errors"
	"os"
	"time"
)

// errBusy says that somebody else has the lock.
var errBusy = errors.New("the lock is taken")

// wait is the time between two tries. The lock is held for milliseconds.
const wait = 5 * time.Millisecond

// Lock takes the lock that the file at path stands for, and makes the file
// where there is none. It waits until it has the lock or the context ends. The
// lock ends with unlock, or with the process; the file stays. On systems other
// than Windows, macOS, Linux and BSD nothing is locked.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = try(f); !errors.Is(err, errBusy) {
			break
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(wait):
			continue
		}
		break
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
