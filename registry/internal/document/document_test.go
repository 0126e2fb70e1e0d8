package document

import (
	"bytes"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"testing"
)

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		text  string
		scale Scale
		want  int64
		ok    bool
	}{
		{"64MiB", Bytes, 64 << 20, true}, {"1GiB", Bytes, 1 << 30, true}, {"3KiB", Bytes, 3 << 10, true},
		{"12B", Bytes, 12, true}, {"12", Bytes, 12, true}, {"20G", Count, 20e9, true}, {"7k", Count, 7000, true},
		{"9223372036854775807", Count, 1<<63 - 1, true},
		{"", Bytes, 0, false}, {"MiB", Bytes, 0, false}, {"1.5GiB", Bytes, 0, false}, {"+1B", Bytes, 0, false},
		{"1 MiB", Bytes, 0, false}, {"1mib", Bytes, 0, false}, {"9223373T", Count, 0, false},
	} {
		got, ok := c.scale.Parse(c.text)
		if got != c.want || ok != c.ok {
			t.Errorf("Parse(%q) = %d, %v, want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

// FuzzDecode holds that Decode neither panics nor loses a key of a table, and
// that scan finds the keys that the TOML library finds.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "schema = 1", "\xef\xbb\xbfschema = 1\n",
		"schema = 1\nmethod = [{}]", "schema = 1\n[[method]]\n[[method]]\n[[method.artifact]]\na = 1\n[[method]]\n[[method.artifact]]\n",
		"a = [1, [2, {b = 3, c = {}}]] # ]\n[d.\"e.f\".'g']\n[d.e]\nf = 1\n",
		"a = \"\"\"\n\\\"\"\"\"\"\"\"\nb = '''x''''\nc = { d = 1, # {\n e = [\"}\"], }\n",
		"a = 2006-01-02T15:04:05Z\nb = 2006-01-02\nc = 15:04:05",
		strings.Repeat("[", 40), strings.Repeat("a.", 40) + "a = 1", "a = \"\\", "a = '", "\"\" = 1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if lines, err := scan(data); err == nil && utf8.Valid(data) && !bytes.ContainsAny(data, "\x00\ufeff") {
			var values map[string]any
			if meta, err := decode(data, &values); err == nil && len(lines) != len(meta.Keys()) {
				t.Errorf("scan finds %d keys, toml finds %v", len(lines), meta.Keys())
			}
		}
		top, err := Decode(data, "method", "method.artifact")
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("error = %T %v", err, err)
			}
			return
		}
		complete(t, top)
	})
}

// complete holds that the keys of a table, and of the tables in it, are those
// that it has.
func complete(t *testing.T, table Table) {
	t.Helper()
	keys := table.Keys()
	if len(keys) != table.Len() {
		t.Errorf("the table at %q has %d keys and knows the order of %q", table.position, table.Len(), keys)
	}
	for _, key := range keys {
		// What is declared an array is read as one.
		array := table.position == "" && key == "method" || elementOfMethod.MatchString(table.position) && key == "artifact"
		switch table.values[key].(type) {
		case map[string]any:
			if !array {
				complete(t, table.Table(key, ""))
			}
		case []map[string]any:
			if array {
				for _, sub := range table.Tables(key, "", 1000) {
					complete(t, sub)
				}
			}
		}
	}
}

var elementOfMethod = regexp.MustCompile(`^method\[\d+\]$`)

// decode is toml.Decode with its panics as errors.
func decode(data []byte, values *map[string]any) (meta toml.MetaData, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Msg: "panic"}
		}
	}()
	return toml.Decode(string(data), values)
}

// TestBounds holds that hostile documents cost little before they are refused.
func TestBounds(t *testing.T) {
	for name, doc := range map[string]string{
		"large":             strings.Repeat("#", MaxSize+1),
		"many keys":         strings.Repeat("[[x]]\n", maxKeys+1),
		"many parts":        strings.Repeat("a.", 200) + "a = 1",
		"deep arrays":       "a = " + strings.Repeat("[", 1<<19),
		"deep tables":       "a = " + strings.Repeat("{a=", 1<<17),
		"long key":          strings.Repeat("a", 1<<19) + " = 1",
		"many array values": "a = [" + strings.Repeat("1,", 1<<19) + "]",
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			table, err := Decode([]byte(doc))
			if err == nil {
				table.List("a")
				err = table.Err()
			}
			runtime.ReadMemStats(&after)
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("error = %v", err)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 256<<20 {
				t.Errorf("refusing it took %d MiB", spent>>20)
			}
		})
	}
}

func TestTime(t *testing.T) {
	for text, want := range map[string]string{
		"2006-01-02T15:04:05Z": "2006-01-02T15:04:05Z", "2006-01-02T15:04:05+01:00": "2006-01-02T14:04:05Z",
		"0000-01-01T00:00:00Z": "", "9999-12-31T23:59:59-01:00": "",
		"2006-01-02T15:04:05": "", "2006-01-02": "", "15:04:05": "", `"2006-01-02T15:04:05Z"`: "", "1": "",
	} {
		top, err := Decode([]byte("a = " + text))
		if err != nil {
			t.Fatal(err)
		}
		got := top.Time("a")
		if want == "" {
			if top.Err() == nil {
				t.Errorf("Time of %s = %s, want an error", text, got)
			}
		} else if top.Err() != nil || got.Format(time.RFC3339) != want {
			t.Errorf("Time of %s = %s, %v, want %s", text, got, top.Err(), want)
		}
	}
}
