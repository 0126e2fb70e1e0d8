package text

import (
	"cmp"
	"slices"
	"sync"
	"unicode"
)

// UnicodeScripts cuts where the script changes. Kana counts as Han. A space and
// what has no script go with what stands before; at the beginning, they are left
// out.
type UnicodeScripts struct{}

// PreTokenize implements PreTokenizer.
func (UnicodeScripts) PreTokenize(t *Text) {
	t.cut(func(w Range) {
		start, last := w.End, anyScript
		for i, r := range string(t.Bytes[w.Start:w.End]) {
			s := scriptOf(r)
			if s == anyScript {
				continue
			}
			if s != last {
				t.add(start, w.Start+i)
				start = w.Start + i
			}
			last = s
		}
		t.add(start, w.End)
	})
}

// script is the number of a Unicode script.
type script uint8

const (
	anyScript script = iota // of a space, and of what has none
	hanScript
	firstScript
)

// scriptRange is a range of runes of one script.
type scriptRange struct {
	low, high rune
	script    script
}

// scriptRanges returns the ranges of all scripts in order.
var scriptRanges = sync.OnceValue(func() []scriptRange {
	var ranges []scriptRange
	next := firstScript
	for name, table := range unicode.Scripts {
		s := next
		switch name {
		case "Han", "Hiragana", "Katakana":
			s = hanScript
		default:
			next++
		}
		add := func(low, high, stride rune) {
			if stride == 1 {
				ranges = append(ranges, scriptRange{low, high, s})
				return
			}
			for r := low; r <= high; r += stride {
				ranges = append(ranges, scriptRange{r, r, s})
			}
		}
		for _, r := range table.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	slices.SortFunc(ranges, func(a, b scriptRange) int { return cmp.Compare(a.low, b.low) })
	return ranges
})

// scriptOf returns the script that UnicodeScripts takes r for.
func scriptOf(r rune) script {
	switch r {
	case ' ':
		return anyScript
	case 'ー':
		return hanScript
	}
	ranges := scriptRanges()
	i, found := slices.BinarySearchFunc(ranges, r, func(a scriptRange, r rune) int {
		switch {
		case a.high < r:
			return -1
		case a.low > r:
			return 1
		}
		return 0
	})
	if !found {
		return anyScript
	}
	return ranges[i].script
}
