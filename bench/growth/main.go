// Command growth measures how the engine's time and memory grow: with the
// length of a text, with the number of texts, and with the size of a model. It
// prints a report as JSON, and with -plots draws it as SVG files.
//
//	go run ./bench/growth > growth.json
//	go run ./bench/growth -what length -plots docs/plots > growth.json
//	go run ./bench/growth -what large                # 1.5 billion parameters, 6 GiB
//
// Its models have the shapes of BERT-base and GPT-2 and random weights that are
// computed as they are read, so that it needs neither a network nor disk.
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
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/virtual"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

// Report is what the command prints.
type Report struct {
	Kernel  string  `json:"kernel"`
	Threads int     `json:"threads"`
	Peak    float64 `json:"peak_gflops"` // fused multiply-adds on as many threads
	Model   string  `json:"model"`       // whose shape Lengths and Batches are of
	Lengths []Point `json:"lengths,omitempty"`
	Batches []Point `json:"batches,omitempty"`
	Large   *Large  `json:"large,omitempty"`
}

// Point is one size.
type Point struct {
	Sequences    int     `json:"sequences"`
	Tokens       int     `json:"tokens"` // of each
	Milliseconds float64 `json:"median_ms"`
	GFLOPS       float64 `json:"gflops"`
	Gradient     float64 `json:"with_gradient_ms,omitempty"` // forward and the gradient at the embeddings
	Working      int64   `json:"working_bytes"`
	Patterns     int64   `json:"patterns_bytes,omitempty"` // what returning all attention patterns would add
}

// Large is a model that fills its memory.
type Large struct {
	Model    string  `json:"model"`
	Budget   int64   `json:"budget_bytes"`
	Weights  int64   `json:"weights_bytes"`
	Resident int64   `json:"peak_resident_bytes"` // of the process; 0 where the system does not tell
	Load     float64 `json:"load_s"`
	Prompt   float64 `json:"forward_128_tokens_s"`
	Token    float64 `json:"generated_token_ms"`
}

// run is the command.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("growth", flag.ContinueOnError)
	f.SetOutput(stderr)
	what := f.String("what", "length,batch,large", "what to measure, with commas between")
	threads := f.Int("threads", 0, "threads; 0 for all")
	rounds := f.Int("rounds", 5, "runs of each size, of which the median counts")
	name := f.String("model", "bert-base", "`model` whose shape length and batch are measured on: a classifier of ./bench")
	longest := f.Int("longest", 4096, "tokens of the longest text")
	plots := f.String("plots", "", "`folder` to draw length.svg, memory.svg and batch.svg in")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *longest < shortest {
		return fmt.Errorf("%d rounds of texts of %d to %d tokens are none", *rounds, shortest, *longest)
	}
	r := Report{Model: *name}
	parts := map[string]func() error{
		"length": func() error {
			return measure(ctx, &r, &r.Lengths, *name, *threads, *rounds, *longest, lengths(*longest), stderr)
		},
		"batch": func() error { return measure(ctx, &r, &r.Batches, *name, *threads, *rounds, 32, batches(), stderr) },
		"large": func() (err error) { r.Large, err = large(ctx, &r, *threads, stderr); return err },
	}
	asked := strings.Split(*what, ",")
	for _, part := range asked {
		if parts[part] == nil {
			return fmt.Errorf("nothing is called %q: length, batch and large are", part)
		}
	}
	var err error
	for _, part := range asked {
		if err = parts[part](); err != nil {
			break
		}
	}
	// What was measured before something failed, or the user had enough, counts.
	if len(r.Lengths)+len(r.Batches) == 0 && r.Large == nil {
		return err
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", "  ")
	err = errors.Join(err, e.Encode(r))
	if *plots != "" {
		err = errors.Join(err, draw(*plots, r))
	}
	return err
}

// size is a number of sequences and their length.
type size struct{ sequences, tokens int }

// shortest is the number of tokens of the shortest text.
const shortest = 16

