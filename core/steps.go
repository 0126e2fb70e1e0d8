package core

import (
	"context"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/sdk"
)

// StepName names the attribution of one token of a continuation, beside that of all of
// it. The names of its diagnostics begin with it and a dot.
func StepName(step int) string { return "step." + strconv.Itoa(step) }

// stepOf returns the step whose name a name is, or begins with, and what stands behind
// its dot.
func stepOf(name string) (step int, rest string, ok bool) {
	_, index, _ := strings.Cut(name, ".")
	index, rest, _ = strings.Cut(index, ".")
	step, err := strconv.Atoi(index)
	whole := StepName(step)
	return step, rest, err == nil && (name == whole || strings.HasPrefix(name, whole+"."))
}

// steps returns the tokens of the continuation that is explained, with the
// target's value for each alone; nil of any other target.
func (s *session) steps() []Step {
	if s.target.kind != sdk.KindContinuation {
		return nil
	}
	steps := make([]Step, len(s.suffix))
	for i, id := range s.suffix {
		t := s.target.step(i)
		steps[i] = Step{Token: id, Text: s.model.questions().text(id), Value: Float(t.value(s.answers[0].values, s.scale))}
	}
	return steps
}

// step returns the target of a continuation's token i. What it reads is part of
// what the continuation reads, so that answers serve both.
func (t *target) step(i int) *target {
	one := *t
	one.kind = sdk.KindStep
	one.expr = prefixStep + strconv.Itoa(i) + ":" + t.label
	one.index = t.branches[0].cells[i].class
	one.parts = []summand{{weight: 1, cells: []int{i}}}
	return &one
}

// named says in words what the target is.
func (t *target) named() string {
	switch t.kind {
	case sdk.KindClass:
		return "the class " + strconv.Quote(ClassLabel(t.label, t.index))
	case sdk.KindToken:
		return "the token " + strconv.Quote(t.label)
	case sdk.KindDifference:
		return "the difference " + t.label
	}
	return t.expr
}

// checkSteps refuses to explain the steps of a target that has none.
func (s *session) checkSteps() error {
	if s.target.kind == sdk.KindContinuation {
		return nil
	}
	hint := "give --target continuation:TEXT, or leave --steps out"
	if task := s.model.engine.Info().Task; task != arch.CausalLM && task != arch.PermutationLM {
		hint = "leave --steps out: only language models that write from left to right, and XLNet, have continuations"
	}
	return usage("only a continuation has steps, and the target is "+s.target.named(), hint)
}

// eachStep runs the method once more for each token of a continuation, on the
// same session, and adds what it returns.
func (s *session) eachStep(ctx context.Context, x *Explanation, run runFunc, request *sdk.Request) error {
	whole := s.target
	defer func() { s.target = whole }()
	for i := range s.suffix {
		s.target = whole.step(i)
		s.target.label = x.Target.Steps[i].Text
		again := *request
		again.Target = s.describe(float64(x.Target.Steps[i].Value))
		result, _, err := run(ctx, s, &again)
		if err != nil {
			return err
		}
		x.Target.Steps[i].Baseline = (*Float)(result.Baseline)
		if err := x.fill(result, s, StepName(i)+"."); err != nil {
			return err
		}
	}
	return nil
}
