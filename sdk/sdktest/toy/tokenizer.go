package toy

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
)

// The ids of the special tokens; words follow.
const (
	padID int32 = iota
	clsID
	sepID
	maskID
	firstWord
)

// specials are the spellings of the special tokens at their ids. A text that
// spells one out has that token.
var specials = [...]string{padID: "[PAD]", clsID: "[CLS]", sepID: "[SEP]", maskID: "[MASK]"}

// maxPiece is how many characters a token has; what is longer goes on in a
// further token, spelled ##….
const maxPiece = 8

// continued begins the spelling of a token that goes on with a word.
const continued = "##"

// tokenizer cuts texts at white space and around each character that is neither
// letter nor digit, words after maxPiece characters. The id of a piece is a hash
// of its spelling, so there are no unknown words; that of "w17" is 17, which is
// how generated ids are spelled.
type tokenizer struct {
	size int32 // of the vocabulary
}

// special reports whether id is that of a special token.
func special(id int32) bool { return id >= 0 && id < firstWord }

// word returns the id of a piece of text.
func (t tokenizer) word(piece string) int32 {
	for id, spelling := range specials {
		if piece == spelling {
			return int32(id)
		}
	}
	if digits, ok := strings.CutPrefix(piece, "w"); ok {
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil && strconv.FormatInt(n, 10) == digits &&
			n >= int64(firstWord) && n < int64(t.size) {
			return int32(n)
		}
	}
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(piece) {
		h = (h ^ uint64(piece[i])) * 1099511628211
	}
	return firstWord + int32(h%uint64(t.size-firstWord))
}

// spell returns how a generated id is spelled.
func (t tokenizer) spell(id int32) string {
	if special(id) {
		return specials[id]
	}
	return "w" + strconv.Itoa(int(id))
}

// tokens returns the tokens of a text, without special ones around it.
func (t tokenizer) tokens(text string, sequence int) []sdk.Token {
	var out []sdk.Token
	runes := 0 // before at
	for at := 0; at < len(text); {
		n, long := next(text[at:])
		if n == 0 { // white space
			_, n = utf8.DecodeRuneInString(text[at:])
			at, runes = at+n, runes+1
			continue
		}
		for first, end := true, at+n; at < end; first = false {
			piece := text[at:end]
			if long {
				piece = cut(piece)
			}
			spelling := piece
			if !first {
				spelling = continued + piece
			}
			length := utf8.RuneCountInString(piece)
			out = append(out, sdk.Token{
				ID: t.word(spelling), Text: spelling, Sequence: sequence,
				Start: at, End: at + len(piece), RuneStart: runes, RuneEnd: runes + length,
			})
			at, runes = at+len(piece), runes+length
		}
	}
	return out
}

// next returns the length of the word, or the sign, that text begins with, 0
// where it begins with white space or a control character. Words may be cut
// further.
func next(text string) (n int, word bool) {
	if text[0] == '[' {
		for _, s := range specials {
			if strings.HasPrefix(text, s) {
				return len(s), false
			}
		}
	}
	first, n := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsSpace(first) || unicode.IsControl(first):
		return 0, false
	case !inWord(first) || ideograph(first):
		return n + tail(text[n:], first), false
	}
	for n < len(text) {
		r, size := utf8.DecodeRuneInString(text[n:])
		if ideograph(r) || !inWord(r) && !joiner(r) {
			break
		}
		n += size
	}
	return n, true
}

// tail returns how much of text belongs to the sign before it: combining marks,
// what a joiner joins, and the modifiers and second halves of emoji.
func tail(text string, sign rune) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRuneInString(text[n:])
		switch {
		case unicode.IsMark(r) || unicode.Is(unicode.Sk, r) && r >= 0x1f3fb:
		case r == zeroWidthJoiner && n+size < len(text):
			if joined, more := utf8.DecodeRuneInString(text[n+size:]); !unicode.IsSpace(joined) && !unicode.IsControl(joined) {
				size += more
			}
		case flag(sign) && flag(r):
			sign = 0 // two are one flag
		default:
			return n
		}
		n += size
	}
	return n
}

const zeroWidthJoiner = 0x200d

func joiner(r rune) bool { return r == zeroWidthJoiner || r == zeroWidthJoiner-1 }

func flag(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

// ideograph reports whether r is a word of its own: scripts without spaces.
func ideograph(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

// cut returns the beginning of a word that is one token, marks included.
func cut(word string) string {
	n := 0
	for i, r := range word {
		if n >= maxPiece && !unicode.IsMark(r) && !joiner(r) {
			return word[:i]
		}
		n++
	}
	return word
}
