// Package regex matches the regular expressions of tokenizer.json, which are
// those of Oniguruma: with look-around, which package regexp lacks, and with
// classes that follow Unicode.
//
// The expressions and the texts come from anyone, so a search may not run away.
// The matcher backtracks, as Oniguruma does, but tries nothing twice: what fails
// at a place of the text fails there whatever came before, since there are no
// back-references, and one bit for every choice of the expression and every byte
// of the text remembers it. So the time is linear in the length of the text.
//
// What the subset leaves out fails to compile: back-references, conditionals,
// absent operators, intersections of classes, loops over what may be nothing,
// look-around of more than maxLook runes, and expressions beyond a size that no
// tokenizer has.
package regex

import (
	"fmt"
	"sync"

	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// Regexp is a compiled regular expression, which is a text.Pattern. It is
// immutable and safe for concurrent use.
type Regexp struct {
	program  program
	shortest int       // the least number of runes that it matches, if that is small
	searches sync.Pool // of *search
}

// Error reports an expression that cannot be compiled.
type Error struct {
	Offset      int  // where in the expression, in bytes
	Unsupported bool // whether it is valid and only too much for this package
	Problem     string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Problem, e.Offset) }

// Limits on an expression, so that neither compiling nor matching it takes more
// than a small constant for a byte.
const (
	maxSize   = 1 << 12 // bytes
	maxDepth  = 32      // of groups in groups
	maxSteps  = 512     // instructions
	maxForks  = 100     // instructions with a choice
	maxRepeat = 256     // the largest number in {n,m}
	maxLook   = 16      // runes that look-around looks at
)

// Compile compiles an expression. Its error is an *Error.
func Compile(expression string) (*Regexp, error) {
	root, err := parse(expression)
	if err != nil {
		return nil, err
	}
	p, err := compile(root)
	if err != nil {
		return nil, err
	}
	shortest, _ := root.width()
	return &Regexp{program: p, shortest: shortest}, nil
}

// MinLength returns a number of bytes that no match is shorter than.
func (re *Regexp) MinLength() int { return re.shortest }

// AppendMatches appends the matches in b, from left to right: each is what a
// search finds that begins where the match before ended, and none is empty that
// stands right after another match. b must be UTF-8.
func (re *Regexp) AppendMatches(dst []text.Range, b []byte) []text.Range {
	s, _ := re.searches.Get().(*search)
	if s == nil {
		s = new(search)
	}
	s.reset(&re.program, b)
	last := -1 // where the match before ended
	for at := 0; at <= len(b); {
		m, ok := s.find(at)
		if !ok {
			break
		}
		if m.Start == m.End && m.End == last {
			at += runeLength(b, at)
			continue
		}
		dst = append(text.Reserve(dst, 1, m.Start, len(b)), m)
		at, last = m.End, m.End
	}
	if len(s.failed) <= maxRetained {
		re.searches.Put(s)
	}
	return dst
}

// maxRetained is the number of words of memory beyond which that of a search is
// given back.
const maxRetained = 1 << 16
