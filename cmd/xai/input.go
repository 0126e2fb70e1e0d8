package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/xai-go/xai/core"
)

// source says where the input of a command comes from.
type source struct {
	file   string // --file
	pair   string // --text-pair
	inputs string // --inputs
}

// flags registers the flags of s. raw adds --inputs.
func (s *source) flags(cmd *cobra.Command, raw bool) {
	f := cmd.Flags()
	f.StringVar(&s.file, "file", "", "read the text from this `FILE`, byte for byte")
	f.StringVar(&s.pair, "text-pair", "", "a second `TEXT`, for a model that compares two")
	if raw {
		f.StringVar(&s.inputs, "inputs", "", "feed raw tensors from this .safetensors `FILE` (input_ids, attention_mask …) instead of a text")
	}
	cmd.Args = oneText
}

// oneText allows one argument, the text.
func oneText(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage("put the text in quotes", "%s takes one text, and was given %d arguments", cmd.CommandPath(), len(args))
	}
	return nil
}

// read returns the rows that the command is about: one, unless --inputs has
// more. A text is taken as it is; nothing is trimmed.
func (s *source) read(a *app, cmd *cobra.Command, args []string) ([]core.Input, error) {
	if s.inputs != "" {
		if len(args) > 0 || s.file != "" || cmd.Flags().Changed("text-pair") {
			return nil, usage("give one of them", "--inputs takes the place of a text, and both were given")
		}
		return core.ReadInputs(cmd.Context(), s.inputs, int64(a.memory))
	}
	text, err := s.text(a, cmd, args)
	if err != nil {
		return nil, err
	}
	in := core.Input{Text: text}
	if cmd.Flags().Changed("text-pair") {
		in.Pair = &s.pair
	}
	return []core.Input{in}, nil
}

// text returns the argument, the file or standard input.
func (s *source) text(a *app, cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 0 {
		if s.file != "" {
			return "", usage("give one of them", "both a text and --file were given")
		}
		return args[0], nil
	}
	f, err := s.open(a, cmd)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxText {
		return "", &core.Error{Kind: core.KindInput, Msg: fmt.Sprintf("%s holds more than %d MiB of text", f.name, maxText>>20), Hint: "cut it: a model reads a few hundred words"}
	}
	return string(b), nil
}

// maxText bounds a text, in bytes.
const maxText = 16 << 20

// open opens the file or standard input.
func (s *source) open(a *app, cmd *cobra.Command) (*opened, error) {
	if s.file != "" {
		f, err := os.Open(s.file)
		if err != nil {
			return nil, fileError(err, "cannot read", s.file)
		}
		return &opened{f, s.file}, nil
	}
	if f, ok := a.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return nil, usage("give it in quotes: "+cmd.CommandPath()+` "Some text."; or pipe it in, or name a file with --file`, "there is no text")
	}
	return &opened{io.NopCloser(a.stdin), "standard input"}, nil
}

// opened is a file that is read, with errors that name it.
type opened struct {
	io.ReadCloser
	name string
}

func (o *opened) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = fileError(err, "cannot read", o.name)
	}
	return n, err
}

// fileError says which file could not be used, and why.
func fileError(err error, what, name string) error {
	reason, hint := err.Error(), "check the path, and whether its disk is full or failing"
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		reason = e.Err.Error()
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		reason = e.Err.Error()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason, hint = "it does not exist", "check the path"
	case errors.Is(err, fs.ErrPermission):
		reason, hint = "permission is denied", "check who may use the file and its folder"
	case errors.Is(err, syscall.EISDIR):
		reason, hint = "it is a folder", "name a file"
	}
	return &core.Error{Kind: core.KindInput, Msg: what + " " + name + ": " + reason, Hint: hint, Err: err}
}
