package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
)

// output is a file that a result goes to, whole or not at all: it is written
// under another name in the same folder, which then takes the place of what
// was there. That stays where anything fails or the run is cancelled.
type output struct {
	name   string // as the user gave it
	target string // with links resolved, so that a link stays one
	exists bool   // there is a file, whose mode is kept
	mode   os.FileMode
	device bool // it is a pipe or a device, which cannot be replaced
}

// openOutput checks that name can be written, before the work is done.
func (a *app) openOutput(name string) (*output, error) {
	o := &output{name: name, target: resolve(name), mode: 0o666}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return nil, &core.Error{Kind: core.KindInput, Msg: "cannot write " + name + ": it is a folder", Hint: "name a file in it"}
	case err == nil && !info.Mode().IsRegular():
		o.device = true
		return o, nil
	case err == nil:
		// A file that may not be written must not be replaced either.
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return nil, fileError(err, "cannot write", name)
		}
		f.Close()
		o.exists, o.mode = true, info.Mode().Perm()
	}
	f, err := a.create(o)
	if err != nil {
		return nil, fileError(err, "cannot write", name)
	}
	f.Close()
	a.discard(f.Name())
	return o, nil
}

// resolve follows the links at name to the end, also where nothing is there yet.
func resolve(name string) string {
	for range 40 { // as many as Linux follows
		link, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(name), link)
		}
		name = link
	}
	return name
}

// reports are further endings of files that a report for people is written to.
var reports = []string{"txt", "text", "log", "out", "ans", "md"}

// formatOf returns the format of a result: the one given, else the one of formats
// that the ending of the file's name says, else term.
func formatOf(given, file string, formats []string) (string, error) {
	ending := strings.TrimPrefix(strings.ToLower(filepath.Ext(file)), ".")
	switch {
	case given != "":
		return given, nil
	case slices.Contains(formats, ending):
		return ending, nil
	case ending == "md" && slices.Contains(formats, "markdown"):
		return "markdown", nil
	case ending == "" || slices.Contains(reports, ending):
		return "term", nil
	case ending == "html" || ending == "svg":
		return "", usage("use one of "+strings.Join(formats, ", "), "this version writes no %s", ending)
	}
	return "", usage("name one with --format: "+strings.Join(formats, ", "), "the ending .%s of %s names no format", ending, file)
}

// deliver writes what f lays out: to out, in the plain form that files have, or to
// standard output where out is nil.
func (a *app) deliver(ctx context.Context, out *output, f func(report.Term, io.Writer) error) error {
	if out == nil {
		t := a.term()
		return a.write(func(w io.Writer) error { return f(t, w) })
	}
	a.clearProgress()
	t := a.plain()
	return out.write(ctx, a, func(w io.Writer) error { return f(t, w) })
}

// write writes what f lays out.
func (o *output) write(ctx context.Context, a *app, f func(io.Writer) error) error {
	if o.device {
		return o.writeDevice(f)
	}
	file, err := a.create(o)
	if err != nil {
		return fileError(err, "cannot write", o.name)
	}
	defer a.discard(file.Name())
	err = buffered(file, f)
	if err == nil && o.exists { // the mode of a new file is for the umask to decide
		err = file.Chmod(o.mode)
	}
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		err = os.Rename(file.Name(), o.target)
	}
	if err != nil {
		return fileError(err, "cannot write", o.name)
	}
	return nil
}

// buffered writes to w what f lays out, in large pieces.
func buffered(w io.Writer, f func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<20)
	if err := f(b); err != nil {
		return err
	}
	return b.Flush()
}

// writeDevice writes what f lays out to where it cannot be taken back.
func (o *output) writeDevice(f func(io.Writer) error) error {
	file, err := os.OpenFile(o.name, os.O_WRONLY, 0)
	if err != nil {
		return fileError(err, "cannot write", o.name)
	}
	err = buffered(file, f)
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil || readerGone(err) {
		return err
	}
	return fileError(err, "cannot write", o.name)
}

// create creates the file that will take the place of o. It holds the lock
// meanwhile, so that abandon removes the file or comes before it.
func (a *app) create(o *output) (*os.File, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.abandoned {
		return nil, context.Canceled
	}
	dir, base := filepath.Split(o.target)
	f, err := os.OpenFile(filepath.Join(dir, "."+base+"."+rand.Text()[:8]), os.O_WRONLY|os.O_CREATE|os.O_EXCL, o.mode)
	if err != nil {
		return nil, err
	}
	if a.partial == nil {
		a.partial = make(map[string]bool)
	}
	a.partial[f.Name()] = true
	return f, nil
}

// discard removes a file of create, if it still has that name.
func (a *app) discard(name string) {
	os.Remove(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.partial, name)
}

// abandon removes what a run that did not end in time was writing, and has it
// begin no other file.
func (a *app) abandon() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.abandoned = true
	for name := range a.partial {
		os.Remove(name)
	}
}

// noteDropped says that a text was cut, if it was.
func (a *app) noteDropped(tokens int) {
	if tokens > 0 {
		fmt.Fprintf(a.stderr, "note: the text is longer than the model reads: %d of its tokens were left out\n", tokens)
	}
}
