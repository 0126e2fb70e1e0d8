package evaluation

import (
	"context"
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
// the percentiles of what it is of as many texts drawn with replacement. What is not
// defined of a text, NaN, is left out of that column's mean, which is 0 of nothing.
func (r *run) interval(ctx context.Context, s sample, draws *num.Rand, statistic func(means []float64) float64) Interval {
	of := func(pick func(i int) int) float64 {
		sums, counts := make([]float64, len(s[0])), make([]float64, len(s[0]))
		for i := range s {
			for c, v := range s[pick(i)] {
				if !math.IsNaN(v) {
					sums[c], counts[c] = sums[c]+v, counts[c]+1
				}
			}
		}
		for c := range sums {
			sums[c] /= max(counts[c], 1)
		}
		return statistic(sums)
	}
	out := Interval{Mean: core.Float(of(func(i int) int { return i })), Low: core.Float(math.NaN()), High: core.Float(math.NaN()), Texts: len(s)}
	if len(s) < 2 || r.Bootstrap < 2 {
		return out
	}
	values := make([]float64, r.Bootstrap)
	for b := range values {
		if ctx.Err() != nil {
			return out // of a run that ends with that
		}
		values[b] = of(func(int) int { return draws.IntN(len(s)) })
	}
	slices.Sort(values)
	tail := (1 - r.Confidence) / 2
	out.Low = core.Float(stat.Quantile(tail, stat.LinInterp, values, nil))
	out.High = core.Float(stat.Quantile(1-tail, stat.LinInterp, values, nil))
	return out
}

// first is the statistic of a single column.
func first(means []float64) float64 { return means[0] }

// macroF1 is ERASER's F1 over a corpus: of the mean precision and the mean recall.
func macroF1(means []float64) float64 { return metric.F1(means[0], means[1]) }

// columnsOf returns the values that a measure of a corpus is made of, one column or
// more, and how.
func columnsOf(name string) (columns []string, statistic func(means []float64) float64) {
	if name == iouF1 {
		return []string{iouPrecision, iouRecall}, macroF1
	}
	return []string{name}, first
}

// pairsOf returns what two methods got by the columns of a measure on the texts that
// have it of both: a row for each text, with the columns of the one and then of the other.
func (r *run) pairsOf(name string, columns []string, one, other int) sample {
	var pairs sample
	for _, t := range r.result.Texts {
		a, b := t.Methods[one].Values, t.Methods[other].Values
		if !has(a, name) || !has(b, name) {
			continue
		}
		var row []float64
		for _, values := range []map[string]core.Float{a, b} {
			for _, c := range columns {
				row = append(row, valueOf(values, c))
			}
		}
		pairs = append(pairs, row)
	}
	return pairs
}

// valueOf returns a value, NaN where it is not defined.
func valueOf(values map[string]core.Float, name string) float64 {
	if v, ok := values[name]; ok {
		return float64(v)
	}
	return math.NaN()
}

// has reports whether there is a value of that name.
func has(values map[string]core.Float, name string) bool {
	_, ok := values[name]
	return ok
}

// difference returns the statistic of pairs: that of the first half of the means less
// that of the second.
func difference(statistic func(means []float64) float64) func(means []float64) float64 {
	return func(means []float64) float64 {
		n := len(means) / 2
		return statistic(means[:n]) - statistic(means[n:])
	}
}

// compare says of each measure which method is the best, and how far the others are
// behind it: on the texts that have both.
func (r *run) compare(ctx context.Context) {
	all := r.result.Aggregate
	for _, info := range Measures {
		if info.Direction == 0 {
			continue
		}
		best := -1
		for k, s := range all {
			m, ok := s.Measures[info.Name]
			if ok && (best < 0 || info.Direction*float64(m.Mean) > info.Direction*float64(all[best].Measures[info.Name].Mean)) {
				best = k
			}
		}
		columns, statistic := columnsOf(info.Name)
		others := false
		for k, s := range all {
			m, ok := s.Measures[info.Name]
			if !ok || k == best {
				continue
			}
			others = true
			pairs := r.pairsOf(info.Name, columns, best, k)
			if len(pairs) == 0 {
				continue
			}
			ahead := difference(statistic)
			behind := r.interval(ctx, pairs, r.bootstrap(info.Name), func(means []float64) float64 { return info.Direction * ahead(means) })
			m.Behind = &behind
			s.Measures[info.Name] = m
		}
		if others {
			m := all[best].Measures[info.Name]
			m.Best = true
			all[best].Measures[info.Name] = m
		}
	}
}

// bootstrap returns the numbers by which texts are drawn for the intervals of a
// measure: the same texts for every method, so that they can be compared.
func (r *run) bootstrap(name string) *num.Rand { return r.random(-1, "bootstrap of "+name) }

// aggregate makes the summaries over all texts.
func (r *run) aggregate(ctx context.Context) error {
	for k := range r.result.Methods {
		r.result.Aggregate = append(r.result.Aggregate, r.summary(ctx, k))
	}
	r.compare(ctx)
	r.agree(ctx)
	return ctx.Err()
}

// summary returns what the k-th method got over all texts.
func (r *run) summary(ctx context.Context, k int) Summary {
	s := Summary{Method: r.result.Methods[k].Label, Measures: map[string]Measure{}}
	for _, t := range r.result.Texts {
		s.Runs.plus(t.Methods[k].Runs)
	}
	for _, t := range r.result.Texts {
		for name := range t.Methods[k].Values {
			if _, ok := s.Measures[name]; !ok {
				s.Measures[name] = r.measureOf(ctx, k, name)
			}
		}
	}
	return s
}

// measureOf returns what the k-th method got by a measure over the texts that have it.
func (r *run) measureOf(ctx context.Context, k int, name string) Measure {
	columns, statistic := columnsOf(name)
	var own, random, both sample
	for _, t := range r.result.Texts {
		result := t.Methods[k]
		if !has(result.Values, name) {
			continue
		}
		var mine, theirs []float64
		_, beside := result.Random[name]
		for _, c := range columns {
			mine, theirs = append(mine, valueOf(result.Values, c)), append(theirs, math.NaN())
			if s, ok := result.Random[c]; ok {
				theirs[len(theirs)-1] = float64(s.Mean)
			}
		}
		own = append(own, mine)
		if beside {
			random, both = append(random, theirs), append(both, append(slices.Clone(mine), theirs...))
		}
	}
	m := Measure{Interval: r.interval(ctx, own, r.bootstrap(name), statistic)}
	if len(random) > 0 {
		beside := r.interval(ctx, random, r.bootstrap(name), statistic)
		gain := r.interval(ctx, both, r.bootstrap(name), difference(statistic))
		m.Random, m.Gain = &beside, &gain
	}
	return m
}

// agree says how each pair of methods agrees over all texts.
func (r *run) agree(ctx context.Context) {
	e := r.result
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
				g.Over[name] = r.interval(ctx, s, r.bootstrap(name), first)
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
