package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// smallest is the logarithm of the smallest normal number, 2⁻¹²⁶: below it
// exponentials are flushed to 0, because arithmetic on subnormal numbers is
// slow on many processors.
const smallest = -87.33654475

// reduced returns r and the integers n with x = n·ln 2 + r, |r| ≤ ln 2/2.
func (m *machine) reduced(x group) (r, n group) {
	n = m.round(m.times(x, m.value(math.Log2E)))
	r = m.duplicate(x)
	m.subtractNaturals(r, n)
	return r, n
}

// subtractNaturals subtracts n·ln 2 from x.
func (m *machine) subtractNaturals(x, n group) {
	const high = float32(math.Ln2)
	m.subtractProduct(x, n, m.value(high))
	m.subtractProduct(x, n, m.value(float32(math.Ln2-float64(high))))
}

// remainder returns q(r) with exp(r) = 1 + r + r²·q(r): the polynomial of
// degree 4 with the smallest relative error of r + r²·q(r), 2⁻²⁶, against
// exp(r) − 1 on |r| ≤ ln 2/2 (Remez).
func (m *machine) remainder(r group) group {
	return m.polynomial(r, 0.0013882522334, 0.00836652057626, 0.0416671998453, 0.166665436211, 0.499999981541)
}

// polynomial evaluates the coefficients, of the highest power first, at x.
func (m *machine) polynomial(x group, coefficients ...float32) group {
	p := m.copies(len(x), m.value(coefficients[0]))
	for _, c := range coefficients[1:] {
		m.evolve(p, x, m.value(c))
	}
	return p
}

// quanta returns n, factor·x in steps of 1/lanes, and bits, floats whose lowest
// bits are n·lanes modulo lanes: n is rounded by adding a number so large that
// its last place is a step.
func (m *machine) quanta(x group, factor float32) (n, bits group) {
	large := m.value(float32(3 << 22 / m.lanes)) // 1.5·2²³ steps
	bits = m.copies(len(x), m.value(factor))
	m.evolve(bits, x, large)
	return m.minus(bits, large), bits
}

// power returns exp(factor·r)·2ⁿ for what [machine.quanta] gives, of which bits
// are clobbered: n is taken
// apart into ⌊n⌋ and a fraction, one of lanes, whose power of 2 is looked up. The
// rest, y = factor·r with |y| ≤ ln 2/(2·lanes), is left to 1 + y + c·y² + y³/6,
// where c, a little more than ½, takes most of what follows along: the error is
// 2⁻²⁹, or 2⁻²⁵ for lanes of 8.
func (m *machine) power(r, n, bits group, factor float32) group {
	bound := math.Ln2 / float64(2*m.lanes)
	c := float32(0.5 + bound*bound*(math.Sqrt2-1)/12)
	// The bits of ⌊n⌋, moved to where exponents are, for AVX2, which has no
	// instruction that rounds n down and scales.
	var exponents group
	if !m.wide() {
		exponents = m.and(bits, m.word(^uint32(m.lanes-1)))
		for _, e := range exponents {
			VPSLLD(U8(23-3), e, e)
		}
	}
	root := bits
	for i := range root {
		VPERMPS(m.roots(), bits[i], root[i])
	}
	for i, e := range exponents {
		VPADDD(e, root[i], root[i])
	}
	q := m.times(m.polynomial(r, factor*factor*factor/6, factor*factor*c, factor), r)
	m.evolve(q, root, root)
	if m.wide() {
		return m.binary(VSCALEFPS, q, n)
	}
	return q
}

// decay returns exp(x) for x ≤ 0, and 0 below [smallest]; x is clobbered.
func (m *machine) decay(x group) group {
	near := m.compare(notLess, x, m.value(smallest))
	n, bits := m.quanta(x, math.Log2E)
	m.subtractNaturals(x, n)
	return m.keep(m.power(x, n, bits, 1), near)
}

func (m *machine) absolute(x group) group { return m.and(x, m.word(math.MaxInt32)) }

