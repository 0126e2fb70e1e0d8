package engine_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
)

// mixed are requests of all sorts on one model.
func mixed(m *engine.Model, in engine.Input) map[string][]engine.ForwardOption {
	random := rand.New(rand.NewPCG(1, 11))
	points, objective := differentiable(m, in), quadratic(2)
	return map[string][]engine.ForwardOption{
		"logits":          nil,
		"captures":        {engine.Capture(points...)},
		"gradients":       {engine.Gradients(objective, points...)},
		"computed again":  {engine.Gradients(objective, points[0]), engine.Recompute()},
		"edits":           {engine.Edits(randomEdits(random, m, in, 4)...), engine.Capture(points[:4]...)},
		"edited gradient": {engine.Edits(randomEdits(random, m, in, 2)...), engine.Gradients(objective, points...)},
	}
}

// numbers returns all that a forward gives.
func numbers(out *engine.Output) (all []float64) {
	all = append(slices.Clone(out.Logits.Float64()), out.Objectives...)
	for _, list := range [][]engine.Activation{out.Values, out.Gradients} {
		for _, a := range list {
			all = append(all, joined(a)...)
		}
	}
	return all
}

// TestMixed runs requests of all sorts at the same time, on memory for few of
// them: each gives what it gives alone.
func TestMixed(t *testing.T) {
	for _, i := range []int{0, 10, 14} { // BERT, GPT-2, XLNet
		k := kinds()[i]
		fsys := k.folder(t, 9)
		m := open(t, fsys, engine.WithThreads(3))
		w := inputs(m.Info())[len(inputs(m.Info()))-1]
		in := w.input(m.Info(), 9, 9, 2, 30, 5)
		want := map[string][]float64{}
		for name, opts := range mixed(m, in) {
			want[name] = numbers(forward(t, m, in, opts...))
		}
		small := shortOf(t, fsys, in, engine.Capture(differentiable(m, in)...), engine.Gradients(quadratic(2), differentiable(m, in)...))
		var callers sync.WaitGroup
		for range 3 {
			for name, opts := range mixed(small, in) {
				callers.Go(func() {
					out, err := small.Forward(t.Context(), in, opts...)
					if err != nil {
						t.Errorf("%s, %s: %v", k.name, name, err)
					} else if !equalBits(numbers(out), want[name]) {
						t.Errorf("%s, %s: other values beside other requests", k.name, name)
					}
				})
			}
		}
		callers.Wait()
	}
}

// equalBits is [slices.Equal] that takes NaN for equal.
func equalBits(x, y []float64) bool {
	return slices.EqualFunc(x, y, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
}

// TestCancelAnywhere cancels forwards at all times of their course: they end
// soon, and leave the model as it was.
func TestCancelAnywhere(t *testing.T) {
	s := shape{vocabulary: 50, positions: 400, hidden: 96, layers: 3, heads: 4, intermediate: 200, classes: 2}
	for _, threads := range []int{1, 2} {
		m := open(t, s.model(t), engine.WithThreads(threads))
		in := randomInput(m.Info(), 4, 380)
		whole := selectPoint(t, m, in, "embed")
		objective := quadratic(1)
		request := engine.Gradients(objective, whole)
		start := time.Now()
		want := numbers(forward(t, m, in, request))
		length := time.Since(start)
		cancelled := 0
		for i := range 12 {
			ctx, cancel := context.WithTimeout(t.Context(), length*time.Duration(i)/12)
			_, err := m.Forward(ctx, in, request)
			cancel()
			if err != nil {
				cancelled++
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%d threads: %v", threads, err)
				}
			}
		}
		if cancelled == 0 {
			t.Errorf("%d threads: no forward was cancelled", threads)
		}
		// From inside, between forward and back.
		ctx, cancel := context.WithCancel(t.Context())
		_, err := m.Forward(ctx, in, engine.Gradients(func(i int, x, grad []float64) float64 {
			cancel()
			return objective(i, x, grad)
		}, whole))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d threads: cancelled by the objective: %v", threads, err)
		}
		if !slices.Equal(numbers(forward(t, m, in, request)), want) {
			t.Errorf("%d threads: other values after forwards that were cancelled", threads)
		}
	}
}

