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

// exponential returns p and the integers n with exp(x) = p·2ⁿ, for x in
// [smallest, 88]; other x give garbage. correction, if not nil, is applied to
// the reduced argument.
//
// x = n·ln 2 + r with |r| ≤ ln 2/2, and exp(r) = 1 + r + r²·q(r) with the q
// of [m.remainder].
func (m *machine) exponential(x vector, correction func(r vector)) (p, n vector) {
	r, n := m.reduced(x)
	if correction != nil {
		correction(r)
	}
	p = m.remainder(r)
	VFMADD213PS(m.value(1), r, p)
	VFMADD213PS(m.value(1), r, p)
	return p, n
}

// reduced returns r and the integers n with x = n·ln 2 + r, |r| ≤ ln 2/2.
func (m *machine) reduced(x vector) (r, n vector) {
	const high = float32(math.Ln2)
	low := float32(math.Ln2 - float64(high))
	scaled := m.vector()
	VMULPS(m.value(math.Log2E), x, scaled)
	n = m.round(scaled)
	r = m.vector()
	VMOVAPS(x, r)
	VFNMADD231PS(m.value(high), n, r)
	VFNMADD231PS(m.value(low), n, r)
	return r, n
}

// remainder returns q(r) with exp(r) = 1 + r + r²·q(r): the polynomial of
// degree 4 with the smallest relative error of r + r²·q(r), 2⁻²⁶·², against
// exp(r) − 1 on |r| ≤ ln 2/2 (Remez).
func (m *machine) remainder(r vector) vector {
	return m.polynomial(r, 0.0013882522334, 0.00836652057626, 0.0416671998453, 0.166665436211, 0.499999981541)
}

// polynomial evaluates the coefficients, of the highest power first, at x.
func (m *machine) polynomial(x vector, coefficients ...float32) vector {
	p := m.vector()
	VMOVUPS(m.value(coefficients[0]), p)
	for _, c := range coefficients[1:] {
		VFMADD213PS(m.value(c), x, p)
	}
	return p
}

// atMost returns min(x, bound), and NaN for NaN.
func (m *machine) atMost(x vector, bound float32) vector {
	y := m.vector()
	VMOVUPS(m.value(bound), y)
	VMINPS(x, y, y) // the second operand, x, is the result if one is NaN
	return y
}

func (m *machine) absolute(x vector) vector {
	y := m.vector()
	VANDPS(m.word(math.MaxInt32), x, y)
	return y
}

// negative returns −|x|.
func (m *machine) negative(x vector) vector {
	y := m.vector()
	VORPS(m.word(1<<31), x, y)
	return y
}

// decay returns exp(x) for x ≤ 0, and 0 below [smallest].
func (m *machine) decay(x vector) vector {
	e, n := m.exponential(x, nil)
	m.scale(e, n)
	m.keep(e, m.compare(notLess, x, m.value(smallest)))
	return e
}

// elementwise writes the loop that replaces each vector by what body returns.
// prologue, which may be nil, prepares registers before the loop.
func (m *machine) elementwise(name, signature, doc string, prologue func(), body func(x vector) vector) {
	TEXT(name+m.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + m.suffix + " " + doc)
	x, n := Load(Param("x"), GP64()), GP64()
	Load(Param("n"), n)
	if prologue != nil {
		prologue()
	}
	SUBQ(U8(m.lanes), n)
	JL(LabelRef("tail"))
	Label("loop")
	m.store(body(m.load(Mem{Base: x}, nil)), Mem{Base: x}, nil)
	ADDQ(U8(m.bytes()), x)
	SUBQ(U8(m.lanes), n)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(U8(m.lanes), n)
	JZ(LabelRef("done"))
	mask := m.firstLanes(n)
	m.store(body(m.load(Mem{Base: x}, mask)), Mem{Base: x}, mask)
	Label("done")
	VZEROUPPER()
	RET()
}

// gelu writes x·Φ(x) as max(x, 0) − |x|·Φ(−|x|), so that both tails keep their
// relative accuracy. Φ(−t) = exp(−t²/2)·R(t), where R, the upper half of the
// scaled complementary error function, is a polynomial in s = (t − 3)/(t + 3):
// of degree 9, with a relative error of 2⁻²⁷ on 0 ≤ t ≤ 13.3 (Remez). What
// rounding takes from t² is given back to the exponent.
func (m *machine) gelu() {
	m.elementwise("gelu", "func(x *float32, n int)", "replaces the n values of x by x·Φ(x).", nil, func(x vector) vector {
		const center, end = 3, 13.21
		t := m.atMost(m.absolute(x), end)
		square, lost, exponent := m.vector(), m.vector(), m.vector()
		VMULPS(t, t, square)
		VMOVAPS(t, lost)
		VFMSUB213PS(square, t, lost)
		VMULPS(m.value(-0.5), square, exponent)
		e, n := m.exponential(exponent, func(r vector) { VFNMADD231PS(m.value(0.5), lost, r) })
		m.scale(e, n)

		s, denominator := m.vector(), m.vector()
		VADDPS(m.value(-center), t, s)
		VADDPS(m.value(center), t, denominator)
		VDIVPS(denominator, s, s)
		q := m.polynomial(s,
			5.41508074164e-5, 0.000116037308862, -0.000339911301507, -0.000984182703077, 0.0029047026213,
			0.0061321830435, -0.0462133138117, 0.123225021699, -0.206402617928, 0.121513947724)
		VMULPS(t, q, q)
		VMULPS(e, q, q)
		m.keep(q, m.compare(notAtLeast, t, m.value(end)))

		y, zero := m.vector(), m.zero()
		VMAXPS(x, zero, y)
		VSUBPS(q, y, y)
		return y
	})
}

