package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// visible returns a grapheme cluster as it may be written to a terminal. What
// a terminal would obey, or would draw as nothing, becomes a sign for it: a C0
// control its Unicode picture (ESC is ␛), and C1 controls, bidirectional
// controls and other invisible format characters their code point, <U+202E>.
// Joiners stay, since scripts and emoji need them, and so do the tags of a flag.
// No cluster has more than maxRunes: what is piled on after them is left out.
func visible(cluster string) string {
	if len(cluster) > maxRunes {
		n := 0
		for i := range cluster {
			if n++; n > maxRunes {
				cluster = cluster[:i]
				break
			}
		}
	}
	if !strings.ContainsFunc(cluster, hidden) && utf8.ValidString(cluster) {
		return cluster
	}
	var b strings.Builder
	first, _ := utf8.DecodeRuneInString(cluster)
	for _, r := range cluster { // invalid bytes arrive as U+FFFD
		switch {
		case !hidden(r), first == blackFlag && isTag(r):
			b.WriteRune(r)
		case r < 0x20:
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		default:
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}

// maxRunes is more than any emoji and any script's syllable needs.
const maxRunes = 32

const blackFlag = '\U0001F3F4' // opens the flags that are spelt with tags

func isTag(r rune) bool { return r >= 0xE0020 && r <= 0xE007F }

// hidden reports whether r must not reach a terminal.
func hidden(r rune) bool {
	const zwnj, zwj = '\u200c', '\u200d'
	if r == zwnj || r == zwj {
		return false
	}
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) { // visible, though of category Cf
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Line returns s as it may be written to a terminal, on one line: line breaks
// and tabs become spaces, and what a terminal would obey becomes a sign for it.
func Line(s string) string { return safe(s, " ", " ") }

// Lines is Line for a text of many lines: line breaks and tabs stay.
func Lines(s string) string { return safe(s, "\n", "\t") }

// safe puts others in the place of line breaks and tabs.
func safe(s, line, tab string) string {
	var b strings.Builder
	state := -1
	for s != "" {
		var cluster string
		cluster, s, _, state = uniseg.StepString(s, state)
		switch cluster {
		case "\n", "\r\n", "\r":
			b.WriteString(line)
		case "\t":
			b.WriteString(tab)
		default:
			b.WriteString(visible(cluster))
		}
	}
	return b.String()
}

// clip returns Line(s), cut to width columns with an ellipsis where it is
// longer.
func clip(s string, width int) string {
	s = Line(s)
	if uniseg.StringWidth(s) <= width {
		return s
	}
	var b strings.Builder
	state, used := -1, 1
	for s != "" {
		var cluster string
		var boundaries int
		cluster, s, boundaries, state = uniseg.StepString(s, state)
		if used += boundaries >> uniseg.ShiftWidth; used > width {
			break
		}
		b.WriteString(cluster)
	}
	return b.String() + "…"
}

// blanks returns the spaces that are missing after s up to width columns.
func blanks(s string, width int) string {
	return strings.Repeat(" ", max(0, width-uniseg.StringWidth(s)))
}
