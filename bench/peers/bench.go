package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xai-go/xai/bench/machine"
	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/builtin"
	"github.com/xai-go/xai/internal/virtual"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
)

// ours begins the names of our sides.
const ours = "xai"

// text is what is explained: 31 words, each another one and each one token of
// the embedded English tokenizer, and no punctuation, so that words, tokens and
// the features of every package are the same. With [CLS] and [SEP] it has 33
// tokens.
const text = "a gripping and beautifully shot film that loses its way in the second half but finds it again " +
	"near end when old friends meet by chance to sing of their love"

// label is the class that is explained.
const label = 1

// short is a text for first runs, which do not count.
const short = "a gripping film"

// bench measures.
type bench struct {
	*options
	report *Report
	log    io.Writer

	host    *core.Host
	model   *core.Model // what is timed
	runtime string      // what our methods run in
	peers   *process
}

// measure measures everything. dir is an empty folder for the model's files.
func (b *bench) measure(ctx context.Context, shape virtual.Shape, dir string) (err error) {
	py, err := b.python(ctx)
	if err != nil {
		return err
	}
	b.report.Peers.Python, b.report.Peers.Notes = py.from, py.notes
	files := builtin.Models()[builtin.SentimentEN]
	shape.Vocabulary = max(shape.Vocabulary, 30522) // more than the tokenizer's
	fmt.Fprintf(b.log, "writing %s\n", shape.Name)
	if err := model.Write(shape, dir, b.seed, nil); err != nil {
		return err
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		data, err := fs.ReadFile(files, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o666)
		}
		if err != nil {
			return err
		}
	}
	best, err := b.fastest(ctx, py, dir)
	if err != nil {
		return err
	}
	if b.peers, err = py.start(ctx, best); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.peers.close()) }()
	if err := b.prepare(dir); err != nil {
		return err
	}
	opened := time.Now()
	b.host, err = core.New(core.Options{
		Models:      map[string]fs.FS{shape.Name: os.DirFS(dir), builtin.SentimentEN: files},
		Methods:     core.Builtin(plugins.Builtin()),
		BuiltinOnly: true,
		Threads:     b.threads,
		Cache:       -1, // or all runs but the first would only look answers up
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.host.Close()) }()
	if b.model, err = b.host.OpenModel(ctx, "builtin:"+shape.Name); err != nil {
		return err
	}
	defer b.model.Close()
	b.report.Start.Open = milliseconds(time.Since(opened))
	b.report.Kernel = b.model.Engine().Kernel()
	if err := b.same(ctx); err != nil {
		return err
	}
	for _, w := range b.workloads() {
		if !slices.Contains(b.works, w.name) {
			continue
		}
		c, err := b.compare(ctx, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		b.report.Cases = append(b.report.Cases, *c)
		for _, s := range c.Sides {
			fmt.Fprintf(b.log, "%s, %s: %.0f ms\n", c.Name, s.Name, s.Median)
		}
	}
	if slices.Contains(b.works, precision) {
		if err := b.precision(ctx, dir); err != nil {
			return fmt.Errorf("%s: %w", precision, err)
		}
	}
	return nil
}

// python returns the Python that the peers run in.
func (b *bench) python(ctx context.Context) (*python, error) {
	if b.language != nil {
		return b.language(), nil
	}
	return b.pythons.find(ctx, b.log)
}

// settings returns what may be fastest on this machine, whatever the packages
// were built on. OpenBLAS, which Debian's PyTorch uses, takes processors that are
// newer than itself for very old ones, unless it is told.
func settings(threads int) (cores, others []setting) {
	cores = []setting{{"", threads, 1}}
	for _, c := range []struct{ feature, core string }{{"avx512f", "SkylakeX"}, {"avx2", "Haswell"}} {
		if machine.Has(c.feature) {
			cores = append(cores, setting{c.core, threads, 1})
		}
	}
	if threads > 1 {
		others = []setting{{"", threads, threads}, {"", 1, threads}, {"", 1, 1}}
	}
	return cores, others
}

// fastest tries settings: which core, and with that which threads.
func (b *bench) fastest(ctx context.Context, py *python, dir string) (setting, error) {
	var tried []Tried
	try := func(s setting) error {
		took, err := b.try(ctx, py, dir, s)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.log, "%s: %.0f ms for 16 texts\n", s, took)
		tried = append(tried, Tried{s, took})
		slices.SortStableFunc(tried, func(x, y Tried) int { return cmp.Compare(x.Fastest, y.Fastest) })
		return nil
	}
	cores, others := settings(b.threads)
	for _, s := range cores {
		if err := try(s); err != nil {
			return s, err
		}
	}
	core := tried[0].Core
	for _, s := range others {
		s.Core = core
		if err := try(s); err != nil {
			return s, err
		}
	}
	b.report.Peers.Settings = tried
	return tried[0].setting, nil
}

