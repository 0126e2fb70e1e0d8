package fma

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// platforms are those whose files are examined: a file that builds for one of
// them alone is seen too.
var platforms = []struct{ goos, goarch string }{
	{"linux", "amd64"}, {"linux", "arm64"}, {"wasip1", "wasm"},
}

// checked is a package with its types.
type checked struct {
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
}

// listed is a package as go list prints it.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string
	DepOnly    bool
	Error      *struct{ Err string }
}

// load parses and type-checks the packages in dir and below it, one time for
// each distinct set of files that a platform gives them.
func load(dir string) ([]checked, error) {
	var result []checked
	seen := map[string]bool{}
	fset := token.NewFileSet()
	for _, p := range platforms {
		packages, err := list(dir, p.goos, p.goarch)
		if err != nil {
			return nil, err
		}
		im := &sourceImporter{
			fset: fset, sizes: types.SizesFor("gc", p.goarch),
			listed: map[string]*listed{}, done: map[string]*types.Package{"unsafe": types.Unsafe},
		}
		for i := range packages {
			im.listed[packages[i].ImportPath] = &packages[i]
		}
		for i := range packages {
			l := &packages[i]
			key := l.Dir + "\n" + strings.Join(l.GoFiles, "\n")
			if l.DepOnly || len(l.GoFiles) == 0 || seen[key] {
				continue
			}
			seen[key] = true
			c, err := im.check(l)
			if err != nil {
				return nil, err
			}
			result = append(result, *c)
		}
	}
	if len(seen) == 0 {
		return nil, fmt.Errorf("fma: no Go packages in %s: name a folder of this module that holds some", dir)
	}
	return result, nil
}

// list asks the go command for the packages in dir, below it, and all that
// they import.
func list(dir, goos, goarch string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,ImportMap,DepOnly,Error", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("fma: go list in %s: %w: %s", dir, err, bytes.TrimSpace(stderr.Bytes()))
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("fma: reading the answer of go list: %w", err)
		}
		if l.Error != nil {
			return nil, fmt.Errorf("fma: %s: %s", l.ImportPath, l.Error.Err)
		}
		packages = append(packages, l)
	}
}

// sourceImporter type-checks packages from their source. It skips the bodies
// of functions in imported packages, so that the standard library costs
// little, and builds nothing.
type sourceImporter struct {
	fset   *token.FileSet
	sizes  types.Sizes
	listed map[string]*listed
	done   map[string]*types.Package
}

// mapped imports on behalf of one package, whose ImportMap names the vendored
// copies that it means.
type mapped struct {
	*sourceImporter
	names map[string]string
}

// Import implements types.Importer.
func (m mapped) Import(path string) (*types.Package, error) {
	if p, ok := m.names[path]; ok {
		path = p
	}
	if p := m.done[path]; p != nil {
		return p, nil
	}
	l := m.listed[path]
	if l == nil {
		return nil, fmt.Errorf("go list did not name %s", path)
	}
	files, err := m.parse(l)
	if err != nil {
		return nil, err
	}
	config := types.Config{
		Importer: mapped{m.sourceImporter, l.ImportMap}, Sizes: m.sizes, IgnoreFuncBodies: true, FakeImportC: true,
	}
	p, err := config.Check(path, m.fset, files, nil)
	if err != nil {
		return nil, err
	}
	m.done[path] = p
	return p, nil
}

// check parses and type-checks the package, bodies included.
func (im *sourceImporter) check(l *listed) (*checked, error) {
	files, err := im.parse(l)
	if err != nil {
		return nil, fmt.Errorf("fma: %w", err)
	}
	c := &checked{fset: im.fset, files: files, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
	}}
	config := types.Config{Importer: mapped{im, l.ImportMap}, Sizes: im.sizes}
	if _, err := config.Check(l.ImportPath, im.fset, files, c.info); err != nil {
		return nil, fmt.Errorf("fma: %w", err)
	}
	return c, nil
}

func (im *sourceImporter) parse(l *listed) ([]*ast.File, error) {
	files := make([]*ast.File, len(l.GoFiles))
	for i, name := range l.GoFiles {
		f, err := parser.ParseFile(im.fset, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files[i] = f
	}
	return files, nil
}
