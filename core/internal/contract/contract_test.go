package contract

import (
	"cmp"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/sdk"
)

// TestPageNamesHostDiagnostics: a method that takes a name of the host's is refused,
// so docs/ABI.md has to have all of them.
func TestPageNamesHostDiagnostics(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "ABI.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(page), "\n| `diagnostics.` |")
	row, _, _ = strings.Cut(row, "\n")
	for _, name := range HostDiagnostics {
		if !strings.Contains(row, "`"+name+"`") {
			t.Errorf("docs/ABI.md does not say that %s is the host's own: %s", name, row)
		}
	}
}

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

// powers is a recorder with all powers, whose points have the first word of
// their name for a need.
type powers struct {
	recorder
	calls []string
}

func (p *powers) PointNeeds(name string) ([]sdk.Need, error) {
	if name == "nosuch" {
		return nil, sdk.NewError(sdk.EName, "the model has no point nosuch")
	}
	var needs []sdk.Need
	for need := range strings.SplitSeq(name, "+") {
		needs = append(needs, sdk.Need(need))
	}
	return needs, nil
}

func (p *powers) Gradient(_ context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	p.last = f
	p.calls = append(p.calls, wrt...)
	return nil, nil
}

func (p *powers) Generate(context.Context, *sdk.Generation) (*sdk.Continuation, error) {
	p.calls = append(p.calls, "generate")
	return &sdk.Continuation{}, nil
}

func (p *powers) Tokenize(_ context.Context, text string) ([]sdk.Token, error) {
	p.calls = append(p.calls, text)
	return nil, nil
}

func TestModel(t *testing.T) {
	rows := func(n, columns int) *sdk.Tensor { return sdk.NewTensor(make([]uint8, n*columns), n, columns) }
	embeds := func(n, tokens, width int) *sdk.Tensor {
		return sdk.NewTensor(make([]float32, n*tokens*width), n, tokens, width)
	}
	text := []string{"a"}
	edit := func(op sdk.EditOp, v *sdk.Tensor) *sdk.Forward {
		return &sdk.Forward{Texts: text, Edits: []sdk.Edit{{Point: "x", Op: op, Value: v}}}
	}
	all := sdk.Info{Needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedEmbeddings, sdk.NeedActivations, sdk.NeedPatch}}
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
		"embeds":           {&sdk.Forward{Embeds: embeds(4, 3, 2)}, 0},
		"no embeds":        {&sdk.Forward{Embeds: embeds(0, 3, 2)}, 0},
		"embeds and ids":   {&sdk.Forward{Embeds: embeds(1, 3, 2), IDs: [][]int32{{1}}}, sdk.EInvalid},
		"embeds of f64":    {&sdk.Forward{Embeds: sdk.NewTensor(make([]float64, 3), 1, 3, 1)}, sdk.EInvalid},
		"embeds of a row":  {&sdk.Forward{Embeds: sdk.NewTensor(make([]float32, 3), 3, 1)}, sdk.EInvalid},
		"embeds of two":    {&sdk.Forward{Embeds: embeds(4, 2, 2)}, sdk.EInvalid},
		"embeds of none":   {&sdk.Forward{Embeds: embeds(1<<40, 3, 0)}, sdk.EInvalid},
		"lying embeds":     {&sdk.Forward{Embeds: &sdk.Tensor{Shape: []int{1, 3, 2}, Data: []float32{1}}}, sdk.EInvalid},
		"negative id":      {&sdk.Forward{IDs: [][]int32{{1}, {1, -1}}}, sdk.ERange},
		"negative fill":    {&sdk.Forward{Masks: rows(1, 3), Fill: sdk.Fill{Kind: sdk.FillToken, Token: -2}}, sdk.ERange},
		"points":           {&sdk.Forward{Texts: text, Points: slices.Repeat([]string{"activations"}, 4096)}, 0},
		"many points":      {&sdk.Forward{Texts: text, Points: slices.Repeat([]string{"activations"}, 4097)}, sdk.ERange},
		"long point":       {&sdk.Forward{Texts: text, Points: []string{strings.Repeat("a", 256)}}, sdk.EName},
		"output as point":  {&sdk.Forward{Texts: text, Points: []string{"logits"}}, sdk.EName},
		"edits":            {&sdk.Forward{Texts: text, Edits: slices.Repeat([]sdk.Edit{{Op: sdk.EditZero}}, 4096)}, 0},
		"many edits":       {&sdk.Forward{Texts: text, Edits: slices.Repeat([]sdk.Edit{{Op: sdk.EditZero}}, 4097)}, sdk.ERange},
		"edit by a value":  {edit(sdk.EditAdd, sdk.NewTensor([]float32{1}, 1, 1)), 0},
		"edit by doubles":  {edit(sdk.EditReplace, sdk.NewTensor([]float64{1, 2}, 2)), 0},
		"edit by bytes":    {edit(sdk.EditScale, sdk.NewTensor([]uint8{1}, 1)), sdk.EInvalid},
		"edit by nothing":  {edit(sdk.EditScale, nil), sdk.EInvalid},
		"edit by no value": {edit(sdk.EditAdd, sdk.NewTensor([]float32{}, 0)), sdk.EInvalid},
		"edit by a lie":    {edit(sdk.EditAdd, &sdk.Tensor{Shape: []int{2}, Data: []float32{1}}), sdk.EInvalid},
		"zero by a value":  {edit(sdk.EditZero, sdk.NewTensor([]float32{1}, 1)), sdk.EInvalid},
		"mean by a value":  {edit(sdk.EditMean, sdk.NewTensor([]float32{1}, 1)), sdk.EInvalid},
		"unknown edit":     {edit(5, nil), sdk.EInvalid},
		"edit of a long":   {&sdk.Forward{Texts: text, Edits: []sdk.Edit{{Point: strings.Repeat("a", 256), Op: sdk.EditZero}}}, sdk.EName},
		"token of unit":    {&sdk.Forward{Units: rows(1, 1), Over: []sdk.Unit{{Tokens: []int{9}}}}, sdk.ERange},
	} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			_, err := Model(&r, all, request()).Forward(t.Context(), c.f)
			if c.want == 0 && (err != nil || r.last != c.f) || c.want != 0 && (!errors.Is(err, &sdk.Error{Code: c.want}) || r.last != nil) {
				t.Errorf("forward: %v, want %v", err, c.want)
			}
			var p powers
			_, err = sdk.Gradient(t.Context(), Model(&p, all, request()), c.f, "embeddings")
			if c.want == 0 && (err != nil || p.last != c.f) || c.want != 0 && (!errors.Is(err, &sdk.Error{Code: c.want}) || p.last != nil) {
				t.Errorf("gradient: %v, want %v", err, c.want)
			}
		})
	}
}

