package tokenizer

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// pieceFolder returns a model folder with a SentencePiece model and a
// configuration. It skips the test where the model is missing.
func pieceFolder(t testing.TB, path, config string) fs.FS {
	t.Helper()
	root := assets
	if strings.HasPrefix(path, "models/") {
		root = conformance
	}
	data, err := os.ReadFile(filepath.Join(root, path))
	if os.IsNotExist(err) && root == assets {
		t.Skipf("%s is not present", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"spiece.model": {Data: data}, "tokenizer_config.json": {Data: []byte(config)}}
}

func openPieces(t testing.TB, path, config string) *Tokenizer {
	t.Helper()
	tok, err := Open(pieceFolder(t, path, config))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// pieceCases are the golden cases over SentencePiece models, with what their
// configurations say.
var pieceCases = []struct{ name, config string }{
	{"tok_tiny-xlnet", `{"tokenizer_class":"XLNetTokenizer"}`},
	{"tok_xlnet-base-cased", `{"tokenizer_class":"XLNetTokenizer"}`},
	{"tok_tiny-albert", `{"tokenizer_class":"AlbertTokenizer"}`},
	{"tok_albert-base-v2", `{"tokenizer_class":"AlbertTokenizer"}`},
	{"tok_tiny-t5", `{"tokenizer_class":"T5Tokenizer","extra_ids":20}`},
	{"tok_tiny-t5-nonlegacy", `{"tokenizer_class":"T5Tokenizer","extra_ids":20,"legacy":false}`},
	{"tok_t5", `{"tokenizer_class":"T5Tokenizer"}`},
	{"tok_t5-nonlegacy", `{"tokenizer_class":"T5Tokenizer","legacy":false}`},
	{"tok_tiny-xlmr", `{"tokenizer_class":"XLMRobertaTokenizer"}`},
	{"tok_tiny-llama", `{"tokenizer_class":"LlamaTokenizer"}`},
	{"tok_tiny-llama-nonlegacy", `{"tokenizer_class":"LlamaTokenizer","legacy":false}`},
	{"tok_tiny-deberta-v2", `{"tokenizer_class":"DebertaV2Tokenizer"}`},
}

func TestGoldenPieces(t *testing.T) {
	for _, c := range pieceCases {
		t.Run(c.name, func(t *testing.T) {
			golden := loadGolden(t, c.name)
			golden.check(t, openPieces(t, golden.Config.Files[0].Path, c.config))
		})
	}
}

var _ = json.Marshal
