package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/build"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/core/seal"
)

// Current returns what a module of the main package in dir would be built from
// today. The root is the folder of go.mod, and dir is relative to it.
func Current(root, dir string) (seal.Build, error) {
	mod, err := readModule(root)
	if err != nil {
		return seal.Build{}, err
	}
	files, err := mod.sources(dir)
	if err != nil {
		return seal.Build{}, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "go %s\n", mod.language)
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return seal.Build{}, err
		}
		// Git may check the same sources out with other line endings.
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		fmt.Fprintf(h, "%s %x\n", file, sha256.Sum256(data))
	}
	return seal.Build{Sources: hex.EncodeToString(h.Sum(nil)), Toolchain: mod.toolchain}, nil
}

// Sources returns the files that the main package in dir is built from under
// wasip1: the Go files, tests apart, of every package of this module that it
// imports, sorted, with slashes, relative to the root.
func Sources(root, dir string) ([]string, error) {
	mod, err := readModule(root)
	if err != nil {
		return nil, err
	}
	return mod.sources(dir)
}

// module is what go.mod says.
type module struct {
	root      string
	path      string
	language  string // of the go line, for example "1.26.0"
	toolchain string
}

func readModule(root string) (module, error) {
	file := filepath.Join(root, "go.mod")
	data, err := os.ReadFile(file)
	if err != nil {
		return module{}, err
	}
	m := module{root: root}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "module":
			m.path = fields[1]
		case "go":
			m.language = fields[1]
		case "toolchain":
			m.toolchain = fields[1]
		}
	}
	if m.path == "" || m.language == "" || m.toolchain == "" {
		return module{}, fmt.Errorf("bundle: %s needs a module, a go and a toolchain line", file)
	}
	return m, nil
}

// sources walks the imports from dir. It depends on the files and on go.mod
// alone, so that every version of Go finds the same.
func (m module) sources(dir string) ([]string, error) {
	tags, err := m.releaseTags()
	if err != nil {
		return nil, err
	}
	ctx := build.Context{
		GOOS:        "wasip1",
		GOARCH:      "wasm",
		GOROOT:      build.Default.GOROOT,
		Compiler:    "gc",
		ReleaseTags: tags,
	}
	var files []string
	queue := []string{path.Clean(dir)}
	for i := 0; i < len(queue); i++ {
		dir := queue[i]
		p, err := ctx.ImportDir(filepath.Join(m.root, filepath.FromSlash(dir)), 0)
		if err != nil {
			return nil, err
		}
		if other := slices.Concat(p.CgoFiles, p.SFiles, p.HFiles, p.CFiles, p.SysoFiles, p.EmbedPatterns); len(other) > 0 {
			return nil, fmt.Errorf("bundle: %s is built from more than Go files: %s", dir, strings.Join(other, ", "))
		}
		for _, name := range p.GoFiles {
			files = append(files, path.Join(dir, name))
		}
		for _, imported := range p.Imports {
			sub, ours := strings.CutPrefix(imported, m.path+"/")
			switch {
			case ours && !slices.Contains(queue, sub):
				queue = append(queue, sub)
			case !ours && strings.Contains(strings.SplitN(imported, "/", 2)[0], "."):
				return nil, fmt.Errorf("bundle: %s imports %s: a built-in module imports this module and the standard library alone", dir, imported)
			}
		}
	}
	slices.Sort(files)
	return files, nil
}

// releaseTags are the build tags of the toolchain's releases, go1.1 and so on.
func (m module) releaseTags() ([]string, error) {
	parts := strings.Split(m.toolchain, ".")
	if len(parts) >= 2 && parts[0] == "go1" {
		if minor, err := strconv.Atoi(parts[1]); err == nil && minor > 0 {
			tags := make([]string, minor)
			for i := range tags {
				tags[i] = "go1." + strconv.Itoa(i+1)
			}
			return tags, nil
		}
	}
	return nil, fmt.Errorf("bundle: the toolchain %q of go.mod is no release of Go 1", m.toolchain)
}
