// Package raw is what the containers of checkpoints have in common: the
// conversion of stored tensors piece by piece, so that to read a tensor takes
// no memory worth mention beside its result.
package raw

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Chunk is how much of a tensor is in raw form at a time, in bytes.
const Chunk = 256 << 10

// Count multiplies a shape; ok is false where the product exceeds an int.
func Count(shape []int) (n int, ok bool) {
	n = 1
	for _, dim := range shape {
		hi, lo := bits.Mul64(uint64(n), uint64(dim))
		if hi != 0 || int(lo) < 0 || uint64(int(lo)) != lo {
			return 0, false
		}
		n = int(lo)
	}
	return n, true
}

// ReadAt fills p from an offset or says why it cannot.
type ReadAt func(p []byte, offset int64) error

// Fill is [ReadAt] for a file of a container. The offset lies within the size
// that the file was opened with, so an early end means that it has shrunk, which
// malformed puts into the container's own error.
func Fill(container string, r io.ReaderAt, p []byte, offset int64, malformed func(int64, string, ...any) error) error {
	n, err := r.ReadAt(p, offset)
	switch {
	case n == len(p):
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return malformed(offset+int64(n), "the file ends early: it is smaller than it was, or than its size claims")
	default:
		return fmt.Errorf("%s: reading %d bytes at byte %d: %w", container, len(p), offset, err)
	}
}

// Read fetches n values of width bytes each, which lie one after another from
// an offset on, and converts them chunk by chunk. The caller has compared n
// with the size of the file.
func Read[T any](readAt ReadAt, offset int64, n, width int, convert Convert[T]) ([]T, error) {
	dst := make([]T, n)
	buffer := make([]byte, min(n*width, Chunk))
	for done := 0; done < n; {
		k := min(n-done, len(buffer)/width)
		src := buffer[:k*width]
		if err := readAt(src, offset+int64(done)*int64(width)); err != nil {
			return nil, err
		}
		convert(dst[done:done+k], src)
		done += k
	}
	return dst, nil
}
