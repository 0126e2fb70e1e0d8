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
