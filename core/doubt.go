package core

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Doubt is a reason not to trust an explanation, or not all of it.
type Doubt struct {
	Code DoubtCode `json:"code"` // for programs; one explanation has each once at most
	Text string    `json:"text"` // a few sentences for people
}

// DoubtCode says what a Doubt is about. The codes do not change; a later version may
// have more of them.
type DoubtCode string

// The codes, in the order in which an explanation lists its doubts.
const (
	DoubtInsensitive DoubtCode = "insensitive" // the sanity check: scores that hardly depend on what the model has learnt
	DoubtZero        DoubtCode = "zero"        // all scores are zero
	DoubtEqual       DoubtCode = "equal"       // all scores are the same
	DoubtOneUnit     DoubtCode = "one-unit"    // a single score, which nothing compares with
	DoubtFlat        DoubtCode = "flat"        // the input moves the output next to nothing
	DoubtLeaning     DoubtCode = "leaning"     // the output is most of what it is without the input
	DoubtSaturated   DoubtCode = "saturated"   // gradients of a probability at the end of its scale
	DoubtGap         DoubtCode = "gap"         // scores that should add up, and do not
	DoubtTogether    DoubtCode = "together"    // scores of one unit at a time, where units act together
	DoubtFidelity    DoubtCode = "fidelity"    // scores that foretell the model badly
	DoubtNoise       DoubtCode = "noise"       // scores that may be chance
	DoubtOrder       DoubtCode = "order"       // scores of which it is not certain which is the largest
	DoubtStopped     DoubtCode = "stopped"     // a search that ended before it was as precise as was asked
	DoubtUnsplit     DoubtCode = "unsplit"     // a budget that ended before groups were taken apart
	DoubtSamples     DoubtCode = "samples"     // a fit to few samples
	DoubtAttention   DoubtCode = "attention"   // attention, which is no effect
	DoubtSpecial     DoubtCode = "special"     // attention that special tokens have
	DoubtCancelled   DoubtCode = "cancelled"   // sums that are rounding alone
	DoubtRounding    DoubtCode = "rounding"    // what 8 bits change
	DoubtCut         DoubtCode = "cut"         // tokens that did not fit the model
	DoubtVariants    DoubtCode = "variants"    // variants of the text that did not
	DoubtUnknown     DoubtCode = "unknown"     // tokens that the model cannot read
)

// The diagnostics of methods that the host knows the meaning of, as package sdk has
// them.
const (
	DiagUnsigned  = sdk.DiagUnsigned
	DiagGap       = sdk.DiagGap
	DiagRelative  = sdk.DiagRelative
	DiagR2        = sdk.DiagR2
	DiagMaxStderr = sdk.DiagMaxStderr
	DiagCertain   = sdk.DiagCertain
	DiagUnsplit   = sdk.DiagUnsplit
	DiagEffective = sdk.DiagEffective
	DiagSpecial   = sdk.DiagSpecial
	DiagSurviving = sdk.DiagSurviving
	DiagBaseline  = "baseline" // of a further attribution that is of a class: its target's baseline, where the explanation has it
)

