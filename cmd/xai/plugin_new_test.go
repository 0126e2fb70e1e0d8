package main

import "testing"

// TestShellWord holds that a word which somebody pastes into a shell from a hint is
// that word and nothing more.
func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"a/b.wasm":      `a/b.wasm`,
		"":              `""`,
		"two words":     `"two words"`,
		"it's":          `"it's"`,
		"a;b&c|d":       `"a;b&c|d"`,
		"$(id).wasm":    `'$(id).wasm'`,
		"`id`":          "'`id`'",
		`say "it's" $x`: `'say "it'\''s" $x'`,
		"50%":           `'50%'`,
	} {
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", word, got, want)
		}
	}
}
