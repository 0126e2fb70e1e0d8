package registry

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"github.com/xai-go/xai/internal/nearest"
)

// The bounds of a file. They are far above what real ones need, and low enough
// that a hostile one costs nothing.
const (
	maxFile    = 1 << 20 // bytes
	maxMethods = 1000
	maxParams  = 200 // of a method
	maxList    = 100 // elements of an array
	maxText    = 2000
)

// maxExact is the largest whole number up to which every one is a float64, as
// the bounds of parameters are.
const maxExact = 1 << 53

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

// needs are the powers of the host that a method may declare.
var needs = []string{
	"forward", "gradients", "attentions", "activations", "hidden_states",
	"generate", "patch",
}

// Parse reads a methods.toml. The path is for messages, and is what relative
// module paths are relative to. An invalid file gives a *ParseError with the
// line, a file of a newer schema an *UnsupportedError.
func Parse(data []byte, path string) (f *File, err error) {
	if len(data) > maxFile {
		return nil, &ParseError{Path: path, Msg: fmt.Sprintf("the file has %d bytes and a registry file at most %d; split it", len(data), maxFile)}
	}
	// The library takes a zero byte for the end of the file.
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, &ParseError{Path: path, Msg: "the file is not UTF-8; save it as UTF-8 text"}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors' byte order mark
	lines, err := scan(data, path)
	if err != nil {
		return nil, err
	}
	// The library panics where its lexer and its parser disagree.
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, &ParseError{Path: path, Msg: "the file is not TOML: " + shorten(fmt.Sprint(r))}
		}
	}()
	// Decoding into a map and reading that by hand names the table, the key and
	// the line of every mistake. Decoding into structs would match keys of any
	// letter case, and Undecoded cannot tell the elements of [[method]] apart.
	doc := map[string]any{}
	meta, err := toml.Decode(string(data), &doc)
	if err != nil {
		if e, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, &ParseError{Path: path, Line: e.Position.Line, Msg: shorten(e.Message)}
		}
		return nil, &ParseError{Path: path, Msg: shorten(err.Error())}
	}
	p := &parser{path: path}
	p.index(meta.Keys(), lines)
	f = p.file(doc)
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

// parser turns a decoded document into a File. The first mistake sticks, and
// what is read after it does not matter.
type parser struct {
	path   string
	lines  map[string]int // the line of a position such as "method[2].params.fill"
	params [][]string     // names of the parameters of each method, in order
	err    error
}

// index notes the line of every key. TOML forgets the order of a table's keys,
// and the order of parameters is that of their documentation, so it is kept
// here.
func (p *parser) index(keys []toml.Key, lines []int) {
	p.lines = make(map[string]int, len(keys))
	method, artifact := -1, -1
	for i, key := range keys {
		if key[0] == "method" {
			switch {
			case len(key) == 1:
				method, artifact = method+1, -1
				p.params = append(p.params, nil)
			case len(key) == 2 && key[1] == "artifact":
				artifact++
			}
			if method >= 0 && len(key) > 2 && key[1] == "params" && !slices.Contains(p.params[method], key[2]) && len(p.params[method]) <= maxParams {
				p.params[method] = append(p.params[method], key[2])
			}
		}
		line := 0
		if len(lines) == len(keys) {
			line = lines[i]
		}
		position := ""
		for depth, part := range key {
			position = join(position, part)
			p.note(position, line)
			switch {
			case depth == 0 && part == "method":
				position = element(position, method)
			case depth == 1 && part == "artifact" && key[0] == "method":
				position = element(position, artifact)
			}
			p.note(position, line)
		}
	}
}

// note records the line of a position the first time that it appears.
func (p *parser) note(position string, line int) {
	if _, ok := p.lines[position]; !ok {
		p.lines[position] = line
	}
}

func join(position, key string) string {
	if position == "" {
		return key
	}
	return position + "." + key
}

