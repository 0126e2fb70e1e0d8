package core

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// families are a small classifier of texts of each family.
var families = []string{"bert-seqcls", "roberta-seqcls", "distilbert-seqcls", "gpt2-seqcls", "xlnet-seqcls"}

// openGolden opens a model of the golden cases.
func openGolden(t testing.TB, name string, o Options) *Model {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.OpenModel(t.Context(), filepath.Join("..", "testdata", "conformance", "models", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// sampleIDs returns rows of ids that are no padding, of these lengths.
func sampleIDs(lengths ...int) (rows [][]int32) {
	random := rand.New(rand.NewPCG(5, 5))
	for _, n := range lengths {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = 6 + int32(random.IntN(200))
		}
		rows = append(rows, ids)
	}
	return rows
}

// rawSession returns a session of a row of ids, with token types for a model that
// tells the difference.
func rawSession(t testing.TB, m *Model, r Request) *session {
	t.Helper()
	r.Input.Raw = &Raw{IDs: sampleIDs(9)[0]}
	if m.engine.Info().ModelType == "xlnet" {
		r.Input.Raw.TypeIDs = []int32{0, 0, 0, 0, 1, 1, 1, 1, 2}
	}
	return started(t, m, r)
}

// get returns a tensor of a reply as doubles, with its shape.
func get(t testing.TB, r sdk.Reply, name string, index int) ([]float64, []int) {
	t.Helper()
	x, err := r.Tensor(name, index)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	out := make([]float64, x.Len())
	for i := range out {
		switch v := x.Data.(type) {
		case []float32:
			out[i] = float64(v[i])
		case []float64:
			out[i] = v[i]
		case []int64:
			out[i] = float64(v[i])
		}
	}
	return out, x.Shape
}

// code is an error of that class, whatever it says.
func code(c sdk.Errno) error { return &sdk.Error{Code: c} }

// TestInsideIsActivations holds points and gradients of a method to what xai
// activations computes of the same rows: the same bits, in blocks of any size, at
// any number of threads, for every output of a target.
func TestInsideIsActivations(t *testing.T) {
	rows := sampleIDs(7, 3, 12, 5, 12, 1)
	var inputs []Input
	for _, ids := range rows {
		inputs = append(inputs, Input{Raw: &Raw{IDs: ids}})
	}
	points := []string{"hook_tokens[b=:]", "embeddings", "hidden_states", "attentions[1][h=-1]", "blocks.*.attn.hook_z[t=-1]", "hook_cls_logits", "blocks.0-1.mlp.hook_post[1:4,t=0]", "blocks.2.hook_in[b=-1]"}
	wrt := []string{"embeddings", "attentions", "blocks.1.hook_mlp_out[2:,0]", "hook_full_embed[0]"}
	for _, name := range families {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				outputs := []sdk.Output{sdk.Logit, sdk.Prob, sdk.LogProb}
				m, other := openGolden(t, name, Options{DType: dtype, Threads: 1}), openGolden(t, name, Options{DType: dtype, Threads: 3})
				for i, output := range outputs {
					r := Request{Target: []string{"1", "0 - 2", "1 - 0"}[i], Output: output}
					if len(m.labels) < 3 {
						r.Target = "1"
					}
					// Which points a gradient is asked for at decides how it is summed up.
					want := make(map[string][]Activation)
					for _, a := range []ActivationsRequest{{Points: points}, {Points: wrt, GradOf: r.Target, Output: output}} {
						a.Inputs = inputs
						x, err := m.Activations(t.Context(), a)
						if err != nil {
							t.Fatal(err)
						}
						next := 0
						if a.GradOf != "" {
							next = len(x.Tensors) / 2
						}
						for _, point := range a.Points {
							one, err := m.Activations(t.Context(), ActivationsRequest{Inputs: inputs, Points: []string{point}})
							if err != nil {
								t.Fatal(err)
							}
							key := point
							if a.GradOf != "" {
								key = sdk.Grad(point)
							}
							want[key] = x.Tensors[next : next+len(one.Tensors)]
							next += len(one.Tensors)
						}
					}
					for model, bytes := range map[*Model]float64{m: 0, other: 20_000} {
						s := rawSession(t, model, r)
						s.blocks = bytes
						var progress []int
						s.progress = func(done, total int) { progress = append(progress, done*100/total) }
						reply, err := s.Gradient(t.Context(), &sdk.Forward{IDs: rows, Points: points}, wrt)
						if err != nil {
							t.Fatal(err)
						}
						if bytes > 0 && len(progress) < 2 || !slices.IsSorted(progress) || progress[len(progress)-1] != 100 {
							t.Errorf("progress %v", progress)
						}
						plain, err := rawSession(t, model, r).Forward(t.Context(), &sdk.Forward{IDs: rows})
						if err != nil {
							t.Fatal(err)
						}
						for _, output := range []string{sdk.ReplyTarget, sdk.ReplyLogits, sdk.ReplyProbs, sdk.ReplyLogProbs} {
							want, _ := get(t, plain, output, 0)
							if got, _ := get(t, reply, output, 0); !slices.Equal(got, want) {
								t.Errorf("%s is %v, and %v without points", output, got, want)
							}
						}
						held := int64(8 * len(rows) * len(m.labels))
						for name, list := range want {
							for i, a := range list {
								got, err := reply.Tensor(name, i)
								if err != nil {
									t.Errorf("%s: %v", name, err)
									continue
								}
								data := any(a.F32)
								switch {
								case a.IDs != nil:
									data = a.IDs
								case a.F64 != nil:
									data = a.F64
								}
								if !slices.Equal(got.Shape, a.Shape) || !reflect.DeepEqual(got.Data, data) {
									t.Errorf("%s, %d: %v is not that of Activations, %v", name, i, got.Shape, a.Shape)
								}
								held += int64(got.Len() * got.DType().Size())
							}
							if _, err := reply.Tensor(name, len(list)); !errors.Is(err, code(sdk.ERange)) {
								t.Errorf("%s has more than %d tensors: %v", name, len(list), err)
							}
						}
						if got := reply.(interface{ Bytes() int64 }).Bytes(); got < held {
							t.Errorf("the reply holds %d bytes, it says, and %d", got, held)
						}
						if n := len(rows); s.evaluations != n || s.unique != n || len(s.known) != 1 || s.hits != 0 {
							t.Errorf("%d rows, %d distinct, %d known, %d hits", s.evaluations, s.unique, len(s.known), s.hits)
						}
					}
				}
			})
		}
	}
}

