package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/evaluation"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/sdk"
)

// assessment is the command eval with its flags.
type assessment struct {
	*app
	source
	model       string
	methods     []string
	params      []string
	corpus      string
	drawn       int // texts of the corpus; 0 for all of them
	scores      string
	preset      string
	measures    []string
	fill        string
	shares      []string
	rule        string
	positive    bool
	steps       int
	random      int
	samples     int
	neighbours  int
	noise       float64
	top         string
	bootstrap   int
	long        string
	target      string
	outputScale string
	units       string
	seed        uint64
	format      string
	file        string
	runtime     string
}

// evaluationFormats are the formats of an evaluation.
var evaluationFormats = []string{"term", "json", "csv", "markdown"}

func (a *app) eval() *cobra.Command {
	e := &assessment{app: a}
	defaults, _ := evaluation.Preset(evaluation.Presets[0])
	cmd := &cobra.Command{
		Use:   "eval [TEXT]",
		Short: "Measure how faithful and how plausible explanations are",
		Long: `Eval explains a text, or every text of a corpus, with one method or several, and
measures the explanations: what becomes of the model's output when the units that
they name go or stay, how they agree with each other, and with what a human
marked. Random orders of the same scores stand beside every measure, and over a
corpus every mean has an interval.

A method is NAME, or NAME:KEY=VALUE,KEY=VALUE with parameters; -p gives parameters
to a single one. With --scores, scores that were made elsewhere are measured: an
explanation that explain --format json wrote, or a list of numbers, one a unit of
--units or a token.

A corpus has a JSON object a line: {"text": …} and, where there are any,
"text_pair", "id", "label", "target", "scores", and what a human marked in the text:
"rationale" [[start, end], …] in bytes, "rationale_runes" in code points, or
"evidences" [{"start", "end", "text"}, …], which are in code points too. The files of
ERASER's release are read as they are, with the folder docs beside them.

Presets are the conventions of the references: eraser (the default), ferret and
captum. A text that is longer than the model reads is read in windows, whose
outputs, weighted by their tokens, add up to that of the text.`,
		Example: examples(
			`xai eval "A gripping, beautifully shot film."`, "is the default method faithful to the default model here?",
			`xai eval --corpus reviews.jsonl --texts 20 -M lime -M lime:num_samples=200,fill=delete`, "two settings of a method over 20 texts",
			`xai eval --corpus eraser-movies.jsonl --measures plausibility -M lime --format csv`, "against human rationales",
			`xai explain "Not bad at all." --format json -o x.json && xai eval --scores x.json`, "an explanation that is there already",
			`xai eval "Not bad at all." --scores scores.json --units token --preset ferret`, "scores of another tool, by ferret's conventions",
		),
		RunE: func(cmd *cobra.Command, args []string) error { return e.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVarP(&e.model, "model", "m", "", "`MODEL` folder, or builtin:NAME (default: an embedded one for the language of the texts)")
	f.StringArrayVarP(&e.methods, "method", "M", nil, "`METHOD` to evaluate, NAME or NAME:KEY=VALUE,…; may be repeated (default: "+core.DefaultMethod+")")
	f.StringArrayVarP(&e.params, "param", "p", nil, "parameter of the method as `KEY=VALUE`, where there is one method; may be repeated")
	e.source.flags(cmd, false)
	f.StringVar(&e.corpus, "corpus", "", "evaluate on the texts of this `FILE`, a JSON object a line; - is standard input")
	f.Var(natural{&e.drawn}, "texts", "evaluate on N texts of the corpus, which the seed draws; 0 takes all")
	f.StringVar(&e.scores, "scores", "", "measure the scores in this `FILE`: an explanation, or a list of numbers, for each text")
	f.Var(choice{&e.preset, evaluation.Presets}, "preset", "conventions of a reference (default: "+evaluation.Presets[0]+")")
	f.StringSliceVar(&e.measures, "measures", nil, "`GROUPS` of measures: "+strings.Join(evaluation.Groups, ", ")+" (default: the preset's)")
	f.Var(choice{&e.fill, sdk.FillNames[:len(sdk.FillNames)-1]}, "fill", "what a removed unit becomes (default: the preset's, delete)")
	f.StringSliceVar(&e.shares, "shares", nil, "`SHARES` of the units to remove and to keep, such as 0.1,0.5 (default: the preset's)")
	f.Var(choice{&e.rule, []string{string(metric.Ceil), string(metric.Round), string(metric.Floor), string(metric.FloorMin)}}, "rule", "how a share becomes a number of units (default: the preset's)")
	f.BoolVar(&e.positive, "positive", false, "remove and keep only units whose score is above 0 (ferret's default)")
	e.steps, e.random, e.samples, e.neighbours, e.noise, e.bootstrap = defaults.Steps, defaults.Random, defaults.Samples, defaults.Neighbours, defaults.Noise, defaults.Bootstrap
	f.Var(natural{&e.steps}, "steps", "intervals of the deletion and insertion curves; 0 measures every number of units")
	f.Var(natural{&e.random}, "random", "random orders beside each method")
	f.Var(natural{&e.samples}, "samples", "sets of units that are dropped for the infidelity")
	f.Var(natural{&e.neighbours}, "neighbours", "neighbours of each text that are explained for the sensitivity")
	f.Var(number{&e.noise, 1e-9, 1e9}, "noise", "radius of the noise on embeddings")
	f.StringVar(&e.top, "top", "", "how many units count as an explanation's rationale: share (the corpus' mean), truth (as many as are marked) or a `NUMBER` (default: the preset's)")
	f.Var(natural{&e.bootstrap}, "bootstrap", "samples of texts that intervals are made of")
	f.Var(choice{&e.long, []string{evaluation.LongWindows, evaluation.LongCut}}, "long", "what becomes of texts that do not fit the model: they are read in windows, or cut (default: windows)")
	f.StringVar(&e.target, "target", "", "what to explain, `TARGET` as explain has it: a class, A - B, a token, a span … (default: what the model answers to each text)")
	f.Var(choice{&e.outputScale, []string{"logit", "prob", "logprob"}}, "output", "scale of the target (default: prob for classes)")
	f.Var(choice{&e.units, []string{core.UnitsToken, core.UnitsWord, core.UnitsSentence}}, "units", "what gets a score (default: word)")
	f.Var(seed{&e.seed}, "seed", "seed of whatever is drawn at random; the same seed gives the same result")
	f.Var(choice{&e.format, evaluationFormats}, "format", "how to write the result (default: term)")
	f.VarP(filename{&e.file}, "out-file", "o", "write to this `FILE`, whole or not at all")
	f.Var(choice{&e.runtime, []string{core.RuntimeWASM, core.RuntimeProcess, core.RuntimeNative}}, "runtime", "run the methods in their sandbox (wasm), in a confined process (process) or, to debug built-in ones, in xai itself (native)")
	a.complete(cmd)
	return cmd
}

func (e *assessment) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	if e.file == "-" {
		e.file = ""
	}
	format, err := formatOf(e.format, e.file, evaluationFormats)
	if err != nil {
		return err
	}
	options, err := e.options(cmd)
	if err != nil {
		return err
	}
	var out *output
	if e.file != "" {
		if out, err = e.openOutput(e.file); err != nil {
			return err
		}
	}
	texts, err := e.texts(cmd, args)
	if err != nil {
		return err
	}
	host, err := e.host()
	if err != nil {
		return err
	}
	defer host.Close()
	if len(options.Methods) == 0 && texts[0].Given == nil && texts[0].Scores == nil {
		if options.Methods, err = e.named([]string{core.DefaultMethod}); err != nil {
			return err
		}
	}
	for _, m := range options.Methods { // before a model is opened
		entry, _, err := host.Method(m.Name)
		if err != nil {
			return err
		}
		e.boundHeap(host, entry)
		if _, err := host.Params(m.Name, m.Params); err != nil {
			return err
		}
	}
	model, err := host.OpenModel(ctx, e.reader(texts, format == "term"))
	if err != nil {
		return err
	}
	defer model.Close()
	if err := e.sameModel(cmd, model, texts); err != nil {
		return err
	}
	options.Progress = e.showProgress()
	result, err := evaluation.Run(ctx, host, model, texts, options)
	if err != nil {
		return err
	}
	return e.deliver(ctx, out, func(t report.Term, w io.Writer) error {
		switch format {
		case "json":
			return report.JSON(w, result)
		case "csv":
			return report.EvaluationCSV(w, result)
		case "markdown":
			return report.EvaluationMarkdown(w, result)
		}
		return t.Evaluation(w, result)
	})
}

// options reads the flags: the preset, and what changes it.
func (e *assessment) options(cmd *cobra.Command) (evaluation.Options, error) {
	o := evaluation.Options{
		Target: e.target, Output: sdk.Output(e.outputScale), Units: e.units, Seed: e.seed,
		Runtime: e.runtime, Timeout: e.timeout, Fuel: int64(e.fuel), Log: e.log,
	}
	var err error
	preset := e.preset
	if preset == "" {
		preset = evaluation.Presets[0]
	}
	if o.Settings, err = evaluation.Preset(preset); err != nil {
		return o, err
	}
	given := cmd.Flags().Changed
	set := func(flag string, f func()) {
		if given(flag) {
			f()
		}
	}
	s := &o.Settings
	set("measures", func() { s.Measures = e.measures })
	set("fill", func() { s.Fill = e.fill })
	set("rule", func() { s.Rule = metric.Rule(e.rule) })
	set("positive", func() { s.Positive = e.positive })
	set("steps", func() { s.Steps = e.steps })
	set("random", func() { s.Random = e.random })
	set("samples", func() { s.Samples, s.NoiseSamples = e.samples, e.samples })
	set("neighbours", func() { s.Neighbours = e.neighbours })
	set("noise", func() { s.Noise = e.noise })
	set("top", func() { s.Top = e.top })
	set("bootstrap", func() { s.Bootstrap = e.bootstrap })
	set("long", func() { s.Long = e.long })
	if given("shares") {
		s.Shares = nil
		for _, text := range e.shares {
			q, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				return o, usage("give shares such as 0.1,0.2,0.5", "--shares: %q is no number", text)
			}
			s.Shares = append(s.Shares, q)
		}
	}
	if err := s.Check(); err != nil {
		return o, err
	}
	if len(e.methods) > 0 {
		o.Methods, err = e.named(e.methods)
	} else if len(e.params) > 0 && e.scores == "" {
		o.Methods, err = e.named([]string{core.DefaultMethod})
	}
	return o, err
}

