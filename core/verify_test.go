package core_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xai-go/xai/core"
)

// receipt explains a text and reads the explanation's JSON form back.
func receipt(t *testing.T, host *core.Host, m *core.Model, r core.Request) *core.Explanation {
	t.Helper()
	x, err := host.Explain(t.Context(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	back, err := core.ReadExplanation(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func verify(t *testing.T, host *core.Host, m *core.Model, x *core.Explanation) *core.Verification {
	t.Helper()
	r, err := x.Again(nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := host.Verify(t.Context(), m, x, r)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifyRepeatsTheRun(t *testing.T) {
	host := newHost(t, core.Options{})
	m := open(t, host, "builtin:sentiment-en")
	for name, r := range map[string]core.Request{
		"defaults":   {},
		"settings":   {Params: map[string]string{"num_samples": "150", "fill": "delete", "kernel_width": "3.5e-1"}, Units: "token", Seed: 1<<64 - 1, Output: "logprob"},
		"difference": {Params: map[string]string{"num_samples": "150"}, Target: "POSITIVE - NEGATIVE", Output: "logit"},
		"preset":     {Params: map[string]string{"compat": "lime", "num_samples": "150"}},
		"classes":    {Params: map[string]string{"num_samples": "150", "top_labels": "2"}},
		"native":     {Params: map[string]string{"num_samples": "150"}, Runtime: core.RuntimeNative},
	} {
		t.Run(name, func(t *testing.T) {
			r.Input.Text = sentence
			v := verify(t, host, m, receipt(t, host, m, r))
			if !v.SameBits || !v.SameKernel || !v.Passed() {
				t.Errorf("it does not repeat: %+v", v.Differences)
			}
		})
	}
}

func TestVerifySeesWhatChanged(t *testing.T) {
	host := newHost(t, core.Options{})
	m := open(t, host, "builtin:sentiment-en")
	base := core.Request{Input: core.Input{Text: sentence}, Params: map[string]string{"num_samples": "150", "top_labels": "2"}}
	for name, c := range map[string]struct {
		change func(x *core.Explanation)
		want   string // the first difference
		passes bool
	}{
		"a value":            {func(x *core.Explanation) { x.Attributions[0].Values[2] += 1e-9 }, "attributions", false},
		"on another machine": {func(x *core.Explanation) { x.Attributions[0].Values[2] += 1e-9; x.Provenance.Kernel = elsewhere(x) }, "attributions", true},
		"and far away":       {func(x *core.Explanation) { x.Attributions[0].Values[2] += 1; x.Provenance.Kernel = elsewhere(x) }, "attributions", false},
		"the method": {func(x *core.Explanation) {
			x.Method.SHA256 = strings.Repeat("0", 64)
			x.Provenance.Kernel = elsewhere(x)
		}, "method.sha256", false},
		"the model":          {func(x *core.Explanation) { x.Model.SHA256 = "" }, "model.sha256", false},
		"a unit":             {func(x *core.Explanation) { x.Input.Units[0].Text = "B" }, "input.units", false},
		"a diagnostic":       {func(x *core.Explanation) { x.Diagnostics["r2"] = 2 }, "diagnostics.r2", false},
		"the target's value": {func(x *core.Explanation) { x.Target.Value = 0 }, "target.value", false},
		"the length":         {func(x *core.Explanation) { x.Attributions[0].Values = nil }, "attributions", false},
		"a token":            {func(x *core.Explanation) { x.Input.Tokens[1].Text = "B" }, "input.tokens", false},
		"a token less":       {func(x *core.Explanation) { x.Input.Tokens = x.Input.Tokens[1:] }, "input.tokens", false},
		"a token dropped":    {func(x *core.Explanation) { x.Input.Dropped = x.Input.Tokens[:1] }, "input.dropped", false},
		"the target's class": {func(x *core.Explanation) { x.Target.Index = 7 }, "target", false},
		"where it is read":   {func(x *core.Explanation) { x.Target.Positions = []int{2} }, "target.positions", false},
		"a step":             {func(x *core.Explanation) { x.Target.Steps = []core.Step{{Token: 5}} }, "target.steps", false},
		"the architecture":   {func(x *core.Explanation) { x.Model.Architecture = "gpt2" }, "model.architecture", false},
		"a claim":            {func(x *core.Explanation) { x.Diagnostics["certainty"] = 1 }, "diagnostics.certainty", false},
		"a signer":           {func(x *core.Explanation) { x.Method.Signer = "ed25519:RWQ" }, "method.signer", false},
		"the needs":          {func(x *core.Explanation) { x.Method.Needs = nil }, "method.needs", false},
		"the runtime":        {func(x *core.Explanation) { x.Method.Runtime = "" }, "method.runtime", false},
		"dev":                {func(x *core.Explanation) { x.Provenance.Dev = true }, "provenance.dev", false},
		"what it read":       {func(x *core.Explanation) { x.Provenance.BytesIn++ }, "provenance.bytes_in", false},
		"what it wrote":      {func(x *core.Explanation) { x.Provenance.BytesOut++ }, "provenance.bytes_out", false},
		"how it was cut":     {func(x *core.Explanation) { x.Provenance.Units = "sentence" }, "input.units", false},
		"a class's value":    {func(x *core.Explanation) { x.Attributions[2].Target.Value = 0 }, "class.0.target.value", false},
		"a class's label":    {func(x *core.Explanation) { x.Attributions[1].Target.Label = "BAD" }, "class.1.target", false},
		"a class's baseline": {func(x *core.Explanation) { x.Attributions[2].Target.Baseline = &x.Target.Value }, "class.0.target.baseline", false},
		"a class of a total": {func(x *core.Explanation) { x.Attributions[0].Target = &x.Target }, "attributions.target", false},
		"a result's name":    {func(x *core.Explanation) { x.Attributions[0].Name = "other" }, "results", false},
	} {
		t.Run(name, func(t *testing.T) {
			x := receipt(t, host, m, base)
			c.change(x)
			v := verify(t, host, m, x)
			if v.SameBits || len(v.Differences) == 0 || v.Differences[0].What != c.want || v.Passed() != c.passes {
				t.Errorf("passes %t, differences %+v; want %s", v.Passed(), v.Differences, c.want)
			}
		})
	}
}

// TestVerifyEarlierClasses: explanations of earlier versions, whose classes have no
// targets of their own, repeat.
func TestVerifyEarlierClasses(t *testing.T) {
	host := newHost(t, core.Options{})
	m := open(t, host, "builtin:sentiment-en")
	x := receipt(t, host, m, core.Request{Input: core.Input{Text: sentence}, Params: map[string]string{"num_samples": "150", "top_labels": "2"}})
	for i := range x.Attributions {
		x.Attributions[i].Target = nil
	}
	if v := verify(t, host, m, x); !v.SameBits {
		t.Errorf("differences %+v", v.Differences)
	}
}

// elsewhere returns a family of kernels that an explanation does not come from.
func elsewhere(x *core.Explanation) string {
	if x.Provenance.Kernel == "neon" {
		return "avx2"
	}
	return "neon"
}

// TestVerifyTellsWhatMayDiffer: the words about the sandbox and the version are
// another elsewhere; that is told, and the bits are the same all the same. Kernels
// that there are not are refused: what they would give cannot be told.
func TestVerifyTellsWhatMayDiffer(t *testing.T) {
	host := newHost(t, core.Options{})
	m := open(t, host, "builtin:sentiment-en")
	base := receipt(t, host, m, core.Request{Input: core.Input{Text: sentence}, Params: map[string]string{"num_samples": "150"}})
	for what, change := range map[string]func(x *core.Explanation){
		"provenance.sandbox": func(x *core.Explanation) { x.Provenance.Sandbox = "none at all" },
		"provenance.xai":     func(x *core.Explanation) { x.Provenance.XAI = "9.9.9" },
	} {
		x := *base
		change(&x)
		v := verify(t, host, m, &x)
		if !v.SameBits || !v.Passed() || len(v.Elsewhere) != 1 || v.Elsewhere[0].What != what {
			t.Errorf("%s: passes %t, differences %+v, elsewhere %+v", what, v.Passed(), v.Differences, v.Elsewhere)
		}
	}
	x := *base
	x.Provenance.Kernel = "steam"
	r, err := x.Again(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := host.Verify(t.Context(), m, &x, r); core.KindOf(err) != core.KindInput || !strings.Contains(err.Error(), `"steam"`) {
		t.Errorf("kernels that there are not: %v", err)
	}
}

// TestVerifyShowsWhereTextsDiffer: the words for a difference show it.
func TestVerifyShowsWhereTextsDiffer(t *testing.T) {
	host := newHost(t, core.Options{})
	m := open(t, host, "builtin:sentiment-en")
	x := receipt(t, host, m, core.Request{Input: core.Input{Text: "Not bad."}, Params: map[string]string{"num_samples": "150"}})
	x.Input.Units[0].End = 2
	v := verify(t, host, m, x)
	want := []core.Difference{{What: "input.units", Was: `"Not", bytes 0 to 2 of text 0, tokens [1]`, Is: `"Not", bytes 0 to 3 of text 0, tokens [1]`}}
	if diff := cmp.Diff(want, v.Differences, cmpopts.IgnoreFields(core.Difference{}, "Relative")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           "",
		"no JSON":           "hello",
		"another schema":    `{"schema":"xai.explanation/2"}`,
		"no method":         `{"schema":"xai.explanation/1"}`,
		"two":               `{"schema":"xai.explanation/1","model":{"id":"m"},"method":{"name":"lime"},"attributions":[{}]}{}`,
		"a name twice":      `{"schema":"xai.explanation/1","schema":"xai.explanation/1","model":{"id":"m"},"method":{"name":"lime"},"attributions":[{}]}`,
		"in other letters":  `{"schema":"xai.explanation/1","model":{"id":"m"},"method":{"name":"lime"},"attributions":[{"values":[9],"valueſ":[1]}]}`,
		"behind a list":     `{"schema":"xai.explanation/1","model":{"id":"m"},"method":{"name":"lime"},"attributions":[{"params":1},{"values":[9],"VALUES":[1]}]}`,
		"a parameter twice": `{"schema":"xai.explanation/1","model":{"id":"m"},"method":{"name":"lime","params":{"n":1,"\u006e":2}},"attributions":[{}]}`,
		"types":             `{"schema":"xai.explanation/1","method":7}`,
		"a seed below 0":    `{"schema":"xai.explanation/1","provenance":{"seed":-1}}`,
		"a number in NaN":   `{"schema":"xai.explanation/1","attributions":[{"values":["much"]}]}`,
	} {
		if _, err := core.ReadExplanation(strings.NewReader(text)); core.KindOf(err) != core.KindInput {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Names of data are what they are.
	if _, err := core.ReadExplanation(strings.NewReader(`{"schema":"xai.explanation/1","model":{"id":"m"},"method":{"name":"lime","params":{"n":1,"N":2}},"attributions":[{"name":"\"","values":[]},{"name":"n"}],"diagnostics":{"a":1,"A":2}}`)); err != nil {
		t.Error(err)
	}
	x := &core.Explanation{}
	if _, err := x.Again(nil); core.KindOf(err) != core.KindUsage {
		t.Errorf("token ids: %v", err)
	}
	x.Provenance.Units = core.UnitsWord
	x.Method.Params = map[string]any{"n": []any{1.0}}
	if _, err := x.Again(nil); core.KindOf(err) != core.KindInput {
		t.Errorf("a list as a parameter: %v", err)
	}
}

func TestBuiltinOnlyReadsNoFile(t *testing.T) {
	t.Setenv("XAI_METHODS", "/nowhere/methods.toml")
	if _, err := newHost(t, core.Options{}).Methods(); err == nil {
		t.Error("the file that the environment names is not read")
	}
	list, err := newHost(t, core.Options{BuiltinOnly: true}).Methods()
	if err != nil || len(list.Places) != 1 {
		t.Errorf("%d files, %v", len(list.Places), err)
	}
}
