package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/regex"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// readBPE reads a model of byte-pair encoding. Dropout is for training: it does
// not matter here.
func readBPE(o object) (model.Model, error) {
	v, err := readVocabulary(o.file, join(o.where, "vocab"), o.fields["vocab"])
	if err != nil {
		return nil, err
	}
	options := model.BPEOptions{Unknown: model.NoUnknown}
	var unknown string
	if err := o.getAll(
		field{"unk_token", &unknown}, field{"fuse_unk", &options.FuseUnknown},
		field{"byte_fallback", &options.ByteFallback}, field{"ignore_merges", &options.IgnoreMerges},
		field{"continuing_subword_prefix", &options.Prefix}, field{"end_of_word_suffix", &options.Suffix},
	); err != nil {
		return nil, err
	}
	if unknown != "" {
		id, ok := v.ID(unknown)
		if !ok {
			return nil, o.malformed("unk_token", fmt.Sprintf("is %q, which is not in the vocabulary", unknown))
		}
		options.Unknown = id
	}
	m := model.NewBPE(v, options)
	raw := o.fields["merges"]
	if len(raw) == 0 || raw[0] != '[' {
		return nil, o.malformed("merges", "should be an array of pairs of tokens")
	}
	i := 0
	for value := range elements(raw) {
		where := fmt.Sprintf("merges[%d]", i)
		left, right, ok, err := readMerge(o.file, join(o.where, where), value)
		if err != nil {
			return nil, err
		}
		if ok {
			if err := m.Merge(left, right); err != nil {
				return nil, o.malformed(where, err.Error())
			}
		}
		i++
	}
	return m, nil
}

// readMerge reads a pair of tokens: an array of two strings or, in older files,
// a string with a space between them. One of those may be the head of a
// merges.txt, which is no pair.
func readMerge(file, where string, raw json.RawMessage) (left, right string, ok bool, err error) {
	if raw[0] != '"' {
		var pair []string
		if err := decodeJSON(file, where, raw, &pair); err != nil {
			return "", "", false, err
		}
		if len(pair) != 2 {
			return "", "", false, &MalformedError{file, where, "should be two tokens"}
		}
		return pair[0], pair[1], true, nil
	}
	var line string
	if err := decodeJSON(file, where, raw, &line); err != nil {
		return "", "", false, err
	}
	if strings.HasPrefix(line, "#version") {
		return "", "", false, nil
	}
	left, right, ok = strings.Cut(line, " ")
	if !ok || strings.Contains(right, " ") {
		return "", "", false, &MalformedError{file, where, "should be two tokens with a space between them"}
	}
	return left, right, true, nil
}

// readByteLevel reads a byte-level pre-tokenizer. tokenizer_config.json has the
// last word on the space before a text, as it has in the fast tokenizers.
func readByteLevel(o object, s *settings) (text.PreTokenizer, error) {
	var p text.ByteLevel
	pattern := true
	if err := o.need("add_prefix_space", &p.PrefixSpace); err != nil {
		return nil, err
	}
	if err := o.get("use_regex", &pattern); err != nil {
		return nil, err
	}
	if pattern {
		p.Pattern = text.GPT2{}
	}
	if s.class == gpt2 || s.class == roberta {
		return p, s.config.get("add_prefix_space", &p.PrefixSpace)
	}
	return p, nil
}

// patterns are the regular expressions that have scanners of their own.
var patterns = map[string]text.Pattern{
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`: text.GPT2{},

	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: text.Llama3{Digits: 3},
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`:      text.Llama3{Digits: 1},

	`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`: text.CLIP{},
}

// readSplit reads a pre-tokenizer that splits at a pattern.
func readSplit(o object) (text.PreTokenizer, error) {
	var s text.Split
	var err error
	if s.Behavior, err = readBehavior(o, ""); err != nil {
		return nil, err
	}
	if err := o.get("invert", &s.Invert); err != nil {
		return nil, err
	}
	s.Pattern, _, err = readPattern(o)
	return s, err
}

