package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xai-go/xai/core/evaluation"
)

// EvaluationMarkdown writes e as tables of GitHub's Markdown: a row for each method,
// one for random orders, and a column for each measure, six in a table at most. The
// best values, and those that are not certainly worse, are bold.
func EvaluationMarkdown(w io.Writer, e *evaluation.Evaluation) error {
	var b strings.Builder
	for _, s := range subjects(e) {
		b.WriteString(markdownText(strings.ToUpper(s[:1])+s[1:]) + ".\n")
	}
	names := make([]string, len(e.Methods))
	for i, m := range e.Methods {
		names[i] = markdownCode(m.Label)
	}
	all := groups(e)
	for _, g := range all {
		parts := (len(g.columns) + mostColumns - 1) / mostColumns
		for part := range parts {
			head, rows := g.markdown(g.columns[part*len(g.columns)/parts:(part+1)*len(g.columns)/parts], names)
			markdownTable(&b, head, rows)
		}
	}
	if len(all) == 0 {
		b.WriteString("\n" + strings.ToUpper(nothingMeasured[:1]) + nothingMeasured[1:] + ".\n")
	}
	if len(e.Agreement) > 0 {
		head, rows := markdownAgreement(e, names)
		markdownTable(&b, head, rows)
	}
	b.WriteByte('\n')
	if slices.ContainsFunc(all, group.leads) {
		b.WriteString("Bold: " + leading(e) + ".\n")
	}
	var facts []string
	for _, f := range settings(e) {
		facts = append(facts, markdownText(string(f)))
	}
	b.WriteString(strings.Join(facts, " · ") + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// mostColumns is how many measures a table of Markdown has at most.
const mostColumns = 6

// markdown returns the head and the rows of a table of some of the columns.
func (g group) markdown(columns []column, names []string) (head []string, rows [][]string) {
	head, random := []string{g.title}, []string{"random"}
	for _, c := range columns {
		head, random = append(head, c.title), append(random, c.random)
		if c.own {
			head, random = append(head, "at random"), append(random, "")
		}
	}
	for i, name := range names {
		row := []string{name}
		for _, c := range columns {
			x := c.cells[i]
			s := x.value
			if x.leads {
				s = "**" + s + "**"
			}
			if x.interval != "" {
				s += "<br>" + x.interval
			}
			row = append(row, s)
			if c.own {
				row = append(row, cmp.Or(x.random, "–"))
			}
		}
		rows = append(rows, row)
	}
	if slices.ContainsFunc(random[1:], func(s string) bool { return s != "" }) {
		rows = append(rows, random)
	}
	return head, rows
}

// leads reports whether one of the values is marked as the best.
func (g group) leads() bool {
	return slices.ContainsFunc(g.columns, func(c column) bool {
		return slices.ContainsFunc(c.cells, func(x score) bool { return x.leads })
	})
}

// markdownAgreement returns the table of agreement: of pairs, or a matrix where there
// are many methods.
func markdownAgreement(e *evaluation.Evaluation, names []string) (head []string, rows [][]string) {
	many := len(e.Methods) >= manyMethods
	if many {
		head, rows = matrix(e)
		for i := range rows {
			rows[i][0] = fmt.Sprintf("[%d] %s", i+1, names[i])
		}
	} else {
		quoted := make(map[string]string)
		for i, m := range e.Methods {
			quoted[m.Label] = names[i]
		}
		head, rows = pairs(e, quoted)
	}
	head[0] = agreementTitle(many)
	return head, rows
}

// markdownTable writes the rows that are not empty under their head.
func markdownTable(b *strings.Builder, head []string, rows [][]string) {
	b.WriteString("\n|")
	for _, s := range head {
		b.WriteString(" " + s + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(head)-1) + "\n")
	for _, r := range rows {
		if !slices.ContainsFunc(r, func(s string) bool { return s != "" }) {
			continue
		}
		b.WriteByte('|')
		for _, s := range r {
			b.WriteString(" " + s + " |")
		}
		b.WriteByte('\n')
	}
}

// markdownText returns a line in which nothing is markup.
func markdownText(s string) string {
	var b strings.Builder
	for _, r := range Line(s) {
		if strings.ContainsRune("\\`*_[]<>|#&~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// markdownCode returns a line as code in a table.
func markdownCode(s string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "\\|").Replace(Line(s)) + "`"
}
