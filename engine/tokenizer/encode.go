package tokenizer

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// Token is one token of an encoded text.
type Token struct {
	ID   int32
	Text string // as the vocabulary has it: "##ing"; of an unknown piece, the text it stands for

	// Start and End are the bytes of the original text that the token stands
	// for, RuneStart and RuneEnd the same in code points. Tokens follow one
	// another in the text, but several tokens may share a span, where one rune
	// became several. Special tokens that Encode adds have the empty span 0, 0.
	Start, End         int
	RuneStart, RuneEnd int

	// Word counts the words of the text, as the pre-tokenizer cuts them, and the
	// added tokens in it. It is -1 for special tokens.
	Word int
	// Sequence is 0 for the text and 1 for its pair; special tokens that Encode
	// adds have that of the text before them, or 0.
	Sequence int
	// Type is the token type (segment) id that the model reads.
	Type int32
	// Special says that the token belongs to the model's protocol: Encode added
	// it, or the text spells it out. An unknown word is not special.
	Special bool
}

// Encoding is a text, or a text and its pair, as the model reads it.
type Encoding struct {
	Tokens []Token
	// Dropped are the tokens that truncation cut off, of the text and then of the
	// pair, in the order of the text. They stood before those of Tokens or, as is
	// usual, after them: as the files say.
	Dropped []Token
}

// IDs returns the ids of the tokens.
func (e *Encoding) IDs() []int32 {
	ids := make([]int32, len(e.Tokens))
	for i := range e.Tokens {
		ids[i] = e.Tokens[i].ID
	}
	return ids
}

// TypeIDs returns the token type ids of the tokens.
func (e *Encoding) TypeIDs() []int32 {
	ids := make([]int32, len(e.Tokens))
	for i := range e.Tokens {
		ids[i] = e.Tokens[i].Type
	}
	return ids
}

// Options says how Encode treats a text. The zero value encodes a single text
// as a whole, with special tokens. Of what a file says of truncation only the
// side that it cuts matters here.
type Options struct {
	Pair       *string  // the second text, or nil
	MaxLength  int      // the most tokens, special ones included; 0 means no limit
	Truncation Strategy // what to cut when there are more
	NoSpecial  bool     // leave out the special tokens around the texts
}

// Encode turns a text into tokens. It fails with a *TextError if the text is
// not UTF-8 and with a *LengthError if MaxLength cannot hold the special tokens.
//
// OnlyFirst and OnlySecond may leave more than MaxLength tokens: where cutting
// the one text to nothing would still be too little, nothing is cut.
func (t *Tokenizer) Encode(s string, o Options) (*Encoding, error) {
	if err := check(s, 0); err != nil {
		return nil, err
	}
	shape := t.single
	if o.Pair != nil {
		if err := check(*o.Pair, 1); err != nil {
			return nil, err
		}
		shape = t.pair
	}
	special := shape.special()
	if o.NoSpecial {
		special = 0
	}

	w := t.work(s, true)
	defer t.done(w)
	texts, all, kept := [2]string{s}, [2]*worker{w}, [2]int{len(w.found)}
	if o.Pair != nil {
		w := t.work(*o.Pair, true)
		defer t.done(w)
		texts[1], all[1], kept[1] = *o.Pair, w, len(w.found)
	}
	if o.MaxLength != 0 {
		if o.MaxLength < special {
			return nil, &LengthError{o.MaxLength, special}
		}
		kept[0], kept[1] = o.Truncation.truncate(kept[0], kept[1], o.MaxLength-special, t.oddFirst)
	}

	e := &Encoding{Tokens: make([]Token, 0, special+kept[0]+kept[1])}
	sequence, last := 0, int32(-1) // last is what the text before ends with
	for _, part := range shape {
		switch {
		case part.sequence >= 0:
			sequence = part.sequence
			of := all[sequence]
			stays, goes := t.cutSide.cut(len(of.found), kept[sequence])
			e.Tokens = t.appendTokens(e.Tokens, texts[sequence], of, stays, part)
			e.Dropped = t.appendTokens(e.Dropped, texts[sequence], of, goes, part)
			last = lastID(of.found[stays.Start:stays.End])
		case !o.NoSpecial && !(part.once && part.id == last):
			e.Tokens = append(e.Tokens, Token{
				ID: part.id, Text: part.token, Word: -1, Sequence: sequence, Type: part.typeID, Special: true,
			})
			last = -1
		}
	}
	return e, nil
}

