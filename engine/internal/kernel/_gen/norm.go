package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// statistics writes the passes over a group of rows that find their means,
// nil where they are not wanted, and √(mean((x − mean)²) + eps), whose address
// in the frame is given: the arithmetic that all norms share.
func (m *machine) statistics(name string, x, stride reg.Register, n int, length, rest reg.Register, d scalar, eps Mem, centred bool) (mean, divisor []scalar) {
	var means group
	if centred {
		sums := m.zeros(n)
		m.pass(name+"Sum", x, stride, n, length, rest, nil, func(at []Mem, k mask) {
			v := m.load(at, k)
			for i := range v {
				VADDPS(v[i], sums[i], sums[i])
			}
		})
		mean = m.reduce(sums, VADDPS)
		for _, x := range mean {
			VDIVSS(d, x, x)
		}
		means = m.spread(mean)
	}
	squares := m.zeros(n)
	m.pass(name+"Square", x, stride, n, length, rest, nil, func(at []Mem, k mask) {
		v := m.load(at, k)
		if centred {
			v = m.keep(m.minus(v, means), k)
		}
		m.accumulate(squares, v, v)
	})
	divisor = m.reduce(squares, VADDPS)
	for _, x := range divisor {
		VDIVSS(d, x, x)
		VADDSS(eps, x, x)
		VSQRTSS(x, x, x)
	}
	return mean, divisor
}

// inverse returns vectors with 1/x in every lane.
func (m *machine) inverse(x []scalar) group {
	one := m.number(m.value(1))
	y := make([]scalar, len(x))
	for i := range x {
		y[i] = XMM()
		VDIVSS(x[i], one, y[i])
	}
	return m.spread(y)
}

// centre returns x − mean, or x where there is no mean.
func (m *machine) centre(x, mean group) group {
	if mean == nil {
		return x
	}
	return m.minus(x, mean)
}

// lanesOf returns a scalar with n as a number.
func lanesOf(n reg.Register) scalar {
	d := XMM()
	VXORPS(d, d, d)
	VCVTSI2SSQ(n, d, d)
	return d
}

// layerNorm writes (x − mean)/√(var + eps)·gamma + beta for each row.
func (m *machine) layerNorm() {
	TEXT("layerNorm"+m.suffix, NOSPLIT, "func(dst, x *float32, rows, d int, gamma, beta *float32, eps float32)")
	Pragma("noescape")
	Doc("layerNorm"+m.suffix+" normalises each of rows rows of d contiguous values of x into dst, which may",
		"be x; 1 ≤ d.")
	x, rows, length := Load(Param("x"), GP64()), Load(Param("rows"), GP64()), Load(Param("d"), GP64())
	toDst := offset("dst", x)
	rest := m.restOf(length)
	d := lanesOf(length)
	SHLQ(U8(2), length)
	m.rows(m.together, x, length, rows, func(name string, n int) {
		mean, divisor := m.statistics(name, x, length, n, length, rest, d, NewParamAddr("eps", 48), true)
		means, scale := m.spread(mean), m.inverse(divisor)
		gamma, beta := GP64(), GP64()
		Load(Param("gamma"), gamma)
		Load(Param("beta"), beta)
		m.pass(name+"Apply", x, length, n, length, rest, []reg.Register{gamma, beta}, func(at []Mem, k mask) {
			v := m.times(m.minus(m.load(at, k), means), scale)
			g, b := m.vector(), m.vector()
			m.loadTo(g, Mem{Base: gamma}, k, 0)
			m.loadTo(b, Mem{Base: beta}, k, 0)
			m.evolve(v, everyone(n, g), b)
			m.store(v, beside(at, toDst), k)
		})
	})
}

