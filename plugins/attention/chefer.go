package attention

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/xai-go/xai/sdk"
)

// Chefer weighs attention by its gradient: with A the attention of a layer, ∇A the
// gradient of the target at it, R_A its relevance by LRP (sdk.RuleLRPAlpha1), and
// E = A ⊙ ∇A,
//
//	generic               R ← R + mean_h(max(E, 0))·R, from R = I, up through the layers
//	grad-rollout          R ← Ĉ·R, Ĉ = rows of (mean_h(max(E, 0)) + I) over their sums
//	lrp                   the same of ∇A ⊙ R_A in the place of E
//	attn-gradcam          max(mean_h(A·mean(∇A)), 0) of one layer
//	attention-x-gradient  mean_h(max(E, 0)) of one layer
//	partial-lrp           mean_h(max(R_A, 0)) of one layer
//	full-lrp              the relevance of what the first layer reads, token by token
//
// Chefer, Gur and Wolf, ICCV 2021 (generic) and CVPR 2021 (lrp), and what their
// papers compare it with. The zero value is ready, and safe for concurrent use.
type Chefer struct{}

const (
	paramVariant = "variant"

	variantGeneric = "generic"
	variantRollout = "grad-rollout"
	variantLRP     = "lrp"
	variantCAM     = "attn-gradcam"
	variantProduct = "attention-x-gradient"
	variantPartial = "partial-lrp"
	variantFull    = "full-lrp"
)

// variant says what is made of each layer, and of all.
type variant struct {
	rules   []sdk.Rule // by which the target is passed back to attention
	product string     // the tensor of what is weighed, head by head
	through bool       // all layers, one after the other; else one
	apart   bool       // a position's own entry is the smallest of its row
}

// names are those of the variants, the default first.
var names = []string{variantGeneric, variantRollout, variantLRP, variantCAM, variantProduct, variantPartial, variantFull}

var variants = map[string]variant{
	variantGeneric: {rules: []sdk.Rule{sdk.RuleGradient}, product: "attention_x_gradient", through: true},
	variantRollout: {rules: []sdk.Rule{sdk.RuleGradient}, product: "attention_x_gradient", through: true},
	variantLRP:     {rules: []sdk.Rule{sdk.RuleGradient, sdk.RuleLRPAlpha1}, product: "attention_relevance", through: true, apart: true},
	variantCAM:     {rules: []sdk.Rule{sdk.RuleGradient}, product: "attention_x_gradient"},
	variantProduct: {rules: []sdk.Rule{sdk.RuleGradient}, product: "attention_x_gradient"},
	variantPartial: {rules: []sdk.Rule{sdk.RuleLRPAlpha1}, product: "attention_relevance"},
	variantFull:    {rules: []sdk.Rule{sdk.RuleLRPAlpha1}},
}

// Info implements sdk.Method.
func (Chefer) Info() sdk.Info {
	return sdk.Info{
		Name:    "chefer",
		Version: "1.0.0",
		Summary: "Attention weighed by the target's gradient at it or by its relevance, gathered through the layers",
		Source:  "Chefer, Gur, Wolf 2021, arXiv:2103.15679 and arXiv:2012.09838; hila-chefer/Transformer-MM-Explainability, hila-chefer/Transformer-Explainability",
		Needs:   []sdk.Need{sdk.NeedGradients, sdk.NeedAttentions, sdk.NeedHiddenStates},
		Params: []sdk.Param{
			{
				Name: paramVariant, Aliases: []string{"rule"}, Type: sdk.Enum, Default: variantGeneric,
				Values: slices.Clone(names),
				Doc:    "generic: the relevance of the ICCV 2021 paper; lrp: the transformer attribution of the CVPR 2021 paper; grad-rollout: a rollout of the weights of generic; attn-gradcam, attention-x-gradient and partial-lrp: of one layer alone; full-lrp: relevance passed back to the tokens",
			},
			startParam(),
			layerParam("of attn-gradcam, attention-x-gradient and partial-lrp: the layer; before 0 it counts from the last one"),
			{
				Name: paramSteps, Type: sdk.Bool, Default: false,
				Doc: "of generic, grad-rollout and lrp: return the matrix after every layer too, as the tensor relevance_steps",
			},
			{
				Name: paramAll, Type: sdk.Bool, Default: false,
				Doc: "return what is weighed of every layer and head too: attention times gradient as the tensor attention_x_gradient, and of lrp and partial-lrp the relevance of attention as attention_relevance",
			},
			positionParam(),
		},
	}
}

