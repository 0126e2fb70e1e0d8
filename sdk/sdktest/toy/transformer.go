package toy

import (
	"math"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// The sizes of the transformer.
const (
	width     = 16  // D
	heads     = 2   // H
	headWidth = 8   // E
	inner     = 32  // F
	blocks    = 2   // L
	positions = 512 // T at most
	words     = 512 // V
	classes   = 3   // C
)

// Transformer returns an encoder in the manner of BERT with random weights: 2
// layers of 2 heads, width 16, up to 512 tokens, three classes read from the
// first token, and a language model's head read from the last one. It has all
// powers of a model, and these points:
//
//	embeddings (hook_embed)                        [T,D]
//	hidden_states[0…2] (blocks.0.hook_in …)        [T,D]
//	attentions[0…1] (blocks.0.attn.hook_pattern …) [H,T,S]
func Transformer(seed uint64) *Model {
	r := source(seed, 0)
	n := &transformer{
		words:    r.weights(words*width, 1),
		types:    r.weights(2*width, 0.5),
		position: make([]float64, positions*width),
		first:    newNorm(r),
		head:     newLayer(r, classes, width, 3),
	}
	for i := range n.position {
		n.position[i] = r.weight(0.3)
	}
	for d := range width {
		sum := 0.0
		for id := range words {
			sum += n.words[id*width+d]
		}
		n.average = append(n.average, float64(float32(float64(sum/words))))
	}
	for range blocks {
		n.blocks = append(n.blocks, block{
			query: newLayer(r, width, width, 2), key: newLayer(r, width, width, 2),
			value: newLayer(r, width, width, 1), out: newLayer(r, width, width, 1),
			up: newLayer(r, inner, width, 1), down: newLayer(r, width, inner, 1),
			attended: newNorm(r), done: newNorm(r),
		})
	}
	return &Model{
		info: sdk.ModelInfo{
			ID: "toy transformer", Architecture: "toy-transformer", Task: "sequence-classification",
			Labels: []string{"negative", "neutral", "positive"}, MaskToken: specials[maskID],
			Heads: heads, Hidden: width,
		},
		tokenizer: tokenizer{size: words},
		network:   n,
		positions: positions,
	}
}

// transformer is the network of Transformer:
//
//	h = norm(word + type + position)
//	h = norm(h + out(attention(h))), h = norm(h + down(silu(up(h)))) for each block
//	logits = head(h₀)
type transformer struct {
	words, types, position []float64 // [V,D], [2,D], [T,D]
	average                []float64 // of words, to float32
	first                  norm
	blocks                 []block
	head                   layer
}

type block struct {
	query, key, value, out layer
	up, down               layer
	attended, done         norm
}

func (n *transformer) width() int      { return width }
func (n *transformer) layers() int     { return blocks }
func (n *transformer) vocabulary() int { return words }

func (n *transformer) word(dst []float64, id int32) []float64 {
	switch id {
	case zeroWord:
		return append(dst, make([]float64, width)...)
	case averageWord:
		return append(dst, n.average...)
	}
	return append(dst, n.words[int(id)*width:][:width]...)
}

// trace is what the way back needs of the way there.
type trace struct {
	first  []float64 // what the first norm read
	blocks []blockTrace
}

type blockTrace struct {
	query, key, value []float64 // [T,D]: the heads side by side
	mixed             []float64 // [T,D]: patterns times values
	attended          []float64 // what the norm after attention read
	middle            []float64 // and gave
	up, active        []float64 // [T,F]
	done              []float64 // what the last norm read
}

func (n *transformer) forward(p *pass) {
	t := p.tokens()
	tr := &trace{first: make([]float64, t*width)}
	p.state = tr
	vectors := p.values[place{kind: embeddings}]
	for i := range t {
		kind := 0
		if p.types != nil {
			kind = int(p.types[i])
		}
		for d := range width {
			tr.first[i*width+d] = vectors[i*width+d] + n.types[kind*width+d] + n.position[i*width+d]
		}
	}
	h := n.first.forward(tr.first)
	p.set(place{hidden, 0}, h, t, width)
	for l, b := range n.blocks {
		var s blockTrace
		s.query, s.key, s.value = b.query.forward(h), b.key.forward(h), b.value.forward(h)
		pattern := attend(p, s.query, s.key)
		p.set(place{attentions, l}, pattern, heads, t, t)
		s.mixed = mix(pattern, s.value, t)
		s.attended = sum(h, b.out.forward(s.mixed))
		s.middle = b.attended.forward(s.attended)
		s.up = b.up.forward(s.middle)
		s.active = make([]float64, len(s.up))
		for i, x := range s.up {
			s.active[i] = float64(x * num.Sigmoid(x))
		}
		s.done = sum(s.middle, b.down.forward(s.active))
		h = b.done.forward(s.done)
		p.set(place{hidden, l + 1}, h, t, width)
		tr.blocks = append(tr.blocks, s)
	}
	p.logits = n.head.forward(h[:width])
}

func (n *transformer) backward(p *pass, logits []float64) {
	t := p.tokens()
	tr := p.state.(*trace)
	g := make([]float64, t*width)
	copy(g, n.head.backward(logits))
	for l := blocks - 1; l >= 0; l-- {
		b, s := n.blocks[l], tr.blocks[l]
		g = p.arrive(place{hidden, l + 1}, g, t, width)
		g = b.done.backward(s.done, g)
		up := b.down.backward(g)
		for i, x := range s.up { // silu′ = σ·(1 + x·(1 − σ))
			e := num.Sigmoid(x)
			up[i] = float64(up[i] * float64(e*(1+float64(x*(1-e)))))
		}
		g = sum(g, b.up.backward(up))
		g = b.attended.backward(s.attended, g)
		pattern := p.values[place{attentions, l}]
		mixed := b.out.backward(g)
		slopes, value := mixBack(mixed, pattern, s.value, t)
		slopes = p.arrive(place{attentions, l}, slopes, heads, t, t)
		query, key := attendBack(p, slopes, s.query, s.key)
		g = sum(g, b.query.backward(query), b.key.backward(key), b.value.backward(value))
	}
	g = p.arrive(place{hidden, 0}, g, t, width)
	g = n.first.backward(tr.first, g)
	p.arrive(place{kind: embeddings}, g, t, width)
}

func (n *transformer) next(p *pass) []float64 {
	last := p.values[place{hidden, blocks}]
	last = last[len(last)-width:]
	out := make([]float64, words)
	for id := range out {
		out[id] = num.Dot(n.words[id*width:][:width], last)
		if special(int32(id)) {
			out[id] = math.Inf(-1)
		}
	}
	return out
}

// part returns head h of token t.
func part(v []float64, h, t int) []float64 { return v[t*width+h*headWidth:][:headWidth] }

// scaled is the scale of scores, 1/√E.
var scaled = 1 / math.Sqrt(headWidth)

// attend returns the patterns [H,T,S]: the softmax of scores over the visible
// tokens, 0 where there are none.
func attend(p *pass, query, key []float64) []float64 {
	t := p.tokens()
	pattern := make([]float64, heads*t*t)
	for h := range heads {
		for i := range t {
			to := pattern[(h*t+i)*t:][:t]
			scores(p, to, h, i, query, key)
			softmax(to)
		}
	}
	return pattern
}

// scores writes the scores of one token, −Inf for those that it cannot see.
func scores(p *pass, to []float64, h, i int, query, key []float64) {
	q := part(query, h, i)
	for j := range to {
		to[j] = math.Inf(-1)
		if p.visible(j) {
			to[j] = float64(num.Dot(q, part(key, h, j)) * scaled)
		}
	}
}

// softmax is num.Softmax, and 0 where all is −Inf.
func softmax(x []float64) {
	for _, v := range x {
		if !math.IsInf(v, -1) {
			num.Softmax(x, x)
			return
		}
	}
	clear(x)
}

// attendBack takes the gradient at the patterns back to the queries and keys. The
// patterns of the scores are computed again, since those that p has may be
// changed.
func attendBack(p *pass, slopes, query, key []float64) (q, k []float64) {
	t := p.tokens()
	q, k = make([]float64, len(query)), make([]float64, len(key))
	pattern := make([]float64, t)
	for h := range heads {
		for i := range t {
			scores(p, pattern, h, i, query, key)
			softmax(pattern)
			g := slopes[(h*t+i)*t:][:t]
			mean := num.Dot(pattern, g)
			from, to := part(query, h, i), part(q, h, i)
			for j, w := range pattern {
				s := float64(float64(w*(g[j]-mean)) * scaled)
				other, back := part(key, h, j), part(k, h, j)
				for e := range headWidth {
					to[e] += float64(s * other[e])
					back[e] += float64(s * from[e])
				}
			}
		}
	}
	return q, k
}

// mix returns the patterns times the values, [T,D].
func mix(pattern, value []float64, t int) []float64 {
	out := make([]float64, t*width)
	for h := range heads {
		for i := range t {
			to := part(out, h, i)
			for j, w := range pattern[(h*t+i)*t:][:t] {
				for e, v := range part(value, h, j) {
					to[e] += float64(w * v)
				}
			}
		}
	}
	return out
}

// mixBack takes the gradient of mix back to the patterns and the values.
func mixBack(g, pattern, value []float64, t int) (slopes, back []float64) {
	slopes, back = make([]float64, len(pattern)), make([]float64, len(value))
	for h := range heads {
		for i := range t {
			from := part(g, h, i)
			at := (h*t + i) * t
			for j, w := range pattern[at:][:t] {
				slopes[at+j] = num.Dot(from, part(value, h, j))
				to := part(back, h, j)
				for e, v := range from {
					to[e] += float64(w * v)
				}
			}
		}
	}
	return slopes, back
}

// layer is an affine map of rows, [out,in] and [out].
type layer struct {
	in, out      int
	weight, bias []float64
}

func newLayer(r stream, out, in int, gain float64) layer {
	size := float64(gain * math.Sqrt(3/float64(in)))
	return layer{in, out, r.weights(out*in, size), r.weights(out, 0.1)}
}

func (l layer) forward(x []float64) []float64 {
	y := make([]float64, 0, len(x)/l.in*l.out)
	for ; len(x) > 0; x = x[l.in:] {
		for o, b := range l.bias {
			y = append(y, num.Dot(l.weight[o*l.in:][:l.in], x[:l.in])+b)
		}
	}
	return y
}

func (l layer) backward(g []float64) []float64 {
	x := make([]float64, len(g)/l.out*l.in)
	for to := x; len(g) > 0; g, to = g[l.out:], to[l.in:] {
		for o, v := range g[:l.out] {
			for i, w := range l.weight[o*l.in:][:l.in] {
				to[i] += float64(v * w)
			}
		}
	}
	return x
}

// norm is a layer norm of rows of D values.
type norm struct{ weight, bias []float64 }

func newNorm(r stream) norm {
	n := norm{r.weights(width, 0.2), r.weights(width, 0.2)}
	for i := range n.weight {
		n.weight[i] = float64(float32(n.weight[i] + 1))
	}
	return n
}

// moments returns the mean of a row and 1/√(variance + ε).
func moments(x []float64) (mean, scale float64) {
	mean = num.Sum(x) / float64(len(x))
	square := 0.0
	for _, v := range x {
		square += float64((v - mean) * (v - mean))
	}
	return mean, 1 / math.Sqrt(square/float64(len(x))+1e-5)
}

func (n norm) forward(x []float64) []float64 {
	y := make([]float64, 0, len(x))
	for ; len(x) > 0; x = x[width:] {
		mean, scale := moments(x[:width])
		for d, v := range x[:width] {
			y = append(y, float64(float64((v-mean)*scale)*n.weight[d])+n.bias[d])
		}
	}
	return y
}

// backward: with x̂ the normalised x and ĝ = g·weight, the gradient at x is
// (ĝ − mean(ĝ) − x̂·mean(ĝ·x̂))·scale.
func (n norm) backward(x, g []float64) []float64 {
	out := make([]float64, 0, len(x))
	for ; len(x) > 0; x, g = x[width:], g[width:] {
		mean, scale := moments(x[:width])
		var normal, slope [width]float64
		for d := range width {
			normal[d] = float64((x[d] - mean) * scale)
			slope[d] = float64(g[d] * n.weight[d])
		}
		even := float64(num.Sum(slope[:]) / float64(width))
		along := float64(num.Dot(slope[:], normal[:]) / float64(width))
		for d := range width {
			out = append(out, float64((slope[d]-even-float64(normal[d]*along))*scale))
		}
	}
	return out
}

// sum returns the sum of vectors.
func sum(x []float64, more ...[]float64) []float64 {
	out := make([]float64, len(x))
	copy(out, x)
	for _, y := range more {
		for i, v := range y {
			out[i] += v
		}
	}
	return out
}
