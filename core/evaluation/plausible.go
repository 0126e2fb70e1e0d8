package evaluation

import (
	"strings"
	"unicode"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
)

// The measures of plausibility and agreement.
const (
	auprc        = "auprc"
	tokenF1      = "token_f1"
	iouPrecision = "iou_precision"
	iouRecall    = "iou_recall"
	iouF1        = "iou_f1"
	kendall      = "kendall_tau_b"
	spearman     = "spearman"
	topOverlap   = "top_overlap"
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
	out := make([]bool, 0, p.n)
	for w, units := range p.units {
		offset := 0
		if len(p.windows) > 1 {
			offset = p.windows[w].start
		}
		for _, u := range units {
			marked := false
			for _, s := range u.Spans {
				for _, r := range t.Ranges {
					marked = marked || s.Sequence == 0 && s.Start+offset < r.End && r.Start < s.End+offset
				}
			}
			out = append(out, marked)
		}
	}
	return out
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
	chosen := make([]bool, len(truth))
	for _, i := range order[:r.top(len(truth), marked, r.share)] {
		chosen[i] = !r.Positive || scores[i] > 0
	}
	values[tokenF1] = metric.TokenF1(truth, chosen)
	match := metric.PartialMatch(metric.Spans(truth), metric.Spans(chosen), overlapThreshold)
	values[iouF1] = match.F1()
	values[iouPrecision], values[iouRecall] = match.Rates()
}

// meanShare returns the mean share of marked words over the texts that have a
// rationale; words stand between white space.
func meanShare(texts []Text) float64 {
	sum, n := 0.0, 0
	for _, t := range texts {
		words, marked := 0, 0
		text := t.Input.Text
		for at := 0; at < len(text); {
			start := at + strings.IndexFunc(text[at:], func(r rune) bool { return !unicode.IsSpace(r) })
			if start < at {
				break
			}
			end := strings.IndexFunc(text[start:], unicode.IsSpace)
			if end < 0 {
				end = len(text)
			} else {
				end += start
			}
			words++
			for _, r := range t.Ranges {
				if start < r.End && r.Start < end {
					marked++
					break
				}
			}
			at = end
		}
		if marked > 0 {
			sum += float64(marked) / float64(words)
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
	out := map[string]core.Float{topOverlap: core.Float(metric.Overlap(a, b, k))}
	for name, v := range map[string]float64{kendall: metric.Kendall(a, b), spearman: metric.Spearman(a, b)} {
		if v == v { // NaN where one of them is constant
			out[name] = core.Float(v)
		}
	}
	return out
}
