package contract

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

func invalid(message string) error { return &Fault{sdk.NewError(sdk.EInvalid, message)} }

func outside(message string) error { return &Fault{sdk.NewError(sdk.ERange, message)} }

// checkForward checks f against the request: it has exactly one form; rows over
// units and tokens are u8 of two dimensions, as wide as what they run over and
// at least one wide, and hold 0 and 1; embeddings are f32 of three, for the
// request's tokens; units of its own lie in the request and have no empty span;
// texts, rows of ids, the fill and the names of points are within their bounds;
// edits have the values that they take. What only the model knows, the width of
// an embedding and the size of its vocabulary, it checks itself.
func checkForward(f *sdk.Forward, r *sdk.Request) error {
	forms := 0
	for _, set := range []bool{f.Units != nil, f.Masks != nil, f.Texts != nil, f.IDs != nil, f.Embeds != nil} {
		if set {
			forms++
		}
	}
	if forms != 1 {
		return invalid("a forward has exactly one of units, masks, texts, ids and embeds")
	}
	if !f.Fill.Kind.Known() {
		return invalid("the forward's fill policy is unknown")
	}
	if n := len(f.Fill.Text); n > abi.MaxFill {
		size := strconv.Itoa(n) + " bytes, and " + strconv.Itoa(abi.MaxFill) + " is the most"
		if name := parameterOf(f.Fill.Text, r); name != "" { // it is the user who can mend it
			return sdk.NewError(sdk.EInvalid, name+" fills in a text of "+size)
		}
		return outside("the fill text has " + size)
	}
	if f.Fill.Kind == sdk.FillToken && f.Fill.Token < 0 {
		return outside("the fill token is " + strconv.Itoa(int(f.Fill.Token)) + ", and ids count from 0")
	}
	if err := checkNames(f.Points); err != nil {
		return err
	}
	for _, name := range f.Points {
		switch name {
		case sdk.ReplyTarget, sdk.ReplyLogits, sdk.ReplyProbs, sdk.ReplyLogProbs:
			return sdk.NewError(sdk.EName, "every reply has an output named "+name+": a point has to bear another name, such as its canonical one")
		}
	}
	if err := checkEdits(f.Edits); err != nil {
		return err
	}
	if f.Over != nil {
		if f.Units == nil {
			return invalid("a forward names units of its own without rows over units")
		}
		if err := checkOver(f.Over, r); err != nil {
			return err
		}
	}
	switch {
	case f.Units != nil && f.Over != nil:
		return checkRows(f.Units, len(f.Over), "units")
	case f.Units != nil:
		return checkRows(f.Units, len(r.Units), "units")
	case f.Masks != nil:
		return checkRows(f.Masks, len(r.Tokens), "tokens")
	case f.Embeds != nil:
		return checkEmbeds(f.Embeds, len(r.Tokens))
	}
	for i, text := range f.Texts {
		if len(text) > abi.MaxText {
			return outside("text " + strconv.Itoa(i) + " of a forward has " + strconv.Itoa(len(text)) + " bytes, and " + strconv.Itoa(abi.MaxText) + " is the most")
		}
	}
	for i, ids := range f.IDs {
		if len(ids) == 0 {
			return invalid("row " + strconv.Itoa(i) + " of a forward holds no token")
		}
		if at := slices.IndexFunc(ids, func(id int32) bool { return id < 0 }); at >= 0 {
			return outside("token " + strconv.Itoa(at) + " of row " + strconv.Itoa(i) + " of a forward is " + strconv.Itoa(int(ids[at])) + ", and ids count from 0")
		}
	}
	return nil
}

// parameterOf returns the parameter that a text is of, or the first of them; "" where
// there is none. Of a parameter with several texts it may be one.
func parameterOf(text string, r *sdk.Request) string {
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		if value, ok := r.Params[name].(string); ok && strings.Contains(value, text) {
			return name
		}
	}
	return ""
}

