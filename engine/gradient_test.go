package engine_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
)

// near tells whether two numbers agree to a relative precision, of which small
// ones need less.
func near(x, y, precision float64) bool {
	return math.Abs(x-y) <= precision*(1+math.Abs(x)+math.Abs(y))
}

// eachForm runs a test on every kind of model in double precision, with inputs
// of every form that it takes.
func eachForm(t *testing.T, f func(t *testing.T, k kind, m *engine.Model, in engine.Input)) {
	for _, k := range kinds() {
		m := open(t, k.folder(t, 1), engine.WithDType(engine.F64), engine.WithThreads(2))
		for _, w := range inputs(m.Info()) {
			t.Run(k.name+"/"+w.String(), func(t *testing.T) { f(t, k, m, w.input(m.Info(), 2, 5, 1, 3)) })
		}
	}
}

// TestGradients holds the gradient with respect to every point of every kind of
// model to differences of the objective.
func TestGradients(t *testing.T) {
	eachForm(t, func(t *testing.T, k kind, m *engine.Model, in engine.Input) {
		checkGradients(t, m, in, nil, k.points(differentiable(m, in)))
	})
}

// TestGradientsOfEdited does so where values are edited on the way, at these
// points and at others: the gradient is that at the edited value.
func TestGradientsOfEdited(t *testing.T) {
	seed := uint64(0)
	eachForm(t, func(t *testing.T, _ kind, m *engine.Model, in engine.Input) {
		for range 2 {
			seed++
			random := rand.New(rand.NewPCG(seed, 6))
			edits := randomEdits(random, m, in, 3)
			points := differentiable(m, in)
			random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
			points = points[:5]
			for _, e := range edits {
				points = append(points, wholeOf(e.Point))
			}
			if checkGradients(t, m, in, edits, points); t.Failed() {
				for _, e := range edits {
					t.Logf("edit %d of %s %v by %v %v", e.Op, e.Name, e.Ranges, e.Shape, e.Values)
				}
				t.FailNow()
			}
		}
	})
}

// TestGradientsOfEditedScores does so for means and factors of scores some of
// which are hidden, and for hidden ones that an edit shows.
func TestGradientsOfEditedScores(t *testing.T) {
	for _, i := range []int{0, 10, 15} { // BERT, GPT-2 and a causal XLNet
		m := open(t, kinds()[i].folder(t, 4), engine.WithDType(engine.F64))
		in := with{mask: true, types: true}.input(m.Info(), 6, 6, 3)
		scores := selectPoint(t, m, in, "attn_scores0")
		part := func(op point.Op, lo, hi int, values ...float64) point.Edit {
			s := scores
			s.Ranges = slices.Clone(s.Ranges)
			s.Ranges[3] = point.Range{Lo: lo, Hi: hi}
			return point.Edit{Selection: s, Op: op, Values: values}
		}
		mean, show, factor := part(point.Mean, 1, 5), part(point.Replace, 2, 4, 0.5), part(point.Multiply, 0, point.End, -2)
		for _, edits := range [][]point.Edit{{mean}, {mean, show}, {show, mean}, {factor}, {factor, show, mean, factor}} {
			checkGradients(t, m, in, edits, []point.Selection{scores, selectPoint(t, m, in, "embed"), selectPoint(t, m, in, "pattern0")})
		}
	}
}

// TestGradientsOfMeanRows does so for means that take the place of some positions
// of a sequence: all of them share in these.
func TestGradientsOfMeanRows(t *testing.T) {
	for _, i := range []int{0, 10, 14} { // BERT, GPT-2 and XLNet
		m := open(t, kinds()[i].folder(t, 4), engine.WithDType(engine.F64))
		in := with{mask: true, types: true}.input(m.Info(), 6, 6, 3)
		for _, spec := range []string{"resid_pre1[t=1]", "z0[t=1:3,h=1]", "k1[1,:2]"} {
			edit := point.Edit{Selection: selectPoint(t, m, in, spec), Op: point.Mean}
			checkGradients(t, m, in, []point.Edit{edit}, []point.Selection{wholeOf(edit.Point), selectPoint(t, m, in, "embed")})
		}
	}
}

// checkGradients compares the gradients of points, each alone and all together,
// with differences, with edits in place.
func checkGradients(t *testing.T, m *engine.Model, in engine.Input, edits []point.Edit, points []point.Selection) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	objective := quadratic(5)
	together := forward(t, m, in, engine.Edits(edits...), engine.Gradients(objective, points...))
	for i, p := range points {
		alone := forward(t, m, in, engine.Edits(edits...), engine.Gradients(objective, p)).Gradients[0]
		direction := directions(random, alone)
		got := along(alone, direction)
		if other := along(together.Gradients[i], direction); !near(got, other, 1e-11) {
			t.Errorf("%s: slope %v, but %v beside other gradients", p.Name, got, other)
		}
		if !p.Point.Editable {
			continue
		}
		want := slope(func(h float64) float64 {
			moved := slices.Concat(edits, adds(alone, direction, h))
			return total(forward(t, m, in, engine.Edits(moved...)), objective)
		})
		if !near(got, want, 2e-6) {
			t.Errorf("%s: slope %v, want %v", p.Name, got, want)
		}
	}
}

