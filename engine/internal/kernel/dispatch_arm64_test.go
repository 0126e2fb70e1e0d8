//go:build !purego

package kernel

import "testing"

// TestNEON guards the tests of this package against running the loops alone.
func TestNEON(t *testing.T) {
	if fastest := Families()[0]; fastest != "neon" {
		t.Errorf("the fastest family is %q, want neon", fastest)
	}
}
