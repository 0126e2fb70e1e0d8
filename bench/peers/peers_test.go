package main

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// small is a run that takes no time.
func small(works ...string) options {
	if works == nil {
		works = workNames()
	}
	return options{
		shape: "bert-tiny", works: works, rounds: 2, threads: 2, seed: 1, samples: 40, evals: 60, steps: 5,
		units: 8, seeds: 6, stderr: 0.02, longest: 40,
	}
}

// TestRun runs the whole harness beside a process that speaks as the peers' does.
func TestRun(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	o := small()
	o.language = faked(t, "well")
	var out, log strings.Builder
	if err := o.run(t.Context(), &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var r Report
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"captum", "lime", "shap", "torch"}, names(r.Peers)); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	cores, others := settings(2)
	if len(r.Peers.Settings) != len(cores)+len(others) {
		t.Errorf("%d settings were tried", len(r.Peers.Settings))
	}
	if len(r.Cases) != 4 {
		t.Fatalf("%d cases", len(r.Cases))
	}
	for i, want := range []struct {
		package_        string
		own, fewest, at int // sides of ours; evaluations
	}{{"lime", 1, 40, 41}, {"lime", 1, 40, 41}, {"shap", 2, 50, 62}, {"captum", 1, 5, 60}} {
		c := r.Cases[i]
		if c.Tokens != 33 || c.Checked == nil || c.Checked.Difference > c.Checked.Allowed || c.Checked.Largest <= 0 {
			t.Errorf("%s: %d tokens, %+v", c.Name, c.Tokens, c.Checked)
		}
		if len(c.Sides) != want.own+1 || len(c.Ratios) != want.own || c.Sides[0].Name != want.package_ {
			t.Fatalf("%s: %d sides, %d ratios: %+v", c.Name, len(c.Sides), len(c.Ratios), c.Sides)
		}
		for _, s := range c.Sides {
			if len(s.Times) != 2 || s.Fastest <= 0 || s.Median < s.Fastest {
				t.Errorf("%s: %+v", c.Name, s)
			}
			if s.Name != want.package_ && (s.Evaluations < want.fewest || s.Evaluations > want.at || s.Forwards <= 0 || s.Forwards > s.Evaluations) {
				t.Errorf("%s: %d evaluations, %d forwards, want %d to %d", c.Name, s.Evaluations, s.Forwards, want.fewest, want.at)
			}
		}
		if got, want := c.Ratios[0].Median, c.Sides[0].Median/c.Sides[1].Median; got != want {
			t.Errorf("%s: ratio %v, want %v", c.Name, got, want)
		}
	}
	p := r.Precision
	if p == nil || len(p.Exact) != 8 || p.Seeds != 6 || p.Target != 0.02 {
		t.Fatalf("%+v", p)
	}
	if len(r.Estimators) != 7 {
		t.Fatalf("%d estimators", len(r.Estimators))
	}
	for i, e := range r.Estimators {
		if e.own() != (i < 3) || (e.Stopped != nil) != (i < 3) {
			t.Errorf("%s: ours %v, stops %v", e.Name, e.own(), e.Stopped)
		}
		if !e.Reached || e.Error > p.Target || e.Evaluations <= 0 || e.Seconds <= 0 || len(e.Timed) != 2 || len(e.Steps) == 0 {
			t.Errorf("%+v", e)
		}
		if math.Abs(e.Bias) > e.Error+1e-12 {
			t.Errorf("%s: the mean error %v is larger than the root of the mean square, %v", e.Name, e.Bias, e.Error)
		}
	}

	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, []byte(out.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	if err := run(t.Context(), []string{"-markdown", file}, &tables, &log); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(log.String(), tables.String()) {
		t.Error("the tables of the report are not those that were shown")
	}
	for _, want := range []string{"Peers, from a fake: captum 1.2.3, lime 1.2.3", "| LIME, 40 samples, [MASK], 33 tokens | lime |", "| captum ShapleyValueSampling |", "| xai kernel-shap | **×"} {
		if !strings.Contains(tables.String(), want) {
			t.Errorf("the tables have no %q:\n%s", want, tables.String())
		}
	}
}