// TestGradientsOfLong holds the gradients of sequences whose attention takes
// several tiles of queries to differences, and single precision to double.
func TestGradientsOfLong(t *testing.T) {
	for _, i := range []int{0, 10, 15} { // BERT, GPT-2 and a causal XLNet
		k := kinds()[i]
		fsys := k.folder(t, 4)
		m, single := open(t, fsys, engine.WithDType(engine.F64)), open(t, fsys)
		w := inputs(m.Info())[len(inputs(m.Info()))-1]
		in := w.input(m.Info(), 6, 110)
		var points []point.Selection
		for _, p := range differentiable(m, in) {
			for _, part := range []string{"hook_embed", "0.attn.hook_q", "0.attn.hook_k", "0.attn.hook_v", "0.attn.hook_r", "0.attn.hook_pattern"} {
				if strings.HasSuffix(p.Name, part) {
					points = append(points, p)
				}
			}
		}
		checkGradients(t, m, in, nil, points)
		want := forward(t, m, in, engine.Gradients(quadratic(5), points...))
		got := forward(t, single, in, engine.Gradients(quadratic(5), points...))
		for i, p := range points {
			if d := farthest(t, joined(got.Gradients[i]), joined(want.Gradients[i])); !(d < 1e-4) {
				t.Errorf("%s: the gradient at %s is off by %.3g in single precision", k.name, p.Name, d)
			}
		}
	}
}

// TestGradientsOfMemories holds the gradient with respect to memories, which no
// edit can move, to differences of the memories that are given.
func TestGradientsOfMemories(t *testing.T) {
	for _, i := range []int{14, 15, 17} { // XLNet: both ways, causal, a classifier
		k := kinds()[i]
		m := open(t, k.folder(t, 1), engine.WithDType(engine.F64), engine.WithThreads(2))
		w := inputs(m.Info())[len(inputs(m.Info()))-1]
		in := w.input(m.Info(), 2, 5, 1, 3)
		random, objective, d := rand.New(rand.NewPCG(3, 4)), quadratic(5), m.Info().Hidden
		for l, given := range in.Memories {
			// Memories are in single precision: values and steps that it holds.
			base, step := make([]float32, len(given)), make([]float32, len(given))
			for j := range given {
				base[j], step[j] = float32(random.IntN(256)-128)/64, float32(random.IntN(5)-2)
			}
			mems := selectPoint(t, m, in, blockPoint(l, "hook_mems"))
			at := func(h float64) engine.Input {
				moved := in
				moved.Memories = slices.Clone(in.Memories)
				moved.Memories[l] = make([]float32, len(base))
				for j := range base {
					moved.Memories[l][j] = base[j] + float32(h)*step[j]
				}
				return moved
			}
			out := forward(t, m, at(0), engine.Capture(mems), engine.Gradients(objective, mems))
			got, row := 0.0, 0
			for s, g := range out.Gradients[0].Sequences {
				for j, v := range g.Float64() {
					got += v * float64(step[row*d+j])
					if float64(base[row*d+j]) != out.Values[0].Sequences[s].Float64()[j] {
						t.Fatalf("%s: memory %d of sequence %d is not what was given", k.name, j, s)
					}
				}
				row += g.Len() / d
			}
			want := slope(func(h float64) float64 { return total(forward(t, m, at(h)), objective) })
			if got == 0 || !near(got, want, 2e-6) {
				t.Errorf("%s: %s: slope %v, want %v", k.name, mems.Name, got, want)
			}
		}
	}
}

func blockPoint(layer int, name string) string { return fmt.Sprintf("blocks.%d.%s", layer, name) }

// TestTermsOfScores: a term of XLNet's scores has the gradient of the scores
// times their factor, that before edits of the scores, and the terms add up to
// the scores.
func TestTermsOfScores(t *testing.T) {
	k := kinds()[14]
	m := open(t, k.folder(t, 1), engine.WithDType(engine.F64))
	in := with{types: true, memories: true}.input(m.Info(), 2, 5, 3)
	factor := 1 / math.Sqrt(float64(m.Info().Hidden/m.Info().Heads))
	scores := selectPoint(t, m, in, "attn_scores0")
	points := []point.Selection{scores}
	for _, term := range []string{"content", "position", "segment"} {
		points = append(points, selectPoint(t, m, in, "blocks.0.attn.hook_scores_"+term))
	}
	doubled := point.Edit{Selection: scores, Op: point.Multiply, Values: []float64{2}}
	for _, edits := range [][]point.Edit{nil, {doubled}} {
		times := 1 + float64(len(edits))
		out := forward(t, m, in, engine.Edits(edits...), engine.Capture(points...), engine.Gradients(quadratic(5), points...))
		for s := range in.Lengths {
			of := func(list []engine.Activation, i int) []float64 { return list[i].Sequences[s].Float64() }
			for j, v := range of(out.Values, 0) {
				sum := of(out.Values, 1)[j] + of(out.Values, 2)[j] + of(out.Values, 3)[j]
				if !near(v, times*factor*sum, 1e-13) {
					t.Fatalf("score %v, its terms add up to %v", v, times*factor*sum)
				}
				for i := 1; i < len(points); i++ {
					if got, want := of(out.Gradients, i)[j], times*factor*of(out.Gradients, 0)[j]; !near(got, want, 1e-13) {
						t.Fatalf("%s has the gradient %v, want %v", points[i].Name, got, want)
					}
				}
			}
		}
	}
}
