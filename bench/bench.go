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
	"time"

	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/bench/ort"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint"
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
	ours     = "xai"
	distinct = "xai, duplicates once"
)

// model measures all works of a model, on each number of threads. It writes
// the model's files into a temporary folder of up to 3 GB.
func (b *bench) model(ctx context.Context, shape model.Shape, threads []int, works []work) (err error) {
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
	if err := shape.Write(dir, b.seed, all); err != nil {
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
func (b *bench) threads(ctx context.Context, shape model.Shape, dir string, threads int, works []work) (err error) {
	p, err := b.runtime.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	m, err := engine.Open(ctx, os.DirFS(dir), engine.WithThreads(threads), engine.WithMemory(8<<30))
	var absent string
	if unsupported := (*checkpoint.UnsupportedError)(nil); errors.As(err, &unsupported) {
		absent = err.Error()
	} else if err != nil {
		return err
	} else {
		defer m.Close()
	}
	peer := peer{process: p, shape: shape, dir: dir, threads: threads}
	for _, w := range works {
		c := Case{
			Model: shape.Name, Work: w.name, Head: string(w.head), Batch: len(w.sequences), Threads: threads,
			Tokens: slices.Max(w.lengths()), Distinct: len(w.distinct()), Peak: engine.Peak(threads),
		}
		for _, n := range w.lengths() {
			c.All += n
		}
		if m != nil {
			c.Kernel = m.Kernel()
		}
		if err := b.measure(ctx, &c, w, m, absent, &peer); err != nil {
			return fmt.Errorf("%s, %s of %d × %d tokens, %d threads: %w", shape.Name, w.name, c.Batch, c.Tokens, threads, err)
		}
		b.report.Cases = append(b.report.Cases, c)
		fmt.Fprintln(b.log, c.line())
	}
	return nil
}

// measure compares the logits of all sides of a case, and then their speed.
func (b *bench) measure(ctx context.Context, c *Case, w work, m *engine.Model, absent string, peer *peer) error {
	var contenders []contender
	var reference []float64 // logits of the first side
	if m == nil {
		c.Absent = append(c.Absent, Side{Name: ours, Reason: absent})
	} else {
		out, err := m.Forward(ctx, input(w, nil))
		if err != nil {
			return err
		}
		reference = out.Logits.Float64()
		contenders = append(contenders, own(ours, m, peer.shape, w, nil))
		if c.Distinct < c.Batch {
			contenders = append(contenders, own(distinct, m, peer.shape, w, w.distinct()))
		}
	}
	for _, graph := range graphs(w) {
		for _, g := range w.groups {
			side, logits, err := peer.prepare(w, graph, g)
			if err != nil {
				return err
			}
			if reference == nil {
				reference = logits
			}
			if err := c.compare(side.name, !graph.Int8, logits, reference); err != nil {
				return err
			}
			contenders = append(contenders, side)
		}
	}
	reference = nil
	pids := []int{os.Getpid(), peer.process.PID()}
	before, _ := readTicks(pids...)
	sides, err := b.pace.measure(ctx, contenders)
	if err != nil {
		return err
	}
	if after, ok := readTicks(pids...); ok {
		share := others(before, after)
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

// own reports whether a side is ours.
func (s Side) own() bool { return s.Name == ours || s.Name == distinct }

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

// input returns sequences of a work as a ragged batch, all of them if which is nil.
func input(w work, which []int) engine.Input {
	var in engine.Input
	for i, s := range w.sequences {
		if which == nil || slices.Contains(which, i) {
			in.IDs, in.Lengths = append(in.IDs, s...), append(in.Lengths, len(s))
		}
	}
	return in
}

// own returns our side: one forward of all sequences that which names.
func own(name string, m *engine.Model, shape model.Shape, w work, which []int) contender {
	in := input(w, which)
	return contender{
		name:       name,
		operations: shape.Operations(w.head, w.head != model.All, in.Lengths...),
		run: func(ctx context.Context, runs int) ([]ort.Run, error) {
			var times []ort.Run
			for range runs {
				before, start := processorTime(), time.Now()
				if _, err := m.Forward(ctx, in); err != nil {
					return nil, err
				}
				times = append(times, ort.Run{Wall: time.Since(start), Processor: processorTime() - before})
			}
			return times, nil
		},
	}
}

// peer is ONNX Runtime with the graphs of a model.
type peer struct {
	process *ort.Process
	shape   model.Shape
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
	side.operations = p.shape.Operations(w.head, graph.Cut, w.lengths()...)
	side.run = func(_ context.Context, runs int) ([]ort.Run, error) { return p.process.Run(job, runs) }
	return side, logits, nil
}
