package hostcall

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

func TestAssemble(t *testing.T) {
	one := func(name string, axes []string, shape []int, data any, units ...sdk.Unit) result {
		return result{name, &abi.Meta{Axes: axes, Units: units}, &sdk.Tensor{Shape: shape, Data: data}}
	}
	f := []float64{1}
	good := one("attributions", []string{"units"}, []int{1}, f)
	for name, c := range map[string]struct {
		results []result
		want    string
	}{
		"good":                {[]result{good}, ""},
		"attributions last":   {[]result{one("more", []string{"tokens"}, []int{1}, f), good}, ""},
		"errors first":        {[]result{one("attributions.stderr", []string{"units"}, []int{1}, f), good}, ""},
		"errors of nothing":   {[]result{good, one("x.stderr", []string{"units"}, []int{1}, f)}, "standard errors of x, which it did not return"},
		"errors of integers":  {[]result{good, one("x.stderr", []string{"units"}, []int{1}, []int32{1})}, "x.stderr as something else"},
		"units elsewhere":     {[]result{good, one("more", []string{"units"}, []int{1}, f, sdk.Unit{})}, "returned units with more"},
		"baseline of two":     {[]result{good, one("baseline", []string{"x"}, []int{2}, []float64{1, 2})}, "baseline as something else"},
		"baseline of float32": {[]result{good, one("baseline", nil, nil, []float32{1})}, "baseline as something else"},
		"diagnostic list":     {[]result{good, one("diagnostics.x", []string{"x"}, []int{1}, f)}, "diagnostics.x as something else"},
		"attribution matrix":  {[]result{one("attributions", []string{"a", "b"}, []int{1, 1}, f)}, "attributions as something else"},
		"one axis too few":    {[]result{one("attributions", []string{"units"}, []int{1, 1}, f)}, "attributions as something else"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Call{results: c.results}
			e, err := g.assemble()
			switch {
			case c.want == "" && (err != nil || e.Attributions[0].Name != "attributions"):
				t.Errorf("got %+v, %v", e, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestErrno(t *testing.T) {
	for _, c := range []struct {
		err  error
		want sdk.Errno
	}{
		{sdk.NewError(sdk.ERange, "x"), sdk.ERange},
		{errors.Join(errors.New("x"), sdk.NewError(sdk.EName, "y")), sdk.EName},
		{sdk.NewError(5, "positive"), sdk.EInternal},
		{sdk.NewError(-12, "unknown"), sdk.EInternal},
		{context.Canceled, sdk.ECancelled},
		{context.DeadlineExceeded, sdk.ECancelled},
		{errors.New("x"), sdk.EInternal},
	} {
		if got := errno(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{
		{"plain", 9, "plain"},
		{"two\nlines\r\n", 99, "two lines "},
		{"\x1b]0;title\x07", 99, "]0;title"},
		{"\xff", 99, "\uFFFD"},
		{"a\u202eb\u2066c\u200fd", 99, "abcd"},
		{"\u0085\u2028x", 99, "x"},
		{"üüüüü", 10, "üüüüü"},
		{"üüüüü", 9, "üüü…"},
		{"üüüüü", 8, "üü…"},
	} {
		if got := Clean(c.in, c.n); got != c.want {
			t.Errorf("%q in %d bytes: %q, want %q", c.in, c.n, got, c.want)
		}
	}
}
