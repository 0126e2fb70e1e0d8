package torch

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Bounds of a pickle. Each operation takes at least a byte, so that the bytes
// bound the steps. What the objects take in memory may grow with the bytes
// read: a state dict needs less than half of the rate, while "}" alone, an
// empty dict, would need more than twice of it.
const (
	maxPickle  = 16 << 20 // bytes of the pickles of a file
	maxStack   = 1 << 16  // values on the stack; Python stacks a thousand at a time
	maxName    = 1 << 12  // bytes of the name of a tensor, of a storage, of something of Python
	baseMemory = 1 << 20  // bytes of memory for any pickle
	memoryRate = 16       // further bytes of memory for a byte of pickle
)

// The values of the machine are nil, bool, int64, float64, string and these.
type (
	big   string // an integer of more than 64 bits, little-endian two's complement
	blob  string // Python's bytes
	tuple []any
	list  struct{ items []any }
	dict  struct {
		pairs   []pair // in the order of insertion
		ordered bool   // an OrderedDict, which alone may have a state
	}
	pair struct{ key, value any }
)

// kind names the Python type of a value for messages.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "bool"
	case int64, big:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case blob:
		return "bytes"
	case tuple:
		return "tuple"
	case *list:
		return "list"
	case *dict:
		if v.ordered {
			return "collections.OrderedDict"
		}
		return "dict"
	case global:
		return string(v)
	case *storage:
		return "storage"
	case *tensor:
		return "tensor"
	}
	return fmt.Sprintf("%T", v)
}

// machine runs the pickles of one file, one after another.
type machine struct {
	r      *bufio.Reader
	offset int64 // in the file, of the next byte
	stop   int64 // in the file, beyond which no pickle reaches
	start  int64
	memory int64 // taken by all values so far, but for their places on the stack

	// persistent returns what a persistent id stands for.
	persistent func(id any) (any, error)

	stack []any
	marks []int // heights of the stack
	memo  map[uint64]any
}

// newMachine returns a machine for the pickles between two offsets of a file.
func newMachine(f *File, from, to int64, persistent func(id any) (any, error)) *machine {
	to = min(to, from+maxPickle)
	section := io.NewSectionReader(f.r, from, to-from)
	return &machine{r: bufio.NewReaderSize(section, 64<<10), offset: from, start: from, stop: to, persistent: persistent}
}

func (m *machine) fault(format string, args ...any) error {
	return malformed(m.offset, "the pickle: "+format, args...)
}

func (m *machine) refuse(op, name string) error {
	return &RefusedError{Offset: m.offset, Op: op, Name: name}
}

// run runs one pickle up to its STOP and returns its value.
func (m *machine) run() (any, error) {
	m.stack, m.marks, m.memo = m.stack[:0], m.marks[:0], map[uint64]any{}
	for {
		op, err := m.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' { // STOP
			return m.pop()
		}
		if err := m.step(op); err != nil {
			return nil, err
		}
		if len(m.stack)+len(m.marks) > maxStack {
			return nil, m.fault("it stacks more than %d values", maxStack)
		}
		if m.memory > baseMemory+memoryRate*(m.offset-m.start) {
			return nil, m.fault("%d bytes of it build objects of %d bytes: it describes no tensors", m.offset-m.start, m.memory)
		}
	}
}

// step runs one operation, whose names are those of pickletools.
func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := m.byte()
		if err == nil && (version < 2 || version > 5) {
			return &UnsupportedError{Feature: fmt.Sprintf("pickle protocol %d", version)}
		}
		return err
	case 0x95: // FRAME
		_, err := m.bytes(8)
		return err

	case '(': // MARK
		m.marks = append(m.marks, len(m.stack))
	case '0': // POP
		if n := len(m.marks); n > 0 && m.marks[n-1] == len(m.stack) {
			m.marks = m.marks[:n-1]
			return nil
		}
		_, err := m.pop()
		return err
	case '1': // POP_MARK
		_, err := m.popMark()
		return err
	case '2': // DUP
		v, err := m.top()
		if err != nil {
			return err
		}
		m.push(v, 0)

	case 'N': // NONE
		m.push(nil, 0)
	case 0x88: // NEWTRUE
		m.push(true, 0)
	case 0x89: // NEWFALSE
		m.push(false, 0)
	case 'J': // BININT
		return m.int(4)
	case 'K': // BININT1
		return m.int(1)
	case 'M': // BININT2
		return m.int(2)
	case 0x8a: // LONG1
		return m.long(1)
	case 0x8b: // LONG4
		return m.long(4)
	case 'G': // BINFLOAT, big-endian
		b, err := m.bytes(8)
		if err != nil {
			return err
		}
		m.push(math.Float64frombits(binary.BigEndian.Uint64([]byte(b))), 8)

	case 0x8c, 'U': // SHORT_BINUNICODE, SHORT_BINSTRING
		return m.text(1)
	case 'X', 'T': // BINUNICODE, BINSTRING
		return m.text(4)
	case 0x8d: // BINUNICODE8
		return m.text(8)
	case 'C': // SHORT_BINBYTES
		return m.blob(1)
	case 'B': // BINBYTES
		return m.blob(4)
	case 0x8e: // BINBYTES8
		return m.blob(8)

	case ')': // EMPTY_TUPLE
		m.push(tuple{}, 24)
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		return m.tuple(m.take(int(op - 0x84)))
	case 't': // TUPLE
		return m.tuple(m.popMark())
	case ']': // EMPTY_LIST
		m.push(&list{}, 40)
	case 'a', 'e': // APPEND, APPENDS
		return m.appends(m.items(op == 'a', 1))
	case '}': // EMPTY_DICT
		m.push(&dict{}, 40)
	case 's', 'u': // SETITEM, SETITEMS
		return m.setItems(m.items(op == 's', 2))

	case 'q': // BINPUT
		return m.remember(m.uint(1))
	case 'r': // LONG_BINPUT
		return m.remember(m.uint(4))
	case 0x94: // MEMOIZE
		return m.remember(uint64(len(m.memo)), nil)
	case 'h': // BINGET
		return m.recall(m.uint(1))
	case 'j': // LONG_BINGET
		return m.recall(m.uint(4))

	case 'Q': // BINPERSID
		id, err := m.pop()
		if err != nil {
			return err
		}
		v, err := m.persistent(id)
		if err != nil {
			return err
		}
		m.push(v, 0)
	default:
		return m.object(op)
	}
	return nil
}

