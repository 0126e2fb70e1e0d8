package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/xai-go/xai/bench/model"
)

// markdown writes a report as tables, one for each model, work and head: a line
// a case, a column a side.
func (r *Report) markdown(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "Measured %s on %d cores of %s (%s/%s), %s, revision %s, against %s; medians of %d turns.\n",
		r.Measured.Format(time.DateOnly), m.Cores, cmp.Or(m.Processor, "an unnamed processor"), m.OS, m.Arch, m.Go, cmp.Or(m.Revision, "unknown"), r.Peer, r.Rounds)
	type key struct{ model, work, head string }
	var keys []key
	groups := map[key][]Case{}
	for _, c := range r.Cases {
		k := key{c.Model, c.Work, c.Head}
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], c)
	}
	for _, k := range keys {
		fmt.Fprintf(&b, "\n### %s, %s (%s)\n\n", k.model, k.work, k.head)
		table(&b, groups[k])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table writes cases of the same kind. A cell has the median, of our forwards
// the share of the peak, and of the others how many times as fast ours is: by
// the medians and, in parentheses, by the fastest runs. See [Case.alike]. Cases
// are lines and sides columns, or the other way round where cases are few.
func table(b *strings.Builder, cases []Case) {
	lines := [][]string{{"batch × tokens"}, {"threads"}, {"peak, GFLOP/s"}, {"others"}}
	for _, c := range cases {
		others := "?"
		if c.Others != nil {
			others = fmt.Sprintf("%.0f %%", 100**c.Others)
		}
		for i, cell := range []string{fmt.Sprintf("%d × %d", c.Batch, c.Tokens), fmt.Sprint(c.Threads), fmt.Sprintf("%.0f", c.Peak), others} {
			lines[i] = append(lines[i], cell)
		}
	}
	for _, name := range sides(cases) {
		line := []string{name}
		for _, c := range cases {
			line = append(line, c.cell(name))
		}
		lines = append(lines, line)
	}
	const few = 2
	if len(cases) > few {
		lines = transposed(lines)
	}
	for i, line := range lines {
		row(b, line)
		if i == 0 {
			row(b, slices.Repeat([]string{"---"}, len(line)))
		}
	}
}

// sides returns the names of the sides of some cases, each once.
func sides(cases []Case) (names []string) {
	for _, c := range cases {
		for _, s := range c.Sides {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// transposed turns columns into lines.
func transposed(lines [][]string) [][]string {
	columns := make([][]string, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			columns[i] = append(columns[i], cell)
		}
	}
	return columns
}

func (c *Case) cell(name string) string {
	i := c.side(name)
	if i < 0 {
		return "–"
	}
	s := c.Sides[i]
	of := c.alike(name)
	if r := slices.IndexFunc(c.Ratios, func(r Ratio) bool { return r.Of == of && r.To == name }); r >= 0 {
		return fmt.Sprintf("%s ms, **×%.2f** (×%.2f)", milliseconds(s.Median), c.Ratios[r].Median, c.Ratios[r].Fastest)
	}
	return fmt.Sprintf("%s ms, %.0f %%", milliseconds(s.Median), 100*s.OfPeak)
}

// side returns the place of a side, or −1.
func (c *Case) side(name string) int {
	return slices.IndexFunc(c.Sides, func(s Side) bool { return s.Name == name })
}

// alike returns the side of ours that another one is held against: in 8 bits if
// it is, with the whole last layer if it computes that. There is none with both;
// and with the whole last layer ours computes all logits too, which for a
// classifier alone is next to nothing.
func (c *Case) alike(name string) string {
	switch {
	case name == gradients:
		return ours
	case strings.Contains(name, "int8") && c.side(eight) >= 0:
		return eight
	case !strings.Contains(name, " cut") && c.Head == string(model.Classifier) && c.side(allRows) >= 0:
		return allRows
	}
	return ours
}

func row(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// milliseconds writes a time with three digits or more.
func milliseconds(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

// line returns a case in one line, for those who wait for the next.
func (c *Case) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s (%d, %d) on %d:", c.Model, c.Work, c.Head, c.Batch, c.Tokens, c.Threads)
	for i, s := range c.Sides {
		if i > 0 {
			b.WriteByte(';')
		}
		fmt.Fprintf(&b, " %s %s ms", s.Name, milliseconds(s.Median))
		for _, r := range c.Ratios {
			if r.Of == ours && r.To == s.Name {
				fmt.Fprintf(&b, " ×%.2f ×%.2f ×%.2f", r.Median, r.Fastest, r.Processor)
			}
		}
	}
	return b.String()
}
