package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/process"
)

func TestMain(m *testing.M) {
	process.WorkerMain()
	os.Exit(m.Run())
}

// TestRun measures a small model, for what the report says, not for how long it
// takes.
func TestRun(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"-layers", "1", "-samples", "10", "-rounds", "2"}, &out, &log); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Tokens != 34 || r.Evaluations != 11 || r.Fuel == 0 {
		t.Errorf("%d tokens, %d evaluations, %d of fuel", r.Tokens, r.Evaluations, r.Fuel)
	}
	var runtimes []string
	for _, s := range r.Sides {
		runtimes = append(runtimes, s.Runtime)
		if len(s.Totals) != 2 || s.Forward <= 0 || s.Method <= 0 || s.Total < s.Forward+s.Method || s.Ratio <= 0 {
			t.Errorf("%+v", s)
		}
	}
	if want := []string{core.RuntimeNative, core.RuntimeWASM, core.RuntimeProcess}; !slices.Equal(runtimes, want) {
		t.Errorf("%v, not %v", runtimes, want)
	}
	if !strings.Contains(log.String(), "\n| wasm | ") {
		t.Errorf("no table in\n%s", log.String())
	}
}

func TestRunRefuses(t *testing.T) {
	if err := run(t.Context(), []string{"-rounds", "0"}, io.Discard, io.Discard); err == nil || err.Error() != "0 rounds are none" {
		t.Errorf("got %v", err)
	}
}