// lengths are single texts of more and more tokens.
func lengths(longest int) (all []size) {
	for n := shortest; n <= longest; n *= 2 {
		all = append(all, size{1, n})
	}
	return all
}

// batches are more and more texts of 32 tokens.
func batches() (all []size) {
	for n := 1; n <= 256; n *= 2 {
		all = append(all, size{n, 32})
	}
	return all
}

// measure runs a classifier on inputs of the sizes and adds each to points as
// soon as it is measured.
func measure(ctx context.Context, r *Report, points *[]Point, name string, threads, rounds, positions int, sizes []size, log io.Writer) error {
	shape, err := virtual.Named(name)
	if err != nil {
		return err
	}
	shape.Positions = max(positions, shape.Positions)
	m, err := open(ctx, r, shape, false, threads, 0)
	if err != nil {
		return err
	}
	defer m.Close()
	embeddings, err := point.Resolve(m.Graph(engine.Input{}), m.Info(), "hook_embed")
	if err != nil {
		return err
	}
	patterns, err := point.Resolve(m.Graph(engine.Input{}), m.Info(), "blocks.*.attn.hook_pattern")
	if err != nil {
		return err
	}
	logit := func(_ int, logits, grad []float64) float64 { grad[0] = 1; return logits[0] }
	for _, s := range sizes {
		in := engine.Input{IDs: make([]int32, s.sequences*s.tokens), Lengths: slices.Repeat([]int{s.tokens}, s.sequences)}
		for i := range in.IDs {
			in.IDs[i] = int32(i * 7919 % shape.Vocabulary)
		}
		p := Point{Sequences: s.sequences, Tokens: s.tokens}
		if p.Milliseconds, err = median(ctx, rounds, m, in); err != nil {
			return err
		}
		if p.Gradient, err = median(ctx, rounds, m, in, engine.Gradients(logit, embeddings...)); err != nil {
			return err
		}
		operations, err := m.Operations(in)
		if err != nil {
			return err
		}
		p.GFLOPS = operations / p.Milliseconds / 1e6
		need, err := m.Memory(ctx, in)
		if err != nil {
			return err
		}
		p.Working = need.Working
		for _, s := range patterns {
			one, err := m.Memory(ctx, in, engine.Capture(s))
			if err != nil {
				return err
			}
			p.Patterns += one.Results - need.Results
		}
		fmt.Fprintf(log, "%4d × %4d tokens: %9.2f ms, %5.0f GFLOP/s, with gradient %9.2f ms, working %7.1f MB, patterns %8.1f MB\n",
			p.Sequences, p.Tokens, p.Milliseconds, p.GFLOPS, p.Gradient, float64(p.Working)/1e6, float64(p.Patterns)/1e6)
		*points = append(*points, p)
	}
	return nil
}

// open opens a model and says in the report what it runs on.
func open(ctx context.Context, r *Report, shape virtual.Shape, half bool, threads int, budget int64) (*engine.Model, error) {
	folder, err := shape.Folder(half)
	if err != nil {
		return nil, err
	}
	if budget == 0 {
		budget = 16 << 30
	}
	m, err := engine.Open(ctx, folder, engine.WithThreads(threads), engine.WithMemory(budget))
	if err != nil {
		return nil, err
	}
	r.Kernel, r.Threads = m.Kernel(), m.Threads()
	if r.Peak == 0 {
		r.Peak = engine.Peak(r.Threads)
	}
	return m, nil
}

