package sdktest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// hostDiagnostics are the diagnostics that the host counts itself.
var hostDiagnostics = []string{
	"evaluations", "unique_evaluations", "cache_hits", "forwards", "gradients", "unknown_tokens", "truncated_evaluations",
	"float32_value", "float32_variants", "float32_change_mean", "float32_change_largest", "float32_attribution_change",
}

// Validate returns an error unless e is an explanation of r that the host takes,
// as the section "Results" of docs/ABI.md has it: attributions are there, values
// are as many as what they run over, names are different and print, tensors are
// what their shapes and axes say. Values need not be finite.
func Validate(e *sdk.Explanation, r *sdk.Request) error {
	if e == nil {
		return errors.New("there is no explanation")
	}
	if len(e.Attributions) == 0 || e.Attributions[0].Name != abi.ResultAttributions {
		return fmt.Errorf("the first attribution is not named %q", abi.ResultAttributions)
	}
	if n := len(e.Attributions) + len(e.Tensors) + len(e.Diagnostics); n > abi.MaxResults {
		return fmt.Errorf("there are %d results, and %d is the most", n, abi.MaxResults)
	}
	if err := validUnits(e.Units, r); err != nil {
		return err
	}
	names := map[string]bool{abi.ResultBaseline: true}
	add := func(name string) error {
		switch {
		case names[name]:
			return fmt.Errorf("two results are named %q", name)
		case strings.HasPrefix(name, abi.PrefixDiagnostics):
			return fmt.Errorf("the result %q is named as a diagnostic", name)
		}
		names[name] = true
		return validName(name)
	}
	for _, a := range e.Attributions {
		if err := add(a.Name); err != nil {
			return err
		}
		if strings.HasSuffix(a.Name, abi.SuffixStderr) {
			return fmt.Errorf("the attribution %q is named as standard errors", a.Name)
		}
		n := len(unitsOf(e, r))
		switch a.Over {
		case sdk.OverUnits:
		case sdk.OverTokens:
			n = len(r.Tokens)
		default:
			return fmt.Errorf("the attribution %q runs over %q, which is neither units nor tokens", a.Name, a.Over)
		}
		if len(a.Values) != n {
			return fmt.Errorf("the attribution %q has %d values for %d %s", a.Name, len(a.Values), n, a.Over)
		}
		if a.Stderr != nil {
			if len(a.Stderr) != n {
				return fmt.Errorf("the attribution %q has %d standard errors for %d values", a.Name, len(a.Stderr), n)
			}
			if err := add(a.Name + abi.SuffixStderr); err != nil {
				return err
			}
		}
	}
	for _, t := range e.Tensors {
		if err := add(t.Name); err != nil {
			return err
		}
		if err := validTensor(t); err != nil {
			return fmt.Errorf("the tensor %q %w", t.Name, err)
		}
	}
	diagnostics := map[string]bool{}
	for _, d := range e.Diagnostics {
		switch {
		case diagnostics[d.Name]:
			return fmt.Errorf("two diagnostics are named %q", d.Name)
		case slices.Contains(hostDiagnostics, d.Name):
			return fmt.Errorf("the diagnostic %q is one that the host counts itself", d.Name)
		}
		diagnostics[d.Name] = true
		if err := validName(d.Name); err != nil {
			return err
		}
	}
	return nil
}

// unitsOf returns the units that the explanation's values run over.
func unitsOf(e *sdk.Explanation, r *sdk.Request) []sdk.Unit {
	if e.Units != nil {
		return e.Units
	}
	return r.Units
}

func validName(name string) error {
	if name == "" || len(name) > abi.MaxName || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return fmt.Errorf("%q is no name: they print, and have 1 to %d bytes", name, abi.MaxName)
	}
	return nil
}

// validTensor returns what is wrong with a tensor, for a sentence that begins
// with its name.
func validTensor(t sdk.NamedTensor) error {
	if strings.HasSuffix(t.Name, abi.SuffixStderr) {
		return errors.New("is named as standard errors")
	}
	n := 0
	switch v := t.Data.(type) {
	case []uint8:
		n = len(v)
	case []int32:
		n = len(v)
	case []int64:
		n = len(v)
	case []float32:
		n = len(v)
	case []float64:
		n = len(v)
	default:
		return fmt.Errorf("holds %T, which no tensor does", t.Data)
	}
	if want, ok := abi.Elements(t.Shape); !ok || want != n || len(t.Shape) > abi.MaxRank {
		return fmt.Errorf("has %d elements and the shape %v", n, t.Shape)
	}
	if len(t.Axes) != len(t.Shape) {
		return fmt.Errorf("names %d axes of %d", len(t.Axes), len(t.Shape))
	}
	if len(t.Axes) == 1 && (t.Axes[0] == sdk.OverUnits || t.Axes[0] == sdk.OverTokens) {
		return fmt.Errorf("runs over %s, so that it is an attribution", t.Axes[0])
	}
	for _, axis := range t.Axes {
		if err := validName(axis); err != nil {
			return fmt.Errorf("has an axis of which %w", err)
		}
	}
	return nil
}

