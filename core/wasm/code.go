package wasm

import (
	"math/bits"
	"strconv"
)

// The opcodes that this package writes or tells apart.
const (
	opUnreachable  = 0x00
	opNop          = 0x01
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtS       = 0x48
	opI32GtU       = 0x4b
	opI64LtS       = 0x53
	opI64LtU       = 0x54
	opI64GtU       = 0x56
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opI64Add       = 0x7c
	opI64Sub       = 0x7d
	opI64Shl       = 0x86
	opI32WrapI64   = 0xa7
	opI64ExtendS   = 0xac
	opI64ExtendU   = 0xad
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	opBulk         = 0xfc // and the number of an operation
	opVector       = 0xfd // and the number of an operation
)

// The operations behind opBulk that work on memory and tables.
const (
	bulkMemoryInit = 8
	bulkMemoryCopy = 10
	bulkMemoryFill = 11
	bulkTableInit  = 12
	bulkTableCopy  = 14
	bulkTableGrow  = 15
	bulkTableFill  = 17
)

// vectorConst is the operation behind opVector that is a constant.
const vectorConst = 12

// The types of the binary format.
const (
	typeI32       = 0x7f
	typeI64       = 0x7e
	typeF32       = 0x7d
	typeF64       = 0x7c
	typeV128      = 0x7b
	typeFuncRef   = 0x70
	typeExternRef = 0x6f
	typeFunc      = 0x60
	typeEmpty     = 0x40
)

// immediate says what follows an opcode.
type immediate byte

const (
	unknown   immediate = iota // no instruction of WebAssembly 2.0
	nothing                    // nothing
	blockType                  // the type of a block
	label
	labels // a vector of them, and one more
	function
	indirect // a type and a table
	types    // a vector of value types
	local
	global
	index  // of a table, or of a segment
	index2 // two of them
	memory // the index of the only memory
	memory2
	segment // that of a segment, and the memory
	access  // alignment and offset of a load or a store
	lane
	laneAccess
	const32 // a LEB128 of 32 bits
	const64
	bytes4
	bytes8
	bytes16
	heapType
	bulk
	vector
)

// immediates has what follows each opcode.
var immediates = func() (table [256]immediate) {
	set := func(from, to int, i immediate) {
		for op := from; op <= to; op++ {
			table[op] = i
		}
	}
	set(0x00, 0x01, nothing)
	set(opBlock, opIf, blockType)
	set(opElse, opElse, nothing)
	set(opEnd, opEnd, nothing)
	set(opBr, opBrIf, label)
	set(opBrTable, opBrTable, labels)
	set(opReturn, opReturn, nothing)
	set(opCall, opCall, function)
	set(opCallIndirect, opCallIndirect, indirect)
	set(opDrop, opSelect, nothing)
	set(0x1c, 0x1c, types)
	set(opLocalGet, opLocalTee, local)
	set(opGlobalGet, opGlobalSet, global)
	set(0x25, 0x26, index)
	set(0x28, 0x3e, access)
	set(opMemorySize, opMemoryGrow, memory)
	set(opI32Const, opI32Const, const32)
	set(opI64Const, opI64Const, const64)
	set(opF32Const, opF32Const, bytes4)
	set(opF64Const, opF64Const, bytes8)
	set(0x45, 0xc4, nothing)
	set(opRefNull, opRefNull, heapType)
	set(0xd1, 0xd1, nothing)
	set(opRefFunc, opRefFunc, function)
	set(opBulk, opBulk, bulk)
	set(opVector, opVector, vector)
	return table
}()

// bulks has what follows each operation behind opBulk.
var bulks = []immediate{
	nothing, nothing, nothing, nothing, nothing, nothing, nothing, nothing, // saturating conversions
	bulkMemoryInit: segment, 9: index, bulkMemoryCopy: memory2, bulkMemoryFill: memory,
	bulkTableInit: index2, 13: index, bulkTableCopy: index2, bulkTableGrow: index, 16: index, bulkTableFill: index,
}

