package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/internal/golden"
)

func TestOpen(t *testing.T) {
	fsys := odd.model(t)
	m := open(t, fsys, engine.WithThreads(3))
	parameters := int64(0)
	for _, tensor := range odd.tensors(true) {
		parameters += int64(len(tensor.Data.([]float32)))
	}
	want := engine.Info{
		ModelType: "bert", Architecture: "BertForSequenceClassification", Task: "sequence-classification",
		Labels: []string{"class 0", "class 1", "class 2"}, Layers: 3, Heads: 4, Hidden: 44, Embedding: 44,
		Vocabulary: 101, Types: 2, Positions: 200, Length: 200, Outputs: 3, Parameters: parameters, DType: engine.F32,
	}
	if diff := cmp.Diff(want, m.Info()); diff != "" {
		t.Error(diff)
	}
	if m.Threads() != 3 {
		t.Errorf("%d threads", m.Threads())
	}
	if problem, err := m.Config().ProblemType(); err != nil || problem != checkpoint.SingleLabel {
		t.Errorf("problem type %q, %v", problem, err)
	}
	lines := fmt.Sprintf("%x  config.json\n%x  model.safetensors\n", sha256.Sum256(fsys["config.json"].Data), sha256.Sum256(fsys["model.safetensors"].Data))
	sum := sha256.Sum256([]byte(lines))
	for range 2 {
		if digest, err := m.Digest(t.Context()); err != nil || digest != hex.EncodeToString(sum[:]) {
			t.Errorf("digest %s, %v", digest, err)
		}
	}
	if double := open(t, fsys, engine.WithDType(engine.F64)); double.Kernel() != "generic" || double.Info().DType != engine.F64 {
		t.Errorf("float64 runs on %s as %s", double.Kernel(), double.Info().DType)
	}
	distil := open(t, golden.ModelFS(t, "distilbert-seqcls")).Info()
	if distil.ModelType != "distilbert" || distil.Types != 0 || !slices.Equal(distil.Labels, []string{"LABEL_0", "LABEL_1"}) {
		t.Errorf("%+v", distil)
	}
}

// TestDigestWaits: whoever waits for the weights to be hashed stops waiting when
// cancelled, and who hashes them goes on.
func TestDigestWaits(t *testing.T) {
	fsys := gate{odd.model(t), make(chan struct{}, 1), make(chan struct{})}
	m := open(t, fsys)
	fsys.closed <- struct{}{}
	first := make(chan error)
	go func() {
		_, err := m.Digest(t.Context())
		first <- err
	}()
	fsys.pass <- struct{}{} // it is inside
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error)
	go func() {
		_, err := m.Digest(ctx)
		second <- err
	}()
	cancel()
	select {
	case err := <-second:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who waits is cancelled: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a caller who waits is not cancelled")
	}
	fsys.pass <- struct{}{}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// gate is a folder that, once closed, opens the next file in two steps.
type gate struct {
	fstest.MapFS
	closed, pass chan struct{}
}

func (g gate) Open(name string) (fs.File, error) {
	select {
	case <-g.closed:
		<-g.pass
		<-g.pass
	default:
	}
	return g.MapFS.Open(name)
}

