// Package golden reads the golden cases under testdata/conformance: inputs and
// expected values that the reference implementations computed, each with the
// tolerance it is to be met at. It is for tests alone.
package golden

import (
	"encoding/json"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// Case is one golden case.
type Case struct {
	Name    string                     `json:"case"`
	Group   string                     `json:"group"`
	Model   string                     `json:"model"` // folder of the model; empty where none is needed
	Method  string                     `json:"method"`
	Source  string                     `json:"source"` // what computed the values
	Config  map[string]json.RawMessage `json:"config"`
	Info    map[string]json.RawMessage `json:"info"` // what else is needed to reproduce them
	Inputs  map[string]Array           `json:"inputs"`
	Outputs map[string]Array           `json:"outputs"`

	arrays *safetensors.File
}

// Array describes an input or an expected output.
type Array struct {
	Key     string  `json:"key"` // name of the stored tensor
	Shape   []int   `json:"shape"`
	MaxAbs  float64 `json:"max_abs"`
	F32Dev  float64 `json:"f32_dev"`  // largest deviation of the reference's own float32 run
	F32Atol float64 `json:"f32_atol"` // absolute tolerance for float32
	F64Atol float64 `json:"f64_atol"` // absolute tolerance for float64
	Exact   bool    `json:"exact"`    // integers that must be equal
}

// Load reads a case by name.
func Load(t testing.TB, name string) *Case {
	t.Helper()
	text, err := os.ReadFile(path(t, "cases", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Case{}
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatalf("case %s: %v", name, err)
	}
	file, err := os.Open(path(t, "cases", name+".safetensors"))
	if os.IsNotExist(err) {
		return c // tokenizer cases have no arrays
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if c.arrays, err = safetensors.Open(file, info.Size()); err != nil {
		t.Fatalf("case %s: %v", name, err)
	}
	return c
}

// ModelFS returns the folder of a model of the golden cases.
func ModelFS(t testing.TB, model string) fs.FS {
	t.Helper()
	return os.DirFS(path(t, "models", model))
}

// Ints returns an input of integers, nil where the case has none of that name.
func (c *Case) Ints(t testing.TB, name string) []int64 {
	t.Helper()
	array, ok := c.Inputs[name]
	if !ok {
		return nil
	}
	values, err := c.arrays.ReadI64(array.Key)
	if err != nil {
		t.Fatalf("case %s: input %s: %v", c.Name, name, err)
	}
	return values
}

// Floats returns an input of floating-point numbers, nil where the case has
// none of that name.
func (c *Case) Floats(t testing.TB, name string) []float64 {
	t.Helper()
	array, ok := c.Inputs[name]
	if !ok {
		return nil
	}
	return c.read(t, array.Key)
}

// Want returns an expected output of floating-point numbers.
func (c *Case) Want(t testing.TB, name string) []float64 {
	t.Helper()
	array, ok := c.Outputs[name]
	if !ok {
		t.Fatalf("case %s has no output %s", c.Name, name)
	}
	return c.read(t, array.Key)
}

// WantInts returns an expected output of integers.
func (c *Case) WantInts(t testing.TB, name string) []int64 {
	t.Helper()
	array, ok := c.Outputs[name]
	if !ok {
		t.Fatalf("case %s has no output %s", c.Name, name)
	}
	values, err := c.arrays.ReadI64(array.Key)
	if err != nil {
		t.Fatalf("case %s: output %s: %v", c.Name, name, err)
	}
	return values
}

// Get decodes an entry of info into v and reports whether there is one.
func (c *Case) Get(t testing.TB, key string, v any) bool {
	t.Helper()
	raw, ok := c.Info[key]
	if !ok {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("case %s: info %s: %v", c.Name, key, err)
	}
	return true
}

func (c *Case) read(t testing.TB, key string) []float64 {
	t.Helper()
	values, err := c.arrays.ReadF64(key)
	if err != nil {
		t.Fatalf("case %s: %v", c.Name, err)
	}
	return values
}

// Close reports an error, not fatal, unless got equals want within tolerance
// everywhere, and returns the largest deviation. Equal NaN and infinities count
// as equal.
func Close(t testing.TB, what string, got, want []float64, tolerance float64) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return math.Inf(1)
	}
	worst, at := 0.0, -1
	for i := range want {
		d := math.Abs(got[i] - want[i])
		if got[i] == want[i] || math.IsNaN(got[i]) && math.IsNaN(want[i]) {
			d = 0
		} else if math.IsNaN(d) {
			d = math.Inf(1)
		}
		if d > worst {
			worst, at = d, i
		}
	}
	if worst > tolerance {
		t.Errorf("%s: value %d is %v, want %v: off by %.3g, tolerance %.3g", what, at, got[at], want[at], worst, tolerance)
	}
	return worst
}

// path returns a path under testdata/conformance at the root of the module.
func path(t testing.TB, elements ...string) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return filepath.Join(append([]string{folder, "testdata", "conformance"}, elements...)...)
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			t.Fatal("no go.mod above the test: the golden cases cannot be found")
		}
		folder = parent
	}
}
