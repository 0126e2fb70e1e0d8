package xlnet

import (
	"math"
	"strconv"

	"github.com/xai-go/xai/engine/arch"
)

// layer is the weights of one layer, which its two streams share.
type layer struct {
	*model
	name string // begins the names of its tensors
}

// layer adds layer l to the content stream h and, unless it is None, to the
// query stream g.
func (m *model) layer(b *arch.Builder, form arch.Form, l int, h, g, positions arch.Value) (nextH, nextG arch.Value) {
	w := layer{m, prefix + "layer." + strconv.Itoa(l) + "."}
	b.Block(l)
	b.Name("hook_resid_pre", h, "B T D")
	in := b.Edge("hook_attn_in", h)
	keys := in
	if form.Memory {
		keys = b.Concat(b.Remembered(l, m.Hidden), in)
	}
	query := b.HeadEdges("hook_q_input", in, "H")
	key := b.HeadEdges("hook_k_input", keys, "K")
	value := b.HeadEdges("hook_v_input", keys, "K")
	attention := arch.Attention{
		Query:    b.Name("attn.hook_q", b.Project(query, w.in("q")), "B T H E"),
		Key:      b.Name("attn.hook_k", b.Project(key, w.in("k")), "B S K E"),
		Value:    b.Name("attn.hook_v", b.Project(value, w.in("v")), "B S K E"),
		Heads:    m.Heads,
		KeyHeads: m.Heads,
		Factor:   1 / math.Sqrt(float64(m.Hidden/m.Heads)),
		Causal:   m.causal,
		SeesSelf: true,
		Relative: &arch.RelativeTerms{
			R:        b.Name("attn.hook_r", b.Project(positions, w.in("r")), "R H E"),
			Content:  w.perHead("r_w_bias"),
			Position: w.perHead("r_r_bias"),
		},
	}
	if form.Types {
		attention.Relative.Segment = w.perHead("r_s_bias")
		attention.Relative.Segments = w.perHead("seg_embed", 2)
	}
	z := b.Name("attn.hook_z", b.Attend(attention, "T"), "B T H E")
	nextH, nextG = w.finish(b, h, z), g
	if g != arch.None {
		b.Within("g.", func() {
			b.Name("hook_resid_pre", g, "B P D")
			query := b.HeadEdges("hook_q_input", b.Edge("hook_attn_in", g), "H")
			q := b.Name("attn.hook_q", b.Project(query, w.in("q")), "B P H E")
			attention.Query, attention.SeesSelf, attention.Uniform = b.Spread(q), false, true
			z := b.Select(b.Attend(attention, "P"), arch.Targets)
			nextG = w.finish(b, g, b.Name("attn.hook_z", z, "B P H E"))
		})
	}
	return nextH, nextG
}

// finish adds what a stream x goes through behind its attention z.
func (w layer) finish(b *arch.Builder, x, z arch.Value) arch.Value {
	d := w.Hidden
	out := b.AttentionOutput(z, arch.Projection{W: w.matrix("o")})
	return b.PostNorm(x, out,
		arch.LayerNorm(w.name+"rel_attn.layer_norm", d, w.eps),
		arch.FeedForward{
			Up:         arch.Dense(w.name+"ff.layer_1", w.feedForward, d),
			Down:       arch.Dense(w.name+"ff.layer_2", d, w.feedForward),
			Activation: w.activation, Key: "ff_activation",
		},
		arch.LayerNorm(w.name+"ff.layer_norm", d, w.eps),
	)
}

// matrix returns a tensor between the residual stream and the heads, [D, H, E].
func (w layer) matrix(name string) arch.Weight {
	return arch.Weight{Name: w.name + "rel_attn." + name, Shape: []int{w.Hidden, w.Heads, w.Hidden / w.Heads}}
}

// in returns a projection from the residual stream to the heads.
func (w layer) in(name string) arch.Projection {
	m := w.matrix(name)
	m.Transposed = true
	return arch.Projection{W: m}
}

// perHead returns a tensor of a vector for each head, [H, E], or of several.
func (w layer) perHead(name string, several ...int) arch.Weight {
	return arch.Weight{Name: w.name + "rel_attn." + name, Shape: append(several, w.Heads, w.Hidden/w.Heads)}
}
