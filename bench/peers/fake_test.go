package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/builtin"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
)

// fakeVariable has a test binary play the peers' process, and says how.
const fakeVariable = "XAI_BENCH_FAKE_PEER"

func TestMain(m *testing.M) {
	if how := os.Getenv(fakeVariable); how != "" {
		if err := (&fake{how: how, games: map[string][]float64{}}).serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fake speaks the protocol of serve.py. Its explanations are those of our
// methods in process, which have the peers' values.
type fake struct {
	how   string
	host  *core.Host
	model *core.Model
	games map[string][]float64
}

func (f *fake) serve() error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var c struct {
			Do, Model, Path, Method, Text, Fill       string
			Texts                                     []string
			Label, Units, Samples, Evaluations, Steps int
			Seed                                      uint64
		}
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		var answer any = struct{}{}
		var err error
		switch c.Do {
		case "packages":
			all := map[string]Package{}
			for _, name := range []string{"torch", "lime", "shap", "captum"} {
				all[name] = Package{Version: "1.2.3", Import: 1}
			}
			if f.how == "no captum" {
				all["captum"] = Package{Error: "ModuleNotFoundError: No module named 'captum'"}
			}
			answer = map[string]any{"packages": all}
		case "load":
			err = f.load(c.Path)
			answer = map[string]any{"implementation": "ours", "ms": 2}
		case "table":
			var data []byte
			if data, err = os.ReadFile(c.Path); err == nil {
				f.games[c.Model] = make([]float64, 1<<c.Units)
				_, err = binary.Decode(data, binary.LittleEndian, f.games[c.Model])
			}
		case "predict":
			var rows [][]float64
			for _, text := range c.Texts {
				var x *core.Explanation
				if x, err = f.explain(text, "lime", "prob", map[string]string{"num_samples": "2"}, 0); err != nil {
					break
				}
				p := float64(x.Target.Value)
				rows = append(rows, []float64{1 - p, p})
			}
			answer = map[string]any{"values": rows, "ms": 3}
		case "explain":
			var told explained
			var x *core.Explanation
			switch c.Method {
			case "lime":
				x, err = f.explain(c.Text, "lime", "prob", map[string]string{
					"compat": "lime", "num_samples": fmt.Sprint(c.Samples), "num_features": "31", "bow": fmt.Sprint(c.Fill == "delete"), "fill": c.Fill,
				}, c.Seed)
			case "partition":
				x, err = f.explain(c.Text, "partition-shap", "prob", map[string]string{"compat": "shap", "max_evals": fmt.Sprint(c.Evaluations)}, 0)
			case "integrated-gradients":
				x, err = f.explain(c.Text, "integrated-gradients", "logit", map[string]string{"n_steps": fmt.Sprint(c.Steps)}, 0)
			default:
				told.Values, told.Evaluations = f.orders(c.Model, len(strings.Fields(c.Text)), c.Evaluations, c.Seed)
			}
			if x != nil {
				told.Evaluations = int(x.Diagnostics[core.DiagEvaluations])
				for _, v := range x.Attributions[0].Values {
					told.Values = append(told.Values, float64(v))
				}
				if len(told.Values) == len(x.Input.Tokens) {
					told.Values = told.Values[1 : len(told.Values)-1]
				}
			}
			if f.how == "another "+c.Method {
				told.Values[3] *= 1.1
				told.Values[4] += 0.01
			}
			if f.how == "crash in "+c.Method {
				return errors.New("out of memory, says the fake")
			}
			told.Wall, told.Processor = 5, 4
			answer = told
		}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		}
		line, err := json.Marshal(answer)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return in.Err()
}

func (f *fake) load(path string) (err error) {
	f.host, err = core.New(core.Options{
		Models: map[string]fs.FS{"tiny": os.DirFS(path), builtin.SentimentEN: builtin.Models()[builtin.SentimentEN]}, Methods: core.Builtin(plugins.Builtin()), BuiltinOnly: true, Threads: 1,
	})
	if err == nil {
		f.model, err = f.host.OpenModel(context.Background(), "builtin:tiny")
	}
	return err
}

func (f *fake) explain(text, method, output string, params map[string]string, seed uint64) (*core.Explanation, error) {
	r := core.Request{Input: core.Input{Text: text}, Method: method, Params: params, Target: "1", Output: sdk.Output(output), Runtime: core.RuntimeNative, Seed: seed}
	return f.host.Explain(context.Background(), f.model, r)
}

// orders estimates Shapley values from random orders of the units. What is no
// game has the value 0 everywhere.
func (f *fake) orders(game string, units, evaluations int, seed uint64) (values []float64, done int) {
	table := f.games[game]
	if table == nil {
		table = make([]float64, 1<<units)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	values = make([]float64, units)
	n := max(evaluations/units, 1)
	for range n {
		c := 0
		for _, i := range random.Perm(units) {
			values[i] += (table[c|1<<i] - table[c]) / float64(n)
			c |= 1 << i
		}
		done += units
	}
	return values, done
}

// faked returns what plays the peers in that way.
func faked(t *testing.T, how string) func() *python {
	t.Helper()
	t.Setenv(fakeVariable, how)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func() *python { return &python{program: []string{program}, from: "a fake"} }
}

// names returns those of the peers' packages that are there.
func names(p Peers) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(p.Packages)) {
		if p.Packages[name].Error == "" {
			all = append(all, name)
		}
	}
	return all
}
