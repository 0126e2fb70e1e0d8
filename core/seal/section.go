package seal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// The custom sections of a sealed module.
const (
	SectionMethod = "xai.method"
	SectionBuild  = "xai.build"
)

// Header is the magic number and the version that a module begins with.
const Header = "\x00asm\x01\x00\x00\x00"

// Build says what a module was built from. It is the content of the section
// xai.build.
type Build struct {
	Sources   string `json:"sources,omitempty"` // SHA-256 over the sources, as the builder defines it
	Toolchain string `json:"toolchain"`         // for example "go1.26.8"
}

// Seal returns the module with a section for each method and, unless build is
// nil, one for it; a build that the module says already stays where build is
// nil. Sections of these names that it had give way.
func Seal(module []byte, methods []Method, build *Build) ([]byte, error) {
	if len(methods) == 0 {
		return nil, errors.New("the module has no method to describe")
	}
	rest, taken, err := part(module)
	if err != nil {
		return nil, err
	}
	for _, m := range methods {
		rest = appendSection(rest, SectionMethod, m.Marshal())
	}
	if build != nil {
		content, err := json.Marshal(build)
		if err != nil {
			return nil, err
		}
		return appendSection(rest, SectionBuild, content), nil
	}
	for _, content := range taken[SectionBuild] {
		rest = appendSection(rest, SectionBuild, content)
	}
	return rest, nil
}

// Methods returns the descriptions that the module carries, in their order.
func Methods(module []byte) ([]Method, error) {
	_, sections, err := part(module)
	if err != nil {
		return nil, err
	}
	var methods []Method
	for _, content := range sections[SectionMethod] {
		m, err := Parse(content)
		if err != nil {
			return nil, fmt.Errorf("the section %s: %w", SectionMethod, err)
		}
		methods = append(methods, m)
	}
	return methods, distinct(methods)
}

// BuildOf returns what the module says of its build, nil where it says nothing.
func BuildOf(module []byte) (*Build, error) {
	_, sections, err := part(module)
	if err != nil || len(sections[SectionBuild]) == 0 {
		return nil, err
	}
	var b Build
	if err := json.Unmarshal(sections[SectionBuild][0], &b); err != nil {
		return nil, fmt.Errorf("the section %s is not the JSON of a build: %w", SectionBuild, err)
	}
	return &b, nil
}

// part parts a module into the contents of the sections of this package and a
// copy of all the rest.
func part(module []byte) (rest []byte, sections map[string][][]byte, err error) {
	if len(module) < len(Header) || string(module[:len(Header)]) != Header {
		return nil, nil, errors.New("this is not a WebAssembly module of version 1")
	}
	rest = append(make([]byte, 0, len(module)+1<<10), Header...)
	sections = make(map[string][][]byte)
	for at := len(Header); at < len(module); {
		begin, id := at, module[at]
		size, n := binary.Uvarint(module[at+1:])
		at += 1 + max(n, 0)
		if n <= 0 || size > uint64(len(module)-at) {
			return nil, nil, fmt.Errorf("the section at byte %d reaches beyond the module", begin)
		}
		body := module[at : at+int(size)]
		at += int(size)
		if id == 0 {
			length, n := binary.Uvarint(body)
			if n <= 0 || length > uint64(len(body)-n) {
				return nil, nil, fmt.Errorf("the custom section at byte %d has no name", begin)
			}
			name := string(body[n : n+int(length)])
			if name == SectionMethod || name == SectionBuild {
				sections[name] = append(sections[name], body[n+int(length):])
				continue
			}
		}
		rest = append(rest, module[begin:at]...)
	}
	return rest, sections, nil
}

func appendSection(module []byte, name string, content []byte) []byte {
	body := binary.AppendUvarint(nil, uint64(len(name)))
	body = append(body, name...)
	body = append(body, content...)
	module = append(module, 0)
	module = binary.AppendUvarint(module, uint64(len(body)))
	return append(module, body...)
}
