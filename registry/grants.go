package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/internal/filelock"
	"github.com/xai-go/xai/registry/internal/regular"
)

// maxGrants bounds a file of grants. Beyond it the oldest are forgotten, and
// asked for again when they are needed.
const maxGrants = 1000

// Grant is what a user has granted to a module or an executable.
type Grant struct {
	SHA256  string // of what was granted
	Name    string // of the method
	Kind    string
	Needs   []string
	Confine *Confine  // what a process may do; nil is as little as there is
	Time    time.Time // when, in whole seconds, UTC
}

// Grants are all grants of a user. They are immutable.
type Grants struct {
	path   string
	grants []Grant // one a hash and name
}

// GrantsPath returns where a user's grants are, empty where the user has no
// home.
func GrantsPath(env func(string) string) string {
	dir := configDir(env)
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "xai", "grants.toml")
}

// ReadGrants reads a file of grants. Where there is none, or the path is empty,
// nothing is granted; one that cannot be read, or that others may write to or
// own, is an error.
func ReadGrants(path string) (*Grants, error) {
	if path == "" {
		return &Grants{}, nil
	}
	info, data, err := readOpened(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR): // of a home that is no folder
		return &Grants{path: path}, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read what was granted to methods: %w", err)
	case !regular.Owned(info):
		return nil, fmt.Errorf("%s belongs to another user, so that nothing it grants counts; look what it says, and remove it or take it over with chown", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("others may write to %s, so that nothing it grants counts; look what it says, and forbid it with: chmod 600 %s", path, path)
	}
	return ParseGrants(data, path)
}

// ParseGrants reads a file of grants; the path is for messages. An invalid one
// gives a *ParseError with the line, one of a newer schema an
// *UnsupportedError.
func ParseGrants(data []byte, path string) (*Grants, error) {
	g := &Grants{path: path}
	err := decode(data, path, func(top table) {
		top.Allow("schema", "grant")
		seen := map[[2]string]bool{}
		for i, t := range top.subs("grant", "[[grant]]", maxGrants) {
			t.Name = "grant " + strconv.Itoa(i+1)
			grant := t.grant()
			key := [2]string{grant.SHA256, grant.Name}
			if seen[key] {
				t.Fail("sha256", "there is a grant for %s and this sha256 already", grant.Name)
			}
			if top.Err() != nil {
				return
			}
			seen[key] = true
			g.grants = append(g.grants, grant)
		}
	}, "grant")
	if err != nil {
		return nil, err
	}
	return g, nil
}

func (t table) grant() Grant {
	t.Allow("sha256", "name", "kind", "needs", "granted", "confine")
	g := Grant{
		SHA256: t.Match("sha256", sha256Hex, "64 lower-case hexadecimal digits"),
		Name:   t.methodName(),
		Kind:   t.OneOf("kind", KindWASM, KindProcess),
		Needs:  t.needs(),
		Time:   t.Time("granted").Truncate(time.Second),
	}
	if g.Kind != KindProcess && t.Has("confine") {
		t.Fail("confine", "confine belongs to kind = %q alone", KindProcess)
	}
	g.Confine = t.confinement()
	return g
}

// marshal returns the grants as TOML. The oldest are forgotten where they do not
// fit a file.
func (g *Grants) marshal() ([]byte, error) {
	const head = "# What you have granted to methods. Remove a grant to be asked again.\nschema = 1\n"
	texts := make([]string, len(g.grants))
	first, size := len(texts), len(head)
	for i, grant := range slices.Backward(g.grants) {
		texts[i] = grant.text()
		if size += len(texts[i]); size > document.MaxSize {
			break
		}
		first = i
	}
	g.grants = g.grants[first:]
	data := []byte(head + strings.Join(texts[first:], ""))
	if _, err := ParseGrants(data, g.path); err != nil {
		return nil, fmt.Errorf("the grants would not read back: %w", err)
	}
	return data, nil
}

func (g Grant) text() string {
	w := &document.Writer{}
	w.Header("\n[[grant]]", "granted")
	w.Text("sha256", g.SHA256)
	w.Text("name", g.Name)
	w.Text("kind", g.Kind)
	w.List("needs", g.Needs)
	w.Pair("granted", g.Time.UTC().Format(time.RFC3339))
	if g.Confine != nil {
		w.Header("[grant.confine]", "processes")
		writeConfine(w, g.Confine)
	}
	return w.String()
}

// Ask is what a user has not granted yet to a method.
type Ask struct {
	// Grant is what AddGrant records when the user agrees, once it has a Time.
	Grant Grant
	// Needs are those that were not granted to these bytes.
	Needs []string
	// Process is true where these bytes would run as a process, and may not yet.
	Process bool
	// Confine are the ways in which the process would be confined less than was
	// granted, each as what it wants to do: "run 7 tasks at once".
	Confine []string
	// Shadows is true where these bytes would run under the name of a method
	// that the binary has, and that was not granted.
	Shadows bool
}

