package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
)

// maxConfig is the largest config.json that is read, in bytes.
const maxConfig = 4 << 20

// Config is a parsed config.json. It is immutable.
type Config struct {
	values map[string]json.RawMessage
	digest string
}

// ReadConfig reads the config.json of a model folder.
func ReadConfig(fsys fs.FS) (*Config, error) {
	file, err := openFile(fsys, ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{File: ConfigFile, Hint: "a model folder holds " + ConfigFile + " and " + WeightsFile + ", as save_pretrained writes them"}
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: reading %s: %w", ConfigFile, err)
	}
	return ParseConfig(text)
}

// ParseConfig parses the text of a config.json.
func ParseConfig(text []byte) (*Config, error) {
	if len(text) > maxConfig {
		return nil, &ConfigError{Reason: fmt.Sprintf("is larger than %d bytes: this is no model configuration", maxConfig)}
	}
	sum := sha256.Sum256(text)
	c := &Config{digest: hex.EncodeToString(sum[:])}
	if err := json.Unmarshal(text, &c.values); err != nil {
		return nil, &ConfigError{Reason: fmt.Sprintf("is no JSON object: %v", err)}
	}
	if c.values == nil {
		return nil, &ConfigError{Reason: "is no JSON object but null"}
	}
	return c, nil
}

// Digest returns the SHA-256 of the text in hexadecimal.
func (c *Config) Digest() string { return c.digest }

// value returns the raw value of a key; null counts as absent.
func (c *Config) value(key string) (json.RawMessage, bool) {
	raw, ok := c.values[key]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return nil, false
	}
	return raw, true
}

// ModelType returns model_type, the name of the family ("bert").
func (c *Config) ModelType() (string, error) {
	f := c.Fields()
	s := f.String("model_type", "")
	if f.Err() == nil && s == "" {
		return "", &ConfigError{Key: "model_type", Reason: "is missing: it names the family of the model, for instance \"bert\""}
	}
	return s, f.Err()
}

// Architecture returns architectures[0], the name of the reference
// implementation's class, which tells what head the model has
// ("BertForSequenceClassification").
func (c *Config) Architecture() (string, error) {
	raw, _ := c.value("architectures")
	var names []string
	if raw != nil && json.Unmarshal(raw, &names) != nil {
		return "", &ConfigError{Key: "architectures", Reason: "must be a list of names"}
	}
	if len(names) == 0 || names[0] == "" {
		return "", &ConfigError{Key: "architectures", Reason: "is missing: it names the head of the model, for instance [\"BertForSequenceClassification\"]"}
	}
	return names[0], nil
}

// Labels returns the names of the classes in the order of the logits: id2label,
// else the inverse of label2id, else LABEL_0 … for num_labels, which is 2 where
// the file does not say.
func (c *Config) Labels() ([]string, error) {
	byID := map[int]string{}
	if raw, ok := c.value("id2label"); ok {
		var names map[string]json.RawMessage
		if err := json.Unmarshal(raw, &names); err != nil {
			return nil, &ConfigError{Key: "id2label", Reason: "must be an object from class index to name"}
		}
		for key, name := range names {
			id, err := strconv.Atoi(key)
			if err != nil {
				return nil, &ConfigError{Key: "id2label", Reason: fmt.Sprintf("has the key %q, which is no class index", key)}
			}
			if byID[id], ok = label(name); !ok {
				return nil, &ConfigError{Key: "id2label", Reason: fmt.Sprintf("gives class %d the name %s; it must be a string", id, shorten(name))}
			}
		}
		return orderLabels("id2label", byID, len(names))
	}
	if raw, ok := c.value("label2id"); ok {
		var ids map[string]*int
		if err := json.Unmarshal(raw, &ids); err != nil {
			return nil, &ConfigError{Key: "label2id", Reason: "must be an object from name to class index"}
		}
		for name, id := range ids {
			if id == nil {
				return nil, &ConfigError{Key: "label2id", Reason: fmt.Sprintf("gives %q the index null; it must be an integer", name)}
			}
			byID[*id] = name
		}
		return orderLabels("label2id", byID, len(ids))
	}
	f := c.Fields()
	labels := make([]string, f.Int("num_labels", 2, 1, 1<<20))
	for i := range labels {
		labels[i] = "LABEL_" + strconv.Itoa(i)
	}
	return labels, f.Err()
}

