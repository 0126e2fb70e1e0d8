// Package toy has small models for the tests of explanation methods: a
// transformer that has every power that a model can have, and formulas whose
// attributions are known.
//
// They are exact: weights are made from a seed, stored as float32 and computed
// with in float64 by the arithmetic of sdk/num, each row by itself. So the same
// request has the same bits on every machine, in every batch.
//
//	session, err := toy.Transformer(1).Open(toy.Input{Text: "a gripping film"})
//	…
//	e, err := method.Explain(ctx, session, session.Request())
package toy

import (
	"slices"

	"github.com/xai-go/xai/sdk"
)

// Model is a model that nothing changes. It is safe for concurrent use.
type Model struct {
	info      sdk.ModelInfo
	tokenizer tokenizer
	network   network
	positions int // the most tokens of a row, special ones included; 0 for no bound
}

// Info describes the model.
func (m *Model) Info() sdk.ModelInfo {
	info := m.info
	info.Labels = slices.Clone(info.Labels)
	info.Layers, info.Embedding, info.Vocabulary, info.MaxTokens = m.network.layers(), m.network.width(), m.network.vocabulary(), m.positions
	info.MaskID, info.PadID = new(maskID), new(padID)
	for id := range specials {
		info.SpecialIDs = append(info.SpecialIDs, int32(id))
	}
	return info
}

// network computes the logits of a row.
type network interface {
	width() int      // of a word embedding
	layers() int     // 0 where there are neither hidden states nor attentions
	vocabulary() int // ids of tokens are less
	// word appends the embedding of a token, or of an id that stands for a vector.
	word(dst []float64, id int32) []float64
	// forward runs a row whose word embeddings are set.
	forward(p *pass)
	// backward takes the gradient at the logits back to every point of a row that
	// went forward.
	backward(p *pass, logits []float64)
	// next returns the logits of the vocabulary for the token that follows, nil
	// where the network is no language model.
	next(p *pass) []float64
}

// Ids that stand for vectors which no token has.
const (
	zeroWord    int32 = -1 // the zero vector
	averageWord int32 = -2 // the mean of the vocabulary
)

// row is one sequence as a network reads it.
type row struct {
	ids    []int32
	types  []uint8   // nil where there is one text
	hidden []bool    // tokens that nobody attends to; nil for none
	embeds []float32 // [T,D] in the place of the ids' word embeddings, or nil
}

// pass is the way of one row through a network: its values at the points, and
// after backward its gradients there.
type pass struct {
	row
	changes map[place][]change
	values  map[place][]float64 // after the changes
	grads   map[place][]float64 // nil unless gradients are wanted
	state   any                 // of the network, from forward to backward
	logits  []float64
}

// tokens returns the length of the row.
func (p *pass) tokens() int { return len(p.ids) }

// visible reports whether the others attend to token t.
func (p *pass) visible(t int) bool { return p.hidden == nil || !p.hidden[t] }

// run runs a row through a network, and back where slope gives the gradient of
// the target at the logits.
func run(n network, r row, changes map[place][]change, slope func(logits []float64) []float64) *pass {
	p := &pass{row: r, changes: changes, values: make(map[place][]float64)}
	words := make([]float64, 0, len(r.ids)*n.width())
	for _, id := range r.ids {
		if r.embeds == nil {
			words = n.word(words, id)
		}
	}
	for _, v := range r.embeds {
		words = append(words, float64(v))
	}
	p.set(place{kind: embeddings}, words, len(r.ids), n.width())
	n.forward(p)
	if slope != nil {
		p.grads = make(map[place][]float64)
		n.backward(p, slope(p.logits))
	}
	return p
}

// set records the value of a point and applies the changes there, to v itself.
func (p *pass) set(at place, v []float64, dims ...int) {
	for i := range p.changes[at] {
		p.changes[at][i].apply(v, dims)
	}
	p.values[at] = v
}

// arrive records the gradient at a point and takes it through the changes there.
// What it returns is the gradient at the point before them.
func (p *pass) arrive(at place, g []float64, dims ...int) []float64 {
	p.grads[at] = g
	list := p.changes[at]
	if len(list) == 0 {
		return g
	}
	g = slices.Clone(g)
	for i := len(list) - 1; i >= 0; i-- {
		list[i].back(g, dims)
	}
	return g
}
