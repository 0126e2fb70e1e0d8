package raw

// Chunk is how much of a tensor is in raw form at a time, in bytes.
const Chunk = 256 << 10

// ReadAt fills p from an offset or says why it cannot.
type ReadAt func(p []byte, offset int64) error

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
