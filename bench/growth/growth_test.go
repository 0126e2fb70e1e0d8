package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun measures two short texts, for what the report says and the plots are,
// not for how long it takes.
func TestRun(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "plots")
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"-model", "bert-tiny", "-what", "length", "-longest", "32", "-rounds", "1", "-plots", folder}, &out, &log); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Lengths) != 2 || r.Lengths[1].Tokens != 32 || r.Lengths[0].Milliseconds <= 0 || r.Lengths[0].Gradient <= 0 {
		t.Errorf("%+v", r)
	}
	// 2 layers · 2 heads · 32² weights of 4 bytes.
	if got := r.Lengths[1].Patterns; got != 2*2*32*32*4 {
		t.Errorf("patterns of %d bytes", got)
	}
	for _, name := range []string{"length.svg", "memory.svg"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(text)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s is no XML: %v", name, err)
			}
		}
		if !strings.Contains(string(text), "NaN") == strings.Contains(string(text), "<path") {
			continue
		}
		t.Errorf("%s: %s", name, text)
	}
	if _, err := os.Stat(filepath.Join(folder, "batch.svg")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a plot of nothing: %v", err)
	}
}

// TestRunRefuses holds what is no measurement to an error that says why.
func TestRunRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-what length,luck":   `nothing is called "luck"`,
		"-rounds 0":           "0 rounds",
		"-longest 15":         "16 to 15 tokens",
		"-model bert-giant":   `no model is named "bert-giant"`,
		"-threads -1 -what x": `nothing is called "x"`,
	} {
		var out, log bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out, &log); err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: %v, %q; want %s", args, err, out.String(), want)
		}
	}
}

// TestRunCutShort: what was measured before something failed is printed.
func TestRunCutShort(t *testing.T) {
	quick := []string{"-model", "bert-tiny", "-longest", "32", "-rounds", "1"}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		stop string // the run is interrupted once the log has that
		want int    // points of Lengths
	}{
		{"interrupted", []string{"-what", "length,large"}, "16 tokens", 1},
		{"later part interrupted", []string{"-what", "length,batch"}, "1 ×   32 tokens", 2},
		{"no folder to plot in", []string{"-what", "length", "-plots", file}, "", 2},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var out bytes.Buffer
		err := run(ctx, append(c.args, quick...), &out, writer(func(p []byte) {
			if c.stop != "" && strings.Contains(string(p), c.stop) {
				cancel()
			}
		}))
		var r Report
		if e := json.Unmarshal(out.Bytes(), &r); err == nil || e != nil || len(r.Lengths) != c.want {
			t.Errorf("%s: %v; %v, %d points, want %d", c.name, err, e, len(r.Lengths), c.want)
		}
	}
}

// writer is a function as an [io.Writer].
type writer func(p []byte)

func (f writer) Write(p []byte) (int, error) { f(p); return len(p), nil }
