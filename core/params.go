package core

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/sdk"
)

// ParseParams turns what the user typed into a value for every parameter that
// the method declares, as Explain does: aliases resolved, types and bounds
// checked, defaults (those of the preset that the parameter compat names, where
// it has its own) filled in. Its errors are *Error of KindUsage.
func ParseParams(info sdk.Info, given map[string]string) (sdk.Params, error) {
	params := make(sdk.Params, len(info.Params))
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names) // the same error whatever the map's order
	seen := make(map[string]string, len(given))
	for _, name := range names {
		p, ok := info.Param(name)
		if !ok {
			return nil, unknownParam(info, name)
		}
		if other, ok := seen[p.Name]; ok {
			return nil, usage("parameters "+other+" and "+name+" are the same", "give one of them")
		}
		seen[p.Name] = name
		v, err := parseParam(p, given[name])
		if err != nil {
			return nil, err
		}
		params[p.Name] = v
	}
	preset := ""
	if p, ok := info.Param("compat"); ok {
		if preset, ok = params[p.Name].(string); !ok {
			preset, _ = p.Default.(string)
		}
	}
	for _, p := range info.Params {
		if _, ok := params[p.Name]; ok {
			continue
		}
		params[p.Name] = p.Default
		if v, ok := p.Compat[preset]; ok {
			params[p.Name] = v
		}
	}
	return params, nil
}

// habits are arguments of other libraries that are no parameters of any method,
// with what there is for them.
var habits = map[string]string{
	"target":       useTarget,
	"targets":      useTarget,
	"labels":       useTarget,
	"label":        useTarget,
	"class_name":   useTarget,
	"target_index": useTarget,

	"seed":         useSeed,
	"random_state": useSeed,

	"output": useOutput,
	"link":   useOutput,

	"units":        useUnits,
	"feature_mask": useUnits,

	"batch_size":             inBatches,
	"internal_batch_size":    inBatches,
	"perturbations_per_eval": inBatches,

	"return_convergence_delta": "leave it out: where a method has such a gap, the diagnostic " + sdk.DiagGap + " always says it",
}

const (
	useTarget = "give it as --target"
	useSeed   = "give it as --seed"
	useOutput = "give the scale as --output"
	useUnits  = "give what gets a score as --units"
	inBatches = "leave it out: evaluations are batched by the host"
)

// suggestion returns what to give in the place of a name that the method does not
// know, empty where nothing comes near.
func suggestion(info sdk.Info, name string) string {
	const samples, evaluations = "nsamples n_samples num_samples", "max_evals"
	if _, ok := info.Param(evaluations); ok && slices.Contains(strings.Fields(samples), name) {
		return "did you mean " + evaluations + "? "
	}
	if there, ok := habits[name]; ok {
		return there + "; "
	}
	var known []string
	for _, p := range info.Params {
		known = append(known, p.Name)
		known = append(known, p.Aliases...)
	}
	if near, ok := nearest.Of(name, known); ok {
		return "did you mean " + near + "? "
	}
	return ""
}

func unknownParam(info sdk.Info, name string) error {
	return usage("method "+info.Name+" has no parameter "+strconv.Quote(name), suggestion(info, name)+"see xai methods info "+info.Name)
}

// parseParam reads one value and checks it against the declaration.
func parseParam(p sdk.Param, text string) (any, error) {
	wrong := func(want string) error {
		return usage("parameter "+p.Name+" is "+strconv.Quote(text), "it must be "+want+bounds(p))
	}
	word := func(want string) error { // which may have a number here, or be another parameter's
		if p.Doc != "" {
			return usage("parameter "+p.Name+" is "+strconv.Quote(text), "it must be "+want+bounds(p)+": "+p.Doc)
		}
		return wrong(want)
	}
	inside := func(v float64) bool {
		return (p.Min == nil || v >= *p.Min) && (p.Max == nil || v <= *p.Max)
	}
	switch p.Type {
	case sdk.Int:
		v, err := strconv.ParseInt(text, 10, 64)
		if _, number := strconv.ParseFloat(text, 64); errors.Is(number, strconv.ErrSyntax) {
			return nil, word("an integer")
		}
		if err != nil || !inside(float64(v)) {
			return nil, wrong("an integer")
		}
		return v, nil
	case sdk.Float:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || !inside(v) {
			return nil, wrong("a number")
		}
		return v, nil
	case sdk.Bool:
		switch strings.ToLower(text) {
		case "true", "1", "yes", "on":
			return true, nil
		case "false", "0", "no", "off":
			return false, nil
		}
		return nil, wrong("true or false")
	case sdk.Enum:
		if slices.Contains(p.Values, text) {
			return text, nil
		}
		hint := "it must be one of " + strings.Join(p.Values, ", ")
		if near, ok := nearest.Of(text, p.Values); ok {
			hint = "did you mean " + near + "? " + hint
		} else if p.Doc != "" {
			hint += ": " + p.Doc
		}
		return nil, usage("parameter "+p.Name+" is "+strconv.Quote(text), hint)
	}
	return text, nil
}

// bounds words the limits of a numeric parameter.
func bounds(p sdk.Param) string {
	switch {
	case p.Min != nil && p.Max != nil:
		return " from " + Bound(*p.Min) + " to " + Bound(*p.Max)
	case p.Min != nil:
		return " of at least " + Bound(*p.Min)
	case p.Max != nil:
		return " of at most " + Bound(*p.Max)
	}
	return ""
}

// Bound formats a limit of a numeric parameter as it can be typed: a whole number in
// full, without an exponent, up to 2^53.
func Bound(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
