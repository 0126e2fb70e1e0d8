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
	config object   // tokenizer_config.json, empty if there is none
	name   string   // of the tokenizer class, without the suffix of the fast ones; may be empty
	fast   bool     // whether the class is named as a fast one
	class  *class   // nil if it is not a known one
	slow   bool     // whether the files of the slow tokenizer are there
	named  []object // the files that name special tokens, those that count more later
	roles  roles
	// added are the tokens listed with their ids, special those known by a role
	// or listed as special.
	added, special []addedToken
	// assumed are those of special that no file names: the usual ones of the class.
	assumed map[string]bool
}

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
	if err := config.get("tokenizer_class", &s.name); err != nil {
		return nil, err
	}
	s.name, s.fast = strings.CutSuffix(s.name, "Fast")
	s.class = classNamed(s.name)
	s.slow = f.has("vocab.txt") || f.has("vocab.json") && f.has("merges.txt")
	// A configuration that lists the added tokens is newer than the maps.
	names := []object{config, specialMap}
	if config.has("added_tokens_decoder") {
		names, addedMap = []object{specialMap, config}, object{}
	}
	s.named = names
	return s, s.readAdded(addedMap)
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

// readSpecial collects the special tokens that the files name, and the usual
// ones of the class for the roles that they leave open. Of two files that name
// the same role the later one counts.
func (s *settings) readSpecial() error {
	for _, role := range []struct {
		key   string
		token *string
	}{
		{"bos_token", &s.roles.bos},
		{"eos_token", &s.roles.eos},
		{"unk_token", &s.roles.unk},
		{"sep_token", &s.roles.sep},
		{"pad_token", &s.roles.pad},
		{"cls_token", &s.roles.cls},
		{"mask_token", &s.roles.mask},
	} {
		var usual addedToken
		if s.class != nil {
			usual = s.class.usual[role.key]
		}
		token, assumed := usual, true
		for _, o := range s.named {
			if !o.has(role.key) {
				continue
			}
			assumed = false
			if o.null(role.key) {
				token = addedToken{}
				continue
			}
			read, err := readToken(o.file, role.key, o.fields[role.key])
			if err != nil {
				return err
			}
			if o.fields[role.key][0] == '"' {
				token = usual
				token.content = read.content
			} else {
				token = read
			}
		}
		if token.content == "" {
			continue
		}
		*role.token = token.content
		s.addSpecial(token, assumed)
	}
	more := s.class != nil // whether the usual further tokens count
	for _, o := range s.named {
		more = more && !o.has("additional_special_tokens")
		list, err := o.list("additional_special_tokens")
		if err != nil {
			return err
		}
		for i, raw := range list {
			token, err := readToken(o.file, fmt.Sprintf("additional_special_tokens[%d]", i), raw)
			if err != nil {
				return err
			}
			token.apart = true
			s.addSpecial(token, false)
		}
	}
	if more {
		for _, content := range s.class.more {
			s.addSpecial(addedToken{content: content, apart: true}, true)
		}
	}
	return nil
}

// addSpecial adds a token to the special ones.
func (s *settings) addSpecial(token addedToken, assumed bool) {
	if token.content == "" {
		return
	}
	token.special = true
	s.special = append(s.special, token)
	if assumed {
		s.assumed[token.content] = true
	}
}

// useTruncation sets how long a text may be, and the side that is cut. Of the
// lengths that the configuration and the truncation block of tokenizer.json
// allow, the smaller one counts; of the sides, the configuration's. A
// model_max_length that is absurd is the usual way to say "no limit".
func (t *Tokenizer) useTruncation(s *settings, file object) error {
	block := object{}
	if !file.null("truncation") {
		var err error
		if block, err = file.object("truncation"); err != nil {
			return err
		}
	}
	var limit float64
	blockLimit := 0
	if err := s.config.get("model_max_length", &limit); err != nil {
		return err
	}
	if err := block.get("max_length", &blockLimit); err != nil {
		return err
	}
	for _, n := range []float64{limit, float64(blockLimit)} {
		if n >= 1 && n <= math.MaxInt32 && (t.maxLength == 0 || int(n) < t.maxLength) {
			t.maxLength = int(n)
		}
	}
	if err := t.readSide(block, "direction"); err != nil {
		return err
	}
	return t.readSide(s.config, "truncation_side")
}

// readSide reads the side that truncation cuts, if the key is there.
func (t *Tokenizer) readSide(o object, key string) error {
	name := ""
	if err := o.get(key, &name); err != nil || name == "" {
		return err
	}
	switch strings.ToLower(name) {
	case "right":
		t.cutSide = right
	case "left":
		t.cutSide = left
	default:
		return o.malformed(key, fmt.Sprintf("is %q, which is neither left nor right", name))
	}
	return nil
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
		_, known := t.model.Vocabulary().ID(token.content)
		if !known && s.assumed[token.content] && !(t.python && s.class.pieces) {
			continue
		}
		token.apart = token.apart && !known
		if err := t.add(token, true); err != nil {
			return err
		}
	}
	return nil
}