// object runs the operations that name functions and classes of Python.
func (m *machine) object(op byte) error {
	switch op {
	case 'c', 'i': // GLOBAL, INST
		module, err := m.line()
		if err != nil {
			return err
		}
		name, err := m.line()
		if err != nil {
			return err
		}
		if op == 'i' {
			return m.refuse("INST", module+"."+name)
		}
		return m.global("GLOBAL", module+"."+name)
	case 0x93: // STACK_GLOBAL
		args, err := m.take(2)
		if err != nil {
			return err
		}
		module, ok1 := args[0].(string)
		name, ok2 := args[1].(string)
		if !ok1 || !ok2 {
			return m.fault("STACK_GLOBAL names a %s and a %s", kind(args[0]), kind(args[1]))
		}
		return m.global("STACK_GLOBAL", module+"."+name)
	case 'R': // REDUCE
		args, err := m.take(2)
		if err != nil {
			return err
		}
		function, ok := args[0].(global)
		if !ok {
			return m.refuse("REDUCE", kind(args[0]))
		}
		arguments, ok := args[1].(tuple)
		if !ok {
			return m.fault("REDUCE calls %s with a %s", function, kind(args[1]))
		}
		v, err := m.call(function, arguments)
		if err != nil {
			return err
		}
		m.push(v, 32)
	case 'b': // BUILD
		// The state dict of a module carries "_metadata", which says nothing of tensors.
		args, err := m.take(2)
		if err != nil {
			return err
		}
		d, ok := args[0].(*dict)
		if _, state := args[1].(*dict); !ok || !d.ordered || !state {
			return m.refuse("BUILD", kind(args[0]))
		}
		m.push(d, 0)
	case 0x81: // NEWOBJ
		return m.refuseNew(m.take(2))
	case 0x92: // NEWOBJ_EX
		return m.refuseNew(m.take(3))
	case 'o': // OBJ
		return m.refuseNew(m.popMark())
	case 0x82, 0x83, 0x84: // EXT1, EXT2, EXT4
		return m.refuse("EXT", "a registered extension")
	default:
		return &UnsupportedError{Feature: fmt.Sprintf("operation 0x%02x of pickles, at byte %d,", op, m.offset-1)}
	}
	return nil
}

// refuseNew refuses to make an object of the class that comes first in args.
func (m *machine) refuseNew(args []any, err error) error {
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return m.fault("an object has no class")
	}
	return m.refuse("NEWOBJ", kind(args[0]))
}

// push pushes a value that takes so many bytes beside its place on the stack.
func (m *machine) push(v any, bytes int) {
	m.stack = append(m.stack, v)
	m.memory += int64(bytes)
}

// take pops n values and returns them, valid until the next push.
func (m *machine) take(n int) ([]any, error) {
	low := 0
	if len(m.marks) > 0 {
		low = m.marks[len(m.marks)-1]
	}
	if len(m.stack)-n < low {
		return nil, m.fault("it takes more from its stack than there is")
	}
	values := m.stack[len(m.stack)-n:]
	m.stack = m.stack[:len(m.stack)-n]
	return values, nil
}

