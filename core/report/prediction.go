package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/sdk"
)

// Classes are the classes of a prediction, the most probable first.
type Classes []class

type class struct {
	label string
	index int
	logit float64
	prob  float64 // NaN for a regression
}

// maxClasses is how many classes of a prediction are listed.
const maxClasses = 5

// ClassesOf returns the classes of one row of p.
func ClassesOf(p *core.Prediction, row int) Classes {
	r := p.Rows[row]
	out := make(Classes, len(r.Logits))
	for i, logit := range r.Logits {
		out[i] = class{index: i, logit: logit, prob: math.NaN()}
		if i < len(p.Labels) {
			out[i].label = p.Labels[i]
		}
		if i < len(r.Probs) {
			out[i].prob = r.Probs[i]
		}
	}
	slices.SortStableFunc(out, func(x, y class) int { return cmp.Compare(y.logit, x.logit) })
	return out
}

// Prediction writes the classes of every row of p.
func (t Term) Prediction(w io.Writer, p *core.Prediction) error {
	t = t.defaults()
	var b strings.Builder
	for i, r := range p.Rows {
		if len(p.Rows) > 1 {
			fmt.Fprintf(&b, "%s\n", t.Level.Dim(fmt.Sprintf("row %d", i)))
		}
		t.classes(&b, ClassesOf(p, i))
		if n := len(r.Dropped); n > 0 {
			t.dropped(&b, tokens(r.Dropped), "read")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tokens returns tokens in the form of an explanation.
func tokens(in []sdk.Token) []core.Token {
	out := make([]core.Token, len(in))
	for i, k := range in {
		out[i] = core.Token{ID: k.ID, Text: k.Text, Sequence: k.Sequence, Start: k.Start, End: k.End, RuneStart: k.RuneStart, RuneEnd: k.RuneEnd, Special: k.Special}
	}
	return out
}

// classes writes the predicted class and the further ones on a line.
func (t Term) classes(b *strings.Builder, classes Classes) {
	room := t.Width - 2
	for i, c := range classes {
		if i == maxClasses {
			b.WriteString(t.Level.Dim(fmt.Sprintf("  and %d more", len(classes)-i)))
			break
		}
		s := clip(c.label, t.Width/2) + " "
		if math.IsNaN(c.prob) {
			s += number(c.logit)
		} else {
			s += fmt.Sprintf("%.1f %%", 100*c.prob)
		}
		if room -= 2 + uniseg.StringWidth(s); room < 0 && i > 0 {
			room = t.Width - 4 - uniseg.StringWidth(s)
			b.WriteString("\n")
		}
		b.WriteString("  ")
		if i == 0 {
			b.WriteString(t.Level.Bold(s))
		} else {
			b.WriteString(t.Level.Dim(s))
		}
	}
	if len(classes) > 0 {
		b.WriteByte('\n')
	}
}

// PredictionJSON writes p as one JSON object: "logits" and "probs" in the order
// of "labels", the predicted "label", "input_ids" and "tokens". In a batch each
// is a list with one entry a row; otherwise p has one row, and they are its
// entries. A regression has no probs and no label: they are null.
func PredictionJSON(w io.Writer, p *core.Prediction, batch bool) error {
	var all struct {
		Logits   [][]core.Float `json:"logits"`
		Probs    [][]core.Float `json:"probs"`
		Labels   [][]string     `json:"labels"`
		Label    []*string      `json:"label"`
		InputIDs [][]int32      `json:"input_ids"`
		Tokens   [][]string     `json:"tokens"`
	}
	for _, r := range p.Rows {
		ids, texts := make([]int32, len(r.Tokens)), make([]string, len(r.Tokens))
		for i, k := range r.Tokens {
			ids[i], texts[i] = k.ID, k.Text
		}
		var label *string
		if r.Probs != nil && r.Class < len(p.Labels) {
			label = &p.Labels[r.Class]
		}
		all.Logits = append(all.Logits, floats(r.Logits))
		all.Probs = append(all.Probs, floats(r.Probs))
		all.Labels = append(all.Labels, p.Labels)
		all.Label = append(all.Label, label)
		all.InputIDs = append(all.InputIDs, ids)
		all.Tokens = append(all.Tokens, texts)
	}
	if batch {
		return JSON(w, all)
	}
	return JSON(w, struct {
		Logits   []core.Float `json:"logits"`
		Probs    []core.Float `json:"probs"`
		Labels   []string     `json:"labels"`
		Label    *string      `json:"label"`
		InputIDs []int32      `json:"input_ids"`
		Tokens   []string     `json:"tokens"`
	}{all.Logits[0], all.Probs[0], all.Labels[0], all.Label[0], all.InputIDs[0], all.Tokens[0]})
}

// floats keeps nil as nil.
func floats(v []float64) []core.Float {
	if v == nil {
		return nil
	}
	out := make([]core.Float, len(v))
	for i, x := range v {
		out[i] = core.Float(x)
	}
	return out
}
