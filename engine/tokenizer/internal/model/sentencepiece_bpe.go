package model

import (
	"cmp"
	"slices"
	"sync"
	"unicode/utf8"
)

// SentencePieceBPE is byte-pair encoding as the SentencePiece library runs it
// (bpe_model.cc): a text begins as its runes and its user-defined tokens, and of
// all neighbours that are a token together, those with the largest score become
// one, the leftmost first, until there are none. User-defined tokens never
// merge. A token that is not to be used falls back into what it was merged of.
type SentencePieceBPE struct {
	vocabulary *Vocabulary
	kinds      []Kind  // by id
	ranks      []int32 // by id, 0 for the largest score; noRank for what is not found in text
	keep       *Trie   // the user-defined tokens
	unknown    int32
	bytes      *[256]int32 // the ids of the tokens that stand for a byte, or nil
	runs       sync.Pool   // of *mergeRun
}

// NewSentencePieceBPE returns the model over a vocabulary. unknown is the id of
// one of the tokens. With byteFallback, an unknown rune becomes its bytes.
func NewSentencePieceBPE(tokens []Scored, unknown int32, byteFallback bool) *SentencePieceBPE {
	largest := int32(-1)
	for _, t := range tokens {
		largest = max(largest, t.ID)
	}
	m := &SentencePieceBPE{
		vocabulary: NewVocabulary(), kinds: make([]Kind, largest+1), ranks: make([]int32, largest+1),
		keep: NewTrie(), unknown: unknown,
	}
	for _, t := range tokens {
		m.vocabulary.Add(t.Token, t.ID)
		m.kinds[t.ID] = t.Kind
		if t.Kind == UserDefined {
			m.keep.Insert(t.Token, t.ID)
		}
	}
	byScore := slices.Clone(tokens)
	slices.SortFunc(byScore, func(a, b Scored) int { return cmp.Compare(b.Score, a.Score) })
	rank := int32(0)
	for i, t := range byScore {
		if i > 0 && t.Score != byScore[i-1].Score {
			rank++
		}
		if m.ranks[t.ID] = rank; t.Kind == Reserved {
			m.ranks[t.ID] = noRank
		}
	}
	if byteFallback {
		m.bytes = byteTokens(m.vocabulary)
	}
	return m
}

// part is a part of a text that may still grow: its bytes, and the parts beside
// it, which are -1 where there is none. One that became part of another is
// empty.
type part struct {
	start, end     int32
	previous, next int32
	frozen         bool
}

// mergeRun is the scratch space of one run over a word.
type mergeRun struct {
	parts []part
	heap  rankHeap
	// split has the length of the first half that a token was merged of that is
	// not to be used.
	split map[string]int32
}

// Append implements Model in O(n log n) for a word of n bytes, for a given
// longest token.
func (m *SentencePieceBPE) Append(dst []Piece, word []byte) []Piece {
	run, _ := m.runs.Get().(*mergeRun)
	if run == nil {
		run = &mergeRun{split: make(map[string]int32)}
	}
	m.cut(run, word)
	run.heap = slices.Grow(run.heap, len(run.parts))
	for i := range run.parts {
		m.propose(run, word, int32(i))
	}
	for len(run.heap) > 0 {
		p := run.heap.pop()
		left := &run.parts[p.left()]
		if id, ok := m.merged(run, word, p.left()); !ok || m.ranks[id] != p.rank() {
			continue // one of them has become part of another part since
		}
		right := &run.parts[left.next]
		left.end, left.next = right.end, right.next
		right.start = right.end
		if left.next >= 0 {
			run.parts[left.next].previous = p.left()
		}
		m.propose(run, word, left.previous)
		m.propose(run, word, p.left())
	}
	first, left := len(dst), 0
	for i := int32(0); i >= 0; i = run.parts[i].next {
		left++
	}
	dst = slices.Grow(dst, left)
	for i := int32(0); i >= 0; i = run.parts[i].next {
		dst = m.appendPart(dst, run, word, run.parts[i].start, run.parts[i].end)
	}
	if cap(run.parts) <= maxLattice {
		clear(run.split)
		m.runs.Put(run)
	}
	if m.bytes == nil {
		dst = mergeUnknown(dst, first, first, m.unknown)
	}
	return m.vocabulary.resolveUnknown(dst, first, word, m.unknown, m.bytes)
}

// cut makes the parts of a word, which is not empty: its runes and its
// user-defined tokens.
func (m *SentencePieceBPE) cut(run *mergeRun, word []byte) {
	run.parts = run.parts[:0]
	if len(word) > cap(run.parts) { // a long text needs the room for its runes once
		run.parts = slices.Grow(run.parts, utf8.RuneCount(word))
	}
	for at := 0; at < len(word); {
		i := int32(len(run.parts))
		_, size := m.keep.Longest(Root, word[at:])
		frozen := size > 0
		if !frozen {
			_, size = utf8.DecodeRune(word[at:])
		}
		run.parts = append(run.parts, part{int32(at), int32(at + size), i - 1, i + 1, frozen})
		at += size
	}
	run.parts[len(run.parts)-1].next = -1
}

// merged returns the token that a part and the next one are together.
func (m *SentencePieceBPE) merged(run *mergeRun, word []byte, i int32) (int32, bool) {
	left := run.parts[i]
	if left.start == left.end || left.next < 0 || left.frozen || run.parts[left.next].frozen {
		return 0, false
	}
	id, ok := m.vocabulary.id(word[left.start:run.parts[left.next].end])
	return id, ok && m.ranks[id] != noRank
}

// propose puts a part and the next one on the heap, if they are a token
// together. There is no part -1.
func (m *SentencePieceBPE) propose(run *mergeRun, word []byte, i int32) {
	if i < 0 {
		return
	}
	id, ok := m.merged(run, word, i)
	if !ok {
		return
	}
	run.heap.push(rankPair(m.ranks[id], i))
	if left := run.parts[i]; m.kinds[id] == Unused {
		run.split[string(word[left.start:run.parts[left.next].end])] = left.end - left.start
	}
}

// appendPart appends the tokens of the part word[start:end].
func (m *SentencePieceBPE) appendPart(dst []Piece, run *mergeRun, word []byte, start, end int32) []Piece {
	id, ok := m.vocabulary.id(word[start:end])
	if !ok {
		return append(dst, Piece{m.unknown, int(start), int(end)})
	}
	if m.kinds[id] == Unused {
		if left, ok := run.split[string(word[start:end])]; ok {
			dst = m.appendPart(dst, run, word, start, start+left)
			return m.appendPart(dst, run, word, start+left, end)
		}
	}
	return append(dst, Piece{id, int(start), int(end)})
}

// Vocabulary implements Model.
func (m *SentencePieceBPE) Vocabulary() *Vocabulary { return m.vocabulary }

// Unknown implements Model.
func (m *SentencePieceBPE) Unknown() int32 { return m.unknown }