// gate writes x·σ(z), z = linear·x + cubic·x³, as x/(1 + e) or x·e/(1 + e)
// with e = exp(−|z|).
func (m *machine) gate() {
	linear, cubic := m.vector(), m.vector()
	m.elementwise("gate", "func(x *float32, n int, linear, cubic float32)",
		"replaces the n values of x by x·σ(linear·x + cubic·x³); linear ≥ 1, cubic ≥ 0.",
		func() {
			VBROADCASTSS(NewParamAddr("linear", 16), linear)
			VBROADCASTSS(NewParamAddr("cubic", 20), cubic)
		},
		func(x vector) vector {
			// Beyond 100 the gate is 1 or 0; inside, nothing overflows.
			bounded := m.atMost(x, 100)
			lower := m.vector()
			VMOVUPS(m.value(-100), lower)
			VMAXPS(bounded, lower, bounded)
			z := m.vector()
			VMULPS(bounded, bounded, z)
			VFMADD213PS(linear, cubic, z)
			VMULPS(bounded, z, z)
			e := m.decay(m.negative(z))
			below := m.vector()
			VMULPS(e, bounded, below)
			y := m.pick(m.compare(notLess, x, m.value(0)), x, below)
			VADDPS(m.value(1), e, e)
			VDIVPS(e, y, y)
			return y
		})
}

// sigmoid writes 1/(1 + e) or e/(1 + e) with e = exp(−|x|).
func (m *machine) sigmoid() {
	m.elementwise("sigmoid", "func(x *float32, n int)", "replaces the n values of x by 1/(1 + exp(−x)).", nil, func(x vector) vector {
		e, one := m.decay(m.negative(x)), m.vector()
		VMOVUPS(m.value(1), one)
		y := m.pick(m.compare(notLess, x, m.value(0)), one, e)
		VADDPS(one, e, e)
		VDIVPS(e, y, y)
		return y
	})
}

// tanh writes (exp(2x) − 1)/(exp(2x) + 1) as d/(d + 2) with d = exp(2|x|) − 1,
// where small |x| lose nothing: d = 2ⁿ·(exp(r) − 1) + (2ⁿ − 1).
func (m *machine) tanh() {
	m.elementwise("tanh", "func(x *float32, n int)", "replaces the n values of x by their hyperbolic tangents.", nil, func(x vector) vector {
		const end = 10 // where tanh rounds to 1
		twice := m.atMost(m.absolute(x), end)
		VADDPS(twice, twice, twice)
		r, n := m.reduced(twice)
		d := m.remainder(r)
		VFMADD213PS(m.value(1), r, d)
		VMULPS(r, d, d)
		power, less := m.vector(), m.vector()
		VMOVUPS(m.value(1), power)
		m.scale(power, n)
		VADDPS(m.value(-1), power, less)
		VFMADD213PS(less, power, d)
		y := m.vector()
		VADDPS(m.value(2), d, y)
		VDIVPS(y, d, y)
		sign := m.vector()
		VANDPS(m.word(1<<31), x, sign)
		VORPS(sign, y, y)
		return y
	})
}

// relu writes max(x, 0).
func (m *machine) relu() {
	var zero reg.Register
	m.elementwise("relu", "func(x *float32, n int)", "replaces the negative ones of the n values of x by 0.",
		func() { zero = m.zero() },
		func(x vector) vector {
			VMAXPS(x, zero, x) // the second operand, x, is the result if one is NaN
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
	body := func(mask *lanesMask) {
		sum := m.load(Mem{Base: dst}, mask)
		VADDPS(m.load(Mem{Base: x}, mask), sum, sum)
		m.store(sum, Mem{Base: dst}, mask)
	}
	SUBQ(U8(m.lanes), n)
	JL(LabelRef("tail"))
	Label("loop")
	body(nil)
	ADDQ(U8(m.bytes()), dst)
	ADDQ(U8(m.bytes()), x)
	SUBQ(U8(m.lanes), n)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(U8(m.lanes), n)
	JZ(LabelRef("done"))
	body(m.firstLanes(n))
	Label("done")
	VZEROUPPER()
	RET()
}
