package contract

import (
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// The diagnostics that the host adds to an explanation: rows that the method
// asked for, distinct ones among them, those that were known before, rows that the
// model ran for them, and those whose gradient it computed on top; what the
// model could not read; and how far an explanation in 8 bits is from that in
// float32.
const (
	DiagEvaluations       = "evaluations"
	DiagUnique            = "unique_evaluations"
	DiagCacheHits         = "cache_hits"
	DiagForwards          = "forwards"
	DiagGradients         = "gradients"
	DiagUnknown           = "unknown_tokens"
	DiagTruncated         = "truncated_evaluations"
	DiagFloat32Value      = "float32_value"              // of the target, for the unchanged input
	DiagFloat32Variants   = "float32_variants"           // that were run in float32 too
	DiagFloat32Mean       = "float32_change_mean"        // of the target in them, in magnitude
	DiagFloat32Largest    = "float32_change_largest"     // the same
	DiagFloat32Attributed = "float32_attribution_change" // the largest of an attribution, in magnitude; where there are few variants
)

// HostDiagnostics are the names of all of them, which no method may take.
var HostDiagnostics = []string{
	DiagEvaluations, DiagUnique, DiagCacheHits, DiagForwards, DiagGradients, DiagUnknown, DiagTruncated,
	DiagFloat32Value, DiagFloat32Variants, DiagFloat32Mean, DiagFloat32Largest, DiagFloat32Attributed,
}

// wrong returns the error of a method that broke the contract.
func wrong(message string) error {
	return sdk.NewError(sdk.EInternal, "the method returned "+message)
}

// Check returns an error unless e is a valid explanation of r: the attribution
// "attributions" comes first, values are as many as what they run over, names
// are unique, tensors hold what their shapes and axes say, and no diagnostic
// bears a name of the host's. Values need not be finite. A tensor without
// dimensions gets an empty shape and empty axes where it has nil ones.
func Check(e *sdk.Explanation, r *sdk.Request) error {
	if e == nil {
		return wrong("neither an explanation nor an error")
	}
	units := r.Units
	if e.Units != nil {
		if err := checkUnits(e.Units, r); err != nil {
			return wrong("units of its own that are wrong: " + err.Error())
		}
		units = e.Units
	}
	if len(e.Attributions) == 0 || e.Attributions[0].Name != abi.ResultAttributions {
		return wrong("no attributions")
	}
	if n := len(e.Attributions) + len(e.Tensors) + len(e.Diagnostics); n > abi.MaxResults {
		return wrong(strconv.Itoa(n) + " results, and " + strconv.Itoa(abi.MaxResults) + " is the most")
	}
	names := map[string]bool{abi.ResultBaseline: true}
	add := func(name string) error {
		if err := CheckName(name); err != nil {
			return wrong(strings.TrimPrefix(err.Error(), "the method returned "))
		}
		if names[name] {
			return wrong("two results named " + name)
		}
		if strings.HasPrefix(name, abi.PrefixDiagnostics) {
			return wrong("a result named " + name + ", as only diagnostics are")
		}
		names[name] = true
		return nil
	}
	for _, a := range e.Attributions {
		if err := add(a.Name); err != nil {
			return err
		}
		if strings.HasSuffix(a.Name, abi.SuffixStderr) {
			return wrong("an attribution named " + a.Name + ", as only standard errors are")
		}
		n := len(units)
		switch a.Over {
		case sdk.OverUnits:
		case sdk.OverTokens:
			n = len(r.Tokens)
		default:
			return wrong("attributions " + a.Name + " over " + strconv.Quote(a.Over) + ", which is neither units nor tokens")
		}
		if len(a.Values) != n {
			return wrong(strconv.Itoa(len(a.Values)) + " values of " + a.Name + " for " + strconv.Itoa(n) + " " + a.Over)
		}
		if a.Stderr != nil {
			if err := add(a.Name + abi.SuffixStderr); err != nil {
				return err
			}
			if len(a.Stderr) != n {
				return wrong(strconv.Itoa(len(a.Stderr)) + " standard errors for " + strconv.Itoa(n) + " values of " + a.Name)
			}
		}
	}
	for i := range e.Tensors {
		t := &e.Tensors[i]
		if err := add(t.Name); err != nil {
			return err
		}
		if strings.HasSuffix(t.Name, abi.SuffixStderr) {
			return wrong("a tensor named " + t.Name + ", as only standard errors are")
		}
		if err := checkTensor(&t.Tensor); err != nil {
			return wrong("the tensor " + t.Name + ", which is wrong: " + err.Error())
		}
		if len(t.Axes) != len(t.Shape) {
			return wrong("the tensor " + t.Name + " with " + strconv.Itoa(len(t.Shape)) + " dimensions and " + strconv.Itoa(len(t.Axes)) + " axes")
		}
		if IsAttribution(t.Axes) {
			return wrong("the tensor " + t.Name + " over " + t.Axes[0] + ", which is an attribution")
		}
		for _, axis := range t.Axes {
			if err := CheckName(axis); err != nil {
				return wrong("the tensor " + t.Name + " with an axis that has no printable name")
			}
		}
		if len(t.Shape) == 0 {
			t.Shape, t.Axes = []int{}, []string{}
		}
	}
	diagnostics := map[string]bool{}
	for _, d := range e.Diagnostics {
		if err := CheckName(d.Name); err != nil {
			return wrong(strings.TrimPrefix(err.Error(), "the method returned "))
		}
		if slices.Contains(HostDiagnostics, d.Name) {
			return wrong("a diagnostic named " + d.Name + ", which the host counts itself")
		}
		if diagnostics[d.Name] {
			return wrong("two diagnostics named " + d.Name)
		}
		diagnostics[d.Name] = true
	}
	return nil
}

// IsAttribution reports whether a result with these axes is an attribution.
func IsAttribution(axes []string) bool {
	return len(axes) == 1 && (axes[0] == sdk.OverUnits || axes[0] == sdk.OverTokens)
}
