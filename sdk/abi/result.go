package abi

import "github.com/xai-go/xai/sdk"

// Meta says what the dimensions of a result are.
type Meta struct {
	Axes  []string   // one a dimension
	Units []sdk.Unit // replaces the request's units; nil where it does not
}

// AppendMeta appends the meta frame of a result to b.
func AppendMeta(b []byte, m *Meta) []byte {
	w := Writer{b}
	if len(m.Axes) > 0 {
		at := w.Open(FieldAxes, FlagCritical)
		w.Strings(m.Axes)
		w.Close(at)
	}
	if m.Units != nil {
		at := w.Open(FieldResultUnits, FlagCritical)
		w.Units(m.Units)
		w.Close(at)
	}
	return w.B
}

// ParseMeta reads the meta frame of a result.
func ParseMeta(b []byte) (*Meta, error) {
	m := &Meta{}
	err := NewReader(b).Fields(func(f Field, v *Reader) bool {
		switch f {
		case FieldAxes:
			m.Axes = v.Strings()
		case FieldResultUnits:
			m.Units = v.Units()
		default:
			return false
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}
