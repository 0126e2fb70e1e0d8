package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// markdown writes a report as tables, one for each model, work and head: a line
// a case, a column a side, and behind them how many times as fast we are as
// each other side.
func (r *Report) markdown(w io.Writer) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "Measured %s on %d cores of %s (%s/%s), %s, revision %s, against %s; medians of %d rounds, in turns.\n",
		r.Measured.Format("2006-01-02"), m.Cores, or(m.Processor, "an unnamed processor"), m.OS, m.Arch, m.Go, or(m.Revision, "unknown"), r.Peer, r.Rounds)
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

func table(b *strings.Builder, cases []Case) {
	var sides []string
	var ratios []Ratio // their Of and To
	for _, c := range cases {
		for _, s := range c.Sides {
			if !slices.Contains(sides, s.Name) {
				sides = append(sides, s.Name)
			}
		}
		for _, r := range c.Ratios {
			if !slices.ContainsFunc(ratios, func(o Ratio) bool { return o.Of == r.Of && o.To == r.To }) {
				ratios = append(ratios, r)
			}
		}
	}
	header := []string{"(batch, tokens)", "threads", "peak GFLOP/s"}
	for _, s := range sides {
		header = append(header, s+" ms (GFLOP/s, of peak)")
	}
	for _, r := range ratios {
		header = append(header, fmt.Sprintf("%s ÷ %s", r.To, r.Of))
	}
	row(b, header)
	row(b, slices.Repeat([]string{"---"}, len(header)))
	for _, c := range cases {
		cells := []string{fmt.Sprintf("(%d, %d)", c.Batch, c.Tokens), fmt.Sprint(c.Threads), fmt.Sprintf("%.0f", c.Peak)}
		for _, name := range sides {
			cell := "–"
			if s, ok := c.side(name); ok {
				cell = fmt.Sprintf("%s (%.0f, %.0f %%)", milliseconds(s.Median), s.GFLOPS, 100*s.OfPeak)
			}
			cells = append(cells, cell)
		}
		for _, r := range ratios {
			cell := "–"
			if i := slices.IndexFunc(c.Ratios, func(o Ratio) bool { return o.Of == r.Of && o.To == r.To }); i >= 0 {
				cell = fmt.Sprintf("**%.2f** (%.2f–%.2f)", c.Ratios[i].Median, c.Ratios[i].Low, c.Ratios[i].High)
			}
			cells = append(cells, cell)
		}
		row(b, cells)
	}
	for _, c := range cases {
		for _, s := range c.Absent {
			fmt.Fprintf(b, "\n(%d, %d) on %d: %s is not measured: %s.\n", c.Batch, c.Tokens, c.Threads, s.Name, s.Reason)
		}
	}
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
				fmt.Fprintf(&b, " ×%.2f", r.Median)
			}
		}
	}
	for _, s := range c.Absent {
		fmt.Fprintf(&b, "; %s is not measured", s.Name)
	}
	return b.String()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