// TestRunWithout holds that what is missing is said, and that all else is measured.
func TestRunWithout(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	o := small("lime-mask", "gradients")
	o.language = faked(t, "no captum")
	var out, log strings.Builder
	if err := o.run(t.Context(), &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	for _, want := range []string{"captum is not there", "| integrated gradients, 5 steps | not measured: captum cannot be imported: ModuleNotFoundError", "33 tokens | lime |"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
}

// TestRunRefuses holds what is no measurement to an error that says why.
func TestRunRefuses(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for how, want := range map[string]string{
		"another lime":                  "they do not compute the same",
		"another partition":             "they do not compute the same",
		"crash in integrated-gradients": "out of memory, says the fake",
	} {
		o := small("lime-mask", "partition", "gradients")
		o.rounds = 1
		o.language = faked(t, how)
		var out, log strings.Builder
		if err := o.run(t.Context(), &out, &log); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", how, err, want)
		}
	}
	report := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(report, []byte(`{"schema":"xai.bench/1"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"-shape bert-huge":     `no model is named "bert-huge"`,
		"-shape gpt2-tiny":     "no classifier of texts",
		"-work sing":           `"sing" is none of lime-mask, lime-delete, partition, gradients, precision`,
		"-rounds 0":            "-rounds: 0 is too few",
		"-units 17":            "16 are the most",
		"-stderr 0":            "no standard error",
		"more":                 `"more" is no flag`,
		"-markdown " + report:  `has the schema "xai.bench/1", not "xai.bench.peers/1"`,
		"-sources /dev/null":   "no checkout of a package",
		"-python /dev/nothing": "/dev/nothing has no PyTorch",
	} {
		var out, log strings.Builder
		if err := run(t.Context(), strings.Fields(args), &out, &log); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// TestShapley compares values with those of games that are known.
func TestShapley(t *testing.T) {
	glove := func(c int) float64 { // the owner of the one left glove, two of right ones
		if c&1 != 0 && c&6 != 0 {
			return 1
		}
		return 0
	}
	additive := func(c int) float64 {
		return 5 + 1*float64(c&1) + 2*float64(c>>1&1) - 3*float64(c>>2&1) + 4*float64(c>>3&1)
	}
	for name, g := range map[string]struct {
		units int
		value func(int) float64
		want  []float64
	}{
		"gloves":   {3, glove, []float64{2.0 / 3, 1.0 / 6, 1.0 / 6}},
		"additive": {4, additive, []float64{1, 2, -3, 4}},
		"one":      {1, func(c int) float64 { return float64(7 * c) }, []float64{7}},
	} {
		table := make([]float64, 1<<g.units)
		for c := range table {
			table[c] = g.value(c)
		}
		if diff := cmp.Diff(g.want, shapley(table), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestReach follows the search for a budget: an estimator whose error is exactly
// in proportion to one over the root of its evaluations, and ones that never or always suffice.
func TestReach(t *testing.T) {
	p := &Precision{Units: 8, Exact: make([]float64, 8), Target: 0.05, Seeds: 2}
	b := &bench{log: &strings.Builder{}}
	errors := func(size func(budget int) float64) estimator {
		return estimator{least: 17, play: func(seed, budget int) ([]float64, int, error) {
			v := slices.Repeat([]float64{size(budget) * float64(1-2*seed)}, 8)
			return v, budget, nil
		}}
	}
	for name, c := range map[string]struct {
		size    func(budget int) float64
		want    int // evaluations
		reached bool
	}{
		"root":   {func(n int) float64 { return 1.2 / math.Sqrt(float64(n)) }, 594, true},
		"never":  {func(int) float64 { return 1 }, mostBudget, false},
		"always": {func(int) float64 { return 0 }, 17, true},
	} {
		var got Estimator
		if err := b.reach(errors(c.size), p, &got); err != nil {
			t.Fatal(err)
		}
		if got.Reached != c.reached || got.Evaluations < 0.98*float64(c.want) || got.Evaluations > 1.02*float64(c.want) {
			t.Errorf("%s: %v evaluations, reached %v, want %d, %v: %+v", name, got.Evaluations, got.Reached, c.want, c.reached, got.Steps)
		}
		if math.Abs(got.Bias) > 1e-12 {
			t.Errorf("%s: bias %v of errors that cancel", name, got.Bias)
		}
	}
	if _, err := errorsOf(p, func(int) ([]float64, int, error) { return []float64{1}, 1, nil }); err == nil {
		t.Error("one value of eight words goes unnoticed")
	}
}

// TestChecked holds that values that are not the same are not measured.
func TestChecked(t *testing.T) {
	values := []float64{1, -20, 3}
	for name, c := range map[string]struct {
		theirs []float64
		want   string // of the error
	}{
		"equal":        {[]float64{1, -20, 3}, ""},
		"near":         {[]float64{1.019, -20, 3}, ""},
		"far":          {[]float64{1.021, -20, 3}, "up to 0.021 away"},
		"fewer":        {[]float64{1, -20}, "2 values"},
		"not a number": {[]float64{1, math.NaN(), 3}, "NaN"},
	} {
		_, err := checked("lime", values, c.theirs)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := checked("lime", []float64{0}, []float64{0}); err == nil {
		t.Error("values that are all zeros pass for an explanation")
	}
}

// TestCheckouts holds which folders are packages.
func TestCheckouts(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"lime/lime/__init__.py", "transformers/src/transformers/__init__.py", "shap/tests/__init__.py", "notes/readme.py"} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, nil, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := checkouts(dir)
	want := []string{filepath.Join(dir, "lime"), filepath.Join(dir, "transformers", "src")}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestEnvironment holds that a setting is all that decides how PyTorch runs.
func TestEnvironment(t *testing.T) {
	t.Setenv("OPENBLAS_CORETYPE", "Prescott")
	t.Setenv("OMP_NUM_THREADS", "9")
	t.Setenv("PYTHONPATH", "elsewhere")
	var got []string
	for _, v := range (setting{"Haswell", 2, 1}).environment() {
		for _, prefix := range []string{"OPENBLAS_", "OMP_", "MKL_", "PYTHONPATH"} {
			if strings.HasPrefix(v, prefix) {
				got = append(got, v)
			}
		}
	}
	if diff := cmp.Diff([]string{"OPENBLAS_CORETYPE=Haswell", "OPENBLAS_NUM_THREADS=2", "OMP_NUM_THREADS=1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