// TestBadObjectives: what an objective does wrong stays with its own sequence or
// its own forward.
func TestBadObjectives(t *testing.T) {
	for _, threads := range []int{1, 4} {
		m := open(t, odd.model(t), engine.WithThreads(threads))
		in := randomInput(m.Info(), 5, 60, 9, 70, 12, 80, 30, 90)
		whole := selectPoint(t, m, in, "embed")
		good := quadratic(1)
		want := forward(t, m, in, engine.Gradients(good, whole))
		out := forward(t, m, in, engine.Gradients(func(i int, x, grad []float64) float64 {
			v := good(i, x, grad)
			for j := range x {
				x[j] = 7 // its own copy
			}
			if i == 3 {
				grad[0] = math.NaN()
				return math.Inf(1)
			}
			return v
		}, whole))
		for i, g := range out.Gradients[0].Sequences {
			if i == 3 {
				if !slices.ContainsFunc(g.Float64(), math.IsNaN) || !math.IsInf(out.Objectives[i], 1) {
					t.Errorf("a gradient of NaN gives %v", g.Float64()[:3])
				}
			} else if !slices.Equal(g.Float64(), want.Gradients[0].Sequences[i].Float64()) || out.Objectives[i] != want.Objectives[i] {
				t.Errorf("sequence %d suffers from another's NaN", i)
			}
		}
		if !slices.Equal(out.Logits.Float64(), want.Logits.Float64()) {
			t.Error("an objective changes the logits")
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic of an objective is lost")
				}
			}()
			_, err := m.Forward(t.Context(), in, engine.Gradients(func(i int, x, grad []float64) float64 {
				if i == 2 {
					panic("mine")
				}
				return good(i, x, grad)
			}, whole))
			t.Errorf("a forward whose objective panics returned %v", err)
		}()
		if !slices.Equal(numbers(forward(t, m, in, engine.Gradients(good, whole))), numbers(want)) {
			t.Errorf("%d threads: other values after a panic", threads)
		}
	}
}

// TestDuplicates: positions that are read or predicted twice are answered twice,
// and both count in gradients.
func TestDuplicates(t *testing.T) {
	m := openGolden(t, "bert-mlm", engine.WithDType(engine.F64))
	in := engine.Input{IDs: []int32{5, 6, 7, 8, 9}, Lengths: []int{3, 2}, Reads: [][]int{{2, 0, 2}, {}}}
	once := engine.Input{IDs: in.IDs, Lengths: in.Lengths, Reads: [][]int{{2, 0}, {}}}
	double := func(sequence int, x, grad []float64) float64 { // of the first row and all of its repetitions
		sum, classes := 0.0, m.Info().Outputs
		for at := 0; at+3 < len(x); at += 2 * classes {
			grad[at+3], sum = 1, sum+x[at+3]
		}
		return sum
	}
	embed := selectPoint(t, m, in, "embed")
	two, one := forward(t, m, in, engine.Gradients(double, embed)), forward(t, m, once, engine.Gradients(double, embed))
	if !slices.Equal(two.Starts, []int{0, 3, 3}) || !slices.Equal(two.Row(0), two.Row(2)) || slices.Equal(two.Row(0), two.Row(1)) {
		t.Errorf("rows %v", two.Starts)
	}
	for i, v := range joined(two.Gradients[0]) {
		if want := 2 * joined(one.Gradients[0])[i]; !near(v, want, 1e-12) {
			t.Fatalf("gradient %v, want %v", v, want)
		}
	}
	if two.Objectives[0] != 2*one.Objectives[0] || two.Objectives[1] != 0 {
		t.Errorf("objectives %v, once %v", two.Objectives, one.Objectives)
	}
	x := openGolden(t, "xlnet-lm", engine.WithDType(engine.F64))
	twice := engine.Input{IDs: []int32{5, 6, 7, 8}, Targets: [][]int{{3, 1, 3}}}
	checkGradients(t, x, twice, nil, differentiable(x, twice))
	edit := point.Edit{Selection: selectPoint(t, x, twice, "blocks.0.g.attn.hook_pattern[p=0]"), Op: point.Add, Values: []float64{0.25}}
	checkGradients(t, x, twice, []point.Edit{edit}, []point.Selection{selectPoint(t, x, twice, "blocks.0.g.attn.hook_pattern"), selectPoint(t, x, twice, "embed")})
}
