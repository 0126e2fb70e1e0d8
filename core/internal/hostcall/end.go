package hostcall

import (
	"errors"
	"strconv"
	"strings"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// End returns the explanation of a method that returned rc: the results, checked
// as those of a method in process are, or the error that stands behind the code:
// a *core.LimitError, the model's own error, a *contract.Fault where the method used
// the host wrongly, or an *sdk.Error with what the method said.
func (c *Call) End(rc sdk.Errno) (*sdk.Explanation, error) {
	if rc != 0 {
		return nil, c.failure(rc)
	}
	e, err := c.assemble()
	if err == nil {
		err = contract.Check(e, c.request)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// failure returns the error of a method that returned rc.
func (c *Call) failure(rc sdk.Errno) error {
	switch {
	case !known(rc):
		return sdk.NewError(sdk.EInternal, "the method returned "+strconv.Itoa(int(rc))+", which is neither 0 nor an error code")
	case rc == sdk.EQuota && c.exceeded != nil:
		return c.exceeded
	}
	said := ""
	if c.said != nil && c.said.Code == rc {
		said = c.said.Message
	}
	if host := c.failures[rc]; host != nil && (said == "" || said == message(host)) {
		if r, ok := errors.AsType[*refusal](host); ok {
			return r.error
		}
		if _, fault := errors.AsType[*contract.Fault](host); fault {
			return host
		}
		switch rc {
		case sdk.EInvalid, sdk.EHandle, sdk.ECap, sdk.EFault, sdk.ERange, sdk.EName:
			return &contract.Fault{Err: host}
		}
		return host
	}
	if rc == sdk.ENoMem && said == "" {
		return MemoryError(c.Limits)
	}
	return sdk.NewError(rc, said)
}

// assemble makes an explanation of the results.
func (c *Call) assemble() (*sdk.Explanation, error) {
	e := &sdk.Explanation{}
	stderrs := map[string][]float64{}
	for _, r := range c.results {
		base, isStderr := strings.CutSuffix(r.name, abi.SuffixStderr)
		diagnostic, isDiagnostic := strings.CutPrefix(r.name, abi.PrefixDiagnostics)
		values, isF64 := r.Data.([]float64)
		wrong := func(want string) error {
			return sdk.NewError(sdk.EInternal, "the method returned "+r.name+" as something else than "+want)
		}
		switch {
		case r.meta.Units != nil && r.name != abi.ResultAttributions:
			return nil, sdk.NewError(sdk.EInternal, "the method returned units with "+r.name+", and only "+abi.ResultAttributions+" has them")
		case isStderr:
			if !isF64 || !contract.IsAttribution(r.meta.Axes) || len(r.Shape) != 1 {
				return nil, wrong("f64 over units or tokens")
			}
			stderrs[base] = values
		case isDiagnostic, r.name == abi.ResultBaseline:
			if !isF64 || len(r.Shape) != 0 || len(r.meta.Axes) != 0 {
				return nil, wrong("one f64 without dimensions")
			}
			if isDiagnostic {
				e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: diagnostic, Value: values[0]})
			} else {
				e.Baseline = &values[0]
			}
		case r.name == abi.ResultAttributions, contract.IsAttribution(r.meta.Axes):
			if !isF64 || !contract.IsAttribution(r.meta.Axes) || len(r.Shape) != 1 {
				return nil, wrong("f64 over units or tokens")
			}
			a := sdk.Attribution{Name: r.name, Over: r.meta.Axes[0], Values: values}
			if r.name == abi.ResultAttributions {
				e.Units = r.meta.Units
				e.Attributions = append([]sdk.Attribution{a}, e.Attributions...)
			} else {
				e.Attributions = append(e.Attributions, a)
			}
		default:
			e.Tensors = append(e.Tensors, sdk.NamedTensor{Name: r.name, Axes: r.meta.Axes, Tensor: *r.Tensor})
		}
	}
	for i := range e.Attributions {
		a := &e.Attributions[i]
		a.Stderr = stderrs[a.Name]
		delete(stderrs, a.Name)
	}
	for name := range stderrs {
		return nil, sdk.NewError(sdk.EInternal, "the method returned standard errors of "+name+", which it did not return")
	}
	return e, nil
}
