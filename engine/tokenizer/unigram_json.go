package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// readUnigram reads a Unigram model: a list of tokens with their scores, whose
// places in it are the ids.
func readUnigram(o object) (model.Model, error) {
	var byteFallback bool
	var unknown *int32
	if err := o.getAll(field{"unk_id", &unknown}, field{"byte_fallback", &byteFallback}); err != nil {
		return nil, err
	}
	var list [][]json.RawMessage
	if err := o.need("vocab", &list); err != nil {
		return nil, err
	}
	tokens := make([]model.Scored, len(list))
	for i, entry := range list {
		where := fmt.Sprintf("%s[%d]", join(o.where, "vocab"), i)
		if len(entry) != 2 {
			return nil, &MalformedError{o.file, where, "should be a token and its score"}
		}
		token := model.Scored{ID: int32(i)}
		if err := decodeJSON(o.file, where+"[0]", entry[0], &token.Token); err != nil {
			return nil, err
		}
		if len(token.Token) > maxToken {
			return nil, &UnsupportedError{o.file, where, longTokens, useIDs}
		}
		var err error
		if token.Score, err = strconv.ParseFloat(string(entry[1]), 64); err != nil {
			return nil, &MalformedError{o.file, where, fmt.Sprintf("has the score %.20s, which should be a number", entry[1])}
		}
		tokens[i] = token
	}
	switch {
	case unknown == nil:
		return nil, o.unsupported("Unigram without unk_id")
	case *unknown < 0 || int(*unknown) >= len(tokens):
		return nil, o.malformed("unk_id", fmt.Sprintf("is %d, which is none of the %d tokens", *unknown, len(tokens)))
	}
	return model.NewUnigram(tokens, *unknown, byteFallback), nil
}

// readPrecompiled reads the normalization rules of SentencePiece.
func (r *normalizerReader) readPrecompiled(o object) (text.Normalizer, error) {
	var encoded string
	if err := o.need("precompiled_charsmap", &encoded); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, o.malformed("precompiled_charsmap", "is not base64: "+err.Error())
	}
	rules, err := parseCharsmap(o.file, join(o.where, "precompiled_charsmap"), data)
	if err != nil {
		return nil, err
	}
	return text.Precompiled{Rules: rules}, r.growth.by(o, rules.Growth())
}

func (r *normalizerReader) readPrepend(o object) (text.Normalizer, error) {
	var n text.Prepend
	if err := o.need("prepend", &n.Text); err != nil {
		return nil, err
	}
	// It may stand before every stretch between two added tokens.
	return n, r.growth.by(o, float64(1+len(n.Text)))
}

// prependSchemes are the names of the text.PrependScheme constants, in their
// order.
var prependSchemes = []string{"always", "first", "never"}

// readMetaspace reads the pre-tokenizer, or the decoder, of that name.
func readMetaspace(o object) (text.Metaspace, error) {
	m := text.Metaspace{Split: true}
	var mark, scheme string
	prefix := true
	if err := o.need("replacement", &mark); err != nil {
		return m, err
	}
	if err := o.getAll(
		field{"add_prefix_space", &prefix}, field{"prepend_scheme", &scheme}, field{"split", &m.Split},
	); err != nil {
		return m, err
	}
	if utf8.RuneCountInString(mark) != 1 {
		return m, o.malformed("replacement", "should be one character")
	}
	m.Replacement, _ = utf8.DecodeRuneInString(mark)
	if scheme == "" {
		if scheme = "always"; !prefix {
			scheme = "never"
		}
	}
	i := slices.Index(prependSchemes, scheme)
	if i < 0 {
		return m, o.malformed("prepend_scheme", fmt.Sprintf("is %q, which is none of %q", scheme, prependSchemes))
	}
	if m.Prepend = text.PrependScheme(i); !prefix && m.Prepend != text.PrependNever {
		return m, o.malformed("add_prefix_space", "contradicts prepend_scheme")
	}
	return m, nil
}

// decoderReader reads decoders of SentencePiece models and keeps count of what
// they may do.
type decoderReader struct {
	count  int
	growth growth
	spaced bool // whether one of them makes ▁ a space
}

