package toy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk"
)

// kind is what is at a place.
type kind uint8

const (
	embeddings kind = iota // [T,D]: the word embeddings
	hidden                 // [T,D]: what block layer reads, and after the last one what it gave
	attentions             // [H,T,S]
)

// place is a point without a slice.
type place struct {
	kind  kind
	layer int
}

// axes are the letters of a point's axes, rows first.
func (k kind) axes() string {
	if k == attentions {
		return "bhts"
	}
	return "btd"
}

// need is what a method needs to read the point.
func (k kind) need() sdk.Need {
	return [...]sdk.Need{sdk.NeedEmbeddings, sdk.NeedHiddenStates, sdk.NeedAttentions}[k]
}

// dims returns the dimensions of a point in a row of t tokens, without the axis
// of rows.
func (at place) dims(n network, t int) []int {
	if at.kind == attentions {
		return []int{heads, t, t}
	}
	return []int{t, n.width()}
}

// extent is what a slice takes of an axis: as in Python, bounds may be left out
// and count from the end where they are negative.
type extent struct {
	low, high int
	open      bool // to the end
	index     bool // one place, whose axis is dropped
}

// bounds returns the part of an axis of n.
func (e extent) bounds(n int) (low, high int) {
	if e.index {
		at := e.low
		if at < 0 {
			at += n
		}
		if at < 0 || at >= n {
			return 0, 0
		}
		return at, at + 1
	}
	low, high = e.low, e.high
	if low < 0 {
		low += n
	}
	if e.open {
		high = n
	} else if high < 0 {
		high += n
	}
	low, high = min(max(low, 0), n), min(max(high, 0), n)
	return low, max(low, high)
}

// selection is a part of a point: an extent for each of its axes.
type selection struct {
	name string
	place
	extents []extent
}

