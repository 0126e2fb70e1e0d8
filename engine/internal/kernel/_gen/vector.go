package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// mul writes dst ∘= x.
func (m *machine) mul() {
	m.merge("mul", "func(dst, x *float32, n int)", "multiplies the n values of dst by those of x.", nil,
		func(dst, x group) group { return m.times(dst, x) })
}

// addScaled writes dst += a·x.
func (m *machine) addScaled() {
	var a vector
	m.merge("addScaled", "func(dst, x *float32, n int, a float32)", "adds a times the n values of x to those of dst.",
		func() { a = m.broadcast(NewParamAddr("a", 24)) },
		func(dst, x group) group {
			m.accumulate(dst, x, everyone(len(x), a))
			return dst
		})
}

// merge writes the function that replaces each value of dst by what body returns
// for it and its partner in x. prologue, which may be nil, prepares registers.
func (m *machine) merge(name, signature, doc string, prologue func(), body func(dst, x group) group) {
	TEXT(name+m.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + m.suffix + " " + doc)
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), GP64()
	Load(Param("n"), n)
	if prologue != nil {
		prologue()
	}
	m.each(n, []reg.Register{dst, x}, func(at [][]Mem, k mask) {
		m.store(body(m.load(at[0], k), m.load(at[1], k)), at[0], k)
	})
	VZEROUPPER()
	RET()
}

// scaleBy writes x *= a.
func (m *machine) scaleBy() {
	var a vector
	m.elementwise("scale", "func(x *float32, n int, a float32)", "multiplies the n values of x by a.",
		func() { a = m.broadcast(NewParamAddr("a", 16)) },
		func(load func() group) group { return m.times(load(), a) })
}

// dot writes Σ x·y: as many sums as there are lanes in a group, which whole
// groups enter; single vectors enter the first.
func (m *machine) dot() {
	TEXT("dot"+m.suffix, NOSPLIT, "func(x, y *float32, n int) float32")
	Pragma("noescape")
	Doc("dot" + m.suffix + " returns the sum of the n products of values of x and y.")
	x, y, n := Load(Param("x"), GP64()), Load(Param("y"), GP64()), GP64()
	Load(Param("n"), n)
	sums := m.zeros(m.together)
	m.each(n, []reg.Register{x, y}, func(at [][]Mem, k mask) {
		m.accumulate(sums[:len(at[0])], m.load(at[0], k), m.load(at[1], k))
	})
	for step := len(sums) / 2; step > 0; step /= 2 {
		for i := range step {
			VADDPS(sums[i+step], sums[i], sums[i])
		}
	}
	Store(m.reduce(sums[:1], VADDPS)[0], ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// rotate writes the turns of pairs of values by an angle for each.
func (m *machine) rotate() {
	TEXT("rotate"+m.suffix, NOSPLIT, "func(x *float32, ld, rows, heads, e, half int, cos, sin *float32, sign float32)")
	Pragma("noescape")
	Doc("rotate"+m.suffix+" turns the pairs i, half + i of each of heads heads of e contiguous values in each of rows",
		"rows of x, at stride ld elements, by angles with the given cosines and sign times the",
		"given sines, [rows, half]; 1 ≤ rows, heads and half.")
	row, ld, rows := Load(Param("x"), GP64()), Load(Param("ld"), GP64()), Load(Param("rows"), GP64())
	e, half := Load(Param("e"), GP64()), Load(Param("half"), GP64())
	cosines, sines := Load(Param("cos"), GP64()), Load(Param("sin"), GP64())
	sign := m.broadcast(NewParamAddr("sign", 64))
	rest := m.restOf(half)
	SHLQ(U8(2), ld)
	SHLQ(U8(2), e)
	SHLQ(U8(2), half)

	Label("row")
	head, heads := GP64(), Load(Param("heads"), GP64())
	MOVQ(row, head)
	Label("head")
	cos, sin := GP64(), GP64()
	MOVQ(cosines, cos)
	MOVQ(sines, sin)
	m.pass("pair", head, e, 1, half, rest, []reg.Register{cos, sin}, func(at []Mem, k mask) {
		second := beside(at, half)
		a, b := m.load(at, k), m.load(second, k)
		c, s := m.load([]Mem{{Base: cos}}, k), m.times(m.load([]Mem{{Base: sin}}, k), sign)
		first := m.times(a, c)
		last := m.times(b, c)
		VFNMADD231PS(s[0], b[0], first[0])
		VFMADD231PS(s[0], a[0], last[0])
		m.store(first, at, k)
		m.store(last, second, k)
	})
	ADDQ(e, head)
	DECQ(heads)
	JNZ(LabelRef("head"))
	ADDQ(half, cosines)
	ADDQ(half, sines)
	ADDQ(ld, row)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
