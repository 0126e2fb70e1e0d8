// Package method is a method that uses all of the vocabulary, for tests that hold
// processes, modules and the method itself to the same bits.
package method

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Name is what it is called.
const Name = "everything"

// Method uses everything, or does what "mode" says.
type Method struct{}

// Info implements sdk.Method.
func (Method) Info() sdk.Info {
	return sdk.Info{
		Name: Name, Version: "1.0.0", Summary: "a method for tests",
		Needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedAttentions, sdk.NeedHiddenStates, sdk.NeedGenerate, sdk.NeedEmbeddings, sdk.NeedTokenize, sdk.NeedPatch},
		Params: []sdk.Param{
			{Name: "n", Type: sdk.Int, Default: int64(16)},
			{Name: "scale", Type: sdk.Float, Default: 1.5, Min: sdk.Bound(-1)},
			{Name: "inside", Type: sdk.Bool, Default: true},
			{Name: "label", Type: sdk.String, Default: "größer"},
			{Name: "mode", Type: sdk.Enum, Default: "run", Values: []string{
				"run", "fail", "plain", "wrap", "panic", "index", "spin", "wait", "hog", "nothing", "short", "twice", "rows", "unknown", "print", "round", "move",
			}},
		},
	}
}

var hoard [][]byte

// Explain implements sdk.Method.
func (Method) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	n := r.Params.Int("n")
	switch r.Params.String("mode") {
	case "fail":
		return nil, sdk.NewError(sdk.ERange, "the method is out of range")
	case "plain":
		return nil, errors.New("the method is broken")
	case "wrap":
		_, err := m.Forward(ctx, &sdk.Forward{Texts: []string{"a"}, Target: "nonsense"})
		return nil, err
	case "panic":
		panic("the method is upset")
	case "index":
		return nil, errors.New(r.Units[len(r.Units)].Text)
	case "spin":
		for x := 1; ; x++ {
			if x == 0 {
				return nil, nil
			}
		}
	case "wait":
		if err := r.Progress(0, 1); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	case "hog":
		for {
			hoard = append(hoard, make([]byte, 1<<20))
		}
	case "nothing":
		return nil, nil
	case "short":
		return &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: []float64{1}}}}, nil
	case "twice":
		a := sdk.Attribution{Name: "attributions", Over: sdk.OverUnits, Values: make([]float64, len(r.Units))}
		return &sdk.Explanation{Attributions: []sdk.Attribution{a, a}}, nil
	case "rows":
		_, err := m.Forward(ctx, &sdk.Forward{Units: sdk.NewTensor(make([]uint8, n*len(r.Units)), n, len(r.Units))})
		return nil, err
	case "unknown":
		_, err := values[float64](ctx, m, &sdk.Forward{Texts: []string{"a"}, Points: []string{"nowhere"}}, "nowhere")
		return nil, err
	case "print":
		println("printed by", r.Params.String("label"))
	case "round": // n calls
		for i := range n {
			if _, err := m.Forward(ctx, &sdk.Forward{Texts: []string{r.Text + strconv.Itoa(i%4)}}); err != nil {
				return nil, err
			}
		}
	case "move": // n MiB there and back
		rows := make([]uint8, n<<20)
		e := flat(r)
		e.Tensors = []sdk.NamedTensor{{Name: "moved", Axes: []string{"byte"}, Tensor: *sdk.NewTensor(rows, len(rows))}}
		return e, nil
	}
	return run(ctx, m, r)
}

// flat is an explanation of zeros.
func flat(r *sdk.Request) *sdk.Explanation {
	return &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: make([]float64, len(r.Units))}}}
}

func run(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	n, u := r.Params.Int("n"), len(r.Units)
	keep := make([]uint8, n*u)
	if _, err := r.Rand.Read(keep); err != nil {
		return nil, err
	}
	for i := range keep {
		keep[i] &= 1
	}
	target, err := values[float64](ctx, m, &sdk.Forward{Units: sdk.NewTensor(keep, n, u), Fill: sdk.Fill{Kind: sdk.FillText, Text: "so"}}, sdk.ReplyTarget)
	if err != nil {
		return nil, err
	}
	attributions, stderr := make([]float64, u), make([]float64, u)
	for i := range n {
		if err := r.Progress(i+1, n); err != nil {
			return nil, err
		}
		for j := range u {
			attributions[j] += float64(float64(float64(keep[i*u+j])*target[i]) * r.Params.Float("scale"))
			stderr[j] = math.Sqrt(math.Abs(attributions[j]))
		}
	}
	e := &sdk.Explanation{
		Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: attributions, Stderr: stderr}},
		Diagnostics:  []sdk.Diagnostic{{Name: "n", Value: float64(n)}, {Name: "nan", Value: math.NaN()}},
	}
	var draw [12]byte
	for i := 0; i < len(draw); i += 3 {
		if _, err := r.Rand.Read(draw[i : i+3]); err != nil {
			return nil, err
		}
	}
	pair := "none"
	if r.TextPair != nil {
		pair = *r.TextPair
	}
	r.Log(sdk.Note, "the label is "+r.Params.String("label")+", the model "+m.Info().ID+" and the second text "+pair)
	e.Tensors = []sdk.NamedTensor{
		{Name: "keep", Axes: []string{"row", "unit"}, Tensor: *sdk.NewTensor(keep, n, u)},
		{Name: "draw", Axes: []string{"byte"}, Tensor: *sdk.NewTensor(draw[:], len(draw))},
		{Name: "longs", Axes: []string{"long"}, Tensor: *sdk.NewTensor([]int64{int64(r.Seed), math.MinInt64}, 2)},
		{Name: "float", Axes: []string{}, Tensor: *sdk.NewTensor([]float32{float32(r.Target.Value)})},
		{Name: "empty", Axes: []string{"a", "b"}, Tensor: *sdk.NewTensor([]float64{}, 0, 3)},
	}
	if !r.Params.Bool("inside") {
		return e, nil
	}
	return e, inside(ctx, m, r, e)
}

