package document

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/xai-go/xai/internal/nearest"
)

// maxExact is the largest whole number up to which every one is a float64.
const maxExact = 1 << 53

// Table is a TOML table. Its readers return a zero value for a key that is
// absent and for one that is wrong; Err tells the latter.
type Table struct {
	*reader
	Name string // for messages: `method "lime"`, empty at the top

	position string
	values   map[string]any
}

// Err returns the first mistake that any table of the document has met, an
// *Error, or nil.
func (t Table) Err() error {
	if t.err == nil {
		return nil
	}
	return t.err
}

// Fail records a mistake in the value of a key; an empty key stands for the
// table itself.
func (t Table) Fail(key, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if t.Name != "" {
		message = t.Name + ": " + message
	}
	position := t.position
	if key != "" {
		position = join(position, key)
	}
	t.fail(position, "%s", message)
}

// Line returns the line that the table begins in.
func (t Table) Line() int { return t.lines[t.position] }

// Keys returns the keys in the order of the file.
func (t Table) Keys() []string { return t.order[t.position] }

// Len returns the number of keys.
func (t Table) Len() int { return len(t.values) }

// Has reports whether the table has the key.
func (t Table) Has(key string) bool {
	_, ok := t.values[key]
	return ok
}

// Allow refuses every key that is not listed.
func (t Table) Allow(keys ...string) {
	unknown, line, found := "", 0, false
	for key := range t.values {
		if slices.Contains(keys, key) {
			continue
		}
		l := t.lines[join(t.position, key)]
		if !found || l < line || l == line && key < unknown {
			unknown, line, found = key, l, true
		}
	}
	if !found {
		return
	}
	if n, ok := nearest.Of(unknown, keys); ok {
		t.Fail(unknown, "unknown key %s; did you mean %q?", Quote(unknown), n)
		return
	}
	t.Fail(unknown, "unknown key %s; known are %s", Quote(unknown), strings.Join(keys, ", "))
}

// control reports whether a terminal or an editor would obey r in the place of
// showing it: what breaks lines, moves the cursor, or has the text around it be read
// in another order than that of its letters.
func control(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// Text reads a string. It ends up on terminals, so that control characters are
// refused.
func (t Table) Text(key string) string {
	v, ok := t.values[key]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		t.Fail(key, "%s must be a string", key)
	case s == "":
		t.Fail(key, "%s is empty; leave the key out or give it a value", key)
	case len(s) > MaxText:
		t.Fail(key, "%s has %d bytes and may have %d", key, len(s), MaxText)
	case strings.ContainsFunc(s, control):
		t.Fail(key, "%s holds a control character; it must be one line of text", key)
	}
	return s
}

// Match reads a required string that matches a pattern.
func (t Table) Match(key string, pattern *regexp.Regexp, what string) string {
	s := t.Text(key)
	if !t.Has(key) {
		t.Fail("", "%s is missing; it must be %s", key, what)
	} else if !pattern.MatchString(s) {
		t.Fail(key, "%s is %s and must be %s", key, Quote(s), what)
	}
	return s
}

// OneOf reads a required string out of a set.
func (t Table) OneOf(key string, set ...string) string {
	s := t.Text(key)
	if !t.Has(key) {
		t.Fail("", "%s is missing; it must be one of %s", key, strings.Join(set, ", "))
	} else if !slices.Contains(set, s) {
		t.Fail(key, "%s is %s and must be one of %s", key, Quote(s), strings.Join(set, ", "))
	}
	return s
}

// List reads an array of different strings; an empty one is nil.
func (t Table) List(key string) []string {
	v, ok := t.values[key]
	if !ok {
		return nil
	}
	array, ok := v.([]any)
	if !ok {
		t.Fail(key, "%s must be an array of strings", key)
		return nil
	}
	if len(array) > MaxList {
		t.Fail(key, "%s has %d elements and may have %d", key, len(array), MaxList)
		return nil
	}
	var out []string
	for _, v := range array {
		s, ok := v.(string)
		switch {
		case !ok:
			t.Fail(key, "%s must hold strings alone", key)
		case s == "":
			t.Fail(key, "%s holds an empty string", key)
		case len(s) > MaxText:
			t.Fail(key, "%s holds a string of %d bytes and may hold %d", key, len(s), MaxText)
		case strings.ContainsFunc(s, control):
			t.Fail(key, "%s holds a control character", key)
		case slices.Contains(out, s):
			t.Fail(key, "%s holds %s twice", key, Quote(s))
		}
		out = append(out, s)
	}
	return out
}

