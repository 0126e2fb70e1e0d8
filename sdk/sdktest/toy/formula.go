package toy

import (
	"slices"

	"github.com/xai-go/xai/sdk"
)

// Term is a product of words times a coefficient. The value of a word is how
// often it is in the text.
type Term struct {
	Coef  float64
	Words []string // different ones, each of one token
}

// Formula returns a classifier whose logit of class 0, "yes", is the bias plus
// the sum of the terms, while that of class 1, "no", is 0:
//
//	bias + Σ coef·Π x(word), x(word) = how often it is there
//
// So what tokens contribute is known: in a term of one word each occurrence
// contributes the coefficient, and words without a term contribute nothing,
// neither by value nor by gradient. The embedding of every word has a component
// 1 that x sums. Those of special tokens are 0, and so is the mean of the
// vocabulary, in which every word has an opposite that no text spells. The model
// reads texts of any length.
//
// It panics where the words of a term are not as Term says.
func Formula(bias float64, terms ...Term) *Model {
	t := tokenizer{size: formulaWords}
	f := &formula{bias: bias, index: make(map[int32]int)}
	for _, term := range terms {
		m := monomial{coef: term.Coef}
		for _, w := range term.Words {
			tokens := t.tokens(w, 0)
			if len(tokens) != 1 || special(tokens[0].ID) {
				panic("toy: a word of a formula is not one token: " + w)
			}
			i, ok := f.index[tokens[0].ID]
			if !ok {
				i = len(f.index)
				f.index[tokens[0].ID] = i
			}
			if slices.Contains(m.words, i) {
				panic("toy: a term of a formula has a word twice: " + w)
			}
			m.words = append(m.words, i)
		}
		f.terms = append(f.terms, m)
	}
	return &Model{
		info: sdk.ModelInfo{
			ID: "toy formula", Architecture: "toy-formula", Task: "sequence-classification",
			Labels: []string{"yes", "no"}, MaskToken: specials[maskID],
		},
		tokenizer: t,
		network:   f,
	}
}

const (
	formulaWords = 1 << 20 // that texts spell: hardly two of them meet
	formulaWidth = 4
)

// formula is the network of Formula. An embedding's first component is 1, the
// others are the id's, and mean nothing. Ids from formulaWords on are the
// opposites.
type formula struct {
	bias  float64
	terms []monomial
	index map[int32]int // of the words that terms have
}

type monomial struct {
	coef  float64
	words []int // indices of words
}

func (f *formula) width() int      { return formulaWidth }
func (f *formula) layers() int     { return 0 }
func (f *formula) vocabulary() int { return 2 * formulaWords }

func (f *formula) word(dst []float64, id int32) []float64 {
	if id < firstWord || special(id-formulaWords) {
		return append(dst, 0, 0, 0, 0) // those of no token, too
	}
	sign := 1.0
	if id >= formulaWords {
		id, sign = id-formulaWords, -1
	}
	dst = append(dst, sign)
	for i := 1; i < formulaWidth; i++ {
		h := (uint64(id)*formulaWidth + uint64(i)) * 0x9e3779b97f4a7c15
		h = (h ^ h>>32) * 0xd6e8feb86659fd93
		dst = append(dst, float64(sign*(float64(int32(h>>40)-1<<23)*0x1p-23)))
	}
	return dst
}

// counts returns how much there is of each word: Σ of the first components of
// the tokens that have its id.
func (f *formula) counts(p *pass) []float64 {
	x := make([]float64, len(f.index))
	words := p.values[place{kind: embeddings}]
	for t, id := range p.ids {
		if i, ok := f.index[id]; ok && p.visible(t) {
			x[i] += words[t*formulaWidth]
		}
	}
	return x
}

func (f *formula) forward(p *pass) {
	x := f.counts(p)
	logit := f.bias
	for _, term := range f.terms {
		logit += term.without(-1, x)
	}
	p.logits = []float64{logit, 0}
}

// without returns the product of a term but for one word.
func (m monomial) without(word int, x []float64) float64 {
	product := m.coef
	for _, w := range m.words {
		if w != word {
			product = float64(product * x[w])
		}
	}
	return product
}

func (f *formula) backward(p *pass, logits []float64) {
	x := f.counts(p)
	slope := make([]float64, len(x)) // of the logit at the count of each word
	for _, term := range f.terms {
		for _, w := range term.words {
			slope[w] += term.without(w, x)
		}
	}
	g := make([]float64, p.tokens()*formulaWidth)
	for t, id := range p.ids {
		if i, ok := f.index[id]; ok && p.visible(t) {
			g[t*formulaWidth] = float64(logits[0] * slope[i])
		}
	}
	p.arrive(place{kind: embeddings}, g, p.tokens(), formulaWidth)
}

func (f *formula) next(*pass) []float64 { return nil }
