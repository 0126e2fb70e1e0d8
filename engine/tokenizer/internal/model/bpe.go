package model

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// BPE is byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909): a word
// begins as its runes, and of all pairs of neighbours that the list of merges
// has, the one that stands first in the list becomes one symbol, the leftmost
// first, until there is none. What a rune means, a byte or a letter, is the
// pre-tokenizer's business. Build it with Merge.
type BPE struct {
	vocabulary *Vocabulary
	options    BPEOptions
	merges     *pairTable
	ranks      int32 // the rank of the next merge

	// Symbols are the ids of tokens. Strings that only merges know have negative
	// ids, from firstOther down; they end up as unknown tokens.
	others map[string]int32
	// runes are the symbols of the first runes, those that bytes are written as
	// among them, where neither prefix nor suffix comes to them.
	runes    [0x200]int32
	fallback [256]int32 // the tokens <0x00> to <0xFF>, or noSymbol
	prefixed uint32     // the node of the prefix
	prefixes bool       // whether any token has it

	// whole says of a token whether its text becomes that token: two bits for
	// an id, found out as words come by.
	whole []atomic.Uint32
	words sync.Pool // of *bpeWord
}

// BPEOptions are the variations of BPE.
type BPEOptions struct {
	Unknown      int32  // the token for a rune that the vocabulary lacks, or NoUnknown to leave it out
	FuseUnknown  bool   // one unknown token for several runes in a row
	ByteFallback bool   // rather than an unknown token, <0x00> to <0xFF> for the rune's bytes
	IgnoreMerges bool   // a word that is a token becomes it, whatever the merges say
	Prefix       string // what the tokens begin with that do not begin a word
	Suffix       string // what the tokens end with that end a word
	// Slow makes it as transformers' slow tokenizers in Python have it: the
	// first pair is merged everywhere before another one is, even one that a
	// merge has just made and that stands before it; runes in a row are unknown
	// each; and merges may use and make what the vocabulary lacks.
	Slow bool
}

// NoUnknown says that there is no unknown token.
const NoUnknown int32 = -1

const (
	noSymbol   int32 = -1
	firstOther int32 = -2
	lost       int32 = math.MinInt32 // a rune that neither vocabulary nor merges know
	noRank     int32 = math.MaxInt32
)

// NewBPE returns a model without merges over a vocabulary, which must be
// complete.
func NewBPE(v *Vocabulary, o BPEOptions) *BPE {
	m := &BPE{vocabulary: v, options: o, merges: newPairTable(), others: make(map[string]int32)}
	m.prefixed, m.prefixes = v.trie.Walk(o.Prefix)
	for r := range m.runes {
		m.runes[r] = m.symbol(string(rune(r)))
	}
	for b := range m.fallback {
		m.fallback[b] = m.symbol(fmt.Sprintf("<0x%02X>", b))
	}
	// Where tokens share an id, the id does not say which of them a word is.
	if v.size == len(v.tokens) {
		top := int32(0)
		for id := range v.tokens {
			if int(id) < 4*v.size { // what lies beyond gaps goes without
				top = max(top, id)
			}
		}
		m.whole = make([]atomic.Uint32, top/16+1)
	}
	return m
}

// symbol returns the symbol of a string, or noSymbol.
func (m *BPE) symbol(s string) int32 {
	if id, ok := m.vocabulary.ID(s); ok {
		return id
	}
	if id, ok := m.others[s]; ok {
		return id
	}
	return noSymbol
}

// Merge adds a pair of symbols to the end of the list of merges. Of equal pairs
// the last counts. It fails if the vocabulary lacks one of the two, or what
// they become, unless the model is slow. The error is the end of a sentence.
func (m *BPE) Merge(left, right string) error {
	rest := right
	if n := len(m.options.Prefix); n <= len(right) {
		rest = right[n:]
	} else {
		return fmt.Errorf("has %q, which is shorter than the prefix %q", right, m.options.Prefix)
	}
	var symbols [3]int32
	for i, s := range []string{left, right, left + rest} {
		if symbols[i] = m.symbol(s); symbols[i] != noSymbol {
			continue
		}
		if !m.options.Slow {
			return fmt.Errorf("needs %q, which is not in the vocabulary", s)
		}
		symbols[i] = firstOther - int32(len(m.others))
		m.others[s] = symbols[i]
		if r, size := utf8.DecodeRuneInString(s); size == len(s) && int(r) < len(m.runes) {
			m.runes[r] = symbols[i]
		}
	}
	m.merges.put(symbols[0], symbols[1], merge{m.ranks, symbols[2]})
	m.ranks++
	return nil
}

// Vocabulary implements Model.
func (m *BPE) Vocabulary() *Vocabulary { return m.vocabulary }

// Unknown implements Model.
func (m *BPE) Unknown() int32 { return m.options.Unknown }

