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
			panel[i*n+format.place(o%n, n)] = w[o*in+i]
		}
	}
	return p
}

// place returns where a row of a panel holds the value of a column. BF16 is
// packed so that one load brings two vectors, of which one needs a shift and the
// other a mask: a column of the first half of the panel is followed by that of
// the second half. In the other formats, float32 among them, columns lie in order.
func (f Half) place(column, columns int) int {
	if f == BF16 {
		half := columns / 2
		return column%half*2 + column/half
	}
	return column
}

// widened holds panels that were widened, to be reused.
var widened = sync.Pool{New: func() any { return new(Weights[float32]) }}

// linear16 is the specification of the products with weights of 16 bits, for the
// family of the weights: panels are widened one by one.
func linear16(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32) {
	panel := widened.Get().(*Weights[float32])
	defer widened.Put(panel)
	panel.in, panel.columns, panel.family = w.in, w.columns, w.family
	size := w.columns * w.in
	panel.panels = grow(panel.panels, size)
	for c := 0; c < w.out; c += w.columns {
		widenPanel(panel.panels, w.halves[c*w.in:c*w.in+size], w.columns, w.format)
		panel.out = min(w.columns, w.out-c)
		var b []float32
		if bias != nil {
			b = bias[c : c+panel.out]
		}
		w.family.linear(dst[c:], ldd, x, ldx, m, panel, b)
	}
}

// widenPanel writes a panel of 16 bits as one of 32.
func widenPanel(dst []float32, src []uint16, columns int, format Half) {
	for c := range columns {
		at := format.place(c, columns)
		for row := 0; row < len(src); row += columns {
			dst[row+c] = format.widen(src[row+at])
		}
	}
}

// widen returns the number that h stands for.
func (f Half) widen(h uint16) float32 {
	if f == BF16 {
		return math.Float32frombits(uint32(h) << 16)
	}
	sign, magnitude := uint32(h&0x8000)<<16, uint32(h&0x7fff)
	if magnitude >= 0x7c00 { // infinite or NaN
		return math.Float32frombits(sign | 0x7f800000 | magnitude<<13)
	}
	// The product moves the exponent. It is exact, and takes the subnormal
	// numbers along.
	return math.Float32frombits(sign|magnitude<<13) * 0x1p112
}
