package abi

import "github.com/xai-go/xai/sdk"

// Forward is a forward spec, or a gradient's: an sdk.Forward whose rows are
// handles.
type Forward struct {
	Rows   Field // FieldUnits, FieldMasks, FieldTexts, FieldIDs or FieldEmbeds
	Handle int64 // of the rows
	Extra  int64 // of the offsets of FieldTexts and the lengths of FieldIDs

	Over           []sdk.Unit // nil where the field is absent
	Fill           sdk.Fill
	Target         string
	KeepDuplicates bool
	Want           []Want // nil stands for all
	Points         []string
	Edits          []Edit
	Wrt            []string // of a gradient's spec alone
	Rule           sdk.Rule // of a gradient's spec alone
}

// Edit is an sdk.Edit whose value is a handle, 0 where it has none.
type Edit struct {
	Point string
	Op    sdk.EditOp
	Value int64
}

// AppendForward appends the spec f to b.
func AppendForward(b []byte, f *Forward) []byte {
	w := Writer{b}
	m := w.Open(f.Rows, FlagCritical)
	w.I64(f.Handle)
	if f.Rows == FieldTexts || f.Rows == FieldIDs {
		w.I64(f.Extra)
	}
	w.Close(m)
	if f.Over != nil {
		m = w.Open(FieldOver, FlagCritical)
		w.Units(f.Over)
		w.Close(m)
	}
	if f.Fill != (sdk.Fill{}) {
		m = w.Open(FieldFill, FlagCritical)
		w.U32(uint32(f.Fill.Kind))
		w.U32(uint32(f.Fill.Token))
		w.Text(f.Fill.Text)
		w.Close(m)
	}
	if f.Target != "" {
		m = w.Open(FieldTarget, FlagCritical)
		w.Text(f.Target)
		w.Close(m)
	}
	if f.KeepDuplicates {
		m = w.Open(FieldDedup, FlagCritical)
		w.U8(0)
		w.Close(m)
	}
	if f.Want != nil {
		m = w.Open(FieldWant, FlagCritical)
		for _, x := range f.Want {
			w.U32(uint32(x))
		}
		w.Close(m)
	}
	if f.Points != nil {
		m = w.Open(FieldPoints, FlagCritical)
		w.Strings(f.Points)
		w.Close(m)
	}
	if f.Edits != nil {
		m = w.Open(FieldEdits, FlagCritical)
		w.Index(len(f.Edits))
		for _, e := range f.Edits {
			w.String(e.Point)
			w.U32(uint32(e.Op))
			w.I64(e.Value)
		}
		w.Close(m)
	}
	if f.Wrt != nil {
		m = w.Open(FieldWrt, FlagCritical)
		w.Strings(f.Wrt)
		w.Close(m)
	}
	if f.Rule != sdk.RuleGradient {
		m = w.Open(FieldRule, FlagCritical)
		w.U32(uint32(f.Rule))
		w.Close(m)
	}
	return w.B
}

// ParseForward reads a forward spec.
func ParseForward(b []byte) (*Forward, error) { return parseForward(b, false) }

// ParseGradient reads the spec of a gradient: a forward's, with FieldWrt.
func ParseGradient(b []byte) (*Forward, error) { return parseForward(b, true) }

func parseForward(b []byte, gradient bool) (*Forward, error) {
	f := &Forward{}
	rows := 0
	r := NewReader(b)
	err := r.Fields(func(tag Field, v *Reader) bool {
		switch tag {
		case FieldUnits, FieldMasks, FieldTexts, FieldIDs, FieldEmbeds:
			rows++
			f.Rows, f.Handle = tag, v.I64()
			if tag == FieldTexts || tag == FieldIDs {
				f.Extra = v.I64()
			}
		case FieldOver:
			f.Over = v.Units()
		case FieldFill:
			f.Fill = sdk.Fill{Kind: sdk.FillKind(v.U32()), Token: int32(v.U32()), Text: v.Text()}
		case FieldTarget:
			f.Target = v.Text()
		case FieldDedup:
			f.KeepDuplicates = v.U8() == 0
		case FieldWant:
			f.Want = make([]Want, 0, v.Len()/4)
			for v.Len() > 0 {
				x := Want(v.U32())
				if x.String() == "" && v.Err() == nil {
					v.Fail(sdk.NewError(sdk.EUnsupported, "the spec wants an output that this version does not know"))
				}
				f.Want = append(f.Want, x)
			}
		case FieldPoints:
			f.Points = v.Strings()
		case FieldEdits:
			f.Edits = make([]Edit, v.Count(16))
			for i := range f.Edits {
				f.Edits[i] = Edit{v.String(), sdk.EditOp(v.U32()), v.I64()}
			}
		case FieldWrt:
			f.Wrt = v.Strings()
			return gradient
		case FieldRule:
			f.Rule = sdk.Rule(v.U32())
			return gradient
		default:
			return false
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if rows != 1 {
		return nil, sdk.NewError(sdk.EInvalid, "a forward spec has exactly one of units, masks, texts, ids and embeds")
	}
	if gradient && len(f.Wrt) == 0 {
		return nil, sdk.NewError(sdk.EInvalid, "the spec of a gradient names no point to take it at")
	}
	return f, nil
}
