package filelock

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*wait)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second Lock = %v, want it to wait until its context ends", err)
	}
	var group sync.WaitGroup
	inside, most := 0, 0
	var mu sync.Mutex
	for range 8 {
		group.Go(func() {
			unlock, err := Lock(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			runtime.Gosched()
			mu.Lock()
			inside--
			mu.Unlock()
			unlock()
		})
	}
	unlock()
	group.Wait()
	if most != 1 {
		t.Errorf("%d had the lock at once", most)
	}
	if _, err := Lock(t.Context(), filepath.Join(path, "below")); err == nil {
		t.Error("a lock was taken where there can be no file")
	}
}
