package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/xai-go/xai/core"
)

// units is a flag of how a text is cut. @FILE stands for the units of a file.
type units struct{ value *string }

func (u units) String() string { return *u.value }
func (u units) Type() string   { return "token|word|sentence|spans:…|@FILE" }
func (u units) Set(s string) error {
	if *u.value = s; s == "@" {
		return &core.Error{Kind: core.KindUsage, Msg: "the units name no file", Hint: "write the file behind the @: --units @units.json"}
	} else if strings.HasPrefix(s, "@") {
		return nil // read when it is needed
	}
	return core.ParseUnits(s)
}

// maxUnits bounds a file of units, in bytes.
const maxUnits = 16 << 20

// span is a range of bytes of a text.
type span struct {
	Sequence int  `json:"sequence"`
	Start    *int `json:"start"`
	End      *int `json:"end"`
}

// readUnits reads units from a JSON file: a list whose entries are [start,end], or
// objects with start and end, and sequence or spans where there is more than one of
// them; or an explanation, of which it takes the units.
func readUnits(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", fileError(err, "cannot read", name)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxUnits+1))
	if err != nil {
		return "", fileError(err, "cannot read", name)
	}
	wrong := func(reason string) (string, error) {
		return "", &core.Error{Kind: core.KindInput, Msg: name + " holds no units: " + reason, Hint: `write a list such as [[0,5],[6,12]] or [{"start":0,"end":5}], of bytes of the text`}
	}
	if len(text) > maxUnits {
		return wrong(fmt.Sprintf("it has more than %d MiB", maxUnits>>20))
	}
	var list []json.RawMessage
	switch {
	case !json.Valid(text):
		return wrong("it is no JSON")
	case bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")):
		var explanation struct {
			Input struct{ Units []json.RawMessage }
		}
		if json.Unmarshal(text, &explanation) != nil {
			return wrong("it is an object, but no explanation")
		}
		list = explanation.Input.Units
	default:
		if json.Unmarshal(text, &list) != nil {
			return wrong("it is no list")
		}
	}
	if len(list) == 0 {
		return wrong("the list is empty")
	}
	all := make([][]core.Span, len(list))
	for i, entry := range list {
		spans, ok := entrySpans(entry)
		if !ok {
			return wrong(fmt.Sprintf("entry %d of its list is neither two whole numbers nor an object with start and end", i))
		}
		all[i] = spans
	}
	return core.SpanUnits(all), nil
}

// entrySpans reads an entry of a list of units.
func entrySpans(entry json.RawMessage) ([]core.Span, bool) {
	if bytes.HasPrefix(entry, []byte("[")) {
		var pair []int
		if json.Unmarshal(entry, &pair) != nil || len(pair) != 2 {
			return nil, false
		}
		return []core.Span{{Start: pair[0], End: pair[1]}}, true
	}
	var one struct {
		span
		Spans []span `json:"spans"`
	}
	if json.Unmarshal(entry, &one) != nil {
		return nil, false
	}
	if len(one.Spans) == 0 {
		one.Spans = []span{one.span}
	}
	spans := make([]core.Span, len(one.Spans))
	for i, s := range one.Spans {
		if s.Start == nil || s.End == nil {
			return nil, false
		}
		spans[i] = core.Span{Sequence: s.Sequence, Start: *s.Start, End: *s.End}
	}
	return spans, true
}
