package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xai-go/xai/bench/machine"
	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/bench/ort"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/virtual"
)

// bench measures, case by case.
type bench struct {
	pace    pace
	seed    uint64
	runtime *ort.Runtime
	report  *Report
	log     io.Writer
}

// The names of our sides. Those of ONNX Runtime are "ort", with what is special
// about the graph and the batches behind it.
const (
	ours      = "xai"
	allRows   = "xai all rows"
	gradients = "xai gradients"
	distinct  = "xai duplicates once"
	apart     = "xai without reuse"
	eight     = "xai int8"
)

// model measures all works of a model, on each number of threads. It writes
// the model's files into a temporary folder of up to 3 GB.
func (b *bench) model(ctx context.Context, shape virtual.Shape, threads []int, works []work) (err error) {
	dir, err := os.MkdirTemp("", "xai-bench-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var all []model.Graph
	for _, w := range works {
		for _, g := range graphs(w) {
			if !slices.Contains(all, g) {
				all = append(all, g)
			}
		}
	}
	fmt.Fprintf(b.log, "writing %s\n", shape.Name)
	if err := model.Write(shape, dir, b.seed, all); err != nil {
		return err
	}
	for _, n := range threads {
		if err := b.threads(ctx, shape, dir, n, works); err != nil {
			return err
		}
	}
	return nil
}

// graphs returns how ONNX Runtime is given a work: plain, with the last layer
// cut as ours is, and in 8 bits.
func graphs(w work) []model.Graph {
	plain := model.Graph{Head: w.head, Padded: w.padded()}
	eight := plain
	eight.Int8 = true
	if w.head == model.All { // which needs the whole last layer
		return []model.Graph{plain, eight}
	}
	cut, both := plain, eight
	cut.Cut, both.Cut = true, true
	return []model.Graph{plain, cut, eight, both}
}

// threads measures all works of a model on a number of threads.
func (b *bench) threads(ctx context.Context, shape virtual.Shape, dir string, threads int, works []work) (err error) {
	p, err := b.runtime.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	m, err := engine.Open(ctx, os.DirFS(dir), engine.WithThreads(threads), engine.WithMemory(8<<30))
	if err != nil {
		return err
	}
	defer m.Close()
	m8, err := engine.Open(ctx, os.DirFS(dir), engine.WithThreads(threads), engine.WithMemory(8<<30), engine.WithDType(engine.INT8))
	if err != nil {
		return err
	}
	defer m8.Close()
	peer := peer{process: p, shape: shape, dir: dir, threads: threads}
	for _, w := range works {
		c := Case{
			Model: shape.Name, Work: w.name, Head: string(w.head), Batch: len(w.sequences), Threads: threads,
			Tokens: slices.Max(w.lengths()), Distinct: len(w.distinct()), Kernel: m.Kernel(), Peak: engine.Peak(threads),
		}
		for _, n := range w.lengths() {
			c.All += n
		}
		if err := b.measure(ctx, &c, w, m, m8, &peer); err != nil {
			return fmt.Errorf("%s, %s of %d × %d tokens, %d threads: %w", shape.Name, w.name, c.Batch, c.Tokens, threads, err)
		}
		b.report.Cases = append(b.report.Cases, c)
		fmt.Fprintln(b.log, c.line())
	}
	return nil
}

// measure compares the logits of all sides of a case, and then their speed. m8
// is m in 8 bits.
func (b *bench) measure(ctx context.Context, c *Case, w work, m, m8 *engine.Model, peer *peer) error {
	var contenders []contender
	var reference []float64 // our logits
	for _, v := range variants(w) {
		runs := m
		if v.int8 {
			runs = m8
		}
		side, logits, err := own(ctx, v, runs, w)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		if reference == nil {
			reference = logits
		} else if err := c.compare(v.name, !v.int8, logits, pick(reference, v.which, len(w.sequences))); err != nil {
			return err
		}
		contenders = append(contenders, side)
	}
	for _, graph := range graphs(w) {
		for _, g := range w.groups {
			side, logits, err := peer.prepare(w, graph, g)
			if err != nil {
				return err
			}
			if err := c.compare(side.name, !graph.Int8, logits, reference); err != nil {
				return err
			}
			contenders = append(contenders, side)
		}
	}
	reference = nil
	pids := []int{os.Getpid(), peer.process.PID()}
	before, _ := machine.Read(pids...)
	sides, err := b.pace.measure(ctx, contenders)
	if err != nil {
		return err
	}
	if after, ok := machine.Read(pids...); ok {
		share := machine.Others(before, after)
		c.Others = &share
	}
	for i := range sides {
		if c.Peak > 0 {
			sides[i].OfPeak = sides[i].GFLOPS / c.Peak
		}
	}
	c.Sides = sides
	for _, of := range sides {
		for _, to := range sides {
			if of.own() && !to.own() {
				c.Ratios = append(c.Ratios, ratio(of, to))
			}
		}
	}
	return nil
}

// own reports whether a side is a forward of ours. Gradients are not: they are
// held against one.
func (s Side) own() bool { return strings.HasPrefix(s.Name, ours) && s.Name != gradients }

// tolerance is how far the logits of two sides that compute in float32 may be
// apart, as a share of the largest. They sum in different orders and have their
// own exponentials and error functions.
const tolerance = 1e-4

// compare compares the logits of a side with those of the first. Sides that do
// not compute in float32 are compared too, but free to differ.
func (c *Case) compare(side string, float32s bool, logits, reference []float64) error {
	if len(logits) != len(reference) {
		return fmt.Errorf("%s has %d logits, the first side %d", side, len(logits), len(reference))
	}
	check := Check{Side: side, Float32: float32s}
	c.Largest = 0
	for i, v := range logits {
		c.Largest = max(c.Largest, math.Abs(reference[i]))
		check.Difference = max(check.Difference, math.Abs(v-reference[i]))
	}
	c.Allowed = tolerance * c.Largest
	if !(c.Largest > 0 && c.Largest < math.Inf(1)) || math.IsNaN(check.Difference) || float32s && check.Difference > c.Allowed {
		return fmt.Errorf("logits of %s are up to %.3g away from those of the first side, of which the largest is %.3g: they do not compute the same",
			side, check.Difference, c.Largest)
	}
	c.Logits = append(c.Logits, check)
	return nil
}

// variant is one way of ours to do a work.
type variant struct {
	name     string
	which    []int // indices of the sequences that are run; nil for all
	gradient bool
	int8     bool // the model in 8 bits
	options  []engine.ForwardOption
}

// variants returns our ways to do a work, the one that others are compared with
// first. A forward is held against equal work: whatever the engine could take
// from one token or sequence for another is computed anew. In the perturbation
// workload it does what it does for an explanation.
func variants(w work) []variant {
	anew := []engine.ForwardOption{engine.Separately(), engine.EveryToken()}
	if w.name != "forward" {
		return []variant{
			{name: ours},
			{name: distinct, which: w.distinct()},
			{name: apart, options: anew},
			{name: eight, int8: true},
		}
	}
	all := []variant{{name: ours, options: anew}, {name: eight, int8: true, options: anew}}
	if w.head != model.All { // which needs the whole last layer
		all = append(all,
			variant{name: allRows, options: append(slices.Clone(anew), engine.AllRows())},
			variant{name: gradients, gradient: true, options: anew})
	}
	return all
}

// own returns one of our sides, which is one call, and its logits.
func own(ctx context.Context, v variant, m *engine.Model, w work) (contender, []float64, error) {
	in := input(w, v.which)
	side := contender{name: v.name}
	options := v.options
	var err error
	if v.gradient { // whose operations depend on how it is done
		embeddings, err := point.Resolve(m.Graph(in), m.Info(), "hook_embed")
		if err != nil {
			return side, nil, err
		}
		options = append(slices.Clone(options), engine.Gradients(firstLogit, embeddings...))
	} else if side.operations, err = m.Operations(in, options...); err != nil {
		return side, nil, err
	}
	side.run = func(ctx context.Context, runs int) ([]ort.Run, error) {
		var times []ort.Run
		for range runs {
			before, start := processorTime(), time.Now()
			if _, err := m.Forward(ctx, in, options...); err != nil {
				return nil, err
			}
			times = append(times, ort.Run{Wall: time.Since(start), Processor: processorTime() - before})
		}
		return times, nil
	}
	out, err := m.Forward(ctx, in, options...)
	if err != nil {
		return side, nil, err
	}
	return side, out.Logits.Float64(), nil
}

// firstLogit is an [engine.Objective]: the first logit of a sequence.
func firstLogit(_ int, logits, gradient []float64) float64 {
	gradient[0] = 1
	return logits[0]
}

// input returns sequences of a work as a ragged batch, all of them if which is nil.
func input(w work, which []int) engine.Input {
	var in engine.Input
	for i, s := range w.sequences {
		if which != nil && !slices.Contains(which, i) {
			continue
		}
		in.IDs, in.Lengths = append(in.IDs, s...), append(in.Lengths, len(s))
		if w.head == model.Last {
			in.Reads = append(in.Reads, []int{len(s) - 1})
		}
	}
	return in
}

// pick returns the values of some of n sequences, all of them if which is nil.
func pick(values []float64, which []int, n int) []float64 {
	if which == nil {
		return values
	}
	each := len(values) / n
	var out []float64
	for _, i := range which {
		out = append(out, values[i*each:(i+1)*each]...)
	}
	return out
}

// peer is ONNX Runtime with the graphs of a model.
type peer struct {
	process *ort.Process
	shape   virtual.Shape
	dir     string
	threads int
	loaded  []model.Graph
}

// prepare returns ONNX Runtime as a side, and its logits in the order of the
// sequences. It keeps few sessions open: those of one kind of work.
func (p *peer) prepare(w work, graph model.Graph, g grouping) (contender, []float64, error) {
	session := graph.Name()
	if !slices.Contains(p.loaded, graph) {
		for _, old := range p.loaded {
			if old.Padded != graph.Padded || old.Head != graph.Head {
				if err := p.process.Unload(old.Name()); err != nil {
					return contender{}, nil, err
				}
			}
		}
		p.loaded = slices.DeleteFunc(p.loaded, func(old model.Graph) bool { return old.Padded != graph.Padded || old.Head != graph.Head })
		if err := p.process.Load(session, filepath.Join(p.dir, session+".onnx"), p.threads); err != nil {
			return contender{}, nil, err
		}
		p.loaded = append(p.loaded, graph)
	}
	side := contender{name: "ort"}
	for _, part := range []struct {
		set  bool
		name string
	}{{graph.Int8, " int8"}, {graph.Cut, " cut"}, {g.name != "", " " + g.name}} {
		if part.set {
			side.name += part.name
		}
	}
	job := session + side.name
	if err := p.process.Prepare(job, session, w.feeds(p.shape, graph, g)); err != nil {
		return side, nil, err
	}
	flat, err := p.process.Output(job, "logits")
	if err != nil {
		return side, nil, err
	}
	logits, err := w.unbatch(flat, g)
	if err != nil {
		return side, nil, err
	}
	side.operations = model.Operations(p.shape, w.head, graph.Cut, w.lengths()...)
	side.run = func(_ context.Context, runs int) ([]ort.Run, error) { return p.process.Run(job, runs) }
	return side, logits, nil
}
