package core

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk"
)

// describe returns the target as methods and reports see it, with the positions
// of the input that it is read from. value is its output on the unchanged input.
func (s *session) describe(value float64) sdk.Target {
	t := s.target
	return sdk.Target{
		Kind: t.kind, Expr: t.expr, Index: t.index, Label: s.label(), Output: t.output, Value: value, Positions: s.positions(),
		Second: t.second, SecondLabel: t.secondLabel,
	}
}

// classOf returns the class of a text that an attribution is of by its name, as
// sdk.ClassName has it, with its value on the unchanged input; nil of any other name.
func (s *session) classOf(name string) *Target {
	_, index, _ := strings.Cut(name, ".")
	class, err := strconv.Atoi(index)
	if err != nil || name != sdk.ClassName(class) || !s.target.whole || class < 0 || class >= len(s.model.labels) {
		return nil
	}
	t, err := s.model.questions().parse(strconv.Itoa(class), s.target.output)
	if err != nil {
		return nil
	}
	return &Target{
		Expr: t.expr, Kind: t.kind, Index: t.index, Label: t.label, Output: string(t.output),
		Value: Float(t.value(s.answers[0].values, s.scale)), Positions: s.positions(),
	}
}

// positions returns the tokens of the input that the target is read from, nil
// where they are not all there.
func (s *session) positions() []int {
	if s.target.whole {
		reads, err := s.model.engine.Reads(batch([]row{s.enc.row}))
		if err != nil || len(reads) != 1 {
			return nil
		}
		return reads[0]
	}
	q, err := s.ask(s.target, s.unchanged())
	if err != nil || len(q) != 1 || q[0].row.n != len(s.enc.tokens) {
		return nil
	}
	var list []int
	for _, p := range s.target.parts {
		for _, k := range p.cells {
			at := q[0].spots[k].row
			switch {
			case q[0].reads != nil:
				at = q[0].reads[at]
			case q[0].row.targets != nil:
				at = q[0].row.targets[at]
			}
			list = append(list, at)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// label names the target: a span is named by its text.
func (s *session) label() string {
	t := s.target
	switch t.kind {
	case sdk.KindStart, sdk.KindEnd, sdk.KindSpan:
	default:
		return t.label
	}
	at := s.positions()
	if len(at) == 0 {
		return t.label
	}
	text := s.enc.textOf(s.model, at[0], at[len(at)-1])
	switch {
	case text == "":
		return t.label
	case t.kind == sdk.KindSpan:
		return text
	}
	return t.label + " at " + text
}

// textOf returns the text from one token to another.
func (e *encoded) textOf(m *Model, first, last int) string {
	from, to := e.tokens[first], e.tokens[last]
	switch {
	case e.raw && m.tokenizer != nil && e.row.ids != nil:
		return m.tokenizer.Join(e.row.ids[first:last+1], false)
	case !e.raw && from.Sequence == to.Sequence && from.Start < to.End && from.Start < from.End:
		return e.texts[from.Sequence][from.Start:to.End]
	}
	return from.Text
}