// Missing returns what the user has not granted yet to a method on a platform,
// nil where nothing is missing. Grants belong to bytes: another version asks
// again, and so does a method that comes to need more. What the binary holds is
// granted. It is an *UnsupportedError where the method has no executable for
// the platform.
func (g *Grants) Missing(e Entry, goos, goarch string) (*Ask, error) {
	if e.Embedded {
		return nil, nil
	}
	a, err := e.Artifact(goos, goarch)
	if err != nil {
		return nil, err
	}
	known, named := false, false
	var granted []string
	confine := wider(nil, e.Confine)
	for _, grant := range g.grants {
		if grant.SHA256 != a.SHA256 || grant.Kind != e.Kind {
			continue
		}
		if w := wider(grant.Confine, e.Confine); !known || len(w) < len(confine) {
			confine = w
		}
		known, named = true, named || grant.Name == e.Name
		granted = append(granted, grant.Needs...)
	}
	ask := &Ask{
		Grant:   Grant{SHA256: a.SHA256, Name: e.Name, Kind: e.Kind, Needs: e.Needs, Confine: e.Confine},
		Process: e.Kind == KindProcess && !known,
		Confine: confine,
		Shadows: e.ShadowsBuiltin && !named,
	}
	for _, need := range e.Needs {
		if !slices.Contains(granted, need) {
			ask.Needs = append(ask.Needs, need)
		}
	}
	if ask.Needs == nil && !ask.Process && ask.Confine == nil && !ask.Shadows {
		return nil, nil
	}
	return ask, nil
}

// wider returns what a process may do under one confinement and not under
// another; nil is as little as there is.
func wider(old, now *Confine) []string {
	old, now = old.orLeast(), now.orLeast()
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if old.Landlock && !now.Landlock {
		add("see and change every file that you can")
	}
	if !old.Net && now.Net {
		add("reach the network and what other programs of this machine listen on")
	}
	if old.AddressSpace != 0 && (now.AddressSpace == 0 || now.AddressSpace > old.AddressSpace) {
		if now.AddressSpace == 0 {
			add("use memory without a limit")
		} else {
			add("use %d MiB of memory", now.AddressSpace>>20)
		}
	}
	if now.Processes > old.Processes {
		add("run %d tasks at once", now.Processes)
	}
	for _, name := range now.Env {
		if !slices.Contains(old.Env, name) {
			add("read the environment variable %s", name)
		}
	}
	for _, p := range now.Read {
		if !slices.ContainsFunc(old.Read, func(o string) bool { return p == o || strings.HasPrefix(p, o+"/") }) {
			add("read and execute what is in %s", p)
		}
	}
	return out
}

// Wants returns what the method wants, each as what it wants to do: "use the model's
// forward".
func (a *Ask) Wants() []string {
	var wants []string
	if a.Process {
		wants = append(wants, "run as a process of yours")
	}
	if len(a.Needs) > 0 {
		wants = append(wants, "use the model's "+strings.Join(a.Needs, ", "))
	}
	wants = append(wants, a.Confine...)
	if a.Shadows {
		wants = append(wants, "stand in place of the method of this name that xai has itself")
	}
	return wants
}

// String returns one sentence that says what the method wants.
func (a *Ask) String() string {
	return fmt.Sprintf("method %s (sha256 %s) wants to %s", a.Grant.Name, a.Grant.SHA256, strings.Join(a.Wants(), "; to "))
}

// AddGrant adds a grant to a file of grants, which is made where there is none,
// readable by its owner alone. Needs add up with what was granted to the same
// bytes under the same name. Several processes may do so at once; one that
// waits for others stops waiting when the context ends.
func AddGrant(ctx context.Context, path string, grant Grant) error {
	if path == "" {
		return errors.New("there is no folder to keep grants in; set HOME or XDG_CONFIG_HOME")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return changeGrants(ctx, path, func(g *Grants) bool {
		g.add(grant)
		return true
	})
}

// RemoveGrants takes grants back: all under a name, and all for the same bytes,
// which would count whatever name they have. It returns what it took. No hash is
// "" for the name alone.
func RemoveGrants(ctx context.Context, path, name, sha256 string) ([]Grant, error) {
	if !exists(path) {
		return nil, nil
	}
	var taken []Grant
	err := changeGrants(ctx, path, func(g *Grants) bool {
		var kept []Grant
		for _, grant := range g.grants {
			if grant.Name == name || grant.SHA256 == sha256 {
				taken = append(taken, grant)
			} else {
				kept = append(kept, grant)
			}
		}
		g.grants = kept
		return len(taken) > 0
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// changeGrants changes a file of grants while nobody else does. It is written
// where change says that it did something.
func changeGrants(ctx context.Context, path string, change func(*Grants) bool) error {
	unlock, err := filelock.Lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	g, err := ReadGrants(path)
	if err != nil || !change(g) {
		return err
	}
	data, err := g.marshal()
	if err != nil {
		return err
	}
	return writeWhole(path, data, 0o600)
}

// add adds a grant, the newest at the end.
func (g *Grants) add(grant Grant) {
	grant.Time = grant.Time.UTC().Truncate(time.Second)
	grants := slices.Clone(g.grants)
	if i := slices.IndexFunc(grants, func(o Grant) bool { return o.SHA256 == grant.SHA256 && o.Name == grant.Name }); i >= 0 {
		old := grants[i]
		grants = slices.Delete(grants, i, i+1)
		if old.Kind == grant.Kind {
			grant.Needs = append(slices.Clone(old.Needs), grant.Needs...)
		}
	}
	grant.Needs = slices.Compact(slices.Sorted(slices.Values(grant.Needs)))
	grants = append(grants, grant)
	slices.SortStableFunc(grants, func(a, b Grant) int { return cmp.Compare(a.Time.Unix(), b.Time.Unix()) })
	g.grants = grants[max(len(grants)-maxGrants, 0):]
}
