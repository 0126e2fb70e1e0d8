// Package evaluation measures explanations on a model: how faithful they are to
// it, how they agree with each other and with what a human marked, beside random
// orders and with intervals over a corpus.
//
// It runs the model on variants of each text through [core.Variants], which share
// what they run with the explanations; the measures themselves are those of
// package core/metric.
package evaluation

import (
	"github.com/xai-go/xai/core"
)

// Schema names the version of the JSON form of an Evaluation.
const Schema = "xai.evaluation/1"

// Evaluation is the result of a run: what every method got on every text, and
// over all of them. Its JSON form is Schema.
type Evaluation struct {
	Schema     string        `json:"schema"`
	Model      core.ModelRef `json:"model"`
	Settings   Settings      `json:"settings"`
	Methods    []MethodRef   `json:"methods"`
	Texts      []TextResult  `json:"texts"`
	Aggregate  []Summary     `json:"aggregate"`           // of each method, in their order
	Agreement  []Agreement   `json:"agreement,omitempty"` // of each pair of methods
	Accuracy   *Accuracy     `json:"accuracy,omitempty"`  // where texts have labels
	Runs       Runs          `json:"runs"`
	Provenance Provenance    `json:"provenance"`
}

// MethodRef is a method under evaluation. Given scores have no version and no
// parameters unless they came in an explanation.
type MethodRef struct {
	Label   string         `json:"label"` // as it was asked for
	Name    string         `json:"name"`
	Version string         `json:"version,omitempty"`
	SHA256  string         `json:"sha256,omitempty"`
	Runtime string         `json:"runtime,omitempty"`
	Params  map[string]any `json:"params,omitempty"`
}

// TextResult is what the methods got on one text.
type TextResult struct {
	ID        string      `json:"id"`
	Text      string      `json:"text,omitempty"`
	TextPair  *string     `json:"text_pair,omitempty"`
	Label     string      `json:"label,omitempty"`
	Target    core.Target `json:"target"`
	Predicted string      `json:"predicted,omitempty"`
	// Windows are the stretches of the text that the model read one by one; one
	// of a text that fits. Dropped counts the tokens that were not read, and Unknown
	// those that were and that the vocabulary lacks.
	Windows   []Window    `json:"windows"`
	Dropped   int         `json:"dropped"`
	Unknown   int         `json:"unknown,omitempty"`
	Rationale []Range     `json:"rationale,omitempty"`
	Methods   []Result    `json:"methods"`
	Agreement []Agreement `json:"agreement,omitempty"`
}

// Window is a stretch of a text, in bytes, and its share of the output.
type Window struct {
	Start  int     `json:"start"`
	End    int     `json:"end"`
	Tokens int     `json:"tokens"`
	Weight float64 `json:"weight"`
}

// Range is a range of bytes of a text.
type Range struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// Result is what one method got on one text.
type Result struct {
	Method string       `json:"method"` // its label
	Units  []Unit       `json:"units"`
	Scores []core.Float `json:"scores"` // one a unit
	// Values has the measures by name, and Random the mean of the same measures
	// over the random orders, with its standard deviation.
	Values map[string]core.Float `json:"values"`
	Random map[string]Spread     `json:"random,omitempty"`
	// Points are the values at each share of the settings, before their mean.
	Points map[string][]Point `json:"points,omitempty"`
	Curves *Curves            `json:"curves,omitempty"`
	Runs   Runs               `json:"runs"`
}

// Unit is what a score belongs to; offsets are bytes of the text.
type Unit struct {
	Text      string `json:"text"`
	Sequence  int    `json:"sequence"`
	Start     int    `json:"start"`
	End       int    `json:"end"`
	Rationale bool   `json:"rationale,omitempty"` // a human marked it
}

// Spread is a mean and a standard deviation.
type Spread struct {
	Mean core.Float `json:"mean"`
	SD   core.Float `json:"sd"`
}

// Point is a value at a share, which stood for so many units.
type Point struct {
	Share float64    `json:"share"`
	Units int        `json:"units"`
	Value core.Float `json:"value"`
}

// Curves are the target with the most important K units removed (Deletion), and
// with all others removed (Insertion).
type Curves struct {
	K         []int        `json:"k"`
	Deletion  []core.Float `json:"deletion"`
	Insertion []core.Float `json:"insertion"`
}

// Agreement is how two methods agree.
type Agreement struct {
	A      string                `json:"a"`
	B      string                `json:"b"`
	Values map[string]core.Float `json:"values,omitempty"`
	Over   map[string]Interval   `json:"over,omitempty"` // texts, of an aggregate
}

// Summary is what a method got over all texts.
type Summary struct {
	Method   string             `json:"method"`
	Measures map[string]Measure `json:"measures"`
	Runs     Runs               `json:"runs"`
}

// Measure is one measure of a method over the texts that have it: its own, that
// of random orders, and the difference of the two; and by how much it is worse
// than the best method under evaluation, in pairs of texts: nil where it is the
// best one, or where no method is better than others.
type Measure struct {
	Interval
	Random *Interval `json:"random,omitempty"`
	Gain   *Interval `json:"gain,omitempty"` // own − random, in pairs
	Best   bool      `json:"best,omitempty"` // of several methods
	Behind *Interval `json:"behind,omitempty"`
}

// Leads reports whether the measure is the best of the methods', as good as that, or
// not certainly worse: 0 lies within the interval of what it is behind.
func (m *Measure) Leads() bool {
	return m.Best || m.Behind != nil && (m.Behind.Mean <= 0 || m.Behind.Low <= 0)
}

// Interval is a mean over texts with the bounds of its bootstrap interval, which
// are NaN of fewer than two texts.
type Interval struct {
	Mean  core.Float `json:"mean"`
	Low   core.Float `json:"low"`
	High  core.Float `json:"high"`
	Texts int        `json:"texts"`
}

// Accuracy counts the texts whose label the model predicts.
type Accuracy struct {
	Correct int `json:"correct"`
	Texts   int `json:"texts"`
}

// Runs counts rows of the model: those that the explanations and the measures
// asked for, the unchanged text of each among them, and those that it really ran,
// which are fewer where anything asked for the same before: the method itself,
// another one, or a measure. Those of a method count what is run for it, in the
// order in which methods are named; those of an evaluation have the texts
// themselves on top.
type Runs struct {
	Explaining Rows `json:"explaining"`
	Measuring  Rows `json:"measuring"`
}

// Rows is rows asked for and rows run.
type Rows struct {
	Asked int64 `json:"asked"`
	Ran   int64 `json:"ran"`
}

// Provenance is what it takes to repeat the run.
type Provenance struct {
	XAI         string  `json:"xai"`
	Kernel      string  `json:"kernel"`
	DType       string  `json:"dtype"`
	Seed        uint64  `json:"seed"`
	Units       string  `json:"units"`
	WallSeconds float64 `json:"wall_seconds"`
}