// Append implements Model in time that grows with n log n for a word of n runes.
func (m *BPE) Append(dst []Piece, word []byte) []Piece {
	id, listed := m.find(word, "")
	if listed && m.options.IgnoreMerges {
		return append(dst, Piece{id, 0, len(word)})
	}
	if m.options.Suffix != "" {
		id, listed = m.find(word, m.options.Suffix)
	}
	listed = listed && int(id)/16 < len(m.whole)
	if listed && m.isWhole(id) == yes {
		return append(dst, Piece{id, 0, len(word)})
	}
	w, _ := m.words.Get().(*bpeWord)
	if w == nil {
		w = new(bpeWord)
	}
	m.begin(w, word)
	m.mergeAll(w)
	pieces := m.appendPieces(dst, w)
	if listed && m.isWhole(id) == unsure {
		got := pieces[len(dst):]
		m.setWhole(id, len(got) == 1 && got[0] == Piece{id, 0, len(word)})
	}
	if cap(w.symbols) <= maxKept {
		m.words.Put(w)
	}
	return pieces
}

// find returns the id of the token that is the word with a suffix.
func (m *BPE) find(word []byte, suffix string) (int32, bool) {
	t := m.vocabulary.trie
	node, ok := Root, true
	for i := 0; ok && i < len(word); i++ {
		node, ok = t.Step(node, word[i])
	}
	for i := 0; ok && i < len(suffix); i++ {
		node, ok = t.Step(node, suffix[i])
	}
	if !ok {
		return 0, false
	}
	return t.ids[node], t.ids[node] >= 0
}

// What whole says of a token.
const (
	unsure = iota
	no
	yes
)

func (m *BPE) isWhole(id int32) uint32 {
	return m.whole[id/16].Load() >> (id % 16 * 2) & 3
}

func (m *BPE) setWhole(id int32, whole bool) {
	state := uint32(no)
	if whole {
		state = yes
	}
	m.whole[id/16].Or(state << (id % 16 * 2))
}

// begin makes w hold the symbols that a word begins as.
func (m *BPE) begin(w *bpeWord, word []byte) {
	w.symbols = w.symbols[:0]
	if len(word) > cap(w.symbols) { // a long word needs the room for its runes once
		w.symbols = slices.Grow(w.symbols, utf8.RuneCount(word))
	}
	fuses := false // whether the last symbol is unknown and may grow
	for start := 0; start < len(word); {
		r, size := rune(word[start]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(word[start:])
		}
		end := start + size
		prefix, suffix := "", ""
		if start > 0 {
			prefix = m.options.Prefix
		}
		if end == len(word) {
			suffix = m.options.Suffix
		}
		var id int32
		if prefix == "" && suffix == "" && int(r) < len(m.runes) {
			id = m.runes[r]
		} else {
			id = m.affixed(prefix, word[start:end], suffix)
		}
		switch {
		case id != noSymbol:
			w.add(id, start, end)
			fuses = false
		case m.options.ByteFallback && m.addBytes(w, prefix, word, start, end, suffix):
			fuses = false
		case m.options.Slow:
			w.add(lost, start, end)
		case m.options.Unknown == NoUnknown:
		case fuses:
			w.symbols[len(w.symbols)-1].end = int32(end)
		default:
			w.add(m.options.Unknown, start, end)
			fuses = m.options.FuseUnknown
		}
		start = end
	}
	for i := range w.symbols {
		w.symbols[i].prev, w.symbols[i].next = int32(i-1), int32(i+1)
	}
	if n := len(w.symbols); n > 0 {
		w.symbols[n-1].next = none
	}
	for i := range w.symbols {
		m.rate(w, int32(i))
	}
}

// affixed returns the symbol of a rune with a prefix, which is empty or that of
// the model, and a suffix.
func (m *BPE) affixed(prefix string, r []byte, suffix string) int32 {
	t := m.vocabulary.trie
	node, ok := Root, true
	if prefix != "" {
		node, ok = m.prefixed, m.prefixes
	}
	for i := 0; ok && i < len(r); i++ {
		node, ok = t.Step(node, r[i])
	}
	for i := 0; ok && i < len(suffix); i++ {
		node, ok = t.Step(node, suffix[i])
	}
	if ok && t.ids[node] >= 0 {
		return t.ids[node]
	}
	if id, ok := m.others[prefix+string(r)+suffix]; ok {
		return id
	}
	return noSymbol
}

// addBytes adds the tokens of the bytes of a rune with a prefix and a suffix,
// each over the rune's span, unless one of the tokens is missing.
func (m *BPE) addBytes(w *bpeWord, prefix string, word []byte, start, end int, suffix string) bool {
	n := len(w.symbols)
	for _, c := range [...][]byte{[]byte(prefix), word[start:end], []byte(suffix)} {
		for _, b := range c {
			if m.fallback[b] == noSymbol {
				w.symbols = w.symbols[:n]
				return false
			}
			w.add(m.fallback[b], start, end)
		}
	}
	return true
}

// appendPieces appends the symbols that are left as tokens.
func (m *BPE) appendPieces(dst []Piece, w *bpeWord) []Piece {
	if len(w.symbols) == 0 {
		return dst
	}
	if len(w.symbols) > maxScanned {
		left := 0
		for i := int32(0); i != none; i = w.symbols[i].next {
			left++
		}
		dst = slices.Grow(dst, left)
	}
	for i := int32(0); i != none; i = w.symbols[i].next {
		s := &w.symbols[i]
		id := s.id
		if id < 0 {
			id = m.options.Unknown
		}
		if id != NoUnknown {
			dst = append(dst, Piece{id, int(s.start), int(s.end)})
		}
	}
	return dst
}
