package tokenizer

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/engine/tokenizer/internal/regex"
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

// openTiny opens the tokenizer of the model gpt2-text as one of a class.
func openTiny(t testing.TB, config string) *Tokenizer {
	t.Helper()
	tok, err := Open(withFile{os.DirFS(conformance + "/models/gpt2-text"), "tokenizer_config.json", config})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// byteLevel generates texts from what byte-level tokenizers have rules about.
func byteLevel() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.SampledFrom([]string{
			" ", "  ", "\t", "\n", "\r\n", "\n\n", " \n ", "\u00a0", "\u3000", "\u2028", "\x1c", "\u200b",
			"'s", "'S", "'ſ", "'t", "'re", "'LL", "'x", "'", "’s", "the", "Film", "film", "don't", "12345", "x1", "½", "Ⅳ", "...", "!?", "$5",
			"<|endoftext|>", "<|startoftext|>", "é", "e\u0301", "中文", "😀", "한", "Ġ", "\u0378",
		}),
		rapid.StringN(0, 4, -1),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
	})
}

// TestPatterns holds the scanners to the regular expressions that they stand in
// for, as package regex matches them.
func TestPatterns(t *testing.T) {
	for expression, pattern := range patterns {
		re, err := regex.Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprintf("%T", pattern), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				b := []byte(byteLevel().Draw(t, "text"))
				got, want := pattern.AppendMatches(nil, b), re.AppendMatches(nil, b)
				if !slices.Equal(got, want) {
					t.Fatalf("got %v, want %v", got, want)
				}
			})
		})
	}
}

// TestByteLevelLaws checks what holds for every text: that its tokens spell it,
// and that their spans leave nothing out.
func TestByteLevelLaws(t *testing.T) {
	for _, c := range []struct {
		name, config string
		spells       func(string) string // what the tokens spell
	}{
		{"GPT-2", `{"tokenizer_class":"GPT2Tokenizer"}`, func(s string) string { return s }},
		{"GPT-2, space before", `{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true}`, func(s string) string { return " " + s }},
		{"Qwen 2", `{"tokenizer_class":"Qwen2Tokenizer"}`, norm.NFC.String},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := openTiny(t, c.config)
			rapid.Check(t, func(t *rapid.T) {
				s := byteLevel().Draw(t, "text")
				e, err := tok.Encode(s, Options{})
				if err != nil {
					t.Fatal(err)
				}
				checkTokens(t, tok, s, e)
				if got := tok.Join(e.IDs(), false); got != c.spells(s) {
					t.Errorf("%q is spelled %q", s, got)
				}
				end := 0
				for _, token := range e.Tokens {
					if token.Start > end {
						t.Errorf("%q: nothing stands for the bytes %d to %d", s, end, token.Start)
					}
					end = token.End
				}
				if end != len(s) {
					t.Errorf("%q: nothing stands for what follows the byte %d", s, end)
				}
			})
		})
	}
}

// TestByteLevelLinear would run for hours if the time grew with the square of
// the length of a word, or of a text.
func TestByteLevelLinear(t *testing.T) {
	for _, config := range []string{`{"tokenizer_class":"GPT2Tokenizer"}`, `{"tokenizer_class":"Qwen2Tokenizer"}`} {
		tok := openTiny(t, config)
		const n = 1 << 18
		for name, part := range map[string]string{
			"one word": "a", "merges": "the", "spaces": " ", "lines": " \n", "symbols": "'", "letters": "é",
		} {
			s := strings.Repeat(part, n/len(part))
			ids := tok.AppendIDs(nil, s)
			if got := tok.Join(ids, false); got != s {
				t.Errorf("%s: %d tokens spell something else", name, len(ids))
			}
		}
	}
}

