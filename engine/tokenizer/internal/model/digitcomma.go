package model

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"
)

// space is what tokens spell a space as.
const space = "▁"

// DigitComma is the model of XLNet's and ALBERT's tokenizers: a piece that ends
// in a digit and a comma, such as "1,000,", is the pieces of what stands before
// the comma, and the comma (tokenization.py of Google's XLNet,
// encode_pieces).
type DigitComma struct {
	Model
	Prefix bool // whether a text by itself begins with ▁
}

// Append implements Model.
func (m *DigitComma) Append(dst []Piece, word []byte) []Piece {
	first := len(dst)
	dst = m.Model.Append(dst, word)
	cut := func(p Piece) bool { return endsInDigitComma(word[p.Start:p.End]) }
	i := slices.IndexFunc(dst[first:], cut)
	if i < 0 {
		return dst
	}
	rest := slices.Clone(dst[first+i:])
	dst = dst[:first+i]
	for _, p := range rest {
		if cut(p) {
			dst = m.appendCut(dst, word, p)
		} else {
			dst = append(dst, p)
		}
	}
	return dst
}

// appendCut appends what becomes of p, which ends in a digit and a comma.
func (m *DigitComma) appendCut(dst []Piece, word []byte, p Piece) []Piece {
	text := word[p.Start : p.End-1]
	spaced := bytes.HasPrefix(text, []byte(space))
	// What stands before the comma, without any ▁ but the one that a text by
	// itself begins with, and where in word each byte of it comes from.
	var alone []byte
	var from []int
	if m.Prefix {
		for i := range len(space) {
			alone, from = append(alone, space[i]), append(from, p.Start+i)
		}
	}
	for i := 0; i < len(text); {
		if bytes.HasPrefix(text[i:], []byte(space)) {
			i += len(space)
			continue
		}
		alone, from = append(alone, text[i]), append(from, p.Start+i)
		i++
	}
	for i, q := range m.Model.Append(nil, alone) {
		start := q.Start
		if i == 0 && !spaced && bytes.HasPrefix(alone[:q.End], []byte(space)) {
			if start = len(space); start == q.End {
				continue
			}
			q.ID = m.id(alone[start:q.End])
		}
		dst = append(dst, Piece{q.ID, from[start], from[q.End-1] + 1})
	}
	return append(dst, Piece{m.id([]byte(",")), p.End - 1, p.End})
}

// id returns the id of a token by its text.
func (m *DigitComma) id(token []byte) int32 {
	if id, ok := m.Vocabulary().ID(string(token)); ok {
		return id
	}
	return m.Unknown()
}

// endsInDigitComma says whether a piece ends in a digit and a comma.
func endsInDigitComma(piece []byte) bool {
	if len(piece) < 2 || piece[len(piece)-1] != ',' {
		return false
	}
	r, _ := utf8.DecodeLastRune(piece[:len(piece)-1])
	return unicode.In(r, unicode.Nd)
}
