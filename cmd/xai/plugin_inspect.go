package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/author"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
)

func (a *app) pluginInspect() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a module is and what it could do, without running it as a method",
		Long: `Inspect reads a module that need not be trusted: its hash, what it says of its
methods, the functions of the host that it imports and the needs that these imply,
its memory and code, and whether this xai would run it. Nothing of it is compiled.
Its version of the ABI, and its description where no section has one, come from its
own functions, which are interpreted with little memory, fuel and time.

Of an executable, for a method that runs as a process, it shows what the file itself
says: the system that it is for, and the libraries or the interpreter that it takes.`,
		Example: examples(
			"xai plugin inspect my-method.wasm", "a module",
			"xai plugin inspect my-method.wasm --format json | jq '.needs'", "for a program",
		),
		Args:              oneArg("a file"),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			x, err := inspect(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			err = a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, x)
				}
				return a.inspection(w, x)
			})
			if err == nil && x.refused != nil {
				kind := core.KindMethod
				if x.Kind == fileUnknown {
					kind = core.KindInput
				}
				err = &core.Error{Kind: kind, Msg: x.File + ": " + x.Verdict, Err: x.refused}
			}
			return err
		},
	}
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// The kinds of files that inspect tells apart.
const (
	fileModule     = "module"
	fileExecutable = "executable"
	fileUnknown    = "unknown"
)

