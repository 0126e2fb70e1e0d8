package sdk

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
