package core

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// Prediction is a model's answer to a batch of inputs.
type Prediction struct {
	Task   string   // as xai models info names it: "sequence-classification" …
	Kind   string   // of a classifier of sequences: "classification", "multi-label" or "regression"
	Labels []string // the classes; nil for a language model
	Rows   []PredictedRow
}

// PredictedRow is the answer to one input.
type PredictedRow struct {
	Tokens  []Token
	Dropped []Token // what truncation cut
	// Readouts are what the head says, position by position: one of a
	// classifier of sequences; one a token of a classifier of tokens and of a
	// model that answers with a span; of a language model one for the next
	// token, for each mask, or for each target.
	Readouts []Readout
	Spans    []Answer // of a model that answers with a span, the best first
}

// Readout is what a head says at one position.
type Readout struct {
	Position int // of the token
	// Logits are in the order of the labels, or of the token ids; those of a
	// language model are kept only where all were asked for. Probs are nil for a
	// regression. Of spans they run over the positions, start and end apart.
	Logits, Probs []float64
	Class         int      // with the largest logit
	Top           []Choice // of a language model, the most probable first
}

// Choice is a token that a language model may put somewhere.
type Choice struct {
	ID          int32
	Token       string // as the vocabulary has it
	Text        string // that it stands for
	Logit, Prob float64
}

// Answer is a span of the context that answers a question.
type Answer struct {
	Tokens               [2]int // the first and the last
	Span                 *Span  // of the texts; nil where there were none
	Text                 string
	StartLogit, EndLogit float64
	Prob                 float64 // that it starts and ends there, taken to be independent
}

// most is how many choices or answers a prediction lists.
const most = 10

// PredictOptions says how much of an answer is kept.
type PredictOptions struct {
	// All keeps every logit of a language model, at every position that it
	// answers for.
	All bool
	// Progress is told how many inputs are done, and their total. Calls come one
	// at a time, from any goroutine, and the run waits for them.
	Progress func(done, total int)
}

// Predict runs the model on each input. A language model says what comes next,
// or what stands at the masks; XLNet does so with its query stream, at the
// targets that raw inputs name or behind a text. A model that answers questions
// takes the question as the text and the context as its pair.
func (m *Model) Predict(ctx context.Context, inputs []Input, o PredictOptions) (*Prediction, error) {
	p := &Prediction{Task: m.engine.Info().Task, Labels: m.labels}
	if p.Task == arch.SequenceClassification {
		p.Kind = [...]string{"classification", "multi-label", "regression"}[m.head]
	}
	var rows []row
	cut := false      // whether a mask lies behind what the model reads
	var reads [][]int // positions, where the head does not say itself what it reads
	for _, in := range inputs {
		e, err := m.question(in, o)
		if err != nil {
			return nil, err
		}
		rows = append(rows, e.row)
		reads = append(reads, m.reads(e, o))
		cut = cut || m.cutsMask(e)
		p.Rows = append(p.Rows, PredictedRow{Tokens: tokenRefs(e.tokens), Dropped: tokenRefs(e.dropped)})
	}
	if m.labels != nil || o.All {
		if err := m.affordable(rows); err != nil {
			return nil, err
		}
	}
	in := batch(rows)
	switch p.Task {
	case arch.CausalLM, arch.MaskedLM:
		if !slices.ContainsFunc(reads, func(at []int) bool { return len(at) > 0 }) {
			if cut {
				return nil, m.maskBehind()
			}
			return nil, &Error{Kind: KindInput, Msg: "there is no mask to fill in", Hint: m.maskHint()}
		}
		in.Reads = reads
	}
	out, err := m.forward(ctx, in, engine.Progress(o.Progress))
	if err != nil {
		return nil, err
	}
	for i := range p.Rows {
		row := &p.Rows[i]
		for k := range out.Starts[i+1] - out.Starts[i] {
			r := Readout{Position: k, Logits: out.Row(out.Starts[i] + k)}
			switch {
			case rows[i].targets != nil:
				r.Position = rows[i].targets[k]
			case in.Reads != nil:
				r.Position = reads[i][k]
			}
			r.Class = argmax(r.Logits)
			if p.Task != arch.QuestionAnswering && (p.Task != arch.SequenceClassification || m.head != regression) {
				r.Probs = probs(r.Logits, m.head)
			}
			if m.labels == nil {
				r.Top = m.choices(r.Logits, r.Probs)
				if !o.All {
					r.Logits, r.Probs = nil, nil
				}
			}
			row.Readouts = append(row.Readouts, r)
		}
		if p.Task == arch.QuestionAnswering {
			m.spans(row, inputs[i], rows[i])
		}
	}
	return p, nil
}

