package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
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

// unitsFile are the units of a file, and the texts that they are of where the file
// says so.
type unitsFile struct {
	name, spans string
	text, pair  *string
}

// check refuses units of another text than the one that is explained.
func (u *unitsFile) check(in core.Input) error {
	if u == nil || u.text == nil || in.Raw != nil {
		return nil
	}
	if *u.text == in.Text && (u.pair == nil) == (in.Pair == nil) && (u.pair == nil || *u.pair == *in.Pair) {
		return nil
	}
	return &core.Error{Kind: core.KindInput, Msg: "the units of " + u.name + " are of another text", Hint: "give the explanation of this text, or a list of ranges of it such as [[0,5],[6,12]]"}
}

// readUnits reads units from a JSON file: a list whose entries are [start,end], or
// objects with start and end, and sequence or spans where there is more than one of
// them; or an explanation, of which it takes the units that have text, as special
// tokens have none.
func readUnits(name string) (*unitsFile, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fileError(err, "cannot read", name)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxUnits+1))
	if err != nil {
		return nil, fileError(err, "cannot read", name)
	}
	wrong := func(reason string) (*unitsFile, error) {
		return nil, &core.Error{Kind: core.KindInput, Msg: name + " holds no units: " + reason, Hint: `write a list such as [[0,5],[6,12]] or [{"start":0,"end":5}], of bytes of the text`}
	}
	if len(text) > maxUnits {
		return wrong(fmt.Sprintf("it has more than %d MiB", maxUnits>>20))
	}
	var list []json.RawMessage
	units := &unitsFile{name: name}
	explained := false
	switch {
	case !json.Valid(text):
		return wrong("it is no JSON")
	case bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")):
		var explanation struct {
			Input struct {
				Text  *string           `json:"text"`
				Pair  *string           `json:"text_pair"`
				Units []json.RawMessage `json:"units"`
			} `json:"input"`
		}
		if json.Unmarshal(text, &explanation) != nil {
			return wrong("it is an object, but no explanation")
		}
		explained, list, units.text, units.pair = true, explanation.Input.Units, explanation.Input.Text, explanation.Input.Pair
	default:
		if json.Unmarshal(text, &list) != nil {
			return wrong("it is no list")
		}
	}
	if len(list) == 0 {
		return wrong("the list is empty")
	}
	all := make([][]core.Span, 0, len(list))
	for i, entry := range list {
		spans, ok := entrySpans(entry)
		if !ok {
			return wrong(fmt.Sprintf("entry %d of its list is neither two whole numbers nor an object with start and end", i))
		}
		if explained {
			spans = slices.DeleteFunc(spans, func(s core.Span) bool { return s.Start == s.End })
		}
		if len(spans) > 0 {
			all = append(all, spans)
		}
	}
	if len(all) == 0 {
		return wrong("none of the explanation's units has text")
	}
	units.spans = core.SpanUnits(all)
	return units, nil
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
