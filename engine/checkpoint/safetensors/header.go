package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
	"github.com/xai-go/xai/engine/checkpoint/internal/strictjson"
	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// Limits of a header.
const (
	maxHeader   = 100_000_000 // bytes, as in the reference
	maxMetadata = 1 << 16     // keys of __metadata__, whose map costs more than their text
	maxText     = 16 << 20    // bytes of one of its strings
	maxDType    = 64          // bytes of the name of a format
	maxRank     = 64          // dimensions of a tensor
)

// header is what Open keeps of a header. Its size is less than twice that of
// the text, however many tensors there are, because the garbage collector sees
// four objects and not four for each tensor.
type header struct {
	entries  []entry  // in the order of their data
	byName   []uint32 // indices into entries
	text     string   // what entries refer to: names, and shapes as varints
	metadata map[string]string
}

// entry is a tensor: text[name:shape] is its name, text[shape:end] its shape.
type entry struct {
	begin, stop      int64 // within the buffer of values
	name, shape, end uint32
	rank             uint8 // of its format
}

// The shortest text of a tensor, of which a header holds the more the less
// each takes.
const shortestEntry = len(`"":{"dtype":"U8","shape":[],"data_offsets":[0,0]}`) + 1

// find returns the index of the tensor with a name.
func (h *header) find(name string) (int, bool) {
	i := sort.Search(len(h.byName), func(i int) bool { return h.name(h.entries[h.byName[i]]) >= name })
	if i == len(h.byName) || h.name(h.entries[h.byName[i]]) != name {
		return 0, false
	}
	return int(h.byName[i]), true
}

func (h *header) name(e entry) string { return h.text[e.name:e.shape] }

func (h *header) info(e entry) stored.Info {
	shape := []int{}
	for varints := []byte(h.text[e.shape:e.end]); len(varints) > 0; {
		dim, n := binary.Uvarint(varints)
		shape = append(shape, int(dim))
		varints = varints[n:]
	}
	return stored.Info{Name: h.name(e), DType: formats[e.rank].dtype, Shape: shape}
}

// headerParser reads the JSON of a header.
type headerParser struct {
	json *strictjson.Reader
	text strings.Builder
	dims []int  // of the tensor that is being read
	word []byte // a short string
}

// parseHeader reads a header of size bytes at offset base of the file. It
// checks everything but the fit of the last tensor into the file. The caller
// has compared size with that of the file.
func parseHeader(r io.Reader, size int, base int64) (*header, error) {
	p := &headerParser{json: strictjson.NewReader(r, base)}
	// Enough for any header, so that nothing is copied to grow.
	p.text.Grow(size)
	h := &header{entries: make([]entry, 0, size/shortestEntry), metadata: map[string]string{}}
	seen := false
	err := p.json.Object(func(key []byte) error {
		if string(key) == "__metadata__" {
			if seen {
				return p.json.Fault("duplicate key %q", key)
			}
			seen = true
			return p.metadata(h.metadata)
		}
		e, err := p.tensor(key)
		h.entries = append(h.entries, e)
		return err
	})
	if err == nil {
		err = p.json.End()
	}
	if err != nil {
		if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
			return nil, malformed(syntax.Offset, "the header: %s", syntax.Reason)
		}
		return nil, err
	}
	h.text = p.text.String()
	slices.SortStableFunc(h.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.stop, b.stop))
	})
	h.byName = make([]uint32, len(h.entries))
	for i := range h.byName {
		h.byName[i] = uint32(i)
	}
	slices.SortFunc(h.byName, func(a, b uint32) int { return strings.Compare(h.name(h.entries[a]), h.name(h.entries[b])) })
	return h, h.check(base)
}

// check holds that names are unique, and that the tensors follow each other
// from byte 0 without a hole and without an overlap.
func (h *header) check(base int64) error {
	for i := 1; i < len(h.byName); i++ {
		if name := h.name(h.entries[h.byName[i]]); name == h.name(h.entries[h.byName[i-1]]) {
			return malformed(base, "the header: duplicate key %q", name)
		}
	}
	next := int64(0)
	for _, e := range h.entries {
		if e.begin != next {
			return malformed(base, "tensor %q begins at byte %d of the buffer, but the tensor before it ends at %d", h.name(e), e.begin, next)
		}
		next = e.stop
	}
	return nil
}

