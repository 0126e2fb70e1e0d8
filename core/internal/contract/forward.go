package contract

import (
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

func invalid(message string) error { return sdk.NewError(sdk.EInvalid, message) }

// checkForward checks f against the request: it has exactly one form; rows over
// units and tokens are u8 of two dimensions, as wide as what they run over and
// at least one wide, and hold 0 and 1; units of its own lie in the request and
// have no empty span; texts, rows of ids and the fill are within their bounds.
func checkForward(f *sdk.Forward, r *sdk.Request) error {
	if f == nil {
		return invalid("the forward is nil")
	}
	forms := 0
	for _, set := range []bool{f.Units != nil, f.Masks != nil, f.Texts != nil, f.IDs != nil} {
		if set {
			forms++
		}
	}
	if forms != 1 {
		return invalid("a forward has exactly one of units, masks, texts and ids")
	}
	if !f.Fill.Kind.Known() {
		return invalid("the forward's fill policy is unknown")
	}
	if len(f.Fill.Text) > abi.MaxFill {
		return sdk.NewError(sdk.ERange, "the fill text has "+strconv.Itoa(len(f.Fill.Text))+" bytes, and "+strconv.Itoa(abi.MaxFill)+" is the most")
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
	}
	for i, text := range f.Texts {
		if len(text) > abi.MaxText {
			return sdk.NewError(sdk.ERange, "text "+strconv.Itoa(i)+" of a forward has "+strconv.Itoa(len(text))+" bytes, and "+strconv.Itoa(abi.MaxText)+" is the most")
		}
	}
	for i, ids := range f.IDs {
		if len(ids) == 0 {
			return invalid("row " + strconv.Itoa(i) + " of a forward holds no token")
		}
	}
	return nil
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
