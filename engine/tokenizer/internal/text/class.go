package text

import (
	"sync"
	"unicode"
)

// class is a set of the properties of a rune that tokenizers ask about.
type class uint16

const (
	space       class = 1 << iota // property White_Space
	separator                     // category Zs
	control                       // categories Cc, Cf and Co
	unassigned                    // category Cn
	punct                         // categories P*, and every ASCII rune that is neither letter, digit, space nor control
	nonspacing                    // category Mn
	combining                     // categories M*
	information                   // U+001C to U+001F, white space to Python alone
	word                          // \w of Unicode regular expressions: alphabetic, mark, decimal digit, connector, joiner
)

// tables says which Unicode tables make up each class.
var tables = []struct {
	class  class
	ranges []*unicode.RangeTable
}{
	{space, []*unicode.RangeTable{unicode.White_Space}},
	{separator, []*unicode.RangeTable{unicode.Zs}},
	{control, []*unicode.RangeTable{unicode.Cc, unicode.Cf, unicode.Co}},
	{unassigned, []*unicode.RangeTable{unicode.Cn}},
	{punct, []*unicode.RangeTable{unicode.P}},
	{nonspacing, []*unicode.RangeTable{unicode.Mn}},
	{combining, []*unicode.RangeTable{unicode.M}},
	{word, []*unicode.RangeTable{unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control}},
}

// basic holds the classes of the Basic Multilingual Plane, where nearly all
// text lies: a lookup instead of a binary search per table.
var basic = sync.OnceValue(func() *[1 << 16]class {
	t := new([1 << 16]class)
	for _, set := range tables {
		for _, table := range set.ranges {
			for _, r := range table.R16 {
				for c := uint32(r.Lo); c <= uint32(r.Hi); c += uint32(r.Stride) {
					t[c] |= set.class
				}
			}
		}
	}
	for _, c := range "$+<=>^`|~" {
		t[c] |= punct
	}
	for c := 0x1C; c <= 0x1F; c++ {
		t[c] |= information
	}
	return t
})

// classOf returns the properties of r.
func classOf(r rune) class {
	if r>>16 == 0 {
		return basic()[r&0xFFFF]
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

// IsWord says whether r matches \w of a Unicode regular expression.
func IsWord(r rune) bool { return classOf(r)&word != 0 }
