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

func (m *machine) zero() vector {
	v := m.vector()
	m.clear(v)
	return v
}

func (m *machine) clear(v vector) {
	if m.wide() {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

// lanesMask selects the first lanes of a vector; nil selects all of them.
type lanesMask struct{ r reg.Register }

// firstLanes returns the mask of the first n lanes, 0 < n ≤ lanes; n is
// clobbered.
func (m *machine) firstLanes(n reg.GPVirtual) *lanesMask { return m.firstOfTwo(n)[0] }

// firstOfTwo returns the masks of the first n lanes of two vectors,
// 0 < n ≤ 2·lanes; n is clobbered.
func (m *machine) firstOfTwo(n reg.GPVirtual) [2]*lanesMask {
	if m.wide() {
		bits, k0, k1 := GP64(), K(), K()
		MOVQ(I32(-1), bits)
		BZHIQ(n, bits, bits)
		KMOVW(bits.As32(), k0)
		SHRQ(U8(m.lanes), bits)
		KMOVW(bits.As32(), k1)
		return [2]*lanesMask{{k0}, {k1}}
	}
	// Two windows on sixteen words of ones followed by sixteen of zeros.
	v0, v1, table := YMM(), YMM(), GP64()
	NEGQ(n)
	LEAQ(m.table(), table)
	VMOVUPS(Mem{Base: table, Index: n, Scale: 4, Disp: 64}, v0)
	VMOVUPS(Mem{Base: table, Index: n, Scale: 4, Disp: 96}, v1)
	return [2]*lanesMask{{v0}, {v1}}
}

// load returns the vector at p, with zeros in the lanes outside mask, whose
// memory is not touched.
func (m *machine) load(p Op, mask *lanesMask) vector {
	v := m.vector()
	switch {
	case mask == nil:
		VMOVUPS(p, v)
	case m.wide():
		VMOVUPS_Z(p, mask.r, v)
	default:
		VMASKMOVPS(p, mask.r, v)
	}
	return v
}

// store writes the lanes of v in mask to p.
func (m *machine) store(v vector, p Op, mask *lanesMask) {
	switch {
	case mask == nil:
		VMOVUPS(v, p)
	case m.wide():
		VMOVUPS(v, mask.r, p)
	default:
		VMASKMOVPS(v, mask.r, p)
	}
}

// keep clears the lanes of v outside mask.
func (m *machine) keep(v vector, mask *lanesMask) {
	switch {
	case mask == nil:
	case m.wide():
		VMOVAPS_Z(v, mask.r, v)
	default:
		VANDPS(mask.r, v, v)
	}
}

// fill sets the lanes of v outside mask, which are zero, to those of c.
func (m *machine) fill(v vector, mask *lanesMask, c Op) {
	switch {
	case mask == nil:
	case m.wide():
		w := m.vector()
		VMOVUPS(c, w)
		VMOVAPS(v, mask.r, w)
		VMOVAPS(w, v)
	default:
		w := m.vector()
		VMOVUPS(c, w)
		VBLENDVPS(mask.r, v, w, v)
	}
}

// Predicates of VCMPPS that hold for NaN.
const (
	notLess    = 0x15 // NLT_UQ
	notAtLeast = 0x19 // NGE_UQ
)

// compare returns the mask of the lanes where the predicate holds for a and b.
func (m *machine) compare(predicate uint8, a vector, b Op) *lanesMask {
	if m.wide() {
		k := K()
		VCMPPS(U8(predicate), b, a, k)
		return &lanesMask{k}
	}
	v := m.vector()
	VCMPPS(U8(predicate), b, a, v)
	return &lanesMask{v}
}

// pick returns a in the lanes of mask and b elsewhere.
func (m *machine) pick(mask *lanesMask, a, b vector) vector {
	v := m.vector()
	if m.wide() {
		VBLENDMPS(a, b, mask.r, v)
	} else {
		VBLENDVPS(mask.r, a, b, v)
	}
	return v
}

// round returns v rounded to integers, ties to even.
func (m *machine) round(v vector) vector {
	r := m.vector()
	if m.wide() {
		VRNDSCALEPS(U8(8), v, r)
	} else {
		VROUNDPS(U8(8), v, r)
	}
	return r
}

// scale multiplies v by 2ⁿ for integers n in [-126, 127]; other n give garbage.
func (m *machine) scale(v, n vector) {
	if m.wide() {
		VSCALEFPS(n, v, v)
		return
	}
	e := m.vector()
	VCVTPS2DQ(n, e)
	VPADDD(m.word(127), e, e)
	VPSLLD(U8(23), e, e)
	VMULPS(e, v, v)
}

// reduce combines the lanes of v pairwise, halves first, and returns the
// result in every lane.
func (m *machine) reduce(v vector, combine func(ops ...Op)) vector {
	if m.wide() {
		upper, both := YMM(), YMM()
		VEXTRACTF64X4(U8(1), v, upper)
		combine(upper, v.AsY(), both)
		v = both
	}
	x, upper := XMM(), XMM()
	VEXTRACTF128(U8(1), v.AsY(), upper)
	combine(upper, v.AsX(), x)
	VPERMILPS(U8(0b01001110), x, upper) // the other pair
	combine(upper, x, x)
	VPERMILPS(U8(0b10110001), x, upper) // the other of the pair
	combine(upper, x, x)
	all := m.vector()
	VBROADCASTSS(x, all)
	return all
}

// constants are the vectors of equal lanes that a file needs, kept in memory
// whole, so that they can be operands.
type constants struct {
	names []string
	words map[string]uint32
	ones  bool
}

// value returns the operand whose lanes are all v.
func (m *machine) value(v float32) Mem { return m.word(math.Float32bits(v)) }

// word returns the operand whose lanes all have the bits w.
func (m *machine) word(w uint32) Mem {
	name := fmt.Sprintf("c%08x%s", w, m.suffix)
	if m.words == nil {
		m.words = map[string]uint32{}
	}
	if _, ok := m.words[name]; !ok {
		m.words[name] = w
		m.names = append(m.names, name)
	}
	return NewDataAddr(Symbol{Name: name, Static: true}, 0)
}

// table returns sixteen words of ones followed by sixteen of zeros.
func (m *machine) table() Mem {
	m.ones = true
	return NewDataAddr(Symbol{Name: "lanes" + m.suffix, Static: true}, 0)
}

func (m *machine) emit() {
	for _, name := range m.names {
		GLOBL(name, attr.RODATA|attr.NOPTR)
		for lane := range m.lanes {
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
}
