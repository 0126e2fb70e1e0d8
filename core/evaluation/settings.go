package evaluation

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/metric"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/sdk"
)

// Groups of measures that can be asked for.
const (
	Faithfulness = "faithfulness" // comprehensiveness, sufficiency, log-odds, curves, decision flips
	Infidelity   = "infidelity"   // of dropped units
	LeaveOneOut  = "loo"          // agreement with what each unit does alone
	Embedding    = "embedding"    // infidelity and sensitivity of noise on the embeddings, as captum has them
	Sensitivity  = "sensitivity"  // of the explanation to a unit that is missing
	Sparsity     = "sparsity"
	Agreements   = "agreement"    // between methods
	Plausibility = "plausibility" // with what a human marked
)

// Groups lists them.
var Groups = []string{Faithfulness, Infidelity, LeaveOneOut, Embedding, Sensitivity, Sparsity, Agreements, Plausibility}

// What becomes of texts that are longer than the model reads.
const (
	LongWindows = "windows" // they are read window by window
	LongCut     = "cut"     // their end is not read
)

// How many units of an explanation count as its rationale.
const (
	TopShare = "share" // the corpus' mean share of marked words
	TopTruth = "truth" // as many as are marked in the text
)

// Settings say how explanations are measured.
type Settings struct {
	Preset   string   `json:"preset"`
	Measures []string `json:"measures"` // some of Groups
	// Fill is what a removed unit becomes, as methods name it.
	Fill     string `json:"fill"`
	FillText string `json:"fill_text,omitempty"`
	// Shares of the units are removed and kept, and Rule makes numbers of them.
	Shares []float64   `json:"shares"`
	Rule   metric.Rule `json:"rule"`
	// Positive has no unit removed or kept whose score is not above 0, and counts
	// a share only where it is a set of its own, and not empty.
	Positive bool `json:"positive"`
	// Steps is how many intervals the curves are drawn with; 0 measures every k.
	Steps int `json:"steps"`
	// Random is how many random orders stand beside each method.
	Random int `json:"random"`
	// Samples is how many sets of units are dropped for the infidelity, and
	// NoiseSamples how many noises are added to embeddings, of the radius Noise.
	Samples      int     `json:"samples"`
	NoiseSamples int     `json:"noise_samples"`
	Noise        float64 `json:"noise"`
	// Neighbours is how many neighbours of a text are explained for Sensitivity.
	Neighbours int `json:"neighbours"`
	// Top is how many units count as the rationale of an explanation: TopShare,
	// TopTruth or a number.
	Top string `json:"top"`
	// Bootstrap is how many samples of texts the intervals are made of, and
	// Confidence what they cover.
	Bootstrap  int     `json:"bootstrap"`
	Confidence float64 `json:"confidence"`
	// Long is LongWindows or LongCut.
	Long string `json:"long"`
}

// Presets lists the conventions that Preset knows.
var Presets = []string{"eraser", "ferret", "captum"}

// Preset returns the conventions of a reference: eraser, ferret or captum.
func Preset(name string) (Settings, error) {
	s := Settings{
		Preset:   name,
		Measures: []string{Faithfulness, Infidelity, LeaveOneOut, Sparsity, Agreements, Plausibility},
		Fill:     "delete", Shares: []float64{0.01, 0.05, 0.1, 0.2, 0.5}, Rule: metric.Ceil,
		Steps: 20, Random: 10, Samples: 100, NoiseSamples: 10, Noise: 0.02, Neighbours: 5,
		Top: TopShare, Bootstrap: 2000, Confidence: 0.95, Long: LongWindows,
	}
	switch name {
	case "eraser":
	case "ferret":
		s.Rule, s.Positive, s.Top = metric.Floor, true, "5"
		s.Shares = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}
	case "captum":
		s.Measures = []string{Infidelity, Embedding, Sparsity, Agreements}
		s.Samples = 10
	default:
		hint := "use " + strings.Join(Presets, ", ")
		if near, ok := nearest.Of(name, Presets); ok {
			hint = "did you mean " + near + "? " + hint
		}
		return s, usage("there is no preset "+strconv.Quote(name), hint)
	}
	return s, nil
}

