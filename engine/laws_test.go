package engine_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// editable returns the whole of every point of a model that can be edited.
func editable(m *engine.Model, in engine.Input) (all []point.Selection) {
	for _, p := range m.Graph(in).Points {
		if p.Editable {
			all = append(all, wholeOf(p))
		}
	}
	return all
}

// replaces returns the edits that put captured values, sequence by sequence,
// where they were captured.
func replaces(a engine.Activation) []point.Edit {
	var values [][]float64
	for _, s := range a.Sequences {
		values = append(values, s.Float64())
	}
	edits := adds(a, values, 1)
	for i := range edits {
		edits[i].Op = point.Replace
	}
	return edits
}

// farthest returns the largest difference of two lists of numbers, relative to
// the largest of them.
func farthest(t testing.TB, x, y []float64) float64 {
	t.Helper()
	if len(x) != len(y) {
		t.Fatalf("%d and %d values", len(x), len(y))
	}
	top, worst := 1.0, 0.0
	for i := range x {
		top = max(top, math.Abs(x[i]), math.Abs(y[i]))
		worst = max(worst, math.Abs(x[i]-y[i]))
		if math.IsNaN(x[i]) != math.IsNaN(y[i]) {
			return math.Inf(1)
		}
	}
	return worst / top
}

// apart tells whether an edit of a point makes the model compute head by head
// what it computes in one sum otherwise, or sum over hidden keys whose weight is
// 0, so that logits may differ by rounding.
func apart(p arch.Point) bool {
	return p.Stage == arch.Result || p.Stage == arch.Scores || p.Stage == arch.Pattern || p.Stage == arch.Divisor ||
		p.Stage == arch.Normalized || strings.HasSuffix(p.Name, "_input")
}

// TestNeutralEdits: putting a point's own values back, adding 0 and multiplying
// by 1 change no bit of the logits, or no more than rounding where the edit
// makes sums be taken apart.
func TestNeutralEdits(t *testing.T) {
	for _, k := range kinds() {
		m := open(t, k.folder(t, 2), engine.WithThreads(2))
		for _, w := range inputs(m.Info()) {
			in := w.input(m.Info(), 3, 7, 2)
			points := k.points(editable(m, in))
			plain := forward(t, m, in)
			captured := forward(t, m, in, engine.Capture(points...))
			if !slices.Equal(captured.Logits.F32, plain.Logits.F32) {
				t.Errorf("%s, %v: captures change the logits", k.name, w)
			}
			for i, p := range points {
				for name, edits := range map[string][]point.Edit{
					"its own values": replaces(captured.Values[i]),
					"0 more":         {{Selection: p, Op: point.Add, Values: []float64{0}}},
					"1 times":        {{Selection: p, Op: point.Multiply, Values: []float64{1}}},
				} {
					got := forward(t, m, in, engine.Edits(edits...))
					bound := 0.0
					if apart(p.Point) {
						bound = 3e-6
					}
					if d := farthest(t, got.Logits.Float64(), plain.Logits.Float64()); !(d <= bound) {
						t.Errorf("%s, %v: %s with %s gives logits that differ by %.3g", k.name, w, p.Name, name, d)
					}
				}
			}
		}
	}
}

