package wasm

// A module runs as machine code that neither Go's scheduler nor its garbage
// collector can interrupt, and that nothing counts. So every module is rewritten
// before it is compiled: it pays for what it runs, and yields to the host.
//
// It pays with fuel: one for an instruction, and more for operations on memory and
// tables, by their length. So a run takes the same fuel on every machine. Where
// scan says, code counts down the slice, an i32 global that holds a little of the
// fuel. At the heads of functions and loops, and before operations of any length,
// it looks whether the slice is below zero, and if so calls a function that is
// added to the module:
//
//	(func $yield
//	  (drop (memory.grow (i32.const 0)))          ;; a call into Go that changes nothing
//	  (if (global.get $stop) (then unreachable))  ;; the run has to end
//	  (if (i32.gt_u (global.get $depth) (i32.const maxDepth)) (then unreachable))
//	  (global.set $fuel (i64.add (global.get $fuel) (i64.extend_i32_s (global.get $slice))))
//	  (global.set $slice (i32.const 0))
//	  (if (i64.lt_s (global.get $fuel) (i64.const 0)) (then unreachable))
//	  (global.set $slice …)                       ;; the fuel, and sliceSize at most
//	  (global.set $fuel (i64.sub (global.get $fuel) (i64.extend_i32_s (global.get $slice)))))
//
// What is left is always the sum of the two globals, whatever the size of slices.
// The global $depth counts calls within each other, but for those of functions
// that call none. memory.fill and memory.copy become calls of functions that do
// the same piece by piece, so that no length keeps the module from yielding.
//
// Types, globals and functions are added behind the module's own, so that none
// of its indices changes; its code is checked to name none of the new ones. A
// start function is called by an export instead, so that the host can fill the
// tank before it runs.
const (
	sliceSize  = 1 << 16
	bulkCost   = 32      // of an operation of any length
	bulkShift  = 3       // and 1 for so many bytes or elements, as a power of two
	growthCost = 1 << 8  // of a growth, granted or not
	piece      = 1 << 20 // bytes of a fill or a copy between two yields
	maxDepth   = 1 << 16 // calls within each other, at a yield
	bottomless = 1 << 62 // the fuel of a module whose host sets none
	exportTag  = "xai:"  // how the names of added exports begin

	exportStop  = exportTag + "stop"
	exportFuel  = exportTag + "fuel"
	exportSlice = exportTag + "slice"
	exportDepth = exportTag + "depth"
	exportStart = exportTag + "start"
)

// rewriteVersion changes with whatever rewriting does differently: it is part of
// what the cache finds a module by.
const rewriteVersion = "2"

// rewriter holds what is added: the indices, as the binary format has them, and
// the code.
type rewriter struct {
	*verifier
	slice, fuel, stop, depth  []byte // globals
	yield, length, fill, move []byte // functions
	check                     []byte // the code that yields where the slice is used up
	growth                    []byte // the code that charges growthCost
	enter, leave              []byte // that around a nested call
	added                     []addedFunction
}

type addedFunction struct {
	kind int // an index of addedTypes
	body []byte
}

// addedTypes are the types of added functions.
var addedTypes = [][]byte{
	{typeFunc, 0, 0},
	{typeFunc, 1, typeI32, 1, typeI32},
	{typeFunc, 2, typeI32, typeI32, 0},
	{typeFunc, 3, typeI32, typeI32, typeI32, 0},
}

// rewrite returns the module as it is compiled: with what the comment above
// describes, with tables of at most maxTable elements, and without custom
// sections.
func (v *verifier) rewrite(binary []byte) ([]byte, error) {
	if err := v.scanCode(); err != nil {
		return nil, err
	}
	w := &rewriter{verifier: v}
	w.add()
	out := make([]byte, 0, len(binary)+len(binary)/4+1<<10)
	out = append(out, binary[:8]...)
	for s := (&scanner{b: binary, at: 8}); s.at < len(binary); {
		id := s.byte()
		content := s.take(s.u32())
		switch id {
		case sectionCustom, sectionStart:
			continue
		case sectionType:
			content = extend(content, len(addedTypes), addedTypes...)
		case sectionFunction:
			content = extend(content, len(w.added))
			for _, f := range w.added {
				content = appendU32(content, uint32(len(v.types)+f.kind))
			}
		case sectionTable:
			content = appendU32(nil, uint32(len(v.layout.tables)))
			for _, t := range v.layout.tables {
				content = appendU32(appendU32(append(content, t.element, 1), t.min), t.max)
			}
		case sectionGlobal:
			content = w.addGlobals(content)
		case sectionExport:
			if !v.present[sectionGlobal] {
				out = appendSection(out, sectionGlobal, w.addGlobals([]byte{0}))
			}
			content = w.addExports(content)
		case sectionCode:
			var err error
			if content, err = w.code(); err != nil {
				return nil, err
			}
		}
		out = appendSection(out, id, content)
	}
	return out, nil
}

