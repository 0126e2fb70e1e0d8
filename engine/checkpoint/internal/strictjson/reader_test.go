package strictjson

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestObject(t *testing.T) {
	r := NewReader(strings.NewReader(` {"a" : [1, 20,0 ],"é\n\u00e9\ud83d\ude00":{"x":"y\/"} , "skip":[null,true,false,-0.5e+07,{"":[]},"\u0000"]} `+"\n"), 0)
	got := map[string]any{}
	err := r.Object(func(key []byte) error {
		name := string(key)
		switch name {
		case "a":
			sizes := []int64{}
			err := r.Array(func() error {
				n, err := r.Size()
				sizes = append(sizes, n)
				return err
			})
			got[name] = sizes
			return err
		case "skip":
			return r.Skip()
		}
		return r.Object(func(inner []byte) error {
			text, err := r.String([]byte("="), 10)
			got[string(key)+"/"+string(inner)] = string(text)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": []int64{1, 20, 0}, "é\né😀/x": "=y/"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaults(t *testing.T) {
	skip := func(r *Reader) error { return r.Skip() }
	size := func(r *Reader) error { _, err := r.Size(); return err }
	text := func(r *Reader) error { _, err := r.String(nil, 3); return err }
	for name, test := range map[string]struct {
		text   string
		read   func(*Reader) error
		offset int64
		says   string
	}{
		"nothing":            {" ", skip, 1, "ends early"},
		"open object":        {`{"a":1`, skip, 6, "ends early"},
		"open string":        {`"ab`, skip, 3, "ends early"},
		"trailing comma":     {`[1,]`, skip, 3, "a value belongs"},
		"comma for key":      {`{"a":1,}`, skip, 7, "a key belongs"},
		"no comma":           {`[1 2]`, skip, 3, "comma"},
		"no colon":           {`{"a" 1}`, skip, 5, "colon"},
		"wrong bracket":      {`[1}`, skip, 2, "comma"},
		"bad word":           {`nul `, skip, 4, "within null"},
		"bare word":          {`yes`, skip, 0, "a value belongs"},
		"leading zero":       {`01`, skip, 1, "leading zero"},
		"bare minus":         {`-`, skip, 1, "digits"},
		"bare point":         {`1.`, skip, 2, "digits"},
		"bare exponent":      {`1e+`, skip, 3, "digits"},
		"control character":  {"\"a\tb\"", skip, 2, "control"},
		"invalid UTF-8":      {"\"a\xffb\"", skip, 2, "UTF-8"},
		"overlong UTF-8":     {"\"\xc0\x80\"", skip, 1, "UTF-8"},
		"cut UTF-8":          {"\"\xe2\x82", skip, 1, "UTF-8"},
		"unknown escape":     {`"\x"`, skip, 3, "escape"},
		"short escape":       {`"\u12"`, skip, 6, "hexadecimal"},
		"half a pair":        {`"\ud83d"`, skip, 8, "surrogate"},
		"wrong second half":  {`"\ud83d\u0041"`, skip, 13, "surrogate"},
		"second half first":  {`"\ude00\ud83d"`, skip, 13, "surrogate"},
		"deep":               {strings.Repeat("[", 200), skip, 128, "nested deeper"},
		"negative size":      {`-1`, size, 0, "non-negative"},
		"fractional size":    {`1.5`, size, 1, "non-negative"},
		"size with exponent": {`1e5`, size, 1, "non-negative"},
		"size in text":       {`"1"`, size, 0, "non-negative"},
		"size beyond int64":  {`9223372036854775808`, size, 19, "non-negative"},
		"long string":        {`"abcd"`, text, 5, "too long"},
		"long key":           {`{"` + strings.Repeat("k", maxKey+1) + `":1}`, skip, 2 + maxKey + 1, "too long"},
		"number for string":  {`1`, text, 0, "a string belongs"},
		"rest":               {"{} ,", func(r *Reader) error { return errors.Join(r.Skip(), r.End()) }, 3, "after the end"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.read(NewReader(strings.NewReader(test.text), 1000))
			syntax, ok := errors.AsType[*SyntaxError](err)
			if !ok || syntax.Offset != 1000+test.offset || !strings.Contains(syntax.Reason, test.says) {
				t.Errorf("%v, want %q at byte %d", err, test.says, 1000+test.offset)
			}
		})
	}
	if n, err := NewReader(strings.NewReader("9223372036854775807"), 0).Size(); err != nil || n != 1<<63-1 {
		t.Errorf("the largest size: %d, %v", n, err)
	}
	if err := NewReader(iotest.ErrReader(io.ErrClosedPipe), 0).Skip(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a broken stream: %v", err)
	}
	if err := NewReader(io.MultiReader(strings.NewReader("1"), iotest.ErrReader(io.ErrClosedPipe)), 0).Skip(); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a stream that breaks in a number: %v", err)
	}
}

// FuzzSkip holds that Skip takes what encoding/json takes, and nothing else.
func FuzzSkip(f *testing.F) {
	for _, text := range []string{
		`{"a":[1,-2.5e-3,"x\u00e9\ud83d\ude00"],"b":{"c":null}} `, `[true,false]`, `0`, `-0`, `1.`, `"\ud800"`, "\"\xff\"", `{"a":1,"a":2}`, `[[[[`, ``,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := NewReader(iotest.OneByteReader(strings.NewReader(string(text))), 0)
		err := r.Skip()
		if err == nil {
			err = r.End()
		}
		syntax, ok := errors.AsType[*SyntaxError](err)
		if err != nil && (!ok || syntax.Offset < 0 || syntax.Offset > int64(len(text))) {
			t.Fatalf("%q: %v", text, err)
		}
		want := json.Valid(text)
		switch {
		case !want && err == nil:
			t.Fatalf("%q is no JSON", text)
		case want && err != nil && utf8.Valid(text) && !strings.Contains(syntax.Reason, "surrogate") &&
			!strings.Contains(syntax.Reason, "nested") && !strings.Contains(syntax.Reason, "too long"):
			t.Fatalf("%q: %v", text, err)
		}
	})
}
