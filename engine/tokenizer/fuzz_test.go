package tokenizer

import (
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

// FuzzOpen opens folders of arbitrary files: it must return a tokenizer that
// keeps its promises, or one of the errors that Open promises.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(tinyJSON(f)), []byte(nil), []byte(nil), "ab É中 [MASK]")
	f.Add([]byte(nil), []byte(tinyVocab), []byte(`{"do_lower_case":false,"never_split":["a"]}`), "ab É中 [MASK]")
	f.Add([]byte(nil), []byte(tinyVocab), []byte(`{"added_tokens_decoder":{"5":{"content":"a","lstrip":true,"rstrip":true,"single_word":true}}}`), " a aa a ")
	f.Add([]byte(tinyJSON(f, "normalizer", `{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"String":"a"},"content":"中"},{"type":"NFKD"}]}`,
		"pre_tokenizer", `{"type":"Punctuation","behavior":"MergedWithNext"}`, "post_processor", "null")), []byte(nil), []byte(nil), "a--ﬁ")
	f.Add([]byte(tinyJSON(f, "added_tokens", `[{"content":"a ","lstrip":true,"rstrip":true},{"content":" ","rstrip":true},{"content":"C","normalized":true,"single_word":true}]`)),
		[]byte(nil), []byte(nil), " a  a c")
	f.Fuzz(func(t *testing.T, tokenizerJSON, vocab, config []byte, s string) {
		fsys := make(fstest.MapFS)
		for name, data := range map[string][]byte{"tokenizer.json": tokenizerJSON, "vocab.txt": vocab, "tokenizer_config.json": config} {
			if len(data) > 0 {
				fsys[name] = &fstest.MapFile{Data: data}
			}
		}
		tok, err := Open(fsys)
		if err != nil {
			if !typed(err) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		checkText(t, tok, s)
	})
}

// FuzzEncode encodes arbitrary texts with real tokenizers.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{
		"", "A gripping, beautifully shot film.", "[CLS] a [MASK]b [SEP]", "İstanbul ﬁ café cafe\u0301 \u0378",
		"酒店非常干净,服务也很好。", "한국어\u1112\u1161\u11ab", "e\u0316\u0301\u0301", "\xff\xfe", "a\u00a0b\u200bc\u2028d", "😀👍🏽",
	} {
		f.Add(s)
	}
	var all []*Tokenizer
	for _, dir := range []string{english, chinese} {
		all = append(all, openFolder(f, dir, false), openFolder(f, dir, true))
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range all {
			checkText(t, tok, s)
		}
	})
}

// checkText checks what holds for every tokenizer, sensible or not.
func checkText(t *testing.T, tok *Tokenizer, s string) {
	t.Helper()
	e, err := tok.Encode(s, Options{})
	if !utf8.ValidString(s) {
		if err == nil {
			t.Fatalf("%q is not UTF-8 and was encoded", s)
		}
		tok.AppendIDs(nil, s)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	checkTokens(t, tok, s, e)
	tok.Decode(e.IDs(), true)
}
