package torch

import (
	"cmp"
	"slices"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
)

// view says in which order the values of a tensor lie in its storage.
type view struct {
	elements int
	dims     []dim // from the one with the longest stride to the one with the shortest
}

// dim is a dimension of more than one value.
type dim struct {
	size   int
	stride int // in the storage
	step   int // in the row-major result
}

// viewOf returns the order of a tensor's values; ok is false where two values
// of the tensor may be one of the storage. A step along a dimension must lead
// beyond all that the dimensions of shorter stride reach.
func viewOf(t *tensor) (v view, ok bool) {
	v.elements, _ = raw.Count(t.shape)
	step := v.elements
	for i, size := range t.shape {
		if step > 0 {
			step /= size
		}
		if size > 1 {
			v.dims = append(v.dims, dim{size, t.strides[i], step})
		}
	}
	if v.elements == 0 {
		v.dims = nil
		return v, true
	}
	slices.SortStableFunc(v.dims, func(a, b dim) int { return cmp.Compare(b.stride, a.stride) })
	reach := 0 // lies within the storage, hence no overflow
	for _, d := range slices.Backward(v.dims) {
		if d.stride <= reach {
			return v, false
		}
		reach += (d.size - 1) * d.stride
	}
	return v, true
}

// contiguous reports whether the values lie row-major and without gaps.
func (v view) contiguous() bool {
	return !slices.ContainsFunc(v.dims, func(d dim) bool { return d.stride != d.step })
}

// gather reads a tensor in the order of its storage, which begins at an offset
// of the file, through a window that only moves forward.
func gather[T any](v view, readAt raw.ReadAt, begin int64, width int, convert raw.Convert[T]) ([]T, error) {
	last := 0
	for _, d := range v.dims {
		last += (d.size - 1) * d.stride
	}
	dst := make([]T, v.elements)
	buffer := make([]byte, min(raw.Chunk/width, last+1)*width)
	low, high := 0, 0 // the window, in values of the storage
	at, to := 0, 0    // in the storage and in the result
	counts := make([]int, len(v.dims))
	for {
		if at >= high {
			low, high = at, min(at+len(buffer)/width, last+1)
			if err := readAt(buffer[:(high-low)*width], begin+int64(low)*int64(width)); err != nil {
				return nil, err
			}
		}
		convert(dst[to:to+1], buffer[(at-low)*width:])
		// Count up, the last dimension fastest.
		i := len(v.dims) - 1
		for ; i >= 0; i-- {
			d := v.dims[i]
			if counts[i]++; counts[i] < d.size {
				at, to = at+d.stride, to+d.step
				break
			}
			at, to = at-(d.size-1)*d.stride, to-(d.size-1)*d.step
			counts[i] = 0
		}
		if i < 0 {
			return dst, nil
		}
	}
}
