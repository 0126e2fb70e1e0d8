package evaluation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// annotation is a line of ERASER's release: it names a document, which is a file,
// and counts that document's tokens, which stand between white space. The query is
// not read: of movie reviews it is always the same one.
type annotation struct {
	ID        *scalar       `json:"annotation_id"`
	Class     *scalar       `json:"classification"`
	Documents []string      `json:"docids"`
	Evidences [][]tokenSpan `json:"evidences"`
}

// tokenSpan is what an annotator marked: the tokens from Start to End-1.
type tokenSpan struct {
	Document string `json:"docid"`
	Start    *int   `json:"start_token"`
	End      *int   `json:"end_token"`
	Text     string `json:"text"`
}

// parseAnnotation returns the text of a line of ERASER's release, or what is wrong
// with it. The text is the document, byte for byte.
func parseAnnotation(data []byte, documents fs.FS) (Text, string) {
	var a annotation
	if err := json.Unmarshal(data, &a); err != nil {
		return Text{}, "it is no annotation of ERASER's: " + problem(err)
	}
	t := Text{ID: a.ID.text(), Label: a.Class.text(), Marked: true}
	name := t.ID
	if len(a.Documents) > 0 {
		name = a.Documents[0]
	}
	first := true
	for _, group := range a.Evidences {
		for _, e := range group {
			if e.Document == "" {
				return t, "its evidences name no document"
			}
			if !first && e.Document != name {
				return t, "its evidences are in several documents, and what is evaluated is one text"
			}
			name, first = e.Document, false
		}
	}
	text, msg := readDocument(documents, name)
	if msg != "" {
		return t, msg
	}
	t.Input.Text = text
	var tokens []Range
	if len(a.Evidences) > 0 {
		tokens = tokensOf(text)
	}
	for _, group := range a.Evidences {
		for _, e := range group {
			if e.Start == nil || e.End == nil {
				return t, `its evidences have no "start_token" and "end_token"`
			}
			if *e.Start < 0 || *e.End <= *e.Start || *e.End > len(tokens) {
				return t, fmt.Sprintf("its evidence from token %d to %d lies outside of the document, which has %d", *e.Start, *e.End, len(tokens))
			}
			marked := Range{tokens[*e.Start].Start, tokens[*e.End-1].End}
			if e.Text != "" && !sameTokens(e.Text, text[marked.Start:marked.End]) {
				return t, "the evidence at token " + strconv.Itoa(*e.Start) + " is not the text that is there"
			}
			t.Ranges = append(t.Ranges, marked)
		}
	}
	return t, ""
}

// readDocument returns a document's text, or what is wrong with it.
func readDocument(documents fs.FS, name string) (string, string) {
	what := "the document " + strconv.Quote(name)
	if documents == nil || !fs.ValidPath(name) {
		return "", what + " of the annotation is missing: a folder docs with it stands beside the corpus"
	}
	if info, err := fs.Stat(documents, name); err == nil && !info.Mode().IsRegular() {
		return "", what + " in the folder docs cannot be read: it is no file" // a pipe would be waited for
	}
	f, err := documents.Open(name)
	if err != nil {
		if reason, ok := errors.AsType[*fs.PathError](err); ok {
			err = reason.Err
		}
		return "", what + " in the folder docs cannot be read: " + err.Error()
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLine+1))
	switch {
	case err != nil:
		return "", what + " in the folder docs cannot be read: " + err.Error()
	case len(data) > maxLine:
		return "", fmt.Sprintf("%s has more than %d MiB", what, maxLine>>20)
	case !utf8.Valid(data):
		return "", what + " is not UTF-8"
	}
	return string(data), ""
}

// blank reports what separates tokens in Python.
func blank(r rune) bool { return unicode.IsSpace(r) || '\x1c' <= r && r <= '\x1f' }

// tokensOf returns where the tokens of a text are, in bytes.
func tokensOf(text string) []Range {
	var out []Range
	inside := false
	for at, r := range text {
		switch {
		case blank(r):
			inside = false
		case inside:
			out[len(out)-1].End = at + utf8.RuneLen(r)
		default:
			out, inside = append(out, Range{at, at + utf8.RuneLen(r)}), true
		}
	}
	return out
}

// sameTokens reports whether two texts differ by white space alone.
func sameTokens(a, b string) bool {
	x, y := strings.FieldsFunc(a, blank), strings.FieldsFunc(b, blank)
	return strings.Join(x, " ") == strings.Join(y, " ")
}
