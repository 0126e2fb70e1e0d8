// Package scaffold writes the folder that a new explanation method begins with:
// a small method that works, how to build and test it, and its declaration.
package scaffold

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/internal/toolchain"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/assemblyscript"
	"github.com/xai-go/xai/sdk/c"
	"github.com/xai-go/xai/sdk/python"
	"github.com/xai-go/xai/sdk/rust"
)

//go:embed all:templates
var templates embed.FS

// GoVersion is the oldest Go that the SDK builds with.
const GoVersion = "1.26.0"

// Options say what to begin.
type Options struct {
	Name     string             // of the method
	Language toolchain.Language // one of Languages
	Version  string             // of xai, "v0.1.0": the SDK that Go takes, and the program that tests
	Module   string             // of Go, its module path; empty for example.org/NAME
	Replace  string             // of Go, a checkout of xai that takes the place of Version; empty for none
}

// Languages are the languages that a method can begin in.
var Languages = []toolchain.Language{toolchain.Go, toolchain.Rust, toolchain.C, toolchain.AssemblyScript, toolchain.ProcessGo, toolchain.ProcessPython}

// OptionError says which option cannot be used.
type OptionError struct {
	Msg  string
	Hint string
}

// Error returns the sentence.
func (e *OptionError) Error() string { return e.Msg }

var modulePath = regexp.MustCompile(`^[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$`)

// check refuses options that cannot be used.
func (o Options) check() error {
	if !registry.ValidName(o.Name) {
		hint := "use lower-case letters and digits, with hyphens between them, 64 at most"
		if near := slug(o.Name); near != "" {
			hint = "did you mean " + near + "? " + hint
		}
		return &OptionError{fmt.Sprintf("%q cannot be the name of a method", o.Name), hint}
	}
	if !slices.Contains(Languages, o.Language) {
		var names []string
		for _, l := range Languages {
			names = append(names, string(l))
		}
		hint := "use " + strings.Join(names, ", ")
		if near, ok := nearest.Of(string(o.Language), names); ok {
			hint = "did you mean " + near + "? " + hint
		}
		return &OptionError{fmt.Sprintf("xai begins no method in %q", o.Language), hint}
	}
	if o.Module != "" && !modulePath.MatchString(o.Module) {
		return &OptionError{fmt.Sprintf("%q cannot be the path of a module of Go", o.Module), "use one such as github.com/you/" + o.Name}
	}
	return nil
}

// slug returns the valid name that is nearest to s, empty where there is none.
func slug(s string) string {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') })
	name := strings.Join(words, "-")
	if len(name) > 64 {
		return ""
	}
	return name
}

// method is what every template declares, and a test holds them to.
func (o Options) method() seal.Method {
	return seal.Of(sdk.Info{
		Name: o.Name, Version: "0.1.0", Summary: "What the target loses when each unit is dropped", Needs: []sdk.Need{sdk.NeedForward},
		Params: []sdk.Param{{
			Name: "fill", Type: sdk.Enum, Default: "mask", Values: []string{"mask", "delete", "zero", "hide"},
			Doc: "what a dropped unit becomes",
		}},
	})
}

// language is what differs from one language to the next.
type language struct {
	folder  string            // of the templates
	source  string            // the file that holds the method
	files   []string          // what the compiler is given
	beside  map[string]string // files that are copied as they are
	first   string            // of the README's commands
	then    string            // what can follow the build
	ci      string            // further steps of the workflow
	confine *registry.Confine // what a process may do

	command, pkg, main string // of Go: what the program is, the package that serves it, and how
}

func languageOf(o Options) language {
	l := language{folder: string(o.Language)}
	switch o.Language {
	case toolchain.Go, toolchain.ProcessGo:
		l.folder, l.source, l.files = "go", "method.go", []string{"."}
		l.then = "go test              # the conformance kit, in process\n" // go.sum is there by then
		l.ci = "      - run: go mod tidy -diff && go vet . && go test .\n"
		if o.Language == toolchain.Go {
			l.command = "built for wasip1, it is the\n// module that xai runs in its sandbox."
			l.pkg, l.main = "guest", "func init() { guest.Register(Method{}) }\n\nfunc main() {}"
			break
		}
		l.command = "a program that xai starts\n// for one explanation, and confines."
		l.pkg, l.main = "process", "func main() { process.Serve(Method{}) }"
		l.confine = &registry.Confine{Landlock: true}
	case toolchain.ProcessPython:
		l.source = strings.ReplaceAll(o.Name, "-", "_") + ".py"
		l.beside = map[string]string{toolchain.FilePython: python.Source, l.source: strings.ReplaceAll(python.Example, "leave-one-out", o.Name)}
		l.confine = &registry.Confine{Landlock: true, Read: []string{"/usr/bin", "/usr/lib"}} // where Python is
	case toolchain.Rust:
		l.source, l.beside = o.Name+".rs", map[string]string{toolchain.FileRust: rust.Source}
		l.ci = "      - run: rustup target add wasm32-unknown-unknown\n"
	case toolchain.C:
		l.source, l.beside = o.Name+".c", map[string]string{toolchain.FileC: c.Header}
		l.ci = "      - run: sudo apt-get update && sudo apt-get install -y clang lld\n"
	case toolchain.AssemblyScript:
		l.source, l.beside = o.Name+".ts", map[string]string{toolchain.FileAssemblyScript: assemblyscript.Source}
		l.first, l.ci = "npm install          # once: the compiler\n", "      - run: npm ci\n"
	}
	if l.files == nil {
		l.files = []string{l.source}
	}
	return l
}