// TestGradientsAreSlopes holds the gradient at embeddings that are given to what
// the target changes by, for every kind of target.
func TestGradientsAreSlopes(t *testing.T) {
	for _, name := range families {
		m := openGolden(t, name, Options{DType: "f64"})
		for _, c := range []struct {
			head   head
			output sdk.Output
			target string
		}{
			{singleLabel, sdk.Logit, "1"}, {singleLabel, sdk.Prob, "1"}, {singleLabel, sdk.LogProb, "1"},
			{singleLabel, sdk.Logit, "0 - 1"}, {singleLabel, sdk.Prob, "0 - 1"}, {singleLabel, sdk.LogProb, "0 - 1"},
			{multiLabel, sdk.Logit, "0"}, {multiLabel, sdk.Prob, "0"}, {multiLabel, sdk.LogProb, "1 - 0"},
			{regression, "", "0"},
		} {
			m.head = c.head
			s := rawSession(t, m, Request{Target: c.target, Output: c.output})
			base, shape := embeddingsOf(t, s)
			random := rand.New(rand.NewPCG(1, 2))
			const h = 2e-4
			ahead, behind := slices.Clone(base), slices.Clone(base)
			for i := range base {
				step := float32(h * random.NormFloat64())
				ahead[i], behind[i] = base[i]+step, base[i]-step
			}
			shape[0] = 3
			reply, err := s.Gradient(t.Context(), &sdk.Forward{Embeds: sdk.NewTensor(slices.Concat(base, ahead, behind), shape...)}, []string{"embeddings"})
			if err != nil {
				t.Fatal(err)
			}
			values, _ := get(t, reply, sdk.ReplyTarget, 0)
			slope, _ := get(t, reply, sdk.Grad("embeddings"), 0)
			want := 0.0
			for i := range base {
				want += slope[i] * float64(ahead[i]-behind[i])
			}
			if got := values[1] - values[2]; math.Abs(got-want) > 2e-3*math.Abs(want)+1e-12 || want == 0 {
				t.Errorf("%s, head %d, %s of %s: changes by %v, and its gradient says %v", name, c.head, c.output, c.target, got, want)
			}
			plain, err := s.Forward(t.Context(), &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, shape[1]), 1, shape[1])})
			if err != nil {
				t.Fatal(err)
			}
			if whole, _ := get(t, plain, sdk.ReplyTarget, 0); math.Abs(whole[0]-values[0]) > 1e-6*math.Abs(values[0])+1e-9 {
				t.Errorf("%s: its own embeddings give %v, and its tokens %v", name, values[0], whole[0])
			}
		}
	}
}

// embeddingsOf returns the word embeddings of the input, [1,T,D].
func embeddingsOf(t testing.TB, s *session) ([]float32, []int) {
	t.Helper()
	n := s.enc.row.n
	reply, err := s.Forward(t.Context(), &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, n), 1, n), Points: []string{"embeddings"}})
	if err != nil {
		t.Fatal(err)
	}
	values, shape := get(t, reply, "embeddings", 0)
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out, slices.Clone(shape)
}

// TestIntegratedGradients is the law of completeness: the gradient along a line
// sums up to what the target changes by from its beginning to its end.
func TestIntegratedGradients(t *testing.T) {
	for _, name := range families {
		s := rawSession(t, openGolden(t, name, Options{}), Request{Target: "0 - 1", Output: sdk.Prob})
		base, shape := embeddingsOf(t, s)
		const steps = 1000
		other := slices.Concat(base[shape[2]:], base[:shape[2]]) // the tokens, each a place ahead
		var line []float32
		for k := range steps {
			for i, v := range base {
				line = append(line, other[i]+(v-other[i])*(float32(k)+0.5)/steps)
			}
		}
		shape[0] = steps + 2
		line = append(append(line, other...), base...)
		s.blocks = 500_000 // some rows at a time
		reply, err := s.Gradient(t.Context(), &sdk.Forward{Embeds: sdk.NewTensor(line, shape...)}, []string{"embeddings"})
		if err != nil {
			t.Fatal(err)
		}
		values, _ := get(t, reply, sdk.ReplyTarget, 0)
		slope, _ := get(t, reply, sdk.Grad("embeddings"), 0)
		sum := 0.0
		for i := range steps * len(base) {
			at := i % len(base)
			sum += slope[i] * float64(base[at]-other[at]) / steps
		}
		if want := values[steps+1] - values[steps]; math.Abs(sum-want) > 2e-3*math.Abs(want) {
			t.Errorf("%s: attributions sum up to %v, and the target changes by %v", name, sum, want)
		}
	}
}

