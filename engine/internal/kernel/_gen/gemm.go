package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// unroll is the number of steps over k between two tests of the loop counter.
const unroll = 4

// gemm writes the microkernel of the matrix product. A tile of the result, a
// number of rows of two vectors each, stays in registers over the whole depth
// k: at each step the vectors of the panel meet a broadcast value of each row.
// Where one vector holds the columns that are asked for, so do the tiles.
//
// There is a loop for each shape of tile, and in all of them a value is the
// same chain of fused multiply-adds, which may be broken off and gone on with
// where it lies in memory. So the bits of a row depend neither on the tile that
// it falls into nor on the depth. With transposed the rows of a tile lie beside
// each other in memory, and the steps over k a stride apart: the same chains
// for the product with a transposed matrix.
//
// The panel is of float32, or of 16 bits a number, which are widened as they are
// loaded.
func (m *machine) gemm(transposed bool, e element) {
	function, shape := "gemm"+e.name+m.suffix, "[tiles·rows, k]"
	if transposed {
		function, shape = "gemmTransposed"+m.suffix, "[k, tiles·rows] transposed"
	}
	TEXT(function, NOSPLIT, fmt.Sprintf("func(rows, tiles, k int, x *float32, ldx int, panel *%[1]s, dst *float32, ldd, columns int, add bool, bias *float32, next *%[1]s)", e.goType))
	Pragma("noescape")
	Doc(function+" computes tiles · rows rows of dst = x·panel: x is "+shape+", panel is",
		fmt.Sprintf("[k, %d], and the first columns of dst are written. With add the sums begin with what", 2*m.lanes),
		"dst holds; bias, of as many columns, is added last if it is not nil. Where next is not",
		"nil the memory from there on, as much as panel, is brought closer meanwhile.",
		fmt.Sprintf("1 ≤ rows ≤ %d, 1 ≤ tiles, 1 ≤ k, 1 ≤ columns ≤ %d; ldx and ldd count elements.", m.tileRows, 2*m.lanes))
	load := e.prepare(m)
	left := byRows
	if transposed {
		left = byColumns
	}
	m.shapes(func(rows, vectors int) {
		m.tiles(rows, vectors, left, tileProduct{
			bytes: 2 * m.lanes * e.size,
			load:  load,
			multiply: func(sums, b group, a Mem) {
				value := m.broadcast(a)
				for i := range b {
					VFMADD231PS(b[i], value, sums[i])
				}
			},
			begin: m.begin,
		})
	})
}

// shapes writes the choice among the loops for each number of rows of a tile and
// of vectors in one, and these loops.
func (m *machine) shapes(loop func(rows, vectors int)) {
	columns, rows := Load(Param("columns"), GP64()), Load(Param("rows"), GP64())
	label := func(rows, vectors int) string { return fmt.Sprintf("rows%dx%d", rows, vectors) }
	CMPQ(columns, U8(m.lanes))
	JLE(LabelRef("narrow"))
	for vectors := 2; vectors >= 1; vectors-- {
		for r := m.tileRows; r >= 1; r-- {
			CMPQ(rows, U8(r))
			JE(LabelRef(label(r, vectors)))
		}
		if vectors == 2 {
			Label("narrow")
		}
	}
	for vectors := 1; vectors <= 2; vectors++ {
		for r := 1; r <= m.tileRows; r++ {
			Label(label(r, vectors))
			loop(r, vectors)
		}
	}
}

// tileProduct is what a tile computes.
type tileProduct struct {
	bytes int // of a row of the panel
	// load loads the first one or two vectors of a row of the panel.
	load func(row Mem, to group)
	// multiply adds the products of a, a word, with vectors of the panel.
	multiply func(sums, b group, a Mem)
	// begin returns the sums that a tile begins with.
	begin func(name string, dst, ldd reg.Register, rows, vectors int) []group
	// dequantize turns sums of integers into numbers; nil if they are. left and
	// panel have arrived at what is behind their last steps.
	dequantize func(sums []group, left left, panel reg.Register)
}

