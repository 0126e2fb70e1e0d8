package metric_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/internal/golden"
)

// TestPlausibility holds ranks, agreement, sparsity and agreement with a human to
// what scikit-learn, SciPy and ERASER's own code computed.
func TestPlausibility(t *testing.T) {
	c := golden.Load(t, "plausibility")
	compared := map[string]bool{}
	for i := range 3 {
		at := fmt.Sprintf(".%d", i)
		var truth []bool
		for _, v := range c.Ints(t, "truth"+at) {
			truth = append(truth, v != 0)
		}
		scores, other := c.Floats(t, "scores"+at), c.Floats(t, "other"+at)
		k := 0
		for _, v := range truth {
			if v {
				k++
			}
		}
		for name, got := range map[string]float64{
			"auprc_eraser":      metric.AUPRC(truth, scores),
			"average_precision": metric.AveragePrecision(truth, scores),
			"roc_auc":           metric.ROCAUC(truth, scores),
			"token_f1_topk":     metric.TokenF1(truth, metric.Top(scores, k)),
			"token_iou_topk":    metric.TokenIOU(truth, metric.Top(scores, k)),
			"kendall_tau_b":     metric.Kendall(scores, other),
			"spearman":          metric.Spearman(scores, other),
			"pearson":           metric.Pearson(scores, other),
			"cosine":            metric.Cosine(scores, other),
			"entropy_abs":       metric.Entropy(scores),
			"gini_abs":          metric.Gini(scores),
		} {
			name += at
			compared[name] = true
			golden.Close(t, name, []float64{got}, c.Want(t, name), c.Outputs[name].F64Atol)
		}
	}
	for name := range c.Outputs {
		if !compared[name] {
			t.Errorf("%s is not compared", name)
		}
	}
}

// TestCurves holds the numbers that are made of curves to the reference's, from
// the curves that it recorded.
func TestCurves(t *testing.T) {
	for _, name := range []string{"eraser_bert", "eraser_distil"} {
		c := golden.Load(t, name)
		var shares []float64
		if err := json.Unmarshal(c.Config["thresholds"], &shares); err != nil {
			t.Fatal(err)
		}
		near := func(name string, got ...float64) {
			t.Helper()
			golden.Close(t, name, got, c.Want(t, name), c.Outputs[name].F64Atol)
		}
		points := map[string][]float64{} // sums over the texts, at each share
		texts := 0
		for ; c.Outputs[fmt.Sprintf("probs.comp_mask.%d", texts)].Shape != nil; texts++ {
			at := fmt.Sprintf(".%d", texts)
			var target int
			c.Get(t, "target"+at, &target)
			column := func(name string) (curve []float64) {
				classes := c.Outputs[name+at].Shape[1]
				for row := range slices.Chunk(c.Want(t, name+at), classes) {
					curve = append(curve, row[target])
				}
				return curve
			}
			n := c.Outputs["probs.comp_mask"+at].Shape[0] - 1
			all := make([]int, n+1)
			for k := range all {
				all[k] = k
			}
			for _, fill := range []string{"delete", "mask"} {
				for _, kind := range []string{"comp", "suff"} {
					near("auc_trapezoid."+kind+"_"+fill+at, metric.Area(all, column("probs."+kind+"_"+fill), n))
				}
			}
			curve := column("probs.comp_mask")
			odds, logits := make([]float64, len(curve)), make([]float64, len(curve))
			for k, p := range curve {
				odds[k] = math.Log(p / curve[0])
				logits[k] = metric.LogOdds(p) - metric.LogOdds(curve[0])
			}
			near("log_odds_mask"+at, odds...)
			near("log_odds_logit_mask"+at, logits...)
			probs, classes := c.Want(t, "probs.comp_mask"+at), c.Outputs["probs.comp_mask"+at].Shape[1]
			best := func(k int) int {
				row := probs[k*classes : (k+1)*classes]
				return slices.Index(row, slices.Max(row))
			}
			near("decision_flip_fraction"+at, metric.FlipFraction(all, n, func(k int) bool { return best(k) != best(0) }))
			for _, rule := range []metric.Rule{metric.Ceil, metric.Round, metric.FloorMin} {
				var want []int
				c.Get(t, "k."+string(rule)+at, &want)
				ks := rule.Counts(n, shares)
				if !slices.Equal(ks, want) {
					t.Errorf("%s %s: %v of %d units, want %v", name, rule, ks, n, want)
				}
				for _, kind := range []string{"comp", "suff"} {
					curve, whole := column("probs."+kind+"_delete"), column("probs.comp_delete")[0]
					key := string(rule) + "." + map[string]string{"comp": "comprehensiveness", "suff": "sufficiency"}[kind]
					if points[key] == nil {
						points[key] = make([]float64, len(ks))
					}
					for i, k := range ks {
						points[key][i] += whole - curve[k]
					}
				}
			}
		}
		if texts != 3 && texts != 2 {
			t.Errorf("%s: %d texts", name, texts)
		}
		for key, sums := range points {
			for i := range sums {
				sums[i] /= float64(texts)
			}
			near("eraser."+key+"_aopc_points", sums...)
			mean := 0.0
			for _, v := range sums {
				mean += v / float64(len(sums))
			}
			near("eraser."+key+"_aopc", mean)
		}
	}
}

