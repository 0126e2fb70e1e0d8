package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/core/evaluation"
)

// arrow says which way a measure is better, empty where neither is.
func arrow(m evaluation.MeasureInfo) string {
	switch {
	case m.Direction > 0:
		return "↑"
	case m.Direction < 0:
		return "↓"
	}
	return ""
}

// manyMethods is from how many methods on these are rows and measures columns.
const manyMethods = 4

// Evaluation writes e: for each group of measures a table with what each method
// got, and what random orders got beside it; how the methods agree; and what was
// measured, on what. Of many methods each is a row.
func (t Term) Evaluation(w io.Writer, e *evaluation.Evaluation) error {
	t = t.defaults()
	var b strings.Builder
	for _, s := range subjects(e) {
		b.WriteString(t.Paragraph(s, "  "))
	}
	many := len(e.Methods) >= manyMethods
	names := t.shorten(&b, e, many)
	empty, starred := true, false
	for _, g := range groups(e) {
		empty = false
		starred = starred || slices.ContainsFunc(g.columns, func(c column) bool { return c.starred() })
		fmt.Fprintf(&b, "\n  %s\n", t.Level.Bold(g.title))
		if many {
			t.byMethod(&b, e, names, g)
		} else {
			t.byMeasure(&b, e, names, g)
		}
	}
	if empty {
		b.WriteString("\n" + t.Paragraph(nothingMeasured, "  "))
	}
	t.agreement(&b, e, names, many)
	b.WriteByte('\n')
	if starred {
		b.WriteString(t.Paragraph("* "+leading(e), "  ") + "\n")
	}
	t.facts(&b, settings(e))
	_, err := io.WriteString(w, b.String())
	return err
}

const nothingMeasured = "none of these measures is defined for these methods on these texts"

// leading says what the mark of a value means.
func leading(e *evaluation.Evaluation) string {
	if !intervals(e) {
		return "the best of the methods"
	}
	return fmt.Sprintf("the best of the methods, or not certainly worse: 0 lies within the %g %% interval of the difference", 100*e.Settings.Confidence)
}

// intervals reports whether means have any.
func intervals(e *evaluation.Evaluation) bool {
	return len(e.Texts) > 1 && e.Settings.Bootstrap > 1
}

// score is what a method got of a measure, with what its scores got in random
// orders; nothing where the method has no such value.
type score struct {
	value, interval, random string
	leads                   bool // among several methods
}

// column is a measure: a score for each method, and what random orders got where
// that is the same for all of them.
type column struct {
	title  string
	cells  []score
	random string
	own    bool // what random orders got differs between methods
}

// group is the measures of one kind that anything was measured of.
type group struct {
	title   string
	columns []column
}

// groups lays the measures of an evaluation out, and the rows that the methods
// took where there are several.
func groups(e *evaluation.Evaluation) []group {
	var out []group
	for _, m := range evaluation.Measures {
		c, ok := columnOf(e, m)
		if !ok || m.Title == "" {
			continue
		}
		if len(out) == 0 || out[len(out)-1].title != m.Topic {
			out = append(out, group{title: m.Topic})
		}
		g := &out[len(out)-1]
		g.columns = append(g.columns, c)
	}
	if len(e.Aggregate) < 2 {
		return out
	}
	count := func(title string, of func(*evaluation.Runs) int64) column {
		c := column{title: title}
		for i := range e.Aggregate {
			c.cells = append(c.cells, score{value: strconv.FormatInt(of(&e.Aggregate[i].Runs), 10)})
		}
		return c
	}
	return append(out, group{"rows of the model", []column{
		count("to explain", func(r *evaluation.Runs) int64 { return r.Explaining.Asked }),
		count("of them run", func(r *evaluation.Runs) int64 { return r.Explaining.Ran }),
		count("to measure", func(r *evaluation.Runs) int64 { return r.Measuring.Asked }),
		count("of them run", func(r *evaluation.Runs) int64 { return r.Measuring.Ran }),
	}})
}