func element(position string, i int) string { return position + "[" + strconv.Itoa(i) + "]" }

// fail records a mistake at a position, unless there is an earlier one.
func (p *parser) fail(position, format string, args ...any) {
	if p.err != nil {
		return
	}
	for position != "" && p.lines[position] == 0 {
		position = position[:max(strings.LastIndexByte(position, '.'), 0)]
	}
	p.err = &ParseError{p.path, p.lines[position], fmt.Sprintf(format, args...)}
}

// table is a TOML table, with its position for lines and its name for
// messages.
type table struct {
	*parser
	position string
	name     string // `method "lime"`, empty at the top
	values   map[string]any
}

// fail records a mistake in the value of a key.
func (t table) fail(key, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if t.name != "" {
		message = t.name + ": " + message
	}
	t.parser.fail(join(t.position, key), "%s", message)
}

// allow refuses every key that is not listed.
func (t table) allow(keys ...string) {
	unknown, line := "", 0
	for key := range t.values {
		if slices.Contains(keys, key) {
			continue
		}
		l := t.lines[join(t.position, key)]
		if unknown == "" || l < line || l == line && key < unknown {
			unknown, line = key, l
		}
	}
	if unknown == "" {
		return
	}
	if n, ok := nearest.Of(unknown, keys); ok {
		t.fail(unknown, "unknown key %s; did you mean %q?", quote(unknown), n)
		return
	}
	t.fail(unknown, "unknown key %s; known are %s", quote(unknown), strings.Join(keys, ", "))
}

func (t table) has(key string) bool {
	_, ok := t.values[key]
	return ok
}

// text reads a string; one that is absent is empty. It ends up on terminals,
// so that control characters are refused.
func (t table) text(key string) string {
	v, ok := t.values[key]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	switch {
	case !ok:
		t.fail(key, "%s must be a string", key)
	case s == "":
		t.fail(key, "%s is empty; leave the key out or give it a value", key)
	case len(s) > maxText:
		t.fail(key, "%s has %d bytes and may have %d", key, len(s), maxText)
	case strings.ContainsFunc(s, unicode.IsControl):
		t.fail(key, "%s holds a control character; it must be one line of text", key)
	}
	return s
}

// match reads a required string that matches a pattern.
func (t table) match(key string, pattern *regexp.Regexp, what string) string {
	s := t.text(key)
	if !t.has(key) {
		t.fail("", "%s is missing; it must be %s", key, what)
	} else if !pattern.MatchString(s) {
		t.fail(key, "%s is %s and must be %s", key, quote(s), what)
	}
	return s
}

// oneOf reads a required string out of a set.
func (t table) oneOf(key string, set ...string) string {
	s := t.text(key)
	if !t.has(key) {
		t.fail("", "%s is missing; it must be one of %s", key, strings.Join(set, ", "))
	} else if !slices.Contains(set, s) {
		t.fail(key, "%s is %s and must be one of %s", key, quote(s), strings.Join(set, ", "))
	}
	return s
}

// list reads an array of different strings; an empty one is nil.
func (t table) list(key string) []string {
	v, ok := t.values[key]
	if !ok {
		return nil
	}
	array, ok := v.([]any)
	if !ok {
		t.fail(key, "%s must be an array of strings", key)
		return nil
	}
	if len(array) > maxList {
		t.fail(key, "%s has %d elements and may have %d", key, len(array), maxList)
		return nil
	}
	var out []string
	for _, v := range array {
		s, ok := v.(string)
		switch {
		case !ok:
			t.fail(key, "%s must hold strings alone", key)
		case s == "":
			t.fail(key, "%s holds an empty string", key)
		case len(s) > maxText:
			t.fail(key, "%s holds a string of %d bytes and may hold %d", key, len(s), maxText)
		case strings.ContainsFunc(s, unicode.IsControl):
			t.fail(key, "%s holds a control character", key)
		case slices.Contains(out, s):
			t.fail(key, "%s holds %s twice", key, quote(s))
		}
		out = append(out, s)
	}
	return out
}

