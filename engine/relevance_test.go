package engine_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/golden"
)

// logit is the objective of the logit of a class in the first row that the head
// reads.
func logit(class int) engine.Objective {
	return func(_ int, logits, grad []float64) float64 {
		grad[class] = 1
		return logits[class]
	}
}

// TestRelevance holds relevance by LRP to the reference implementation: at the
// attention of each layer, and at the output of the embeddings, in which the
// sum over each token's values is taken.
func TestRelevance(t *testing.T) {
	for _, name := range []string{"attn_bert_a", "attn_bert_b"} {
		t.Run(name, func(t *testing.T) {
			onEveryKernel(t, func(t *testing.T, dtype engine.DType) { relevanceCase(t, golden.Load(t, name), dtype) })
		})
	}
}

func relevanceCase(t *testing.T, c *golden.Case, dtype engine.DType) {
	m := openGolden(t, c.Model, engine.WithDType(dtype), engine.WithThreads(2))
	n := c.Inputs["input_ids"].Shape[1]
	in := engine.Input{
		IDs:     int32s(c.Ints(t, "input_ids")),
		Lengths: []int{n},
		TypeIDs: int32s(c.Ints(t, "token_type_ids")),
		Mask:    bytesOf(c.Ints(t, "attention_mask")),
	}
	selections := []point.Selection{selectPoint(t, m, in, "hidden_states[0]")}
	layers := m.Info().Layers
	for l := range layers {
		selections = append(selections, selectPoint(t, m, in, "attentions["+strconv.Itoa(l)+"]"))
	}
	target, err := strconv.Atoi(string(c.Config["target"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range [][]engine.ForwardOption{nil, {engine.Recompute()}} {
		opts = append(opts, engine.Gradients(logit(target), selections...), engine.Propagate(engine.LRPAlpha1))
		out, err := m.Forward(t.Context(), in, opts...)
		if err != nil {
			t.Fatal(err)
		}
		compare := func(name string, got []float64) {
			name = "chefer_lrp." + name
			worst := golden.Close(t, name, got, c.Want(t, name), tolerance(c, name, dtype))
			t.Logf("%s: off by %.3g of %.3g", name, worst, tolerance(c, name, dtype))
		}
		compare("logits", out.Logits.Float64())
		sums := make([]float64, n)
		for i, v := range joined(out.Gradients[0]) {
			sums[i/m.Info().Hidden] += v
		}
		compare("full_lrp_cls_kept", sums)
		sums[0] = 0
		compare("full_lrp", sums)
		for l := range layers {
			compare("attn_relevance."+strconv.Itoa(l), joined(out.Gradients[1+l]))
		}
	}
}

func tolerance(c *golden.Case, name string, dtype engine.DType) float64 {
	if dtype == engine.F64 {
		return c.Outputs[name].F64Atol
	}
	return c.Outputs[name].F32Atol
}

// streams are the points that all relevance passes through, and no other point
// beside them, in the order of the layers.
func streams(m *engine.Model, in engine.Input) (all []point.Selection) {
	for _, p := range m.Graph(in).Points {
		switch {
		case p.Name == "hook_full_embed", strings.HasSuffix(p.Name, "hook_resid_mid"), strings.HasSuffix(p.Name, "hook_resid_post"):
			all = append(all, wholeOf(p))
		}
	}
	return all
}

// TestRelevanceIsKept: the relevance of all that passes from layer to layer is
// that of the logits, in every sequence of every model that has one. (Where
// every key is hidden from a query, what its attention adds comes from nothing
// but a bias, and the relevance of that is lost.)
func TestRelevanceIsKept(t *testing.T) {
	eachForm(t, func(t *testing.T, k kind, m *engine.Model, in engine.Input) {
		in.Mask = nil
		points := streams(m, in)
		if err := engine.LRPAlpha1.Check(m.Graph(in), points[0]); err != nil {
			if family := m.Info().ModelType; family != "xlnet" && family != gated {
				t.Error(err)
			}
			_, err := m.Forward(t.Context(), in, engine.Gradients(quadratic(1), points...), engine.Propagate(engine.LRPAlpha1))
			if refused := new(point.MismatchError); !errors.As(err, &refused) || !strings.Contains(err.Error(), "lrp-alpha1: the rule is not defined for") {
				t.Error(err)
			}
			return
		}
		if len(points) < 2*m.Info().Layers {
			t.Fatalf("only %d points", len(points))
		}
		out := forward(t, m, in, engine.Gradients(quadratic(1), points...), engine.Propagate(engine.LRPAlpha1))
		for seq := range in.Lengths {
			x := out.Logits.Float64()[out.Starts[seq]*out.Classes : out.Starts[seq+1]*out.Classes]
			seed := make([]float64, len(x))
			quadratic(1)(seq, x, seed)
			want, size := 0.0, 0.0
			for _, v := range seed {
				want, size = want+v, size+math.Abs(v)
			}
			for i, p := range points {
				got := 0.0
				for _, v := range out.Gradients[i].Sequences[seq].Float64() {
					got += v
				}
				if math.Abs(got-want) > 1e-6*size {
					t.Errorf("sequence %d: the relevance at %s adds up to %v, that of the logits to %v", seq, p.Name, got, want)
				}
			}
		}
	})
}

// TestRelevanceBits: the relevance of a sequence is the same bits on any number
// of threads, computed again from little memory, and in any batch.
func TestRelevanceBits(t *testing.T) {
	for i, k := range kinds() {
		if !k.first && i != 3 { // a language model too
			continue
		}
		fsys := k.folder(t, 7)
		m := open(t, fsys, engine.WithThreads(1))
		info := m.Info()
		in := inputs(info)[0].input(info, 8, 7, 120, 12)
		var points []point.Selection
		for _, p := range differentiable(m, in) {
			if engine.LRPAlpha1.Check(m.Graph(in), p) == nil && p.Point.Axes[0].Letter == "B" {
				points = append(points, p)
			}
		}
		if len(points) == 0 {
			continue
		}
		objective := quadratic(3)
		by := []engine.ForwardOption{engine.Gradients(objective, points...), engine.Propagate(engine.LRPAlpha1)}
		whole := forward(t, m, in, by...)
		for name, got := range map[string]*engine.Output{
			"computed again": forward(t, m, in, append(slices.Clone(by), engine.Recompute())...),
			"3 threads":      forward(t, open(t, fsys, engine.WithThreads(3)), in, by...),
			"little memory":  forward(t, shortOf(t, fsys, in, by...), in, by...),
		} {
			for s := range in.Lengths {
				same(t, fmt.Sprintf("%s, %s, sequence %d", k.name, name, s), points, bitsOf(got, s), bitsOf(whole, s))
			}
		}
		order := []int{2, 0, 1}
		turned := forward(t, m, cut(in, info, order...), engine.Propagate(engine.LRPAlpha1), engine.Gradients(
			func(i int, x, g []float64) float64 { return objective(order[i], x, g) }, points...))
		for place, s := range order {
			same(t, fmt.Sprintf("%s, sequence %d in another batch", k.name, s), points, bitsOf(turned, place), bitsOf(whole, s))
		}
	}
}

// TestRelevanceRefusals: what has no relevance is refused with the reason.
func TestRelevanceRefusals(t *testing.T) {
	m := openGolden(t, "bert-seqcls")
	in := engine.Input{IDs: []int32{5, 6, 7}}
	z := selectPoint(t, m, in, "blocks.1.attn.hook_z")
	edit := engine.Edits(point.Edit{Selection: z, Values: []float64{0}})
	for name, c := range map[string]struct {
		point string
		rule  engine.Rule
		more  []engine.ForwardOption
		says  string
	}{
		"the heads' own inputs": {"blocks.1.hook_q_input", engine.LRPAlpha1, nil, "what single heads read"},
		"the heads' results":    {"blocks.1.attn.hook_result", engine.LRPAlpha1, nil, "a part of a value"},
		"the scale of a norm":   {"blocks.1.ln1.hook_scale", engine.LRPAlpha1, nil, "a part of a value"},
		"no rule":               {"blocks.1.attn.hook_z", 99, nil, "no such rule"},
		"an edit":               {"blocks.1.attn.hook_z", engine.LRPAlpha1, []engine.ForwardOption{edit}, "through edits"},
	} {
		opts := append(c.more, engine.Gradients(logit(0), selectPoint(t, m, in, c.point)), engine.Propagate(c.rule))
		_, err := m.Forward(t.Context(), in, opts...)
		if refused := new(point.MismatchError); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRelevanceMemory: the weights that a rule packs once more are accounted for,
// and so are those in double precision.
func TestRelevanceMemory(t *testing.T) {
	m := open(t, odd.model(t), engine.WithThreads(1), engine.WithDType(engine.F64))
	in := engine.Input{IDs: []int32{5, 6, 7}}
	weights := func(opts ...engine.ForwardOption) int64 {
		t.Helper()
		need, err := m.Memory(t.Context(), in, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return need.Weights
	}
	words := engine.Gradients(logit(0), selectPoint(t, m, in, "hook_embed"))
	loaded := weights()
	once := weights(words) - loaded
	if got := weights(words, engine.Propagate(engine.LRPAlpha1)) - loaded; once == 0 || got != 4*once {
		t.Errorf("relevance takes %d bytes more of weights and gradients %d", got, once)
	}
	forward(t, m, in, words, engine.Propagate(engine.LRPAlpha1))
	if got := weights(words) - loaded; got != 5*once {
		t.Errorf("both take %d bytes more, want 5 times %d", got, once)
	}
	double := weights(words, engine.Propagate(engine.LRPAlpha1))
	m = open(t, odd.model(t), engine.WithThreads(1))
	single := weights()
	if got := weights(words, engine.Propagate(engine.LRPAlpha1)); got < single+double || got > single+double+double/100 {
		t.Errorf("single precision takes %d bytes of weights for relevance, and double precision %d beside its own %d", got, double, single)
	}
	need, err := m.Memory(t.Context(), in, words, engine.Propagate(engine.LRPAlpha1))
	if err != nil {
		t.Fatal(err)
	}
	scarce := open(t, odd.model(t), engine.WithThreads(1), engine.WithMemory(need.Weights-1))
	if _, err := scarce.Forward(t.Context(), in, words, engine.Propagate(engine.LRPAlpha1)); !errors.As(err, new(*engine.MemoryError)) {
		t.Errorf("a byte less than the weights: %v", err)
	}
	enough := open(t, odd.model(t), engine.WithThreads(1), engine.WithMemory(need.Total()))
	forward(t, enough, in, words, engine.Propagate(engine.LRPAlpha1))
}

// TestRelevanceOfRedrawn: a model whose weights are in another order has a
// relevance of its own, and gives back what that took.
func TestRelevanceOfRedrawn(t *testing.T) {
	m := open(t, odd.model(t), engine.WithThreads(1))
	in := engine.Input{IDs: []int32{5, 6, 7}}
	words := engine.Gradients(logit(0), selectPoint(t, m, in, "hook_embed"))
	of := func(m *engine.Model) []float64 {
		return joined(forward(t, m, in, words, engine.Propagate(engine.LRPAlpha1)).Gradients[0])
	}
	before := of(m)
	memory := func() int64 {
		need, err := m.Memory(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return need.Weights
	}
	loaded := memory()
	redrawn, err := m.Redrawn(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(of(redrawn), before) {
		t.Error("the relevance is that of the weights in their own order")
	}
	if !slices.Equal(of(m), before) {
		t.Error("the model itself has another relevance")
	}
	if memory() <= loaded {
		t.Error("the copy takes no memory")
	}
	redrawn.Close()
	if got := memory(); got != loaded {
		t.Errorf("%d bytes of weights are left, and there were %d", got, loaded)
	}
}
