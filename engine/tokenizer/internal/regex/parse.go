package regex

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// node is a part of an expression.
type node struct {
	kind     kind
	set      *set    // of one rune
	parts    []*node // of a sequence, of alternatives; the body of the others
	min, max int     // of a repetition; max is -1 where there is no limit
	lazy     bool    // a repetition that takes as few as it can
	atomic   bool    // a repetition that gives nothing back
	behind   bool    // looks behind, not ahead
	negative bool    // looks for what is not there
	at       int     // where it stands in the expression
}

type kind int

const (
	sequence kind = iota
	alternatives
	one        // rune of a set
	repetition // of parts[0]
	around     // looks around, for parts[0]
	lineStart
	lineEnd
	textStart
	textEnd
	lastLineEnd // the end, or before a line feed that ends the text
	boundary    // of a word
	noBoundary
)

type parser struct {
	expression string
	at         int
	fold       bool // case does not matter
	depth      int
}

func parse(expression string) (*node, error) {
	p := &parser{expression: expression}
	if len(expression) > maxSize {
		return nil, p.unsupported("an expression of more than " + strconv.Itoa(maxSize) + " bytes")
	}
	if !utf8.ValidString(expression) {
		return nil, p.malformed("is not UTF-8")
	}
	n, err := p.alternatives()
	if err == nil && p.at < len(expression) {
		err = p.malformed("has a ) too many")
	}
	return n, err
}

func (p *parser) malformed(problem string) error {
	return &Error{Offset: p.at, Problem: problem}
}

func (p *parser) unsupported(what string) error {
	return &Error{Offset: p.at, Problem: "has " + what, Unsupported: true}
}

// rest returns what has not been read yet.
func (p *parser) rest() string { return p.expression[p.at:] }

// take reads a prefix, if it is there.
func (p *parser) take(prefix string) bool {
	if !strings.HasPrefix(p.rest(), prefix) {
		return false
	}
	p.at += len(prefix)
	return true
}

// next reads a rune, which must be there.
func (p *parser) next() rune {
	r, size := utf8.DecodeRuneInString(p.rest())
	p.at += size
	return r
}

// alternatives reads up to the end of the expression or of its group.
func (p *parser) alternatives() (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.unsupported("more than " + strconv.Itoa(maxDepth) + " groups in groups")
	}
	fold := p.fold // (?i) holds up to the end of the group
	defer func() { p.depth, p.fold = p.depth-1, fold }()
	n := &node{kind: alternatives, at: p.at}
	for {
		branch := &node{kind: sequence, at: p.at}
		for p.rest() != "" && p.rest()[0] != '|' && p.rest()[0] != ')' {
			part, err := p.repeated()
			if err != nil {
				return nil, err
			}
			branch.parts = append(branch.parts, part)
		}
		n.parts = append(n.parts, branch)
		if !p.take("|") {
			break
		}
	}
	if len(n.parts) == 1 {
		return n.parts[0], nil
	}
	return n, nil
}

// repeated reads an atom and the quantifiers after it.
func (p *parser) repeated() (*node, error) {
	n, err := p.atom()
	if err != nil {
		return nil, err
	}
	for {
		q, ok, err := p.quantifier()
		if err != nil || !ok {
			return n, err
		}
		if k := n.kind; k != one && k != sequence && k != alternatives && k != repetition {
			return nil, p.unsupported("a repetition of something that takes no text")
		}
		q.parts = []*node{n}
		n = q
	}
}

// quantifier reads a quantifier, if there is one. After one in braces, a + is
// another one, as it is in Ruby.
func (p *parser) quantifier() (*node, bool, error) {
	q := &node{kind: repetition, max: -1, at: p.at}
	braces := false
	switch {
	case p.take("*"):
	case p.take("+"):
		q.min = 1
	case p.take("?"):
		q.max = 1
	default:
		var err error
		if braces, err = p.braces(q); err != nil || !braces {
			return nil, false, err
		}
	}
	if p.take("?") {
		q.lazy = true
	} else if !braces && p.take("+") {
		q.atomic = true
	}
	return q, true, nil
}

