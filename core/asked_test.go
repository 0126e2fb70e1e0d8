package core_test

import (
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/sdk"
)

// TestUnitsOfTheMethod: where a preset cuts the text into units of its own, whoever
// asked for others is told, whichever they are; nobody else is, nor who repeats a run.
func TestUnitsOfTheMethod(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	for _, c := range []struct {
		units, compat string
		warned        bool
	}{
		{"", "lime", false},
		{core.UnitsWord, "lime", true},
		{core.UnitsSentence, "lime", true},
		{"", "none", false},
		{core.UnitsWord, "none", false},
		{core.UnitsSentence, "none", false},
	} {
		var told []string
		r := core.Request{
			Input: core.Input{Text: "A gripping film."}, Method: "lime", Runtime: core.RuntimeNative, Units: c.units,
			Params: map[string]string{"compat": c.compat, "num_samples": "20"},
			Log:    func(_ sdk.Level, message string) { told = append(told, message) },
		}
		x, err := host.Explain(t.Context(), model, r)
		if err != nil {
			t.Fatal(err)
		}
		if c.warned != (len(told) == 1 && strings.HasSuffix(told[0], "("+c.units+")")) || !c.warned && len(told) > 0 {
			t.Errorf("%+v: %q", c, told)
		}
		if c.units == "" && x.Provenance.Units != core.UnitsWord {
			t.Errorf("%+v: the units are %q", c, x.Provenance.Units)
		}
		again, err := x.Again(nil)
		if err != nil {
			t.Fatal(err)
		}
		told, again.Log = nil, r.Log
		if v, err := host.Verify(t.Context(), model, x, again); err != nil || !v.SameBits || c.units != core.UnitsSentence && len(told) > 0 {
			t.Errorf("%+v: %+v, %v, %q", c, v, err, told)
		}
	}
}
