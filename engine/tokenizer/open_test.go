package tokenizer

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// files makes a model folder of names and contents.
func files(pairs ...string) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fsys
}

// tinyVocab is a vocabulary whose ids are the numbers of its lines.
const tinyVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nc\n!\nA\né\ne\n中\nnew\n##n\n"

// tinyJSON returns a tokenizer.json with changes to its parts, given as JSON;
// the change null takes a part out, and "-" leaves a key out altogether.
func tinyJSON(t testing.TB, changes ...string) string {
	t.Helper()
	vocab := make(map[string]int)
	for i, token := range strings.Split(strings.TrimSuffix(tinyVocab, "\n"), "\n") {
		vocab[token] = i
	}
	file := map[string]any{
		"version":        "1.0",
		"added_tokens":   json.RawMessage(`[{"id":4,"content":"[MASK]","special":true,"normalized":false,"lstrip":false,"rstrip":false,"single_word":false}]`),
		"normalizer":     json.RawMessage(`{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}`),
		"pre_tokenizer":  json.RawMessage(`{"type":"BertPreTokenizer"}`),
		"post_processor": json.RawMessage(`{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]}`),
		"decoder":        json.RawMessage(`{"type":"WordPiece","prefix":"##","cleanup":true}`),
		"model": map[string]any{
			"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
			"max_input_chars_per_word": 100, "vocab": vocab,
		},
	}
	for i := 0; i < len(changes); i += 2 {
		at := file
		key := changes[i]
		if inner, ok := strings.CutPrefix(key, "model."); ok {
			at, key = file["model"].(map[string]any), inner
		}
		if at[key] = json.RawMessage(changes[i+1]); changes[i+1] == "-" {
			delete(at, key)
		}
	}
	return string(mustJSON(t, file))
}

