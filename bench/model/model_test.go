package model

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/internal/virtual"
)

// TestOperations counts a small model by hand: hidden 2, feed-forward 3, two
// layers, sequences of 1 and 3 tokens.
func TestOperations(t *testing.T) {
	bert := virtual.Shape{Type: virtual.BERT, Layers: 2, Hidden: 2, Intermediate: 3, Labels: 5}
	gpt2 := virtual.Shape{Type: virtual.GPT2, Layers: 2, Hidden: 2, Intermediate: 3, Vocabulary: 7}
	// Of a token: queries, keys, values and output 4·2·2·2 = 32, feed-forward
	// 2·2·2·3 = 24; and against each token 2·2·2 = 8.
	const one, three = 32 + 24 + 8, 3 * (32 + 24 + 3*8)
	// Cut: keys and values 16 a token, the rest of one token.
	const cutOne, cutThree = one, 3*16 + 16 + 24 + 3*8
	for _, c := range []struct {
		shape virtual.Shape
		head  Head
		cut   bool
		want  float64
	}{
		{bert, Classifier, false, 2*(one+three) + 2*(2*2*2+2*2*5)},
		{bert, Classifier, true, one + three + cutOne + cutThree + 2*(2*2*2+2*2*5)},
		{gpt2, All, false, 2*(one+three) + 4*(2*2*7)},
		{gpt2, Last, false, 2*(one+three) + 2*(2*2*7)},
		{gpt2, Last, true, one + three + cutOne + cutThree + 2*(2*2*7)},
	} {
		if got := Operations(c.shape, c.head, c.cut, 1, 3); got != c.want {
			t.Errorf("%s, %s, cut %v: %v, want %v", c.shape.Type, c.head, c.cut, got, c.want)
		}
	}
}

// TestWrite holds that a seed gives the same files, another seed others, and
// that graphs share their weights.
func TestWrite(t *testing.T) {
	for _, c := range []struct {
		name   string
		graphs []Graph
	}{
		{"bert-tiny", []Graph{{Head: Classifier}, {Head: Classifier, Cut: true}, {Head: Classifier, Padded: true, Int8: true}, {Head: Classifier, Cut: true, Padded: true, Int8: true}}},
		{"gpt2-tiny", []Graph{{Head: All}, {Head: All, Int8: true}, {Head: Last}, {Head: Last, Cut: true, Padded: true}}},
	} {
		shape, err := virtual.Named(c.name)
		if err != nil {
			t.Fatal(err)
		}
		files := func(seed uint64, graphs ...Graph) map[string][]byte {
			dir := t.TempDir()
			if err := Write(shape, dir, seed, graphs); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string][]byte{}
			for _, e := range entries {
				if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
					t.Fatal(err)
				}
			}
			return out
		}
		once, again, other := files(1, c.graphs...), files(1, c.graphs...), files(2, c.graphs...)
		if len(once) != 3+len(c.graphs) {
			t.Errorf("%s: %d files for %d graphs", c.name, len(once), len(c.graphs))
		}
		for name, data := range once {
			if !bytes.Equal(data, again[name]) {
				t.Errorf("%s: %s differs from run to run", c.name, name)
			}
		}
		for _, name := range []string{weightsFile, "model.safetensors"} {
			if bytes.Equal(once[name], other[name]) {
				t.Errorf("%s: %s does not depend on the seed", c.name, name)
			}
		}
		plain := files(1, c.graphs[0])
		if !bytes.HasPrefix(once[weightsFile], plain[weightsFile]) {
			t.Errorf("%s: weights of the first graph do not come first", c.name)
		}
		if extra := len(once[weightsFile]) - len(plain[weightsFile]); extra >= 2*len(plain[weightsFile]) {
			t.Errorf("%s: three more graphs need %d bytes more than %d", c.name, extra, len(plain[weightsFile]))
		}
	}
}

// TestLinear holds the layers that graphs get to the checkpoint's: BERT's
// matrices are transposed, GPT-2's are not, and several stand side by side.
func TestLinear(t *testing.T) {
	tensors := map[string]tensor{
		"a.weight": {shape: []int{2, 3}, values: []float32{1, 2, 3, 4, 5, 6}},
		"a.bias":   {values: []float32{10, 20}},
		"b.weight": {shape: []int{1, 3}, values: []float32{7, 8, 9}},
		"b.bias":   {values: []float32{30}},
	}
	bert := exporter{shape: virtual.Shape{Type: virtual.BERT}, tensors: tensors}
	both := linear{3, 3, []float32{1, 4, 7, 2, 5, 8, 3, 6, 9}, []float32{10, 20, 30}}
	equal(t, "side by side", bert.linear("a", "b"), both)
	equal(t, "columns", bert.linear("a", "b").columns(1, 3), linear{3, 2, []float32{4, 7, 5, 8, 6, 9}, []float32{20, 30}})
	gpt2 := exporter{shape: virtual.Shape{Type: virtual.GPT2}, tensors: tensors}
	equal(t, "as it is", gpt2.linear("a"), linear{2, 3, []float32{1, 2, 3, 4, 5, 6}, []float32{10, 20}})
}

// TestQuantized holds 8 bits to half a step of the values, ties to even.
func TestQuantized(t *testing.T) {
	q, scale := quantized([]float32{-254, 1, 3, 100, 253, 0})
	equal(t, "values", q, []int8{-127, 0, 2, 50, 126, 0})
	if math.Abs(float64(scale)-2) > 1e-6 {
		t.Errorf("scale %v, want 2", scale)
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(linear{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
