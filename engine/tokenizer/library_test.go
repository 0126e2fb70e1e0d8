package tokenizer

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestLibrary holds the rules of tokenizer.json to values of the tokenizers
// library, component by component.
func TestLibrary(t *testing.T) {
	t.Run("WordPiece", func(t *testing.T) {
		vocab := readLines(t, filepath.Join(conformance, "models/bert-text/vocab.txt"))
		testLibrary(t, "testdata/library.json", func(model map[string]any) { model["vocab"] = vocab })
	})
	t.Run("BPE", func(t *testing.T) {
		vocab, merges := readGPT2Text(t)
		testLibrary(t, "testdata/bytelevel.json", func(model map[string]any) {
			if model["vocab"] == nil {
				model["vocab"], model["merges"] = vocab, merges
			}
		})
	})
}

// testLibrary compares with the values in a file. Its configurations change the
// base, and complete makes their models whole.
func testLibrary(t *testing.T, path string, complete func(model map[string]any)) {
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
			Decode              *string
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	tokenizers := make(map[string]*Tokenizer)
	for name, changes := range golden.Configurations {
		file := maps.Clone(golden.Base)
		maps.Copy(file, changes)
		complete(file["model"].(map[string]any))
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
		tok := tokenizers[c.Configuration]
		e, err := tok.Encode(c.Text, Options{Pair: c.Pair, MaxLength: c.MaxLength, NoSpecial: c.NoSpecial})
		if err != nil {
			t.Fatalf("%s: %q: %v", c.Configuration, c.Text, err)
		}
		offsets := [][2]int{}
		for i, token := range e.Tokens {
			offsets = append(offsets, [2]int{token.RuneStart, token.RuneEnd})
			// The library counts special tokens in the text as words.
			if i < len(c.WordIDs) && !token.Special && (c.WordIDs[i] == nil || *c.WordIDs[i] != token.Word) {
				t.Errorf("%s: %q: token %d is of word %d", c.Configuration, c.Text, i, token.Word)
			}
		}
		about := c.Configuration + ": " + c.Text
		differ(t, about, "ids", e.IDs(), c.IDs)
		differ(t, about, "types", e.TypeIDs(), c.TypeIDs)
		differ(t, about, "offsets", offsets, c.Offsets)
		if c.Decode != nil {
			differ(t, about, "decode", tok.Join(c.IDs, false), *c.Decode)
		}
	}
}

// readGPT2Text returns the vocabulary and the merges of the model gpt2-text.
func readGPT2Text(t testing.TB) (vocab map[string]int, merges []string) {
	t.Helper()
	dir := filepath.Join(conformance, "models/gpt2-text")
	data, err := os.ReadFile(filepath.Join(dir, "vocab.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vocab); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(filepath.Join(dir, "merges.txt")); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return vocab, lines[1:]
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
