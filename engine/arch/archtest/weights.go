package archtest

import (
	"bytes"
	"io/fs"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// Weights tests that every weight of the graphs of a model is in its
// checkpoint with that shape, and every tensor of the checkpoint but the unread
// in a graph.
func Weights(t *testing.T, folder fs.FS, unread ...string) {
	t.Helper()
	config, err := fs.ReadFile(folder, checkpoint.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Parse(config)
	if err != nil {
		t.Fatal(err)
	}
	stored, used := shapes(t, folder), map[string]bool{}
	for _, form := range a.Info.Forms() {
		g := a.Graph(form)
		Check(t, a, form, g)
		for w := range g.Weights() {
			names := append([]string{w.Name}, w.Or...)
			i := slices.IndexFunc(names, func(name string) bool { return stored[name] != nil })
			if i < 0 {
				if !w.Optional {
					t.Errorf("there is no tensor %s", w.Name)
				}
				continue
			}
			if name := names[i]; !slices.Equal(stored[name], w.Shape) {
				t.Errorf("%s is stored as %v, the graph asks for %v", name, stored[name], w.Shape)
			}
			used[names[i]] = true
		}
	}
	for name := range stored {
		if used[name] == slices.Contains(unread, name) {
			t.Errorf("the tensor %s: used is %v", name, used[name])
		}
	}
}

// shapes returns the shapes of the tensors in a model folder.
func shapes(t *testing.T, folder fs.FS) map[string][]int {
	t.Helper()
	text, err := fs.ReadFile(folder, checkpoint.WeightsFile)
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Open(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string][]int{}
	for _, name := range file.Names() {
		info, _ := file.Tensor(name)
		stored[name] = info.Shape
	}
	return stored
}

// Unembedding tests that the last layer of a language model has the weight
// name, for which those of or stand in; and that the word embeddings are the
// same weight if there are any of these.
func Unembedding(t *testing.T, a *arch.Architecture, name string, or ...string) {
	t.Helper()
	g := a.Graph(arch.Form{})
	logits := g.Nodes[g.Logits]
	if of, ok := logits.Op.(arch.Select); ok {
		logits = g.Nodes[of.X]
	}
	w := logits.Op.(arch.Linear).W
	if w.Name != name || !slices.Equal(w.Or, or) {
		t.Errorf("the unembedding is %s or %v, want %s or %v", w.Name, w.Or, name, or)
	}
	table := g.Nodes[0].Op.(arch.Words).Table
	if tied := table.Name == w.Name && slices.Equal(table.Or, w.Or); tied != (or != nil) {
		t.Errorf("the word embeddings are %s or %v beside %s or %v", table.Name, table.Or, w.Name, w.Or)
	}
}