// TestSlowByteLevel checks what tokenizer_config.json decides where there is no
// tokenizer.json.
func TestSlowByteLevel(t *testing.T) {
	vocab := make(map[string]int)
	for _, token := range []string{"<s>", "</s>", "<unk>", "<pad>", "a", "b", "ab", "Ġ", "Ġa", "<mask>", "<|endoftext|>", "aa", "b</w>"} {
		vocab[token] = len(vocab)
	}
	const merges = "#version: 0.2\na b\nĠ a\nx y z\na a\n"
	for _, c := range []struct{ name, config, merges, text, want string }{
		{"no class", `{}`, merges, "ab a <mask>", "<s> ab Ġa <mask> </s>"},
		{"the mask takes the space before it", `{"tokenizer_class":"RobertaTokenizer","mask_token":"<mask>"}`, merges, "a <mask>", "<s> a <mask> </s>"},
		{"unless it is said not to", `{"tokenizer_class":"RobertaTokenizer","mask_token":{"content":"<mask>"}}`, merges, "a <mask>", "<s> a Ġ <mask> </s>"},
		{"space before", `{"tokenizer_class":"RobertaTokenizer","add_prefix_space":true}`, merges, "ab", "<s> Ġ ab </s>"},
		{"not before a space", `{"tokenizer_class":"RobertaTokenizer","add_prefix_space":true}`, merges, " ab", "<s> Ġ ab </s>"},
		{"nor before nothing", `{"tokenizer_class":"RobertaTokenizer","add_prefix_space":true}`, merges, "", "<s> </s>"},
		{"GPT-2 does both", `{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true}`, merges, " a", "Ġ Ġa"},
		{"beginning", `{"tokenizer_class":"GPT2Tokenizer","add_bos_token":true}`, merges, "a", "<|endoftext|> a"},
		{"an unknown byte is shown", `{"tokenizer_class":"GPT2Tokenizer"}`, merges, "ax", "a x"},
		{"special tokens may be text", `{"tokenizer_class":"GPT2Tokenizer","split_special_tokens":true,"unk_token":null}`, merges, "a<|endoftext|>b", "a b"},
		{"the first merge goes everywhere first", `{"tokenizer_class":"GPT2Tokenizer"}`, "\naa a\na a\n", "aaaa", "aa aa"},
		{"the last line must end", `{"tokenizer_class":"GPT2Tokenizer"}`, "\na b", "ab", "a b"},
		{"the first line is none", `{"tokenizer_class":"GPT2Tokenizer"}`, "a b\n", "ab", "a b"},
		{"to Qwen 2 it is one", `{"tokenizer_class":"Qwen2Tokenizer"}`, "a b", "ab", "ab"},
		{"unless it is a head", `{"tokenizer_class":"Qwen2Tokenizer"}`, "#version: 0.2\r\na b", "ab", "ab"},
		{"CLIP", `{"tokenizer_class":"CLIPTokenizer","bos_token":"<s>","eos_token":"</s>"}`, "#version: 0.2\na b", " A\x00B b", "<s> a b</w> b</w> </s>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := Open(files("vocab.json", string(mustJSON(t, vocab)), "merges.txt", c.merges, "tokenizer_config.json", c.config))
			if err != nil {
				t.Fatal(err)
			}
			e, err := tok.Encode(c.text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			tokens := []string{}
			for _, token := range e.Tokens {
				tokens = append(tokens, token.Text)
			}
			if got := strings.Join(tokens, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestBothFiles checks what the files of the slow tokenizer change where
// tokenizer.json lies beside: the spaces in spans, and an odd room.
func TestBothFiles(t *testing.T) {
	vocab, merges := readGPT2Text(t)
	alone := files("tokenizer.json", string(mustJSON(t, map[string]any{
		"pre_tokenizer":  json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false}`),
		"post_processor": json.RawMessage(`{"type":"RobertaProcessing","sep":["<|endoftext|>",396],"cls":["<|endoftext|>",396],"trim_offsets":true,"add_prefix_space":false}`),
		"model":          map[string]any{"type": "BPE", "vocab": vocab, "merges": merges},
	})))
	both := maps.Clone(alone)
	both["vocab.json"] = &fstest.MapFile{Data: mustJSON(t, vocab)}
	both["merges.txt"] = &fstest.MapFile{}
	pair := "a film film film"
	for _, c := range []struct {
		name  string
		fsys  fs.FS
		start int // of the second token
		first int // how many tokens of the text stay
	}{
		{"tokenizer.json alone", alone, 2, 2},
		{"beside vocab.json", both, 1, 3},
	} {
		tok, err := Open(c.fsys)
		if err != nil {
			t.Fatal(err)
		}
		e, err := tok.Encode("a film film film", Options{Pair: &pair, MaxLength: 5, NoSpecial: true})
		if err != nil {
			t.Fatal(err)
		}
		if e.Tokens[1].Start != c.start {
			t.Errorf("%s: the second token begins at %d, want %d", c.name, e.Tokens[1].Start, c.start)
		}
		first := 0
		for _, token := range e.Tokens {
			first += 1 - token.Sequence
		}
		if first != c.first {
			t.Errorf("%s: %d tokens of the text stay, want %d", c.name, first, c.first)
		}
	}
}

// TestByteLevelDecode checks that bytes that are no UTF-8 are replaced part by
// part of a rune.
func TestByteLevelDecode(t *testing.T) {
	for _, c := range []struct {
		tokens []string
		want   string
	}{
		{nil, ""},
		{[]string{"Ġa", "Ã", "©"}, " aé"},
		{[]string{"ä", "¸"}, "\ufffd"},
		{[]string{"ä", "a"}, "\ufffda"},
		{[]string{"ä¸", "ä¸Ń"}, "\ufffd中"},
		{[]string{"ðŁ", "ĺ", "Ģ", "ðŁĺ"}, "😀\ufffd"},
		{[]string{"ł", "ł"}, "\ufffd\ufffd"},
		{[]string{"àĤ", "íł", "ÿ"}, "\ufffd\ufffd\ufffd\ufffd\ufffd"},
		{[]string{"a", "<中>", "Ã©"}, "a<中>é"}, // a token that is not byte-level
	} {
		if got := strings.Join(byteLevelDecoder{}.decode(c.tokens), ""); got != c.want {
			t.Errorf("%q: got %q, want %q", c.tokens, got, c.want)
		}
	}
}
