package tokenizer

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	conformance = "../../testdata/conformance"
	// assets are other projects' vocabularies, beside a checkout but not in it.
	assets = "../../../shared"
)

// goldenCase is a case of transformers' slow tokenizers.
type goldenCase struct {
	Config struct {
		Files      []struct{ Path string }
		SpecialIDs map[string]int32 `json:"special_ids"`
		Len        int
	}
	Texts []struct {
		Text            string
		Tokens          []string
		IDs             []int32
		InputIDs        []int32  `json:"input_ids"`
		TypeIDs         []int32  `json:"token_type_ids"`
		Offsets         [][2]int // code points; nil where the reference is not exact
		Decode          string
		DecodeCleanSkip string `json:"decode_clean_skip"`
	}
	Pairs []struct {
		Text, Pair string
		Batch      []string
		Options    struct {
			Truncation any
			MaxLength  int `json:"max_length"`
		}
		InputIDs json.RawMessage `json:"input_ids"`
		TypeIDs  json.RawMessage `json:"token_type_ids"`
		Mask     json.RawMessage `json:"attention_mask"`
	} `json:"pairs_and_batches"`
}

func loadGolden(t *testing.T, name string) *goldenCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(conformance, "cases", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var c goldenCase
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Texts) == 0 || len(c.Pairs) == 0 {
		t.Fatalf("%s holds no texts or no pairs", name)
	}
	return &c
}

// vocabFolder is a model folder without its tokenizer.json.
type vocabFolder struct{ fs.FS }

func (f vocabFolder) Open(name string) (fs.File, error) {
	if name == "tokenizer.json" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f.FS.Open(name)
}

// openFolder opens the tokenizer of a folder, or skips the test where the
// folder is missing.
func openFolder(t testing.TB, dir string, slow bool) *Tokenizer {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s is not present", dir)
	}
	fsys := os.DirFS(dir)
	if slow {
		fsys = vocabFolder{fsys}
	}
	tok, err := Open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		slow bool
	}{
		{"tok_tiny-bert", true},
		{"tok_bert-base-uncased", true},
		{"tok_bert-base-cased", true},
		{"tok_bert-base-chinese", true},
		{"tok_bert-base-uncased", false},
	} {
		rules := "tokenizer.json"
		if c.slow {
			rules = "vocab.txt"
		}
		t.Run(c.name+"/"+rules, func(t *testing.T) {
			golden := loadGolden(t, c.name)
			path := golden.Config.Files[0].Path
			root := assets
			if strings.HasPrefix(path, "models/") {
				root = conformance
			}
			tok := openFolder(t, filepath.Join(root, filepath.Dir(path)), c.slow)
			golden.check(t, tok)
		})
	}
}

func (c *goldenCase) check(t *testing.T, tok *Tokenizer) {
	if tok.Size() != c.Config.Len {
		t.Errorf("Size() = %d, want %d", tok.Size(), c.Config.Len)
	}
	for role, get := range map[string]func() (int32, bool){
		"unk_token": tok.UnkID, "pad_token": tok.PadID, "cls_token": tok.ClsID,
		"sep_token": tok.SepID, "mask_token": tok.MaskID, "bos_token": tok.BosID, "eos_token": tok.EosID,
	} {
		want, wanted := c.Config.SpecialIDs[role]
		if id, ok := get(); ok != wanted || id != want {
			t.Errorf("%s = %d, %v, want %d, %v", role, id, ok, want, wanted)
		}
	}
	for _, want := range c.Texts {
		bare, err := tok.Encode(want.Text, Options{NoSpecial: true})
		if err != nil {
			t.Fatal(err)
		}
		tokens, offsets := []string{}, [][2]int{}
		for _, token := range bare.Tokens {
			tokens = append(tokens, token.Text)
			offsets = append(offsets, [2]int{token.RuneStart, token.RuneEnd})
		}
		differ(t, want.Text, "tokens", tokens, want.Tokens)
		differ(t, want.Text, "ids", bare.IDs(), want.IDs)
		if want.Offsets != nil {
			differ(t, want.Text, "offsets", offsets, want.Offsets)
		}
		full, err := tok.Encode(want.Text, Options{})
		if err != nil {
			t.Fatal(err)
		}
		differ(t, want.Text, "input_ids", full.IDs(), want.InputIDs)
		if want.TypeIDs != nil {
			differ(t, want.Text, "token_type_ids", full.TypeIDs(), want.TypeIDs)
		}
		differ(t, want.Text, "AppendIDs", tok.AppendIDs([]int32{}, want.Text), want.InputIDs)
		differ(t, want.Text, "decode", tok.Join(want.InputIDs, false), want.Decode)
		differ(t, want.Text, "decode_clean_skip", tok.Decode(want.InputIDs, true), want.DecodeCleanSkip)
	}
	for _, want := range c.Pairs {
		texts := want.Batch
		if texts == nil {
			texts = []string{want.Text}
		}
		o := Options{}
		if want.Batch == nil {
			o.Pair = &want.Pair
		}
		switch want.Options.Truncation {
		case true:
			o.MaxLength = want.Options.MaxLength
		case "only_first":
			o.MaxLength, o.Truncation = want.Options.MaxLength, OnlyFirst
		case "only_second":
			o.MaxLength, o.Truncation = want.Options.MaxLength, OnlySecond
		case nil:
		default:
			t.Fatalf("unknown truncation %v", want.Options.Truncation)
		}
		var encodings []*Encoding
		for _, s := range texts {
			e, err := tok.Encode(s, o)
			if err != nil {
				t.Fatal(err)
			}
			encodings = append(encodings, e)
		}
		about := texts[0] + " | " + want.Pair
		ids, typeIDs := []int32{}, []int32{}
		for _, e := range encodings {
			ids, typeIDs = append(ids, e.IDs()...), append(typeIDs, e.TypeIDs()...)
		}
		mask := flatten(t, want.Mask)
		differ(t, about, "input_ids", ids, unpadded(flatten(t, want.InputIDs), mask))
		if want.TypeIDs != nil { // some models read none
			differ(t, about, "token_type_ids", typeIDs, unpadded(flatten(t, want.TypeIDs), mask))
		}
	}
}

// unpadded returns the values that a mask keeps: the others pad a batch.
func unpadded(values, mask []int32) []int32 {
	kept := []int32{}
	for i, v := range values {
		if mask[i] != 0 {
			kept = append(kept, v)
		}
	}
	return kept
}

// flatten reads a list, or a list of lists, of numbers.
func flatten(t *testing.T, data []byte) []int32 {
	t.Helper()
	var flat []int32
	if json.Unmarshal(data, &flat) == nil {
		return flat
	}
	var rows [][]int32
	flat = nil
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		flat = append(flat, row...)
	}
	return flat
}

func differ(t *testing.T, about, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%q: %s (-want +got):\n%s", about, what, d)
	}
}
