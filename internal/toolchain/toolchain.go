// Package toolchain builds the sources of an explanation method with the
// compiler of their language: it tells what language a folder is in, finds the
// programs, and says what to install where one is missing.
//
// It runs what is installed on this machine, on sources that their author
// trusts.
package toolchain

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Language is what a method is written in.
type Language string

// The languages.
const (
	Go             Language = "go"
	Rust           Language = "rust"
	C              Language = "c"
	AssemblyScript Language = "as"
	ProcessGo      Language = "process-go"
	ProcessPython  Language = "process-python"
)

// Process reports whether what is built in the language is the executable of a
// process, and not a module.
func (l Language) Process() bool { return l == ProcessGo || l == ProcessPython }

// String returns the language's name.
func (l Language) String() string {
	switch l {
	case Go, ProcessGo:
		return "Go"
	case ProcessPython:
		return "Python"
	case Rust:
		return "Rust"
	case C:
		return "C"
	case AssemblyScript:
		return "AssemblyScript"
	}
	return string(l)
}

// Source is a folder that a method is built from.
type Source struct {
	Dir      string
	Language Language
	// Files are what the compiler is given, relative to Dir with slashes: the
	// package of Go, the translation units of C, the root of the others. A process
	// in Python has the root first, then what it imports.
	Files []string
}

// Name returns what the sources are called: the name of the file where there
// is one, and otherwise that of the folder.
func (s Source) Name() string {
	if s.Language != Go && s.Language != ProcessGo && (len(s.Files) == 1 || s.Language == ProcessPython) {
		base := filepath.Base(filepath.FromSlash(s.Files[0]))
		if name := strings.TrimSuffix(base, filepath.Ext(base)); !slices.Contains(roots, name) {
			return strings.ReplaceAll(name, "_", "-")
		}
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		dir = s.Dir
	}
	return filepath.Base(dir)
}

// SourceError says why a folder cannot be built.
type SourceError struct {
	Dir  string
	Msg  string
	Hint string
}

// Error returns the folder and what is wrong with it.
func (e *SourceError) Error() string { return e.Dir + " " + e.Msg }

// roots are names that say nothing of what a file holds.
var roots = []string{"lib", "main", "index", "method"}

// The single files of the SDKs, which stand beside a method's own.
const (
	FileC              = "xai.h"
	FileRust           = "xai.rs"
	FileAssemblyScript = "xai.ts"
	FilePython         = "xai.py"
)

// Output returns what the file that is built is called.
func (s Source) Output() string {
	switch s.Language {
	case ProcessGo:
		return s.Name()
	case ProcessPython:
		return s.Name() + ".pyz"
	}
	return s.Name() + ".wasm"
}

// Find tells what a folder is built from: a module, or the executable of a
// process. Where it has several files that may be the root, name is that of the
// method that is meant.
func Find(dir, name string, process bool) (Source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Source{}, err
	}
	files := map[Language][]string{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		file := e.Name()
		switch ext := filepath.Ext(file); {
		case ext == ".go":
			language := Go
			if process {
				language = ProcessGo
			}
			if !strings.HasSuffix(file, "_test.go") {
				files[language] = append(files[language], file)
			}
		case process:
			if ext == ".py" && file != FilePython && !strings.HasPrefix(file, "test_") {
				files[ProcessPython] = append(files[ProcessPython], file)
			}
		case ext == ".c":
			files[C] = append(files[C], file)
		case ext == ".rs":
			if file != FileRust {
				files[Rust] = append(files[Rust], file)
			}
		case ext == ".ts":
			if file != FileAssemblyScript && !strings.HasSuffix(file, ".d.ts") {
				files[AssemblyScript] = append(files[AssemblyScript], file)
			}
		}
	}
	if has(entries, "Cargo.toml") && !process {
		return Source{}, &SourceError{dir, "is a crate of Cargo, which xai does not run",
			"build it with cargo build --release --target wasm32-unknown-unknown, then give the module to xai plugin seal"}
	}
	var found []Language
	for _, l := range []Language{Go, Rust, C, AssemblyScript, ProcessGo, ProcessPython} {
		if len(files[l]) > 0 {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 0:
		what := "holds no sources in Go, Rust, C or AssemblyScript"
		if process {
			what = "holds no sources of a process in Go or Python"
		}
		return Source{}, &SourceError{dir, what, "name the folder of a method; xai plugin new begins one"}
	case 1:
		return source(dir, found[0], files[found[0]], name)
	}
	return Source{}, &SourceError{dir, fmt.Sprintf("holds sources in both %s and %s", found[0], found[1]), "keep those of one method in a folder of their own"}
}

func has(entries []fs.DirEntry, name string) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name && !e.IsDir() })
}

func source(dir string, l Language, files []string, name string) (Source, error) {
	s := Source{Dir: dir, Language: l, Files: files}
	switch l {
	case C:
		return s, nil
	case Go, ProcessGo:
		return goSource(s)
	}
	ext := filepath.Ext(files[0])
	for _, root := range append([]string{name, strings.ReplaceAll(name, "-", "_")}, roots...) {
		if i := slices.Index(files, root+ext); i >= 0 && len(files) > 1 {
			s.Files = []string{root + ext}
			if l == ProcessPython {
				s.Files = append(s.Files, slices.Delete(slices.Clone(files), i, i+1)...)
			}
			return s, nil
		}
	}
	if len(s.Files) > 1 {
		return s, &SourceError{dir, "holds several files that may be the root: " + strings.Join(files, ", "), "call the root " + roots[0] + ext}
	}
	return s, nil
}

var mainPackage = regexp.MustCompile(`(?m)^package main\b`)

// goSource finds the main package: the folder itself, or its subfolder wasm.
func goSource(s Source) (Source, error) {
	for _, sub := range []string{".", "wasm"} {
		files, err := filepath.Glob(filepath.Join(escape(s.Dir), sub, "*.go"))
		if err != nil {
			return s, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return s, err
			}
			if !strings.HasSuffix(file, "_test.go") && mainPackage.Match(text) {
				s.Files = []string{"."}
				if sub != "." {
					s.Files = []string{"./" + sub}
				}
				return s, nil
			}
		}
	}
	return s, &SourceError{s.Dir, "holds no main package, neither itself nor in wasm/", "add one that calls guest.Register in init; xai plugin new --lang go shows how"}
}

// escape quotes a path for filepath.Glob.
func escape(path string) string {
	if filepath.Separator == '\\' {
		return path // no escapes there, and no such names
	}
	return regexp.MustCompile(`[*?\[\\]`).ReplaceAllString(path, `\$0`)
}
