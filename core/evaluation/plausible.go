package evaluation

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
)

// overlapThreshold is ERASER's: a span finds another one where their intersection
// is half of their union.
const overlapThreshold = 0.5

// agreementShare is the share of the units whose overlap says how two methods
// agree on the top.
const agreementShare = 0.2

// truth returns which units a human marked, nil where nobody was asked: those that
// overlap a marked range.
func (p *players) truth(t *Text) []bool {
	if !t.Marked {
		return nil
	}
	ranges := merged(t.Ranges)
	out := make([]bool, 0, p.n)
	for w, units := range p.units {
		offset := 0
		if len(p.windows) > 1 {
			offset = p.windows[w].start
		}
		for _, u := range units {
			marked := false
			for _, s := range u.Spans {
				marked = marked || s.Sequence == 0 && overlap(ranges, Range{s.Start + offset, s.End + offset})
			}
			out = append(out, marked)
		}
	}
	return out
}

// merged returns ranges in their order, those that overlap as one.
func merged(ranges []Range) []Range {
	out := slices.SortedFunc(slices.Values(ranges), func(a, b Range) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End)) })
	n := 0
	for _, r := range out {
		if n > 0 && r.Start < out[n-1].End {
			out[n-1].End = max(out[n-1].End, r.End)
			continue
		}
		out[n] = r
		n++
	}
	return out[:n]
}

// overlap reports whether a range overlaps one of those that merged returned.
func overlap(ranges []Range, r Range) bool {
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].End > r.Start })
	return i < len(ranges) && ranges[i].Start < r.End
}

// plausible compares scores with what a human marked. Spans are runs of marked
// units.
func (r *run) plausible(truth []bool, scores []float64, order []int, values map[string]float64) {
	marked := 0
	for _, t := range truth {
		if t {
			marked++
		}
	}
	if marked == 0 {
		return
	}
	values[auprc] = metric.AUPRC(truth, scores)
	if marked < len(truth) { // ERASER leaves out texts that are marked as a whole
		values[averagePrecision], values[rocAUC] = metric.AveragePrecision(truth, scores), metric.ROCAUC(truth, scores)
	}
	chosen := make([]bool, len(truth))
	for _, i := range order[:r.top(len(truth), marked, r.share)] {
		chosen[i] = !r.Positive || scores[i] > 0
	}
	values[tokenF1], values[tokenIOU] = metric.TokenF1(truth, chosen), metric.TokenIOU(truth, chosen)
	match := metric.PartialMatch(metric.Spans(truth), metric.Spans(chosen), overlapThreshold)
	values[iouF1] = match.F1()
	precision, recall := match.Rates()
	values[iouRecall] = recall
	if match.Predicted > 0 { // ERASER leaves out texts of which nothing is predicted
		values[iouPrecision] = precision
	}
}

// meanShare returns the mean share of marked words over the texts that have a
// rationale; words stand between white space.
func meanShare(texts []Text) float64 {
	sum, n := 0.0, 0
	for _, t := range texts {
		marked := 0
		words, ranges := tokensOf(t.Input.Text), merged(t.Ranges)
		for _, w := range words {
			if overlap(ranges, w) {
				marked++
			}
		}
		if marked > 0 {
			sum += float64(marked) / float64(len(words))
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// agreement compares the scores of two methods on the same units.
func agreement(a, b []float64) map[string]core.Float {
	k := max(1, metric.Ceil.Counts(len(a), []float64{agreementShare})[0])
	out := map[string]core.Float{TopOverlap: core.Float(metric.Overlap(a, b, k))}
	for name, v := range map[string]float64{
		KendallTauB: metric.Kendall(a, b), Spearman: metric.Spearman(a, b), Pearson: metric.Pearson(a, b), Cosine: metric.Cosine(a, b),
	} {
		if !math.IsNaN(v) { // as it is where one of them is constant, or 0
			out[name] = core.Float(v)
		}
	}
	return out
}