// named reads methods as they are typed, NAME or NAME:KEY=VALUE,…, with -p for a
// single one.
func (e *assessment) named(typed []string) ([]evaluation.Method, error) {
	var methods []evaluation.Method
	for _, text := range typed {
		name, list, found := strings.Cut(text, ":")
		var params []string
		if found {
			for _, part := range strings.Split(list, ",") {
				if !strings.Contains(part, "=") && len(params) > 0 { // a comma of a value
					params[len(params)-1] += "," + part
					continue
				}
				params = append(params, part)
			}
		}
		if len(typed) == 1 {
			params = append(params, e.params...)
		}
		values, err := pairs(params)
		if err != nil {
			return nil, err
		}
		methods = append(methods, evaluation.Method{Label: text, Name: name, Params: values})
	}
	if len(typed) > 1 && len(e.params) > 0 {
		return nil, usage("write it as -M "+methods[0].Name+":"+e.params[0], "-p is for a single method, and there are %d", len(typed))
	}
	return methods, nil
}

// texts reads what is evaluated on: a corpus, one text, or those that explanations
// bring with them.
func (e *assessment) texts(cmd *cobra.Command, args []string) ([]evaluation.Text, error) {
	var scores []evaluation.Scores
	if e.scores != "" {
		f, err := e.reading(e.scores)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if scores, err = evaluation.ReadScores(f, f.name); err != nil {
			return nil, err
		}
	}
	explained := 0
	for _, s := range scores {
		if s.Given != nil {
			explained++
		}
	}
	if explained > 0 && explained < len(scores) {
		return nil, usage("give one or the other", "%s holds explanations and lists of scores", e.scores)
	}
	one := len(args) > 0 || e.source.file != ""
	var texts []evaluation.Text
	switch {
	case e.corpus != "":
		if one {
			return nil, usage("give one of them", "both a text and --corpus were given")
		}
		f, err := e.reading(e.corpus)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		var documents fs.FS // of a release of ERASER's
		if root, err := os.OpenRoot(filepath.Join(filepath.Dir(e.corpus), "docs")); err == nil {
			defer root.Close()
			documents = root.FS()
		}
		if texts, err = evaluation.ReadCorpus(f, f.name, documents, func(message string) { e.log(sdk.Warning, message) }); err != nil {
			return nil, err
		}
	case explained > 0 && !one:
		for _, s := range scores {
			texts = append(texts, evaluation.Text{Input: core.Input{Text: s.Given.Input.Text, Pair: s.Given.Input.TextPair}})
		}
	default:
		if e.drawn > 0 {
			return nil, usage("give a file of texts with --corpus", "--texts says how many texts of a corpus are evaluated on, and there is none")
		}
		inputs, err := e.source.read(e.app, cmd, args)
		if err != nil {
			return nil, err
		}
		texts = []evaluation.Text{{Input: inputs[0]}}
	}
	if len(scores) > 0 && len(scores) != len(texts) {
		return nil, &core.Error{Kind: core.KindInput, Msg: fmt.Sprintf("there are scores for %d texts, and %d texts", len(scores), len(texts)), Hint: "give as many, in the same order"}
	}
	for i, s := range scores {
		if s.Given != nil && s.Given.Provenance.Units == "" {
			return nil, &core.Error{Kind: core.KindInput, Msg: "the explanation is of token ids, and texts are evaluated on", Hint: "explain the text itself"}
		}
		if x := s.Given; x != nil && (x.Input.Text != texts[i].Input.Text || (x.Input.TextPair == nil) != (texts[i].Input.Pair == nil) || x.Input.TextPair != nil && *x.Input.TextPair != *texts[i].Input.Pair) {
			return nil, &core.Error{Kind: core.KindInput, Msg: fmt.Sprintf("explanation %d is of another text", i), Hint: "give the explanations of these texts, in the same order"}
		}
		texts[i].Given, texts[i].Scores = s.Given, s.List
	}
	if e.drawn > 0 {
		texts = evaluation.Sample(texts, e.drawn, e.seed)
	}
	return texts, nil
}

