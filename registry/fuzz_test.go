package registry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzParse holds that Parse neither panics nor accepts a file that Marshal
// cannot write so that it reads back equal.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	for _, seed := range []string{
		"", "schema = 1", "schema = 2\n", "\xef\xbb\xbfschema = 1\n",
		"schema = 1\nmethod = [{}]", "schema = 1\n[[method]]\n[[method]]\n",
		"a = [1, [2, {b = 3, c = {}}]] # ]\n[d.\"e.f\".'g']\n",
		"a = \"\"\"\n\\\"\"\"\"\"\"\"\nb = '''x''''\nc = { d = 1, # {\n e = [\"}\"], }\n",
		strings.Repeat("[", 40), strings.Repeat("a.", 40) + "a = 1", "a = \"\\", "a = '",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data, "f")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		canonical, err := file.Marshal()
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		again, err := Parse(canonical, "f")
		if err != nil {
			t.Fatalf("Parse: %v", err)
		}
		if diff := cmp.Diff(file, again); diff != "" {
			t.Errorf("(-first +second):\n%s\n%s", diff, canonical)
		}
	})
}