// resolve returns what a name stands for, several selections for a tuple
// without an index. It is ENAME for what the model does not have and EINVAL for
// a slice that cannot be read.
func resolve(n network, name string) ([]selection, error) {
	base, brackets, _ := strings.Cut(name, "[")
	var list []string
	for brackets != "" {
		content, rest, ok := strings.Cut(brackets, "]")
		if !ok || rest != "" && rest[0] != '[' {
			return nil, unreadable(name)
		}
		list = append(list, content)
		brackets = strings.TrimPrefix(rest, "[")
		if rest != "" && brackets == "" {
			return nil, unreadable(name)
		}
	}
	places, list, err := find(n, name, base, list)
	if err != nil {
		return nil, err
	}
	var out []selection
	for _, at := range places {
		s := selection{name: name, place: at}
		if s.extents, err = parseSlice(name, at.kind.axes(), list); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func unreadable(name string) error {
	return invalid("the point " + strconv.Quote(name) + " has a slice that cannot be read: write NAME[h=1] or NAME[h=1,t=2:5]")
}

func noPoint(name string) error {
	return sdk.NewError(sdk.EName, "the model has no point "+strconv.Quote(name))
}

// find returns the places of a name, and the slices that are left of it.
func find(n network, name, base string, list []string) ([]place, []string, error) {
	tuple := func(k kind, size int) ([]place, []string, error) {
		if size == 0 || n.layers() == 0 {
			return nil, nil, noPoint(name)
		}
		if len(list) > 0 {
			if i, err := strconv.Atoi(list[0]); err == nil {
				if i < 0 {
					i += size
				}
				if i < 0 || i >= size {
					return nil, nil, noPoint(name)
				}
				return []place{{k, i}}, list[1:], nil
			}
		}
		all := make([]place, size)
		for i := range all {
			all[i] = place{k, i}
		}
		return all, list, nil
	}
	switch base {
	case "embeddings", "hook_embed":
		return []place{{kind: embeddings}}, list, nil
	case "hidden_states":
		return tuple(hidden, n.layers()+1)
	case "attentions":
		return tuple(attentions, n.layers())
	}
	for l := range n.layers() {
		prefix := "blocks." + strconv.Itoa(l) + "."
		switch base {
		case prefix + "hook_in", prefix + "hook_resid_pre":
			return []place{{hidden, l}}, list, nil
		case prefix + "hook_out", prefix + "hook_normalized_resid_post":
			return []place{{hidden, l + 1}}, list, nil
		case prefix + "attn.hook_pattern":
			return []place{{attentions, l}}, list, nil
		}
	}
	return nil, nil, noPoint(name)
}

// parseSlice reads at most one slice: items of one axis each, by letter or by
// place, with an ellipsis for what stands between.
func parseSlice(name, axes string, list []string) ([]extent, error) {
	extents := slices.Repeat([]extent{{open: true}}, len(axes))
	if len(list) == 0 {
		return extents, nil
	}
	if len(list) > 1 {
		return nil, unreadable(name)
	}
	items := strings.Split(list[0], ",")
	at, taken := 0, make([]bool, len(axes))
	for i, item := range items {
		item = strings.TrimSpace(item)
		if item == "..." {
			at = len(axes) - (len(items) - i - 1)
			continue
		}
		axis := at
		if letter, value, ok := strings.Cut(item, "="); ok {
			axis, item = -1, value
			if len(letter) == 1 {
				axis = strings.Index(axes, strings.ToLower(letter))
			}
		} else {
			at++
		}
		if axis < 0 || axis >= len(axes) || taken[axis] {
			return nil, unreadable(name)
		}
		taken[axis] = true
		e, ok := parseExtent(strings.TrimSpace(item))
		if !ok {
			return nil, unreadable(name)
		}
		extents[axis] = e
	}
	return extents, nil
}

func parseExtent(item string) (e extent, ok bool) {
	low, high, isRange := strings.Cut(item, ":")
	number := func(text string) int {
		v, err := strconv.Atoi(text)
		ok = ok && err == nil
		return v
	}
	ok = true
	if !isRange {
		return extent{low: number(low), index: true}, ok
	}
	if low != "" {
		e.low = number(low)
	}
	if e.open = high == ""; !e.open {
		e.high = number(high)
	}
	return e, ok
}

// grid calls f with each place of an array of dims that lies in the ranges, and
// with its count.
func grid(dims []int, ranges [][2]int, f func(at, i int)) {
	index := make([]int, len(dims))
	for axis, r := range ranges {
		if r[0] >= r[1] {
			return
		}
		index[axis] = r[0]
	}
	for i := 0; ; i++ {
		at := 0
		for axis, n := range dims {
			at = at*n + index[axis]
		}
		f(at, i)
		axis := len(dims) - 1
		for ; axis >= 0; axis-- {
			if index[axis]++; index[axis] < ranges[axis][1] {
				break
			}
			index[axis] = ranges[axis][0]
		}
		if axis < 0 {
			return
		}
	}
}

// ranges returns the part of each axis but that of rows.
func (s selection) ranges(dims []int) [][2]int {
	out := make([][2]int, len(dims))
	for axis, n := range dims {
		out[axis][0], out[axis][1] = s.extents[axis+1].bounds(n)
	}
	return out
}

// sizes returns how much of each axis but that of rows there is.
func (s selection) sizes(dims []int) []int {
	out := make([]int, len(dims))
	for axis, r := range s.ranges(dims) {
		out[axis] = r[1] - r[0]
	}
	return out
}

// change is an edit of one row.
type change struct {
	selection
	op    sdk.EditOp
	value []float64 // of one element, or as valueDims say
	// valueDims are the value's dimensions without that of rows; those that are 1
	// are repeated.
	valueDims []int
}

// each calls f with every place of the selection, and with the value for it.
func (c *change) each(dims []int, f func(at int, value float64)) {
	sizes := c.sizes(dims)
	grid(dims, c.ranges(dims), func(at, i int) {
		v := 0.0
		switch {
		case len(c.value) == 1:
			v = c.value[0]
		case c.value != nil:
			from, stride := 0, 1
			for axis := len(sizes) - 1; axis >= 0; axis-- {
				if c.valueDims[axis] > 1 {
					from += i % sizes[axis] * stride
				}
				i /= sizes[axis]
				stride *= c.valueDims[axis]
			}
			v = c.value[from]
		}
		f(at, v)
	})
}

// apply changes v, an array of dims.
func (c *change) apply(v []float64, dims []int) {
	var mean []float64
	if c.op == sdk.EditMean {
		mean = c.mean(v, dims)
	}
	c.each(dims, func(at int, value float64) {
		switch c.op {
		case sdk.EditReplace:
			v[at] = value
		case sdk.EditZero:
			v[at] = 0
		case sdk.EditMean:
			v[at] = mean[c.withoutPosition(at, dims)]
		case sdk.EditAdd:
			v[at] += value
		case sdk.EditScale:
			v[at] = float64(v[at] * value)
		}
	})
}

// back takes the gradient g after the change to the one before it, in place.
func (c *change) back(g []float64, dims []int) {
	positions := dims[len(dims)-2]
	var spread []float64 // over all positions, from what became their mean
	c.each(dims, func(at int, value float64) {
		switch c.op {
		case sdk.EditReplace, sdk.EditZero:
			g[at] = 0
		case sdk.EditMean:
			if spread == nil {
				spread = make([]float64, len(g)/positions)
			}
			spread[c.withoutPosition(at, dims)] += g[at]
			g[at] = 0
		case sdk.EditScale:
			g[at] = float64(g[at] * value)
		}
	})
	if spread != nil {
		for at := range g {
			g[at] += spread[c.withoutPosition(at, dims)] / float64(positions)
		}
	}
}

// withoutPosition returns where a place is when the axis of positions, the last
// but one, is left out.
func (c *change) withoutPosition(at int, dims []int) int {
	last, positions := dims[len(dims)-1], dims[len(dims)-2]
	return at/(last*positions)*last + at%last
}

// mean returns the means over the positions.
func (c *change) mean(v []float64, dims []int) []float64 {
	positions := dims[len(dims)-2]
	out := make([]float64, len(v)/positions)
	for at, x := range v {
		out[c.withoutPosition(at, dims)] += x
	}
	for i := range out {
		out[i] /= float64(positions)
	}
	return out
}
