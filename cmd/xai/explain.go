package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
)

// explanation is the command explain with its flags.
type explanation struct {
	*app
	source
	model, method string
	params        []string
	target        string
	outputScale   string
	steps, sanity bool
	units         string
	seed          uint64
	format        string
	file          string
	runtime       string
}

func (a *app) explain() *cobra.Command {
	e := &explanation{app: a}
	cmd := &cobra.Command{
		Use:   "explain [TEXT]",
		Short: "Say which words pushed the model to its answer",
		Long: `Explain runs an explanation method on one text: each unit of the text (a word,
by default) gets a score that says how far it pushed the model's output up or
down. Without TEXT, the text is standard input.

What is explained is the model's own answer, unless --target names another. By
what the model does, a target is

  CLASS, label:NAME             a class of a text, by its index or its label
  CLASS@POS                     a class of a token
  start@POS, end@POS, span:S-E  an answer to a question: TEXT is the question and
                                --text-pair the context
  token:ID@POS                  a token of a language model, by its id or its text;
                                of a causal one what comes behind position POS
  continuation:TEXT             all tokens of a text behind the input
  A - B                         why A rather than B: two of a kind

Positions count tokens, special ones included, from 0, or from the end: -1 is the
last. Scores are in the scale of --output: a probability, but for a continuation,
whose log-probabilities add up. --steps explains each token of it too.

Formats: term is for people; json has everything and csv the scores, with offsets
into the text; safetensors has the numbers as tensors. With -o, the file's ending
chooses the format where --format does not: .txt is the report for people.`,
		Example: examples(
			`xai explain "A gripping, beautifully shot film."`, "the default model and method",
			`xai explain -m ./my-bert -M lime -p num_samples=5000 --seed 1 --file review.txt`, "a model folder, a method with a parameter, a text from a file",
			`xai explain "Not bad at all." --target NEGATIVE --output logit`, "why it was not negative after all",
			`cat review.txt | xai explain --format json | jq '.attributions[0].values'`, "for a program",
			`xai explain -m ./gpt2 "The film was" --target "continuation: very good" --steps`, "each token of what a language model could go on with",
			`xai explain -m ./bert-qa "Who won?" --text-pair "Ann won the race."`, "what makes the answer the answer",
			`xai explain "A gripping film." --units spans:0-10,11-15`, "scores of ranges of the text",
			`xai explain -M lime --help`, "this, and what the method takes",
		),
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVarP(&e.model, "model", "m", "", "`MODEL` folder, or builtin:NAME (default: an embedded one for the language of the text)")
	f.StringVarP(&e.method, "method", "M", core.DefaultMethod, "explanation `METHOD`; see xai methods list")
	f.StringArrayVarP(&e.params, "param", "p", nil, "parameter of the method as `KEY=VALUE`; may be repeated")
	e.source.flags(cmd, true)
	f.StringVar(&e.target, "target", "", "what to explain, `TARGET` as above (default: what the model answers)")
	f.Var(choice{&e.outputScale, []string{"logit", "prob", "logprob"}}, "output", "scale of the target (default: prob, but logprob of a continuation)")
	f.BoolVar(&e.steps, "steps", false, "explain each token of a continuation as well")
	f.BoolVar(&e.sanity, "sanity", false, "explain the text by models with shuffled weights as well, layer by layer from the top, and say whether the scores change: the method has to notice")
	f.Var(units{&e.units}, "units", "what gets a score: words by Unicode's rules (default), tokens, sentences, ranges of bytes as spans:0-5,6-12, or those of a JSON file as @FILE")
	f.Var(seed{&e.seed}, "seed", "seed of whatever is drawn at random; the same seed gives the same result")
	f.Var(choice{&e.format, formats}, "format", "how to write the result (default: term)")
	f.VarP(filename{&e.file}, "out-file", "o", "write to this `FILE`, whole or not at all")
	f.Var(choice{&e.runtime, []string{core.RuntimeWASM, core.RuntimeProcess, core.RuntimeNative}}, "runtime", "run the method in its sandbox (wasm), in a confined process (process; a module keeps its sandbox there) or, to debug a built-in one, in xai itself (native)")
	a.complete(cmd)
	a.methodHelp(cmd)
	return cmd
}

// formats are the formats of an explanation.
var formats = []string{"term", "json", "csv", "safetensors"}

// run runs the command.
func (e *explanation) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	if e.file == "-" {
		e.file = "" // standard output, as other tools have it
	}
	format, err := formatOf(e.format, e.file, formats)
	if err != nil {
		return err
	}
	if _, terminal := terminalWidth(e.stdout); terminal && format == "safetensors" && e.file == "" {
		return usage("name a file with -o", "safetensors is a binary format and standard output is a terminal")
	}
	if e.sanity && format != "term" && format != "json" {
		return usage("use --format term or json", "%s has no place for the sanity check", format)
	}
	request := core.Request{
		Method: e.method, Target: e.target, Output: sdk.Output(e.outputScale), Steps: e.steps, Sanity: e.sanity, Units: e.units,
		Seed: e.seed, Runtime: e.runtime, Timeout: e.timeout, Fuel: int64(e.fuel), Log: e.log,
	}
	if request.Params, err = pairs(e.params); err != nil {
		return err
	}
	var units *unitsFile
	if name, ok := strings.CutPrefix(e.units, "@"); ok {
		if units, err = readUnits(name); err != nil {
			return err
		}
		request.Units = units.spans
	}
	var out *output
	if e.file != "" {
		if out, err = e.openOutput(e.file); err != nil {
			return err
		}
	}
	if request.Input, err = e.one(cmd, args); err != nil {
		return err
	}
	if err := units.check(request.Input); err != nil {
		return err
	}
	host, err := e.host()
	if err != nil {
		return err
	}
	defer host.Close()
	entry, err := e.resolve(host)
	if err != nil {
		return err
	}
	if _, err := host.Params(e.method, request.Params); err != nil {
		return err
	}
	if e.runtime != core.RuntimeNative {
		go host.Prepare(ctx, e.method)
	}
	model, err := host.OpenModel(ctx, e.chosen(e.model, request.Input, format == "term"))
	if err != nil {
		return err
	}
	defer model.Close()
	request.Progress = e.showProgress()
	result, err := host.Explain(ctx, model, request)
	if err != nil {
		return err
	}
	if entry.ShadowsBuiltin {
		fmt.Fprintf(e.stderr, "note: the method %s is that of %s, in place of the embedded one\n", report.Line(entry.Name), report.Line(entry.File.Path))
	}
	if format != "term" { // the report for people says so itself
		e.noteDropped(len(result.Input.Dropped))
	}
	if n := int(result.Diagnostics[core.DiagUnknown]); n > 0 && format != "term" {
		fmt.Fprintf(e.stderr, "note: %d of %d tokens are unknown to this model, which cannot tell them apart\n", n, len(result.Input.Tokens))
	}
	answer, err := predicted(ctx, model, request.Input, format)
	if err != nil {
		return err
	}
	return e.deliver(ctx, out, func(t report.Term, w io.Writer) error {
		switch format {
		case "json":
			return report.JSON(w, result)
		case "csv":
			return report.CSV(w, result)
		case "safetensors":
			return report.Safetensors(w, result)
		}
		return t.Explanation(w, result, answer)
	})
}