// boolean reads a bool; one that is absent is otherwise.
func (t table) boolean(key string, otherwise bool) bool {
	v, ok := t.values[key]
	if !ok {
		return otherwise
	}
	b, ok := v.(bool)
	if !ok {
		t.fail(key, "%s must be true or false", key)
	}
	return b
}

// quantity reads a whole number, plain or as a string with a unit, between
// low and high; one that is absent is zero.
func (t table) quantity(key string, sc scale, low, high int64) int64 {
	v, ok := t.values[key]
	if !ok {
		return 0
	}
	n, ok := v.(int64)
	if s, isText := v.(string); isText {
		n, ok = sc.parse(s)
	}
	if !ok {
		t.fail(key, "%s must be %s", key, sc.form)
	} else if n < low || n > high {
		t.fail(key, "%s is %d and must be from %d to %d", key, n, low, high)
	}
	return n
}

// duration reads a time such as "60s"; one that is absent is zero.
func (t table) duration(key string, high time.Duration) time.Duration {
	s := t.text(key)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.fail(key, "%s is %s and must be a duration such as \"60s\"", key, quote(s))
	} else if d <= 0 || d > high {
		t.fail(key, "%s is %s and must be more than 0 and at most %s", key, d, high)
	}
	return d
}

// sub reads a table within t.
func (t table) sub(key, name string) table {
	v, ok := t.values[key].(map[string]any)
	if !ok && t.has(key) {
		t.fail(key, "%s must be a table", key)
	}
	return table{t.parser, join(t.position, key), name, v}
}

// subs reads an array of tables.
func (t table) subs(key, header string, most int) []map[string]any {
	v, ok := t.values[key].([]map[string]any)
	if !ok && t.has(key) {
		t.fail(key, "write every %s as a table of its own under %s", key, header)
	}
	if len(v) > most {
		t.fail(key, "the file has %d of %s and may have %d", len(v), header, most)
		return nil
	}
	return v
}

// file reads the whole document.
func (p *parser) file(doc map[string]any) *File {
	top := table{parser: p, values: doc}
	switch schema, ok := doc["schema"].(int64); {
	case !top.has("schema"):
		top.fail("", "the file does not say which schema it follows; begin it with: schema = %d", Schema)
	case !ok || schema < 1:
		top.fail("schema", "schema must be %d", Schema)
	case schema > Schema:
		p.err = &UnsupportedError{p.path, fmt.Sprintf("the file follows schema %d and this version of xai reads %d; update xai", schema, Schema)}
	}
	top.allow("schema", "method")
	f := &File{Path: p.path}
	first := map[string]int{}
	for i, values := range top.subs("method", "[[method]]", maxMethods) {
		t := table{p, element("method", i), "method " + strconv.Itoa(i+1), values}
		m := t.method(i)
		if line, ok := first[m.Name]; ok {
			t.fail("name", "the name %s is taken by the method in line %d; names are unique in a file", quote(m.Name), line)
		}
		if p.err != nil {
			return nil
		}
		first[m.Name] = p.lines[t.position]
		f.Methods = append(f.Methods, m)
	}
	return f
}