// TestInsideEdits holds edits to those of xai activations, and values of each row
// to the rows by themselves.
func TestInsideEdits(t *testing.T) {
	rows := sampleIDs(6, 6, 4)
	for _, name := range families {
		m := openGolden(t, name, Options{})
		s := rawSession(t, m, Request{})
		activations := func(edits ...string) (logits []float64) {
			t.Helper()
			for _, ids := range rows {
				x, err := m.Activations(t.Context(), ActivationsRequest{Inputs: []Input{{Raw: &Raw{IDs: ids}}}, Points: []string{"hook_cls_logits"}, Edits: edits})
				if err != nil {
					t.Fatal(err)
				}
				logits = append(logits, x.Tensors[0].Float64()...)
			}
			return logits
		}
		edited := func(edits ...sdk.Edit) []float64 {
			t.Helper()
			reply, err := s.Forward(t.Context(), &sdk.Forward{IDs: rows, Edits: edits})
			if err != nil {
				t.Fatal(err)
			}
			logits, _ := get(t, reply, sdk.ReplyLogits, 0)
			return logits
		}
		plain, three := activations(), sdk.NewTensor([]float32{0.5, -1, 2}, 3, 1, 1)
		for _, c := range []struct {
			want []string
			edit sdk.Edit
		}{
			{[]string{"pattern1[h=0]=zero"}, sdk.Edit{Point: "attentions[1][h=0]", Op: sdk.EditZero}},
			{[]string{"mlp_out0[t=0]=mean"}, sdk.Edit{Point: "blocks.0.hook_mlp_out[t=0]", Op: sdk.EditMean}},
			{[]string{"resid_pre2[t=-1]=add:0.5"}, sdk.Edit{Point: "resid_pre2[t=-1]", Op: sdk.EditAdd, Value: sdk.NewTensor([]float64{0.5})}},
			{[]string{"z1=scale:-2"}, sdk.Edit{Point: "z1", Op: sdk.EditScale, Value: sdk.NewTensor([]float32{-2}, 1, 1, 1, 1)}},
			{[]string{"hook_embed=1.5"}, sdk.Edit{Point: "embeddings", Op: sdk.EditReplace, Value: sdk.NewTensor([]float32{1.5}, 1)}},
		} {
			want := activations(c.want...)
			for _, blocks := range []float64{0, 1} { // a row at a time
				s.blocks = blocks
				if got := edited(c.edit); !slices.Equal(got, want) || slices.Equal(got, plain) {
					t.Errorf("%s, %v: %v, want %v", name, c.edit, got, want)
				}
			}
		}
		// Each row by a value of its own, in blocks of one and in one of all.
		var want []float64
		classes := len(plain) / len(rows)
		for i, add := range []float64{0.5, -1, 2} {
			want = append(want, activations(fmt.Sprintf("attn_out1=add:%v", add))[i*classes:(i+1)*classes]...)
		}
		for _, blocks := range []float64{0, 1} {
			s.blocks = blocks
			if got := edited(sdk.Edit{Point: "attn_out1", Op: sdk.EditAdd, Value: three}); !slices.Equal(got, want) {
				t.Errorf("%s, by row: %v, want %v", name, got, want)
			}
			part := sdk.NewTensor([]float32{-1, 2}, 2, 1, 1)
			if got := edited(sdk.Edit{Point: "attn_out1[1:]", Op: sdk.EditAdd, Value: part}); !slices.Equal(got[classes:], want[classes:]) || !slices.Equal(got[:classes], plain[:classes]) {
				t.Errorf("%s, two rows of three: %v, want %v", name, got, want)
			}
			// A patch of the first row into the second one, which is as long.
			reply, err := s.Forward(t.Context(), &sdk.Forward{IDs: rows, Points: []string{"resid_pre1[0]"}})
			if err != nil {
				t.Fatal(err)
			}
			clean, err := reply.Tensor("resid_pre1[0]", 0)
			if err != nil {
				t.Fatal(err)
			}
			whole := &sdk.Tensor{Shape: append([]int{1}, clean.Shape...), Data: clean.Data}
			if got := edited(sdk.Edit{Point: "resid_pre1[1:2,:6]", Op: sdk.EditReplace, Value: whole}); !slices.Equal(got[classes:2*classes], got[:classes]) || !slices.Equal(got[:classes], plain[:classes]) {
				t.Errorf("%s, patched: %v, and its clean run %v", name, got, plain)
			}
		}
		// What is computed of what was changed, and its gradient.
		s.blocks = 0
		x, err := m.Activations(t.Context(), ActivationsRequest{Inputs: []Input{{Raw: &Raw{IDs: rows[0]}}}, Points: []string{"hook_embed"}, GradOf: "0", Edits: []string{"pattern1[h=0]=zero", "mlp_out0=scale:3"}})
		if err != nil {
			t.Fatal(err)
		}
		s.target.output, s.scale.output = sdk.Logit, sdk.Logit
		reply, err := s.Gradient(t.Context(), &sdk.Forward{IDs: rows[:1], Target: "0", Edits: []sdk.Edit{
			{Point: "pattern1[h=0]", Op: sdk.EditZero}, {Point: "mlp_out0", Op: sdk.EditScale, Value: sdk.NewTensor([]float32{3}, 1)},
		}}, []string{"hook_embed"})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := get(t, reply, sdk.Grad("hook_embed"), 0); !slices.Equal(got, x.Tensors[1].Float64()) {
			t.Errorf("%s: another gradient of the edited model", name)
		}
	}
}

