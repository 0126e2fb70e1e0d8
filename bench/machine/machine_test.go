package machine

import (
	"os"
	"testing"
)

// TestOthers follows the arithmetic of the share that others used.
func TestOthers(t *testing.T) {
	if got := Others(Ticks{100, 50, 20}, Ticks{300, 170, 100}); got != 0.2 {
		t.Errorf("%v, want 0.2: of 200 ticks, 120 were busy and 80 of those ours", got)
	}
	if got := Others(Ticks{100, 50, 20}, Ticks{100, 50, 20}); got != 0 {
		t.Errorf("%v between a reading and itself", got)
	}
	before, ok := Read(os.Getpid())
	if !ok {
		if _, err := os.Stat("/proc/self/stat"); err == nil {
			t.Error("the system has /proc, but its ticks cannot be read")
		}
		return
	}
	// Work until all of it has been counted, in ticks of ten milliseconds.
	for {
		if after, ok := Read(os.Getpid()); !ok {
			t.Fatal("the ticks can no longer be read")
		} else if after.own > before.own && after.busy > before.busy && after.all > before.all {
			return
		}
	}
}
