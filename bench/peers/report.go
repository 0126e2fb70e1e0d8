package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xai-go/xai/bench/machine"
)

// schema names the JSON form of a Report.
const schema = "xai.bench.peers/1"

// Report is what a run of the harness measured.
type Report struct {
	Schema   string          `json:"schema"`
	Measured time.Time       `json:"measured"`
	Machine  machine.Machine `json:"machine"`
	Model    string          `json:"model"`
	Seed     uint64          `json:"seed"`
	Rounds   int             `json:"rounds"`
	Threads  int             `json:"threads"`
	Kernel   string          `json:"kernel"` // family of our kernels
	Peers    Peers           `json:"peers"`
	Start    Start           `json:"start"`
	Cases    []Case          `json:"cases"`
	// Precision is the comparison of estimators of Shapley values.
	Precision  *Precision  `json:"precision,omitempty"`
	Estimators []Estimator `json:"estimators,omitempty"`
}

// Peers says what was measured beside us.
type Peers struct {
	Python         string             `json:"python"` // where it came from
	Notes          []string           `json:"notes,omitempty"`
	Packages       map[string]Package `json:"packages"`
	Implementation string             `json:"implementation"` // of the model
	Settings       []Tried            `json:"settings"`       // all that were tried, the best first
}

// Tried is how long a setting takes for 16 texts.
type Tried struct {
	setting
	Fastest float64 `json:"fastest_ms"`
}

// Start is what comes before an explanation, in milliseconds. It is part of no
// other time.
type Start struct {
	Open    float64 `json:"open_ms"`         // our host and its model
	Compile float64 `json:"compile_ms"`      // a module, where it is not in the cache yet; with its first run on a short text
	Import  float64 `json:"peers_import_ms"` // of all their packages
	Load    float64 `json:"peers_load_ms"`   // of their model
}

// Case is one explanation that several sides have made in turns.
type Case struct {
	Name    string   `json:"name"`
	Reason  string   `json:"reason,omitempty"` // why it was not measured
	Tokens  int      `json:"tokens,omitempty"`
	Others  *float64 `json:"others,omitempty"` // share of the machine that processes of neither side used
	Sides   []Side   `json:"sides,omitempty"`
	Ratios  []Ratio  `json:"ratios,omitempty"`
	Checked *Check   `json:"checked,omitempty"`
}

// Side is one of those compared.
type Side struct {
	Name        string    `json:"name"`
	Median      float64   `json:"median_ms"`
	Fastest     float64   `json:"fastest_ms"`
	Times       []float64 `json:"ms"`
	Evaluations int       `json:"evaluations"` // rows that were asked for
	Forwards    int       `json:"forwards"`    // rows that the model ran
}

// Ratio says how many times as fast one side is as another.
type Ratio struct {
	Of      string  `json:"of"`
	To      string  `json:"to"`
	Median  float64 `json:"median"`
	Fastest float64 `json:"fastest"`
}

// Check is how far the values of the peer are from ours, the largest difference.
type Check struct {
	Of         string  `json:"of"` // what was compared
	Difference float64 `json:"largest_difference"`
	Largest    float64 `json:"largest_value"`
	Allowed    float64 `json:"allowed_difference"`
}

// Precision says what the estimators had to reach.
type Precision struct {
	Game    string    `json:"game"`
	Units   int       `json:"units"`
	Exact   []float64 `json:"exact"`
	Largest int       `json:"largest"` // index of the value whose error counts
	Target  float64   `json:"standard_error"`
	Seeds   int       `json:"seeds"`
	Others  *float64  `json:"others,omitempty"`
}

// Estimator is how much one takes to be as precise as that.
type Estimator struct {
	Name        string  `json:"name"`
	Reason      string  `json:"reason,omitempty"`
	Evaluations float64 `json:"evaluations"`       // it needs, the mean over seeds
	Error       float64 `json:"error"`             // of the largest value, root mean square over seeds
	All         float64 `json:"error_all"`         // of all values together
	Bias        float64 `json:"bias"`              // of the largest value, the mean error over seeds
	Reached     bool    `json:"reached"`           // the error is what it should be
	Steps       []Step  `json:"steps"`             // budgets that were tried
	Stopped     *Step   `json:"stopped,omitempty"` // where it stops of its own accord, told the standard error
	// Timed are runs on the model, of TimedEvaluations; Seconds what as many as
	// it needs take, in proportion.
	Timed            []float64 `json:"timed_ms"`
	TimedEvaluations int       `json:"timed_evaluations"`
	Seconds          float64   `json:"seconds"`
}

// Step is a budget and what comes of it.
type Step struct {
	Budget      int     `json:"budget"`
	Evaluations float64 `json:"evaluations"`
	Error       float64 `json:"error"`
	All         float64 `json:"error_all"`
	Bias        float64 `json:"bias"`
}

// markdown writes a report as tables.
func (r *Report) markdown(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "Measured %s on %d cores of %s (%s/%s), %s, revision %s: %s, kernels %s, %d threads; medians of %d turns.\n",
		r.Measured.Format(time.DateOnly), m.Cores, cmp.Or(m.Processor, "an unnamed processor"), m.OS, m.Arch, m.Go, cmp.Or(m.Revision, "unknown"),
		r.Model, r.Kernel, r.Threads, r.Rounds)
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Peers.Packages)) {
		if p := r.Peers.Packages[name]; p.Error == "" {
			versions = append(versions, name+" "+p.Version)
		} else {
			versions = append(versions, name+" is not there")
		}
	}
	fmt.Fprintf(&b, "Peers, from %s: %s. Their model is %s", r.Peers.Python, strings.Join(versions, ", "), r.Peers.Implementation)
	if len(r.Peers.Settings) > 0 {
		fmt.Fprintf(&b, ", run with %s, the fastest of %d settings", r.Peers.Settings[0].setting, len(r.Peers.Settings))
	}
	fmt.Fprintf(&b, ".\nBefore an explanation: ours %.0f ms to open the model and %.0f ms for the first short explanation, theirs %.0f ms to import and %.0f ms to load.\n",
		r.Start.Open, r.Start.Compile, r.Start.Import, r.Start.Load)
	if len(r.Cases) > 0 {
		b.WriteString("\n| explanation | side | s | evaluations | run | ours is | values differ by | others |\n|---|---|---|---|---|---|---|---|\n")
	}
	for _, c := range r.Cases {
		c.rows(&b)
	}
	if p := r.Precision; p != nil {
		fmt.Fprintf(&b, "\nShapley values of %d words until the standard error of the largest, %.3f, is at most %v (over %d seeds, on %s); timed on %s.\n\n",
			p.Units, p.Exact[p.Largest], p.Target, p.Seeds, p.Game, r.Model)
		b.WriteString("| estimator | evaluations | error | of all values | bias | s | stops of its own accord at | error there |\n|---|---|---|---|---|---|---|---|\n")
	}
	for _, e := range r.Estimators {
		if e.Reason != "" {
			fmt.Fprintf(&b, "| %s | not measured: %s | | | | | | |\n", e.Name, e.Reason)
			continue
		}
		evaluations := fmt.Sprintf("%.0f", e.Evaluations)
		if !e.Reached {
			evaluations = "not with " + evaluations
		}
		at, there := "–", "–"
		if e.Stopped != nil {
			at, there = fmt.Sprintf("%.0f", e.Stopped.Evaluations), fmt.Sprintf("%.4f", e.Stopped.Error)
		}
		fmt.Fprintf(&b, "| %s | %s | %.4f | %.4f | %+.4f | %.1f | %s | %s |\n", e.Name, evaluations, e.Error, e.All, e.Bias, e.Seconds, at, there)
	}
	r.precisionRatios(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// rows writes the lines of a case.
func (c *Case) rows(b *strings.Builder) {
	if c.Reason != "" {
		fmt.Fprintf(b, "| %s | not measured: %s | | | | | | |\n", c.Name, c.Reason)
	}
	for i, s := range c.Sides {
		name, difference, others := "", "", ""
		if i == 0 {
			name = fmt.Sprintf("%s, %d tokens", c.Name, c.Tokens)
			if c.Checked != nil {
				difference = fmt.Sprintf("%.1e of %.1e", c.Checked.Difference, c.Checked.Largest)
			}
			if c.Others != nil {
				others = fmt.Sprintf("%.0f %%", 100**c.Others)
			}
		}
		var ratios []string
		for _, r := range c.Ratios {
			if r.Of == s.Name {
				ratios = append(ratios, fmt.Sprintf("**×%.2f** (×%.2f) %s", r.Median, r.Fastest, r.To))
			}
		}
		fmt.Fprintf(b, "| %s | %s | %.2f | %d | %d | %s | %s | %s |\n", name, s.Name, s.Median/1e3, s.Evaluations, s.Forwards, strings.Join(ratios, ", "), difference, others)
	}
}

// precisionRatios writes how many times as fast each of our estimators is as
// each of the peers'.
func (r *Report) precisionRatios(b *strings.Builder) {
	var own, others []Estimator
	for _, e := range r.Estimators {
		switch {
		case !e.Reached || e.Seconds <= 0:
		case e.own():
			own = append(own, e)
		default:
			others = append(others, e)
		}
	}
	if len(own) == 0 || len(others) == 0 {
		return
	}
	b.WriteString("\n| × as fast (evaluations) |")
	for _, e := range others {
		fmt.Fprintf(b, " %s |", e.Name)
	}
	fmt.Fprintf(b, "\n|---%s|\n", strings.Repeat("|---", len(others)))
	for _, of := range own {
		fmt.Fprintf(b, "| %s |", of.Name)
		for _, to := range others {
			fmt.Fprintf(b, " **×%.1f** (×%.1f) |", to.Seconds/of.Seconds, to.Evaluations/of.Evaluations)
		}
		b.WriteString("\n")
	}
}

// own reports whether an estimator is ours.
func (e *Estimator) own() bool { return strings.HasPrefix(e.Name, ours+" ") }

// ratios compares each of our sides with each other one.
func ratios(sides []Side) (all []Ratio) {
	for _, of := range sides {
		for _, to := range sides {
			if strings.HasPrefix(of.Name, ours) && !strings.HasPrefix(to.Name, ours) {
				all = append(all, Ratio{Of: of.Name, To: to.Name, Median: to.Median / of.Median, Fastest: to.Fastest / of.Fastest})
			}
		}
	}
	return all
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
