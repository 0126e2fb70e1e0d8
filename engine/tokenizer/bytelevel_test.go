package tokenizer

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

// withFile is a folder in which one file is another, or new.
type withFile struct {
	fs.FS
	name, data string
}

func (f withFile) Open(name string) (fs.File, error) {
	if name == f.name {
		return fstest.MapFS{name: {Data: []byte(f.data)}}.Open(name)
	}
	return f.FS.Open(name)
}

// TestGoldenByteLevel holds vocab.json with merges.txt, and tokenizer.json where
// it stands in for them, to the golden cases.
func TestGoldenByteLevel(t *testing.T) {
	const assetFolder = assets + "/assets/tokenizers/"
	for _, c := range []struct {
		name, dir string
		slow      bool
		config    string // tokenizer_config.json, if not the folder's own
	}{
		{"tok_gpt2", assetFolder + "gpt2", true, ""},
		{"tok_roberta-base", assetFolder + "roberta-base", true, ""},
		{"tok_roberta-base", assetFolder + "roberta-base", false, ""},
		{"tok_clip", assetFolder + "clip", false, ""},
		{"tok_tiny-gpt2", conformance + "/models/gpt2-text", true, ""},
		{"tok_tiny-qwen2", conformance + "/models/gpt2-text", true, `{"tokenizer_class":"Qwen2Tokenizer","clean_up_tokenization_spaces":true}`},
	} {
		rules := "tokenizer.json"
		if c.slow {
			rules = "vocab.json"
		}
		t.Run(c.name+"/"+rules, func(t *testing.T) {
			if _, err := os.Stat(c.dir); err != nil {
				t.Skipf("%s is not present", filepath.Clean(c.dir))
			}
			fsys := os.DirFS(c.dir)
			if c.slow {
				fsys = vocabFolder{fsys}
			}
			if c.config != "" {
				fsys = withFile{fsys, "tokenizer_config.json", c.config}
			}
			tok, err := Open(fsys)
			if err != nil {
				t.Fatal(err)
			}
			loadGolden(t, c.name).check(t, tok)
		})
	}
}
