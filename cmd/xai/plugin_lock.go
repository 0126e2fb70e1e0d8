package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/registry"
)

// lockSummary is the JSON form of a lock.
type lockSummary struct {
	Lock        string           `json:"lock"`
	File        string           `json:"file"`
	Methods     int              `json:"methods"`
	Written     bool             `json:"written"`
	Differences []lockDifference `json:"differences"` // from the lock as it was
	Contacted   []string         `json:"contacted"`
}

type lockDifference struct {
	Method string `json:"method"`
	Field  string `json:"field"` // empty where one side lacks the method
	Locked string `json:"locked"`
	Found  string `json:"found"`
	Text   string `json:"text"`
}

func (a *app) pluginLock() *cobra.Command {
	var check bool
	var format string
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Write down what the methods of a project are",
		Long: `Lock writes xai.lock beside the project's methods.toml, or beside the file of
--registry, after whose name it is called where that is another: the address, hash of every platform, OCI digest, signer, version, ABI, needs and confinement
of every method that it declares; parameters and limits are no part of it. Commit it.
With --locked, xai runs nothing that differs from it.
Lock prints what has changed since. It contacts an OCI registry where an address names
no digest and the lock as it was does not know it. With --check it writes nothing,
contacts nobody, and exits with 4 where anything differs.`,
		Example: examples(
			"xai plugin lock", "after a method was added or changed",
			"xai plugin lock --check", "in a continuous integration",
			"xai explain --locked \"Some text.\"", "run what was locked, or nothing",
		),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.lock(cmd.Context(), check, format) },
	}
	cmd.Flags().BoolVar(&check, "check", false, "compare alone, and fail where anything differs")
	cmd.Flags().Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

func (a *app) lock(ctx context.Context, check bool, format string) error {
	i, c, err := a.installer(format)
	if err != nil {
		return err
	}
	defer i.Host.Close()
	list, err := i.Host.Methods()
	if err != nil {
		return err
	}
	file := list.Project()
	if file == nil {
		return &core.Error{Kind: core.KindInput, Msg: "there is no project's methods.toml to lock", Hint: "xai plugin add makes one, and --registry names another"}
	}
	path := registry.LockPath(file.Path)
	before, err := registry.ReadLock(path)
	missing := errors.Is(err, fs.ErrNotExist)
	_, broken := errors.AsType[*registry.ParseError](err)
	switch {
	case err == nil:
	case check && missing:
		return &core.Error{Kind: core.KindMethod, Msg: path + " does not exist", Hint: "write it with: xai plugin lock", Err: err}
	case check:
		return &core.Error{Kind: core.KindMethod, Msg: err.Error(), Hint: "mend the file, or write it again with: xai plugin lock", Err: err}
	case missing || broken:
		before = &registry.Lock{Path: path} // a broken one is written anew
	default: // a newer xai's, or no file that a lock could be
		return &core.Error{Kind: core.KindInput, Msg: err.Error(), Hint: "look what it is, and move it away", Err: err}
	}
	out := lockSummary{Lock: path, File: file.Path, Methods: len(file.Methods), Differences: []lockDifference{}}
	for _, d := range before.Compare(list) {
		out.Differences = append(out.Differences, lockDifference{d.Name, d.Field, d.Locked, d.Found, d.String()})
	}
	if !check {
		if out.Written, err = writeLock(ctx, i.Lock, list, file, path); err != nil {
			return err
		}
	}
	out.Contacted = c.hosts
	err = a.write(func(w io.Writer) error {
		if format == "json" {
			return report.JSON(w, out)
		}
		return lockTerm(w, out, missing, check)
	})
	if err == nil && check && len(out.Differences) > 0 {
		err = &core.Error{Kind: core.KindMethod, Msg: path + " differs in " + plural(len(out.Differences), "place"), Hint: "look at what changed, and lock it with: xai plugin lock"}
	}
	return err
}

// writeLock writes the lock of a file, and reports whether it is another one.
func writeLock(ctx context.Context, of func(context.Context, *registry.List, *registry.File) (*registry.Lock, error), list *registry.List, file *registry.File, path string) (bool, error) {
	lock, err := of(ctx, list, file)
	if err != nil {
		return false, err
	}
	text, err := lock.Marshal()
	if err != nil {
		return false, &core.Error{Kind: core.KindInput, Msg: err.Error(), Err: err}
	}
	if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, text) { // a regular file, or ReadLock would have said so
		return false, nil
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := lock.Write(); err != nil {
		return false, fileError(err, "cannot write", path)
	}
	return true, nil
}

func lockTerm(w io.Writer, out lockSummary, missing, check bool) error {
	if !missing {
		for _, d := range out.Differences {
			fmt.Fprintf(w, "%s.\n", report.Line(d.Text))
		}
	}
	switch {
	case check && len(out.Differences) > 0:
	case out.Written:
		fmt.Fprintf(w, "%s locks %s of %s.\n", report.Line(out.Lock), plural(out.Methods, "method"), report.Line(out.File))
	default:
		fmt.Fprintf(w, "%s is what %s declares.\n", report.Line(out.Lock), report.Line(out.File))
	}
	return nil
}
