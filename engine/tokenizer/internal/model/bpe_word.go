package model

import "slices"

// bpeWord is a word while pairs of its symbols are merged.
type bpeWord struct {
	symbols []bpeSymbol
	heap    rankHeap
	later   []rankedPair // those that may not be merged before the round is over
}

// bpeSymbol is a symbol in a list that is linked both ways by index. A merge
// keeps the left symbol and takes the right one out.
type bpeSymbol struct {
	id         int32
	rank       int32 // of the merge with the next symbol, or noRank
	start, end int32 // bytes of the word
	prev, next int32
}

// none is the index of no symbol.
const none int32 = -1

// maxKept is the number of symbols beyond which a word's memory is given
// back.
const maxKept = 1 << 16

// maxScanned is the number of symbols up to which looking at all of them for
// the next merge is faster than keeping a heap.
const maxScanned = 32

func (w *bpeWord) add(id int32, start, end int) {
	w.symbols = append(w.symbols, bpeSymbol{id: id, start: int32(start), end: int32(end)})
}

// rate finds the rank of the merge of the symbol i with the next one.
func (m *BPE) rate(w *bpeWord, i int32) {
	s := &w.symbols[i]
	s.rank = noRank
	if s.next != none {
		if merge, ok := m.merges.get(s.id, w.symbols[s.next].id); ok {
			s.rank = merge.rank
		}
	}
}

// merge merges the symbol i with the next one.
func (m *BPE) merge(w *bpeWord, i int32) {
	s := &w.symbols[i]
	right := &w.symbols[s.next]
	merge, _ := m.merges.get(s.id, right.id)
	s.id, s.end, s.next = merge.symbol, right.end, right.next
	right.rank = noRank
	if s.next != none {
		w.symbols[s.next].prev = i
	}
	m.rate(w, i)
	if s.prev != none {
		m.rate(w, s.prev)
	}
}

// mergeAll merges pairs until the list of merges has none of those left.
func (m *BPE) mergeAll(w *bpeWord) {
	if len(w.symbols) <= maxScanned {
		m.mergeFew(w)
		return
	}
	w.heap, w.later = slices.Grow(w.heap[:0], len(w.symbols)), w.later[:0]
	for i := range w.symbols {
		w.push(int32(i))
	}
	round := noRank
	for {
		if len(w.heap) == 0 || w.heap[0].rank() != round {
			for _, p := range w.later {
				w.heap.push(p)
			}
			w.later = w.later[:0]
		}
		if len(w.heap) == 0 {
			return
		}
		p := w.heap.pop()
		i := p.left()
		// A symbol that was taken out has no rank any more, and one whose
		// neighbour or self was merged has another.
		if w.symbols[i].rank != p.rank() {
			continue
		}
		round = p.rank()
		m.merge(w, i)
		if m.options.Slow {
			w.postpone(i)
			w.postpone(w.symbols[i].prev)
		} else {
			w.push(i)
			w.push(w.symbols[i].prev)
		}
	}
}

// mergeFew is mergeAll for few symbols.
func (m *BPE) mergeFew(w *bpeWord) {
	for len(w.symbols) > 0 {
		best, rank := none, noRank
		for i := int32(0); i != none; i = w.symbols[i].next {
			if w.symbols[i].rank < rank {
				best, rank = i, w.symbols[i].rank
			}
		}
		if best == none {
			return
		}
		m.merge(w, best)
		if !m.options.Slow {
			continue
		}
		for i := w.symbols[best].next; i != none; i = w.symbols[i].next {
			if w.symbols[i].rank == rank {
				m.merge(w, i)
			}
		}
	}
}

// push adds the pair that begins with the symbol i to the heap, if it merges.
func (w *bpeWord) push(i int32) {
	if i != none && w.symbols[i].rank != noRank {
		w.heap.push(rankPair(w.symbols[i].rank, i))
	}
}

// postpone is push for the time after this round.
func (w *bpeWord) postpone(i int32) {
	if i != none && w.symbols[i].rank != noRank {
		w.later = append(w.later, rankPair(w.symbols[i].rank, i))
	}
}

// rankedPair is a pair that may be merged: its rank, and the index of its left
// symbol. Their order is that of merging.
type rankedPair uint64

func rankPair(rank, left int32) rankedPair { return rankedPair(rank)<<32 | rankedPair(left) }

func (p rankedPair) rank() int32 { return int32(p >> 32) }
func (p rankedPair) left() int32 { return int32(uint32(p)) }

// rankHeap is a binary heap with the least pair on top.
type rankHeap []rankedPair

func (h *rankHeap) push(p rankedPair) {
	*h = append(*h, p)
	a := *h
	i := len(a) - 1
	for i > 0 && p < a[(i-1)/2] {
		a[i] = a[(i-1)/2]
		i = (i - 1) / 2
	}
	a[i] = p
}

func (h *rankHeap) pop() rankedPair {
	a := *h
	top, p := a[0], a[len(a)-1]
	a = a[:len(a)-1]
	*h = a
	if len(a) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(a) {
			break
		}
		if child+1 < len(a) && a[child+1] < a[child] {
			child++
		}
		if p <= a[child] {
			break
		}
		a[i] = a[child]
		i = child
	}
	a[i] = p
	return top
}