// vectors returns what follows an operation behind opVector.
func vectors(operation uint32) immediate {
	switch {
	case operation <= 11, operation == 92, operation == 93:
		return access
	case operation == vectorConst, operation == 13:
		return bytes16
	case operation >= 21 && operation <= 34:
		return lane
	case operation >= 84 && operation <= 91:
		return laneAccess
	case operation > 255:
		return unknown
	}
	return nothing
}

// stretch is a part of a function that control enters at its beginning alone:
// behind the head of the function or of a loop, in an arm of an if, or behind the
// end of a block that is jumped out of. It may leave in the middle. All of its
// instructions are charged where it begins, so that what runs is never more than
// what was charged.
type stretch int32

// edit is a place where rewriting changes a function's code.
type edit struct {
	kind      editKind
	at, until int     // the bytes that are replaced; none where something is put in
	stretch   stretch // of head and part
}

type editKind byte

const (
	head   editKind = iota // charges for the stretch of a function or loop, and yields
	part                   // charges for another stretch
	growth                 // charges for a growth of the memory or of a table
	length                 // charges for an operation of the length on top of the stack
	fill                   // replaces memory.fill
	move                   // replaces memory.copy
	nested                 // a call that counts among those within each other
)

// minPart is the cost from which on a stretch, other than a function's or a
// loop's, is charged by itself. A smaller one is charged with the one in which its
// block begins, since control always comes through there.
const minPart = 8

// code is what the scan of a function finds out.
type code struct {
	costs []int32 // of each stretch; 0 where it is charged elsewhere
	edits []edit  // in their order
	leaf  bool    // it calls no function of the module

	linear, blocks int64 // see effort

	blocksOf []stretch // the stretch in which the block of each stretch begins
	open     []block
	written  []uint64 // the variables that are written to within each open block, as bits
}

// block is one that is open.
type block struct {
	op      byte
	jumped  bool    // out of
	stretch stretch // in which it begins
	carries int     // values of a jump to it
	jumps   int64   // to it
	edges   int64   // jumps to it, each table's once, as effortEdges counts them
	table   int     // behind the byte of the last table that jumps to it
}

// The compiler's time is no matter of size alone. What follows estimates it, in
// microseconds of one core, from above, for every kind of module that was found
// to be slow:
const (
	effortFunction = 5
	effortTrap     = 25  // of an instruction that can trap, which has an exit of its own
	effortCall     = 10  // of a call
	effortValue    = 4   // of a value that a call, a block or a jump carries
	effortBlock    = 2   // of a local variable at the end of a block, or where an if joins
	effortLoop     = 6   // of one at the head of a loop
	effortMove     = 4   // of a local variable that is written to within a block, for each jump to it
	effortDeep     = 16  // blocks around an if or a loop that add one to that
	effortSquare   = 200 // basic blocks whose square takes that long
	effortEdges    = 64  // jumps to one block whose square takes that long; one of a table counts as two
)

// effort returns an estimate of the microseconds that compiling takes.
func (c *code) effort() int64 { return c.linear + c.blocks*c.blocks/effortSquare }

// begin begins a stretch at a byte of the body, in a block that begins in another
// one.
func (c *code) begin(kind editKind, at int, block stretch) stretch {
	s := stretch(len(c.costs))
	if kind == head {
		block = s // it is always charged by itself
	}
	c.costs, c.blocksOf = append(c.costs, 0), append(c.blocksOf, block)
	c.edits = append(c.edits, edit{kind, at, at, s})
	return s
}

