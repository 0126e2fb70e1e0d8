package sdktest_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

func TestValidate(t *testing.T) {
	span := func(s ...sdk.Span) []sdk.Unit { return []sdk.Unit{{Spans: s}, {}} }
	for name, c := range map[string]struct {
		change func(e *sdk.Explanation)
		want   string // in the error, empty where there is none
	}{
		"good":              {func(e *sdk.Explanation) {}, ""},
		"own units":         {func(e *sdk.Explanation) { e.Units = make([]sdk.Unit, 2) }, ""},
		"no attributions":   {func(e *sdk.Explanation) { e.Attributions = nil }, "first attribution"},
		"another first":     {func(e *sdk.Explanation) { e.Attributions[0].Name = "shap" }, "first attribution"},
		"too few":           {func(e *sdk.Explanation) { e.Attributions[0].Values = []float64{1} }, "1 values for 2 units"},
		"for own units":     {func(e *sdk.Explanation) { e.Units = make([]sdk.Unit, 3) }, "2 values for 3 units"},
		"no own units":      {func(e *sdk.Explanation) { e.Units = []sdk.Unit{} }, "2 values for 0 units"},
		"tokens":            {func(e *sdk.Explanation) { e.Attributions[1].Values = nil }, "0 values for 3 tokens"},
		"over":              {func(e *sdk.Explanation) { e.Attributions[1].Over = "heads" }, `over "heads"`},
		"stderr":            {func(e *sdk.Explanation) { e.Attributions[0].Stderr = []float64{} }, "0 standard errors for 2 values"},
		"twice":             {func(e *sdk.Explanation) { e.Attributions[1].Name = "attributions" }, "two results"},
		"tensor twice":      {func(e *sdk.Explanation) { e.Tensors[1].Name = "per token" }, "two results"},
		"stderr's name":     {func(e *sdk.Explanation) { e.Tensors[1].Name = "attributions.stderr" }, "two results"},
		"as stderr":         {func(e *sdk.Explanation) { e.Tensors[1].Name = "x.stderr" }, "named as standard errors"},
		"attribution as it": {func(e *sdk.Explanation) { e.Attributions[1].Name = "x.stderr" }, "named as standard errors"},
		"as baseline":       {func(e *sdk.Explanation) { e.Tensors[1].Name = "baseline" }, "two results"},
		"as diagnostic":     {func(e *sdk.Explanation) { e.Tensors[1].Name = "diagnostics.x" }, "named as a diagnostic"},
		"no name":           {func(e *sdk.Explanation) { e.Tensors[1].Name = "" }, "is no name"},
		"long name":         {func(e *sdk.Explanation) { e.Tensors[1].Name = strings.Repeat("n", 256) }, "is no name"},
		"escape":            {func(e *sdk.Explanation) { e.Tensors[1].Name = "\x1b[2J" }, "is no name"},
		"not UTF-8":         {func(e *sdk.Explanation) { e.Tensors[1].Name = "\xff" }, "is no name"},
		"axes":              {func(e *sdk.Explanation) { e.Tensors[0].Axes = []string{"query"} }, "names 1 axes of 2"},
		"axis name":         {func(e *sdk.Explanation) { e.Tensors[0].Axes[1] = "a\nb" }, "axis"},
		"shape":             {func(e *sdk.Explanation) { e.Tensors[0].Shape = []int{2, 2} }, "2 elements and the shape [2 2]"},
		"negative shape":    {func(e *sdk.Explanation) { e.Tensors[0].Shape = []int{-1, -2} }, "the shape [-1 -2]"},
		"data":              {func(e *sdk.Explanation) { e.Tensors[0].Data = []int{1, 2} }, "holds []int"},
		"no data":           {func(e *sdk.Explanation) { e.Tensors[0].Data = nil }, "holds <nil>"},
		"nine dimensions":   {func(e *sdk.Explanation) { e.Tensors[0].Shape = make([]int, 9) }, "the shape"},
		"an attribution": {func(e *sdk.Explanation) {
			e.Tensors[0] = sdk.NamedTensor{Name: "x", Axes: []string{"units"}, Tensor: *sdk.NewTensor([]float64{1, 2}, 2)}
		}, "is an attribution"},
		"diagnostic twice":    {func(e *sdk.Explanation) { e.Diagnostics[1].Name = "r2" }, "two diagnostics"},
		"host's diagnostic":   {func(e *sdk.Explanation) { e.Diagnostics[1].Name = "cache_hits" }, "the host counts itself"},
		"many results":        {func(e *sdk.Explanation) { e.Diagnostics = make([]sdk.Diagnostic, 4096) }, "4101 results"},
		"scalar with an axis": {func(e *sdk.Explanation) { e.Tensors[1].Axes = []string{"x"} }, "names 1 axes of 0"},
		"diagnostic unnamed":  {func(e *sdk.Explanation) { e.Diagnostics[1].Name = "" }, "is no name"},
		"unit's token":        {func(e *sdk.Explanation) { e.Units = []sdk.Unit{{Tokens: []int{3}}, {}} }, "unit 0 has the token 3 of 3"},
		"negative token":      {func(e *sdk.Explanation) { e.Units = []sdk.Unit{{}, {Tokens: []int{-1}}} }, "unit 1 has the token -1"},
		"span beyond":         {func(e *sdk.Explanation) { e.Units = span(sdk.Span{End: 10}) }, "unit 0 has the span 0 to 10"},
		"span backwards":      {func(e *sdk.Explanation) { e.Units = span(sdk.Span{Start: 3, End: 2}) }, "the span 3 to 2"},
		"spans overlap":       {func(e *sdk.Explanation) { e.Units = span(sdk.Span{End: 3}, sdk.Span{Start: 2, End: 4}) }, "do not ascend"},
		"second text":         {func(e *sdk.Explanation) { e.Units = span(sdk.Span{Sequence: 1}) }, "the text 1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &sdk.Request{Text: "eins zwei", Tokens: make([]sdk.Token, 3), Units: make([]sdk.Unit, 2)}
			baseline := math.NaN()
			e := &sdk.Explanation{
				Attributions: []sdk.Attribution{
					{Name: "attributions", Over: sdk.OverUnits, Values: []float64{1, math.Inf(1)}, Stderr: []float64{0, math.NaN()}},
					{Name: "per token", Over: sdk.OverTokens, Values: make([]float64, 3)},
				},
				Tensors: []sdk.NamedTensor{
					{Name: "rollout", Axes: []string{"query", "key"}, Tensor: *sdk.NewTensor([]float32{1, 2}, 1, 2)},
					{Name: "scalar", Tensor: *sdk.NewTensor([]int64{1})},
					{Name: "pairs", Axes: []string{"units", "units"}, Tensor: *sdk.NewTensor(make([]float64, 4), 2, 2)},
				},
				Baseline:    &baseline,
				Diagnostics: []sdk.Diagnostic{{Name: "r2"}, {Name: "rollout"}},
			}
			c.change(e)
			switch err := sdktest.Validate(e, r); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if sdktest.Validate(nil, &sdk.Request{}) == nil {
		t.Error("no explanation is valid")
	}
}

func TestParams(t *testing.T) {
	info := sdk.Info{Params: []sdk.Param{
		{Name: "compat", Type: sdk.Enum, Default: "none", Values: []string{"none", "lime"}},
		{Name: "num_samples", Aliases: []string{"nsamples"}, Type: sdk.Int, Default: int64(1000), Min: sdk.Bound(2), Max: sdk.Bound(5000), Compat: map[string]any{"lime": int64(5000)}},
		{Name: "width", Type: sdk.Float, Default: 25.0, Min: sdk.Bound(0)},
		{Name: "bow", Type: sdk.Bool, Default: false},
		{Name: "text", Type: sdk.String, Default: "x"},
	}}
	with := func(name string, v any) sdk.Params {
		p := sdk.Params{"compat": "none", "num_samples": int64(1000), "width": 25.0, "bow": false, "text": "x"}
		if name != "" {
			p[name] = v
		}
		return p
	}
	lime := with("compat", "lime")
	lime["num_samples"] = int64(5000)
	few := with("compat", "lime")
	few["num_samples"] = int64(10)
	for _, c := range []struct {
		given map[string]string
		want  sdk.Params // nil where it is refused
	}{
		{nil, with("", nil)},
		{map[string]string{"num_samples": "7"}, with("num_samples", int64(7))},
		{map[string]string{"nsamples": "7"}, with("num_samples", int64(7))},
		{map[string]string{"compat": "lime"}, lime},
		{map[string]string{"compat": "lime", "nsamples": "10"}, few},
		{map[string]string{"width": "1e3"}, with("width", 1000.0)},
		{map[string]string{"bow": "Yes"}, with("bow", true)},
		{map[string]string{"text": ""}, with("text", "")},
		{map[string]string{"num_sample": "7"}, nil},
		{map[string]string{"num_samples": "7", "nsamples": "7"}, nil},
		{map[string]string{"num_samples": "1"}, nil},
		{map[string]string{"num_samples": "5001"}, nil},
		{map[string]string{"num_samples": "7.0"}, nil},
		{map[string]string{"width": "-1"}, nil},
		{map[string]string{"width": "NaN"}, nil},
		{map[string]string{"width": "+Inf"}, nil},
		{map[string]string{"bow": "2"}, nil},
		{map[string]string{"compat": "Lime"}, nil},
	} {
		got, err := sdktest.Params(info, c.given)
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.want != nil) {
			t.Errorf("%v: %v, %s", c.given, err, diff)
		}
	}
}

// TestDocumentation: the page has every check.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/conformance-kit.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range sdktest.Checks() {
		if !strings.Contains(string(page), "| `"+c.ID+"` |") {
			t.Errorf("docs/conformance-kit.md lacks %s", c.ID)
		}
	}
	for line := range strings.SplitSeq(string(page), "\n") {
		id, ok := strings.CutPrefix(line, "| `")
		if id, _, _ = strings.Cut(id, "`"); !ok || !strings.Contains(id, "/") || strings.ContainsAny(id, "(:") {
			continue
		}
		found := false
		for _, c := range sdktest.Checks() {
			found = found || c.ID == id
		}
		if !found {
			t.Errorf("docs/conformance-kit.md has %s, which is no check", id)
		}
	}
}
