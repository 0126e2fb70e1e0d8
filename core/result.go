package core

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// rawUnits makes a unit of every token of a raw row that is not fixed.
func rawUnits(tokens []sdk.Token) []sdk.Unit {
	var units []sdk.Unit
	for i, t := range tokens {
		if !t.Special && !t.Fixed {
			units = append(units, sdk.Unit{Text: t.Text, Tokens: []int{i}})
		}
	}
	return units
}

// ref describes the input in a result.
func (e *encoded) ref(units []sdk.Unit) InputRef {
	ref := InputRef{Text: e.texts[0], InputIDs: make([]int32, len(e.tokens)), Tokens: tokenRefs(e.tokens), Dropped: tokenRefs(e.dropped)}
	if len(e.texts) == 2 {
		ref.TextPair = &e.texts[1]
	}
	for i, t := range e.tokens {
		ref.InputIDs[i] = t.ID
	}
	ref.Units = unitRefs(units)
	return ref
}

// tokenRefs describes tokens in a result.
func tokenRefs(tokens []sdk.Token) []Token {
	refs := make([]Token, len(tokens))
	for i, t := range tokens {
		refs[i] = Token{
			ID: t.ID, Text: t.Text, Sequence: t.Sequence,
			Start: t.Start, End: t.End, RuneStart: t.RuneStart, RuneEnd: t.RuneEnd, Special: t.Special, Fixed: t.Fixed,
		}
	}
	return refs
}

// withTokens returns the units of a method's own cutting with their tokens:
// those that begin inside the unit's spans, white space aside.
func (e *encoded) withTokens(units []sdk.Unit) []sdk.Unit {
	out := slices.Clone(units)
	for i := range out {
		if out[i].Tokens != nil {
			continue
		}
		for t, token := range e.tokens {
			if token.Special || token.Fixed || e.raw {
				continue
			}
			begin := skipSpace(e.texts[token.Sequence], token.Start, token.End)
			inside := func(s sdk.Span) bool {
				return token.Sequence == s.Sequence && begin >= s.Start && begin < s.End
			}
			if slices.ContainsFunc(out[i].Spans, inside) {
				out[i].Tokens = append(out[i].Tokens, t)
			}
		}
	}
	return out
}

// unitRefs describes units in a result.
func unitRefs(units []sdk.Unit) []Unit {
	refs := make([]Unit, len(units))
	for i, u := range units {
		ref := &refs[i]
		ref.Text = u.Text
		ref.Tokens = u.Tokens
		if ref.Tokens == nil {
			ref.Tokens = []int{} // an empty list in JSON, not null
		}
		if len(u.Spans) > 0 {
			ref.Sequence, ref.Start, ref.End = u.Spans[0].Sequence, u.Spans[0].Start, u.Spans[0].End
		}
		if len(u.Spans) > 1 {
			for _, s := range u.Spans {
				ref.Spans = append(ref.Spans, Span(s))
			}
		}
	}
	return refs
}

// fill moves a method's result into the explanation, under names that begin with
// prefix. Results of raw inputs run over every token, with zeros for the fixed
// ones, unless the method has units of its own.
func (x *Explanation) fill(result *sdk.Explanation, s *session, prefix string) error {
	units := s.units
	switch {
	case result.Units != nil:
		if s.enc.raw && slices.ContainsFunc(result.Units, func(u sdk.Unit) bool { return len(u.Spans) > 0 || len(u.Tokens) == 0 }) {
			return sdk.NewError(sdk.EUnsupported, "this setting cuts the text into units of its own, and the input is token ids")
		}
		units = s.enc.withTokens(result.Units)
	case s.enc.raw:
		units = make([]sdk.Unit, len(s.enc.tokens))
		for i, t := range s.enc.tokens {
			units[i] = sdk.Unit{Text: t.Text, Tokens: []int{i}}
		}
	}
	refs := unitRefs(units)
	if prefix != "" && !slices.EqualFunc(refs, x.Input.Units, func(a, b Unit) bool { return a.Text == b.Text && slices.Equal(a.Tokens, b.Tokens) }) {
		return sdk.NewError(sdk.EUnsupported, "with these settings the method cuts the text into other units for each step, whose values do not stand side by side")
	}
	x.Input.Units = refs
	spread := func(over string, values []float64) []float64 {
		if !s.enc.raw || over != sdk.OverUnits || values == nil || result.Units != nil {
			return values
		}
		out := make([]float64, len(s.enc.tokens))
		for i, u := range s.units {
			out[u.Tokens[0]] = values[i]
		}
		return out
	}
	for i, a := range result.Attributions {
		if n := notFinite(a.Values); n > 0 {
			return overflown(x.Method.Name, n, len(a.Values), x.Provenance.DType)
		}
		name := prefix + a.Name
		if i == 0 && prefix != "" {
			name = strings.TrimSuffix(prefix, ".")
		}
		x.Attributions = append(x.Attributions, Attribution{
			Name: name, Over: a.Over, Target: s.classOf(name),
			Values: Floats(spread(a.Over, a.Values)), Stderr: Floats(spread(a.Over, a.Stderr)),
		})
	}
	for _, t := range result.Tensors {
		values, err := asFloats(&t.Tensor)
		if err != nil {
			return err
		}
		x.Tensors = append(x.Tensors, Tensor{Name: prefix + t.Name, Axes: t.Axes, Shape: t.Shape, Values: values})
	}
	for _, d := range result.Diagnostics {
		x.Diagnostics[prefix+d.Name] = Float(d.Value)
	}
	for _, a := range x.Attributions {
		name := a.Name + "." + DiagBaseline
		if v, ok := x.Diagnostics[name]; ok && a.Target != nil {
			a.Target.Baseline = &v
			delete(x.Diagnostics, name)
		}
	}
	return nil
}

// notFinite returns how many numbers are NaN or infinite.
func notFinite(values []float64) int {
	n := 0
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			n++
		}
	}
	return n
}

// overflown returns the error of a method that found n of all scores no finite
// numbers, of a model whose numbers have a format.
func overflown(method string, n, all int, format string) error {
	hint := "open the model as f64 (--dtype), whose numbers reach further, or choose another method, or another output (--output)"
	if format == string(engine.F64) {
		hint = "choose another method, or another output (--output); the model's weights may be damaged"
	}
	return &Error{
		Kind: KindMethod, Hint: hint,
		Msg: fmt.Sprintf("method %s: %d of %d scores are NaN or infinite, so that the others may be wrong as well", method, n, all),
	}
}

// asFloats widens the elements of a tensor.
func asFloats(t *sdk.Tensor) ([]Float, error) {
	switch data := t.Data.(type) {
	case []uint8:
		return widen(data), nil
	case []int32:
		return widen(data), nil
	case []int64:
		return widen(data), nil
	case []float32:
		return widen(data), nil
	case []float64:
		return widen(data), nil
	}
	return nil, errors.New("a result holds elements of an unknown type")
}

func widen[T sdk.Element](data []T) []Float {
	out := make([]Float, len(data))
	for i, v := range data {
		out[i] = Float(v)
	}
	return out
}
