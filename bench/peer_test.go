//go:build onnxruntime

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBesideONNXRuntime runs the whole harness on tiny models, against ONNX
// Runtime itself: npm must be there, and its registry if the user's cache does
// not have the package yet. All graphs must load, and must give the logits of the
// engine.
func TestBesideONNXRuntime(t *testing.T) {
	var out, log strings.Builder
	args := "-models bert-tiny,gpt2-tiny -shapes 1x16,3x20 -variants 70 -rounds 2 -turn 1us -threads 1,2"
	if err := run(t.Context(), strings.Fields(args), &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var r Report
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	if want := 2 * (2 + 1 + 1 + 2*2 + 1 + 1); len(r.Cases) != want {
		t.Fatalf("%d cases, want %d", len(r.Cases), want)
	}
	for _, c := range r.Cases {
		name := strings.Join([]string{c.Model, c.Work, c.Head}, " ")
		peers := 4 // plain and cut, in 32 and 8 bits
		if c.Head == "all" {
			peers = 2
		}
		if c.Work == "delete" {
			peers *= 2 // padded and sorted
		}
		own := 4 // gradients among those of forward, 8 bits among all
		if c.Head == "all" {
			own = 2
		}
		if len(c.Sides) != own+peers {
			t.Errorf("%s: %d sides, want %d of ours and %d others", name, len(c.Sides), own, peers)
		}
		if want := own * peers; c.Work != "forward" && len(c.Ratios) != want {
			t.Errorf("%s: %d ratios, want %d", name, len(c.Ratios), want)
		}
		if want := own - 1 + peers; len(c.Logits) != want {
			t.Errorf("%s: logits of %d sides were compared, want %d", name, len(c.Logits), want)
		}
		for _, s := range c.Sides {
			if s.Median <= 0 || s.Fastest <= 0 || (s.GFLOPS <= 0) != (s.Name == gradients) || len(s.Turns) != 2 {
				t.Errorf("%s: %+v", name, s)
			}
		}
		for _, l := range c.Logits {
			if !l.Float32 && l.Difference > c.Largest {
				t.Errorf("%s: %s is %v away where the largest logit is %v", name, l.Side, l.Difference, c.Largest)
			}
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
	for _, want := range []string{"### bert-tiny, forward (classifier)", "| 3 × 20 | 2 |", "### gpt2-tiny, replace (last)", "| ort int8 cut sorted |"} {
		if !strings.Contains(tables.String(), want) {
			t.Errorf("the tables have no %q", want)
		}
	}
}
