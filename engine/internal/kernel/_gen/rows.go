package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rows writes a function that works on rows of a matrix, together of them at
// once and those that are left one by one. row is the address of the first
// row, stride the bytes between two rows, and count, which is clobbered, the
// number of rows.
func (m *machine) rows(together int, row, stride, count reg.Register, body func(name string, rows int)) {
	for _, together := range []int{together, 1} {
		name := map[bool]string{true: "single", false: "group"}[together == 1]
		SUBQ(U8(together), count)
		JL(LabelRef(name + "End"))
		Label(name)
		body(name, together)
		for range together {
			ADDQ(stride, row)
		}
		SUBQ(U8(together), count)
		JGE(LabelRef(name))
		Label(name + "End")
		ADDQ(U8(together), count)
	}
	VZEROUPPER()
	RET()
}

// pass writes a loop along a group of rows of the given length in bytes: a
// vector of each row at a time, and then what is left under the mask rest. The
// sums that visit builds therefore have an order that depends on the length
// alone. visit is given the addresses of the vectors; further are pointers
// that are to advance with them.
func (m *machine) pass(name string, row, stride reg.Register, rows int, length, rest reg.Register, further []reg.Register,
	visit func(at []Mem, k mask)) {
	pointers := make([]reg.Register, rows)
	at := make([]Mem, rows)
	for i := range pointers {
		pointers[i] = GP64()
		at[i] = Mem{Base: pointers[i]}
		if i == 0 {
			MOVQ(row, pointers[i])
		} else {
			LEAQ(Mem{Base: pointers[i-1], Index: stride, Scale: 1}, pointers[i])
		}
	}
	pointers = append(pointers, further...)
	left := GP64()
	MOVQ(length, left)
	SUBQ(U8(m.bytes()), left)
	JL(LabelRef(name + "Rest"))
	Label(name)
	visit(at, nil)
	for _, p := range pointers {
		ADDQ(U8(m.bytes()), p)
	}
	SUBQ(U8(m.bytes()), left)
	JGE(LabelRef(name))
	Label(name + "Rest")
	ADDQ(U8(m.bytes()), left)
	JZ(LabelRef(name + "Done"))
	visit(at, everywhere(rows, rest))
	Label(name + "Done")
}

// restOf returns the register that selects the values of a row of n that do
// not fill a vector.
func (m *machine) restOf(n reg.Register) reg.Register {
	rest := GP64()
	MOVQ(n, rest)
	ANDQ(U8(m.lanes-1), rest)
	return m.firstLanes(rest)
}

// beside returns the operands at the offset from those of at.
func beside(at []Mem, offset reg.Register) []Mem {
	to := make([]Mem, len(at))
	for i := range at {
		to[i] = Mem{Base: at[i].Base, Index: offset, Scale: 1}
	}
	return to
}

// offset returns a register with the distance from base to the parameter.
func offset(parameter string, base reg.Register) reg.GPVirtual {
	d := GP64()
	Load(Param(parameter), d)
	SUBQ(base, d)
	return d
}

// softmax writes exp(x − max)/Σ for each row.
func (m *machine) softmax() {
	TEXT("softmax"+m.suffix, NOSPLIT, "func(x *float32, ld, rows, n int)")
	Pragma("noescape")
	Doc("softmax"+m.suffix+" replaces each of rows rows of n values, at stride ld elements, by its softmax;",
		"1 ≤ n.")
	x, stride := Load(Param("x"), GP64()), Load(Param("ld"), GP64())
	rows, length := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	rest := m.restOf(length)
	SHLQ(U8(2), stride)
	SHLQ(U8(2), length)
	m.rows(m.together, x, stride, rows, func(name string, n int) {
		// The bound keeps a row that is −Inf everywhere from −Inf − −Inf.
		bound := m.value(-math.MaxFloat32)
		largest := m.copies(n, bound)
		m.pass(name+"Max", x, stride, n, length, rest, nil, func(at []Mem, k mask) {
			v := m.load(at, k)
			if k != nil {
				v = m.choose(k, v, m.copies(n, bound))
			}
			for i := range v {
				VMAXPS(v[i], largest[i], largest[i])
			}
		})
		largest = m.spread(m.reduce(largest, VMAXPS))
		sums := m.zeros(n)
		m.pass(name+"Exp", x, stride, n, length, rest, nil, func(at []Mem, k mask) {
			e := m.keep(m.decay(m.minus(m.load(at, k), largest)), k)
			m.store(e, at, k)
			for i := range e {
				VADDPS(e[i], sums[i], sums[i])
			}
		})
		// A sum is at least 1, or it is 0 where all is −Inf, or NaN, which
		// the maximum with it as second operand keeps.
		total, one := m.reduce(sums, VADDPS), m.number(m.value(1))
		for _, x := range total {
			VMAXSS(x, one, x)
			VDIVSS(x, one, x)
		}
		scale := m.spread(total)
		m.pass(name+"Scale", x, stride, n, length, rest, nil, func(at []Mem, k mask) {
			m.store(m.times(m.load(at, k), scale), at, k)
		})
	})
}

// softmaxGrad writes p·(dp − Σ p·dp) for each row.
func (m *machine) softmaxGrad() {
	TEXT("softmaxGrad"+m.suffix, NOSPLIT, "func(ds, p, dp *float32, ld, rows, n int)")
	Pragma("noescape")
	Doc("softmaxGrad"+m.suffix+" computes p·(dp − Σ p·dp) for each of rows rows of n values at stride ld elements",
		"and writes it to ds, which may be p or dp; 1 ≤ n.")
	p, stride := Load(Param("p"), GP64()), Load(Param("ld"), GP64())
	toDp, toDs := offset("dp", p), offset("ds", p)
	rows, length := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	rest := m.restOf(length)
	SHLQ(U8(2), stride)
	SHLQ(U8(2), length)
	m.rows(m.together, p, stride, rows, func(name string, n int) {
		sums := m.zeros(n)
		m.pass(name+"Sum", p, stride, n, length, rest, nil, func(at []Mem, k mask) {
			m.accumulate(sums, m.load(at, k), m.load(beside(at, toDp), k))
		})
		sum := m.spread(m.reduce(sums, VADDPS))
		m.pass(name+"Apply", p, stride, n, length, rest, nil, func(at []Mem, k mask) {
			m.store(m.times(m.minus(m.load(beside(at, toDp), k), sum), m.load(at, k)), beside(at, toDs), k)
		})
	})
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