// scan reads a function's body. It refuses what is not WebAssembly 2.0, and what
// names a type, a function or a global that the module does not have. It leaves
// the types of values to the compiler. The result is valid until the next scan.
func (v *verifier) scan(body []byte, t functionType) (*code, error) {
	c := &v.code
	*c = code{
		costs: c.costs[:0], edits: c.edits[:0], blocksOf: c.blocksOf[:0], leaf: true,
		open: append(c.open[:0], block{op: opBlock, carries: t.results}), written: c.written[:0],
		linear: effortFunction + effortValue*int64(t.params+t.results), blocks: 3,
	}
	s := &scanner{b: body}
	locals := uint64(0)
	for groups := s.u32(); groups > 0 && !s.failed; groups-- {
		locals += uint64(s.u32())
		s.valueType()
	}
	if locals > maxLocals {
		return nil, refuse("has a function of " + strconv.FormatUint(locals, 10) + " local variables, and " + strconv.Itoa(maxLocals) + " is the most")
	}
	variables := int64(locals) + int64(t.params) + 2 // and where the memory is, and its size
	words := int(variables+63) / 64
	c.written = append(c.written, make([]uint64, words)...)
	current := c.begin(head, s.at, 0)
	for len(c.open) > 0 && !s.failed {
		at := s.at
		op, operation := s.byte(), uint32(0)
		kind := immediates[op]
		switch kind {
		case bulk:
			operation, kind = s.u32(), unknown
			if int64(operation) < int64(len(bulks)) {
				kind = bulks[operation]
			}
		case vector:
			operation = s.u32()
			kind = vectors(operation)
		}
		if !free(op) {
			c.costs[current]++
		}
		c.linear++
		if traps(op, kind) {
			c.linear += effortTrap
		}
		switch kind {
		case nothing:
			switch op {
			case opElse:
				current = c.begin(part, s.at, c.open[len(c.open)-1].stretch)
			case opEnd:
				b := c.open[len(c.open)-1]
				c.open = c.open[:len(c.open)-1]
				c.linear += b.edges * b.edges / effortEdges
				if len(c.open) > 0 {
					c.linear += effortMove * b.jumps * c.leave(words)
				}
				switch {
				case b.op != opBlock:
					current = b.stretch
				case b.jumped && len(c.open) > 0:
					current = c.begin(part, s.at, b.stretch)
				}
			case opReturn:
				c.linear += effortValue * int64(t.results)
				c.open[0].edges++
			}
		case blockType:
			f := v.blockType(s)
			b := block{op: op, stretch: current, carries: f.results}
			c.linear += effortValue * int64(f.params+f.results)
			depth := int64(len(c.open))
			switch op {
			case opLoop:
				b.carries = f.params
				c.linear += variables * (effortLoop + depth/effortDeep)
				c.blocks += 6
				current = c.begin(head, s.at, current)
			case opIf:
				c.linear += variables * (effortBlock + depth/effortDeep)
				c.blocks += 3
				current = c.begin(part, s.at, current)
			default:
				c.linear += variables * effortBlock
				c.blocks++
			}
			c.open = append(c.open, b)
			c.written = append(c.written, make([]uint64, words)...)
		case label, labels:
			n := uint64(1)
			if kind == labels {
				n += uint64(s.u32())
			}
			c.blocks += int64(n/3 + 1)
			for ; n > 0 && !s.failed; n-- {
				if l := s.index(len(c.open)); !s.failed {
					b := &c.open[len(c.open)-1-int(l)]
					b.jumped = true
					b.jumps++
					if kind == label {
						b.edges++
					} else if b.table <= at {
						b.edges, b.table = b.edges+2, at+1
					}
					c.linear += effortValue * int64(b.carries)
				}
			}
		case function:
			if f := s.index(len(v.functions)); op == opCall && !s.failed {
				callee := v.types[v.functions[f]]
				c.linear += effortCall + effortValue*int64(callee.params+callee.results)
				if int(f) >= len(v.layout.imports) {
					c.leaf = false
					if !v.leaves[f] {
						c.edits = append(c.edits, edit{kind: nested, at: at, until: s.at})
					}
				}
			}
		case indirect:
			if f := s.index(len(v.types)); !s.failed {
				c.linear += effortValue * int64(v.types[f].params+v.types[f].results)
			}
			s.u32()
			c.blocks += 2
			c.leaf = false
			c.edits = append(c.edits, edit{kind: nested, at: at, until: s.at})
		case types:
			for n := s.u32(); n > 0 && !s.failed; n-- {
				s.valueType()
			}
		case local:
			if l := int64(s.u32()); l < variables && op != opLocalGet {
				c.written[len(c.written)-words+int(l/64)] |= 1 << (l % 64)
			}
		case index:
			s.u32()
		case global:
			s.index(int(v.globals))
		case index2:
			s.u32()
			s.u32()
		case memory:
			s.zero()
		case memory2:
			s.zero()
			s.zero()
		case segment:
			s.u32()
			s.zero()
		case access:
			s.u32()
			s.u32()
		case laneAccess:
			s.u32()
			s.u32()
			s.byte()
		case lane:
			s.byte()
		case const32:
			s.skip(5)
		case const64:
			s.skip(10)
		case bytes4:
			s.take(4)
		case bytes8:
			s.take(8)
		case bytes16:
			s.take(16)
		case heapType:
			s.refType()
		default:
			if s.failed {
				continue
			}
			return nil, unsupported(op, operation)
		}
		if op == opMemoryGrow || op == opBulk {
			c.bulk(op, operation, at, s.at)
		}
	}
	if s.failed || s.at != len(body) {
		return nil, refuse("has a function that is malformed")
	}
	c.merge()
	return c, nil
}

