package num

// MT19937 is the Mersenne Twister with the draws that NumPy derives from it in
// numpy.random.RandomState, a stream that NumPy has frozen: methods that were
// published on it give the same samples here for the same seed. Use Rand where
// there is nothing to reproduce.
//
// The generator is that of Matsumoto and Nishimura, "Mersenne Twister", ACM
// Trans. Model. Comput. Simul. 8, 1998, seeded as in their code of 2002.
type MT19937 struct {
	state [624]uint32
	next  int
}

// NewMT19937 returns a generator in the state of RandomState(seed). NumPy takes
// integers below 2³² only; a larger seed is the key of its low and its high
// word, RandomState([low, high]).
func NewMT19937(seed uint64) *MT19937 {
	low, high := uint32(seed), uint32(seed>>32)
	g := new(MT19937)
	if high == 0 {
		g.initGenrand(low)
	} else {
		g.initByArray([]uint32{low, high})
	}
	return g
}

func (g *MT19937) initGenrand(seed uint32) {
	for i := range g.state {
		g.state[i] = seed
		seed = 1812433253*(seed^seed>>30) + uint32(i) + 1
	}
	g.next = len(g.state)
}

func (g *MT19937) initByArray(key []uint32) {
	g.initGenrand(19650218)
	n := len(g.state)
	s := &g.state
	i, j := 1, 0
	for range max(n, len(key)) {
		s[i] = (s[i] ^ (s[i-1]^s[i-1]>>30)*1664525) + key[j] + uint32(j)
		if i++; i == n {
			s[0], i = s[n-1], 1
		}
		if j++; j == len(key) {
			j = 0
		}
	}
	for range n - 1 {
		s[i] = (s[i] ^ (s[i-1]^s[i-1]>>30)*1566083941) - uint32(i)
		if i++; i == n {
			s[0], i = s[n-1], 1
		}
	}
	s[0] = 1 << 31
}

// Uint32 returns the next 32 bits.
func (g *MT19937) Uint32() uint32 {
	if g.next == len(g.state) {
		g.generate()
	}
	y := g.state[g.next]
	g.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// generate replaces the state with the next 624 words.
func (g *MT19937) generate() {
	const n, m = len(g.state), 397
	s := &g.state
	for i := range s {
		y := s[i]&(1<<31) | s[(i+1)%n]&(1<<31-1)
		s[i] = s[(i+m)%n] ^ y>>1 ^ y&1*0x9908b0df
	}
	g.next = 0
}

// Uint64 returns the next 64 bits, the earlier word high.
func (g *MT19937) Uint64() uint64 {
	high := uint64(g.Uint32())
	return high<<32 | uint64(g.Uint32())
}

// Float64 returns a multiple of 2⁻⁵³ in [0, 1), as random_sample does.
func (g *MT19937) Float64() float64 {
	a, b := g.Uint32()>>5, g.Uint32()>>6
	return float64(float64(uint64(a)<<26|uint64(b)) / (1 << 53))
}

// interval returns an integer in [0, limit]: the bits that limit needs are drawn
// until they do not exceed it, as random_interval does. It draws nothing for 0.
func (g *MT19937) interval(limit uint64) uint64 {
	mask := limit
	for shift := 1; shift < 64; shift <<= 1 {
		mask |= mask >> shift
	}
	for limit > 0 {
		var v uint64
		if limit <= 1<<32-1 {
			v = uint64(g.Uint32()) & mask
		} else {
			v = g.Uint64() & mask
		}
		if v <= limit {
			return v
		}
	}
	return 0
}

// RandInt returns size integers in [low, high), as randint(low, high, size) does
// for int64. It panics where the range is empty or size is negative.
func (g *MT19937) RandInt(low, high int64, size int) []int64 {
	if low >= high {
		panic("num: RandInt in an empty range")
	}
	limit := uint64(high) - uint64(low) - 1
	v := make([]int64, size)
	for i := range v {
		v[i] = low + int64(g.interval(limit))
	}
	return v
}

// Permutation returns 0, …, n−1 in random order, as permutation(n) does. It
// panics where n is negative.
func (g *MT19937) Permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := int(g.interval(uint64(i)))
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// ChoiceWithoutReplacement returns k of 0, …, n−1 in random order, as choice(n,
// k, replace=False) does: Permutation(n)[:k]. It panics where k is negative or
// exceeds n.
func (g *MT19937) ChoiceWithoutReplacement(n, k int) []int { return g.Permutation(n)[:k:k] }
