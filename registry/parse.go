package registry

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xai-go/xai/registry/internal/address"
	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/signature"
)

// The bounds of a file, beside those of its text.
const (
	maxMethods   = 1000
	maxName      = 64  // in bytes, of a method
	maxParams    = 200 // of a method
	maxProcesses = 4096
)

var (
	methodName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	paramName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	aliasName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	sha256Hex  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	abiVersion = regexp.MustCompile(`^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$`)
	semVersion = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	platform   = regexp.MustCompile(`^[a-z0-9]+$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// ValidName reports whether a method can have a name: at most 64 lower-case letters
// and digits, with hyphens between them.
func ValidName(name string) bool { return len(name) <= maxName && methodName.MatchString(name) }

// needs are the powers of the host that a method may declare.
var needs = []string{
	"forward", "gradients", "attentions", "activations", "hidden_states",
	"generate", "embeddings", "tokenize", "patch",
}

// table reads what the files of this package have in common.
type table struct{ document.Table }

// decode reads a file with the given arrays of tables. What is wrong gives a
// *ParseError with the line, a newer schema an *UnsupportedError.
func decode(data []byte, path string, read func(top table), arrays ...string) error {
	top, err := document.Decode(data, arrays...)
	if err == nil {
		if !top.Schema(Schema) {
			return &UnsupportedError{path, fmt.Sprintf("the file follows a schema newer than %d, the one that this version of xai reads; update xai", Schema)}
		}
		read(table{top})
		err = top.Err()
	}
	if e, ok := errors.AsType[*document.Error](err); ok {
		return &ParseError{path, e.Line, e.Msg}
	}
	return err
}

// sub reads a table within t.
func (t table) sub(key string) table { return table{t.Table.Table(key, t.Name+": "+key)} }

// subs reads an array of tables within t.
func (t table) subs(key, header string, most int) []table {
	var out []table
	for _, sub := range t.Tables(key, header, most) {
		out = append(out, table{sub})
	}
	return out
}

// Parse reads a methods.toml. The path is for messages, and is what relative
// module paths are relative to. An invalid file gives a *ParseError with the
// line, a file of a newer schema an *UnsupportedError.
func Parse(data []byte, path string) (*File, error) {
	f := &File{Path: path}
	err := decode(data, path, func(top table) { f.Methods = top.methods() }, "method", "method.artifact")
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (t table) methods() []Method {
	t.Allow("schema", "method")
	var out []Method
	first := map[string]int{} // the line of a name
	for i, sub := range t.subs("method", "[[method]]", maxMethods) {
		sub.Name = "method " + strconv.Itoa(i+1)
		m := sub.method()
		if line, ok := first[m.Name]; ok {
			sub.Fail("name", "the name %s is taken by the method in line %d; names are unique in a file", document.Quote(m.Name), line)
		}
		if t.Err() != nil {
			return nil
		}
		first[m.Name] = sub.Line()
		out = append(out, m)
	}
	return out
}

func (t table) method() Method {
	var m Method
	// The name comes first: all later messages use it.
	m.Name = t.methodName()
	t.Name = "method " + m.Name
	t.Allow("name", "kind", "url", "sha256", "abi", "version", "needs", "summary", "source", "signer",
		"limits", "params", "artifact", "confine")
	m.Kind = t.OneOf("kind", KindWASM, KindProcess)
	if t.source(m.Kind) {
		m.URL, m.SHA256 = t.module()
	}
	m.Version, m.ABI = t.versions()
	m.Needs, m.Signer = t.needs(), t.signer()
	m.Summary, m.Source = t.Text("summary"), t.Text("source")
	m.Limits = t.sub("limits").limits()
	m.Params = t.params()
	m.Artifacts = t.artifacts("[[method.artifact]]")
	m.Confine = t.confinement()
	return m
}

// source reports whether the method has one url, rather than one a platform.
func (t table) source(kind string) bool {
	if kind != KindProcess {
		for _, key := range []string{"artifact", "confine"} {
			if t.Has(key) {
				t.Fail(key, "%s belongs to kind = %q alone", key, KindProcess)
			}
		}
	}
	if t.Has("artifact") && (t.Has("url") || t.Has("sha256")) {
		t.Fail("artifact", "there is a url for every platform and an artifact for some; leave one of them out")
	}
	return !t.Has("artifact")
}

// versions reads the version of the method and that of its ABI.
func (t table) versions() (version, abi string) {
	abi = t.Match("abi", abiVersion, `the version of the ABI, such as "1.0"`)
	return t.Match("version", semVersion, `a semantic version, such as "1.2.0"`), abi
}

func (t table) methodName() string {
	name := t.Match("name", methodName, "lower-case letters and digits, with hyphens between them")
	if len(name) > maxName {
		t.Fail("name", "name has %d bytes and may have %d", len(name), maxName)
	}
	return name
}

func (t table) needs() []string {
	list := t.List("needs")
	for _, need := range list {
		if !slices.Contains(needs, need) {
			t.Fail("needs", "needs holds %s and may hold %s", document.Quote(need), strings.Join(needs, ", "))
		}
	}
	return list
}

func (t table) signer() string {
	signer := t.Text("signer")
	if t.Has("signer") {
		if _, err := signature.ParsePublicKey(signer); err != nil {
			t.Fail("signer", "signer is %s: %v", document.Quote(signer), err)
		}
	}
	return signer
}

// module reads where a module is and which bytes it has. One without a hash
// would be whatever lies there when it runs, so the hash is always required.
func (t table) module() (url, sha256 string) {
	url = t.Text("url")
	if !t.Has("url") {
		t.Fail("", "url is missing; it says where the module is")
	} else if _, err := address.Parse(url); err != nil {
		t.Fail("url", "url is %s: %v", document.Quote(url), err)
	}
	return url, t.Match("sha256", sha256Hex, "the 64 lower-case hexadecimal digits of the module's SHA-256")
}

func (t table) limits() Limits {
	t.Allow("memory", "timeout", "fuel", "forwards", "output", "log")
	return Limits{
		Memory:   t.Quantity("memory", document.Bytes, 64<<10, 4<<30), // WebAssembly's page and address space
		Timeout:  t.Duration("timeout", 24*time.Hour),
		Forwards: t.Quantity("forwards", document.Count, 1, 1e9),
		Output:   t.Quantity("output", document.Bytes, 1, 1<<30),
		Log:      t.Quantity("log", document.Bytes, 1, 16<<20),
		Fuel:     t.Quantity("fuel", document.Count, 1, 1e18),
	}
}

// artifacts reads executables, one a platform.
func (t table) artifacts(header string) []Artifact {
	var out []Artifact
	first := map[string]bool{}
	for i, sub := range t.subs("artifact", header, document.MaxList) {
		sub.Name = t.Name + ": artifact " + strconv.Itoa(i+1)
		sub.Allow("os", "arch", "url", "sha256")
		a := sub.artifact()
		if at := a.platform(); first[at] {
			sub.Fail("", "there is an executable for %s already", at)
		} else {
			first[at] = true
		}
		out = append(out, a)
	}
	return out
}

func (t table) artifact() Artifact {
	a := Artifact{
		OS:   t.Match("os", platform, `an operating system as Go names it, such as "linux"`),
		Arch: t.Match("arch", platform, `an architecture as Go names it, such as "amd64"`),
	}
	a.URL, a.SHA256 = t.module()
	return a
}

// confinement reads the table confine, nil where there is none.
func (t table) confinement() *Confine {
	if !t.Has("confine") {
		return nil
	}
	t = t.sub("confine")
	t.Allow("landlock", "net", "rlimit_as", "processes", "env", "read")
	c := &Confine{
		Landlock:     t.Boolean("landlock", true),
		Net:          t.Boolean("net", false),
		AddressSpace: t.Quantity("rlimit_as", document.Bytes, 1<<20, 1<<50),
		Processes:    int(t.Quantity("processes", document.Count, 1, maxProcesses)),
		Env:          t.List("env"),
		Read:         t.List("read"),
	}
	for _, name := range c.Env {
		if !envName.MatchString(name) {
			t.Fail("env", "env holds %s, which is no name of an environment variable", document.Quote(name))
		}
	}
	for _, p := range c.Read {
		switch {
		case !path.IsAbs(p) || path.Clean(p) != p:
			t.Fail("read", "read holds %s and may hold absolute paths without . and .., such as \"/usr\"", document.Quote(p))
		case p == "/":
			t.Fail("read", "read holds /, which is every file there is; name the folders that the process needs")
		}
	}
	return c
}

// params reads the parameters of a method in the order of the file.
func (t table) params() []Param {
	all := t.sub("params")
	if all.Len() > maxParams {
		t.Fail("params", "params has %d parameters and may have %d", all.Len(), maxParams)
		return nil
	}
	var out []Param
	owner := map[string]string{} // of a name or an alias
	for _, name := range all.Keys() {
		if !paramName.MatchString(name) || len(name) > 64 {
			all.Fail(name, "the name %s must be a lower-case letter and then such letters, digits and underscores", document.Quote(name))
			return nil
		}
		values := all.sub(name)
		values.Name = t.Name + ": parameter " + name
		param := values.param(name)
		for _, n := range append([]string{name}, param.Aliases...) {
			if other, ok := owner[n]; ok {
				all.Fail(name, "%s names both the parameter %s and the parameter %s", document.Quote(n), other, name)
			}
			owner[n] = name
		}
		out = append(out, param)
	}
	return out
}

// param reads one parameter; its default must be a value that it accepts.
func (t table) param(name string) Param {
	t.Allow("type", "default", "min", "max", "values", "doc", "aliases", "compat")
	p := Param{Name: name, Aliases: t.List("aliases"), Doc: t.Text("doc")}
	for _, alias := range p.Aliases {
		if !aliasName.MatchString(alias) || len(alias) > 64 {
			t.Fail("aliases", "the alias %s must be a letter and then letters, digits, underscores and hyphens", document.Quote(alias))
		}
	}
	p.Type = t.OneOf("type", TypeInt, TypeFloat, TypeBool, TypeString, TypeEnum)
	number := p.Type == TypeInt || p.Type == TypeFloat
	if number {
		p.Min, p.Max = t.bound("min", p.Type), t.bound("max", p.Type)
		if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
			t.Fail("max", "max is %v and min %v", *p.Max, *p.Min)
		}
	} else if t.Has("min") || t.Has("max") {
		t.Fail("min", "only an int and a float have min and max")
	}
	p.Values = t.List("values")
	if p.Type == TypeEnum && len(p.Values) == 0 {
		t.Fail("values", "an enum must list its values")
	} else if p.Type != TypeEnum && t.Has("values") {
		t.Fail("values", "only an enum has values")
	}
	if !t.Has("default") {
		t.Fail("", "default is missing; every parameter has one")
		return p
	}
	p.Default = t.value("default", p)
	presets := t.sub("compat")
	for _, preset := range presets.Keys() {
		if preset != "" && !methodName.MatchString(preset) {
			t.Fail("compat", "compat has a preset %s; they are lower-case letters and digits, with hyphens between them", document.Quote(preset))
		}
		if p.Compat == nil {
			p.Compat = make(map[string]any, presets.Len())
		}
		p.Compat[preset] = presets.value(preset, p)
	}
	return p
}

// value reads a value that the parameter accepts.
func (t table) value(key string, p Param) any {
	switch p.Type {
	case TypeInt, TypeFloat:
		v := t.Number(key, p.Type == TypeInt)
		if p.Min != nil && v < *p.Min || p.Max != nil && v > *p.Max {
			t.Fail(key, "%s is %v, outside of min and max", key, v)
		}
		if p.Type == TypeInt {
			return int64(v)
		}
		return v
	case TypeBool:
		return t.Boolean(key, false)
	case TypeEnum:
		return t.OneOf(key, p.Values...)
	}
	return t.Any(key)
}

// bound reads an optional bound of a number.
func (t table) bound(key, typ string) *float64 {
	if !t.Has(key) {
		return nil
	}
	v := t.Number(key, typ == TypeInt)
	return &v
}
