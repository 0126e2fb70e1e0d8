package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/golden"
)

// captureAll asks for every point of a model that holds numbers.
func captureAll(t testing.TB, m *engine.Model) engine.ForwardOption {
	var all []point.Selection
	for _, p := range m.Graph(engine.Input{}).Points {
		if p.Stage != arch.IDs {
			all = append(all, selectPoint(t, m, engine.Input{}, p.Name))
		}
	}
	return engine.Capture(all...)
}

func forward(t testing.TB, m *engine.Model, in engine.Input, opts ...engine.ForwardOption) *engine.Output {
	t.Helper()
	out, err := m.Forward(t.Context(), in, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForwardBits holds the promise that a sequence's bits depend on nothing
// but the sequence: not on threads, on the batch around it, on its place there,
// on what is captured, nor on the memory there is.
func TestForwardBits(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		fsys := odd.model(t)
		alone := open(t, fsys, engine.WithDType(dtype), engine.WithThreads(1))
		lengths := []int{1, 17, 150, 3, 64, 17, 129, 33, 2, 90, 1, 12}
		in := randomInput(alone.Info(), 7, lengths...)
		var want []float64
		for i := range lengths {
			want = append(want, forward(t, alone, sequence(in, i)).Logits.Float64()...)
		}
		if slices.ContainsFunc(want, func(v float64) bool { return math.IsNaN(v) || v == 0 }) {
			t.Fatalf("logits %v", want)
		}
		weights := alone.Info().Parameters * dtype.Size()
		models := map[string]*engine.Model{
			"one thread":    alone,
			"two threads":   open(t, fsys, engine.WithDType(dtype), engine.WithThreads(2)),
			"five threads":  open(t, fsys, engine.WithDType(dtype), engine.WithThreads(5)),
			"many threads":  open(t, fsys, engine.WithDType(dtype), engine.WithThreads(13)),
			"little memory": open(t, fsys, engine.WithDType(dtype), engine.WithThreads(3), engine.WithMemory(weights+(1<<18)*dtype.Size())),
		}
		for name, m := range models {
			if diff := cmp.Diff(want, forward(t, m, in).Logits.Float64()); diff != "" {
				t.Errorf("%s: logits differ from those of each sequence alone:\n%s", name, diff)
			}
		}
		// Captures compute the last layer in full; without them only the rows
		// of the head are.
		captured := forward(t, models["five threads"], in, captureAll(t, alone))
		if diff := cmp.Diff(want, captured.Logits.Float64()); diff != "" {
			t.Errorf("logits differ when hidden states are captured:\n%s", diff)
		}
		for i := range lengths {
			one := forward(t, alone, sequence(in, i), captureAll(t, alone))
			for v := range one.Values {
				if !slices.Equal(one.Values[v].Sequences[0].Float64(), captured.Values[v].Sequences[i].Float64()) {
					t.Errorf("%s of sequence %d depends on the batch", one.Values[v].Name, i)
				}
			}
		}
		// The other way round in the batch.
		reversed := engine.Input{}
		for i := len(lengths) - 1; i >= 0; i-- {
			one := sequence(in, i)
			reversed.Lengths = append(reversed.Lengths, one.Lengths...)
			reversed.IDs = append(reversed.IDs, one.IDs...)
			reversed.TypeIDs = append(reversed.TypeIDs, one.TypeIDs...)
			reversed.PositionIDs = append(reversed.PositionIDs, one.PositionIDs...)
			reversed.Mask = append(reversed.Mask, one.Mask...)
		}
		got := forward(t, models["two threads"], reversed)
		for i := range lengths {
			if row := got.Row(len(lengths) - 1 - i); !slices.Equal(row, want[i*3:(i+1)*3]) {
				t.Errorf("sequence %d: logits %v in a reversed batch, want %v", i, row, want[i*3:(i+1)*3])
			}
		}
	})
}

