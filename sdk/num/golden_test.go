package num_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden is a case that the reference implementation of LIME computed.
type golden struct {
	Config struct {
		NumFeatures int    `json:"num_features"`
		RandomState uint64 `json:"random_state"`
		Labels      []int
		Modes       []string
	}
	Outputs map[string]struct {
		Key   string
		Shape []int
		Atol  float64 `json:"f64_atol"`
	}
	arrays map[string][]byte
}

// goldens calls test with every LIME case.
func goldens(t *testing.T, test func(t *testing.T, g *golden)) {
	paths, err := filepath.Glob("../../testdata/conformance/cases/lime_*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases in testdata/conformance/cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			g := new(golden)
			description := read(t, path)
			if err := json.Unmarshal(description, g); err != nil {
				t.Fatal(err)
			}
			g.arrays = safetensors(t, read(t, strings.TrimSuffix(path, "json")+"safetensors"))
			test(t, g)
		})
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// safetensors returns the raw arrays of a trusted file.
func safetensors(t *testing.T, file []byte) map[string][]byte {
	t.Helper()
	n := binary.LittleEndian.Uint64(file)
	header := map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}{}
	if err := json.Unmarshal(file[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	arrays := map[string][]byte{}
	for name, a := range header {
		arrays[name] = file[8+n:][a.Offsets[0]:a.Offsets[1]]
	}
	return arrays
}

// floats returns an output in float64, its shape and its tolerance.
func (g *golden) floats(t *testing.T, name string) (v []float64, shape []int, atol float64) {
	t.Helper()
	o, ok := g.Outputs[name]
	if !ok {
		t.Fatalf("the case has no output %s", name)
	}
	raw := g.arrays[o.Key]
	v = make([]float64, len(raw)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
	}
	return v, o.Shape, o.Atol
}

// ints returns an output in int64 or uint8.
func (g *golden) ints(t *testing.T, name string) []int {
	t.Helper()
	o, ok := g.Outputs[name]
	if !ok {
		t.Fatalf("the case has no output %s", name)
	}
	count := 1
	for _, d := range o.Shape {
		count *= d
	}
	raw := g.arrays[o.Key]
	v := make([]int, count)
	for i := range v {
		switch len(raw) {
		case count:
			v[i] = int(raw[i])
		case 8 * count:
			v[i] = int(binary.LittleEndian.Uint64(raw[8*i:]))
		default:
			t.Fatalf("%s has %d bytes for %d elements", name, len(raw), count)
		}
	}
	return v
}

// near fails where got and want differ by more than atol anywhere.
func near(t *testing.T, what string, got, want []float64, atol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= atol) {
			t.Errorf("%s[%d] = %v, want %v within %g", what, i, got[i], want[i], atol)
		}
	}
}
