// Package tokenizer turns text into the token ids that a model reads, and keeps
// for every token where in the original text it came from.
//
// A tokenizer is a pipeline: normalizer, pre-tokenizer, model, post-processor,
// with added tokens found on the way. Open reads it from the files of a model
// folder in the Hugging Face layout. It follows tokenizer.json where there is
// one, by the rules of the tokenizers library; a folder that has only a
// vocabulary (vocab.txt, vocab.json and merges.txt, or a SentencePiece model)
// follows the tokenizer class of transformers in Python that is named for it.
// Both rule sets agree on ordinary text. Where both lie, the Python class decides
// what is no component's: which of two texts truncation cuts more, and that spans
// keep the space that a byte-level token begins with. A tokenizer.json of
// CLIPTokenizer, which is another than CLIPTokenizerFast, stands in for its
// vocabulary.
//
// Spans differ from the tokenizers library's on purpose where that loses track:
// a rune that normalization composed spans everything it was composed of, not
// only the first rune, and what follows dropped runes stays where it is. They
// differ from SentencePiece's where one rune becomes several tokens: all of them
// have its span, not only the last.
package tokenizer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// Tokenizer turns text into tokens and back. It is immutable and safe for
// concurrent use.
type Tokenizer struct {
	prepare      text.Normalizer // applied before added tokens are sought; may be nil
	raw          *matcher        // added tokens sought in the text as it is
	normalizer   text.Normalizer // may be nil
	normalized   *matcher        // added tokens sought in the normalized text
	preTokenizer text.PreTokenizer
	model        model.Model
	neverSplit   *text.Set // words that the model must take whole
	single, pair template
	decoder      decoder
	cleanup      bool   // whether Decode takes out spaces before punctuation
	between      string // what stands around an added token in a decoded text
	added        addedTokens
	roles        roles
	trim         trim // of the spaces in the spans of tokens
	python       bool // the rules of transformers' slow tokenizers
	spaced       bool // ▁ begins a word
	surfaces     bool // unknown tokens are shown as the text that they stand for
	dropSpace    bool // a ▁ alone does not stand before a special token that begins the text
	cutSide      side // the side that truncation takes tokens from
	oddFirst     bool // of an odd room, truncation gives the text one token more than the pair
	maxLength    int
	digest       string

	workers sync.Pool // of *worker
}

// addedTokens are the added tokens, in the order of the files, and their index.
type addedTokens struct {
	tokens []addedToken
	byText map[string]int
	byID   map[int32]int
	next   int64 // the id of the next token that has none
	extra  int   // the number of tokens that the vocabulary lacks
}

// maxAdded is the longest added token, in bytes: the search for added tokens
// may look as far ahead at every byte of a text.
const maxAdded = 1024

// add adds a token, or changes the one with its text. With assign, its id is
// that of the vocabulary, or a new one. A token without text is ignored.
func (t *Tokenizer) add(token addedToken, assign bool) error {
	if token.content == "" {
		return nil
	}
	if len(token.content) > maxAdded {
		return &UnsupportedError{"added tokens", "", fmt.Sprintf("a token of more than %d bytes", maxAdded), useIDs}
	}
	a, v := &t.added, t.model.Vocabulary()
	if a.byText == nil {
		a.byText, a.byID, a.next = make(map[string]int), make(map[int32]int), int64(v.Size())
	}
	i, known := a.byText[token.content]
	id, listed := v.ID(token.content)
	switch {
	case !assign:
	case known:
		token.id = a.tokens[i].id
	case listed:
		token.id = id
	case a.next > math.MaxInt32:
		return &MalformedError{"added tokens", "", "leave no id for " + token.content}
	default:
		token.id = int32(a.next)
	}
	if !known {
		i = len(a.tokens)
		a.tokens = append(a.tokens, token)
		a.byText[token.content] = i
		if !listed {
			a.extra++
		}
	}
	a.tokens[i] = token
	a.byID[token.id] = i
	a.next = max(a.next, int64(token.id)+1, int64(v.Size()+a.extra))
	return nil
}

// roles are the tokens that a model's protocol knows by their role.
type roles struct{ mask, pad, unk, cls, sep, bos, eos string }

// Token returns the text of the token that an id stands for.
func (t *Tokenizer) Token(id int32) (string, bool) {
	if i, ok := t.added.byID[id]; ok {
		return t.added.tokens[i].content, true
	}
	return t.model.Vocabulary().Token(id)
}

// ID returns the id of a token.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if i, ok := t.added.byText[token]; ok {
		return t.added.tokens[i].id, true
	}
	return t.model.Vocabulary().ID(token)
}

// Size returns the number of different tokens, added ones included. Ids may go
// beyond it where a vocabulary has gaps.
func (t *Tokenizer) Size() int { return t.model.Vocabulary().Size() + t.added.extra }

// MaxLength returns the largest number of tokens, special ones included, that
// the files say the model reads, or 0 if they do not say. Encode does not apply
// it by itself.
func (t *Tokenizer) MaxLength() int { return t.maxLength }

// MaskID returns the id of the token that stands for a hidden token.
func (t *Tokenizer) MaskID() (int32, bool) { return t.role(t.roles.mask) }

// PadID returns the id of the token that fills up a batch.
func (t *Tokenizer) PadID() (int32, bool) { return t.role(t.roles.pad) }

// UnkID returns the id of the token that stands for what the vocabulary lacks.
func (t *Tokenizer) UnkID() (int32, bool) { return t.role(t.roles.unk) }

// ClsID returns the id of the token that a classifier reads.
func (t *Tokenizer) ClsID() (int32, bool) { return t.role(t.roles.cls) }

// SepID returns the id of the token that separates a text from its pair.
func (t *Tokenizer) SepID() (int32, bool) { return t.role(t.roles.sep) }

// BosID returns the id of the token that begins a text.
func (t *Tokenizer) BosID() (int32, bool) { return t.role(t.roles.bos) }

// EosID returns the id of the token that a text, or what a model writes, ends
// with.
func (t *Tokenizer) EosID() (int32, bool) { return t.role(t.roles.eos) }

// MaskToken returns the text of the token that stands for a hidden token.
func (t *Tokenizer) MaskToken() (string, bool) {
	_, ok := t.role(t.roles.mask)
	return t.roles.mask, ok
}

func (t *Tokenizer) role(token string) (int32, bool) {
	if token == "" {
		return 0, false
	}
	return t.ID(token)
}

// Special returns the ids of the special tokens, in ascending order.
func (t *Tokenizer) Special() []int32 {
	var ids []int32
	for _, token := range t.added.tokens {
		if token.special {
			ids = append(ids, token.id)
		}
	}
	slices.SortFunc(ids, cmp.Compare)
	return slices.Compact(ids)
}

// Digest returns the SHA-256 of the tokenizer's own files, in hexadecimal: of
// the name, the size and the content of each, in a fixed order. Of config.json
// it has the model type, if that is what says how the files are used.
func (t *Tokenizer) Digest() string { return t.digest }
