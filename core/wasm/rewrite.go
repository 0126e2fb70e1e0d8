package wasm

import "strconv"

// A module runs as machine code that neither Go's scheduler nor its garbage
// collector can interrupt, so that every module is rewritten to yield. An i32
// global, the slice, counts down at the head of every function and loop and
// before every bulk operation. Where it is used up the module calls a function
// that is added to it:
//
//	(func $yield
//	  (drop (memory.grow (i32.const 0)))      ;; a call into Go that changes nothing
//	  (if (global.get $stop) (then unreachable))
//	  (global.set $slice (i32.const 16384)))
//
// The host sets the global $stop when the explanation has to end. Types,
// globals and functions are added behind the module's own, so that none of its
// indices changes; the module's code is checked to name none of the new ones.
const (
	slice     = 1 << 14 // heads of functions and loops between two yields
	bulkCost  = 1 << 11 // of an operation on memory or tables of any length
	exportTag = "xai:"  // how the names of added exports begin

	exportStop  = exportTag + "stop"
	exportStart = exportTag + "start" // the start function, which the host calls
)

// The opcodes that rewriting looks at.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opEnd          = 0x0b
	opBrTable      = 0x0e
	opCall         = 0x10
	opCallIndirect = 0x11
	opDrop         = 0x1a
	opSelectTyped  = 0x1c
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI32LtS       = 0x48
	opI32Sub       = 0x6b
	opRefFunc      = 0xd2
	opBulk         = 0xfc
	opVector       = 0xfd

	typeFunc  = 0x60
	typeI32   = 0x7f
	typeEmpty = 0x40
)

// rewrite returns the module with yields, with tables of at most maxTable
// elements, and with its start function as an export.
func (v *verifier) rewrite(binary []byte) ([]byte, error) {
	w := &rewriter{
		verifier: v,
		slice:    appendU32(nil, v.globals),
		stop:     appendU32(nil, v.globals+1),
		yield:    appendU32(nil, uint32(len(v.functions))),
	}
	w.head, w.bulk = w.check(1), w.check(bulkCost)
	out := make([]byte, 0, len(binary)+len(binary)/8)
	out = append(out, binary[:8]...)
	for s := (&scanner{b: binary, at: 8}); s.at < len(binary); {
		id := s.byte()
		content := s.take(s.u32())
		switch id {
		case sectionType:
			content = extend(content, 1, typeFunc, 0, 0)
		case sectionFunction:
			content = extend(content, 1, appendU32(nil, uint32(len(v.types)))...)
		case sectionTable:
			content = appendU32(nil, uint32(len(v.tables)))
			for _, t := range v.tables {
				content = appendU32(appendU32(append(content, t.element, 1), t.min), t.max)
			}
		case sectionGlobal:
			content = w.addGlobals(content)
		case sectionExport:
			if !v.sections[sectionGlobal] {
				out = appendSection(out, sectionGlobal, w.addGlobals([]byte{0}))
			}
			content = w.addExports(content)
		case sectionStart:
			continue
		case sectionCode:
			var err error
			if content, err = w.code(content); err != nil {
				return nil, err
			}
		}
		out = appendSection(out, id, content)
	}
	return out, nil
}

// rewriter holds the indices of what is added, and the checks that use them.
type rewriter struct {
	*verifier
	slice, stop []byte // globals
	yield       []byte // the function
	head, bulk  []byte
}

// check returns the code that uses cost of the slice, and yields where nothing
// is left.
func (w *rewriter) check(cost int32) []byte {
	code := append([]byte{opGlobalGet}, w.slice...)
	code = appendI32(append(code, opI32Const), cost)
	code = append(code, opI32Sub, opGlobalSet)
	code = append(code, w.slice...)
	code = append(code, opGlobalGet)
	code = append(code, w.slice...)
	code = append(code, opI32Const, 0, opI32LtS, opIf, typeEmpty, opCall)
	code = append(code, w.yield...)
	return append(code, opEnd)
}

// yieldBody returns the body of $yield.
func (w *rewriter) yieldBody() []byte {
	code := []byte{0, opI32Const, 0, opMemoryGrow, 0, opDrop, opGlobalGet} // no locals
	code = append(code, w.stop...)
	code = append(code, opIf, typeEmpty, opUnreachable, opEnd)
	code = appendI32(append(code, opI32Const), slice)
	code = append(code, opGlobalSet)
	code = append(code, w.slice...)
	return append(code, opEnd)
}

func (w *rewriter) addGlobals(content []byte) []byte {
	global := []byte{typeI32, 1, opI32Const, 0, opEnd} // (mut i32) 0
	return extend(content, 2, append(global, global...)...)
}

func (w *rewriter) addExports(content []byte) []byte {
	export := func(name string, kind byte, index []byte) []byte {
		return append(append(append(appendU32(nil, uint32(len(name))), name...), kind), index...)
	}
	content = extend(content, 1, export(exportStop, kindGlobal, w.stop)...)
	if w.start != nil {
		content = extend(content, 1, export(exportStart, kindFunction, appendU32(nil, *w.start))...)
	}
	return content
}