// label returns the name of a class. A number, or true or false, is its own
// name, as the reference implementation prints it; null, a list and an object
// are none.
func label(raw json.RawMessage) (name string, ok bool) {
	switch raw[0] {
	case '"':
		return name, json.Unmarshal(raw, &name) == nil
	case 'n', '[', '{':
		return "", false
	}
	return string(raw), true
}

// orderLabels checks that the indices are 0 … n−1, each once.
func orderLabels(key string, byID map[int]string, n int) ([]string, error) {
	if n == 0 {
		return nil, &ConfigError{Key: key, Reason: "names no class"}
	}
	labels := make([]string, n)
	for i := range labels {
		name, ok := byID[i]
		if !ok {
			return nil, &ConfigError{Key: key, Reason: fmt.Sprintf("has %d classes, but none with index %d", n, i)}
		}
		labels[i] = name
	}
	return labels, nil
}

// The values of problem_type.
const (
	Regression  = "regression"
	SingleLabel = "single_label_classification"
	MultiLabel  = "multi_label_classification"
)

// ProblemType returns problem_type. Where the file does not say, one output is
// a regression and several are classes of which one is right, as in the
// reference implementation.
func (c *Config) ProblemType() (string, error) {
	f := c.Fields()
	kind := f.String("problem_type", "")
	if err := f.Err(); err != nil {
		return "", err
	}
	if kind == "" {
		labels, err := c.Labels()
		if err != nil {
			return "", err
		}
		if len(labels) == 1 {
			return Regression, nil
		}
		return SingleLabel, nil
	}
	if kinds := []string{Regression, SingleLabel, MultiLabel}; !slices.Contains(kinds, kind) {
		return "", &ConfigError{Key: "problem_type", Reason: fmt.Sprintf("is %q; it must be one of %q", kind, kinds)}
	}
	return kind, nil
}

// Fields returns a reader of single values.
func (c *Config) Fields() *Fields { return &Fields{config: c} }

// Fields reads values of a [Config] with defaults and bounds. It keeps the
// first error, so that a caller asks for all it needs and looks at
// [Fields.Err] once; a value at fault reads as absent.
type Fields struct {
	config *Config
	err    error
}

// Err returns the first error, a [*ConfigError].
func (f *Fields) Err() error { return f.err }

// Int returns an integer in [low, high], or absent where the key is missing.
func (f *Fields) Int(key string, absent, low, high int) int {
	v := absent
	if f.read(key, &v, "an integer") && (v < low || v > high) {
		f.fail(key, fmt.Sprintf("is %d; it must lie between %d and %d", v, low, high))
		return absent
	}
	return v
}

// Float returns a number in [low, high], or absent where the key is missing.
func (f *Fields) Float(key string, absent, low, high float64) float64 {
	v := absent
	if f.read(key, &v, "a number") && !(v >= low && v <= high) {
		f.fail(key, fmt.Sprintf("is %v; it must lie between %v and %v", v, low, high))
		return absent
	}
	return v
}

// Bool returns a truth value, or absent where the key is missing.
func (f *Fields) Bool(key string, absent bool) bool {
	v := absent
	f.read(key, &v, "true or false")
	return v
}

// String returns a string, or absent where the key is missing.
func (f *Fields) String(key, absent string) string {
	v := absent
	f.read(key, &v, "a string")
	return v
}

// Null tells whether the value of key is null, for keys where that is not the
// same as no value at all.
func (f *Fields) Null(key string) bool {
	_, present := f.config.values[key]
	_, given := f.config.value(key)
	return present && !given
}

// read decodes the value of key into v and reports whether there was one.
func (f *Fields) read(key string, v any, kind string) bool {
	raw, ok := f.config.value(key)
	if !ok || f.err != nil {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil { // v keeps its value
		f.fail(key, fmt.Sprintf("is %s; it must be %s", shorten(raw), kind))
		return false
	}
	return true
}

func (f *Fields) fail(key, reason string) {
	if f.err == nil {
		f.err = &ConfigError{Key: key, Reason: reason}
	}
}

// shorten keeps what a message quotes to a readable length.
func shorten(raw []byte) string {
	const most = 40
	if r := []rune(string(raw)); len(r) > most {
		return string(r[:most]) + "…"
	}
	return string(raw)
}
