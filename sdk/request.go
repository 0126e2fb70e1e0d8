package sdk

import "io"

// Request is one input to explain. A method changes nothing of it, and calls its
// functions and reads Rand from one goroutine at a time.
type Request struct {
	Text     string  // empty when the input is raw token ids
	TextPair *string // nil where there is no second text
	Tokens   []Token // special tokens included
	Units    []Unit  // a partition of the tokens that are neither special nor fixed
	Target   Target
	Seed     uint64
	Params   Params

	// Rand is a stream of random bytes that Seed and the method's name
	// determine: the same in process and in a sandbox.
	Rand io.Reader
	// Progress reports work of the method's own (the host reports that of
	// Forward). It returns an error once the user gave up, which the method
	// returns in its turn.
	Progress func(done, total int) error
	// Log writes one line to the user's log.
	Log func(level Level, message string)
}

// Level grades a log line.
type Level int

// The levels of log lines.
const (
	Debug Level = iota
	Note
	Warning
)

// Token is one token of the input. Offsets are bytes (and runes) of the
// original text; a special token has none and Start == End == 0.
type Token struct {
	ID        int32
	Text      string // as the vocabulary spells it
	Sequence  int    // 0, or 1 in the second text of a pair
	Start     int
	End       int
	RuneStart int
	RuneEnd   int
	Special   bool
	// Fixed tokens are never dropped and never attributed to: those that the user
	// marked, padding, what lies outside of the units that were given, and the
	// tokens of a continuation that is explained, which end the row.
	Fixed bool
}

// Span is a range of bytes of one of the original texts.
type Span struct {
	Sequence int
	Start    int
	End      int
}

// Unit is what a method drops, keeps and attributes to: a token, a word, a
// sentence, or (with several spans) all occurrences of one word.
type Unit struct {
	Text   string
	Spans  []Span // ascending; none for raw token ids, and for what is dropped token by token
	Tokens []int  // indices into Request.Tokens
}

// Output is the scale on which a target is read.
type Output string

// The scales of a target.
const (
	Logit   Output = "logit"
	Prob    Output = "prob"
	LogProb Output = "logprob"
)

// The kinds of targets, which say what Index, Label, Second and Positions are of.
// Hosts to come may have others.
const (
	KindClass        = "class"        // the output of class Index, named Label: of a text, or of the token in Positions
	KindRegression   = "regression"   // the output of a regression, named Label; Index is 0
	KindToken        = "token"        // the token Index of a language model's vocabulary, whose text is Label
	KindStart        = "start"        // that an answer starts at the token in Positions; Index is 0
	KindEnd          = "end"          // that an answer ends with the token in Positions; Index is 1
	KindSpan         = "span"         // that an answer goes from the first of Positions to the last: Label is its text, and Index 0
	KindContinuation = "continuation" // that the tokens of the text Label come behind the input; Index is the first of them
	KindStep         = "step"         // that one of these comes behind those before it: the token Index, whose text is Label
	KindDifference   = "difference"   // one of the above less another: Index is of the first, Second of the other, Label names both
)

// Target is the scalar that is explained.
type Target struct {
	Kind   string // one of the kinds above
	Expr   string // the expression that selects it again, for Forward.Target
	Index  int    // of the class or the token, as the kind says
	Label  string // what people call it
	Output Output
	Value  float64 // the model's output on the unchanged input
	// Positions are the tokens whose row of the last layer the target is read
	// from, ascending: of a classifier the token that its head reads. Nil where
	// the host does not say.
	Positions []int
	// Second and SecondLabel are the Index and the Label of what a difference
	// subtracts; 0 and empty in targets of other kinds.
	Second      int
	SecondLabel string
}