// TestForwardEmbeds: embeddings in place of ids, and the ids of no token, are
// what they are said to be.
func TestForwardEmbeds(t *testing.T) {
	m := open(t, odd.model(t))
	words := odd.tensors(false)[0].Data.([]float32)
	mean := make([]float32, odd.hidden)
	for j := range mean {
		sum := 0.0
		for id := range odd.vocabulary {
			sum += float64(words[id*odd.hidden+j])
		}
		mean[j] = float32(sum / float64(odd.vocabulary))
	}
	in := engine.Input{IDs: []int32{5, engine.ZeroWord, 9, 100, engine.MeanWord}, Lengths: []int{2, 3}, TypeIDs: []int32{0, 1, 0, 0, 1}}
	byEmbeds := in
	byEmbeds.IDs = nil
	for _, id := range in.IDs {
		word := make([]float32, odd.hidden)
		switch id {
		case engine.ZeroWord:
		case engine.MeanWord:
			word = mean
		default:
			word = words[int(id)*odd.hidden : (int(id)+1)*odd.hidden]
		}
		byEmbeds.Embeds = append(byEmbeds.Embeds, word...)
	}
	if diff := cmp.Diff(forward(t, m, in).Logits.Float64(), forward(t, m, byEmbeds).Logits.Float64()); diff != "" {
		t.Errorf("logits of ids and of their embeddings differ:\n%s", diff)
	}
	byEmbeds.Embeds[3] = float32(math.NaN())
	out := forward(t, m, byEmbeds)
	if row := out.Row(0); !math.IsNaN(row[0]) {
		t.Errorf("a NaN went in and %v came out", row)
	}
	if row := out.Row(1); math.IsNaN(row[0]) {
		t.Errorf("a NaN in one sequence reached the other: %v", row)
	}
}

// TestHiddenTokens: what a hidden token says reaches nobody, but keeps its place;
// a head that reads the token itself, the last one of a causal model, sees it.
func TestHiddenTokens(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		for name, m := range map[string]*engine.Model{
			"bert": open(t, odd.model(t), engine.WithDType(dtype)),
			"gpt2": openGolden(t, "gpt2-lm", engine.WithDType(dtype)),
		} {
			logits := func(mask []uint8, ids ...int32) []float64 {
				in := engine.Input{IDs: ids, Mask: mask}
				if name == "gpt2" {
					in.Reads = [][]int{{len(ids) - 1}}
				}
				return forward(t, m, in).Logits.Float64()
			}
			mask := []uint8{1, 0, 1, 0, 0, 1}
			if name == "gpt2" {
				mask[0] = 0 // so that the first tokens see nothing at all
			}
			want := logits(mask, 7, 8, 9, 10, 11, 12)
			if slices.ContainsFunc(want, func(v float64) bool { return math.IsNaN(v) }) {
				t.Fatalf("%s: %v", name, want)
			}
			for _, id := range []int32{engine.ZeroWord, engine.MeanWord, 50} {
				if got := logits(mask, 7, id, 9, id, 3, 12); !slices.Equal(got, want) {
					t.Errorf("%s: a hidden token shows through: %v, want %v", name, got, want)
				}
			}
			if got := logits(mask, 7, 8, 50, 10, 11, 12); slices.Equal(got, want) {
				t.Errorf("%s: a token that is not hidden changes nothing", name)
			}
			if got := logits(nil, 7, 9, 12); slices.Equal(got, want) {
				t.Errorf("%s: hidden tokens take no place", name)
			}
			mask[5] = 0
			hidden := logits(mask, 7, 8, 9, 10, 11, 12)
			if shows := !slices.Equal(logits(mask, 7, 8, 9, 10, 11, 50), hidden); shows != (name == "gpt2") {
				t.Errorf("%s: the last token shows in its own row: %t", name, shows)
			}
		}
	})
}

// TestForwardDefaults: what is not given is what the reference assumes.
func TestForwardDefaults(t *testing.T) {
	m := open(t, odd.model(t))
	want := forward(t, m, engine.Input{
		IDs: []int32{1, 2, 3}, Lengths: []int{3}, TypeIDs: []int32{0, 0, 0}, PositionIDs: []int32{0, 1, 2}, Mask: []uint8{1, 1, 1},
	})
	if got := forward(t, m, engine.Input{IDs: []int32{1, 2, 3}}); !slices.Equal(got.Logits.Float64(), want.Logits.Float64()) {
		t.Errorf("defaults give %v, want %v", got.Logits.Float64(), want.Logits.Float64())
	}
	for name, in := range map[string]engine.Input{
		"types":     {IDs: []int32{1, 2, 3}, TypeIDs: []int32{0, 1, 0}},
		"positions": {IDs: []int32{1, 2, 3}, PositionIDs: []int32{0, 2, 1}},
		"mask":      {IDs: []int32{1, 2, 3}, Mask: []uint8{1, 0, 1}},
	} {
		if got := forward(t, m, in); slices.Equal(got.Logits.Float64(), want.Logits.Float64()) {
			t.Errorf("%s make no difference", name)
		}
	}
}

