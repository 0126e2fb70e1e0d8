// Package text holds a piece of text while a tokenizer works on it: its bytes
// as normalized so far, for every byte the span of the original text that it
// came from, and the words it has been cut into. Normalizers rewrite the bytes
// and compose the spans; pre-tokenizers cut the words.
package text

import (
	"slices"
	"unicode/utf8"
)

// Span is a half-open range of bytes in the original text.
type Span struct{ Start, End int32 }

// Range is a half-open range of bytes in Text.Bytes.
type Range struct{ Start, End int }

// Text is a text under work. Its zero value is an empty text that tracks no
// spans. It is scratch space for one goroutine: its buffers are reused.
type Text struct {
	// Bytes is the text as normalized so far, always valid UTF-8.
	Bytes []byte
	// Spans has one entry per byte of Bytes: the span of the original rune (or
	// runes) which that byte came from. It is empty when spans are not tracked.
	// Starts never decrease, nor do ends, so the span of bytes i to j is
	// Spans[i].Start to Spans[j-1].End.
	Spans []Span
	// Words are the ranges that the pre-tokenizer has cut so far, in order.
	Words []Range

	tracked bool
	initial bool // whether t began at the beginning of the original text
	// The rest is the other half of each double buffer, and the cursor of the
	// rewrite under way: how many bytes of Bytes have been consumed.
	outBytes []byte
	outSpans []Span
	outWords []Range
	cursor   int
	room     int // the number of bytes up to which the rewrite needs no new arrays
	marks    []mark
	matches  []Range
}

// Reset makes t hold s, unnormalized, at the beginning of the original text.
// Bytes of s that are not UTF-8 are read as U+FFFD, one for each byte.
func (t *Text) Reset(s string, tracked bool) {
	t.tracked, t.initial = tracked, true
	t.Bytes, t.Spans, t.Words = slices.Grow(t.Bytes[:0], len(s)), t.Spans[:0], t.Words[:0]
	if tracked {
		t.Spans = slices.Grow(t.Spans, len(s))
	}
	if utf8.ValidString(s) {
		t.Bytes = append(t.Bytes, s...)
		if tracked {
			for i := 0; i < len(s); {
				size := 1
				if s[i] >= utf8.RuneSelf {
					_, size = utf8.DecodeRuneInString(s[i:])
				}
				span := Span{int32(i), int32(i + size)}
				for range size {
					t.Spans = append(t.Spans, span)
				}
				i += size
			}
		}
		return
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		n := len(t.Bytes)
		t.Bytes = utf8.AppendRune(t.Bytes, r)
		if tracked {
			span := Span{int32(i), int32(i + size)}
			for range len(t.Bytes) - n {
				t.Spans = append(t.Spans, span)
			}
		}
		i += size
	}
}

// Slice makes t hold the bytes r of from, with their spans.
func (t *Text) Slice(from *Text, r Range) {
	t.tracked, t.initial = from.tracked, from.initial && r.Start == 0
	t.Bytes = append(t.Bytes[:0], from.Bytes[r.Start:r.End]...)
	t.Spans = t.Spans[:0]
	if t.tracked {
		t.Spans = append(t.Spans, from.Spans[r.Start:r.End]...)
	}
	t.Words = t.Words[:0]
}

// Span returns the span of the original text that the bytes r came from; r must
// not be empty. It is zero when spans are not tracked.
func (t *Text) Span(r Range) Span {
	if !t.tracked {
		return Span{}
	}
	return Span{t.Spans[r.Start].Start, t.Spans[r.End-1].End}
}

// MaxRetained is the number of bytes of text beyond which a pool should drop a
// Text instead of keeping its buffers alive.
const MaxRetained = 1 << 20

// Retained returns the size of t's text buffer in bytes.
func (t *Text) Retained() int { return max(cap(t.Bytes), cap(t.outBytes)) }

// begin starts a rewrite: keep, insert and drop walk over the old bytes and
// write the new ones, and end puts the new ones in place.
func (t *Text) begin() {
	t.outBytes, t.outSpans, t.cursor, t.room = t.outBytes[:0], t.outSpans[:0], 0, 0
	t.reserve(len(t.Bytes))
}

// reserve makes room for n more bytes of a rewrite.
func (t *Text) reserve(n int) {
	if len(t.outBytes)+n > t.room {
		t.extend(n)
	}
}

func (t *Text) extend(n int) {
	t.outBytes = Reserve(t.outBytes, n, t.cursor, len(t.Bytes))
	t.room = cap(t.outBytes)
	if t.tracked {
		t.outSpans = Reserve(t.outSpans, n, t.cursor, len(t.Bytes))
		t.room = min(t.room, cap(t.outSpans))
	}
}

