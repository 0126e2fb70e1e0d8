package tokenizer

import (
	"strings"
	"testing"

	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// TestGrowth checks that no component makes a text longer than is counted for it.
func TestGrowth(t *testing.T) {
	texts := []string{"ΐ", "\U0001D160", "\uFDFA", "İ", "Ⱥ", "中", "𠀀", "é", "a", "a b", " ", "x中 "}
	grown := func(t *testing.T, most growth, change func(*text.Text)) {
		for _, s := range texts {
			for _, n := range []int{1, 50} {
				var w text.Text
				w.Reset(strings.Repeat(s, n), false)
				before := len(w.Bytes)
				if change(&w); growth(len(w.Bytes)) > most*growth(before) {
					t.Errorf("%d times %q becomes %d bytes, which is more than %.1f times as long", n, s, len(w.Bytes), most)
				}
			}
		}
	}
	for _, part := range []string{
		`{"type":"NFC"}`, `{"type":"NFD"}`, `{"type":"NFKC"}`, `{"type":"NFKD"}`, `{"type":"Lowercase"}`, `{"type":"Nmt"}`,
		`{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":true,"lowercase":true}`,
		`{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":false,"lowercase":false}`,
		`{"type":"Prepend","prepend":"▁"}`,
		`{"type":"Replace","pattern":{"String":" "},"content":"▁"}`,
		`{"type":"Replace","pattern":{"Regex":"a*"},"content":"bc"}`,
	} {
		t.Run(part, func(t *testing.T) {
			o, err := parseFile("tokenizer.json", []byte(part))
			if err != nil {
				t.Fatal(err)
			}
			r := normalizerReader{settings: &settings{}, growth: 1}
			n, err := r.read(o, 0)
			if err != nil {
				t.Fatal(err)
			}
			grown(t, r.growth, n.Normalize)
		})
	}
	for _, part := range []string{
		`{"type":"Metaspace","replacement":"▁"}`,
		`{"type":"Metaspace","replacement":"𠀀"}`,
		`{"type":"ByteLevel","add_prefix_space":true}`,
		`{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁"}]}`,
		`{"type":"Sequence","pretokenizers":[{"type":"Metaspace","replacement":"▁"},{"type":"Metaspace","replacement":"𠀀"}]}`,
	} {
		t.Run(part, func(t *testing.T) {
			o, err := parseFile("tokenizer.json", []byte(part))
			if err != nil {
				t.Fatal(err)
			}
			r := preTokenizerReader{settings: &settings{}, growth: 1}
			p, err := r.read(o, 0)
			if err != nil {
				t.Fatal(err)
			}
			grown(t, r.growth, func(w *text.Text) {
				w.Words = []text.Range{{Start: 0, End: len(w.Bytes)}}
				p.PreTokenize(w)
			})
		})
	}
}
