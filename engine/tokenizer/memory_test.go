//go:build !race

package tokenizer

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestMemory holds what encoding a long text allocates to a number of bytes for
// each byte of it, and for each of its tokens, half of which is the result. The
// race detector allocates on its own account.
func TestMemory(t *testing.T) {
	const size, perByte, perToken = 256 << 10, 96, 160
	texts := map[string]string{
		"english":  strings.Repeat(prose["english"], size/len(prose["english"])),
		"chinese":  strings.Repeat(prose["chinese"], size/len(prose["chinese"])),
		"spaces":   strings.Repeat(" ", size),
		"one word": strings.Repeat("unbelievably", size/12),
	}
	for name, open := range map[string]func() *Tokenizer{
		"WordPiece":       func() *Tokenizer { return openFolder(t, english, false) },
		"WordPiece, slow": func() *Tokenizer { return openFolder(t, chinese, true) },
		"BPE":             func() *Tokenizer { return openFolder(t, filepath.Join(conformance, "models/gpt2-text"), true) },
		"Unigram": func() *Tokenizer {
			return openPieces(t, "models/tok-spm-unigram/spiece.model", `{"tokenizer_class":"T5Tokenizer"}`)
		},
		"BPE by score": func() *Tokenizer {
			return openPieces(t, "models/tok-spm-bpe/spiece.model", `{"tokenizer_class":"LlamaTokenizer"}`)
		},
	} {
		for kind, s := range texts {
			tok := open() // whose workers are new
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			e, err := tok.Encode(s, Options{})
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			if most := uint64(perByte*len(s) + perToken*len(e.Tokens)); allocated > most {
				t.Errorf("%s of %s: %d bytes for %d bytes and %d tokens, which should be at most %d", name, kind, allocated, len(s), len(e.Tokens), most)
			}
		}
	}
}