// readPattern reads the pattern of a component, a string or a regular
// expression, and the least number of bytes that it matches.
func readPattern(o object) (text.Pattern, int, error) {
	pattern, err := o.object("pattern")
	if err != nil {
		return nil, 0, err
	}
	if !pattern.has("Regex") {
		var literal string
		if err := pattern.need("String", &literal); err != nil {
			return nil, 0, err
		}
		if literal == "" {
			return nil, 0, pattern.malformed("String", "is empty")
		}
		return text.Literal(literal), len(literal), nil
	}
	var expression string
	if err := pattern.need("Regex", &expression); err != nil {
		return nil, 0, err
	}
	if p, ok := patterns[expression]; ok {
		return p, 1, nil
	}
	re, err := regex.Compile(expression)
	var invalid *regex.Error
	switch {
	case errors.As(err, &invalid) && invalid.Unsupported:
		return nil, 0, pattern.unsupported(fmt.Sprintf("the regular expression %q, which %v", expression, err))
	case err != nil:
		return nil, 0, pattern.malformed("Regex", err.Error())
	}
	return re, re.MinLength(), nil
}

// trim says whether the spans of tokens leave out the white space at the ends
// of the tokens. The zero value keeps it.
type trim struct {
	spaces bool
	// prefix says that the space before the first token was put there, and is
	// none of the text.
	prefix bool
}

func (t *trim) read(o object) error {
	return o.needAll(field{"trim_offsets", &t.spaces}, field{"add_prefix_space", &t.prefix})
}

// span trims the span of a token of the text s by as many runes as there are
// blank ones at the ends of how it is spelled, as process_offsets of the
// tokenizers library does; first says that it is the first token of s.
func (t trim) span(token *Token, s, spelled string, first bool) {
	blank := func(r rune) bool { return r == text.Space || text.IsSpace(r) }
	rest := strings.TrimLeftFunc(spelled, blank)
	leading := utf8.RuneCountInString(spelled[:len(spelled)-len(rest)])
	if leading == 1 && t.prefix && (first || token.Start == 0) {
		leading = 0
	}
	for ; leading > 0 && token.Start < token.End; leading-- {
		_, size := utf8.DecodeRuneInString(s[token.Start:])
		token.Start += size
		token.RuneStart++
	}
	rest = strings.TrimRightFunc(spelled, blank)
	trailing := utf8.RuneCountInString(spelled[len(rest):])
	if trailing > token.RuneEnd {
		return
	}
	for ; trailing > 0 && token.Start < token.End; trailing-- {
		_, size := utf8.DecodeLastRuneInString(s[:token.End])
		token.End -= size
		token.RuneEnd--
	}
}

// byteLevelDecoder reads the bytes that all tokens together spell as UTF-8.
type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(tokens []string) []string {
	var b []byte
	for _, token := range tokens {
		b = text.AppendHidden(b, token)
	}
	return []string{validUTF8(b)}
}

// validUTF8 returns b with every maximal part of a rune that is not UTF-8
// replaced by U+FFFD, as the Unicode Standard recommends (section 3.9, U+FFFD
// Substitution of Maximal Subparts) and both reference implementations do.
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			size = subpart(b)
		}
		s.WriteRune(r)
		b = b[size:]
	}
	return s.String()
}

// subpart returns the length of the longest beginning of b that could go on as
// UTF-8, or 1.
func subpart(b []byte) int {
	n := 1
	for n < len(b) && !utf8.FullRune(b[:n+1]) {
		n++
	}
	return n
}

// suffixDecoder puts a space in the place of the suffix that ends a word, but
// for the last.
type suffixDecoder struct{ suffix string }

func (d suffixDecoder) decode(tokens []string) []string {
	parts := make([]string, len(tokens))
	for i, token := range tokens {
		space := " "
		if i == len(tokens)-1 {
			space = ""
		}
		parts[i] = strings.ReplaceAll(token, d.suffix, space)
	}
	return parts
}
