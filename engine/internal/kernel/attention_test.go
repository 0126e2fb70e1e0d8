package kernel

import "fmt"

// What follows composes the kernels to attention, as the engine does, so that
// they are tested together.

// Scratch is the working memory of [Attention]. The zero value is ready; it
// grows to what the largest call needs and is then reused, so keep one per
// worker. It must not be used by two calls at once.
type Scratch[T Float] struct {
	keys, values Panels[T]
	scores       []T
}

// queriesTogether is the number of queries whose scores are held at once.
const queriesTogether = 96

// Attention computes softmax(scale·q·kᵀ)·v for one head of one sequence. q is
// [t, e], k and v are [s, e], dst is [t, e], each with its own row stride.
//
// Keys j with mask[j] == 0 are excluded as if they were not there: they are
// left out of the packed matrices, so that a padded sequence has the bits of
// the sequence alone. A nil mask shows all s keys. Where no key is visible the
// result is 0. If pattern is not nil it receives the softmax, [t, s]
// contiguous, with 0 at excluded keys. dst must not overlap q, k or v.
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
	visible := scratch.keys.Transpose(e, scale, Rows[T]{k, ldk, s, mask})
	scratch.values.Stack(e, 1, Rows[T]{v, ldv, s, mask})
	ld := roundUp(visible, scratch.keys.family.columns)
	scratch.scores = grow(scratch.scores, min(t, queriesTogether)*ld)
	scores := scratch.scores
	for i := 0; i < t; i += queriesTogether {
		rows := min(queriesTogether, t-i)
		scratch.keys.Multiply(scores, ld, q[i*ldq:], ldq, rows, e, visible, false)
		SoftmaxRows(scores, ld, rows, visible)
		if pattern != nil {
			reveal(pattern[i*s:], s, scores, ld, rows, mask)
		}
		scratch.values.Multiply(dst[i*ldd:], ldd, scores, ld, rows, visible, e, false)
	}
}

// reveal copies the weights of the visible keys into pattern, [rows, s], and
// sets the others to 0.
func reveal[T Float](pattern []T, s int, weights []T, ld, rows int, mask []uint8) {
	for r := range rows {
		to := pattern[r*s : (r+1)*s]
		if mask == nil {
			copy(to, weights[r*ld:])
			continue
		}
		i := r * ld
		for j, shown := range mask {
			to[j] = 0
			if shown != 0 {
				to[j] = weights[i]
				i++
			}
		}
	}
}
