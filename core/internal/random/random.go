// Package random makes the streams of random bytes that a run's seed
// determines.
package random

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
)

// The streams of a run.
const (
	Method = "method" // what a method draws from: sdk.Request.Rand
	WASI   = "wasi"   // what random_get of a module answers with
)

// New returns the stream of that name: PCG64 (DXSM) seeded with the first 16
// bytes of SHA-256 over the seed (u64), the length of method (u64), method and
// stream, all little-endian; its values follow each other as little-endian u64.
// How the bytes are cut into reads does not matter. The reader never fails and
// is not safe for concurrent use.
func New(seed uint64, method, stream string) io.Reader {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	key = binary.LittleEndian.AppendUint64(key, uint64(len(method)))
	key = append(key, method...)
	key = append(key, stream...)
	sum := sha256.Sum256(key)
	return &reader{pcg: rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]))}
}

type reader struct {
	pcg  *rand.PCG
	word [8]byte
	left int // bytes of word that are not yet read
}

// Read implements io.Reader.
func (r *reader) Read(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if r.left == 0 {
			if len(b) >= 8 {
				binary.LittleEndian.PutUint64(b, r.pcg.Uint64())
				b = b[8:]
				continue
			}
			binary.LittleEndian.PutUint64(r.word[:], r.pcg.Uint64())
			r.left = 8
		}
		k := copy(b, r.word[8-r.left:])
		b = b[k:]
		r.left -= k
	}
	return n, nil
}
