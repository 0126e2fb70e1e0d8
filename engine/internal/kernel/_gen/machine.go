package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// machine is an instruction set: what differs between AVX-512 and AVX2.
type machine struct {
	suffix   string // of the names of the functions
	lanes    int    // float32 values in a vector
	tileRows int    // rows of the largest tile of gemm
	together int    // vectors that activations and rows are computed in at once
	constants
}

// wide tells AVX-512, which has mask registers and 32 vectors, from AVX2.
func (m *machine) wide() bool { return m.lanes == 16 }

// bytes is the size of a vector.
func (m *machine) bytes() int { return 4 * m.lanes }

// vector is a register of one vector.
type vector = reg.VecVirtual

// vector returns a new register.
func (m *machine) vector() vector {
	if m.wide() {
		return ZMM()
	}
	return YMM()
}

// zero returns a new register that is cleared.
func (m *machine) zero() vector {
	v := m.vector()
	m.clear(v)
	return v
}

// clear clears a register.
func (m *machine) clear(v vector) {
	if m.wide() {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

// broadcast returns a new register with the value at p in every lane.
func (m *machine) broadcast(p Op) vector {
	v := m.vector()
	VBROADCASTSS(p, v)
	return v
}

// group is a few vectors that go through the same steps. Each step is written
// for all of them before the next one, so that the processor finds independent
// work close by: its window is shorter than the chain of an exponential.
type group []vector

// group returns n new registers.
func (m *machine) group(n int) group {
	g := make(group, n)
	for i := range g {
		g[i] = m.vector()
	}
	return g
}

// zeros returns n new registers that are cleared.
func (m *machine) zeros(n int) group {
	g := make(group, n)
	for i := range g {
		g[i] = m.zero()
	}
	return g
}

// copies returns n new registers that hold c.
func (m *machine) copies(n int, c constant) group {
	g := m.group(n)
	for i := range g {
		if m.wide() {
			VBROADCASTSS(Mem(c), g[i])
		} else {
			VMOVUPS(Mem(c), g[i])
		}
	}
	return g
}

// duplicate returns new registers that hold g.
func (m *machine) duplicate(g group) group {
	d := m.group(len(g))
	for i := range d {
		VMOVAPS(g[i], d[i])
	}
	return d
}

// everyone returns the group whose n vectors are v.
func everyone(n int, v vector) group {
	g := make(group, n)
	for i := range g {
		g[i] = v
	}
	return g
}

// pick returns what belongs to the i-th vector of a group: an operand is a
// group, or one register or memory operand that serves all.
func pick(operand any, i int) Op {
	switch o := operand.(type) {
	case group:
		return o[i]
	case Op:
		return o
	}
	panic(fmt.Sprintf("gen: %T is no operand", operand))
}

// shared returns the operand that instructions take for y: a constant is loaded
// once for the group where there are registers to spare.
func (m *machine) shared(y any) any {
	c, ok := y.(constant)
	switch {
	case !ok:
		return y
	case m.wide():
		return m.broadcast(Mem(c))
	default:
		return Mem(c)
	}
}

// binary returns f(x, y), where the instruction f takes its operands in the
// order of Go's assembler: the second, the first, the result.
func (m *machine) binary(f func(ops ...Op), x group, y any) group {
	y = m.shared(y)
	r := m.group(len(x))
	for i := range r {
		f(pick(y, i), x[i], r[i])
	}
	return r
}

func (m *machine) plus(x group, y any) group  { return m.binary(VADDPS, x, y) }
func (m *machine) minus(x group, y any) group { return m.binary(VSUBPS, x, y) }
func (m *machine) times(x group, y any) group { return m.binary(VMULPS, x, y) }
func (m *machine) over(x group, y any) group  { return m.binary(VDIVPS, x, y) }
func (m *machine) and(x group, y any) group   { return m.binary(VANDPS, x, y) }
func (m *machine) or(x group, y any) group    { return m.binary(VORPS, x, y) }

// atMost and atLeast return min(x, bound) and max(x, bound), and NaN for NaN:
// the result is the second operand where one is NaN, and the second is x.
func (m *machine) atMost(x group, bound constant) group {
	return m.binary(VMINPS, m.copies(len(x), bound), x)
}

func (m *machine) atLeast(x group, bound constant) group {
	return m.binary(VMAXPS, m.copies(len(x), bound), x)
}

// evolve sets p to p·x + c.
func (m *machine) evolve(p, x group, c any) {
	c = m.shared(c)
	for i := range p {
		VFMADD213PS(pick(c, i), x[i], p[i])
	}
}

// accumulate adds x·y to the sums.
func (m *machine) accumulate(sums, x, y group) {
	for i := range sums {
		VFMADD231PS(y[i], x[i], sums[i])
	}
}

// subtractProduct sets r to r − x·y.
func (m *machine) subtractProduct(r, x group, y constant) {
	c := m.shared(y)
	for i := range r {
		VFNMADD231PS(pick(c, i), x[i], r[i])
	}
}

// round returns x rounded to integers, ties to even.
func (m *machine) round(x group) group {
	r := m.group(len(x))
	for i := range r {
		if m.wide() {
			VRNDSCALEPS(U8(8), x[i], r[i])
		} else {
			VROUNDPS(U8(8), x[i], r[i])
		}
	}
	return r
}

// scale returns x·2ⁿ for integers n in [-126, 127]; other n give garbage.
func (m *machine) scale(x, n group) group {
	if m.wide() {
		return m.binary(VSCALEFPS, x, n)
	}
	e := m.group(len(x))
	for i := range e {
		VCVTPS2DQ(n[i], e[i])
	}
	for i := range e {
		VPADDD(Mem(m.word(127)), e[i], e[i])
	}
	for i := range e {
		VPSLLD(U8(23), e[i], e[i])
	}
	return m.times(x, e)
}

// scalar is a register whose first lane counts.
type scalar = reg.VecVirtual

// reduce combines the lanes of each vector pairwise, halves first.
func (m *machine) reduce(g group, combine func(ops ...Op)) []scalar {
	low := make([]reg.Register, len(g))
	for i, v := range g {
		low[i] = v.AsY()
		if m.wide() {
			upper, both := YMM(), YMM()
			VEXTRACTF64X4(U8(1), v, upper)
			combine(upper, low[i], both)
			low[i] = both
		}
	}
	x := make([]scalar, len(g))
	for i := range g {
		upper := XMM()
		x[i] = XMM()
		if m.wide() {
			VEXTRACTF32X4(U8(1), low[i], upper) // knows the upper registers
		} else {
			VEXTRACTF128(U8(1), low[i], upper)
		}
		combine(upper, low[i].(reg.Vec).AsX(), x[i])
	}
	for _, order := range []uint8{0b01001110, 0b10110001} { // the other pair, then the other of the pair
		for i := range x {
			other := XMM()
			VPERMILPS(U8(order), x[i], other)
			combine(other, x[i], x[i])
		}
	}
	return x
}

// spread returns vectors with a scalar in every lane.
func (m *machine) spread(x []scalar) group {
	g := m.group(len(x))
	for i := range g {
		g[i] = m.broadcast(x[i])
	}
	return g
}

// number returns a scalar that holds c.
func (m *machine) number(c constant) scalar {
	x := XMM()
	VMOVSS(Mem(c), x)
	return x
}

// mask selects lanes of the vectors of a group: a mask register, or a vector of
// ones, for each. nil selects all lanes.
type mask []reg.Register

// everywhere returns the mask of n vectors that select the same lanes.
func everywhere(n int, lanes reg.Register) mask {
	k := make(mask, n)
	for i := range k {
		k[i] = lanes
	}
	return k
}

// firstLanes returns the register that selects the first n lanes,
// 0 < n ≤ lanes; n is clobbered.
func (m *machine) firstLanes(n reg.GPVirtual) reg.Register {
	if m.wide() {
		bits, k := GP32(), K()
		MOVL(I32(-1), bits)
		BZHIL(n.As32(), bits, bits)
		KMOVW(bits, k)
		return k
	}
	return m.window(n, 0)
}

// firstOfTwo returns the mask of the first n lanes of two vectors,
// 0 < n ≤ 2·lanes; n is clobbered.
func (m *machine) firstOfTwo(n reg.GPVirtual) mask {
	if m.wide() {
		bits, k0, k1 := GP32(), K(), K()
		MOVL(I32(-1), bits)
		BZHIL(n.As32(), bits, bits)
		KMOVW(bits, k0)
		SHRL(U8(m.lanes), bits)
		KMOVW(bits, k1)
		return mask{k0, k1}
	}
	first := m.window(n, 0)
	NEGQ(n)
	return mask{first, m.window(n, m.lanes)}
}

// window returns eight of sixteen words of ones followed by sixteen of zeros,
// of which n − skip are ones; n is negated.
func (m *machine) window(n reg.GPVirtual, skip int) reg.Register {
	v, table := YMM(), GP64()
	NEGQ(n)
	LEAQ(m.table(), table)
	VMOVUPS(Mem{Base: table, Index: n, Scale: 4, Disp: 4 * (16 + skip)}, v)
	return v
}

// Predicates of VCMPPS that hold for NaN.
const (
	notLess    = 0x15 // NLT_UQ
	notAtLeast = 0x19 // NGE_UQ
	notAtMost  = 0x16 // NLE_UQ
	unordered  = 0x03 // UNORD_Q
)

// compare returns the mask of the lanes where the predicate holds for a and b.
func (m *machine) compare(predicate uint8, a group, b constant) mask {
	c := m.shared(b)
	k := make(mask, len(a))
	for i := range k {
		if m.wide() {
			k[i] = K()
		} else {
			k[i] = YMM()
		}
		VCMPPS(U8(predicate), pick(c, i), a[i], k[i])
	}
	return k
}

// keep returns x with the lanes outside k cleared.
func (m *machine) keep(x group, k mask) group {
	if k == nil {
		return x
	}
	r := m.group(len(x))
	for i := range r {
		if m.wide() {
			VMOVAPS_Z(x[i], k[i], r[i])
		} else {
			VANDPS(k[i], x[i], r[i])
		}
	}
	return r
}

// choose returns a in the lanes of k and b elsewhere.
func (m *machine) choose(k mask, a, b group) group {
	r := m.group(len(a))
	for i := range r {
		if m.wide() {
			VBLENDMPS(a[i], b[i], k[i], r[i])
		} else {
			VBLENDVPS(k[i], a[i], b[i], r[i])
		}
	}
	return r
}

// load returns the vectors at p, with zeros in the lanes outside k, whose
// memory is not touched.
func (m *machine) load(p []Mem, k mask) group {
	g := m.group(len(p))
	for i := range g {
		m.loadTo(g[i], p[i], k, i)
	}
	return g
}

// loadTo loads v from p under the i-th mask of k.
func (m *machine) loadTo(v vector, p Mem, k mask, i int) {
	switch {
	case k == nil:
		VMOVUPS(p, v)
	case m.wide():
		VMOVUPS_Z(p, k[i], v)
	default:
		VMASKMOVPS(p, k[i], v)
	}
}

// store writes the lanes in k of the vectors to p.
func (m *machine) store(g group, p []Mem, k mask) {
	for i, v := range g {
		switch {
		case k == nil:
			VMOVUPS(v, p[i])
		case m.wide():
			VMOVUPS(v, k[i], p[i])
		default:
			VMASKMOVPS(v, k[i], p[i])
		}
	}
}

// constants are the numbers that a file needs: single words, broadcast where
// they are used, for AVX-512, and whole vectors, so that they can be operands,
// for AVX2.
type constants struct {
	names []string
	words map[string]uint32
	ones  bool
	exps  bool
}

// constant is the address of one of the constants.
type constant Mem

// value returns the constant whose lanes are all v.
func (m *machine) value(v float32) constant { return m.word(math.Float32bits(v)) }

// word returns the constant whose lanes all have the bits w.
func (m *machine) word(w uint32) constant {
	name := fmt.Sprintf("c%08x%s", w, m.suffix)
	if m.words == nil {
		m.words = map[string]uint32{}
	}
	if _, ok := m.words[name]; !ok {
		m.words[name] = w
		m.names = append(m.names, name)
	}
	return constant(NewDataAddr(Symbol{Name: name, Static: true}, 0))
}

// table returns sixteen words of ones followed by sixteen of zeros.
func (m *machine) table() Mem {
	m.ones = true
	return NewDataAddr(Symbol{Name: "lanes" + m.suffix, Static: true}, 0)
}

// roots returns a vector of powers of 2: lane i is 2 to the i/lanes.
func (m *machine) roots() Mem {
	m.exps = true
	return NewDataAddr(Symbol{Name: "roots" + m.suffix, Static: true}, 0)
}

func (m *machine) emit() {
	for _, name := range m.names {
		GLOBL(name, attr.RODATA|attr.NOPTR)
		DATA(0, U32(m.words[name]))
		for lane := 1; lane < m.lanes && !m.wide(); lane++ {
			DATA(4*lane, U32(m.words[name]))
		}
	}
	if m.ones {
		GLOBL("lanes"+m.suffix, attr.RODATA|attr.NOPTR)
		for i := range 32 {
			word := uint32(math.MaxUint32)
			if i >= 16 {
				word = 0
			}
			DATA(4*i, U32(word))
		}
	}
	if m.exps {
		GLOBL("roots"+m.suffix, attr.RODATA|attr.NOPTR)
		for i := range m.lanes {
			DATA(4*i, U32(math.Float32bits(float32(math.Exp2(float64(i)/float64(m.lanes))))))
		}
	}
}