// TestParameters: a tensor of which several layers take a part, or that two of
// them share, counts once.
func TestParameters(t *testing.T) {
	for _, model := range []string{"gpt2-lm", "bert-mlm", "xlnet-lm"} {
		fsys := golden.ModelFS(t, model)
		text, err := fs.ReadFile(fsys, checkpoint.WeightsFile)
		if err != nil {
			t.Fatal(err)
		}
		file, err := safetensors.Open(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		for _, name := range file.Names() {
			info, _ := file.Tensor(name)
			want += int64(info.Elements())
		}
		if got := open(t, fsys).Info().Parameters; got != want {
			t.Errorf("%s has %d parameters, want %d", model, got, want)
		}
	}
}

// TestOpenNames: legacy names and a file without the base prefix make the same
// model.
func TestOpenNames(t *testing.T) {
	in := engine.Input{IDs: []int32{1, 2, 3}}
	want := forward(t, open(t, odd.model(t)), in).Logits.Float64()
	legacy := odd.tensors(false)
	for i := range legacy {
		legacy[i].Name = strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(legacy[i].Name)
	}
	bare := odd.tensors(false)
	for i := range bare {
		bare[i].Name = strings.TrimPrefix(bare[i].Name, "bert.")
	}
	bare = append(bare, safetensors.Tensor{Name: "embeddings.position_ids", Shape: []int{1, 2}, Data: []int64{0, 1}})
	for name, tensors := range map[string][]safetensors.Tensor{"legacy": legacy, "without prefix": bare} {
		if got := forward(t, open(t, folder(t, odd.config(), tensors)), in).Logits.Float64(); !slices.Equal(got, want) {
			t.Errorf("%s: logits %v, want %v", name, got, want)
		}
	}
}

func TestOpenActivations(t *testing.T) {
	var seen [][]float64
	for _, names := range [][]string{
		{"gelu", "gelu_python"}, {"gelu_new", "gelu_fast", "gelu_pytorch_tanh"}, {"quick_gelu"}, {"silu", "swish"},
		{"relu"}, {"tanh"}, {"sigmoid"}, {"mish"}, {"linear"},
	} {
		var first []float64
		for i, name := range names {
			config := odd.config()
			config["hidden_act"] = name
			logits := forward(t, open(t, folder(t, config, odd.tensors(false))), engine.Input{IDs: []int32{1, 2, 3}}).Logits.Float64()
			if i == 0 {
				first = logits
				if slices.ContainsFunc(seen, func(other []float64) bool { return slices.Equal(other, logits) }) {
					t.Errorf("%s computes what another activation does", name)
				}
				seen = append(seen, logits)
			} else if !slices.Equal(logits, first) {
				t.Errorf("%s gives %v, %s %v", name, logits, names[0], first)
			}
		}
	}
}

func TestOpenErrors(t *testing.T) {
	valid := odd.model(t)
	with := func(key string, value any) fs.FS {
		config := odd.config()
		if value == nil {
			delete(config, key)
		} else {
			config[key] = value
		}
		return folder(t, config, odd.tensors(true))
	}
	without := func(name string) fs.FS {
		return folder(t, odd.config(), slices.DeleteFunc(odd.tensors(true), func(t safetensors.Tensor) bool { return t.Name == name }))
	}
	cut := maps.Clone(valid)
	cut["model.safetensors"] = &fstest.MapFile{Data: valid["model.safetensors"].Data[:30000]}

	tests := map[string]struct {
		fsys fs.FS
		want any    // pointer to the type of error
		says string // separated by |
	}{
		"no folder":              {fstest.MapFS{}, new(*checkpoint.MissingError), "config.json"},
		"unknown family":         {with("model_type", "berd"), new(*checkpoint.UnsupportedError), `"berd"|known are bert, `},
		"other unknown family":   {with("model_type", "distill-bert"), new(*checkpoint.UnsupportedError), "known are distilbert, bert, "},
		"no family":              {with("model_type", nil), new(*checkpoint.ConfigError), "model_type"},
		"no architecture":        {with("architectures", nil), new(*checkpoint.ConfigError), "architectures"},
		"another head":           {with("architectures", []string{"BertForMultipleChoice"}), new(*checkpoint.UnsupportedError), "BertForMultipleChoice|BertForSequenceClassification"},
		"relative positions":     {with("position_embedding_type", "relative_key"), new(*checkpoint.UnsupportedError), "relative_key"},
		"decoder":                {with("is_decoder", true), new(*checkpoint.UnsupportedError), "is_decoder"},
		"unknown activation":     {with("hidden_act", "gelu_3"), new(*checkpoint.UnsupportedError), `hidden_act "gelu_3"|quick_gelu`},
		"heads do not divide":    {with("num_attention_heads", 5), new(*checkpoint.ConfigError), "num_attention_heads|44"},
		"no heads":               {with("num_attention_heads", 0), new(*checkpoint.ConfigError), "num_attention_heads"},
		"hidden size of text":    {with("hidden_size", "44"), new(*checkpoint.ConfigError), "hidden_size"},
		"negative layers":        {with("num_hidden_layers", -1), new(*checkpoint.ConfigError), "num_hidden_layers"},
		"eps of infinity":        {with("layer_norm_eps", 1e300), new(*checkpoint.ConfigError), "layer_norm_eps"},
		"labels with a hole":     {with("id2label", map[string]string{"0": "a", "2": "b"}), new(*checkpoint.ConfigError), "id2label"},
		"more layers than there": {with("num_hidden_layers", 4), new(*checkpoint.TensorError), "bert.encoder.layer.3.attention.self.query.weight|[44 44]|model.safetensors"},
		"more labels than rows":  {with("id2label", map[string]string{"0": "a", "1": "b"}), new(*checkpoint.TensorError), "classifier.weight|[3 44]|[2 44]"},
		"another width":          {with("hidden_size", 48), new(*checkpoint.TensorError), "[101 44]|[101 48]"},
		"a tensor is missing":    {without("bert.pooler.dense.bias"), new(*checkpoint.TensorError), "bert.pooler.dense.bias|[44]"},
		"cut short":              {cut, new(*safetensors.FormatError), "cut short"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := engine.Open(t.Context(), test.fsys)
			if err == nil || !errors.As(err, test.want) {
				t.Fatalf("error %v, want a %T", err, test.want)
			}
			for _, part := range strings.Split(test.says, "|") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
	for name, option := range map[string]engine.Option{
		"dtype": engine.WithDType("int4"), "threads": engine.WithThreads(-1), "memory": engine.WithMemory(-1),
	} {
		var wrong *engine.OptionError
		if _, err := engine.Open(t.Context(), valid, option); !errors.As(err, &wrong) || wrong.Option != name {
			t.Errorf("a wrong %s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Open(ctx, valid); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

// FuzzOpen opens damaged models and runs those that open all the same. Neither
// may panic, nor take more memory than its budget and a few times the files.
func FuzzOpen(f *testing.F) {
	tiny := shape{vocabulary: 5, positions: 4, hidden: 4, layers: 1, heads: 2, intermediate: 3, classes: 2}
	fsys := tiny.model(f)
	config, weights := fsys["config.json"].Data, fsys["model.safetensors"].Data
	f.Add(config, weights)
	f.Add(config, weights[:len(weights)-5])
	f.Add(bytes.Replace(config, []byte(`"num_hidden_layers":1`), []byte(`"num_hidden_layers":4096`), 1), weights)
	f.Add(bytes.Replace(config, []byte(`"hidden_size":4`), []byte(`"hidden_size":1048576`), 1), weights)
	f.Add(bytes.Replace(config, []byte(`"vocab_size":5`), []byte(`"vocab_size":60000000`), 1), weights)
	f.Add(config, bytes.Replace(weights, []byte(`"F32"`), []byte(`"F16"`), 1))
	f.Add([]byte(`{"model_type":"distilbert","architectures":["DistilBertForSequenceClassification"]}`), weights)
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		const budget = 16 << 20
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := engine.Open(t.Context(), fstest.MapFS{"config.json": {Data: config}, "model.safetensors": {Data: weights}},
			engine.WithThreads(1), engine.WithMemory(budget))
		if err == nil {
			defer m.Close()
			_, err = m.Forward(t.Context(), engine.Input{IDs: []int32{0, 0}, Lengths: []int{1, 1}})
			var refused *engine.MemoryError
			if err != nil && !errors.As(err, &refused) {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if took, limit := after.TotalAlloc-before.TotalAlloc, uint64(budget+100*(len(config)+len(weights))); took > limit {
			t.Fatalf("%d bytes were allocated for files of %d bytes, on a budget of %d", took, len(config)+len(weights), budget)
		}
	})
}

// TestDescribe holds what a configuration alone says to what the opened model
// does, and that it reads nothing else.
func TestDescribe(t *testing.T) {
	for _, name := range []string{"bert-qa", "gpt2-lm", "xlnet-lm"} {
		fsys := golden.ModelFS(t, name)
		text, err := fs.ReadFile(fsys, checkpoint.ConfigFile)
		if err != nil {
			t.Fatal(err)
		}
		a, err := engine.Describe(fstest.MapFS{checkpoint.ConfigFile: {Data: text}})
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, fsys)
		want := m.Info()
		want.Parameters = 0
		if diff := cmp.Diff(want, a.Info); diff != "" {
			t.Errorf("%s (-opened +described):\n%s", name, diff)
		}
		if diff := cmp.Diff(m.Graph(engine.Input{}).Points, a.Graph(arch.Form{}).Points); diff != "" {
			t.Errorf("%s: points (-opened +described):\n%s", name, diff)
		}
	}
	if _, err := engine.Describe(fstest.MapFS{}); err == nil {
		t.Error("a folder without a configuration is described")
	}
}
