package text

import (
	"sync"
	"unicode"
)

// class is a set of the properties of a rune that tokenizers ask about.
type class uint16

const (
	space            class = 1 << iota // property White_Space
	separator                          // category Zs
	information                        // U+001C to U+001F, white space to Python alone
	control                            // categories Cc, Cf and Co
	unassigned                         // category Cn
	punct                              // categories P*, and the symbols of ASCII
	nonspacing                         // category Mn
	word                               // \w of Unicode regular expressions
	letter                             // categories L*
	number                             // categories N*
	frozenControl                      // control, to the tokenizers library
	frozenPunct                        // punct, to the tokenizers library
	frozenNonspacing                   // nonspacing, to the tokenizers library
	frozenCombining                    // categories M*, to the tokenizers library
)

// tables says which Unicode tables make up each class.
var tables = []struct {
	class  class
	ranges []*unicode.RangeTable
}{
	{space, []*unicode.RangeTable{unicode.White_Space}},
	{separator, []*unicode.RangeTable{unicode.Zs}},
	{control | frozenControl, []*unicode.RangeTable{unicode.Cc, unicode.Cf, unicode.Co}},
	{unassigned, []*unicode.RangeTable{unicode.Cn}},
	{punct | frozenPunct, []*unicode.RangeTable{unicode.P}},
	{nonspacing | frozenNonspacing, []*unicode.RangeTable{unicode.Mn}},
	{frozenCombining, []*unicode.RangeTable{unicode.M}},
	{letter, []*unicode.RangeTable{unicode.L}},
	{number, []*unicode.RangeTable{unicode.N}},
	{word, []*unicode.RangeTable{
		unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control,
	}},
}

// tabled is the number of code points whose classes are looked up instead of
// searched for: planes 0 and 1, where nearly all text lies.
const tabled = 0x20000

type classTable [tabled]class

var classes = sync.OnceValue(func() *classTable {
	t := new(classTable)
	for _, set := range tables {
		for _, table := range set.ranges {
			for _, r := range table.R16 {
				for c := uint32(r.Lo); c <= uint32(r.Hi); c += uint32(r.Stride) {
					t[c] |= set.class
				}
			}
			for _, r := range table.R32 {
				for c := r.Lo; c <= min(r.Hi, tabled-1); c += r.Stride {
					t[c] |= set.class
				}
			}
		}
	}
	for _, c := range "$+<=>^`|~" {
		t[c] |= punct | frozenPunct
	}
	for c := 0x1C; c <= 0x1F; c++ {
		t[c] |= information
	}
	for _, older := range []struct {
		class  class
		ranges [][2]rune
	}{
		{frozenControl, olderControl}, {frozenPunct, olderPunct}, {frozenNonspacing, olderMarks},
		{frozenCombining, olderCombining},
	} {
		for _, r := range older.ranges {
			for c := r[0]; c <= r[1]; c++ {
				t[c] ^= older.class
			}
		}
	}
	return t
})

// classOf returns the properties of r.
func classOf(r rune) class { return classes().of(r) }

// of returns the properties of r. Loops over runes hold the table.
func (t *classTable) of(r rune) class {
	if uint32(r) < tabled {
		return t[r]
	}
	var c class
	for _, set := range tables {
		if unicode.In(r, set.ranges...) {
			c |= set.class
		}
	}
	return c
}

// chinese says whether r lies in a block of CJK ideographs. extensionE is where
// the block of extension E begins: U+2B820 in Google's tokenizer, U+2B920 (sic)
// in the tokenizers library.
func chinese(r, extensionE rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0xFFFF:
		return r <= 0x4DBF || 0x4E00 <= r && r <= 0x9FFF || 0xF900 <= r && r <= 0xFAFF
	}
	return 0x20000 <= r && r <= 0x2A6DF ||
		0x2A700 <= r && r <= 0x2B81F ||
		extensionE <= r && r <= 0x2CEAF ||
		0x2F800 <= r && r <= 0x2FA1F
}

// IsSpace says whether r has the property White_Space.
func IsSpace(r rune) bool { return classOf(r)&space != 0 }

// IsPythonSpace says whether Python takes r for white space, as it does the
// separators of information too.
func IsPythonSpace(r rune) bool { return classOf(r)&(space|information) != 0 }

// IsWord says whether r matches \w of a Unicode regular expression: whether it
// is alphabetic, a mark, a decimal digit, a connector or a joiner.
func IsWord(r rune) bool { return classOf(r)&word != 0 }
