package metric

import (
	"cmp"
	"slices"
)

// thresholds are the true and the false positives with all units chosen that score
// at least as much as each distinct score, the largest first.
type thresholds struct{ truePositives, falsePositives []float64 }

func cut(truth []bool, scores []float64) thresholds {
	var t thresholds
	right, wrong := 0.0, 0.0
	order := Order(scores)
	for i, j := range order {
		if truth[j] {
			right++
		} else {
			wrong++
		}
		if i+1 == len(order) || scores[order[i+1]] != scores[j] {
			t.truePositives, t.falsePositives = append(t.truePositives, right), append(t.falsePositives, wrong)
		}
	}
	return t
}

// positives is the number of units that are true.
func (t thresholds) positives() float64 { return t.truePositives[len(t.truePositives)-1] }

// AUPRC returns the area under the curve of precision over recall, by trapezoids
// between the distinct scores and the point of recall 0 and precision 1, as ERASER
// computes it. It is NaN where nothing is true.
func AUPRC(truth []bool, scores []float64) float64 {
	t := cut(truth, scores)
	area, recall, precision := 0.0, 0.0, 1.0
	for i, right := range t.truePositives {
		r, p := right/t.positives(), right/(right+t.falsePositives[i])
		area += (r - recall) * (p + precision) / 2
		recall, precision = r, p
		if right == t.positives() {
			break // what follows has the same recall
		}
	}
	return area
}

// AveragePrecision returns Σ (recallᵢ − recallᵢ₋₁)·precisionᵢ over the distinct
// scores, NaN where nothing is true.
func AveragePrecision(truth []bool, scores []float64) float64 {
	t := cut(truth, scores)
	sum, before := 0.0, 0.0
	for i, right := range t.truePositives {
		sum += (right - before) / t.positives() * right / (right + t.falsePositives[i])
		before = right
	}
	return sum
}

// ROCAUC returns the area under the curve of true over false positives: the
// probability that a true unit scores more than another, equals counting half. It
// is NaN where all units are true, or none.
func ROCAUC(truth []bool, scores []float64) float64 {
	t := cut(truth, scores)
	area, right, wrong := 0.0, 0.0, 0.0
	for i, more := range t.truePositives {
		area += (t.falsePositives[i] - wrong) * (more + right) / 2
		right, wrong = more, t.falsePositives[i]
	}
	return area / (t.positives() * wrong)
}

// Top returns which units are among the k with the largest scores.
func Top(scores []float64, k int) []bool {
	chosen := make([]bool, len(scores))
	for _, i := range Order(scores)[:min(k, len(scores))] {
		chosen[i] = true
	}
	return chosen
}

// TokenF1 returns the harmonic mean of the precision and the recall of the chosen
// units, 0 where none of them is true.
func TokenF1(truth, chosen []bool) float64 {
	both, either := overlap(truth, chosen)
	if both == 0 {
		return 0
	}
	return 2 * both / (both + either)
}

// TokenIOU returns the chosen units that are true over the units that are either,
// 0 where nothing is.
func TokenIOU(truth, chosen []bool) float64 {
	both, either := overlap(truth, chosen)
	if either == 0 {
		return 0
	}
	return both / either
}

// overlap counts the units that are in both sets, and those that are in either.
func overlap(a, b []bool) (both, either float64) {
	for i := range a {
		if a[i] && b[i] {
			both++
		}
		if a[i] || b[i] {
			either++
		}
	}
	return both, either
}

// Span is the units from Start to End-1.
type Span struct{ Start, End int }

// Spans returns the runs of chosen units.
func Spans(chosen []bool) []Span {
	var all []Span
	for i, c := range chosen {
		switch {
		case !c:
		case i > 0 && chosen[i-1]:
			all[len(all)-1].End++
		default:
			all = append(all, Span{i, i + 1})
		}
	}
	return all
}

// Match counts the spans of one text that find a partner in the other set: one
// whose intersection over union is at least the threshold.
type Match struct{ Predicted, PredictedHits, True, TrueHits int }

// PartialMatch matches the predicted spans of a text with the true ones, as ERASER
// does with a threshold of 0.5: a predicted span counts by the true one that it
// overlaps most, in proportion. Spans may overlap; one that is given twice counts once.
func PartialMatch(truth, predicted []Span, threshold float64) Match {
	truth, predicted = distinct(truth), distinct(predicted)
	hits := func(of, among []Span) int {
		n := 0
		for _, s := range of {
			if len(among) > 0 && iou(s, slices.MaxFunc(among, func(a, b Span) int { return cmp.Compare(iou(s, a), iou(s, b)) })) >= threshold {
				n++
			}
		}
		return n
	}
	return Match{len(predicted), hits(predicted, truth), len(truth), hits(truth, predicted)}
}

// distinct returns the spans by where they begin, those that are equal once.
func distinct(spans []Span) []Span {
	return slices.Compact(slices.SortedFunc(slices.Values(spans), func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	}))
}

// iou returns the intersection of two spans over their union, 0 of two empty ones.
func iou(a, b Span) float64 {
	both := max(0, min(a.End, b.End)-max(a.Start, b.Start))
	either := a.End - a.Start + b.End - b.Start - both
	if either == 0 {
		return 0
	}
	return float64(both) / float64(either)
}

// F1 returns the harmonic mean of the match's precision and recall.
func (m Match) F1() float64 { return F1(m.Rates()) }

// Rates returns precision and recall, 0 of nothing.
func (m Match) Rates() (precision, recall float64) {
	if m.Predicted > 0 {
		precision = float64(m.PredictedHits) / float64(m.Predicted)
	}
	if m.True > 0 {
		recall = float64(m.TrueHits) / float64(m.True)
	}
	return precision, recall
}

// F1 returns the harmonic mean of precision and recall, 0 where both are.
func F1(precision, recall float64) float64 {
	if precision+recall == 0 {
		return 0
	}
	return 2 * precision * recall / (precision + recall)
}

// IOUF1 returns ERASER's two scores of a corpus from the matches of its texts: of
// all spans together (micro), and the harmonic mean of the mean precision of the
// texts with predicted spans and the mean recall of those with true ones (macro).
// As there, the hits of recall are predicted spans too: below a threshold of a half
// they may be more, or fewer, than the true spans that are found.
func IOUF1(texts []Match) (micro, macro float64) {
	var all Match
	var precision, recall, predicted, marked float64
	for _, m := range texts {
		m.TrueHits = m.PredictedHits
		all.Predicted += m.Predicted
		all.PredictedHits += m.PredictedHits
		all.True += m.True
		all.TrueHits += m.TrueHits
		p, r := m.Rates()
		if m.Predicted > 0 {
			precision, predicted = precision+p, predicted+1
		}
		if m.True > 0 {
			recall, marked = recall+r, marked+1
		}
	}
	return all.F1(), F1(precision/max(predicted, 1), recall/max(marked, 1))
}
