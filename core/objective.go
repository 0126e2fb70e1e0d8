package core

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// scale is how the logits of a row are read.
type scale struct {
	output  sdk.Output
	head    head
	classes int
	spans   bool // probabilities run over the positions, start and end apart
}

// spot is a logit among those that the head answers to a row with: [rows,classes].
type spot struct{ row, class int }

// rivals returns the logits that a logit's probability is relative to, itself
// among them: n of them from first on, step apart.
func (c scale) rivals(logits []float64, at spot) (first, step, n int) {
	if c.spans {
		return at.class, c.classes, len(logits) / c.classes
	}
	return at.row * c.classes, 1, c.classes
}

// norm returns the logarithm of the sum of the exponentials of a logit's rivals.
func (c scale) norm(logits []float64, at spot) float64 {
	first, step, n := c.rivals(logits, at)
	if step == 1 {
		return num.LogSumExp(logits[first : first+n])
	}
	x := make([]float64, n)
	for k := range x {
		x[k] = logits[first+k*step]
	}
	return num.LogSumExp(x)
}

// read appends two values for each spot: the logit, and the logarithm of its
// probability, 0 where the output is the logit.
func (c scale) read(dst, logits []float64, spots []spot) []float64 {
	var norm float64
	for i, at := range spots {
		x, logprob := logits[at.row*c.classes+at.class], 0.0
		switch {
		case c.output == sdk.Logit:
		case c.head == multiLabel: // each class by itself: log σ(x) = −log(1+e^−x)
			logprob = -num.LogSumExp([]float64{0, -x})
		default:
			if i == 0 || !c.compete(at, spots[i-1]) {
				norm = c.norm(logits, at)
			}
			logprob = x - norm
		}
		dst = append(dst, x, logprob)
	}
	return dst
}

// compete reports whether two spots are rivals.
func (c scale) compete(a, b spot) bool {
	if c.spans {
		return a.class == b.class
	}
	return a.row == b.row
}

// fold returns the value of a part of a target, given what read has of the spots
// of its branch, and what it changes by with each logit, or with each
// log-probability where the output is none of logits.
func (c scale) fold(p summand, read []float64) (value, slope float64) {
	sum := 0.0
	for _, k := range p.cells {
		if c.output == sdk.Logit {
			sum += read[2*k]
		} else {
			sum += read[2*k+1]
		}
	}
	if c.output == sdk.Prob {
		value = p.weight * num.Exp(sum)
		return value, value
	}
	return p.weight * sum, p.weight
}

// slopes adds to grad what changes with each logit where the log-probability, or
// the logit, of a spot changes by slope. With p the probability of a logit l
// among its rivals,
//
//	∂l/∂x_k = δ   ∂ln p/∂x_k = δ − p_k
func (c scale) slopes(grad, logits []float64, at spot, slope float64) {
	i := at.row*c.classes + at.class
	switch {
	case c.output == sdk.Logit:
		grad[i] += slope
	case c.head == multiLabel:
		grad[i] += slope * num.Sigmoid(-logits[i])
	default:
		grad[i] += slope
		norm := c.norm(logits, at)
		first, step, n := c.rivals(logits, at)
		for k := first; k < first+n*step; k += step {
			grad[k] -= slope * num.Exp(logits[k]-norm)
		}
	}
}

// objective is the scalar of each sequence of a batch that gradients are of.
type objective struct {
	scale
	parts [][]summand // of each sequence; they have one branch
	spots [][]spot    // of each sequence, which parts count
	reads [][]int     // the positions whose logits it is given; nil for all
}

// value returns the objective of a sequence and adds its gradient to grad; it
// is an engine.Objective.
func (o *objective) value(sequence int, logits, grad []float64) float64 {
	sum := 0.0
	spots := o.spots[sequence]
	read := o.read(make([]float64, 0, 2*len(spots)), logits, spots)
	for _, p := range o.parts[sequence] {
		value, slope := o.fold(p, read)
		sum += value
		for _, k := range p.cells {
			o.slopes(grad, logits, spots[k], slope)
		}
	}
	return sum
}

// scale returns how a target's logits are read.
func (m *Model) scale(output sdk.Output) scale {
	info := m.engine.Info()
	return scale{output: output, head: m.head, classes: info.Outputs, spans: info.Task == arch.QuestionAnswering}
}