// inside adds what the model's inside says.
func inside(ctx context.Context, m sdk.Model, r *sdk.Request, e *sdk.Explanation) error {
	add := func(name string, t *sdk.Tensor, err error) error {
		if err != nil {
			return err
		}
		axes := make([]string, len(t.Shape))
		for i := range axes {
			axes[i] = "axis " + strconv.Itoa(i)
		}
		e.Tensors = append(e.Tensors, sdk.NamedTensor{Name: name, Axes: axes, Tensor: *t})
		return nil
	}
	tokens := make([]uint8, 2*len(r.Tokens))
	tokens[1] = 1
	masks, err := m.Forward(ctx, &sdk.Forward{Masks: sdk.NewTensor(tokens, 2, len(r.Tokens)), KeepDuplicates: true, Points: []string{"attentions", "hidden_states[1]"}})
	if err != nil {
		return err
	}
	for i := range 2 {
		t, err := masks.Tensor("attentions", i)
		if err := add("attentions"+strconv.Itoa(i), t, err); err != nil {
			return err
		}
	}
	hidden, err := masks.Tensor("hidden_states[1]", 0)
	if err := add("hidden", hidden, err); err != nil {
		return err
	}
	width := hidden.Shape[len(hidden.Shape)-1]
	embeds := make([]float32, len(r.Tokens)*width)
	for i := range embeds {
		embeds[i] = float32(i%7) / 8
	}
	over := []sdk.Unit{{Text: "all", Spans: []sdk.Span{{End: len(r.Text)}}, Tokens: []int{1}}}
	for name, f := range map[string]*sdk.Forward{
		"texts":  {Texts: []string{r.Text, "", "näher"}},
		"ids":    {IDs: [][]int32{{r.Tokens[0].ID, r.Tokens[1].ID}, {r.Tokens[0].ID}}},
		"embeds": {Embeds: sdk.NewTensor(embeds, 1, len(r.Tokens), width)},
		"over":   {Units: sdk.NewTensor([]uint8{0, 1}, 2, 1), Over: over},
		"edited": {Texts: []string{r.Text}, Edits: []sdk.Edit{
			{Point: "hidden_states[1]", Op: sdk.EditScale, Value: sdk.NewTensor([]float64{0.5}, 1)}, {Point: "attentions[0][h=1]", Op: sdk.EditZero},
		}},
	} {
		reply, err := m.Forward(ctx, f)
		if err != nil {
			return err
		}
		t, err := reply.Tensor(sdk.ReplyLogits, 0)
		if err != nil {
			return err
		}
		// The order of a map is not that of the results.
		e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: name, Value: sum(t)})
	}
	sortDiagnostics(e.Diagnostics)
	gradient, err := sdk.Gradient(ctx, m, &sdk.Forward{Texts: []string{r.Text}}, "embeddings")
	if err != nil {
		return err
	}
	slope, err := gradient.Tensor(sdk.Grad("embeddings"), 0)
	if err := add("slope", slope, err); err != nil {
		return err
	}
	more, err := sdk.Generate(ctx, m, &sdk.Generation{MaxTokens: 3, Temperature: 0.7, TopK: 20, TopP: 0.9, Seed: r.Seed})
	if err != nil {
		return err
	}
	r.Log(sdk.Debug, "it goes on with "+more.Text)
	if err := add("generated", sdk.NewTensor(more.IDs, len(more.IDs)), nil); err != nil {
		return err
	}
	if err := add("generated.logprobs", sdk.NewTensor(more.LogProbs, len(more.LogProbs)), nil); err != nil {
		return err
	}
	cut, err := sdk.Tokenize(ctx, m, "a gripping film")
	if err != nil {
		return err
	}
	for _, t := range cut {
		r.Log(sdk.Debug, t.Text+" "+strconv.Itoa(int(t.ID))+" "+strconv.Itoa(t.Start)+" "+strconv.FormatBool(t.Special))
	}
	if _, err := m.Forward(ctx, &sdk.Forward{Texts: []string{"x"}, Target: "nonsense"}); !errors.Is(err, &sdk.Error{Code: sdk.EName}) {
		return errors.New("the model took a target that it does not have")
	}
	perToken := make([]float64, len(r.Tokens))
	for i, t := range r.Tokens {
		perToken[i] = float64(t.ID) + float64(t.RuneEnd-t.Start)/8
	}
	e.Attributions = append(e.Attributions, sdk.Attribution{Name: "per token", Over: sdk.OverTokens, Values: perToken})
	e.Units = append([]sdk.Unit(nil), r.Units...)
	e.Units[0].Text = "first"
	e.Baseline = &e.Attributions[0].Values[0]
	return nil
}

// sortDiagnostics sorts a few of them by name.
func sortDiagnostics(d []sdk.Diagnostic) {
	for i := range d {
		for j := i; j > 0 && d[j-1].Name > d[j].Name; j-- {
			d[j-1], d[j] = d[j], d[j-1]
		}
	}
}

func sum(t *sdk.Tensor) (s float64) {
	v, _ := sdk.Values[float64](t)
	for i, x := range v {
		s += float64(float64(i+1) * x)
	}
	return s
}

// values returns one output of a forward.
func values[T sdk.Element](ctx context.Context, m sdk.Model, f *sdk.Forward, name string) ([]T, error) {
	reply, err := m.Forward(ctx, f)
	if err != nil {
		return nil, err
	}
	t, err := reply.Tensor(name, 0)
	if err != nil {
		return nil, err
	}
	return sdk.Values[T](t)
}