// median returns the median time of a forward in milliseconds, after one run
// that does not count.
func median(ctx context.Context, rounds int, m *engine.Model, in engine.Input, opts ...engine.ForwardOption) (float64, error) {
	var times []float64
	for i := range rounds + 1 {
		start := time.Now()
		if _, err := m.Forward(ctx, in, opts...); err != nil {
			return 0, err
		}
		if i > 0 {
			times = append(times, float64(time.Since(start).Microseconds())/1e3)
		}
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// large opens a model of GPT-2 XL's shape with weights of 16 bits on a budget
// of 6 GiB, reads a prompt and continues it.
func large(ctx context.Context, r *Report, threads int, log io.Writer) (*Large, error) {
	const budget, prompt, tokens = 6 << 30, 128, 16
	shape := virtual.Shape{
		Name: "the shape of GPT-2 XL", Type: virtual.GPT2, Vocabulary: 50257, Positions: 1024,
		Layers: 48, Heads: 25, Hidden: 1600, Intermediate: 6400,
	}
	l := &Large{Model: fmt.Sprintf("%s, %.2f billion parameters, bf16", shape.Name, float64(shape.Parameters())/1e9), Budget: budget}
	start := time.Now()
	m, err := open(ctx, r, shape, true, threads, budget)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	l.Load = time.Since(start).Seconds()
	in := engine.Input{IDs: make([]int32, prompt), Reads: [][]int{{prompt - 1}}}
	for i := range in.IDs {
		in.IDs[i] = int32(i * 7919 % shape.Vocabulary)
	}
	need, err := m.Memory(ctx, in)
	if err != nil {
		return nil, err
	}
	l.Weights = need.Weights
	ms, err := median(ctx, 1, m, in)
	if err != nil {
		return nil, err
	}
	l.Prompt = ms / 1e3
	var last time.Time
	var steps []float64
	if _, err := m.Generate(ctx, in.IDs, engine.Generation{MaxTokens: tokens, OnToken: func(int32, float64) error {
		if !last.IsZero() {
			steps = append(steps, float64(time.Since(last).Microseconds())/1e3)
		}
		last = time.Now()
		return nil
	}}); err != nil {
		return nil, err
	}
	slices.Sort(steps)
	l.Token = steps[len(steps)/2]
	l.Resident = peakResident()
	fmt.Fprintf(log, "%s: weights %.2f GiB, resident at most %.2f of %d GiB, %d tokens in %.2f s, a further token in %.0f ms\n",
		l.Model, float64(l.Weights)/(1<<30), float64(l.Resident)/(1<<30), budget>>30, prompt, l.Prompt, l.Token)
	return l, nil
}

// peakResident returns the most memory that the process had, by Linux's account.
func peakResident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}

// draw writes the plots of a report into a folder.
func draw(folder string, r Report) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	line := func(name string, points []Point, x func(Point) float64, y func(Point) float64) series {
		s := series{name: name}
		for _, p := range points {
			s.x, s.y = append(s.x, x(p)), append(s.y, y(p))
		}
		return s
	}
	tokens := func(p Point) float64 { return float64(p.Tokens) }
	texts := func(p Point) float64 { return float64(p.Sequences) }
	forward := func(p Point) float64 { return p.Milliseconds }
	gradient := func(p Point) float64 { return p.Gradient }
	machine := fmt.Sprintf("shape of %s, f32, %s, %d threads", r.Model, r.Kernel, r.Threads)
	for name, c := range map[string]chart{
		"length.svg": {
			title: "Time of one text", note: machine, x: "tokens", y: "milliseconds",
			series: []series{line("forward", r.Lengths, tokens, forward), line("forward and gradient", r.Lengths, tokens, gradient)},
		},
		"memory.svg": {
			title: "Memory of one text", note: machine, x: "tokens", y: "megabytes",
			series: []series{
				line("working memory", r.Lengths, tokens, func(p Point) float64 { return float64(p.Working) / 1e6 }),
				line("all attention patterns, where they are read", r.Lengths, tokens, func(p Point) float64 { return float64(p.Patterns) / 1e6 }),
			},
		},
		"batch.svg": {
			title: "Time of a batch of texts of 32 tokens", note: machine, x: "texts", y: "milliseconds",
			series: []series{line("forward", r.Batches, texts, forward), line("forward and gradient", r.Batches, texts, gradient)},
		},
	} {
		if len(c.series[0].x) < 2 {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(c.svg()), 0o666); err != nil {
			return err
		}
	}
	return nil
}