// From where on a diagnostic is a doubt.
const (
	// DoubtFlatPart is the part of the output, with or without the input, below which
	// the input moves it next to nothing: the scores are shares of that.
	DoubtFlatPart = 0.01
	// DoubtLeaningPart is the part of a probability that is there without the input,
	// from which on the scores speak of the smaller part. An undecided model of two
	// classes has about half of a certain answer without any input; three quarters
	// lie half-way between that and all.
	DoubtLeaningPart = 0.75
	// DoubtSaturatedAt is the probability from which on, and its complement down to
	// which, a gradient is flat: the slope of a logistic function there, p(1 − p), is
	// a twenty-fifth of the steepest.
	DoubtSaturatedAt = 0.99
	// DoubtGapPart is the gap as a part of value − baseline: Sundararajan, Taly and
	// Yan, who define completeness, advise to integrate until it is within 5 %
	// (arXiv:1703.01365, section 5).
	DoubtGapPart = 0.05
	// DoubtTogetherPart is the same for methods that take one unit at a time and promise
	// no sum: where more than half is amiss, units act together more than alone.
	DoubtTogetherPart = 0.5
	// DoubtR2 is the share of the variance below which what the scores leave out is
	// more than what they hold.
	DoubtR2 = 0.5
	// DoubtErrors is how many standard errors a score has to be away from zero: about
	// 95 % of a normal distribution lie within two.
	DoubtErrors = 2
	// DoubtUnsplitPart is the part of all scores, in magnitude, that may be shared
	// evenly in groups.
	DoubtUnsplitPart = 0.05
	// DoubtSamplesPerUnit is the number of effective samples per unit below which a
	// fit is poorly determined: it has one unknown a unit, so that half of what is
	// measured is left to average errors out.
	DoubtSamplesPerUnit = 2
	// DoubtSpecialPart is the part of attention on special tokens from which on the
	// scores are the smaller part.
	DoubtSpecialPart = 0.5
	// DoubtSurvivingPart is the part of the magnitudes of components that their sums
	// have at least where these are more than what float32 rounds.
	DoubtSurvivingPart = 1e-5
	// DoubtRoundingPart is how far 8 bits may move a score, as a part of the largest:
	// scores are looked at to about a tenth of the largest.
	DoubtRoundingPart = 0.1
)

// Unsigned reports whether the values of an attribution are sizes, which say how much
// a unit matters and not which way: by its own diagnostic, NAME.unsigned, or that of
// the explanation. Of a method that has none, they are sizes where its parameters say
// that a token's components are reduced to a norm or taken as magnitudes, and where it
// reads attention and nothing is below zero.
func (x *Explanation) Unsigned(attribution string) bool {
	for _, name := range []string{attribution + "." + DiagUnsigned, DiagUnsigned} {
		if v, ok := x.Diagnostics[name]; ok {
			return v != 0
		}
	}
	switch x.Method.Params["reduce"] {
	case "l1", "l2", "auto":
		return true
	}
	if x.Method.Params["abs"] == true {
		return true
	}
	negative := func(v Float) bool { return v < 0 }
	i := slices.IndexFunc(x.Attributions, func(a Attribution) bool { return a.Name == attribution })
	return i >= 0 && slices.Contains(x.Method.Needs, sdk.NeedAttentions) && !slices.ContainsFunc(x.Attributions[i].Values, negative)
}

// judged is an explanation as rules look at it.
type judged struct {
	*Explanation
	values, stderr []float64 // of what takes part
	largest        float64   // in magnitude
	doubts         []Doubt
}

// doubts returns what speaks against an explanation, by its values and diagnostics
// alone: those that a result has when it is read again are the same. They are of its
// first attribution, and of those of steps.
func doubts(x *Explanation) []Doubt {
	if len(x.Attributions) == 0 {
		return []Doubt{}
	}
	j := judge(x)
	j.sanity()
	j.scores()
	j.rounding()
	j.input()
	return withSteps(x, j.doubts)
}

// judge returns an explanation as the rules look at its first attribution.
func judge(x *Explanation) *judged {
	j := &judged{Explanation: x, doubts: []Doubt{}}
	a := x.Attributions[0]
	for i, v := range a.Values {
		if a.Over == sdk.OverTokens && i < len(x.Input.Tokens) && (x.Input.Tokens[i].Special || x.Input.Tokens[i].Fixed) && v == 0 {
			continue
		}
		if a.Over == sdk.OverUnits && x.fixed(i) {
			continue
		}
		j.values = append(j.values, float64(v))
		if i < len(a.Stderr) {
			j.stderr = append(j.stderr, float64(a.Stderr[i]))
		}
		if size := math.Abs(float64(v)); size > j.largest {
			j.largest = size
		}
	}
	return j
}

