// Package abi holds what the two sides of the sandbox share: the numbers of
// ABI 1 and the encodings of the frames that cross it. docs/ABI.md is the
// contract; a test holds this package to its tables.
//
// Everything is little-endian. The package imports the standard library and
// sdk alone and avoids reflection, because it is linked into every module.
package abi

import "github.com/xai-go/xai/sdk"

// The version of the ABI. A host refuses a module of another major or of a
// higher minor.
const (
	Major   = 1
	Minor   = 0
	Version = Major<<16 | Minor
)

// Namespace is the module name of the host's functions; it carries the major
// version.
const Namespace = "xai1"

// The exports of a module.
const (
	ExportMemory  = "memory"
	ExportVersion = "xai_abi"
	ExportAlloc   = "xai_alloc"
	ExportExplain = "xai_explain"
	ExportInit    = "_initialize" // optional

	ExportDescribe = "xai_describe" // optional: for tools, no run calls it
)

// The limits that are part of the ABI, whatever the host grants beyond them.
const (
	MaxRank    = 8       // dimensions of a tensor
	MaxName    = 255     // bytes of a name
	MaxFrame   = 1 << 24 // bytes of a frame that the module hands over
	MaxHandles = 1 << 16 // live tensors and replies of one explanation
	MaxMessage = 1024    // bytes that are kept of an error's message and of a log line
	MaxFill    = 1024    // bytes of a forward's fill text
	MaxText    = 1 << 20 // bytes of one text of a forward
	MaxResults = 4096    // results of one explanation
	MaxPoints  = 4096    // names in points and in wrt, and activations that the names of each stand for
	MaxEdits   = 4096    // edits of a forward
	MaxTokens  = 1 << 16 // tokens that a generation adds
)

// Field is the tag of a field in a frame.
type Field uint16

// FlagCritical marks a field that a reader must know: EUNSUPPORTED where it
// does not. A field without it is skipped.
const FlagCritical = 1

// The fields of the request frame that xai_explain receives.
const (
	FieldMethod Field = 1 // utf8: the name of the method to run
)

// The fields of a forward spec, and of a gradient's. Exactly one of FieldUnits,
// FieldMasks, FieldTexts, FieldIDs and FieldEmbeds says what the rows are.
const (
	FieldUnits  Field = 1 // i64: handle of u8 [N,U]
	FieldMasks  Field = 2 // i64: handle of u8 [N,T]
	FieldTexts  Field = 3 // i64, i64: handles of u8 [B] and of the offsets, i64 [N+1]
	FieldIDs    Field = 4 // i64, i64: handles of i32 [N,T] and of the lengths, i32 [N]
	FieldFill   Field = 5 // u32 fill code, i32 token, utf8 text
	FieldTarget Field = 6 // utf8: a target expression
	FieldOver   Field = 7 // unit list: the columns of FieldUnits
	FieldDedup  Field = 8 // u8: 0 runs equal rows again
	FieldWant   Field = 9 // u32 ...: want codes, the outputs that reply_get may ask for

	FieldEmbeds Field = 10 // i64: handle of f32 [N,T,D]
	FieldPoints Field = 11 // string list: the activations that the reply keeps
	FieldEdits  Field = 12 // edit list
	FieldWrt    Field = 13 // string list: where a gradient is taken; of grad alone
	FieldRule   Field = 14 // u32 rule code: how the target is passed back; of grad alone
)

// The fields of a generation spec.
const (
	FieldMaxTokens   Field = 1 // u32
	FieldPrompt      Field = 2 // i64: handle of i32 [T]
	FieldTemperature Field = 3 // f64
	FieldTopK        Field = 4 // u32
	FieldTopP        Field = 5 // f64
	FieldSeed        Field = 6 // u64
)

// The fields of the spec of op.
const (
	FieldOperands Field = 1 // i64 ...: handles
	FieldScalars  Field = 2 // f64 ...
)

// The fields of a result's meta.
const (
	FieldAxes        Field = 1 // string list: one name a dimension
	FieldResultUnits Field = 2 // unit list: replaces the request's units
)

// The fields of a target. What is absent is empty or 0.
const (
	FieldTargetKind        Field = 1 // utf8
	FieldTargetExpression  Field = 2 // utf8
	FieldTargetLabel       Field = 3 // utf8
	FieldTargetIndex       Field = 4 // u32
	FieldTargetOutput      Field = 5 // u32: an output code
	FieldTargetValue       Field = 6 // f64
	FieldTargetPositions   Field = 7 // u32 [K]
	FieldTargetSecond      Field = 8 // u32
	FieldTargetSecondLabel Field = 9 // utf8
)

