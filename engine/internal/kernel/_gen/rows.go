package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// along writes a loop over a row of n values at the pointers, a vector at a
// time, and then what is left under the mask rest. The sums that visit builds
// therefore have an order that depends on n alone.
func (m *machine) along(name string, n reg.Register, pointers []reg.Register, rest *lanesMask, visit func(p []Mem, mask *lanesMask)) {
	left, offset := GP64(), GP64()
	MOVQ(n, left)
	XORQ(offset, offset)
	at := make([]Mem, len(pointers))
	for i, p := range pointers {
		at[i] = Mem{Base: p, Index: offset, Scale: 1}
	}
	SUBQ(U8(m.lanes), left)
	JL(LabelRef(name + "tail"))
	Label(name + "loop")
	visit(at, nil)
	ADDQ(U8(m.bytes()), offset)
	SUBQ(U8(m.lanes), left)
	JGE(LabelRef(name + "loop"))
	Label(name + "tail")
	ADDQ(U8(m.lanes), left)
	JZ(LabelRef(name + "done"))
	visit(at, rest)
	Label(name + "done")
}

// restOf returns the mask of the values of a row of n that do not fill a
// vector.
func (m *machine) restOf(n reg.Register) *lanesMask {
	rest := GP64()
	MOVQ(n, rest)
	ANDQ(U8(m.lanes-1), rest)
	return m.firstLanes(rest)
}

// softmax writes exp(x − max)/Σ for each row.
func (m *machine) softmax() {
	TEXT("softmax"+m.suffix, NOSPLIT, "func(x *float32, ld, rows, n int)")
	Pragma("noescape")
	Doc("softmax"+m.suffix+" replaces each of rows rows of n values, at stride ld elements, by its softmax;",
		"1 ≤ rows, 1 ≤ n.")
	x, ld := Load(Param("x"), GP64()), Load(Param("ld"), GP64())
	rows, n := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	SHLQ(U8(2), ld)
	rest := m.restOf(n)
	row := []reg.Register{x}

	Label("row")
	// The bound keeps a row that is −Inf everywhere from −Inf − −Inf.
	largest := m.vector()
	VMOVUPS(m.value(-math.MaxFloat32), largest)
	m.along("max", n, row, rest, func(p []Mem, mask *lanesMask) {
		v := m.load(p[0], mask)
		m.fill(v, mask, m.value(-math.MaxFloat32))
		VMAXPS(v, largest, largest)
	})
	largest2 := m.reduce(largest, VMAXPS)

	sum := m.zero()
	m.along("exp", n, row, rest, func(p []Mem, mask *lanesMask) {
		v := m.load(p[0], mask)
		VSUBPS(largest2, v, v)
		e := m.decay(v)
		m.keep(e, mask)
		VADDPS(e, sum, sum)
		m.store(e, p[0], mask)
	})
	// The sum is at least 1, or 0 where all is −Inf, or NaN.
	total := m.reduce(sum, VADDPS)
	least, scale := m.vector(), m.vector()
	VMOVUPS(m.value(1), least)
	VMAXPS(total, least, total)
	VMOVUPS(m.value(1), scale)
	VDIVPS(total, scale, scale)
	m.along("scale", n, row, rest, func(p []Mem, mask *lanesMask) {
		v := m.load(p[0], mask)
		VMULPS(scale, v, v)
		m.store(v, p[0], mask)
	})
	ADDQ(ld, x)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// layerNorm writes (x − mean)/√(var + eps)·gamma + beta for each row.
func (m *machine) layerNorm() {
	TEXT("layerNorm"+m.suffix, NOSPLIT, "func(dst, x *float32, rows, d int, gamma, beta *float32, eps float32)")
	Pragma("noescape")
	Doc("layerNorm"+m.suffix+" normalises each of rows rows of d contiguous values of x into dst, which may",
		"be x; 1 ≤ rows, 1 ≤ d.")
	dst, x := Load(Param("dst"), GP64()), Load(Param("x"), GP64())
	rows, d := Load(Param("rows"), GP64()), Load(Param("d"), GP64())
	gamma, beta := Load(Param("gamma"), GP64()), Load(Param("beta"), GP64())
	rest := m.restOf(d)
	count := m.vector()
	VCVTSI2SSQ(d, count.AsX(), count.AsX())
	VBROADCASTSS(count.AsX(), count)

	Label("row")
	sum := m.zero()
	m.along("sum", d, []reg.Register{x}, rest, func(p []Mem, mask *lanesMask) {
		VADDPS(m.load(p[0], mask), sum, sum)
	})
	mean := m.reduce(sum, VADDPS)
	VDIVPS(count, mean, mean)
	square := m.zero()
	m.along("square", d, []reg.Register{x}, rest, func(p []Mem, mask *lanesMask) {
		v := m.load(p[0], mask)
		VSUBPS(mean, v, v)
		m.keep(v, mask)
		VFMADD231PS(v, v, square)
	})
	variance := m.reduce(square, VADDPS)
	VDIVPS(count, variance, variance)
	eps, scale := m.vector(), m.vector()
	VBROADCASTSS(NewParamAddr("eps", 48), eps)
	VADDPS(eps, variance, variance)
	VSQRTPS(variance, variance)
	VMOVUPS(m.value(1), scale)
	VDIVPS(variance, scale, scale)
	m.along("apply", d, []reg.Register{x, dst, gamma, beta}, rest, func(p []Mem, mask *lanesMask) {
		v := m.load(p[0], mask)
		VSUBPS(mean, v, v)
		VMULPS(scale, v, v)
		g, b := m.load(p[2], mask), m.load(p[3], mask)
		VFMADD213PS(b, g, v)
		m.store(v, p[1], mask)
	})
	stride := GP64()
	LEAQ(Mem{Base: d, Index: d, Scale: 1}, stride)
	ADDQ(stride, stride)
	ADDQ(stride, x)
	ADDQ(stride, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// peak writes a loop of fused multiply-adds on registers that do not depend on
// each other: as many as the processor can take.
func (m *machine) peak() {
	TEXT("peak"+m.suffix, NOSPLIT, "func(n int)")
	Pragma("noescape")
	Doc("peak" + m.suffix + " runs n rounds of fused multiply-adds on registers.")
	n := Load(Param("n"), GP64())
	a, b := m.zero(), m.zero()
	sums := make([]vector, m.peakSums())
	for i := range sums {
		sums[i] = m.zero()
	}
	Label("loop")
	for _, s := range sums {
		VFMADD231PS(a, b, s)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// peakSums is the number of independent sums of peak.
func (m *machine) peakSums() int { return 2 * m.tileRows }
