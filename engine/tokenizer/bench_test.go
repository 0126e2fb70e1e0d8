package tokenizer

import (
	"os"
	"strings"
	"testing"
)

var prose = map[string]string{
	"english": strings.Repeat("The film is gripping, beautifully shot and unbelievably well acted; it's a pity that the second half drags on.\n", 100),
	"chinese": strings.Repeat("酒店非常干净,服务也很好。房间的设施有点旧,但是位置不错。\n", 100),
}

const realGPT2 = assets + "/assets/tokenizers/gpt2"

func BenchmarkAppendIDs(b *testing.B) {
	for _, c := range []struct {
		name, dir, text string
		slow            bool
	}{
		{"english/tokenizer.json", english, prose["english"], false},
		{"english/vocab.txt", english, prose["english"], true},
		{"english/short", english, prose["english"][:112], false},
		{"chinese/tokenizer.json", chinese, prose["chinese"], false},
		{"chinese/vocab.txt", chinese, prose["chinese"], true},
		{"english/gpt2", realGPT2, prose["english"], true},
		{"chinese/gpt2", realGPT2, prose["chinese"], true},
		{"one word/gpt2", realGPT2, strings.Repeat("unbelievably", 1000), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			tok := openFolder(b, c.dir, c.slow)
			ids := tok.AppendIDs(nil, c.text)
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				ids = tok.AppendIDs(ids[:0], c.text)
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	tok := openFolder(b, english, false)
	b.SetBytes(int64(len(prose["english"])))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tok.Encode(prose["english"], Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, dir := range []string{english, assets + "/assets/tokenizers/bert-base-uncased", realGPT2} {
		b.Run(dir, func(b *testing.B) {
			openFolder(b, dir, false)
			for b.Loop() {
				if _, err := Open(os.DirFS(dir)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPieces(b *testing.B) {
	for _, c := range []struct{ name, path, config string }{
		{"xlnet", "assets/tokenizers/xlnet-base-cased/spiece.model", `{"tokenizer_class":"XLNetTokenizer"}`},
		{"t5", "assets/tokenizers/t5-base/spiece.model", `{"tokenizer_class":"T5Tokenizer"}`},
		{"tiny-llama", "models/tok-spm-bpe/spiece.model", `{"tokenizer_class":"LlamaTokenizer"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			tok := openPieces(b, c.path, c.config)
			ids := tok.AppendIDs(nil, prose["english"])
			b.SetBytes(int64(len(prose["english"])))
			b.ReportAllocs()
			for b.Loop() {
				ids = tok.AppendIDs(ids[:0], prose["english"])
			}
		})
	}
}