func (r *decoderReader) read(o object, depth int) (decoder, error) {
	var kind string
	if err := o.need("type", &kind); err != nil {
		return nil, err
	}
	if r.count++; r.count > maxComponents {
		return nil, o.unsupported(fmt.Sprintf("more than %d decoders", maxComponents))
	}
	switch kind {
	case "Metaspace":
		m, err := readMetaspace(o)
		r.spaced = r.spaced || string(m.Replacement) == space
		return metaspaceDecoder{string(m.Replacement), m.Prepend != text.PrependNever}, err
	case "Replace":
		var content string
		if err := o.need("content", &content); err != nil {
			return nil, err
		}
		p, _, err := readPattern(o)
		if err != nil {
			return nil, err
		}
		literal, ok := p.(text.Literal)
		if !ok {
			return nil, o.unsupported("Replace of a regular expression")
		}
		pattern := string(literal)
		r.spaced = r.spaced || pattern == space && content == " "
		return replaceDecoder{pattern, content}, r.growth.by(o, float64(len(content))/float64(len(pattern)))
	case "Fuse":
		return fuseDecoder{}, nil
	case "ByteFallback":
		return byteFallbackDecoder{}, nil
	case "Strip":
		var d stripDecoder
		err := o.needAll(field{"content", &d.content}, field{"start", &d.start}, field{"stop", &d.stop})
		switch {
		case err != nil:
			return nil, err
		case utf8.RuneCountInString(d.content) != 1:
			return nil, o.malformed("content", "should be one character")
		case d.start < 0 || d.stop < 0:
			return nil, o.malformed("", "strips a negative number of characters")
		}
		return d, nil
	case "Sequence":
		parts, err := o.objects("decoders")
		if err != nil {
			return nil, err
		}
		if depth == maxNesting {
			return nil, o.unsupported("deeper nesting")
		}
		sequence := make(sequenceDecoder, len(parts))
		for i, part := range parts {
			if sequence[i], err = r.read(part, depth+1); err != nil {
				return nil, err
			}
		}
		return sequence, nil
	}
	return nil, o.unsupported(kind)
}

// metaspaceDecoder makes the mark of spaces a space, or nothing in the first
// token, if tokenizing put it there.
type metaspaceDecoder struct {
	mark  string
	begun bool
}

func (d metaspaceDecoder) decode(tokens []string) []string {
	parts := make([]string, len(tokens))
	for i, token := range tokens {
		blank := " "
		if i == 0 && d.begun {
			blank = ""
		}
		parts[i] = strings.ReplaceAll(token, d.mark, blank)
	}
	return parts
}

// replaceDecoder replaces a string in every token.
type replaceDecoder struct{ pattern, content string }

func (d replaceDecoder) decode(tokens []string) []string {
	parts := make([]string, len(tokens))
	for i, token := range tokens {
		parts[i] = strings.ReplaceAll(token, d.pattern, d.content)
	}
	return parts
}

// fuseDecoder makes all tokens one.
type fuseDecoder struct{}

func (fuseDecoder) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// byteFallbackDecoder makes tokens such as <0x0A> the text that their bytes are,
// or U+FFFD for each where they are no UTF-8.
type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(tokens []string) []string {
	var parts []string
	var pending []byte
	flush := func() {
		switch {
		case len(pending) == 0:
		case utf8.Valid(pending):
			parts = append(parts, string(pending))
		default:
			for range pending {
				parts = append(parts, string(utf8.RuneError))
			}
		}
		pending = pending[:0]
	}
	for _, token := range tokens {
		if len(token) == len("<0x0A>") && strings.HasPrefix(token, "<0x") && token[5] == '>' {
			if c, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
				pending = append(pending, byte(c))
				continue
			}
		}
		flush()
		parts = append(parts, token)
	}
	flush()
	return parts
}

// stripDecoder takes up to start runes off the beginning of every token, and up
// to stop off the end, where they are the content.
type stripDecoder struct {
	content     string
	start, stop int
}

func (d stripDecoder) decode(tokens []string) []string {
	parts := make([]string, len(tokens))
	for i, token := range tokens {
		for n := 0; n < d.start && strings.HasPrefix(token, d.content); n++ {
			token = token[len(d.content):]
		}
		for n := 0; n < d.stop && strings.HasSuffix(token, d.content); n++ {
			token = token[:len(token)-len(d.content)]
		}
		parts[i] = token
	}
	return parts
}

// sequenceDecoder applies several decoders in order.
type sequenceDecoder []decoder

func (d sequenceDecoder) decode(tokens []string) []string {
	for _, each := range d {
		tokens = each.decode(tokens)
	}
	return tokens
}
