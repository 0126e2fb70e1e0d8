package seal

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/xai-go/xai/registry"
)

// Entry returns the declaration of the method as a module with that address and
// SHA-256.
func (m Method) Entry(url, sha256 string) registry.Method {
	e := registry.Method{
		Name: m.Name, Kind: registry.KindWASM, URL: url, SHA256: sha256,
		ABI: m.ABI, Version: m.Version, Summary: m.Summary, Source: m.Source,
	}
	for _, n := range m.Needs {
		e.Needs = append(e.Needs, string(n))
	}
	for _, p := range m.Params {
		e.Params = append(e.Params, registry.Param{
			Name: p.Name, Aliases: p.Aliases, Type: string(p.Type), Default: p.Default,
			Min: p.Min, Max: p.Max, Values: p.Values, Doc: p.Doc, Compat: p.Compat,
		})
	}
	return e
}

// Stanza returns the declaration as the part of a methods.toml that it is.
func Stanza(e registry.Method) (string, error) {
	file := registry.File{Path: "methods.toml", Methods: []registry.Method{e}}
	data, err := file.Marshal()
	if err != nil {
		return "", err
	}
	_, stanza, _ := strings.Cut(string(data), "\n\n")
	return stanza, nil
}

// Change is what Update had to do.
type Change int

// The changes that Update makes.
const (
	Unchanged Change = iota
	Pinned           // the hash alone
	Rewritten        // the method's whole stanza
	Added            // a stanza at the end
)

// String returns the change as a word.
func (c Change) String() string {
	return [...]string{"unchanged", "pinned", "rewritten", "added"}[c]
}

// header begins a method in a methods.toml.
var header = regexp.MustCompile(`^[ \t]*\[\[[ \t]*method[ \t]*\]\][ \t]*(#.*)?\r?\n?$`)

// Update returns the text of a methods.toml in which the method e is declared
// as e says, but for its kind, address, limits, signer and confinement, which
// stay as they were. Nothing else of the text changes: comments and order of all
// the rest are kept, and those within the method's stanza too where the hash
// alone differs. An empty text becomes a file.
//
// Whatever it returns has been read back and holds exactly the methods that it
// should.
func Update(text []byte, path string, e registry.Method) ([]byte, Change, error) {
	text, want, at, err := methodsOf(text, path, e.Name)
	if err != nil {
		return nil, 0, err
	}
	if at < 0 {
		out, err := added(text, path, want, e)
		return out, Added, err
	}
	old := want[at]
	if len(old.Artifacts) > 0 {
		return nil, 0, fmt.Errorf("%s: method %s has an executable a platform, each with its hash; write them by hand", path, e.Name)
	}
	e.Kind, e.URL, e.Limits, e.Signer, e.Confine = old.Kind, old.URL, old.Limits, old.Signer, old.Confine
	want[at] = e
	if same(old, e) {
		return text, Unchanged, nil
	}
	previous := old.SHA256
	if old.SHA256 = e.SHA256; same(old, e) {
		if out := pin(text, path, previous, want, at); out != nil {
			return out, Pinned, nil
		}
	}
	out, err := rewrite(text, path, want, at)
	return out, Rewritten, err
}

// methodsOf returns the methods of a methods.toml, which is begun where it is
// empty, and the index of that name, -1 where it is not there.
func methodsOf(text []byte, path, name string) (begun []byte, methods []registry.Method, at int, err error) {
	if len(bytes.TrimSpace(text)) == 0 {
		text = fmt.Appendf(nil, "schema = %d\n", registry.Schema)
	}
	file, err := registry.Parse(text, path)
	if err != nil {
		return nil, nil, 0, err
	}
	methods = slices.Clone(file.Methods)
	return text, methods, slices.IndexFunc(methods, func(m registry.Method) bool { return m.Name == name }), nil
}

// added returns the text with the stanza of one more method at its end.
func added(text []byte, path string, want []registry.Method, e registry.Method) ([]byte, error) {
	stanza, err := Stanza(e)
	if err != nil {
		return nil, err
	}
	out := slices.Concat(bytes.TrimRight(text, " \t\r\n"), []byte("\n\n"), []byte(stanza))
	return out, holds(out, path, append(want, e))
}

// pin replaces the hash of method at, nil where it does not find it.
func pin(text []byte, path, previous string, want []registry.Method, at int) []byte {
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(previous))
		if i < 0 {
			return nil
		}
		from += i
		out := slices.Concat(text[:from], []byte(want[at].SHA256), text[from+len(previous):])
		if holds(out, path, want) == nil {
			return out
		}
		from += len(previous)
	}
}

// rewrite replaces the stanza of method at, up to the comments ahead of what
// follows it.
func rewrite(text []byte, path string, want []registry.Method, at int) ([]byte, error) {
	stanza, err := Stanza(want[at])
	if err != nil {
		return nil, err
	}
	lines := slices.Collect(bytes.Lines(text))
	for _, l := range spans(lines, at) {
		out := slices.Concat(bytes.Join(lines[:l.begin], nil), []byte(stanza), bytes.Join(lines[l.end:], nil))
		if holds(out, path, want) == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s: the stanza of method %s cannot be told from the rest; write it by hand:\n\n%s", path, want[at].Name, stanza)
}

// span is where the lines of a stanza are, from its header to its last line.
type span struct{ begin, end int }

// spans returns what may be the stanzas of a text, that of method at first: a text
// within quotes may look like a header too.
func spans(lines [][]byte, at int) []span {
	var all []span
	for begin, line := range lines {
		if !header.Match(line) {
			continue
		}
		end := begin + 1
		for end < len(lines) && !header.Match(lines[end]) {
			end++
		}
		for ; end > begin+1; end-- {
			if line := lines[end-1]; !isBlank(line) && !isComment(line) {
				break
			}
		}
		all = append(all, span{begin, end})
	}
	if at < len(all) {
		all[0], all[at] = all[at], all[0]
	}
	return all
}

func isBlank(line []byte) bool   { return len(bytes.TrimSpace(line)) == 0 }
func isComment(line []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) }

// holds checks that a text declares exactly those methods.
func holds(text []byte, path string, want []registry.Method) error {
	file, err := registry.Parse(text, path)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(file.Methods, want, same) {
		return fmt.Errorf("%s: the change would reach other methods", path)
	}
	return nil
}

// same reports whether two declarations are the same text.
func same(a, b registry.Method) bool {
	one, err := Stanza(a)
	if err != nil {
		return false
	}
	other, err := Stanza(b)
	return err == nil && one == other
}
