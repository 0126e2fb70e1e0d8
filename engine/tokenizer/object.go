package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
)

// object is a JSON object that knows where it stands, for error messages. The
// values are parts of the file, which was checked as a whole.
type object struct {
	file, where string
	fields      map[string]json.RawMessage
}

// parseFile reads the JSON object that a file is.
func parseFile(file string, data []byte) (object, error) {
	var raw json.RawMessage // checks the syntax
	if err := decodeJSON(file, "", data, &raw); err != nil {
		return object{}, err
	}
	return parseObject(file, "", data)
}

// parseObject reads an object in a file. Of equal keys the last counts.
func parseObject(file, where string, raw []byte) (object, error) {
	raw = bytes.TrimLeft(raw, jsonSpace)
	if raw[0] != '{' {
		return object{}, &MalformedError{file, where, "should be an object"}
	}
	o := object{file: file, where: where, fields: make(map[string]json.RawMessage)}
	for key, value := range entries(raw) {
		o.fields[key] = value
	}
	return o, nil
}

const jsonSpace = " \t\r\n"

// entries yields the keys and the values of an object of valid JSON, in their
// order. It spares the large vocabularies the detour over a map, in which the
// order is lost.
func entries(raw []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		rest := bytes.TrimLeft(raw, jsonSpace)[1:]
		for {
			rest = bytes.TrimLeft(rest, jsonSpace+",")
			if rest[0] == '}' {
				return
			}
			n := valueLength(rest)
			key := string(rest[1 : n-1])
			if bytes.IndexByte(rest[:n], '\\') >= 0 {
				// A valid string cannot fail.
				_ = json.Unmarshal(rest[:n], &key)
			}
			rest = bytes.TrimLeft(rest[n:], jsonSpace+":")
			n = valueLength(rest)
			if !yield(key, json.RawMessage(rest[:n:n])) {
				return
			}
			rest = rest[n:]
		}
	}
}

// elements yields the values in an array of valid JSON, in their order.
func elements(raw []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		rest := bytes.TrimLeft(raw, jsonSpace)[1:]
		for {
			rest = bytes.TrimLeft(rest, jsonSpace+",")
			if rest[0] == ']' {
				return
			}
			n := valueLength(rest)
			if !yield(json.RawMessage(rest[:n:n])) {
				return
			}
			rest = rest[n:]
		}
	}
}

// valueLength returns the length of the value that valid JSON begins with.
func valueLength(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':', ' ', '\t', '\r', '\n':
			continue
		default:
			for i+1 < len(b) && bytes.IndexByte([]byte(",:]} \t\r\n"), b[i+1]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(b)
}

func decodeJSON(file, where string, data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return &MalformedError{file, fmt.Sprintf("byte %d", syntax.Offset), "is not JSON: " + syntax.Error()}
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return &MalformedError{file, where, fmt.Sprintf("should be %s, not a %s", kind(mismatch.Type), mismatch.Value)}
	}
	return &MalformedError{file, where, "does not make sense: " + err.Error()}
}

// kind names the JSON value that is read into a Go type.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "an array"
	case reflect.Int32, reflect.Int:
		return "a whole number in range"
	}
	return "a number"
}

// has says whether the object has the key, null or not.
func (o object) has(key string) bool {
	_, ok := o.fields[key]
	return ok
}

// null says whether the key is missing or null.
func (o object) null(key string) bool {
	raw, ok := o.fields[key]
	return !ok || string(raw) == "null"
}

// get reads the value of key into v; it leaves v alone if the key is missing or
// null.
func (o object) get(key string, v any) error {
	if o.null(key) {
		return nil
	}
	return decodeJSON(o.file, join(o.where, key), o.fields[key], v)
}

// need is get for a key that must be there.
func (o object) need(key string, v any) error {
	if o.null(key) {
		return o.malformed(key, "is missing")
	}
	return o.get(key, v)
}

// field is a place for the value of a key.
type field struct {
	key   string
	value any
}

// getAll is get for several keys.
func (o object) getAll(fields ...field) error {
	for _, f := range fields {
		if err := o.get(f.key, f.value); err != nil {
			return err
		}
	}
	return nil
}

// needAll is need for several keys.
func (o object) needAll(fields ...field) error {
	for _, f := range fields {
		if err := o.need(f.key, f.value); err != nil {
			return err
		}
	}
	return nil
}

// object returns the object at key, which must be there.
func (o object) object(key string) (object, error) {
	if o.null(key) {
		return object{}, o.malformed(key, "is missing")
	}
	return parseObject(o.file, join(o.where, key), o.fields[key])
}

// list returns the values in the array at key; there are none if it is missing.
func (o object) list(key string) ([]json.RawMessage, error) {
	var values []json.RawMessage
	err := o.get(key, &values)
	return values, err
}

// objects returns the objects in the array at key; there are none if it is
// missing.
func (o object) objects(key string) ([]object, error) {
	raw, err := o.list(key)
	if err != nil {
		return nil, err
	}
	list := make([]object, len(raw))
	for i := range raw {
		if list[i], err = parseObject(o.file, fmt.Sprintf("%s[%d]", join(o.where, key), i), raw[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (o object) malformed(key, problem string) error {
	return &MalformedError{o.file, join(o.where, key), problem}
}

func (o object) unsupported(component string) error {
	return &UnsupportedError{o.file, o.where, component, useIDs}
}

func join(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}
