package checkpoint

import (
	"fmt"
	"io/fs"
)

// MissingError reports a model folder, or a file in it, that does not exist.
// It unwraps to [fs.ErrNotExist].
type MissingError struct {
	File string // "." is the folder itself
	Hint string // what to do
}

func (e *MissingError) Error() string {
	if e.File == "." {
		return e.Hint
	}
	return fmt.Sprintf("%s is missing: %s", e.File, e.Hint)
}

func (e *MissingError) Unwrap() error { return fs.ErrNotExist }

// ConfigError reports a value of config.json that makes no sense.
type ConfigError struct {
	Key    string // empty where the file as a whole is at fault
	Reason string
}

func (e *ConfigError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s %s", ConfigFile, e.Reason)
	}
	return fmt.Sprintf("%s: %s %s", ConfigFile, e.Key, e.Reason)
}

// TensorError reports a tensor that is absent or does not have the shape that
// the configuration asks for.
type TensorError struct {
	File string
	Name string
	Want []int
	Got  []int // nil where the tensor is absent
}

func (e *TensorError) Error() string {
	if e.Got == nil {
		return fmt.Sprintf("%s has no tensor %s, which should have shape %v by %s", e.File, e.Name, e.Want, ConfigFile)
	}
	return fmt.Sprintf("%s: tensor %s has shape %v, but by %s it should have %v", e.File, e.Name, e.Got, ConfigFile, e.Want)
}

// UnsupportedError reports a valid model that needs something which does not
// exist here.
type UnsupportedError struct {
	What string // for instance `hidden_act "gelu_3"`
	Hint string // what to do, or what is supported; may be empty
}

func (e *UnsupportedError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s is not supported", e.What)
	}
	return fmt.Sprintf("%s is not supported: %s", e.What, e.Hint)
}