// negative returns −|x|.
func (m *machine) negative(x group) group { return m.or(x, m.word(1<<31)) }

// elementwise writes the function that replaces each x, which load loads, by what
// body returns. prologue, which may be nil, prepares registers before the loop.
func (m *machine) elementwise(name, signature, doc string, prologue func(), body func(load func() group) group) {
	TEXT(name+m.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + m.suffix + " " + doc)
	x, n := Load(Param("x"), GP64()), GP64()
	Load(Param("n"), n)
	if prologue != nil {
		prologue()
	}
	m.each(n, []reg.Register{x}, func(at [][]Mem, k mask) {
		m.store(body(func() group { return m.load(at[0], k) }), at[0], k)
	})
	VZEROUPPER()
	RET()
}

// each writes a loop over n values at the pointers: by groups of vectors, then
// by vectors, then what is left. n and the pointers are clobbered.
func (m *machine) each(n reg.GPVirtual, pointers []reg.Register, visit func(at [][]Mem, k mask)) {
	at := func(together int) [][]Mem {
		p := make([][]Mem, len(pointers))
		for i := range p {
			for j := range together {
				p[i] = append(p[i], Mem{Base: pointers[i], Disp: j * m.bytes()})
			}
		}
		return p
	}
	for _, together := range []int{m.together, 1} {
		name := map[bool]string{true: "single", false: "loop"}[together == 1]
		SUBQ(U8(together*m.lanes), n)
		JL(LabelRef(name + "End"))
		Label(name)
		visit(at(together), nil)
		for _, p := range pointers {
			ADDQ(I32(together*m.bytes()), p)
		}
		SUBQ(U8(together*m.lanes), n)
		JGE(LabelRef(name))
		Label(name + "End")
		ADDQ(U8(together*m.lanes), n)
	}
	JZ(LabelRef("done"))
	visit(at(1), everywhere(1, m.firstLanes(n)))
	Label("done")
}

// normalTail returns t = |x|, e = exp(−t²/2) and R with Φ(−t) = e·R(t), the
// lower tail of the normal distribution, and the mask of the lanes where e is
// not to be taken as 0. R, half of the scaled complementary error function, is
// v times a polynomial in s = 1 − 2·c·v with v = 1/(t + c): for c = 2.9 and
// degree 8 with a relative error of 2⁻²⁵·⁶ on 0 ≤ t ≤ 13.22 (Remez).
func (m *machine) normalTail(x group) (t, e, r group, near mask) {
	const end = 13.21 // where exp(−t²/2) is about to be flushed to 0
	t = m.atMost(m.absolute(x), m.value(end))
	// The division comes first, so that what takes long begins early.
	v := m.over(m.copies(len(t), m.value(1)), m.plus(t, m.value(2.9)))
	// exp(−t²/2) = exp(−y/2)·2ⁿ with y = t² + n·2·ln 2. The first product with n
	// is exact, so that no bit of t² is lost.
	const high = 5678.0 / (1 << 12) // 13 bits of 2·ln 2, to the 11 of n
	n, bits := m.quanta(m.times(t, t), -math.Log2E/2)
	y := m.times(n, m.value(high))
	for i := range y {
		VFMADD231PS(t[i], t[i], y[i])
	}
	for i, low := 0, m.shared(m.value(2*math.Ln2-high)); i < len(y); i++ {
		VFMADD231PS(pick(low, i), n[i], y[i])
	}
	e = m.power(y, n, bits, -0.5)

	s := m.copies(len(t), m.value(1))
	m.subtractProduct(s, v, m.value(5.8))
	r = m.times(v, m.polynomial(s,
		-0.000321738996405, -0.000723405182897, 0.00174201412937, 0.00566161608114, -0.0135621306012,
		-0.0345252661908, 0.211311409282, -0.495965409395, 0.725277953449))
	return t, e, r, m.compare(notAtLeast, t, m.value(end))
}