// validUnits checks units that a method made: they lie in the request.
func validUnits(units []sdk.Unit, r *sdk.Request) error {
	for i, u := range units {
		for _, t := range u.Tokens {
			if t < 0 || t >= len(r.Tokens) {
				return fmt.Errorf("unit %d has the token %d of %d", i, t, len(r.Tokens))
			}
		}
		last := sdk.Span{}
		for _, s := range u.Spans {
			size := len(r.Text)
			switch {
			case s.Sequence == 1 && r.TextPair != nil:
				size = len(*r.TextPair)
			case s.Sequence != 0:
				return fmt.Errorf("unit %d has a span in the text %d, which is not there", i, s.Sequence)
			}
			if s.Start < 0 || s.End < s.Start || s.End > size {
				return fmt.Errorf("unit %d has the span %d to %d of a text of %d bytes", i, s.Start, s.End, size)
			}
			if s.Sequence < last.Sequence || s.Sequence == last.Sequence && s.Start < last.End {
				return fmt.Errorf("unit %d has spans that do not ascend", i)
			}
			last = s
		}
	}
	return nil
}

// difference returns the first thing in which two explanations of a request
// differ in a bit, empty where there is none. All NaN are one.
func difference(a, b *sdk.Explanation) string {
	if len(a.Attributions) != len(b.Attributions) || len(a.Tensors) != len(b.Tensors) ||
		len(a.Diagnostics) != len(b.Diagnostics) || len(a.Units) != len(b.Units) {
		return "the results are others"
	}
	floats := func(name string, x, y []float64) string {
		if len(x) != len(y) {
			return fmt.Sprintf("%s has %d values, and then %d", name, len(x), len(y))
		}
		for i := range x {
			if math.Float64bits(x[i]) != math.Float64bits(y[i]) && !(math.IsNaN(x[i]) && math.IsNaN(y[i])) {
				return fmt.Sprintf("%s[%d] is %v, and then %v", name, i, x[i], y[i])
			}
		}
		return ""
	}
	for i := range a.Attributions {
		x, y := a.Attributions[i], b.Attributions[i]
		if x.Name != y.Name || x.Over != y.Over {
			return fmt.Sprintf("%s over %s becomes %s over %s", x.Name, x.Over, y.Name, y.Over)
		}
		if d := floats(x.Name, x.Values, y.Values); d != "" {
			return d
		}
		if d := floats(x.Name+abi.SuffixStderr, x.Stderr, y.Stderr); d != "" {
			return d
		}
	}
	baseline := func(e *sdk.Explanation) []float64 {
		if e.Baseline == nil {
			return nil
		}
		return []float64{*e.Baseline}
	}
	if d := floats(abi.ResultBaseline, baseline(a), baseline(b)); d != "" {
		return d
	}
	for i := range a.Diagnostics {
		x, y := a.Diagnostics[i], b.Diagnostics[i]
		if x.Name != y.Name {
			return fmt.Sprintf("the diagnostic %s becomes %s", x.Name, y.Name)
		}
		if d := floats(abi.PrefixDiagnostics+x.Name, []float64{x.Value}, []float64{y.Value}); d != "" {
			return d
		}
	}
	for i := range a.Tensors {
		x, y := a.Tensors[i], b.Tensors[i]
		if x.Name != y.Name || !slices.Equal(x.Axes, y.Axes) || !slices.Equal(x.Shape, y.Shape) {
			return fmt.Sprintf("the tensor %s %v becomes %s %v", x.Name, x.Shape, y.Name, y.Shape)
		}
		if d := floats(x.Name, widened(x.Data), widened(y.Data)); d != "" {
			return d
		}
	}
	for i := range a.Units {
		if x, y := a.Units[i], b.Units[i]; x.Text != y.Text || !slices.Equal(x.Spans, y.Spans) || !slices.Equal(x.Tokens, y.Tokens) {
			return fmt.Sprintf("the unit %q becomes %q", x.Text, y.Text)
		}
	}
	return ""
}

// widened returns a tensor's elements in a type whose bits tell them apart.
func widened(data any) []float64 {
	switch v := data.(type) {
	case []float64:
		return v
	case []float32:
		return widen(v)
	case []uint8:
		return widen(v)
	case []int32:
		return widen(v)
	case []int64: // in halves
		out := make([]float64, 0, 2*len(v))
		for _, x := range v {
			out = append(out, float64(x>>32), float64(uint32(x)))
		}
		return out
	}
	return nil
}

func widen[T uint8 | int32 | float32](v []T) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
