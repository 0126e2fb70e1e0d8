package report

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xai-go/xai/core"
)

// FuzzTerm draws any text with any spans at any width, and checks that no
// control reaches the terminal and that no line of the text is too wide.
func FuzzTerm(f *testing.F) {
	f.Add("A gripping film.\n\tDull.", 0, 2, 10, 40, uint8(3))
	f.Add("酒店非常干净👩‍👩‍👧e\u0301\x1b[31m\u202e", 1, 0, 200, 24, uint8(0))
	f.Add("می\u200cخواهم \xff\xfe\r\n\r\u2028", 0, -1, 3, 0, uint8(1))
	f.Add("", 0, 0, 0, -5, uint8(2))
	f.Fuzz(func(t *testing.T, text string, sequence, start, end, width int, level uint8) {
		e := explain("")
		e.Input.Text = text
		e.Input.TextPair = &text
		e.Input.Units = []core.Unit{
			{Text: text, Sequence: sequence, Start: start, End: end},
			{Text: text, Start: 0, End: len(text), Spans: []core.Span{{Sequence: 1, Start: end, End: start}, {Sequence: 1, End: len(text) / 2}}},
		}
		e.Attributions[0].Values = []core.Float{0.5, -1}
		e.Input.Dropped = []core.Token{{Text: text, Sequence: sequence, Start: start}}
		term := Term{Width: width, Level: Level(level % 4)}
		var b strings.Builder
		if err := term.Explanation(&b, e, nil); err != nil {
			t.Fatal(err)
		}
		if !utf8.ValidString(b.String()) {
			t.Error("the output is not UTF-8")
		}
		for l := range strings.Lines(b.String()) {
			l = strings.TrimSuffix(l, "\n")
			for strings.Contains(l, "\x1b[") { // ours
				before, after, _ := strings.Cut(l, "\x1b[")
				_, rest, ok := strings.Cut(after, "m")
				if !ok || strings.Trim(after[:len(after)-len(rest)-1], "0123456789;") != "" {
					t.Fatalf("an escape sequence that is not a colour: %q", after)
				}
				l = before + rest
			}
			if i := strings.IndexFunc(l, hidden); i >= 0 {
				t.Fatalf("a control reaches the terminal: %q", l[i:])
			}
		}
		for _, l := range wrap(cells(text, nil, 1, nil), 20) {
			columns := 0
			for _, c := range l {
				columns += c.width
			}
			if columns > 20 && len(l) > 1 {
				t.Errorf("a line of %d columns in %d cells", columns, len(l))
			}
		}
	})
}