// reading opens a file, or standard input for "-".
func (e *assessment) reading(name string) (*opened, error) {
	if name == "-" {
		return &opened{io.NopCloser(e.stdin), "standard input"}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError(err, "cannot read", name)
	}
	return &opened{f, name}, nil
}

// reader returns the model that reads the texts: the one that was named, the one
// that the explanations name, or the embedded one for their language.
func (e *assessment) reader(texts []evaluation.Text, talk bool) string {
	if e.model == "" && texts[0].Given != nil {
		return texts[0].Given.Model.ID
	}
	const most = 1 << 16 // of text that says which language it is in
	var all core.Input
	for _, t := range texts {
		if all.Text += t.Input.Text; len(all.Text) > most {
			break
		}
	}
	return e.chosen(e.model, all, talk)
}

// sameModel refuses explanations of another model than the one that is open,
// unless -m says that this is meant.
func (e *assessment) sameModel(cmd *cobra.Command, m *core.Model, texts []evaluation.Text) error {
	for i, t := range texts {
		if t.Given == nil || cmd.Flags().Changed("model") {
			continue
		}
		ref, err := m.Ref(cmd.Context())
		if err != nil {
			return err
		}
		if ref.SHA256 != t.Given.Model.SHA256 || ref.TokenizerSHA256 != t.Given.Model.TokenizerSHA256 {
			return &core.Error{Kind: core.KindInput, Msg: fmt.Sprintf("explanation %d is of another model, %s", i, t.Given.Model.ID), Hint: "name the model to measure it on with -m", Err: errors.New("hashes differ")}
		}
	}
	return nil
}
