package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/checkpoint/internal/torchfile"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/engine/checkpoint/stored"
	"github.com/xai-go/xai/engine/checkpoint/torch"
	"github.com/xai-go/xai/internal/golden"
)

// sharded returns a folder whose tensors are spread over n shards by turns,
// each written by write.
func sharded(t testing.TB, index, shard string, n int, tensors []safetensors.Tensor, write func([]safetensors.Tensor) []byte) fstest.MapFS {
	t.Helper()
	parts := make([][]safetensors.Tensor, n)
	weightMap := map[string]string{}
	name := func(i int) string { return fmt.Sprintf(shard, i+1, n) }
	for i, tensor := range tensors {
		parts[i%n] = append(parts[i%n], tensor)
		weightMap[tensor.Name] = name(i % n)
	}
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1}, "weight_map": weightMap})
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, index: {Data: text}}
	for i, part := range parts {
		fsys[name(i)] = &fstest.MapFile{Data: write(part)}
	}
	return fsys
}

// pickled returns a .bin file of float32 tensors. Those that are equal share a
// storage, as tied weights do.
func pickled(write torchfile.Write) func([]safetensors.Tensor) []byte {
	return func(tensors []safetensors.Tensor) []byte {
		storages := map[string]*torchfile.Storage{}
		var out []torchfile.Tensor
		for _, tensor := range tensors {
			s := torchfile.Floats(fmt.Sprint(len(storages)), tensor.Data.([]float32)...)
			if known := storages[string(s.Data)]; known != nil {
				s = known
			}
			storages[string(s.Data)] = s
			out = append(out, torchfile.Tensor{Name: tensor.Name, Storage: s, Shape: tensor.Shape})
		}
		return torchfile.StateDict(write, out...)
	}
}

