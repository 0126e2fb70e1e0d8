package abi

import "github.com/xai-go/xai/sdk"

// Generation is a generation spec: an sdk.Generation whose prompt is a handle.
type Generation struct {
	Prompt      int64 // 0 for the request's tokens
	MaxTokens   int
	Temperature float64
	TopK        int
	TopP        float64
	Seed        uint64
}

// AppendGeneration appends the spec g to b.
func AppendGeneration(b []byte, g *Generation) []byte {
	w := Writer{b}
	m := w.Open(FieldMaxTokens, FlagCritical)
	w.Index(g.MaxTokens)
	w.Close(m)
	if g.Prompt != 0 {
		m = w.Open(FieldPrompt, FlagCritical)
		w.I64(g.Prompt)
		w.Close(m)
	}
	if g.Temperature != 0 {
		m = w.Open(FieldTemperature, FlagCritical)
		w.F64(g.Temperature)
		w.Close(m)
	}
	if g.TopK != 0 {
		m = w.Open(FieldTopK, FlagCritical)
		w.Index(g.TopK)
		w.Close(m)
	}
	if g.TopP != 0 {
		m = w.Open(FieldTopP, FlagCritical)
		w.F64(g.TopP)
		w.Close(m)
	}
	if g.Seed != 0 {
		m = w.Open(FieldSeed, FlagCritical)
		w.U64(g.Seed)
		w.Close(m)
	}
	return w.B
}

// ParseGeneration reads a generation spec.
func ParseGeneration(b []byte) (*Generation, error) {
	g := &Generation{}
	err := NewReader(b).Fields(func(tag Field, v *Reader) bool {
		switch tag {
		case FieldMaxTokens:
			g.MaxTokens = v.Index()
		case FieldPrompt:
			g.Prompt = v.I64()
		case FieldTemperature:
			g.Temperature = v.F64()
		case FieldTopK:
			g.TopK = v.Index()
		case FieldTopP:
			g.TopP = v.F64()
		case FieldSeed:
			g.Seed = v.U64()
		default:
			return false
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if g.MaxTokens == 0 {
		return nil, sdk.NewError(sdk.EInvalid, "a generation spec says how many tokens there may be")
	}
	return g, nil
}

// Operation is the spec of op.
type Operation struct {
	Operands []int64 // handles
	Scalars  []float64
}

// AppendOperation appends the spec o to b.
func AppendOperation(b []byte, o *Operation) []byte {
	w := Writer{b}
	m := w.Open(FieldOperands, FlagCritical)
	for _, h := range o.Operands {
		w.I64(h)
	}
	w.Close(m)
	if o.Scalars != nil {
		m = w.Open(FieldScalars, FlagCritical)
		for _, x := range o.Scalars {
			w.F64(x)
		}
		w.Close(m)
	}
	return w.B
}

// ParseOperation reads the spec of op.
func ParseOperation(b []byte) (*Operation, error) {
	o := &Operation{}
	err := NewReader(b).Fields(func(tag Field, v *Reader) bool {
		switch tag {
		case FieldOperands:
			o.Operands = make([]int64, 0, v.Len()/8)
			for v.Len() > 0 {
				o.Operands = append(o.Operands, v.I64())
			}
		case FieldScalars:
			o.Scalars = make([]float64, 0, v.Len()/8)
			for v.Len() > 0 {
				o.Scalars = append(o.Scalars, v.F64())
			}
		default:
			return false
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}
