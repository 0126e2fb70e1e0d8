package arch

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine/checkpoint"
)

func TestLookup(t *testing.T) {
	saved := registry
	defer func() { registry = saved }()
	registry = map[string]Open{}
	mine := errors.New("mine")
	for _, name := range []string{"gpt2", "bert", "albert"} {
		Register(name, func(*checkpoint.Config) (*Architecture, error) { return nil, mine })
	}
	if !slices.Equal(Known(), []string{"albert", "bert", "gpt2"}) {
		t.Errorf("Known() = %v", Known())
	}
	open, err := Lookup("bert")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(nil); err != mine {
		t.Errorf("Lookup found something else: %v", err)
	}
	for name, order := range map[string]string{"gpt-2": "gpt2, albert, bert", "berd": "bert, albert, gpt2", "xyz": "albert, bert, gpt2"} {
		_, err := Lookup(name)
		var unsupported *checkpoint.UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), order) {
			t.Errorf("Lookup(%q): %v, want %s", name, err, order)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a second registration did not panic")
		}
	}()
	Register("bert", open)
}

// TestBuilderPanics holds that a graph whose widths or rows do not fit is a
// programmer's error.
func TestBuilderPanics(t *testing.T) {
	for name, build := range map[string]func(b *Builder, x Value){
		"sum of two widths":    func(b *Builder, x Value) { b.Add(x, b.Linear(x, "up", 8)) },
		"sum of two row sets":  func(b *Builder, x Value) { b.Add(x, b.Select(x, Reads)) },
		"product of two":       func(b *Builder, x Value) { b.Mul(x, b.Linear(x, "up", 8)) },
		"layer of other width": func(b *Builder, x Value) { b.Project(x, Dense("down", 4, 8)) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			b := NewBuilder(map[string]int{"D": 4})
			build(b, b.Words(Weight{Name: "words", Shape: []int{9, 4}}))
		})
	}
}

// TestDims holds how a stored shape is read as a matrix.
func TestDims(t *testing.T) {
	for _, c := range []struct {
		weight  Weight
		out, in int
	}{
		{Weight{Shape: []int{8, 4}}, 8, 4},
		{Weight{Shape: []int{8, 2, 3}}, 8, 6},
		{Weight{Shape: []int{8, 2, 3}, Transposed: true}, 6, 8},
		{Conv1D("qkv", 4, 12, 8, 12).W, 4, 4},
		{Dense("up", 8, 4).W, 8, 4},
	} {
		if out, in := c.weight.Dims(); out != c.out || in != c.in {
			t.Errorf("%+v is [%d, %d], want [%d, %d]", c.weight, out, in, c.out, c.in)
		}
	}
}
