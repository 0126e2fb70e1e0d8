package tokenizer

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

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
	if !file.null("normalizer") {
		o, err := file.object("normalizer")
		if err != nil {
			return nil, err
		}
		r := normalizerReader{settings: s, growth: 1}
		if t.normalizer, err = r.read(o, 0); err != nil {
			return nil, err
		}
	}
	if !file.null("pre_tokenizer") {
		o, err := file.object("pre_tokenizer")
		if err != nil {
			return nil, err
		}
		r := preTokenizerReader{settings: s, growth: 1}
		if t.preTokenizer, err = r.read(o, 0); err != nil {
			return nil, err
		}
	}
	if err := t.readProcessors(file); err != nil {
		return nil, err
	}
	if err := t.readDecoder(file, s); err != nil {
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
	if s.name == "CLIPTokenizer" && !s.fast {
		// The slow tokenizer is another one than the components describe: the
		// file stands in for its vocab.json and merges.txt.
		return t, t.slowByteLevel(s)
	}
	return t, nil
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

// normalizerReader reads normalizers and keeps count of what they may do.
type normalizerReader struct {
	settings *settings
	count    int
	growth   growth
}

func (r *normalizerReader) read(o object, depth int) (text.Normalizer, error) {
	var kind string
	if err := o.need("type", &kind); err != nil {
		return nil, err
	}
	if r.count++; r.count > maxComponents {
		return nil, o.unsupported(fmt.Sprintf("more than %d normalizers", maxComponents))
	}
	switch kind {
	case "NFC":
		return text.NFC{}, r.growth.by(o, canonicalGrowth)
	case "NFD":
		return text.NFD{}, r.growth.by(o, canonicalGrowth)
	case "NFKC":
		return text.NFKC{}, r.growth.by(o, compatibilityGrowth)
	case "NFKD":
		return text.NFKD{}, r.growth.by(o, compatibilityGrowth)
	case "Lowercase":
		return text.Lowercase{}, r.growth.by(o, lowerGrowth)
	case "StripAccents":
		return text.StripAccents{}, nil
	case "BertNormalizer":
		return r.readBertNormalizer(o)
	case "Strip":
		var n text.Strip
		err := o.needAll(field{"strip_left", &n.Left}, field{"strip_right", &n.Right})
		return n, err
	case "Replace":
		return r.readReplace(o)
	case "Nmt":
		return text.Nmt{}, nil
	case "Precompiled":
		return r.readPrecompiled(o)
	case "Prepend":
		return r.readPrepend(o)
	case "Sequence":
		parts, err := o.objects("normalizers")
		if err != nil {
			return nil, err
		}
		if depth == maxNesting {
			return nil, o.unsupported("deeper nesting")
		}
		sequence := make(text.Normalizers, len(parts))
		for i, part := range parts {
			if sequence[i], err = r.read(part, depth+1); err != nil {
				return nil, err
			}
		}
		return sequence, nil
	}
	return nil, o.unsupported(kind)
}

// readBertNormalizer reads BERT's normalizer. tokenizer_config.json has the
// last word on its flags, as it has in BertTokenizerFast.
func (r *normalizerReader) readBertNormalizer(o object) (text.Normalizer, error) {
	s := r.settings
	var n text.Bert
	var stripAccents *bool
	if err := o.needAll(
		field{"clean_text", &n.CleanText}, field{"handle_chinese_chars", &n.ChineseChars}, field{"lowercase", &n.Lowercase},
	); err != nil {
		return nil, err
	}
	if err := o.get("strip_accents", &stripAccents); err != nil {
		return nil, err
	}
	if s.class == bert {
		// The tokenizer whose vocab.txt lies beside drops them.
		n.CleanMore = s.slow
		if s.config.has("strip_accents") {
			stripAccents = nil
		}
		if err := s.config.getAll(
			field{"do_lower_case", &n.Lowercase}, field{"tokenize_chinese_chars", &n.ChineseChars},
			field{"strip_accents", &stripAccents},
		); err != nil {
			return nil, err
		}
	}
	n.StripAccents = n.Lowercase
	if stripAccents != nil {
		n.StripAccents = *stripAccents
	}
	factor := 1.0
	if n.ChineseChars {
		factor *= chineseGrowth
	}
	if n.StripAccents {
		factor *= canonicalGrowth
	}
	if n.Lowercase {
		factor *= lowerGrowth
	}
	return n, r.growth.by(o, factor)
}

func (r *normalizerReader) readReplace(o object) (text.Normalizer, error) {
	var n text.Replace
	if err := o.need("content", &n.Content); err != nil {
		return nil, err
	}
	var shortest int
	var err error
	if n.Pattern, shortest, err = readPattern(o); err != nil {
		return nil, err
	}
	// What matches nothing adds to every rune, and to the end.
	factor := float64(1 + 2*len(n.Content))
	if shortest > 0 {
		factor = float64(len(n.Content)) / float64(shortest)
	}
	return n, r.growth.by(o, factor)
}

// preTokenizerReader reads pre-tokenizers and keeps count of what they may do.
type preTokenizerReader struct {
	settings *settings
	count    int
	growth   growth
}

func (r *preTokenizerReader) read(o object, depth int) (text.PreTokenizer, error) {
	var kind string
	if err := o.need("type", &kind); err != nil {
		return nil, err
	}
	if r.count++; r.count > maxComponents {
		return nil, o.unsupported(fmt.Sprintf("more than %d pre-tokenizers", maxComponents))
	}
	switch kind {
	case "BertPreTokenizer":
		return text.BertPreTokenizer{}, nil
	case "Whitespace":
		return text.Whitespace{}, nil
	case "WhitespaceSplit":
		return text.WhitespaceSplit{}, nil
	case "ByteLevel":
		// A byte of a word and a space before it become two bytes each.
		if err := r.growth.by(o, 4); err != nil {
			return nil, err
		}
		return readByteLevel(o, r.settings)
	case "Metaspace":
		m, err := readMetaspace(o)
		if err != nil {
			return nil, err
		}
		// A word of one byte may get the mark of a space before it.
		return m, r.growth.by(o, float64(1+utf8.RuneLen(m.Replacement)))
	case "UnicodeScripts":
		return text.UnicodeScripts{}, nil
	case "Split":
		return readSplit(o)
	case "CharDelimiterSplit":
		var delimiter string
		if err := o.need("delimiter", &delimiter); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(delimiter) != 1 {
			return nil, o.malformed("delimiter", "should be one character")
		}
		return text.Split{Pattern: text.Literal(delimiter), Behavior: text.Removed}, nil
	case "Digits":
		var each bool
		err := o.need("individual_digits", &each)
		return text.Digits(each), err
	case "Punctuation":
		behavior, err := readBehavior(o, "Isolated")
		return text.Punctuation{Behavior: behavior}, err
	case "Sequence":
		parts, err := o.objects("pretokenizers")
		if err != nil {
			return nil, err
		}
		if depth == maxNesting {
			return nil, o.unsupported("deeper nesting")
		}
		sequence := make(text.PreTokenizers, len(parts))
		for i, part := range parts {
			if sequence[i], err = r.read(part, depth+1); err != nil {
				return nil, err
			}
		}
		return sequence, nil
	}
	return nil, o.unsupported(kind)
}

// readBehavior reads what becomes of delimiters; usual is the name of what holds
// where the file does not say, or empty if it must.
func readBehavior(o object, usual string) (text.Behavior, error) {
	name, read := usual, o.get
	if usual == "" {
		read = o.need
	}
	if err := read("behavior", &name); err != nil {
		return 0, err
	}
	behavior := slices.Index(behaviors, name)
	if behavior < 0 {
		return 0, o.malformed("behavior", fmt.Sprintf("is %q, which is none of %q", name, behaviors))
	}
	return text.Behavior(behavior), nil
}

// behaviors are the names of the text.Behavior constants, in their order.
var behaviors = []string{"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}

// readProcessors reads the post-processor, which may be a sequence of them. One
// alone may bring special tokens.
func (t *Tokenizer) readProcessors(file object) error {
	t.single, t.pair = bareSingle, barePair
	if file.null("post_processor") {
		return nil
	}
	o, err := file.object("post_processor")
	if err != nil {
		return err
	}
	var kind string
	if err := o.need("type", &kind); err != nil {
		return err
	}
	parts := []object{o}
	if kind == "Sequence" {
		if parts, err = o.objects("processors"); err != nil {
			return err
		}
	}
	templates := 0
	for _, part := range parts {
		isTemplate, err := t.readProcessor(part)
		if err != nil {
			return err
		}
		if isTemplate {
			templates++
		}
		if templates > 1 {
			return part.unsupported("special tokens around special tokens")
		}
	}
	return nil
}

// readProcessor reads one post-processor, and says whether it is one that adds
// special tokens.
func (t *Tokenizer) readProcessor(o object) (isTemplate bool, err error) {
	var kind string
	if err := o.need("type", &kind); err != nil {
		return false, err
	}
	switch kind {
	case "ByteLevel":
		return false, t.trim.read(o)
	case "BertProcessing", "RobertaProcessing":
		sepToken, sepID, err := readPair(o, "sep")
		if err != nil {
			return false, err
		}
		clsToken, clsID, err := readPair(o, "cls")
		if err != nil {
			return false, err
		}
		if kind == "BertProcessing" {
			t.single, t.pair = bertTemplates(clsToken, clsID, sepToken, sepID)
			return true, nil
		}
		t.single, t.pair = robertaTemplates(clsToken, clsID, sepToken, sepID)
		return true, t.trim.read(o)
	case "TemplateProcessing":
		special, err := readTemplateTokens(o)
		if err != nil {
			return false, err
		}
		if t.single, err = readTemplate(o, "single", special, 1); err != nil {
			return false, err
		}
		t.pair, err = readTemplate(o, "pair", special, 2)
		return true, err
	}
	return false, o.unsupported(kind)
}

// readPair reads a token and its id from an array.
func readPair(o object, key string) (string, int32, error) {
	list, err := o.list(key)
	if err != nil {
		return "", 0, err
	}
	if len(list) != 2 {
		return "", 0, o.malformed(key, "should be a token and its id")
	}
	var token string
	var id int32
	where := join(o.where, key)
	if err := decodeJSON(o.file, where+"[0]", list[0], &token); err != nil {
		return "", 0, err
	}
	if err := decodeJSON(o.file, where+"[1]", list[1], &id); err != nil {
		return "", 0, err
	}
	if id < 0 {
		return "", 0, o.malformed(key, "has a negative id")
	}
	return token, id, nil
}

// readTemplateTokens reads the special tokens of a template, each of which may
// stand for several.
func readTemplateTokens(o object) (map[string]template, error) {
	list, err := o.object("special_tokens")
	if err != nil {
		return nil, err
	}
	special := make(map[string]template, len(list.fields))
	for name := range list.fields {
		entry, err := list.object(name)
		if err != nil {
			return nil, err
		}
		var ids []int32
		var tokens []string
		if err := entry.need("ids", &ids); err != nil {
			return nil, err
		}
		if err := entry.need("tokens", &tokens); err != nil {
			return nil, err
		}
		if len(ids) != len(tokens) {
			return nil, entry.malformed("ids", "and tokens differ in number")
		}
		parts := make(template, len(ids))
		for i, id := range ids {
			if id < 0 {
				return nil, entry.malformed("ids", "has a negative id")
			}
			parts[i] = templatePart{sequence: -1, id: id, token: tokens[i]}
		}
		special[name] = parts
	}
	return special, nil
}

// readTemplate reads a template for a number of sequences.
func readTemplate(o object, key string, special map[string]template, sequences int) (template, error) {
	pieces, err := o.objects(key)
	if err != nil {
		return nil, err
	}
	var t template
	var used [2]bool
	for _, piece := range pieces {
		var name string
		var typeID int32
		isSequence := piece.has("Sequence")
		variant := "SpecialToken"
		if isSequence {
			variant = "Sequence"
		}
		body, err := piece.object(variant)
		if err != nil {
			return nil, err
		}
		if err := body.need("id", &name); err != nil {
			return nil, err
		}
		if err := body.need("type_id", &typeID); err != nil {
			return nil, err
		}
		if typeID < 0 {
			return nil, body.malformed("type_id", "is negative")
		}
		if !isSequence {
			parts, ok := special[name]
			if !ok {
				return nil, body.malformed("id", fmt.Sprintf("is %q, which is not among the special tokens", name))
			}
			if len(t)+len(parts) > maxSpecial {
				return nil, piece.unsupported(fmt.Sprintf("more than %d special tokens", maxSpecial))
			}
			for _, part := range parts {
				part.typeID = typeID
				t = append(t, part)
			}
			continue
		}
		sequence := slices.Index([]string{"A", "B"}[:sequences], name)
		if sequence < 0 {
			return nil, body.malformed("id", fmt.Sprintf("is %q, which is no text that %s has", name, key))
		}
		if used[sequence] {
			return nil, piece.unsupported("the same text twice")
		}
		used[sequence] = true
		t = append(t, templatePart{sequence: sequence, typeID: typeID})
	}
	for i, name := range []string{"A", "B"}[:sequences] {
		if !used[i] {
			return nil, o.malformed(key, "does not use the text "+name)
		}
	}
	return t, nil
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