func TestOpenErrors(t *testing.T) {
	const config = "tokenizer_config.json"
	sequence := func(key, part string, n int) string {
		return `{"type":"Sequence","` + key + `":[` + strings.TrimSuffix(strings.Repeat(part+",", n), ",") + `]}`
	}
	nested := strings.Repeat(`{"type":"Sequence","normalizers":[`, 20) + strings.Repeat(`]}`, 20)
	template := func(single string) string {
		return `{"type":"TemplateProcessing","single":[` + single + `],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],` +
			`"special_tokens":{"[CLS]":{"id":"[CLS]","ids":[2],"tokens":["[CLS]"]},"many":{"id":"many","ids":[2` + strings.Repeat(",2", 600) + `],"tokens":["x"` + strings.Repeat(`,"x"`, 600) + `]}}}`
	}
	a := `{"Sequence":{"id":"A","type_id":0}}`
	for _, c := range []struct {
		name string
		fsys fs.FS
		want string // the whole message
	}{
		{"BPE files", files("vocab.json", `{"a":0}`, "merges.txt", ""),
			"tokenizer: vocab.json asks for a vocabulary that is not byte-level, which is not supported; " + saveFast},
		{"SentencePiece", files("spiece.model", ""),
			"tokenizer: spiece.model asks for a tokenizer class that no file names, which is not supported; name the tokenizer_class in tokenizer_config.json, or the model_type in config.json"},
		{"named pipe", fstest.MapFS{"tokenizer.json": {Mode: fs.ModeNamedPipe}},
			"tokenizer: tokenizer.json is no regular file"},
		{"folder", fstest.MapFS{"tokenizer.json/x": {}},
			"tokenizer: tokenizer.json is no regular file"},
		{"not JSON", files("tokenizer.json", `{"version":`),
			"tokenizer: tokenizer.json: byte 11 is not JSON: unexpected end of JSON input"},
		{"not an object", files("tokenizer.json", `[]`),
			"tokenizer: tokenizer.json should be an object"},
		{"not UTF-8", files("tokenizer.json", "{\"\xff\":0}"),
			"tokenizer: tokenizer.json: byte 2 is not UTF-8"},
		{"no model", files("tokenizer.json", `{}`),
			"tokenizer: tokenizer.json: model is missing"},
		{"version", files("tokenizer.json", tinyJSON(t, "version", `"2.0"`)),
			"tokenizer: tokenizer.json asks for version 2.0, which is not supported; " + useIDs},
		{"model", files("tokenizer.json", tinyJSON(t, "model", `{"type":"Unigram","vocab":[]}`)),
			"tokenizer: tokenizer.json: model asks for Unigram without unk_id, which is not supported; " + useIDs},
		{"model without type", files("tokenizer.json", tinyJSON(t, "model", `{"vocab":{}}`)),
			"tokenizer: tokenizer.json: model asks for WordLevel, which is not supported; " + useIDs},
		{"vocabulary", files("tokenizer.json", tinyJSON(t, "model.vocab", `[]`)),
			"tokenizer: tokenizer.json: model.vocab should be an object of tokens and their ids"},
		{"negative id", files("tokenizer.json", tinyJSON(t, "model.vocab", `{"[UNK]":-1}`)),
			`tokenizer: tokenizer.json: model.vocab gives "[UNK]" the id -1, which should be a whole number from 0 to 2147483647`},
		{"fractional id", files("tokenizer.json", tinyJSON(t, "model.vocab", `{"[UNK]":1.5}`)),
			`tokenizer: tokenizer.json: model.vocab gives "[UNK]" the id 1.5, which should be a whole number from 0 to 2147483647`},
		{"token twice", files("tokenizer.json", tinyJSON(t, "model.vocab", `{"[UNK]":0,"a":1,"a":2}`)),
			`tokenizer: tokenizer.json: model.vocab has the token "a" twice`},
		{"id twice", files("vocab.json", `{"Ġ":0,"a":1,"b":1}`, "merges.txt", ""),
			`tokenizer: vocab.json gives "b" the id 1, which "a" has already`},
		{"no tokens", files("vocab.json", `{}`, "merges.txt", "", config, `{"tokenizer_class":"GPT2Tokenizer"}`),
			"tokenizer: vocab.json has no tokens"},
		{"long token", files("tokenizer.json", tinyJSON(t, "model.vocab", `{"[UNK]":0,"`+strings.Repeat("a", 1025)+`":1}`)),
			"tokenizer: tokenizer.json: model asks for a token of more than 1024 bytes, which is not supported; " + useIDs},
		{"long line", files("vocab.txt", tinyVocab+strings.Repeat("a", 1025)),
			"tokenizer: vocab.txt asks for a token of more than 1024 bytes, which is not supported; " + useIDs},
		{"side", files("tokenizer.json", tinyJSON(t, "truncation", `{"max_length":8,"direction":"up"}`)),
			`tokenizer: tokenizer.json: truncation.direction is "up", which is neither left nor right`},
		{"unknown token", files("tokenizer.json", tinyJSON(t, "model.unk_token", `"<unk>"`)),
			`tokenizer: tokenizer.json: model.unk_token is "<unk>", which is not in the vocabulary`},
		{"word limit", files("tokenizer.json", tinyJSON(t, "model.max_input_chars_per_word", `-1`)),
			"tokenizer: tokenizer.json: model.max_input_chars_per_word is negative"},
		{"normalizer", files("tokenizer.json", tinyJSON(t, "normalizer", `{"type":"Precompiled"}`)),
			"tokenizer: tokenizer.json: normalizer.precompiled_charsmap is missing"},
		{"normalizer in a sequence", files("tokenizer.json", tinyJSON(t, "normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Reverse"}]}`)),
			"tokenizer: tokenizer.json: normalizer.normalizers[1] asks for Reverse, which is not supported; " + useIDs},
		{"normalizer without type", files("tokenizer.json", tinyJSON(t, "normalizer", `{}`)),
			"tokenizer: tokenizer.json: normalizer.type is missing"},
		{"flag", files("tokenizer.json", tinyJSON(t, "normalizer", `{"type":"BertNormalizer","clean_text":"yes"}`)),
			"tokenizer: tokenizer.json: normalizer.clean_text should be true or false, not a string"},
		{"nesting", files("tokenizer.json", tinyJSON(t, "normalizer", nested)),
			"tokenizer: tokenizer.json: normalizer" + strings.Repeat(".normalizers[0]", 16) + " asks for deeper nesting, which is not supported; " + useIDs},
		{"many normalizers", files("tokenizer.json", tinyJSON(t, "normalizer", sequence("normalizers", `{"type":"StripAccents"}`, 64))),
			"tokenizer: tokenizer.json: normalizer.normalizers[63] asks for more than 64 normalizers, which is not supported; " + useIDs},
		{"many pre-tokenizers", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", sequence("pretokenizers", `{"type":"Whitespace"}`, 64))),
			"tokenizer: tokenizer.json: pre_tokenizer.pretokenizers[63] asks for more than 64 pre-tokenizers, which is not supported; " + useIDs},
		{"regular expression", files("tokenizer.json", tinyJSON(t, "normalizer", `{"type":"Replace","pattern":{"Regex":"(a)\\1"},"content":""}`)),
			`tokenizer: tokenizer.json: normalizer.pattern asks for the regular expression "(a)\\1", which has the escape \1 at byte 4, which is not supported; ` + useIDs},
		{"regular expression without an end", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", `{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"}`)),
			"tokenizer: tokenizer.json: pre_tokenizer.pattern.Regex lacks a ) at byte 2"},
		{"split", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", `{"type":"Split","pattern":{"String":"a"}}`)),
			"tokenizer: tokenizer.json: pre_tokenizer.behavior is missing"},
		{"bytes of bytes", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", sequence("pretokenizers", `{"type":"ByteLevel","add_prefix_space":true}`, 5))),
			"tokenizer: tokenizer.json: pre_tokenizer.pretokenizers[4] asks for making a text more than 256 times as long, which is not supported; " + useIDs},
		{"delimiter", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", `{"type":"CharDelimiterSplit","delimiter":""}`)),
			"tokenizer: tokenizer.json: pre_tokenizer.delimiter should be one character"},
		{"special tokens twice", files("tokenizer.json", tinyJSON(t, "post_processor", `{"type":"Sequence","processors":[{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true},{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},{"type":"RobertaProcessing","sep":["[SEP]",3],"cls":["[CLS]",2],"add_prefix_space":false,"trim_offsets":true}]}`)),
			"tokenizer: tokenizer.json: post_processor.processors[2] asks for special tokens around special tokens, which is not supported; " + useIDs},
		{"merges", files("tokenizer.json", tinyJSON(t, "model", `{"type":"BPE","vocab":{},"merges":{}}`)),
			"tokenizer: tokenizer.json: model.merges should be an array of pairs of tokens"},
		{"merge of one", files("tokenizer.json", tinyJSON(t, "model", `{"type":"BPE","vocab":{"a":0},"merges":["#version: 0.2","a"]}`)),
			"tokenizer: tokenizer.json: model.merges[1] should be two tokens with a space between them"},
		{"merge of three", files("tokenizer.json", tinyJSON(t, "model", `{"type":"BPE","vocab":{"a":0},"merges":[["a","a","a"]]}`)),
			"tokenizer: tokenizer.json: model.merges[0] should be two tokens"},
		{"merge outside the vocabulary", files("tokenizer.json", tinyJSON(t, "model", `{"type":"BPE","vocab":{"a":0},"merges":["a a"]}`)),
			`tokenizer: tokenizer.json: model.merges[0] needs "aa", which is not in the vocabulary`},
		{"unknown token of BPE", files("tokenizer.json", tinyJSON(t, "model", `{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"b"}`)),
			`tokenizer: tokenizer.json: model.unk_token is "b", which is not in the vocabulary`},
		{"vocab.json is no JSON", files("vocab.json", "{", "merges.txt", ""),
			"tokenizer: vocab.json: byte 1 is not JSON: unexpected end of JSON input"},
		{"vocab.json is a list", files("vocab.json", "[]", "merges.txt", ""),
			"tokenizer: vocab.json should be an object of tokens and their ids"},
		{"class of vocab.json", files("vocab.json", `{"Ġ":0}`, "merges.txt", "", config, `{"tokenizer_class":"CTRLTokenizer"}`),
			"tokenizer: tokenizer_config.json: tokenizer_class asks for CTRLTokenizer, which is not supported; " + saveFast},
		{"model type of vocab.json", files("vocab.json", `{"Ġ":0}`, "merges.txt", "", "config.json", `{"model_type":"ctrl"}`),
			"tokenizer: config.json: model_type asks for ctrl with vocab.json and merges.txt alone, which is not supported; " + saveFast},
		{"RoBERTa without its tokens", files("vocab.json", `{"Ġ":0}`, "merges.txt", "", config, `{"tokenizer_class":"RobertaTokenizer"}`),
			"tokenizer: vocab.json lacks the classifier token <s>"},
		{"GPT-2 without the token that begins", files("vocab.json", `{"Ġ":0}`, "merges.txt", "", config, `{"tokenizer_class":"GPT2Tokenizer","add_bos_token":true,"bos_token":null}`),
			"tokenizer: tokenizer_config.json names no beginning token"},
		{"empty pattern", files("tokenizer.json", tinyJSON(t, "normalizer", `{"type":"Replace","pattern":{"String":""},"content":"x"}`)),
			"tokenizer: tokenizer.json: normalizer.pattern.String is empty"},
		{"growth", files("tokenizer.json", tinyJSON(t, "normalizer", sequence("normalizers", `{"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaa"}`, 3))),
			"tokenizer: tokenizer.json: normalizer.normalizers[2] asks for making a text more than 256 times as long, which is not supported; " + useIDs},
		{"marks of spaces", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", sequence("pretokenizers", `{"type":"Metaspace","replacement":"▁"}`, 5))),
			"tokenizer: tokenizer.json: pre_tokenizer.pretokenizers[4] asks for making a text more than 256 times as long, which is not supported; " + useIDs},
		{"spaces around ideographs", files("tokenizer.json", tinyJSON(t, "normalizer", sequence("normalizers", `{"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":true,"lowercase":false}`, 11))),
			"tokenizer: tokenizer.json: normalizer.normalizers[10] asks for making a text more than 256 times as long, which is not supported; " + useIDs},
		{"decompositions", files("tokenizer.json", tinyJSON(t, "normalizer", sequence("normalizers", `{"type":"NFKD"}`, 3))),
			"tokenizer: tokenizer.json: normalizer.normalizers[2] asks for making a text more than 256 times as long, which is not supported; " + useIDs},
		{"what is put before a text", files("tokenizer.json", tinyJSON(t, "normalizer", `{"type":"Prepend","prepend":"`+strings.Repeat("▁", 100)+`"}`)),
			"tokenizer: tokenizer.json: normalizer asks for making a text more than 256 times as long, which is not supported; " + useIDs},
		{"pre-tokenizer", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", `{"type":"FixedLength"}`)),
			"tokenizer: tokenizer.json: pre_tokenizer asks for FixedLength, which is not supported; " + useIDs},
		{"behavior", files("tokenizer.json", tinyJSON(t, "pre_tokenizer", `{"type":"Punctuation","behavior":"Gone"}`)),
			`tokenizer: tokenizer.json: pre_tokenizer.behavior is "Gone", which is none of ["Removed" "Isolated" "MergedWithPrevious" "MergedWithNext" "Contiguous"]`},
		{"post-processor", files("tokenizer.json", tinyJSON(t, "post_processor", `{"type":"Custom"}`)),
			"tokenizer: tokenizer.json: post_processor asks for Custom, which is not supported; " + useIDs},
		{"BERT template", files("tokenizer.json", tinyJSON(t, "post_processor", `{"type":"BertProcessing","sep":["[SEP]"],"cls":["[CLS]",2]}`)),
			"tokenizer: tokenizer.json: post_processor.sep should be a token and its id"},
		{"BERT template's id", files("tokenizer.json", tinyJSON(t, "post_processor", `{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]","2"]}`)),
			"tokenizer: tokenizer.json: post_processor.cls[1] should be a whole number in range, not a string"},
		{"template ids", files("tokenizer.json", tinyJSON(t, "post_processor", strings.Replace(template(a), `"ids":[2],`, `"ids":[2,3],`, 1))),
			"tokenizer: tokenizer.json: post_processor.special_tokens.[CLS].ids and tokens differ in number"},
		{"template piece", files("tokenizer.json", tinyJSON(t, "post_processor", template(`"A"`))),
			"tokenizer: tokenizer.json: post_processor.single[0] should be an object"},
		{"template token", files("tokenizer.json", tinyJSON(t, "post_processor", template(`{"SpecialToken":{"id":"[X]","type_id":0}},`+a))),
			`tokenizer: tokenizer.json: post_processor.single[0].SpecialToken.id is "[X]", which is not among the special tokens`},
		{"template sequence", files("tokenizer.json", tinyJSON(t, "post_processor", template(`{"Sequence":{"id":"B","type_id":0}}`))),
			`tokenizer: tokenizer.json: post_processor.single[0].Sequence.id is "B", which is no text that single has`},
		{"template twice", files("tokenizer.json", tinyJSON(t, "post_processor", template(a+","+a))),
			"tokenizer: tokenizer.json: post_processor.single[1] asks for the same text twice, which is not supported; " + useIDs},
		{"template without text", files("tokenizer.json", tinyJSON(t, "post_processor", template(""))),
			"tokenizer: tokenizer.json: post_processor.single does not use the text A"},
		{"template size", files("tokenizer.json", tinyJSON(t, "post_processor", template(a+strings.Repeat(`,{"SpecialToken":{"id":"many","type_id":0}}`, 2)))),
			"tokenizer: tokenizer.json: post_processor.single[2] asks for more than 1024 special tokens, which is not supported; " + useIDs},
		{"decoder", files("tokenizer.json", tinyJSON(t, "decoder", `{"type":"CTC"}`)),
			"tokenizer: tokenizer.json: decoder asks for CTC, which is not supported; " + useIDs},
		{"added token", files("tokenizer.json", tinyJSON(t, "added_tokens", `[{"id":1}]`)),
			"tokenizer: tokenizer.json: added_tokens[0].content is missing"},
		{"long added token", files("tokenizer.json", tinyJSON(t, "added_tokens", `["`+strings.Repeat("x", 1025)+`"]`)),
			"tokenizer: added tokens asks for a token of more than 1024 bytes, which is not supported; " + useIDs},
		{"empty vocabulary", files("vocab.txt", "\n"),
			"tokenizer: vocab.txt is empty"},
		{"no unknown token", files("vocab.txt", "[CLS]\n[SEP]\n"),
			"tokenizer: vocab.txt lacks the unknown token [UNK]"},
		{"no classifier token", files("vocab.txt", "[UNK]\n[SEP]\n"),
			"tokenizer: vocab.txt lacks the classifier token [CLS]"},
		{"role set to null", files("vocab.txt", tinyVocab, config, `{"sep_token":null}`),
			"tokenizer: tokenizer_config.json names no separator token"},
		{"vocabulary not UTF-8", files("vocab.txt", tinyVocab+"\xe4\n"),
			"tokenizer: vocab.txt: byte 60 is not UTF-8"},
		{"class", files("vocab.txt", tinyVocab, config, `{"tokenizer_class":"BertJapaneseTokenizer"}`),
			"tokenizer: tokenizer_config.json: tokenizer_class asks for BertJapaneseTokenizer, which is not supported; " + saveFast},
		{"model type", files("vocab.txt", tinyVocab, "config.json", `{"model_type":"mpnet"}`),
			"tokenizer: config.json: model_type asks for mpnet with vocab.txt alone, which is not supported; " + saveFast},
		{"configuration", files("vocab.txt", tinyVocab, config, `{"do_lower_case":1}`),
			"tokenizer: tokenizer_config.json: do_lower_case should be true or false, not a number"},
		{"added id", files("vocab.txt", tinyVocab, config, `{"added_tokens_decoder":{"x":{"content":"y"}}}`),
			"tokenizer: tokenizer_config.json: added_tokens_decoder.x should be the id of a token"},
		{"last id taken", files("vocab.txt", tinyVocab, config, `{"added_tokens_decoder":{"2147483647":{"content":"y"}},"additional_special_tokens":["z"]}`),
			"tokenizer: added tokens leave no id for z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(c.fsys)
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != c.want {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
			if !typed(err) {
				t.Errorf("the error is a %T", err)
			}
		})
	}
}