// method reads the i-th method.
func (t table) method(i int) Method {
	var m Method
	// The name comes first: all later messages use it.
	m.Name = t.match("name", methodName, "lower-case letters and digits, with hyphens between them")
	if len(m.Name) > 64 {
		t.fail("name", "name has %d bytes and may have 64", len(m.Name))
	}
	t.name = "method " + m.Name
	t.allow("name", "kind", "url", "sha256", "abi", "version", "needs", "summary", "source", "signer",
		"limits", "params", "artifact", "confine")
	m.Kind = t.oneOf("kind", KindWASM, KindProcess)
	process := m.Kind == KindProcess
	if !process {
		for _, key := range []string{"artifact", "confine"} {
			if t.has(key) {
				t.fail(key, "%s belongs to kind = %q alone", key, KindProcess)
			}
		}
	}
	if !process || t.has("url") || t.has("sha256") || !t.has("artifact") {
		m.URL, m.SHA256 = t.module()
	}
	m.ABI = t.match("abi", abiVersion, `the version of the ABI, such as "1.0"`)
	m.Version = t.match("version", semVersion, `a semantic version, such as "1.2.0"`)
	m.Needs = t.list("needs")
	for _, need := range m.Needs {
		if !slices.Contains(needs, need) {
			t.fail("needs", "needs holds %s and may hold %s", quote(need), strings.Join(needs, ", "))
		}
	}
	m.Summary, m.Source, m.Signer = t.text("summary"), t.text("source"), t.text("signer")
	m.Limits = t.sub("limits", t.name+": limits").limits()
	m.Params = t.params(i)
	for k, values := range t.subs("artifact", "[[method.artifact]]", maxList) {
		a := table{t.parser, element(join(t.position, "artifact"), k), t.name + ": artifact " + strconv.Itoa(k+1), values}
		m.Artifacts = append(m.Artifacts, a.artifact())
	}
	if t.has("confine") {
		m.Confine = t.sub("confine", t.name+": confine").confine()
	}
	return m
}

// module reads where a module is and which bytes it has. One without a hash
// would be whatever lies there when it runs, so the hash is always required.
func (t table) module() (url, sha256 string) {
	url = t.text("url")
	if !t.has("url") {
		t.fail("", "url is missing; it says where the module is")
	} else if _, _, err := splitURL(url); err != nil {
		t.fail("url", "url is %s: %v", quote(url), err)
	}
	return url, t.match("sha256", sha256Hex, "the 64 lower-case hexadecimal digits of the module's SHA-256")
}

func (t table) limits() Limits {
	t.allow("memory", "timeout", "fuel", "forwards", "output", "log")
	return Limits{
		Memory:   t.quantity("memory", bytesScale, 64<<10, 4<<30), // WebAssembly's page and address space
		Timeout:  t.duration("timeout", 24*time.Hour),
		Forwards: t.quantity("forwards", countScale, 1, 1e9),
		Output:   t.quantity("output", bytesScale, 1, 1<<30),
		Log:      t.quantity("log", bytesScale, 1, 16<<20),
		Fuel:     t.quantity("fuel", countScale, 1, 1e18),
	}
}

func (t table) artifact() Artifact {
	t.allow("os", "arch", "url", "sha256")
	a := Artifact{
		OS:   t.match("os", platform, `an operating system as Go names it, such as "linux"`),
		Arch: t.match("arch", platform, `an architecture as Go names it, such as "amd64"`),
	}
	a.URL, a.SHA256 = t.module()
	return a
}

func (t table) confine() *Confine {
	t.allow("landlock", "net", "rlimit_as", "env")
	c := &Confine{
		Landlock:     t.boolean("landlock", true),
		Net:          t.boolean("net", false),
		AddressSpace: t.quantity("rlimit_as", bytesScale, 1<<20, 1<<50),
		Env:          t.list("env"),
	}
	for _, name := range c.Env {
		if !envName.MatchString(name) {
			t.fail("env", "env holds %s, which is no name of an environment variable", quote(name))
		}
	}
	return c
}

// params reads the parameters of the i-th method in the order of the file.
func (t table) params(i int) []Param {
	all := t.sub("params", t.name+": params")
	if len(all.values) > maxParams {
		t.fail("params", "params has %d parameters and may have %d", len(all.values), maxParams)
		return nil
	}
	var out []Param
	owner := map[string]string{} // of a name or an alias
	for _, name := range t.parser.params[i] {
		if !paramName.MatchString(name) || len(name) > 64 {
			all.fail(name, "the name %s must be a lower-case letter and then such letters, digits and underscores", quote(name))
			return nil
		}
		param := all.sub(name, t.name+": parameter "+name).param(name)
		for _, n := range append([]string{name}, param.Aliases...) {
			if other, ok := owner[n]; ok {
				all.fail(name, "%s names both the parameter %s and the parameter %s", quote(n), other, name)
			}
			owner[n] = name
		}
		out = append(out, param)
	}
	return out
}