// affordable refuses to keep every logit where they do not fit beside what the
// engine counts: logits and probabilities as float64, twice where they are written
// as JSON, and its text, which takes three times its length while it grows.
func (m *Model) affordable(rows []row) error {
	const bytes = 2 * (2*8 + 3*20)
	heads := int64(len(rows)) // positions that the head answers for, at most
	if m.engine.Info().Task != arch.SequenceClassification {
		heads = 0
		for _, r := range rows {
			heads += int64(r.n)
		}
	}
	return m.allows("all logits and probabilities", heads*int64(m.engine.Info().Outputs)*bytes)
}

// question encodes an input as the task of the model wants it.
func (m *Model) question(in Input, o PredictOptions) (*encoded, error) {
	task := m.engine.Info().Task
	switch {
	case task == arch.QuestionAnswering && in.Raw == nil && in.Pair == nil:
		return nil, m.noContext()
	case task == arch.PermutationLM && in.Raw == nil:
		return m.next(in)
	case task == arch.PermutationLM && in.Raw.Targets == nil && !o.All:
		return nil, &Error{
			Kind: KindInput, Msg: "there is no target to predict: the content stream of a " + m.engine.Info().ModelType + " model sees every token itself",
			Hint: "name the targets with target_mapping, hide them from the others with perm_mask, or ask for the content stream's logits with --all",
		}
	}
	e, err := m.encode(in)
	if err == nil && task == arch.CausalLM && len(e.dropped) > 0 {
		return nil, m.tooLong(len(e.tokens) + len(e.dropped))
	}
	return e, err
}

// noContext refuses a question that comes alone.
func (m *Model) noContext() error {
	return usage("the model "+m.id+" answers a question from a context, and there is none", "give it with --text-pair")
}

// tooLong refuses to say what follows a text whose end the model cannot see.
func (m *Model) tooLong(tokens int) error {
	return &Error{Kind: KindInput, Msg: fmt.Sprintf("the text has %d tokens and the model reads %d at most", tokens, m.MaxTokens()), Hint: "cut its beginning: what comes next depends on its end"}
}

// next encodes a text for the query stream of XLNet: one target behind it,
// which sees all of it and which nothing sees.
func (m *Model) next(in Input) (*encoded, error) {
	e, err := m.encode(in) // checks the text
	if err != nil {
		return nil, err
	}
	enc, err := m.tokenizer.Encode(in.Text, tokenizer.Options{Pair: in.Pair, NoSpecial: true})
	if err != nil {
		return nil, input("the text", err, "")
	}
	id, ok := m.tokenizer.MaskID()
	if !ok {
		id = 0 // nothing sees it
	}
	enc.Tokens = append(enc.Tokens, tokenizer.Token{ID: id, Text: m.token(id), Word: -1, Special: true})
	e.tokens, e.row = tokens(enc.Tokens), rowOf(enc)
	n := e.row.n
	if limit := m.MaxTokens(); limit > 0 && n > limit {
		return nil, m.tooLong(n)
	}
	e.dropped = nil
	if err := m.marks(n); err != nil {
		return nil, err
	}
	e.row.targets, e.row.hidden = []int{n - 1}, make([]uint8, n*n)
	for query := range n {
		e.row.hidden[query*n+n-1] = 1
	}
	return e, nil
}

// reads returns the positions at which a language model is asked for a token:
// all, the masks, or the last token that is visible.
func (m *Model) reads(e *encoded, o PredictOptions) []int {
	positions := []int{}
	mask, ok := int32(0), false
	if m.tokenizer != nil {
		mask, ok = m.tokenizer.MaskID()
	}
	causal := m.engine.Info().Task == arch.CausalLM
	for i := range e.row.n {
		switch {
		case o.All:
			positions = append(positions, i)
		case causal && at(e.row.mask, i, 1) == 1:
			positions = []int{i}
		case !causal && ok && e.row.ids != nil && e.row.ids[i] == mask:
			positions = append(positions, i)
		}
	}
	if causal && len(positions) == 0 {
		positions = []int{e.row.n - 1}
	}
	return positions
}

// cutsMask reports whether a mask of the text is among the tokens that did not fit.
func (m *Model) cutsMask(e *encoded) bool {
	if m.tokenizer == nil {
		return false
	}
	mask, ok := m.tokenizer.MaskID()
	return ok && slices.ContainsFunc(e.dropped, func(t sdk.Token) bool { return t.ID == mask })
}