// Reserve returns s with room for n more elements. Where that takes a new array,
// it has the room that s will need in the end if it goes on to grow as it did
// while the first done of total parts of the work were, within bounds: long
// texts would otherwise leave several arrays behind that were outgrown.
func Reserve[E any](s []E, n, done, total int) []E {
	if n > cap(s)-len(s) {
		s = enlarge(s, n, done, total)
	}
	return s
}

// leastRoom is the smallest array that Reserve makes.
const leastRoom = 64

func enlarge[E any](s []E, n, done, total int) []E {
	need := len(s) + n
	room := need
	if done > 0 {
		room = int(float64(need) * float64(total) / float64(done) * (1 + 1./32))
	}
	room = max(min(max(room, need+need/4), 8*need), leastRoom)
	return append(slices.Grow([]E(nil), room), s...)
}

func (t *Text) end() {
	t.Bytes, t.outBytes = t.outBytes, t.Bytes
	t.Spans, t.outSpans = t.outSpans, t.Spans
}

// copyRun keeps the next n bytes as they are.
func (t *Text) copyRun(n int) {
	t.reserve(n)
	t.outBytes = append(t.outBytes, t.Bytes[t.cursor:t.cursor+n]...)
	if t.tracked {
		t.outSpans = append(t.outSpans, t.Spans[t.cursor:t.cursor+n]...)
	}
	t.cursor += n
}

// keep replaces the next size bytes by r, which takes their span over.
func (t *Text) keep(r rune, size int) {
	t.reserve(utf8.UTFMax)
	n := len(t.outBytes)
	t.outBytes = utf8.AppendRune(t.outBytes, r)
	if t.tracked && size > 0 {
		span := Span{t.Spans[t.cursor].Start, t.Spans[t.cursor+size-1].End}
		for range len(t.outBytes) - n {
			t.outSpans = append(t.outSpans, span)
		}
	}
	t.cursor += size
}

// insert adds r without consuming anything; it shares the span of the byte
// before the cursor, or stands empty at the start of the text.
func (t *Text) insert(r rune) {
	t.reserve(utf8.UTFMax)
	n := len(t.outBytes)
	t.outBytes = utf8.AppendRune(t.outBytes, r)
	if t.tracked {
		var span Span
		switch {
		case t.cursor > 0:
			span = t.Spans[t.cursor-1]
		case len(t.Spans) > 0:
			span = Span{t.Spans[0].Start, t.Spans[0].Start}
		}
		for range len(t.outBytes) - n {
			t.outSpans = append(t.outSpans, span)
		}
	}
}

// put replaces the next size bytes by s, which takes their span over; where size
// is 0, the span is the empty one at the cursor.
func (t *Text) put(s string, size int) {
	t.reserve(len(s))
	t.outBytes = append(t.outBytes, s...)
	if t.tracked {
		span := Span{t.Spans[t.cursor].Start, t.Spans[t.cursor].Start}
		if size > 0 {
			span.End = t.Spans[t.cursor+size-1].End
		}
		for range len(s) {
			t.outSpans = append(t.outSpans, span)
		}
	}
	t.cursor += size
}

// prepend adds s without consuming anything; it shares the span of the rune at
// the cursor, which must be there.
func (t *Text) prepend(s string) {
	t.reserve(len(s))
	t.outBytes = append(t.outBytes, s...)
	if t.tracked {
		for range len(s) {
			t.outSpans = append(t.outSpans, t.Spans[t.cursor])
		}
	}
}

// absorb removes the next size bytes and adds their span to that of what was
// written last, if anything was.
func (t *Text) absorb(size int) {
	if n := len(t.outSpans); t.tracked && n > 0 {
		last, end := t.outSpans[n-1], t.Spans[t.cursor+size-1].End
		for i := n - 1; i >= 0 && t.outSpans[i] == last; i-- {
			t.outSpans[i].End = end
		}
	}
	t.cursor += size
}

// cutOut takes back the last n bytes that were written.
func (t *Text) cutOut(n int) {
	t.outBytes = t.outBytes[:len(t.outBytes)-n]
	if t.tracked {
		t.outSpans = t.outSpans[:len(t.outBytes)]
	}
}

// drop removes the next n bytes.
func (t *Text) drop(n int) { t.cursor += n }

// filter removes the runes that keep refuses.
func (t *Text) filter(keep func(rune) bool) {
	for i := 0; i < len(t.Bytes); {
		r, size := utf8.DecodeRune(t.Bytes[i:])
		if keep(r) {
			i += size
			continue
		}
		t.begin()
		t.copyRun(i)
		for i < len(t.Bytes) {
			r, size := utf8.DecodeRune(t.Bytes[i:])
			if keep(r) {
				t.copyRun(size)
			} else {
				t.drop(size)
			}
			i += size
		}
		t.end()
		return
	}
}

// ascii says whether every byte of b is ASCII.
func ascii(b []byte) bool {
	for len(b) >= 8 {
		if (b[0]|b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7])&0x80 != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
