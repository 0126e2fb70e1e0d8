package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// derivative writes the function that computes dx = dy·f′(x), where body returns
// f′(x) of the x that load loads.
func (m *machine) derivative(name, signature, doc string, prologue func(), body func(load func() group) group) {
	TEXT(name+m.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name+m.suffix+" computes the n values of dx = dy·f′(x), f′(x) = "+doc, "dx may be dy or x.")
	dx, dy, x, n := Load(Param("dx"), GP64()), Load(Param("dy"), GP64()), Load(Param("x"), GP64()), GP64()
	Load(Param("n"), n)
	if prologue != nil {
		prologue()
	}
	m.each(n, []reg.Register{dx, dy, x}, func(at [][]Mem, k mask) {
		m.store(m.times(body(func() group { return m.load(at[2], k) }), m.load(at[1], k)), at[0], k)
	})
	VZEROUPPER()
	RET()
}

const derivativeOf = "func(dx, dy, x *float32, n int)"

// geluGrad writes Φ(x) + x·φ(x): with t = |x| and the R of [machine.normalTail],
// the sum is e·(R(t) − t/√(2π)) for x < 0, with e = exp(−t²/2), and what is
// missing from 1 for −x.
func (m *machine) geluGrad() {
	m.derivative("geluGrad", derivativeOf, "Φ(x) + x·φ(x).", nil, func(load func() group) group {
		t, e, r, near := m.normalTail(load())
		for i, c := 0, m.shared(m.value(float32(1/math.Sqrt(2*math.Pi)))); i < len(t); i++ {
			VFNMADD231PS(pick(c, i), t[i], r[i])
		}
		y := m.keep(m.times(r, e), near)
		return m.mirror(load(), y)
	})
}

// mirror returns y where x < 0, and 1 − y elsewhere.
func (m *machine) mirror(x, y group) group {
	return m.choose(m.compare(notLess, x, m.value(0)), m.minus(m.copies(len(x), m.value(1)), y), y)
}

// gateGrad writes σ(z) + x·z′·σ(z)·σ(−z) with z = linear·x + cubic·x³: for
// x < 0, with e = exp(−|z|), it is e·((1 + e) − |x·z′|)/(1 + e)², and what is
// missing from 1 for −x.
func (m *machine) gateGrad() {
	var linear, cubic vector
	m.derivative("gateGrad", "func(dx, dy, x *float32, n int, linear, cubic float32)",
		"σ(z) + x·z′·σ(z)·σ(−z), z = linear·x + cubic·x³; linear ≥ 1, cubic ≥ 0.",
		func() {
			linear = m.broadcast(NewParamAddr("linear", 32))
			cubic = m.broadcast(NewParamAddr("cubic", 36))
		},
		func(load func() group) group {
			// Beyond 100 e is 0.
			x := m.atMost(m.atLeast(load(), m.value(-100)), m.value(100))
			cube := m.times(m.times(x, x), cubic)
			pull := m.times(m.plus(m.times(cube, m.value(3)), linear), x) // x·z′
			e := m.decay(m.negative(m.times(m.plus(cube, linear), x)))
			sum := m.plus(e, m.value(1))
			y := m.over(m.times(e, m.minus(sum, m.absolute(pull))), m.times(sum, sum))
			return m.mirror(pull, y)
		})
}

// sigmoidGrad writes σ(x)·σ(−x) as e/(1 + e)² with e = exp(−|x|).
func (m *machine) sigmoidGrad() {
	m.derivative("sigmoidGrad", derivativeOf, "σ(x)·σ(−x).", nil, func(load func() group) group {
		return m.bell(m.decay(m.negative(load())))
	})
}

// tanhGrad writes 1 − tanh²(x) as 4·e/(1 + e)² with e = exp(−2|x|).
func (m *machine) tanhGrad() {
	m.derivative("tanhGrad", derivativeOf, "1 − tanh²(x).", nil, func(load func() group) group {
		x := load()
		return m.times(m.bell(m.decay(m.negative(m.plus(x, x)))), m.value(4))
	})
}

// bell returns e/(1 + e)².
func (m *machine) bell(e group) group {
	sum := m.plus(e, m.value(1))
	return m.over(e, m.times(sum, sum))
}

// reluGrad writes dy where x > 0, NaN where x is NaN, and 0 elsewhere.
func (m *machine) reluGrad() {
	TEXT("reluGrad"+m.suffix, NOSPLIT, derivativeOf)
	Pragma("noescape")
	Doc("reluGrad"+m.suffix+" computes the n values of dx: dy where x > 0, 0 where x ≤ 0, and x where it is NaN.",
		"dx may be dy or x.")
	dx, dy, x, n := Load(Param("dx"), GP64()), Load(Param("dy"), GP64()), Load(Param("x"), GP64()), GP64()
	Load(Param("n"), n)
	m.each(n, []reg.Register{dx, dy, x}, func(at [][]Mem, k mask) {
		v := m.load(at[2], k)
		y := m.keep(m.load(at[1], k), m.compare(notAtMost, v, m.value(0)))
		m.store(m.choose(m.compare(unordered, v, m.value(0)), v, y), at[0], k)
	})
	VZEROUPPER()
	RET()
}