// TestLayouts saves models of the golden cases in every layout again, and
// compares what is read, to the last bit.
func TestLayouts(t *testing.T) {
	for _, model := range []string{"bert-seqcls", "distilbert-text"} {
		one, err := Open(golden.ModelFS(t, model))
		if err != nil {
			t.Fatal(err)
		}
		defer one.Close()
		var tensors []safetensors.Tensor
		l := NewLoader[float32](t.Context(), one, "")
		for _, name := range one.files[0].tensors.Names() {
			info, _ := one.Tensor("", name)
			tensors = append(tensors, safetensors.Tensor{Name: name, Shape: info.Shape, Data: l.Tensor(name, info.Shape...)})
		}
		if l.Err() != nil || len(tensors) < 10 {
			t.Fatalf("%d tensors, %v", len(tensors), l.Err())
		}
		write := func(tensors []safetensors.Tensor) []byte { return weights(t, tensors...) }
		zip, legacy := pickled(torchfile.Zip), pickled(torchfile.Legacy)
		want := l.Parameters()
		for name, fsys := range map[string]fstest.MapFS{
			"shards":         sharded(t, "model.safetensors.index.json", "model-%05d-of-%05d.safetensors", 3, tensors, write),
			"pickle":         {ConfigFile: {Data: []byte(`{}`)}, "pytorch_model.bin": {Data: zip(tensors)}},
			"legacy pickle":  {ConfigFile: {Data: []byte(`{}`)}, "pytorch_model.bin": {Data: legacy(tensors)}},
			"pickled shards": sharded(t, "pytorch_model.bin.index.json", "pytorch_model-%05d-of-%05d.bin", 2, tensors, zip),
			"mixed shards":   sharded(t, "pytorch_model.bin.index.json", "pytorch_model-%05d-of-%05d.bin", 2, tensors, legacy),
		} {
			c, err := Open(fsys)
			if err != nil {
				t.Errorf("%s, %s: %v", model, name, err)
				continue
			}
			l := NewLoader[float32](t.Context(), c, "")
			for _, tensor := range tensors {
				if got := l.Tensor(tensor.Name, tensor.Shape...); !slices.Equal(got, tensor.Data.([]float32)) {
					t.Fatalf("%s, %s: %s has other values, %v", model, name, tensor.Name, l.Err())
				}
			}
			if l.Parameters() != want {
				t.Errorf("%s, %s: %d parameters, want %d", model, name, l.Parameters(), want)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestPreference takes the preferred file away, one after another.
func TestPreference(t *testing.T) {
	value := func(v float32) []safetensors.Tensor {
		return []safetensors.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{v}}}
	}
	write := func(tensors []safetensors.Tensor) []byte { return weights(t, tensors...) }
	zip := pickled(torchfile.Zip)
	fsys := fstest.MapFS{
		WeightsFile:         {Data: write(value(1))},
		"pytorch_model.bin": {Data: zip(value(3))},
		"tf_model.h5":       {},
	}
	maps.Copy(fsys, sharded(t, "model.safetensors.index.json", "model-%d-%d.safetensors", 1, value(2), write))
	maps.Copy(fsys, sharded(t, "pytorch_model.bin.index.json", "pytorch_model-%d-%d.bin", 1, value(4), zip))
	for i, l := range layouts {
		c, err := Open(fsys)
		if err != nil {
			t.Fatal(err)
		}
		if got := NewLoader[float32](t.Context(), c, "").Tensor("w", 1); !cmp.Equal(got, []float32{float32(i + 1)}) {
			t.Errorf("of %v, %s should be read, not the file with %v", slices.Sorted(maps.Keys(fsys)), l.file, got)
		}
		delete(fsys, l.file)
	}
	var unsupported *UnsupportedError
	if _, err := Open(fsys); !errors.As(err, &unsupported) {
		t.Errorf("with none of them: %v", err)
	}
}

func TestShardErrors(t *testing.T) {
	a := weights(t, safetensors.Tensor{Name: "a", Shape: []int{1}, Data: []float32{1}})
	both := weights(t, safetensors.Tensor{Name: "a", Shape: []int{1}, Data: []float32{1}}, safetensors.Tensor{Name: "b", Shape: []int{1}, Data: []float32{2}})
	const index = "model.safetensors.index.json"
	opened := func(text string) (*Checkpoint, error) {
		return Open(fstest.MapFS{
			ConfigFile: {Data: []byte(`{}`)}, index: {Data: []byte(text)},
			"a.safetensors": {Data: a}, "both.safetensors": {Data: both}, "cut.safetensors": {Data: a[:20]}, "dir/a.safetensors": {Data: a},
		})
	}
	for name, test := range map[string]struct{ text, says string }{
		"empty":             {``, "ends early"},
		"an array":          {`[]`, "an object belongs"},
		"no map":            {`{"metadata":{}}`, "no weight_map"},
		"empty map":         {`{"weight_map":{}}`, "no weight_map"},
		"two maps":          {`{"weight_map":{},"weight_map":{}}`, "weight_map is there twice"},
		"rest":              {`{"weight_map":{"a":"a.safetensors"}}x`, "after the end"},
		"a number":          {`{"weight_map":{"a":1}}`, "a string belongs"},
		"duplicate":         {`{"weight_map":{"a":"a.safetensors","a":"both.safetensors"}}`, `"a" is there twice`},
		"duplicate escaped": {`{"weight_map":{"a":"a.safetensors","\u0061":"a.safetensors"}}`, `"a" is there twice`},
		"not in the shard":  {`{"weight_map":{"b":"a.safetensors"}}`, "does not have it"},
		"in two shards":     {`{"weight_map":{"a":"a.safetensors","b":"both.safetensors"}}`, "both.safetensors has one too"},
		"above":             {`{"weight_map":{"a":"../a.safetensors"}}`, `"../a.safetensors"`},
		"below":             {`{"weight_map":{"a":"dir/a.safetensors"}}`, "no name of a file"},
		"absolute":          {`{"weight_map":{"a":"/a.safetensors"}}`, "no name of a file"},
		"backslash":         {`{"weight_map":{"a":"..\\a.safetensors"}}`, "no name of a file"},
		"drive":             {`{"weight_map":{"a":"c:a.safetensors"}}`, "no name of a file"},
		"the folder":        {`{"weight_map":{"a":"."}}`, "no name of a file"},
		"no name":           {`{"weight_map":{"a":""}}`, "no name of a file"},
		"a long name":       {`{"weight_map":{"a":"` + strings.Repeat("x", 300) + `"}}`, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := opened(test.text)
			wrong, ok := errors.AsType[*IndexError](err)
			if !ok || wrong.File != index || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want an IndexError that says %q", err, test.says)
			}
		})
	}
	var missing *MissingError
	if _, err := opened(`{"weight_map":{"a":"none.safetensors"}}`); !errors.As(err, &missing) || missing.File != "none.safetensors" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a shard that is absent: %v", err)
	}
	var format *safetensors.FormatError
	if _, err := opened(`{"weight_map":{"a":"cut.safetensors"}}`); !errors.As(err, &format) || !strings.Contains(err.Error(), "cut.safetensors") {
		t.Errorf("a shard that is cut: %v", err)
	}
	var unsupported *UnsupportedError
	if _, err := opened(`{"weight_map":{"a":"dir"}}`); !errors.As(err, &unsupported) {
		t.Errorf("a folder for a shard: %v", err)
	}
	// A shard may have more than the index names; it is not there then.
	c, err := opened(`{"weight_map":{"a":"both.safetensors"}}`)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLoader[float32](t.Context(), c, "")
	var absent *TensorError
	if l.Tensor("b", 1); !errors.As(l.Err(), &absent) || absent.File != index {
		t.Errorf("a tensor that the index does not name: %v", l.Err())
	}
}