// tied is by how much what random orders get may differ between methods and still
// count as the same, where a measure reads the order alone: so much may scores change
// that are equal.
const tied = 0.01

// columnOf returns a measure, and whether any method has it.
func columnOf(e *evaluation.Evaluation, m evaluation.MeasureInfo) (column, bool) {
	c := column{title: strings.TrimSpace(m.Title + " " + arrow(m))}
	several, found := len(e.Texts) > 1, false
	var first *evaluation.Interval // of random orders
	for i := range e.Aggregate {
		v, ok := e.Aggregate[i].Measures[m.Name]
		if !ok {
			c.cells = append(c.cells, score{value: "–"})
			continue
		}
		x := score{value: figure(float64(v.Mean)), leads: v.Leads()}
		if several {
			x.interval = bounds(v.Interval)
		}
		if v.Random != nil {
			x.random = figure(float64(v.Random.Mean))
			if spread, ok := e.Texts[0].Methods[i].Random[m.Name]; ok && !several {
				x.random += " ±" + figure(float64(spread.SD))
			}
		}
		if !found {
			c.random, first = x.random, v.Random
		}
		c.own = c.own || x.random != c.random && (v.Random == nil || first == nil || m.OfScores ||
			math.Abs(float64(v.Random.Mean-first.Mean)) > tied)
		found = true
		c.cells = append(c.cells, x)
	}
	if c.own {
		c.random = ""
	}
	return c, found
}

// starred reports whether a value of the column has a mark.
func (c *column) starred() bool {
	return slices.ContainsFunc(c.cells, func(c score) bool { return c.leads })
}

// marked returns the value with its mark, or a blank in its place where others of
// the table have one.
func (c score) marked(starred bool) string {
	switch {
	case c.leads:
		return c.value + "*"
	case starred:
		return c.value + " "
	}
	return c.value
}

// byMeasure writes a group with a row for each measure and a column for each
// method.
func (t Term) byMeasure(b *strings.Builder, e *evaluation.Evaluation, names map[string]string, g group) {
	head, random := []string{""}, slices.ContainsFunc(g.columns, func(c column) bool { return c.random != "" })
	for _, s := range e.Aggregate {
		head = append(head, names[s.Method])
	}
	if random {
		head = append(head, "random")
	}
	var rows [][]string
	starred := slices.ContainsFunc(g.columns, func(c column) bool { return c.starred() })
	for _, c := range g.columns {
		value, interval, own := []string{c.title}, []string{""}, []string{"  its scores at random"}
		for _, x := range c.cells {
			value, interval, own = append(value, x.marked(starred)), append(interval, x.interval), append(own, cmp.Or(x.random, "–"))
		}
		rows = append(rows, append(value, c.random))
		if slices.ContainsFunc(interval, func(s string) bool { return s != "" }) {
			rows = append(rows, append(interval, ""))
		}
		if c.own {
			rows = append(rows, append(own, ""))
		}
	}
	t.columns(b, head, rows, t.Width/3)
}

// byMethod writes a group with a row for each method, one of random orders, and a
// column for each measure.
func (t Term) byMethod(b *strings.Builder, e *evaluation.Evaluation, names map[string]string, g group) {
	head, random := []string{""}, []string{"random"}
	for _, c := range g.columns {
		head, random = append(head, c.title), append(random, c.random)
		if c.own {
			head, random = append(head, "at random"), append(random, "")
		}
	}
	var rows [][]string
	for i, s := range e.Aggregate {
		value, interval := []string{names[s.Method]}, []string{""}
		for _, c := range g.columns {
			x := c.cells[i]
			value, interval = append(value, x.marked(c.starred())), append(interval, x.interval)
			if c.own {
				value, interval = append(value, cmp.Or(x.random, "–")), append(interval, "")
			}
		}
		rows = append(rows, value)
		if slices.ContainsFunc(interval, func(s string) bool { return s != "" }) {
			rows = append(rows, interval)
		}
	}
	if slices.ContainsFunc(random[1:], func(s string) bool { return s != "" }) {
		rows = append(rows, random)
	}
	t.columns(b, head, rows, t.Width/2)
}