// TestObjectiveLaws: gradients are linear in the objective, follow the chain
// rule, and are 0 where nothing reaches the logits.
func TestObjectiveLaws(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 9))
	for _, k := range kinds() {
		m := open(t, k.folder(t, 3), engine.WithDType(engine.F64), engine.WithThreads(2))
		w := inputs(m.Info())[len(inputs(m.Info()))-1]
		in := w.input(m.Info(), 4, 4, 6)
		points := differentiable(m, in)
		one, two, a := quadratic(1), quadratic(2), random.NormFloat64()
		sum := func(sequence int, x, grad []float64) float64 {
			g := make([]float64, len(grad))
			v := one(sequence, x, grad) + a*two(sequence, x, g)
			for i := range grad {
				grad[i] += a * g[i]
			}
			return v
		}
		chain := func(sequence int, x, grad []float64) float64 { // sin of the first
			v := one(sequence, x, grad)
			for i := range grad {
				grad[i] *= math.Cos(v)
			}
			return math.Sin(v)
		}
		run := func(o engine.Objective) *engine.Output { return forward(t, m, in, engine.Gradients(o, points...)) }
		of1, of2, ofSum, ofChain := run(one), run(two), run(sum), run(chain)
		for i, p := range points {
			for s := range of1.Gradients[i].Sequences {
				g1, g2 := of1.Gradients[i].Sequences[s].Float64(), of2.Gradients[i].Sequences[s].Float64()
				var want, chained []float64
				for j := range g1 {
					want = append(want, g1[j]+a*g2[j])
					chained = append(chained, g1[j]*math.Cos(of1.Objectives[s]))
				}
				if d := farthest(t, ofSum.Gradients[i].Sequences[s].Float64(), want); !(d < 1e-12) {
					t.Errorf("%s: the gradient at %s of a sum is off by %.3g", k.name, p.Name, d)
				}
				if p.Point.Axes[0].Letter != "B" {
					continue // the sum over sequences has no single factor
				}
				if d := farthest(t, ofChain.Gradients[i].Sequences[s].Float64(), chained); !(d < 1e-12) {
					t.Errorf("%s: the gradient at %s of a function of the objective is off by %.3g", k.name, p.Name, d)
				}
			}
		}
		for i, v := range of1.Objectives {
			if want := v + a*of2.Objectives[i]; !near(ofSum.Objectives[i], want, 1e-12) || !near(ofChain.Objectives[i], math.Sin(v), 1e-12) {
				t.Errorf("%s: objectives %v and %v of %v", k.name, ofSum.Objectives[i], ofChain.Objectives[i], v)
			}
		}
	}
}

// TestUnreached: with targets, the content stream of XLNet's last layer reaches
// no logit. Its gradients are 0, and objectives have their values all the same.
func TestUnreached(t *testing.T) {
	m := openGolden(t, "xlnet-lm")
	in := engine.Input{IDs: []int32{5, 6, 7, 8}, Targets: [][]int{{3}}}
	last := "blocks.2.hook_normalized_resid_post"
	objective := quadratic(1)
	out := forward(t, m, in, engine.Gradients(objective, selectPoint(t, m, in, last)))
	for _, g := range joined(out.Gradients[0]) {
		if g != 0 {
			t.Fatalf("%s has the gradient %v", last, joined(out.Gradients[0]))
		}
	}
	if want := total(out, objective); want == 0 || out.Objectives[0] != want {
		t.Errorf("the objective is %v, want %v", out.Objectives[0], want)
	}
}

// TestHeadsAddUp: what the heads contribute, and the bias of the layer behind
// them, are what attention adds to the residual stream.
func TestHeadsAddUp(t *testing.T) {
	for _, k := range kinds() {
		m := open(t, k.folder(t, 4), engine.WithDType(engine.F64))
		w := inputs(m.Info())[len(inputs(m.Info()))-1]
		in := w.input(m.Info(), 5, 5, 3)
		for _, p := range editable(m, in) {
			if p.Point.Stage != arch.Result {
				continue
			}
			attention := selectPoint(t, m, in, strings.Replace(p.Name, "attn.hook_result", "hook_attn_out", 1))
			whole := forward(t, m, in, engine.Capture(p, attention))
			none := forward(t, m, in, engine.Capture(attention), engine.Edits(point.Edit{Selection: p, Values: []float64{0}}))
			for s, heads := range whole.Values[0].Sequences {
				want := slices.Clone(none.Values[0].Sequences[s].Float64()) // the bias alone
				d, h := m.Info().Hidden, m.Info().Heads
				for i, v := range heads.Float64() {
					want[i/(h*d)*d+i%d] += v
				}
				if off := farthest(t, whole.Values[1].Sequences[s].Float64(), want); !(off < 1e-13) {
					t.Errorf("%s: %s is off by %.3g", k.name, p.Name, off)
				}
			}
		}
	}
}

