package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/internal/virtual"
)

func (a *app) bench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine",
		Long: `Bench measures how fast this machine runs a model (forward) and a whole
explanation, phase by phase (explain).`,
		Example: examples(
			"xai bench forward", "a BERT-base shape",
			"xai bench forward --batch 1 --seq 16 --threads 1", "one short text on one thread",
			"xai bench explain", "where the time of an explanation goes",
		),
		Args: cobra.ArbitraryArgs,
		RunE: help,
	}
	cmd.AddCommand(a.benchForward(), a.benchExplain())
	return cmd
}

// forwardResult is the JSON form of bench forward. Rates count the matrix
// products that a forward computes, two operations for a multiply-add.
type forwardResult struct {
	Model    string   `json:"model"`
	Batch    int      `json:"batch"`
	Seq      int      `json:"seq"`
	Threads  int      `json:"threads"`
	DType    string   `json:"dtype"`
	Kernel   string   `json:"kernel"`
	Runs     int      `json:"runs"`
	Median   float64  `json:"median_ms"`
	Fastest  float64  `json:"fastest_ms"`
	Tokens   float64  `json:"tokens_per_second"`
	GFLOPS   float64  `json:"gflops"`
	Peak     *float64 `json:"peak_gflops"`   // nil where the kernels have no fused multiply-add to measure
	OfPeak   *float64 `json:"share_of_peak"` // of the median
	Measured string   `json:"measured"`
}

func (a *app) benchForward() *cobra.Command {
	var model, format string
	batch, seq, span := 8, 128, 2*time.Second
	cmd := &cobra.Command{
		Use:   "forward",
		Short: "Measure forward passes",
		Long: `Forward runs a batch of sequences through a model over and over for --time, and
prints the median time, the tokens a second, the arithmetic rate of the
matrix products, and its share of what this machine's fused multiply-adds can do,
measured on as many threads right before. Of the last layer, products that the
answer does not depend on are neither computed nor counted. Without -m the model
has the shape of BERT-base and random weights.`,
		Example: examples(
			"xai bench forward", "BERT-base, 8 sequences of 128 tokens",
			"xai bench forward --batch 1 --seq 16 --threads 1", "one short text on one thread",
			"xai bench forward -m ./my-bert --format json", "your model, for a program",
		),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case batch == 0 || seq == 0:
				return usage("use numbers from 1", "a batch of %d sequences of %d tokens is empty", batch, seq)
			case seq > maxBatch/batch:
				return usage("use a smaller --batch or --seq", "a batch of %d sequences of %d tokens is more than %d tokens", batch, seq, maxBatch)
			}
			r, err := a.measureForward(cmd.Context(), model, batch, seq, span)
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, r)
				}
				return forwardTerm(w, r)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&model, "model", "m", "", "`MODEL` folder, or builtin:NAME (default: the shape of BERT-base)")
	f.Var(natural{&batch}, "batch", "sequences in a batch")
	f.Var(natural{&seq}, "seq", "tokens in a sequence")
	f.Var(duration{&span}, "time", "measure for this long, and three runs at least")
	f.Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// maxBatch bounds the tokens of a batch: the largest models take minutes for as
// many.
const maxBatch = 1 << 20

// openEngine opens a model, or the shape of BERT-base where none is named.
func (a *app) openEngine(ctx context.Context, ref string) (e *engine.Model, close func(), err error) {
	if ref != "" {
		host, err := a.host()
		if err != nil {
			return nil, nil, err
		}
		m, err := host.OpenModel(ctx, ref)
		if err != nil {
			host.Close()
			return nil, nil, err
		}
		return m.Engine(), func() { m.Close(); host.Close() }, nil
	}
	options := []engine.Option{engine.WithThreads(a.threads)}
	if a.dtype != "" {
		options = append(options, engine.WithDType(engine.DType(a.dtype)))
	}
	if a.memory > 0 {
		options = append(options, engine.WithMemory(int64(a.memory)))
	}
	base, err := virtual.Named("bert-base")
	if err != nil {
		return nil, nil, err
	}
	folder, err := base.Folder(false)
	if err != nil {
		return nil, nil, err
	}
	m, err := engine.Open(ctx, folder, options...)
	if err != nil {
		return nil, nil, inputError(err)
	}
	return m, m.Close, nil
}