// The fields of a model. What is absent is empty, 0 or not there.
const (
	FieldModelID           Field = 1  // utf8
	FieldModelArchitecture Field = 2  // utf8
	FieldModelTask         Field = 3  // utf8
	FieldModelMaskToken    Field = 4  // utf8
	FieldModelLabels       Field = 5  // string list
	FieldModelLayers       Field = 6  // u32
	FieldModelHeads        Field = 7  // u32: of a layer
	FieldModelEmbedding    Field = 8  // u32: the width of the word embeddings
	FieldModelHidden       Field = 9  // u32: the width of the hidden states
	FieldModelVocabulary   Field = 10 // u32: ids of tokens are less
	FieldModelMaxTokens    Field = 11 // u32: of the longest row
	FieldModelMaskID       Field = 12 // i32
	FieldModelPadID        Field = 13 // i32
	FieldModelSpecialIDs   Field = 14 // i32 [K]
)

// The columns of a list of T tokens.
const (
	FieldTokenIDs        Field = 1 // i32 [T]
	FieldTokenSequences  Field = 2 // u32 [T]
	FieldTokenStarts     Field = 3 // u32 [T]
	FieldTokenEnds       Field = 4 // u32 [T]
	FieldTokenRuneStarts Field = 5 // u32 [T]
	FieldTokenRuneEnds   Field = 6 // u32 [T]
	FieldTokenFlags      Field = 7 // u32 [T]
	FieldTokenTexts      Field = 8 // string [T]
)

// The columns of a list of U units, which have S spans and N tokens together.
const (
	FieldUnitTexts       Field = 1 // string [U]
	FieldUnitSpanCounts  Field = 2 // u32 [U]
	FieldUnitSpans       Field = 3 // u32 sequence, start, end [S]
	FieldUnitTokenCounts Field = 4 // u32 [U]
	FieldUnitTokens      Field = 5 // u32 [N]: indices of tokens
)

// Input is a key of input_get.
type Input uint32

// The keys of input_get.
const (
	InputText     Input = 1  // utf8
	InputTextPair Input = 2  // utf8; ENAME where the request has no second text
	InputIDs      Input = 3  // i32 [T]
	InputTokens   Input = 4  // token list
	InputUnits    Input = 5  // unit list
	InputSpecial  Input = 6  // u8 [T]: 1 for a special token
	InputKeep     Input = 7  // u8 [T]: 1 for a token that is never dropped
	InputTarget   Input = 8  // target
	InputSeed     Input = 9  // u64
	InputModel    Input = 10 // model
	InputGrants   Input = 11 // string list: the needs that were granted
	InputError    Input = 12 // utf8: the message of the last host call that failed
)

// Want is an output of a forward.
type Want uint32

// The outputs of a forward.
const (
	WantTarget   Want = 1
	WantLogits   Want = 2
	WantProbs    Want = 3
	WantLogProbs Want = 4
)

var wants = [...]string{WantTarget: sdk.ReplyTarget, WantLogits: sdk.ReplyLogits, WantProbs: sdk.ReplyProbs, WantLogProbs: sdk.ReplyLogProbs}

// String returns the name under which reply_get finds the output.
func (w Want) String() string {
	if int(w) < len(wants) {
		return wants[w]
	}
	return ""
}

// The names of the tensors in the reply of generate.
const (
	ReplyIDs      = "ids"      // i32 [n]; of tokenize, too
	ReplyLogProbs = "logprobs" // f64 [n]
	ReplyText     = "text"     // u8 [bytes]
)

// The names of the tensors in the reply of tokenize, beside ReplyIDs.
const (
	ReplyTokens  = "tokens"  // u8 [bytes]: a token list
	ReplyOffsets = "offsets" // i64 [T,2]: start and end in bytes
	ReplySpecial = "special" // u8 [T]: 1 for a special token
)

// Op is a code of op: arithmetic of the host's, the same bits on every machine.
type Op uint32

// The operations of op, with their operands and scalars.
const (
	OpRidge   Op = 1 // X f64 [N,U], y f64 [N], w f64 [N]; alpha → f64 [U+1], the intercept last
	OpMatmul  Op = 2 // f64 [N,K], f64 [K,M] → f64 [N,M]
	OpSoftmax Op = 3 // f64 of one dimension or more → the same shape, over the last
	OpTopK    Op = 4 // f64 [N]; k → i64 [k], the indices of the largest, of equal ones the first
	OpSum     Op = 5 // f64 of one dimension or more → without its last
	OpMean    Op = 6 // the same
)

// ParamType is the tag before a value of param_get.
type ParamType uint32

// The types of parameters.
const (
	ParamInt    ParamType = 1 // i64
	ParamFloat  ParamType = 2 // f64
	ParamBool   ParamType = 3 // u8, 0 or 1
	ParamString ParamType = 4 // utf8, to the end
	ParamEnum   ParamType = 5 // utf8, to the end
)

// OutputCode is the code of a target's scale.
type OutputCode uint32

// The scales of a target.
const (
	OutputLogit   OutputCode = 1
	OutputProb    OutputCode = 2
	OutputLogProb OutputCode = 3
)

var outputs = [...]sdk.Output{OutputLogit: sdk.Logit, OutputProb: sdk.Prob, OutputLogProb: sdk.LogProb}

// The names of results with a meaning of their own.
const (
	ResultAttributions = "attributions"
	ResultBaseline     = "baseline"
	SuffixStderr       = ".stderr"
	PrefixDiagnostics  = "diagnostics."
)
