package core

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
)

// piece is a stretch of an input text: a unit's, or what stands between units.
type piece struct {
	sequence   int
	start, end int
	unit       int // −1 for what stands between units
}

// layout cuts the texts into pieces along the units' spans, which must lie
// inside the texts on rune borders and must not overlap.
func layout(texts []string, units []sdk.Unit) ([]piece, error) {
	var spans []piece
	for u, unit := range units {
		for _, s := range unit.Spans {
			if s.Sequence < 0 || s.Sequence >= len(texts) || s.Start < 0 || s.End < s.Start || s.End > len(texts[s.Sequence]) {
				return nil, sdk.NewError(sdk.ERange, "unit "+strconv.Itoa(u)+" reaches outside the text")
			}
			text := texts[s.Sequence]
			if !border(text, s.Start) || !border(text, s.End) {
				return nil, sdk.NewError(sdk.EInvalid, "unit "+strconv.Itoa(u)+" cuts a character of the text in two")
			}
			spans = append(spans, piece{s.Sequence, s.Start, s.End, u})
		}
	}
	slices.SortStableFunc(spans, func(a, b piece) int {
		if a.sequence != b.sequence {
			return a.sequence - b.sequence
		}
		return a.start - b.start
	})
	var pieces []piece
	i := 0
	for s, text := range texts {
		at := 0
		for ; i < len(spans) && spans[i].sequence == s; i++ {
			if spans[i].start < at {
				return nil, sdk.NewError(sdk.EInvalid, "units overlap at byte "+strconv.Itoa(spans[i].start)+" of the text")
			}
			if spans[i].start > at {
				pieces = append(pieces, piece{s, at, spans[i].start, -1})
			}
			pieces = append(pieces, spans[i])
			at = spans[i].end
		}
		if at < len(text) {
			pieces = append(pieces, piece{s, at, len(text), -1})
		}
	}
	return pieces, nil
}

// after returns the pieces without what stands in each text before a byte.
func after(from []int, pieces []piece) []piece {
	kept := pieces[:0]
	for _, p := range pieces {
		if start := from[p.sequence]; p.start < start {
			if p.end <= start {
				continue
			}
			p.start = start
		}
		kept = append(kept, p)
	}
	return kept
}

// border reports whether text may be cut at i.
func border(text string, i int) bool { return i == len(text) || utf8.RuneStart(text[i]) }

// edit appends each text with its dropped units filled in; keep has one byte a
// unit. What stands between units stays, so deleting a word leaves its spaces.
func edit(dst [2][]byte, texts []string, pieces []piece, keep []uint8, fill string) [2][]byte {
	for _, p := range pieces {
		if p.unit >= 0 && keep[p.unit] == 0 {
			dst[p.sequence] = append(dst[p.sequence], fill...)
		} else {
			dst[p.sequence] = append(dst[p.sequence], texts[p.sequence][p.start:p.end]...)
		}
	}
	return dst
}
