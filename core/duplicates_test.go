package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xai-go/xai/sdk"
)

// BenchmarkDuplicates measures what it gains that equal variants run once: for
// the thousand variants that LIME draws of texts of some lengths, within one
// explanation and for a second one of the same seed. Both sides take turns; the
// ratio of their medians is reported, and how many variants are distinct.
//
//	go test ./core -run '^$' -bench Duplicates -benchtime 10x
func BenchmarkDuplicates(b *testing.B) {
	const samples = 1000
	forgetful, remembering := openBuiltin(b, Options{Cache: -1}), openBuiltin(b, Options{})
	for _, words := range []int{8, 12, 16, 32} {
		text := strings.Join(slices.Repeat([]string{"good", "film", "bad", "story"}, words/4), " ")
		keep := limeSamples(samples, words)
		// run evaluates the samples in an explanation of its own.
		run := func(m *Model, all bool) (*session, time.Duration) {
			start := time.Now()
			s := started(b, m, Request{Input: Input{Text: text}})
			f := &sdk.Forward{Units: sdk.NewTensor(keep, samples, words), KeepDuplicates: all}
			if _, err := s.Forward(b.Context(), f); err != nil {
				b.Fatal(err)
			}
			return s, time.Since(start)
		}
		for _, c := range []struct {
			name    string
			with    *Model
			without bool // duplicates kept
		}{{"once", forgetful, true}, {"again", remembering, false}} {
			b.Run(fmt.Sprintf("words=%d/%s", words, c.name), func(b *testing.B) {
				var with, without []time.Duration
				s, _ := run(c.with, false)
				distinct := s.unique
				for round := 0; b.Loop(); round++ {
					for i := range 2 {
						if (i+round)%2 == 0 {
							_, d := run(c.with, false)
							with = append(with, d)
						} else {
							_, d := run(forgetful, c.without)
							without = append(without, d)
						}
					}
				}
				median := func(d []time.Duration) float64 {
					slices.Sort(d)
					return (d[(len(d)-1)/2] + d[len(d)/2]).Seconds() / 2
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(distinct), "distinct")
				b.ReportMetric(median(with)*1e3, "ms")
				b.ReportMetric(median(without)/median(with), "gain")
			})
		}
	}
}

// limeSamples draws samples as LIME does: the first keeps every word, each
// other one drops a number of them that is as likely as any other.
func limeSamples(samples, words int) []uint8 {
	random := rand.New(rand.NewPCG(1, 2))
	keep := slices.Repeat([]uint8{1}, samples*words)
	for i := 1; i < samples; i++ {
		for _, w := range random.Perm(words)[:1+random.IntN(words)] {
			keep[i*words+w] = 0
		}
	}
	return keep
}