// tiles writes the loop over the tiles of the given number of rows, and of one
// or two vectors of columns.
func (m *machine) tiles(rows, vectors int, find func(x, ldx reg.Register, rows int) left, of tileProduct) {
	bytes := of.bytes
	name := func(s string) string { return fmt.Sprintf("%s%dx%d", s, rows, vectors) }
	ldx, ldd := Load(Param("ldx"), GP64()), Load(Param("ldd"), GP64())
	x, dst := Load(Param("x"), GP64()), Load(Param("dst"), GP64())
	count := Load(Param("tiles"), GP64())
	next := Load(Param("next"), GP64())
	SHLQ(U8(2), ldx)
	SHLQ(U8(2), ldd)
	// Each tile fetches its share of the next panel, in bytes every unroll steps,
	// so that memory is read while all of them compute.
	share := GP64()
	XORQ(share, share)
	TESTQ(next, next)
	JZ(LabelRef(name("tile")))
	MOVQ(U32(unroll*bytes), share)
	CMPQ(count, U8(2))
	JL(LabelRef(name("tile")))
	SHRQ(U8(1), share)
	CMPQ(count, U8(4))
	JL(LabelRef(name("tile")))
	SHRQ(U8(1), share)

	Label(name("tile"))
	left := find(x, ldx, rows)
	sums := of.begin(name("begin"), dst, ldd, rows, vectors)
	panel := Load(Param("panel"), GP64())
	step := func(u int) {
		b := m.group(vectors)
		of.load(Mem{Base: panel, Disp: u * bytes}, b)
		for r := range rows {
			of.multiply(sums[r], b, left.at(r, u))
		}
	}
	advance := func(steps int) {
		if steps > 1 {
			const line = 64
			whole := unroll * bytes
			for disp := 0; disp < whole; disp += line {
				switch disp {
				case 0, whole / 4, whole / 2: // where a share may end
					CMPQ(share, I32(disp))
					JLE(LabelRef(name("fetched")))
				}
				PREFETCHT0(Mem{Base: next, Disp: disp})
			}
			Label(name("fetched"))
			ADDQ(share, next)
		}
		left.advance(steps)
		ADDQ(I32(steps*bytes), panel)
	}
	k := Load(Param("k"), GP64())
	SUBQ(U8(unroll), k)
	JL(LabelRef(name("rest")))
	Label(name("loop"))
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	SUBQ(U8(unroll), k)
	JGE(LabelRef(name("loop")))
	Label(name("rest"))
	ADDQ(U8(unroll), k)
	JZ(LabelRef(name("finish")))
	Label(name("single"))
	step(0)
	advance(1)
	DECQ(k)
	JNZ(LabelRef(name("single")))

	Label(name("finish"))
	if of.dequantize != nil {
		of.dequantize(sums, left, panel)
	}
	columns := GP64()
	Load(Param("columns"), columns)
	CMPQ(columns, U8(vectors*m.lanes))
	JNE(LabelRef(name("edge")))
	m.finish(name("full"), sums, dst, ldd, nil)
	JMP(LabelRef(name("next")))
	Label(name("edge"))
	m.finish(name("part"), sums, dst, ldd, m.firstOfTwo(columns))

	Label(name("next"))
	stride := GP64()
	left.next(stride)
	IMUL3Q(U8(rows), ldd, stride)
	ADDQ(stride, dst)
	DECQ(count)
	JNZ(LabelRef(name("tile")))
	VZEROUPPER()
	RET()
}

// element is the type of the numbers of a panel.
type element struct {
	name   string // in that of the function
	goType string
	size   int // in bytes
	// prepare writes what goes before the loops, and returns what writes the
	// load of the first one or two vectors of a row of the panel.
	prepare func(m *machine) func(row Mem, to group)
}

var f32 = element{"", "float32", 4, func(m *machine) func(row Mem, to group) {
	return func(row Mem, to group) {
		for i := range to {
			VMOVUPS(row.Offset(i*m.bytes()), to[i])
		}
	}
}}

// bf16 are the upper halves of float32. A row of the panel is one vector of
// words: the lower halves hold the first vector of columns, the upper ones the
// second.
var bf16 = element{"BF16", "uint16", 2, func(m *machine) func(row Mem, to group) {
	upper := m.shared(m.word(0xffff0000))
	return func(row Mem, to group) {
		VMOVUPS(row, to[0])
		if len(to) == 2 {
			VANDPS(pick(upper, 0), to[0], to[1])
		}
		VPSLLD(U8(16), to[0], to[0])
	}
}}

var f16 = element{"F16", "uint16", 2, func(m *machine) func(row Mem, to group) {
	return func(row Mem, to group) {
		for i := range to {
			VCVTPH2PS(row.Offset(i*m.bytes()/2), to[i])
		}
	}
}}

// left is how the values of the left-hand matrix are found.
type left struct {
	at      func(r, u int) Mem         // of row r of the tile, u steps ahead
	advance func(steps int)            // to later steps
	next    func(scratch reg.Register) // moves x to the next tile
}

