package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
)

// prediction is the command predict with its flags.
type prediction struct {
	*app
	source
	model, format string
	all           bool
	tokens        int // --generate
	temperature   float64
	topK          int
	topP          float64
	seed          uint64
}

func (a *app) predict() *cobra.Command {
	p := &prediction{app: a}
	cmd := &cobra.Command{
		Use:   "predict [TEXT]",
		Short: "Run the model and print its answer",
		Long: `Predict runs the model on a text, or on every row of raw tensors, and prints what
it answers: the classes with their probabilities; a label for each token; the most
probable next tokens, or those at each mask; or the best answers to a question,
which is the TEXT, from the context, which is --text-pair. Without TEXT, the text is
standard input. With --generate a causal language model continues the text.

The JSON form has "logits" and "probs" in the order of "labels", "input_ids" and
"tokens"; with --inputs each is a list with one entry a row. A classifier of texts
has the predicted "label" too; a regression has no probs and no label: they are
null. For a classifier of tokens, and for answers, logits and probs have a list for
each token; answers are "spans" with their logits, and offsets into the context. A
language model has the ten most probable tokens, with their "ids", of the next
token, or at each of the "positions" of a mask; with --all, every logit at every
position. XLNet predicts the targets that target_mapping names, or what follows a
text.

With --generate the JSON form has "text", "ids", "tokens" and "logprobs" of the
continuation.`,
		Example: examples(
			`xai predict "A gripping, beautifully shot film."`, "the embedded model",
			`xai predict -m ./my-bert --format json "Some text."`, "a model folder, for a program",
			`xai predict -m ./my-nli --text-pair "A person is outside." "A man walks."`, "two texts",
			`xai predict -m ./my-squad --text-pair "Ada wrote it in 1843." "When was it written?"`, "a question and its context",
			`xai predict -m ./my-gpt2 "The capital of France is"`, "the most probable next tokens",
			`xai predict -m ./my-gpt2 --generate 40 --temperature 0.8 --top-p 0.95 --seed 1 "Once upon a time"`, "a continuation",
			`xai predict -m ./my-bert --inputs rows.safetensors --format json`, "raw token ids, a batch",
		),
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVarP(&p.model, "model", "m", "", "`MODEL` folder, or builtin:NAME (default: an embedded one for the language of the text)")
	p.source.flags(cmd, true)
	f.BoolVar(&p.all, "all", false, "all classes on the terminal; every logit of a language model in JSON")
	f.Var(natural{&p.tokens}, "generate", "continue the text by up to N tokens, with a causal language model")
	f.Var(number{&p.temperature, 0, 1e9}, "temperature", "draw at random, with the logits divided by this (default: 0, the most probable token)")
	f.Var(natural{&p.topK}, "top-k", "draw among the K most probable tokens alone (default: all)")
	f.Var(number{&p.topP, 0, 1}, "top-p", "draw among the most probable tokens that together have this probability (default: all)")
	f.Var(seed{&p.seed}, "seed", "seed of what is drawn; the same seed gives the same text")
	f.Var(choice{&p.format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// run runs the command.
func (p *prediction) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	generate := cmd.Flags().Changed("generate")
	if err := p.check(cmd, generate); err != nil {
		return err
	}
	inputs, err := p.read(p.app, cmd, args)
	if err != nil {
		return err
	}
	host, err := p.host()
	if err != nil {
		return err
	}
	defer host.Close()
	m, err := host.OpenModel(ctx, p.chosen(p.model, inputs[0], p.format != "json"))
	if err != nil {
		return err
	}
	defer m.Close()
	if generate {
		return p.generate(ctx, m, inputs)
	}
	if p.all && p.format != "json" && m.Engine().Labels() == nil {
		return usage("use --all --format json, or leave --all out", "every logit of a language model is too much for a terminal")
	}
	result, err := m.Predict(ctx, inputs, core.PredictOptions{All: p.all, Progress: p.showProgress()})
	if err != nil {
		return err
	}
	if p.format == "json" { // at once, without another copy of what may be long
		p.clearProgress()
		return report.PredictionJSON(standard{p.stdout}, result, p.inputs != "", p.all)
	}
	return p.write(func(w io.Writer) error { return p.term().Prediction(w, result, p.all) })
}

// check refuses flags that have no effect together.
func (p *prediction) check(cmd *cobra.Command, generate bool) error {
	switch {
	case generate && p.tokens == 0:
		return usage("name a number above 0", "--generate 0 continues nothing")
	case generate && p.all:
		return usage("give one of them", "--all is for one prediction, and --generate makes many")
	}
	for _, flag := range []string{"temperature", "top-k", "top-p", "seed"} {
		if !generate && cmd.Flags().Changed(flag) {
			return usage("add --generate N", "--%s is for a continuation", flag)
		}
	}
	for _, flag := range []string{"top-k", "top-p", "seed"} {
		if p.temperature == 0 && cmd.Flags().Changed(flag) {
			return usage("add --temperature 1", "--%s has no effect where nothing is drawn at random", flag)
		}
	}
	return nil
}

// generation is the JSON form of a continuation.
type generation struct {
	Text     string       `json:"text"`
	IDs      []int32      `json:"ids"`
	Tokens   []string     `json:"tokens"`
	LogProbs []core.Float `json:"logprobs"`
	InputIDs []int32      `json:"input_ids"`
}

// generate continues the input. The text is written as it grows.
func (p *prediction) generate(ctx context.Context, m *core.Model, inputs []core.Input) error {
	if len(inputs) != 1 {
		return &core.Error{Kind: core.KindInput, Msg: fmt.Sprintf("%s holds %d rows, and one is continued at a time", p.inputs, len(inputs)), Hint: "write one row to a file of its own"}
	}
	options := core.Generation{Tokens: p.tokens, Temperature: p.temperature, TopK: p.topK, TopP: p.topP, Seed: p.seed}
	open := false // a line that has begun on standard output
	if p.format != "json" {
		options.Text = func(piece string) error {
			open = true
			return p.print(report.Lines(piece))
		}
	}
	g, err := m.Generate(ctx, inputs[0], options)
	if err != nil {
		if open {
			p.print("\n")
		}
		return err
	}
	if p.format != "json" {
		if !open && g.Text == "" && m.Tokenizer() == nil {
			return p.print(strings.Trim(fmt.Sprint(g.IDs), "[]") + "\n")
		}
		return p.print("\n")
	}
	out := generation{Text: g.Text, IDs: g.IDs, Tokens: g.Tokens, LogProbs: core.Floats(g.LogProbs), InputIDs: make([]int32, len(g.Prompt))}
	for i, t := range g.Prompt {
		out.InputIDs[i] = t.ID
	}
	return p.write(func(w io.Writer) error { return report.JSON(w, out) })
}