// TestInsideOfFilledRows: rows of every form and fill are read, edited and
// differentiated, and their target has the bits that it has without.
func TestInsideOfFilledRows(t *testing.T) {
	m := openGolden(t, "bert-text", Options{})
	const text = "the film was good , and the plot was thin"
	rapid.Check(t, func(rt *rapid.T) {
		s := started(t, m, Request{Input: Input{Text: text}})
		n := rapid.IntRange(1, 5).Draw(rt, "rows")
		columns := len(s.units)
		f := &sdk.Forward{}
		if rapid.Bool().Draw(rt, "masks") {
			columns = len(s.enc.tokens)
		}
		keep := sdk.NewTensor(rapid.SliceOfN(rapid.Uint8Range(0, 1), n*columns, n*columns).Draw(rt, "keep"), n, columns)
		if columns == len(s.units) {
			f.Units = keep
		} else {
			f.Masks = keep
		}
		f.Fill.Kind = rapid.SampledFrom([]sdk.FillKind{sdk.FillMask, sdk.FillPad, sdk.FillDelete, sdk.FillZero, sdk.FillToken, sdk.FillHide, sdk.FillAverage}).Draw(rt, "fill")
		f.Fill.Token = 7
		want, err := s.Forward(t.Context(), f)
		if err != nil {
			rt.Fatal(err)
		}
		f.Points = rapid.SliceOfN(rapid.SampledFrom([]string{"embeddings", "attentions", "hidden_states[t=0]", "hook_tokens", "blocks.*.hook_resid_mid"}), 1, 3).Draw(rt, "points")
		wrt := rapid.SliceOfN(rapid.SampledFrom([]string{"embeddings", "pattern0", "blocks.1.hook_out"}), 0, 2).Draw(rt, "wrt")
		s.blocks = rapid.SampledFrom([]float64{0, 1, 30_000}).Draw(rt, "blocks")
		before := s.truncated
		got, err := s.inspect(t.Context(), f, wrt)
		if err != nil {
			rt.Fatal(err)
		}
		for _, name := range []string{sdk.ReplyTarget, sdk.ReplyProbs} {
			a, _ := get(t, want, name, 0)
			if b, _ := get(t, got, name, 0); !slices.Equal(a, b) {
				rt.Errorf("%s is %v, and %v with points", name, a, b)
			}
		}
		for _, name := range append(slices.Clone(f.Points), gradients(wrt)...) {
			if _, shape := get(t, got, name, 0); shape[0] != n {
				rt.Errorf("%s has the shape %v for %d rows", name, shape, n)
			}
		}
		if s.truncated != before || !slices.Equal(s.fills, []sdk.FillKind{f.Fill.Kind}) {
			rt.Errorf("%d rows were cut, fills are %v", s.truncated, s.fills)
		}
	})
}

func gradients(wrt []string) (names []string) {
	for _, point := range wrt {
		names = append(names, sdk.Grad(point))
	}
	return names
}

// TestInsideInputs: rows of a raw input keep what else it has: types, positions,
// hidden tokens.
func TestInsideInputs(t *testing.T) {
	m := openGolden(t, "bert-seqcls", Options{})
	raw := &Raw{IDs: sampleIDs(5)[0], TypeIDs: []int32{0, 0, 1, 1, 1}, PositionIDs: []int32{4, 3, 2, 1, 0}, Mask: []uint8{1, 1, 1, 1, 0}}
	x, err := m.Activations(t.Context(), ActivationsRequest{Inputs: []Input{{Raw: raw}}, Points: []string{"hook_full_embed", "pattern2", "embeddings"}, GradOf: "1"})
	if err != nil {
		t.Fatal(err)
	}
	s := started(t, m, Request{Input: Input{Raw: raw}, Target: "1", Output: sdk.Logit})
	base, shape := embeddingsOf(t, s)
	masks := sdk.NewTensor([]uint8{1, 1, 1, 1, 1}, 1, 5)
	for name, f := range map[string]*sdk.Forward{"masks": {Masks: masks}, "embeds": {Embeds: sdk.NewTensor(base, shape...)}} {
		f.Points = []string{"hook_full_embed", "pattern2"}
		reply, err := s.Gradient(t.Context(), f, []string{"embeddings"})
		if err != nil {
			t.Fatal(err)
		}
		for i, point := range []string{"hook_full_embed", "", "pattern2", "", "", sdk.Grad("embeddings")} {
			if point == "" {
				continue
			}
			if got, _ := get(t, reply, point, 0); !slices.Equal(got, x.Tensors[[]int{0, 0, 1, 0, 0, 5}[i]].Float64()) {
				t.Errorf("%s: %s differs", name, point)
			}
		}
	}
	// Embeddings in place of ids: there are none, and their gradient is there.
	embeds := started(t, m, Request{Input: Input{Raw: &Raw{Embeds: base}}, Target: "1"})
	reply, err := embeds.Gradient(t.Context(), &sdk.Forward{Masks: sdk.NewTensor([]uint8{1, 0, 1, 1, 1}, 1, 5), Fill: sdk.Fill{Kind: sdk.FillZero}, Points: []string{"hook_tokens", "embeddings"}}, []string{"embeddings"})
	if err != nil {
		t.Fatal(err)
	}
	if ids, _ := get(t, reply, "hook_tokens", 0); !slices.Equal(ids, []float64{-1, -1, -1, -1, -1}) {
		t.Errorf("ids of embeddings are %v", ids)
	}
	width := shape[2]
	if got, _ := get(t, reply, "embeddings", 0); slices.ContainsFunc(got[width:2*width], func(v float64) bool { return v != 0 }) || got[0] != float64(base[0]) {
		t.Error("embeddings are not those of the row")
	}
}

// TestInsideTogether: what all rows share is computed of all of them at once.
func TestInsideTogether(t *testing.T) {
	m := openGolden(t, "xlnet-seqcls", Options{})
	rows := sampleIDs(3, 8, 5)
	var inputs []Input
	for _, ids := range rows {
		inputs = append(inputs, Input{Raw: &Raw{IDs: ids}})
	}
	x, err := m.Activations(t.Context(), ActivationsRequest{Inputs: inputs, Points: []string{"blocks.1.attn.hook_r"}, GradOf: "0"})
	if err != nil {
		t.Fatal(err)
	}
	s := rawSession(t, m, Request{Target: "0", Output: sdk.Logit})
	s.blocks = 1
	reply, err := s.Gradient(t.Context(), &sdk.Forward{IDs: rows, Points: []string{"blocks.1.attn.hook_r"}}, []string{"blocks.1.attn.hook_r"})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"blocks.1.attn.hook_r", sdk.Grad("blocks.1.attn.hook_r")} {
		got, shape := get(t, reply, name, 0)
		if !slices.Equal(got, x.Tensors[i].Float64()) || !slices.Equal(shape, x.Tensors[i].Shape) {
			t.Errorf("%s: %v, want %v", name, shape, x.Tensors[i].Shape)
		}
	}
}

