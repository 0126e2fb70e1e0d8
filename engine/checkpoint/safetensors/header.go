package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the longest header, in bytes, that the reference accepts.
const maxHeader = 100_000_000

// Info describes one tensor.
type Info struct {
	Name  string
	DType DType
	Shape []int // row-major; empty for a scalar

	begin, end int64 // within the buffer
}

// Elements returns the number of values.
func (i Info) Elements() int {
	n := 1
	for _, dim := range i.Shape {
		n *= dim
	}
	return n
}

// Bytes returns the size that the tensor occupies in the file.
func (i Info) Bytes() int64 { return i.end - i.begin }

// headerParser walks the JSON header token by token. encoding/json alone will
// not do: it accepts duplicate keys and repairs invalid UTF-8 in silence.
type headerParser struct {
	dec  *json.Decoder
	base int64 // offset of the header in the file
}

// parseHeader returns the tensors in the order of their data and the metadata.
// It checks everything but the fit of the last tensor into the file.
func parseHeader(header []byte, base int64) ([]Info, map[string]string, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, malformed(base, "the header is no JSON object: this is no safetensors file")
	}
	if i := invalidUTF8(header); i >= 0 {
		return nil, nil, malformed(base+int64(i), "the header is not valid UTF-8")
	}
	p := &headerParser{dec: json.NewDecoder(bytes.NewReader(header)), base: base}
	p.dec.UseNumber()

	var infos []Info
	metadata := map[string]string{}
	err := p.object(func(name string) error {
		if name == "__metadata__" {
			return p.object(func(key string) error {
				s, err := p.text("metadata " + strconv.Quote(key))
				metadata[key] = s
				return err
			})
		}
		info, err := p.tensor(name)
		infos = append(infos, info)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	end := p.dec.InputOffset()
	if rest := bytes.TrimLeft(header[end:], " \t\r\n"); len(rest) > 0 {
		return nil, nil, malformed(base+int64(len(header)-len(rest)), "text after the end of the header's JSON object")
	}
	return infos, metadata, tile(infos, base)
}

// tile sorts the tensors by position and checks that they follow each other
// from byte 0 without a hole and without an overlap.
func tile(infos []Info, base int64) error {
	slices.SortStableFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	next := int64(0)
	for _, info := range infos {
		if info.begin != next {
			return malformed(base, "tensor %q begins at byte %d of the buffer, but the tensor before it ends at %d", info.Name, info.begin, next)
		}
		next = info.end
	}
	return nil
}

// tensor reads one {"dtype": …, "shape": …, "data_offsets": …}. Unknown keys
// are skipped, as the reference does.
func (p *headerParser) tensor(name string) (Info, error) {
	info := Info{Name: name}
	var offsets []int
	seen := map[string]bool{}
	err := p.object(func(key string) (err error) {
		seen[key] = true
		switch key {
		case "dtype":
			var s string
			s, err = p.text(fmt.Sprintf("dtype of tensor %q", name))
			info.DType = DType(s)
		case "shape":
			info.Shape, err = p.sizes(fmt.Sprintf("shape of tensor %q", name))
		case "data_offsets":
			offsets, err = p.sizes(fmt.Sprintf("data_offsets of tensor %q", name))
		default:
			var skipped json.RawMessage
			if p.dec.Decode(&skipped) != nil {
				err = p.fault("tensor %q: the value of %q is no JSON", name, key)
			}
		}
		return err
	})
	if err != nil {
		return info, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[key] {
			return info, p.fault("tensor %q has no %s", name, key)
		}
	}
	if info.DType.rank() < 0 {
		return info, &UnsupportedError{Tensor: name, Feature: fmt.Sprintf("dtype %q", info.DType)}
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return info, p.fault("data_offsets of tensor %q are no range [begin, end): %v", name, offsets)
	}
	info.begin, info.end = int64(offsets[0]), int64(offsets[1])
	size, ok := info.DType.byteSize(info.Shape)
	if !ok {
		return info, p.fault("shape %v of tensor %q has no size in bytes as %s", info.Shape, name, info.DType)
	}
	if size != info.Bytes() {
		return info, p.fault("tensor %q has %d bytes, but its shape %v of %s needs %d", name, info.Bytes(), info.Shape, info.DType, size)
	}
	return info, nil
}

// object reads a JSON object and calls value for each key, which must consume
// the value that follows. Duplicate keys are refused.
func (p *headerParser) object(value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.dec.More() {
		token, err := p.token()
		if err != nil {
			return err
		}
		key, ok := token.(string)
		if !ok {
			return p.fault("a key of the header is no string")
		}
		if seen[key] {
			return p.fault("duplicate key %q", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

// sizes reads a JSON array of non-negative integers.
func (p *headerParser) sizes(what string) ([]int, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	sizes := []int{}
	for p.dec.More() {
		token, err := p.token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if !ok || err != nil || n > math.MaxInt {
			return nil, p.fault("the %s must hold non-negative integers, not %v", what, token)
		}
		sizes = append(sizes, int(n))
	}
	return sizes, p.delim(']')
}

func (p *headerParser) text(what string) (string, error) {
	token, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", p.fault("the %s must be a string, not %v", what, token)
	}
	return s, nil
}

func (p *headerParser) delim(want json.Delim) error {
	token, err := p.token()
	if err != nil {
		return err
	}
	if token != want {
		return p.fault("found %v where %v belongs", token, want)
	}
	return nil
}

func (p *headerParser) token() (json.Token, error) {
	token, err := p.dec.Token()
	if err == io.EOF {
		return nil, p.fault("the header's JSON ends early")
	}
	if err != nil {
		return nil, p.fault("the header is no JSON: %v", err)
	}
	return token, nil
}

func (p *headerParser) fault(format string, args ...any) error {
	return malformed(p.base+p.dec.InputOffset(), format, args...)
}

// invalidUTF8 returns the position of the first invalid byte, or -1.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