// param reads one parameter; its default must be a value that it accepts.
func (t table) param(name string) Param {
	t.allow("type", "default", "min", "max", "values", "doc", "aliases", "compat")
	p := Param{Name: name, Aliases: t.list("aliases"), Doc: t.text("doc")}
	for _, alias := range p.Aliases {
		if !aliasName.MatchString(alias) || len(alias) > 64 {
			t.fail("aliases", "the alias %s must be a letter and then letters, digits, underscores and hyphens", quote(alias))
		}
	}
	p.Type = t.oneOf("type", TypeInt, TypeFloat, TypeBool, TypeString, TypeEnum)
	number := p.Type == TypeInt || p.Type == TypeFloat
	if number {
		p.Min, p.Max = t.bound("min", p.Type), t.bound("max", p.Type)
		if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
			t.fail("max", "max is %v and min %v", *p.Max, *p.Min)
		}
	} else if t.has("min") || t.has("max") {
		t.fail("min", "only an int and a float have min and max")
	}
	p.Values = t.list("values")
	if p.Type == TypeEnum && len(p.Values) == 0 {
		t.fail("values", "an enum must list its values")
	} else if p.Type != TypeEnum && t.has("values") {
		t.fail("values", "only an enum has values")
	}
	if !t.has("default") {
		t.fail("", "default is missing; every parameter has one")
		return p
	}
	p.Default = t.value("default", p)
	presets := t.sub("compat", t.name+": compat")
	for _, preset := range slices.Sorted(maps.Keys(presets.values)) {
		if preset != "" && !methodName.MatchString(preset) {
			t.fail("compat", "compat has a preset %s; they are lower-case letters and digits, with hyphens between them", quote(preset))
		}
		if p.Compat == nil {
			p.Compat = make(map[string]any, len(presets.values))
		}
		p.Compat[preset] = presets.value(preset, p)
	}
	return p
}

// value reads a value that the parameter accepts.
func (t table) value(key string, p Param) any {
	switch p.Type {
	case TypeInt, TypeFloat:
		v := t.number(key, p.Type)
		if p.Min != nil && v < *p.Min || p.Max != nil && v > *p.Max {
			t.fail(key, "%s is %v, outside of min and max", key, v)
		}
		if p.Type == TypeInt {
			return int64(v)
		}
		return v
	case TypeBool:
		return t.boolean(key, false)
	case TypeEnum:
		return t.oneOf(key, p.Values...)
	}
	s, ok := t.values[key].(string)
	if !ok || len(s) > maxText {
		t.fail(key, "%s must be a string of at most %d bytes", key, maxText)
	}
	return s // the empty one is fine
}

// bound reads an optional bound of a number.
func (t table) bound(key, typ string) *float64 {
	if !t.has(key) {
		return nil
	}
	v := t.number(key, typ)
	return &v
}

// number reads a finite number, a whole one for an int. A float may be written
// without a fraction.
func (t table) number(key, typ string) float64 {
	switch v := t.values[key].(type) {
	case int64:
		if v < -maxExact || v > maxExact {
			t.fail(key, "%s is %d and must be from %d to %d", key, v, int64(-maxExact), int64(maxExact))
		}
		return float64(v)
	case float64:
		if typ == TypeFloat {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.fail(key, "%s must be finite", key)
			}
			return v
		}
	}
	what := "a number"
	if typ == TypeInt {
		what = "a whole number"
	}
	t.fail(key, "%s must be %s", key, what)
	return 0
}