// subjects says what was explained, a sentence each.
func subjects(e *evaluation.Evaluation) []string {
	var out []string
	if len(e.Texts) == 1 {
		x := &e.Texts[0]
		out = append(out, fmt.Sprintf("explained: %s = %s, in %s", scalar(&x.Target, nil), number(float64(x.Target.Value)), plural(len(x.Methods[0].Units), "unit")))
	} else {
		units := 0
		for i := range e.Texts {
			units += len(e.Texts[i].Methods[0].Units)
		}
		s := fmt.Sprintf("%d texts, %s each on average", len(e.Texts), plural(int(math.Round(float64(units)/float64(len(e.Texts)))), "unit"))
		if a := e.Accuracy; a != nil {
			s += fmt.Sprintf("; the model's class is the label of %d of %d", a.Correct, a.Texts)
		}
		out = append(out, s)
	}
	windows, long, dropped := 0, 0, 0
	for i := range e.Texts {
		if n := len(e.Texts[i].Windows); n > 1 {
			windows, long = windows+n, long+1
		}
		dropped += e.Texts[i].Dropped
	}
	if long > 0 {
		out = append(out, fmt.Sprintf("%s longer than the model reads, in %d windows, whose outputs count by their tokens", pluralIs(long, "text"), windows))
	}
	if dropped > 0 {
		out = append(out, plural(dropped, "token")+" of what the texts have did not fit the model")
	}
	return out
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

// shorten returns what the rows or columns of the methods are called: the methods'
// own names where these are short, numbers where they are not, which are listed.
// Of many methods each has both.
func (t Term) shorten(b *strings.Builder, e *evaluation.Evaluation, many bool) map[string]string {
	column := 16
	if many {
		column = t.Width/2 - len("[99] ")
	}
	names, long := make(map[string]string), false
	for i, m := range e.Methods {
		names[m.Label] = m.Label
		if many {
			names[m.Label] = fmt.Sprintf("[%d] %s", i+1, m.Label)
		}
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

// columns writes a table whose first column has at most a width; where it is wider
// than the terminal, in several parts.
func (t Term) columns(b *strings.Builder, head []string, rows [][]string, leftmost int) {
	width := make([]int, len(head))
	for _, r := range append([][]string{head}, rows...) {
		for i, s := range r[:len(head)] {
			most := t.Width / 3
			if i == 0 {
				most = max(28, leftmost)
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

// agreement writes how each pair of methods agrees; of many methods as a matrix
// of Kendall's τ alone.
func (t Term) agreement(b *strings.Builder, e *evaluation.Evaluation, names map[string]string, many bool) {
	if len(e.Agreement) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  %s\n", t.Level.Bold(agreementTitle(many)))
	if many {
		head, rows := matrix(e)
		for i := range rows {
			rows[i][0] = names[e.Methods[i].Label]
		}
		t.columns(b, head, rows, t.Width/2)
		return
	}
	head, rows := pairs(e, names)
	t.columns(b, head, rows, t.Width/3)
}

func agreementTitle(many bool) string {
	if many {
		return "agreement between methods: Kendall's τ"
	}
	return "agreement between methods"
}

// pairs returns the table of how each pair of methods agrees.
func pairs(e *evaluation.Evaluation, names map[string]string) (head []string, rows [][]string) {
	for _, a := range e.Agreement {
		row, intervals := []string{names[a.A] + " · " + names[a.B]}, []string{""}
		for _, name := range []string{evaluation.KendallTauB, evaluation.Spearman, evaluation.TopOverlap} {
			i, ok := a.Over[name]
			if !ok {
				row, intervals = append(row, "–"), append(intervals, "")
				continue
			}
			row, intervals = append(row, figure(float64(i.Mean))), append(intervals, bounds(i))
		}
		if rows = append(rows, row); len(e.Texts) > 1 {
			rows = append(rows, intervals)
		}
	}
	return []string{"", "Kendall's τ", "Spearman's ρ", "top 20 %"}, rows
}

// matrix returns the table of how much each pair of methods agrees by Kendall's τ,
// without the names of the rows.
func matrix(e *evaluation.Evaluation) (head []string, rows [][]string) {
	place := make(map[string]int)
	head = []string{""}
	for i, m := range e.Methods {
		place[m.Label] = i
		head = append(head, fmt.Sprintf("[%d]", i+1))
	}
	for i := range e.Methods {
		row := make([]string, len(head))
		for k := range row {
			row[k] = "–"
		}
		row[1+i] = ""
		rows = append(rows, row)
	}
	for _, a := range e.Agreement {
		if v, ok := a.Over[evaluation.KendallTauB]; ok {
			i, j := place[a.A], place[a.B]
			s := fmt.Sprintf("%.2f", float64(v.Mean))
			rows[i][1+j], rows[j][1+i] = s, s
		}
	}
	return head, rows
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
	}
	if s.Has(evaluation.Faithfulness) || s.Has(evaluation.Infidelity) || s.Has(evaluation.LeaveOneOut) {
		out = append(out, fact("fill "+s.Fill))
	}
	if s.Has(evaluation.Faithfulness) {
		out = append(out, fact(strings.Join(shares, ", ")+" % of the units, "+strings.ReplaceAll(string(s.Rule), "_", " ")))
	}
	if s.Positive {
		out = append(out, "positive scores alone")
	}
	if s.Random > 0 && slices.ContainsFunc(e.Aggregate, func(s evaluation.Summary) bool {
		for _, m := range s.Measures {
			if m.Random != nil {
				return true
			}
		}
		return false
	}) {
		out = append(out, fact(plural(s.Random, "random order")))
	}
	if intervals(e) {
		out = append(out, fact(fmt.Sprintf("intervals: %g %% of %d bootstrap samples", 100*s.Confidence, s.Bootstrap)))
	}
	out = append(out, fewer(e)...)
	ran := e.Runs.Explaining.Ran + e.Runs.Measuring.Ran
	return append(out,
		fact(fmt.Sprintf("%d rows asked for, %d run: %d to explain, %d to measure", e.Runs.Explaining.Asked+e.Runs.Measuring.Asked, ran, e.Runs.Explaining.Ran, e.Runs.Measuring.Ran)),
		fact(Line(e.Model.ID)),
		fact(Line(strings.TrimSpace(e.Provenance.DType+" "+e.Provenance.Kernel))),
		fact(fmt.Sprintf("seed %d", e.Provenance.Seed)),
		fact(fmt.Sprintf("%.1f s", e.Provenance.WallSeconds)),
	)
}

// fewer says how many texts measures had that not all texts of a corpus have, the
// same number once.
func fewer(e *evaluation.Evaluation) []fact {
	var out []fact
	titles := make(map[string][]string) // by what is said of them
	var order []string
	for _, m := range evaluation.Measures {
		least, most := len(e.Texts), 0
		for _, s := range e.Aggregate {
			if v, ok := s.Measures[m.Name]; ok {
				least, most = min(least, v.Texts), max(most, v.Texts)
			}
		}
		if most == 0 || least == len(e.Texts) || m.Title == "" {
			continue
		}
		count := strconv.Itoa(least)
		if least < most {
			count += " to " + strconv.Itoa(most)
		}
		if titles[count] == nil {
			order = append(order, count)
		}
		titles[count] = append(titles[count], m.Title)
	}
	for _, count := range order {
		out = append(out, fact(strings.Join(titles[count], ", ")+": "+count+" of "+plural(len(e.Texts), "text")))
	}
	return out
}
