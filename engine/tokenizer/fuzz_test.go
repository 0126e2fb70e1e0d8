package tokenizer

import (
	"strings"
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
	const bpe = `{"type":"BPE","unk_token":"a","fuse_unk":true,"byte_fallback":true,"ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2,"Ġ":3,"Ġa":4,"<0x78>":5},"merges":["a b",["Ġ","a"]]}`
	f.Add([]byte(tinyJSON(f, "model", bpe, "pre_tokenizer", `{"type":"ByteLevel","add_prefix_space":true}`, "decoder", `{"type":"ByteLevel"}`,
		"post_processor", `{"type":"RobertaProcessing","sep":["b",1],"cls":["a",0],"trim_offsets":true,"add_prefix_space":true}`)), []byte(nil), []byte(nil), "ab  abé[MASK] 中")
	f.Add([]byte(tinyJSON(f, "model", strings.Replace(bpe, `"fuse_unk"`, `"continuing_subword_prefix":"a","end_of_word_suffix":"b","fuse_unk"`, 1), "decoder", `{"type":"BPEDecoder"}`,
		"pre_tokenizer", `{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"Split","pattern":{"Regex":"(?<=a)b|x+?(?!y)|(?i:C)"},"behavior":"MergedWithNext","invert":true}]}`)),
		[]byte(nil), []byte(nil), "ab xxy1 aCb")
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

// FuzzOpenMerges is FuzzOpen for vocab.json and merges.txt.
func FuzzOpenMerges(f *testing.F) {
	const vocab = `{"<s>":0,"</s>":1,"<unk>":2,"<pad>":3,"<mask>":4,"<|endoftext|>":5,"<|startoftext|>":6,"a":7,"b":8,"ab":9,"Ġ":10,"Ġa":11,"b</w>":12}`
	const merges = "#version: 0.2\na b\nĠ a\nĠa b\n\na b c\nab x\n"
	for _, config := range []string{
		`{}`, `{"tokenizer_class":"RobertaTokenizer","add_prefix_space":true}`, `{"tokenizer_class":"GPT2Tokenizer","add_bos_token":true,"add_prefix_space":true}`,
		`{"tokenizer_class":"Qwen2Tokenizer","additional_special_tokens":["é"]}`, `{"tokenizer_class":"CLIPTokenizer"}`,
	} {
		f.Add([]byte(vocab), []byte(merges), []byte(config), "ab <mask>  a\u0301bx中 'S <|endoftext|>")
	}
	f.Fuzz(func(t *testing.T, vocab, merges, config []byte, s string) {
		tok, err := Open(files("vocab.json", string(vocab), "merges.txt", string(merges), "tokenizer_config.json", string(config)))
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
	all = append(all, openTiny(f, `{"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true}`), openTiny(f, `{"tokenizer_class":"Qwen2Tokenizer"}`))
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
