package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/engine/tokenizer/internal/model"
	"github.com/xai-go/xai/engine/tokenizer/internal/text"
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
	return files("spiece.model", string(data), "tokenizer_config.json", config)
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

// TestGoldenSpans holds tokens and their spans to those that the SentencePiece
// library gives for the raw text of the golden cases, without what the tokenizer
// classes do around it. Of several tokens that one rune became, the library
// gives the last one its span; here all have it.
func TestGoldenSpans(t *testing.T) {
	for _, c := range []struct{ name, class string }{
		{"tok_xlnet-base-cased", "XLNetTokenizer"}, {"tok_tiny-xlnet", "XLNetTokenizer"},
		{"tok_albert-base-v2", "AlbertTokenizer"}, {"tok_tiny-t5", "T5Tokenizer"}, {"tok_t5", "T5Tokenizer"},
		{"tok_tiny-llama", "LlamaTokenizer"}, {"tok_tiny-deberta-v2", "DebertaV2Tokenizer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(conformance, "cases", c.name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var golden struct {
				Config struct{ Files []struct{ Path string } }
				Texts  []struct {
					Text string
					Raw  [][4]any `json:"spm_raw"` // token, id, begin and end in code points
				}
			}
			if err := json.Unmarshal(data, &golden); err != nil {
				t.Fatal(err)
			}
			tok := openPieces(t, golden.Config.Files[0].Path, `{"tokenizer_class":"`+c.class+`"}`)
			bare := &Tokenizer{normalizer: tok.normalizer, model: tok.model, single: bareSingle, surfaces: true}
			if n, ok := tok.normalizer.(text.Normalizers); ok {
				bare.normalizer = n[len(n)-1]
			}
			if m, ok := tok.model.(*model.DigitComma); ok {
				bare.model = m.Model
			}
			for _, want := range golden.Texts {
				if want.Raw == nil {
					continue // holds an added token
				}
				e, err := bare.Encode(want.Text, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if len(e.Tokens) != len(want.Raw) {
					t.Errorf("%q: %d tokens, want %d", want.Text, len(e.Tokens), len(want.Raw))
					continue
				}
				for i, raw := range want.Raw {
					token, start, end := e.Tokens[i], int(raw[2].(float64)), int(raw[3].(float64))
					shared := i+1 < len(e.Tokens) && e.Tokens[i+1].RuneStart == end && token.RuneEnd <= e.Tokens[i+1].RuneEnd
					if token.Text != raw[0] || float64(token.ID) != raw[1] || token.RuneStart != start || token.RuneEnd != end && !shared {
						t.Errorf("%q: got %q %d at %d to %d, want %v", want.Text, token.Text, token.ID, token.RuneStart, token.RuneEnd, raw)
					}
				}
			}
		})
	}
}

// protoFields is a protocol buffer message: the numbers of the fields and their
// values, which are strings, numbers or messages.
type protoFields []any

func (m protoFields) encode() []byte {
	var b []byte
	varint := func(v uint64) { b = binary.AppendUvarint(b, v) }
	for i := 0; i < len(m); i += 2 {
		number := uint64(m[i].(int))
		switch v := m[i+1].(type) {
		case int:
			varint(number << 3)
			varint(uint64(v))
		case float32:
			varint(number<<3 | wireFixed32)
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		case string:
			varint(number<<3 | wireBytes)
			varint(uint64(len(v)))
			b = append(b, v...)
		case protoFields:
			body := v.encode()
			varint(number<<3 | wireBytes)
			varint(uint64(len(body)))
			b = append(b, body...)
		}
	}
	return b
}

// piece is a token of a model with its score and its type.
func piece(token string, score float32, kind int) protoFields {
	return protoFields{1, token, 2, score, 3, kind}
}

// pieceModelFile returns a model file of pieces and further fields.
func pieceModelFile(pieces []protoFields, more ...any) string {
	var m protoFields
	for _, p := range pieces {
		m = append(m, 1, p)
	}
	return string(append(m, more...).encode())
}

var tinyPieces = []protoFields{
	piece("<unk>", 0, pieceUnknown), piece("<s>", 0, pieceControl), piece("</s>", 0, pieceControl),
	piece("▁", -2, pieceNormal), piece("a", -3, pieceNormal), piece("▁a", -4, pieceNormal),
	piece("b", -3, pieceNormal), piece("ab", -5, pieceNormal), piece("1", -3, pieceNormal),
	piece("1,", -3, pieceNormal), piece(",", -4, pieceNormal), piece("€", 0, pieceUserDefined),
}

