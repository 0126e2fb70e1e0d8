package engine_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
)

// variants returns sequences that begin alike in many ways.
func variants(n int, vocabulary int) (in engine.Input) {
	random := rand.New(rand.NewPCG(1, 2))
	base := make([]int32, 20)
	for i := range base {
		base[i] = int32(random.IntN(vocabulary))
	}
	for range n {
		var ids []int32
		for _, id := range base {
			switch random.IntN(6) {
			case 0: // left out
			case 1:
				ids = append(ids, int32(random.IntN(3)))
			default:
				ids = append(ids, id)
			}
		}
		ids = append(ids, 1)
		in.IDs, in.Lengths = append(in.IDs, ids...), append(in.Lengths, len(ids))
		in.Reads = append(in.Reads, []int{len(ids) - 1, 0, len(ids) / 2})
	}
	return in
}

// TestPrefixes: sequences that share their beginnings have the bits of each by
// itself, in any number format, on any kernel and number of threads.
func TestPrefixes(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		for _, threads := range []int{1, 2, 5} {
			m := openGolden(t, "gpt2-lm", engine.WithDType(dtype), engine.WithThreads(threads))
			in := variants(90, m.Info().Vocabulary)
			shared := forward(t, m, in)
			apart := forward(t, m, in, engine.Separately())
			if !slices.Equal(shared.Logits.Float64(), apart.Logits.Float64()) {
				t.Errorf("%d threads: other logits where sequences share their beginnings", threads)
			}
		}
	})
}

// TestPast: tokens one by one, or in pieces, have the bits of all at once.
func TestPast(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		m := openGolden(t, "gpt2-lm", engine.WithDType(dtype), engine.WithThreads(2))
		ids := []int32{5, 7, 11, 200, 3, 3, 90, 41, 8, 0, 17}
		want := forward(t, m, engine.Input{IDs: ids})
		for _, cuts := range [][]int{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {4, 11}, {10, 11}} {
			past, at := &engine.Past{}, 0
			var got []float64
			for _, end := range cuts {
				out := forward(t, m, engine.Input{IDs: ids[at:end], Past: []*engine.Past{past}, Keep: []*engine.Past{past}})
				got = append(got, out.Logits.Float64()...)
				at = end
			}
			if !slices.Equal(got, want.Logits.Float64()) {
				t.Errorf("pieces %v have other bits", cuts)
			}
			if past.Length() != len(ids) {
				t.Errorf("%d tokens are kept", past.Length())
			}
		}
		// What is kept counts, and so does a copy of what was before.
		before := &engine.Past{}
		forward(t, m, engine.Input{IDs: ids[:6], Keep: []*engine.Past{before}})
		row := 2 * int64(m.Info().Layers*m.Info().Hidden) * dtype.Size()
		for _, c := range []struct {
			keep *engine.Past
			rows int64
		}{{nil, 0}, {before, 5}, {&engine.Past{}, 11}} {
			in := engine.Input{IDs: ids[6:], Past: []*engine.Past{before}}
			plain, err := m.Memory(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			in.Keep = []*engine.Past{c.keep}
			if got, err := m.Memory(t.Context(), in); err != nil || got.Results-plain.Results != c.rows*row {
				t.Errorf("to keep %d rows of %d bytes takes %d bytes more, %v", c.rows, row, got.Results-plain.Results, err)
			}
		}
		if got := before.Bytes(); got != 6*row {
			t.Errorf("6 rows of %d bytes are %d bytes", row, got)
		}
		// Two continuations of one beginning leave it alone.
		past := &engine.Past{}
		forward(t, m, engine.Input{IDs: ids[:6], Keep: []*engine.Past{past}})
		for range 2 {
			next := &engine.Past{}
			out := forward(t, m, engine.Input{
				IDs: append(slices.Clone(ids[6:]), 1, 2), Lengths: []int{5, 2},
				Past: []*engine.Past{past, past}, Keep: []*engine.Past{next, nil},
			})
			if got, want := out.Logits.Float64()[:5*out.Classes], want.Logits.Float64()[6*out.Classes:]; !slices.Equal(got, want) {
				t.Error("a shared beginning gives other bits")
			}
			if past.Length() != 6 || next.Length() != 11 {
				t.Errorf("%d and %d tokens are kept", past.Length(), next.Length())
			}
		}
	})
}

