package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/arch"
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

// ClassesOf returns the classes of one row of p, the prediction of a classifier
// of texts.
func ClassesOf(p *core.Prediction, row int) Classes {
	return classesOf(p.Labels, p.Rows[row].Readouts[0])
}

func classesOf(labels []string, r core.Readout) Classes {
	out := make(Classes, len(r.Logits))
	for i, logit := range r.Logits {
		out[i] = class{index: i, logit: logit, prob: math.NaN()}
		if i < len(labels) {
			out[i].label = core.ClassLabel(labels[i], i)
		}
		if i < len(r.Probs) {
			out[i].prob = r.Probs[i]
		}
	}
	slices.SortStableFunc(out, func(x, y class) int { return cmp.Compare(y.logit, x.logit) })
	return out
}

// Prediction writes the answer to every row of p: the classes, a label for each
// token, the best answers, or the most probable tokens. With all, every class is
// listed.
func (t Term) Prediction(w io.Writer, p *core.Prediction, all bool) error {
	t = t.defaults()
	var b strings.Builder
	for i := range p.Rows {
		r := &p.Rows[i]
		if len(p.Rows) > 1 {
			fmt.Fprintf(&b, "%s\n", t.Level.Dim(fmt.Sprintf("row %d", i)))
		}
		switch p.Task {
		case arch.TokenClassification:
			t.labels(&b, p, r)
		case arch.QuestionAnswering:
			t.answers(&b, r)
		case arch.CausalLM, arch.MaskedLM, arch.PermutationLM:
			for k, readout := range r.Readouts {
				if len(r.Readouts) > 1 {
					fmt.Fprintf(&b, "%s\n", t.Level.Dim(fmt.Sprintf("  token %d, %s", readout.Position, clip(r.Tokens[readout.Position].Text, t.Width/2))))
				}
				t.choices(&b, r.Readouts[k].Top)
			}
		default:
			most := maxClasses
			if all {
				most = len(p.Labels)
			}
			t.classes(&b, ClassesOf(p, i), most)
		}
		if n := len(r.Dropped); n > 0 {
			t.dropped(&b, r.Dropped, "read")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// labels writes a line for each token with its label and the probability.
func (t Term) labels(b *strings.Builder, p *core.Prediction, r *core.PredictedRow) {
	width := 8
	for _, k := range r.Tokens {
		width = max(width, uniseg.StringWidth(Line(k.Text)))
	}
	width = min(width, t.Width/2)
	for _, readout := range r.Readouts {
		token := r.Tokens[readout.Position]
		best := classesOf(p.Labels, readout)[0]
		text := clip(token.Text, width)
		line := fmt.Sprintf("  %s%s  %s %.1f %%", text, blanks(text, width), clip(best.label, t.Width/2), 100*best.prob)
		if token.Special {
			line = t.Level.Dim(line)
		}
		b.WriteString(line + "\n")
	}
}

// answers writes the best spans.
func (t Term) answers(b *strings.Builder, r *core.PredictedRow) {
	if len(r.Spans) == 0 {
		b.WriteString("  the context has no tokens to answer with\n")
	}
	for i, a := range r.Spans {
		text := a.Text
		if text == "" {
			text = fmt.Sprintf("tokens %d to %d", a.Tokens[0], a.Tokens[1])
		}
		line := fmt.Sprintf("  %5.1f %%  %s", 100*a.Prob, clip(text, t.Width-12))
		if i == 0 {
			line = t.Level.Bold(line)
		}
		b.WriteString(line + "\n")
	}
}

// choices writes the most probable tokens.
func (t Term) choices(b *strings.Builder, top []core.Choice) {
	for i, c := range top {
		line := fmt.Sprintf("  %5.1f %%  %s", 100*c.Prob, clip(strconv.Quote(cmp.Or(c.Text, c.Token)), t.Width-12))
		if i == 0 {
			line = t.Level.Bold(line)
		}
		b.WriteString(line + "\n")
	}
}

// classes writes the predicted class and the further ones, up to most, on a line.
func (t Term) classes(b *strings.Builder, classes Classes, most int) {
	room := t.Width - 2
	for i, c := range classes {
		if i == most {
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

// prediction is the JSON form of a row, and of a batch, where each field is a
// list with one entry a row.
type prediction struct {
	Logits    any `json:"logits"`
	Probs     any `json:"probs"`
	Labels    any `json:"labels"`
	Label     any `json:"label,omitempty"`
	IDs       any `json:"ids,omitempty"`
	Positions any `json:"positions,omitempty"`
	Spans     any `json:"spans,omitempty"`
	InputIDs  any `json:"input_ids"`
	Tokens    any `json:"tokens"`
}

// fields returns the fields of p.
func (p *prediction) fields() []*any {
	return []*any{&p.Logits, &p.Probs, &p.Labels, &p.Label, &p.IDs, &p.Positions, &p.Spans, &p.InputIDs, &p.Tokens}
}

// answer is the JSON form of a span that answers a question. Offsets are bytes
// of the context, null where the input was no text.
type answer struct {
	Text       string     `json:"text"`
	Start      *int       `json:"start"`
	End        *int       `json:"end"`
	Tokens     [2]int     `json:"tokens"` // the first and the last
	StartLogit core.Float `json:"start_logit"`
	EndLogit   core.Float `json:"end_logit"`
	Prob       core.Float `json:"prob"`
}

// PredictionJSON writes p as one JSON object. In a batch each field is a list
// with one entry a row; otherwise p has one row, and the fields are its own.
//
// "logits" and "probs" are in the order of "labels", the classes. A classifier
// of texts has one of each and the predicted "label"; a regression has no probs
// and no label: they are null. A classifier of tokens has a list of each for
// every token, and a label a token. A model that answers questions has a list
// for every token too, of the labels start and end, and "spans", the best
// answers. A language model has the most probable tokens: their logits, probs,
// labels (the text) and "ids"; of a causal model those of the next token, else a
// list of each for every one of the "positions". With all, logits and probs are
// those of the whole vocabulary at every position, and labels are null.
//
// "input_ids" and "tokens" are what the model read.
func PredictionJSON(w io.Writer, p *core.Prediction, batch, all bool) error {
	rows := make([]prediction, len(p.Rows))
	for i := range p.Rows {
		rows[i] = predictionOf(p, &p.Rows[i], all)
	}
	if !batch {
		return JSON(w, rows[0])
	}
	var lists prediction
	for f, list := range lists.fields() {
		var values []any
		for i := range rows {
			values = append(values, *rows[i].fields()[f])
		}
		if values[0] != nil || f < 3 {
			*list = values
		}
	}
	return JSON(w, lists)
}

// predictionOf returns the JSON form of a row.
func predictionOf(p *core.Prediction, r *core.PredictedRow, all bool) prediction {
	ids, texts := make([]int32, len(r.Tokens)), make([]string, len(r.Tokens))
	for i, k := range r.Tokens {
		ids[i], texts[i] = k.ID, k.Text
	}
	out := prediction{Labels: p.Labels, InputIDs: ids, Tokens: texts}
	logits, probs := make([][]core.Float, len(r.Readouts)), make([][]core.Float, len(r.Readouts))
	positions, labels := make([]int, len(r.Readouts)), make([]string, len(r.Readouts))
	for i, readout := range r.Readouts {
		logits[i], probs[i] = core.Floats(readout.Logits), core.Floats(readout.Probs)
		positions[i] = readout.Position
		if readout.Class < len(p.Labels) {
			labels[i] = p.Labels[readout.Class]
		}
	}
	switch p.Task {
	case arch.TokenClassification:
		out.Logits, out.Probs, out.Label = logits, probs, labels
	case arch.QuestionAnswering:
		out.Logits, out.Probs, out.Spans = logits, probs, answersOf(r.Spans)
	case arch.CausalLM, arch.MaskedLM, arch.PermutationLM:
		if all {
			out.Logits, out.Probs, out.Labels, out.Positions = logits, probs, nil, positions
			break
		}
		out.top(p.Task, r, positions)
	default:
		out.Logits, out.Probs = logits[0], probs[0]
		label := &labels[0]
		if r.Readouts[0].Probs == nil {
			label = nil
		}
		out.Label = label
	}
	return out
}

// top fills in the most probable tokens.
func (p *prediction) top(task string, r *core.PredictedRow, positions []int) {
	n := len(r.Readouts)
	logits, probs, labels, ids := make([][]core.Float, n), make([][]core.Float, n), make([][]string, n), make([][]int32, n)
	for i, readout := range r.Readouts {
		for _, c := range readout.Top {
			logits[i], probs[i] = append(logits[i], core.Float(c.Logit)), append(probs[i], core.Float(c.Prob))
			labels[i], ids[i] = append(labels[i], cmp.Or(c.Text, c.Token)), append(ids[i], c.ID)
		}
	}
	if task == arch.CausalLM {
		p.Logits, p.Probs, p.Labels, p.IDs = logits[0], probs[0], labels[0], ids[0]
		return
	}
	p.Logits, p.Probs, p.Labels, p.IDs, p.Positions = logits, probs, labels, ids, positions
}

func answersOf(spans []core.Answer) []answer {
	out := make([]answer, len(spans))
	for i, s := range spans {
		out[i] = answer{Text: s.Text, Tokens: s.Tokens, StartLogit: core.Float(s.StartLogit), EndLogit: core.Float(s.EndLogit), Prob: core.Float(s.Prob)}
		if s.Span != nil {
			out[i].Start, out[i].End = &s.Span.Start, &s.Span.End
		}
	}
	return out
}