// add settles the indices of what is added, and writes the functions.
func (w *rewriter) add() {
	of := func(n int) []byte { return appendU32(nil, uint32(n)) }
	g, f := int(w.globals), len(w.functions)
	w.slice, w.fuel, w.stop, w.depth = of(g), of(g+1), of(g+2), of(g+3)
	w.yield, w.length, w.fill, w.move = of(f), of(f+1), of(f+2), of(f+3)
	inside := of(f + 4)
	w.check = ops(opGlobalGet, w.slice, i32(0), opI32LtS, opIf, typeEmpty, opCall, w.yield, opEnd)
	w.growth = w.charged(i32(growthCost))
	w.enter = ops(opGlobalGet, w.depth, i32(1), opI32Add, opGlobalSet, w.depth)
	w.leave = ops(opGlobalGet, w.depth, i32(1), opI32Sub, opGlobalSet, w.depth)

	// $length(n) → n pays for an operation of that length.
	byLength := func(local byte) []byte {
		return w.charged(ops(opLocalGet, local, i32(bulkShift), opI32ShrU, i32(bulkCost), opI32Add))
	}
	length := ops(byLength(0), opLocalGet, 0)

	// $inside(p, n) traps where n bytes at p are not in memory, as fills do.
	insideBody := ops(
		opLocalGet, 0, opI64ExtendU, opLocalGet, 1, opI64ExtendU, opI64Add,
		opMemorySize, 0, opI64ExtendU, opI64Const, 16, opI64Shl, opI64GtU,
		opIf, typeEmpty, i32(-1), i32(0), i32(-1), opBulk, bulkMemoryFill, 0, opEnd)

	// The loops of $fill(d, v, n) and $move(d, s, n) leave the last piece to what
	// follows.
	more := ops(i32(piece), opI32GtU)
	addPiece := func(local byte) []byte {
		return ops(opLocalGet, local, i32(piece), opI32Add, opLocalSet, local)
	}
	less := ops(opLocalGet, 2, i32(piece), opI32Sub)
	whole := func(p byte) []byte { return ops(opLocalGet, p, opLocalGet, 2, opCall, inside) }
	paid := ops(i32(piece), opCall, w.length)
	doFill := ops(opBulk, bulkMemoryFill, 0)
	fill := ops(
		opLocalGet, 2, more, opIf, typeEmpty,
		whole(0),
		opLoop, typeEmpty,
		opLocalGet, 0, opLocalGet, 1, paid, doFill,
		addPiece(0), less, opLocalTee, 2, more, opBrIf, 0, opEnd,
		opEnd,
		byLength(2), opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, doFill)
	doCopy := ops(opBulk, bulkMemoryCopy, 0, 0)
	move := ops(
		opLocalGet, 2, more, opIf, typeEmpty,
		whole(0), whole(1),
		opLocalGet, 0, opLocalGet, 1, opI32GtU, opIf, typeEmpty,
		opLoop, typeEmpty, // from the end
		less, opLocalSet, 2,
		opLocalGet, 0, opLocalGet, 2, opI32Add, opLocalGet, 1, opLocalGet, 2, opI32Add, paid, doCopy,
		opLocalGet, 2, more, opBrIf, 0, opEnd,
		opElse,
		opLoop, typeEmpty,
		opLocalGet, 0, opLocalGet, 1, paid, doCopy,
		addPiece(0), addPiece(1), less, opLocalTee, 2, more, opBrIf, 0, opEnd,
		opEnd,
		opEnd,
		byLength(2), opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, doCopy)

	w.added = []addedFunction{{0, w.yieldBody()}, {1, length}, {3, fill}, {3, move}, {2, insideBody}}
	if w.start != nil {
		w.added = append(w.added, addedFunction{0, ops(opCall, of(int(*w.start)))})
	}
}

// charged returns the code that counts as much as the code cost leaves on the
// stack, and yields where the slice is used up.
func (w *rewriter) charged(cost []byte) []byte {
	return ops(opGlobalGet, w.slice, cost, opI32Sub, opGlobalSet, w.slice, w.check)
}

