package tokenizer

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// What a file may ask for, so that a hostile one cannot make the work for a text
// grow out of proportion.
const (
	maxNesting    = 16   // of sequences of components
	maxComponents = 64   // normalizers, and pre-tokenizers
	maxGrowth     = 256  // by how much normalizers, and pre-tokenizers, may lengthen a text, as a factor
	maxSpecial    = 1024 // special tokens that a template may add
)

// maxToken is the longest token, in bytes, of a model that may look for one at
// every byte of a text, as far ahead as its tokens reach.
const maxToken = 1024

var longTokens = fmt.Sprintf("a token of more than %d bytes", maxToken)

// growth is how many times as long as it was components may make a text.
type growth float64

// by takes note of a component that makes a text so many times as long.
func (g *growth) by(o object, factor float64) error {
	if *g *= growth(max(1, factor)); *g > maxGrowth {
		return o.unsupported(fmt.Sprintf("making a text more than %d times as long", maxGrowth))
	}
	return nil
}

// How many times as long, in UTF-8, runes become: ΐ and other runes decompose
// into three times their bytes, U+FDFA becomes eleven times, İ one and a half in
// lower case, and an ideograph of three bytes has a space on either side.
const (
	canonicalGrowth     = 3
	compatibilityGrowth = 11
	lowerGrowth         = 3. / 2
	chineseGrowth       = 5. / 3
)

// openJSON makes the tokenizer that tokenizer.json describes.
func (f *folder) openJSON(data []byte) (*Tokenizer, error) {
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	file, err := parseFile("tokenizer.json", data)
	if err != nil {
		return nil, err
	}
	version := "1.0"
	if err := file.get("version", &version); err != nil {
		return nil, err
	}
	if version != "1.0" {
		return nil, file.unsupported("version " + version)
	}
	t := &Tokenizer{}
	if t.model, err = readModel(file); err != nil {
		return nil, err
	}
	var added []addedToken
	if added, err = readAddedTokens(file); err != nil {
		return nil, err
	}
	if _, ok := t.model.(*model.WordPiece); ok && s.name == "" {
		s.class = bert
	} else if s.name == "" {
		if s.class, err = f.guessClass(t.model.Vocabulary(), added); err != nil {
			return nil, err
		}
	}
	if err := s.readSpecial(); err != nil {
		return nil, err
	}
	t.roles = s.roles
	if err := t.readComponents(file, s); err != nil {
		return nil, err
	}
	if s.slow {
		// The rules of the slow tokenizer, whose files lie beside, count where
		// these are no component's.
		t.trim, t.oddFirst = trim{}, true
	}
	if err := t.useTruncation(s, file); err != nil {
		return nil, err
	}
	_, t.surfaces = t.model.(*model.Unigram)

	for _, token := range added {
		if err := t.add(token, true); err != nil {
			return nil, err
		}
	}
	if err := t.addNamed(s); err != nil {
		return nil, err
	}
	if t.roles.unk == "" {
		t.roles.unk, _ = t.Token(t.model.Unknown())
	}
	split := false
	if err := s.config.get("split_special_tokens", &split); err != nil {
		return nil, err
	}
	t.findAdded(split)
	if s.name == "CLIPTokenizer" && !s.fast {
		// The slow tokenizer is another one than the components describe: the
		// file stands in for its vocab.json and merges.txt.
		return t, t.slowByteLevel(s)
	}
	return t, nil
}

// readComponents reads what stands before the model and behind it.
func (t *Tokenizer) readComponents(file object, s *settings) error {
	if !file.null("normalizer") {
		o, err := file.object("normalizer")
		if err != nil {
			return err
		}
		r := normalizerReader{settings: s, growth: 1}
		if t.normalizer, err = r.read(o, 0); err != nil {
			return err
		}
	}
	if !file.null("pre_tokenizer") {
		o, err := file.object("pre_tokenizer")
		if err != nil {
			return err
		}
		r := preTokenizerReader{settings: s, growth: 1}
		if t.preTokenizer, err = r.read(o, 0); err != nil {
			return err
		}
	}
	if err := t.readProcessors(file); err != nil {
		return err
	}
	return t.readDecoder(file, s)
}

// findAdded makes what finds the added tokens in a text as it is, and in one that
// is normalized; the special ones are left to the model where split is set.
func (t *Tokenizer) findAdded(split bool) {
	t.raw = newMatcher(t.added.tokens, false, func(token addedToken) string {
		if token.normalized || token.special && split {
			return ""
		}
		return token.content
	})
	t.normalized = newMatcher(t.added.tokens, false, func(token addedToken) string {
		if !token.normalized || token.special && split {
			return ""
		}
		var pattern text.Text
		pattern.Reset(token.content, false)
		if t.normalizer != nil {
			t.normalizer.Normalize(&pattern)
		}
		return string(pattern.Bytes)
	})
}

