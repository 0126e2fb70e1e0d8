package num

import (
	"io"
	"math"
	"math/bits"
)

// Rand draws numbers from a stream of random bytes, such as the one that the
// host gives a method. The same bytes give the same numbers on every machine.
type Rand struct {
	source io.Reader
	buffer [512]byte
	unread []byte
	err    error
}

// NewRand returns a Rand that reads source, a block ahead of what it needs.
func NewRand(source io.Reader) *Rand { return &Rand{source: source} }

// Err returns the first error of the source, io.ErrUnexpectedEOF where it ended.
// From then on Uint64 returns 0 and what is drawn is worthless, so look at Err
// once after the last draw.
func (r *Rand) Err() error { return r.err }

// Uint64 returns the next 8 bytes, little-endian.
func (r *Rand) Uint64() uint64 {
	if len(r.unread) < 8 {
		r.fill()
		if r.err != nil {
			return 0
		}
	}
	v := uint64(0)
	for i, b := range r.unread[:8] {
		v |= uint64(b) << (8 * i)
	}
	r.unread = r.unread[8:]
	return v
}

// fill reads the next block. A source that ends within it is an error only
// when what it gave is used up.
func (r *Rand) fill() {
	if r.err != nil {
		return
	}
	n, err := io.ReadFull(r.source, r.buffer[:])
	r.unread = r.buffer[:n]
	if n >= 8 {
		return
	}
	if r.err = err; err == io.EOF {
		r.err = io.ErrUnexpectedEOF
	}
}

// Float64 returns a multiple of 2⁻⁵³ in [0, 1).
func (r *Rand) Float64() float64 { return float64(float64(r.Uint64()>>11) / (1 << 53)) }

// IntN returns an integer in [0, n), all equally probable. It panics where n is
// not positive.
//
// The high word of n·u is the result, unless the low word shows that u belongs
// to the incomplete last interval (Lemire, "Fast random integer generation in an
// interval", ACM Trans. Model. Comput. Simul. 29, 2019).
func (r *Rand) IntN(n int) int {
	if n <= 0 {
		panic("num: IntN of a number that is not positive")
	}
	high, low := bits.Mul64(r.Uint64(), uint64(n))
	if low < uint64(n) {
		for limit := -uint64(n) % uint64(n); low < limit && r.err == nil; {
			high, low = bits.Mul64(r.Uint64(), uint64(n))
		}
	}
	return int(high)
}

// Perm returns 0, …, n−1 in random order (Fisher and Yates). It panics where n
// is negative.
func (r *Rand) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// NormFloat64 returns a number of the standard normal distribution (Marsaglia
// and Bray's polar method, SIAM Review 6, 1964, of whose two results it keeps
// one).
func (r *Rand) NormFloat64() float64 {
	for r.err == nil {
		u := float64(2*r.Float64()) - 1
		v := float64(2*r.Float64()) - 1
		s := float64(u*u) + float64(v*v)
		if 0 < s && s < 1 {
			return float64(u * math.Sqrt(-2*Log(s)/s))
		}
	}
	return 0
}
