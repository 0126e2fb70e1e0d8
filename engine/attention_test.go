package engine_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
)

// TestUnseen: a token that is not finite spoils those that see it and changes no
// bit of the others, also where somebody looks into the attention or edits it.
func TestUnseen(t *testing.T) {
	const n, at = 100, 50
	earlier := func(token int) bool { return token < at }
	others := func(token int) bool { return token != at }
	masked := func(in *engine.Input) {
		in.Mask = slices.Repeat([]uint8{1}, n)
		in.Mask[at] = 0
	}
	permuted := func(in *engine.Input) {
		in.PermMask, in.Targets = [][]uint8{make([]uint8, n*n)}, [][]int{make([]int, n)}
		for i := range n {
			in.PermMask[0][i*n+at], in.Targets[0][i] = 1, i
		}
	}
	cases := []struct {
		name    string
		kind    int
		with    func(in *engine.Input)
		unseen  func(token int) bool
		spoiled []int // tokens whose logits are NaN
	}{
		{"GPT-2", 10, func(*engine.Input) {}, earlier, []int{at, at + 1, n - 1}},
		{"windows", len(kinds()) - 1, func(*engine.Input) {}, func(token int) bool { return token < at || token > at+6 }, []int{at, at + 3}},
		{"causal XLNet", 15, func(*engine.Input) {}, earlier, []int{at, at + 1, n - 1}},
		{"masked BERT", 3, masked, others, []int{at}},
		{"masked XLNet", 14, masked, others, []int{at}},
		{"permuted XLNet", 14, permuted, others, nil},
	}
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		for _, c := range cases {
			m := open(t, kinds()[c.kind].folder(t, 4), engine.WithDType(dtype), engine.WithThreads(2))
			in := engine.Input{}
			for _, v := range noise(rand.New(rand.NewPCG(5, 6)), n*m.Info().Embedding) {
				in.Embeds = append(in.Embeds, float32(v))
			}
			c.with(&in)
			bad := in
			bad.Embeds = slices.Clone(in.Embeds)
			bad.Embeds[at*m.Info().Embedding+1] = float32(math.NaN())
			value := selectPoint(t, m, in, "v0")
			value.Ranges[1] = point.Range{Lo: at, Hi: at + 1}
			infinite := point.Edit{Selection: value, Op: point.Replace, Values: []float64{math.Inf(1)}}
			pattern := selectPoint(t, m, in, "pattern0")
			captures := engine.Capture(pattern, selectPoint(t, m, in, "resid_post0"), selectPoint(t, m, in, "resid_post1"))
			for name, edits := range map[string][]point.Edit{"plain": nil, "edited": {{Selection: pattern, Op: point.Add, Values: []float64{0}}}} {
				want := forward(t, m, in, engine.Edits(edits...), captures)
				spoiled := forward(t, m, bad, engine.Edits(edits...))
				for _, token := range c.spoiled {
					if row := spoiled.Row(token); !math.IsNaN(row[0]) {
						t.Errorf("%s, %s: token %d sees a NaN and has the logits %v", c.name, name, token, row)
					}
				}
				for what, got := range map[string]*engine.Output{
					"a NaN": spoiled, "an infinite value": forward(t, m, in, engine.Edits(append(edits, infinite)...), captures),
				} {
					for token := range n {
						if row := got.Row(token); c.unseen(token) && !slices.Equal(row, want.Row(token)) {
							t.Fatalf("%s, %s: %s at %d reaches the logits of token %d: %v", c.name, name, what, at, token, row)
						}
					}
					for i, v := range got.Values[min(1, len(got.Values)):] {
						d := m.Info().Hidden
						values, base := v.Sequences[0].Float64(), want.Values[i+1].Sequences[0].Float64()
						for token := range n {
							if c.unseen(token) && !slices.Equal(values[token*d:(token+1)*d], base[token*d:(token+1)*d]) {
								t.Fatalf("%s, %s: %s at %d reaches token %d behind block %d", c.name, name, what, at, token, i)
							}
						}
					}
				}
			}
		}
	})
}

