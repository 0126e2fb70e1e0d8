package raw

import (
	"errors"
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// TestHalf compares the conversion with the definition of binary16 for all of
// its values.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exponent, fraction := h>>15, h>>10&31, h&1023
		want := math.Ldexp(1+float64(fraction)/1024, exponent-15)
		switch {
		case exponent == 31 && fraction != 0:
			want = math.NaN()
		case exponent == 31:
			want = math.Inf(1)
		case exponent == 0:
			want = math.Ldexp(float64(fraction)/1024, -14)
		}
		if sign == 1 {
			want = -want
		}
		got := float64(half(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != (sign == 1) && !math.IsNaN(want) {
			t.Fatalf("half(%#04x) = %v, want %v", h, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for _, test := range []struct {
		shape []int
		want  int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{2, 0, 7}, 0, true},
		{[]int{3, 5}, 15, true},
		{[]int{math.MaxInt}, math.MaxInt, true},
		{[]int{1 << (bits.UintSize - 2), 2}, 0, false},
		{[]int{1 << (bits.UintSize - 2), 4}, 0, false},
		{[]int{math.MaxInt, math.MaxInt, 0}, 0, false},
	} {
		if n, ok := Count(test.shape); n != test.want || ok != test.ok {
			t.Errorf("Count(%v) = %d, %v, want %d, %v", test.shape, n, ok, test.want, test.ok)
		}
	}
}

// TestRead reads a tensor of several chunks, and stops at the first error.
func TestRead(t *testing.T) {
	const n = Chunk + 5 // two bytes each
	reads := 0
	at := func(p []byte, offset int64) error {
		reads++
		for i := range p {
			p[i] = byte((offset + int64(i)) / 2)
		}
		return nil
	}
	convert, width, _ := Bits(stored.BF16)
	got, err := Read(at, 6, n, width, convert)
	if err != nil || len(got) != n || reads != 3 {
		t.Fatalf("%d values in %d reads, %v", len(got), reads, err)
	}
	for i, v := range got {
		if want := uint16(byte(i+3)) * 0x101; v != want {
			t.Fatalf("value %d is %#x, want %#x", i, v, want)
		}
	}
	broken := errors.New("broken")
	if got, err := Read(func([]byte, int64) error { return broken }, 0, 1, width, convert); !errors.Is(err, broken) || got != nil {
		t.Errorf("Read = %v, %v", got, err)
	}
	if got, err := Read(func([]byte, int64) error { return broken }, 0, 0, width, convert); err != nil || !slices.Equal(got, []uint16{}) {
		t.Errorf("Read of nothing = %v, %v", got, err)
	}
}