// TestForwardMask: a hidden token has no influence, and a sequence that hides
// all of its tokens attends to nothing.
func TestForwardMask(t *testing.T) {
	m := open(t, odd.model(t))
	one := forward(t, m, engine.Input{IDs: []int32{1, 2, 3, 4}, Mask: []uint8{1, 0, 1, 1}})
	two := forward(t, m, engine.Input{IDs: []int32{1, 77, 3, 4}, Mask: []uint8{1, 0, 1, 1}})
	if !slices.Equal(one.Logits.Float64(), two.Logits.Float64()) {
		t.Errorf("a hidden token changes the logits: %v, %v", one.Logits.Float64(), two.Logits.Float64())
	}
	out := forward(t, m, engine.Input{IDs: []int32{1, 2, 3}, Mask: []uint8{0, 0, 0}}, captureAll(t, m))
	for _, v := range out.Values {
		if v.Point.Stage == arch.Pattern && slices.ContainsFunc(joined(v), func(v float64) bool { return v != 0 }) {
			t.Errorf("%s of a query without keys: %v", v.Name, joined(v))
		}
	}
	if slices.ContainsFunc(out.Logits.Float64(), func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
		t.Errorf("logits %v", out.Logits.Float64())
	}
	hidden := forward(t, m, engine.Input{IDs: []int32{1, 2, 3}, Mask: []uint8{0, 0, 0}})
	if !slices.Equal(hidden.Logits.Float64(), out.Logits.Float64()) {
		t.Errorf("logits %v without captures, %v with them", hidden.Logits.Float64(), out.Logits.Float64())
	}
}

func TestForwardEmpty(t *testing.T) {
	m := open(t, odd.model(t))
	out := forward(t, m, engine.Input{}, captureAll(t, m))
	if out.Logits.Len() != 0 || len(out.Values) == 0 || len(out.Values[0].Sequences) != 0 {
		t.Errorf("no sequences give %+v", out)
	}
}

func TestForwardInputErrors(t *testing.T) {
	m := open(t, odd.model(t))
	ids := []int32{1, 2, 3, 4, 5}
	tests := map[string]struct {
		in   engine.Input
		want engine.InputError // Reason is not compared
	}{
		"id too large":        {engine.Input{IDs: []int32{1, 101}, Lengths: []int{1, 1}}, engine.InputError{Field: "IDs", Sequence: 1, Token: 0}},
		"id below −2":         {engine.Input{IDs: []int32{1, -3}}, engine.InputError{Field: "IDs", Sequence: 0, Token: 1}},
		"ids and embeddings":  {engine.Input{IDs: ids, Embeds: make([]float32, 44)}, engine.InputError{Field: "Embeds", Sequence: -1, Token: -1}},
		"part of an embed":    {engine.Input{Embeds: make([]float32, 45)}, engine.InputError{Field: "Embeds", Sequence: -1, Token: -1}},
		"lengths too short":   {engine.Input{IDs: ids, Lengths: []int{4}}, engine.InputError{Field: "Lengths", Sequence: -1, Token: -1}},
		"lengths too long":    {engine.Input{IDs: ids, Lengths: []int{4, 2}}, engine.InputError{Field: "Lengths", Sequence: 1, Token: -1}},
		"lengths overflow":    {engine.Input{IDs: ids, Lengths: []int{math.MaxInt, math.MaxInt, 7}}, engine.InputError{Field: "Lengths", Sequence: 0, Token: -1}},
		"empty sequence":      {engine.Input{IDs: ids, Lengths: []int{5, 0}}, engine.InputError{Field: "Lengths", Sequence: 1, Token: -1}},
		"negative length":     {engine.Input{IDs: ids, Lengths: []int{6, -1}}, engine.InputError{Field: "Lengths", Sequence: 0, Token: -1}},
		"no tokens":           {engine.Input{Lengths: []int{1}}, engine.InputError{Field: "Lengths", Sequence: 0, Token: -1}},
		"beyond positions":    {engine.Input{IDs: make([]int32, 201)}, engine.InputError{Field: "Lengths", Sequence: 0, Token: -1}},
		"position too large":  {engine.Input{IDs: ids, PositionIDs: []int32{0, 0, 0, 0, 200}}, engine.InputError{Field: "PositionIDs", Sequence: 0, Token: 4}},
		"negative position":   {engine.Input{IDs: ids, PositionIDs: []int32{0, -1, 0, 0, 0}}, engine.InputError{Field: "PositionIDs", Sequence: 0, Token: 1}},
		"type too large":      {engine.Input{IDs: ids, TypeIDs: []int32{2, 0, 0, 0, 0}}, engine.InputError{Field: "TypeIDs", Sequence: 0, Token: 0}},
		"mask of 2":           {engine.Input{IDs: ids, Lengths: []int{2, 3}, Mask: []uint8{1, 1, 1, 2, 1}}, engine.InputError{Field: "Mask", Sequence: 1, Token: 1}},
		"too few types":       {engine.Input{IDs: ids, TypeIDs: []int32{0}}, engine.InputError{Field: "TypeIDs", Sequence: -1, Token: -1}},
		"empty types":         {engine.Input{IDs: ids, TypeIDs: []int32{}}, engine.InputError{Field: "TypeIDs", Sequence: -1, Token: -1}},
		"too many positions":  {engine.Input{IDs: ids, PositionIDs: make([]int32, 6)}, engine.InputError{Field: "PositionIDs", Sequence: -1, Token: -1}},
		"too few mask values": {engine.Input{IDs: ids, Mask: make([]uint8, 4)}, engine.InputError{Field: "Mask", Sequence: -1, Token: -1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := m.Forward(t.Context(), test.in)
			var got *engine.InputError
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want an InputError", err)
			}
			if got.Field != test.want.Field || got.Sequence != test.want.Sequence || got.Token != test.want.Token || got.Reason == "" {
				t.Errorf("%#v, want %#v", *got, test.want)
			}
		})
	}
	for want, in := range map[string]engine.Input{
		"engine: IDs: token 1 of sequence 0 is 101; the model takes -2 to 100":                     {IDs: []int32{1, 101}},
		"engine: Lengths: sequence 0 has 201 tokens, but the model has 200 positions: truncate it": {IDs: make([]int32, 201)},
		"engine: Mask has 1 values for 2 tokens":                                                   {IDs: []int32{1, 2}, Mask: []uint8{1}},
	} {
		if _, err := m.Forward(t.Context(), in); err == nil || err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
	}
	// Positions that are given may repeat, so that a sequence can be longer
	// than the table.
	if _, err := m.Forward(t.Context(), engine.Input{IDs: make([]int32, 201), PositionIDs: make([]int32, 201)}); err != nil {
		t.Error(err)
	}
}

