package tokenizer

import (
	"encoding/json"
	"strings"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// openMerges makes the tokenizer of a folder that has vocab.json and merges.txt
// and no tokenizer.json: the slow tokenizer in Python of its class, as of
// transformers 4.39.
func (f *folder) openMerges() (*Tokenizer, error) {
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	data, err := f.read("vocab.json")
	if err != nil {
		return nil, err
	}
	var raw json.RawMessage // checks the syntax
	if err := decodeJSON("vocab.json", "", data, &raw); err != nil {
		return nil, err
	}
	v, err := readVocabulary("vocab.json", "", data)
	if err != nil {
		return nil, err
	}
	if v.Size() == 0 {
		return nil, &MalformedError{"vocab.json", "", "has no tokens"}
	}
	merges, err := f.read("merges.txt")
	if err != nil {
		return nil, err
	}
	if s.name == "" {
		if err := f.guessByteLevel(s, v); err != nil {
			return nil, err
		}
	}
	if err := s.readSpecial(); err != nil {
		return nil, err
	}
	options := model.BPEOptions{Unknown: model.NoUnknown, Slow: true}
	if id, ok := v.ID(s.roles.unk); ok {
		options.Unknown = id
	}
	if s.class == clip {
		options.Suffix = clipSuffix
	}
	m := model.NewBPE(v, options)
	for line := range strings.SplitSeq(mergeLines(string(merges), s.class), "\n") {
		// A line that is no pair counts as one that no text has.
		if pair := strings.Fields(line); len(pair) == 2 {
			if err := m.Merge(pair[0], pair[1]); err != nil {
				return nil, &MalformedError{"merges.txt", "", err.Error()}
			}
		}
	}
	t := &Tokenizer{model: m, roles: s.roles, python: true}
	if err := t.addNamed(s); err != nil {
		return nil, err
	}
	if err := t.useTruncation(s, object{}); err != nil {
		return nil, err
	}
	return t, t.slowByteLevel(s)
}

// guessByteLevel finds the class of a vocabulary that no file names. One that
// has the rune of the space is byte-level, and what is not known better follows
// GPT-2.
func (f *folder) guessByteLevel(s *settings, v *model.Vocabulary) (err error) {
	if s.class, err = f.guessClass(v, nil); err != nil || s.class != nil {
		return err
	}
	modelType, err := f.modelType()
	if err != nil {
		return err
	}
	if modelType != "" {
		return &UnsupportedError{"config.json", "model_type", modelType + " with vocab.json and merges.txt alone", saveFast}
	}
	if _, ok := v.ID(string(text.Space)); !ok {
		return &UnsupportedError{"vocab.json", "", "a vocabulary that is not byte-level", saveFast}
	}
	s.class = gpt2
	return nil
}

// mergeLines returns the lines of a merges.txt that are merges. Most classes
// take the first line for a head and want a line end after the last; CLIP's
// reads no more merges than it was trained with.
func mergeLines(data string, c *class) string {
	data = strings.ReplaceAll(data, "\r\n", "\n")
	head, body, _ := strings.Cut(data, "\n")
	switch c {
	case qwen2:
		if strings.HasPrefix(head, "#version:") {
			return body
		}
		return data
	case clip:
		const most = 49152 - 256 - 2
		_, body, _ = strings.Cut(strings.TrimSpace(data), "\n")
		end := 0
		for range most {
			i := strings.IndexByte(body[end:], '\n')
			if i < 0 {
				return body
			}
			end += i + 1
		}
		return body[:end]
	}
	return body[:max(0, strings.LastIndexByte(body, '\n'))]
}

// slowByteLevel makes t, which has its model and its added tokens, follow the
// slow tokenizer of its class. What they do to a text as a whole comes before
// they look for added tokens.
func (t *Tokenizer) slowByteLevel(s *settings) error {
	t.python, t.oddFirst, t.surfaces, t.trim = true, true, true, trim{}
	t.single, t.pair = bareSingle, barePair
	t.prepare, t.normalizer, t.normalized = nil, nil, nil
	t.decoder, t.between, t.cleanup = byteLevelDecoder{}, " ", s.class != qwen2
	prefix, begin, splitSpecial := false, false, false
	if err := s.config.getAll(
		field{"add_prefix_space", &prefix}, field{"add_bos_token", &begin},
		field{"clean_up_tokenization_spaces", &t.cleanup}, field{"split_special_tokens", &splitSpecial},
	); err != nil {
		return err
	}
	t.raw = newMatcher(t.added.tokens, true, func(token addedToken) string {
		if splitSpecial {
			return ""
		}
		return token.content
	})
	words := text.Split{Pattern: text.GPT2{}, Behavior: text.Isolated}
	switch s.class {
	case gpt2:
		if prefix {
			t.prepare = text.PrefixSpace{}
		}
		if begin {
			id, ok := t.BosID()
			if !ok {
				return lacks("vocab.json", "beginning", s.roles.bos)
			}
			bos := templatePart{sequence: -1, id: id, token: s.roles.bos}
			t.single = template{bos, {sequence: 0}}
			t.pair = template{bos, {sequence: 0}, bos, {sequence: 1, typeID: 1}}
		}
	case roberta:
		if prefix {
			t.prepare = text.PrefixSpace{Sparing: true}
		}
		cls, ok := t.ClsID()
		if !ok {
			return lacks("vocab.json", "classifier", s.roles.cls)
		}
		sep, ok := t.SepID()
		if !ok {
			return lacks("vocab.json", "separator", s.roles.sep)
		}
		t.single, t.pair = robertaTemplates(s.roles.cls, cls, s.roles.sep, sep)
	case qwen2:
		t.prepare, t.between = text.NFC{}, ""
		words.Pattern = text.Llama3{Digits: 1}
	case clip:
		t.normalizer = text.SlowCLIP{}
		bos, ok := t.BosID()
		if !ok {
			return lacks("vocab.json", "beginning", s.roles.bos)
		}
		eos, ok := t.EosID()
		if !ok {
			return lacks("vocab.json", "end", s.roles.eos)
		}
		t.single, t.pair = robertaTemplates(s.roles.bos, bos, s.roles.eos, eos)
		t.decoder = clipDecoder{}
		t.neverSplit = text.NewSet([]string{"<|startoftext|>", "<|endoftext|>"})
		words = text.Split{Pattern: text.CLIP{Fold: true}, Behavior: text.Removed, Invert: true}
	default:
		return &UnsupportedError{s.config.file, "tokenizer_class", s.name, saveFast}
	}
	t.preTokenizer = text.PreTokenizers{words, text.ByteLevel{}}
	return nil
}

// clipSuffix is what the tokens of CLIP end with that end a word.
const clipSuffix = "</w>"

// clipDecoder is a byteLevelDecoder that puts spaces where words end.
type clipDecoder struct{}

func (clipDecoder) decode(tokens []string) []string {
	s := strings.Join(byteLevelDecoder{}.decode(tokens), "")
	return []string{strings.TrimSpace(strings.ReplaceAll(s, clipSuffix, " "))}
}
