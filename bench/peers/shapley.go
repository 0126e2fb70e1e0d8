package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xai-go/xai/bench/machine"
	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/builtin"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
)

// mostUnits is the number of words whose coalitions are all evaluated.
const mostUnits = 16

// gameName is the name of the game in the peers' process.
const gameName = "game"

// estimator is a way to estimate Shapley values. A budget is a number of
// evaluations, more or less.
type estimator struct {
	name    string
	missing string // why it cannot run
	least   int    // budget that it can do anything with
	// play estimates the values of the game, time those of the model that is timed.
	play func(seed, budget int) (values []float64, evaluations int, err error)
	time func(seed, budget int) (took time.Duration, evaluations int, err error)
	stop func(seed int) (values []float64, evaluations int, err error) // of its own accord, or nil
}

// precision finds how many evaluations each estimator needs for values of a
// given standard error, and how long as many take on the model.
//
// The game is the embedded model's, trained on reviews, because what an estimator
// needs depends on how the words of a text act together, and that is arbitrary in
// a model of random weights. All of its coalitions are known, so that errors are
// distances from exact values, for packages that state none too.
func (b *bench) precision(ctx context.Context, dir string) (err error) {
	words := strings.Join(strings.Fields(text)[:min(b.units, len(strings.Fields(text)))], " ")
	host, err := core.New(core.Options{
		Models:      map[string]fs.FS{builtin.SentimentEN: builtin.Models()[builtin.SentimentEN]},
		Methods:     core.Builtin(plugins.Builtin()),
		BuiltinOnly: true,
		Threads:     b.threads, // and evaluations are remembered: their time does not count
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	m, err := host.OpenModel(ctx, "builtin:"+builtin.SentimentEN)
	if err != nil {
		return err
	}
	defer m.Close()
	// In process, which gives the same bits in less time: it is not what is timed.
	game := &bench{options: b.options, host: host, model: m, log: b.log, report: b.report, runtime: core.RuntimeNative}

	fmt.Fprintf(b.log, "Shapley values: all coalitions of %d words\n", b.units)
	table, err := game.coalitions(ctx, words)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "table")
	data, err := binary.Append(nil, binary.LittleEndian, table)
	if err == nil {
		err = os.WriteFile(path, data, 0o666)
	}
	if err != nil {
		return err
	}
	if err := b.peers.do(command{"do": "table", "model": gameName, "path": path, "units": b.units}, nil); err != nil {
		return err
	}
	p := &Precision{Game: "builtin:" + builtin.SentimentEN, Units: b.units, Exact: shapley(table), Target: b.stderr, Seeds: b.seeds}
	for i, v := range p.Exact {
		if math.Abs(v) > math.Abs(p.Exact[p.Largest]) {
			p.Largest = i
		}
	}
	b.report.Precision = p
	all := append(b.ownEstimators(ctx, game, words), b.peerEstimators(words)...)
	b.report.Estimators = make([]Estimator, len(all))
	for i, e := range all {
		r := &b.report.Estimators[i]
		r.Name, r.Reason = e.name, e.missing
		if e.missing != "" {
			continue
		}
		if err := b.reach(e, p, r); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return b.timed(all)
}

// coalitions returns the probability of every coalition of the words of a text:
// that at index i keeps those that are bits of i, and masks the others.
func (b *bench) coalitions(ctx context.Context, words string) ([]float64, error) {
	_, x, _, err := b.explain(ctx, b.model, core.Request{Input: core.Input{Text: words}, Method: "lime", Params: map[string]string{"num_samples": "2"}})
	if err != nil {
		return nil, err
	}
	ids, mask := x.Input.InputIDs, b.model.Info().MaskID
	if len(x.Input.Units) != b.units || len(ids) != b.units+2 || mask == nil {
		return nil, fmt.Errorf("%d tokens and %d units are not %d words of a token each between two special ones", len(ids), len(x.Input.Units), b.units)
	}
	table := make([]float64, 1<<b.units)
	const rows = 1 << 11
	for first := 0; first < len(table); first += rows {
		var in engine.Input
		for c := first; c < min(first+rows, len(table)); c++ {
			row := len(in.IDs)
			in.IDs, in.Lengths = append(in.IDs, ids...), append(in.Lengths, len(ids))
			for i := range b.units {
				if c>>i&1 == 0 {
					in.IDs[row+1+i] = *mask
				}
			}
		}
		out, err := b.model.Engine().Forward(ctx, in)
		if err != nil {
			return nil, err
		}
		logits := out.Logits.Float64()
		classes := len(logits) / len(in.Lengths)
		for i := range in.Lengths {
			sum := 0.0
			for _, v := range logits[i*classes : (i+1)*classes] {
				sum += math.Exp(v - logits[i*classes+label])
			}
			table[first+i] = 1 / sum
		}
	}
	if got, want := table[len(table)-1], float64(x.Target.Value); !(math.Abs(got-want) < 1e-6) {
		return nil, fmt.Errorf("the game's value of all words is %v, the model's %v", got, want)
	}
	return table, nil
}

// shapley returns the Shapley values of a game:
//
//	φᵢ = Σ_{S∌i} |S|!·(n−|S|−1)!/n! · (v(S∪i) − v(S))
func shapley(table []float64) []float64 {
	n := bits.Len(uint(len(table))) - 1
	weight := make([]float64, n) // of a coalition, by its size
	for s := range weight {
		weight[s] = 1 / float64(n)
		for k := range s { // 1 over n times s out of n−1
			weight[s] *= float64(k+1) / float64(n-1-k)
		}
	}
	values := make([]float64, n)
	for c, v := range table {
		for i := range values {
			if c>>i&1 == 0 {
				values[i] += weight[bits.OnesCount(uint(c))] * (table[c|1<<i] - v)
			}
		}
	}
	return values
}

// oneOrder is what it takes to have the words join in one order and leave again.
func (b *bench) oneOrder() int { return 2*b.units + 1 }

// ownEstimators are our methods.
func (b *bench) ownEstimators(ctx context.Context, game *bench, words string) (all []estimator) {
	for _, method := range []struct{ name, budget string }{{"permutation-shap", "max_evals"}, {"kernel-shap", "num_samples"}, {"sampling-shap", "num_samples"}} {
		request := func(seed, budget int, more ...string) core.Request {
			r := core.Request{Input: core.Input{Text: words}, Method: method.name, Output: sdk.Prob, Seed: uint64(seed), Params: map[string]string{method.budget: fmt.Sprint(budget)}}
			for i := 0; i < len(more); i += 2 {
				r.Params[more[i]] = more[i+1]
			}
			return r
		}
		play := func(r core.Request) ([]float64, int, error) {
			values, x, _, err := game.explain(ctx, game.model, r)
			if err != nil {
				return nil, 0, err
			}
			return values, int(x.Diagnostics[core.DiagEvaluations]), nil
		}
		least := b.oneOrder()
		if method.name == "sampling-shap" { // two draws of each word, of four evaluations
			least = 8*b.units + 2
		}
		all = append(all, estimator{
			name: ours + " " + method.name, least: least,
			play: func(seed, budget int) ([]float64, int, error) { return play(request(seed, budget)) },
			stop: func(seed int) ([]float64, int, error) {
				// All coalitions but one: with all of them nothing is estimated.
				return play(request(seed, 1<<b.units-3, "max_stderr", fmt.Sprint(b.stderr)))
			},
			time: func(seed, budget int) (time.Duration, int, error) {
				_, x, took, err := b.explain(ctx, b.model, request(seed, budget))
				if err != nil {
					return 0, 0, err
				}
				return took, int(x.Diagnostics[core.DiagEvaluations]), nil
			},
		})
	}
	return all
}

// peerEstimators are those of the packages.
func (b *bench) peerEstimators(words string) (all []estimator) {
	for _, method := range []struct{ name, pack, title string }{
		{"permutation", "shap", "shap Permutation"}, {"kernel", "shap", "shap Kernel"},
		{"sampling", "shap", "shap Sampling"}, {"orders", "captum", "captum ShapleyValueSampling"},
	} {
		run := func(model string, seed, budget int) (t explained, err error) {
			err = b.peers.do(command{
				"do": "explain", "model": model, "method": method.name, "text": words, "label": label, "evaluations": budget, "seed": seed,
			}, &t)
			return t, err
		}
		e := estimator{
			name: method.title, least: b.oneOrder(),
			play: func(seed, budget int) ([]float64, int, error) {
				t, err := run(gameName, seed, budget)
				return t.Values, t.Evaluations, err
			},
			time: func(seed, budget int) (time.Duration, int, error) {
				t, err := run(modelName, seed, budget)
				return time.Duration(t.Wall * float64(time.Millisecond)), t.Evaluations, err
			},
		}
		if p := b.report.Peers.Packages[method.pack]; p.Error != "" {
			e.missing = fmt.Sprintf("%s cannot be imported: %s", method.pack, p.Error)
		}
		all = append(all, e)
	}
	return all
}

// The budgets that are tried.
const (
	firstBudget = 400
	mostBudget  = 60_000
	mostSteps   = 6
	// near is as good as there: the error that a budget gives is itself known to
	// some percent.
	near = 0.93
)

// reach looks for the smallest budget with which the error of the largest value
// is what it should be. The square of an error goes down with evaluations, more
// or less in proportion, which says what to try next.
func (b *bench) reach(e estimator, p *Precision, r *Estimator) error {
	tried := map[int]bool{}
	for budget := firstBudget; !tried[budget] && len(tried) < mostSteps; {
		tried[budget] = true
		step, err := errorsOf(p, func(seed int) ([]float64, int, error) { return e.play(seed, budget) })
		if err != nil {
			return err
		}
		step.Budget = budget
		fmt.Fprintf(b.log, "%s: %.0f evaluations, error %.5f\n", e.name, step.Evaluations, step.Error)
		r.Steps = append(r.Steps, step)
		enough := step.Error <= p.Target
		if better := !r.Reached && (enough || r.Evaluations < step.Evaluations) || r.Reached && enough && step.Evaluations < r.Evaluations; better {
			r.Evaluations, r.Error, r.All, r.Bias, r.Reached = step.Evaluations, step.Error, step.All, step.Bias, enough
		}
		if enough && step.Error >= near*p.Target {
			break
		}
		// A little more than that, so as to end on the right side.
		next := 1.03 * float64(budget) * math.Pow(step.Error/p.Target, 2)
		budget = int(math.Ceil(min(max(next, float64(e.least), float64(budget)/8), mostBudget)))
	}
	if e.stop == nil {
		return nil
	}
	step, err := errorsOf(p, e.stop)
	r.Stopped = &step
	return err
}

// errorsOf returns the errors of estimates over all seeds.
func errorsOf(p *Precision, estimate func(seed int) ([]float64, int, error)) (Step, error) {
	var s Step
	for seed := range p.Seeds {
		values, evaluations, err := estimate(seed)
		if err != nil {
			return s, err
		}
		if len(values) != len(p.Exact) {
			return s, fmt.Errorf("%d values of %d words", len(values), len(p.Exact))
		}
		s.Evaluations += float64(evaluations) / float64(p.Seeds)
		for i, v := range values {
			d := v - p.Exact[i]
			s.All += d * d / float64(p.Seeds*len(values))
			if i == p.Largest {
				s.Error += d * d / float64(p.Seeds)
				s.Bias += d / float64(p.Seeds)
			}
		}
	}
	s.Error, s.All = math.Sqrt(s.Error), math.Sqrt(s.All)
	return s, nil
}

// timed has all estimators take turns on the model.
func (b *bench) timed(all []estimator) error {
	before, _ := machine.Read(os.Getpid(), b.peers.PID())
	for round := range b.rounds {
		for i := range all {
			if round%2 == 1 {
				i = len(all) - 1 - i
			}
			e, r := all[i], &b.report.Estimators[i]
			if e.missing != "" {
				continue
			}
			fmt.Fprintf(b.log, "Shapley values: round %d of %d: %s\n", round+1, b.rounds, e.name)
			took, evaluations, err := e.time(round, max(min(int(math.Ceil(r.Evaluations)), b.longest), e.least))
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			r.Timed, r.TimedEvaluations = append(r.Timed, milliseconds(took)), evaluations
		}
	}
	if after, ok := machine.Read(os.Getpid(), b.peers.PID()); ok {
		share := machine.Others(before, after)
		b.report.Precision.Others = &share
	}
	for i := range all {
		r := &b.report.Estimators[i]
		if r.TimedEvaluations > 0 {
			r.Seconds = median(r.Timed) / 1e3 * r.Evaluations / float64(r.TimedEvaluations)
		}
	}
	return nil
}
