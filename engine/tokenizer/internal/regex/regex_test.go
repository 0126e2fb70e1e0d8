package regex

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// matches returns what an expression matches in a text.
func matches(t testing.TB, expression, s string) []string {
	t.Helper()
	re, err := Compile(expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	found := []string{}
	for _, m := range re.AppendMatches(nil, []byte(s)) {
		found = append(found, s[m.Start:m.End])
	}
	return found
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		expression, text string
		want             []string
	}{
		{`a|ab`, "abab", []string{"a", "a"}},
		{`ab|a`, "aba", []string{"ab", "a"}},
		{`\s+(?!\S)|\s+`, "a   b c  ", []string{"  ", " ", " ", "  "}},
		{`\s+(?=\S)`, "a  b  ", []string{"  "}},
		{`(?<=a)b`, "bab", []string{"b"}},
		{`(?<!a)b+`, "bab b", []string{"b", "b"}},
		{`(?<=ab|c)\d`, "1ab2c3b4", []string{"2", "3"}},
		{`(?<=中)文`, "文中文", []string{"文"}},
		{`(?=[A-Z])`, "aBcD", []string{"", ""}},
		{`\p{L}+`, "aé中 1ß", []string{"aé中", "ß"}},
		{`\p{^L}+|\P{L}\p{Lu}`, "a1B", []string{"1"}},
		{`\pL+`, "ab1", []string{"ab"}},
		{`[\p{Lu}\p{Lt}]`, "aBǅ", []string{"B", "ǅ"}},
		{`\p{Han}+|\p{greek}|\p{Uppercase_Letter}`, "中文αA", []string{"中文", "α", "A"}},
		{`[^\s\p{L}\p{N}]+`, "a, b!? 5%", []string{",", "!?", "%"}},
		{`[一-龥\-a-c\]]+`, "中-b]x", []string{"中-b]"}},
		{`[]a]+|[a-]`, "]a-", []string{"]a", "-"}},
		{`[^(\s|[.,!?])]+`, "a.b (c|d)", []string{"a", "b", "c", "d"}},
		{`[a[^\S\n]]+`, "ba \tx\n", []string{"a \t"}},
		{`(?i:'s|'T|é)`, "'s'S'ſ't'TÉ", []string{"'s", "'S", "'ſ", "'t", "'T", "É"}},
		{`(?i)[a-c]|k`, "aBKKx", []string{"a", "B", "K", "K"}},
		{`a(?i)b|c`, "abaBaCac", []string{"ab", "aB", "aC", "ac"}},
		{`(a(?i)b)c`, "aBcaBC", []string{"aBc"}},
		{`a{2}`, "aaaaa", []string{"aa", "aa"}},
		{`a{2,}b`, "abaaab", []string{"aaab"}},
		{`\p{N}{1,3}`, "12345", []string{"123", "45"}},
		{`a{,2}b`, "aaab", []string{"aab"}},
		{`a{,}b{x`, "a{,}b{x", []string{"a{,}b{x"}},
		{`(ab){1,2}+`, "ababab", []string{"ababab"}},
		{`a??b|a`, "aab", []string{"a", "ab"}},
		{`a+?`, "aa", []string{"a", "a"}},
		{`a++a|b`, "aab", []string{"b"}},
		{`[ab]?+b|a`, "b ab", []string{"ab"}},
		{`(?>a+)b`, "aabab", []string{"aab", "ab"}},
		{`a++b|a++c`, "aaab aaaac aa", []string{"aaab", "aaaac"}},
		{`.a{2,}+b|[ab]{3}`, "aabaaab", []string{"aab", "aaab"}},
		{`(?<name>a)(b)`, "ab", []string{"ab"}},
		{`^a|b$`, "a\na b\nb", []string{"a", "a", "b", "b"}},
		{`\Aa|a\z`, "aaa", []string{"a", "a"}},
		{`a\Z`, "aa\n", []string{"a"}},
		{`\bcat\b|\Bcat`, "cat concat cats", []string{"cat", "cat"}},
		{`.+`, "ab\nc", []string{"ab", "c"}},
		{`\x41\u4E2D\x{1F600}\t`, "A中😀\t", []string{"A中😀\t"}},
		{`\.\\\ \-`, `.\ -`, []string{`.\ -`}},
		{`a*`, "baac", []string{"", "aa", ""}},
		{``, "é", []string{"", ""}},
		{`((((a){0}){256}){256}){256}b`, "b", []string{"b"}},
		{`\w+`, "é\u0301_5½Ⅳⓐ\u200d⅔", []string{"é\u0301_5½Ⅳⓐ"}},
	} {
		if got := matches(t, c.expression, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s in %q: got %q, want %q", c.expression, c.text, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		expression  string
		unsupported bool
		want        string
	}{
		{`(a`, false, "lacks a ) at byte 2"},
		{`a)`, false, "has a ) too many at byte 1"},
		{`[a`, false, "lacks a ] at byte 2"},
		{`[a-`, false, "lacks a ] at byte 3"},
		{`[b-a]`, false, "has a range without an end at byte 4"},
		{`[a-\d]`, false, "has a range without an end at byte 5"},
		{`*a`, false, "repeats nothing at byte 0"},
		{`\`, false, `ends in a \ at byte 1`},
		{`\x{110000}`, false, "has no number of a character after the escape at byte 3"},
		{`\xg`, false, "has no number of a character after the escape at byte 2"},
		{`\p{L`, false, "lacks a } at byte 3"},
		{`(?<a`, false, "has a name without an end at byte 3"},
		{"\xff", false, "is not UTF-8 at byte 0"},
		{`\p{Klingon}`, true, "has the property Klingon at byte 3"},
		{`(a)\1`, true, `has the escape \1 at byte 4`},
		{`\R`, true, `has the escape \R at byte 1`},
		{`(?~a)`, true, "has a group of the kind (?~ at byte 1"},
		{`(?(1)a)`, true, "has a group of the kind (?( at byte 1"},
		{`[[:alpha:]]`, true, "has a POSIX class at byte 1"},
		{`[a&&b]`, true, "has an intersection of classes at byte 2"},
		{`(?=a)*`, true, "has a repetition of something that takes no text at byte 6"},
		{`a{3,2}`, true, "has a repetition that takes more than it may at byte 1"},
		{`a{1000}`, true, "has a repetition of more than 256 at byte 1"},
		{`(a{256}){256}`, true, "takes more than 512 steps at byte 1"},
		{`a{0,256}`, true, "leaves more than 100 choices at byte 1"},
		{`(?:a?|b)*`, true, "repeats without limit what may match nothing at byte 8"},
		{`(?>ab)`, true, "has a group that gives nothing back, of more than one character at byte 0"},
		{`(?=a*)`, true, "looks around for more than 16 characters or, behind, for any number of them at byte 3"},
		{`(?<=a?)b`, true, "looks around for more than 16 characters or, behind, for any number of them at byte 4"},
		{`(?=a(?=b))`, true, "looks around inside of look-around at byte 4"},
		{strings.Repeat("(", 40), true, "has more than 32 groups in groups at byte 32"},
		{strings.Repeat("[", 40), true, "has more than 32 classes in classes at byte 33"},
		{strings.Repeat("a", 5000), true, "has an expression of more than 4096 bytes at byte 0"},
	} {
		_, err := Compile(c.expression)
		var e *Error
		if !errors.As(err, &e) || e.Unsupported != c.unsupported || e.Error() != c.want {
			t.Errorf("%.40s: got %v, want %s", c.expression, err, c.want)
		}
	}
}

// expressions generates expressions that package regexp reads alike.
func expressions() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		// Beside the expression, whether it may match nothing.
		var expression func(depth int) (string, bool)
		expression = func(depth int) (string, bool) {
			kind := rapid.IntRange(0, 9).Draw(t, "kind")
			if depth == 0 {
				kind %= 3
			}
			switch kind {
			case 3:
				return rapid.SampledFrom([]string{`(?m:$)`, `\A`, `\z`}).Draw(t, "place"), true
			case 4, 5:
				left, a := expression(depth - 1)
				right, b := expression(depth - 1)
				return left + right, a && b
			case 6, 7:
				left, a := expression(depth - 1)
				right, b := expression(depth - 1)
				return "(?:" + left + "|" + right + ")", a || b
			case 8, 9:
				body, nothing := expression(depth - 1)
				if nothing {
					return body, nothing
				}
				quantifier := rapid.SampledFrom([]string{"*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?"}).Draw(t, "quantifier")
				return "(?:" + body + ")" + quantifier, !strings.HasPrefix(quantifier, "+") && quantifier != "{2}" && quantifier != "{1,2}"
			}
			return rapid.SampledFrom([]string{"a", "b", "é", `\n`, ".", `[ab]`, `[^a]`, `\p{L}`, `\P{Lu}`, `[^\p{L}a-c]`}).Draw(t, "rune"), false
		}
		s, _ := expression(5)
		return s
	})
}

// TestAgainstRegexp compares the matcher with package regexp, which has the same
// rules for what both know but ^ after the last line feed.
func TestAgainstRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expression := expressions().Draw(t, "expression")
		s := rapid.StringOfN(rapid.SampledFrom([]rune("abcéA\n")), 0, 12, -1).Draw(t, "text")
		own := strings.ReplaceAll(expression, "(?m:$)", "$")
		re, err := Compile(own)
		var e *Error
		if errors.As(err, &e) && e.Unsupported {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var got [][]int
		for _, m := range re.AppendMatches(nil, []byte(s)) {
			got = append(got, []int{m.Start, m.End})
			if m.End-m.Start < re.MinLength() {
				t.Fatalf("%v is shorter than %d", m, re.MinLength())
			}
		}
		want := regexp.MustCompile(expression).FindAllStringIndex(s, -1)
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Fatalf("%s in %q: got %v, want %v", own, s, got, want)
		}
	})
}

// TestLinear would run for hours if anything grew with the square of the length
// of a text, or worse.
func TestLinear(t *testing.T) {
	for _, expression := range []string{
		`a*b|a`, `(a+)*b`, `(a|a)*b`, `(a|aa)+$`, `a*a*a*a*b`, `(?:a?){40}b`, `(?=a{15}b)a|a`, `(?<=a{16})b`, `(a+?)+?b`, `(b??b??b??a)*c`,
	} {
		re, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		n := 200_000
		for _, m := range re.AppendMatches(nil, []byte(strings.Repeat("a", n))) {
			if m.End > n {
				t.Errorf("%s: %v", expression, m)
			}
		}
	}
}

// TestWork counts the runes that a search looks at: of twice the text, twice as
// many.
func TestWork(t *testing.T) {
	for _, c := range []struct{ expression, text string }{
		{`a++b`, "a"},
		{`a*+b`, "a"},
		{`a{3,}+b`, "a"},
		{`(?>é+)b`, "é"},
		{`.*a++b`, "a"},
		{`.*?a++b`, "a"},
		{`(?:.{50}|)a++b|a++c`, "a"},
		{`(?:.*|.*?)[ab]++c`, "ab"},
		{`(a+)*b`, "a"},
	} {
		re, err := Compile(c.expression)
		if err != nil {
			t.Fatal(err)
		}
		looked := func(n int) int {
			s := new(search)
			s.reset(&re.program, []byte(strings.Repeat(c.text, n)))
			if m, ok := s.find(0); ok {
				t.Fatalf("%s matches %v", c.expression, m)
			}
			return s.looked
		}
		if once, twice := looked(1000), looked(2000); once < 1000 || twice > 2*once+once/10 {
			t.Errorf("%s looks at %d runes, of twice the text at %d", c.expression, once, twice)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, expression := range []string{
		`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		`[^\r\n\p{L}\p{N}]?+\p{L}++|(?<=a)b|(?>a)|\x{41}|[a-c[^d]]|^$\A\z\Z\b\B{2,3}?`,
		` ?[^(\s|[.,!?…。，、।۔،])]+`,
	} {
		f.Add(expression, "Don't, 12345 中文\r\n x")
	}
	f.Fuzz(func(t *testing.T, expression, s string) {
		re, err := Compile(expression)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset > len(expression) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if !utf8.ValidString(s) || len(s) > 1<<10 {
			return
		}
		last := -1
		for _, m := range re.AppendMatches(nil, []byte(s)) {
			if m.Start > m.End || m.End > len(s) || m.Start < last || m.Start == m.End && m.End == last {
				t.Fatalf("%q in %q: %v after %d", expression, s, m, last)
			}
			if !utf8.ValidString(s[m.Start:m.End]) {
				t.Fatalf("%q in %q: %v cuts a rune", expression, s, m)
			}
			last = m.End
		}
	})
}