// Explain implements sdk.Method. The tensor relevance is the matrix, and
// head_importance |ΣE| of each head, [layer, head], with what stands for E in the
// variant: Michel, Levy and Neubig, "Are Sixteen Heads Really Better than One?",
// NeurIPS 2019. Of full-lrp, token_relevance is the relevance of each token.
func (Chefer) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := newSource(m, r)
	if err != nil {
		return nil, err
	}
	w, err := s.weighing()
	if err != nil {
		return nil, err
	}
	if w.name == variantFull {
		return s.full(ctx)
	}
	if err := s.every(ctx, w.rules, w.visit); err != nil {
		return nil, err
	}
	row := s.row(w.relevance)
	switch {
	case w.name == variantGeneric: // less the identity from which it started
		for _, at := range s.positions {
			row[at] -= 1 / float64(len(s.positions))
		}
	case w.apart:
		row = s.row(s.apart(w.relevance))
	}
	e := s.sizes(row)
	e.Tensors = append(e.Tensors,
		square("relevance", w.relevance, s.n),
		tensor("head_importance", w.importance, []string{"layer", "head"}, s.layers, s.heads))
	if w.steps {
		e.Tensors = append(e.Tensors, tensor("relevance_steps", w.history, []string{"layer", "query", "key"}, s.layers-w.start, s.n, s.n))
	}
	if w.all {
		e.Tensors = append(e.Tensors, tensor(w.product, w.products, []string{"layer", "head", "query", "key"}, s.layers, s.heads, s.n, s.n))
	}
	return e, nil
}

// weighing reads the parameters of a variant, and refuses what would have no effect or
// cannot be.
func (s *source) weighing() (*weighing, error) {
	p := s.request.Params
	name := p.String(paramVariant)
	w := &weighing{
		n: s.n, name: name, variant: variants[name], relevance: identity(s.n),
		start: p.Int(paramStart), steps: p.Bool(paramSteps), all: p.Bool(paramAll),
	}
	layer := p.Int(paramLayer)
	if slices.Contains(w.rules, sdk.RuleLRPAlpha1) {
		if err := single(s.request.Target); err != nil {
			return nil, err
		}
	}
	switch {
	case name == variantFull && (w.start != 0 || w.steps || w.all || layer != -1 || p.Int(paramPosition) != -1):
		return nil, invalid("start_layer, layer, steps, all and position have no effect with variant=" + name + ", which is of tokens: leave them out")
	case name == variantFull:
		return w, nil
	case w.through && layer != -1:
		return nil, invalid("layer has no effect with variant=" + name + ", which goes through all layers: use start_layer")
	case !w.through && (w.start != 0 || w.steps):
		return nil, invalid("start_layer and steps have no effect with variant=" + name + ", which is of one layer: use layer")
	}
	if err := s.through(w.start); err != nil {
		return nil, err
	}
	if w.all {
		if err := s.bounded(paramAll, s.layers*s.model.Info().Heads); err != nil {
			return nil, err
		}
	}
	if w.steps {
		if err := s.bounded(paramSteps, s.layers-w.start); err != nil {
			return nil, err
		}
	}
	var err error
	w.at, err = s.layer(layer)
	return w, err
}

// single refuses targets that pass nothing on by LRP: the rule shares out what a
// logit starts with, and what probabilities and differences start with adds up to 0.
func single(t sdk.Target) error {
	if t.Kind == sdk.KindDifference {
		return invalid("relevance is passed on from one output, and what a difference starts with adds up to 0: explain its two sides one by one")
	}
	if t.Output != sdk.Logit {
		return invalid("relevance is passed on from a logit, and what other scales start with adds up to 0: use --output logit")
	}
	return nil
}

// undefined returns the host's error, or where it is that a model has no relevance by
// LRP, one that says which variants explain that model.
func (s *source) undefined(rule sdk.Rule, err error) error {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok || rule != sdk.RuleLRPAlpha1 || e.Code != sdk.EUnsupported {
		return err
	}
	_, reason, ok := strings.Cut(e.Message, "has no relevance by "+rule.String()+": ")
	if !ok {
		return err
	}
	var others []string
	for _, name := range names {
		if !slices.Contains(variants[name].rules, rule) {
			others = append(others, name)
		}
	}
	last := len(others) - 1
	return sdk.NewError(e.Code, "no relevance is passed back through the attention of this model ("+s.model.Info().Architecture+") by LRP: "+reason+
		"; use variant="+strings.Join(others[:last], ", ")+" or "+others[last])
}