// TestInsideOfNothing: a forward without rows has points without rows.
func TestInsideOfNothing(t *testing.T) {
	s := rawSession(t, openGolden(t, "bert-seqcls", Options{}), Request{})
	reply, err := s.Gradient(t.Context(), &sdk.Forward{IDs: [][]int32{}, Points: []string{"pattern0", "hook_tokens"}}, []string{"embeddings"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int{"pattern0": {0, 4, 9, 9}, "hook_tokens": {0, 9}, sdk.Grad("embeddings"): {0, 9, 48}, sdk.ReplyTarget: {0}, sdk.ReplyLogits: {0, 3}} {
		if values, shape := get(t, reply, name, 0); len(values) != 0 || !slices.Equal(shape, want) {
			t.Errorf("%s has the shape %v", name, shape)
		}
	}
}

// TestInsideNeeds: the need of a point is that of what it is, by whatever name,
// glob, range or slice a method asks for it.
func TestInsideNeeds(t *testing.T) {
	bert, gpt, xlnet := openGolden(t, "bert-seqcls", Options{}), openGolden(t, "gpt2-seqcls", Options{}), openGolden(t, "xlnet-seqcls", Options{})
	const embeddings, hidden, attentions, activations = sdk.NeedEmbeddings, sdk.NeedHiddenStates, sdk.NeedAttentions, sdk.NeedActivations
	for _, c := range []struct {
		model *Model
		names string
		needs []sdk.Need
	}{
		{bert, "embeddings embeddings[0] embeddings[t=1] hook_embed embed embed.hook_out hook_emb??[d=0] *ook_embed", []sdk.Need{embeddings}},
		{bert, "hidden_states hidden_states[0] hidden_states[-1][t=0] hook_full_embed full_embed last_hidden_state resid_pre0 blocks.0-2.hook_resid_pre blocks.1.hook_in blocks.1.hook_out blocks.*.hook_normalized_resid_post blocks.?.hook_resid_pre[h=0]", []sdk.Need{hidden}},
		{bert, "attentions attentions[h=2] attentions[1][0] pattern1 attn0 attn_scores2 attn_logits2 blocks.0.attn.hook_pattern blocks.0-1.attn.hook_attn_scores *pattern *_attn_scores[t=0]", []sdk.Need{attentions}},
		{bert, "resid_mid0 z1 hook_tokens hook_pos_embed blocks.0.hook_attn_in q_input0 logits pooler_output blocks.1.hook_resid_post blocks.0.attn.hook_result", []sdk.Need{activations}},
		{bert, "hook_*embed", []sdk.Need{embeddings, activations, hidden}},
		{bert, "blocks.0.attn.*", []sdk.Need{activations, attentions}},
		{bert, "blocks.*.hook_resid*", []sdk.Need{hidden, activations}},
		{gpt, "hidden_states hidden_states[3] ln_final.hook_out blocks.2.hook_resid_post resid_pre1 blocks.0.hook_out", []sdk.Need{hidden}},
		{gpt, "resid_mid1 blocks.0.hook_normalized_resid_pos* ln_final.hook_normalized", []sdk.Need{activations}},
		{gpt, "embeddings embed", []sdk.Need{embeddings}},
		{xlnet, "embeddings hook_embed", []sdk.Need{embeddings}},
		{xlnet, "attentions attn_scores0 pattern2", []sdk.Need{attentions}},
		{xlnet, "hidden_states last_hidden_state hook_full_embed", []sdk.Need{hidden}},
		// Of rows with token types there is one more.
		{xlnet, "blocks.0.attn.hook_scores_content blocks.0.attn.hook_scores_segment blocks.0.attn.hook_scores_s*", []sdk.Need{activations}},
		{xlnet, "blocks.0.attn.hook*s*gment", []sdk.Need{activations}},
	} {
		s := rawSession(t, c.model, Request{})
		row := &Raw{IDs: s.enc.row.ids, TypeIDs: s.enc.row.types}
		for _, name := range strings.Fields(c.names) {
			needs, err := s.PointNeeds(name)
			if name == "blocks.0.hook_normalized_resid_pos*" || strings.HasSuffix(name, "hook_resid_pre[h=0]") {
				if !errors.Is(err, code(sdk.EName)) && !errors.Is(err, code(sdk.ERange)) {
					t.Errorf("%s: needs %v, %v", name, needs, err)
				}
				continue
			}
			if err != nil || !sameNeeds(needs, c.needs) {
				t.Errorf("%s of %s needs %v, %v, want %v", name, c.model.engine.Info().ModelType, needs, err, c.needs)
			}
			n := len(row.IDs)
			f := &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, n), 1, n), Points: []string{name}}
			if name == "logits" {
				continue // a name of every reply, which the contract refuses
			}
			request := &sdk.Request{Tokens: s.enc.tokens, Units: s.units}
			for _, missing := range c.needs {
				others := slices.DeleteFunc(sdk.Needs(), func(n sdk.Need) bool { return n == missing || n == activations })
				if _, err := contract.Model(s, sdk.Info{Needs: others}, request).Forward(t.Context(), f); !errors.Is(err, code(sdk.ECap)) {
					t.Errorf("%s without %s: %v", name, missing, err)
				}
				granted := append([]sdk.Need{sdk.NeedForward, sdk.NeedGradients}, c.needs...)
				if _, err := contract.Model(s, sdk.Info{Needs: granted}, request).Forward(t.Context(), f); err != nil {
					t.Errorf("%s with %v: %v", name, granted, err)
				}
				if slices.Equal(c.needs, []sdk.Need{embeddings}) {
					granted = []sdk.Need{sdk.NeedGradients}
				}
				if missing != activations || strings.HasPrefix(name, "z") {
					f := &sdk.Forward{Masks: f.Masks}
					if _, err := sdk.Gradient(t.Context(), contract.Model(s, sdk.Info{Needs: granted}, request), f, name); err != nil && !errors.Is(err, code(sdk.EUnsupported)) {
						t.Errorf("gradient at %s with %v: %v", name, granted, err)
					}
				}
			}
		}
	}
}