// Boolean reads a bool; one that is absent is otherwise.
func (t Table) Boolean(key string, otherwise bool) bool {
	v, ok := t.values[key]
	if !ok {
		return otherwise
	}
	b, ok := v.(bool)
	if !ok {
		t.Fail(key, "%s must be true or false", key)
	}
	return b
}

// Quantity reads a whole number, plain or as a string with a unit, between low
// and high.
func (t Table) Quantity(key string, sc Scale, low, high int64) int64 {
	v, ok := t.values[key]
	if !ok {
		return 0
	}
	n, ok := v.(int64)
	if s, isText := v.(string); isText {
		n, ok = sc.Parse(s)
	}
	if !ok {
		t.Fail(key, "%s must be %s", key, sc.form)
	} else if n < low || n > high {
		t.Fail(key, "%s is %s and must be from %s to %s", key, sc.words(n), sc.words(low), sc.words(high))
	}
	return n
}

// Duration reads a time such as "60s".
func (t Table) Duration(key string, high time.Duration) time.Duration {
	s := t.Text(key)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fail(key, "%s is %s and must be a duration such as \"60s\"", key, Quote(s))
	} else if d <= 0 || d > high {
		t.Fail(key, "%s is %s and must be more than 0 and at most %s", key, d, high)
	}
	return d
}

// Time reads a required date and time with its offset, in UTC, of a year that
// has four digits and began after 1969.
func (t Table) Time(key string) time.Time {
	v, ok := t.values[key].(time.Time)
	switch {
	case !t.Has(key):
		t.Fail("", "%s is missing; it must be a date and time such as 2006-01-02T15:04:05Z", key)
	case !ok || strings.Contains(v.Location().String(), "-local") || v.UTC().Year() < 1970 || v.UTC().Year() > 9999:
		t.Fail(key, "%s must be a date and time such as 2006-01-02T15:04:05Z", key)
	}
	return v.UTC()
}

// Number reads a finite number, a whole one where that is asked for. Others may
// be written without a fraction.
func (t Table) Number(key string, whole bool) float64 {
	switch v := t.values[key].(type) {
	case int64:
		if v < -maxExact || v > maxExact {
			t.Fail(key, "%s is %d and must be from %d to %d", key, v, int64(-maxExact), int64(maxExact))
		}
		return float64(v)
	case float64:
		if !whole {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fail(key, "%s must be finite", key)
			}
			return v
		}
	}
	what := "a number"
	if whole {
		what = "a whole number"
	}
	t.Fail(key, "%s must be %s", key, what)
	return 0
}

// Any reads a string that may be anything, the empty one included.
func (t Table) Any(key string) string {
	s, ok := t.values[key].(string)
	if !ok || len(s) > MaxText {
		t.Fail(key, "%s must be a string of at most %d bytes", key, MaxText)
	}
	return s
}

// Schema reads the version of the file's form, which must be there. It reports
// false for one that is newer than this program, in which nothing else means
// anything.
func (t Table) Schema(current int64) (known bool) {
	switch schema, ok := t.values["schema"].(int64); {
	case !t.Has("schema"):
		t.Fail("", "the file does not say which schema it follows; begin it with: schema = %d", current)
	case !ok || schema < 1:
		t.Fail("schema", "schema must be %d", current)
	case schema > current:
		return false
	}
	return true
}

// Table reads a table within t, with a name for messages.
func (t Table) Table(key, name string) Table {
	v, ok := t.values[key].(map[string]any)
	if !ok && t.Has(key) {
		t.Fail(key, "%s must be a table", key)
	}
	return Table{reader: t.reader, Name: name, position: join(t.position, key), values: v}
}

// Tables reads an array of tables that have a header each, such as [[method]].
// They have no name yet.
func (t Table) Tables(key, header string, most int) []Table {
	v, ok := t.values[key].([]map[string]any)
	if !ok && t.Has(key) {
		t.Fail(key, "write every %s as a table of its own under %s", key, header)
	}
	if len(v) > most {
		t.Fail(key, "the file has %d of %s and may have %d", len(v), header, most)
		return nil
	}
	out := make([]Table, len(v))
	for i, values := range v {
		out[i] = Table{reader: t.reader, position: element(join(t.position, key), i), values: values}
	}
	return out
}
