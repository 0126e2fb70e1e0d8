package registry

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Marshal returns the file as TOML in its canonical form, the same bytes every
// time. It is an error when Parse would refuse the result: whatever Marshal
// returns reads back equal, but for the Path.
func (f *File) Marshal() ([]byte, error) {
	w := &writer{}
	w.line("schema = %d", Schema)
	for _, m := range f.Methods {
		w.method(m)
	}
	if w.err != nil {
		return nil, w.err
	}
	if _, err := Parse(w.Bytes(), f.Path); err != nil {
		return nil, fmt.Errorf("the registry file would not read back: %w", err)
	}
	return w.Bytes(), nil
}

// writer collects lines of TOML. The first error sticks.
type writer struct {
	bytes.Buffer
	err error
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}

// text writes a pair, the key padded to width; an empty value is left out.
func (w *writer) text(width int, key, value string) {
	if value != "" {
		w.line("%-*s = %s", width, key, tomlString(value))
	}
}

// list writes an array of strings; an empty one is left out.
func (w *writer) list(width int, key string, values []string) {
	if len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = tomlString(v)
	}
	w.line("%-*s = [%s]", width, key, strings.Join(quoted, ", "))
}

// quantity writes a number with its unit; zero is left out.
func (w *writer) quantity(width int, key string, n int64, sc scale) {
	if n != 0 {
		w.line("%-*s = %s", width, key, sc.format(n))
	}
}

func (w *writer) method(m Method) {
	const width = len("version")
	w.line("\n[[method]]")
	w.text(width, "name", m.Name)
	w.text(width, "kind", m.Kind)
	w.text(width, "url", m.URL)
	w.text(width, "sha256", m.SHA256)
	w.text(width, "abi", m.ABI)
	w.text(width, "version", m.Version)
	w.list(width, "needs", m.Needs)
	w.text(width, "summary", m.Summary)
	w.text(width, "source", m.Source)
	w.text(width, "signer", m.Signer)
	if m.Limits != (Limits{}) {
		w.limits(m.Limits)
	}
	for _, p := range m.Params {
		w.param(p)
	}
	for _, a := range m.Artifacts {
		const width = len("sha256")
		w.line("[[method.artifact]]")
		w.text(width, "os", a.OS)
		w.text(width, "arch", a.Arch)
		w.text(width, "url", a.URL)
		w.text(width, "sha256", a.SHA256)
	}
	if c := m.Confine; c != nil {
		const width = len("rlimit_as")
		w.line("[method.confine]")
		w.line("%-*s = %t", width, "landlock", c.Landlock)
		w.line("%-*s = %t", width, "net", c.Net)
		w.quantity(width, "rlimit_as", c.AddressSpace, bytesScale)
		w.list(width, "env", c.Env)
	}
}

func (w *writer) limits(l Limits) {
	const width = len("forwards")
	w.line("[method.limits]")
	w.quantity(width, "memory", l.Memory, bytesScale)
	if l.Timeout != 0 {
		w.text(width, "timeout", formatDuration(l.Timeout))
	}
	w.quantity(width, "fuel", l.Fuel, countScale)
	if l.Forwards != 0 {
		w.line("%-*s = %d", width, "forwards", l.Forwards)
	}
	w.quantity(width, "output", l.Output, bytesScale)
	w.quantity(width, "log", l.Log, bytesScale)
}

func (w *writer) param(p Param) {
	const width = len("default")
	w.line("[method.params.%s]", p.Name)
	w.text(width, "type", p.Type)
	w.list(width, "values", p.Values)
	w.line("%-*s = %s", width, "default", w.value(p, p.Default))
	if len(p.Compat) > 0 {
		var presets []string
		for _, preset := range slices.Sorted(maps.Keys(p.Compat)) {
			presets = append(presets, tomlString(preset)+" = "+w.value(p, p.Compat[preset]))
		}
		w.line("%-*s = { %s }", width, "compat", strings.Join(presets, ", "))
	}
	if p.Min != nil {
		w.line("%-*s = %s", width, "min", tomlNumber(*p.Min, p.Type))
	}
	if p.Max != nil {
		w.line("%-*s = %s", width, "max", tomlNumber(*p.Max, p.Type))
	}
	w.list(width, "aliases", p.Aliases)
	w.text(width, "doc", p.Doc)
}

// value returns a value of a parameter as TOML.
func (w *writer) value(p Param, v any) string {
	switch v := v.(type) {
	case string:
		if p.Type == TypeString || p.Type == TypeEnum {
			return tomlString(v)
		}
	case bool:
		if p.Type == TypeBool {
			return strconv.FormatBool(v)
		}
	case int64:
		if p.Type == TypeInt {
			return strconv.FormatInt(v, 10)
		}
	case float64:
		if p.Type == TypeFloat {
			return tomlNumber(v, p.Type)
		}
	}
	if w.err == nil {
		w.err = fmt.Errorf("the parameter %s is of type %s and has a value of the Go type %T", quote(p.Name), p.Type, v)
	}
	return ""
}

// tomlNumber writes the shortest number that reads back as v, a whole one for
// an int and one with a point or an exponent for a float.
func tomlNumber(v float64, typ string) string {
	if typ == TypeInt {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// tomlString writes a basic string. TOML has fewer escapes than Go, so
// strconv.Quote does not serve.
func tomlString(s string) string {
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
