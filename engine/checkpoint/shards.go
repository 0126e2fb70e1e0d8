package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine/checkpoint/internal/strictjson"
)

// Bounds of an index. The largest that are known name a hundred thousand
// tensors in two hundred files.
const (
	maxIndex  = 32 << 20 // bytes
	maxShards = 4096
	maxShard  = 255 // bytes of the name of a file
)

// IndexError reports an index of shards that is damaged, or that does not
// describe the files beside it.
type IndexError struct {
	File   string // name of the index
	Reason string
}

func (e *IndexError) Error() string { return e.File + " " + e.Reason }

// openShards opens an index, {"metadata": …, "weight_map": {tensor: file}}, and
// the shards that it names.
func (c *Checkpoint) openShards(l layout) error {
	index, err := openFile(c.fsys, l.file)
	if err != nil {
		return err
	}
	c.files = append(c.files, index)
	wrong := func(format string, args ...any) error {
		return &IndexError{File: index.name, Reason: fmt.Sprintf(format, args...)}
	}
	if index.size > maxIndex {
		return wrong("is larger than %d bytes: this is no index of weights", maxIndex)
	}
	c.shards = map[string]*file{}
	opened := map[string]*file{}
	shard := func(name string) (*file, error) {
		if f, ok := opened[name]; ok {
			return f, nil
		}
		if name == "." || !fs.ValidPath(name) || strings.ContainsAny(name, `/\:`) {
			return nil, wrong("names the shard %q, which is no name of a file in the folder", name)
		}
		if len(opened) == maxShards {
			return nil, wrong("names more than %d shards", maxShards)
		}
		f, err := c.openContainer(name, l.open)
		if errors.Is(err, fs.ErrNotExist) {
			err = &MissingError{File: name, Hint: index.name + " names it: some of the model's files are not there"}
		}
		opened[name] = f
		return f, err
	}

	json := strictjson.NewReader(io.LimitReader(index.File, index.size), 0)
	mapped := false
	err = json.Object(func(key []byte) error {
		if string(key) != "weight_map" {
			return json.Skip()
		}
		if mapped {
			return json.Fault("weight_map is there twice")
		}
		mapped = true
		return json.Object(func(key []byte) error {
			name := string(key)
			value, err := json.String(nil, maxShard)
			if err != nil {
				return err
			}
			if c.shards[name] != nil {
				return json.Fault("tensor %q is there twice", name)
			}
			f, err := shard(string(value))
			if err != nil {
				return err
			}
			if _, ok := f.tensors.Tensor(name); !ok {
				return wrong("says that tensor %q is in %s, which does not have it", name, f.name)
			}
			c.shards[name] = f
			return nil
		})
	})
	if err == nil {
		err = json.End()
	}
	switch syntax, ok := errors.AsType[*strictjson.SyntaxError](err); {
	case ok:
		return wrong("is no valid index, at byte %d: %s", syntax.Offset, syntax.Reason)
	case err != nil:
		return err
	case len(c.shards) == 0:
		return wrong("has no weight_map, which says where the tensors are")
	}
	slices.SortFunc(c.files[1:], func(a, b *file) int { return strings.Compare(a.name, b.name) })
	for _, f := range c.files[1:] {
		for _, name := range f.tensors.Names() {
			if home := c.shards[name]; home != nil && home != f {
				return wrong("says that tensor %q is in %s, but %s has one too", name, home.name, f.name)
			}
		}
	}
	return nil
}