// appendTokens appends to dst the part r of all that w found in s, which has its
// place in a template.
func (t *Tokenizer) appendTokens(dst []Token, s string, w *worker, r text.Range, place templatePart) []Token {
	dst = slices.Grow(dst, r.End-r.Start)
	at, runes := 0, 0 // a place in s, in bytes and in runes
	for i := r.Start; i < r.End; i++ {
		f := w.found[i]
		start, end := int(f.span.Start), int(f.span.End)
		runes += utf8.RuneCountInString(s[at:start])
		at = start
		token := Token{
			ID: f.id, Start: start, End: end,
			RuneStart: runes, RuneEnd: runes + utf8.RuneCountInString(s[start:end]),
			Word: int(f.word), Sequence: place.sequence, Type: place.typeID,
		}
		if f.added >= 0 {
			added := &t.added.tokens[f.added]
			token.Text, token.Special = added.content, added.special
			if token.Special {
				token.Word = -1
			}
		} else {
			token.Text = t.spelling(w, f)
		}
		if t.trim.spaces {
			spelled := token.Text
			if f.added >= 0 { // with the white space that it swallowed
				spelled = s[start:end]
			}
			t.trim.span(&token, s, spelled, i == 0)
		}
		dst = append(dst, token)
	}
	return dst
}

// AppendIDs appends the ids that Encode(s, Options{}) has to dst. It allocates
// nothing but what dst needs to grow. Bytes that are not UTF-8 are read as
// U+FFFD.
func (t *Tokenizer) AppendIDs(dst []int32, s string) []int32 {
	w := t.work(s, false)
	for _, part := range t.single {
		if part.sequence < 0 {
			if !part.once || part.id != lastID(w.found) {
				dst = append(dst, part.id)
			}
			continue
		}
		for i := range w.found {
			dst = append(dst, w.found[i].id)
		}
	}
	t.done(w)
	return dst
}

// spelling returns the text of a token that is no added one.
func (t *Tokenizer) spelling(w *worker, f found) string {
	if f.surface > 0 {
		return w.surfaces[f.surface-1]
	}
	token, _ := t.model.Vocabulary().Token(f.id)
	return token
}

// lastID returns the id of the last token, or -1.
func lastID(all []found) int32 {
	if len(all) == 0 {
		return -1
	}
	return all[len(all)-1].id
}

// check returns an error if s cannot be encoded.
func check(s string, sequence int) error {
	if len(s) > math.MaxInt32 {
		return fmt.Errorf("tokenizer: a text of %d bytes is too long: at most %d can be encoded at once", len(s), math.MaxInt32)
	}
	if utf8.ValidString(s) {
		return nil
	}
	return &TextError{sequence, firstInvalid(s)}
}

// firstInvalid returns where the first byte of s is that is not UTF-8, or the
// length of s.
func firstInvalid(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return len(s)
}

// found is a token as the pipeline finds it.
type found struct {
	id    int32
	word  int32
	span  text.Span
	added int32 // index of the added token, or -1
	// surface is the index of the text of an unknown token, where tokens are
	// shown so, plus one.
	surface int32
}

// worker is the scratch space of one run of the pipeline.
type worker struct {
	size              int // of the text in bytes
	base, piece, part text.Text
	rough, fine       []segment
	pieces            []model.Piece
	found             []found
	surfaces          []string // what unknown tokens stand for
}

