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
	if *u.value = s; strings.HasPrefix(s, "@") {
		return nil // read when it is needed
	}
	return core.ParseUnits(s)
}

// maxUnits bounds a file of units, in bytes.
const maxUnits = 16 << 20

// span is a range of bytes of a text.
type span struct {
	Sequence int `json:"sequence"`
	Start    int `json:"start"`
	End      int `json:"end"`
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
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		var explanation struct {
			Input struct{ Units []json.RawMessage }
		}
		if err := json.Unmarshal(text, &explanation); err != nil {
			return wrong(err.Error())
		}
		list = explanation.Input.Units
	} else if err := json.Unmarshal(text, &list); err != nil {
		return wrong(err.Error())
	}
	if len(list) == 0 {
		return wrong("the list is empty")
	}
	all := make([][]core.Span, len(list))
	for i, entry := range list {
		var pair [2]int
		var one struct {
			span
			Spans []span `json:"spans"`
		}
		if bytes.HasPrefix(entry, []byte("[")) {
			if err := json.Unmarshal(entry, &pair); err != nil {
				return wrong(err.Error())
			}
			one.Start, one.End = pair[0], pair[1]
		} else if err := json.Unmarshal(entry, &one); err != nil {
			return wrong(err.Error())
		}
		if len(one.Spans) == 0 {
			one.Spans = []span{one.span}
		}
		for _, s := range one.Spans {
			all[i] = append(all[i], core.Span(s))
		}
	}
	return core.SpanUnits(all), nil
}
