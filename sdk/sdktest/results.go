package sdktest

import (
	"math"
	"slices"
)

var resultChecks = []check{
	{"results/valid", "An explanation has attributions first, as many values as units or tokens, and names that are different and print.", (*kit).validResult},
	{"results/finite", "The attributions of a text are finite numbers, and not all 0.", (*kit).finite},
}

func (k *kit) validResult() verdict {
	if k.invalid != nil {
		return skipped("there are no parameters to run it with")
	}
	k.reference()
	switch err := k.first.err; {
	case err != nil && returned(err):
		return failed("%v", err)
	case err != nil:
		return skipped("there is no explanation")
	}
	if err := Validate(k.first.Explanation, k.first.request); err != nil {
		return failed("%v", err)
	}
	return passed("")
}

func (k *kit) finite() verdict {
	x, v := k.reference()
	if v != nil {
		return *v
	}
	values := x.Attributions[0].Values
	for i, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return failed("value %d of %d is %v", i, len(values), v)
		}
	}
	if !slices.ContainsFunc(values, func(v float64) bool { return v != 0 }) {
		return failed("all %d values are 0", len(values))
	}
	return passed("")
}
