package process

import (
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
)

// write hands the results to the host.
func (h *host) write(e *sdk.Explanation) error {
	for i, a := range e.Attributions {
		meta := abi.Meta{Axes: []string{a.Over}}
		if i == 0 {
			meta.Units = e.Units
		}
		if err := h.result(a.Name, meta, a.Values, len(a.Values)); err != nil {
			return err
		}
		if a.Stderr != nil {
			meta.Units = nil
			if err := h.result(a.Name+abi.SuffixStderr, meta, a.Stderr, len(a.Stderr)); err != nil {
				return err
			}
		}
	}
	for _, t := range e.Tensors {
		if err := h.result(t.Name, abi.Meta{Axes: t.Axes}, t.Data, t.Shape...); err != nil {
			return err
		}
	}
	if e.Baseline != nil {
		if err := h.result(abi.ResultBaseline, abi.Meta{}, []float64{*e.Baseline}); err != nil {
			return err
		}
	}
	for _, d := range e.Diagnostics {
		if err := h.result(abi.PrefixDiagnostics+d.Name, abi.Meta{}, []float64{d.Value}); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) result(name string, meta abi.Meta, data any, shape ...int) error {
	handle, err := h.send(data, shape...)
	if err != nil {
		return err
	}
	_, err = h.call(&wire.Event{Event: &wire.Event_Result{Result: &wire.Result{
		Name: []byte(name), Handle: handle, Meta: abi.AppendMeta(nil, &meta),
	}}})
	return err
}