func sameNeeds(a, b []sdk.Need) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// TestInsideRefuses: what a method asks for without a meaning has the class of
// error that says so, and costs nothing.
func TestInsideRefuses(t *testing.T) {
	m := openGolden(t, "bert-seqcls", Options{}) // 331 ids, 40 positions, width 48
	s := rawSession(t, m, Request{})
	s.progress = func(int, int) { t.Error("something was computed") }
	rows := sampleIDs(6, 4)
	value := func(shape ...int) *sdk.Tensor {
		n := 1
		for _, dim := range shape {
			n *= dim
		}
		return sdk.NewTensor(make([]float32, n), shape...)
	}
	read := func(points ...string) *sdk.Forward { return &sdk.Forward{IDs: rows, Points: points} }
	edit := func(point string, op sdk.EditOp, v *sdk.Tensor) *sdk.Forward {
		return &sdk.Forward{IDs: rows, Edits: []sdk.Edit{{Point: point, Op: op, Value: v}}}
	}
	masks := func(fill sdk.Fill) *sdk.Forward {
		return &sdk.Forward{Masks: sdk.NewTensor([]uint8{1, 1, 1, 1, 1, 1, 1, 1, 0}, 1, 9), Fill: fill}
	}
	for name, c := range map[string]struct {
		f    *sdk.Forward
		wrt  []string
		code sdk.Errno
		says string
	}{
		"unknown point":            {read("blocks.0.attn.hook_patern"), nil, sdk.EName, "did you mean blocks.0.attn.hook_pattern or"},
		"unknown glob":             {read("blocks.*.nosuch"), nil, sdk.EName, "no name matches"},
		"no such layer":            {read("hidden_states[9]"), nil, sdk.EName, "ask for one of hidden_states[0] to hidden_states[3]"},
		"a list":                   {read("pattern0,pattern1"), nil, sdk.EName, "no point"},
		"syntax":                   {read("pattern0[h"), nil, sdk.EInvalid, "not closed"},
		"no such head":             {read("pattern0[h=7]"), nil, sdk.ERange, "axis H has 4 values"},
		"no such axis":             {read("pattern0[e=1]"), nil, sdk.ERange, "no axis"},
		"no such token":            {read("hook_embed[t=4]"), nil, sdk.ERange, "selects nothing of 2 rows of up to 6 tokens"},
		"no such row":              {read("hook_embed[2]"), nil, sdk.ERange, "selects nothing of 2 rows"},
		"no such id":               {read("hook_tokens[t=5]"), nil, sdk.ERange, "selects nothing"},
		"much":                     {read(slices.Repeat([]string{"*"}, 4000)...), nil, 0, ""},
		"too much":                 {read(globs(100)...), nil, sdk.ERange, "and 4096 is the most"},
		"gradient at ids":          {read(), []string{"hook_tokens"}, sdk.EUnsupported, "hook_tokens has no gradient"},
		"gradient at no point":     {read(), []string{"hook_embd"}, sdk.EName, "did you mean hook_embed"},
		"gradient at no head":      {read(), []string{"pattern0[h=4]"}, sdk.ERange, "4 values"},
		"edit of no point":         {edit("resid_pr1", sdk.EditZero, nil), nil, sdk.EName, "did you mean resid_pre1"},
		"edit of several":          {edit("attentions", sdk.EditZero, nil), nil, sdk.EInvalid, "of one point, and attentions stands for 3"},
		"edit of ids":              {edit("hook_tokens", sdk.EditZero, nil), nil, sdk.EUnsupported, "give other tokens"},
		"mean without positions":   {edit("pooler_output", sdk.EditMean, nil), nil, sdk.EUnsupported, "no positions"},
		"edit of nothing":          {edit("resid_pre1[t=7]", sdk.EditZero, nil), nil, sdk.ERange, "selects nothing"},
		"edit of the longer alone": {edit("resid_pre1[t=5]", sdk.EditZero, nil), nil, 0, ""},
		"edit by another rank":     {edit("resid_pre1", sdk.EditAdd, value(48)), nil, sdk.EInvalid, "takes values of the shape [B,T,D=48], not of [48]"},
		"edit by another width":    {edit("resid_pre1", sdk.EditAdd, value(1, 1, 47)), nil, sdk.EInvalid, "not of [1 1 47]"},
		"edit by other rows":       {edit("resid_pre1", sdk.EditAdd, value(3, 1, 1)), nil, sdk.EInvalid, "values for 3 rows, and selects 2"},
		"edit by other tokens":     {edit("resid_pre1", sdk.EditAdd, value(1, 6, 1)), nil, sdk.EInvalid, "[1 6 1], and selects [4 48] of a row"},
		"edit to no number":        {edit("resid_pre1", sdk.EditReplace, sdk.NewTensor([]float32{float32(math.NaN())}, 1)), nil, sdk.EInvalid, "not finite"},
		"embeddings of no number":  {&sdk.Forward{Embeds: sdk.NewTensor(slices.Repeat([]float32{float32(math.Inf(1))}, 9*48), 1, 9, 48)}, nil, sdk.EInvalid, "not finite"},
		"embeddings of a width":    {&sdk.Forward{Embeds: value(1, 9, 47)}, nil, sdk.EInvalid, "have the width 47, and the model's 48"},
		"unknown target":           {&sdk.Forward{IDs: rows, Target: "nosuch"}, nil, sdk.EName, `no class "nosuch"`},
		"id of nothing":            {&sdk.Forward{IDs: [][]int32{{5}, {5, 331}}}, nil, sdk.ERange, "token 1 of row 1 is 331, and the ids of the model are 0 to 330"},
		"id of the zero vector":    {&sdk.Forward{IDs: [][]int32{{5, engine.ZeroWord}}}, nil, sdk.ERange, "is -1"},
		"id of the mean":           {&sdk.Forward{IDs: [][]int32{{engine.MeanWord}}}, nil, sdk.ERange, "is -2"},
		"long row":                 {&sdk.Forward{IDs: sampleIDs(40, 41)}, nil, sdk.ERange, "row 1 has 41 tokens, and the model reads 40 at most"},
		"longest row":              {&sdk.Forward{IDs: sampleIDs(40)}, nil, 0, ""},
		"fill of nothing":          {masks(sdk.Fill{Kind: sdk.FillToken, Token: 331}), nil, sdk.ERange, "the fill token is 331"},
		"fill of the zero vector":  {masks(sdk.Fill{Kind: sdk.FillToken, Token: -1}), nil, sdk.ERange, "is -1"},
		"texts without tokenizer":  {&sdk.Forward{Texts: []string{"a"}}, nil, sdk.EUnsupported, "no tokenizer"},
	} {
		t.Run(name, func(t *testing.T) {
			before := [3]int{s.evaluations, s.unique, len(s.answers)}
			if c.code == 0 || strings.Contains(c.says, "finite") {
				progress := s.progress
				s.progress = nil
				defer func() { s.progress = progress }()
			}
			calls := []func() error{
				func() error { _, err := s.Forward(t.Context(), c.f); return err },
				func() error { _, err := s.inspect(t.Context(), c.f, nil); return err }, // a row of ids by itself
			}
			if c.wrt != nil {
				calls = nil
			}
			calls = append(calls, func() error {
				_, err := s.Gradient(t.Context(), c.f, append(slices.Clone(c.wrt), "embeddings"))
				return err
			})
			for i, call := range calls {
				err := call()
				if c.code == 0 {
					if err != nil {
						t.Errorf("call %d: %v", i, err)
					}
					continue
				}
				if !errors.Is(err, code(c.code)) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("call %d: %v", i, err)
				}
				if after := [3]int{s.evaluations, s.unique, len(s.answers)}; after != before {
					t.Errorf("call %d: counters %v, before %v", i, after, before)
				}
			}
		})
	}
}

