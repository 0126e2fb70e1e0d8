package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// int8s are the weights of 8 bits that one step over the inner dimension takes:
// of each column a few, which meet as many activations in one word.
type int8s struct {
	name  string // in that of the functions
	group int    // of a column
	// load loads the first one or two vectors of a row of a panel.
	load func(m *machine, row Mem, to group)
	// multiply adds the products of activations a with weights b to sums of 32
	// bits, exactly.
	multiply func(m *machine, sum, a, b vector)
	// narrow stores a vector of numbers between 0 and 2³¹ as activations, none
	// above 255; most holds 255 in each word.
	narrow func(m *machine, v, most vector, to Mem)
}

// fourBytes needs VNNI, whose products of four bytes do not saturate.
var fourBytes = int8s{
	name: "Bytes", group: 4,
	load: func(m *machine, row Mem, to group) {
		for i := range to {
			VMOVDQU32(row.Offset(i*m.bytes()), to[i])
		}
	},
	multiply: func(_ *machine, sum, a, b vector) {
		Instruction(&ir.Instruction{ // which avo has no name for
			Opcode: "VPDPBUSD", Operands: []Op{b, a, sum}, Inputs: []Op{b, a, sum}, Outputs: []Op{sum}, ISA: []string{"AVX512VNNI"},
		})
	},
	narrow: func(_ *machine, v, _ vector, to Mem) { VPMOVUSDB(v, to) },
}

// twoWords widens weights as they are loaded: products of bytes would saturate.
var twoWords = int8s{
	name: "Words", group: 2,
	load: func(m *machine, row Mem, to group) {
		for i := range to {
			VPMOVSXBW(row.Offset(i*m.bytes()/2), to[i])
		}
	},
	multiply: func(m *machine, sum, a, b vector) {
		product := m.vector()
		VPMADDWD(b, a, product)
		VPADDD(product, sum, sum)
	},
	narrow: func(m *machine, v, most vector, to Mem) {
		if m.wide() {
			VPMINSD(most, v, v)
			VPMOVDW(v, to)
			return
		}
		upper := XMM()
		VPMINSD(most, v, v)
		VEXTRACTI128(U8(1), v, upper)
		VPACKUSDW(upper, v.AsX(), upper)
		VMOVDQU(upper, to)
	},
}

// gemm8 writes the microkernel of the product of integers, which has the loops
// of that of float32. A row of x ends with its step and its zero point, and a
// panel with two rows, of the sums of its columns and of their scales: where
// the loops over both arrive.
func (m *machine) gemm8(e int8s) {
	function := "gemm" + e.name + m.suffix
	TEXT(function, NOSPLIT, "func(rows, tiles, k int, x *uint32, ldx int, panel *uint32, dst *float32, ldd, columns int, bias *float32, next *uint32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes tiles · rows rows of dst from the product of x with a panel, as product8", function),
		fmt.Sprintf("does: x is [tiles·rows, k] groups of %d activations, and the panel k steps of %d columns,", e.group, 2*m.lanes),
		"of which the first columns are written. bias, of as many columns, is added last if it is",
		"not nil. Where next is not nil the memory from there on, as much as panel, is brought",
		fmt.Sprintf("closer meanwhile. 1 ≤ rows ≤ %d, 1 ≤ tiles, 1 ≤ k, 1 ≤ columns ≤ %d.", m.tileRows, 2*m.lanes))
	m.shapes(func(rows, vectors int) {
		m.tiles(rows, vectors, byRows, tileProduct{
			bytes: 2 * m.lanes * e.group,
			load:  func(row Mem, to group) { e.load(m, row, to) },
			multiply: func(sums, b group, a Mem) {
				four := m.broadcast(a)
				for i := range b {
					e.multiply(m, sums[i], four, b[i])
				}
			},
			begin: m.beginZero,
			dequantize: func(sums []group, left left, panel reg.Register) {
				at := func(row, half int) Mem { return Mem{Base: panel, Disp: (2*row + half) * m.bytes()} }
				for r := range sums {
					zero, product := m.broadcast(left.at(r, 1)), m.vector()
					for half, sum := range sums[r] {
						VPMULLD(at(0, half), zero, product)
						VPSUBD(product, sum, sum)
						VCVTDQ2PS(sum, sum)
					}
					step := m.broadcast(left.at(r, 0))
					for _, sum := range sums[r] {
						VMULPS(step, sum, sum)
					}
				}
				for half := range sums[0] {
					scale := m.vector()
					VMOVUPS(at(1, half), scale)
					for r := range sums {
						VMULPS(scale, sums[r][half], sums[r][half])
					}
				}
			},
		})
	})
}

