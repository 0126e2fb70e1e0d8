package sdktest

import (
	"fmt"
	"math"
	"strings"

	"github.com/xai-go/xai/sdk"
)

var parameterChecks = []check{
	{"parameters/unknown", "A parameter that the method does not declare is refused, and so is a value that its declaration does not allow.", (*kit).unknownParameters},
	{"parameters/aliases", "A parameter has the same value by each of its names.", (*kit).aliases},
	{"parameters/defaults", "With every parameter at its default the method explains a text.", (*kit).defaults},
	{"parameters/values", "At each value of an enum, at both of a switch and at both bounds of a number the method explains a text, or refuses it with a message and a code that say what to do.", (*kit).values},
}

func (k *kit) unknownParameters() verdict {
	r, ok := k.subject.(ParamReader)
	if !ok {
		return skipped("whoever runs this method reads no parameters as users type them")
	}
	refuse := func(name, value string) string {
		params, err := r.Params(map[string]string{name: value})
		switch {
		case err == nil:
			return fmt.Sprintf("%s=%s is accepted, as %v", name, value, params[name])
		case strings.TrimSpace(err.Error()) == "":
			return fmt.Sprintf("%s=%s is refused without a message", name, value)
		}
		return ""
	}
	unknown := "no_such_parameter"
	for {
		if _, taken := k.info.Param(unknown); !taken {
			break
		}
		unknown += "_"
	}
	if wrong := refuse(unknown, "1"); wrong != "" {
		return failed("%s", wrong)
	}
	for _, p := range k.info.Params {
		var values []string
		switch p.Type {
		case sdk.Int:
			values = []string{"1.5", "many", "99999999999999999999"}
		case sdk.Float:
			values = []string{"much", "NaN", "Inf"}
		case sdk.Bool:
			values = []string{"perhaps"}
		case sdk.Enum:
			values = []string{strings.Join(p.Values, "-") + "-not"}
		}
		if p.Min != nil {
			values = append(values, beyond(p.Type, *p.Min, -1))
		}
		if p.Max != nil {
			values = append(values, beyond(p.Type, *p.Max, 1))
		}
		for _, v := range values {
			if wrong := refuse(p.Name, v); wrong != "" {
				return failed("%s", wrong)
			}
		}
	}
	return passed("")
}

// beyond returns a number outside of a bound.
func beyond(t sdk.ParamType, bound, sign float64) string {
	if t == sdk.Float {
		return typed(math.Nextafter(bound, math.Inf(int(sign))))
	}
	return typed(int64(bound + sign))
}

func (k *kit) aliases() verdict {
	if k.invalid != nil {
		return skipped("there are no parameters to run it with")
	}
	some := false
	for _, p := range k.info.Params {
		for _, alias := range p.Aliases {
			some = true
			value := typed(p.Default)
			params, err := k.read(map[string]string{alias: value})
			if err != nil {
				return failed("%s=%s: %v", alias, value, err)
			}
			if params[p.Name] != p.Default {
				return failed("%s=%s gives %s the value %v", alias, value, p.Name, params[p.Name])
			}
		}
	}
	if !some {
		return skipped("no parameter has an alias")
	}
	return passed("")
}

func (k *kit) defaults() verdict {
	if k.invalid != nil {
		return failed("the parameters of all runs: %v", k.invalid)
	}
	if k.reference(); codeOf(k.first.err) == sdk.ECap {
		return skipped("it was refused for a need that the method does not declare")
	}
	if k.first.err != nil && !returned(k.first.err) {
		return failed("%s", k.failure(k.first))
	}
	return passed("")
}

// returned reports whether an error is the host's about what a method returned.
func returned(err error) bool {
	return codeOf(err) == sdk.EInternal && strings.HasPrefix(err.Error(), "the method returned ") &&
		!strings.Contains(err.Error(), "neither an explanation nor an error")
}

// values runs every value that the declaration makes known, on a short text.
func (k *kit) values() verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	ran := 0
	var refused []string
	for _, p := range k.info.Params {
		for _, value := range limits(p) {
			text := p.Name + "=" + typed(value)
			params, err := k.read(map[string]string{p.Name: typed(value)})
			if err != nil {
				return failed("%s is declared and refused: %v", text, err)
			}
			x := k.explain(job{session: k.open(k.light(), shortText), params: params})
			ran++
			switch wrong := k.failure(x); {
			case x.stuck:
				return failed("%s: %s", text, wrong)
			case x.late || wrong != "" && refusal(x.err):
				refused = append(refused, text)
			case wrong != "":
				return failed("%s: %s", text, wrong)
			}
		}
	}
	if ran == 0 {
		return skipped("there are no enums, switches and bounds")
	}
	if len(refused) > 0 {
		return passed("%d of %d values are refused: %s", len(refused), ran, strings.Join(refused, ", "))
	}
	return passed("%d values", ran)
}

// limits returns the values of a parameter that its declaration makes known.
func limits(p sdk.Param) []any {
	var out []any
	switch p.Type {
	case sdk.Bool:
		return []any{false, true}
	case sdk.Enum:
		for _, v := range p.Values {
			out = append(out, v)
		}
	}
	for _, bound := range []*float64{p.Min, p.Max} {
		switch {
		case bound == nil:
		case p.Type == sdk.Int:
			out = append(out, int64(*bound))
		case p.Type == sdk.Float:
			out = append(out, *bound)
		}
	}
	return out
}