// objective reads a target expression for a batch. It is a target as explain
// takes it, of every sequence, but for what goes on behind the input; or a sum of
// single logits, logits[b,i,j]. The output defaults to the logit.
func (m *Model) objective(expr string, output sdk.Output, g *arch.Graph, in engine.Input) (*objective, error) {
	if output == "" {
		output = sdk.Logit
	}
	rows := slices.Clone(in.Lengths) // of logits, for each sequence
	for i := range rows {
		switch {
		case g.Read.From != arch.Every:
			rows[i] = 1
		case in.Targets != nil:
			rows[i] = len(in.Targets[i])
		}
	}
	o := &objective{scale: m.scale(output), parts: make([][]summand, len(rows)), spots: make([][]spot, len(rows))}
	add := func(t point.Term) (sequence int, err error) {
		at, ok := t.In(rows)
		if !ok {
			return 0, usage("the target "+strconv.Quote(expr)+" lies outside of the input", "it has "+counts(rows))
		}
		o.spots[at.Sequence] = append(o.spots[at.Sequence], spot{at.Row, at.Class})
		return at.Sequence, nil
	}
	if strings.Contains(expr, "[") && !strings.HasPrefix(strings.TrimSpace(expr), "token:") {
		if err := m.grammar().offers(output); err != nil {
			return nil, err
		}
		terms, err := point.ParseTarget(g, m.engine.Info(), expr)
		if err != nil {
			return nil, m.pointError(err)
		}
		for _, t := range terms {
			i, err := add(t)
			if err != nil {
				return nil, err
			}
			o.parts[i] = append(o.parts[i], summand{weight: t.Weight, cells: []int{len(o.spots[i]) - 1}})
		}
	} else {
		t, err := m.grammar().parse(expr, output)
		if err != nil {
			return nil, err
		}
		if len(t.branches) > 1 || t.branches[0].suffix != nil {
			return nil, usage("the target "+strconv.Quote(expr)+" goes on behind the input", "give the whole text as the input, and name its tokens: token:ID@POS")
		}
		for i := range rows {
			for _, c := range t.branches[0].cells {
				term := point.Term{Sequence: i, Row: c.position, Class: c.class}
				if _, err := add(fromEnd(term, in, rows[i] == in.Lengths[i])); err != nil {
					return nil, err
				}
			}
			o.parts[i] = t.parts
		}
	}
	if g.Read.From == arch.Every && in.Targets == nil {
		o.narrow()
	}
	return o, nil
}

// fromEnd counts a position before 0 back from the last token that is shown, which
// is before the padding, if the target is meant of tokens.
func fromEnd(t point.Term, in engine.Input, tokens bool) point.Term {
	if !tokens || t.Row >= 0 || in.Mask == nil {
		return t
	}
	lo := 0
	for _, n := range in.Lengths[:t.Sequence] {
		lo += n
	}
	mask := in.Mask[lo : lo+in.Lengths[t.Sequence]]
	for len(mask) > 0 && mask[len(mask)-1] == 0 {
		mask = mask[:len(mask)-1]
	}
	if t.Row += len(mask); t.Row < 0 {
		t.Row -= in.Lengths[t.Sequence] // outside of the text, if not of the padding
	}
	return t
}

// counts words how many rows of logits the sequences of a batch have.
func counts(rows []int) string {
	if len(rows) == 1 {
		return strconv.Itoa(rows[0]) + " rows of logits"
	}
	return strconv.Itoa(len(rows)) + " sequences with up to " + strconv.Itoa(slices.Max(rows)) + " rows of logits"
}

// narrow has only those positions read that are needed, of every sequence one.
func (o *objective) narrow() {
	if o.spans && o.output != sdk.Logit {
		return // probabilities are relative to all
	}
	o.reads = make([][]int, len(o.spots))
	for i, spots := range o.spots {
		if o.reads[i] = narrow(spots); len(spots) == 0 {
			o.reads[i] = []int{0}
		}
	}
}

// narrow returns the rows of spots, ascending, and has the spots count these.
func narrow(spots []spot) []int {
	rows := make([]int, len(spots))
	for i, at := range spots {
		rows[i] = at.row
	}
	slices.Sort(rows)
	rows = slices.Compact(rows)
	for i := range spots {
		spots[i].row, _ = slices.BinarySearch(rows, spots[i].row)
	}
	return rows
}
