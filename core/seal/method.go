package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// The bounds of descriptions; registry has those of what they hold.
const (
	maxDescription = 1 << 20 // bytes
	maxMethods     = 1000    // of a module
)

// Method is a method as a module describes it.
type Method struct {
	sdk.Info
	ABI string // "major.minor"; empty where the description leaves it to the module
}

// Of returns the description of a method of this source tree's ABI.
func Of(info sdk.Info) Method { return Method{info, abi.VersionText} }

// Marshal returns the description as JSON, the same bytes for equal methods.
func (m Method) Marshal() []byte { return abi.AppendDescription(nil, m.Info, m.ABI) }

// Equal reports whether two descriptions say the same.
func (m Method) Equal(other Method) bool { return bytes.Equal(m.Marshal(), other.Marshal()) }

// Parse reads the description of one method. Keys and values are held to the
// table of docs/ABI.md, and to what a methods.toml may say.
func Parse(data []byte) (Method, error) {
	methods, err := ParseAll(data)
	if err == nil && len(methods) != 1 {
		err = fmt.Errorf("there are %d descriptions in the place of one", len(methods))
	}
	if err != nil {
		return Method{}, err
	}
	return methods[0], nil
}

// ParseAll reads a description or a list of them.
func ParseAll(data []byte) ([]Method, error) {
	if len(data) > maxDescription {
		return nil, fmt.Errorf("the description has %d bytes and may have %d", len(data), maxDescription)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("the description is not UTF-8")
	}
	if err := depth(data, 5); err != nil {
		return nil, err
	}
	if text := bytes.TrimLeft(data, " \t\r\n"); len(text) == 0 || text[0] != '[' {
		m, err := parse(data)
		return []Method{m}, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, notJSON(err)
	}
	if len(list) == 0 || len(list) > maxMethods {
		return nil, fmt.Errorf("the list has %d descriptions and may have 1 to %d", len(list), maxMethods)
	}
	methods := make([]Method, len(list))
	for i, data := range list {
		var err error
		if methods[i], err = parse(data); err != nil {
			return nil, fmt.Errorf("method %d: %w", i+1, err)
		}
	}
	return methods, distinct(methods)
}

// distinct refuses two methods of one name.
func distinct(methods []Method) error {
	names := make(map[string]bool, len(methods))
	for _, m := range methods {
		if names[m.Name] {
			return fmt.Errorf("two methods are named %s", m.Name)
		}
		names[m.Name] = true
	}
	return nil
}

func parse(data []byte) (Method, error) {
	o, err := fields(data)
	if err != nil {
		return Method{}, err
	}
	m := Method{Info: sdk.Info{Name: o.text("name"), Version: o.text("version"), Summary: o.text("summary"), Source: o.text("source")}, ABI: o.text("abi")}
	for _, need := range o.texts("needs") {
		m.Needs = append(m.Needs, sdk.Need(need))
	}
	for i, data := range o.list("params") {
		p, err := parseParam(data)
		if err != nil {
			return m, fmt.Errorf("parameter %d: %w", i+1, err)
		}
		m.Params = append(m.Params, p)
	}
	if err := o.end("name", "version", "summary", "source", "abi", "needs", "params"); err != nil {
		return m, err
	}
	return m, m.check()
}

// check holds the method to what registry accepts.
func (m Method) check() error {
	if m.ABI == "" {
		m.ABI = abi.VersionText
	}
	_, err := Stanza(m.Entry("method.wasm", strings.Repeat("0", 64)))
	if e, ok := errors.AsType[*registry.ParseError](err); ok {
		return errors.New(e.Msg)
	}
	return err
}

func parseParam(data []byte) (sdk.Param, error) {
	o, err := fields(data)
	if err != nil {
		return sdk.Param{}, err
	}
	p := sdk.Param{Name: o.text("name"), Aliases: o.texts("aliases"), Type: sdk.ParamType(o.text("type")), Values: o.texts("values"), Doc: o.text("doc")}
	if o.err == nil && !slices.Contains([]sdk.ParamType{sdk.Int, sdk.Float, sdk.Bool, sdk.String, sdk.Enum}, p.Type) {
		o.err = fmt.Errorf("the type %q is not int, float, bool, string or enum", p.Type)
	}
	if o.has("default") {
		p.Default = o.value("default", p.Type)
	} else if _, null := o.raw["default"]; null && o.err == nil {
		// What the SDK for Go makes of a value of another type.
		o.err = fmt.Errorf("default is null; in Go it is a value of the type %s, such as %s", goTypes[p.Type][0], goTypes[p.Type][1])
	} else if o.err == nil {
		o.err = errors.New("default is missing; every parameter has one")
	}
	p.Min, p.Max = o.bound("min"), o.bound("max")
	if o.has("compat") && o.err == nil {
		presets, err := fields(o.raw["compat"])
		if err != nil {
			return p, fmt.Errorf("compat: %w", err)
		}
		for _, preset := range slices.Sorted(maps.Keys(presets.raw)) {
			if p.Compat == nil {
				p.Compat = make(map[string]any)
			}
			p.Compat[preset] = presets.value(preset, p.Type)
		}
		if presets.err != nil {
			return p, fmt.Errorf("compat: %w", presets.err)
		}
	}
	err = o.end("name", "aliases", "type", "default", "min", "max", "values", "doc", "compat")
	if err != nil && p.Name != "" {
		err = fmt.Errorf("%s: %w", quote(p.Name), err)
	}
	return p, err
}

