package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The custom sections of a sealed module.
const (
	SectionMethod = "xai.method"
	SectionBuild  = "xai.build"
)

// header is the magic number and the version of a WebAssembly module.
const header = "\x00asm\x01\x00\x00\x00"

// Append returns the module with a custom section at its end.
func Append(module []byte, name string, content []byte) []byte {
	body := binary.AppendUvarint(nil, uint64(len(name)))
	body = append(body, name...)
	body = append(body, content...)
	module = append(module, 0)
	module = binary.AppendUvarint(module, uint64(len(body)))
	return append(module, body...)
}

// Sections returns the contents of the custom sections of that name, in their
// order.
func Sections(module []byte, name string) ([][]byte, error) {
	if len(module) < len(header) || string(module[:len(header)]) != header {
		return nil, errors.New("seal: not a WebAssembly module of version 1")
	}
	var found [][]byte
	for at := len(header); at < len(module); {
		id := module[at]
		size, n := binary.Uvarint(module[at+1:])
		start := at + 1 + n
		if n <= 0 || size > uint64(len(module)-start) {
			return nil, fmt.Errorf("seal: the section at byte %d reaches beyond the module", at)
		}
		body := module[start : start+int(size)]
		at = start + int(size)
		if id != 0 {
			continue
		}
		length, n := binary.Uvarint(body)
		if n <= 0 || length > uint64(len(body)-n) {
			return nil, fmt.Errorf("seal: the custom section at byte %d has no name", start)
		}
		if end := n + int(length); string(body[n:end]) == name {
			found = append(found, body[end:])
		}
	}
	return found, nil
}
