package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// object is a JSON object that knows where it stands, for error messages.
type object struct {
	file, where string
	fields      map[string]json.RawMessage
}

func parseObject(file, where string, data []byte) (object, error) {
	o := object{file: file, where: where}
	err := decodeJSON(file, where, data, &o.fields)
	return o, err
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
		if mismatch.Field != "" {
			where = join(where, mismatch.Field)
		}
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
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return kind(t.Elem())
	case reflect.Int32, reflect.Int64, reflect.Int:
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
	return !ok || bytes.Equal(raw, []byte("null"))
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

func (o object) malformed(key, problem string) error {
	where := o.where
	if key != "" {
		where = join(where, key)
	}
	return &MalformedError{o.file, where, problem}
}

func (o object) unsupported(component string) error {
	return &UnsupportedError{o.file, o.where, component}
}

func join(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}
