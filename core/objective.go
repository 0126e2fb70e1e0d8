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

// objective is the scalar of each sequence that gradients are of: a sum of
// logits, of probabilities, or of log-probabilities.
type objective struct {
	output  sdk.Output
	head    head
	classes int
	spans   bool           // probabilities run over the positions, start and end apart
	terms   [][]point.Term // of each sequence
	reads   [][]int        // the positions whose logits it is given; nil for all
}

// objective reads a target expression for a batch. It is a target as explain
// takes it, CLASS or A - B, of every sequence; CLASS@POS, token:ID@POS, start@POS,
// end@POS or a difference of two of these; or a sum of single logits,
// logits[b,i,j].
// The output defaults to the logit.
func (m *Model) objective(expr string, output sdk.Output, g *arch.Graph, in engine.Input) (*objective, error) {
	info := m.engine.Info()
	o := &objective{output: output, head: m.head, classes: info.Outputs, spans: info.Task == arch.QuestionAnswering}
	switch output {
	case "":
		o.output = sdk.Logit
	case sdk.Logit:
	case sdk.Prob, sdk.LogProb:
		if m.head == regression {
			return nil, usage("a regression model has no probabilities", "use --output logit")
		}
	default:
		return nil, usage("unknown output "+strconv.Quote(string(output)), "use logit, prob or logprob")
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
	terms, every, err := m.terms(expr, g)
	if err != nil {
		return nil, err
	}
	o.terms = make([][]point.Term, len(rows))
	for _, t := range terms {
		first, last := t.Sequence, t.Sequence
		if every {
			first, last = 0, len(rows)-1
		}
		for i := first; i <= last; i++ {
			t.Sequence = i
			at, ok := fromEnd(t, in, every && rows[i] == in.Lengths[i]).In(rows)
			if !ok {
				return nil, usage("the target "+strconv.Quote(expr)+" lies outside of the input", "it has "+counts(rows))
			}
			o.terms[at.Sequence] = append(o.terms[at.Sequence], at)
		}
	}
	if g.Read.From == arch.Every && in.Targets == nil && !o.spans {
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

// narrow has only those positions read that a term is about.
func (o *objective) narrow() {
	o.reads = make([][]int, len(o.terms))
	for i, terms := range o.terms {
		reads := []int{}
		for _, t := range terms {
			reads = append(reads, t.Row)
		}
		if len(terms) == 0 {
			reads = append(reads, 0)
		}
		slices.Sort(reads)
		o.reads[i] = slices.Compact(reads)
		for k := range terms {
			terms[k].Row, _ = slices.BinarySearch(o.reads[i], terms[k].Row)
		}
	}
}

// terms parses a target expression. every tells that it is meant of each
// sequence of the batch; then the terms name none.
func (m *Model) terms(expr string, g *arch.Graph) (terms []point.Term, every bool, err error) {
	if strings.Contains(expr, "[") {
		terms, err = point.ParseTarget(g, m.engine.Info(), expr)
		return terms, false, m.pointError(err)
	}
	if m.engine.Info().Task == arch.SequenceClassification {
		t, err := parseTarget(strings.TrimSpace(expr), sdk.Logit, m.labels, m.head)
		if err != nil {
			return nil, false, err
		}
		terms = []point.Term{{Class: t.class, Weight: 1}}
		if t.minus >= 0 {
			terms = append(terms, point.Term{Class: t.minus, Weight: -1})
		}
		return terms, true, nil
	}
	weight := 1.0
	for i, part := range strings.Split(expr, " - ") {
		if i == 1 {
			weight = -1
		}
		t, err := m.term(strings.TrimSpace(part))
		if err != nil {
			return nil, false, err
		}
		t.Weight = weight
		terms = append(terms, t)
	}
	if len(terms) > 2 {
		return nil, false, usage("the target "+strconv.Quote(expr)+" is more than a difference of two", "write longer sums as logits[b,i,j] + …")
	}
	return terms, true, nil
}

// term parses one logit at one position: token:ID@POS, start@POS or end@POS, or
// CLASS@POS of a classifier of tokens. What stands in ID's place may also be a
// token of the vocabulary.
func (m *Model) term(text string) (point.Term, error) {
	wrong := func(reason string) (point.Term, error) {
		hint := "write it as token:ID@POS, or as a sum of logits[b,i,j]"
		switch m.engine.Info().Task {
		case arch.QuestionAnswering:
			hint = "write it as start@POS or end@POS, or as a sum of logits[b,i,j]"
		case arch.TokenClassification:
			hint = "write it as CLASS@POS, or as a sum of logits[b,i,j]"
		}
		return point.Term{}, usage("the target "+strconv.Quote(text)+" "+reason, hint)
	}
	what, where, found := cutLast(text, "@")
	row, err := strconv.Atoi(where)
	token, isToken := strings.CutPrefix(what, "token:")
	switch task := m.engine.Info().Task; {
	case !found || err != nil:
		return wrong("names no position")
	case task == arch.QuestionAnswering && what == "start":
		return point.Term{Row: row, Class: 0}, nil
	case task == arch.QuestionAnswering && what == "end":
		return point.Term{Row: row, Class: 1}, nil
	case task == arch.TokenClassification:
		class, err := parseClass(what, m.labels)
		return point.Term{Row: row, Class: class}, err
	case isToken && m.labels == nil:
		id, err := strconv.Atoi(token)
		if err != nil && m.tokenizer != nil {
			if known, ok := m.tokenizer.ID(token); ok {
				id, err = int(known), nil
			}
		}
		if err != nil || id < 0 || id >= m.engine.Info().Outputs {
			return wrong("names no token of the model, whose ids are 0 to " + strconv.Itoa(m.engine.Info().Outputs-1))
		}
		return point.Term{Row: row, Class: id}, nil
	}
	return wrong("is nothing that a model for " + m.engine.Info().Task + " answers")
}

// cutLast is strings.Cut around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// value returns the objective of a sequence and adds its gradient to grad; it
// is an engine.Objective. With p the probability of a logit l among those that
// it competes with,
//
//	∂l/∂x_k = δ   ∂p/∂x_k = p(δ − p_k)   ∂ln p/∂x_k = δ − p_k
func (o *objective) value(sequence int, logits, grad []float64) float64 {
	sum := 0.0
	for _, t := range o.terms[sequence] {
		at := t.Row*o.classes + t.Class
		if o.output == sdk.Logit {
			sum += t.Weight * logits[at]
			grad[at] += t.Weight
			continue
		}
		if o.head == multiLabel { // each class by itself: p = σ(l)
			p := num.Sigmoid(logits[at])
			value, slope := p, p*(1-p)
			if o.output == sdk.LogProb {
				value, slope = -num.LogSumExp([]float64{0, -logits[at]}), 1-p
			}
			sum += t.Weight * value
			grad[at] += t.Weight * slope
			continue
		}
		first, step, n := t.Row*o.classes, 1, o.classes
		if o.spans {
			first, step, n = t.Class, o.classes, len(logits)/o.classes
		}
		x := make([]float64, n)
		for k := range x {
			x[k] = logits[first+k*step]
		}
		norm := num.LogSumExp(x)
		value, slope := logits[at]-norm, t.Weight
		if o.output == sdk.Prob {
			value = num.Exp(value)
			slope *= value
		}
		sum += t.Weight * value
		grad[at] += slope
		for k, v := range x {
			grad[first+k*step] -= slope * num.Exp(v-norm)
		}
	}
	return sum
}