// TestDisjointEditsCommute: edits of parts of a point that do not overlap give
// the same bits in any order, and those of one sequence, position or head leave
// the rest of the point alone.
func TestDisjointEditsCommute(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for _, k := range kinds() {
		if !k.first {
			continue
		}
		m := open(t, k.folder(t, 5), engine.WithThreads(2))
		w := inputs(m.Info())[len(inputs(m.Info()))-1]
		in := w.input(m.Info(), 6, 5, 4)
		for _, p := range editable(m, in) {
			axis := random.IntN(len(p.Point.Axes))
			first, rest := randomEdit(random, p.Point), randomEdit(random, p.Point)
			first.Ranges[axis], rest.Ranges[axis] = point.Range{Lo: 0, Hi: 1}, point.Range{Lo: 1, Hi: point.End}
			for _, e := range []*point.Edit{&first, &rest} {
				if e.Op == point.Mean {
					e.Op = point.Add
				}
				e.Values, e.Shape = []float64{0.5 + random.Float64()}, nil
			}
			before := forward(t, m, in, engine.Capture(p), engine.Edits(first, rest))
			after := forward(t, m, in, engine.Capture(p), engine.Edits(rest, first))
			if !slices.Equal(before.Logits.F32, after.Logits.F32) {
				t.Errorf("%s: edits of %s do not commute", k.name, p.Name)
			}
			plain := forward(t, m, in, engine.Capture(p))
			edited := forward(t, m, in, engine.Capture(p), engine.Edits(first))
			for s, x := range plain.Values[0].Sequences {
				was, is := x.Float64(), edited.Values[0].Sequences[s].Float64()
				for i, selected := range chosen(first.Selection, x.Shape, s, len(in.Lengths)) {
					want := was[i]
					if selected {
						want = float64(edit32(first, float32(want)))
					}
					if is[i] != want && !(math.Abs(is[i]-want) <= 1e-5*(1+math.Abs(want)) && apart(p.Point)) {
						t.Fatalf("%s: value %d of %s in sequence %d is %v, was %v; selected: %v", k.name, i, p.Name, s, is[i], was[i], selected)
					}
				}
			}
		}
	}
}

// edit32 is what an edit by a constant makes of a value.
func edit32(e point.Edit, x float32) float32 {
	switch y := float32(e.Values[0]); {
	case e.Op == point.Add:
		return x + y
	case e.Op == point.Multiply:
		return x * y
	default:
		return y
	}
}

// chosen tells which values of a point a selection has in one of n sequences.
// The point may be one that all sequences share.
func chosen(s point.Selection, shape []int, sequence, n int) []bool {
	if s.Point.Axes[0].Letter != "B" {
		s.Ranges, sequence, n = slices.Insert(slices.Clone(s.Ranges), 0, point.All), 0, 1
	}
	return inside(s, shape, sequence, n)
}

// TestMean: the mean is that over all positions of the sequence, of each column,
// and takes the place of those that are selected alone; in attention, it is that
// over the keys that the query sees.
func TestMean(t *testing.T) {
	m := openGolden(t, "gpt2-lm", engine.WithDType(engine.F64))
	in := engine.Input{IDs: []int32{5, 6, 7, 8, 9, 10, 11}, Lengths: []int{4, 3}}
	for _, spec := range []string{
		"resid_pre1[t=2]", "resid_post0[t=1:]", "resid_post0[1]", "z1[h=2]", "result1[h=1:3,t=:-1]", "q_input1[h=0]", "mlp_out2", "logits[t=-1,v=3]",
	} {
		p := selectPoint(t, m, in, spec)
		whole := wholeOf(p.Point)
		out := forward(t, m, in, engine.Capture(whole))
		got := forward(t, m, in, engine.Capture(whole), engine.Edits(point.Edit{Selection: p, Op: point.Mean}))
		for s, x := range out.Values[0].Sequences {
			rows := x.Shape[0]
			width := x.Len() / rows
			want := slices.Clone(x.Float64())
			for i, selected := range chosen(p, x.Shape, s, len(in.Lengths)) {
				if !selected {
					continue
				}
				want[i] = 0
				for r := range rows {
					want[i] += x.Float64()[r*width+i%width] / float64(rows)
				}
			}
			if d := farthest(t, got.Values[0].Sequences[s].Float64(), want); !(d < 1e-13) {
				t.Errorf("the mean of %s is off by %.3g", spec, d)
			}
		}
	}
	scores := selectPoint(t, m, in, "attn_scores1")
	out := forward(t, m, in, engine.Capture(scores, selectPoint(t, m, in, "pattern1")), engine.Edits(point.Edit{Selection: scores, Op: point.Mean}))
	for s, pattern := range out.Values[1].Sequences {
		n := pattern.Shape[1]
		for i, v := range pattern.Float64() {
			query, key := i/n%n, i%n
			want := 0.0
			if key <= query {
				want = 1 / float64(query+1)
			}
			if math.Abs(v-want) > 1e-15 {
				t.Errorf("query %d of sequence %d weighs key %d by %v", query, s, key, v)
			}
		}
	}
}