// goTypes are the types of Go that values of parameters have, each with a value.
var goTypes = map[sdk.ParamType][2]string{
	sdk.Int: {"int64", "int64(2)"}, sdk.Float: {"float64", "2.0"}, sdk.Bool: {"bool", "true"},
	sdk.String: {"string", `"text"`}, sdk.Enum: {"string", "one of Values"},
}

// object is an object of JSON whose values are read one by one. The first error
// sticks.
type object struct {
	raw map[string]json.RawMessage
	err error
}

// fields parts an object. It refuses a key that comes twice, which encoding/json
// would not, and matches keys letter by letter.
func fields(data []byte) (*object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	switch t, err := d.Token(); {
	case err != nil:
		return nil, notJSON(err)
	case t != json.Delim('{'):
		return nil, notJSON(errors.New("an object is expected"))
	}
	o := &object{raw: make(map[string]json.RawMessage)}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		name, _ := key.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, notJSON(err)
		}
		if _, twice := o.raw[name]; twice {
			return nil, fmt.Errorf("%s is given twice", quote(name))
		}
		o.raw[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, notJSON(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, notJSON(errors.New("something follows the object"))
	}
	return o, nil
}

func notJSON(err error) error { return fmt.Errorf("the description is not JSON: %w", err) }

// depth refuses what is nested deeper than descriptions are.
func depth(data []byte, most int) error {
	open, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if open++; open > most {
				return errors.New("the description is nested too deep")
			}
		case c == '}' || c == ']':
			open--
		}
	}
	return nil
}

func (o *object) has(key string) bool {
	raw, ok := o.raw[key]
	return ok && string(raw) != "null"
}

func (o *object) fail(key, want string) {
	if o.err == nil {
		o.err = fmt.Errorf("%s must be %s", quote(key), want)
	}
}

// into decodes a value that is there.
func (o *object) into(key, want string, v any) {
	if o.has(key) && json.Unmarshal(o.raw[key], v) != nil {
		o.fail(key, want)
	}
}

func (o *object) text(key string) (s string) {
	o.into(key, "a string", &s)
	return s
}

func (o *object) texts(key string) (list []string) {
	o.into(key, "a list of strings", &list)
	return list
}

func (o *object) list(key string) (list []json.RawMessage) {
	o.into(key, "a list", &list)
	return list
}

// value reads the value of a parameter of that type.
func (o *object) value(key string, t sdk.ParamType) any {
	raw := string(o.raw[key])
	switch t {
	case sdk.Int:
		if v, err := strconv.ParseInt(raw, 10, 64); err == nil {
			return v
		}
		o.fail(key, "a whole number of 64 bits")
	case sdk.Float:
		if v, err := strconv.ParseFloat(raw, 64); err == nil && !math.IsInf(v, 0) {
			return v
		}
		o.fail(key, "a number")
	case sdk.Bool:
		if v, err := strconv.ParseBool(raw); err == nil && len(raw) > 1 {
			return v
		}
		o.fail(key, "true or false")
	default:
		if o.has(key) {
			return o.text(key)
		}
		o.fail(key, "a string")
	}
	return nil
}

// bound reads an optional bound of a number.
func (o *object) bound(key string) *float64 {
	if !o.has(key) {
		return nil
	}
	v, ok := o.value(key, sdk.Float).(float64)
	if !ok {
		return nil
	}
	return &v
}

// end returns the first error, or that of a key which is not among the known.
func (o *object) end(known ...string) error {
	if o.err != nil {
		return o.err
	}
	for _, key := range slices.Sorted(maps.Keys(o.raw)) {
		if slices.Contains(known, key) {
			continue
		}
		if near, ok := nearest.Of(key, known); ok {
			return fmt.Errorf("unknown key %s; did you mean %q?", quote(key), near)
		}
		return fmt.Errorf("unknown key %s; known are %s", quote(key), strings.Join(known, ", "))
	}
	return nil
}

// quote quotes a foreign name for a message.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}
