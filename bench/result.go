package main

import (
	"time"

	"github.com/xai-go/xai/bench/machine"
	"github.com/xai-go/xai/bench/ort"
)

// schema names the JSON form of a Report.
const schema = "xai.bench/1"

// Report is what a run of the harness measured.
type Report struct {
	Schema   string          `json:"schema"`
	Measured time.Time       `json:"measured"`
	Machine  machine.Machine `json:"machine"`
	Peer     string          `json:"peer"`
	Seed     uint64          `json:"seed"`
	Rounds   int             `json:"rounds"`
	Turn     float64         `json:"turn_ms"` // what a side's turn lasts, at least
	Cases    []Case          `json:"cases"`
}

// Case is one piece of work that several sides have done in turns.
type Case struct {
	Model   string `json:"model"`
	Work    string `json:"work"` // forward; delete or replace, of the perturbation workload
	Head    string `json:"head"`
	Batch   int    `json:"batch"`  // sequences
	Tokens  int    `json:"tokens"` // of the longest
	Threads int    `json:"threads"`
	// All is the number of tokens of all sequences, Distinct the number of
	// sequences that are not the same as one before them.
	All      int    `json:"all_tokens"`
	Distinct int    `json:"distinct"`
	Kernel   string `json:"kernel,omitempty"` // family of our kernels
	// Peak is what the machine's fused multiply-adds can do on that many
	// threads, measured right before; 0 where there is no kernel to measure.
	Peak float64 `json:"peak_gflops"`
	// Others is the share of the machine's processor time that processes of
	// neither side used while they were measured: near 0 on a quiet machine.
	// It is absent where the system does not tell.
	Others  *float64 `json:"others,omitempty"`
	Sides   []Side   `json:"sides"`
	Ratios  []Ratio  `json:"ratios"`             // of our forwards to all others
	Logits  []Check  `json:"logits"`             // compared before
	Largest float64  `json:"largest_logit"`      // magnitude, of the first side
	Allowed float64  `json:"allowed_difference"` // between logits of sides that compute in float32
}

// Side is one of those compared.
type Side struct {
	Name    string    `json:"name"`
	Reason  string    `json:"reason,omitempty"`     // why it was not measured
	Median  float64   `json:"median_ms,omitempty"`  // of the turns
	Fastest float64   `json:"fastest_ms,omitempty"` // run
	Turns   []float64 `json:"turns_ms,omitempty"`   // median of each turn
	// Processor is the processor time of a run on all threads, those included
	// that wait in a loop: the median of the turns.
	Processor float64 `json:"processor_ms,omitempty"`
	GFLOPS    float64 `json:"gflops,omitempty"`        // operations that it needs to do, over the median
	OfPeak    float64 `json:"share_of_peak,omitempty"` // of them
}

// Ratio says how many times as fast one side is as another: a time of To over
// a time of Of.
type Ratio struct {
	Of      string  `json:"of"`
	To      string  `json:"to"`
	Median  float64 `json:"median"`  // of the medians
	Fastest float64 `json:"fastest"` // of the fastest runs, which other work disturbs least
	// Processor is the ratio of the processor times. On one thread it says the
	// same as the others, on a busy machine more reliably; on more threads it
	// counts how long they waited for each other, too. 0 is unknown.
	Processor float64 `json:"processor"`
	Low       float64 `json:"low"` // quartiles of the ratios within one round
	High      float64 `json:"high"`
}

// Check is how far the logits of a side are from those of the first.
type Check struct {
	Side       string  `json:"side"`
	Difference float64 `json:"largest_difference"`
	Float32    bool    `json:"float32"` // and may therefore not be larger than Allowed
}

// newReport returns a report of nothing on this machine.
func newReport() *Report {
	return &Report{
		Schema: schema, Measured: time.Now().UTC().Truncate(time.Second), Peer: "onnxruntime-node " + ort.Version(), Machine: machine.Here(),
	}
}
