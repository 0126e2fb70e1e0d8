package core

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/sdk"
)

// The policies that partition a text's tokens into units.
const (
	UnitsToken    = "token"
	UnitsWord     = "word"
	UnitsSentence = "sentence"
)

// makeUnits partitions the tokens of texts that are neither special nor fixed.
// A unit of words or sentences is a segment of UAX #29, or several where one
// token reaches across their border, so that a sum over units equals the sum
// over their tokens. Segments without a token (white space) are no units.
func makeUnits(policy string, texts []string, tokens []sdk.Token) []sdk.Unit {
	var units []sdk.Unit
	for s, text := range texts {
		starts := segments(policy, text)
		last := -1 // the last segment of the unit under construction
		seg := 0
		for i, t := range tokens {
			if t.Special || t.Fixed || t.Sequence != s {
				continue
			}
			if policy == UnitsToken {
				units = append(units, sdk.Unit{
					Text:   text[t.Start:t.End],
					Spans:  []sdk.Span{{Sequence: s, Start: t.Start, End: t.End}},
					Tokens: []int{i},
				})
				continue
			}
			begin := skipSpace(text, t.Start, t.End)
			for seg+1 < len(starts)-1 && starts[seg+1] <= begin {
				seg++
			}
			end := seg
			for end+1 < len(starts)-1 && starts[end+1] < t.End {
				end++
			}
			if n := len(units) - 1; last >= seg {
				units[n].Tokens = append(units[n].Tokens, i)
				last = max(last, end)
				units[n].Spans[0].End = starts[last+1]
			} else {
				last = end
				units = append(units, sdk.Unit{
					Spans:  []sdk.Span{{Sequence: s, Start: starts[seg], End: starts[end+1]}},
					Tokens: []int{i},
				})
			}
		}
	}
	for i := range units {
		if span := &units[i].Spans[0]; policy != UnitsToken {
			text := texts[span.Sequence]
			span.End = span.Start + len(strings.TrimRightFunc(text[span.Start:span.End], unicode.IsSpace))
			units[i].Text = text[span.Start:span.End]
		}
	}
	return units
}

// segments returns where each segment of the text starts, and the text's end.
func segments(policy, text string) []int {
	starts := []int{0}
	if policy == UnitsToken {
		return starts
	}
	first := uniseg.FirstWordInString
	if policy == UnitsSentence {
		first = uniseg.FirstSentenceInString
	}
	state, rest := -1, text
	for rest != "" {
		var segment string
		segment, rest, state = first(rest, state)
		starts = append(starts, starts[len(starts)-1]+len(segment))
	}
	return starts
}

// skipSpace returns the first position of text[start:end] that is not white
// space, or start where there is none: byte-level tokens carry a leading space.
func skipSpace(text string, start, end int) int {
	for i := start; i < end; {
		r, n := utf8.DecodeRuneInString(text[i:end])
		if !unicode.IsSpace(r) {
			return i
		}
		i += n
	}
	return start
}
