package registry

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/internal/regular"
)

// BuiltinPath stands for the path of the registry file inside the binary.
const BuiltinPath = "builtin:methods.toml"

// Origin says why a registry file was considered.
type Origin string

// The origins, in order of precedence. A project's file is whatever the
// project that happens to be the working directory brought along.
const (
	OriginFlag    Origin = "flag"        // --registry
	OriginEnv     Origin = "environment" // $XAI_METHODS
	OriginProject Origin = "project"     // methods.toml here, or above up to the repository root
	OriginUser    Origin = "user"        // xai/methods.toml in the user's configuration
	OriginSystem  Origin = "system"      // /etc/xai/methods.toml
	OriginBuiltin Origin = "builtin"     // the binary
)

// Place is a registry file that a search considered.
type Place struct {
	Origin Origin
	Path   string
	File   *File // nil where there is no such file
}

// Entry is a method as one registry file declares it.
type Entry struct {
	Method
	Origin Origin
	File   *File
	// Embedded is true where the binary declares a module of these bytes,
	// under whatever name. It is trusted as the binary is.
	Embedded bool
	// ShadowsBuiltin is true where the binary has a method of this name with
	// other bytes, which this entry replaces. The user should be told.
	ShadowsBuiltin bool
	// Shadows are the entries of the same name in files of lower precedence,
	// the highest first. They have no Shadows of their own.
	Shadows []Entry
}

// List is what a search found. It is immutable.
type List struct {
	// Places are all files considered, the highest precedence first.
	Places []Place
	// Entries are the methods that a name finds, in the order of the files.
	Entries []Entry
}

// Search reads the registry files that apply: the explicit one (--registry)
// and the one that $XAI_METHODS names, where they are given; methods.toml in
// cwd or the nearest one above, no further than the root of the repository;
// the user's and the system's; and the binary's own, given as bytes. A name
// means its first declaration in that order.
//
// A file that was asked for by name must exist. Any file that exists must be
// readable and valid: skipping a broken one would silently run another method
// under the same name.
func Search(explicit string, env func(string) string, cwd string, builtin []byte) (*List, error) {
	config := configDir(env)
	system := "/etc/xai/methods.toml"
	if runtime.GOOS == "windows" {
		system = "" // there, anyone may create the folder
	}
	return search(places(explicit, env("XAI_METHODS"), cwd, config, system), builtin)
}

// Only is Search without a search: it reads the explicit file, where one is
// given, and the binary's own.
func Only(explicit string, builtin []byte) (*List, error) {
	var out []Place
	if explicit != "" {
		out = append(out, Place{Origin: OriginFlag, Path: explicit})
	}
	return search(out, builtin)
}

