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

// checkText checks the laws on one text.
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
	start, end := 0, 0
	for i, token := range e.Tokens {
		if token.Special && token.Start == token.End {
			continue
		}
		if token.Start < start || token.End < end || token.Start > token.End || token.End > len(s) {
			t.Fatalf("%q: token %d has the span %d to %d, after %d to %d", s, i, token.Start, token.End, start, end)
		}
		if !utf8.ValidString(s[:token.Start]) || !utf8.ValidString(s[:token.End]) {
			t.Fatalf("%q: token %d cuts a rune", s, i)
		}
		if token.RuneStart != utf8.RuneCountInString(s[:token.Start]) || token.RuneEnd != utf8.RuneCountInString(s[:token.End]) {
			t.Fatalf("%q: token %d has byte and rune offsets that differ", s, i)
		}
		start, end = token.Start, token.End
	}
	ids := tok.AppendIDs(nil, s)
	if len(ids) != len(e.Tokens) {
		t.Fatalf("%q: AppendIDs gives %d ids, Encode %d", s, len(ids), len(e.Tokens))
	}
	for i, id := range ids {
		if id != e.Tokens[i].ID {
			t.Fatalf("%q: AppendIDs gives the id %d at %d, Encode %d", s, id, i, e.Tokens[i].ID)
		}
	}
	tok.Decode(ids, true)
}
