package main

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/engine"
)

// TestOwnSides holds that the engine opens what package model writes, and that
// all of its sides of a case run and have the same logits.
func TestOwnSides(t *testing.T) {
	for _, c := range []struct {
		model string
		head  model.Head
		each  int // logits of a sequence
	}{{"bert-tiny", model.Classifier, 2}, {"gpt2-tiny", model.Last, 211}} {
		shape := named(t, c.model)
		dir := t.TempDir()
		if err := model.Write(shape, dir, 1, nil); err != nil {
			t.Fatal(err)
		}
		m, err := engine.Open(t.Context(), os.DirFS(dir), engine.WithThreads(1))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, w := range []work{forward(shape, c.head, 3, 20, 1), perturbations(shape, c.head, true, 100, 8, 1)} {
			var reference []float64
			var most float64
			for _, v := range variants(w) {
				side, logits, err := own(t.Context(), v, m, w)
				if err != nil {
					t.Fatalf("%s, %s: %v", c.model, v.name, err)
				}
				if reference == nil {
					reference, most = logits, side.operations
					if want := len(w.sequences) * c.each; len(logits) != want {
						t.Fatalf("%s: %d logits, want %d", c.model, len(logits), want)
					}
				}
				if !slices.Equal(logits, pick(reference, v.which, len(w.sequences))) {
					t.Errorf("%s, %s: other logits", c.model, v.name)
				}
				if fewer := v.name == distinct || v.name == gradients; fewer != (side.operations < most) {
					t.Errorf("%s, %s: %v operations, the first side %v", c.model, v.name, side.operations, most)
				}
				times, err := side.run(t.Context(), 3)
				if err != nil || len(times) != 3 {
					t.Errorf("%s, %s: three runs: %v, %v", c.model, v.name, times, err)
				}
				for _, r := range times {
					if r.Wall <= 0 || r.Processor < 0 {
						t.Errorf("%s, %s: a run took %v, %v of the processor", c.model, v.name, r.Wall, r.Processor)
					}
				}
			}
		}
	}
}

// TestCompare holds that sides that compute something else are not measured.
func TestCompare(t *testing.T) {
	reference := []float64{1, -20, 3}
	for name, c := range map[string]struct {
		logits   []float64
		float32s bool
		want     string // of the error
	}{
		"equal":         {[]float64{1, -20, 3}, true, ""},
		"near":          {[]float64{1.0019, -20, 3}, true, ""},
		"far":           {[]float64{1.0021, -20, 3}, true, "up to 0.0021 away"},
		"far in 8 bits": {[]float64{2, -19, 3}, false, ""},
		"fewer":         {[]float64{1, -20}, true, "2 logits"},
		"not a number":  {[]float64{1, math.NaN(), 3}, false, "NaN"},
	} {
		var got Case
		err := got.compare("other", c.float32s, c.logits, reference)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := new(Case).compare("other", true, []float64{0}, []float64{0}); err == nil {
		t.Error("logits that are all zeros pass for a model")
	}
}

// TestRunRefuses holds what is no measurement to an error that says why.
func TestRunRefuses(t *testing.T) {
	report := t.TempDir() + "/report.json"
	if err := os.WriteFile(report, []byte(`{"schema":"other"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"-models bert-huge":                       `no model is named "bert-huge": known are bert-base`,
		"-threads 1,two":                          `"two" is no number of threads`,
		"-work sing":                              `"sing" is none of forward, delete, replace`,
		"-models bert-tiny -shapes 1by3":          `"1by3" is no BATCHxTOKENS`,
		"-models bert-tiny -shapes 1x16,8x65":     "reads no more than 64 tokens",
		"-rounds 0":                               "0 rounds",
		"more":                                    `"more" is no flag`,
		"-markdown " + strings.TrimSpace(report):  `has the schema "other", not "xai.bench/1"`,
		"-markdown " + t.TempDir() + "/absent.md": "absent.md",
	} {
		var out, err strings.Builder
		if got := run(t.Context(), strings.Fields(args), &out, &err); got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("%s: %v, want %s", args, got, want)
		}
	}
}