// configDir returns the folder of the user's configuration, empty where the
// user has no home.
func configDir(env func(string) string) string {
	if dir := env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	// A relative folder would be another one in every project, and whatever a
	// project brought along.
	if dir, err := os.UserConfigDir(); err == nil && filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

// places returns where registry files may be, without reading any.
func places(explicit, named, cwd, config, system string) []Place {
	var out []Place
	if explicit != "" {
		out = append(out, Place{Origin: OriginFlag, Path: explicit})
	}
	if named != "" {
		out = append(out, Place{Origin: OriginEnv, Path: named})
	}
	if cwd != "" {
		out = append(out, Place{Origin: OriginProject, Path: ProjectPath(cwd)})
	}
	if config != "" {
		out = append(out, Place{Origin: OriginUser, Path: userPath(config)})
	}
	if system != "" {
		out = append(out, Place{Origin: OriginSystem, Path: system})
	}
	return out
}

// UserPath returns where a user's methods.toml is, or would be; empty where the
// user has no home.
func UserPath(env func(string) string) string {
	if dir := configDir(env); dir != "" {
		return userPath(dir)
	}
	return ""
}

func userPath(config string) string { return filepath.Join(config, "xai", "methods.toml") }

// ProjectPath returns the methods.toml that is nearest to dir on the way up to
// the root of the repository, and the one in dir where there is none or dir is
// in no repository: above it, anybody's files may lie.
func ProjectPath(dir string) string {
	here := filepath.Join(dir, "methods.toml")
	found := ""
	for {
		if file := filepath.Join(dir, "methods.toml"); found == "" && exists(file) {
			found = file
		}
		if exists(filepath.Join(dir, ".git")) {
			if found == "" {
				return here
			}
			return found
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return here
		}
		dir = parent
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// search reads the files at places, adds the binary's and settles who wins.
func search(places []Place, builtin []byte) (*List, error) {
	l := &List{}
	seen := map[string]bool{}
	for _, p := range places {
		file, data, err := readRegistry(p.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && p.Origin == OriginFlag:
			return nil, &missingError{p.Path, "--registry takes the path of a methods.toml", err}
		case errors.Is(err, fs.ErrNotExist) && p.Origin == OriginEnv:
			return nil, &missingError{p.Path, "correct $XAI_METHODS or unset it", err}
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // of a home that is no folder
		case seen[file]:
			continue // a file that is named twice does not shadow itself
		case err != nil:
			return nil, fmt.Errorf("cannot read the %s registry file: %w", p.Origin, err)
		default:
			seen[file] = true
			if p.File, err = Parse(data, p.Path); err != nil {
				return nil, err
			}
		}
		l.Places = append(l.Places, p)
	}
	var own *File
	if len(builtin) > 0 {
		var err error
		if own, err = Parse(builtin, BuiltinPath); err != nil {
			return nil, err
		}
		l.Places = append(l.Places, Place{Origin: OriginBuiltin, Path: BuiltinPath, File: own})
	}
	l.settle(own)
	return l, nil
}

// With returns the list as it would be if the place of the file's path held that
// file. Where the list has no such place it comes first, as --registry does.
func (l *List) With(f *File) *List {
	out := &List{}
	var own *File
	placed := false
	for _, p := range l.Places {
		if p.Origin == OriginBuiltin {
			own = p.File
		} else if !placed && same(p.Path, f.Path) {
			p.File, placed = f, true
		}
		out.Places = append(out.Places, p)
	}
	if !placed {
		out.Places = slices.Insert(out.Places, 0, Place{Origin: OriginFlag, Path: f.Path, File: f})
	}
	out.settle(own)
	return out
}

// same reports whether two paths lead to the same file, which need not be there.
func same(a, b string) bool {
	one, err := filepath.Abs(a)
	if err != nil {
		return a == b
	}
	other, err := filepath.Abs(b)
	if err == nil && one == other {
		return true
	}
	x, err := os.Stat(one)
	if err != nil {
		return false
	}
	y, err := os.Stat(other)
	return err == nil && os.SameFile(x, y)
}

// Project returns the file that a lock lies beside: that of --registry, or the
// project's; nil where there is none.
func (l *List) Project() *File {
	for _, p := range l.Places {
		if p.File != nil && (p.Origin == OriginFlag || p.Origin == OriginProject) {
			return p.File
		}
	}
	return nil
}

// In returns the entry of a file's method, whether or not a file of higher
// precedence has a method of that name.
func (l *List) In(path, name string) (Entry, bool) {
	for _, e := range l.Entries {
		if e.Name != name {
			continue
		}
		for _, e := range append([]Entry{e}, e.Shadows...) {
			if same(e.File.Path, path) {
				return e, true
			}
		}
	}
	return Entry{}, false
}

// settle gives every name to the file of the highest precedence.
func (l *List) settle(own *File) {
	index := map[string]int{}
	embedded := map[string]bool{} // by hash
	if own != nil {
		for _, m := range own.Methods {
			embedded[m.SHA256] = m.Kind == KindWASM
		}
	}
	for _, p := range l.Places {
		if p.File == nil {
			continue
		}
		for _, m := range p.File.Methods {
			e := Entry{Method: m, Origin: p.Origin, File: p.File, Embedded: m.Kind == KindWASM && embedded[m.SHA256]}
			if own != nil && p.Origin != OriginBuiltin {
				original, ok := own.Method(m.Name)
				e.ShadowsBuiltin = ok && original.SHA256 != m.SHA256
			}
			if i, ok := index[m.Name]; ok {
				l.Entries[i].Shadows = append(l.Entries[i].Shadows, e)
				continue
			}
			index[m.Name] = len(l.Entries)
			l.Entries = append(l.Entries, e)
		}
	}
}

// readRegistry reads a registry file and says where it really is. Unlike a
// module it may be reached over a link, as configuration often is.
func readRegistry(path string) (file string, data []byte, err error) {
	if file, err = filepath.Abs(path); err != nil {
		return "", nil, err
	}
	if file, err = filepath.EvalSymlinks(file); err != nil {
		return "", nil, err
	}
	data, err = regular.Read(file, document.MaxSize)
	return file, data, err
}

// readOpened is readRegistry with what the system says of the very file that was
// read, in the place of where it is.
func readOpened(path string) (fs.FileInfo, []byte, error) {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, nil, err
	}
	f, err := regular.Open(file, document.MaxSize)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, document.MaxSize+1)) // Decode refuses one byte more
	return info, data, err
}

// Find returns the method of that name, or a *NotFoundError with the nearest
// name.
func (l *List) Find(name string) (Entry, error) {
	names := make([]string, len(l.Entries))
	for i, e := range l.Entries {
		if e.Name == name {
			return e, nil
		}
		names[i] = e.Name
	}
	near, _ := nearest.Of(name, names)
	return Entry{}, &NotFoundError{Name: name, Nearest: near}
}

// missingError is the error of a registry file that was named and is not there.
type missingError struct {
	path, advice string
	err          error
}

func (e *missingError) Error() string {
	return "the registry file " + e.path + " does not exist; " + e.advice
}

func (e *missingError) Unwrap() error { return e.err }