// Has reports whether a group of measures is asked for.
func (s *Settings) Has(group string) bool { return slices.Contains(s.Measures, group) }

// fill returns the fill of a Forward.
func (s *Settings) fill() sdk.Fill {
	kind, _ := sdk.ParseFill(s.Fill)
	return sdk.Fill{Kind: kind, Text: s.FillText}
}

// top returns how many of n units are an explanation's rationale, of which true
// ones are marked, given the mean share of the corpus.
func (s *Settings) top(n, marked int, share float64) int {
	k := marked
	switch s.Top {
	case TopTruth:
	case TopShare:
		k = metric.Round.Counts(n, []float64{share})[0]
	default:
		k, _ = strconv.Atoi(s.Top)
	}
	return min(max(k, 1), n)
}

// Check refuses settings that mean nothing.
func (s *Settings) Check() error {
	if len(s.Measures) == 0 {
		return usage("no measures are asked for", "the groups are "+strings.Join(Groups, ", "))
	}
	for _, g := range s.Measures {
		if !slices.Contains(Groups, g) {
			hint := "the groups are " + strings.Join(Groups, ", ")
			if near, ok := nearest.Of(g, Groups); ok {
				hint = "did you mean " + near + "? " + hint
			}
			return usage("there are no measures "+strconv.Quote(g), hint)
		}
	}
	if kind, ok := sdk.ParseFill(s.Fill); !ok || kind == sdk.FillToken {
		return usage("unknown fill "+strconv.Quote(s.Fill), "use "+strings.Join(sdk.FillNames, ", "))
	}
	if len(s.Shares) == 0 {
		return usage("there is no share of units to remove", "give shares such as 0.1,0.2,0.5")
	}
	for _, q := range s.Shares {
		if !(q > 0 && q <= 1) {
			return usage("a share of units is above 0 and at most 1", "give shares such as 0.1,0.2,0.5")
		}
	}
	if !slices.Contains([]metric.Rule{metric.Ceil, metric.Round, metric.FloorMin, metric.Floor}, s.Rule) {
		return usage("unknown rule "+strconv.Quote(string(s.Rule)), "use ceil, round, floor or floor_min1")
	}
	for what, n := range map[string]int{"steps": s.Steps, "random orders": s.Random, "samples": s.Samples, "noise samples": s.NoiseSamples, "neighbours": s.Neighbours, "bootstrap samples": s.Bootstrap} {
		if n < 0 || n > maxCount {
			return usage("the number of "+what+" is not between 0 and "+strconv.Itoa(maxCount), "give a smaller one")
		}
	}
	if !(s.Confidence > 0 && s.Confidence < 1) {
		return usage("a confidence lies between 0 and 1", "give 0.95")
	}
	if !(s.Noise > 0) {
		return usage("the radius of noise is above 0", "give 0.02")
	}
	if n, err := strconv.Atoi(s.Top); s.Top != TopShare && s.Top != TopTruth && (err != nil || n < 1) {
		return usage("unknown size of rationales "+strconv.Quote(s.Top), "use share, truth or a number of units")
	}
	if s.Long != LongWindows && s.Long != LongCut {
		return usage("unknown treatment of long texts "+strconv.Quote(s.Long), "use windows or cut")
	}
	return nil
}

// maxCount bounds what settings count.
const maxCount = 100_000

func usage(msg, hint string) error { return &core.Error{Kind: core.KindUsage, Msg: msg, Hint: hint} }

func input(msg, hint string) error { return &core.Error{Kind: core.KindInput, Msg: msg, Hint: hint} }

// modelError words what a model answers to a forward that cannot be.
func modelError(err error) error {
	e, ok := errors.AsType[*sdk.Error](err)
	if _, known := errors.AsType[*core.Error](err); known || !ok {
		return err
	}
	return &core.Error{Kind: core.KindInput, Msg: "the model cannot be measured so: " + e.Error(), Hint: "another fill may do", Err: err}
}