func (m *machine) pop() (any, error) {
	values, err := m.take(1)
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// top returns the topmost value, which stays.
func (m *machine) top() (any, error) {
	v, err := m.pop()
	if err == nil {
		m.stack = m.stack[:len(m.stack)+1]
	}
	return v, err
}

// popMark pops the values above the topmost mark, and the mark.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, m.fault("it lacks a MARK")
	}
	values, err := m.take(len(m.stack) - m.marks[len(m.marks)-1])
	m.marks = m.marks[:len(m.marks)-1]
	return values, err
}

// items pops n values, or those above a mark.
func (m *machine) items(single bool, n int) ([]any, error) {
	if single {
		return m.take(n)
	}
	return m.popMark()
}

func (m *machine) tuple(items []any, err error) error {
	if err != nil {
		return err
	}
	m.push(append(tuple{}, items...), 24+16*len(items))
	return nil
}

func (m *machine) appends(items []any, err error) error {
	if err != nil {
		return err
	}
	target, err := m.top()
	if err != nil {
		return err
	}
	l, ok := target.(*list)
	if !ok {
		return m.fault("it appends to a %s", kind(target))
	}
	l.items = append(l.items, items...)
	m.memory += 16 * int64(len(items))
	return nil
}

func (m *machine) setItems(items []any, err error) error {
	if err != nil {
		return err
	}
	target, err := m.top()
	if err != nil {
		return err
	}
	d, ok := target.(*dict)
	if !ok || len(items)%2 != 0 {
		return m.fault("it sets %d keys and values of a %s", len(items), kind(target))
	}
	for i := 0; i < len(items); i += 2 {
		d.pairs = append(d.pairs, pair{items[i], items[i+1]})
	}
	m.memory += 16 * int64(len(items))
	return nil
}

// remember stores the topmost value under a number.
func (m *machine) remember(i uint64, err error) error {
	if err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	m.memo[i] = v
	m.memory += 48
	return nil
}

// recall pushes what was stored under a number.
func (m *machine) recall(i uint64, err error) error {
	if err != nil {
		return err
	}
	v, ok := m.memo[i]
	if !ok {
		return m.fault("it recalls value %d, which it never stored", i)
	}
	m.push(v, 0)
	return nil
}

// text pushes a string with its length before it.
func (m *machine) text(width int) error {
	s, err := m.counted(width)
	if err != nil {
		return err
	}
	m.push(s, 16+len(s))
	return nil
}

// blob pushes bytes with their number before them.
func (m *machine) blob(width int) error {
	s, err := m.counted(width)
	if err != nil {
		return err
	}
	m.push(blob(s), 16+len(s))
	return nil
}

func (m *machine) int(width int) error {
	v, err := m.uint(width)
	if err != nil {
		return err
	}
	if width == 4 {
		v = uint64(int32(v)) // BININT alone is signed
	}
	m.push(int64(v), 8)
	return nil
}

// long reads a little-endian two's complement of any length.
func (m *machine) long(width int) error {
	s, err := m.counted(width)
	if err != nil {
		return err
	}
	if len(s) > 8 {
		m.push(big(s), 16+len(s))
		return nil
	}
	v := int64(0)
	for i := range len(s) {
		v |= int64(s[i]) << (8 * i)
	}
	if n := uint(8 * len(s)); n > 0 {
		v = v << (64 - n) >> (64 - n) // extends the sign
	}
	m.push(v, 8)
	return nil
}

// counted reads bytes with their number before them.
func (m *machine) counted(width int) (string, error) {
	n, err := m.uint(width)
	if err != nil {
		return "", err
	}
	return m.bytes(n)
}

// uint reads a little-endian number.
func (m *machine) uint(width int) (uint64, error) {
	s, err := m.bytes(uint64(width))
	if err != nil {
		return 0, err
	}
	v := uint64(0)
	for i := range width {
		v |= uint64(s[i]) << (8 * i)
	}
	return v, nil
}

// bytes reads n bytes, of which the file has so many.
func (m *machine) bytes(n uint64) (string, error) {
	if n > uint64(m.stop-m.offset) {
		return "", m.ended()
	}
	var b strings.Builder
	b.Grow(int(n))
	_, err := io.CopyN(&b, m.r, int64(n))
	return b.String(), m.read(int64(n), err)
}

func (m *machine) byte() (byte, error) {
	b, err := m.r.ReadByte()
	return b, m.read(1, err)
}

// line reads up to the end of a line. Names of Python are short.
func (m *machine) line() (string, error) {
	var b strings.Builder
	for b.Len() <= maxName {
		c, err := m.byte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	return "", m.fault("a name of Python has more than %d bytes", maxName)
}

// read counts bytes that were read.
func (m *machine) read(n int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return m.ended()
	}
	if err != nil {
		return fmt.Errorf("torch: reading the pickle at byte %d: %w", m.offset, err)
	}
	m.offset += n
	return nil
}

func (m *machine) ended() error {
	if m.stop-m.start == maxPickle {
		return &UnsupportedError{Feature: fmt.Sprintf("a pickle of more than %d bytes", maxPickle)}
	}
	return m.fault("it ends early")
}
