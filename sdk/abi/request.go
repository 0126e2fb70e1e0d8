package abi

import "github.com/xai-go/xai/sdk"

// The bits of a token's flags.
const (
	TokenSpecial = 1
	TokenFixed   = 2
)

// Tokens appends a token list, which is a frame of columns: what each field holds
// has one element a token, in the order of the list.
func (w *Writer) Tokens(list []sdk.Token) {
	column(w, FieldTokenIDs, 0, list, func(t *sdk.Token) { w.U32(uint32(t.ID)) })
	column(w, FieldTokenSequences, 0, list, func(t *sdk.Token) { w.Index(t.Sequence) })
	column(w, FieldTokenStarts, 0, list, func(t *sdk.Token) { w.Index(t.Start) })
	column(w, FieldTokenEnds, 0, list, func(t *sdk.Token) { w.Index(t.End) })
	column(w, FieldTokenRuneStarts, 0, list, func(t *sdk.Token) { w.Index(t.RuneStart) })
	column(w, FieldTokenRuneEnds, 0, list, func(t *sdk.Token) { w.Index(t.RuneEnd) })
	column(w, FieldTokenFlags, 0, list, func(t *sdk.Token) {
		var flags uint32
		if t.Special {
			flags |= TokenSpecial
		}
		if t.Fixed {
			flags |= TokenFixed
		}
		w.U32(flags)
	})
	column(w, FieldTokenTexts, 0, list, func(t *sdk.Token) { w.String(t.Text) })
}

// column appends a field that has one element for each of a list.
func column[T any](w *Writer, f Field, flags uint16, list []T, element func(*T)) {
	m := w.Open(f, flags)
	for i := range list {
		element(&list[i])
	}
	w.Close(m)
}

// Tokens reads a token list to its end, nil where it is empty.
func (r *Reader) Tokens() []sdk.Token {
	c := r.columns(FieldTokenTexts)
	n := c[FieldTokenIDs].Len() / 4
	for f := FieldTokenIDs; f <= FieldTokenFlags; f++ {
		if c[f].Len() != 4*n {
			r.Fail(errColumns)
		}
	}
	if c[FieldTokenTexts].Len() < 4*n {
		r.Fail(errColumns)
	}
	var list []sdk.Token
	if n > 0 && r.err == nil {
		list = make([]sdk.Token, n)
	}
	for i := range list {
		t := &list[i]
		t.ID = int32(c[FieldTokenIDs].U32())
		t.Sequence = c[FieldTokenSequences].Index()
		t.Start = c[FieldTokenStarts].Index()
		t.End = c[FieldTokenEnds].Index()
		t.RuneStart = c[FieldTokenRuneStarts].Index()
		t.RuneEnd = c[FieldTokenRuneEnds].Index()
		flags := c[FieldTokenFlags].U32()
		t.Special = flags&TokenSpecial != 0
		t.Fixed = flags&TokenFixed != 0
		t.Text = c[FieldTokenTexts].String()
	}
	r.finish(&c[FieldTokenTexts])
	return list
}

// errColumns is the error of columns that do not belong together.
var errColumns = sdk.NewError(sdk.EInvalid, "the columns of a list in the frame differ in their lengths")

// columns reads a frame to its end and returns the values of the fields up to
// last, each at its tag, empty where it is absent and where the frame is wrong.
func (r *Reader) columns(last Field) []Reader {
	out := make([]Reader, last+1)
	err := r.Fields(func(f Field, v *Reader) bool {
		if f == 0 || f > last {
			return false
		}
		out[f].b = v.Take(v.Len())
		return true
	})
	if err != nil {
		return make([]Reader, last+1)
	}
	return out
}

// finish takes over the error of a column that should have been read to its end.
func (r *Reader) finish(column *Reader) {
	if err := column.End(); err != nil {
		r.Fail(err)
	}
}

// Units appends a unit list, a frame of columns as a token list is. Those of
// spans and tokens have the elements of all units one after the other.
func (w *Writer) Units(list []sdk.Unit) {
	column(w, FieldUnitTexts, FlagCritical, list, func(u *sdk.Unit) { w.String(u.Text) })
	column(w, FieldUnitSpanCounts, FlagCritical, list, func(u *sdk.Unit) { w.Index(len(u.Spans)) })
	column(w, FieldUnitSpans, FlagCritical, list, func(u *sdk.Unit) {
		for _, s := range u.Spans {
			w.Index(s.Sequence)
			w.Index(s.Start)
			w.Index(s.End)
		}
	})
	column(w, FieldUnitTokenCounts, FlagCritical, list, func(u *sdk.Unit) { w.Index(len(u.Tokens)) })
	column(w, FieldUnitTokens, FlagCritical, list, func(u *sdk.Unit) { w.Indices(u.Tokens) })
}

