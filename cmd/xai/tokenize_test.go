package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParseString checks that a line of --jsonl is either exactly the text that
// it spells, or refused.
func FuzzParseString(f *testing.F) {
	for _, s := range []string{`"a"`, ` "\u00e9\n" `, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\\ud800"`, `"\ufffd"`, "null", "3", `"`, "\"\xff\"", `"a" "b"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s, err := parseString(line)
		if err != nil {
			return
		}
		if !utf8.ValidString(s) {
			t.Errorf("%q gives %q, which is not UTF-8", line, s)
		}
		// encoding/json puts U+FFFD where there is no text; it must stand for itself.
		literal := strings.Count(string(line), "\ufffd") + strings.Count(strings.ToLower(string(line)), `\ufffd`)
		if strings.Count(s, "\ufffd") > literal {
			t.Errorf("%q gives %q", line, s)
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseString(again); err != nil || back != s {
			t.Errorf("%q reads back as %q, %v", again, back, err)
		}
	})
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 1<<17)
	in := bufio.NewReader(strings.NewReader("a\n\r\n" + long + "\r\nend"))
	for _, want := range []string{"a", "", long, "end"} {
		got, err := readLine(in)
		if err != nil || string(got) != want {
			t.Fatalf("a line of %d bytes, %v; want %d", len(got), err, len(want))
		}
	}
	if _, err := readLine(in); err != io.EOF {
		t.Errorf("after the last line: %v", err)
	}
	if _, err := readLine(bufio.NewReader(io.MultiReader(bytes.NewReader(make([]byte, maxLine)), strings.NewReader("x")))); err == nil || err == io.EOF {
		t.Errorf("a line that is too long: %v", err)
	}
}