// stats writes the mean and the divisor of each row.
func (m *machine) stats(centred bool) {
	name, signature, eps := "layerNormStats", "func(mean, divisor, x *float32, rows, d int, eps float32)", 40
	if !centred {
		name, signature, eps = "rmsNormStats", "func(divisor, x *float32, rows, d int, eps float32)", 32
	}
	TEXT(name+m.suffix, NOSPLIT, signature)
	Pragma("noescape")
	if centred {
		Doc(name+m.suffix+" writes the mean and √(var + eps) of each of rows rows of d contiguous values",
			"of x; 1 ≤ d.")
	} else {
		Doc(name+m.suffix+" writes √(mean(x²) + eps) of each of rows rows of d contiguous values of x;",
			"1 ≤ d.")
	}
	x, rows, length := Load(Param("x"), GP64()), Load(Param("rows"), GP64()), Load(Param("d"), GP64())
	divisor := Load(Param("divisor"), GP64())
	var toMean reg.GPVirtual
	if centred {
		toMean = offset("mean", divisor)
	}
	rest := m.restOf(length)
	d := lanesOf(length)
	SHLQ(U8(2), length)
	m.rows(m.together, x, length, rows, func(name string, n int) {
		mean, div := m.statistics(name, x, length, n, length, rest, d, NewParamAddr("eps", eps), centred)
		for i := range div {
			VMOVSS(div[i], Mem{Base: divisor, Disp: 4 * i})
			if centred {
				VMOVSS(mean[i], Mem{Base: divisor, Index: toMean, Scale: 1, Disp: 4 * i})
			}
		}
		ADDQ(U8(4*n), divisor)
	})
}

// normalize writes (x − mean)·(1/divisor) for each row.
func (m *machine) normalize() {
	TEXT("normalize"+m.suffix, NOSPLIT, "func(dst, x *float32, rows, d int, mean *float32, step int, divisor *float32)")
	Pragma("noescape")
	Doc("normalize"+m.suffix+" computes (x − mean)·(1/divisor) for each of rows rows of d contiguous values of x into",
		"dst, which may be x. The means are step bytes apart, the divisors 4; 1 ≤ d.")
	x, rows, length := Load(Param("x"), GP64()), Load(Param("rows"), GP64()), Load(Param("d"), GP64())
	toDst := offset("dst", x)
	mean, step, divisor := Load(Param("mean"), GP64()), Load(Param("step"), GP64()), Load(Param("divisor"), GP64())
	rest := m.restOf(length)
	SHLQ(U8(2), length)
	m.rows(m.together, x, length, rows, func(name string, n int) {
		means, divisors := make(group, n), make([]scalar, n)
		for i := range n {
			means[i] = m.broadcast(Mem{Base: mean})
			ADDQ(step, mean)
			divisors[i] = XMM()
			VMOVSS(Mem{Base: divisor, Disp: 4 * i}, divisors[i])
		}
		ADDQ(U8(4*n), divisor)
		scale := m.inverse(divisors)
		m.pass(name+"Apply", x, length, n, length, rest, nil, func(at []Mem, k mask) {
			m.store(m.times(m.minus(m.load(at, k), means), scale), beside(at, toDst), k)
		})
	})
}