// resolve finds the method and bounds the heap by its limits.
func (e *explanation) resolve(host *core.Host) (registry.Entry, error) {
	entry, _, err := host.Method(e.method)
	if err == nil {
		e.boundHeap(host, entry)
	}
	return entry, err
}

// one reads the one input that is explained.
func (e *explanation) one(cmd *cobra.Command, args []string) (core.Input, error) {
	inputs, err := e.source.read(e.app, cmd, args)
	if err != nil {
		return core.Input{}, err
	}
	if len(inputs) != 1 {
		return core.Input{}, &core.Error{
			Kind: core.KindInput, Msg: fmt.Sprintf("%s holds %d rows, and one is explained at a time", e.inputs, len(inputs)), Hint: "write one row to a file of its own",
		}
	}
	return inputs[0], nil
}

// chosen returns the model that is used: the one that was named, or the
// embedded one for the language of the text. Where that is not the usual one,
// it says so to whoever reads along.
func (a *app) chosen(named string, in core.Input, talk bool) string {
	if named != "" {
		return named
	}
	text := in.Text
	if in.Pair != nil {
		text += *in.Pair
	}
	model := core.DefaultModel(text)
	if talk && model != core.DefaultModel("") {
		fmt.Fprintf(a.stderr, "note: most of the text is Chinese, Japanese or Korean, so it is read by %s; -m names another\n", model)
	}
	return model
}

// pairs splits key=value arguments.
func pairs(args []string) (map[string]string, error) {
	out := make(map[string]string, len(args))
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, usage("write it as -p num_samples=500", "the parameter %q is not key=value", arg)
		}
		if _, twice := out[key]; twice {
			return nil, usage("give it once", "the parameter %s is given twice", key)
		}
		out[key] = value
	}
	return out, nil
}

// predicted returns the model's prediction, which the terminal shows above the
// explanation: of a masked language model without a mask there is none.
func predicted(ctx context.Context, model *core.Model, in core.Input, format string) (*core.Prediction, error) {
	if format != "term" {
		return nil, nil
	}
	p, err := model.Predict(ctx, []core.Input{in}, core.PredictOptions{})
	if ctx.Err() == nil && core.KindOf(err) == core.KindInput {
		return nil, nil
	}
	return p, err
}
