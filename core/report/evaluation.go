package report

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/core/evaluation"
)

// measure is a measure of an evaluation: its name in results, what people call
// it, and which way is better.
type measure struct{ name, title, better string }

// measures are in the order in which they are shown, by group.
var measures = []struct {
	group string
	list  []measure
}{
	{"faithfulness", []measure{
		{"comprehensiveness", "comprehensiveness", "↑"},
		{"sufficiency", "sufficiency", "↓"},
		{"log_odds", "log-odds", "↓"},
		{"log_odds_ratio", "log-odds ratio", "↓"},
		{"deletion_auc", "deletion AUC", "↓"},
		{"insertion_auc", "insertion AUC", "↑"},
		{"decision_flip", "decision flip", "↓"},
		{"loo_kendall", "τ with leave-one-out", "↑"},
		{"infidelity", "infidelity", "↓"},
		{"infidelity_normalised", "infidelity, scaled", "↓"},
		{"embedding_infidelity", "infidelity, noise", "↓"},
		{"embedding_infidelity_normalised", "infidelity, noise, scaled", "↓"},
	}},
	{"stability", []measure{
		{"sensitivity_max", "max sensitivity", "↓"},
		{"embedding_sensitivity_max", "max sensitivity, noise", "↓"},
	}},
	{"plausibility", []measure{
		{"auprc", "AUPRC", "↑"},
		{"token_f1", "token F1", "↑"},
		{"iou_f1", "IOU F1", "↑"},
	}},
	{"sparsity", []measure{
		{"gini", "Gini", ""},
		{"entropy", "entropy", ""},
	}},
}

// Evaluation writes e: for each group of measures a table with what each method
// got, and what random orders got beside it; how the methods agree; and what was
// measured, on what.
func (t Term) Evaluation(w io.Writer, e *evaluation.Evaluation) error {
	t = t.defaults()
	var b strings.Builder
	t.evaluated(&b, e)
	names := t.shorten(&b, e)
	several := len(e.Texts) > 1
	for _, group := range measures {
		var rows [][]string
		for _, m := range group.list {
			rows = append(rows, t.measure(e, m, several)...)
		}
		if len(rows) == 0 {
			continue
		}
		head := []string{""}
		for _, s := range e.Aggregate {
			head = append(head, names[s.Method])
		}
		if slices.ContainsFunc(rows, func(r []string) bool { return r[len(r)-1] != "" }) {
			head = append(head, "random")
		}
		fmt.Fprintf(&b, "\n  %s\n", t.Level.Bold(group.group))
		t.columns(&b, head, rows)
	}
	t.agreement(&b, e, names, several)
	b.WriteByte('\n')
	t.facts(&b, settings(e))
	_, err := io.WriteString(w, b.String())
	return err
}