// checkRows checks that t is a u8 tensor of rows over n columns, of 0 and 1.
func checkRows(t *sdk.Tensor, n int, columns string) error {
	if err := checkTensor(t); err != nil {
		return err
	}
	keep, ok := t.Data.([]uint8)
	if !ok || len(t.Shape) != 2 {
		return invalid("the rows of a forward are a u8 tensor of two dimensions, and this one is " + t.DType().String() + " of " + strconv.Itoa(len(t.Shape)))
	}
	if t.Shape[1] != n {
		return invalid("the rows of a forward have " + strconv.Itoa(t.Shape[1]) + " columns for " + strconv.Itoa(n) + " " + columns)
	}
	// Such rows take no memory, and any number of them would be free.
	if n == 0 && t.Shape[0] > 0 {
		return invalid("the rows of a forward have no columns")
	}
	if i := slices.IndexFunc(keep, func(k uint8) bool { return k > 1 }); i >= 0 {
		return invalid("row " + strconv.Itoa(i/n) + " of a forward holds " + strconv.Itoa(int(keep[i])) + ", which is neither 0 nor 1")
	}
	return nil
}

// checkOver checks units that a forward brings. An empty span would be a place
// where any number of units put their fill.
func checkOver(units []sdk.Unit, r *sdk.Request) error {
	if err := checkUnits(units, r); err != nil {
		return err
	}
	for i, u := range units {
		if slices.ContainsFunc(u.Spans, func(s sdk.Span) bool { return s.Start == s.End }) {
			return invalid("unit " + strconv.Itoa(i) + " of a forward has an empty span")
		}
	}
	return nil
}

// checkEmbeds checks that t is an f32 tensor of rows over n tokens.
func checkEmbeds(t *sdk.Tensor, n int) error {
	if err := checkTensor(t); err != nil {
		return err
	}
	if _, ok := t.Data.([]float32); !ok || len(t.Shape) != 3 {
		return invalid("the embeddings of a forward are an f32 tensor of three dimensions, and this one is " + t.DType().String() + " of " + strconv.Itoa(len(t.Shape)))
	}
	if t.Shape[1] != n {
		return invalid("the embeddings of a forward are of " + strconv.Itoa(t.Shape[1]) + " tokens, and the request has " + strconv.Itoa(n))
	}
	if t.Shape[2] == 0 || n == 0 && t.Shape[0] > 0 {
		return invalid("the embeddings of a forward hold no values")
	}
	return nil
}

// checkNames checks the number and the length of the names of points.
func checkNames(names []string) error {
	if len(names) > abi.MaxPoints {
		return outside("a forward names " + strconv.Itoa(len(names)) + " points, and " + strconv.Itoa(abi.MaxPoints) + " is the most")
	}
	for _, name := range names {
		if len(name) > abi.MaxName {
			return sdk.NewError(sdk.EName, "the name of a point is longer than "+strconv.Itoa(abi.MaxName)+" bytes")
		}
	}
	return nil
}

// checkEdits checks that each edit has the value that its operation takes.
func checkEdits(edits []sdk.Edit) error {
	if len(edits) > abi.MaxEdits {
		return outside("a forward has " + strconv.Itoa(len(edits)) + " edits, and " + strconv.Itoa(abi.MaxEdits) + " is the most")
	}
	for i, e := range edits {
		name := "edit " + strconv.Itoa(i) + " of a forward"
		switch {
		case len(e.Point) > abi.MaxName:
			return sdk.NewError(sdk.EName, "the point of "+name+" has a name longer than "+strconv.Itoa(abi.MaxName)+" bytes")
		case !e.Op.Known():
			return invalid("the operation of " + name + " is unknown")
		case !e.Op.TakesValue() && e.Value != nil:
			return invalid(name + " has a value, and " + e.Op.String() + " takes none")
		case !e.Op.TakesValue():
			continue
		case e.Value == nil:
			return invalid(name + " has no value for " + e.Op.String())
		}
		if err := checkTensor(e.Value); err != nil {
			return err
		}
		if t := e.Value.DType(); t != sdk.F32 && t != sdk.F64 {
			return invalid("the value of " + name + " is " + t.String() + ", and must be f32 or f64")
		}
		if elements(e.Value) == 0 {
			return invalid("the value of " + name + " holds nothing")
		}
	}
	return nil
}
