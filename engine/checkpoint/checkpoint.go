// Package checkpoint opens a model folder in the layout of Hugging Face:
// config.json, which says what the model is, and its weights, in one file or in
// several (shards), as safetensors or as PyTorch pickles. Architectures read
// both through it and never see a file.
//
// Where several files of weights lie in a folder, the first of these is read:
//
//	model.safetensors
//	model.safetensors.index.json   and the shards that it names
//	pytorch_model.bin
//	pytorch_model.bin.index.json   and the shards that it names
//
// Names follow the loader of the reference implementation: a tensor may be
// stored under its legacy name (LayerNorm.gamma and .beta for .weight and
// .bias), and the base prefix ("bert.") may be absent. What no architecture
// asks for, such as saved buffers or the heads of another task, is never read.
//
// Source of the order and of the name rules: huggingface/transformers,
// modeling_utils.py, from_pretrained, _load_state_dict_into_model and
// _load_pretrained_model.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
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

	fsys   fs.FS
	files  []*file          // one, or an index and then its shards by name
	shards map[string]*file // where a tensor is; nil if there is but one file
	unread int64            // bytes of files that may yet be read to open them
}

// Open reads the configuration and what the weights say of themselves. Close
// releases the files. What is missing is a [*MissingError], what has a layout
// that this package does not read an [*UnsupportedError], and an index that
// does not describe its shards an [*IndexError].
//
// Whatever the files say, Open takes less than 2 GB: for each byte that
// describes tensors, of which it reads at most 48 MiB in all files, it keeps at
// most 3 bytes of a safetensors header and 14 of a pickle, and while it reads a
// pickle, of at most 16 MiB, it takes 70 for each of it; for each byte of an index
// of at most 32 MiB it takes 8.
func Open(fsys fs.FS) (*Checkpoint, error) {
	if _, err := fs.Stat(fsys, "."); errors.Is(err, fs.ErrNotExist) {
		return nil, &MissingError{File: ".", Hint: "there is no such model folder: check the path"}
	} else if err != nil {
		return nil, fmt.Errorf("checkpoint: the model folder cannot be read: %w", err)
	}
	config, err := ReadConfig(fsys)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Config: config, fsys: fsys, unread: maxDescription}
	if err := c.openWeights(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close releases the files of weights. [Checkpoint.Config] and
// [Checkpoint.Digest] stay usable.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