// Files returns the files of a new method by their paths, with slashes. What is
// wrong with the options is an *OptionError.
func Files(o Options) (map[string][]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	l := languageOf(o)
	output := o.Name + ".wasm"
	switch o.Language {
	case toolchain.ProcessGo:
		output = o.Name
	case toolchain.ProcessPython:
		output = o.Name + ".pyz"
	}
	var commands []string
	for _, command := range (toolchain.Source{Language: o.Language, Files: l.files}).Commands(output) {
		commands = append(commands, command.String())
	}
	files := map[string][]byte{}
	replace := ""
	if o.Replace != "" {
		replace = "\nreplace github.com/xai-go/xai => " + quoteModule(o.Replace)
		if o.Language == toolchain.ProcessGo {
			requires, sum, err := dependencies(o.Replace)
			if err != nil {
				return nil, err
			}
			replace, files["go.sum"] = "\n"+requires+replace, sum
		}
	}
	fill := strings.NewReplacer(
		"@name@", o.Name,
		"@module@", cmp.Or(o.Module, "example.org/"+o.Name),
		"@version@", o.Version,
		"@go@", GoVersion,
		"@replace@", replace,
		"@language@", o.Language.String(),
		"@source@", l.source,
		"@output@", output,
		"@command@", l.command,
		"@package@", l.pkg,
		"@main@", l.main,
		"@first@", l.first,
		"@then@", l.then,
		"@commands@", strings.Join(commands, "\n"),
		"@ci@", l.ci,
	)
	for name, text := range l.beside {
		files[name] = []byte(text)
	}
	for _, folder := range []string{"all", l.folder} {
		root := path.Join("templates", folder)
		err := fs.WalkDir(templates, root, func(name string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == root {
				return nil // a language of whole files
			}
			if err != nil || e.IsDir() {
				return err
			}
			text, err := templates.ReadFile(name)
			if err != nil {
				return err
			}
			name = fill.Replace(strings.TrimSuffix(strings.TrimPrefix(name, root+"/"), ".tmpl"))
			if name == "test.yml" {
				name = ".github/workflows/" + name
			}
			files[name] = []byte(strings.TrimRight(fill.Replace(string(text)), "\n") + "\n")
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	entry := o.method().Entry(output, strings.Repeat("0", 64))
	if entry.Confine = l.confine; o.Language.Process() {
		entry.Kind = registry.KindProcess
	}
	stanza, err := seal.Stanza(entry)
	if err != nil {
		return nil, err
	}
	files["methods.toml"] = []byte("schema = 1\n\n# xai plugin build keeps this up to date: the hash, and what the method says of itself.\n" + stanza)
	return files, nil
}

// dependencies returns what a checkout of xai requires, as requirements of a
// module that takes its packages from there, with the hashes.
func dependencies(checkout string) (requires string, sum []byte, err error) {
	mod, err := os.ReadFile(filepath.Join(checkout, "go.mod"))
	if err != nil {
		return "", nil, err
	}
	if sum, err = os.ReadFile(filepath.Join(checkout, "go.sum")); err != nil {
		return "", nil, err
	}
	requires = "require (\n"
	for _, m := range requirement.FindAllSubmatch(mod, -1) {
		requires += "\t" + string(m[1]) + " // indirect\n"
	}
	return requires + ")\n", sum, nil
}

// requirement is a line of a go.mod within a block of requirements.
var requirement = regexp.MustCompile(`(?m)^\t([^\s/]+\.[^\s]+ v[^\s]+)`)

// quoteModule quotes a path of a go.mod where it has to be.
func quoteModule(dir string) string {
	if strings.Contains(dir, "`") || strings.ContainsFunc(dir, unicode.IsControl) {
		return strconv.Quote(dir)
	}
	if strings.ContainsAny(dir, " \t\"'`()[]{},") || strings.Contains(dir, "//") {
		return "`" + dir + "`"
	}
	return dir
}
