package checkpoint

import (
	"strings"

	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// Tensor describes the tensor of a name, which begins with prefix ("bert.") or
// stands outside of the base model. The file may have it without the prefix,
// and under its legacy name; the name that it has there is in the result.
func (c *Checkpoint) Tensor(prefix, name string) (stored.Info, bool) {
	_, info, ok := c.lookup(prefix, name)
	return info, ok
}

// lookup finds a tensor and the file that holds it.
func (c *Checkpoint) lookup(prefix, name string) (*file, stored.Info, bool) {
	names := []string{name}
	if base, ok := strings.CutPrefix(name, prefix); ok && prefix != "" {
		names = append(names, base)
	}
	for _, name := range names {
		for _, saved := range []string{name, legacyName(name)} {
			f := c.files[0]
			if c.shards != nil {
				f = c.shards[saved]
			}
			if f == nil {
				continue
			}
			if info, ok := f.tensors.Tensor(saved); ok {
				return f, info, true
			}
		}
	}
	return nil, stored.Info{}, false
}

// legacyName returns the name that a tensor had in files converted from
// TensorFlow, or the name itself.
func legacyName(name string) string {
	switch i := strings.LastIndexByte(name, '.') + 1; name[i:] {
	case "weight":
		return name[:i] + "gamma"
	case "bias":
		return name[:i] + "beta"
	}
	return name
}