// gelu writes x·Φ(x) as max(x, 0) − |x|·Φ(−|x|), so that both tails keep their
// relative accuracy.
func (m *machine) gelu() {
	m.elementwise("gelu", "func(x *float32, n int)", "replaces the n values of x by x·Φ(x).", nil, func(load func() group) group {
		t, e, r, near := m.normalTail(load())
		y := m.keep(m.times(m.times(r, t), e), near)
		x := load() // again, rather than keep it in registers
		return m.minus(m.binary(VMAXPS, m.zeros(len(x)), x), y)
	})
}

// gate writes x·σ(z), z = linear·x + cubic·x³, as x/(1 + e) or x·e/(1 + e)
// with e = exp(−|z|).
func (m *machine) gate() {
	var linear, cubic vector
	m.elementwise("gate", "func(x *float32, n int, linear, cubic float32)",
		"replaces the n values of x by x·σ(linear·x + cubic·x³); linear ≥ 1, cubic ≥ 0.",
		func() {
			linear = m.broadcast(NewParamAddr("linear", 16))
			cubic = m.broadcast(NewParamAddr("cubic", 20))
		},
		func(load func() group) group {
			// Below −100 the gate is 0. The bound on the square keeps an
			// infinite one from a cubic that is 0.
			x := m.atLeast(load(), m.value(-100))
			z := m.atMost(m.times(x, x), m.value(1e30))
			for i := range z {
				VFMADD213PS(linear, cubic, z[i])
			}
			e := m.decay(m.negative(m.times(z, x)))
			y := m.choose(m.compare(notLess, x, m.value(0)), x, m.times(x, e))
			return m.over(y, m.plus(e, m.value(1)))
		})
}

// sigmoid writes 1/(1 + e) or e/(1 + e) with e = exp(−|x|).
func (m *machine) sigmoid() {
	m.elementwise("sigmoid", "func(x *float32, n int)", "replaces the n values of x by 1/(1 + exp(−x)).", nil, func(load func() group) group {
		x := load()
		e := m.decay(m.negative(x))
		y := m.choose(m.compare(notLess, x, m.value(0)), m.copies(len(x), m.value(1)), e)
		return m.over(y, m.plus(e, m.value(1)))
	})
}

// tanh writes (exp(2x) − 1)/(exp(2x) + 1) as d/(d + 2) with d = exp(2|x|) − 1,
// where small |x| lose nothing: d = 2ⁿ·(exp(r) − 1) + (2ⁿ − 1).
func (m *machine) tanh() {
	m.elementwise("tanh", "func(x *float32, n int)", "replaces the n values of x by their hyperbolic tangents.", nil, func(load func() group) group {
		x := load()
		const end = 10 // where tanh rounds to 1
		t := m.atMost(m.absolute(x), m.value(end))
		r, n := m.reduced(m.plus(t, t))
		d := m.remainder(r)
		m.evolve(d, r, m.value(1))
		d = m.times(d, r)
		power := m.scale(m.copies(len(x), m.value(1)), n)
		m.evolve(d, power, m.plus(power, m.value(-1)))
		y := m.over(d, m.plus(d, m.value(2)))
		return m.or(y, m.and(x, m.word(1<<31)))
	})
}

// relu writes max(x, 0).
func (m *machine) relu() {
	var zero vector
	m.elementwise("relu", "func(x *float32, n int)", "replaces the negative ones of the n values of x by 0.",
		func() { zero = m.zero() },
		func(load func() group) group {
			x := load()
			for _, v := range x {
				VMAXPS(v, zero, v) // the second operand, v, is the result if one is NaN
			}
			return x
		})
}

// add writes dst += x.
func (m *machine) add() {
	TEXT("add"+m.suffix, NOSPLIT, "func(dst, x *float32, n int)")
	Pragma("noescape")
	Doc("add" + m.suffix + " adds the n values of x to those of dst.")
	dst, x, n := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), GP64()
	Load(Param("n"), n)
	m.each(n, []reg.Register{dst, x}, func(at [][]Mem, k mask) {
		m.store(m.plus(m.load(at[0], k), m.load(at[1], k)), at[0], k)
	})
	VZEROUPPER()
	RET()
}