// work runs the pipeline over s. The caller hands the worker back to done.
func (t *Tokenizer) work(s string, tracked bool) *worker {
	w, _ := t.workers.Get().(*worker)
	if w == nil {
		w = new(worker)
	}
	w.size, w.found, w.surfaces = len(s), w.found[:0], w.surfaces[:0]
	w.base.Reset(s, tracked)
	if t.prepare != nil {
		t.prepare.Normalize(&w.base)
	}
	word := int32(0)
	w.rough = t.raw.split(w.rough[:0], w.base.Bytes)
	for _, rough := range w.rough {
		if rough.token >= 0 {
			w.found = append(w.found, t.foundAdded(&w.base, rough, word))
			word++
			continue
		}
		piece := &w.base // normalized in place where it is all there is
		if rough.Range != (text.Range{Start: 0, End: len(w.base.Bytes)}) {
			piece = &w.piece
			piece.Slice(&w.base, rough.Range)
		}
		if t.normalizer != nil {
			t.normalizer.Normalize(piece)
		}
		w.fine = t.normalized.split(w.fine[:0], piece.Bytes)
		for _, fine := range w.fine {
			if fine.token >= 0 {
				w.found = append(w.found, t.foundAdded(piece, fine, word))
				word++
				continue
			}
			part := piece // may be rewritten where it is all there is
			if len(w.fine) > 1 {
				part = &w.part
				part.Slice(piece, fine.Range)
			}
			part.Words = append(part.Words[:0], text.Range{Start: 0, End: len(part.Bytes)})
			if t.preTokenizer != nil {
				t.preTokenizer.PreTokenize(part)
			}
			for _, r := range part.Words {
				word = t.findWord(w, part, r, word) + 1
			}
		}
	}
	if t.dropSpace && len(w.found) > 1 && t.isSpecial(w.found[1]) && w.found[0].added < 0 && t.spelling(w, w.found[0]) == space {
		w.found = slices.Delete(w.found, 0, 1)
	}
	return w
}

// isSpecial says whether f is an added token of the model's protocol.
func (t *Tokenizer) isSpecial(f found) bool { return f.added >= 0 && t.added.tokens[f.added].special }

func (t *Tokenizer) foundAdded(in *text.Text, s segment, word int32) found {
	return found{id: t.added.tokens[s.token].id, word: word, span: in.Span(s.Range), added: int32(s.token)}
}

// findWord appends the tokens of the word at r, and returns the number of its
// last word: where tokens spell spaces, a space begins another one.
func (t *Tokenizer) findWord(w *worker, in *text.Text, r text.Range, word int32) int32 {
	b := in.Bytes[r.Start:r.End]
	if t.neverSplit.Has(b) {
		id, ok := t.ID(string(b))
		if !ok {
			id = t.model.Unknown()
		}
		w.found = append(w.found, found{id: id, word: word, span: in.Span(r), added: -1})
		return word
	}
	w.pieces = t.model.Append(w.pieces[:0], b)
	w.found = text.Reserve(w.found, len(w.pieces), int(in.Span(r).Start), w.size)
	for i, p := range w.pieces {
		if t.spaced && i > 0 && p.Start > w.pieces[i-1].Start && bytes.HasPrefix(b[p.Start:], []byte(space)) {
			word++
		}
		span := in.Span(text.Range{Start: r.Start + p.Start, End: r.Start + p.End})
		f := found{id: p.ID, word: word, span: span, added: -1}
		if t.surfaces && p.ID == t.model.Unknown() && (len(in.Spans) > 0 || t.dropSpace) {
			w.surfaces = append(w.surfaces, string(b[p.Start:p.End]))
			f.surface = int32(len(w.surfaces))
		}
		w.found = append(w.found, f)
	}
	return word
}

// done takes a worker back for another run.
func (t *Tokenizer) done(w *worker) {
	if max(w.base.Retained(), w.piece.Retained(), w.part.Retained(), cap(w.found)) <= text.MaxRetained {
		t.workers.Put(w)
	}
}