// TestMeansOfAttention: a mean of the pattern or the scores is that over the keys
// that a query sees, and no edit of it shows another.
func TestMeansOfAttention(t *testing.T) {
	for _, c := range []struct {
		kind int
		mask []uint8
		seen func(query, key int) bool
	}{
		{10, nil, func(query, key int) bool { return key <= query }},                          // GPT-2
		{0, []uint8{1, 1, 0, 1, 0, 1}, func(_, key int) bool { return key != 2 && key != 4 }}, // BERT
	} {
		m := open(t, kinds()[c.kind].folder(t, 4), engine.WithDType(engine.F64))
		in := engine.Input{IDs: []int32{3, 5, 7, 9, 11, 13}, Mask: c.mask}
		n := len(in.IDs)
		pattern, scores := selectPoint(t, m, in, "pattern0"), selectPoint(t, m, in, "attn_scores0")
		one := wholeOf(pattern.Point)
		one.Ranges[3] = point.Range{Lo: 1, Hi: 3}
		plain := forward(t, m, in, engine.Capture(pattern)).Values[0].Sequences[0].Float64()
		for name, s := range map[string]point.Selection{"scores": scores, "pattern": pattern, "two keys": one} {
			out := forward(t, m, in, engine.Edits(point.Edit{Selection: s, Op: point.Mean}), engine.Capture(pattern))
			for i, got := range out.Values[0].Sequences[0].Float64() {
				query, key, want, seen := i/n%n, i%n, 0.0, 0.0
				for k := range n {
					if c.seen(query, k) {
						seen++
					}
				}
				if c.seen(query, key) {
					want = 1 / seen
				}
				if first, end := s.Ranges[3].Bounds(n); key < first || key >= end {
					want = plain[i]
				}
				if !near(got, want, 1e-13) {
					t.Errorf("kind %d, the mean of %s: query %d weighs key %d by %v, want %v", c.kind, name, query, key, got, want)
				}
			}
		}
	}
}

// TestGradientsOfMeans holds the gradients through means of patterns and scores,
// of all keys and of some, to differences.
func TestGradientsOfMeans(t *testing.T) {
	for _, i := range []int{0, 10, 15} { // BERT, GPT-2 and a causal XLNet
		m := open(t, kinds()[i].folder(t, 4), engine.WithDType(engine.F64))
		in := with{mask: true, types: true}.input(m.Info(), 6, 6, 3)
		pattern, scores := selectPoint(t, m, in, "pattern0"), selectPoint(t, m, in, "attn_scores0")
		mean := func(s point.Selection, lo, hi int) point.Edit {
			s.Ranges = slices.Clone(s.Ranges)
			s.Ranges[3] = point.Range{Lo: lo, Hi: hi}
			return point.Edit{Selection: s, Op: point.Mean}
		}
		doubled := point.Edit{Selection: pattern, Op: point.Multiply, Values: []float64{2}}
		for _, edits := range [][]point.Edit{
			{mean(pattern, 0, point.End)}, {mean(pattern, 1, 3), doubled, mean(pattern, 0, 2)}, {mean(scores, 1, 2), mean(pattern, 2, point.End)},
		} {
			checkGradients(t, m, in, edits, []point.Selection{scores, selectPoint(t, m, in, "embed"), pattern})
		}
	}
}

// TestGradientsOfReads: gradients have the same bits where the last layer is
// computed at every token, though other queries then share a tile.
func TestGradientsOfReads(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		for _, i := range []int{10, 15} { // GPT-2 and a causal XLNet
			m := open(t, kinds()[i].folder(t, 4), engine.WithDType(dtype))
			in := with{}.input(m.Info(), 6, 40)
			in.Reads = [][]int{{7, 18, 30}}
			var points []point.Selection
			for _, name := range []string{"embed", "q0", "k0", "v0", "q1", "k1", "v1"} {
				points = append(points, selectPoint(t, m, in, name))
			}
			want := forward(t, m, in, engine.Gradients(quadratic(5), points...))
			got := forward(t, m, in, engine.Gradients(quadratic(5), points...), engine.AllRows())
			same(t, kinds()[i].name, points, bitsOf(got, 0), bitsOf(want, 0))
		}
	})
}
