package point

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
)

// Resolve returns what a specification, as the package describes them, selects
// of the points of a graph, in the order of execution. Globs leave hook_tokens
// out, which are no activations. Errors are a [*SyntaxError], an
// [*UnknownError] with near names, or a [*MismatchError].
func Resolve(g *arch.Graph, info arch.Info, spec string) ([]Selection, error) {
	return newNames(g, info).resolve(spec)
}

// Resolver resolves many specifications on one graph. It is safe for concurrent
// use.
type Resolver struct{ names *names }

// NewResolver returns the resolver of a graph.
func NewResolver(g *arch.Graph, info arch.Info) Resolver { return Resolver{newNames(g, info)} }

// Resolve is the function of that name.
func (r Resolver) Resolve(spec string) ([]Selection, error) { return r.names.resolve(spec) }

// ResolveList is [Resolve] for a comma list of specifications; commas inside
// brackets do not separate. What is asked for twice is given once.
func ResolveList(g *arch.Graph, info arch.Info, list string) ([]Selection, error) {
	specs, err := split(list)
	if err != nil {
		return nil, err
	}
	n := newNames(g, info)
	var all []Selection
	seen := map[string]bool{}
	for _, spec := range specs {
		selections, err := n.resolve(spec)
		if err != nil {
			return nil, err
		}
		for _, s := range selections {
			if !seen[s.Name] {
				seen[s.Name] = true
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// split cuts a list at the commas outside of brackets.
func split(list string) ([]string, error) {
	var specs []string
	from := 0
	for {
		i, err := outside(list, from, ",")
		if err != nil {
			return nil, err
		}
		if i < 0 {
			return append(specs, list[from:]), nil
		}
		specs = append(specs, list[from:i])
		from = i + 1
	}
}

// outside returns the index, from an offset on, of the first of the characters
// that stands outside of brackets, or −1.
func outside(s string, from int, chars string) (int, error) {
	open := -1
	for i := from; i < len(s); i++ {
		switch c := s[i]; {
		case c == '[' && open >= 0:
			return 0, &SyntaxError{s, i, "a bracket opens inside another; close the first one before"}
		case c == '[':
			open = i
		case c == ']' && open < 0:
			return 0, &SyntaxError{s, i, "a bracket closes that was not opened"}
		case c == ']':
			open = -1
		case open < 0 && strings.IndexByte(chars, c) >= 0:
			return i, nil
		}
	}
	if open >= 0 {
		return 0, &SyntaxError{s, open, "a bracket is not closed; add a ]"}
	}
	return -1, nil
}

func (n *names) resolve(spec string) ([]Selection, error) {
	spec = strings.TrimSpace(spec)
	if _, err := outside(spec, 0, ""); err != nil {
		return nil, err
	}
	head, slice := spec, ""
	if _, ok := n.lookup(spec); !ok && strings.HasSuffix(spec, "]") {
		i := strings.LastIndexByte(spec, '[')
		head, slice = spec[:i], spec[i:]
	}
	if strings.TrimSpace(head) == "" {
		return nil, &SyntaxError{spec, 0, "a point needs a name"}
	}
	items, err := parseSlice(spec, len(head))
	if err != nil {
		return nil, err
	}
	matches, err := n.expand(head, slice)
	if err != nil {
		return nil, err
	}
	if elements := n.tuples[strings.Join(strings.Fields(head), "")]; elements != nil {
		if slices.ContainsFunc(items, func(it item) bool { return it.letter == "" }) {
			return nil, n.unknown(strings.TrimSpace(head), slice) // an element that there is not
		}
		matches = elements
	}
	var all []Selection
	for _, name := range matches {
		m, ok := n.lookup(name)
		if !ok {
			return nil, n.unknown(strings.TrimSpace(name), slice)
		}
		s := whole(name+slice, *m.point)
		own, err := parseSlice(m.slice, 0)
		if err == nil {
			err = s.narrow(own)
		}
		if err == nil {
			err = s.narrow(items)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// lookup returns what a name means; spaces in it do not count.
func (n *names) lookup(name string) (meaning, bool) {
	m, ok := n.known[strings.Join(strings.Fields(name), "")]
	return m, ok
}

var layerRange = regexp.MustCompile(`^blocks\.(\d+)-(\d+)\.`)

// expand returns the names that a name with layer ranges and globs stands for:
// itself where it has neither.
func (n *names) expand(name, slice string) ([]string, error) {
	expanded := []string{name}
	if m := layerRange.FindStringSubmatch(name); m != nil {
		expanded = nil
		lo, err1 := strconv.Atoi(m[1])
		hi, err2 := strconv.Atoi(m[2])
		switch {
		case err1 == nil && err2 == nil && lo > hi:
			return nil, &UnknownError{Name: name + slice, Reason: fmt.Sprintf("its range of blocks ends before it begins: write %d-%d", hi, lo)}
		case err1 != nil || err2 != nil || hi >= n.info.Layers:
			return nil, &UnknownError{Name: name + slice, Reason: fmt.Sprintf("its blocks are 0 to %d", n.info.Layers-1)}
		}
		for l := lo; l <= hi; l++ {
			expanded = append(expanded, fmt.Sprintf("blocks.%d.%s", l, name[len(m[0]):]))
		}
	}
	if !strings.ContainsAny(name, "*?") {
		return expanded, nil
	}
	var matched []string
	for _, p := range n.graph.Points {
		if p.Stage != arch.IDs && slices.ContainsFunc(expanded, func(pattern string) bool { return match(strings.TrimSpace(pattern), p.Name) }) {
			matched = append(matched, p.Name)
		}
	}
	if matched == nil {
		return nil, &UnknownError{Name: name + slice, Reason: "no name matches; a star stands for any characters, a question mark for one"}
	}
	return matched, nil
}

// match tells whether a glob matches a name.
func match(pattern, name string) bool {
	// The last star can be made to match more, so no earlier one has to.
	p, i, star, resume := 0, 0, -1, 0
	for i < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[i]):
			p++
			i++
		case star >= 0:
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// item is one place of a slice.
type item struct {
	letter string // of the axis; empty for the one at its place
	place  int    // from the end where it is negative
	Range
	text string
}

var (
	letterItem = regexp.MustCompile(`^([A-Za-z]+)\s*(?:=\s*(.*))?$`)
	rangeItem  = regexp.MustCompile(`^([+-]?\d+)?\s*:\s*([+-]?\d+)?$`)
	indexItem  = regexp.MustCompile(`^[+-]?\d+$`)
)

// parseSlice reads the slice of a specification, brackets included, that begins
// at an offset; there is none at the end.
func parseSlice(spec string, offset int) ([]item, error) {
	if offset == len(spec) {
		return nil, nil
	}
	texts := strings.Split(spec[offset+1:len(spec)-1], ",")
	at, dots := offset+1, -1
	var items []item
	for i, text := range texts {
		it := item{place: i, text: strings.TrimSpace(text)}
		if it.text == "..." {
			if dots >= 0 {
				return nil, &SyntaxError{spec, at, `"..." can stand once`}
			}
			dots = i
		} else {
			reason := it.parse()
			if reason != "" {
				return nil, &SyntaxError{spec, at, reason}
			}
			if dots >= 0 {
				it.place -= len(texts)
			}
			items = append(items, it)
		}
		at += len(text) + 1
	}
	return items, nil
}

// parse reads the text of an item, and says why it cannot where it cannot.
func (it *item) parse() string {
	body := it.text
	if m := letterItem.FindStringSubmatch(body); m != nil {
		it.letter, body = m[1], m[2]
		if !strings.Contains(it.text, "=") {
			body = ":"
		}
	}
	number := func(s string, otherwise int) (int, bool) {
		if s == "" {
			return otherwise, true
		}
		i, err := strconv.Atoi(s)
		return i, err == nil && i >= -math.MaxInt32 && i < math.MaxInt32
	}
	m := rangeItem.FindStringSubmatch(body)
	switch {
	case m != nil:
		lo, ok1 := number(m[1], 0)
		hi, ok2 := number(m[2], End)
		it.Range = Range{lo, hi, false}
		if ok1 && ok2 {
			return ""
		}
	case indexItem.MatchString(body):
		if i, ok := number(body, 0); ok {
			it.Range = index(i)
			return ""
		}
	case strings.Count(body, ":") > 1:
		return fmt.Sprintf("%q has a step, and slices have none; write lo:hi", it.text)
	case it.text == "":
		return `a slice needs an index, a range like 5:9, or ":"`
	default:
		return fmt.Sprintf("%q is neither an index nor a range; write h=3 or t=5:9", it.text)
	}
	return fmt.Sprintf("%q is too large a number", it.text)
}

// narrow applies a slice to the axes that no earlier one dropped.
func (s *Selection) narrow(items []item) error {
	axes, ranges := s.Kept(), slices.Clone(s.Ranges)
	used := map[int]bool{}
	for _, it := range items {
		place := it.place
		if place < 0 {
			place += len(axes)
		}
		if it.letter != "" {
			place = slices.IndexFunc(axes, func(axis int) bool { return called(s.Point.Axes[axis], it.letter) })
		}
		if place < 0 || place >= len(axes) {
			return mismatch(s.Name, "has no axis for %q: its axes are %s", it.text, s.shape())
		}
		axis := axes[place]
		if used[axis] {
			return mismatch(s.Name, "slices axis %s twice", s.Point.Axes[axis].Letter)
		}
		used[axis] = true
		r, reason := it.within(s.Point.Axes[axis])
		if reason != "" {
			return mismatch(s.Name, "%s", reason)
		}
		ranges[axis] = r
	}
	s.Ranges = ranges
	return nil
}

// called tells whether a letter of a slice names an axis.
func called(a arch.Axis, letter string) bool {
	axis := strings.ToUpper(a.Letter)
	letter = strings.ToUpper(letter)
	other := map[string]string{"K": "H", "P": "T", "DE": "D"}[axis]
	return letter == axis || letter == other
}

// within returns the range on an axis, counted from its start where the model
// knows its size, and says why where it is outside of it or empty.
func (it item) within(a arch.Axis) (r Range, reason string) {
	r = it.Range
	if n := a.Size; n > 0 {
		has := fmt.Sprintf("axis %s has %d values", a.Letter, n)
		if r.Lo < -n || r.Lo >= n || r.Hi != End && (r.Hi < -n || r.Hi > n) {
			return r, fmt.Sprintf("has nothing at %q: %s", it.text, has)
		}
		r.Lo, r.Hi = r.Bounds(n)
		if it.Range == All {
			return All, ""
		}
	}
	if n, ok := r.fixed(); ok && n <= 0 || r.Hi == 0 {
		return r, fmt.Sprintf("is empty at %q", it.text)
	}
	return r, ""
}
