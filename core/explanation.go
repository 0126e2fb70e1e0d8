package core

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
)

// Schema names the version of the JSON form of an Explanation.
const Schema = "xai.explanation/1"

// Explanation is the result of a run: what was explained, by what, and the
// values, with what it takes to run it again. Its JSON form is Schema.
type Explanation struct {
	Schema       string        `json:"schema"`
	Model        ModelRef      `json:"model"`
	Method       MethodRef     `json:"method"`
	Input        InputRef      `json:"input"`
	Target       Target        `json:"target"`
	Attributions []Attribution `json:"attributions"`
	Tensors      []Tensor      `json:"tensors"`
	Diagnostics  Diagnostics   `json:"diagnostics"`
	Sanity       *Sanity       `json:"sanity,omitempty"` // where the request asked for it
	// Doubts are the reasons not to trust the values, in plain sentences: empty where
	// the host knows none. They follow from all else.
	Doubts     []Doubt    `json:"doubts"`
	Provenance Provenance `json:"provenance"`
}

// ModelRef identifies the model by name and by the hashes of its files.
type ModelRef struct {
	ID              string `json:"id"`
	Architecture    string `json:"architecture"`
	Task            string `json:"task"`
	SHA256          string `json:"sha256"`           // of the configuration and the weights, as [engine.Model.Digest] has it
	TokenizerSHA256 string `json:"tokenizer_sha256"` // empty where there is none
}

// MethodRef identifies the method, with every parameter after defaults.
type MethodRef struct {
	Name    string         `json:"name"`
	Version string         `json:"version"`
	SHA256  string         `json:"sha256"` // of the module or the executable that ran
	Runtime string         `json:"runtime"`
	ABI     string         `json:"abi"`
	Needs   []sdk.Need     `json:"needs"`            // that were granted
	Signer  string         `json:"signer,omitempty"` // whose signature of the bytes was verified
	Params  map[string]any `json:"params"`
}

// InputRef is the input as the model saw it.
type InputRef struct {
	Text     string  `json:"text"`
	TextPair *string `json:"text_pair"`
	InputIDs []int32 `json:"input_ids"`
	Tokens   []Token `json:"tokens"`
	Units    []Unit  `json:"units"`
	Dropped  []Token `json:"dropped"` // what truncation cut
}

// Token is one token. Start and End are byte offsets into the original text,
// RuneStart and RuneEnd the same in code points; Sequence says which text of a
// pair they belong to.
type Token struct {
	ID        int32  `json:"id"`
	Text      string `json:"text"`
	Sequence  int    `json:"sequence"`
	Start     int    `json:"start"`
	End       int    `json:"end"`
	RuneStart int    `json:"rune_start"`
	RuneEnd   int    `json:"rune_end"`
	Special   bool   `json:"special"`
	Fixed     bool   `json:"fixed,omitempty"` // never dropped nor attributed to
}

// Unit is what an attribution belongs to. A unit with more than one span lists
// all of them in Spans; Start and End are those of the first.
type Unit struct {
	Text     string `json:"text"`
	Sequence int    `json:"sequence"`
	Start    int    `json:"start"`
	End      int    `json:"end"`
	Spans    []Span `json:"spans,omitempty"`
	Tokens   []int  `json:"tokens"`
}

// Span is a range of bytes of one of the original texts.
type Span struct {
	Sequence int `json:"sequence"`
	Start    int `json:"start"`
	End      int `json:"end"`
}

// Target is the scalar that was explained, and the expression that names it.
// Baseline is the same output at the method's baseline, nil where the method has
// none.
type Target struct {
	Expr     string `json:"expression"`
	Kind     string `json:"kind"`
	Index    int    `json:"index"`
	Label    string `json:"label"`
	Output   string `json:"output"`
	Value    Float  `json:"value"`
	Baseline *Float `json:"baseline"`
	// Positions are the tokens whose rows of logits it is read from, ascending.
	Positions []int `json:"positions"`
	// Steps are the tokens of a continuation.
	Steps []Step `json:"steps,omitempty"`
}