// quantize writes the rounding of activations.
func (m *machine) quantize(e int8s) {
	TEXT("quantize"+e.name+m.suffix, NOSPLIT, "func(dst *uint32, stride int, x *float32, ldx, rows, n int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("quantize%s%s rounds rows of n values as quantize does, in groups of %d; 1 ≤ rows, 1 ≤ n.", e.name, m.suffix, e.group),
		"The last group of a row is filled up with what its weights of 0 make nothing of.")
	const together = 4
	dst, stride := Load(Param("dst"), GP64()), Load(Param("stride"), GP64())
	x, ldx := Load(Param("x"), GP64()), Load(Param("ldx"), GP64())
	rows, n := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	SHLQ(U8(2), stride)
	SHLQ(U8(2), ldx)
	none := m.zero()
	most := m.vector()
	if m.wide() {
		VPBROADCASTD(Mem(m.word(255)), most)
	} else {
		VMOVDQU(Mem(m.word(255)), most)
	}
	// loop visits the vectors of a row, together of them at once.
	at, count := GP64(), GP64()
	loop := func(name string, body func(v group)) {
		MOVQ(x, at)
		MOVQ(n, count)
		for _, vectors := range []int{together, 1} {
			from := fmt.Sprintf("%s%d", name, vectors)
			SUBQ(U8(vectors*m.lanes), count)
			JL(LabelRef(from + "End"))
			Label(from)
			memory := make([]Mem, vectors)
			for i := range memory {
				memory[i] = Mem{Base: at, Disp: i * m.bytes()}
			}
			body(m.load(memory, nil))
			ADDQ(I32(vectors*m.bytes()), at)
			SUBQ(U8(vectors*m.lanes), count)
			JGE(LabelRef(from))
			Label(from + "End")
			ADDQ(U8(vectors*m.lanes), count)
		}
		JZ(LabelRef(name + "Done"))
		left := GP64()
		MOVQ(count, left)
		body(m.load([]Mem{{Base: at}}, everywhere(1, m.firstLanes(left))))
		Label(name + "Done")
	}

	Label("row")
	// The extremes, 0 among them, and a sum that is NaN where a value is NaN or
	// infinite.
	least, greatest, bad := m.zeros(2), m.zeros(2), m.zeros(2)
	loop("extremes", func(v group) {
		for i := range v {
			VMINPS(v[i], least[i%2], least[i%2])
			VMAXPS(v[i], greatest[i%2], greatest[i%2])
			VFMADD231PS(v[i], none, bad[i%2])
		}
	})
	VMINPS(least[1], least[0], least[0])
	VMAXPS(greatest[1], greatest[0], greatest[0])
	VADDPS(bad[1], bad[0], bad[0])
	low := m.reduce(group{least[0]}, VMINPS)[0]
	high := m.reduce(group{greatest[0]}, VMAXPS)[0]
	wrong := m.reduce(group{bad[0]}, VADDPS)[0]

	spread, step, inverse := XMM(), XMM(), XMM()
	bits := GP32()
	VSUBSS(low, high, spread)
	VXORPS(step, step, step)
	VXORPS(inverse, inverse, inverse)
	VMOVD(spread, bits)
	CMPL(bits, U32(0x0d800000)) // 2⁻¹⁰⁰
	JCS(LabelRef("negligible"))
	VDIVSS(Mem(m.value(255)), spread, step)
	levels := m.number(m.value(255))
	VDIVSS(spread, levels, inverse)
	VMULSS(none.AsX(), spread, spread) // NaN where the spread is infinite
	VADDSS(spread, step, step)
	Label("negligible")
	VADDSS(wrong, step, step)

	factor, zero := m.broadcast(inverse), m.vector()
	VMULPS(m.broadcast(low), factor, zero)
	VCVTPS2DQ(zero, zero)
	VPSUBD(zero, none, zero)
	to := GP64()
	MOVQ(dst, to)
	loop("round", func(v group) {
		for i := range v {
			VMULPS(factor, v[i], v[i])
		}
		for i := range v {
			VCVTPS2DQ(v[i], v[i])
		}
		for i := range v {
			VPADDD(zero, v[i], v[i])
		}
		for i := range v {
			e.narrow(m, v[i], most, Mem{Base: to, Disp: i * m.bytes() / e.group})
		}
		ADDQ(U8(len(v)*m.bytes()/e.group), to)
	})
	// Behind the last group that has a value stand the step and the zero point.
	MOVQ(n, count)
	ADDQ(U8(e.group-1), count)
	SHRQ(U8(map[int]int{2: 1, 4: 2}[e.group]), count)
	behind := Mem{Base: dst, Index: count, Scale: 4}
	VMOVSS(step, behind)
	VMOVSS(zero.AsX(), behind.Offset(4))
	ADDQ(stride, dst)
	ADDQ(ldx, x)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
