package seal

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk"
)

// method has one of everything.
func method(name string) Method {
	return Of(sdk.Info{
		Name: name, Version: "1.2.3", Summary: "what it does", Source: "nobody 2026",
		Needs: []sdk.Need{sdk.NeedForward, sdk.NeedPatch},
		Params: []sdk.Param{
			{Name: "n", Aliases: []string{"num"}, Type: sdk.Int, Default: int64(10), Min: sdk.Bound(1), Max: sdk.Bound(100), Doc: "rows", Compat: map[string]any{"old": int64(5)}},
			{Name: "width", Type: sdk.Float, Default: 0.5, Min: sdk.Bound(0)},
			{Name: "on", Type: sdk.Bool, Default: true, Compat: map[string]any{"old": false}},
			{Name: "text", Type: sdk.String, Default: ""},
			{Name: "kind", Type: sdk.Enum, Default: "a", Values: []string{"a", "b"}},
		},
	})
}

// plain is a module with a type section and a custom section that is nobody's.
func plain() []byte {
	return appendSection([]byte(Header+"\x01\x04\x01\x60\x00\x00"), "name", []byte("x"))
}

func TestParseReadsWhatMarshalWrites(t *testing.T) {
	want := method("m")
	got, err := Parse(want.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	list := "[" + string(want.Marshal()) + ",\n" + string(method("other").Marshal()) + "]\n"
	methods, err := ParseAll([]byte(list))
	if err != nil || len(methods) != 2 || methods[1].Name != "other" {
		t.Errorf("a list reads as %v, %v", methods, err)
	}
	if !got.Equal(want) || got.Equal(methods[1]) {
		t.Error("Equal does not tell descriptions apart")
	}
}

func TestParseRefuses(t *testing.T) {
	good := string(method("m").Marshal())
	for name, c := range map[string]struct{ data, want string }{
		"no JSON":             {"{", "not JSON"},
		"nothing":             {"", "not JSON"},
		"a number":            {"1", "an object is expected"},
		"something behind":    {good + "x", "not JSON"},
		"no UTF-8":            {strings.Replace(good, "nobody", "\xff", 1), "not UTF-8"},
		"too large":           {good + strings.Repeat(" ", maxDescription), "may have"},
		"too deep":            {strings.Repeat("[", 1e5), "too deep"},
		"an empty list":       {"[]", "0 descriptions"},
		"a name twice":        {"[" + good + "," + good + "]", "two methods are named m"},
		"a key twice":         {strings.Replace(good, `"version"`, `"name"`, 1), `"name" is given twice`},
		"a key in capitals":   {strings.Replace(good, `"summary"`, `"Summary"`, 1), `did you mean "summary"?`},
		"an unknown key":      {strings.Replace(good, `"summary"`, `"licence"`, 1), "unknown key"},
		"no name":             {strings.Replace(good, `"name":"m",`, "", 1), "name is missing"},
		"a bad name":          {strings.Replace(good, `"name":"m"`, `"name":"M m"`, 1), "name"},
		"a bad version":       {strings.Replace(good, "1.2.3", "one", 1), "semantic version"},
		"a bad need":          {strings.Replace(good, "patch", "files", 1), "needs"},
		"a bad ABI":           {strings.Replace(good, `"abi":"1.0"`, `"abi":"one"`, 1), "abi"},
		"a number for text":   {strings.Replace(good, `"what it does"`, "1", 1), `"summary" must be a string`},
		"a text for params":   {`{"name":"m","version":"1.0.0","params":"none"}`, `"params" must be a list`},
		"no default":          {strings.Replace(good, `"default":true,`, "", 1), `"on": default is missing`},
		"a null default":      {strings.Replace(good, `"default":true`, `"default":null`, 1), `"on": default is null; in Go it is a value of the type bool, such as true`},
		"an int of Go":        {strings.Replace(good, `"default":10`, `"default":null`, 1), `default is null; in Go it is a value of the type int64, such as int64(2)`},
		"a fraction for int":  {strings.Replace(good, `"default":10`, `"default":10.5`, 1), "whole number"},
		"a text for a float":  {strings.Replace(good, `"default":0.5`, `"default":"0.5"`, 1), "a number"},
		"a number for bool":   {strings.Replace(good, `"default":true`, `"default":1`, 1), "true or false"},
		"a default off range": {strings.Replace(good, `"default":10`, `"default":1000`, 1), "outside of min and max"},
		"a bad type":          {strings.Replace(good, `"bool"`, `"boolean"`, 1), "is not int, float"},
		"a bad preset":        {strings.Replace(good, `{"old":5}`, `{"old":"five"}`, 1), "compat"},
		"a control character": {strings.Replace(good, "what it does", `what\u001b[31m`, 1), "control character"},
		"an unknown field":    {strings.Replace(good, `"doc":"rows"`, `"docs":"rows"`, 1), `did you mean "doc"?`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.data == good {
				t.Fatal("the case changes nothing")
			}
			if _, err := Parse([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
}

func TestSeal(t *testing.T) {
	methods, build := []Method{method("one"), method("two")}, &Build{Sources: "abc", Toolchain: "go1.26.8"}
	sealed, err := Seal(plain(), methods, build)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(sealed, plain()) {
		t.Error("the module's own sections are not what they were")
	}
	got, err := Methods(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(methods, got); diff != "" {
		t.Error(diff)
	}
	if b, err := BuildOf(sealed); err != nil || b == nil || *b != *build {
		t.Errorf("the build is %v, %v", b, err)
	}
	if b, err := BuildOf(plain()); err != nil || b != nil {
		t.Errorf("the build of an unsealed module is %v, %v", b, err)
	}

	again, err := Seal(sealed, got, nil)
	if err != nil || !bytes.Equal(again, sealed) {
		t.Errorf("sealing a sealed module changes it (%v)", err)
	}
	one, err := Seal(sealed, methods[:1], build)
	if got, _ := Methods(one); err != nil || len(got) != 1 {
		t.Errorf("the descriptions of before stay: %v, %v", got, err)
	}
	if _, err := Seal(plain(), nil, nil); err == nil {
		t.Error("a module without methods is sealed")
	}
}

func TestSealDamaged(t *testing.T) {
	sealed, err := Seal(plain(), []Method{method("m")}, &Build{})
	if err != nil {
		t.Fatal(err)
	}
	sections := map[int]bool{len(Header): true, len(plain()): true} // where a cut leaves a whole module
	for at := range sealed {
		_, err := Methods(sealed[:at])
		whole := sections[at] || at == len(Header)+6 || at == bytes.Index(sealed, []byte(SectionBuild))-3
		if whole != (err == nil) {
			t.Errorf("cut at byte %d of %d: %v", at, len(sealed), err)
		}
	}
	for name, module := range map[string][]byte{
		"no magic":          []byte("PK\x03\x04 and so on"),
		"another version":   []byte("\x00asm\x02\x00\x00\x00"),
		"a length beyond":   append([]byte(Header), 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"an endless length": append([]byte(Header), bytes.Repeat([]byte{0x80}, 20)...),
		"a name beyond":     append([]byte(Header), 0, 1, 9),
	} {
		if _, err := Seal(module, []Method{method("m")}, nil); err == nil {
			t.Errorf("%s is sealed", name)
		}
	}
	for name, content := range map[string]string{"a list": "[]", "a lie": "{}"} {
		if _, err := Methods(appendSection(plain(), SectionMethod, []byte(content))); err == nil {
			t.Errorf("%s in the section is accepted", name)
		}
	}
	twice := appendSection(sealed, SectionMethod, method("m").Marshal())
	if _, err := Methods(twice); err == nil {
		t.Error("two methods of one name are accepted")
	}
	if _, err := BuildOf(appendSection(plain(), SectionBuild, []byte("?"))); err == nil {
		t.Error("a build that is no JSON is accepted")
	}
}

func FuzzSeal(f *testing.F) {
	sealed, err := Seal(plain(), []Method{method("m")}, &Build{Sources: "abc"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(plain())
	f.Add(binary.AppendUvarint([]byte(Header+"\x00"), 1<<40))
	f.Fuzz(func(t *testing.T, module []byte) {
		methods, err := Methods(module)
		if err != nil || len(methods) == 0 {
			methods = []Method{method("m")}
		}
		once, err := Seal(module, methods, nil)
		if err != nil {
			return
		}
		twice, err := Seal(once, methods, nil)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("sealing twice gives other bytes than once (%v)", err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(method("m").Marshal())
	f.Add([]byte("[" + string(method("m").Marshal()) + "]"))
	f.Add([]byte(`{"name":"m","version":"1.0.0","params":[{"name":"x","type":"int","default":1e400}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		methods, err := ParseAll(data)
		if err != nil {
			return
		}
		for _, m := range methods {
			again, err := Parse(m.Marshal())
			if err != nil || !again.Equal(m) {
				t.Errorf("%s reads back as %s (%v)", m.Marshal(), again.Marshal(), err)
			}
		}
	})
}

func TestUpdate(t *testing.T) {
	one, sums := method("one"), []string{strings.Repeat("0", 64), strings.Repeat("a", 64)}
	stanza := func(m Method, url, sum string) string {
		text, err := Stanza(m.Entry(url, sum))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	longer := method("one")
	longer.Summary = "something else"
	other := stanza(method("other"), "other.wasm", sums[0])
	noted := strings.Replace(stanza(one, "kept.wasm", sums[0]), "[[method]]\n", "[[method]] # ours\n# by build:\n", 1)
	noted = strings.Replace(noted, "[method.params.n]", "[method.limits]\nmemory = \"8MiB\" # enough\n\n[method.params.n]", 1)
	rewritten := strings.Replace(stanza(longer, "kept.wasm", sums[1]), "[method.params.n]", "[method.limits]\nmemory   = \"8MiB\"\n[method.params.n]", 1)
	for _, c := range []struct {
		name, text string
		m          Method
		sum        string
		want       string
		change     Change
	}{
		{"the first", "", one, sums[1], "schema = 1\n\n" + stanza(one, "new.wasm", sums[1]), Added},
		{"one more", "# head\nschema = 1\n\n" + other + "# tail\n", one, sums[1], "# head\nschema = 1\n\n" + other + "# tail\n\n" + stanza(one, "new.wasm", sums[1]), Added},
		{"the same", "schema = 1\n" + noted, one, sums[0], "schema = 1\n" + noted, Unchanged},
		{"another hash", "schema = 1\n" + other + noted + "# tail", one, sums[1], "schema = 1\n" + other + strings.Replace(noted, sums[0], sums[1], 1) + "# tail", Pinned},
		{"another description", "schema = 1\n" + other + "\n" + noted + "\n# other\n" + strings.ReplaceAll(other, "other", "third"), longer, sums[1],
			"schema = 1\n" + other + "\n" + rewritten + "\n# other\n" + strings.ReplaceAll(other, "other", "third"), Rewritten},
		{"lines of Windows", strings.ReplaceAll("schema = 1\n"+noted, "\n", "\r\n"), one, sums[1], strings.ReplaceAll("schema = 1\n"+strings.Replace(noted, sums[0], sums[1], 1), "\n", "\r\n"), Pinned},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, change, err := Update([]byte(c.text), "methods.toml", c.m.Entry("new.wasm", c.sum))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(out)); diff != "" || change != c.change {
				t.Errorf("change %d, want %d (-want +got):\n%s", change, c.change, diff)
			}
		})
	}
}

func TestUpdateRefuses(t *testing.T) {
	process := `schema = 1
[[method]]
name = "one"
kind = "process"
abi = "1.0"
version = "1.0.0"
[[method.artifact]]
os = "linux"
arch = "amd64"
url = "one"
sha256 = "` + strings.Repeat("0", 64) + `"
`
	for name, c := range map[string]struct{ text, want string }{
		"a broken file":       {"schema = 1\n[[method]]\nnmae = 1\n", "methods.toml:"},
		"several executables": {process, "by hand"},
		"a quoted header":     {"schema = 1\n[[\"method\"]]\nname = \"one\"\nkind = \"wasm\"\nurl = \"a.wasm\"\nsha256 = \"" + strings.Repeat("0", 64) + "\"\nabi = \"1.0\"\nversion = \"1.0.0\"\n", "by hand"},
	} {
		if _, _, err := Update([]byte(c.text), "methods.toml", method("one").Entry("one.wasm", strings.Repeat("a", 64))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.want)
		}
	}
}

// TestUpdateKeepsTheRest: whatever stands around a method is kept to the byte.
func TestUpdateKeepsTheRest(t *testing.T) {
	comment := rapid.SampledFrom([]string{"", "\n", "# a comment\n", "\n\n# [[method]]\n", "  \t\n"})
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4, rapid.ID[string]).Draw(t, "names")
		at := rapid.IntRange(0, len(names)-1).Draw(t, "at")
		before, after := "schema = 1\n", ""
		for i, name := range names {
			m := method(name)
			m.Summary = rapid.SampledFrom([]string{"one", "two [[method]]", strings.Repeat("0", 64)}).Draw(t, "summary")
			stanza, err := Stanza(m.Entry(name+".wasm", strings.Repeat("0", 64)))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case i < at:
				before += stanza + comment.Draw(t, "comment")
			case i == at:
				before += comment.Draw(t, "comment") + stanza
			default:
				after += comment.Draw(t, "comment") + stanza
			}
		}
		m := method(names[at])
		m.Version = "9.9.9"
		out, change, err := Update([]byte(before+after), "methods.toml", m.Entry("x.wasm", strings.Repeat("f", 64)))
		if err != nil || change != Rewritten {
			t.Fatalf("change %d, %v", change, err)
		}
		begin := before[:strings.LastIndex(before, "[[method]]\nname    = ")]
		if !strings.HasPrefix(string(out), begin) || !strings.HasSuffix(string(out), after) {
			t.Errorf("the rest is not what it was:\n%s", out)
		}
	})
}
