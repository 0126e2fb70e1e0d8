// Package checkpoint opens a model folder in the layout of Hugging Face:
// config.json, which says what the model is, and model.safetensors, which
// holds its tensors. Architectures read both through it and never see a file.
//
// Names follow the loader of the reference implementation: a tensor may be
// stored under its legacy name (LayerNorm.gamma and .beta for .weight and
// .bias), and the base prefix ("bert.") may be absent. What no architecture
// asks for, such as saved buffers or the heads of another task, is never read.
//
// Source of the name rules: huggingface/transformers, modeling_utils.py,
// _load_state_dict_into_model and _load_pretrained_model.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// The files of a model folder.
const (
	ConfigFile  = "config.json"
	WeightsFile = "model.safetensors"
)

// Checkpoint is an open model folder. Its methods may be called at the same
// time from many goroutines.
type Checkpoint struct {
	Config *Config

	fsys    fs.FS
	file    fs.File
	size    int64
	time    time.Time
	weights *safetensors.File
	index   map[string]string // canonical name → name in the file
}

// Open reads the configuration and the header of the weights. Close releases
// the file. What is missing is a [*MissingError], what has a layout that this
// package does not read a [*UnsupportedError].
func Open(fsys fs.FS) (*Checkpoint, error) {
	if _, err := fs.Stat(fsys, "."); errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{File: ".", Hint: "there is no such model folder: check the path"}
	} else if err != nil {
		return nil, fmt.Errorf("checkpoint: the model folder cannot be read: %w", err)
	}
	config, err := readConfig(fsys)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Config: config, fsys: fsys}
	if err := c.openWeights(); err != nil {
		return nil, err
	}
	return c, nil
}

// otherWeights are files that hold weights in formats this package does not read.
var otherWeights = []string{
	"model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack",
}

func (c *Checkpoint) openWeights() error {
	file, err := c.fsys.Open(WeightsFile)
	if errors.Is(err, fs.ErrNotExist) {
		for _, name := range otherWeights {
			if _, err := fs.Stat(c.fsys, name); err == nil {
				return &UnsupportedError{
					What: "weights stored as " + name,
					Hint: "save the model again as one safetensors file, for instance with save_pretrained(folder, safe_serialization=True, max_shard_size=\"100GB\")",
				}
			}
		}
		return &MissingError{File: WeightsFile, Hint: "a model folder needs it beside " + ConfigFile}
	}
	if err != nil {
		return fmt.Errorf("checkpoint: opening %s: %w", WeightsFile, err)
	}
	c.file = file
	if err := c.readHeader(); err != nil {
		file.Close()
		return err
	}
	return nil
}

func (c *Checkpoint) readHeader() error {
	info, err := c.file.Stat()
	if err != nil {
		return fmt.Errorf("checkpoint: opening %s: %w", WeightsFile, err)
	}
	c.size, c.time = info.Size(), info.ModTime()
	r, err := readerAt(c.file, c.size)
	if err != nil {
		return fmt.Errorf("checkpoint: reading %s: %w", WeightsFile, err)
	}
	if c.weights, err = safetensors.Open(r, c.size); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", WeightsFile, err)
	}
	c.index = map[string]string{}
	for _, name := range c.weights.Names() {
		canonical := canonicalName(name)
		// A tensor under its present name comes before a legacy one.
		if _, taken := c.index[canonical]; !taken || name == canonical {
			c.index[canonical] = name
		}
	}
	return nil
}

// canonicalName returns the present name of a tensor with a legacy one.
func canonicalName(name string) string {
	switch i := strings.LastIndexByte(name, '.'); name[i+1:] {
	case "gamma":
		return name[:i+1] + "weight"
	case "beta":
		return name[:i+1] + "bias"
	}
	return name
}

// lookup finds a tensor by its canonical name, with or without the base prefix.
func (c *Checkpoint) lookup(name, prefix string) (safetensors.Info, bool) {
	stored, ok := c.index[name]
	if !ok {
		base, has := strings.CutPrefix(name, prefix)
		if !has {
			return safetensors.Info{}, false
		}
		if stored, ok = c.index[base]; !ok {
			return safetensors.Info{}, false
		}
	}
	return c.weights.Tensor(stored)
}

// Elements returns the number of values in all tensors of the file, an upper
// bound of what an architecture can load.
func (c *Checkpoint) Elements() int64 {
	n := int64(0)
	for _, name := range c.weights.Names() {
		info, _ := c.weights.Tensor(name)
		n += int64(info.Elements())
	}
	return n
}

// Close releases the file of weights. [Checkpoint.Config] and
// [Checkpoint.Digest] stay usable.
func (c *Checkpoint) Close() error { return c.file.Close() }
