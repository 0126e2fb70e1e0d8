package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// settings is what the files beside tokenizer.json or vocab.txt say.
type settings struct {
	config object // tokenizer_config.json, empty if there is none
	class  string // the tokenizer class, without the suffix of the fast ones; may be empty
	vocab  bool   // whether vocab.txt is there
	roles  roles
	// added are the tokens listed with their ids, special those known by a role
	// or listed as special.
	added, special []addedToken
	// assumed are those of special that no file names: they have BERT's names.
	assumed map[string]bool
}

// bertClasses are the tokenizer classes of transformers that are copies of
// BertTokenizer.
var bertClasses = []string{
	"BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
	"LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer", "RetriBertTokenizer",
}

// bert says whether the tokenizer class is BERT's, as it is if none is named.
func (s *settings) bert() bool { return s.class == "" || slices.Contains(bertClasses, s.class) }

func (f *folder) settings() (*settings, error) {
	config, err := f.object("tokenizer_config.json")
	if err != nil {
		return nil, err
	}
	specialMap, err := f.object("special_tokens_map.json")
	if err != nil {
		return nil, err
	}
	addedMap, err := f.object("added_tokens.json")
	if err != nil {
		return nil, err
	}
	s := &settings{config: config, assumed: make(map[string]bool)}
	if err := config.get("tokenizer_class", &s.class); err != nil {
		return nil, err
	}
	s.class = strings.TrimSuffix(s.class, "Fast")
	_, err = fs.Stat(f.fsys, "vocab.txt")
	s.vocab = err == nil
	// A configuration that lists the added tokens is newer than the maps.
	names := []object{config, specialMap}
	if config.has("added_tokens_decoder") {
		names, addedMap = []object{specialMap, config}, object{}
	}
	if err := s.readAdded(addedMap); err != nil {
		return nil, err
	}
	return s, s.readSpecial(names)
}

// readAdded collects the added tokens that are listed with their ids.
func (s *settings) readAdded(addedMap object) error {
	if s.config.has("added_tokens_decoder") {
		list, err := s.config.object("added_tokens_decoder")
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(list.fields)) {
			id, err := strconv.ParseInt(key, 10, 32)
			if err != nil || id < 0 {
				return list.malformed(key, "should be the id of a token")
			}
			token, err := readToken(list.file, join(list.where, key), list.fields[key])
			if err != nil {
				return err
			}
			token.id = int32(id)
			s.added = append(s.added, token)
		}
	}
	for _, content := range slices.Sorted(maps.Keys(addedMap.fields)) {
		token := addedToken{content: content, normalized: true}
		if err := addedMap.need(content, &token.id); err != nil {
			return err
		}
		if token.id < 0 {
			return addedMap.malformed(content, "should be a token with its id")
		}
		s.added = append(s.added, token)
	}
	slices.SortStableFunc(s.added, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	return nil
}

// readSpecial collects the special tokens that the objects name; of two that
// name the same role the later one counts.
func (s *settings) readSpecial(names []object) error {
	for _, role := range []struct {
		key, usual string
		token      *string
	}{
		{"bos_token", "", new(string)},
		{"eos_token", "", new(string)},
		{"unk_token", "[UNK]", &s.roles.unk},
		{"sep_token", "[SEP]", &s.roles.sep},
		{"pad_token", "[PAD]", &s.roles.pad},
		{"cls_token", "[CLS]", &s.roles.cls},
		{"mask_token", "[MASK]", &s.roles.mask},
	} {
		token := addedToken{content: role.usual}
		assumed := true
		for _, o := range names {
			if !o.has(role.key) {
				continue
			}
			token, assumed = addedToken{}, false
			if !o.null(role.key) {
				var err error
				if token, err = readToken(o.file, role.key, o.fields[role.key]); err != nil {
					return err
				}
			}
		}
		if token.content == "" || assumed && !s.bert() {
			continue
		}
		*role.token = token.content
		s.name(token, assumed)
	}
	for _, o := range names {
		list, err := o.list("additional_special_tokens")
		if err != nil {
			return err
		}
		for i, raw := range list {
			token, err := readToken(o.file, fmt.Sprintf("additional_special_tokens[%d]", i), raw)
			if err != nil {
				return err
			}
			s.name(token, false)
		}
	}
	return nil
}

// name adds a token to the special ones.
func (s *settings) name(token addedToken, assumed bool) {
	if token.content == "" {
		return
	}
	token.special = true
	s.special = append(s.special, token)
	if assumed {
		s.assumed[token.content] = true
	}
}

// maxLength returns model_max_length, or 0 where it is missing or, as is usual
// for "no limit", absurd.
func (s *settings) maxLength() (int, error) {
	var n float64
	if err := s.config.get("model_max_length", &n); err != nil {
		return 0, err
	}
	if n < 1 || n > math.MaxInt32 {
		return 0, nil
	}
	return int(n), nil
}

// object reads a JSON object from a file, which may be missing.
func (f *folder) object(name string) (object, error) {
	data, err := f.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return object{file: name}, nil
	}
	if err != nil {
		return object{}, err
	}
	return parseFile(name, data)
}

// readToken reads an added token: a string, or an object with its flags.
func readToken(file, where string, raw json.RawMessage) (addedToken, error) {
	var token addedToken
	if len(raw) > 0 && raw[0] == '"' {
		err := decodeJSON(file, where, raw, &token.content)
		return token, err
	}
	o, err := parseObject(file, where, raw)
	if err != nil {
		return token, err
	}
	if err := o.need("content", &token.content); err != nil {
		return token, err
	}
	if err := o.getAll(
		field{"single_word", &token.singleWord}, field{"lstrip", &token.lstrip}, field{"rstrip", &token.rstrip},
		field{"normalized", &token.normalized}, field{"special", &token.special},
	); err != nil {
		return token, err
	}
	if !o.has("normalized") {
		token.normalized = !token.special
	}
	return token, nil
}

// addNamed adds the tokens of the settings. A token has the id of the
// vocabulary; if it is not in there, the one it is listed with, or else the
// next free one.
func (t *Tokenizer) addNamed(s *settings) error {
	for _, token := range s.added {
		if err := t.add(token, !t.python); err != nil {
			return err
		}
	}
	for _, token := range s.special {
		if i, known := t.added.byText[token.content]; known {
			t.added.tokens[i].special = true
			continue
		}
		if _, known := t.model.Vocabulary().ID(token.content); !known && s.assumed[token.content] {
			continue
		}
		if err := t.add(token, true); err != nil {
			return err
		}
	}
	return nil
}
