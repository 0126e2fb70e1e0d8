package core

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/internal/nearest"
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

// unitsSpans begins units that are given as spans.
const unitsSpans = "spans:"

// ParseUnits checks what Request.Units says: the name of a policy, or spans, which
// are ranges of bytes of the text,
//
//	spans:0-5,6-12
//
// each a unit. 1:0-5 is a range of the second text of a pair, and ranges with + between
// them are one unit, 0-5+20-25. The error is an *Error of KindUsage.
func ParseUnits(units string) error {
	_, err := parseUnits(units)
	return err
}

// parseUnits returns the units that are given as spans, nil for a policy.
func parseUnits(policy string) ([]sdk.Unit, error) {
	list, ok := strings.CutPrefix(policy, unitsSpans)
	switch {
	case policy == UnitsToken || policy == UnitsWord || policy == UnitsSentence:
		return nil, nil
	case !ok:
		hint := "use token, word, sentence or spans:0-5,6-12"
		if near, ok := nearest.Of(policy, []string{UnitsToken, UnitsWord, UnitsSentence}); ok {
			hint = "did you mean " + near + "? " + hint
		}
		return nil, usage("unknown units "+strconv.Quote(policy), hint)
	}
	var units []sdk.Unit
	for one := range strings.SplitSeq(list, ",") {
		var u sdk.Unit
		for text := range strings.SplitSeq(one, "+") {
			span, err := parseSpan(strings.TrimSpace(text))
			if err != nil {
				return nil, err
			}
			u.Spans = append(u.Spans, span)
		}
		slices.SortFunc(u.Spans, compareSpans)
		units = append(units, u)
	}
	slices.SortStableFunc(units, func(a, b sdk.Unit) int { return compareSpans(a.Spans[0], b.Spans[0]) })
	return units, nil
}

// SpanUnits returns spans as Request.Units takes them: one unit each list.
func SpanUnits(units [][]Span) string {
	var b strings.Builder
	for i, spans := range units {
		for k, s := range spans {
			switch {
			case k > 0:
				b.WriteByte('+')
			case i > 0:
				b.WriteByte(',')
			}
			if s.Sequence != 0 {
				b.WriteString(strconv.Itoa(s.Sequence) + ":")
			}
			b.WriteString(strconv.Itoa(s.Start) + "-" + strconv.Itoa(s.End))
		}
	}
	return unitsSpans + b.String()
}

func compareSpans(a, b sdk.Span) int {
	return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Start, b.Start))
}

var spanOfBytes = regexp.MustCompile(`^(?:([01]):)?(\d{1,9})-(\d{1,9})$`)

func parseSpan(text string) (s sdk.Span, err error) {
	match := spanOfBytes.FindStringSubmatch(text)
	if match == nil {
		return s, usage("the units' span "+strconv.Quote(text)+" is no range of bytes", "write spans:0-5,6-12; 1:0-5 is one of the second text")
	}
	s.Sequence, _ = strconv.Atoi(cmp.Or(match[1], "0"))
	s.Start, _ = strconv.Atoi(match[2])
	s.End, _ = strconv.Atoi(match[3])
	if s.Start >= s.End {
		return s, usage("the units' span "+text+" is empty", "its end is the byte behind its last one")
	}
	return s, nil
}

// choose fills in the texts and the tokens of units that are spans, and fixes the
// tokens of the text that are in none of them: those that do not begin there.
func (e *encoded) choose(units []sdk.Unit) error {
	pieces, err := layout(e.kept, units)
	if err != nil {
		return usage("the units do not fit the text: "+plain(err.Error()), "spans are bytes of the text, do not overlap, and lie in what the model reads of it")
	}
	for _, p := range pieces {
		if p.unit >= 0 && p.start < e.from[p.sequence] {
			return usage("the units do not fit the text: one is in what was cut off", "give spans of what the model reads")
		}
	}
	copy(units, e.withTokens(units))
	fixed := slices.Clone(e.tokens)
	for i := range fixed {
		fixed[i].Fixed = fixed[i].Fixed || !fixed[i].Special
	}
	for i := range units {
		u := &units[i]
		var texts []string
		for _, s := range u.Spans {
			texts = append(texts, e.kept[s.Sequence][s.Start:s.End])
		}
		u.Text = strings.Join(texts, " … ")
		if len(u.Tokens) == 0 {
			return usage("no token begins in the unit "+strconv.Quote(u.Text), "a unit has one token at least; xai tokenize shows where they are")
		}
		for _, t := range u.Tokens {
			fixed[t].Fixed = e.tokens[t].Fixed
		}
	}
	e.tokens = fixed
	return nil
}
