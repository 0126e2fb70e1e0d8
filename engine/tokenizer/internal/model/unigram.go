package model

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync"
	"unicode/utf8"
)

// Kind says how a token of a scored vocabulary is used.
type Kind uint8

const (
	Normal      Kind = iota // found in text, by its score
	UserDefined             // found in text, and taken wherever it stands
	Reserved                // not found in text: of the protocol, or a byte
	Unused                  // not found in text, but BPE may pass through it
)

// Scored is a token of a vocabulary with its score.
type Scored struct {
	Token string
	ID    int32   // not negative; ids have no large gaps
	Score float64 // the logarithm of a probability; finite
	Kind  Kind
}

// Unigram is the unigram language model of SentencePiece (Kudo 2018,
// arXiv:1804.10959): of all the ways to cut a text into tokens it takes the one
// with the largest sum of scores, found by the Viterbi algorithm. Of equal sums
// the one counts whose last token begins first. A rune that is no token by
// itself may be an unknown token, whose score is the smallest of all less 10.
type Unigram struct {
	vocabulary   *Vocabulary
	scores       []float64 // by id; NaN for tokens that are not found in text
	unknown      int32
	unknownScore float64
	bytes        *[256]int32 // the ids of the tokens that stand for a byte, or nil
	single       bool        // the arithmetic and the details of SentencePiece itself
	start        float64     // the score that the path of a word begins with that begins with ▁
	lattices     sync.Pool   // of *lattice
}

// unknownPenalty is how much less than the smallest score an unknown rune has.
const unknownPenalty = 10

// NewUnigram returns the model over a vocabulary as the tokenizers library runs
// it: scores are added in double precision. unknown is the id of one of the
// tokens. With byteFallback, a run of unknown runes becomes its bytes, if the
// vocabulary has a token such as "<0x0A>" for each.
func NewUnigram(tokens []Scored, unknown int32, byteFallback bool) *Unigram {
	m := newUnigram(tokens, unknown, byteFallback)
	smallest := math.Inf(1)
	for _, t := range tokens {
		smallest = min(smallest, t.Score)
	}
	m.unknownScore = smallest - unknownPenalty
	return m
}

// NewSentencePieceUnigram returns the model as the SentencePiece library runs
// it: scores are added in single precision, and unknown runes become bytes one
// by one.
func NewSentencePieceUnigram(tokens []Scored, unknown int32, byteFallback bool) *Unigram {
	m := newUnigram(tokens, unknown, byteFallback)
	m.single = true
	smallest, largest := float32(math.MaxFloat32), float32(0x1p-126)
	for _, t := range tokens {
		if t.Kind == Normal {
			smallest, largest = min(smallest, float32(t.Score)), max(largest, float32(t.Score))
		}
	}
	m.unknownScore = float64(smallest - unknownPenalty)
	for _, t := range tokens {
		if t.Kind == UserDefined {
			m.scores[t.ID] = float64(float32(len(t.Token))*largest) - 0.1
		}
	}
	return m
}

func newUnigram(tokens []Scored, unknown int32, byteFallback bool) *Unigram {
	largest := int32(-1)
	for _, t := range tokens {
		largest = max(largest, t.ID)
	}
	m := &Unigram{vocabulary: NewVocabulary(), scores: make([]float64, largest+1), unknown: unknown}
	for i := range m.scores {
		m.scores[i] = math.NaN()
	}
	for _, t := range tokens {
		m.vocabulary.Add(t.Token, t.ID)
		if t.Kind == Normal || t.Kind == UserDefined {
			m.scores[t.ID] = t.Score
		}
	}
	if byteFallback {
		m.bytes = byteTokens(m.vocabulary)
	}
	return m
}

// byteTokens returns the ids of the tokens that stand for a byte; those that
// the vocabulary lacks are -1.
func byteTokens(v *Vocabulary) *[256]int32 {
	ids := new([256]int32)
	for c := range ids {
		id, ok := v.ID(fmt.Sprintf("<0x%02X>", c))
		if !ok {
			id = -1
		}
		ids[c] = id
	}
	return ids
}

// lattice holds the best path to every position of a stretch of text.
type lattice struct{ nodes []latticeNode }

// latticeNode is the end of the best path to a position: its score, and its
// last token. The length is 0 where no path has come yet.
type latticeNode struct {
	score  float64
	id     int32
	length int32
}

// After makes every word that begins with ▁ follow the given text: its tokens are
// the same as without, but for what rounding makes of their scores.
func (m *Unigram) After(text []byte) { _, m.start = m.append(nil, text, 0) }

// Append implements Model. The time is linear in the length of the word, for a
// given longest token; the memory is that of the longest stretch of the word in
// which tokens overlap.
func (m *Unigram) Append(dst []Piece, word []byte) []Piece {
	start := 0.0
	if m.start != 0 && bytes.HasPrefix(word, []byte(space)) {
		start = m.start
	}
	dst, _ = m.append(dst, word, start)
	return dst
}