// byRows finds values of rows that are ldx apart. Rows are addressed by threes:
// a pointer, the pointer plus one stride, the pointer plus two.
func byRows(x, ldx reg.Register, rows int) left {
	pointers := []reg.Register{GP64()}
	MOVQ(x, pointers[0])
	if rows > 3 {
		triple := GP64()
		LEAQ(Mem{Base: ldx, Index: ldx, Scale: 2}, triple)
		for i := 3; i < rows; i += 3 {
			p := GP64()
			LEAQ(Mem{Base: pointers[len(pointers)-1], Index: triple, Scale: 1}, p)
			pointers = append(pointers, p)
		}
	}
	return left{
		at: func(r, u int) Mem {
			p := Mem{Base: pointers[r/3], Disp: 4 * u}
			if r%3 > 0 {
				p.Index, p.Scale = ldx, uint8(r%3)
			}
			return p
		},
		advance: func(steps int) {
			for _, p := range pointers {
				ADDQ(U8(4*steps), p)
			}
		},
		next: func(scratch reg.Register) {
			IMUL3Q(U8(rows), ldx, scratch)
			ADDQ(scratch, x)
		},
	}
}

// byColumns finds values of steps that are ldx apart, at most four of them.
func byColumns(x, ldx reg.Register, rows int) left {
	p, triple := GP64(), GP64()
	MOVQ(x, p)
	LEAQ(Mem{Base: ldx, Index: ldx, Scale: 2}, triple)
	return left{
		at: func(r, u int) Mem {
			m := Mem{Base: p, Disp: 4 * r}
			switch u {
			case 1, 2:
				m.Index, m.Scale = ldx, uint8(u)
			case 3:
				m.Index, m.Scale = triple, 1
			}
			return m
		},
		advance: func(steps int) { LEAQ(Mem{Base: p, Index: ldx, Scale: uint8(steps)}, p) },
		next:    func(reg.Register) { ADDQ(U8(4*rows), x) },
	}
}

// beginZero returns sums of zeros, and brings closer where they will be stored.
func (m *machine) beginZero(_ string, dst, ldd reg.Register, rows, vectors int) []group {
	sums := make([]group, rows)
	for r := range sums {
		sums[r] = m.group(vectors)
	}
	m.zeroTile(sums, dst, ldd)
	return sums
}

// zeroTile clears the sums of a tile.
func (m *machine) zeroTile(sums []group, dst, ldd reg.Register) {
	m.eachRow(dst, ldd, len(sums), len(sums[0]), func(r int, at []Mem) {
		for half, p := range at {
			PREFETCHT0(p)
			m.clear(sums[r][half])
		}
	})
}

// begin returns the sums of a tile: zeros, or what dst holds.
func (m *machine) begin(name string, dst, ldd reg.Register, rows, vectors int) []group {
	sums := make([]group, rows)
	for r := range sums {
		sums[r] = m.group(vectors)
	}
	add, columns := Load(Param("add"), GP8()), GP64()
	TESTB(add, add)
	JNZ(LabelRef(name + "Add"))
	m.zeroTile(sums, dst, ldd)
	JMP(LabelRef(name + "Done"))
	Label(name + "Add")
	load := func(k mask) {
		m.eachRow(dst, ldd, rows, vectors, func(r int, at []Mem) {
			for half, p := range at {
				m.loadTo(sums[r][half], p, k, half)
			}
		})
	}
	Load(Param("columns"), columns)
	CMPQ(columns, U8(vectors*m.lanes))
	JNE(LabelRef(name + "Edge"))
	load(nil)
	JMP(LabelRef(name + "Next"))
	Label(name + "Edge")
	load(m.firstOfTwo(columns))
	Label(name + "Next") // what the next tile begins with is brought closer
	row := GP64()
	IMUL3Q(U8(rows), ldd, row)
	ADDQ(dst, row)
	m.eachRow(row, ldd, rows, vectors, func(_ int, at []Mem) {
		for _, p := range at {
			PREFETCHT0(p)
		}
	})
	Label(name + "Done")
	return sums
}

// finish adds the bias to the sums of a tile if there is one, and stores them.
func (m *machine) finish(name string, sums []group, dst, ldd reg.Register, k mask) {
	bias := Load(Param("bias"), GP64())
	TESTQ(bias, bias)
	JZ(LabelRef(name + "Store"))
	for half := range sums[0] {
		b := m.vector()
		m.loadTo(b, Mem{Base: bias, Disp: half * m.bytes()}, k, half)
		for r := range sums {
			VADDPS(b, sums[r][half], sums[r][half])
		}
	}
	Label(name + "Store")
	m.eachRow(dst, ldd, len(sums), len(sums[0]), func(r int, at []Mem) { m.store(sums[r], at, k) })
}

// eachRow visits the one or two vectors of each row of a tile of dst.
func (m *machine) eachRow(dst, ldd reg.Register, rows, vectors int, visit func(r int, at []Mem)) {
	row := GP64()
	MOVQ(dst, row)
	for r := range rows {
		visit(r, []Mem{{Base: row}, {Base: row, Disp: m.bytes()}}[:vectors])
		if r+1 < rows {
			ADDQ(ldd, row)
		}
	}
}