// braces reads {n}, {n,}, {,m} or {n,m}; braces with anything else in them are
// text.
func (p *parser) braces(q *node) (bool, error) {
	body, _, ok := strings.Cut(p.rest(), "}")
	if !ok || !strings.HasPrefix(body, "{") {
		return false, nil
	}
	low, high, ranged := strings.Cut(body[1:], ",")
	number := func(s string, otherwise int) (int, bool) {
		if s == "" {
			return otherwise, true
		}
		n, err := strconv.ParseUint(s, 10, 31)
		return int(n), err == nil
	}
	var lowOK, highOK bool
	q.min, lowOK = number(low, 0)
	q.max, highOK = number(high, -1)
	if !lowOK || !highOK || low == "" && high == "" {
		return false, nil
	}
	if !ranged {
		q.max = q.min
	}
	if q.max >= 0 && q.min > q.max {
		return false, p.unsupported("a repetition that takes more than it may")
	}
	if max(q.min, q.max) > maxRepeat {
		return false, p.unsupported("a repetition of more than " + strconv.Itoa(maxRepeat))
	}
	p.at += len(body) + 1
	return true, nil
}

func (p *parser) atom() (*node, error) {
	at := p.at
	n := &node{kind: one, at: at}
	var err error
	switch r := p.next(); r {
	case '(':
		return p.group()
	case '[':
		n.set, err = p.class(0)
	case '.':
		n.set = &set{negative: true, ranges: []runeRange{{'\n', '\n'}}}
	case '^':
		n.kind = lineStart
	case '$':
		n.kind = lineEnd
	case '*', '+', '?':
		p.at = at
		return nil, p.malformed("repeats nothing")
	case '\\':
		var anchor bool
		if n.kind, anchor = p.anchor(); !anchor {
			n.kind = one
			n.set, err = p.escape()
		}
	default:
		n.set = &set{ranges: []runeRange{{r, r}}}
	}
	if n.set != nil {
		n.set.fold = p.fold
	}
	return n, err
}

// anchor reads the rest of an escape that stands for a place, if it does.
func (p *parser) anchor() (kind, bool) {
	for escape, k := range map[string]kind{
		"A": textStart, "z": textEnd, "Z": lastLineEnd, "b": boundary, "B": noBoundary,
	} {
		if p.take(escape) {
			return k, true
		}
	}
	return 0, false
}

// group reads the rest of a group.
func (p *parser) group() (*node, error) {
	at := p.at - 1
	n := &node{kind: around, at: at}
	fold := p.fold
	switch {
	case p.take("?:"), !strings.HasPrefix(p.rest(), "?"):
		n = nil
	case p.take("?="):
	case p.take("?!"):
		n.negative = true
	case p.take("?<="):
		n.behind = true
	case p.take("?<!"):
		n.behind, n.negative = true, true
	case p.take("?>"):
		n = &node{kind: repetition, min: 1, max: 1, atomic: true, at: at}
	case p.take("?<"):
		end := strings.IndexByte(p.rest(), '>')
		if end < 0 {
			return nil, p.malformed("has a name without an end")
		}
		p.at += end + 1
		n = nil
	case p.take("?i:"):
		p.fold, n = true, nil
	case p.take("?-i:"):
		p.fold, n = false, nil
	case p.take("?i)"):
		// By itself it holds for all that follows in the group, further
		// alternatives too.
		p.fold = true
		return p.alternatives()
	case p.take("?-i)"):
		p.fold = false
		return p.alternatives()
	default:
		return nil, p.unsupported("a group of the kind (" + p.rest()[:min(2, len(p.rest()))])
	}
	body, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	p.fold = fold
	if !p.take(")") {
		return nil, p.malformed("lacks a )")
	}
	if n == nil {
		return body, nil
	}
	n.parts = []*node{body}
	return n, nil
}

