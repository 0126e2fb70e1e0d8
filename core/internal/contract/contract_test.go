package contract

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/xai-go/xai/sdk"
)

func request() *sdk.Request {
	return &sdk.Request{
		Text:   "eins zwei",
		Tokens: []sdk.Token{{Text: "[CLS]", Special: true}, {Text: "eins", End: 4}, {Text: "zwei", Start: 5, End: 9}},
		Units:  []sdk.Unit{{Text: "eins", Spans: []sdk.Span{{End: 4}}, Tokens: []int{1}}, {Text: "zwei", Spans: []sdk.Span{{Start: 5, End: 9}}, Tokens: []int{2}}},
	}
}

func explanation() *sdk.Explanation {
	baseline := math.NaN()
	return &sdk.Explanation{
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
}

func TestCheck(t *testing.T) {
	span := func(s ...sdk.Span) []sdk.Unit { return []sdk.Unit{{Spans: s}, {}} }
	for name, c := range map[string]struct {
		change func(e *sdk.Explanation)
		want   string // of the error, empty where there is none
	}{
		"good":              {func(e *sdk.Explanation) {}, ""},
		"own units":         {func(e *sdk.Explanation) { e.Units = make([]sdk.Unit, 2) }, ""},
		"no attributions":   {func(e *sdk.Explanation) { e.Attributions = nil }, "no attributions"},
		"another first":     {func(e *sdk.Explanation) { e.Attributions[0].Name = "shap" }, "no attributions"},
		"too few":           {func(e *sdk.Explanation) { e.Attributions[0].Values = []float64{1} }, "1 values of attributions for 2 units"},
		"for own units":     {func(e *sdk.Explanation) { e.Units = make([]sdk.Unit, 3) }, "2 values of attributions for 3 units"},
		"no own units":      {func(e *sdk.Explanation) { e.Units = []sdk.Unit{} }, "2 values of attributions for 0 units"},
		"tokens":            {func(e *sdk.Explanation) { e.Attributions[1].Values = nil }, "0 values of per token for 3 tokens"},
		"over":              {func(e *sdk.Explanation) { e.Attributions[1].Over = "heads" }, `attributions per token over "heads"`},
		"stderr":            {func(e *sdk.Explanation) { e.Attributions[0].Stderr = []float64{} }, "0 standard errors for 2 values of attributions"},
		"twice":             {func(e *sdk.Explanation) { e.Attributions[1].Name = "attributions" }, "two results named attributions"},
		"tensor twice":      {func(e *sdk.Explanation) { e.Tensors[1].Name = "per token" }, "two results named per token"},
		"stderr's name":     {func(e *sdk.Explanation) { e.Tensors[1].Name = "attributions.stderr" }, "two results named attributions.stderr"},
		"as stderr":         {func(e *sdk.Explanation) { e.Tensors[1].Name = "x.stderr" }, "a tensor named x.stderr"},
		"attribution as it": {func(e *sdk.Explanation) { e.Attributions[1].Name = "x.stderr" }, "an attribution named x.stderr"},
		"as baseline":       {func(e *sdk.Explanation) { e.Tensors[1].Name = "baseline" }, "two results named baseline"},
		"as diagnostic":     {func(e *sdk.Explanation) { e.Tensors[1].Name = "diagnostics.x" }, "a result named diagnostics.x"},
		"no name":           {func(e *sdk.Explanation) { e.Tensors[1].Name = "" }, "a result without a name"},
		"long name":         {func(e *sdk.Explanation) { e.Tensors[1].Name = strings.Repeat("n", 256) }, "a result whose name is longer than 255 bytes"},
		"escape":            {func(e *sdk.Explanation) { e.Tensors[1].Name = "\x1b[2J" }, "a result whose name has a character that does not print"},
		"not UTF-8":         {func(e *sdk.Explanation) { e.Tensors[1].Name = "\xff" }, "a result whose name is not UTF-8"},
		"axes":              {func(e *sdk.Explanation) { e.Tensors[0].Axes = []string{"query"} }, "the tensor rollout with 2 dimensions and 1 axes"},
		"axis name":         {func(e *sdk.Explanation) { e.Tensors[0].Axes[1] = "a\nb" }, "an axis that has no printable name"},
		"shape":             {func(e *sdk.Explanation) { e.Tensors[0].Shape = []int{2, 2} }, "a tensor's data are not its shape's"},
		"negative shape":    {func(e *sdk.Explanation) { e.Tensors[0].Shape = []int{-1, -2} }, "a tensor's data are not its shape's"},
		"data":              {func(e *sdk.Explanation) { e.Tensors[0].Data = []int{1, 2} }, "something else than u8"},
		"no data":           {func(e *sdk.Explanation) { e.Tensors[0].Data = nil }, "something else than u8"},
		"nine dimensions":   {func(e *sdk.Explanation) { e.Tensors[0].Shape = make([]int, 9) }, "a tensor has 9 dimensions"},
		"an attribution": {func(e *sdk.Explanation) {
			e.Tensors[0] = sdk.NamedTensor{Name: "x", Axes: []string{"units"}, Tensor: *sdk.NewTensor([]float64{1, 2}, 2)}
		}, "the tensor x over units, which is an attribution"},
		"diagnostic twice":    {func(e *sdk.Explanation) { e.Diagnostics[1].Name = "r2" }, "two diagnostics named r2"},
		"host's diagnostic":   {func(e *sdk.Explanation) { e.Diagnostics[1].Name = "cache_hits" }, "a diagnostic named cache_hits, which the host counts itself"},
		"many results":        {func(e *sdk.Explanation) { e.Diagnostics = make([]sdk.Diagnostic, 4096) }, "4101 results, and 4096 is the most"},
		"scalar with an axis": {func(e *sdk.Explanation) { e.Tensors[1].Axes = []string{"x"} }, "the tensor scalar with 0 dimensions and 1 axes"},
		"diagnostic unnamed":  {func(e *sdk.Explanation) { e.Diagnostics[1].Name = "" }, "a result without a name"},
		"unit's token":        {func(e *sdk.Explanation) { e.Units = []sdk.Unit{{Tokens: []int{3}}, {}} }, "unit 0 has token 3 of 3"},
		"negative token":      {func(e *sdk.Explanation) { e.Units = []sdk.Unit{{}, {Tokens: []int{-1}}} }, "unit 1 has token -1 of 3"},
		"span beyond":         {func(e *sdk.Explanation) { e.Units = span(sdk.Span{End: 10}) }, "unit 0 has a span that is outside its text"},
		"span backwards":      {func(e *sdk.Explanation) { e.Units = span(sdk.Span{Start: 3, End: 2}) }, "outside its text"},
		"span before":         {func(e *sdk.Explanation) { e.Units = span(sdk.Span{Start: -1, End: 2}) }, "outside its text"},
		"spans overlap":       {func(e *sdk.Explanation) { e.Units = span(sdk.Span{End: 3}, sdk.Span{Start: 2, End: 4}) }, "spans that do not ascend"},
		"second text":         {func(e *sdk.Explanation) { e.Units = span(sdk.Span{Sequence: 1}) }, "text 1, which the request does not have"},
		"third text":          {func(e *sdk.Explanation) { e.Units = span(sdk.Span{Sequence: 2}) }, "text 2, which the request does not have"},
	} {
		t.Run(name, func(t *testing.T) {
			e := explanation()
			c.change(e)
			err := Check(e, request())
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!errors.Is(err, &sdk.Error{Code: sdk.EInternal}) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := Check(nil, request()); err == nil {
		t.Error("no explanation passes")
	}
	scalar := explanation()
	scalar.Tensors[1].Shape = nil
	if err := Check(scalar, request()); err != nil || scalar.Tensors[1].Axes == nil || scalar.Tensors[1].Shape == nil {
		t.Errorf("a scalar has axes %#v and shape %#v (%v)", scalar.Tensors[1].Axes, scalar.Tensors[1].Shape, err)
	}
	pair := "drei"
	r, e := request(), explanation()
	r.TextPair = &pair
	e.Units = span(sdk.Span{Start: 5, End: 9}, sdk.Span{Sequence: 1, End: 4})
	if err := Check(e, r); err != nil {
		t.Errorf("spans of two texts: %v", err)
	}
}

// recorder is a model that remembers what reached it.
type recorder struct{ last *sdk.Forward }

func (*recorder) Info() sdk.ModelInfo { return sdk.ModelInfo{ID: "recorder"} }

func (r *recorder) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	r.last = f
	return nil, nil
}

func TestModel(t *testing.T) {
	rows := func(n, columns int) *sdk.Tensor { return sdk.NewTensor(make([]uint8, n*columns), n, columns) }
	for name, c := range map[string]struct {
		f    *sdk.Forward
		want sdk.Errno
	}{
		"units":            {&sdk.Forward{Units: rows(4, 2)}, 0},
		"no rows":          {&sdk.Forward{Units: rows(0, 2)}, 0},
		"masks":            {&sdk.Forward{Masks: rows(4, 3), Fill: sdk.Fill{Kind: sdk.FillToken, Token: 5}}, 0},
		"texts":            {&sdk.Forward{Texts: []string{"a"}}, 0},
		"ids":              {&sdk.Forward{IDs: [][]int32{{1}}}, 0},
		"own units":        {&sdk.Forward{Units: rows(1, 1), Over: make([]sdk.Unit, 1)}, 0},
		"nothing":          {&sdk.Forward{}, sdk.EInvalid},
		"two kinds":        {&sdk.Forward{Units: rows(1, 2), Texts: []string{"a"}}, sdk.EInvalid},
		"columns":          {&sdk.Forward{Units: rows(1, 3)}, sdk.EInvalid},
		"columns of masks": {&sdk.Forward{Masks: rows(1, 2)}, sdk.EInvalid},
		"columns of own":   {&sdk.Forward{Units: rows(1, 2), Over: make([]sdk.Unit, 1)}, sdk.EInvalid},
		"own for masks":    {&sdk.Forward{Masks: rows(1, 3), Over: make([]sdk.Unit, 3)}, sdk.EInvalid},
		"floats":           {&sdk.Forward{Units: sdk.NewTensor(make([]float32, 2), 1, 2)}, sdk.EInvalid},
		"one dimension":    {&sdk.Forward{Units: sdk.NewTensor(make([]uint8, 2), 2)}, sdk.EInvalid},
		"lying shape":      {&sdk.Forward{Units: &sdk.Tensor{Shape: []int{2, 2}, Data: []uint8{1}}}, sdk.EInvalid},
		"no data":          {&sdk.Forward{Units: &sdk.Tensor{}}, sdk.EInvalid},
		"token for units":  {&sdk.Forward{Units: rows(1, 2), Fill: sdk.Fill{Kind: sdk.FillToken, Token: 5}}, 0},
		"last fill":        {&sdk.Forward{Units: rows(1, 2), Fill: sdk.Fill{Kind: sdk.FillAverage}}, 0},
		"unknown fill":     {&sdk.Forward{Units: rows(1, 2), Fill: sdk.Fill{Kind: 8}}, sdk.EInvalid},
		"unknown for ids":  {&sdk.Forward{IDs: [][]int32{{1}}, Fill: sdk.Fill{Kind: 8}}, sdk.EInvalid},
		"nil":              {nil, sdk.EInvalid},
		"no columns":       {&sdk.Forward{Units: rows(1<<40, 0), Over: []sdk.Unit{}}, sdk.EInvalid},
		"nothing of none":  {&sdk.Forward{Units: rows(0, 0), Over: []sdk.Unit{}}, 0},
		"two in units":     {&sdk.Forward{Units: sdk.NewTensor([]uint8{0, 1, 1, 2}, 2, 2)}, sdk.EInvalid},
		"two in masks":     {&sdk.Forward{Masks: sdk.NewTensor([]uint8{0, 255, 1}, 1, 3)}, sdk.EInvalid},
		"empty row of ids": {&sdk.Forward{IDs: [][]int32{{1}, {}}}, sdk.EInvalid},
		"empty text":       {&sdk.Forward{Texts: []string{""}}, 0},
		"longest text":     {&sdk.Forward{Texts: []string{"a", strings.Repeat("a", 1<<20)}}, 0},
		"long text":        {&sdk.Forward{Texts: []string{"a", strings.Repeat("a", 1<<20+1)}}, sdk.ERange},
		"longest fill":     {&sdk.Forward{Units: rows(1, 2), Fill: sdk.Fill{Kind: sdk.FillText, Text: strings.Repeat("a", 1024)}}, 0},
		"long fill":        {&sdk.Forward{Units: rows(1, 2), Fill: sdk.Fill{Kind: sdk.FillText, Text: strings.Repeat("a", 1025)}}, sdk.ERange},
		"spans":            {&sdk.Forward{Units: rows(1, 1), Over: []sdk.Unit{{Spans: []sdk.Span{{End: 4}, {Start: 5, End: 9}}}}}, 0},
		"empty span":       {&sdk.Forward{Units: rows(1, 1), Over: []sdk.Unit{{Spans: []sdk.Span{{End: 4}, {Start: 4, End: 4}}}}}, sdk.EInvalid},
		"token of unit":    {&sdk.Forward{Units: rows(1, 1), Over: []sdk.Unit{{Tokens: []int{9}}}}, sdk.ERange},
	} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			_, err := Model(&r, sdk.Info{Needs: []sdk.Need{sdk.NeedForward}}, request()).Forward(t.Context(), c.f)
			if c.want == 0 && (err != nil || r.last != c.f) || c.want != 0 && (!errors.Is(err, &sdk.Error{Code: c.want}) || r.last != nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	var r recorder
	_, err := Model(&r, sdk.Info{Needs: []sdk.Need{sdk.NeedGradients}}, request()).Forward(t.Context(), &sdk.Forward{Texts: []string{"a"}})
	if !errors.Is(err, &sdk.Error{Code: sdk.ECap}) || r.last != nil {
		t.Errorf("a forward without its need: %v", err)
	}
}

func TestComplete(t *testing.T) {
	bare := request()
	r := Complete(bare, sdk.Info{Name: "m"})
	var a, b [8]byte
	if _, err := r.Rand.Read(a[:]); err != nil {
		t.Fatal(err)
	}
	other := request()
	other.Seed = 1
	if _, err := Complete(other, sdk.Info{Name: "m"}).Rand.Read(b[:]); err != nil || a == b {
		t.Errorf("two seeds draw %x and %x (%v)", a, b, err)
	}
	if err := r.Progress(1, 2); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]int{{-1, 2}, {0, -1}, {-2, -1}, {3, 2}} {
		if err := r.Progress(c[0], c[1]); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
			t.Errorf("progress of %v: %v", c, err)
		}
	}
	r.Log(sdk.Note, "")
	if bare.Rand != nil || bare.Progress != nil || bare.Log != nil {
		t.Error("the caller's request was changed")
	}
	called := false
	bare.Progress = func(int, int) error { called = true; return nil }
	if Complete(bare, sdk.Info{}).Progress(1, 1); !called {
		t.Error("the caller's progress was replaced")
	}
}