// try returns how long a setting takes for 16 texts at best.
func (b *bench) try(ctx context.Context, py *python, dir string, s setting) (fastest float64, err error) {
	p, err := py.start(ctx, s)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.do(command{"do": "load", "model": modelName, "path": dir}, nil); err != nil {
		return 0, err
	}
	fastest = math.Inf(1)
	for range 4 {
		var took struct {
			Wall float64 `json:"ms"`
		}
		if err := p.do(command{"do": "predict", "model": modelName, "texts": slices.Repeat([]string{text}, 16)}, &took); err != nil {
			return 0, err
		}
		fastest = min(fastest, took.Wall)
	}
	return fastest, nil
}

// modelName is the name of the model that is timed in the peers' process.
const modelName = "model"

// prepare has the peers import their packages and load the model.
func (b *bench) prepare(dir string) error {
	var told struct {
		Packages map[string]Package `json:"packages"`
	}
	if err := b.peers.do(command{"do": "packages"}, &told); err != nil {
		return err
	}
	b.report.Peers.Packages = told.Packages
	for _, name := range slices.Sorted(maps.Keys(told.Packages)) {
		p := told.Packages[name]
		b.report.Start.Import += p.Import
		fmt.Fprintf(b.log, "%s %s\n", name, cmp.Or(p.Version, "could not be imported: "+p.Error))
	}
	var loaded struct {
		Implementation string  `json:"implementation"`
		Wall           float64 `json:"ms"`
	}
	if err := b.peers.do(command{"do": "load", "model": modelName, "path": dir}, &loaded); err != nil {
		return err
	}
	b.report.Peers.Implementation, b.report.Start.Load = loaded.Implementation, loaded.Wall
	return nil
}

// explain has one of our methods explain a text, and returns its
// values without those of special tokens, and how long it took.
func (b *bench) explain(ctx context.Context, m *core.Model, r core.Request) (values []float64, x *core.Explanation, took time.Duration, err error) {
	r.Target, r.Runtime = fmt.Sprint(label), b.runtime
	began := time.Now()
	if x, err = b.host.Explain(ctx, m, r); err != nil {
		return nil, nil, 0, err
	}
	took = time.Since(began)
	for _, v := range x.Attributions[0].Values {
		values = append(values, float64(v))
	}
	if len(values) == len(x.Input.Tokens) {
		values = values[1 : len(values)-1]
	}
	return values, x, took, nil
}

// same holds that both models are the same.
func (b *bench) same(ctx context.Context) error {
	began := time.Now()
	_, x, _, err := b.explain(ctx, b.model, core.Request{Input: core.Input{Text: short}, Method: "lime", Params: map[string]string{"num_samples": "2"}})
	if err != nil {
		return err
	}
	b.report.Start.Compile = milliseconds(time.Since(began))
	var theirs struct {
		Values [][]float64 `json:"values"`
	}
	if err := b.peers.do(command{"do": "predict", "model": modelName, "texts": []string{short}}, &theirs); err != nil {
		return err
	}
	if len(theirs.Values) != 1 || len(theirs.Values[0]) <= label {
		return fmt.Errorf("the peers' probabilities are %v", theirs.Values)
	}
	if got, want := theirs.Values[0][label], float64(x.Target.Value); !(math.Abs(got-want) < 1e-5) {
		return fmt.Errorf("the peers' probability is %v, ours %v: the models are not the same", got, want)
	}
	return nil
}

// workload is an explanation that all sides make.
type workload struct {
	name, title string
	method      string                       // ours
	output      sdk.Output                   // what is explained
	sides       map[string]map[string]string // parameters of each of our sides
	peer        string                       // the package
	command     command                      // for it
	// What is compared before: a side of its own, or one of sides.
	checked     map[string]string
	checkedPeer command
}

// precision is the work that is no workload.
const precision = "precision"

// workNames returns what can be measured.
func workNames() (names []string) {
	for _, w := range (&bench{options: &options{}}).workloads() {
		names = append(names, w.name)
	}
	return append(names, precision)
}

