package report

import (
	"math"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// span is a range of bytes of a text with the score of the unit it belongs to.
type span struct {
	start, end int
	value      float64
}

// cell is one grapheme cluster as it is drawn.
type cell struct {
	text  string  // safe for a terminal
	width int     // columns
	score float64 // in [-1, 1], NaN where nothing was attributed
	kind  cellKind
	brk   int // uniseg.LineDontBreak, LineCanBreak or LineMustBreak after it
}

type cellKind int

const (
	glyph cellKind = iota
	space
	tab
	newline
)

// cells cuts text into grapheme clusters and gives each the score of the spans
// that it overlaps, divided by scale. Where several overlap one cluster (the
// byte tokens of one character), their scores add up, as they do in the sum
// over units. With mark set, the score follows each stretch in writing.
func cells(text string, spans []span, scale float64, mark func(float64) string) []cell {
	spans = slices.Clone(spans)
	slices.SortStableFunc(spans, func(a, b span) int { return a.start - b.start })
	var out []cell
	var owners, previous []int // the spans over this cluster and over the one before
	last := -1                 // the last glyph of the stretch that previous owns
	state, at, first := -1, 0, 0
	closeStretch := func() {
		if last < 0 || len(previous) == 0 || mark == nil {
			return
		}
		if s := mark(out[last].score * scale); s != "" {
			out[last].text += s
			out[last].width += len(s)
		}
	}
	for rest := text; rest != ""; {
		var cluster string
		var boundaries int
		cluster, rest, boundaries, state = uniseg.StepString(rest, state)
		end := at + len(cluster)
		for first < len(spans) && spans[first].end <= at {
			first++
		}
		owners = owners[:0]
		score := math.NaN()
		for i := first; i < len(spans) && spans[i].start < end; i++ {
			if spans[i].end <= at {
				continue
			}
			if owners = append(owners, i); len(owners) == 1 {
				score = 0
			}
			score += spans[i].value / scale
		}
		at = end
		c := cell{text: visible(cluster), score: score, brk: boundaries & uniseg.MaskLine}
		switch {
		case cluster == "\n" || cluster == "\r\n" || cluster == "\r":
			c.kind, c.text = newline, ""
		case cluster == "\t":
			c.kind, c.text = tab, ""
		case cluster == " ":
			c.kind = space
			fallthrough
		default:
			c.width = uniseg.StringWidth(c.text)
		}
		if c.kind != newline && c.brk == uniseg.LineMustBreak { // the end of the text, or a control that is now a visible sign
			c.brk = uniseg.LineCanBreak
		}
		if !slices.Equal(owners, previous) {
			closeStretch()
			last = -1
		}
		out = append(out, c)
		if c.kind == glyph {
			last = len(out) - 1
		}
		previous = append(previous[:0], owners...)
	}
	closeStretch()
	return out
}

// wrap breaks cells into lines of at most width columns, at the places where
// Unicode allows a break (UAX 14), and inside a word only where a line has no
// such place. Spaces that end a wrapped line hang over its end and are left out.
func wrap(cs []cell, width int) [][]cell {
	var lines [][]cell
	var current []cell
	used, opportunity := 0, 0 // columns of current; where it can be broken
	for _, c := range cs {
		if c.kind == newline {
			lines = append(lines, current)
			current, used, opportunity = nil, 0, 0
			continue
		}
		if c.kind == tab {
			c.width = 8 - used%8
			c.text = strings.Repeat(" ", c.width)
		}
		blank := c.kind == space || c.kind == tab
		if used+c.width > width && blank && len(current) > 0 {
			opportunity = len(current)
			continue
		}
		for used+c.width > width && len(current) > 0 {
			if opportunity == 0 {
				opportunity = len(current)
			}
			lines = append(lines, trim(current[:opportunity:opportunity]))
			current = slices.Clone(current[opportunity:])
			opportunity, used = 0, 0
			for _, c := range current {
				used += c.width
			}
		}
		current = append(current, c)
		used += c.width
		if c.brk == uniseg.LineCanBreak {
			opportunity = len(current)
		}
	}
	if len(current) > 0 || len(lines) == 0 {
		lines = append(lines, current)
	}
	return lines
}

// trim drops the blanks at the end of a wrapped line.
func trim(line []cell) []cell {
	for len(line) > 0 {
		if k := line[len(line)-1].kind; k != space && k != tab {
			break
		}
		line = line[:len(line)-1]
	}
	return line
}

// draw writes lines with a background for each score. An escape sequence never
// spans the end of a line.
func draw(b *strings.Builder, lines [][]cell, level Level, indent string) {
	for _, l := range lines {
		if len(l) > 0 {
			b.WriteString(indent)
		}
		open := ""
		for _, c := range l {
			if style := level.block(c.score); style != open {
				if open != "" {
					b.WriteString(reset)
				}
				b.WriteString(style)
				open = style
			}
			b.WriteString(c.text)
		}
		if open != "" {
			b.WriteString(reset)
		}
		b.WriteByte('\n')
	}
}
