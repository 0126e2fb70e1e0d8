// Command overhead measures what the sandbox of a method costs: the same whole
// explanation by LIME, of a model of BERT-base's shape, with the method in this
// process, in its module and in a process of its own, in turns. It prints a report
// as JSON and a table.
//
//	go run ./bench/overhead > overhead.json
//	go run ./bench/overhead -samples 200 -rounds 3
//
// The model's weights are random and computed as they are read, its tokenizer is
// the embedded one, so that it needs neither a network nor disk.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"time"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/builtin"
	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/internal/virtual"
	"github.com/xai-go/xai/plugins"
)

func main() {
	process.WorkerMain() // the process of its own is this program
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "overhead:", err)
		os.Exit(1)
	}
}

// text has 34 tokens under the embedded English tokenizer, with [CLS] and [SEP].
const text = "A gripping, beautifully shot film that loses its way in the second half but finds it again, and whose last scene stays with you after the lights are on."

// Report is what the command prints.
type Report struct {
	Model       string `json:"model"`
	Kernel      string `json:"kernel"`
	Threads     int    `json:"threads"`
	Tokens      int    `json:"tokens"`
	Evaluations int    `json:"evaluations"`
	Fuel        int64  `json:"fuel"` // instructions of the module, as rewriting counts them
	Sides       []Side `json:"sides"`
}

// Side is one way to run the method.
type Side struct {
	Runtime string    `json:"runtime"`
	Total   float64   `json:"median_ms"`
	Forward float64   `json:"median_forward_ms"` // of the total, in the model
	Method  float64   `json:"median_method_ms"`  // of the total, in the method and what it runs in
	Ratio   float64   `json:"to_native"`         // the median of the ratios of a round's totals
	Totals  []float64 `json:"ms"`
}

// run is the command.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	f := flag.NewFlagSet("overhead", flag.ContinueOnError)
	f.SetOutput(stderr)
	samples := f.Int("samples", 1000, "variants that LIME asks for")
	rounds := f.Int("rounds", 5, "runs of each side, of which the median counts")
	threads := f.Int("threads", 0, "threads; 0 for all")
	layers := f.Int("layers", 12, "layers of the model; those of BERT-base are 12")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 {
		return fmt.Errorf("%d rounds are none", *rounds)
	}
	shape, err := virtual.Named("bert-base")
	if err != nil {
		return err
	}
	shape.Layers = *layers
	weights, err := shape.Folder(false)
	if err != nil {
		return err
	}
	host, err := core.New(core.Options{
		Models:      map[string]fs.FS{shape.Name: folder{weights, builtin.Models()["sentiment-en"]}},
		Methods:     core.Builtin(plugins.Builtin()),
		BuiltinOnly: true,
		Threads:     *threads,
		Cache:       -1, // or all runs but the first would only look answers up
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	model, err := host.OpenModel(ctx, "builtin:"+shape.Name)
	if err != nil {
		return err
	}
	defer model.Close()

	r := &Report{Model: shape.Name, Kernel: model.Engine().Kernel(), Threads: model.Engine().Threads()}
	runtimes := []string{core.RuntimeNative, core.RuntimeWASM, core.RuntimeProcess}
	phases := map[string]map[string][]float64{}
	var reference *core.Explanation
	for round := range *rounds + 1 {
		for _, runtime := range runtimes {
			fmt.Fprintf(stderr, "\rround %d of %d: %-7s", round, *rounds, runtime)
			record := func(name string, d time.Duration) {
				if round == 0 { // compiles the module, and warms everything up
					return
				}
				if phases[runtime] == nil {
					phases[runtime] = map[string][]float64{}
				}
				phases[runtime][name] = append(phases[runtime][name], d.Seconds()*1e3)
			}
			began := time.Now()
			x, err := host.Explain(ctx, model, core.Request{
				Input: core.Input{Text: text}, Method: "lime", Runtime: runtime,
				Params: map[string]string{"num_samples": fmt.Sprint(*samples)}, Trace: record,
			})
			if err != nil {
				return err
			}
			record("total", time.Since(began))
			if reference == nil {
				reference = x
				r.Tokens, r.Evaluations = len(x.Input.Tokens), int(x.Diagnostics[core.DiagEvaluations])
			}
			if !reflect.DeepEqual(x.Attributions, reference.Attributions) {
				return fmt.Errorf("%s: other attributions than %s", runtime, runtimes[0])
			}
			r.Fuel = max(r.Fuel, x.Provenance.Fuel)
		}
	}
	fmt.Fprintln(stderr)
	for _, runtime := range runtimes {
		p, native := phases[runtime], phases[core.RuntimeNative]
		ratios := make([]float64, *rounds)
		for i := range ratios {
			ratios[i] = p["total"][i] / native["total"][i]
		}
		r.Sides = append(r.Sides, Side{runtime, median(p["total"]), median(p["forward"]), median(p["method"]), median(ratios), p["total"]})
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", "  ")
	return errors.Join(e.Encode(r), table(stderr, r))
}

// table writes the report as Markdown.
func table(w io.Writer, r *Report) error {
	_, err := fmt.Fprintf(w, "%s, %d tokens, %d evaluations, %s, %d threads\n\n| runtime | total ms | in the model | in the method | × native |\n|---|---|---|---|---|\n",
		r.Model, r.Tokens, r.Evaluations, r.Kernel, r.Threads)
	for _, s := range r.Sides {
		_, e := fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f | %.4f |\n", s.Runtime, s.Total, s.Forward, s.Method, s.Ratio)
		err = errors.Join(err, e)
	}
	return err
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// folder is the files of the first, and those of the second that it lacks.
type folder [2]fs.FS

// Open implements [fs.FS].
func (f folder) Open(name string) (fs.File, error) {
	file, err := f[0].Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return f[1].Open(name)
	}
	return file, err
}