func TestDistilBERTIgnoresTypes(t *testing.T) {
	m := open(t, golden.ModelFS(t, "distilbert-seqcls"))
	if m.Info().Types != 0 {
		t.Errorf("%d types", m.Info().Types)
	}
	want := forward(t, m, engine.Input{IDs: []int32{1, 2, 3}})
	if got := forward(t, m, engine.Input{IDs: []int32{1, 2, 3}, TypeIDs: []int32{0, 1, 1}}); !slices.Equal(got.Logits.Float64(), want.Logits.Float64()) {
		t.Errorf("types change the logits of a model without types: %v, %v", got.Logits.Float64(), want.Logits.Float64())
	}
}

func TestForwardCancel(t *testing.T) {
	for _, threads := range []int{1, 3} {
		m := open(t, odd.model(t), engine.WithThreads(threads))
		in := randomInput(m.Info(), 3, slices.Repeat([]int{60}, 60)...)
		ctx, cancel := context.WithCancel(t.Context())
		last := 0
		_, err := m.Forward(ctx, in, engine.Progress(func(done, total int) {
			cancel()
			last = done
		}))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d threads: error %v after cancellation", threads, err)
		}
		if last == 0 || last == 60 {
			t.Errorf("%d threads: %d of 60 sequences were done", threads, last)
		}
		if _, err := m.Forward(ctx, in); !errors.Is(err, context.Canceled) {
			t.Errorf("%d threads: error %v for a context cancelled before", threads, err)
		}
		if _, err := m.Forward(t.Context(), in); err != nil {
			t.Errorf("%d threads: error %v after another forward was cancelled", threads, err)
		}
	}
}

func TestForwardProgress(t *testing.T) {
	for _, threads := range []int{1, 4} {
		m := open(t, odd.model(t), engine.WithThreads(threads))
		last, calls := 0, 0
		forward(t, m, randomInput(m.Info(), 3, slices.Repeat([]int{50}, 40)...), engine.Progress(func(done, total int) {
			if done <= last || total != 40 {
				t.Errorf("%d of %d after %d", done, total, last)
			}
			last = done
			calls++
		}))
		if last != 40 || calls < 2 {
			t.Errorf("%d threads: %d calls up to %d of 40", threads, calls, last)
		}
	}
}

