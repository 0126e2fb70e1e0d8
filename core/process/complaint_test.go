package process

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestComplaint holds which lines of a standard error are the reason of its end.
func TestComplaint(t *testing.T) {
	for name, c := range map[string]struct {
		said   string
		want   string
		memory bool
	}{
		"nothing": {"", "", false},
		"python": {
			"warming up\n  File \"lime.py\", line 3\n    def f(\n         ^\nSyntaxError: '(' was never closed\n\n",
			`File "lime.py", line 3 def f( ^ SyntaxError: '(' was never closed`, false,
		},
		"go":     {"hello\npanic: \x1b[31mno\x1b[0m\n\ngoroutine 1 [running]:\nmain.main()\n\tmain.go:3\n", "panic: [31mno[0m", false},
		"memory": {"fatal error: runtime: out of memory\n\ngoroutine 1\n", "fatal error: runtime: out of memory", true},
		"long":   {strings.Repeat("x", 1<<20), strings.Repeat("x", maxLine-3) + "…", false},
	} {
		t.Run(name, func(t *testing.T) {
			var said complaint
			out := &lines{write: said.hear}
			if _, err := out.Write([]byte(c.said)); err != nil {
				t.Fatal(err)
			}
			out.flush()
			if diff := cmp.Diff(c.want, said.cause()); diff != "" || said.ofMemory() != c.memory {
				t.Errorf("memory %v, %s", said.ofMemory(), diff)
			}
		})
	}
}
