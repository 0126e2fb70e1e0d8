package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// weights returns the bytes of a file that holds the given tensors.
func weights(t testing.TB, tensors ...safetensors.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func folder(t testing.TB, config string, tensors ...safetensors.Tensor) fstest.MapFS {
	return fstest.MapFS{
		ConfigFile:  {Data: []byte(config)},
		WeightsFile: {Data: weights(t, tensors...)},
	}
}

func TestLoaderNames(t *testing.T) {
	c, err := Open(folder(t, `{}`,
		safetensors.Tensor{Name: "bert.a.weight", Shape: []int{2}, Data: []float32{1, 2}},
		safetensors.Tensor{Name: "b.weight", Shape: []int{1}, Data: []float32{3}},
		safetensors.Tensor{Name: "c.LayerNorm.gamma", Shape: []int{1}, Data: []float32{4}},
		safetensors.Tensor{Name: "bert.c.LayerNorm.beta", Shape: []int{1}, Data: []float32{5}},
		safetensors.Tensor{Name: "d.gamma", Shape: []int{1}, Data: []float32{6}},
		safetensors.Tensor{Name: "d.weight", Shape: []int{1}, Data: []float32{7}},
		safetensors.Tensor{Name: "bert.embeddings.position_ids", Shape: []int{1}, Data: []int64{0}},
	))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := NewLoader[float32](t.Context(), c, "bert.")
	for _, test := range []struct {
		name string
		want []float32
	}{
		{"bert.a.weight", []float32{1, 2}},
		{"bert.b.weight", []float32{3}},
		{"bert.c.LayerNorm.weight", []float32{4}},
		{"bert.c.LayerNorm.bias", []float32{5}},
		{"d.weight", []float32{7}},
	} {
		if got := l.Tensor(test.name, len(test.want)); !cmp.Equal(got, test.want) {
			t.Errorf("%s = %v, want %v", test.name, got, test.want)
		}
	}
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	if n := l.Parameters(); n != 6 {
		t.Errorf("%d parameters, want 6", n)
	}
	wide := NewLoader[float64](t.Context(), c, "bert.")
	if got := wide.Tensor("bert.a.weight", 2); !cmp.Equal(got, []float64{1, 2}) {
		t.Errorf("as float64 %v: %v", got, wide.Err())
	}
}

func TestLoaderErrors(t *testing.T) {
	c, err := Open(folder(t, `{}`,
		safetensors.Tensor{Name: "w", Shape: []int{2, 3}, Data: make([]float32, 6)},
		safetensors.Tensor{Name: "i", Shape: []int{2}, Data: []int64{1, 2}},
	))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	l := NewLoader[float32](t.Context(), c, "bert.")
	if l.Tensor("w", 3, 2) != nil {
		t.Error("a tensor of the wrong shape")
	}
	want := &TensorError{File: WeightsFile, Name: "w", Want: []int{3, 2}, Got: []int{2, 3}}
	var got *TensorError
	if !errors.As(l.Err(), &got) || !cmp.Equal(got, want) {
		t.Errorf("wrong shape: %v", l.Err())
	}
	for _, part := range []string{"model.safetensors", "w", "[2 3]", "[3 2]"} {
		if !strings.Contains(l.Err().Error(), part) {
			t.Errorf("%q does not name %s", l.Err(), part)
		}
	}
	if l.Tensor("w", 2, 3) != nil {
		t.Error("a loader went on after its first error")
	}

	l = NewLoader[float32](t.Context(), c, "bert.")
	if l.Tensor("none", 1); !errors.As(l.Err(), &got) || got.Name != "none" || got.Got != nil {
		t.Errorf("absent tensor: %v", l.Err())
	}
	l = NewLoader[float32](t.Context(), c, "bert.")
	var unsupported *safetensors.UnsupportedError
	if l.Tensor("i", 2); !errors.As(l.Err(), &unsupported) {
		t.Errorf("integers for weights: %v", l.Err())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l = NewLoader[float32](ctx, c, "")
	if l.Tensor("w", 2, 3); !errors.Is(l.Err(), context.Canceled) {
		t.Errorf("cancelled: %v", l.Err())
	}
}

func TestOpenErrors(t *testing.T) {
	var missing *MissingError
	if _, err := Open(os.DirFS(filepath.Join(t.TempDir(), "none"))); !errors.As(err, &missing) || missing.File != "." || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Open(fstest.MapFS{"vocab.txt": {}}); !errors.As(err, &missing) || missing.File != ConfigFile {
		t.Errorf("no configuration: %v", err)
	}
	if _, err := Open(fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}}); !errors.As(err, &missing) || missing.File != WeightsFile {
		t.Errorf("no weights: %v", err)
	}
	var unsupported *UnsupportedError
	for file, option := range map[string]string{"tf_model.h5": "from_tf", "flax_model.msgpack": "from_flax", "bert_model.ckpt.index": "from_tf"} {
		if _, err := Open(fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, file: {}}); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), option) {
			t.Errorf("weights of another format: %v", err)
		}
	}
	for name, mode := range map[string]fs.FileMode{"a named pipe": fs.ModeNamedPipe, "a device": fs.ModeDevice | fs.ModeCharDevice, "a socket": fs.ModeSocket, "a folder": fs.ModeDir} {
		for _, file := range []string{ConfigFile, WeightsFile, "model.safetensors.index.json", "pytorch_model.bin"} {
			fsys := fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, file: {Mode: mode}}
			if _, err := Open(fsys); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), file+" that is "+name) {
				t.Errorf("%s as %s: %v", file, name, err)
			}
		}
	}
	var config *ConfigError
	for name, text := range map[string]string{"empty": ``, "array": `[]`, "null": `null`, "cut": `{"a":`, "huge": `{"a":"` + strings.Repeat("x", maxConfig) + `"}`} {
		if _, err := Open(fstest.MapFS{ConfigFile: {Data: []byte(text)}}); !errors.As(err, &config) {
			t.Errorf("configuration %s: %v", name, err)
		}
	}
	var format *safetensors.FormatError
	if _, err := Open(fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, WeightsFile: {Data: []byte("garbage, not tensors")}}); !errors.As(err, &format) {
		t.Errorf("garbage for weights: %v", err)
	}
}

