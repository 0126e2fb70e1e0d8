package tape

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// source draws orders at random, the same ones from the same seed in every version
// and on every machine. It is used by one goroutine.
type source struct{ pcg *rand.PCG }

// newSource returns the source of a name: PCG64 (DXSM) seeded with the first 16 bytes
// of SHA-256 over the seed (u64) and the name, little-endian.
func newSource(seed uint64, name string) *source {
	sum := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), name...))
	return &source{rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]))}
}

// shuffle brings n things into an order of which each is as likely as any other,
// by swapping them (Fisher and Yates, from the last one down).
func (s *source) shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, s.below(uint64(i)+1))
	}
}

// below draws a number below n without bias (Lemire 2019, arXiv:1805.10941).
func (s *source) below(n uint64) int {
	hi, lo := bits.Mul64(s.pcg.Uint64(), n)
	if lo < n {
		for least := -n % n; lo < least; {
			hi, lo = bits.Mul64(s.pcg.Uint64(), n)
		}
	}
	return int(hi)
}
