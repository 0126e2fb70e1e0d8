package kernel

import (
	"fmt"
	"math"
	"sync"
)

// Half is a format of numbers of 16 bits.
type Half uint8

const (
	// BF16 is the upper half of a float32: 8 bits of exponent, 7 of mantissa.
	BF16 Half = iota + 1
	// F16 is IEEE 754 binary16: 5 bits of exponent, 10 of mantissa.
	F16
)

// Pack16 packs w, [out, in] row-major, and keeps it in 16 bits a weight: half
// the memory, and half of what is read where few rows are multiplied. Weights
// are widened as they are used and products are summed in float32, so that
// results have the bits that [Pack] of the widened weights gives. w is copied
// and can be released.
func Pack16(out, in int, w []uint16, format Half) *Weights[float32] {
	checkMatrix("w", len(w), out, in, in)
	return pack16(out, in, w, in, 1, format)
}

// PackTransposed16 is [Pack16] for w stored as [in, out] row-major.
func PackTransposed16(out, in int, w []uint16, format Half) *Weights[float32] {
	checkMatrix("w", len(w), in, out, out)
	return pack16(out, in, w, 1, out, format)
}

// pack16 packs the matrix whose element (o, i) is w[o·outStride + i·inStride].
func pack16(out, in int, w []uint16, outStride, inStride int, format Half) *Weights[float32] {
	if format != BF16 && format != F16 {
		panic(fmt.Sprintf("kernel: unknown format %d of 16 bits", format))
	}
	f := familyOf[float32]()
	n := f.columns
	p := &Weights[float32]{out: out, in: in, columns: n, family: f, format: format}
	p.halves = make([]uint16, (out+n-1)/n*n*in)
	for o := range out {
		panel := p.halves[o/n*n*in:]
		for i := range in {
			panel[i*n+o%n] = w[o*outStride+i*inStride]
		}
	}
	return p
}

// widened is working memory for a panel that was widened.
var widened = sync.Pool{New: func() any { return new([]float32) }}

// linear16 is linear of a family for weights of 16 bits: panels are widened
// one by one.
func linear16(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32) {
	buffer := widened.Get().(*[]float32)
	defer widened.Put(buffer)
	size := w.columns * w.in
	*buffer = grow(*buffer, size)
	panel := Weights[float32]{in: w.in, columns: w.columns, family: w.family, panels: *buffer}
	for c := 0; c < w.out; c += w.columns {
		widen16(*buffer, w.halves[c*w.in:c*w.in+size], w.format)
		panel.out = min(w.columns, w.out-c)
		var b []float32
		if bias != nil {
			b = bias[c : c+panel.out]
		}
		w.family.linear(dst[c:], ldd, x, ldx, m, &panel, b)
	}
}

// widen16 is the specification of the conversion from 16 bits.
func widen16(dst []float32, src []uint16, format Half) {
	if format == BF16 {
		for i, h := range src {
			dst[i] = math.Float32frombits(uint32(h) << 16)
		}
		return
	}
	for i, h := range src {
		sign, magnitude := uint32(h&0x8000)<<16, uint32(h&0x7fff)
		switch {
		case magnitude >= 0x7c00: // infinite, or a NaN, which becomes quiet
			dst[i] = math.Float32frombits(sign | 0x7f800000 | magnitude<<13)
		default:
			// Exponents are moved by a product with 2¹¹², which is exact and
			// takes the subnormal numbers along.
			dst[i] = math.Float32frombits(sign|magnitude<<13) * 0x1p112
		}
	}
}
