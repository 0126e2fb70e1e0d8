// Command bench measures the engine side by side with ONNX Runtime, in turns,
// on models of the same shape and weights. README.md says how to run it and
// what its numbers mean.
//
//	go run ./bench > report.json                         everything: an hour or so
//	go run ./bench -models bert-base -work forward -threads 2 > report.json
//	go run ./bench -markdown report.json                 the tables of a report
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
	"strconv"
	"strings"
	"time"

	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/bench/ort"
	"github.com/xai-go/xai/internal/virtual"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the command: it writes a report to stdout as JSON, and progress and
// tables to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	models := f.String("models", "bert-base,gpt2-small", "`models` to measure, with commas between them; also bert-tiny and gpt2-tiny, which take no time and mean nothing")
	kinds := f.String("work", "forward,delete,replace", "what to measure: forward passes; the perturbation workload with tokens deleted, or replaced")
	threads := f.String("threads", "1,2", "numbers of threads")
	shapes := f.String("shapes", "", "(batch,tokens) of the forwards, such as 1x16,8x128 (default: those of README.md)")
	variants := f.Int("variants", 1000, "variants of the perturbation workload")
	rounds := f.Int("rounds", 7, "turns of each side")
	turn := f.Duration("turn", 200*time.Millisecond, "length of a turn, at least")
	seed := f.Uint64("seed", 1, "seed of weights and texts")
	tables := f.String("markdown", "", "measure nothing: print the tables of this report, a `file`")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if *tables != "" {
		data, err := os.ReadFile(*tables)
		if err != nil {
			return err
		}
		var r Report
		if err := json.Unmarshal(data, &r); err != nil {
			return fmt.Errorf("%s: %w", *tables, err)
		}
		if r.Schema != schema {
			return fmt.Errorf("%s has the schema %q, not %q", *tables, r.Schema, schema)
		}
		return r.markdown(stdout)
	}
	if *rounds < 1 || *variants < 1 {
		return fmt.Errorf("%d rounds of %d variants are none", *rounds, *variants)
	}
	var counts []int
	for _, s := range strings.Split(*threads, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("-threads: %q is no number of threads", s)
		}
		counts = append(counts, n)
	}
	b := &bench{
		pace: pace{*rounds, *turn}, seed: *seed, report: newReport(), log: stderr,
	}
	b.report.Seed, b.report.Rounds, b.report.Turn = *seed, *rounds, float64(turn.Milliseconds())
	type task struct {
		shape virtual.Shape
		works []work
	}
	var tasks []task
	for _, name := range strings.Split(*models, ",") {
		shape, err := virtual.Named(name)
		if err != nil {
			return err
		}
		works, err := plan(shape, strings.Split(*kinds, ","), *shapes, *variants, *seed)
		if err != nil {
			return err
		}
		tasks = append(tasks, task{shape, works})
	}
	var err error
	if b.runtime, err = ort.Install(ctx); err != nil {
		return err
	}
	for _, t := range tasks {
		if err = b.model(ctx, t.shape, counts, t.works); err != nil {
			break
		}
	}
	// What was measured before something failed, or the user had enough, counts.
	if len(b.report.Cases) == 0 {
		return err
	}
	e := json.NewEncoder(stdout)
	e.SetIndent("", " ")
	return errors.Join(err, b.report.markdown(stderr), e.Encode(b.report))
}

// The forwards of the two families, batch × tokens.
const (
	bertShapes = "1x16,1x128,8x128,32x32,64x16,1x512,64x32"
	gpt2Shapes = "1x128,1x1024"
)

// variantTokens is the length of the text of the perturbation workload.
const variantTokens = 32

// plan returns the works of a model.
func plan(s virtual.Shape, kinds []string, shapes string, variants int, seed uint64) ([]work, error) {
	heads, standard := []model.Head{model.Classifier}, bertShapes
	if s.Type == virtual.GPT2 {
		heads, standard = []model.Head{model.All, model.Last}, gpt2Shapes
	}
	if shapes == "" {
		shapes = standard
	}
	var works []work
	for _, kind := range kinds {
		switch kind {
		case "forward":
			for _, head := range heads {
				for _, shape := range strings.Split(shapes, ",") {
					var batch, tokens int
					if n, err := fmt.Sscanf(shape, "%dx%d", &batch, &tokens); n != 2 || err != nil || batch < 1 || tokens < 2 {
						return nil, fmt.Errorf("-shapes: %q is no BATCHxTOKENS", shape)
					}
					if tokens > s.Positions {
						return nil, fmt.Errorf("-shapes: %s reads no more than %d tokens", s.Name, s.Positions)
					}
					works = append(works, forward(s, head, batch, tokens, seed))
				}
			}
		case "delete", "replace":
			works = append(works, perturbations(s, heads[len(heads)-1], kind == "delete", variants, variantTokens, seed))
		default:
			return nil, fmt.Errorf("-work: %q is none of forward, delete, replace", kind)
		}
	}
	return works, nil
}