// yieldBody returns the code of $yield.
func (w *rewriter) yieldBody() []byte {
	least := appendI64([]byte{opI64Const}, sliceSize)
	return ops(
		i32(0), opMemoryGrow, 0, opDrop,
		opGlobalGet, w.stop, opIf, typeEmpty, opUnreachable, opEnd,
		opGlobalGet, w.depth, i32(maxDepth), opI32GtU, opIf, typeEmpty, opUnreachable, opEnd,
		opGlobalGet, w.fuel, opGlobalGet, w.slice, opI64ExtendS, opI64Add, opGlobalSet, w.fuel,
		i32(0), opGlobalSet, w.slice,
		opGlobalGet, w.fuel, opI64Const, 0, opI64LtS, opIf, typeEmpty, opUnreachable, opEnd,
		opGlobalGet, w.fuel, least, opGlobalGet, w.fuel, least, opI64LtU, opSelect, opI32WrapI64, opGlobalSet, w.slice,
		opGlobalGet, w.fuel, opGlobalGet, w.slice, opI64ExtendS, opI64Sub, opGlobalSet, w.fuel)
}

func (w *rewriter) addGlobals(content []byte) []byte {
	zero := ops(typeI32, 1, i32(0), opEnd)
	full := ops(typeI64, 1, appendI64([]byte{opI64Const}, bottomless), opEnd)
	return extend(content, 4, zero, full, zero, zero)
}

func (w *rewriter) addExports(content []byte) []byte {
	export := func(name string, kind byte, index []byte) []byte {
		return ops(appendU32(nil, uint32(len(name))), []byte(name), kind, index)
	}
	content = extend(content, 4,
		export(exportSlice, kindGlobal, w.slice), export(exportFuel, kindGlobal, w.fuel),
		export(exportStop, kindGlobal, w.stop), export(exportDepth, kindGlobal, w.depth))
	if w.start != nil {
		last := uint32(len(w.functions) + len(w.added) - 1)
		content = extend(content, 1, export(exportStart, kindFunction, appendU32(nil, last)))
	}
	return content
}

// code rewrites the code section.
func (w *rewriter) code() ([]byte, error) {
	out := appendU32(make([]byte, 0, len(w.codeSection)+len(w.codeSection)/4+1<<10), uint32(w.layout.bodies+len(w.added)))
	var body []byte
	err := w.scanAll(func(_ int, old []byte, c *code) error {
		body = w.function(body[:0], old, c)
		out = append(appendU32(out, uint32(len(body))), body...)
		return nil
	})
	for _, f := range w.added {
		out = appendU32(out, uint32(len(f.body)+2))
		out = append(append(append(out, 0), f.body...), opEnd) // no locals
	}
	return out, err
}

// function appends a function's body with its edits to out.
func (w *rewriter) function(out, body []byte, c *code) []byte {
	copied := 0
	for _, e := range c.edits {
		out = append(out, body[copied:e.at]...)
		copied = e.until
		switch e.kind {
		case head:
			out = w.charge(out, max(c.costs[e.stretch], 1))
			out = append(out, w.check...)
		case part:
			if cost := c.costs[e.stretch]; cost > 0 {
				out = w.charge(out, cost)
			}
		case growth:
			out = append(out, w.growth...)
		case length:
			out = append(append(out, opCall), w.length...)
		case fill:
			out = append(append(out, opCall), w.fill...)
		case move:
			out = append(append(out, opCall), w.move...)
		case nested:
			out = append(append(append(out, w.enter...), body[e.at:e.until]...), w.leave...)
		}
	}
	return append(out, body[copied:]...)
}

// charge appends code that counts a cost.
func (w *rewriter) charge(out []byte, cost int32) []byte {
	out = append(append(out, opGlobalGet), w.slice...)
	out = append(appendI64(append(out, opI32Const), int64(cost)), opI32Sub, opGlobalSet)
	return append(out, w.slice...)
}

// ops returns code: bytes, and code that is already bytes.
func ops(parts ...any) []byte {
	var code []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			code = append(code, byte(p))
		case byte:
			code = append(code, p)
		case []byte:
			code = append(code, p...)
		}
	}
	return code
}

// i32 returns the code of a constant.
func i32(v int64) []byte { return appendI64([]byte{opI32Const}, v) }

// extend returns a vector with n more elements at its end.
func extend(vector []byte, n int, elements ...[]byte) []byte {
	s := &scanner{b: vector}
	out := appendU32(make([]byte, 0, len(vector)+64), s.u32()+uint32(n))
	out = append(out, vector[s.at:]...)
	for _, e := range elements {
		out = append(out, e...)
	}
	return out
}

func appendSection(out []byte, id byte, content []byte) []byte {
	return append(appendU32(append(out, id), uint32(len(content))), content...)
}
