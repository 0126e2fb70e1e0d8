package seal

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/xai-go/xai/registry"
)

// Declare returns the text of a methods.toml in which the method e is declared as
// e says, in the place of the one of that name where there is one, and otherwise at
// the end. Limits that the text has already stay where e has none. Comments and
// order of all the rest are kept. An empty text becomes a file.
//
// Whatever it returns has been read back and holds exactly the methods that it
// should.
func Declare(text []byte, path string, e registry.Method) ([]byte, Change, error) {
	text, want, at, err := methodsOf(text, path, e.Name)
	if err != nil {
		return nil, 0, err
	}
	if at < 0 {
		out, err := added(text, path, want, e)
		return out, Added, err
	}
	if e.Limits == (registry.Limits{}) {
		e.Limits = want[at].Limits
	}
	if same(want[at], e) {
		return text, Unchanged, nil
	}
	want[at] = e
	out, err := rewrite(text, path, want, at)
	return out, Rewritten, err
}

// Remove returns the text of a methods.toml without the method of that name, its
// stanza and the comment right above it. The rest is kept as it is. It is an error
// where the text declares no such method.
func Remove(text []byte, path, name string) ([]byte, error) {
	file, err := registry.Parse(text, path)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(file.Methods, func(m registry.Method) bool { return m.Name == name })
	if at < 0 {
		return nil, fmt.Errorf("%s declares no method %s", path, name)
	}
	want := slices.Delete(slices.Clone(file.Methods), at, at+1)
	lines := slices.Collect(bytes.Lines(text))
	for _, l := range spans(lines, at) {
		begin, end := l.begin, l.end
		for begin > 0 && isComment(lines[begin-1]) {
			begin--
		}
		for end < len(lines) && isBlank(lines[end]) {
			end++
		}
		out := slices.Concat(bytes.Join(lines[:begin], nil), bytes.Join(lines[end:], nil))
		if end == len(lines) {
			out = append(bytes.TrimRight(out, " \t\r\n"), '\n')
		}
		if holds(out, path, want) == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s: the stanza of method %s cannot be told from the rest; take it out by hand", path, name)
}
