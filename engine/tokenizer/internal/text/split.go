package text

import (
	"bytes"
	"unicode/utf8"
)

// Split cuts every word where a pattern matches. With Invert, the matches are
// what it keeps, and what stands between them are the delimiters.
type Split struct {
	Pattern  Pattern
	Behavior Behavior
	Invert   bool
}

// PreTokenize implements PreTokenizer.
func (s Split) PreTokenize(t *Text) {
	t.cut(func(w Range) {
		t.matches = s.Pattern.AppendMatches(t.matches[:0], t.Bytes[w.Start:w.End])
		t.divide(w, t.matches, s.Behavior, s.Invert)
	})
}

// Digits makes numbers words of their own: a run of runes of the categories N*,
// or each of them.
func Digits(each bool) Split {
	if each {
		return Split{Pattern: Runes{number}, Behavior: Isolated}
	}
	return Split{Pattern: Runes{number}, Behavior: Contiguous}
}

// A Pattern finds the parts of a text that it matches, none of which overlaps
// another. Implementations are immutable and safe for concurrent use.
type Pattern interface {
	// AppendMatches appends where the pattern matches in b, from left to right.
	AppendMatches(dst []Range, b []byte) []Range
}

// Literal matches itself. It is not empty.
type Literal string

// AppendMatches implements Pattern.
func (p Literal) AppendMatches(dst []Range, b []byte) []Range {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte(p))
		if i < 0 {
			return dst
		}
		dst = append(Reserve(dst, 1, at, len(b)), Range{at + i, at + i + len(p)})
		at += i + len(p)
	}
}

// Runes matches every rune of a class.
type Runes struct{ class class }

// AppendMatches implements Pattern.
func (p Runes) AppendMatches(dst []Range, b []byte) []Range {
	table := classes()
	for i := 0; i < len(b); {
		c, size := table.at(b, i)
		if c&p.class != 0 {
			dst = append(Reserve(dst, 1, i, len(b)), Range{i, i + size})
		}
		i += size
	}
	return dst
}

// at returns the properties of the rune at the byte i of b, and its length.
func (t *classTable) at(b []byte, i int) (class, int) {
	if c := b[i]; c < utf8.RuneSelf {
		return t[c], 1
	}
	r, size := utf8.DecodeRune(b[i:])
	return t.of(r), size
}

// run returns where the run of runes ends that begins at the byte i of b and
// whose classes, limited to those of mask, are want.
func (t *classTable) run(b []byte, i int, mask, want class) int {
	for i < len(b) {
		c, size := t.at(b, i)
		if c&mask != want {
			break
		}
		i += size
	}
	return i
}

// kinds are the classes that the patterns of byte-level tokenizers tell apart.
// A rune of none of them is a symbol.
const (
	kinds  = letter | number | space
	symbol = class(0)
)

// GPT2 is the pattern of GPT-2 and of all that took its tokenizer over:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
type GPT2 struct{}

// AppendMatches implements Pattern.
func (GPT2) AppendMatches(dst []Range, b []byte) []Range {
	table := classes()
	for i := 0; i < len(b); {
		start := i
		dst = Reserve(dst, 1, i, len(b))
		if n := contraction(b[i:], false); n > 0 {
			i += n
			dst = append(dst, Range{start, i})
			continue
		}
		first := i // past the space that may come before
		if b[i] == ' ' && i+1 < len(b) {
			first++
		}
		c, size := table.at(b, first)
		if kind := c & kinds; kind != space {
			i = table.run(b, first+size, kinds, kind)
		} else {
			i = table.blank(b, start)
		}
		dst = append(dst, Range{start, i})
	}
	return dst
}

// blank returns the end of the match of \s+(?!\S)|\s+ that begins at the byte
// i: the last white space before something else is left to what follows,
// unless it is alone.
func (t *classTable) blank(b []byte, i int) int {
	last, end := i, i
	for end < len(b) {
		c, size := t.at(b, end)
		if c&space == 0 {
			if last > i {
				return last
			}
			return end
		}
		last = end
		end += size
	}
	return end
}