// TestGenerate holds the greedy continuation to one forward per token, and
// samples to the bounds that they were drawn within.
func TestGenerate(t *testing.T) {
	m := openGolden(t, "gpt2-lm")
	prompt := []int32{5, 7, 11}
	got, err := m.Generate(t.Context(), prompt, engine.Generation{MaxTokens: 12})
	if err != nil {
		t.Fatal(err)
	}
	ids := slices.Clone(prompt)
	for i := range got.IDs {
		out := forward(t, m, engine.Input{IDs: ids})
		row := out.Row(len(ids) - 1)
		best := slices.Index(row, slices.Max(row))
		if got.IDs[i] != int32(best) || math.Abs(got.LogProbs[i]-(row[best]-logSumExp(row))) > 1e-12 {
			t.Fatalf("token %d is %d (%v), want %d", i, got.IDs[i], got.LogProbs[i], best)
		}
		ids = append(ids, int32(best))
	}
	if len(got.IDs) != 12 {
		t.Errorf("%d tokens", len(got.IDs))
	}
	row := forward(t, m, engine.Input{IDs: prompt}).Row(2)
	order := slices.Clone(row)
	slices.Sort(order)
	slices.Reverse(order)
	total := math.Exp(logSumExp(row))
	for name, g := range map[string]engine.Generation{
		"top-k": {Temperature: 1.5, TopK: 3}, "top-p": {Temperature: 1, TopP: 0.5}, "hot": {Temperature: 3},
	} {
		seen := map[int32]int{}
		for seed := range uint64(300) {
			g.Seed, g.MaxTokens = seed, 1
			got, err := m.Generate(t.Context(), prompt, g)
			if err != nil {
				t.Fatal(err)
			}
			seen[got.IDs[0]]++
		}
		if len(seen) < 2 {
			t.Errorf("%s: always the same token", name)
		}
		for id := range seen {
			switch name {
			case "top-k":
				if row[id] < order[2] {
					t.Errorf("%s: token %d is not among the 3 most probable", name, id)
				}
			case "top-p":
				above := 0.0
				for _, v := range row {
					if v > row[id] {
						above += math.Exp(v) / total
					}
				}
				if above >= 0.5 {
					t.Errorf("%s: token %d, though %v is more probable", name, id, above)
				}
			}
		}
	}
	long, err := m.Generate(t.Context(), prompt, engine.Generation{MaxTokens: 1000})
	if err != nil || len(long.IDs) != m.Info().Length-len(prompt)+1 {
		t.Errorf("%d tokens, %v", len(long.IDs), err)
	}
	if _, err := m.Generate(t.Context(), nil, engine.Generation{MaxTokens: 1}); err == nil {
		t.Error("an empty prompt is continued")
	}
}

// TestReuse: tokens that are alike have the bits of each by itself.
func TestReuse(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		for _, model := range []string{"gpt2-lm", "bert-seqcls", "distilbert-mlm", "roberta-mlm", "xlnet-seqcls"} {
			m := openGolden(t, model, engine.WithDType(dtype), engine.WithThreads(2))
			in := variants(90, m.Info().Vocabulary)
			if m.Info().Task == "sequence-classification" {
				in.Reads = nil
			}
			want := forward(t, m, in, engine.EveryToken(), engine.Separately(), engine.AllRows())
			for name, opts := range map[string][]engine.ForwardOption{
				"all": nil, "alone": {engine.Separately(), engine.AllRows()},
			} {
				if got := forward(t, m, in, opts...); !slices.Equal(got.Logits.Float64(), want.Logits.Float64()) {
					t.Errorf("%s, %s: other logits where tokens share what they have in common", model, name)
				}
			}
		}
	})
}
