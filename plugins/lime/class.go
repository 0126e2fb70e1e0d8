package lime

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/plugins/internal/game"
)

// class is a set of characters as Python's re reads it: \w, \d and \s hold for
// every script.
type class struct {
	negated bool
	members []member
}

// member is a range of characters, or one of the escapes w, W, d, D, s and S.
type member struct {
	low, high rune
	escape    byte // 0 for a range
}

// contains reports whether the class holds r.
func (c class) contains(r rune) bool {
	for _, m := range c.members {
		if m.contains(r) {
			return !c.negated
		}
	}
	return c.negated
}

func (m member) contains(r rune) bool {
	switch m.escape {
	case 'w':
		return game.IsWord(r)
	case 'W':
		return !game.IsWord(r)
	case 'd':
		return unicode.Is(unicode.Nd, r)
	case 'D':
		return !unicode.Is(unicode.Nd, r)
	case 's':
		return game.IsSpace(r)
	case 'S':
		return !game.IsSpace(r)
	}
	return m.low <= r && r <= m.high
}

// parseClass reads a split expression: one character, one escape or one
// bracketed class, with an optional +, which changes nothing, as words are what
// stands between separators. That covers the splitters in use. Package regexp
// would read the rest of the language, but with ASCII classes in place of
// Python's, and it adds more to the module (590 kB of 2.6 MB) than all of this
// project's code in it.
func parseClass(expression string) (class, error) {
	p := classParser{expression: expression}
	c, ok := p.class()
	if ok && p.at < len(expression) && expression[p.at] == '+' {
		p.at++
	}
	if !ok || p.at != len(expression) || !utf8.ValidString(expression) {
		return class{}, invalid("split_expression " + strconv.Quote(expression) +
			` is not supported: give one character, escape or [class] with an optional +, such as \W+, \s+ or [^\w']+`)
	}
	return c, nil
}

// classParser reads an expression from left to right.
type classParser struct {
	expression string
	at         int
}

// next returns the next character.
func (p *classParser) next() (rune, bool) {
	if p.at == len(p.expression) {
		return 0, false
	}
	r, n := utf8.DecodeRuneInString(p.expression[p.at:])
	p.at += n
	return r, true
}

// peek reports whether the next byte is b.
func (p *classParser) peek(b byte) bool {
	return p.at < len(p.expression) && p.expression[p.at] == b
}

func (p *classParser) class() (c class, ok bool) {
	r, ok := p.next()
	if !ok {
		return c, false
	}
	switch r {
	case '[':
		return p.bracket()
	case '\\':
		m, ok := p.escape()
		return class{members: []member{m}}, ok
	case '.', '^', '$', '*', '+', '?', '(', ')', '{', '}', '|', ']':
		return c, false
	}
	return class{members: []member{{low: r, high: r}}}, true
}

// bracket reads a bracketed class after its opening bracket. A closing bracket
// that comes first stands for itself.
func (p *classParser) bracket() (c class, ok bool) {
	if p.peek('^') {
		p.at++
		c.negated = true
	}
	for first := true; first || !p.peek(']'); first = false {
		low, ok := p.member()
		if !ok {
			return c, false
		}
		if low.escape == 0 && p.peek('-') && p.at+1 < len(p.expression) && p.expression[p.at+1] != ']' {
			p.at++
			high, ok := p.member()
			if !ok || high.escape != 0 || high.low < low.low {
				return c, false
			}
			low.high = high.low
		}
		c.members = append(c.members, low)
	}
	p.at++
	return c, true
}

// member reads one character or escape of a bracketed class.
func (p *classParser) member() (member, bool) {
	r, ok := p.next()
	if r == '\\' {
		return p.escape()
	}
	return member{low: r, high: r}, ok
}

// escape reads what follows a backslash: a class, a control character, or a
// punctuation mark that stands for itself. Other letters and digits mean
// something else in Python, or nothing.
func (p *classParser) escape() (member, bool) {
	r, ok := p.next()
	if !ok {
		return member{}, false
	}
	switch r {
	case 'w', 'W', 'd', 'D', 's', 'S':
		return member{escape: byte(r)}, true
	case 't':
		r = '\t'
	case 'n':
		r = '\n'
	case 'r':
		r = '\r'
	case 'f':
		r = '\f'
	case 'v':
		r = '\v'
	default:
		if game.IsWord(r) && r != '_' {
			return member{}, false
		}
	}
	return member{low: r, high: r}, true
}
