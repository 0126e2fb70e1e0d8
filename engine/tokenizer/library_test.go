package tokenizer

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestLibrary holds the rules of tokenizer.json to values of the tokenizers
// library, component by component.
func TestLibrary(t *testing.T) {
	var golden struct {
		Base           map[string]any
		Configurations map[string]map[string]any
		Cases          []struct {
			Configuration, Text string
			Pair                *string
			MaxLength           int      `json:"max_length"`
			NoSpecial           bool     `json:"no_special"`
			IDs                 []int32  `json:"ids"`
			TypeIDs             []int32  `json:"type_ids"`
			Offsets             [][2]int // code points
			WordIDs             []*int   `json:"word_ids"`
		}
	}
	data, err := os.ReadFile("testdata/library.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	vocab := readLines(t, filepath.Join(conformance, "models/bert-text/vocab.txt"))
	tokenizers := make(map[string]*Tokenizer)
	for name, changes := range golden.Configurations {
		file := maps.Clone(golden.Base)
		maps.Copy(file, changes)
		file["model"].(map[string]any)["vocab"] = vocab
		tok, err := Open(fstest.MapFS{"tokenizer.json": {Data: mustJSON(t, file)}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tokenizers[name] = tok
	}
	if len(golden.Cases) == 0 {
		t.Fatal("no cases")
	}
	for _, c := range golden.Cases {
		e, err := tokenizers[c.Configuration].Encode(c.Text, Options{Pair: c.Pair, MaxLength: c.MaxLength, NoSpecial: c.NoSpecial})
		if err != nil {
			t.Fatalf("%s: %q: %v", c.Configuration, c.Text, err)
		}
		var offsets [][2]int
		for i, token := range e.Tokens {
			offsets = append(offsets, [2]int{token.RuneStart, token.RuneEnd})
			// The library counts special tokens in the text as words.
			if i < len(c.WordIDs) && !token.Special && (c.WordIDs[i] == nil || *c.WordIDs[i] != token.Word) {
				t.Errorf("%s: %q: token %d is of word %d", c.Configuration, c.Text, i, token.Word)
			}
		}
		for what, d := range map[string]string{
			"ids":     cmp.Diff(c.IDs, e.IDs()),
			"types":   cmp.Diff(c.TypeIDs, e.TypeIDs()),
			"offsets": cmp.Diff(c.Offsets, append([][2]int{}, offsets...)),
		} {
			if d != "" {
				t.Errorf("%s: %q: %s (-want +got):\n%s", c.Configuration, c.Text, what, d)
			}
		}
	}
}

// readLines returns a vocabulary that has a token a line.
func readLines(t testing.TB, path string) map[string]int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	vocab := make(map[string]int)
	for s := bufio.NewScanner(f); s.Scan(); {
		vocab[s.Text()] = len(vocab)
	}
	return vocab
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
