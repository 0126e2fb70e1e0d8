// Package arch describes what an architecture is to the engine: a graph of a
// few operations over named weights, read off a configuration. A family of
// architectures registers itself under the model_type of its configuration.
package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/internal/nearest"
)

// DType is the number format that a model computes in.
type DType string

// The number formats. F64 is the reference: plain Go loops in double
// precision. BF16 computes in single precision from weights rounded to 16 bits.
// INT8 computes the linear layers of the blocks in integers of 8 bits and the
// rest in single precision.
const (
	F32  DType = "f32"
	F64  DType = "f64"
	BF16 DType = "bf16"
	INT8 DType = "int8"
)

// Size returns the bytes of one number of an activation.
func (d DType) Size() int64 {
	if d == F64 {
		return 8
	}
	return 4
}

// The tasks of models.
const (
	SequenceClassification = "sequence-classification" // one row of logits for a sequence
	TokenClassification    = "token-classification"    // a row of logits for a token
	QuestionAnswering      = "question-answering"      // logits for start and end for a token
	MaskedLM               = "masked-lm"               // logits over the vocabulary for a token
	CausalLM               = "causal-lm"               // the same for what follows a token
	PermutationLM          = "permutation-lm"          // the same for a token, given those that the caller lets it see
)

// Info says what a model is and how large its inputs may be.
type Info struct {
	ModelType    string   // family, "bert"
	Architecture string   // class of the reference implementation, "BertForSequenceClassification"
	Task         string   // for instance [SequenceClassification]
	Labels       []string // names of the classes in the order of the logits; nil for a language model
	Layers       int
	Heads        int
	Hidden       int   // width of the residual stream
	Embedding    int   // width of a word embedding
	Vocabulary   int   // ids are below it
	Types        int   // token types are below it; 0 where the model has none
	Positions    int   // positions are below it; 0 where the model has no table of them
	Length       int   // tokens of the longest sequence; 0 where nothing bounds it
	Outputs      int   // logits of a row
	Memories     bool  // takes memories of earlier segments
	Targets      bool  // takes targets and permutation masks
	Parameters   int64 // number of weights
	DType        DType // what it computes in
}

// Architecture is a model without its weights.
type Architecture struct {
	Info Info
	// Prefix begins the names of the base model's tensors, "bert."; a
	// checkpoint may do without it.
	Prefix string
	// FirstPosition is the position of the first token. Where PadPosition is
	// not nil, padding tokens do not count and all have the position *PadPosition,
	// which is also their id: RoBERTa.
	FirstPosition int
	PadPosition   *int32
	// Graph returns what the model computes in a form.
	Graph func(Form) *Graph
}

// Form selects among the graphs of a model by what the caller gives. Most
// models have one graph for all forms.
type Form struct {
	Targets bool // positions to predict: the query stream of XLNet runs
	Memory  bool // memories of an earlier segment
	Types   bool // token types
}

// Forms returns the forms that a model has graphs for.
func (i *Info) Forms() []Form {
	seen := map[Form]bool{}
	var forms []Form
	for bits := range 8 {
		f := i.Form(Form{Targets: bits&1 != 0, Memory: bits&2 != 0, Types: bits&4 != 0})
		if !seen[f] {
			seen[f] = true
			forms = append(forms, f)
		}
	}
	return forms
}

// Form returns the form whose graph a model runs for f, without what the model
// does not take.
func (i *Info) Form(f Form) Form {
	return Form{Targets: f.Targets && i.Targets, Memory: f.Memory && i.Memories, Types: f.Types && i.Types > 0}
}

// Open reads a configuration as an architecture.
type Open func(c *checkpoint.Config) (*Architecture, error)

var registry = map[string]Open{}

// Register makes an architecture known under a model_type. It is called from
// init functions.
func Register(modelType string, open Open) {
	if registry[modelType] != nil {
		panic(fmt.Sprintf("arch: model_type %q is registered twice", modelType))
	}
	registry[modelType] = open
}

// Known returns the registered model types in order.
func Known() []string { return slices.Sorted(maps.Keys(registry)) }

// Lookup returns the architecture for a model_type. The error for an unknown
// one is a [*checkpoint.UnsupportedError] that lists those known, the nearest
// first.
func Lookup(modelType string) (Open, error) {
	if open, ok := registry[modelType]; ok {
		return open, nil
	}
	known := Known()
	if best, ok := nearest.Of(modelType, known); ok {
		known = slices.DeleteFunc(known, func(s string) bool { return s == best })
		known = append([]string{best}, known...)
	}
	return nil, &checkpoint.UnsupportedError{
		What: fmt.Sprintf("model_type %q", modelType),
		Hint: "known are " + strings.Join(known, ", "),
	}
}