// TestOrder: ties go to the unit that comes first.
func TestOrder(t *testing.T) {
	c := golden.Load(t, "eraser_bert")
	for i := range 3 {
		var want []int
		c.Get(t, fmt.Sprintf("order.%d", i), &want)
		scores := c.Floats(t, fmt.Sprintf("scores.%d", i))
		got := slices.DeleteFunc(metric.Order(scores), func(i int) bool { return !slices.Contains(want, i) })
		if !slices.Equal(got, want) {
			t.Errorf("order %v, want %v", got, want)
		}
	}
}

func TestSpans(t *testing.T) {
	parse := func(s string) []bool {
		var chosen []bool
		for _, r := range s {
			chosen = append(chosen, r == 'x')
		}
		return chosen
	}
	for _, c := range []struct {
		truth, predicted string
		want             metric.Match
	}{
		{"xx..xx", "xx..x.", metric.Match{2, 2, 2, 2}}, // half of it is enough
		{"xxx...", "x.....", metric.Match{1, 0, 1, 0}}, // a third is not
		{"......", "xx....", metric.Match{1, 0, 0, 0}},
		{"xx....", "......", metric.Match{0, 0, 1, 0}},
		{"x.x.x.", "xxxxx.", metric.Match{1, 0, 3, 0}},
	} {
		if got := metric.PartialMatch(metric.Spans(parse(c.truth)), metric.Spans(parse(c.predicted)), 0.5); got != c.want {
			t.Errorf("%s, %s: %+v, want %+v", c.truth, c.predicted, got, c.want)
		}
	}
	// One text found wholly, one not at all: micro counts spans, macro texts.
	micro, macro := metric.IOUF1([]metric.Match{{1, 1, 1, 1}, {3, 0, 1, 0}})
	if math.Abs(micro-2*0.25*0.5/0.75) > 1e-15 || macro != 0.5 {
		t.Errorf("micro %v, macro %v", micro, macro)
	}
	// What ERASER's partial_match_score gives, with texts without truth or prediction,
	// and thresholds at which two predicted spans find one true span.
	for threshold, want := range map[float64][2]float64{
		0.1: {0.923076923076923, 0.7142857142857143}, 0.3: {0.4615384615384615, 0.37931034482758613},
		0.5: {0.4615384615384615, 0.37931034482758613}, 0.6: {0.3076923076923077, 0.24561403508771928},
	} {
		var texts []metric.Match
		for _, text := range [][2]string{
			{"xx..xx....", "xxx.x.xxx."}, {"..........", "xx........"}, {"xxxx......", ".........."}, {"xxxxxx.xx.", "x.x.x.xxx."},
		} {
			texts = append(texts, metric.PartialMatch(metric.Spans(parse(text[0])), metric.Spans(parse(text[1])), threshold))
		}
		if micro, macro := metric.IOUF1(texts); math.Abs(micro-want[0]) > 1e-15 || math.Abs(macro-want[1]) > 1e-15 {
			t.Errorf("at %v: micro %v, macro %v, want %v", threshold, micro, macro, want)
		}
	}
	// Annotators may mark a stretch twice, and stretches that overlap.
	truth := []metric.Span{{1, 4}, {4, 7}, {7, 9}, {6, 12}}
	predicted := []metric.Span{{8, 8}, {2, 4}, {8, 8}, {5, 11}, {5, 9}, {2, 4}}
	micro, macro = metric.IOUF1([]metric.Match{metric.PartialMatch(truth, predicted, 0.5)})
	if micro != 0.75 || macro != 0.75 {
		t.Errorf("of overlapping spans micro is %v and macro %v, and ERASER's are 0.75", micro, macro)
	}
	if f1 := metric.TokenF1(parse("xx.."), parse(".xx.")); f1 != 0.5 {
		t.Errorf("F1 %v", f1)
	}
}

