package registry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/registry/internal/document"
)

// Marshal returns the file as TOML in its canonical form, the same bytes every
// time. It is an error when Parse would refuse the result: whatever Marshal
// returns reads back equal, but for the Path.
func (f *File) Marshal() ([]byte, error) {
	w := &writer{}
	w.Line("schema = %d", Schema)
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

// writer writes methods. The first error sticks.
type writer struct {
	document.Writer
	err error
}

func (w *writer) method(m Method) {
	w.Header("\n[[method]]", "version")
	w.Text("name", m.Name)
	w.Text("kind", m.Kind)
	w.Text("url", m.URL)
	w.Text("sha256", m.SHA256)
	w.Text("abi", m.ABI)
	w.Text("version", m.Version)
	w.List("needs", m.Needs)
	w.Text("summary", m.Summary)
	w.Text("source", m.Source)
	w.Text("signer", m.Signer)
	if m.Limits != (Limits{}) {
		w.Header("[method.limits]", "forwards")
		writeLimits(&w.Writer, m.Limits)
	}
	for _, p := range m.Params {
		w.param(p)
	}
	for _, a := range m.Artifacts {
		w.Header("[[method.artifact]]", "sha256")
		writeArtifact(&w.Writer, a)
	}
	if m.Confine != nil {
		w.Header("[method.confine]", "processes")
		writeConfine(&w.Writer, m.Confine)
	}
}

func writeLimits(w *document.Writer, l Limits) {
	w.Quantity("memory", l.Memory, document.Bytes)
	w.Duration("timeout", l.Timeout)
	w.Quantity("fuel", l.Fuel, document.Count)
	if l.Forwards != 0 {
		w.Pair("forwards", strconv.FormatInt(l.Forwards, 10))
	}
	w.Quantity("output", l.Output, document.Bytes)
	w.Quantity("log", l.Log, document.Bytes)
}

func writeArtifact(w *document.Writer, a Artifact) {
	w.Text("os", a.OS)
	w.Text("arch", a.Arch)
	w.Text("url", a.URL)
	w.Text("sha256", a.SHA256)
}

func writeConfine(w *document.Writer, c *Confine) {
	w.Boolean("landlock", c.Landlock)
	w.Boolean("net", c.Net)
	w.Quantity("rlimit_as", c.AddressSpace, document.Bytes)
	if c.Processes != 0 {
		w.Pair("processes", strconv.Itoa(c.Processes))
	}
	w.List("env", c.Env)
	w.List("read", c.Read)
}

func (w *writer) param(p Param) {
	w.Header("[method.params."+p.Name+"]", "default")
	w.Text("type", p.Type)
	w.List("values", p.Values)
	w.Pair("default", w.value(p, p.Default))
	if len(p.Compat) > 0 {
		var presets []string
		for _, preset := range slices.Sorted(maps.Keys(p.Compat)) {
			presets = append(presets, document.String(preset)+" = "+w.value(p, p.Compat[preset]))
		}
		w.Pair("compat", "{ "+strings.Join(presets, ", ")+" }")
	}
	if p.Min != nil {
		w.Pair("min", document.Number(*p.Min, p.Type == TypeInt))
	}
	if p.Max != nil {
		w.Pair("max", document.Number(*p.Max, p.Type == TypeInt))
	}
	w.List("aliases", p.Aliases)
	w.Text("doc", p.Doc)
}

// value returns a value of a parameter as TOML.
func (w *writer) value(p Param, v any) string {
	switch v := v.(type) {
	case string:
		if p.Type == TypeString || p.Type == TypeEnum {
			return document.String(v)
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
			return document.Number(v, false)
		}
	}
	if w.err == nil {
		w.err = fmt.Errorf("the parameter %s is of type %s and has a value of the Go type %T", document.Quote(p.Name), p.Type, v)
	}
	return ""
}
