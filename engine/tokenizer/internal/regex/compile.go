package regex

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// program is what a search runs: steps, each of which leads on to another.
type program struct {
	steps []step
	start int
	forks int // the number of steps that fork
	runs  int // the number of steps of spans without limit
	// first are the bytes that a match may begin with, if it wants any.
	wants bool
	first [256]bool
}

// step is an instruction.
type step struct {
	op       op
	next     int
	other    int    // of fork: the step to go on with once next has failed
	fork     int    // of fork: its number among those
	set      *set   // of take and span
	min, max int    // of span: the number of runes; max is -1 for no limit
	run      int    // of span without limit: its number among those
	place    kind   // of stand
	views    []view // of look: one of them must match, unless negative
	behind   bool
	negative bool
}

type op uint8

const (
	match op = iota
	take     // a rune of the set
	span     // runes of the set, as many as there are, giving none back
	fork
	stand // at a place
	look  // around
)

// view is what look-around looks for. Looking behind, it has a fixed width.
type view struct {
	program program
	runes   int
}

type compiler struct {
	program
	looking bool // whether this is a view
}

func compile(root *node) (program, error) {
	c := &compiler{}
	return c.compile(root)
}

func (c *compiler) compile(root *node) (program, error) {
	c.steps = []step{{op: match}}
	var err error
	if c.start, err = c.emit(root, 0); err == nil {
		c.wants = c.begin(c.start, make(map[int]bool))
	}
	return c.program, err
}

// begin collects the bytes that a match from a step on may begin with, and says
// whether it must begin with one of them. Where that takes looking further,
// there is no telling.
func (c *compiler) begin(i int, seen map[int]bool) bool {
	if seen[i] {
		return true
	}
	seen[i] = true
	s := &c.steps[i]
	switch {
	case s.op == take || s.op == span && s.min > 0:
		for b := range c.first {
			c.first[b] = c.first[b] || b >= utf8.RuneSelf || s.set.has(rune(b))
		}
		return true
	case s.op == fork:
		return c.begin(s.next, seen) && c.begin(s.other, seen)
	case s.op == stand || s.op == look:
		return c.begin(s.next, seen)
	}
	return false
}

// emit adds the steps of a node that lead to the step next, and returns the
// first of them, or next if there are none.
func (c *compiler) emit(n *node, next int) (int, error) {
	switch n.kind {
	case one:
		n.set.compile()
		return c.add(n, step{op: take, set: n.set, next: next})
	case sequence:
		var err error
		for _, part := range slices.Backward(n.parts) {
			if next, err = c.emit(part, next); err != nil {
				return 0, err
			}
		}
		return next, nil
	case alternatives:
		return c.alternatives(n, next)
	case repetition:
		if n.atomic {
			return c.span(n, next)
		}
		return c.repetition(n, next)
	case around:
		return c.around(n, next)
	}
	return c.add(n, step{op: stand, place: n.kind, next: next})
}

func (c *compiler) add(n *node, s step) (int, error) {
	if len(c.steps) == maxSteps {
		return 0, &Error{n.at, true, fmt.Sprintf("takes more than %d steps", maxSteps)}
	}
	if s.op == fork {
		if c.forks == maxForks {
			return 0, &Error{n.at, true, fmt.Sprintf("leaves more than %d choices", maxForks)}
		}
		s.fork = c.forks
		c.forks++
	}
	c.steps = append(c.steps, s)
	return len(c.steps) - 1, nil
}

// alternatives forks from each to the next.
func (c *compiler) alternatives(n *node, next int) (int, error) {
	first, err := c.emit(n.parts[len(n.parts)-1], next)
	for _, part := range slices.Backward(n.parts[:len(n.parts)-1]) {
		if err != nil {
			return 0, err
		}
		var entry int
		if entry, err = c.emit(part, next); err == nil {
			first, err = c.add(n, step{op: fork, next: entry, other: first})
		}
	}
	return first, err
}

// repetition repeats the steps of the body: as often as must be, then in a loop
// or, where there is a limit, x?x? as (x(x)?)?.
func (c *compiler) repetition(n *node, next int) (int, error) {
	body, exit := n.parts[0], next
	order := func(s *step, entry int) {
		if s.next, s.other = entry, exit; n.lazy {
			s.next, s.other = exit, entry
		}
	}
	if n.max < 0 {
		// Backtracking engines differ in what comes after a round of nothing.
		if low, _ := body.width(); low == 0 {
			return 0, &Error{n.at, true, "repeats without limit what may match nothing"}
		}
		loop, err := c.add(n, step{op: fork})
		if err != nil {
			return 0, err
		}
		entry, err := c.emit(body, loop)
		if err != nil {
			return 0, err
		}
		order(&c.steps[loop], entry)
		next = loop
	}
	for range n.max - n.min {
		entry, err := c.emit(body, next)
		if err != nil || entry == next {
			return next, err // of a body without steps, once is enough
		}
		s := step{op: fork}
		order(&s, entry)
		if next, err = c.add(n, s); err != nil {
			return 0, err
		}
	}
	for range n.min {
		entry, err := c.emit(body, next)
		if err != nil || entry == next {
			return next, err
		}
		next = entry
	}
	return next, nil
}

// span compiles a repetition that gives nothing back, of one rune or of a
// repetition of one.
func (c *compiler) span(n *node, next int) (int, error) {
	body, low, high := bare(n.parts[0]), n.min, n.max
	if body.kind == repetition && low == 1 && high == 1 && !body.lazy {
		body, low, high = bare(body.parts[0]), body.min, body.max
	}
	if body.kind != one {
		return 0, &Error{n.at, true, "has a group that gives nothing back, of more than one character"}
	}
	body.set.compile()
	s := step{op: span, set: body.set, min: low, max: high, next: next}
	if high < 0 {
		s.run = c.runs
		c.runs++
	}
	return c.add(n, s)
}

// bare takes a node out of the groups around it.
func bare(n *node) *node {
	for n.kind == sequence && len(n.parts) == 1 {
		n = n.parts[0]
	}
	return n
}

// around compiles look-around.
func (c *compiler) around(n *node, next int) (int, error) {
	if c.looking {
		return 0, &Error{n.at, true, "looks around inside of look-around"}
	}
	s := step{op: look, behind: n.behind, negative: n.negative, next: next}
	branches := []*node{n.parts[0]}
	if n.parts[0].kind == alternatives {
		branches = n.parts[0].parts
	}
	for _, branch := range branches {
		low, high := branch.width()
		if high > maxLook || n.behind && low != high {
			return 0, &Error{branch.at, true, fmt.Sprintf("looks around for more than %d characters or, behind, for any number of them", maxLook)}
		}
		inner := &compiler{looking: true}
		p, err := inner.compile(branch)
		if err != nil {
			return 0, err
		}
		s.views = append(s.views, view{p, low})
	}
	return c.add(n, s)
}

// width returns the least and the greatest number of runes that a node matches.
// Beyond maxLook they need not be exact.
func (n *node) width() (low, high int) {
	switch n.kind {
	case one:
		return 1, 1
	case sequence:
		for _, part := range n.parts {
			l, h := part.width()
			low, high = min(low+l, maxLook+1), min(high+h, maxLook+1)
		}
	case alternatives:
		low = maxLook + 1
		for _, part := range n.parts {
			l, h := part.width()
			low, high = min(low, l), max(high, h)
		}
	case repetition:
		l, h := n.parts[0].width()
		low, high = min(l*n.min, maxLook+1), min(h*n.max, maxLook+1)
		if n.max < 0 && h > 0 {
			high = maxLook + 1
		}
		high = max(high, 0)
	}
	return low, high
}