// inputError wraps an error of the engine.
func inputError(err error) error {
	if core.KindOf(err) == core.KindInterrupted || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &core.Error{Kind: core.KindInput, Err: err}
}

// measureForward times forwards for a span of time, and three at least.
func (a *app) measureForward(ctx context.Context, ref string, batch, seq int, span time.Duration) (*forwardResult, error) {
	m, closeModel, err := a.openEngine(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer closeModel()
	info := m.Info()
	if info.Length > 0 && seq > info.Length {
		return nil, usage(fmt.Sprintf("use --seq %d or less", info.Length), "a sequence of %d tokens does not fit the model, which reads %d", seq, info.Length)
	}
	in := engine.Input{Lengths: slices.Repeat([]int{seq}, batch)}
	for i := range batch * seq { // every sequence differs, as variants do
		in.IDs = append(in.IDs, int32((i*31+i/seq)%info.Vocabulary))
	}
	if _, err := m.Forward(ctx, in); err != nil { // settles the memory
		return nil, inputError(err)
	}
	operations, err := m.Operations(in)
	if err != nil {
		return nil, inputError(err)
	}
	r := &forwardResult{
		Model: ref, Batch: batch, Seq: seq, Threads: m.Threads(), DType: string(info.DType), Kernel: m.Kernel(),
		Measured: time.Now().UTC().Format(time.RFC3339),
	}
	if r.Model == "" {
		r.Model = "the shape of BERT-base"
	}
	if peak := engine.Peak(m.Threads()); peak > 0 && info.DType == engine.F32 {
		r.Peak = &peak
	}
	var times []float64
	for start := time.Now(); len(times) < 3 || time.Since(start) < span; {
		began := time.Now()
		if _, err := m.Forward(ctx, in); err != nil {
			return nil, inputError(err)
		}
		times = append(times, time.Since(began).Seconds()*1e3)
	}
	r.Runs, r.Median, r.Fastest = len(times), median(times), slices.Min(times)
	r.Tokens = float64(batch*seq) / r.Median * 1e3
	r.GFLOPS = operations / r.Median / 1e6
	if r.Peak != nil {
		share := r.GFLOPS / *r.Peak
		r.OfPeak = &share
	}
	return r, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

func forwardTerm(w io.Writer, r *forwardResult) error {
	share := ""
	if r.Peak != nil {
		share = fmt.Sprintf(", %.0f %% of the %.0f GFLOP/s peak", 100**r.OfPeak, *r.Peak)
	}
	_, err := fmt.Fprintf(w, "%s, %d × %d tokens, %s, %s, %s\n  %.2f ms (median of %d, fastest %.2f)\n  %.0f tokens/s\n  %.1f GFLOP/s%s\n",
		report.Line(r.Model), r.Batch, r.Seq, r.DType, r.Kernel, plural(r.Threads, "thread"), r.Median, r.Runs, r.Fastest, r.Tokens, r.GFLOPS, share)
	return err
}

// explainResult is the JSON form of bench explain.
type explainResult struct {
	Model       string  `json:"model"`
	Method      string  `json:"method"`
	Runtime     string  `json:"runtime"`
	Kernel      string  `json:"kernel"`
	Threads     int     `json:"threads"`
	Tokens      int     `json:"tokens"`
	Evaluations float64 `json:"evaluations"`
	CacheHits   float64 `json:"cache_hits"` // of the last run
	Runs        int     `json:"runs"`
	OpenModel   float64 `json:"open_model_ms"`
	Phases      []phase `json:"phases"`
	Measured    string  `json:"measured"`
}

// phase is a part of an explanation: how long it took at first, when the
// module was compiled or read from the cache, and the median of the later runs.
type phase struct {
	Name   string  `json:"name"`
	First  float64 `json:"first_ms"`
	Median float64 `json:"median_ms"`
}

// benchText is what bench explain explains where no text is given.
const benchText = "A gripping, beautifully shot film that loses its way in the second half but finds it again."

func (a *app) benchExplain() *cobra.Command {
	e := &explanation{app: a}
	var runs = 10
	cmd := &cobra.Command{
		Use:   "explain [TEXT]",
		Short: "Measure an explanation, phase by phase",
		Long: `Explain runs a whole explanation several times and prints how long each phase
took: opening the model, loading the method's module, encoding the text and
evaluating it, the forwards that the method asked for, and the method itself with
its sandbox. The first run compiles the module, or reads it from the cache. No run
knows what the model has answered in another one.`,
		Example: examples(
			"xai bench explain", "the default model and method",
			"xai bench explain -m ./my-bert -M lime -p num_samples=5000", "your own",
			"xai bench explain --runtime native", "without the sandbox, to see what that costs",
		),
		Args: oneText,
		RunE: func(cmd *cobra.Command, args []string) error {
			if runs == 0 {
				return usage("use a number from 1", "--runs is 0")
			}
			text := benchText
			if len(args) > 0 {
				text = args[0]
			}
			r, err := e.measure(cmd.Context(), text, runs)
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if e.format == "json" {
					return report.JSON(w, r)
				}
				return explainTerm(w, r)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&e.model, "model", "m", "", "`MODEL` folder, or builtin:NAME (default: an embedded one)")
	f.StringVarP(&e.method, "method", "M", core.DefaultMethod, "explanation `METHOD`")
	f.StringArrayVarP(&e.params, "param", "p", nil, "parameter of the method as `KEY=VALUE`; may be repeated")
	f.Var(choice{&e.runtime, []string{core.RuntimeWASM, core.RuntimeNative}}, "runtime", "wasm (default) or native")
	f.Var(natural{&runs}, "runs", "runs after the first")
	f.Var(choice{&e.format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// measure explains text once and then runs times.
func (e *explanation) measure(ctx context.Context, text string, runs int) (*explainResult, error) {
	params, err := pairs(e.params)
	if err != nil {
		return nil, err
	}
	host, err := e.host(func(o *core.Options) { o.Cache = -1 }) // later runs would only look answers up
	if err != nil {
		return nil, err
	}
	defer host.Close()
	if _, err := e.resolve(host); err != nil {
		return nil, err
	}
	in := core.Input{Text: text}
	start := time.Now()
	model, err := host.OpenModel(ctx, e.chosen(e.model, in, e.format != "json"))
	if err != nil {
		return nil, err
	}
	defer model.Close()
	r := &explainResult{
		Model: model.ID(), Method: e.method, Kernel: model.Engine().Kernel(), Threads: model.Engine().Threads(), Runs: runs,
		OpenModel: time.Since(start).Seconds() * 1e3, Measured: time.Now().UTC().Format(time.RFC3339),
	}
	var order []string
	times := map[string][]float64{}
	record := func(name string, d time.Duration) {
		if times[name] == nil {
			order = append(order, name)
		}
		times[name] = append(times[name], d.Seconds()*1e3)
	}
	for range 1 + runs {
		began := time.Now()
		x, err := host.Explain(ctx, model, core.Request{Input: in, Method: e.method, Params: params, Runtime: e.runtime, Trace: record})
		if err != nil {
			return nil, err
		}
		record("total", time.Since(began))
		r.Runtime, r.Tokens = x.Method.Runtime, len(x.Input.Tokens)
		r.Evaluations, r.CacheHits = float64(x.Diagnostics[core.DiagEvaluations]), float64(x.Diagnostics[core.DiagCacheHits])
	}
	for _, name := range order {
		r.Phases = append(r.Phases, phase{name, times[name][0], median(times[name][1:])})
	}
	return r, nil
}

func explainTerm(w io.Writer, r *explainResult) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: %s, %.0f evaluations, %s, %s, %s\n",
		report.Line(r.Method), report.Line(r.Model), plural(r.Tokens, "token"), r.Evaluations, r.Runtime, r.Kernel, plural(r.Threads, "thread"))
	width := len("open model")
	for _, p := range r.Phases {
		width = max(width, len(p.Name))
	}
	fmt.Fprintf(&b, "  %-*s %10s %10s\n", width, "ms", "first", fmt.Sprintf("median/%d", r.Runs))
	fmt.Fprintf(&b, "  %-*s %10.2f\n", width, "open model", r.OpenModel)
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "  %-*s %10.2f %10.2f\n", width, p.Name, p.First, p.Median)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
