package document

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Writer collects lines of TOML. Keys are padded to Width.
type Writer struct {
	bytes.Buffer
	Width int
}

// Line writes a line.
func (w *Writer) Line(format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}

// Header begins a table whose longest key is given.
func (w *Writer) Header(header, longest string) {
	w.Width = len(longest)
	w.Line("%s", header)
}

// Pair writes a key and a value that is TOML.
func (w *Writer) Pair(key, value string) { w.Line("%-*s = %s", w.Width, key, value) }

// Text writes a string; an empty one is left out.
func (w *Writer) Text(key, value string) {
	if value != "" {
		w.Pair(key, String(value))
	}
}

// List writes an array of strings; an empty one is left out.
func (w *Writer) List(key string, values []string) {
	if len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = String(v)
	}
	w.Pair(key, "["+strings.Join(quoted, ", ")+"]")
}

// Boolean writes a bool.
func (w *Writer) Boolean(key string, value bool) { w.Pair(key, strconv.FormatBool(value)) }

// Quantity writes a number with its unit; zero is left out.
func (w *Writer) Quantity(key string, n int64, sc Scale) {
	if n != 0 {
		w.Pair(key, sc.Format(n))
	}
}

// Duration writes a time such as "60s"; zero is left out.
func (w *Writer) Duration(key string, d time.Duration) {
	if d != 0 {
		w.Text(key, formatDuration(d))
	}
}

// Number returns the shortest TOML number that reads back as v, a whole one
// where that is asked for, and otherwise one with a point or an exponent.
func Number(v float64, whole bool) string {
	if whole {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// String returns a basic string of TOML. It has fewer escapes than Go, so that
// strconv.Quote does not serve.
func String(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