func TestPieceModelErrors(t *testing.T) {
	const config = `{"tokenizer_class":"XLNetTokenizer"}`
	trainer := func(fields ...any) []any { return []any{2, protoFields(fields)} }
	charsmap := func(data string) []any { return []any{3, protoFields{2, data}} }
	for _, c := range []struct {
		name, data, want string
	}{
		{"empty", "", "spiece.model has no piece for what is unknown"},
		{"beyond the end", "\n\x08a\nb", "spiece.model: byte 0 has 8 bytes, of which 3 are there"},
		{"cut off", pieceModelFile(tinyPieces)[:7], "spiece.model: byte 0 has 14 bytes, of which 5 are there"},
		{"number cut off", "\x08\x80", "spiece.model: byte 0 ends in the middle of a number"},
		{"wire type", "\x0b", "spiece.model: byte 0 has the wire type 3"},
		{"field number", "\x00", "spiece.model: byte 0 has a field number that no message has"},
		{"piece that is a number", "\x08\x01", "spiece.model: byte 0 has the wire type 0, which should be 2"},
		{"no text", pieceModelFile([]protoFields{{2, float32(0)}}), "spiece.model: byte 0 is a piece without text"},
		{"not UTF-8", pieceModelFile([]protoFields{{1, "\xff"}}), "spiece.model: byte 2 is not UTF-8"},
		{"twice", pieceModelFile([]protoFields{piece("a", 0, 1), piece("a", 0, 1)}), `spiece.model: byte 12 is the second piece "a"`},
		{"two unknown", pieceModelFile([]protoFields{piece("a", 0, 2), piece("b", 0, 2)}), "spiece.model: byte 12 is the second piece for what is unknown"},
		{"type", pieceModelFile([]protoFields{piece("a", 0, 9)}), "spiece.model: byte 0 asks for a piece of type 9, which is not supported; " + saveFast},
		{"long", pieceModelFile([]protoFields{piece(strings.Repeat("a", 1025), 0, 1)}), "spiece.model: byte 0 asks for a token of more than 1024 bytes, which is not supported; " + saveFast},
		{"score", pieceModelFile([]protoFields{piece("a", float32(math.NaN()), 1)}), "spiece.model: byte 5 is no finite number"},
		{"byte", pieceModelFile([]protoFields{piece("<0xZZ>", 0, 6)}), `spiece.model: byte 0 is "<0xZZ>", which should be a byte`},
		{"unused bytes", pieceModelFile(append(slices.Clone(tinyPieces), piece("<0x0A>", 0, 6))), "spiece.model has the byte piece <0x0A> but does not use it"},
		{"no bytes", pieceModelFile(tinyPieces, trainer(35, 1)...), "spiece.model lacks the byte piece <0x00>"},
		{"words", pieceModelFile(tinyPieces, trainer(3, 3)...), "spiece.model asks for model type 3, which is not supported; " + saveFast},
		{"suffix", pieceModelFile(tinyPieces, trainer(24, 1)...), "spiece.model asks for treat_whitespace_as_suffix, which is not supported; " + saveFast},
		{"decoding", pieceModelFile(tinyPieces, 5, protoFields{2, "x"}), "spiece.model asks for rules for decoding, which is not supported; " + saveFast},
		{"rules", pieceModelFile(tinyPieces, charsmap("abc")...), "spiece.model: normalizer_spec.precompiled_charsmap is cut off"},
		{"trie", pieceModelFile(tinyPieces, charsmap("\x08\x00\x00\x00abcd")...), "spiece.model: normalizer_spec.precompiled_charsmap has a trie of 8 bytes in 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(files("spiece.model", c.data, "tokenizer_config.json", config))
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != "tokenizer: "+c.want || !typed(err) {
				t.Errorf("got  %T %s\nwant tokenizer: %s", err, err, c.want)
			}
		})
	}
	for config, want := range map[string]string{
		`{}`:                                  "spiece.model asks for a tokenizer class that no file names, which is not supported; name the tokenizer_class in tokenizer_config.json, or the model_type in config.json",
		`{"tokenizer_class":"BertTokenizer"}`: "tokenizer_config.json: tokenizer_class asks for BertTokenizer with spiece.model alone, which is not supported; " + saveFast,
		`{"tokenizer_class":"T5Tokenizer","extra_ids":-1}`:               "tokenizer_config.json: extra_ids should be from 0 to 65536",
		`{"tokenizer_class":"DebertaV2Tokenizer","split_by_punct":true}`: "tokenizer_config.json asks for split_by_punct, which is not supported; " + useIDs,
		`{"tokenizer_class":"XLNetTokenizer","truncation_side":"up"}`:    `tokenizer_config.json: truncation_side is "up", which is neither left nor right`,
		`{"tokenizer_class":"XLNetTokenizer","sep_token":null}`:          "tokenizer_config.json names no separator token",
	} {
		_, err := Open(files("spiece.model", pieceModelFile(tinyPieces), "tokenizer_config.json", config))
		if err == nil || err.Error() != "tokenizer: "+want || !typed(err) {
			t.Errorf("%s: got %v, want %s", config, err, want)
		}
	}
	if _, err := Open(files("spiece.model", pieceModelFile(tinyPieces[:2]), "tokenizer_config.json", `{"tokenizer_class":"XLMRobertaTokenizer"}`)); err == nil || !typed(err) {
		t.Errorf("XLM-R over two tokens: %v", err)
	}
}

