// Package archtest holds architectures to what all of them promise: points with
// the names, axes and uses of the contract, graphs whose widths fit, and
// weights that are those of a checkpoint, all of them and no others. It is for
// tests alone.
package archtest

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
)

// Config is a config.json.
type Config map[string]any

// With returns c with another value for a key.
func (c Config) With(key string, value any) Config {
	c = maps.Clone(c)
	c[key] = value
	return c
}

// Open opens a configuration.
func Open(c Config) (*arch.Architecture, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Parse opens the text of a config.json.
func Parse(text []byte) (*arch.Architecture, error) {
	parsed, err := checkpoint.ParseConfig(text)
	if err != nil {
		return nil, err
	}
	modelType, err := parsed.ModelType()
	if err != nil {
		return nil, err
	}
	open, err := arch.Lookup(modelType)
	if err != nil {
		return nil, err
	}
	return open(parsed)
}

// Must is [Open] of a configuration that is right.
func Must(t testing.TB, c Config) *arch.Architecture {
	t.Helper()
	a, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Refusal is a value that a configuration may not have.
type Refusal struct {
	Key   string
	Value any
	Word  string // that the message has; where empty, the key
	// Unsupported tells that the error is a [*checkpoint.UnsupportedError]
	// rather than a [*checkpoint.ConfigError].
	Unsupported bool
}

// Refuses tests that a configuration is taken, and refused with each of the
// values.
func Refuses(t *testing.T, c Config, refusals []Refusal) {
	Must(t, c)
	for _, r := range refusals {
		_, err := Open(c.With(r.Key, r.Value))
		word := r.Word
		if word == "" {
			word = r.Key
		}
		var wrong *checkpoint.ConfigError
		var unsupported *checkpoint.UnsupportedError
		if r.Unsupported && !errors.As(err, &unsupported) || !r.Unsupported && !errors.As(err, &wrong) {
			t.Errorf("%s %v: %T %v", r.Key, r.Value, err, err)
		} else if !strings.Contains(err.Error(), word) {
			t.Errorf("%s %v: %q says nothing of %q", r.Key, r.Value, err, word)
		}
	}
}

// Dimensions are the refusals of numbers that are no dimension, for keys.
func Dimensions(keys ...string) (refusals []Refusal) {
	for _, key := range keys {
		for _, value := range []any{0, -1, 1 << 40, 1.5, "12", true} {
			refusals = append(refusals, Refusal{Key: key, Value: value})
		}
	}
	return refusals
}