// contraction returns the length of the match of 's|'t|'re|'ve|'m|'ll|'d that
// begins b, or 0. With fold, case does not matter, and ſ is an s.
func contraction(b []byte, fold bool) int {
	if len(b) < 2 || b[0] != '\'' {
		return 0
	}
	lower := func(c byte) byte {
		if fold && 'A' <= c && c <= 'Z' {
			return c + ('a' - 'A')
		}
		return c
	}
	switch c := lower(b[1]); c {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v', 'l':
		second := byte('e')
		if c == 'l' {
			second = 'l'
		}
		if len(b) > 2 && lower(b[2]) == second {
			return 3
		}
	}
	if fold && bytes.HasPrefix(b[1:], []byte("ſ")) {
		return 1 + len("ſ")
	}
	return 0
}

// Llama3 is the pattern of LLaMA 3, which is cl100k's of tiktoken, with up to 3
// digits a word, and that of Qwen 2, with 1:
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
type Llama3 struct{ Digits int }

// AppendMatches implements Pattern.
func (p Llama3) AppendMatches(dst []Range, b []byte) []Range {
	table := classes()
	for i := 0; i < len(b); {
		end := p.match(table, b, i)
		dst = append(Reserve(dst, 1, i, len(b)), Range{i, end})
		i = end
	}
	return dst
}

// match returns the end of the match that begins at the byte i.
func (p Llama3) match(table *classTable, b []byte, i int) int {
	if n := contraction(b[i:], true); n > 0 {
		return i + n
	}
	c, size := table.at(b, i)
	next := i + size // the second rune
	var after class  // its kind; that of nothing is none that matches
	more := next < len(b)
	if more {
		after, _ = table.at(b, next)
	}
	newline := b[i] == '\n' || b[i] == '\r'
	switch c & kinds {
	case letter:
		return table.run(b, next, kinds, letter)
	case number:
		for n := 1; n < p.Digits && next < len(b); n++ {
			c, size := table.at(b, next)
			if c&number == 0 {
				break
			}
			next += size
		}
		return next
	}
	if !newline && after&letter != 0 {
		return table.run(b, next, kinds, letter)
	}
	first := i // of the symbols
	if b[i] == ' ' && more {
		first, c = next, after
	}
	if c&kinds == symbol {
		end := table.run(b, first, kinds, symbol)
		for end < len(b) && (b[end] == '\n' || b[end] == '\r') {
			end++
		}
		return end
	}
	// White space, up to the last line break in it if it has one.
	blank := table.run(b, i, space, space)
	if n := bytes.LastIndexAny(b[i:blank], "\r\n"); n >= 0 {
		return i + n + 1
	}
	return table.blank(b, i)
}

// CLIP is the pattern of CLIP, which leaves white space out:
//
//	<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
//
// With Fold, case does not matter, which only the contractions can tell in a
// text in lower case.
type CLIP struct{ Fold bool }

// AppendMatches implements Pattern.
func (p CLIP) AppendMatches(dst []Range, b []byte) []Range {
	table := classes()
	for i := 0; i < len(b); {
		start := i
		c, size := table.at(b, i)
		switch {
		case c&space != 0:
			i += size
			continue
		case bytes.HasPrefix(b[i:], []byte("<|startoftext|>")):
			i += len("<|startoftext|>")
		case bytes.HasPrefix(b[i:], []byte("<|endoftext|>")):
			i += len("<|endoftext|>")
		case contraction(b[i:], p.Fold) > 0:
			i += contraction(b[i:], p.Fold)
		case c&number != 0:
			i += size
		default:
			i = table.run(b, i, kinds, c&kinds)
		}
		dst = append(Reserve(dst, 1, start, len(b)), Range{start, i})
	}
	return dst
}
