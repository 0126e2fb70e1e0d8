package lime

import (
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
)

// ownUnits returns the features of the reference implementation over the
// texts: words between separators, or characters, by position or, with bow, by
// spelling in order of first appearance.
func ownUnits(texts []string, s settings) []sdk.Unit {
	var units []sdk.Unit
	for sequence, text := range texts {
		if s.chars {
			units = append(units, characters(sequence, text)...)
		} else {
			units = append(units, words(sequence, text, s.split)...)
		}
	}
	if s.bow {
		return bagOfWords(units)
	}
	return units
}

// words returns the stretches of text between separators. The reference splits
// by (SEPARATOR)|$, and $ also matches before a newline that ends the text or a
// piece: that newline ends a word, and a piece that is a newline alone is none.
func words(sequence int, text string, separator class) []sdk.Unit {
	var units []sdk.Unit
	start := -1
	flush := func(end int) {
		if start >= 0 && text[start:end] != "\n" {
			units = append(units, unit(sequence, text, start, end))
		}
		start = -1
	}
	body := strings.TrimSuffix(text, "\n")
	for i, r := range body {
		switch {
		case separator.contains(r):
			flush(i)
		case start < 0:
			start = i
		}
	}
	flush(len(body))
	return units
}

// characters returns one unit a character, white space among them.
func characters(sequence int, text string) []sdk.Unit {
	units := make([]sdk.Unit, 0, utf8.RuneCountInString(text))
	for start := 0; start < len(text); {
		_, n := utf8.DecodeRuneInString(text[start:])
		units = append(units, unit(sequence, text, start, start+n))
		start += n
	}
	return units
}

func unit(sequence int, text string, start, end int) sdk.Unit {
	return sdk.Unit{Text: text[start:end], Spans: []sdk.Span{{Sequence: sequence, Start: start, End: end}}}
}

// bagOfWords joins units of the same text, in order of first appearance. Case
// matters.
func bagOfWords(units []sdk.Unit) []sdk.Unit {
	var bag []sdk.Unit
	index := make(map[string]int, len(units))
	for _, u := range units {
		i, ok := index[u.Text]
		if !ok {
			i = len(bag)
			index[u.Text] = i
			bag = append(bag, sdk.Unit{Text: u.Text})
		}
		bag[i].Spans = append(bag[i].Spans, u.Spans...)
		bag[i].Tokens = append(bag[i].Tokens, u.Tokens...)
	}
	return bag
}
