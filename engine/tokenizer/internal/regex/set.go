package regex

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// set is a set of runes. It is immutable once compiled.
type set struct {
	ranges   []runeRange
	tables   []*unicode.RangeTable
	sets     []*set
	negative bool
	fold     bool // holds the runes too that differ from its own in case alone
	// ascii has a bit for each rune below utf8.RuneSelf, filled by compile.
	ascii [2]uint64
}

type runeRange struct{ low, high rune }

func single(r rune) *set { return &set{ranges: []runeRange{{r, r}}} }

// rune returns the rune of a set of one.
func (s *set) rune() (rune, bool) {
	if s.negative || len(s.tables)+len(s.sets) > 0 || len(s.ranges) != 1 || s.ranges[0].low != s.ranges[0].high {
		return 0, false
	}
	return s.ranges[0].low, true
}

// compile prepares the set for has.
func (s *set) compile() {
	for r := range rune(utf8.RuneSelf) {
		if s.search(r) {
			s.ascii[r/64] |= 1 << (r % 64)
		}
	}
}

// has says whether r is in the set.
func (s *set) has(r rune) bool {
	if r < utf8.RuneSelf {
		return s.ascii[r/64]>>(r%64)&1 != 0
	}
	return s.search(r)
}

func (s *set) search(r rune) bool {
	found := s.contains(r)
	if s.fold {
		for other := unicode.SimpleFold(r); other != r && !found; other = unicode.SimpleFold(other) {
			found = s.contains(other)
		}
	}
	return found != s.negative
}

// contains is search without regard to case and negation of the set itself.
func (s *set) contains(r rune) bool {
	for _, in := range s.ranges {
		if in.low <= r && r <= in.high {
			return true
		}
	}
	for _, in := range s.sets {
		if in.search(r) {
			return true
		}
	}
	return unicode.In(r, s.tables...)
}

// word are the tables of \w: what is alphabetic, marks, digits and connectors
// and, as Oniguruma takes the class of Latin-1 from elsewhere, its superscripts
// and fractions.
var word = []*unicode.RangeTable{
	unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic,
	{R16: []unicode.Range16{{Lo: '²', Hi: '³', Stride: 1}, {Lo: '¹', Hi: '¹', Stride: 1}, {Lo: '¼', Hi: '¾', Stride: 1}}, LatinOffset: 3},
}

// property returns the table of a category, a script or a property by its name
// in Unicode, in which case, spaces, hyphens and underscores do not count. It
// returns nil if there is none.
func property(name string) *unicode.RangeTable {
	plain := func(s string) string {
		return strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.ToLower(s))
	}
	wanted := plain(name)
	for long, short := range unicode.CategoryAliases {
		if plain(long) == wanted {
			wanted = plain(short)
		}
	}
	for _, tables := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts, unicode.Properties} {
		for name, table := range tables {
			if plain(name) == wanted {
				return table
			}
		}
	}
	return nil
}