// TestPieceClasses shows what the configuration of a SentencePiece model
// decides.
func TestPieceClasses(t *testing.T) {
	data := pieceModelFile(tinyPieces)
	squeezing := pieceModelFile(tinyPieces, 3, protoFields{4, 0})
	for _, c := range []struct {
		name, data, config string
		text               string
		want               string // the tokens, separated by spaces
	}{
		{"the model type decides", data, ``, "a ab", "▁a ▁ ab"},
		{"digits and a comma", data, `{"tokenizer_class":"XLNetTokenizer"}`, "a1,a 1,", "▁a 1 , a ▁ 1 ,"},
		{"elsewhere they stay together", data, `{"tokenizer_class":"T5Tokenizer"}`, "a1,a", "▁a 1, a"},
		{"user-defined tokens win", data, `{"tokenizer_class":"XLNetTokenizer"}`, "a€b", "▁a € b"},
		{"accents go", data, `{"tokenizer_class":"XLNetTokenizer"}`, "áb̈", "▁ ab"},
		{"unless kept", data, `{"tokenizer_class":"XLNetTokenizer","keep_accents":true}`, "áb", "▁ á b"},
		{"XLNet keeps case", data, `{"tokenizer_class":"XLNetTokenizer"}`, "A", "▁ A"},
		{"unless told", data, `{"tokenizer_class":"XLNetTokenizer","do_lower_case":true}`, "A", "▁a"},
		{"ALBERT does not", data, `{"tokenizer_class":"AlbertTokenizer"}`, "AB", "▁ ab"},
		{"but for special tokens", data, `{"tokenizer_class":"AlbertTokenizer"}`, "A[SEP]A", "▁a [SEP] ▁a"},
		{"a final sigma", data, `{"tokenizer_class":"AlbertTokenizer"}`, "𝚨𝚺", "▁ ας"},
		{"LaTeX's quotation marks", data, `{"tokenizer_class":"XLNetTokenizer"}`, "``a''", `▁ " a "`},
		{"spaces stay where the model keeps them", squeezing, `{"tokenizer_class":"T5Tokenizer"}`, " a  b", "▁ ▁a ▁ ▁ b"},
		{"white space of Python", squeezing, `{"tokenizer_class":"XLNetTokenizer"}`, "\x1ca\u3000\tb", "▁a ▁ b"},
		{"kept", squeezing, `{"tokenizer_class":"XLNetTokenizer","remove_space":false}`, "a  b", "▁a ▁ ▁ b"},
		{"added tokens begin words anew", data, `{"tokenizer_class":"T5Tokenizer","extra_ids":1}`, "b <extra_id_0> a", "▁ b <extra_id_0> ▁a"},
		{"not so since", data, `{"tokenizer_class":"T5Tokenizer","extra_ids":1,"legacy":false}`, "b <extra_id_0> a", "▁ b <extra_id_0> a"},
		{"a space before a special token goes", squeezing, `{"tokenizer_class":"LlamaTokenizer","legacy":false}`, "<s>a", "<s> a"},
		{"no prefix", data, `{"tokenizer_class":"LlamaTokenizer","legacy":false,"add_prefix_space":false}`, "a", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := files("spiece.model", c.data, "config.json", `{"model_type":"xlnet"}`)
			if c.config != "" {
				fsys["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(c.config)}
			}
			if got := strings.Join(tokensOf(t, fsys, c.text), " "); got != c.want {
				t.Errorf("%q gives %s, want %s", c.text, got, c.want)
			}
		})
	}
}