// Step is one token of a continuation, with the target's value for it alone, given
// those before it. Baseline is the same output at the method's baseline, nil
// unless steps were asked for.
type Step struct {
	Token    int32  `json:"token"`
	Text     string `json:"text"`
	Value    Float  `json:"value"`
	Baseline *Float `json:"baseline"`
}

// Attribution holds one value a unit or a token, as Over says. Target is the scalar
// that it explains where it is of a class that a method explains beside the target, as
// class.0 is; the scalars of steps are in Target.Steps of the explanation.
type Attribution struct {
	Name   string  `json:"name"`
	Over   string  `json:"over"`
	Values []Float `json:"values"`
	Stderr []Float `json:"stderr,omitempty"`
	Target *Target `json:"target,omitempty"`
}

// Tensor is a further result of the method, row-major.
type Tensor struct {
	Name   string   `json:"name"`
	Axes   []string `json:"axes"`
	Shape  []int    `json:"shape"`
	Values []Float  `json:"values"`
}

// The diagnostics that the host adds to those of a method, which takes none of these
// names.
const (
	DiagEvaluations       = contract.DiagEvaluations       // rows that the method asked for
	DiagUnique            = contract.DiagUnique            // distinct ones among them
	DiagCacheHits         = contract.DiagCacheHits         // those that were known before
	DiagForwards          = contract.DiagForwards          // rows that the model ran for them
	DiagGradients         = contract.DiagGradients         // those whose gradient it computed on top
	DiagUnknown           = contract.DiagUnknown           // tokens that the model could not read, where there are any
	DiagTruncated         = contract.DiagTruncated         // rows that were too long for the model, where there are any
	DiagFloat32Value      = contract.DiagFloat32Value      // in 8 bits: the target in float32, for the unchanged input
	DiagFloat32Variants   = contract.DiagFloat32Variants   // variants that were run in float32 too
	DiagFloat32Mean       = contract.DiagFloat32Mean       // how far the target is off in them, in magnitude
	DiagFloat32Largest    = contract.DiagFloat32Largest    // the same, the largest
	DiagFloat32Attributed = contract.DiagFloat32Attributed // how far an attribution is off, the largest; where there are few variants
)

// Diagnostics are scalars that say how far to trust the values: the host's
// evaluations, unique_evaluations and cache_hits, what float32 changes in an
// explanation in 8 bits (float32_…), and the method's own.
type Diagnostics map[string]Float

// Provenance is what it takes to repeat the run, and what the run took. Of the
// latter, WallSeconds and Fuel need not repeat: the collector of a method in Go
// runs as it likes.
type Provenance struct {
	XAI    string `json:"xai"`
	Kernel string `json:"kernel"`
	DType  string `json:"dtype"`
	Seed   uint64 `json:"seed"`
	Units  string `json:"units"` // how the text was cut: UnitsToken …; empty of token ids

	WallSeconds float64 `json:"wall_seconds"`
	Fuel        int64   `json:"fuel"`      // instructions of the module; 0 where nothing counted them
	BytesIn     int64   `json:"bytes_in"`  // of tensors, that the method read
	BytesOut    int64   `json:"bytes_out"` // of tensors, that it wrote
	Sandbox     string  `json:"sandbox"`
	Dev         bool    `json:"dev,omitempty"` // the method's bytes were held to no hash and no grant
}

// Float is a float64 whose JSON form is the shortest text that reads back as
// the same number, and the strings "NaN", "Infinity" and "-Infinity" for what
// JSON has no numbers for.
type Float float64

// MarshalJSON implements json.Marshaler.
func (f Float) MarshalJSON() ([]byte, error) {
	v := float64(f)
	switch {
	case math.IsNaN(v):
		return []byte(`"NaN"`), nil
	case math.IsInf(v, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(v)
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Float) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		v, err := strconv.ParseFloat(s, 64)
		*f = Float(v)
		return err
	}
	return json.Unmarshal(b, (*float64)(f))
}

// Floats converts a slice; nil stays nil.
func Floats(v []float64) []Float {
	if v == nil {
		return nil
	}
	return widen(v)
}
