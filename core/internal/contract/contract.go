// Package contract is what the host holds a method to, whatever it runs in:
// what it may ask of the model and what it must return.
package contract

import (
	"context"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/core/internal/random"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Complete returns a copy of r with Rand, Progress and Log set. Rand defaults
// to the stream of the run's seed and the method's name.
func Complete(r *sdk.Request, info sdk.Info) *sdk.Request {
	c := *r
	if c.Rand == nil {
		c.Rand = random.New(r.Seed, info.Name, random.Method)
	}
	if c.Progress == nil {
		c.Progress = func(int, int) error { return nil }
	}
	if c.Log == nil {
		c.Log = func(sdk.Level, string) {}
	}
	return &c
}

// Model returns m restricted to what info declares that the method needs, with
// every forward checked against the request before m sees it.
func Model(m sdk.Model, info sdk.Info, r *sdk.Request) sdk.Model {
	return &model{m, slices.Contains(info.Needs, sdk.NeedForward), r}
}

type model struct {
	sdk.Model
	forward bool
	request *sdk.Request
}

// Forward implements sdk.Model.
func (m *model) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	if !m.forward {
		return nil, sdk.NewError(sdk.ECap, "the method asks for a forward, which its declaration does not name among its needs")
	}
	if err := checkForward(f, m.request); err != nil {
		return nil, err
	}
	return m.Model.Forward(ctx, f)
}

func invalid(message string) error { return sdk.NewError(sdk.EInvalid, message) }

// checkForward checks the shape of f against the request.
func checkForward(f *sdk.Forward, r *sdk.Request) error {
	kinds := 0
	for _, set := range []bool{f.Units != nil, f.Masks != nil, f.Texts != nil, f.IDs != nil} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return invalid("a forward has exactly one of units, masks, texts and ids")
	}
	if f.Over != nil {
		if f.Units == nil {
			return invalid("a forward names units of its own without rows over units")
		}
		if err := checkUnits(f.Over, r); err != nil {
			return err
		}
	}
	switch {
	case f.Units != nil && f.Over != nil:
		if err := checkRows(f.Units, len(f.Over), "units"); err != nil {
			return err
		}
	case f.Units != nil:
		if err := checkRows(f.Units, len(r.Units), "units"); err != nil {
			return err
		}
	case f.Masks != nil:
		if err := checkRows(f.Masks, len(r.Tokens), "tokens"); err != nil {
			return err
		}
	}
	switch {
	case f.Fill.Kind > sdk.FillToken:
		return sdk.NewError(sdk.EUnsupported, "the forward's fill policy is unknown")
	case f.Fill.Kind == sdk.FillToken && f.Masks == nil:
		return invalid("a fill with a token id is for rows over tokens alone")
	}
	return nil
}

// checkRows checks that t is a u8 tensor of rows over n columns.
func checkRows(t *sdk.Tensor, n int, columns string) error {
	if err := checkTensor(t); err != nil {
		return err
	}
	if t.DType() != sdk.U8 || len(t.Shape) != 2 {
		return invalid("the rows of a forward are a u8 tensor of two dimensions, and this one is " + t.DType().String() + " of " + strconv.Itoa(len(t.Shape)))
	}
	if t.Shape[1] != n {
		return invalid("the rows of a forward have " + strconv.Itoa(t.Shape[1]) + " columns for " + strconv.Itoa(n) + " " + columns)
	}
	return nil
}

// checkTensor checks that t's data are its shape's.
func checkTensor(t *sdk.Tensor) error {
	if len(t.Shape) > abi.MaxRank {
		return sdk.NewError(sdk.ERange, "a tensor has "+strconv.Itoa(len(t.Shape))+" dimensions, and "+strconv.Itoa(abi.MaxRank)+" is the most")
	}
	have := elements(t)
	if have < 0 {
		return invalid("a tensor holds something else than u8, i32, i64, f32 or f64")
	}
	if n, ok := abi.Elements(t.Shape); !ok || n != have {
		return invalid("a tensor's data are not its shape's")
	}
	return nil
}

// elements returns the number of elements that t holds, -1 for a type that
// tensors do not have.
func elements(t *sdk.Tensor) int {
	switch v := t.Data.(type) {
	case []uint8:
		return len(v)
	case []int32:
		return len(v)
	case []int64:
		return len(v)
	case []float32:
		return len(v)
	case []float64:
		return len(v)
	}
	return -1
}

// checkUnits checks that units lie in the request's texts and tokens.
func checkUnits(units []sdk.Unit, r *sdk.Request) error {
	for i, u := range units {
		name := "unit " + strconv.Itoa(i)
		for _, t := range u.Tokens {
			if t < 0 || t >= len(r.Tokens) {
				return sdk.NewError(sdk.ERange, name+" has token "+strconv.Itoa(t)+" of "+strconv.Itoa(len(r.Tokens)))
			}
		}
		for j, s := range u.Spans {
			size := len(r.Text)
			if s.Sequence == 1 && r.TextPair != nil {
				size = len(*r.TextPair)
			} else if s.Sequence != 0 {
				return sdk.NewError(sdk.ERange, name+" has a span in text "+strconv.Itoa(s.Sequence)+", which the request does not have")
			}
			if s.Start < 0 || s.End < s.Start || s.End > size {
				return sdk.NewError(sdk.ERange, name+" has a span that is outside its text")
			}
			if j > 0 {
				if p := u.Spans[j-1]; s.Sequence < p.Sequence || s.Sequence == p.Sequence && s.Start < p.End {
					return invalid(name + " has spans that do not ascend")
				}
			}
		}
	}
	return nil
}

// CheckName checks the name of a result, an axis or a diagnostic.
func CheckName(name string) error {
	switch {
	case name == "":
		return sdk.NewError(sdk.EName, "the method returned a result without a name")
	case len(name) > abi.MaxName:
		return sdk.NewError(sdk.EName, "the method returned a result whose name is longer than "+strconv.Itoa(abi.MaxName)+" bytes")
	case !utf8.ValidString(name):
		return sdk.NewError(sdk.EName, "the method returned a result whose name is not UTF-8")
	}
	for _, c := range name {
		if !unicode.IsPrint(c) {
			return sdk.NewError(sdk.EName, "the method returned a result whose name has a character that does not print")
		}
	}
	return nil
}
