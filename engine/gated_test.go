package engine_test

import (
	"fmt"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

// gated is a decoder of the operations that the families at hand do without: RMS
// norms, a gated feed-forward layer, scaled embeddings, fewer key heads than
// query heads, and a window that attention looks back through.
const gated = "gated-decoder"

func init() { arch.Register(gated, openGated) }

func openGated(c *checkpoint.Config) (*arch.Architecture, error) {
	info := arch.Info{ModelType: gated, Vocabulary: 23, Hidden: 12, Embedding: 12, Layers: 2, Heads: 4}
	if err := info.Head(c, "Gated", arch.Heads{"ForCausalLM": arch.CausalLM}); err != nil {
		return nil, err
	}
	return &arch.Architecture{Info: info, Graph: func(arch.Form) *arch.Graph { return gatedGraph(info) }}, nil
}

func gatedGraph(info arch.Info) *arch.Graph {
	const width, keyHeads, feedForward = 3, 2, 17
	d := info.Hidden
	sizes := info.Sizes(feedForward)
	sizes["K"] = keyHeads
	b := arch.NewBuilder(sizes)
	words := arch.Weight{Name: "words", Shape: []int{info.Vocabulary, d}}
	x := b.Name("hook_embed", b.Scale(b.Words(words), 3.5), "B T D")
	for l := range info.Layers {
		b.Block(l)
		b.Name("hook_resid_pre", x, "B T D")
		p := fmt.Sprintf("layers.%d.", l)
		norm := arch.RMSNorm(p+"norm1", d, 1e-5)
		mid := b.Name("hook_resid_mid", b.Add(x, b.SelfAttention(x, &norm, arch.SelfAttention{
			Query: arch.Dense(p+"q", d, d), Key: arch.Dense(p+"k", keyHeads*width, d), Value: arch.Dense(p+"v", keyHeads*width, d),
			Output: arch.Dense(p+"o", d, d), Heads: info.Heads, KeyHeads: keyHeads, Causal: true, Window: 4,
		})), "B T D")
		in := b.Normalize(b.Edge("hook_mlp_in", mid), arch.RMSNorm(p+"norm2", d, 1e-5), "ln2", true)
		pre := b.Name("mlp.hook_pre", b.Linear(in, p+"gate", feedForward), "B T F")
		linear := b.Name("mlp.hook_pre_linear", b.Linear(in, p+"up", feedForward), "B T F")
		post := b.Name("mlp.hook_post", b.Mul(b.Activate(pre, "silu", "hidden_act"), linear), "B T F")
		x = b.Name("hook_resid_post", b.Add(mid, b.Name("hook_mlp_out", b.Linear(post, p+"down", d), "B T D")), "B T D")
	}
	b.Head()
	x = b.Normalize(x, arch.RMSNorm("norm", d, 1e-5), "ln_final", true)
	return b.Graph(b.Unembed(x, arch.Dense("unembed", info.Vocabulary, d)), arch.Read{From: arch.Every}, arch.NormPre)
}
