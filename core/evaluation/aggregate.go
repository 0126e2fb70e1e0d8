package evaluation

import (
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/sdk/num"
)

// spreadOf returns the mean and the standard deviation of what random orders got,
// leaving out what is not defined.
func spreadOf(values []float64) (Spread, bool) {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	switch len(values) {
	case 0:
		return Spread{}, false
	case 1:
		return Spread{Mean: core.Float(values[0])}, true
	}
	mean, sd := stat.MeanStdDev(values, nil)
	return Spread{core.Float(mean), core.Float(sd)}, true
}

// sample is the values of one measure over the texts that have it.
type sample [][]float64 // one column or more for each text

// interval returns a statistic of the columns' means with its bootstrap interval:
// the percentiles of what it is of as many texts drawn with replacement.
func (r *run) interval(s sample, draws *num.Rand, statistic func(means []float64) float64) Interval {
	of := func(pick func(i int) int) float64 {
		means := make([]float64, len(s[0]))
		for i := range s {
			for c, v := range s[pick(i)] {
				means[c] += v / float64(len(s))
			}
		}
		return statistic(means)
	}
	out := Interval{Mean: core.Float(of(func(i int) int { return i })), Low: core.Float(math.NaN()), High: core.Float(math.NaN()), Texts: len(s)}
	if len(s) < 2 || r.Bootstrap < 2 {
		return out
	}
	values := make([]float64, r.Bootstrap)
	for b := range values {
		values[b] = of(func(int) int { return draws.IntN(len(s)) })
	}
	slices.Sort(values)
	tail := (1 - r.Confidence) / 2
	out.Low = core.Float(stat.Quantile(tail, stat.LinInterp, values, nil))
	out.High = core.Float(stat.Quantile(1-tail, stat.LinInterp, values, nil))
	return out
}

func first(means []float64) float64 { return means[0] }

// macroF1 is ERASER's F1 over a corpus: of the mean precision and the mean recall.
func macroF1(means []float64) float64 { return metric.F1(means[0], means[1]) }

// Direction returns 1 for a measure of which more is better, −1 where less is, and 0
// where neither is.
func Direction(measure string) float64 { return directions[measure] }

var directions = map[string]float64{
	comprehensiveness: 1, sufficiency: -1, logOdds: -1, logOddsRatio: -1, deletion: -1, insertion: 1, decisionFlip: -1, looKendall: 1,
	infidelity: -1, infidelityNormalised: -1, embeddingInfidelity: -1, embeddingInfidelityNormalised: -1,
	sensitivityMax: -1, embeddingSensitivity: -1,
	auprc: 1, averagePrecision: 1, rocAUC: 1, tokenF1: 1, tokenIOU: 1, iouPrecision: 1, iouRecall: 1, iouF1: 1,
}

// columnsOf returns the values that a measure of a corpus is made of, one column or
// more, and how.
func columnsOf(name string) (columns []string, statistic func(means []float64) float64) {
	if name == iouF1 {
		return []string{iouPrecision, iouRecall}, macroF1
	}
	return []string{name}, first
}

// compare says of each measure which method is the best, and how far the others are
// behind it: on the texts that have both.
func (r *run) compare() {
	e := r.result
	for name, sign := range directions {
		best := -1
		for k, s := range e.Aggregate {
			m, ok := s.Measures[name]
			if ok && (best < 0 || sign*float64(m.Mean) > sign*float64(e.Aggregate[best].Measures[name].Mean)) {
				best = k
			}
		}
		columns, statistic := columnsOf(name)
		others := false
		for k, s := range e.Aggregate {
			m, ok := s.Measures[name]
			if !ok || k == best {
				continue
			}
			others = true
			var both sample
			for _, t := range e.Texts {
				a, b := t.Methods[best].Values, t.Methods[k].Values
				if _, ok := a[name]; !ok {
					continue
				}
				if _, ok := b[name]; !ok {
					continue
				}
				var row []float64
				for _, values := range []map[string]core.Float{a, b} {
					for _, c := range columns {
						row = append(row, float64(values[c]))
					}
				}
				both = append(both, row)
			}
			if len(both) == 0 {
				continue
			}
			behind := r.interval(both, r.random(-1, "bootstrap of "+name), func(means []float64) float64 {
				n := len(means) / 2
				return sign * (statistic(means[:n]) - statistic(means[n:]))
			})
			m.Behind = &behind
			s.Measures[name] = m
		}
		if others {
			m := e.Aggregate[best].Measures[name]
			m.Best = true
			e.Aggregate[best].Measures[name] = m
		}
	}
}

// aggregate makes the summaries over all texts.
func (r *run) aggregate() {
	e := r.result
	for k, method := range e.Methods {
		summary := Summary{Method: method.Label, Measures: map[string]Measure{}}
		for _, t := range e.Texts {
			summary.Runs.plus(t.Methods[k].Runs)
		}
		names := map[string]bool{}
		for _, t := range e.Texts {
			for name := range t.Methods[k].Values {
				names[name] = true
			}
		}
		for name := range names {
			columns, statistic := columnsOf(name)
			var own, random, both sample
			for _, t := range e.Texts {
				result := t.Methods[k]
				if _, ok := result.Values[name]; !ok {
					continue
				}
				var mine, theirs []float64
				for _, c := range columns {
					mine = append(mine, float64(result.Values[c]))
					if s, ok := result.Random[c]; ok {
						theirs = append(theirs, float64(s.Mean))
					}
				}
				own = append(own, mine)
				if len(theirs) == len(mine) {
					random, both = append(random, theirs), append(both, append(slices.Clone(mine), theirs...))
				}
			}
			// The same texts are drawn for every method, so that they can be
			// compared.
			draws := func() *num.Rand { return r.random(-1, "bootstrap of "+name) }
			m := Measure{Interval: r.interval(own, draws(), statistic)}
			if len(random) > 0 {
				beside := r.interval(random, draws(), statistic)
				gain := r.interval(both, draws(), func(means []float64) float64 {
					n := len(means) / 2
					return statistic(means[:n]) - statistic(means[n:])
				})
				m.Random, m.Gain = &beside, &gain
			}
			summary.Measures[name] = m
		}
		e.Aggregate = append(e.Aggregate, summary)
	}
	r.compare()
	for b := range e.Methods {
		for a := range b {
			values := map[string]sample{}
			for _, t := range e.Texts {
				for _, g := range t.Agreement {
					if g.A != e.Methods[a].Label || g.B != e.Methods[b].Label {
						continue
					}
					for name, v := range g.Values {
						values[name] = append(values[name], []float64{float64(v)})
					}
				}
			}
			if len(values) == 0 {
				continue
			}
			g := Agreement{A: e.Methods[a].Label, B: e.Methods[b].Label, Over: map[string]Interval{}}
			for name, s := range values {
				g.Over[name] = r.interval(s, r.random(-1, "bootstrap of "+name), first)
			}
			e.Agreement = append(e.Agreement, g)
		}
	}
}

// accuracy counts a text whose label is known: a label is that of a class where
// they are equal but for case, or where the class begins with it, as neg and
// NEGATIVE.
func (r *run) accuracy(label, predicted string) {
	if label == "" || predicted == "" {
		return
	}
	class := ""
	for _, l := range r.model.Info().Labels {
		if len(l) >= len(label) && strings.EqualFold(l[:len(label)], label) && (class == "" || len(l) == len(label)) {
			class = l
		}
	}
	if class == "" {
		return
	}
	a := r.result.Accuracy
	if a == nil {
		a = &Accuracy{}
		r.result.Accuracy = a
	}
	a.Texts++
	if class == predicted {
		a.Correct++
	}
}