// readAddedTokens reads the list of added tokens. The ids in it do not count:
// a token has the id that the vocabulary gives it, or the next free one.
func readAddedTokens(file object) ([]addedToken, error) {
	list, err := file.list("added_tokens")
	if err != nil {
		return nil, err
	}
	tokens := make([]addedToken, len(list))
	for i, raw := range list {
		if tokens[i], err = readToken(file.file, fmt.Sprintf("added_tokens[%d]", i), raw); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// readModel reads the model. Files without its type are older than types are.
func readModel(file object) (model.Model, error) {
	o, err := file.object("model")
	if err != nil {
		return nil, err
	}
	var kind string
	if err := o.get("type", &kind); err != nil {
		return nil, err
	}
	if kind == "" {
		switch {
		case o.has("merges"):
			kind = "BPE"
		case o.has("unk_id"):
			kind = "Unigram"
		case o.has("continuing_subword_prefix"):
			kind = "WordPiece"
		default:
			kind = "WordLevel"
		}
	}
	switch kind {
	case "WordPiece":
		return readWordPiece(o)
	case "BPE":
		return readBPE(o)
	case "Unigram":
		return readUnigram(o)
	}
	return nil, o.unsupported(kind)
}

func readWordPiece(o object) (model.Model, error) {
	var unknown, prefix string
	var maxRunes int
	if err := o.needAll(
		field{"unk_token", &unknown}, field{"continuing_subword_prefix", &prefix},
		field{"max_input_chars_per_word", &maxRunes},
	); err != nil {
		return nil, err
	}
	if maxRunes < 0 {
		return nil, o.malformed("max_input_chars_per_word", "is negative")
	}
	v, err := readVocabulary(o.file, join(o.where, "vocab"), o.fields["vocab"])
	if err != nil {
		return nil, err
	}
	if v.Longest() > maxToken {
		return nil, o.unsupported(longTokens)
	}
	id, ok := v.ID(unknown)
	if !ok {
		return nil, o.malformed("unk_token", fmt.Sprintf("is %q, which is not in the vocabulary", unknown))
	}
	return model.NewWordPiece(v, id, prefix, maxRunes), nil
}

// readVocabulary reads a vocabulary: an object of tokens and their ids, each of
// which may stand there once.
func readVocabulary(file, where string, raw []byte) (*model.Vocabulary, error) {
	if raw = bytes.TrimLeft(raw, jsonSpace); len(raw) == 0 || raw[0] != '{' {
		return nil, &MalformedError{file, where, "should be an object of tokens and their ids"}
	}
	v := model.NewVocabulary()
	for token, value := range entries(raw) {
		id, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil || id < 0 {
			return nil, &MalformedError{file, where, fmt.Sprintf("gives %q the id %.20s, which should be a whole number from 0 to %d", token, value, math.MaxInt32)}
		}
		if other, taken := v.Token(int32(id)); taken {
			return nil, &MalformedError{file, where, fmt.Sprintf("gives %q the id %d, which %q has already", token, id, other)}
		}
		if _, twice := v.ID(token); twice {
			return nil, &MalformedError{file, where, fmt.Sprintf("has the token %q twice", token)}
		}
		v.Add(token, int32(id))
	}
	return v, nil
}

// readDecoder reads the decoder, and whether Decode cleans up after it.
func (t *Tokenizer) readDecoder(file object, s *settings) error {
	if file.null("decoder") {
		t.decoder = spaceDecoder{}
		return nil
	}
	o, err := file.object("decoder")
	if err != nil {
		return err
	}
	var kind string
	if err := o.need("type", &kind); err != nil {
		return err
	}
	switch kind {
	case "WordPiece":
		var d wordPieceDecoder
		err := o.needAll(field{"prefix", &d.prefix}, field{"cleanup", &t.cleanup})
		t.decoder = d
		return err
	case "ByteLevel":
		t.decoder, t.cleanup = byteLevelDecoder{}, s.class != qwen2
		return s.config.get("clean_up_tokenization_spaces", &t.cleanup)
	case "BPEDecoder":
		d := suffixDecoder{"</w>"}
		err := o.get("suffix", &d.suffix)
		t.decoder = d
		return err
	}
	r := decoderReader{growth: 1}
	d, err := r.read(o, 0)
	if err != nil {
		return err
	}
	t.decoder, t.spaced, t.cleanup = d, r.spaced, true
	return s.config.get("clean_up_tokenization_spaces", &t.cleanup)
}