// typed says whether err is one of the errors that Open promises.
func typed(err error) bool {
	var malformed *MalformedError
	var unsupported *UnsupportedError
	return errors.As(err, &malformed) || errors.As(err, &unsupported) || errors.Is(err, fs.ErrNotExist)
}

func TestOpenNothing(t *testing.T) {
	if _, err := Open(files("config.json", "{}")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

// tokensOf returns the tokens of a text without special tokens around it.
func tokensOf(t *testing.T, fsys fs.FS, s string) []string {
	t.Helper()
	tok, err := Open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tok.Encode(s, Options{NoSpecial: true})
	if err != nil {
		t.Fatal(err)
	}
	tokens := []string{}
	for _, token := range e.Tokens {
		tokens = append(tokens, token.Text)
	}
	return tokens
}

// TestSettings checks what the files beside the main one decide.
func TestSettings(t *testing.T) {
	const config = "tokenizer_config.json"
	tiny := tinyJSON(t)
	for _, c := range []struct {
		name string
		fsys fs.FS
		text string
		want string // the tokens, separated by spaces
	}{
		{"tokenizer.json wins over vocab.txt", files("tokenizer.json", tiny, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\nab\n"), "ab", "a ##b"},
		{"tokenizer.json needs nothing else", files("tokenizer.json", tiny), "Ab É中", "a ##b e 中"},
		{"the configuration decides the case", files("tokenizer.json", tiny, config, `{"do_lower_case":false}`), "A É é", "A [UNK] é"},
		{"and the accents", files("tokenizer.json", tiny, config, `{"do_lower_case":false,"strip_accents":true}`), "A É é", "A [UNK] e"},
		{"and the ideographs", files("tokenizer.json", tiny, config, `{"tokenize_chinese_chars":false}`), "a中", "[UNK]"},
		{"only that of a BERT class", files("tokenizer.json", tiny, config, `{"tokenizer_class":"PreTrainedTokenizerFast","do_lower_case":false}`), "A É", "a e"},
		{"roles are added tokens", files("tokenizer.json", tiny, config, `{"pad_token":"[PAD]"}`), "[PAD] [MASK]", "[PAD] [MASK]"},
		{"BERT's roles too", files("tokenizer.json", tiny), "[SEP]", "[SEP]"},
		{"not in another class", files("tokenizer.json", tiny, config, `{"tokenizer_class":"PreTrainedTokenizerFast"}`), "[SEP]", "[UNK] [UNK] [UNK]"},
		{"special tokens may be text", files("tokenizer.json", tiny, config, `{"split_special_tokens":true}`), "a[MASK]", "a [UNK] [UNK] [UNK]"},
		{"a token that the configuration adds", files("tokenizer.json", tiny, config, `{"added_tokens_decoder":{"15":{"content":"<x>","special":false}}}`), "a<X>c", "a <x> c"},

		{"vocab.txt", files("vocab.txt", tinyVocab), "Ab É中!", "a ##b e 中 !"},
		{"lines end in CRLF", files("vocab.txt", strings.ReplaceAll(tinyVocab, "\n", "\r\n")), "ab", "a ##b"},
		{"no newline at the end", files("vocab.txt", tinyVocab+"z"), "z", "z"},
		{"vocab.txt, cased", files("vocab.txt", tinyVocab, config, `{"do_lower_case":false}`), "A é É", "A é [UNK]"},
		{"vocab.txt, NFC", files("vocab.txt", tinyVocab, config, `{"do_lower_case":false}`), "e\u0301", "é"},
		{"vocab.txt, accents", files("vocab.txt", tinyVocab, config, `{"do_lower_case":true,"strip_accents":false}`), "É", "é"},
		{"vocab.txt, white space only", files("vocab.txt", tinyVocab, config, `{"do_basic_tokenize":false}`), "ab! A\x1cc", "[UNK] A c"},
		{"never_split", files("vocab.txt", tinyVocab+"c!\n", config, `{"never_split":["c!","A!"]}`), "c! a! A!", "c! a ! a !"},
		{"never_split keeps case where nothing lowers", files("vocab.txt", tinyVocab+"C!\n", config, `{"do_lower_case":false,"strip_accents":true,"never_split":["C!","é"]}`), "C! é É", "C! é [UNK]"},
		{"never_split outside the vocabulary", files("vocab.txt", tinyVocab, config, `{"never_split":["ab"]}`), "ab", "[UNK]"},
		{"unassigned code points vanish", files("vocab.txt", tinyVocab), "a\u0378b", "a ##b"},
		{"unless tokenizer.json is alone", files("tokenizer.json", tiny), "a\u0378b", "[UNK]"},
		{"with both files they vanish", files("tokenizer.json", tiny, "vocab.txt", tinyVocab), "a\u0378b", "a ##b"},
		{"special tokens are found in lower-cased text", files("vocab.txt", tinyVocab+"<m>\n", config, `{"mask_token":"<m>"}`), "a<M>c <m>", "a <m> c <m>"},
		{"but keep their own case", files("vocab.txt", tinyVocab), "[MASK]A[mask]", "[MASK] a [UNK] [UNK] [UNK]"},
		{"special_tokens_map.json", files("vocab.txt", tinyVocab+"<m>\n", "special_tokens_map.json", `{"mask_token":{"content":"<m>","lstrip":true}}`), "a <m>[MASK]", "a <m> [UNK] [UNK] [UNK]"},
		{"added_tokens.json", files("vocab.txt", tinyVocab, "added_tokens.json", `{"<n>":15}`), "a<n>c", "a <n> c"},
		{"single words in Python", files("vocab.txt", tinyVocab, config, `{"added_tokens_decoder":{"13":{"content":"new","single_word":true}}}`), "new anew new! new", "new [UNK] new ! new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(tokensOf(t, c.fsys, c.text), " "); got != c.want {
				t.Errorf("%q gives %s, want %s", c.text, got, c.want)
			}
		})
	}
}

func TestDuplicateLines(t *testing.T) {
	tok, err := Open(files("vocab.txt", tinyVocab+"a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.ID("a"); !ok || id != 15 {
		t.Errorf("ID(a) = %d, %v, want the last line's, 15", id, ok)
	}
	if token, ok := tok.Token(5); ok {
		t.Errorf("Token(5) = %q, want none", token)
	}
	if tok.Size() != 15 {
		t.Errorf("Size() = %d, want 15", tok.Size())
	}
}

func TestMaxLength(t *testing.T) {
	for _, c := range []struct {
		config, truncation string
		want               int
	}{
		{`{}`, `null`, 0},
		{`{"model_max_length":512}`, `null`, 512},
		{`{"model_max_length":1000000000000000019884624838656}`, `null`, 0},
		{`{"model_max_length":1e30}`, `{"max_length":128,"strategy":"LongestFirst","stride":0}`, 128},
		{`{"model_max_length":64}`, `{"max_length":128,"strategy":"LongestFirst","stride":0}`, 64},
	} {
		tok, err := Open(files("tokenizer.json", tinyJSON(t, "truncation", c.truncation), "tokenizer_config.json", c.config))
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.MaxLength(); got != c.want {
			t.Errorf("%s with %s: MaxLength() = %d, want %d", c.config, c.truncation, got, c.want)
		}
		if e, err := tok.Encode(strings.Repeat("a ", 200), Options{}); err != nil || len(e.Tokens) != 202 {
			t.Errorf("the file's truncation was applied without being asked for")
		}
	}
}

// TestTruncationSide checks which side of a text is cut, and that Dropped has
// the order of the text.
func TestTruncationSide(t *testing.T) {
	const config = "tokenizer_config.json"
	block := tinyJSON(t, "truncation", `{"direction":"Left","max_length":8,"strategy":"LongestFirst","stride":0}`)
	fromLeft := [2]string{"[CLS] e ! a [SEP]", "a c"}
	fromRight := [2]string{"[CLS] a c e [SEP]", "! a"}
	for _, c := range []struct {
		name string
		fsys fs.FS
		want [2]string // what stays, and what goes
	}{
		{"vocab.txt", files("vocab.txt", tinyVocab), fromRight},
		{"vocab.txt, left", files("vocab.txt", tinyVocab, config, `{"truncation_side":"left"}`), fromLeft},
		{"tokenizer.json", files("tokenizer.json", tinyJSON(t)), fromRight},
		{"its block", files("tokenizer.json", block), fromLeft},
		{"the configuration has the last word", files("tokenizer.json", block, config, `{"truncation_side":"right"}`), fromRight},
		{"the configuration alone", files("tokenizer.json", tinyJSON(t), config, `{"truncation_side":"left"}`), fromLeft},
		{"byte-level", files("vocab.json", `{"a":0,"Ġc":1,"Ġe":2,"Ġ!":3,"Ġa":4,"<s>":5,"</s>":6,"Ġ":7,"c":8,"e":9,"!":10}`,
			"merges.txt", "#version\nĠ c\nĠ e\nĠ !\nĠ a\n", config, `{"tokenizer_class":"RobertaTokenizer","truncation_side":"left"}`),
			[2]string{"<s> Ġe Ġ! Ġa </s>", "a Ġc"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := Open(c.fsys)
			if err != nil {
				t.Fatal(err)
			}
			e, err := tok.Encode("a c e ! a", Options{MaxLength: 5})
			if err != nil {
				t.Fatal(err)
			}
			if got := [2]string{spelled(e.Tokens), spelled(e.Dropped)}; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	tok, err := Open(files("vocab.txt", tinyVocab, config, `{"truncation_side":"left"}`))
	if err != nil {
		t.Fatal(err)
	}
	pair := "! a c e"
	e, err := tok.Encode("a c e", Options{Pair: &pair, MaxLength: 7})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spelled(e.Tokens)+" | "+spelled(e.Dropped), "[CLS] c e [SEP] c e [SEP] | a ! a"; got != want {
		t.Errorf("a pair gives %s, want %s", got, want)
	}
}

// spelled returns the texts of tokens with spaces between them.
func spelled(tokens []Token) string {
	var texts []string
	for _, token := range tokens {
		texts = append(texts, token.Text)
	}
	return strings.Join(texts, " ")
}

func TestDigest(t *testing.T) {
	base := files("vocab.txt", tinyVocab, "tokenizer_config.json", `{}`)
	digest := func(fsys fs.FS) string {
		tok, err := Open(fsys)
		if err != nil {
			t.Fatal(err)
		}
		return tok.Digest()
	}
	want := digest(base)
	if len(want) != 64 {
		t.Fatalf("Digest() = %q", want)
	}
	base["config.json"] = &fstest.MapFile{Data: []byte(`{"model_type":"bert"}`)}
	base["README.md"] = &fstest.MapFile{}
	if got := digest(base); got != want {
		t.Error("files that are none of the tokenizer's own change the digest")
	}
	base["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(`{ }`)}
	if got := digest(base); got == want {
		t.Error("the configuration does not change the digest")
	}
	// Here the model type decides which tokenizer the vocabulary is for.
	of := func(modelType string) fs.FS {
		return files("vocab.json", `{"Ġ":0,"<s>":1,"</s>":2}`, "merges.txt", "", "config.json", `{"model_type":"`+modelType+`","n":0}`)
	}
	if digest(of("roberta")) == digest(of("gpt2")) {
		t.Error("the model type that picks the class does not change the digest")
	}
	other := of("gpt2").(fstest.MapFS)
	other["config.json"].Data = []byte(`{"model_type":"gpt2","n":1}`)
	if digest(of("gpt2")) != digest(other) {
		t.Error("the rest of config.json changes the digest")
	}
}

func TestRoles(t *testing.T) {
	tok, err := Open(files("vocab.txt", tinyVocab, "tokenizer_config.json", `{"mask_token":null,"additional_special_tokens":["<x>",{"content":"c"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.MaskID(); ok {
		t.Errorf("MaskID() = %d, want none", id)
	}
	if token, ok := tok.MaskToken(); ok {
		t.Errorf("MaskToken() = %q, want none", token)
	}
	if want := []int32{0, 1, 2, 3, 7, 15}; !slices.Equal(tok.Special(), want) {
		t.Errorf("Special() = %v, want %v", tok.Special(), want)
	}
	if token, ok := tok.Token(15); !ok || token != "<x>" {
		t.Errorf("Token(15) = %q, want <x>", token)
	}
	if tok.Size() != 16 {
		t.Errorf("Size() = %d, want 16", tok.Size())
	}
}

func TestEncodeErrors(t *testing.T) {
	tok, err := Open(files("vocab.txt", tinyVocab))
	if err != nil {
		t.Fatal(err)
	}
	good, bad := "a", "中\xff"
	var textError *TextError
	if _, err := tok.Encode(bad, Options{}); !errors.As(err, &textError) || *textError != (TextError{0, 3}) {
		t.Errorf("got %v, want byte 3 of the text", err)
	}
	if _, err := tok.Encode(good, Options{Pair: &bad}); !errors.As(err, &textError) || *textError != (TextError{1, 3}) {
		t.Errorf("got %v, want byte 3 of the pair", err)
	}
	var lengthError *LengthError
	for _, limit := range []int{-1, 2} {
		if _, err := tok.Encode(good, Options{Pair: &good, MaxLength: limit}); !errors.As(err, &lengthError) || *lengthError != (LengthError{limit, 3}) {
			t.Errorf("limit %d: got %v, want an error that names 3 special tokens", limit, err)
		}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{textError, "tokenizer: the second text is not UTF-8 at byte 3; convert it to UTF-8 first"},
		{lengthError, "tokenizer: a limit of 2 tokens cannot hold the 3 special tokens; raise it or leave them out"},
	} {
		if c.err.Error() != c.want {
			t.Errorf("got %s, want %s", c.err, c.want)
		}
	}
	if ids := tok.AppendIDs(nil, bad+"a"); !slices.Equal(ids, []int32{2, 12, 5, 3}) {
		t.Errorf("AppendIDs of bad UTF-8 gives %v, want it read as U+FFFD, which BERT drops", ids)
	}
}

func TestTruncate(t *testing.T) {
	for _, c := range []struct {
		strategy            Strategy
		first, second, room int
		python              bool
		wantFirst           int
		wantSecond          int
	}{
		{LongestFirst, 3, 4, 7, false, 3, 4},
		{LongestFirst, 8, 0, 5, false, 5, 0},
		{LongestFirst, 8, 4, 6, false, 3, 3},
		{LongestFirst, 2, 8, 6, false, 2, 4},
		{LongestFirst, 8, 2, 6, false, 4, 2},
		{LongestFirst, 8, 4, 7, false, 4, 3},
		{LongestFirst, 4, 8, 7, false, 3, 4},
		{LongestFirst, 8, 8, 7, false, 3, 4},
		{LongestFirst, 8, 4, 7, true, 4, 3},
		{LongestFirst, 4, 8, 7, true, 4, 3},
		{LongestFirst, 8, 8, 7, true, 4, 3},
		{LongestFirst, 5, 5, 0, false, 0, 0},
		{OnlyFirst, 8, 4, 6, false, 2, 4},
		{OnlyFirst, 8, 6, 6, false, 8, 6},
		{OnlySecond, 4, 8, 6, false, 4, 2},
		{OnlySecond, 8, 4, 6, false, 8, 4},
		{OnlySecond, 8, 0, 6, false, 8, 0},
	} {
		first, second := c.strategy.truncate(c.first, c.second, c.room, c.python)
		if first != c.wantFirst || second != c.wantSecond {
			t.Errorf("%+v: got %d and %d", c, first, second)
		}
	}
}

func TestDecode(t *testing.T) {
	fsys := files("vocab.txt", tinyVocab, "tokenizer_config.json", `{"added_tokens_decoder":{"15":{"content":"<n>"},"16":{"content":"'s"}}}`)
	slow, err := Open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	fast, err := Open(files("tokenizer.json", tinyJSON(t)))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Open(files("tokenizer.json", tinyJSON(t, "decoder", "null")))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		tok  *Tokenizer
		ids  []int32
		skip bool
		want string
		join string
	}{
		{"nothing", slow, nil, false, "", ""},
		{"special tokens", slow, []int32{2, 5, 6, 8, 3}, false, "[CLS] ab! [SEP]", "[CLS] ab ! [SEP]"},
		{"skipped", slow, []int32{2, 5, 6, 8, 3}, true, "ab!", "ab !"},
		{"a continuation begins", slow, []int32{2, 6, 6}, true, "##bb", "##bb"},
		{"an added token stands apart", slow, []int32{5, 15, 6}, true, "a <n> ##b", "a <n> ##b"},
		{"contractions", slow, []int32{5, 16}, true, "a's", "a 's"},
		{"no such id", slow, []int32{5, 99, -1}, false, "a [UNK] [UNK]", "a [UNK] [UNK]"},
		{"no such id, skipped", slow, []int32{5, 99}, true, "a", "a"},
		{"no such id in tokenizer.json", fast, []int32{5, 99, 6}, false, "ab", "ab"},
		{"tokenizer.json", fast, []int32{2, 5, 6, 8, 3}, true, "ab!", "ab !"},
		{"no decoder", bare, []int32{5, 6, 8}, false, "a ##b !", "a ##b !"},
	} {
		if got := c.tok.Decode(c.ids, c.skip); got != c.want {
			t.Errorf("%s: Decode gives %q, want %q", c.name, got, c.want)
		}
		if got := c.tok.Join(c.ids, c.skip); got != c.join {
			t.Errorf("%s: Join gives %q, want %q", c.name, got, c.join)
		}
	}
}

// TestSpans shows where tokens stand whose runes normalization changed.
func TestSpans(t *testing.T) {
	for _, c := range []struct {
		name, dir, text string
		slow            bool
		want            []string // the part of the text that each token stands for
	}{
		{"capital dotted i", english, "İt is", false, []string{"İt", "is"}},
		{"precomposed", english, "café.", false, []string{"ca", "fé", "."}},
		{"combining", english, "cafe\u0301.", false, []string{"ca", "fe", "."}},
		{"before more", english, "cafe\u0301s.", false, []string{"ca", "fe", "s", "."}},
		{"deleted", english, "go\u00adod", false, []string{"go\u00adod"}},
		{"ideographs", chinese, "很好good", false, []string{"很", "好", "good"}},
		{"ideographs, slow", chinese, "很好", true, []string{"很", "好"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := openFolder(t, c.dir, c.slow).Encode(c.text, Options{NoSpecial: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, token := range e.Tokens {
				got = append(got, c.text[token.Start:token.End])
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestBuiltin holds the tokenizers of the embedded models, by both of their
// files, to the ids that the models were trained with.
func TestBuiltin(t *testing.T) {
	for _, dir := range []string{english, chinese} {
		var golden struct {
			Expected []struct {
				Text     string
				InputIDs []int32 `json:"input_ids"`
			}
		}
		data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &golden); err != nil {
			t.Fatal(err)
		}
		if len(golden.Expected) == 0 {
			t.Fatalf("%s expects nothing", dir)
		}
		for _, slow := range []bool{false, true} {
			tok := openFolder(t, dir, slow)
			for _, want := range golden.Expected {
				differ(t, want.Text, "input_ids", tok.AppendIDs(nil, want.Text), want.InputIDs)
			}
		}
	}
}
