package sdk

import "strconv"

// Explanation is what a method returns.
type Explanation struct {
	// Units replaces the request's units, for a method that has its own.
	Units []Unit
	// Attributions holds at least one entry, the first of them named
	// "attributions".
	Attributions []Attribution
	// Tensors are further results, such as a rollout matrix.
	Tensors []NamedTensor
	// Baseline is the target's value at the method's baseline, if it has one.
	Baseline *float64
	// Diagnostics are scalars that say how far to trust the values.
	Diagnostics []Diagnostic
}

// The axes that an attribution can run over.
const (
	OverUnits  = "units"
	OverTokens = "tokens"
)

// Attribution is one value a unit or a token, in the scale of the target.
type Attribution struct {
	Name   string
	Over   string    // OverUnits or OverTokens
	Values []float64 // as many as there are units or tokens
	Stderr []float64 // standard errors, or nil
}

// ClassName names an attribution that is of a class of a text, beside the target's:
// class.N. The host adds the class's label and value to it.
func ClassName(class int) string { return "class." + strconv.Itoa(class) }

// NamedTensor is a further result with named axes.
type NamedTensor struct {
	Name string
	Axes []string // one a dimension
	Tensor
}

// Diagnostic is a named scalar.
type Diagnostic struct {
	Name  string
	Value float64
}

// The names of diagnostics that the host knows the meaning of: whoever writes a
// method and returns them under these names has them judged, and reported in words.
// Those of a further attribution begin with its name and a dot.
const (
	DiagUnsigned  = "unsigned"          // 1: scores are sizes, which say how much and not which way
	DiagGap       = "completeness_gap"  // how far the scores are from adding up to value − baseline
	DiagRelative  = "relative_gap"      // the same as a part of that, of a method that promises no gap
	DiagR2        = "r2"                // share of the variance of variants that the scores, added up, foretell
	DiagMaxStderr = "max_stderr"        // the largest standard error
	DiagCertain   = "certain_top"       // how many of the largest scores are certainly the largest, in order
	DiagUnsplit   = "unsplit"           // credit that groups of units share evenly, in magnitude
	DiagEffective = "effective_samples" // of a weighted fit
	DiagSpecial   = "special_share"     // of attention, that special tokens have
	DiagSurviving = "surviving_share"   // of a gradient, what summing its components leaves of their magnitudes
)