// TestLaws: what holds of all vectors.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(rt, "n")
		vector := func(name string) []float64 {
			v := make([]float64, n)
			for i := range v {
				v[i] = float64(rapid.IntRange(-4, 4).Draw(rt, name)) // with ties
			}
			return v
		}
		a, b := vector("a"), vector("b")
		same := func(what string, x, y float64) {
			if math.Abs(x-y) > 1e-12 || math.IsNaN(x) != math.IsNaN(y) {
				rt.Fatalf("%s: %v and %v of %v, %v", what, x, y, a, b)
			}
		}
		scaled := slices.Clone(a)
		for i := range scaled {
			scaled[i] = 3*a[i] + 1
		}
		for what, f := range map[string]func(a, b []float64) float64{"Kendall": metric.Kendall, "Spearman": metric.Spearman, "Pearson": metric.Pearson} {
			same(what+" is symmetric", f(a, b), f(b, a))
			same(what+" knows no scale", f(a, b), f(scaled, b))
			if v := f(a, a); !math.IsNaN(v) {
				same(what+" of itself", v, 1)
			}
		}
		same("Kendall and its definition", metric.Kendall(a, b), kendall(a, b))
		truth := make([]bool, n)
		var flipped []float64
		for i, v := range b {
			truth[i] = v > 0
			flipped = append(flipped, -a[i])
		}
		if auc := metric.ROCAUC(truth, a); !math.IsNaN(auc) {
			same("the opposite's area", auc, 1-metric.ROCAUC(truth, flipped))
			if slices.Contains(truth, true) {
				same("the truth's own area", metric.AUPRC(truth, b), 1)
			}
		}
		k := rapid.IntRange(1, n).Draw(rt, "k")
		if v := metric.Overlap(a, scaled, k); v != 1 {
			rt.Fatalf("the largest %d of a scaled vector overlap by %v", k, v)
		}
	})
}

// TestConstant: a vector of equal scores, however long, correlates with nothing.
func TestConstant(t *testing.T) {
	for _, score := range []float64{0.001, 0.1, -0.7, 7.77, 1.0 / 3} {
		for n := 1; n < 400; n++ {
			equal, other := slices.Repeat([]float64{score}, n), make([]float64, n)
			for i := range other {
				other[i] = math.Sin(float64(i))
			}
			for what, f := range map[string]func(a, b []float64) float64{"Kendall": metric.Kendall, "Spearman": metric.Spearman, "Pearson": metric.Pearson} {
				if v, w := f(equal, other), f(other, equal); !math.IsNaN(v) || !math.IsNaN(w) {
					t.Fatalf("%s of %d scores of %v: %v, %v", what, n, score, v, w)
				}
			}
		}
	}
}

// kendall is τ-b by its definition, pair by pair.
func kendall(a, b []float64) float64 {
	var concordant, untiedA, untiedB float64
	for i := range a {
		for j := range i {
			x, y := float64(cmp.Compare(a[i], a[j])), float64(cmp.Compare(b[i], b[j]))
			concordant, untiedA, untiedB = concordant+x*y, untiedA+x*x, untiedB+y*y
		}
	}
	return concordant / math.Sqrt(untiedA*untiedB)
}

func TestInfidelity(t *testing.T) {
	changes := []float64{1, -2, 0.5}
	half := []float64{0.5, -1, 0.25}
	if v := metric.Infidelity(changes, changes, false); v != 0 {
		t.Errorf("an exact explanation has the infidelity %v", v)
	}
	if v := metric.Infidelity(half, changes, true); v > 1e-30 {
		t.Errorf("of half the scale it is %v normalised", v)
	}
	if v, want := metric.Infidelity(half, changes, false), (0.25+1+0.0625)/3; math.Abs(v-want) > 1e-15 {
		t.Errorf("of half the scale it is %v, want %v", v, want)
	}
	if v := metric.MaxSensitivity([]float64{3, 4}, [][]float64{{3, 4}, {3, 3}, {0, 0}}); v != 1 {
		t.Errorf("sensitivity %v", v)
	}
	if v := metric.MaxSensitivity([]float64{0, 0}, [][]float64{{3, 4}}); v != 5 {
		t.Errorf("sensitivity of nothing %v", v)
	}
}

func TestLogOdds(t *testing.T) {
	for p, want := range map[float64]float64{0: math.Inf(-1), 0.2: -math.Log(4), 0.5: 0, 0.75: math.Log(3), 1: math.Inf(1)} {
		if v := metric.LogOdds(p); v != want && !(math.Abs(v-want) < 1e-15) {
			t.Errorf("the log odds of %v are %v, want %v", p, v, want)
		}
	}
}
