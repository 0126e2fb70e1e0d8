package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// stack writes the packing of rows into a panel.
func (m *machine) stack() {
	TEXT("stack"+m.suffix, NOSPLIT, "func(dst, src *float32, ld, rows, width int, scale float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("stack%s multiplies src, [rows, width] with row stride ld, by scale and writes it to dst,", m.suffix),
		fmt.Sprintf("[rows, %d] contiguous, with zeros past width; 1 ≤ rows, 1 ≤ width ≤ %d.", 2*m.lanes, 2*m.lanes))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	ld, rows := Load(Param("ld"), GP64()), Load(Param("rows"), GP64())
	width := GP64()
	Load(Param("width"), width)
	SHLQ(U8(2), ld)
	scale := m.broadcast(NewParamAddr("scale", 40))
	loop := func(name string, k mask) {
		Label(name)
		at := func(p reg.Register) []Mem { return []Mem{{Base: p}, {Base: p, Disp: m.bytes()}} }
		m.store(m.times(m.load(at(src), k), scale), at(dst), nil)
		ADDQ(ld, src)
		ADDQ(I32(2*m.bytes()), dst)
		DECQ(rows)
		JNZ(LabelRef(name))
		VZEROUPPER()
		RET()
	}
	CMPQ(width, U8(2*m.lanes))
	JNE(LabelRef("part"))
	loop("full", nil)
	Label("part")
	loop("rows", m.firstOfTwo(width))
}

// transpose writes the packing of keys into a panel: a vector of rows at a
// time, four columns at a time. Each vector is loaded with four values of
// every fourth row, so that what is left is a transposition of four by four
// within each quarter.
func (m *machine) transpose() {
	TEXT("transpose"+m.suffix, NOSPLIT, "func(dst, src *float32, ld, fours int, scale float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("transpose%s multiplies the %d rows of src, [%d, 4·fours] with row stride ld, by scale", m.suffix, m.lanes, m.lanes),
		fmt.Sprintf("and writes them as columns of dst, [4·fours, %d] of a panel %d wide.", m.lanes, 2*m.lanes))
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	ld, fours := Load(Param("ld"), GP64()), Load(Param("fours"), GP64())
	SHLQ(U8(2), ld)
	scale := m.broadcast(NewParamAddr("scale", 32))
	quarters := m.lanes / 4
	triple := GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, triple)
	pointers := make([]reg.Register, quarters) // of the rows 0, 4, 8, 12
	for q := range pointers {
		pointers[q] = GP64()
		if q == 0 {
			MOVQ(src, pointers[q])
		} else {
			LEAQ(Mem{Base: pointers[q-1], Index: ld, Scale: 4}, pointers[q])
		}
	}
	var quarterMask []reg.Register
	if m.wide() {
		bits := GP32()
		for q := 1; q < quarters; q++ {
			k := K()
			MOVL(U32(0xf<<(4*q)), bits)
			KMOVW(bits, k)
			quarterMask = append(quarterMask, k)
		}
	}

	Label("loop")
	var rows [4]vector // rows[i] holds the rows i, 4+i, 8+i, 12+i
	for i := range rows {
		at := func(q int) Mem {
			switch i {
			case 0:
				return Mem{Base: pointers[q]}
			case 3:
				return Mem{Base: pointers[q], Index: triple, Scale: 1}
			default:
				return Mem{Base: pointers[q], Index: ld, Scale: uint8(i)}
			}
		}
		rows[i] = m.vector()
		if m.wide() {
			VMOVUPS(at(0), rows[i].AsX())
			for q := 1; q < quarters; q++ {
				VBROADCASTF32X4(at(q), quarterMask[q-1], rows[i])
			}
		} else {
			VMOVUPS(at(0), rows[i].AsX())
			VINSERTF128(U8(1), at(1), rows[i], rows[i])
		}
		VMULPS(scale, rows[i], rows[i])
	}
	low01, high01, low23, high23 := m.vector(), m.vector(), m.vector(), m.vector()
	VUNPCKLPS(rows[1], rows[0], low01)
	VUNPCKHPS(rows[1], rows[0], high01)
	VUNPCKLPS(rows[3], rows[2], low23)
	VUNPCKHPS(rows[3], rows[2], high23)
	for c, pair := range [4]struct {
		unpack func(ops ...Op)
		a, b   vector
	}{{VUNPCKLPD, low01, low23}, {VUNPCKHPD, low01, low23}, {VUNPCKLPD, high01, high23}, {VUNPCKHPD, high01, high23}} {
		column := m.vector()
		pair.unpack(pair.b, pair.a, column)
		VMOVUPS(column, Mem{Base: dst, Disp: c * 2 * m.bytes()})
	}
	for _, p := range pointers {
		ADDQ(U8(16), p)
	}
	ADDQ(I32(4*2*m.bytes()), dst)
	DECQ(fours)
	JNZ(LabelRef("loop"))
	VZEROUPPER()
	RET()
}
