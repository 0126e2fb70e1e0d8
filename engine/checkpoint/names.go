package checkpoint

import (
	"strings"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
)

// DType names the number format of a stored tensor, as safetensors spells it.
type DType = raw.DType

// The floating-point formats of weights.
const (
	F16  = raw.F16
	BF16 = raw.BF16
	F32  = raw.F32
	F64  = raw.F64
)

// Info describes a stored tensor.
type Info = raw.Info

// Tensor describes the tensor of a name, which begins with prefix ("bert.") or
// stands outside of the base model. The file may have it without the prefix,
// and under its legacy name; the name that it has there is in the result.
func (c *Checkpoint) Tensor(prefix, name string) (Info, bool) {
	_, info, ok := c.lookup(prefix, name)
	return info, ok
}

// lookup finds a tensor and the file that holds it.
func (c *Checkpoint) lookup(prefix, name string) (*file, Info, bool) {
	names := []string{name}
	if base, ok := strings.CutPrefix(name, prefix); ok && prefix != "" {
		names = append(names, base)
	}
	for _, name := range names {
		for _, stored := range []string{name, legacyName(name)} {
			f := c.files[0]
			if c.shards != nil {
				f = c.shards[stored]
			}
			if f == nil {
				continue
			}
			if info, ok := f.tensors.Tensor(stored); ok {
				return f, info, true
			}
		}
	}
	return nil, Info{}, false
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