// TestDescriptionLimit opens shards that are one file under several names: what
// is read of all of them to open them is bounded.
func TestDescriptionLimit(t *testing.T) {
	tensors := []safetensors.Tensor{{Name: "a", Shape: []int{1}, Data: []float32{1}}, {Name: "b", Shape: []int{1}, Data: []float32{2}}, {Name: "c", Shape: []int{1}, Data: []float32{3}}}
	for name, write := range map[string]func([]safetensors.Tensor) []byte{
		"model.safetensors.index.json": func(tensors []safetensors.Tensor) []byte { return weights(t, tensors...) },
		"pytorch_model.bin.index.json": pickled(torchfile.Zip),
	} {
		fsys := sharded(t, name, "model-%d-of-%d", 3, tensors, write)
		c := &Checkpoint{fsys: fsys, unread: maxDescription}
		if err := c.openWeights(); err != nil {
			t.Fatal(err)
		}
		enough := maxDescription - c.unread
		c.unread = 0
		if got := NewLoader[float32](t.Context(), c, "").Tensor("c", 1); !cmp.Equal(got, []float32{3}) {
			t.Errorf("%s: values count as what describes them: %v", name, got)
		}
		c.Close()
		for _, unread := range []int64{enough, enough - 1} {
			c := &Checkpoint{fsys: fsys, unread: unread}
			err := c.openWeights()
			c.Close()
			if over := errors.As(err, new(*UnsupportedError)); over != (unread < enough) {
				t.Errorf("%s with %d bytes to read of %d: %v", name, unread, enough, err)
			}
		}
	}
}

func TestDigestOfShards(t *testing.T) {
	tensors := []safetensors.Tensor{{Name: "a", Shape: []int{1}, Data: []float32{1}}, {Name: "b", Shape: []int{1}, Data: []float32{2}}}
	write := func(tensors []safetensors.Tensor) []byte { return weights(t, tensors...) }
	fsys := sharded(t, "model.safetensors.index.json", "model-%d-of-%d.safetensors", 2, tensors, write)
	c, err := Open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	var lines bytes.Buffer
	for _, name := range []string{ConfigFile, "model.safetensors.index.json", "model-1-of-2.safetensors", "model-2-of-2.safetensors"} {
		fmt.Fprintf(&lines, "%x  %s\n", sha256.Sum256(fsys[name].Data), name)
	}
	if got, err := c.Digest(t.Context()); err != nil || got != fmt.Sprintf("%x", sha256.Sum256(lines.Bytes())) {
		t.Errorf("Digest() = %s, %v", got, err)
	}
	fsys["model-2-of-2.safetensors"] = &fstest.MapFile{Data: []byte("other")}
	if _, err := c.Digest(t.Context()); err == nil || !strings.Contains(err.Error(), "model-2-of-2.safetensors") {
		t.Errorf("the digest of a shard that has changed: %v", err)
	}
}