// globs are different names of all points.
func globs(n int) (names []string) {
	for i := range n {
		names = append(names, strings.Repeat("*", i+1))
	}
	return names
}

// TestInsideOfInt8: a model in 8 bits is read and edited, and has no gradients.
func TestInsideOfInt8(t *testing.T) {
	s := rawSession(t, openGolden(t, "bert-seqcls", Options{DType: "int8"}), Request{})
	f := &sdk.Forward{IDs: sampleIDs(4), Points: []string{"attentions"}, Edits: []sdk.Edit{{Point: "mlp_out0", Op: sdk.EditZero}}}
	if _, err := s.Forward(t.Context(), f); err != nil {
		t.Error(err)
	}
	if _, err := s.Gradient(t.Context(), f, []string{"embeddings"}); !errors.Is(err, code(sdk.EUnsupported)) || !strings.Contains(err.Error(), "has no gradient in a model of 8 bits, which goes in steps: open it as f32") {
		t.Errorf("gradient: %v", err)
	}
}

// TestInsideMemory: what does not fit is refused with the figure before anything
// is computed, and what fits in blocks is computed in blocks.
func TestInsideMemory(t *testing.T) {
	const budget = 6 << 20
	small, large := openGolden(t, "bert-seqcls", Options{Memory: budget, Threads: 1}), openGolden(t, "bert-seqcls", Options{})
	ids := sampleIDs(40)
	patterns := func(n int) *sdk.Forward { // 76800 bytes a row
		return &sdk.Forward{IDs: slices.Repeat(ids, n), Points: []string{"attentions"}}
	}
	s := rawSession(t, small, Request{})
	s.progress = func(int, int) { t.Error("something was computed") }
	_, err := s.Forward(t.Context(), patterns(200))
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, code(sdk.ENoMem)) || e.Kind != KindInput || !is[*engine.MemoryError](err) ||
		!strings.Contains(e.Msg, "the points and gradients need 14.7 MiB of memory, more than the budget of 6.0 MiB") || !strings.Contains(e.Hint, "--memory") {
		t.Errorf("200 rows: %v", err)
	}
	if err := methodError("m", err); KindOf(err) != KindInput || strings.Contains(err.Error(), "method m") {
		t.Errorf("for the user: %v", err)
	}
	_, err = s.Forward(contract.WithReply(t.Context(), 1<<20), patterns(20))
	if !errors.Is(err, code(sdk.EQuota)) || !strings.Contains(err.Error(), "of 20 rows take 1.5 MiB, and the method may hold 1.0 MiB more") {
		t.Errorf("20 rows: %v", err)
	}
	if s.evaluations != 0 {
		t.Errorf("%d evaluations", s.evaluations)
	}
	// Beyond any integer.
	_, err = s.Forward(t.Context(), &sdk.Forward{IDs: slices.Repeat(ids, 100), Points: slices.Repeat([]string{"attentions"}, 1)})
	if !errors.Is(err, code(sdk.ENoMem)) {
		t.Errorf("100 rows beside the weights: %v", err)
	}
	s.progress = nil
	f := patterns(30) // which takes 2.3 MB beside the weights, and as much again at once
	got, err := s.Forward(contract.WithReply(t.Context(), 4<<20), f)
	if err != nil {
		t.Fatal(err)
	}
	want, err := rawSession(t, large, Request{}).Forward(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		a, _ := get(t, want, "attentions", i)
		if b, _ := get(t, got, "attentions", i); !slices.Equal(a, b) {
			t.Errorf("layer %d has other patterns in blocks", i)
		}
	}
	// A thousand steps of a line, whose gradients are kept.
	base, shape := embeddingsOf(t, s)
	shape[0] = 1000
	if _, err := s.Gradient(t.Context(), &sdk.Forward{Embeds: sdk.NewTensor(slices.Repeat(base, 1000), shape...)}, []string{"embeddings"}); err != nil {
		t.Errorf("a thousand steps: %v", err)
	}
	if _, err := s.Gradient(t.Context(), &sdk.Forward{Embeds: sdk.NewTensor(slices.Repeat(base, 1000), shape...)}, []string{"*"}); !errors.Is(err, code(sdk.ENoMem)) {
		t.Errorf("a thousand steps at every point: %v", err)
	}
}