// leave ends the innermost of the open blocks, each of which has so many words, and
// returns how many variables are written to within it.
func (c *code) leave(words int) (n int64) {
	at := len(c.written) - words
	for i, w := range c.written[at:] {
		n += int64(bits.OnesCount64(w))
		c.written[at-words+i] |= w
	}
	c.written = c.written[:at]
	return n
}

// bulk notes what an operation on memory or tables, of any length, is charged.
func (c *code) bulk(op byte, operation uint32, at, until int) {
	e := edit{at: at, until: at}
	switch {
	case op == opMemoryGrow, operation == bulkTableGrow:
		e.kind = growth
		c.blocks += 3
	case operation == bulkMemoryFill:
		e.kind, e.until = fill, until
		c.linear += effortCall
	case operation == bulkMemoryCopy:
		e.kind, e.until = move, until
		c.linear += effortCall
	case operation == bulkMemoryInit, operation == bulkTableInit, operation == bulkTableCopy, operation == bulkTableFill:
		e.kind = length
		c.blocks += 4
	default:
		return
	}
	c.edits = append(c.edits, e)
}

// merge settles where each stretch is charged.
func (c *code) merge() {
	for i := len(c.costs) - 1; i > 0; i-- {
		if b := c.blocksOf[i]; int(b) != i && c.costs[i] < minPart {
			c.costs[b] += c.costs[i]
			c.costs[i] = 0
		}
	}
}

// free reports whether an instruction is nothing in machine code, and so costs
// nothing.
func free(op byte) bool {
	switch op {
	case opNop, opBlock, opLoop, opElse, opEnd, opDrop:
		return true
	}
	return false
}

// traps reports whether an instruction can.
func traps(op byte, kind immediate) bool {
	switch kind {
	case access, laneAccess, indirect, index, index2, segment:
		return true
	}
	return op >= 0x6d && op <= 0x70 || op >= 0x7f && op <= 0x82 || // division
		op >= 0xa8 && op <= 0xab || op >= 0xae && op <= 0xb1 // truncation
}

// blockType reads the type of a block: empty, a value type, or an index.
func (v *verifier) blockType(s *scanner) functionType {
	if s.at < len(s.b) && s.b[s.at]&0xc0 == 0x40 { // negative, one byte
		if s.b[s.at] == typeEmpty {
			s.byte()
			return functionType{}
		}
		s.valueType()
		return functionType{results: 1}
	}
	if t := s.index(len(v.types)); !s.failed {
		return v.types[t]
	}
	return functionType{}
}

func unsupported(op byte, operation uint32) error {
	text := "0x" + strconv.FormatUint(uint64(op), 16)
	if op == opBulk || op == opVector {
		text += " " + strconv.FormatUint(uint64(operation), 10)
	}
	return refuse("has the instruction " + text + ", which this host does not support")
}
