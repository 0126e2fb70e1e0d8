// Command peers measures our methods side by side with the Python packages that
// compute the same, in turns, on models of the same shape and weights: lime,
// shap and captum, on PyTorch. README.md of the folder above says how to run it
// and what its numbers mean.
//
//	go run ./bench/peers > peers.json                       everything
//	go run ./bench/peers -shape bert-tiny > peers.json      the same in a minute, which means nothing
//	go run ./bench/peers -markdown peers.json               the tables of a report
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/xai-go/xai/bench/machine"
	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/internal/virtual"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// options say what is measured.
type options struct {
	shape    string
	works    []string
	rounds   int
	threads  int
	seed     uint64
	samples  int     // of LIME
	evals    int     // of Partition SHAP
	steps    int     // of integrated gradients
	units    int     // words of the text of the comparison at equal precision
	seeds    int     // runs that a standard error is measured over
	stderr   float64 // that is to be reached
	longest  int     // evaluations of a run that is timed for the comparison at equal precision, about
	pythons  pythons
	language func() *python // for tests: what serves the peers instead of Python
}

// run is the command: it writes a report to stdout as JSON, and progress and
// tables to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o := options{}
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.shape, "shape", "bert-base", "`model` to measure on; or bert-tiny, which takes no time and means nothing")
	works := f.String("work", strings.Join(workNames(), ","), "what to measure")
	f.IntVar(&o.rounds, "rounds", 3, "turns of each side")
	f.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of ours, and the most that the peers are tried with")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the weights")
	f.IntVar(&o.samples, "samples", 1000, "samples of LIME")
	f.IntVar(&o.evals, "evaluations", 500, "evaluations of Partition SHAP")
	f.IntVar(&o.steps, "steps", 50, "steps of integrated gradients")
	f.IntVar(&o.units, "units", 16, "words of the text whose Shapley values are estimated, up to 16")
	f.IntVar(&o.seeds, "seeds", 100, "runs that an estimator's standard error is measured over")
	f.Float64Var(&o.stderr, "stderr", 0.02, "standard error that estimators of Shapley values must reach, in probability")
	f.IntVar(&o.longest, "longest", 600, "evaluations of a timed run of such an estimator; more are counted in proportion")
	f.StringVar(&o.pythons.program, "python", "", "Python to run the peers with, a `file`; nothing is installed then")
	f.StringVar(&o.pythons.sources, "sources", "", "`folder` with checkouts of packages: lime, shap, captum …, which come before installed ones")
	f.BoolVar(&o.pythons.apt, "apt", false, "install PyTorch and what else the peers need from Debian, as root, where pip does not get the peers")
	tables := f.String("markdown", "", "measure nothing: print the tables of this report, a `file`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if *tables != "" {
		return printed(*tables, stdout)
	}
	o.works = strings.Split(*works, ",")
	return o.run(ctx, stdout, stderr)
}

// printed writes the tables of a report that is a file.
func printed(path string, w io.Writer) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if r.Schema != schema {
		return fmt.Errorf("%s has the schema %q, not %q", path, r.Schema, schema)
	}
	return r.markdown(w)
}

// check returns what is wrong with the options.
func (o *options) check() error {
	for _, name := range o.works {
		if !slices.Contains(workNames(), name) {
			return fmt.Errorf("-work: %q is none of %s", name, strings.Join(workNames(), ", "))
		}
	}
	for _, n := range []struct {
		flag       string
		value, min int
	}{
		{"rounds", o.rounds, 1}, {"threads", o.threads, 1}, {"samples", o.samples, 2}, {"evaluations", o.evals, 2}, {"steps", o.steps, 1},
		{"units", o.units, 2}, {"seeds", o.seeds, 2}, {"longest", o.longest, 1},
	} {
		if n.value < n.min {
			return fmt.Errorf("-%s: %d is too few, %d are the least", n.flag, n.value, n.min)
		}
	}
	if o.units > mostUnits {
		return fmt.Errorf("-units: %d words have too many coalitions, %d are the most", o.units, mostUnits)
	}
	if !(o.stderr > 0) {
		return fmt.Errorf("-stderr: %v is no standard error that can be reached", o.stderr)
	}
	return nil
}

func (o *options) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	shape, err := virtual.Named(o.shape)
	if err != nil {
		return err
	}
	if shape.Type != virtual.BERT {
		return fmt.Errorf("-shape: %s is no classifier of texts: the peers are measured on bert-base", shape.Name)
	}
	if err := o.check(); err != nil {
		return err
	}
	r := &Report{
		Schema: schema, Measured: time.Now().UTC().Truncate(time.Second), Machine: machine.Here(),
		Model: shape.Name, Threads: o.threads, Rounds: o.rounds, Seed: o.seed,
	}
	b := &bench{options: o, report: r, log: stderr, runtime: core.RuntimeWASM}
	dir, err := os.MkdirTemp("", "xai-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = b.measure(ctx, shape, dir)
	// What was measured before something failed, or the user had enough, counts.
	if len(r.Cases) == 0 && len(r.Estimators) == 0 {
		return err
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", " ")
	return errors.Join(err, r.markdown(stderr), e.Encode(r))
}
