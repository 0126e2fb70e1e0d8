package seal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/registry"
)

func TestDeclare(t *testing.T) {
	sums := []string{strings.Repeat("0", 64), strings.Repeat("a", 64)}
	stanza := func(e registry.Method) string {
		text, err := Stanza(e)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	one := method("one").Entry("one.wasm", sums[0])
	moved := method("one").Entry("https://example.org/one.wasm", sums[1])
	limited := one
	limited.Limits.Memory = 8 << 20
	movedLimited := moved
	movedLimited.Limits.Memory = 8 << 20
	other := "# other\n" + stanza(method("other").Entry("other.wasm", sums[0])) + "\n# tail\n"
	for _, c := range []struct {
		name, text string
		e          registry.Method
		want       string
		change     Change
	}{
		{"the first", " \n", one, "schema = 1\n\n" + stanza(one), Added},
		{"one more", "# head\nschema = 1\n" + other, one, "# head\nschema = 1\n" + other + "\n" + stanza(one), Added},
		{"the same", "schema = 1\n" + stanza(one) + other, one, "schema = 1\n" + stanza(one) + other, Unchanged},
		{"from elsewhere", "schema = 1\n" + stanza(one) + other, moved, "schema = 1\n" + stanza(moved) + other, Rewritten},
		{"limits stay", "schema = 1\n" + stanza(limited) + other, moved, "schema = 1\n" + stanza(movedLimited) + other, Rewritten},
		{"its own limits", "schema = 1\n" + stanza(one) + other, limited, "schema = 1\n" + stanza(limited) + other, Rewritten},
		{"limits alone", "schema = 1\n" + stanza(limited) + other, one, "schema = 1\n" + stanza(limited) + other, Unchanged},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, change, err := Declare([]byte(c.text), "methods.toml", c.e)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(out)); diff != "" || change != c.change {
				t.Errorf("change %d, want %d (-want +got):\n%s", change, c.change, diff)
			}
		})
	}
	bad := one
	bad.Name = "No name"
	for name, c := range map[string]struct {
		text string
		e    registry.Method
	}{
		"a broken file":   {"schema = 1\n[[method]]\nnmae = 1\n", one},
		"a bad name":      {"schema = 1\n", bad},
		"a quoted header": {"schema = 1\n" + strings.Replace(stanza(one), "[[method]]", `[["method"]]`, 1), moved},
	} {
		if _, _, err := Declare([]byte(c.text), "methods.toml", c.e); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRemove(t *testing.T) {
	stanza := func(name string) string {
		text, err := Stanza(method(name).Entry(name+".wasm", strings.Repeat("0", 64)))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	text := "# head\nschema = 1\n\n# about a\n" + stanza("a") + "\n# about b,\n# in two lines\n" + stanza("b") + "# end of b\n\n# about c\n" + stanza("c") + "# end\n"
	for name, want := range map[string]string{
		"a": "# head\nschema = 1\n\n# about b,\n# in two lines\n" + stanza("b") + "# end of b\n\n# about c\n" + stanza("c") + "# end\n",
		"b": "# head\nschema = 1\n\n# about a\n" + stanza("a") + "\n# end of b\n\n# about c\n" + stanza("c") + "# end\n",
		"c": "# head\nschema = 1\n\n# about a\n" + stanza("a") + "\n# about b,\n# in two lines\n" + stanza("b") + "# end of b\n\n# end\n",
	} {
		out, err := Remove([]byte(text), "methods.toml", name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(out)); diff != "" {
			t.Errorf("without %s (-want +got):\n%s", name, diff)
		}
	}
	if out, err := Remove([]byte("schema = 1\n\n"+stanza("a")), "methods.toml", "a"); err != nil || string(out) != "schema = 1\n" {
		t.Errorf("without the last: %q, %v", out, err)
	}
	for name, text := range map[string]string{
		"none of that name": "schema = 1\n" + stanza("b"),
		"a broken file":     "schema = 1\n[[method]]\n",
		"a quoted header":   "schema = 1\n" + strings.Replace(stanza("a"), "[[method]]", `[["method"]]`, 1),
	} {
		if _, err := Remove([]byte(text), "methods.toml", "a"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestRemoveUndoesDeclare: a method that is declared and taken out again leaves
// the text as it was, but for blank lines at its end.
func TestRemoveUndoesDeclare(t *testing.T) {
	comment := rapid.SampledFrom([]string{"", "\n", "# a comment\n", "\n\n# [[method]]\n", "  \t\n"})
	rapid.Check(t, func(t *rapid.T) {
		text := "schema = 1\n"
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 3, rapid.ID[string]).Draw(t, "names") {
			m := method(name)
			m.Summary = rapid.SampledFrom([]string{"one", "two [[method]]"}).Draw(t, "summary")
			stanza, err := Stanza(m.Entry(name+".wasm", strings.Repeat("0", 64)))
			if err != nil {
				t.Fatal(err)
			}
			text += comment.Draw(t, "comment") + stanza
		}
		text += comment.Draw(t, "comment")
		with, change, err := Declare([]byte(text), "methods.toml", method("new").Entry("new.wasm", strings.Repeat("f", 64)))
		if err != nil || change != Added {
			t.Fatalf("change %d, %v", change, err)
		}
		without, err := Remove(with, "methods.toml", "new")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimRight(text, " \t\n")+"\n", string(without)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
}

// FuzzEdit: whatever stands in a methods.toml, declaring and removing a method
// either fails or reaches that method alone.
func FuzzEdit(f *testing.F) {
	stanza, err := Stanza(method("a").Entry("a.wasm", strings.Repeat("0", 64)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("schema = 1\n" + stanza)
	f.Add("schema = 1\n# about\n" + stanza + "# [[method]]\n" + strings.Replace(stanza, `"a"`, `"b"`, 1))
	f.Add("schema = 1\n[[method]]\nname = \"a\"\nsummary = '''\n[[method]]\n'''\n")
	f.Add("schema = 1\nmethod = []\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := registry.Parse([]byte(text), "methods.toml")
		if err != nil {
			return
		}
		e := method("new").Entry("new.wasm", strings.Repeat("f", 64))
		with, _, err := Declare([]byte(text), "methods.toml", e)
		if err != nil {
			return
		}
		without, err := Remove(with, "methods.toml", "new")
		if err != nil {
			return
		}
		after, err := registry.Parse(without, "methods.toml")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range file.Methods {
			if left, ok := after.Method(m.Name); m.Name != "new" && (!ok || !same(m, left)) {
				t.Errorf("method %s has become %+v", m.Name, left)
			}
		}
	})
}
