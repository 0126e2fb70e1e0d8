package engine_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// shape is the size of a model made up for a test.
type shape struct {
	vocabulary, positions, hidden, layers, heads, intermediate, classes int
}

// odd fits no vector width, and has positions enough for a sequence whose
// attention is computed in more than one block of queries.
var odd = shape{vocabulary: 101, positions: 200, hidden: 44, layers: 3, heads: 4, intermediate: 75, classes: 3}

// config returns the configuration of a BERT classifier of that shape.
func (s shape) config() map[string]any {
	labels := map[string]string{}
	for i := range s.classes {
		labels[strconv.Itoa(i)] = "class " + strconv.Itoa(i)
	}
	return map[string]any{
		"model_type": "bert", "architectures": []string{"BertForSequenceClassification"},
		"vocab_size": s.vocabulary, "max_position_embeddings": s.positions, "hidden_size": s.hidden,
		"num_hidden_layers": s.layers, "num_attention_heads": s.heads, "intermediate_size": s.intermediate,
		"type_vocab_size": 2, "id2label": labels,
	}
}

// tensors returns random weights of that shape. Tensors of the same shape
// share their values where shared is true, which saves memory.
func (s shape) tensors(shared bool) []safetensors.Tensor {
	random := rand.New(rand.NewPCG(1, 2))
	made := map[[2]int][]float32{}
	var tensors []safetensors.Tensor
	add := func(name string, offset, scale float32, dims ...int) {
		key := [2]int{dims[0], dims[len(dims)-1] * len(dims)}
		data := made[key]
		if data == nil || !shared {
			n := 1
			for _, dim := range dims {
				n *= dim
			}
			data = make([]float32, n)
			for i := range data {
				data[i] = offset + scale*float32(random.NormFloat64())
			}
			made[key] = data
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, Shape: dims, Data: data})
	}
	linear := func(name string, out, in int) {
		add(name+".weight", 0, 0.15, out, in)
		add(name+".bias", 0, 0.1, out)
	}
	norm := func(name string) {
		add(name+".weight", 1, 0.1, s.hidden)
		add(name+".bias", 0, 0.1, s.hidden)
	}
	add("bert.embeddings.word_embeddings.weight", 0, 1, s.vocabulary, s.hidden)
	add("bert.embeddings.position_embeddings.weight", 0, 0.5, s.positions, s.hidden)
	add("bert.embeddings.token_type_embeddings.weight", 0, 0.5, 2, s.hidden)
	norm("bert.embeddings.LayerNorm")
	for i := range s.layers {
		p := "bert.encoder.layer." + strconv.Itoa(i) + "."
		for _, name := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"} {
			linear(p+name, s.hidden, s.hidden)
		}
		norm(p + "attention.output.LayerNorm")
		linear(p+"intermediate.dense", s.intermediate, s.hidden)
		linear(p+"output.dense", s.hidden, s.intermediate)
		norm(p + "output.LayerNorm")
	}
	linear("bert.pooler.dense", s.hidden, s.hidden)
	linear("classifier", s.classes, s.hidden)
	return tensors
}

// model returns the folder of a random model.
func (s shape) model(t testing.TB) fstest.MapFS {
	t.Helper()
	return folder(t, s.config(), s.tensors(false))
}

func folder(t testing.TB, config map[string]any, tensors []safetensors.Tensor) fstest.MapFS {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var weights bytes.Buffer
	if err := safetensors.Write(&weights, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"config.json": {Data: text}, "model.safetensors": {Data: weights.Bytes()}}
}

// onDisk writes a random model to a temporary folder.
func (s shape) onDisk(t testing.TB) fs.FS {
	t.Helper()
	dir := t.TempDir()
	text, err := json.Marshal(s.config())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := safetensors.Write(f, s.tensors(true), nil); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(dir)
}

func open(t testing.TB, fsys fs.FS, opts ...engine.Option) *engine.Model {
	t.Helper()
	m, err := engine.Open(t.Context(), fsys, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// randomInput returns sequences of the given lengths with every field set.
func randomInput(info engine.Info, seed uint64, lengths ...int) engine.Input {
	random := rand.New(rand.NewPCG(seed, 0))
	in := engine.Input{Lengths: lengths}
	for _, n := range lengths {
		for i := range n {
			in.IDs = append(in.IDs, int32(random.IntN(info.Vocabulary+2)-2))
			in.TypeIDs = append(in.TypeIDs, int32(random.IntN(2)))
			in.PositionIDs = append(in.PositionIDs, int32(random.IntN(info.Positions)))
			mask := uint8(1)
			if i > 0 && random.IntN(4) == 0 {
				mask = 0
			}
			in.Mask = append(in.Mask, mask)
		}
	}
	return in
}

// sequence returns sequence i of an input alone.
func sequence(in engine.Input, i int) engine.Input {
	lo := 0
	for _, n := range in.Lengths[:i] {
		lo += n
	}
	hi := lo + in.Lengths[i]
	return engine.Input{
		Lengths: in.Lengths[i : i+1], IDs: in.IDs[lo:hi], TypeIDs: in.TypeIDs[lo:hi],
		PositionIDs: in.PositionIDs[lo:hi], Mask: in.Mask[lo:hi],
	}
}