// evaluated says what was explained.
func (t Term) evaluated(b *strings.Builder, e *evaluation.Evaluation) {
	if len(e.Texts) == 1 {
		x := &e.Texts[0]
		b.WriteString(t.Paragraph(fmt.Sprintf("explained: %s = %s, in %s", scalar(&x.Target), number(float64(x.Target.Value)), plural(len(x.Methods[0].Units), "unit")), "  "))
	} else {
		units := 0
		for i := range e.Texts {
			units += len(e.Texts[i].Methods[0].Units)
		}
		s := fmt.Sprintf("%d texts, %s each on average", len(e.Texts), plural(int(math.Round(float64(units)/float64(len(e.Texts)))), "unit"))
		if a := e.Accuracy; a != nil {
			s += fmt.Sprintf("; the model's class is the label of %d of %d", a.Correct, a.Texts)
		}
		b.WriteString(t.Paragraph(s, "  "))
	}
	windows, long, dropped := 0, 0, 0
	for i := range e.Texts {
		if n := len(e.Texts[i].Windows); n > 1 {
			windows, long = windows+n, long+1
		}
		dropped += e.Texts[i].Dropped
	}
	if long > 0 {
		b.WriteString(t.Paragraph(fmt.Sprintf("%s longer than the model reads, in %d windows, whose outputs count by their tokens", pluralIs(long, "text"), windows), "  "))
	}
	if dropped > 0 {
		b.WriteString(t.Paragraph(plural(dropped, "token")+" of what the texts have did not fit the model", "  "))
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func pluralIs(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return plural(n, noun) + " are"
}

// measure returns the rows of a measure: its values, with intervals where there
// are several texts, and those of random orders. Where these are not the same for
// all methods, each has its own in a row of theirs.
func (t Term) measure(e *evaluation.Evaluation, m measure, several bool) [][]string {
	row, intervals, beside := []string{strings.TrimSpace(m.title + " " + m.better)}, []string{""}, []string{"  its scores at random"}
	found, same, random := false, true, ""
	for i, s := range e.Aggregate {
		v, ok := s.Measures[m.name]
		if !ok {
			row, intervals, beside = append(row, "–"), append(intervals, ""), append(beside, "–")
			continue
		}
		found = true
		row = append(row, figure(float64(v.Mean)))
		intervals = append(intervals, bounds(v.Interval))
		own := ""
		if v.Random != nil {
			own = figure(float64(v.Random.Mean))
			if spread, ok := e.Texts[0].Methods[i].Random[m.name]; ok && !several {
				own += " ±" + figure(float64(spread.SD))
			}
		}
		beside = append(beside, own)
		if random == "" {
			random = own
		}
		same = same && own == random
	}
	if !found {
		return nil
	}
	rows := [][]string{append(row, "")}
	if same {
		rows[0][len(rows[0])-1] = random
	}
	if several && slices.ContainsFunc(intervals, func(s string) bool { return s != "" }) {
		rows = append(rows, append(intervals, ""))
	}
	if !same {
		rows = append(rows, append(beside, ""))
	}
	return rows
}

// bounds writes an interval, empty where there is none.
func bounds(i evaluation.Interval) string {
	if math.IsNaN(float64(i.Low)) {
		return ""
	}
	return figure(float64(i.Low)) + "…" + figure(float64(i.High))
}

// figure formats a value of a table.
func figure(v float64) string {
	if a := math.Abs(v); a != 0 && (a < 0.0005 || a >= 10000) {
		return fmt.Sprintf("%.1e", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// shorten returns what the columns of the methods are called: the methods' own
// names where these are short, numbers where they are not, which are listed.
func (t Term) shorten(b *strings.Builder, e *evaluation.Evaluation) map[string]string {
	const column = 16
	names, long := make(map[string]string), false
	for _, m := range e.Methods {
		names[m.Label] = m.Label
		long = long || len(e.Methods) > 1 && uniseg.StringWidth(Line(m.Label)) > column
	}
	if long {
		for i, m := range e.Methods {
			names[m.Label] = fmt.Sprintf("[%d]", i+1)
			b.WriteString(t.Paragraph(fmt.Sprintf("[%d] %s", i+1, m.Label), "  "))
		}
	}
	return names
}

// columns writes a table; where it is wider than the terminal, in several parts.
func (t Term) columns(b *strings.Builder, head []string, rows [][]string) {
	width := make([]int, len(head))
	for _, r := range append([][]string{head}, rows...) {
		for i, s := range r[:len(head)] {
			most := t.Width / 3
			if i == 0 {
				most = max(24, t.Width/3)
			}
			width[i] = max(width[i], uniseg.StringWidth(clip(s, most)))
		}
	}
	for first := 1; first < len(head); {
		last, used := first, 2+width[0]
		for last < len(head) && (last == first || used+2+width[last] <= t.Width) {
			used += 2 + width[last]
			last++
		}
		for k, r := range append([][]string{head}, rows...) {
			if k > 0 && !slices.ContainsFunc(r[first:last], func(s string) bool { return s != "" }) {
				continue
			}
			line := "  " + clip(r[0], width[0]) + blanks(clip(r[0], width[0]), width[0])
			for i := first; i < last; i++ {
				s := clip(r[i], t.Width/3)
				line += "  " + blanks(s, width[i]) + s
			}
			line = strings.TrimRight(line, " ")
			if k == 0 || r[0] == "" || strings.HasPrefix(r[0], "  ") {
				line = t.Level.Dim(line)
			}
			b.WriteString(line + "\n")
		}
		if first = last; first < len(head) {
			b.WriteByte('\n')
		}
	}
}

// agreement writes how each pair of methods agrees.
func (t Term) agreement(b *strings.Builder, e *evaluation.Evaluation, names map[string]string, several bool) {
	if len(e.Agreement) == 0 {
		return
	}
	var rows [][]string
	for _, a := range e.Agreement {
		row, intervals := []string{names[a.A] + " · " + names[a.B]}, []string{""}
		for _, name := range []string{"kendall_tau_b", "spearman", "top_overlap"} {
			i, ok := a.Over[name]
			if !ok {
				row, intervals = append(row, "–"), append(intervals, "")
				continue
			}
			row, intervals = append(row, figure(float64(i.Mean))), append(intervals, bounds(i))
		}
		if rows = append(rows, row); several {
			rows = append(rows, intervals)
		}
	}
	fmt.Fprintf(b, "\n  %s\n", t.Level.Bold("agreement between methods"))
	t.columns(b, []string{"", "Kendall's τ", "Spearman's ρ", "top 20 %"}, rows)
}

// settings says how it was measured.
func settings(e *evaluation.Evaluation) []fact {
	s := &e.Settings
	var shares []string
	for _, q := range s.Shares {
		shares = append(shares, strconv.FormatFloat(math.Round(q*1e6)/1e4, 'f', -1, 64))
	}
	out := []fact{
		fact("preset " + s.Preset),
		fact("fill " + s.Fill),
		fact(strings.Join(shares, ", ") + " % of the units, " + strings.ReplaceAll(string(s.Rule), "_", " ")),
	}
	if s.Positive {
		out = append(out, "positive scores alone")
	}
	if s.Random > 0 {
		out = append(out, fact(plural(s.Random, "random order")))
	}
	if len(e.Texts) > 1 && s.Bootstrap > 1 {
		out = append(out, fact(fmt.Sprintf("intervals: %g %% of %d bootstrap samples", 100*s.Confidence, s.Bootstrap)))
	}
	ran := e.Runs.Explaining.Ran + e.Runs.Measuring.Ran
	return append(out,
		fact(fmt.Sprintf("%d rows asked for, %d run: %d to explain, %d to measure", e.Runs.Explaining.Asked+e.Runs.Measuring.Asked, ran, e.Runs.Explaining.Ran, e.Runs.Measuring.Ran)),
		fact(Line(e.Model.ID)),
		fact(Line(strings.TrimSpace(e.Provenance.DType+" "+e.Provenance.Kernel))),
		fact(fmt.Sprintf("seed %d", e.Provenance.Seed)),
		fact(fmt.Sprintf("%.1f s", e.Provenance.WallSeconds)),
	)
}

// EvaluationCSV writes one record for each measure of each method on each text,
// and over all of them, where text is empty (RFC 4180: a header, CRLF). The
// columns low and high are the interval over texts; of one text, random is the
// mean over the random orders and random_sd their standard deviation. The rows of
// agreement have both methods in the column method, with " · " between them.
func EvaluationCSV(w io.Writer, e *evaluation.Evaluation) error {
	var b strings.Builder
	b.WriteString("text,method,measure,value,low,high,random,random_low,random_high,random_sd,gain,gain_low,gain_high,texts\r\n")
	record := func(fields ...string) {
		for k, f := range fields {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(f, k < 2))
		}
		b.WriteString("\r\n")
	}
	interval := func(i *evaluation.Interval) (mean, low, high string) {
		if i == nil {
			return "", "", ""
		}
		if math.IsNaN(float64(i.Low)) {
			return shortest(i.Mean), "", ""
		}
		return shortest(i.Mean), shortest(i.Low), shortest(i.High)
	}
	for i := range e.Texts {
		x := &e.Texts[i]
		for _, r := range x.Methods {
			for _, name := range slices.Sorted(maps.Keys(r.Values)) {
				random, sd := "", ""
				if s, ok := r.Random[name]; ok {
					random, sd = shortest(s.Mean), shortest(s.SD)
				}
				record(x.ID, r.Method, name, shortest(r.Values[name]), "", "", random, "", "", sd, "", "", "", "")
			}
		}
		for _, a := range x.Agreement {
			for _, name := range slices.Sorted(maps.Keys(a.Values)) {
				record(x.ID, a.A+" · "+a.B, name, shortest(a.Values[name]), "", "", "", "", "", "", "", "", "", "")
			}
		}
	}
	for _, s := range e.Aggregate {
		for _, name := range slices.Sorted(maps.Keys(s.Measures)) {
			m := s.Measures[name]
			v, low, high := interval(&m.Interval)
			random, randomLow, randomHigh := interval(m.Random)
			gain, gainLow, gainHigh := interval(m.Gain)
			record("", s.Method, name, v, low, high, random, randomLow, randomHigh, "", gain, gainLow, gainHigh, strconv.Itoa(m.Texts))
		}
	}
	for _, a := range e.Agreement {
		for _, name := range slices.Sorted(maps.Keys(a.Over)) {
			i := a.Over[name]
			v, low, high := interval(&i)
			record("", a.A+" · "+a.B, name, v, low, high, "", "", "", "", "", "", "", strconv.Itoa(i.Texts))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