// affine writes x·gamma + beta for each row, or x·gamma.
func (m *machine) affine(shift bool) {
	name, signature := "affine", "func(dst, x *float32, rows, d int, gamma, beta *float32)"
	what := "x·gamma + beta"
	if !shift {
		name, signature, what = "gain", "func(dst, x *float32, rows, d int, gamma *float32)", "x·gamma"
	}
	TEXT(name+m.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(name+m.suffix+" computes "+what+" for each of rows rows of d contiguous values of x into dst,",
		"which may be x; 1 ≤ d.")
	x, rows, length := Load(Param("x"), GP64()), Load(Param("rows"), GP64()), Load(Param("d"), GP64())
	toDst := offset("dst", x)
	rest := m.restOf(length)
	SHLQ(U8(2), length)
	m.rows(m.together, x, length, rows, func(name string, n int) {
		gamma, beta := GP64(), GP64()
		further := []reg.Register{gamma}
		Load(Param("gamma"), gamma)
		if shift {
			Load(Param("beta"), beta)
			further = append(further, beta)
		}
		m.pass(name+"Apply", x, length, n, length, rest, further, func(at []Mem, k mask) {
			v, g := m.load(at, k), m.vector()
			m.loadTo(g, Mem{Base: gamma}, k, 0)
			if shift {
				b := m.vector()
				m.loadTo(b, Mem{Base: beta}, k, 0)
				m.evolve(v, everyone(n, g), b)
			} else {
				v = m.times(v, g)
			}
			m.store(v, beside(at, toDst), k)
		})
	})
}

// rmsNorm writes x·(1/√(mean(x²) + eps))·gamma for each row.
func (m *machine) rmsNorm() {
	TEXT("rmsNorm"+m.suffix, NOSPLIT, "func(dst, x *float32, rows, d int, gamma *float32, eps float32)")
	Pragma("noescape")
	Doc("rmsNorm"+m.suffix+" computes x/√(mean(x²) + eps)·gamma for each of rows rows of d contiguous values of x",
		"into dst, which may be x; 1 ≤ d.")
	x, rows, length := Load(Param("x"), GP64()), Load(Param("rows"), GP64()), Load(Param("d"), GP64())
	toDst := offset("dst", x)
	rest := m.restOf(length)
	d := lanesOf(length)
	SHLQ(U8(2), length)
	m.rows(m.together, x, length, rows, func(name string, n int) {
		_, divisor := m.statistics(name, x, length, n, length, rest, d, NewParamAddr("eps", 40), false)
		scale := m.inverse(divisor)
		gamma := GP64()
		Load(Param("gamma"), gamma)
		m.pass(name+"Apply", x, length, n, length, rest, []reg.Register{gamma}, func(at []Mem, k mask) {
			g := m.vector()
			m.loadTo(g, Mem{Base: gamma}, k, 0)
			m.store(m.times(m.times(m.load(at, k), scale), g), beside(at, toDst), k)
		})
	})
}

// normGrad writes the gradient at the input of a norm for each row, two of them
// at once: more do not fit the registers.
func (m *machine) normGrad(centred bool) {
	name, formula := "layerNormGrad", "(g − mean(g) − n·mean(g·n))/divisor with n = (x − mean)/divisor"
	if !centred {
		name, formula = "rmsNormGrad", "(g − n·mean(g·n))/divisor with n = x/divisor"
	}
	TEXT(name+m.suffix, NOSPLIT, "func(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)")
	Pragma("noescape")
	Doc(name+m.suffix+" computes "+formula,
		"and g = dy·gamma for each of rows rows of d contiguous values into dx, which may be dy or x;", "1 ≤ d.")
	x, rows, length := Load(Param("x"), GP64()), Load(Param("rows"), GP64()), Load(Param("d"), GP64())
	toDy, toDx := offset("dy", x), offset("dx", x)
	rest := m.restOf(length)
	d := lanesOf(length)
	SHLQ(U8(2), length)
	m.rows(2, x, length, rows, func(name string, n int) {
		mean, divisor := m.statistics(name, x, length, n, length, rest, d, NewParamAddr("eps", 48), centred)
		var means group
		if centred {
			means = m.spread(mean)
		}
		scale := m.inverse(divisor)
		gamma := GP64()
		// at the row: g, and what n is scale times.
		load := func(at []Mem, k mask) (g, n group) {
			weights := m.vector()
			m.loadTo(weights, Mem{Base: gamma}, k, 0)
			return m.times(m.load(beside(at, toDy), k), weights), m.centre(m.load(at, k), means)
		}
		sums, products := m.zeros(n), m.zeros(n)
		Load(Param("gamma"), gamma)
		m.pass(name+"Product", x, length, n, length, rest, []reg.Register{gamma}, func(at []Mem, k mask) {
			g, n := load(at, k)
			if centred {
				for i := range g {
					VADDPS(g[i], sums[i], sums[i])
				}
			}
			m.accumulate(products, g, n) // g is 0 outside k
		})
		average := func(sums group) group {
			s := m.reduce(sums, VADDPS)
			for _, x := range s {
				VDIVSS(d, x, x)
			}
			return m.spread(s)
		}
		product := m.times(m.times(average(products), scale), scale) // mean(g·n)/divisor
		var sum group
		if centred {
			sum = average(sums)
		}
		Load(Param("gamma"), gamma)
		m.pass(name+"Apply", x, length, n, length, rest, []reg.Register{gamma}, func(at []Mem, k mask) {
			g, n := load(at, k)
			g = m.centre(g, sum)
			for i := range g {
				VFNMADD231PS(n[i], product[i], g[i])
			}
			m.store(m.times(g, scale), beside(at, toDx), k)
		})
	})
}