// workloads returns the explanations that are measured.
func (b *bench) workloads() []workload {
	words := fmt.Sprint(len(strings.Fields(text)))
	lime := func(name, fill, title string, bow bool) workload {
		const few = 200
		theirs := command{"do": "explain", "model": modelName, "method": "lime", "text": text, "label": label, "samples": b.samples, "fill": fill, "seed": 0}
		return workload{
			name: name, title: fmt.Sprintf("LIME, %d samples, %s", b.samples, title), method: "lime", output: sdk.Prob, peer: "lime",
			sides:       map[string]map[string]string{ours: {"num_samples": fmt.Sprint(b.samples), "fill": fill}},
			command:     theirs,
			checked:     map[string]string{"compat": "lime", "num_samples": fmt.Sprint(few), "num_features": words, "bow": fmt.Sprint(bow), "fill": fill},
			checkedPeer: theirs.with("samples", few),
		}
	}
	owen := command{"do": "explain", "model": modelName, "method": "partition", "text": text, "label": label, "evaluations": b.evals}
	compat := map[string]string{"compat": "shap", "max_evals": fmt.Sprint(b.evals)}
	path := command{"do": "explain", "model": modelName, "method": "integrated-gradients", "text": text, "label": label, "steps": b.steps}
	steps := map[string]string{"n_steps": fmt.Sprint(b.steps)}
	return []workload{
		lime("lime-mask", "mask", "[MASK]", false),
		lime("lime-delete", "delete", "words deleted", true),
		{
			name: "partition", title: fmt.Sprintf("Partition SHAP, %d evaluations", b.evals), method: "partition-shap", output: sdk.Prob, peer: "shap",
			sides: map[string]map[string]string{
				ours + ", the peer's values":                  compat,
				ours + ", as many different texts, no peer's": {"max_evals": fmt.Sprint(b.evals)},
			},
			command: owen, checked: compat, checkedPeer: owen,
		},
		{
			name: "gradients", title: fmt.Sprintf("integrated gradients, %d steps", b.steps), method: "integrated-gradients", output: sdk.Logit, peer: "captum",
			sides: map[string]map[string]string{ours: steps}, command: path, checked: steps, checkedPeer: path,
		},
	}
}

// tolerance is how far a value of a peer may be from ours, as a part of the
// largest. Both compute in float32, and sum in different orders.
const tolerance = 1e-3

// compare compares the values of a workload, and then measures it in turns.
func (b *bench) compare(ctx context.Context, w workload) (*Case, error) {
	c := &Case{Name: w.title}
	if p := b.report.Peers.Packages[w.peer]; p.Error != "" {
		c.Reason = fmt.Sprintf("%s cannot be imported: %s", w.peer, p.Error)
		return c, nil
	}
	fmt.Fprintf(b.log, "%s: comparing\n", w.title)
	request := func(params map[string]string) core.Request {
		return core.Request{Input: core.Input{Text: text}, Method: w.method, Params: params, Output: w.output}
	}
	values, x, _, err := b.explain(ctx, b.model, request(w.checked))
	if err != nil {
		return nil, err
	}
	c.Tokens = len(x.Input.Tokens)
	var theirs explained
	if err := b.peers.do(w.checkedPeer, &theirs); err != nil {
		return nil, err
	}
	if c.Checked, err = checked(w.method, values, theirs.Values); err != nil {
		return nil, err
	}
	type side struct {
		name string
		run  func() (took time.Duration, evaluations, forwards int, err error)
	}
	sides := []side{{w.peer, func() (time.Duration, int, int, error) {
		var t explained
		err := b.peers.do(w.command, &t)
		return time.Duration(t.Wall * float64(time.Millisecond)), t.Evaluations, t.Evaluations, err
	}}}
	for _, name := range slices.Sorted(maps.Keys(w.sides)) {
		sides = append(sides, side{name, func() (time.Duration, int, int, error) {
			_, x, took, err := b.explain(ctx, b.model, request(w.sides[name]))
			if err != nil {
				return 0, 0, 0, err
			}
			asked := x.Diagnostics[core.DiagEvaluations]
			return took, int(asked), int(x.Diagnostics[core.DiagForwards]), nil
		}})
	}
	c.Sides = make([]Side, len(sides))
	before, _ := machine.Read(os.Getpid(), b.peers.PID())
	for round := range b.rounds {
		for i := range sides {
			if round%2 == 1 { // so that a drift of the machine favours nobody
				i = len(sides) - 1 - i
			}
			fmt.Fprintf(b.log, "%s: round %d of %d: %s\n", w.title, round+1, b.rounds, sides[i].name)
			took, evaluations, forwards, err := sides[i].run()
			if err != nil {
				return nil, err
			}
			s := &c.Sides[i]
			s.Name, s.Evaluations, s.Forwards = sides[i].name, evaluations, forwards
			s.Times = append(s.Times, milliseconds(took))
		}
	}
	if after, ok := machine.Read(os.Getpid(), b.peers.PID()); ok {
		share := machine.Others(before, after)
		c.Others = &share
	}
	for i := range c.Sides {
		c.Sides[i].Median, c.Sides[i].Fastest = median(c.Sides[i].Times), slices.Min(c.Sides[i].Times)
	}
	c.Ratios = ratios(c.Sides)
	return c, nil
}

// checked compares the values of a peer with ours.
func checked(of string, values, theirs []float64) (*Check, error) {
	if len(values) != len(theirs) {
		return nil, fmt.Errorf("the peer has %d values, ours %d", len(theirs), len(values))
	}
	c := &Check{Of: of}
	for i, v := range values {
		c.Largest = max(c.Largest, math.Abs(v)) // which is no number if one of them is none
		c.Difference = max(c.Difference, math.Abs(v-theirs[i]))
	}
	c.Allowed = tolerance * c.Largest
	if !(c.Largest > 0 && c.Difference <= c.Allowed) {
		return nil, fmt.Errorf("values of the peer are up to %.3g away from ours, of which the largest is %.3g: they do not compute the same", c.Difference, c.Largest)
	}
	return c, nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }
