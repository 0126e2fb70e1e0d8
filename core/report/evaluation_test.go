package report

import (
	"bytes"
	"encoding/csv"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/evaluation"
	"github.com/xai-go/xai/core/metric"
)

// evaluated is an evaluation of two methods on two texts.
func evaluated() *evaluation.Evaluation {
	nan := core.Float(math.NaN())
	result := func(method string, values map[string]core.Float) evaluation.Result {
		return evaluation.Result{
			Method: method, Units: make([]evaluation.Unit, 5), Scores: make([]core.Float, 5), Values: values,
			Random: map[string]evaluation.Spread{"comprehensiveness": {Mean: 0.1, SD: 0.05}},
		}
	}
	e := &evaluation.Evaluation{
		Schema: evaluation.Schema, Model: core.ModelRef{ID: "builtin:sentiment-en"},
		Settings: evaluation.Settings{Preset: "eraser", Measures: evaluation.Groups, Fill: "delete", Shares: []float64{0.01, 0.5}, Rule: metric.FloorMin, Random: 10, Bootstrap: 2000, Confidence: 0.95},
		Methods:  []evaluation.MethodRef{{Label: "lime", Name: "lime"}, {Label: "lime:num_samples=50,fill=delete", Name: "lime"}},
		Texts: []evaluation.TextResult{
			{
				ID: "=1+1", Target: core.Target{Kind: "class", Label: "POSITIVE", Output: "prob", Value: 0.9}, Windows: make([]evaluation.Window, 3),
				Methods: []evaluation.Result{
					result("lime", map[string]core.Float{"comprehensiveness": 0.25, "infidelity": 0.00001}),
					result("lime:num_samples=50,fill=delete", map[string]core.Float{"comprehensiveness": 0.5}),
				},
				Agreement: []evaluation.Agreement{{A: "lime", B: "lime:num_samples=50,fill=delete", Values: map[string]core.Float{"spearman": 0.5}}},
			},
			{ID: "b", Windows: make([]evaluation.Window, 1), Dropped: 1, Methods: []evaluation.Result{result("lime", nil), result("lime:num_samples=50,fill=delete", nil)}},
		},
		Aggregate: []evaluation.Summary{
			{Method: "lime", Measures: map[string]evaluation.Measure{
				"comprehensiveness": {Interval: evaluation.Interval{Mean: 0.25, Low: 0.125, High: 0.375, Texts: 2}, Random: &evaluation.Interval{Mean: 0.1, Low: nan, High: nan, Texts: 2}, Gain: &evaluation.Interval{Mean: 0.15, Low: 0.1, High: 0.2, Texts: 2}},
				"infidelity":        {Interval: evaluation.Interval{Mean: 0.00001, Low: nan, High: nan, Texts: 1}, Random: &evaluation.Interval{Mean: 0.5, Low: nan, High: nan, Texts: 1}},
			}},
			{Method: "lime:num_samples=50,fill=delete", Measures: map[string]evaluation.Measure{
				"comprehensiveness": {Interval: evaluation.Interval{Mean: 0.5, Low: 0.25, High: 0.75, Texts: 2}, Random: &evaluation.Interval{Mean: 0.1, Low: nan, High: nan, Texts: 2}, Best: true},
			}, Runs: evaluation.Runs{Explaining: evaluation.Rows{Asked: 60, Ran: 40}, Measuring: evaluation.Rows{Asked: 50, Ran: 7}}},
		},
		Agreement: []evaluation.Agreement{{A: "lime", B: "lime:num_samples=50,fill=delete", Over: map[string]evaluation.Interval{"spearman": {Mean: 0.5, Low: nan, High: nan, Texts: 1}}}},
		Accuracy:  &evaluation.Accuracy{Correct: 1, Texts: 2},
		Runs:      evaluation.Runs{Explaining: evaluation.Rows{Asked: 100, Ran: 80}, Measuring: evaluation.Rows{Asked: 50, Ran: 7}},
		Provenance: evaluation.Provenance{
			XAI: "0.1.0", Kernel: "avx2", DType: "f32", Seed: 1, Units: "word", WallSeconds: 1.25,
		},
	}
	return e
}

// crowd is an evaluation of so many methods that each is a row: of the third, the
// first measure is not certainly worse than the best, and of the last there is none.
func crowd() *evaluation.Evaluation {
	e := evaluated()
	for _, label := range []string{"a|`b`", "saliency"} {
		e.Methods = append(e.Methods, evaluation.MethodRef{Label: label, Name: label})
		e.Aggregate = append(e.Aggregate, evaluation.Summary{Method: label})
		for i := range e.Texts {
			e.Texts[i].Methods = append(e.Texts[i].Methods, evaluation.Result{Method: label})
		}
	}
	behind := &evaluation.Interval{Mean: 0.1, Low: -0.05, High: 0.25, Texts: 2}
	e.Aggregate[2].Measures = map[string]evaluation.Measure{
		"comprehensiveness": {Interval: evaluation.Interval{Mean: 0.4, Low: 0.3, High: 0.5, Texts: 2}, Random: &evaluation.Interval{Mean: 0.1}, Behind: behind},
		"infidelity":        {Interval: evaluation.Interval{Mean: 12345, Low: 0.5, High: 23456, Texts: 2}, Random: &evaluation.Interval{Mean: 0.25}},
	}
	e.Agreement = append(e.Agreement, evaluation.Agreement{A: "lime", B: "saliency", Over: map[string]evaluation.Interval{"kendall_tau_b": {Mean: -0.125}}})
	return e
}

func TestEvaluation(t *testing.T) {
	for name, term := range map[string]Term{"evaluation.txt": {}, "evaluation_narrow.txt": {Width: 40, Level: Colour16}} {
		var b bytes.Buffer
		if err := term.Evaluation(&b, evaluated()); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
	var b bytes.Buffer
	if err := (Term{}).Evaluation(&b, crowd()); err != nil {
		t.Fatal(err)
	}
	golden(t, "evaluation_many.txt", b.String())
}

func TestEvaluationMarkdown(t *testing.T) {
	for name, e := range map[string]*evaluation.Evaluation{"evaluation.md": evaluated(), "evaluation_many.md": crowd()} {
		var b bytes.Buffer
		if err := EvaluationMarkdown(&b, e); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
	// What nothing is measured of says so.
	e := evaluated()
	e.Methods, e.Aggregate, e.Agreement = e.Methods[:1], []evaluation.Summary{{Method: "lime"}}, nil
	for name, write := range map[string]func(io.Writer, *evaluation.Evaluation) error{"markdown": EvaluationMarkdown, "term": Term{}.Evaluation} {
		var b bytes.Buffer
		if err := write(&b, e); err != nil || !strings.Contains(strings.ToLower(b.String()), "none of these measures is defined") {
			t.Errorf("%s: %v\n%s", name, err, b.String())
		}
	}
}

func TestEvaluationCSV(t *testing.T) {
	var b bytes.Buffer
	if err := EvaluationCSV(&b, evaluated()); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.Join(r, "|"))
	}
	got := strings.Join(lines, "\n") + "\n"
	for _, want := range []string{
		"\n'=1+1|lime|comprehensiveness|0.25|||0.1|||0.05||||\n", // which no spreadsheet runs
		"\n'=1+1|lime · lime:num_samples=50,fill=delete|spearman|0.5||||||||||\n",
		"\n|lime|comprehensiveness|0.25|0.125|0.375|0.1||||0.15|0.1|0.2|2\n",
		"\n|lime|infidelity|1e-05|||0.5|||||||1\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no record %q in\n%s", want, got)
		}
	}
}
