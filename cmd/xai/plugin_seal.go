package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/author"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/registry"
)

func (a *app) pluginSeal() *cobra.Command {
	var describe, file, format string
	cmd := &cobra.Command{
		Use:   "seal FILE",
		Short: "Write into a module what its methods are, and pin it",
		Long: `Seal puts the description of a module's methods, their names, needs and parameters,
into its section xai.method, where it can be read without running the module. It
comes from --describe, or from the module itself: a section that it has already, or
its function xai_describe, which is interpreted with little memory and time. Seal
holds it to the module, and prints the stanza that declares it in a methods.toml.
Sealing a sealed module again changes nothing.

xai plugin build seals what it builds.`,
		Example: examples(
			"xai plugin seal my-method.wasm", "a module that describes itself",
			"xai plugin seal my-method.wasm --describe my-method.json", "one that does not",
			"xai plugin seal target/wasm32-unknown-unknown/release/m.wasm -o m.wasm", "into another file",
		),
		Args:              oneArg("a module: FILE.wasm"),
		ValidArgsFunction: files,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			given, err := a.descriptions(describe)
			if err != nil {
				return err
			}
			module, err := readModule(args[0])
			if err != nil {
				return err
			}
			if file == "" {
				file = args[0]
			}
			out, err := a.openOutput(file)
			if err != nil {
				return err
			}
			s, err := sealModule(ctx, file, module, given, nil)
			if err != nil {
				return moduleError(args[0], err)
			}
			if err := out.write(ctx, a, func(w io.Writer) error { _, err := w.Write(s.content); return err }); err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.JSON(w, s)
				}
				_, err := fmt.Fprintf(w, "%s\n\n%s", s, s.Stanza)
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&describe, "describe", "", "the description: a `FILE` of JSON, - for standard input, or the JSON itself")
	f.VarP(filename{&file}, "out-file", "o", "write the sealed module to this `FILE` (default: in place)")
	f.Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	cmd.RegisterFlagCompletionFunc("describe", files)
	return cmd
}

// files completes names of files.
func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// sealed is a sealed module, and the JSON form of seal and build.
type sealed struct {
	File      string   `json:"file"`
	Size      int      `json:"size"`
	SHA256    string   `json:"sha256"`
	Toolchain string   `json:"toolchain"`
	Methods   []string `json:"methods"`
	Stanza    string   `json:"stanza"` // that declares them in a methods.toml
	Registry  string   `json:"registry"`
	Change    string   `json:"change"` // of the registry: added, pinned, rewritten, unchanged; empty where there is none

	content []byte
	methods []seal.Method
	entry   func(m seal.Method, url, sha256 string) registry.Method // what declares them
}

// String says which bytes are where.
func (s *sealed) String() string {
	by := ""
	if s.Toolchain != "" {
		by = ", " + report.Line(s.Toolchain)
	}
	return fmt.Sprintf("%s: %s%s\nsha256 %s", report.Line(s.File), core.Size(int64(s.Size)), by, s.SHA256)
}

// sealModule seals a module that is going to be a file.
func sealModule(ctx context.Context, file string, module []byte, given []seal.Method, build *seal.Build) (*sealed, error) {
	bytes, methods, err := author.Seal(ctx, module, given, build)
	if err != nil {
		return nil, err
	}
	s, err := newSealed(file, bytes, methods, seal.Method.Entry)
	if err != nil {
		return nil, err
	}
	if b, err := seal.BuildOf(bytes); err == nil && b != nil {
		s.Toolchain = b.Toolchain
	}
	return s, nil
}

// newSealed returns what is said of a file that is going to be written.
func newSealed(file string, content []byte, methods []seal.Method, entry func(m seal.Method, url, sha256 string) registry.Method) (*sealed, error) {
	s := &sealed{File: file, Size: len(content), SHA256: hexSum(content), content: content, methods: methods, entry: entry}
	for _, m := range methods {
		stanza, err := seal.Stanza(entry(m, filepath.Base(file), s.SHA256))
		if err != nil {
			return nil, err
		}
		if s.Stanza != "" {
			s.Stanza += "\n"
		}
		s.Methods, s.Stanza = append(s.Methods, m.Name), s.Stanza+stanza
	}
	return s, nil
}

// hexSum returns the SHA-256 of b.
func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// descriptions reads what --describe gives, nothing where it is not given.
func (a *app) descriptions(given string) ([]seal.Method, error) {
	var text []byte
	var err error
	name := given
	switch {
	case given == "":
		return nil, nil
	case given == "-":
		name = "standard input"
		text, err = io.ReadAll(io.LimitReader(a.stdin, maxDescription))
	case strings.ContainsAny(given[:1], "{["):
		name, text = "--describe", []byte(given)
	default:
		text, err = readAtMost(given, maxDescription)
	}
	if err != nil {
		return nil, fileError(err, "cannot read", name)
	}
	methods, err := seal.ParseAll(text)
	if err != nil {
		return nil, &core.Error{Kind: core.KindInput, Msg: name + ": " + err.Error(), Hint: `docs/ABI.md, "Description", has the keys`, Err: err}
	}
	return methods, nil
}

// maxDescription and maxModule bound what is read of a file: more than what is
// accepted, so that too much is not mistaken for what it begins with.
const (
	maxDescription = 2 << 20
	maxModule      = 33 << 20
)

// readModule reads a file that may be a module.
func readModule(file string) ([]byte, error) {
	module, err := readAtMost(file, maxModule)
	if err != nil {
		return nil, fileError(err, "cannot read", file)
	}
	return module, nil
}

func readAtMost(file string, most int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// moduleError says that a module was refused.
func moduleError(file string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	msg, hint := file+": "+err.Error(), "xai plugin inspect "+shellWord(file)+" shows what it holds"
	if _, ok := errors.AsType[*core.LimitError](err); ok {
		msg = file + ": the module " + err.Error()
	}
	if errors.Is(err, author.ErrUndescribed) {
		hint = `give its description with --describe; docs/ABI.md, "Description", has the keys`
	}
	return &core.Error{Kind: core.KindMethod, Msg: msg, Hint: hint, Err: err}
}
