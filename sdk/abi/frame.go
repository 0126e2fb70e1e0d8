package abi

import (
	"math"

	"github.com/xai-go/xai/sdk"
)

// Writer appends little-endian values to B. The zero value is ready.
type Writer struct{ B []byte }

// U8 appends one byte.
func (w *Writer) U8(v uint8) { w.B = append(w.B, v) }

// U16 appends a uint16.
func (w *Writer) U16(v uint16) { w.B = append(w.B, byte(v), byte(v>>8)) }

// U32 appends a uint32.
func (w *Writer) U32(v uint32) { w.B = append(w.B, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }

// U64 appends a uint64.
func (w *Writer) U64(v uint64) {
	w.U32(uint32(v))
	w.U32(uint32(v >> 32))
}

// I64 appends an int64.
func (w *Writer) I64(v int64) { w.U64(uint64(v)) }

// F64 appends a float64.
func (w *Writer) F64(v float64) { w.U64(math.Float64bits(v)) }

// Index appends an index, offset or count as a u32. What does not fit becomes
// the largest u32, which no reader accepts as an index.
func (w *Writer) Index(v int) {
	if v < 0 || v > math.MaxUint32 {
		v = math.MaxUint32
	}
	w.U32(uint32(v))
}

// Bool appends a byte, 1 for true.
func (w *Writer) Bool(v bool) {
	if v {
		w.U8(1)
	} else {
		w.U8(0)
	}
}

// Text appends the bytes of s alone, for a value that runs to its end.
func (w *Writer) Text(s string) { w.B = append(w.B, s...) }

// String appends a string: its length as u32, then its bytes.
func (w *Writer) String(s string) {
	w.Index(len(s))
	w.Text(s)
}

// Strings appends a string list: its length as u32, then its strings.
func (w *Writer) Strings(list []string) {
	w.Index(len(list))
	for _, s := range list {
		w.String(s)
	}
}

// Open begins a field and returns the mark that Close takes.
func (w *Writer) Open(f Field, flags uint16) int {
	w.U16(uint16(f))
	w.U16(flags)
	w.U32(0)
	return len(w.B)
}

// Close ends the field that began at mark.
func (w *Writer) Close(mark int) {
	n := uint32(len(w.B) - mark)
	h := w.B[mark-4 : mark]
	h[0], h[1], h[2], h[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
}

// Reader reads what Writer wrote. It remembers the first error and returns
// zero values from then on, so that a caller checks Err once. It allocates
// only in proportion to the bytes that are there.
type Reader struct {
	b   []byte
	err error
}

// NewReader returns a Reader over b, which it neither copies nor changes.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err returns the first error, an *sdk.Error.
func (r *Reader) Err() error { return r.err }

// Fail makes err the reader's error unless it has one already.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
		r.b = nil
	}
}

// End fails where bytes are left, and returns Err.
func (r *Reader) End() error {
	if r.err == nil && len(r.b) > 0 {
		r.Fail(sdk.NewError(sdk.EInvalid, "the frame is longer than what it holds"))
	}
	return r.err
}

// Len returns the number of bytes that are left.
func (r *Reader) Len() int { return len(r.b) }

// Take returns the next n bytes, which alias the reader's.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.Fail(sdk.NewError(sdk.EInvalid, "the frame ends early"))
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// U8 reads one byte.
func (r *Reader) U8() uint8 {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads a uint16.
func (r *Reader) U16() uint16 {
	if b := r.Take(2); b != nil {
		return uint16(b[0]) | uint16(b[1])<<8
	}
	return 0
}

// U32 reads a uint32.
func (r *Reader) U32() uint32 {
	if b := r.Take(4); b != nil {
		return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	}
	return 0
}

// U64 reads a uint64.
func (r *Reader) U64() uint64 {
	lo := uint64(r.U32())
	return lo | uint64(r.U32())<<32
}

// I64 reads an int64.
func (r *Reader) I64() int64 { return int64(r.U64()) }

// F64 reads a float64.
func (r *Reader) F64() float64 { return math.Float64frombits(r.U64()) }

// Index reads an index, offset or count that Writer.Index wrote.
func (r *Reader) Index() int { return int(r.U32()) }

// Count reads the length of a list whose elements take at least size bytes
// each, and fails where so many cannot follow.
func (r *Reader) Count(size int) int {
	n := r.U32()
	if uint64(n)*uint64(size) > uint64(len(r.b)) {
		r.Fail(sdk.NewError(sdk.EInvalid, "a list in the frame is longer than the frame"))
		return 0
	}
	return int(n)
}

// Text reads the bytes that are left.
func (r *Reader) Text() string { return string(r.Take(len(r.b))) }

// String reads a string.
func (r *Reader) String() string { return string(r.Take(r.Count(1))) }

// Strings reads a string list, nil where it is empty.
func (r *Reader) Strings() []string {
	n := r.Count(4)
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = r.String()
	}
	return out
}

// Fields reads a frame of fields to its end. It hands each field's value to
// visit, which returns false for a tag that it does not know; the field is then
// skipped, or EUNSUPPORTED where it is critical. A known field may come once,
// and visit must read all of its value.
func (r *Reader) Fields(visit func(f Field, value *Reader) bool) error {
	var seen uint64
	for r.err == nil && len(r.b) > 0 {
		f, flags := Field(r.U16()), r.U16()
		value := Reader{b: r.Take(r.Count(1))}
		if r.err != nil {
			break
		}
		switch {
		case !visit(f, &value):
			if flags&FlagCritical != 0 {
				r.Fail(sdk.NewError(sdk.EUnsupported, "the frame has a critical field that this version does not know"))
			}
			continue
		case f < 64 && seen&(1<<f) != 0:
			r.Fail(sdk.NewError(sdk.EInvalid, "the frame has a field twice"))
		case value.End() != nil:
			r.Fail(value.err)
		}
		seen |= 1 << f
	}
	return r.err
}

// Elements returns the number of elements of a tensor of that shape, and
// whether the shape is one: no dimension is negative, and the product of those
// before the first 0 is an int.
func Elements(shape []int) (int, bool) {
	n := 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}
