package torch

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/checkpoint/stored"
)

func open(b []byte) (*File, error) { return Open(bytes.NewReader(b), int64(len(b))) }

// fixture returns a file that PyTorch wrote (testdata/make.py).
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openFixture(t testing.TB, name string) *File {
	t.Helper()
	f, err := open(fixture(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

// TestKinds reads every number format and every kind of view, in both
// containers and with two protocols of pickles.
func TestKinds(t *testing.T) {
	grid := make([]float64, 24)
	transposed := make([]float64, 24)
	permuted := make([]float64, 24)
	for i := range 24 {
		grid[i] = float64(i) / 4
		transposed[i%6*4+i/6] = grid[i]
		permuted[i%4*6+i/4] = float64(i)
	}
	shapes := map[string][]int{
		"f32": {4, 6}, "f64": {2}, "f16": {4}, "bf16": {2}, "i64": {2}, "i32": {1}, "i16": {1}, "i8": {2}, "u8": {1}, "bool": {2}, "c64": {1},
		"scalar": {}, "empty": {0, 3}, "transposed": {6, 4}, "every_second": {2, 3}, "permuted": {4, 2, 3},
		"tied": {2, 2}, "tied_again": {2, 2}, "tied_row": {2}, "parameter": {1}, "expanded": {3},
	}
	floats := map[string][]float64{
		"f32": grid, "f64": {0.1, -1e300}, "f16": {1, -2, 65504, 0x1p-24}, "bf16": {1, -3.140625},
		"scalar": {7.5}, "empty": {}, "transposed": transposed, "every_second": {1.5, 2, 2.5, 3, 3.5, 4}, "permuted": permuted,
		"tied": {1, 2, 3, 4}, "tied_again": {1, 2, 3, 4}, "tied_row": {3, 4}, "parameter": {9},
	}
	ints := map[string][]int64{"i64": {-1, 1 << 40}, "i32": {-2}, "i16": {-3}, "i8": {-4, 5}, "u8": {200}, "bool": {1, 0}}
	for _, file := range []string{"kinds-zip.bin", "kinds-legacy.bin", "protocol4-zip.bin", "protocol4-legacy.bin"} {
		t.Run(file, func(t *testing.T) {
			f := openFixture(t, file)
			if n := len(f.Names()); n != len(shapes) {
				t.Errorf("%d tensors, want %d: %v", n, len(shapes), f.Names())
			}
			for _, name := range f.Names() {
				info, ok := f.Tensor(name)
				if !ok || info.Name != name || !cmp.Equal(info.Shape, shapes[name]) {
					t.Errorf("%s: %v, %v, want shape %v", name, info, ok, shapes[name])
				}
				dtype := name
				if floats[name] != nil && len(name) != 3 && name != "bf16" || name == "expanded" {
					dtype = "f32"
				}
				if want := stored.DType(strings.ToUpper(dtype)); info.DType != want {
					t.Errorf("%s has format %s, want %s", name, info.DType, want)
				}
				var unsupported *UnsupportedError
				if got, err := f.ReadF64(name); floats[name] == nil {
					if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "supported: save ") {
						t.Errorf("%s as floats: %v, want an UnsupportedError", name, err)
					}
				} else if err != nil || !cmp.Equal(got, floats[name]) {
					t.Errorf("%s = %v, %v, want %v", name, got, err, floats[name])
				}
				if got, err := f.ReadI64(name); ints[name] == nil {
					if !errors.As(err, &unsupported) {
						t.Errorf("%s as integers: %v, want an UnsupportedError", name, err)
					}
				} else if err != nil || !cmp.Equal(got, ints[name]) {
					t.Errorf("%s = %v, %v, want %v", name, got, err, ints[name])
				}
			}
			if got, err := f.ReadF32("f32"); err != nil || len(got) != 24 || got[23] != 5.75 {
				t.Errorf("as float32: %v, %v", got, err)
			}
			if got, err := f.ReadBits("bf16"); err != nil || !cmp.Equal(got, []uint16{0x3f80, 0xc049}) {
				t.Errorf("bits of bf16: %#x, %v", got, err)
			}
			if _, err := f.ReadF32("none"); !errors.Is(err, ErrNotFound) {
				t.Errorf("no tensor: %v", err)
			}
		})
	}
}

// TestTrained finds the state dict among the other things that a training loop
// saves, past the module's "_metadata".
func TestTrained(t *testing.T) {
	for _, file := range []string{"trained-zip.bin", "trained-legacy.bin"} {
		f := openFixture(t, file)
		if want := []string{"position_ids", "dense.weight", "dense.bias", "norm.weight", "norm.bias"}; !cmp.Equal(f.Names(), want) {
			t.Errorf("%s: tensors %v, want %v", file, f.Names(), want)
		}
		if got, err := f.ReadF32("dense.weight"); err != nil || !cmp.Equal(got, []float32{0, 0.5, 1, 1.5, 2, 2.5}) {
			t.Errorf("%s: %v, %v", file, got, err)
		}
	}
}

// TestRealRefused opens files of PyTorch that hold something else than a state
// dict.
func TestRealRefused(t *testing.T) {
	var refused *RefusedError
	if _, err := open(fixture(t, "module.bin")); !errors.As(err, &refused) || refused.Name != "__main__.Model" || refused.Op != "GLOBAL" {
		t.Errorf("a pickled module: %v", err)
	}
	if _, err := open(fixture(t, "sparse.bin")); !errors.As(err, &refused) || refused.Name != "torch._utils._rebuild_sparse_tensor" {
		t.Errorf("a sparse tensor: %v", err)
	}
	var unsupported *UnsupportedError
	for name, says := range map[string]string{"tensor.bin": "a tensor instead", "script.bin": "TorchScript"} {
		if _, err := open(fixture(t, name)); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestToyEncoder opens a model that somebody else trained and saved on a GPU.
func TestToyEncoder(t *testing.T) {
	path := filepath.FromSlash("../../../../shared/assets/models/toy-sentiment-encoder/transformer_model.pth")
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		t.Skip("assets with real models are absent")
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	values := 0
	for _, name := range f.Names() {
		info, _ := f.Tensor(name)
		got, err := f.ReadF32(name)
		if err != nil || len(got) != info.Elements() {
			t.Errorf("%s: %d values of %v, %v", name, len(got), info, err)
		}
		for _, v := range got {
			if v != v || v > 100 || v < -100 {
				t.Fatalf("%s holds %v", name, v)
			}
		}
		values += len(got)
	}
	if info, _ := f.Tensor("encoder.layers.0.self_attn.W_q.weight"); !cmp.Equal(info.Shape, []int{64, 64}) || info.DType != stored.F32 {
		t.Errorf("W_q is %v", info)
	}
	if len(f.Names()) != 36 || values < 100_000 {
		t.Errorf("%d tensors of %d values", len(f.Names()), values)
	}
}