// halves returns a pickle with a tensor of each 16-bit format and one of
// float32.
func halves(bits ...uint16) []byte {
	data := []byte{}
	for _, b := range bits {
		data = append(data, byte(b), byte(b>>8))
	}
	return torchfile.StateDict(torchfile.Zip,
		torchfile.Tensor{Name: "f16", Storage: &torchfile.Storage{Key: "0", Class: "HalfStorage", Width: 2, Data: data}, Shape: []int{1, len(bits)}},
		torchfile.Tensor{Name: "bf16", Storage: &torchfile.Storage{Key: "1", Class: "BFloat16Storage", Width: 2, Data: data}, Shape: []int{1, len(bits)}},
		torchfile.Tensor{Name: "f32", Storage: torchfile.Floats("2", 1, 2), Shape: []int{2}},
	)
}

func TestBits(t *testing.T) {
	header := `{"f16":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},"bf16":{"dtype":"BF16","shape":[1,2],"data_offsets":[4,8]},"f32":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}`
	st := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header+"\x00\x3c\x80\x3f\x00\x3c\x80\x3f"...)
	for file, data := range map[string][]byte{"pytorch_model.bin": halves(0x3c00, 0x3f80), WeightsFile: st} {
		c, err := Open(fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, file: {Data: data}})
		if err != nil {
			t.Fatal(err)
		}
		l := NewLoader[float64](t.Context(), c, "")
		for name, want := range map[string]stored.DType{"f16": stored.F16, "bf16": stored.BF16} {
			if info, ok := l.Info(name); !ok || info.DType != want {
				t.Errorf("%s: %s is %v", file, name, info)
			}
			if bits, format := l.Bits(name, 1, 2); format != want || !cmp.Equal(bits, []uint16{0x3c00, 0x3f80}) {
				t.Errorf("%s: %s has bits %#x, %s, %v", file, name, bits, format, l.Err())
			}
		}
		if l.Parameters() != 4 {
			t.Errorf("%s: %d parameters, want 4", file, l.Parameters())
		}
		if bits, _ := l.Bits("f16", 2); bits != nil || !errors.As(l.Err(), new(*TensorError)) {
			t.Errorf("%s: bits of the wrong shape: %v", file, l.Err())
		}
		l = NewLoader[float64](t.Context(), c, "")
		info, _ := l.Info("f32")
		if bits, _ := l.Bits("f32", info.Shape...); bits != nil || !errors.As(l.Err(), new(*safetensors.UnsupportedError)) && !errors.As(l.Err(), new(*torch.UnsupportedError)) {
			t.Errorf("%s: bits of float32: %v", file, l.Err())
		}
	}
}

func TestAlternatives(t *testing.T) {
	c, err := Open(folder(t, `{}`,
		safetensors.Tensor{Name: "a.weight", Shape: []int{1}, Data: []float32{1}},
		safetensors.Tensor{Name: "bert.b.gamma", Shape: []int{1}, Data: []float32{2}},
	))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := NewLoader[float32](t.Context(), c, "bert.")
	for name, want := range map[string]bool{"bert.a.weight": true, "a.weight": true, "bert.b.weight": true, "b.weight": false, "bert.a.bias": false, "": false} {
		if l.Has(name) != want {
			t.Errorf("Has(%q) = %v", name, !want)
		}
	}
	if got := l.First("none", "bert.b.weight", "bert.a.weight"); got != "bert.b.weight" {
		t.Errorf("First = %q", got)
	}
	if got := l.First("none", "nothing"); got != "none" {
		t.Errorf("First of nothing = %q", got)
	}
	if info, ok := c.Tensor("bert.", "bert.b.weight"); !ok || info.Name != "bert.b.gamma" || info.DType != stored.F32 {
		t.Errorf("bert.b.weight is %v", info)
	}
}