// TestFillOfAParameter: a text that is too long to fill in is a mistake of the user
// where a parameter holds it, and of the method where none does.
func TestFillOfAParameter(t *testing.T) {
	const long = 1025
	forward := &sdk.Forward{Units: sdk.NewTensor(make([]uint8, 2), 1, 2), Fill: sdk.Fill{Kind: sdk.FillText, Text: strings.Repeat("a", long)}}
	for name, c := range map[string]struct {
		params sdk.Params
		fault  bool
		want   string
	}{
		"one":     {sdk.Params{"fill": "text", "mask_string": strings.Repeat("a", long)}, false, "mask_string fills in a text of 1025 bytes, and 1024 is the most"},
		"several": {sdk.Params{"n": int64(1), "baseline_text": "b\n" + strings.Repeat("a", long)}, false, "baseline_text fills in a text of 1025 bytes, and 1024 is the most"},
		"none":    {sdk.Params{"mask_string": "a"}, true, "the fill text has 1025 bytes, and 1024 is the most"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			r.Params = c.params
			_, err := Model(&recorder{}, sdk.Info{Needs: []sdk.Need{sdk.NeedForward}}, r).Forward(t.Context(), forward)
			if _, fault := errors.AsType[*Fault](err); err == nil || err.Error() != c.want || fault != c.fault {
				t.Errorf("%v, a fault of the method: %v; want %q, %v", err, fault, c.want, c.fault)
			}
		})
	}
}

