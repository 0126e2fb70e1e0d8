package arch

import "math"

// SelfAttention is the attention of a block, with absolute positions.
type SelfAttention struct {
	Query, Key, Value, Output Projection
	Heads, KeyHeads           int
	Factor                    float64 // of the scores; 0 stands for 1/√E
	Causal                    bool
	Window                    int // as of [Attention]
}

// SelfAttention adds attention that reads x, through ln1 where norm is not
// nil, and returns what is added to the residual. It declares hook_attn_in,
// hook_q_input, hook_k_input, hook_v_input, ln1.*, attn.* and hook_attn_out.
func (b *Builder) SelfAttention(x Value, norm *Norm, a SelfAttention) Value {
	in := b.Edge("hook_attn_in", x)
	read := [3]Value{
		b.HeadEdges("hook_q_input", in, "H"),
		b.HeadEdges("hook_k_input", in, "K"),
		b.HeadEdges("hook_v_input", in, "K"),
	}
	if norm != nil {
		read[0] = b.Normalize(read[0], *norm, "ln1", true)
		read[1], read[2] = b.again(read[0], read[1]), b.again(read[0], read[2])
	}
	if a.Factor == 0 {
		a.Factor = 1 / math.Sqrt(float64(b.sizes["E"]))
	}
	q := b.Name("attn.hook_q", b.Project(read[0], a.Query), "B T H E")
	k := b.Name("attn.hook_k", b.Project(read[1], a.Key), "B S K E")
	v := b.Name("attn.hook_v", b.Project(read[2], a.Value), "B S K E")
	z := b.Attend(Attention{
		Query: q, Key: k, Value: v,
		Heads: a.Heads, KeyHeads: a.KeyHeads, Factor: a.Factor, Causal: a.Causal, Window: a.Window,
	}, "T")
	return b.AttentionOutput(b.Name("attn.hook_z", z, "B T H E"), a.Output)
}

// AttentionOutput adds the linear layer behind the heads z, which ends what
// attention adds to the residual. It declares attn.hook_result and
// hook_attn_out.
func (b *Builder) AttentionOutput(z Value, output Projection) Value {
	out := b.Project(z, output)
	rows, width := b.letters(out)
	b.Result("attn.hook_result", out)
	return b.Name("hook_attn_out", out, rows+" "+width)
}

// FeedForward is the feed-forward layer of a block.
type FeedForward struct {
	Up, Down   Projection
	Activation string
	Key        string // of the configuration that names the activation
}

// FeedForward adds a feed-forward layer that reads x, through ln2 where norm is
// not nil, and returns what is added to the residual. It declares hook_mlp_in,
// ln2.*, mlp.hook_pre, mlp.hook_post and hook_mlp_out.
func (b *Builder) FeedForward(x Value, norm *Norm, f FeedForward) Value {
	rows, _ := b.letters(x)
	read := b.Edge("hook_mlp_in", x)
	if norm != nil {
		read = b.Normalize(read, *norm, "ln2", true)
	}
	pre := b.Name("mlp.hook_pre", b.Project(read, f.Up), rows+" F")
	post := b.Name("mlp.hook_post", b.Activate(pre, f.Activation, f.Key), rows+" F")
	return b.Name("hook_mlp_out", b.Project(post, f.Down), rows+" D")
}

// Encoder adds a block with the norms behind the sums, as BERT has them:
//
//	y = LN₁(x + attention(x)),  LN₂(y + feed-forward(y))
func (b *Builder) Encoder(l int, x Value, a SelfAttention, norm1 Norm, f FeedForward, norm2 Norm) Value {
	b.Block(l)
	b.Name("hook_resid_pre", x, "B T D")
	return b.PostNorm(x, b.SelfAttention(x, nil, a), norm1, f, norm2)
}

// PostNorm is what follows the attention in [Builder.Encoder].
func (b *Builder) PostNorm(x, attention Value, norm1 Norm, f FeedForward, norm2 Norm) Value {
	rows, width := b.letters(x)
	axes := rows + " " + width
	mid := b.Name("hook_resid_mid", b.Add(x, attention), axes)
	y := b.Normalize(mid, norm1, "ln1", true)
	post := b.Name("hook_resid_post", b.Add(y, b.FeedForward(y, nil, f)), axes)
	return b.Name("hook_normalized_resid_post", b.Normalize(post, norm2, "ln2", true), axes)
}

// Decoder adds a causal block with the norms before the branches, as GPT-2 has
// them:
//
//	y = x + attention(LN₁(x)),  y + feed-forward(LN₂(y))
func (b *Builder) Decoder(l int, x Value, norm1 Norm, a SelfAttention, norm2 Norm, f FeedForward) Value {
	b.Block(l)
	b.Name("hook_resid_pre", x, "B T D")
	mid := b.Name("hook_resid_mid", b.Add(x, b.SelfAttention(x, &norm1, a)), "B T D")
	return b.Name("hook_resid_post", b.Add(mid, b.FeedForward(mid, &norm2, f)), "B T D")
}
