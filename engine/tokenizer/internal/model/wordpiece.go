package model

import "unicode/utf8"

// Piece is a token of a word: its id, and the bytes of the word it stands for.
type Piece struct {
	ID         int32
	Start, End int
}

// A Model turns words into tokens.
type Model interface {
	// Append appends the tokens of a word, which is not empty, to dst.
	Append(dst []Piece, word []byte) []Piece
	Vocabulary() *Vocabulary
	// Unknown returns the id of the token for what the vocabulary lacks.
	Unknown() int32
}

// WordPiece is the model of BERT: the longest token that begins the word, then
// the longest continuation of what is left, and so on (Wu et al. 2016,
// arXiv:1609.08144; Devlin et al. 2019, arXiv:1810.04805). A word with a part
// that no token matches, or with too many runes, is unknown as a whole.
type WordPiece struct {
	vocabulary   *Vocabulary
	unknown      int32
	continuation uint32 // the node of the prefix that marks a continuation
	continues    bool   // whether any token has that prefix
	maxRunes     int
}

// NewWordPiece returns the model over a vocabulary, whose tokens that continue
// a word begin with prefix. Words of more than maxRunes runes are unknown.
func NewWordPiece(v *Vocabulary, unknown int32, prefix string, maxRunes int) *WordPiece {
	m := &WordPiece{vocabulary: v, unknown: unknown, maxRunes: maxRunes}
	m.continuation, m.continues = v.trie.Walk(prefix)
	return m
}

// Append implements Model in time linear in the length of the word, for a given
// longest token.
func (m *WordPiece) Append(dst []Piece, word []byte) []Piece {
	if len(word) > m.maxRunes && utf8.RuneCount(word) > m.maxRunes {
		return append(dst, Piece{m.unknown, 0, len(word)})
	}
	pieces := dst
	node, ok := Root, true
	for at := 0; at < len(word); node, ok = m.continuation, m.continues {
		id, n := int32(0), 0
		if ok {
			id, n = m.vocabulary.trie.Longest(node, word[at:])
		}
		if n == 0 {
			return append(dst, Piece{m.unknown, 0, len(word)})
		}
		pieces = append(pieces, Piece{id, at, at + n})
		at += n
	}
	return pieces
}

// Vocabulary implements Model.
func (m *WordPiece) Vocabulary() *Vocabulary { return m.vocabulary }

// Unknown implements Model.
func (m *WordPiece) Unknown() int32 { return m.unknown }
