package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// pieceFiles are the names that SentencePiece models go by. What they are for
// is the tokenizer class's business.
var pieceFiles = []string{"spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "spm.model"}

// pieceOptions are what tokenizer_config.json may say to the slow tokenizers
// over a SentencePiece model.
type pieceOptions struct {
	lowercase    bool
	removeSpace  bool
	keepAccents  bool
	splitByPunct bool
	legacy       bool
	prefixSpace  bool
	addBOS       bool
	addEOS       bool
	extraIDs     int
	splitSpecial bool // whether special tokens in the text are text
	cleanup      bool
}

func readPieceOptions(s *settings) (pieceOptions, error) {
	o := pieceOptions{
		lowercase: s.class == albert, removeSpace: true, legacy: true, prefixSpace: true,
		addBOS: true, extraIDs: 100, cleanup: true,
	}
	err := s.config.getAll(
		field{"do_lower_case", &o.lowercase},
		field{"remove_space", &o.removeSpace},
		field{"keep_accents", &o.keepAccents},
		field{"split_by_punct", &o.splitByPunct},
		field{"legacy", &o.legacy},
		field{"add_prefix_space", &o.prefixSpace},
		field{"add_bos_token", &o.addBOS},
		field{"add_eos_token", &o.addEOS},
		field{"extra_ids", &o.extraIDs},
		field{"split_special_tokens", &o.splitSpecial},
		field{"clean_up_tokenization_spaces", &o.cleanup},
	)
	switch {
	case err != nil:
		return o, err
	case o.extraIDs < 0 || o.extraIDs > maxExtra:
		return o, s.config.malformed("extra_ids", fmt.Sprintf("should be from 0 to %d", maxExtra))
	case s.class == debertaV2 && o.splitByPunct:
		return o, s.config.unsupported("split_by_punct")
	}
	return o, nil
}

// maxExtra is the largest number of extra tokens that a T5 tokenizer may have.
const maxExtra = 1 << 16

// openPieces makes the tokenizer of a folder that has a SentencePiece model and
// no tokenizer.json. It is the slow tokenizer of transformers 4.39 in Python
// that the configuration names, or that the model type has.
func (f *folder) openPieces(name string, data []byte) (*Tokenizer, error) {
	s, err := f.settings()
	if err != nil {
		return nil, err
	}
	if err := f.pieceClass(s, name); err != nil {
		return nil, err
	}
	if err := s.readSpecial(); err != nil {
		return nil, err
	}
	o, err := readPieceOptions(s)
	if err != nil {
		return nil, err
	}
	m, err := parsePieceModel(name, data)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{
		roles: s.roles, python: true, oddFirst: true, cleanup: o.cleanup,
		spaced: true, surfaces: true,
	}
	if err := t.useTruncation(s, object{}); err != nil {
		return nil, err
	}
	// Since the legacy behaviour was given up, what stands after a special token
	// begins with a space only if the text has one there.
	inside := (s.class == t5 || s.class == llama) && !o.legacy
	if inside {
		m.rules.prefix = false
	}
	if err := t.usePieces(s, m, name); err != nil {
		return nil, err
	}
	if s.class == t5 {
		for i := range o.extraIDs {
			err := t.add(addedToken{
				content: fmt.Sprintf("<extra_id_%d>", i), id: int32(len(m.pieces) + o.extraIDs - 1 - i),
				lstrip: true, rstrip: true, special: true, apart: true,
			}, false)
			if err != nil {
				return nil, err
			}
		}
	}
	if err := t.addNamed(s); err != nil {
		return nil, err
	}
	if s.class == xlnet {
		for i := range t.added.tokens {
			t.added.tokens[i].apart = true
		}
	}
	if t.single, t.pair, err = t.pieceTemplates(s, o, name); err != nil {
		return nil, err
	}
	if !o.splitSpecial {
		t.raw = newMatcher(t.added.tokens, true, func(token addedToken) string { return token.content })
	}
	normalizer, err := m.normalizer(name, inside)
	if err != nil {
		return nil, err
	}
	t.normalizer = normalizer
	switch s.class {
	case xlnet, albert:
		t.normalizer = text.Normalizers{
			text.SlowXLNet{RemoveSpace: o.removeSpace, StripAccents: !o.keepAccents, Lowercase: o.lowercase},
			normalizer,
		}
		t.model = &model.DigitComma{Model: t.model, Prefix: m.rules.prefix}
	case debertaV2:
		if o.lowercase {
			t.normalizer = text.Normalizers{text.SlowLowercase{}, normalizer}
		}
	}
	switch {
	case inside:
		t.prepare = text.SlowSpaces{Prefix: o.prefixSpace}
		t.dropSpace = true
	case o.lowercase && (s.class == xlnet || s.class == albert || s.class == debertaV2):
		t.prepare = lowercaseExcept(t, s)
	}
	t.decoder = newPieceDecoder(s, m, o)
	if s.class != xlnet {
		t.between = " "
	}
	if unigram, ok := t.model.(*model.Unigram); ok && inside {
		// Python has the text follow the unknown token, so that a space before it
		// stays, and takes the token away again.
		unigram.After([]byte(s.roles.unk))
	}
	return t, nil
}

// pieceClass settles the class of a tokenizer whose vocabulary is the SentencePiece
// model of that name: the one that the configuration names, or the model type has.
func (f *folder) pieceClass(s *settings, name string) error {
	if s.name == "" {
		modelType, err := f.modelType()
		if err != nil {
			return err
		}
		if modelType == "" {
			return &UnsupportedError{name, "", "a tokenizer class that no file names", "name the tokenizer_class in tokenizer_config.json, or the model_type in config.json"}
		}
		f.digest("config.json: model_type", []byte(modelType))
		if s.class = classOfModel(modelType); s.class == nil || !s.class.pieces {
			return &UnsupportedError{"config.json", "model_type", modelType + " with " + name + " alone", saveFast}
		}
	}
	if s.class == nil || !s.class.pieces {
		return &UnsupportedError{s.config.file, "tokenizer_class", s.name + " with " + name + " alone", saveFast}
	}
	return nil
}

// usePieces makes the model that the file describes.
func (t *Tokenizer) usePieces(s *settings, m *pieceModel, name string) error {
	if m.suffix {
		return &UnsupportedError{name, "", "treat_whitespace_as_suffix", saveFast}
	}
	if m.denormalizes {
		return &UnsupportedError{name, "", "rules for decoding", saveFast}
	}
	pieces, unknown := m.pieces, m.unknown
	if s.class == xlmRoberta {
		// The ids of fairseq: one more than SentencePiece's, but for the first.
		fixed := []string{"<s>", "<pad>", "</s>", "<unk>"}
		if len(pieces) < 3 || pieces[0].Token != fixed[3] || pieces[1].Token != fixed[0] || pieces[2].Token != fixed[2] {
			return &UnsupportedError{name, "", "XLMRobertaTokenizer over a model that does not begin with <unk>, <s>, </s>", saveFast}
		}
		pieces = slices.Clone(pieces)
		for i := range pieces {
			pieces[i].ID = int32(i + 1)
		}
		pieces[0].ID, pieces[1].ID, pieces[2].ID, unknown = 3, 0, 2, 3
		if !slices.ContainsFunc(pieces, func(p model.Scored) bool { return p.Token == fixed[1] }) {
			pieces = append(pieces, model.Scored{Token: fixed[1], ID: 1, Kind: model.Reserved})
		}
	}
	switch m.algorithm {
	case pieceUnigram:
		t.model = model.NewSentencePieceUnigram(pieces, unknown, m.byteFallback)
	case pieceBPE:
		t.model = model.NewSentencePieceBPE(pieces, unknown, m.byteFallback)
	default:
		return &UnsupportedError{name, "", fmt.Sprintf("model type %d", m.algorithm), saveFast}
	}
	return nil
}

// normalizer returns the normalizer that the file describes.
func (m *pieceModel) normalizer(name string, inside bool) (*text.SentencePiece, error) {
	var rules *text.Charsmap
	if len(m.rules.charsmap) > 0 {
		var err error
		if rules, err = parseCharsmap(name, "normalizer_spec.precompiled_charsmap", m.rules.charsmap); err != nil {
			return nil, err
		}
	}
	var userDefined []string
	for _, p := range m.pieces {
		if p.Kind == model.UserDefined {
			userDefined = append(userDefined, p.Token)
		}
	}
	return text.NewSentencePiece(rules, userDefined, text.Spaces{
		Squeeze: m.rules.squeeze, Prefix: m.rules.prefix, Inside: inside, Escape: m.rules.escape,
	}), nil
}

// parseCharsmap reads normalization rules that stand in a file.
func parseCharsmap(file, where string, data []byte) (*text.Charsmap, error) {
	rules, err := text.ParseCharsmap(data)
	switch {
	case errors.Is(err, text.ErrUnusual):
		return nil, &UnsupportedError{file, where, err.Error(), useIDs}
	case err != nil:
		return nil, &MalformedError{file, where, err.Error()}
	case rules.Growth() > maxGrowth:
		return nil, &UnsupportedError{file, where, fmt.Sprintf("rules that make a text more than %d times as long", maxGrowth), useIDs}
	}
	return rules, nil
}

// pieceTemplates returns how the class surrounds a text, and a text and its
// pair.
func (t *Tokenizer) pieceTemplates(s *settings, o pieceOptions, name string) (single, pair template, err error) {
	special := func(role, token string, typeID int32) templatePart {
		id, ok := t.role(token)
		if !ok && err == nil {
			err = lacks(name, role, token)
		}
		return templatePart{sequence: -1, typeID: typeID, id: id, token: token}
	}
	a, b := templatePart{sequence: 0}, templatePart{sequence: 1, typeID: 1}
	switch s.class {
	case xlnet:
		sep, cls := special("separator", s.roles.sep, 0), special("classifier", s.roles.cls, 2)
		second := sep
		second.typeID = 1
		return template{a, sep, cls}, template{a, sep, b, second, cls}, err
	case t5:
		eos := special("last", s.roles.eos, 0)
		eos.once = true
		b.typeID = 0
		return template{a, eos}, template{a, eos, b, eos}, err
	case xlmRoberta:
		cls, sep := special("classifier", s.roles.cls, 0), special("separator", s.roles.sep, 0)
		b.typeID = 0
		return template{cls, a, sep}, template{cls, a, sep, sep, b, sep}, err
	case llama:
		around := func(part templatePart) (t template) {
			if o.addBOS {
				t = append(t, special("first", s.roles.bos, part.typeID))
			}
			t = append(t, part)
			if o.addEOS {
				t = append(t, special("last", s.roles.eos, part.typeID))
			}
			return t
		}
		return around(a), append(around(a), around(b)...), err
	}
	cls, sep := special("classifier", s.roles.cls, 0), special("separator", s.roles.sep, 0)
	single, pair = bertTemplates(cls.token, cls.id, sep.token, sep.id)
	return single, pair, err
}

// lowercaseExcept maps text to lower case before added tokens are sought in it,
// as slow tokenizers do, but for the tokens that they find in the original.
func lowercaseExcept(t *Tokenizer, s *settings) text.Normalizer {
	var exempt []string
	for _, token := range s.special {
		exempt = append(exempt, token.content)
	}
	for _, token := range t.added.tokens {
		if !token.special && token.normalized {
			exempt = append(exempt, token.content)
		}
	}
	return text.LowercaseExcept{Find: prefixFinder(exempt)}
}

// pieceDecoder decodes the tokens of a SentencePiece model as the slow
// tokenizers do (convert_tokens_to_string).
type pieceDecoder struct {
	// special are the tokens between which SentencePiece decodes; where there
	// are none, the text is the tokens side by side.
	special map[string]bool
	trim    bool // whether the white space at the ends of the text goes
	// bareFirst drops every ▁ that the first token begins with, cutFirst one.
	bareFirst, cutFirst bool
	// gap puts a space before the first of several special tokens, gapFirst even
	// where they begin the text.
	gap, gapFirst bool

	control      map[string]bool // the tokens that SentencePiece leaves out
	unknown      string          // the token for what is unknown
	unknownText  string          // what it becomes
	byteFallback bool
	// dropFirst drops the first ▁ of a stretch of tokens, dropAll every one that
	// it begins with.
	dropFirst, dropAll bool
}

func newPieceDecoder(s *settings, m *pieceModel, o pieceOptions) pieceDecoder {
	if s.class == xlnet || s.class == xlmRoberta {
		return pieceDecoder{trim: true}
	}
	d := pieceDecoder{
		special: make(map[string]bool), control: make(map[string]bool),
		trim: true, bareFirst: s.class == t5, gap: true, gapFirst: true,
		unknown: m.pieces[m.unknown].Token, unknownText: m.unkSurface, byteFallback: m.byteFallback,
		dropFirst: m.rules.prefix || m.rules.squeeze, dropAll: m.rules.squeeze,
	}
	if s.class == llama {
		d.trim, d.cutFirst, d.gap, d.gapFirst = false, o.prefixSpace, o.legacy, false
	}
	for _, token := range s.special {
		d.special[token.content] = true
	}
	for _, p := range m.pieces {
		if p.Kind == model.Reserved {
			d.control[p.Token] = true
		}
	}
	return d
}

func (d pieceDecoder) decode(tokens []string) []string {
	if len(tokens) == 0 {
		return nil
	}
	var b strings.Builder
	if d.special == nil {
		for _, token := range tokens {
			b.WriteString(strings.ReplaceAll(token, space, " "))
		}
	} else {
		first := tokens[0]
		switch {
		case d.bareFirst:
			first = strings.TrimLeft(first, space)
		case d.cutFirst:
			first = strings.TrimPrefix(first, space)
		}
		tokens = append([]string{first}, tokens[1:]...)
		start := 0 // of the tokens that wait for a special one
		for i, token := range tokens {
			if !d.special[token] {
				continue
			}
			if d.gap && (i > start || i == 0 && d.gapFirst) {
				b.WriteByte(' ')
			}
			d.decodePieces(&b, tokens[start:i])
			b.WriteString(token)
			start = i + 1
		}
		d.decodePieces(&b, tokens[start:])
	}
	if d.trim {
		return []string{strings.TrimFunc(b.String(), text.IsPythonSpace)}
	}
	return []string{b.String()}
}

// space is what tokens spell a space as.
const space = "▁"

// decodePieces appends what SentencePiece decodes tokens to.
func (d pieceDecoder) decodePieces(b *strings.Builder, tokens []string) {
	var pending []byte
	flush := func() {
		for _, r := range string(pending) { // U+FFFD for every byte that is not UTF-8
			b.WriteRune(r)
		}
		pending = pending[:0]
	}
	empty := b.Len()
	begins := true // whether a ▁ would begin the text
	for _, token := range tokens {
		if c, ok := byteToken(token); ok && d.byteFallback {
			pending = append(pending, c)
			continue
		}
		flush()
		begins = begins && b.Len() == empty
		switch {
		case token == d.unknown:
			b.WriteString(d.unknownText)
			continue
		case d.control[token]:
			continue
		case begins && d.dropFirst && strings.HasPrefix(token, space):
			token = token[len(space):]
			begins = d.dropAll
		}
		b.WriteString(strings.ReplaceAll(token, space, " "))
	}
	flush()
}