// TestRules: a rule is of gradients alone, and one that is known.
func TestRules(t *testing.T) {
	for rule, want := range map[sdk.Rule]sdk.Errno{sdk.RuleGradient: 0, sdk.RuleLRPAlpha1: 0, 2: sdk.EUnsupported} {
		f := &sdk.Forward{Texts: []string{"a"}, Rule: rule}
		all := sdk.Info{Needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients}}
		var p powers
		_, err := sdk.Gradient(t.Context(), Model(&p, all, request()), f, "embeddings")
		if want == 0 && (err != nil || p.last != f) || want != 0 && !errors.Is(err, &sdk.Error{Code: want}) {
			t.Errorf("a gradient by %v: %v, want %v", rule, err, want)
		}
		_, err = Model(&p, all, request()).Forward(t.Context(), f)
		if (rule == sdk.RuleGradient) != (err == nil) || err != nil && !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
			t.Errorf("a forward by %v: %v", rule, err)
		}
	}
}

// TestNeeds: what a call needs is refused without it, and nothing else is.
func TestNeeds(t *testing.T) {
	text := []string{"a"}
	embeds := sdk.NewTensor(make([]float32, 3), 1, 3, 1)
	forward := func(f *sdk.Forward) func(sdk.Model) error {
		return func(m sdk.Model) error {
			_, err := m.Forward(t.Context(), f)
			return err
		}
	}
	gradient := func(f *sdk.Forward, wrt ...string) func(sdk.Model) error {
		return func(m sdk.Model) error {
			_, err := sdk.Gradient(t.Context(), m, f, wrt...)
			return err
		}
	}
	points := func(names ...string) *sdk.Forward { return &sdk.Forward{Texts: text, Points: names} }
	const (
		forwards, gradients, embeddings, hidden = sdk.NeedForward, sdk.NeedGradients, sdk.NeedEmbeddings, sdk.NeedHiddenStates
		attentions, activations, patch          = sdk.NeedAttentions, sdk.NeedActivations, sdk.NeedPatch
	)
	type needs = []sdk.Need
	for name, c := range map[string]struct {
		call func(sdk.Model) error
		of   []needs // each of which suffices
	}{
		"forward":           {forward(&sdk.Forward{Texts: text}), []needs{{forwards}}},
		"embeds":            {forward(&sdk.Forward{Embeds: embeds}), []needs{{forwards, embeddings}}},
		"edits":             {forward(&sdk.Forward{Texts: text, Edits: []sdk.Edit{{Point: "attentions", Op: sdk.EditZero}}}), []needs{{forwards, patch}}},
		"embeddings":        {forward(points("embeddings")), []needs{{forwards, embeddings}, {forwards, activations}}},
		"hidden states":     {forward(points("hidden_states")), []needs{{forwards, hidden}, {forwards, activations}}},
		"attentions":        {forward(points("attentions")), []needs{{forwards, attentions}, {forwards, activations}}},
		"activations":       {forward(points("activations")), []needs{{forwards, activations}}},
		"a name of two":     {forward(points("attentions+hidden_states")), []needs{{forwards, attentions, hidden}, {forwards, activations}}},
		"two names":         {forward(points("embeddings", "attentions")), []needs{{forwards, embeddings, attentions}, {forwards, activations}}},
		"gradient":          {gradient(&sdk.Forward{Texts: text}, "embeddings"), []needs{{gradients}}},
		"at a pattern":      {gradient(&sdk.Forward{Texts: text}, "embeddings", "attentions"), []needs{{gradients, attentions}, {gradients, activations}}},
		"at all":            {gradient(&sdk.Forward{Texts: text}, "embeddings+activations"), []needs{{gradients, activations}}},
		"of embeds":         {gradient(&sdk.Forward{Embeds: embeds}, "embeddings"), []needs{{gradients, embeddings}}},
		"of edits":          {gradient(&sdk.Forward{Texts: text, Edits: []sdk.Edit{{Op: sdk.EditMean}}}, "embeddings"), []needs{{gradients, patch}}},
		"beside a pattern":  {gradient(points("attentions"), "embeddings"), []needs{{gradients, attentions}, {gradients, activations}}},
		"beside embeddings": {gradient(points("embeddings"), "embeddings"), []needs{{gradients, embeddings}, {gradients, activations}}},
		"generate": {func(m sdk.Model) error {
			_, err := sdk.Generate(t.Context(), m, &sdk.Generation{MaxTokens: 1})
			return err
		}, []needs{{sdk.NeedGenerate}}},
		"tokenize": {func(m sdk.Model) error {
			_, err := sdk.Tokenize(t.Context(), m, "a")
			return err
		}, []needs{{sdk.NeedTokenize}}},
	} {
		t.Run(name, func(t *testing.T) {
			for bits := range 1 << len(sdk.Needs()) { // every set of needs
				var granted needs
				for i, need := range sdk.Needs() {
					if bits>>i&1 != 0 {
						granted = append(granted, need)
					}
				}
				suffices := slices.ContainsFunc(c.of, func(of needs) bool {
					return !slices.ContainsFunc(of, func(n sdk.Need) bool { return !slices.Contains(granted, n) })
				})
				var p powers
				err := c.call(Model(&p, sdk.Info{Needs: granted}, request()))
				if suffices && err != nil || !suffices && !errors.Is(err, &sdk.Error{Code: sdk.ECap}) {
					t.Errorf("with %v: %v", granted, err)
				}
				if reached := p.last != nil || p.calls != nil; reached != suffices {
					t.Errorf("with %v: the model is asked: %v", granted, reached)
				}
				if missing, ok := errors.AsType[*sdk.Error](err); ok && !strings.Contains(missing.Message, `the need "`) {
					t.Errorf("%v names no need", err)
				}
			}
		})
	}
}

