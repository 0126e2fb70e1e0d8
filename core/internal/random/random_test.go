package random

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func read(t *testing.T, seed uint64, method, stream string, cuts ...int) []byte {
	t.Helper()
	r := New(seed, method, stream)
	var out []byte
	for _, n := range cuts {
		b := make([]byte, n)
		if k, err := r.Read(b); k != n || err != nil {
			t.Fatalf("Read of %d bytes: %d, %v", n, k, err)
		}
		out = append(out, b...)
	}
	return out
}

func TestStreamDoesNotDependOnCuts(t *testing.T) {
	want := read(t, 7, "lime", Method, 64)
	for _, cuts := range [][]int{{1, 63}, {3, 5, 8, 13, 35}, {8, 8, 48}, {0, 9, 0, 7, 16, 1, 1, 30}} {
		if got := read(t, 7, "lime", Method, cuts...); !bytes.Equal(got, want) {
			t.Errorf("cuts %v: %x, want %x", cuts, got, want)
		}
	}
}

func TestStreamIsPinned(t *testing.T) {
	const want = "033d00843b79b8e54dea3d1901938a21"
	if got := hex.EncodeToString(read(t, 0, "lime", Method, 16)); got != want {
		t.Errorf("the stream of seed 0 begins %s, want %s: every run that draws from it changes", got, want)
	}
}

func TestStreamsDiffer(t *testing.T) {
	base := read(t, 1, "ab", "c", 16)
	for name, other := range map[string][]byte{
		"seed":   read(t, 2, "ab", "c", 16),
		"method": read(t, 1, "xb", "c", 16),
		"stream": read(t, 1, "ab", "d", 16),
		"border": read(t, 1, "a", "bc", 16),
	} {
		if bytes.Equal(base, other) {
			t.Errorf("another %s gives the same stream", name)
		}
	}
}
