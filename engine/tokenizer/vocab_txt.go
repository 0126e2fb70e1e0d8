package tokenizer

import (
	"bytes"
	"math"
	"slices"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// slowOptions are what tokenizer_config.json may say to BertTokenizer.
type slowOptions struct {
	lowercase    bool
	stripAccents *bool // nil: as lowercase
	chineseChars bool
	basic        bool // whether anything but white space cuts words
	neverSplit   []string
	splitSpecial bool // whether special tokens in the text are text
	cleanup      bool
}

func readSlowOptions(config object) (slowOptions, error) {
	o := slowOptions{lowercase: true, chineseChars: true, basic: true, cleanup: true}
	err := config.getAll(
		field{"do_lower_case", &o.lowercase},
		field{"strip_accents", &o.stripAccents},
		field{"tokenize_chinese_chars", &o.chineseChars},
		field{"do_basic_tokenize", &o.basic},
		field{"never_split", &o.neverSplit},
		field{"split_special_tokens", &o.splitSpecial},
		field{"clean_up_tokenization_spaces", &o.cleanup},
	)
	return o, err
}

// openVocab makes the tokenizer of a folder that has vocab.txt and no
// tokenizer.json. It is BertTokenizer of transformers 4.39 in Python.
func (f *folder) openVocab(data []byte) (*Tokenizer, error) {
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	if s.name == "" {
		modelType, err := f.modelType()
		if err != nil {
			return nil, err
		}
		s.class = bert
		if modelType != "" && !slices.Contains(bert.models, modelType) {
			return nil, &UnsupportedError{"config.json", "model_type", modelType + " with vocab.txt alone", saveFast}
		}
	}
	if s.class != bert {
		return nil, &UnsupportedError{s.config.file, "tokenizer_class", s.name, saveFast}
	}
	if err := s.readSpecial(); err != nil {
		return nil, err
	}
	o, err := readSlowOptions(s.config)
	if err != nil {
		return nil, err
	}
	vocabulary, err := readVocab(data)
	if err != nil {
		return nil, err
	}
	unknown, ok := vocabulary.ID(s.roles.unk)
	if !ok {
		return nil, lacks("vocab.txt", "unknown", s.roles.unk)
	}
	t := &Tokenizer{
		model:    model.NewWordPiece(vocabulary, unknown, "##", 100),
		decoder:  wordPieceDecoder{prefix: "##"},
		cleanup:  o.cleanup,
		between:  " ",
		roles:    s.roles,
		python:   true,
		oddFirst: true,
	}
	if err := t.addNamed(s); err != nil {
		return nil, err
	}
	if err := t.useTruncation(s, object{}); err != nil {
		return nil, err
	}

	cls, ok := t.ClsID()
	if !ok {
		return nil, lacks("vocab.txt", "classifier", s.roles.cls)
	}
	sep, ok := t.SepID()
	if !ok {
		return nil, lacks("vocab.txt", "separator", s.roles.sep)
	}
	t.single, t.pair = bertTemplates(s.roles.cls, cls, s.roles.sep, sep)

	if !o.splitSpecial {
		t.raw = newMatcher(t.added.tokens, true, func(token addedToken) string { return token.content })
	}
	if !o.basic {
		t.preTokenizer = text.SlowSplit{}
		return t, nil
	}
	stripAccents := o.lowercase
	if o.stripAccents != nil {
		stripAccents = *o.stripAccents
	}
	special := make([]string, len(s.special))
	for i, token := range s.special {
		special[i] = token.content
	}
	whole := text.NewSet(slices.Concat(special, o.neverSplit))
	t.neverSplit = text.NewSet(o.neverSplit)
	t.normalizer = text.SlowBert{
		ChineseChars: o.chineseChars, StripAccents: stripAccents, Lowercase: o.lowercase, NeverSplit: whole,
	}
	t.preTokenizer = text.SlowBertPreTokenizer{NeverSplit: whole}
	if o.lowercase {
		t.prepare = lowercaseExcept(t, s)
	}
	return t, nil
}

// prefixFinder returns a function that returns the end of the first of the
// words that begins at the byte i of a text, or i.
func prefixFinder(words []string) func(b []byte, i int) int {
	trie := model.NewTrie()
	var first [256]bool
	for i, w := range words {
		first[w[0]] = true
		if _, ok := trie.ID(w); !ok {
			trie.Insert(w, int32(i))
		}
	}
	return func(b []byte, i int) int {
		if !first[b[i]] {
			return i
		}
		_, n := trie.Least(b[i:])
		return i + n
	}
}

// readVocab reads a vocab.txt: a token a line, its id is the number of the
// line. Of equal lines the last counts. As in Python, lines end in LF, CRLF or
// CR.
func readVocab(data []byte) (*model.Vocabulary, error) {
	lines := bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	lines = bytes.ReplaceAll(lines, []byte("\r"), []byte("\n"))
	lines = bytes.TrimSuffix(lines, []byte("\n"))
	if len(lines) == 0 {
		return nil, &MalformedError{"vocab.txt", "", "is empty"}
	}
	if bytes.Count(lines, []byte("\n")) >= math.MaxInt32 {
		return nil, &UnsupportedError{File: "vocab.txt", Component: "more tokens than ids", Hint: useIDs}
	}
	v := model.NewVocabulary()
	id := int32(0)
	for line := range bytes.SplitSeq(lines, []byte("\n")) {
		if len(line) > maxToken {
			return nil, &UnsupportedError{"vocab.txt", "", longTokens, useIDs}
		}
		v.Add(string(line), id)
		id++
	}
	return v, nil
}

// lacks is the error for a role whose token no file names, or that the
// vocabulary in a file does not have.
func lacks(file, role, token string) error {
	if token == "" {
		return &MalformedError{"tokenizer_config.json", "", "names no " + role + " token"}
	}
	return &MalformedError{file, "", "lacks the " + role + " token " + token}
}