// TestForwardConcurrent runs forwards of many sizes at once, on a budget that
// makes them wait for each other.
func TestForwardConcurrent(t *testing.T) {
	fsys := odd.model(t)
	for _, memory := range []int64{engine.DefaultMemory, 2 << 20} {
		t.Run(fmt.Sprintf("%d MiB", memory>>20), func(t *testing.T) {
			m := open(t, fsys, engine.WithThreads(3), engine.WithMemory(memory))
			inputs := []engine.Input{
				randomInput(m.Info(), 1, 5),
				randomInput(m.Info(), 2, 150, 20),
				randomInput(m.Info(), 3, slices.Repeat([]int{9, 30}, 20)...),
				randomInput(m.Info(), 4, slices.Repeat([]int{100}, 9)...),
			}
			var want [][]float64
			for _, in := range inputs {
				want = append(want, forward(t, m, in).Logits.Float64())
			}
			var callers sync.WaitGroup
			for i := range 8 {
				callers.Go(func() {
					for j := range 6 {
						k := (i + j) % len(inputs)
						out, err := m.Forward(t.Context(), inputs[k], engine.Progress(func(int, int) {}))
						if err != nil {
							t.Error(err)
						} else if !slices.Equal(out.Logits.Float64(), want[k]) {
							t.Errorf("input %d gives other logits beside other forwards", k)
						}
					}
				})
			}
			callers.Wait()
		})
	}
}

func TestForwardMemory(t *testing.T) {
	fsys := odd.model(t)
	var refused *engine.MemoryError
	_, err := engine.Open(t.Context(), fsys, engine.WithMemory(100<<10))
	if !errors.As(err, &refused) || refused.Budget != 100<<10 || refused.Need < 4*40000 {
		t.Errorf("weights beyond the budget: %v", err)
	}
	m := open(t, fsys, engine.WithMemory(2<<20), engine.WithThreads(2))
	many := randomInput(m.Info(), 1, slices.Repeat([]int{150}, 40)...)
	if _, err := m.Forward(t.Context(), many); err != nil {
		t.Errorf("logits need little memory: %v", err)
	}
	// 3 layers · 40 sequences · 4 heads · 150² patterns of 4 bytes.
	_, err = m.Forward(t.Context(), many, captureAll(t, m))
	if !errors.As(err, &refused) || refused.Need < 3*40*4*150*150*4 || refused.Budget != 2<<20 {
		t.Errorf("patterns beyond the budget: %v", err)
	}
	if _, err := m.Forward(t.Context(), many); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}

func TestMemoryErrorSaysTheFigures(t *testing.T) {
	err := &engine.MemoryError{What: "the weights as f32", Need: 3 << 20, Budget: 5 << 19}
	if want := "engine: the weights as f32 need 3.0 MiB of memory, more than the budget of 2.5 MiB allows: raise the budget or ask for less"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestForwardClosed(t *testing.T) {
	m := open(t, odd.model(t))
	m.Close()
	m.Close()
	if _, err := m.Forward(t.Context(), engine.Input{IDs: []int32{1}}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a forward on a closed model: %v", err)
	}
}

// TestBuiltinModels runs the models that the host embeds on the ids of their
// expected.json. Those logits were computed from float32 weights, while the
// files hold float16.
func TestBuiltinModels(t *testing.T) {
	for _, name := range []string{"sentiment-en", "sentiment-zh"} {
		t.Run(name, func(t *testing.T) {
			fsys := os.DirFS("../core/builtin/" + name)
			text, err := os.ReadFile("../core/builtin/" + name + "/expected.json")
			if err != nil {
				t.Fatal(err)
			}
			var expected struct {
				Expected []struct {
					IDs    []int32   `json:"input_ids"`
					Logits []float64 `json:"logits"`
				}
			}
			if err := json.Unmarshal(text, &expected); err != nil {
				t.Fatal(err)
			}
			if len(expected.Expected) < 3 {
				t.Fatalf("%d examples", len(expected.Expected))
			}
			onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
				m := open(t, fsys, engine.WithDType(dtype))
				var in engine.Input
				var want []float64
				for _, e := range expected.Expected {
					in.IDs = append(in.IDs, e.IDs...)
					in.Lengths = append(in.Lengths, len(e.IDs))
					want = append(want, e.Logits...)
				}
				golden.Close(t, "logits", forward(t, m, in).Logits.Float64(), want, 0.001)
			})
		})
	}
}
