package text

import "unicode/utf8"

// ByteLevel writes every byte of the words as a visible rune, so that a
// vocabulary of runes can spell any text, as GPT-2 does (Radford et al. 2019,
// encoder.py). It is a pre-tokenizer that rewrites the text.
type ByteLevel struct {
	PrefixSpace bool    // puts a space before every word that begins with none
	Pattern     Pattern // what it cuts the words into first, or nil
}

// PreTokenize implements PreTokenizer.
func (p ByteLevel) PreTokenize(t *Text) {
	if p.PrefixSpace {
		t.rewriteWords(func(w Range) {
			if t.Bytes[w.Start] != ' ' {
				t.prepend(" ")
			}
			t.copyRun(w.End - w.Start)
		})
	}
	if p.Pattern != nil {
		Split{p.Pattern, Isolated, false}.PreTokenize(t)
	}
	t.rewriteWords(t.showBytes)
}

// rewriteWords calls write for every word, with the cursor at its beginning, to
// write another in its place. What lies between the words goes.
func (t *Text) rewriteWords(write func(w Range)) {
	t.begin()
	t.outWords = t.outWords[:0]
	for _, w := range t.Words {
		start := len(t.outBytes)
		t.cursor = w.Start
		write(w)
		t.add(start, len(t.outBytes))
	}
	t.end()
	t.Words, t.outWords = t.outWords, t.Words
}

// showBytes writes the visible runes of the bytes w, which share their spans.
func (t *Text) showBytes(w Range) {
	shown := w.End - w.Start
	for _, c := range t.Bytes[w.Start:w.End] {
		if visible[c] >= utf8.RuneSelf {
			shown++
		}
	}
	t.reserve(shown)
	for _, c := range t.Bytes[w.Start:w.End] {
		if c < utf8.RuneSelf && visible[c] == rune(c) {
			t.outBytes = append(t.outBytes, c)
			continue
		}
		t.outBytes = utf8.AppendRune(t.outBytes, visible[c])
	}
	if !t.tracked {
		return
	}
	for i, c := range t.Bytes[w.Start:w.End] {
		span := t.Spans[w.Start+i]
		t.outSpans = append(t.outSpans, span)
		if visible[c] >= utf8.RuneSelf {
			t.outSpans = append(t.outSpans, span)
		}
	}
}

// visible are the runes that bytes are written as: the printable ones of
// Latin-1 stand for themselves, the others are numbered from U+0100 on.
var visible = func() (runes [256]rune) {
	next := rune(0x100)
	for c := range runes {
		switch {
		case '!' <= c && c <= '~', '¡' <= c && c <= '¬', '®' <= c:
			runes[c] = rune(c)
		default:
			runes[c] = next
			next++
		}
	}
	return runes
}()

// hidden are the bytes that runes stand for, or -1.
var hidden = func() (bytes [0x180]int16) {
	for r := range bytes {
		bytes[r] = -1
	}
	for c, r := range visible {
		bytes[r] = int16(c)
	}
	return bytes
}()

// Space is the rune that ByteLevel writes a space as.
const Space = 'Ġ'

// AppendHidden appends the bytes that the runes of a token stand for. If one of
// the runes stands for none, the token is no byte-level one, and is appended as
// it is.
func AppendHidden(dst []byte, token string) []byte {
	n := len(dst)
	for _, r := range token {
		if int(r) >= len(hidden) || hidden[r] < 0 {
			return append(dst[:n], token...)
		}
		dst = append(dst, byte(hidden[r]))
	}
	return dst
}

// PrefixSpace puts a space before a text. With Sparing, it does not where there
// is white space already, nor before an empty text.
type PrefixSpace struct{ Sparing bool }

// Normalize implements Normalizer.
func (n PrefixSpace) Normalize(t *Text) {
	if len(t.Bytes) == 0 {
		if !n.Sparing {
			t.begin()
			t.insert(' ')
			t.end()
		}
		return
	}
	if r, _ := utf8.DecodeRune(t.Bytes); n.Sparing && IsPythonSpace(r) {
		return
	}
	t.begin()
	t.prepend(" ")
	t.copyRun(len(t.Bytes))
	t.end()
}

// SlowCLIP is what transformers' CLIPTokenizer in Python does to a text where
// the package ftfy is missing: what BertTokenizer does, but that accents stay
// and that a final Σ becomes ς.
type SlowCLIP struct{}

// Normalize implements Normalizer.
func (SlowCLIP) Normalize(t *Text) {
	SlowBert{ChineseChars: true}.Normalize(t)
	t.lowerWords()
}