// code rewrites the code section.
func (w *rewriter) code(content []byte) ([]byte, error) {
	s := &scanner{b: content}
	n := s.u32()
	out := appendU32(make([]byte, 0, len(content)+len(content)/8), n+1)
	var body []byte
	for ; n > 0; n-- {
		var err error
		if body, err = w.function(body[:0], s.take(s.u32())); err != nil {
			return nil, err
		}
		if len(body) > maxBody {
			return nil, tooLong(len(body))
		}
		out = append(appendU32(out, uint32(len(body))), body...)
	}
	body = w.yieldBody()
	return append(appendU32(out, uint32(len(body))), body...), nil
}

// function appends a function's body with its checks to out.
func (w *rewriter) function(out, body []byte) ([]byte, error) {
	s := &scanner{b: body}
	for groups := s.u32(); groups > 0 && !s.failed; groups-- {
		s.u32()
		s.byte()
	}
	out = append(append(out, body[:s.at]...), w.head...)
	copied := s.at
	for s.at < len(body) && !s.failed {
		at := s.at
		switch op := s.byte(); {
		case op == opLoop:
			w.blockType(s)
			out = append(append(out, body[copied:s.at]...), w.head...)
			copied = s.at
		case op == opMemoryGrow:
			s.byte()
			out = append(append(out, body[copied:at]...), w.bulk...)
			copied = at
		case op == opBulk:
			sub := s.u32()
			switch {
			case sub <= 7: // saturating conversions
				continue
			case sub == 9, sub == 11, sub == 13, sub == 15, sub == 16, sub == 17:
				s.u32()
			case sub <= 14: // those of two memories, tables or segments
				s.u32()
				s.u32()
			default:
				return nil, unknown(op, sub)
			}
			out = append(append(out, body[copied:at]...), w.bulk...)
			copied = at
		case op == opBlock, op == opIf:
			w.blockType(s)
		case op == opGlobalGet, op == opGlobalSet:
			s.index(w.globals)
		case op == opCall, op == opRefFunc:
			s.index(uint32(len(w.functions)))
		case op == opCallIndirect:
			s.index(uint32(len(w.types)))
			s.u32()
		case op == opBrTable:
			for n := uint64(s.u32()) + 1; n > 0 && !s.failed; n-- {
				s.u32()
			}
		case op == opSelectTyped:
			s.take(s.u32())
		case op == 0x0c, op == 0x0d, op >= 0x20 && op <= 0x22, op == 0x25, op == 0x26: // br, br_if, locals, tables
			s.u32()
		case op >= 0x28 && op <= 0x3e: // loads and stores
			s.u32()
			s.u32()
		case op == 0x3f, op == 0xd0: // memory.size, ref.null
			s.byte()
		case op == opI32Const:
			s.skip(5)
		case op == 0x42: // i64.const
			s.skip(10)
		case op == 0x43: // f32.const
			s.take(4)
		case op == 0x44: // f64.const
			s.take(8)
		case op == opVector:
			switch sub := s.u32(); {
			case sub <= 11, sub == 92, sub == 93: // loads and stores
				s.u32()
				s.u32()
			case sub == 12, sub == 13: // v128.const, i8x16.shuffle
				s.take(16)
			case sub >= 21 && sub <= 34: // lanes
				s.byte()
			case sub >= 84 && sub <= 91: // loads and stores of lanes
				s.u32()
				s.u32()
				s.byte()
			case sub > 255:
				return nil, unknown(op, sub)
			}
		case op == 0x00, op == 0x01, op == 0x05, op == opEnd, op == 0x0f, // unreachable, nop, else, return
			op == opDrop, op == 0x1b, op >= 0x45 && op <= 0xc4, op == 0xd1: // select, numbers, ref.is_null
		default:
			return nil, unknown(op, 0)
		}
	}
	if s.failed {
		return nil, refuse("has a function that is malformed")
	}
	return append(out, body[copied:]...), nil
}

// blockType reads the type of a block: empty, a value type, or an index.
func (w *rewriter) blockType(s *scanner) {
	if s.at < len(s.b) && s.b[s.at]&0xc0 == 0x40 { // negative, one byte
		s.byte()
		return
	}
	s.index(uint32(len(w.types)))
}

func unknown(op byte, sub uint32) error {
	text := "0x" + strconv.FormatUint(uint64(op), 16)
	if op == opBulk || op == opVector {
		text += " " + strconv.FormatUint(uint64(sub), 10)
	}
	return refuse("has the instruction " + text + ", which this host does not support")
}

func tooLong(n int) error {
	return refuse("has a function of " + strconv.Itoa(n) + " bytes, and " + strconv.Itoa(maxBody) + " is the most")
}

// extend returns a vector with n more elements at its end.
func extend(vector []byte, n uint32, elements ...byte) []byte {
	s := &scanner{b: vector}
	out := appendU32(make([]byte, 0, len(vector)+len(elements)+5), s.u32()+n)
	return append(append(out, vector[s.at:]...), elements...)
}

func appendSection(out []byte, id byte, content []byte) []byte {
	return append(appendU32(append(out, id), uint32(len(content))), content...)
}

// appendI32 appends v as a signed LEB128.
func appendI32(b []byte, v int32) []byte {
	for v >= 0x40 || v < -0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

// index reads an index below n.
func (s *scanner) index(n uint32) {
	if s.u32() >= n {
		s.failed = true
	}
}

// skip reads a LEB128 of at most n bytes.
func (s *scanner) skip(n int) {
	for ; n > 0; n-- {
		if s.byte() < 0x80 {
			return
		}
	}
	s.failed = true
}