// escape reads the rest of an escape that stands for a rune or a class.
func (p *parser) escape() (*set, error) {
	if p.rest() == "" {
		return nil, p.malformed("ends in a \\")
	}
	at := p.at
	switch r := p.next(); r {
	case 'n':
		return single('\n'), nil
	case 'r':
		return single('\r'), nil
	case 't':
		return single('\t'), nil
	case 'f':
		return single('\f'), nil
	case 'v':
		return single('\v'), nil
	case 'a':
		return single('\a'), nil
	case 'e':
		return single('\x1b'), nil
	case 's', 'S':
		return &set{negative: r == 'S', tables: []*unicode.RangeTable{unicode.White_Space}}, nil
	case 'd', 'D':
		return &set{negative: r == 'D', tables: []*unicode.RangeTable{unicode.Nd}}, nil
	case 'w', 'W':
		return &set{negative: r == 'W', tables: word}, nil
	case 'x':
		return p.code(2)
	case 'u':
		return p.code(4)
	case 'p', 'P':
		return p.property(r == 'P')
	default:
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			p.at = at
			return nil, p.unsupported("the escape \\" + string(r))
		}
		return single(r), nil
	}
}

// code reads the hexadecimal number of a rune: so many digits, or any number in
// braces.
func (p *parser) code(digits int) (*set, error) {
	number := p.rest()[:min(digits, len(p.rest()))]
	length := len(number)
	if p.take("{") {
		inside, _, ok := strings.Cut(p.rest(), "}")
		if !ok {
			return nil, p.malformed("lacks a }")
		}
		number, length = inside, len(inside)+1
	}
	n, err := strconv.ParseUint(number, 16, 32)
	if err != nil || !utf8.ValidRune(rune(n)) {
		return nil, p.malformed("has no number of a character after the escape")
	}
	p.at += length
	return single(rune(n)), nil
}

// property reads the name of a property of Unicode.
func (p *parser) property(negative bool) (*set, error) {
	_, length := utf8.DecodeRuneInString(p.rest())
	name := p.rest()[:length]
	if p.take("{") {
		inside, _, ok := strings.Cut(p.rest(), "}")
		if !ok {
			return nil, p.malformed("lacks a }")
		}
		name, length = inside, len(inside)+1
	}
	if rest, ok := strings.CutPrefix(name, "^"); ok {
		name, negative = rest, !negative
	}
	table := property(name)
	if table == nil {
		return nil, p.unsupported("the property " + name)
	}
	p.at += length
	return &set{negative: negative, tables: []*unicode.RangeTable{table}}, nil
}

// class reads the rest of a class in brackets; another one in it adds to it.
func (p *parser) class(depth int) (*set, error) {
	if depth == maxDepth {
		return nil, p.unsupported("more than " + strconv.Itoa(maxDepth) + " classes in classes")
	}
	s := new(set)
	s.negative = p.take("^")
	for first := true; ; first = false {
		if p.rest() == "" {
			return nil, p.malformed("lacks a ]")
		}
		if !first && p.take("]") {
			return s, nil
		}
		if strings.HasPrefix(p.rest(), "[:") {
			return nil, p.unsupported("a POSIX class")
		}
		if strings.HasPrefix(p.rest(), "&&") {
			return nil, p.unsupported("an intersection of classes")
		}
		if p.take("[") {
			inner, err := p.class(depth + 1)
			if err != nil {
				return nil, err
			}
			s.sets = append(s.sets, inner)
			continue
		}
		low, err := p.member()
		if err != nil {
			return nil, err
		}
		from, isRune := low.rune()
		if !isRune || !strings.HasPrefix(p.rest(), "-") || strings.HasPrefix(p.rest(), "-]") {
			s.sets = append(s.sets, low)
			continue
		}
		p.take("-")
		if p.rest() == "" {
			return nil, p.malformed("lacks a ]")
		}
		high, err := p.member()
		if err != nil {
			return nil, err
		}
		to, isRune := high.rune()
		if !isRune || to < from {
			return nil, p.malformed("has a range without an end")
		}
		s.ranges = append(s.ranges, runeRange{from, to})
	}
}

// member reads a rune, or an escape, in a class.
func (p *parser) member() (*set, error) {
	if p.take(`\b`) {
		return single('\b'), nil
	}
	if p.take(`\`) {
		return p.escape()
	}
	return single(p.next()), nil
}