// append is Append for a path that begins with a score; it returns that which
// the path ends with.
func (m *Unigram) append(dst []Piece, word []byte, start float64) ([]Piece, float64) {
	l, _ := m.lattices.Get().(*lattice)
	if l == nil {
		l = new(lattice)
	}
	first := len(dst)
	l.nodes = append(l.nodes[:0], latticeNode{score: start})
	base := 0 // the position of the first node
	for at := 0; at < len(word); {
		if at > base && at-base == len(l.nodes)-1 {
			// No token passes over this position: every path goes through it.
			dst = m.settle(dst, first, l.nodes, base)
			l.nodes[0] = latticeNode{score: l.nodes[at-base].score}
			l.nodes, base = l.nodes[:1], at
		}
		size := 1
		if word[at] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(word[at:])
		}
		score := l.nodes[at-base].score
		alone := false // whether the rune at this position is a token by itself
		trie := m.vocabulary.trie
		node := Root
		for i, c := range word[at:] {
			var ok bool
			if node, ok = trie.Step(node, c); !ok {
				break
			}
			id := trie.ids[node]
			if id < 0 {
				continue
			}
			if s := m.scores[id]; s == s { // is a number
				l.reach(at-base, i+1, id, s+score, m.single)
				alone = alone || i+1 == size
			}
		}
		if !alone {
			s := m.unknownScore + score
			if m.single {
				s = float64(float32(s))
			}
			l.reach(at-base, size, m.unknown, s, m.single)
		}
		at += size
	}
	end := l.nodes[len(l.nodes)-1].score
	dst = m.settle(dst, first, l.nodes, base)
	dst = m.vocabulary.resolveUnknown(dst, first, word, m.unknown, m.bytes)
	if cap(l.nodes) <= maxLattice {
		m.lattices.Put(l)
	}
	return dst, end
}

// maxLattice is the number of nodes beyond which a lattice is not kept.
const maxLattice = 1 << 16

// reach makes the token that begins at node from the last one of the path to
// its end, if no better path has come there.
func (l *lattice) reach(from, length int, id int32, score float64, single bool) {
	for len(l.nodes) <= from+length {
		l.nodes = append(l.nodes, latticeNode{})
	}
	to := &l.nodes[from+length]
	if to.length != 0 && !(score > to.score) {
		return
	}
	if single {
		score = float64(float32(score))
	}
	*to = latticeNode{score, id, int32(length)}
}

// settle appends the best path to the last node. Unknown tokens side by side,
// from dst[first] on, become one, unless SentencePiece would turn each into its
// bytes.
func (m *Unigram) settle(dst []Piece, first int, nodes []latticeNode, base int) []Piece {
	from := len(dst)
	if len(nodes) > cap(dst)-len(dst) { // a long text has no end of stretches
		dst = slices.Grow(dst, len(dst)+len(nodes))
	}
	for at := len(nodes) - 1; at > 0; {
		n := nodes[at]
		start := at - int(n.length)
		dst = append(dst, Piece{n.id, base + start, base + at})
		at = start
	}
	slices.Reverse(dst[from:])
	if m.single && m.bytes != nil {
		return dst
	}
	return mergeUnknown(dst, first, from, m.unknown)
}

// mergeUnknown makes unknown tokens side by side in dst[from:] one, and one with
// those before them, back to dst[first].
func mergeUnknown(dst []Piece, first, from int, unknown int32) []Piece {
	kept := from
	for _, p := range dst[from:] {
		if kept > first && p.ID == unknown && dst[kept-1].ID == unknown {
			dst[kept-1].End = p.End
			continue
		}
		dst[kept] = p
		kept++
	}
	return dst[:kept]
}

// resolveUnknown gives the unknown tokens among dst[first:] their ids: that of a
// token that the text happens to be, or else those of its bytes, if all of them
// are tokens. The tokens of bytes share the span.
func (v *Vocabulary) resolveUnknown(dst []Piece, first int, word []byte, unknown int32, bytes *[256]int32) []Piece {
	isUnknown := func(p Piece) bool { return p.ID == unknown }
	i := slices.IndexFunc(dst[first:], isUnknown)
	if i < 0 {
		return dst
	}
	rest := slices.Clone(dst[first+i:])
	dst = dst[:first+i]
	for _, p := range rest {
		s := word[p.Start:p.End]
		if isUnknown(p) {
			if id, ok := v.ID(string(s)); ok {
				p.ID = id
			} else if bytes != nil && !slices.ContainsFunc(s, func(c byte) bool { return bytes[c] < 0 }) {
				for _, c := range s {
					dst = append(dst, Piece{bytes[c], p.Start, p.End})
				}
				continue
			}
		}
		dst = append(dst, p)
	}
	return dst
}

// Vocabulary implements Model.
func (m *Unigram) Vocabulary() *Vocabulary { return m.vocabulary }

// Unknown implements Model.
func (m *Unigram) Unknown() int32 { return m.unknown }