func TestNonFinite(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	c, err := Open(folder(t, `{}`,
		safetensors.Tensor{Name: "fine", Shape: []int{2}, Data: []float64{math.MaxFloat32, -5e-324}},
		safetensors.Tensor{Name: "nan", Shape: []int{2, 3}, Data: []float32{0, 1, 2, 3, float32(nan), float32(inf)}},
		safetensors.Tensor{Name: "inf", Shape: []int{1}, Data: []float64{-inf}},
		safetensors.Tensor{Name: "large", Shape: []int{1}, Data: []float64{1e300}},
	))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[string]*ValueError{
		"fine":  nil,
		"nan":   {File: WeightsFile, Name: "nan", At: []int{1, 1}, Value: nan},
		"inf":   {File: WeightsFile, Name: "inf", At: []int{0}, Value: -inf},
		"large": {File: WeightsFile, Name: "large", At: []int{0}, Value: inf}, // as float32
	} {
		l := NewLoader[float32](t.Context(), c, "")
		info, _ := l.Info(name)
		l.Tensor(name, info.Shape...)
		got, _ := errors.AsType[*ValueError](l.Err())
		if want == nil && l.Err() != nil || !cmp.Equal(got, want, cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })) {
			t.Errorf("%s: %v, want %v", name, l.Err(), want)
		}
	}
	if l := NewLoader[float64](t.Context(), c, ""); l.Tensor("large", 1) == nil {
		t.Errorf("as float64: %v", l.Err())
	}

	c, err = Open(fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, "pytorch_model.bin": {Data: halves(0x7bff, 0x7c00, 0xff80)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"f16": "+Inf at [0 1]", "bf16": "-Inf at [0 2]"} {
		l := NewLoader[float32](t.Context(), c, "")
		if bits, _ := l.Bits(name, 1, 3); bits != nil || l.Err() == nil || !strings.Contains(l.Err().Error(), want) {
			t.Errorf("%s: %v, want %s", name, l.Err(), want)
		}
	}
	for _, format := range []stored.DType{stored.F16, stored.BF16} {
		for b := range 1 << 16 {
			i, value := nonFiniteBits(format, []uint16{uint16(b)})
			want := float64(math.Float32frombits(uint32(b) << 16))
			if format == stored.F16 {
				want = 0
				if b>>10&31 == 31 {
					want = math.Inf(1 - 2*(b>>15))
					if b&1023 != 0 {
						want = nan
					}
				}
			}
			if finite := want-want == 0; finite != (i < 0) || !finite && value != want && !(value != value && want != want) {
				t.Fatalf("%s bits %#04x: %d, %v, want %v", format, b, i, value, want)
			}
		}
	}
}

// FuzzOpenShards opens an index of any content over two shards.
func FuzzOpenShards(f *testing.F) {
	a := weights(f, safetensors.Tensor{Name: "a", Shape: []int{1}, Data: []float32{1}})
	b := weights(f, safetensors.Tensor{Name: "b", Shape: []int{1}, Data: []float32{2}})
	f.Add([]byte(`{"metadata":{"total_size":8},"weight_map":{"a":"x","b":"y"}}`))
	f.Add([]byte(`{"weight_map":{"a":"x","b":"../y"}}`))
	f.Add([]byte(`{"weight_map":{"a":"x","a":"x"}}`))
	f.Fuzz(func(t *testing.T, index []byte) {
		c, err := Open(fstest.MapFS{ConfigFile: {Data: []byte(`{}`)}, "model.safetensors.index.json": {Data: index}, "x": {Data: a}, "y": {Data: b}})
		if err != nil {
			if !errors.As(err, new(*IndexError)) && !errors.As(err, new(*MissingError)) && !errors.As(err, new(*UnsupportedError)) && !errors.As(err, new(*safetensors.FormatError)) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		defer c.Close()
		l := NewLoader[float32](t.Context(), c, "")
		for name := range c.shards {
			if got := l.Tensor(name, 1); len(got) != 1 {
				t.Fatalf("%q: %v", name, l.Err())
			}
		}
	})
}
