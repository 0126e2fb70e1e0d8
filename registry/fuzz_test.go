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

// FuzzParseLock holds that a lock that is read can be written, and reads back
// equal.
func FuzzParseLock(f *testing.F) {
	f.Add([]byte(lockText))
	f.Add([]byte("schema = 1\n[[method]]\n[[method.artifact]]\n"))
	f.Add([]byte("schema = 1\nmethod = [{}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLock(data, "f")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		canonical, err := l.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseLock(canonical, "f")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, again); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}

// FuzzParsePolicy holds that a policy that is read decides about a method and
// an address without a panic, and never raises a limit.
func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(fullPolicy), "https://example.org/methods/x.wasm")
	f.Add([]byte("schema = 1\nsources = [\"oci:\", \"https://[::1]:1/%2e\"]\n"), "oci://h/m:1")
	f.Add([]byte("schema = 1\nkinds = []\n[limits]\n"), "../x")
	f.Fuzz(func(t *testing.T, data []byte, url string) {
		p, err := ParsePolicy(data, "f")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		e := entry(t, "f", url, "bytes")
		if p.Check(e) == nil && !p.AllowsSource(url, ".") {
			t.Errorf("a method may come from %q, where nothing may come from", url)
		}
		declared := Limits{Memory: 1 << 20, Timeout: 1 << 40, Forwards: 1, Output: 1 << 30, Log: 1, Fuel: 1e15}
		l := p.Clamp(declared, Limits{})
		if l.Memory > declared.Memory || l.Timeout > declared.Timeout || l.Forwards > 1 || l.Output > declared.Output || l.Log > 1 || l.Fuel > declared.Fuel {
			t.Errorf("Clamp raised %+v to %+v", declared, l)
		}
	})
}

// FuzzParseGrants holds that grants that are read can be written, and read back
// equal.
func FuzzParseGrants(f *testing.F) {
	f.Add([]byte(fullGrants))
	f.Add([]byte("schema = 1\n[[grant]]\ngranted = 0000-01-01T00:00:00+23:59\n"))
	f.Add([]byte("schema = 1\n[[grant]]\nsha256 = \"" + hashA + "\"\nname = \"m\"\nkind = \"wasm\"\ngranted = 2000-01-01T00:00:00.5+23:59\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ParseGrants(data, "f")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		canonical, err := g.marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseGrants(canonical, "f")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(g.grants, again.grants); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}
