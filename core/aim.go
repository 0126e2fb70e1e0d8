package core

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/sdk"
)

// session prepares a run of a method with these needs: it encodes the input, cuts it
// into units, settles the target, and evaluates the unchanged input.
func (m *Model) session(ctx context.Context, r *Request, needs ...sdk.Need) (*session, error) {
	given, err := parseUnits(r.units())
	if err != nil {
		return nil, err
	}
	enc, err := m.encodeAs(r.Input, true)
	if err != nil {
		return nil, err
	}
	s := &session{model: m, enc: enc, progress: r.Progress, known: make(map[rowKey]int)}
	if err := s.cut(r.units(), given); err != nil {
		return nil, err
	}
	if err := s.affords(ctx, needs); err != nil {
		return nil, err
	}
	if err := s.aim(ctx, r); err != nil {
		return nil, err
	}
	if len(s.answers) > 0 {
		return s, nil
	}
	return s, s.begin(ctx)
}

// cut cuts the input into units, as a policy says, or into those given.
func (s *session) cut(policy string, given []sdk.Unit) error {
	switch enc := s.enc; {
	case given != nil:
		if enc.raw {
			return usage("spans are of a text, and the input is token ids", "mark the tokens that are to stay with a tensor keep")
		}
		if err := enc.choose(given); err != nil {
			return err
		}
		s.units = given
	case enc.raw:
		s.byToken = true
		s.units = rawUnits(enc.tokens)
	default:
		s.byToken = policy == UnitsToken
		s.units = enc.units(policy)
	}
	if len(s.units) == 0 {
		return &Error{Kind: KindInput, Msg: "the tokenizer finds nothing to explain in the input", Hint: "give a text with at least one word"}
	}
	return nil
}

// aim settles the target, the model's own answer where the request names none.
// Where the target goes on behind the input, so does the input: with fixed tokens.
func (s *session) aim(ctx context.Context, r *Request) error {
	m, expr := s.model, r.Target
	switch {
	case strings.TrimSpace(expr) != "":
	case m.engine.Info().Task == arch.SequenceClassification: // which answers alike, whatever the target
		t, err := m.questions().parse("0", r.Output)
		if err != nil {
			return err
		}
		s.target, s.scale = t, m.scale(t.output)
		if err := s.begin(ctx); err != nil {
			return err
		}
		expr = strconv.Itoa(argmax(s.answers[0].values))
	default:
		var err error
		if expr, err = s.preferred(ctx, r.Input); err != nil {
			return err
		}
	}
	t, err := m.questions().parse(expr, r.Output)
	if err != nil {
		return err
	}
	s.target, s.scale = t, m.scale(t.output)
	most, causal := 0, m.labels == nil && m.engine.Info().Task != arch.MaskedLM
	for _, b := range t.branches {
		most = max(most, len(b.suffix))
	}
	if n := s.enc.row.n + most; causal && (len(s.enc.dropped) > 0 || m.MaxTokens() > 0 && n > m.MaxTokens()) {
		return m.tooLong(n + len(s.enc.dropped))
	}
	if most == 0 {
		return nil
	}
	extended, err := s.goesOn(t)
	if err != nil {
		return err
	}
	if m.engine.Info().Task == arch.PermutationLM {
		if err := m.marks(s.enc.row.n + most); err != nil {
			return err
		}
	}
	if len(t.branches) > 1 {
		return nil
	}
	s.suffix, s.enc.row = t.branches[0].suffix, extended
	s.enc.tokens = slices.Clone(s.enc.tokens)
	for _, id := range s.suffix {
		s.enc.tokens = append(s.enc.tokens, sdk.Token{ID: id, Text: m.token(id), Fixed: true})
	}
	return nil
}

// goesOn returns the input with what a target has behind it, or with the first of
// two.
func (s *session) goesOn(t *target) (row, error) {
	if s.enc.padding() > 0 {
		return row{}, &Error{Kind: KindInput, Msg: "the input ends with padding, behind which nothing goes on", Hint: "leave the padding out"}
	}
	r, err := s.model.extend(s.enc.row, t.branches[0].suffix)
	if err != nil {
		return r, &Error{Kind: KindInput, Msg: err.Error(), Hint: "explain an answer that needs no tokens behind the input"}
	}
	return r, nil
}

// preferred returns the target that is explained where none is named: what the
// model answers itself. Of a classifier of tokens that is the largest logit of a
// token of the text, of all classes but one that is named O, for no entity; of a
// masked language model the most probable token at the first mask.
func (s *session) preferred(ctx context.Context, in Input) (string, error) {
	m := s.model
	task := m.engine.Info().Task
	r := s.enc.row
	q := query{row: r}
	switch task {
	case arch.CausalLM, arch.MaskedLM:
		q.reads = m.reads(s.enc, PredictOptions{})
		if len(q.reads) == 0 {
			if m.cutsMask(s.enc) {
				return "", m.maskBehind()
			}
			return "", &Error{Kind: KindInput, Msg: "there is no mask whose token could be explained", Hint: "write " + m.Info().MaskToken + " where a token is to be explained, or name one with --target token:ID@POS"}
		}
		q.reads = q.reads[:1]
	case arch.PermutationLM:
		t, err := m.questions().parse("token:0", sdk.Logit)
		if err != nil {
			return "", err
		}
		if r, err = s.goesOn(t); err != nil {
			return "", err
		}
		if err := m.marks(r.n); err != nil {
			return "", err
		}
		q.row = r.predicting(1)
	}
	out, err := m.forward(ctx, question{q}.input())
	if err != nil {
		return "", err
	}
	switch task {
	case arch.CausalLM, arch.PermutationLM:
		return "token:" + strconv.Itoa(argmax(out.Row(0))) + "@-1", nil
	case arch.MaskedLM:
		return "token:" + strconv.Itoa(argmax(out.Row(0))) + "@" + strconv.Itoa(q.reads[0]), nil
	case arch.TokenClassification:
		return s.entity(out), nil
	case arch.QuestionAnswering:
		p := PredictedRow{Tokens: tokenRefs(s.enc.tokens)}
		for i := range r.n {
			p.Readouts = append(p.Readouts, Readout{Position: i, Logits: out.Row(i)})
		}
		m.spans(&p, in, r)
		if len(p.Spans) == 0 {
			return "", &Error{Kind: KindInput, Msg: "the context has no tokens to answer with", Hint: "give a context with --text-pair, or name a target"}
		}
		return fmt.Sprintf("span:%d-%d", p.Spans[0].Tokens[0], p.Spans[0].Tokens[1]), nil
	}
	return "", nil
}

// entity returns the class and the token of the text with the largest logit.
func (s *session) entity(out *engine.Output) string {
	const none = "O"
	some := len(s.model.labels) > 1
	best, class, position := math.Inf(-1), 0, 0
	for i, t := range s.enc.tokens {
		if t.Special || t.Fixed {
			continue
		}
		for c, v := range out.Row(i) {
			if v > best && !(some && s.model.labels[c] == none) {
				best, class, position = v, c, i
			}
		}
	}
	return strconv.Itoa(class) + "@" + strconv.Itoa(position)
}