// Units reads a unit list to its end, empty and not nil where it has no units.
func (r *Reader) Units() []sdk.Unit {
	c := r.columns(FieldUnitTokens)
	n := c[FieldUnitSpanCounts].Len() / 4
	if c[FieldUnitSpanCounts].Len() != 4*n || c[FieldUnitTokenCounts].Len() != 4*n || c[FieldUnitTexts].Len() < 4*n {
		r.Fail(errColumns)
		n = 0
	}
	list := make([]sdk.Unit, n)
	for i := range list {
		u := &list[i]
		u.Text = c[FieldUnitTexts].String()
		if k := r.part(&c[FieldUnitSpanCounts], &c[FieldUnitSpans], 3*4); k > 0 {
			u.Spans = make([]sdk.Span, k)
			for j := range u.Spans {
				u.Spans[j] = sdk.Span{Sequence: c[FieldUnitSpans].Index(), Start: c[FieldUnitSpans].Index(), End: c[FieldUnitSpans].Index()}
			}
		}
		if k := r.part(&c[FieldUnitTokenCounts], &c[FieldUnitTokens], 4); k > 0 {
			u.Tokens = make([]int, k)
			for j := range u.Tokens {
				u.Tokens[j] = c[FieldUnitTokens].Index()
			}
		}
	}
	for _, f := range []Field{FieldUnitTexts, FieldUnitSpans, FieldUnitTokens} {
		r.finish(&c[f])
	}
	return list
}

// part returns how many elements of a column, of size bytes each, the next of the
// counts gives to a unit.
func (r *Reader) part(counts, column *Reader, size int) int {
	k := counts.U32()
	if uint64(k)*uint64(size) > uint64(column.Len()) {
		r.Fail(errColumns)
		return 0
	}
	return int(k)
}

// Indices appends indices: u32 each, to the end.
func (w *Writer) Indices(list []int) {
	for _, at := range list {
		w.Index(at)
	}
}

// Indices reads indices to the end, nil where there are none.
func (r *Reader) Indices() []int {
	var list []int
	if n := r.Len() / 4; n > 0 {
		list = make([]int, 0, n)
	}
	for r.Len() > 0 {
		list = append(list, r.Index())
	}
	return list
}

// Target appends a target: a frame of fields.
func (w *Writer) Target(t sdk.Target) {
	w.text(FieldTargetKind, t.Kind)
	w.text(FieldTargetExpression, t.Expr)
	w.text(FieldTargetLabel, t.Label)
	w.index(FieldTargetIndex, t.Index)
	for i, o := range outputs {
		if o == t.Output {
			w.index(FieldTargetOutput, i)
		}
	}
	m := w.Open(FieldTargetValue, 0)
	w.F64(t.Value)
	w.Close(m)
	if len(t.Positions) > 0 {
		m := w.Open(FieldTargetPositions, 0)
		w.Indices(t.Positions)
		w.Close(m)
	}
	w.index(FieldTargetSecond, t.Second)
	w.text(FieldTargetSecondLabel, t.SecondLabel)
}

// text appends a field of text, unless it is empty.
func (w *Writer) text(f Field, s string) {
	if s == "" {
		return
	}
	m := w.Open(f, 0)
	w.Text(s)
	w.Close(m)
}

// index appends a field of one index or count, unless it is 0.
func (w *Writer) index(f Field, v int) {
	if v == 0 {
		return
	}
	m := w.Open(f, 0)
	w.Index(v)
	w.Close(m)
}

// Target reads a target to its end.
func (r *Reader) Target() sdk.Target {
	var t sdk.Target
	r.Fields(func(f Field, v *Reader) bool {
		switch f {
		case FieldTargetKind:
			t.Kind = v.Text()
		case FieldTargetExpression:
			t.Expr = v.Text()
		case FieldTargetLabel:
			t.Label = v.Text()
		case FieldTargetIndex:
			t.Index = v.Index()
		case FieldTargetOutput:
			if code := v.U32(); code < uint32(len(outputs)) {
				t.Output = outputs[code]
			} else {
				v.Fail(sdk.NewError(sdk.EUnsupported, "the target has an output that this version does not know"))
			}
		case FieldTargetValue:
			t.Value = v.F64()
		case FieldTargetPositions:
			t.Positions = v.Indices()
		case FieldTargetSecond:
			t.Second = v.Index()
		case FieldTargetSecondLabel:
			t.SecondLabel = v.Text()
		default:
			return false
		}
		return true
	})
	return t
}