func TestDigest(t *testing.T) {
	fsys := fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, WeightsFile: {Data: weights(t)}}
	c, err := Open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	// sha256sum config.json model.safetensors | sha256sum, the files being {} and
	// 20 00 00 00 00 00 00 00 {"__metadata__":{"format":"pt"}} with one space behind.
	const want = "5d3d62b11feb5dd308b3cd7a730aa620189e241a4dc8d24c287729a0b3fcb2f0"
	if got, err := c.Digest(t.Context()); err != nil || got != want {
		t.Errorf("Digest() = %s, %v, want %s", got, err, want)
	}
	other, err := Open(fstest.MapFS{ConfigFile: {Data: []byte(`{} `)}, WeightsFile: fsys[WeightsFile]})
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	if got, err := other.Digest(t.Context()); err != nil || got == want {
		t.Errorf("Digest() = %s, %v for another configuration", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Digest(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	fsys[WeightsFile] = &fstest.MapFile{Data: fsys[WeightsFile].Data, ModTime: time.Unix(1, 0)}
	if _, err := c.Digest(t.Context()); err == nil {
		t.Error("the digest of a file that was replaced")
	}
	fsys[WeightsFile] = &fstest.MapFile{Data: []byte("other")}
	if _, err := c.Digest(t.Context()); err == nil {
		t.Error("the digest of a file of another size")
	}
}

// sequential hides everything of a file but Read.
type sequential struct{ fs.FS }

func (s sequential) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	return struct{ fs.File }{f}, err
}

func TestOpenWithoutRandomAccess(t *testing.T) {
	c, err := Open(sequential{folder(t, `{}`, safetensors.Tensor{Name: "w", Shape: []int{1}, Data: []float32{3}})})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := NewLoader[float32](t.Context(), c, "")
	if got := l.Tensor("w", 1); !cmp.Equal(got, []float32{3}) {
		t.Errorf("w = %v: %v", got, l.Err())
	}
}

// FuzzOpen opens folders of any content and loads what they claim to have.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"model_type":"bert","id2label":{"0":"a"}}`), weights(f, safetensors.Tensor{Name: "a.gamma", Shape: []int{2}, Data: []float32{1, 2}}))
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		c, err := Open(fstest.MapFS{ConfigFile: {Data: config}, WeightsFile: {Data: weights}})
		if err != nil {
			return
		}
		defer c.Close()
		if labels, err := c.Config.Labels(); err == nil && len(labels) == 0 {
			t.Error("no labels and no error")
		}
		c.Config.ModelType()
		c.Config.Architecture()
		c.Config.ProblemType()
		for _, name := range c.files[0].tensors.Names() {
			info, ok := c.Tensor("bert.", name)
			if !ok {
				t.Fatalf("%s is listed but not there", name)
			}
			l := NewLoader[float32](t.Context(), c, "bert.")
			if got := l.Tensor(name, info.Shape...); l.Err() == nil && len(got) != info.Elements() {
				t.Errorf("%s has %d values for shape %v", name, len(got), info.Shape)
			}
		}
	})
}
