package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/xai-go/xai/engine/tokenizer"
)

// EncodingJSON writes the tokens of a text as one JSON object of lists, with
// one entry a token. Offsets are bytes, rune offsets code points of the text
// that the token comes from; the word of a special token is null.
func EncodingJSON(w io.Writer, e *tokenizer.Encoding) error {
	n := len(e.Tokens)
	out := struct {
		IDs         []int32  `json:"ids"`
		Tokens      []string `json:"tokens"`
		Offsets     [][2]int `json:"offsets"`
		RuneOffsets [][2]int `json:"rune_offsets"`
		WordIDs     []*int   `json:"word_ids"`
		TypeIDs     []int32  `json:"type_ids"`
		Special     []bool   `json:"special"`
	}{
		make([]int32, n), make([]string, n), make([][2]int, n), make([][2]int, n), make([]*int, n), make([]int32, n), make([]bool, n),
	}
	for i := range e.Tokens {
		k := &e.Tokens[i]
		out.IDs[i], out.Tokens[i], out.TypeIDs[i], out.Special[i] = k.ID, k.Text, k.Type, k.Special
		out.Offsets[i] = [2]int{k.Start, k.End}
		out.RuneOffsets[i] = [2]int{k.RuneStart, k.RuneEnd}
		if k.Word >= 0 {
			out.WordIDs[i] = &k.Word
		}
	}
	return JSON(w, out)
}

// Encoding writes a table of the tokens of a text: the id, the token, and the
// bytes that it stands for.
func (t Term) Encoding(w io.Writer, e *tokenizer.Encoding) error {
	t = t.defaults()
	var b strings.Builder
	const ids, offsets = 8, 13
	room := max(t.Width-2-ids-offsets-6, 8)
	for _, k := range e.Tokens {
		at := "special"
		if !k.Special {
			at = fmt.Sprintf("%d-%d", k.Start, k.End)
		}
		s := fmt.Sprintf("  %*d  %-*s  %s", ids, k.ID, offsets, at, clip(k.Text, room))
		if k.Special {
			s = t.Level.Dim(s)
		}
		b.WriteString(s + "\n")
	}
	noun := "tokens"
	if len(e.Tokens) == 1 {
		noun = "token"
	}
	b.WriteString(t.Level.Dim(fmt.Sprintf("  %*d  %s", ids, len(e.Tokens), noun)) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}
