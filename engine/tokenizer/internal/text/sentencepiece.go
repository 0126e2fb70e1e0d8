package text

import (
	"bytes"
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
)

// lowerBlock stands for a space in the tokens of SentencePiece.
const lowerBlock = "▁"

// Spaces says what a SentencePiece normalizer does about spaces.
type Spaces struct {
	Squeeze bool // drop them at the ends of the text, and all but one between words
	Prefix  bool // put one before the text
	Inside  bool // with Squeeze, keep a space or ▁ that begins the text
	Escape  bool // write them as ▁
}

// SentencePiece is the normalizer of a SentencePiece model (normalizer.cc):
// where a user-defined token begins, it stays as it is; else the longest key of
// the table of rules becomes its form, or one rune stays.
//
// A rune that becomes nothing, such as a further space, is in the span of what
// stands before it.
type SentencePiece struct {
	rules  *Charsmap
	keep   *model.Trie
	spaces Spaces
	space  string
	// plain has the ASCII characters that stay as they are where ASCII follows.
	plain [utf8.RuneSelf]bool
	// begins has the first bytes of the user-defined tokens.
	begins [256]bool
}

// NewSentencePiece returns the normalizer with the rules, or without any where
// they are nil, and the user-defined tokens.
func NewSentencePiece(rules *Charsmap, userDefined []string, spaces Spaces) *SentencePiece {
	n := &SentencePiece{rules: rules, keep: model.NewTrie(), spaces: spaces, space: " "}
	if spaces.Escape {
		n.space = lowerBlock
	}
	for i, token := range userDefined {
		n.keep.Insert(token, int32(i))
		n.begins[token[0]] = true
	}
	for c := range n.plain {
		n.plain[c] = c != ' ' && !n.begins[c] && (rules == nil || rules.plain[c])
	}
	return n
}

// Normalize implements Normalizer.
func (n *SentencePiece) Normalize(t *Text) {
	t.begin()
	squeezed := n.spaces.Squeeze // whether a space would be one too many
	if n.spaces.Inside && (bytes.HasPrefix(t.Bytes, []byte(" ")) || bytes.HasPrefix(t.Bytes, []byte(lowerBlock))) {
		squeezed = false
	}
	for squeezed && t.cursor < len(t.Bytes) {
		form, size := n.next(t.Bytes[t.cursor:])
		if string(form) != " " {
			break
		}
		t.drop(size)
	}
	if n.spaces.Prefix && t.cursor < len(t.Bytes) {
		t.put(n.space, 0)
	}
	for t.cursor < len(t.Bytes) {
		rest := t.Bytes[t.cursor:]
		if run := n.plainRun(rest); run > 0 {
			t.copyRun(run)
			squeezed = false
			continue
		}
		form, size := n.next(rest)
		if squeezed {
			form = bytes.TrimLeft(form, " ")
		}
		if len(form) == 0 {
			t.absorb(size)
			continue
		}
		squeezed = n.spaces.Squeeze && form[len(form)-1] == ' '
		at := t.cursor
		for len(form) > 0 {
			t.cursor = at
			if form[0] == ' ' {
				t.put(n.space, size)
				form = form[1:]
				continue
			}
			end := bytes.IndexByte(form, ' ')
			if end < 0 {
				end = len(form)
			}
			t.put(string(form[:end]), size)
			form = form[end:]
		}
	}
	if n.spaces.Squeeze {
		for bytes.HasSuffix(t.outBytes, []byte(n.space)) {
			t.cutOut(len(n.space))
		}
	}
	t.end()
}

// next returns what the beginning of b becomes, and its length.
func (n *SentencePiece) next(b []byte) (form []byte, size int) {
	if n.begins[b[0]] {
		if _, size := n.keep.Longest(model.Root, b); size > 0 {
			return b[:size], size
		}
	}
	if n.rules != nil {
		if form, size := n.rules.Longest(b); size > 0 {
			return form, size
		}
	}
	size = 1
	if b[0] >= utf8.RuneSelf {
		_, size = utf8.DecodeRune(b)
	}
	return b[:size], size
}

// plainRun returns how many bytes at the beginning of b surely stay as they are.
func (n *SentencePiece) plainRun(b []byte) int {
	i := 0
	for i < len(b) && b[i] < utf8.RuneSelf && n.plain[b[i]] {
		i++
	}
	if i > 0 && i < len(b) && b[i] >= utf8.RuneSelf {
		i-- // may be part of a key with what follows
	}
	return i
}
