package tokenizer

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// unigramGolden are values of the tokenizers library: of tokenizer.json files
// over the vocabularies and the normalization rules of the SentencePiece models
// of the golden cases.
type unigramGolden struct {
	Configurations map[string]map[string]json.RawMessage
	Cases          []struct {
		Configuration, Text string
		IDs                 []int32 `json:"ids"`
		Tokens              []string
		TypeIDs             []int32  `json:"type_ids"`
		Offsets             [][2]int // code points
		Decode, Skip        string
	}
}

// unigramJSON fills vocabulary and rules into the configuration of a golden
// case.
func unigramJSON(t testing.TB, configuration map[string]json.RawMessage) string {
	t.Helper()
	var recipe struct {
		Model         string
		Before, After [][2]any // tokens with their scores, around those of the model
		Skip          int      // how many of the model's tokens are left out
		Comma         float64  // what is added to the score of tokens that end in a digit and a comma
	}
	if err := json.Unmarshal(configuration["vocab"], &recipe); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(conformance, recipe.Model, "spiece.model"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := parsePieceModel("spiece.model", data)
	if err != nil {
		t.Fatal(err)
	}
	vocab := recipe.Before
	for _, p := range m.pieces[recipe.Skip:] {
		if rest, ok := strings.CutSuffix(p.Token, ","); ok && rest != "" && unicode.IsDigit([]rune(rest)[len([]rune(rest))-1]) {
			p.Score += recipe.Comma
		}
		vocab = append(vocab, [2]any{p.Token, p.Score})
	}
	vocab = append(vocab, recipe.After...)

	file := maps.Clone(configuration)
	delete(file, "vocab")
	var model map[string]any
	if err := json.Unmarshal(file["model"], &model); err != nil {
		t.Fatal(err)
	}
	model["vocab"] = vocab
	file["model"] = mustJSON(t, model)
	rules := mustJSON(t, m.rules.charsmap) // as base64
	file["normalizer"] = []byte(strings.ReplaceAll(string(file["normalizer"]), `"$"`, string(rules)))
	return string(mustJSON(t, file))
}

func loadUnigramGolden(t testing.TB) *unigramGolden {
	t.Helper()
	data, err := os.ReadFile("testdata/unigram.json")
	if err != nil {
		t.Fatal(err)
	}
	golden := new(unigramGolden)
	if err := json.Unmarshal(data, golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) == 0 {
		t.Fatal("no cases")
	}
	return golden
}

// TestUnigramLibrary holds tokenizer.json over Unigram to values of the
// tokenizers library. Spans may end later than the library's, since they hold
// all that was composed or dropped.
func TestUnigramLibrary(t *testing.T) {
	golden := loadUnigramGolden(t)
	tokenizers := make(map[string]*Tokenizer)
	for name, configuration := range golden.Configurations {
		tok, err := Open(files("tokenizer.json", unigramJSON(t, configuration), "tokenizer_config.json", `{"tokenizer_class":"PreTrainedTokenizerFast"}`))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tokenizers[name] = tok
	}
	for _, c := range golden.Cases {
		tok := tokenizers[c.Configuration]
		e, err := tok.Encode(c.Text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		about := c.Configuration + ": " + c.Text
		tokens := []string{}
		for i, token := range e.Tokens {
			tokens = append(tokens, token.Text)
			if _, added := tok.added.byID[token.ID]; added && i < len(c.Tokens) {
				c.Tokens[i] = token.Text // the library shows it as the text has it
			}
			if i < len(c.Offsets) && (token.RuneStart != c.Offsets[i][0] || token.RuneEnd < c.Offsets[i][1]) {
				t.Errorf("%q: token %d has the span %d to %d, want %v", about, i, token.RuneStart, token.RuneEnd, c.Offsets[i])
			}
		}
		differ(t, about, "ids", e.IDs(), c.IDs)
		differ(t, about, "tokens", tokens, c.Tokens)
		differ(t, about, "type ids", e.TypeIDs(), c.TypeIDs)
		differ(t, about, "decode", tok.Join(c.IDs, false), c.Decode)
		differ(t, about, "decode without special tokens", tok.Join(c.IDs, true), c.Skip)
		differ(t, about, "AppendIDs", tok.AppendIDs([]int32{}, c.Text), c.IDs)
	}
}