// metadata reads an object of strings.
func (p *headerParser) metadata(into map[string]string) error {
	return p.json.Object(func(key []byte) error {
		name := string(key)
		if _, taken := into[name]; taken {
			return p.json.Fault("duplicate key %q of the metadata", name)
		}
		if len(into) == maxMetadata {
			return p.json.Fault("the metadata have more than %d keys", maxMetadata)
		}
		var err error
		p.word, err = p.json.String(p.word[:0], maxText)
		into[name] = string(p.word)
		return err
	})
}

// tensor reads one {"dtype": …, "shape": …, "data_offsets": …}. Unknown keys
// are skipped, as the reference does.
func (p *headerParser) tensor(key []byte) (entry, error) {
	e := entry{name: uint32(p.text.Len())}
	p.text.Write(key)
	e.shape = uint32(p.text.Len())
	name := func() string { return p.text.String()[e.name:e.shape] }

	dtype := stored.DType("")
	offsets := [2]int64{}
	known := []string{"dtype", "shape", "data_offsets"}
	seen := [3]bool{}
	err := p.json.Object(func(key []byte) error {
		field := slices.Index(known, string(key))
		if field < 0 {
			return p.json.Skip()
		}
		if seen[field] {
			return p.json.Fault("duplicate key %q of tensor %q", key, name())
		}
		seen[field] = true
		switch known[field] {
		case "dtype":
			var err error
			p.word, err = p.json.String(p.word[:0], maxDType)
			dtype = stored.DType(p.word)
			return err
		case "shape":
			return p.shape(name)
		default:
			return p.offsets(name, &offsets)
		}
	})
	if err != nil {
		return e, err
	}
	e.end = uint32(p.text.Len())
	for i, field := range known {
		if !seen[i] {
			return e, p.json.Fault("tensor %q has no %s", name(), field)
		}
	}
	rank := rank(dtype)
	if rank < 0 {
		return e, &UnsupportedError{Tensor: name(), Feature: fmt.Sprintf("dtype %q", dtype), Hint: raw.FloatForm.Hint()}
	}
	e.rank, e.begin, e.stop = uint8(rank), offsets[0], offsets[1]
	size, ok := byteSize(rank, p.dims)
	if !ok {
		return e, p.json.Fault("shape %v of tensor %q has no size in bytes as %s", p.dims, name(), dtype)
	}
	if have := e.stop - e.begin; size != have {
		return e, p.json.Fault("tensor %q has %d bytes, but its shape %v of %s needs %d", name(), have, p.dims, dtype, size)
	}
	return e, nil
}

// shape reads the dimensions of a tensor into p.dims, and behind its name.
func (p *headerParser) shape(name func() string) error {
	p.dims = p.dims[:0]
	var varint [binary.MaxVarintLen64]byte
	return p.json.Array(func() error {
		dim, err := p.size("shape", name)
		switch {
		case err != nil:
			return err
		case dim > math.MaxInt:
			return p.json.Fault("the dimension %d of tensor %q is too large for this machine", dim, name())
		case len(p.dims) == maxRank:
			return &UnsupportedError{Tensor: name(), Feature: fmt.Sprintf("a shape of more than %d dimensions", maxRank), Hint: "save it again in a shape of fewer"}
		}
		p.dims = append(p.dims, int(dim))
		p.text.Write(binary.AppendUvarint(varint[:0], uint64(dim)))
		return nil
	})
}

func (p *headerParser) offsets(name func() string, into *[2]int64) error {
	n := 0
	err := p.json.Array(func() error {
		offset, err := p.size("data_offsets", name)
		if n < 2 {
			into[n] = offset
		}
		n++
		return err
	})
	if err == nil && (n != 2 || into[0] > into[1]) {
		err = p.json.Fault("data_offsets of tensor %q are no range [begin, end)", name())
	}
	return err
}

// size reads one number of a field of a tensor.
func (p *headerParser) size(field string, name func() string) (int64, error) {
	n, err := p.json.Size()
	if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
		err = malformed(syntax.Offset, "the header: the %s of tensor %q must hold non-negative integers: %s", field, name(), syntax.Reason)
	}
	return n, err
}