// scores applies the rules that look at one attribution and its diagnostics.
func (j *judged) scores() {
	j.same()
	j.baseline()
	j.complete()
	j.fidelity()
	j.certainty()
	j.attention()
}

// fixed reports whether a unit consists of tokens that take no part.
func (x *Explanation) fixed(unit int) bool {
	if unit >= len(x.Input.Units) || len(x.Input.Units[unit].Tokens) == 0 {
		return false
	}
	return !slices.ContainsFunc(x.Input.Units[unit].Tokens, func(t int) bool { return t >= len(x.Input.Tokens) || !x.Input.Tokens[t].Fixed })
}

func (j *judged) add(code DoubtCode, format string, args ...any) {
	j.doubts = append(j.doubts, Doubt{code, fmt.Sprintf(format, args...)})
}

// diagnostic returns a diagnostic, and whether there is one that is a number.
func (j *judged) diagnostic(name string) (float64, bool) {
	v, ok := j.Diagnostics[name]
	return float64(v), ok && !math.IsNaN(float64(v))
}

// asked returns a parameter of the method that is a number.
func (j *judged) asked(name string) float64 {
	switch v := j.Method.Params[name].(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	return 0
}

func (j *judged) sanity() {
	if j.Sanity != nil && j.Sanity.insensitive(len(j.values)) {
		last := j.Sanity.Stages[len(j.Sanity.Stages)-1]
		j.add(DoubtInsensitive, "With every weight of the model shuffled, the scores keep their order (rank correlation %.2f): they hardly depend on what the model has learnt.", float64(last.Magnitudes))
	}
}

func (j *judged) same() {
	switch n := len(j.values); {
	case n == 0:
	case j.largest == 0:
		j.add(DoubtZero, "All scores are zero: by this method and its settings, no part of the input moves the output.")
	case n == 1:
		j.add(DoubtOneUnit, "There is one unit alone, whose score compares with nothing; smaller units say more.")
	case !slices.ContainsFunc(j.values, func(v float64) bool { return v != j.values[0] }):
		j.add(DoubtEqual, "All scores are the same, so that no unit stands out.")
	}
}

// moved returns how far the input moves the output from the method's baseline, and
// whether that is something.
func (j *judged) moved() (float64, bool) {
	if j.Target.Baseline == nil {
		return 0, false
	}
	value, baseline := float64(j.Target.Value), float64(*j.Target.Baseline)
	moved := value - baseline
	return moved, !(math.Abs(moved) <= DoubtFlatPart*max(math.Abs(value), math.Abs(baseline)))
}

func (j *judged) baseline() {
	value := float64(j.Target.Value)
	probability := j.Target.Output == string(sdk.Prob)
	if j.Target.Baseline != nil {
		baseline := float64(*j.Target.Baseline)
		if _, ok := j.moved(); !ok && !math.IsInf(baseline, 0) {
			j.add(DoubtFlat, "The output without the input, %s, is almost the same: the scores say little. Another fill or baseline may say more.", figure(baseline))
		} else if probability && baseline > 0 && baseline < value && baseline >= DoubtLeaningPart*value {
			j.add(DoubtLeaning, "Without the input the output is %s already, of %s with it: the scores speak of the difference alone.", figure(baseline), figure(value))
		}
	}
	_, promised := j.diagnostic(DiagRelative)
	_, given := j.Method.Params["baseline"]
	path := promised || given // from there to the input, which leads across the steep part
	ends := value >= DoubtSaturatedAt || value <= 1-DoubtSaturatedAt
	what := "probability"
	if j.Target.Kind == sdk.KindDifference { // near 0 its probabilities may be anywhere
		ends, what = math.Abs(value) >= DoubtSaturatedAt, "difference of probabilities"
	}
	if probability && !path && slices.Contains(j.Method.Needs, sdk.NeedGradients) && ends {
		j.add(DoubtSaturated, "The "+what+", %s, is near the end of its scale, where gradients are nothing but small: the output logit has no end.", figure(value))
	}
}

func (j *judged) complete() {
	moved, some := j.moved()
	relative, promised := j.diagnostic(DiagRelative)
	gap, ok := j.diagnostic(DiagGap)
	if !some || j.fitted() {
		return
	}
	switch {
	case promised && relative > DoubtGapPart:
		j.add(DoubtGap, "The scores should add up to %s, by which the input moves the output, and miss it by %.0f %%: more steps or samples bring them nearer, or another baseline.", figure(moved), 100*relative)
	case !promised && ok && math.Abs(gap) > DoubtTogetherPart*math.Abs(moved):
		j.add(DoubtTogether, "The scores add up to %s, and the whole input moves the output by %s: units act together, or stand in for each other, which no score of one at a time shows.", figure(moved+gap), figure(moved))
	}
}

// fitted reports whether the scores were fitted to what the model says of variants, or
// are averages over them, so that r² judges them: other methods that have one take a
// unit at a time, or add up.
func (j *judged) fitted() bool {
	_, surrogate := j.diagnostic(DiagR2)
	_, fit := j.diagnostic(DiagEffective)
	_, sampled := j.diagnostic(DiagMaxStderr)
	return surrogate && (fit || sampled)
}

func (j *judged) fidelity() {
	r2, ok := j.diagnostic(DiagR2)
	if j.exact() {
		return
	}
	switch {
	case !ok || r2 >= DoubtR2 || len(j.values) < 2:
	case j.largest == 0 && j.fitted(): // a selection left none: scores of zero foretell nothing
	case r2 <= 0:
		j.add(DoubtFidelity, "Added up, the scores foretell what the model says of parts of the input no better than a constant (r² %.2f): units act together.", r2)
	default:
		j.add(DoubtFidelity, "Added up, the scores foretell %.0f %% of how the output varies between parts of the input (r² %.2f): units act together, of which one score each says little.", 100*r2, r2)
	}
}

// exact reports whether the scores are exactly what they are by definition, shares of
// value − baseline: they add up to it and nothing of them was sampled. They were not
// fitted to foretell anything.
func (j *judged) exact() bool {
	gap, ok := j.diagnostic(DiagGap)
	moved, _ := j.moved()
	errors, sampled := j.diagnostic(DiagMaxStderr)
	return ok && j.Target.Baseline != nil && math.Abs(gap) <= 1e-9*math.Abs(moved) && (!sampled || errors == 0)
}

func (j *judged) certainty() {
	if n, largest := len(j.values), j.at(); len(j.stderr) == n && n > 0 && j.largest > 0 {
		if e := j.stderr[largest]; e > 0 && j.largest <= DoubtErrors*e {
			j.add(DoubtNoise, "The largest score, %s, is no more than %d standard errors from zero: it may be chance. More samples make the errors smaller.", figure(j.values[largest]), DoubtErrors)
		} else if n > 1 && !j.certain() {
			j.add(DoubtOrder, "Which unit has the largest score is not certain: others are within the standard errors. More samples may settle it.")
		}
	}
	if e, ok := j.diagnostic(DiagMaxStderr); ok && j.asked("max_stderr") > 0 && e > j.asked("max_stderr") {
		j.add(DoubtStopped, "The search ended at a standard error of %s, and %s was asked for: it needs more samples.", figure(e), figure(j.asked("max_stderr")))
	} else if gap, ok := j.diagnostic(DiagRelative); ok && j.asked("max_gap") > 0 && gap > j.asked("max_gap") {
		j.add(DoubtStopped, "The search ended at a gap of %.2g %%, and %.2g %% was asked for: it needs more steps, or another baseline.", 100*gap, 100*j.asked("max_gap"))
	}
	if v, ok := j.diagnostic(DiagUnsplit); ok {
		total := 0.0
		for _, v := range j.values {
			total += math.Abs(v)
		}
		if v > DoubtUnsplitPart*total {
			j.add(DoubtUnsplit, "The budget ended before every group of units was taken apart: %s of the scores is shared evenly in groups. More evaluations take them apart.", figure(v))
		}
	}
	if v, ok := j.diagnostic(DiagEffective); ok && len(j.values) == 1 && j.asked("alpha") > 0 {
		if gap, ok := j.diagnostic(DiagGap); ok && math.Abs(gap) > DoubtGapPart*math.Abs(j.largest) {
			j.add(DoubtSamples, "The penalty of the fit shrinks the only score, which is %s: with alpha=0, or by leave-one-out, it is the whole difference.", figure(j.values[0]))
		}
	} else if ok && v < float64(DoubtSamplesPerUnit*len(j.values)) {
		j.add(DoubtSamples, "The fit rests on %s effective samples for %s: use more samples, or a wider kernel.", figure(v), count(len(j.values), "unit"))
	}
}

// at returns the place of the largest score, in magnitude.
func (j *judged) at() int {
	return slices.IndexFunc(j.values, func(v float64) bool { return math.Abs(v) == j.largest })
}

// certain reports whether the largest score is certainly that: as the method says,
// or as far from every other one as the error of their difference asks.
func (j *judged) certain() bool {
	if top, ok := j.diagnostic(DiagCertain); ok {
		return top >= 1
	}
	at := j.at()
	for i, v := range j.values {
		if i != at && j.largest-math.Abs(v) <= DoubtErrors*math.Hypot(j.stderr[i], j.stderr[at]) {
			return false
		}
	}
	return true
}

func (j *judged) attention() {
	needs := func(n sdk.Need) bool { return slices.Contains(j.Method.Needs, n) }
	if needs(sdk.NeedAttentions) && !needs(sdk.NeedGradients) && j.Unsigned(j.Attributions[0].Name) {
		j.add(DoubtAttention, "Attention says what the model reads, not what changes its answer, nor which way.")
	}
	if share, ok := j.diagnostic(DiagSpecial); ok && share >= DoubtSpecialPart {
		j.add(DoubtSpecial, "Special tokens, which are no part of the text, have %.0f %% of it: the units share the rest.", 100*share)
	}
	if share, ok := j.diagnostic(DiagSurviving); ok && share < DoubtSurvivingPart {
		j.add(DoubtCancelled, "The components of each token's gradient cancel, so that their sum is rounding alone: reduce=l2 or l1 says how large it is.")
	}
}

func (j *judged) rounding() {
	if change, ok := j.diagnostic(DiagFloat32Attributed); ok && change > DoubtRoundingPart*j.largest {
		j.add(DoubtRounding, "In 8 bits a score is off by up to %s, and the largest is %s: float32 is exact.", figure(change), figure(j.largest))
	}
}

func (j *judged) input() {
	if n := len(j.Input.Dropped); n > 0 {
		j.add(DoubtCut, "%s not fit the model, which did not read %s: no score speaks of %s.", several(n, "token did", "tokens did"), oneOf(n, "it", "them"), oneOf(n, "it", "them"))
	}
	if n, ok := j.diagnostic(DiagTruncated); ok && n > 0 {
		j.add(DoubtVariants, "%s of the text %s too long for the model and lost %s end.", several(int(n), "variant", "variants"), oneOf(int(n), "was", "were"), oneOf(int(n), "its", "their"))
	}
	if n, ok := j.diagnostic(DiagUnknown); ok && n > 0 {
		j.add(DoubtUnknown, "%d of %d tokens are unknown to the model, which cannot tell them apart.", int(n), len(j.Input.Tokens))
	}
}

func several(n int, one, many string) string { return strconv.Itoa(n) + " " + oneOf(n, one, many) }

func oneOf(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// figure words a number for a sentence, with four significant digits.
func figure(v float64) string { return fmt.Sprintf("%.4g", v) }