// TestPoints: the points of a model that does not say what they are take the
// need of any, but for the embeddings, and a model's own error of a name is
// passed on.
func TestPoints(t *testing.T) {
	f := &sdk.Forward{Texts: []string{"a"}, Points: []string{"hidden_states[0]"}}
	without := sdk.Info{Needs: []sdk.Need{sdk.NeedForward, sdk.NeedEmbeddings, sdk.NeedAttentions, sdk.NeedHiddenStates}}
	if _, err := Model(&recorder{}, without, request()).Forward(t.Context(), f); !errors.Is(err, &sdk.Error{Code: sdk.ECap}) || !strings.Contains(err.Error(), `reads hidden_states[0] without the need "activations"`) {
		t.Errorf("a model without classes: %v", err)
	}
	f.Points = []string{"embeddings"}
	if _, err := Model(&recorder{}, without, request()).Forward(t.Context(), f); err != nil {
		t.Errorf("the embeddings of a model without classes: %v", err)
	}
	gradients := sdk.Info{Needs: []sdk.Need{sdk.NeedGradients}}
	f.Points = nil
	for wrt, want := range map[string]sdk.Errno{"embeddings": sdk.EUnsupported, "embeddings[t=0]": sdk.ECap} { // which is what the model says
		if _, err := sdk.Gradient(t.Context(), Model(&recorder{}, gradients, request()), f, wrt); !errors.Is(err, &sdk.Error{Code: want}) {
			t.Errorf("the gradient at %s of a model without classes: %v", wrt, err)
		}
	}
	f.Points = []string{"nosuch"}
	if _, err := Model(&powers{}, without, request()).Forward(t.Context(), f); !errors.Is(err, &sdk.Error{Code: sdk.EName}) {
		t.Errorf("no such point: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.Points = []string{"embeddings"}
	if _, err := Model(&powers{}, without, request()).Forward(ctx, f); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestPowers: a model without a power answers that it has none, and one with
// them is asked for what has a meaning alone.
func TestPowers(t *testing.T) {
	all := sdk.Info{Needs: sdk.Needs()}
	var r recorder
	bare := Model(&r, all, request())
	var p powers
	m := Model(&p, all, request())
	text := &sdk.Forward{Texts: []string{"a"}}
	for name, c := range map[string]struct {
		call func(sdk.Model) error
		want sdk.Errno // of a model with all powers; one without them is EUnsupported where this is 0
	}{
		"gradient":    {func(m sdk.Model) error { _, err := sdk.Gradient(t.Context(), m, text, "x"); return err }, 0},
		"wrt nothing": {func(m sdk.Model) error { _, err := sdk.Gradient(t.Context(), m, text); return err }, sdk.EInvalid},
		"wrt much": {func(m sdk.Model) error {
			_, err := sdk.Gradient(t.Context(), m, text, slices.Repeat([]string{"x"}, 4097)...)
			return err
		}, sdk.ERange},
		"wrt a long name": {func(m sdk.Model) error {
			_, err := sdk.Gradient(t.Context(), m, text, strings.Repeat("x", 256))
			return err
		}, sdk.EName},
		"gradient of nil": {func(m sdk.Model) error { _, err := sdk.Gradient(t.Context(), m, nil, "x"); return err }, sdk.EInvalid},
		"tokenize": {func(m sdk.Model) error {
			_, err := sdk.Tokenize(t.Context(), m, strings.Repeat("a", 1<<20))
			return err
		}, 0},
		"tokenize much": {func(m sdk.Model) error {
			_, err := sdk.Tokenize(t.Context(), m, strings.Repeat("a", 1<<20+1))
			return err
		}, sdk.ERange},
		"tokenize nothing": {func(m sdk.Model) error { _, err := sdk.Tokenize(t.Context(), m, ""); return err }, 0},
		"tokenize bytes":   {func(m sdk.Model) error { _, err := sdk.Tokenize(t.Context(), m, "\xff"); return err }, sdk.EInvalid},
	} {
		err := c.call(bare)
		if want := cmp.Or(c.want, sdk.EUnsupported); !errors.Is(err, &sdk.Error{Code: want}) || r.last != nil {
			t.Errorf("%s of a model that cannot: %v", name, err)
		}
		calls := len(p.calls)
		err = c.call(m)
		if c.want == 0 && (err != nil || len(p.calls) != calls+1) || c.want != 0 && (!errors.Is(err, &sdk.Error{Code: c.want}) || len(p.calls) != calls) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		g    *sdk.Generation
		want sdk.Errno
	}{
		"one token":     {&sdk.Generation{MaxTokens: 1}, 0},
		"all":           {&sdk.Generation{Prompt: []int32{0}, MaxTokens: 65536, Temperature: 0.5, TopK: 3, TopP: 1, Seed: 4}, 0},
		"nil":           {nil, sdk.EInvalid},
		"none":          {&sdk.Generation{}, sdk.EInvalid},
		"less":          {&sdk.Generation{MaxTokens: -1}, sdk.EInvalid},
		"too many":      {&sdk.Generation{MaxTokens: 65537}, sdk.ERange},
		"no prompt":     {&sdk.Generation{MaxTokens: 1, Prompt: []int32{}}, sdk.EInvalid},
		"negative":      {&sdk.Generation{MaxTokens: 1, Prompt: []int32{3, -2}}, sdk.ERange},
		"cold":          {&sdk.Generation{MaxTokens: 1, Temperature: -1}, sdk.EInvalid},
		"hot":           {&sdk.Generation{MaxTokens: 1, Temperature: math.Inf(1)}, sdk.EInvalid},
		"no number":     {&sdk.Generation{MaxTokens: 1, Temperature: math.NaN()}, sdk.EInvalid},
		"top k":         {&sdk.Generation{MaxTokens: 1, TopK: -1}, sdk.EInvalid},
		"top p":         {&sdk.Generation{MaxTokens: 1, TopP: 1.5}, sdk.EInvalid},
		"top p below 0": {&sdk.Generation{MaxTokens: 1, TopP: -0.5}, sdk.EInvalid},
		"top p of NaN":  {&sdk.Generation{MaxTokens: 1, TopP: math.NaN()}, sdk.EInvalid},
	} {
		calls := len(p.calls)
		_, err := sdk.Generate(t.Context(), m, c.g)
		if c.want == 0 && (err != nil || len(p.calls) != calls+1) || c.want != 0 && (!errors.Is(err, &sdk.Error{Code: c.want}) || len(p.calls) != calls) {
			t.Errorf("generation, %s: %v", name, err)
		}
	}
	if _, err := sdk.Generate(t.Context(), bare, &sdk.Generation{MaxTokens: 1}); !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
		t.Errorf("generation of a model that cannot: %v", err)
	}
}

func TestReplyBytes(t *testing.T) {
	if n, ok := ReplyBytes(t.Context()); ok {
		t.Errorf("a context without a bound has %d", n)
	}
	if n, ok := ReplyBytes(WithReply(t.Context(), 7)); n != 7 || !ok {
		t.Errorf("a context with a bound of 7 has %d, %v", n, ok)
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

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1 KiB", 64 << 20: "64 MiB", 65<<20 + 1: "65 MiB", 3 << 29: "1.5 GiB",
		1<<20 - 1: "1024 KiB", 1234567: "1.177 MiB", 5 << 40: "5 TiB", 2000 << 40: "2000 TiB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}