// TestPieceWords shows that ▁ begins a word, and where tokens stand that
// normalization moved.
func TestPieceWords(t *testing.T) {
	tok := openPieces(t, "models/tok-spm-xlm/spiece.model", `{"tokenizer_class":"XLNetTokenizer"}`)
	const s = " Hello  wörld ½! "
	e, err := tok.Encode(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, token := range e.Tokens {
		got = append(got, fmt.Sprintf("%d %q", token.Word, s[token.Start:token.End]))
	}
	want := []string{
		`0 ""`, `0 "H"`, `0 "ello"`, `1 "  wörld"`, `2 " "`, `2 "½"`, `2 "½"`, `2 "½"`, `2 "!"`, `-1 ""`, `-1 ""`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%v (-want +got):\n%s", e.Tokens, d)
	}
}

// pieceTokenizers are tokenizers over SentencePiece models of all kinds.
func pieceTokenizers(t testing.TB) map[string]*Tokenizer {
	all := make(map[string]*Tokenizer)
	for _, c := range pieceCases {
		if strings.HasPrefix(c.name, "tok_tiny") {
			data, err := os.ReadFile(filepath.Join(conformance, "cases", c.name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var golden goldenCase
			if err := json.Unmarshal(data, &golden); err != nil {
				t.Fatal(err)
			}
			all[c.name] = openPieces(t, golden.Config.Files[0].Path, c.config)
		}
	}
	return all
}

func TestPieceLaws(t *testing.T) {
	for name, tok := range pieceTokenizers(t) {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s := texts().Draw(t, "text")
				e, err := tok.Encode(s, Options{})
				if err != nil {
					t.Fatal(err)
				}
				checkTokens(t, tok, s, e)
				tok.Decode(e.IDs(), true)
			})
		})
	}
}

// FuzzPieces opens arbitrary SentencePiece models and encodes text with them.
func FuzzPieces(f *testing.F) {
	for _, config := range []string{
		`{"tokenizer_class":"XLNetTokenizer"}`, `{"tokenizer_class":"T5Tokenizer","legacy":false,"extra_ids":2}`,
		`{"tokenizer_class":"XLMRobertaTokenizer"}`, `{"tokenizer_class":"AlbertTokenizer","remove_space":false}`,
	} {
		f.Add([]byte(pieceModelFile(tinyPieces)), config, "a1, b <s>€ab")
	}
	f.Add([]byte(pieceModelFile(tinyPieces, 2, protoFields{3, 2}, 3, protoFields{4, 0})), `{"tokenizer_class":"LlamaTokenizer"}`, " ab  b中")
	f.Fuzz(func(t *testing.T, data []byte, config, s string) {
		tok, err := Open(files("spiece.model", string(data), "tokenizer_config.json", config))
		if err != nil {
			if !typed(err) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		checkText(t, tok, s)
	})
}

// TestPieceLinear checks that the time for long texts does not explode.
func TestPieceLinear(t *testing.T) {
	tokenizers := pieceTokenizers(t)
	for _, name := range []string{"tok_tiny-xlnet", "tok_tiny-t5-nonlegacy", "tok_tiny-llama"} {
		for what, s := range map[string]string{
			"one word":  strings.Repeat("a", 150_000),
			"words":     strings.Repeat("unbelievably good film, ", 3_000),
			"spaces":    strings.Repeat(" ", 150_000),
			"digits":    strings.Repeat("1,", 50_000),
			"unknown":   strings.Repeat("中", 50_000),
			"marks":     "e" + strings.Repeat("\u0301\u0316", 50_000),
			"dropped":   "a" + strings.Repeat("\x01", 150_000) + "b",
			"specials":  strings.Repeat("<s>", 10_000),
			"quotation": strings.Repeat("'", 150_001),
		} {
			if _, err := tokenizers[name].Encode(s, Options{}); err != nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
	}
}
