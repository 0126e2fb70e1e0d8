// Package contract is what the host holds a method to, whatever it runs in:
// what it may ask of the model and what it must return.
package contract

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/core/internal/random"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Complete returns a copy of r with Rand, Progress and Log set. Rand defaults
// to the stream of the run's seed and the method's name. Progress refuses a
// count that is negative or beyond its total.
func Complete(r *sdk.Request, info sdk.Info) *sdk.Request {
	c := *r
	if c.Rand == nil {
		c.Rand = random.New(r.Seed, info.Name, random.Method)
	}
	progress := c.Progress
	c.Progress = func(done, total int) error {
		if done < 0 || total < 0 || done > total {
			return invalid("the method reports " + strconv.Itoa(done) + " of " + strconv.Itoa(total) + " steps as done")
		}
		if progress == nil {
			return nil
		}
		return progress(done, total)
	}
	if c.Log == nil {
		c.Log = func(sdk.Level, string) {}
	}
	return &c
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