// TestInsideCancelled: a call that is cancelled, in a block or between two, ends
// as such and leaves the session as it was.
func TestInsideCancelled(t *testing.T) {
	m := openGolden(t, "bert-seqcls", Options{Threads: 2})
	f := &sdk.Forward{IDs: slices.Repeat(sampleIDs(20), 64), Points: []string{"attentions"}}
	for _, blocks := range []float64{0, 1} {
		s := rawSession(t, m, Request{})
		s.blocks = blocks
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		s.progress = func(int, int) {
			if calls++; calls == 3 {
				cancel()
			}
		}
		if _, err := s.Gradient(ctx, f, []string{"embeddings"}); !errors.Is(err, context.Canceled) || calls > 20 {
			t.Errorf("after %d calls: %v", calls, err)
		}
		if s.evaluations+s.unique != 0 || len(s.answers) != 1 {
			t.Errorf("%d evaluations, %d answers", s.evaluations, len(s.answers))
		}
		if _, err := s.Forward(ctx, f); !errors.Is(err, context.Canceled) {
			t.Errorf("from the start: %v", err)
		}
	}
}

// TestInsideIsNotRemembered: rows that are looked into do not become known, and
// those that are known are not taken for them.
func TestInsideIsNotRemembered(t *testing.T) {
	m := openGolden(t, "bert-seqcls", Options{})
	s := rawSession(t, m, Request{})
	rows := sampleIDs(6, 6)
	rows[1] = rows[0]
	zero := &sdk.Forward{IDs: rows, Edits: []sdk.Edit{{Point: "mlp_out1", Op: sdk.EditZero}}}
	known := len(m.cache.entries)
	var results [3][]float64
	for i, f := range []*sdk.Forward{zero, {IDs: rows}, zero} {
		reply, err := s.Forward(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		results[i], _ = get(t, reply, sdk.ReplyLogits, 0)
	}
	if !slices.Equal(results[0], results[2]) || slices.Equal(results[0], results[1]) {
		t.Errorf("edited, not, and edited again: %v", results)
	}
	if len(m.cache.entries) != known+1 || s.evaluations != 6 || s.unique != 5 || s.hits != 0 {
		t.Errorf("%d more rows are remembered; %d evaluations, %d distinct, %d hits", len(m.cache.entries)-known, s.evaluations, s.unique, s.hits)
	}
	if diff := cmp.Diff(results[0][:3], results[0][3:]); diff != "" {
		t.Errorf("equal rows differ:\n%s", diff)
	}
}

// TestInsideTruncates: rows are built twice, and those that had to be cut count
// once, whether their points are read or not, and not at all where the call
// fails.
func TestInsideTruncates(t *testing.T) {
	m := openGolden(t, "bert-text", Options{})
	s := started(t, m, Request{Input: Input{Text: "the film was good"}})
	long := strings.Repeat("film ", 2*m.MaxTokens())
	for i, f := range []*sdk.Forward{
		{Texts: []string{long, "film", long + "good"}},
		{Texts: []string{long, "film", long + "good"}, Points: []string{"embeddings"}},
	} {
		if _, err := s.Forward(t.Context(), f); err != nil || s.truncated != 2*(i+1) {
			t.Errorf("%d rows were cut: %v", s.truncated, err)
		}
	}
	if _, err := s.Forward(t.Context(), &sdk.Forward{Texts: []string{long}, Points: []string{"nosuch"}}); err == nil || s.truncated != 4 {
		t.Errorf("%d rows were cut: %v", s.truncated, err)
	}
}

// TestGradientOfALabel: a target is what parseTarget has found, whatever its label
// looks like.
func TestGradientOfALabel(t *testing.T) {
	m := openGolden(t, "bert-seqcls", Options{})
	m.labels = []string{"0", "logits[0,2]", "a - b"}
	var want []float64
	for i, expr := range []string{"1", "logits[0,2]", "label:logits[0,2]"} {
		s := rawSession(t, m, Request{Output: sdk.Prob})
		reply, err := s.Gradient(t.Context(), &sdk.Forward{IDs: sampleIDs(5), Target: expr}, []string{"embeddings"})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := get(t, reply, sdk.Grad("embeddings"), 0)
		if i == 0 {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%s has another gradient than class 1", expr)
		}
	}
}
