package model

import (
	"container/heap"
	"unicode/utf8"
)

// SentencePieceBPE is byte-pair encoding as the SentencePiece library runs it
// (bpe_model.cc): a text begins as its runes and its user-defined tokens, and of
// all neighbours that are a token together, those with the largest score become
// one, the leftmost first, until there are none. User-defined tokens never
// merge. A token that is not to be used falls back into what it was merged of.
type SentencePieceBPE struct {
	vocabulary *Vocabulary
	kinds      []Kind    // by id
	scores     []float32 // by id
	keep       *Trie     // the user-defined tokens
	unknown    int32
	bytes      *[256]int32 // the ids of the tokens that stand for a byte, or nil
}

// NewSentencePieceBPE returns the model over a vocabulary. unknown is the id of
// one of the tokens. With byteFallback, an unknown rune becomes its bytes.
func NewSentencePieceBPE(tokens []Scored, unknown int32, byteFallback bool) *SentencePieceBPE {
	largest := int32(-1)
	for _, t := range tokens {
		largest = max(largest, t.ID)
	}
	m := &SentencePieceBPE{
		vocabulary: NewVocabulary(), kinds: make([]Kind, largest+1), scores: make([]float32, largest+1),
		keep: NewTrie(), unknown: unknown,
	}
	for _, t := range tokens {
		m.vocabulary.Add(t.Token, t.ID)
		m.kinds[t.ID], m.scores[t.ID] = t.Kind, float32(t.Score)
		if t.Kind == UserDefined {
			m.keep.Insert(t.Token, t.ID)
		}
	}
	if byteFallback {
		m.bytes = byteTokens(m.vocabulary)
	}
	return m
}

// symbol is a part of a text that may still grow. Symbols are a list linked both
// ways; -1 is no symbol. A symbol that became part of another one is empty.
type symbol struct {
	start, end     int
	previous, next int
	frozen         bool
}

// symbolPair are neighbours that may become one.
type symbolPair struct {
	left, right int
	size        int // of both, in bytes
	score       float32
}

// agenda is a heap of pairs, the best first.
type agenda []symbolPair

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if a[i].score != a[j].score {
		return a[i].score > a[j].score
	}
	return a[i].left < a[j].left
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(symbolPair)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// Append implements Model in O(n log n) for a word of n bytes, for a given
// longest token.
func (m *SentencePieceBPE) Append(dst []Piece, word []byte) []Piece {
	symbols := m.symbols(word)
	var pairs agenda
	// split has where a token that is not to be used was merged of two.
	split := make(map[string]int)
	add := func(left, right int) {
		if left < 0 || right < 0 || symbols[left].frozen || symbols[right].frozen {
			return
		}
		both := word[symbols[left].start:symbols[right].end]
		id, ok := m.vocabulary.ID(string(both))
		if !ok || m.kinds[id] == Reserved {
			return
		}
		heap.Push(&pairs, symbolPair{left, right, len(both), m.scores[id]})
		if m.kinds[id] == Unused {
			split[string(both)] = symbols[right].start - symbols[left].start
		}
	}
	for i := 1; i < len(symbols); i++ {
		add(i-1, i)
	}
	for len(pairs) > 0 {
		p := heap.Pop(&pairs).(symbolPair)
		left, right := &symbols[p.left], &symbols[p.right]
		if left.start == left.end || right.start == right.end || right.end-left.start != p.size {
			continue // one of them has become part of another symbol since
		}
		left.end, left.next = right.end, right.next
		right.start = right.end
		if left.next >= 0 {
			symbols[left.next].previous = p.left
		}
		add(left.previous, p.left)
		add(p.left, left.next)
	}
	first := len(dst)
	for i := 0; i >= 0; i = symbols[i].next {
		dst = m.appendSymbol(dst, word, symbols[i].start, symbols[i].end, split)
	}
	if m.bytes == nil {
		dst = mergeUnknown(dst, first, first, m.unknown)
	}
	return m.vocabulary.resolveUnknown(dst, first, word, m.unknown, m.bytes)
}

// symbols cuts a word, which is not empty, into its runes and its user-defined
// tokens.
func (m *SentencePieceBPE) symbols(word []byte) []symbol {
	var symbols []symbol
	for at := 0; at < len(word); {
		s := symbol{start: at, previous: len(symbols) - 1, next: len(symbols) + 1}
		_, size := m.keep.Longest(Root, word[at:])
		if s.frozen = size > 0; !s.frozen {
			_, size = utf8.DecodeRune(word[at:])
		}
		at += size
		s.end = at
		symbols = append(symbols, s)
	}
	symbols[len(symbols)-1].next = -1
	return symbols
}

// appendSymbol appends the tokens of the symbol word[start:end].
func (m *SentencePieceBPE) appendSymbol(dst []Piece, word []byte, start, end int, split map[string]int) []Piece {
	id, ok := m.vocabulary.ID(string(word[start:end]))
	if !ok {
		return append(dst, Piece{m.unknown, start, end})
	}
	if left, ok := split[string(word[start:end])]; ok && m.kinds[id] == Unused {
		dst = m.appendSymbol(dst, word, start, start+left, split)
		return m.appendSymbol(dst, word, start+left, end, split)
	}
	return append(dst, Piece{id, start, end})
}

// Vocabulary implements Model.
func (m *SentencePieceBPE) Vocabulary() *Vocabulary { return m.vocabulary }

// Unknown implements Model.
func (m *SentencePieceBPE) Unknown() int32 { return m.unknown }