// inspected is the JSON form of inspect.
type inspected struct {
	File    string `json:"file"`
	Kind    string `json:"kind"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
	Verdict string `json:"verdict"` // "ok", or why this xai does not run the file

	Module     *moduleFacts `json:"module"`
	Executable *executable  `json:"executable"`

	refused error
}

// moduleFacts is what can be read of a module.
type moduleFacts struct {
	ABI         string            `json:"abi"`     // empty where the module does not say
	Methods     []json.RawMessage `json:"methods"` // descriptions
	Sealed      bool              `json:"sealed"`  // the descriptions are in the file
	Build       *seal.Build       `json:"build"`
	Needs       needFacts         `json:"needs"`
	Imports     []importFact      `json:"imports"`
	Exports     []exportFact      `json:"exports"`
	Sections    []sectionFact     `json:"sections"` // custom ones of xai's
	MemoryMin   int64             `json:"memory_min_bytes"`
	MemoryMax   int64             `json:"memory_max_bytes"` // 0 where it names none
	Functions   int               `json:"functions"`
	LargestBody int               `json:"largest_body_bytes"`

	described []seal.Method
}

type (
	needFacts struct {
		Declared   []sdk.Need `json:"declared"`
		Imported   []sdk.Need `json:"imported"`
		Undeclared []sdk.Need `json:"undeclared"` // imported and not declared
		Unused     []sdk.Need `json:"unused"`     // declared, and no import could use them
	}
	importFact struct {
		Name      string   `json:"name"`
		Signature string   `json:"signature"`
		Need      sdk.Need `json:"need"`
	}
	exportFact struct {
		Name      string `json:"name"`
		Kind      string `json:"kind"`
		Signature string `json:"signature"`
	}
	sectionFact struct {
		Name string `json:"name"`
		Size int    `json:"size"`
	}
)

// inspect reads a file.
func inspect(ctx context.Context, file string) (*inspected, error) {
	switch info, err := os.Stat(file); {
	case err != nil:
		return nil, fileError(err, "cannot read", file)
	case info.IsDir():
		return nil, &core.Error{Kind: core.KindInput, Msg: file + " is a folder", Hint: "name a module, such as my-method.wasm"}
	case !info.Mode().IsRegular(): // it need not end
		return nil, &core.Error{Kind: core.KindInput, Msg: file + " is no regular file", Hint: "name a module, such as my-method.wasm"}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fileError(err, "cannot read", file)
	}
	defer f.Close()
	x := &inspected{File: file, Kind: fileUnknown, Verdict: "ok"}
	h := sha256.New()
	if x.Size, err = io.Copy(h, contextual{ctx, f}); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fileError(err, "cannot read", file)
	}
	x.SHA256 = hex.EncodeToString(h.Sum(nil))
	refuse := func(err error) {
		if x.refused == nil && err != nil {
			x.refused, x.Verdict = err, err.Error()
		}
	}
	head := make([]byte, 4)
	if _, err := f.ReadAt(head, 0); err == nil && string(head) == "\x00asm" {
		x.Kind = fileModule
		module, err := readModule(file)
		if err != nil {
			return nil, err
		}
		x.Module, err = readFacts(ctx, module)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		refuse(err)
		return x, nil
	}
	if x.Executable, err = readExecutable(f); err != nil {
		x.Kind = fileExecutable
		refuse(err)
		return x, nil
	}
	if x.Executable != nil {
		x.Kind = fileExecutable
		return x, nil
	}
	refuse(errors.New("it is neither a WebAssembly module nor an executable"))
	return x, nil
}

// contextual is a reader that stops where its context ends.
type contextual struct {
	ctx context.Context
	io.Reader
}

// Read implements io.Reader.
func (r contextual) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// readFacts reads a module. The error says why this host would not run it; the
// facts are nil where it cannot be read at all.
func readFacts(ctx context.Context, module []byte) (*moduleFacts, error) {
	x, refused := wasm.Inspect(module)
	if x == nil {
		return nil, refused
	}
	facts := &moduleFacts{
		Methods: []json.RawMessage{}, Imports: []importFact{}, Exports: []exportFact{}, Sections: []sectionFact{},
		MemoryMin: x.MemoryMin, MemoryMax: x.MemoryMax, Functions: x.Functions, LargestBody: x.LargestBody,
	}
	note := func(err error) {
		if refused == nil {
			refused = err
		}
	}
	for _, f := range x.Imports {
		facts.Imports = append(facts.Imports, importFact{f.Module + "." + f.Name, f.Signature, f.Need})
	}
	for _, e := range x.Exports {
		facts.Exports = append(facts.Exports, exportFact{e.Name, e.Kind, e.Signature})
	}
	for name, contents := range x.Sections {
		for _, content := range contents {
			facts.Sections = append(facts.Sections, sectionFact{name, len(content)})
		}
	}
	slices.SortStableFunc(facts.Sections, func(a, b sectionFact) int { return strings.Compare(a.Name, b.Name) })
	build, err := seal.BuildOf(module)
	note(err)
	facts.Build = build
	facts.described, err = seal.Methods(module)
	note(err)
	facts.Sealed = len(facts.described) > 0
	if refused == nil {
		p, err := wasm.Probe(ctx, module)
		note(err)
		if p != nil {
			facts.ABI = author.Version(p)
			if !facts.Sealed {
				facts.described, err = author.Described(p)
				note(err)
			}
		}
	}
	for _, m := range facts.described {
		facts.Methods = append(facts.Methods, m.Marshal())
		for _, n := range m.Needs {
			if !slices.Contains(facts.Needs.Declared, n) {
				facts.Needs.Declared = append(facts.Needs.Declared, n)
			}
		}
	}
	facts.Needs.Imported = x.Needs
	facts.Needs.Undeclared, facts.Needs.Unused = author.Needs(x, facts.described)
	for _, list := range []*[]sdk.Need{&facts.Needs.Declared, &facts.Needs.Imported, &facts.Needs.Undeclared, &facts.Needs.Unused} {
		if *list == nil {
			*list = []sdk.Need{}
		}
	}
	if len(facts.described) > 0 && len(facts.Needs.Undeclared) > 0 {
		note(fmt.Errorf("the module imports what takes the need %s, which it does not declare", facts.Needs.Undeclared[0]))
	}
	return facts, refused
}

// inspection writes what was found for a person.
func (a *app) inspection(w io.Writer, x *inspected) error {
	fields := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	field := func(name, format string, args ...any) {
		fmt.Fprintf(fields, "  %s\t%s\n", name, report.Line(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(w, "%s: %s, %s\n", a.term().Level.Bold(report.Line(x.File)), x.Kind, core.Size(x.Size))
	field("sha256", "%s", x.SHA256)
	if e := x.Executable; e != nil {
		if e.OS != "" {
			field("for", "%s/%s (%s)", e.OS, e.Arch, e.Format)
		}
		switch {
		case e.Static:
			field("linked", "statically")
		case len(e.Libraries) > 0:
			field("libraries", "%s", strings.Join(e.Libraries, ", "))
		}
		if e.Interpreter != "" {
			field("interpreter", "%s", e.Interpreter)
		}
	}
	if m := x.Module; m != nil {
		for _, d := range m.described {
			where := ""
			if !m.Sealed {
				where = " (by xai_describe alone: not sealed)"
			}
			field("method", "%s %s: %s%s", d.Name, d.Version, d.Summary, where)
			var params []string
			for _, p := range d.Params {
				params = append(params, p.Name)
			}
			if len(params) > 0 {
				field("  parameters", "%s", strings.Join(params, ", "))
			}
		}
		if len(m.described) == 0 {
			field("method", "the module describes none")
		}
		if m.Build != nil {
			field("built by", "%s", m.Build.Toolchain)
		}
		if m.ABI != "" {
			field("ABI", "%s", m.ABI)
		}
		field("needs", "%s", list(m.Needs.Declared))
		if len(m.Needs.Undeclared) > 0 {
			field("  undeclared", "%s, which its imports imply", list(m.Needs.Undeclared))
		}
		if len(m.Needs.Unused) > 0 {
			field("  unused", "%s, which no import of it could use", list(m.Needs.Unused))
		}
		names := map[string][]string{}
		var modules []string
		for _, f := range m.Imports {
			module, name, _ := strings.Cut(f.Name, ".")
			if names[module] == nil {
				modules = append(modules, module)
			}
			names[module] = append(names[module], name)
		}
		for _, module := range modules {
			field("imports", "%s: %s", module, strings.Join(names[module], ", "))
		}
		most := "no bound of its own"
		if m.MemoryMax > 0 {
			most = "at most " + core.Size(m.MemoryMax)
		}
		field("memory", "%s at the start, %s", core.Size(m.MemoryMin), most)
		field("code", "%s, the largest of %s", plural(m.Functions, "function"), core.Size(int64(m.LargestBody)))
		for _, s := range m.Sections {
			field("section", "%s, %s", s.Name, core.Size(int64(s.Size)))
		}
	}
	switch {
	case x.refused != nil:
		field("verdict", "this xai does not run it: %s", x.Verdict)
	case x.Executable == nil:
		field("verdict", "this xai runs it")
	case x.Executable.Runs:
		field("verdict", "it runs on this machine; what it would do cannot be told")
	case x.Executable.Format == "script":
		field("verdict", "it runs where its interpreter is; what it would do cannot be told")
	default:
		field("verdict", "it runs on other machines than this one")
	}
	return fields.Flush()
}

func list(needs []sdk.Need) string {
	if len(needs) == 0 {
		return "none"
	}
	var words []string
	for _, n := range needs {
		words = append(words, string(n))
	}
	return strings.Join(words, ", ")
}
