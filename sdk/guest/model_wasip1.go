package guest

import (
	"context"
	"runtime"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// model is the host's model.
type model struct{ info sdk.ModelInfo }

// Info implements sdk.Model.
func (m *model) Info() sdk.ModelInfo { return m.info }

// Forward implements sdk.Model. It yields at its end, because the garbage
// collector of a module runs only when the module yields.
func (m *model) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	defer runtime.Gosched()
	spec := abi.Forward{Over: f.Over, Fill: f.Fill, Target: f.Target, KeepDuplicates: f.KeepDuplicates}
	kinds := 0
	var err error
	rows := func(field abi.Field, data any, shape ...int) {
		kinds++
		spec.Rows = field
		if err == nil {
			spec.Handle, err = send(data, shape...)
		}
	}
	if f.Units != nil {
		rows(abi.FieldUnits, f.Units.Data, f.Units.Shape...)
	}
	if f.Masks != nil {
		rows(abi.FieldMasks, f.Masks.Data, f.Masks.Shape...)
	}
	if f.Texts != nil {
		joined, offsets := joinTexts(f.Texts)
		rows(abi.FieldTexts, joined, len(joined))
		if err == nil {
			spec.Extra, err = send(offsets, len(offsets))
		}
	}
	if f.IDs != nil {
		padded, lengths := padIDs(f.IDs)
		rows(abi.FieldIDs, padded, len(lengths), len(padded)/max(1, len(lengths)))
		if err == nil {
			spec.Extra, err = send(lengths, len(lengths))
		}
	}
	defer func() {
		for _, h := range [...]int64{spec.Handle, spec.Extra} {
			if h > 0 {
				tensorFree(h)
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	if kinds != 1 {
		return nil, sdk.NewError(sdk.EInvalid, "a forward has exactly one of units, masks, texts and ids")
	}
	p, n := bytes(abi.AppendForward(nil, &spec))
	h := forward(p, n)
	if h < 0 {
		return nil, hostError(int32(h))
	}
	r := &reply{h}
	runtime.AddCleanup(r, func(h int64) { tensorFree(h) }, h)
	return r, nil
}

func joinTexts(texts []string) (joined []byte, offsets []int64) {
	offsets = make([]int64, 1, len(texts)+1)
	for _, t := range texts {
		joined = append(joined, t...)
		offsets = append(offsets, int64(len(joined)))
	}
	return joined, offsets
}

func padIDs(rows [][]int32) (padded, lengths []int32) {
	width := 0
	for _, row := range rows {
		width = max(width, len(row))
	}
	padded = make([]int32, len(rows)*width)
	lengths = make([]int32, len(rows))
	for i, row := range rows {
		copy(padded[i*width:], row)
		lengths[i] = int32(len(row))
	}
	return padded, lengths
}

// reply is a host's reply, which the host drops when the guest does.
type reply struct{ h int64 }

// Tensor implements sdk.Reply.
func (r *reply) Tensor(name string, index int) (*sdk.Tensor, error) {
	p, n := text(name)
	h := replyGet(r.h, p, n, int32(index))
	runtime.KeepAlive(r)
	if h < 0 {
		return nil, hostError(int32(h))
	}
	return receive(h)
}
