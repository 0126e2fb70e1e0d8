package abi

import "github.com/xai-go/xai/sdk"

// The bits of a token's flags.
const (
	TokenSpecial = 1
	TokenFixed   = 2
)

// Tokens appends a token list: its length as u32, and for each token i32 id;
// u32 sequence, start, end, rune start, rune end, flags; string text.
func (w *Writer) Tokens(list []sdk.Token) {
	w.Index(len(list))
	for i := range list {
		t := &list[i]
		w.U32(uint32(t.ID))
		w.Index(t.Sequence)
		w.Index(t.Start)
		w.Index(t.End)
		w.Index(t.RuneStart)
		w.Index(t.RuneEnd)
		var flags uint32
		if t.Special {
			flags |= TokenSpecial
		}
		if t.Fixed {
			flags |= TokenFixed
		}
		w.U32(flags)
		w.String(t.Text)
	}
}

// Tokens reads a token list, nil where it is empty.
func (r *Reader) Tokens() []sdk.Token {
	n := r.Count(8 * 4)
	if n == 0 {
		return nil
	}
	list := make([]sdk.Token, n)
	for i := range list {
		t := &list[i]
		t.ID = int32(r.U32())
		t.Sequence = r.Index()
		t.Start = r.Index()
		t.End = r.Index()
		t.RuneStart = r.Index()
		t.RuneEnd = r.Index()
		flags := r.U32()
		t.Special = flags&TokenSpecial != 0
		t.Fixed = flags&TokenFixed != 0
		t.Text = r.String()
	}
	return list
}

// Units appends a unit list: its length as u32, and for each unit string text;
// u32 spans, and for each u32 sequence, start, end; u32 tokens, and for each
// u32 index.
func (w *Writer) Units(list []sdk.Unit) {
	w.Index(len(list))
	for i := range list {
		u := &list[i]
		w.String(u.Text)
		w.Index(len(u.Spans))
		for _, s := range u.Spans {
			w.Index(s.Sequence)
			w.Index(s.Start)
			w.Index(s.End)
		}
		w.Index(len(u.Tokens))
		for _, t := range u.Tokens {
			w.Index(t)
		}
	}
}

// Units reads a unit list, empty and not nil where it has no units.
func (r *Reader) Units() []sdk.Unit {
	list := make([]sdk.Unit, r.Count(3*4))
	for i := range list {
		u := &list[i]
		u.Text = r.String()
		if n := r.Count(3 * 4); n > 0 {
			u.Spans = make([]sdk.Span, n)
			for j := range u.Spans {
				u.Spans[j] = sdk.Span{Sequence: r.Index(), Start: r.Index(), End: r.Index()}
			}
		}
		if n := r.Count(4); n > 0 {
			u.Tokens = make([]int, n)
			for j := range u.Tokens {
				u.Tokens[j] = r.Index()
			}
		}
	}
	return list
}

// Target appends a target but for its positions: string kind, expression, label;
// u32 index; u32 output code; f64 value.
func (w *Writer) Target(t sdk.Target) {
	w.String(t.Kind)
	w.String(t.Expr)
	w.String(t.Label)
	w.Index(t.Index)
	code := OutputCode(0)
	for i, o := range outputs {
		if o == t.Output {
			code = OutputCode(i)
		}
	}
	w.U32(uint32(code))
	w.F64(t.Value)
}

// Target reads a target.
func (r *Reader) Target() sdk.Target {
	t := sdk.Target{Kind: r.String(), Expr: r.String(), Label: r.String(), Index: r.Index()}
	if code := r.U32(); code < uint32(len(outputs)) {
		t.Output = outputs[code]
	} else {
		r.Fail(sdk.NewError(sdk.EInvalid, "the target has an unknown output"))
	}
	t.Value = r.F64()
	return t
}

// Positions appends the positions of a target: u32 each, to the end.
func (w *Writer) Positions(list []int) {
	for _, at := range list {
		w.Index(at)
	}
}

// Positions reads positions to the end, nil where there are none.
func (r *Reader) Positions() []int {
	var list []int
	for r.Len() > 0 {
		list = append(list, r.Index())
	}
	return list
}

// Model appends a model: string id, architecture, task, mask token; string
// list labels.
func (w *Writer) Model(m sdk.ModelInfo) {
	w.String(m.ID)
	w.String(m.Architecture)
	w.String(m.Task)
	w.String(m.MaskToken)
	w.Strings(m.Labels)
}

// Model reads a model.
func (r *Reader) Model() sdk.ModelInfo {
	return sdk.ModelInfo{ID: r.String(), Architecture: r.String(), Task: r.String(), MaskToken: r.String(), Labels: r.Strings()}
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