// maskBehind returns the error of a text whose masks are all among those.
func (m *Model) maskBehind() error {
	return &Error{
		Kind: KindInput, Msg: "the mask lies behind the " + strconv.Itoa(m.MaxTokens()) + " tokens that the model reads of a text",
		Hint: "shorten what stands before it",
	}
}

// maskHint says how a mask is written.
func (m *Model) maskHint() string {
	if m.tokenizer != nil {
		if text, ok := m.tokenizer.MaskToken(); ok {
			return "write " + text + " where a token is to be predicted, or ask for all positions with --all"
		}
	}
	return "ask for all positions with --all"
}

// choices returns the most probable tokens, of equal ones that with the lower
// id first.
func (m *Model) choices(logits, probs []float64) []Choice {
	var ids []int // at most that many, the best first
	for id, v := range logits {
		if len(ids) == most && logits[ids[most-1]] >= v {
			continue
		}
		place, _ := slices.BinarySearchFunc(ids, id, func(a, b int) int {
			return cmp.Or(cmp.Compare(logits[b], logits[a]), a-b)
		})
		ids = slices.Insert(ids, place, id)
		ids = ids[:min(len(ids), most)]
	}
	out := make([]Choice, len(ids))
	for i, id := range ids {
		out[i] = Choice{ID: int32(id), Token: m.token(int32(id)), Logit: logits[id], Prob: probs[id]}
		if m.tokenizer != nil {
			out[i].Text = m.tokenizer.Join([]int32{int32(id)}, false)
		}
	}
	return out
}

// token returns a token as the vocabulary has it: without one, its id.
func (m *Model) token(id int32) string {
	if m.tokenizer != nil {
		if text, ok := m.tokenizer.Token(id); ok {
			return text
		}
	}
	return strconv.Itoa(int(id))
}

// spans fills in the probabilities of starts and ends, and the best spans: those
// inside the context whose end does not come before their start, by the sum of
// both logits.
func (m *Model) spans(p *PredictedRow, in Input, r row) {
	heads := p.Readouts
	column := func(c int) []float64 {
		x := make([]float64, len(heads))
		for i := range heads {
			x[i] = heads[i].Logits[c]
		}
		num.Softmax(x, slices.Clone(x))
		return x
	}
	start, end := column(0), column(1)
	for i := range heads {
		heads[i].Probs = []float64{start[i], end[i]}
	}
	better := func(a, b int) int { return cmp.Or(cmp.Compare(heads[b].Logits[0], heads[a].Logits[0]), a-b) }
	score := func(a, b Answer) int { return cmp.Compare(b.StartLogit+b.EndLogit, a.StartLogit+a.EndLogit) }
	var starts []int // up to the end in question; only the best of them can begin one of the best spans
	for i := range heads {
		if !inContext(p.Tokens[i], in, r, i) {
			continue
		}
		place, _ := slices.BinarySearchFunc(starts, i, better)
		starts = slices.Insert(starts, place, i)
		starts = starts[:min(len(starts), most)]
		for _, s := range starts {
			p.Spans = append(p.Spans, Answer{
				Tokens: [2]int{s, i}, StartLogit: heads[s].Logits[0], EndLogit: heads[i].Logits[1], Prob: start[s] * end[i],
			})
		}
		slices.SortStableFunc(p.Spans, score)
		p.Spans = p.Spans[:min(len(p.Spans), most)]
	}
	for i := range p.Spans {
		m.locate(&p.Spans[i], p.Tokens, in)
	}
}

// inContext reports whether token i can be part of an answer: it is visible, not
// special, and of the second text. Of raw inputs that is what has the type 1,
// and where there are no types anything.
func inContext(t Token, in Input, r row, i int) bool {
	switch {
	case t.Special || at(r.mask, i, 1) == 0:
		return false
	case in.Raw == nil:
		return t.Sequence == 1
	}
	return at(r.types, i, 1) == 1
}

// locate finds the text of an answer.
func (m *Model) locate(a *Answer, tokens []Token, in Input) {
	first, last := a.Tokens[0], a.Tokens[1]
	if in.Raw == nil {
		a.Span = &Span{Sequence: 1, Start: tokens[first].Start, End: tokens[last].End}
		a.Text = (*in.Pair)[a.Span.Start:a.Span.End]
		return
	}
	if m.tokenizer != nil && in.Raw.IDs != nil {
		a.Text = m.tokenizer.Join(in.Raw.IDs[first:last+1], false)
	}
}