// Model appends a model: a frame of fields.
func (w *Writer) Model(m sdk.ModelInfo) {
	w.text(FieldModelID, m.ID)
	w.text(FieldModelArchitecture, m.Architecture)
	w.text(FieldModelTask, m.Task)
	w.text(FieldModelMaskToken, m.MaskToken)
	if len(m.Labels) > 0 {
		at := w.Open(FieldModelLabels, 0)
		w.Strings(m.Labels)
		w.Close(at)
	}
	w.index(FieldModelLayers, m.Layers)
	w.index(FieldModelHeads, m.Heads)
	w.index(FieldModelEmbedding, m.Embedding)
	w.index(FieldModelHidden, m.Hidden)
	w.index(FieldModelVocabulary, m.Vocabulary)
	w.index(FieldModelMaxTokens, m.MaxTokens)
	ids := func(f Field, list ...int32) {
		at := w.Open(f, 0)
		for _, id := range list {
			w.U32(uint32(id))
		}
		w.Close(at)
	}
	if m.MaskID != nil {
		ids(FieldModelMaskID, *m.MaskID)
	}
	if m.PadID != nil {
		ids(FieldModelPadID, *m.PadID)
	}
	if len(m.SpecialIDs) > 0 {
		ids(FieldModelSpecialIDs, m.SpecialIDs...)
	}
}

// Model reads a model to its end.
func (r *Reader) Model() sdk.ModelInfo {
	var m sdk.ModelInfo
	r.Fields(func(f Field, v *Reader) bool {
		switch f {
		case FieldModelID:
			m.ID = v.Text()
		case FieldModelArchitecture:
			m.Architecture = v.Text()
		case FieldModelTask:
			m.Task = v.Text()
		case FieldModelMaskToken:
			m.MaskToken = v.Text()
		case FieldModelLabels:
			m.Labels = v.Strings()
		case FieldModelLayers:
			m.Layers = v.Index()
		case FieldModelHeads:
			m.Heads = v.Index()
		case FieldModelEmbedding:
			m.Embedding = v.Index()
		case FieldModelHidden:
			m.Hidden = v.Index()
		case FieldModelVocabulary:
			m.Vocabulary = v.Index()
		case FieldModelMaxTokens:
			m.MaxTokens = v.Index()
		case FieldModelMaskID:
			m.MaskID = new(int32(v.U32()))
		case FieldModelPadID:
			m.PadID = new(int32(v.U32()))
		case FieldModelSpecialIDs:
			for _, id := range v.Indices() {
				m.SpecialIDs = append(m.SpecialIDs, int32(id))
			}
		default:
			return false
		}
		return true
	})
	return m
}

// Param appends a parameter's value behind its type, and reports whether the
// value is of that type.
func (w *Writer) Param(t sdk.ParamType, value any) bool {
	switch v := value.(type) {
	case int64:
		w.U32(uint32(ParamInt))
		w.I64(v)
		return t == sdk.Int
	case float64:
		w.U32(uint32(ParamFloat))
		w.F64(v)
		return t == sdk.Float
	case bool:
		w.U32(uint32(ParamBool))
		w.Bool(v)
		return t == sdk.Bool
	case string:
		if t == sdk.Enum {
			w.U32(uint32(ParamEnum))
		} else {
			w.U32(uint32(ParamString))
		}
		w.Text(v)
		return t == sdk.Enum || t == sdk.String
	}
	return false
}

// Param reads a parameter's value as an int64, float64, bool or string.
func (r *Reader) Param() any {
	switch ParamType(r.U32()) {
	case ParamInt:
		return r.I64()
	case ParamFloat:
		return r.F64()
	case ParamBool:
		return r.U8() != 0
	case ParamString, ParamEnum:
		return r.Text()
	}
	r.Fail(sdk.NewError(sdk.EInvalid, "the parameter has an unknown type"))
	return nil
}

// AppendRequest appends the request frame of xai_explain to b.
func AppendRequest(b []byte, method string) []byte {
	w := Writer{b}
	m := w.Open(FieldMethod, FlagCritical)
	w.Text(method)
	w.Close(m)
	return w.B
}

// ParseRequest returns the method that a request frame names.
func ParseRequest(b []byte) (method string, err error) {
	err = NewReader(b).Fields(func(f Field, v *Reader) bool {
		if f != FieldMethod {
			return false
		}
		method = v.Text()
		return true
	})
	return method, err
}
