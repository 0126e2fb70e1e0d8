package game

import "unicode"

// IsSpace is Python's str.isspace.
func IsSpace(r rune) bool { return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f }

// IsWord is Python's \w: str.isalnum, which is every letter and every number, and the
// underscore. Combining marks are no word characters.
func IsWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
