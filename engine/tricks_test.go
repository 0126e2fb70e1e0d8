package engine_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/xai-go/xai/bench/model"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/internal/virtual"
)

// BenchmarkTricks measures what the engine gains by knowing its workload, many
// variants of one text: each trick against the same forward without it, in
// turns. It reports the ratio of the medians, for which a handful of turns is
// enough:
//
//	go test ./engine -run '^$' -bench Tricks -benchtime 5x -timeout 1h
func BenchmarkTricks(b *testing.B) {
	const samples, tokens = 128, 32
	masked := limeVariants(samples, tokens, func(ids []int32, _ int32) []int32 { return append(ids, 3) })
	deleted := limeVariants(samples, tokens, func(ids []int32, _ int32) []int32 { return ids })
	b.Run("bert-base", func(b *testing.B) {
		m := openShape(b, "bert-base")
		for _, w := range []struct {
			name string
			in   engine.Input
		}{{"mask", masked}, {"delete", deleted}} {
			b.Run(w.name, func(b *testing.B) {
				b.Run("rows", func(b *testing.B) { turns(b, m, side(w.in), side(w.in, engine.AllRows())) })
				b.Run("tokens", func(b *testing.B) { turns(b, m, side(w.in), side(w.in, engine.EveryToken())) })
				b.Run("all", func(b *testing.B) { turns(b, m, side(w.in), side(w.in, engine.AllRows(), engine.EveryToken())) })
			})
		}
		b.Run("delete/ragged", func(b *testing.B) { turns(b, m, side(deleted), side(padded(deleted, tokens))) })
	})
	b.Run("gpt2-small", func(b *testing.B) {
		m := openShape(b, "gpt2-small")
		for _, w := range []struct {
			name string
			in   engine.Input
		}{{"mask", lastReads(masked)}, {"delete", lastReads(deleted)}, {"occlusion", lastReads(occlusions(tokens))}} {
			b.Run(w.name, func(b *testing.B) {
				b.Run("prefixes", func(b *testing.B) { turns(b, m, side(w.in), side(w.in, engine.Separately())) })
				b.Run("rows", func(b *testing.B) { turns(b, m, side(w.in), side(w.in, engine.AllRows())) })
				b.Run("tokens", func(b *testing.B) { turns(b, m, side(w.in), side(w.in, engine.EveryToken())) })
				b.Run("all", func(b *testing.B) {
					turns(b, m, side(w.in), side(w.in, engine.Separately(), engine.AllRows(), engine.EveryToken()))
				})
				b.Run("reads", func(b *testing.B) { // logits of the last token alone, each sequence by itself
					every := w.in
					every.Reads = nil
					turns(b, m, side(w.in, engine.Separately()), side(every, engine.Separately()))
				})
			})
		}
	})
}

// forwardOf is one side of a comparison.
type forwardOf struct {
	in   engine.Input
	opts []engine.ForwardOption
}

func side(in engine.Input, opts ...engine.ForwardOption) forwardOf { return forwardOf{in, opts} }

// turns runs a forward with a trick and without, and reports how many times as
// long the latter takes.
func turns(b *testing.B, m *engine.Model, with, without forwardOf) {
	sides := []forwardOf{with, without}
	times := make([][]time.Duration, len(sides))
	for _, s := range sides { // memory and caches
		forward(b, m, s.in, s.opts...)
	}
	for round := 0; b.Loop(); round++ {
		for i := range sides {
			i = (i + round) % len(sides)
			start := time.Now()
			forward(b, m, sides[i].in, sides[i].opts...)
			times[i] = append(times[i], time.Since(start))
		}
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return (d[(len(d)-1)/2] + d[len(d)/2]).Seconds() / 2
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(times[0])*1e3, "ms")
	b.ReportMetric(median(times[1])/median(times[0]), "gain")
}

// openShape opens a random model of a shape.
func openShape(b *testing.B, name string) *engine.Model {
	shape, err := virtual.Named(name)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := model.Write(shape, dir, 1, nil); err != nil {
		b.Fatal(err)
	}
	return open(b, os.DirFS(dir))
}

// limeVariants draws variants of a text as LIME does: of each, a number of
// tokens that is as likely as any other is dropped, all but the first and the
// last may be. drop appends what becomes of a dropped token.
func limeVariants(samples, tokens int, drop func(ids []int32, id int32) []int32) (in engine.Input) {
	random := rand.New(rand.NewPCG(1, 2))
	for range samples {
		dropped := make([]bool, tokens)
		for _, i := range random.Perm(tokens - 2)[:1+random.IntN(tokens-2)] {
			dropped[i+1] = true
		}
		before := len(in.IDs)
		for i := range tokens {
			if id := int32(100 + i*7); dropped[i] {
				in.IDs = drop(in.IDs, id)
			} else {
				in.IDs = append(in.IDs, id)
			}
		}
		in.Lengths = append(in.Lengths, len(in.IDs)-before)
	}
	return in
}

// occlusions are the variants of a text with a window of one to four tokens
// masked.
func occlusions(tokens int) (in engine.Input) {
	for width := 1; width <= 4; width++ {
		for at := 1; at+width < tokens; at++ {
			for i := range tokens {
				id := int32(100 + i*7)
				if i >= at && i < at+width {
					id = 3
				}
				in.IDs = append(in.IDs, id)
			}
			in.Lengths = append(in.Lengths, tokens)
		}
	}
	return in
}

// padded returns the same sequences, filled up with hidden tokens to one length.
func padded(in engine.Input, tokens int) (out engine.Input) {
	at := 0
	for _, n := range in.Lengths {
		for i := range tokens {
			if i < n {
				out.IDs, out.Mask = append(out.IDs, in.IDs[at+i]), append(out.Mask, 1)
			} else {
				out.IDs, out.Mask = append(out.IDs, 0), append(out.Mask, 0)
			}
		}
		at += n
		out.Lengths = append(out.Lengths, tokens)
	}
	return out
}

// lastReads returns the input read at the last token of each sequence.
func lastReads(in engine.Input) engine.Input {
	for _, n := range in.Lengths {
		in.Reads = append(in.Reads, []int{n - 1})
	}
	return in
}

// TestTricks: the bits of BenchmarkTricks's inputs are the same with every trick
// and without, padding included.
func TestTricks(t *testing.T) {
	const samples, tokens = 40, 12
	masked := limeVariants(samples, tokens, func(ids []int32, _ int32) []int32 { return append(ids, 3) })
	deleted := limeVariants(samples, tokens, func(ids []int32, _ int32) []int32 { return ids })
	off := map[string]engine.ForwardOption{"rows": engine.AllRows(), "tokens": engine.EveryToken(), "prefixes": engine.Separately()}
	for _, model := range []string{"bert-seqcls", "gpt2-lm"} {
		m := openGolden(t, model)
		for i, in := range []engine.Input{masked, deleted, occlusions(tokens)} {
			ids := slices.Clone(in.IDs)
			for j := range ids {
				ids[j] %= int32(m.Info().Vocabulary)
			}
			in.IDs = ids
			if model == "gpt2-lm" {
				in = lastReads(in)
			}
			want := forward(t, m, in).Logits.Float64()
			for name, option := range off {
				if got := forward(t, m, in, option).Logits.Float64(); !slices.Equal(got, want) {
					t.Errorf("%s, workload %d: other bits without the trick %s", model, i, name)
				}
			}
			if model == "bert-seqcls" {
				if got := forward(t, m, padded(in, tokens)).Logits.Float64(); !slices.Equal(got, want) {
					t.Errorf("%s, workload %d: padding changes the bits", model, i)
				}
			}
		}
	}
}
