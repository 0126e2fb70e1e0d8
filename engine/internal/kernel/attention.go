package kernel

import "fmt"

// Scratch is the working memory of [Attention]. The zero value is ready; it
// grows to what the largest call needs and is then reused, so keep one per
// worker. It must not be used by two calls at once.
type Scratch[T Float] struct {
	keys, values, scores []T
}

// grow returns a slice of n values, reusing s where it is long enough.
func grow[T Float](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Attention computes softmax(scale·q·kᵀ)·v for one head of one sequence. q is
// [t, e], k and v are [s, e], dst is [t, e], each with its own row stride.
//
// Keys j with mask[j] == 0 are excluded as if they were not there; a nil mask
// shows all s keys. Where no key is visible the result is 0. If pattern is not
// nil it receives the softmax, [t, s] contiguous, with 0 at excluded keys. dst
// must not overlap q, k or v.
func Attention[T Float](dst []T, ldd int, q []T, ldq int, k []T, ldk int, v []T, ldv int,
	t, s, e int, scale T, mask []uint8, pattern []T, scratch *Scratch[T]) {
	checkMatrix("dst", len(dst), t, e, ldd)
	checkMatrix("q", len(q), t, e, ldq)
	checkMatrix("k", len(k), s, e, ldk)
	checkMatrix("v", len(v), s, e, ldv)
	if mask != nil && len(mask) != s {
		panic(fmt.Sprintf("kernel: mask has %d values for %d keys", len(mask), s))
	}
	if pattern != nil && len(pattern) != t*s {
		panic(fmt.Sprintf("kernel: pattern has %d values, [%d, %d] needs %d", len(pattern), t, s, t*s))
	}
	if q, ok := any(q).([]float32); ok {
		active.Load().attention(any(dst).([]float32), ldd, q, ldq, any(k).([]float32), ldk, any(v).([]float32), ldv,
			t, s, e, float32(scale), mask, any(pattern).([]float32), any(scratch).(*Scratch[float32]))
		return
	}
	attention(dst, ldd, q, ldq, k, ldk, v, ldv, t, s, e, scale, mask, pattern, scratch)
}