// full attributes the relevance of what the first layer reads, summed over each
// token's values.
func (s *source) full(ctx context.Context) (*sdk.Explanation, error) {
	const embedded = "hidden_states[0]"
	f := s.whole()
	f.Rule = sdk.RuleLRPAlpha1
	reply, err := sdk.Gradient(ctx, s.model, f, embedded)
	if err != nil {
		return nil, s.undefined(f.Rule, err)
	}
	t, err := reply.Tensor(sdk.Grad(embedded), 0)
	if err != nil {
		return nil, err
	}
	d := t.DType()
	if len(t.Shape) != 3 || t.Shape[0] != 1 || t.Shape[1] != s.n || d != sdk.F32 && d != sdk.F64 {
		return nil, sdk.NewError(sdk.EUnsupported, "the model's first layer does not read a row for each token of the input: cut sequences cannot be explained by it")
	}
	width := t.Shape[2]
	row := make([]float64, s.n)
	for i := range row {
		switch v := t.Data.(type) {
		case []float64:
			for _, x := range v[i*width : (i+1)*width] {
				row[i] += x
			}
		case []float32:
			for _, x := range v[i*width : (i+1)*width] {
				row[i] += float64(x)
			}
		}
	}
	e := s.explanation(row, 0)
	e.Tensors = append(e.Tensors, tensor("token_relevance", row, []string{"token"}, s.n))
	return e, nil
}

// weighing gathers the relevance of layers.
type weighing struct {
	variant
	name       string
	n          int // tokens
	start, at  int // the first layer of those that are gone through; the one of a variant of one
	steps, all bool

	relevance  []float64 // [n,n]
	importance []float64 // [layer,head]
	history    []float64 // the relevance after each layer, where steps is set
	products   []float64 // what is weighed of each layer and head, where all is set
}

// visit takes in a layer.
func (w *weighing) visit(l *layer) error {
	weight := w.weigh(l, func(product, weighed []float64) {
		size := 0.0
		for _, v := range weighed {
			size += v
		}
		w.importance = append(w.importance, math.Abs(size))
		if w.all {
			w.products = append(w.products, product...)
		}
	})
	switch {
	case !w.through && l.index == w.at:
		w.relevance = weight
	case w.through && l.index >= w.start:
		w.add(weight)
		if w.steps {
			w.history = append(w.history, w.relevance...)
		}
	}
	return nil
}

// weigh returns what the variant makes of a layer: one matrix of all heads. each
// gets the product that the variant returns of every head, and what is weighed.
func (w *weighing) weigh(l *layer, each func(product, weighed []float64)) []float64 {
	out := make([]float64, w.n*w.n)
	a, g, product := make([]float64, len(out)), make([]float64, len(out)), make([]float64, len(out))
	for h := range l.heads {
		switch w.name {
		case variantPartial:
			l.read(l.back[sdk.RuleLRPAlpha1], h, 0, a)
			for i, v := range a {
				out[i] += max(v, 0)
			}
			each(a, a)
			continue
		case variantLRP:
			l.read(l.back[sdk.RuleLRPAlpha1], h, 0, a)
		default:
			l.pattern(h, a)
		}
		l.read(l.back[sdk.RuleGradient], h, 0, g)
		if w.name == variantCAM {
			mean := 0.0
			for _, v := range g {
				mean += v
			}
			mean /= float64(len(g))
			for i, v := range a {
				out[i] += float64(v * mean)
			}
		}
		for i, v := range a {
			product[i] = float64(v * g[i])
			if w.name != variantCAM {
				out[i] += max(product[i], 0)
			}
		}
		if w.name == variantLRP {
			each(a, product)
		} else {
			each(product, product)
		}
	}
	for i := range out {
		out[i] = max(out[i]/float64(l.heads), 0)
	}
	return out
}

// add takes a layer's matrix into the relevance.
func (w *weighing) add(weight []float64) {
	if w.name != variantGeneric {
		rolling{n: w.n, residual: true, normalise: true}.augment(weight)
		w.relevance = multiply(weight, w.relevance, w.n)
		return
	}
	more := multiply(weight, w.relevance, w.n)
	for i, v := range w.relevance {
		more[i] += v
	}
	w.relevance = more
}
