package registry

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/registry/internal/address"
	"github.com/xai-go/xai/registry/internal/document"
	"github.com/xai-go/xai/registry/internal/regular"
)

// LockName is the name of a lock. It lies beside the methods.toml that it
// locks, and is committed with it.
const LockName = "xai.lock"

// Lock is an xai.lock: what the methods of a project's methods.toml were when
// somebody looked at them.
type Lock struct {
	Path    string
	Methods []Locked // sorted by name, each name once
}

// Locked is a method as it was locked.
type Locked struct {
	Name, Kind, Version, ABI string

	URL, SHA256 string           // as in Method
	Digest      string           // of the OCI manifest, "sha256:…"; empty for other addresses
	Artifacts   []LockedArtifact // sorted by platform

	Signer  string
	Needs   []string // sorted
	Confine *Confine
}

// LockedArtifact is an executable as it was locked.
type LockedArtifact struct {
	Artifact
	Digest string // of the OCI manifest
}

// LockPath returns where the lock of a registry file is: beside it, and after its
// name where that is another than methods.toml, so that each file of a folder has a
// lock of its own: other.toml has other.xai.lock.
func LockPath(file string) string {
	name := LockName
	if base := filepath.Base(file); base != "methods.toml" {
		name = strings.TrimSuffix(base, ".toml") + "." + LockName
	}
	return filepath.Join(filepath.Dir(file), name)
}

// NewLock locks the methods of a file as they are now. The digests are those of
// the OCI manifests behind addresses that have none, by address; package source
// finds them.
func NewLock(f *File, digests map[string]string) *Lock {
	l := &Lock{Path: LockPath(f.Path)}
	digest := func(url string) string {
		if at, err := address.Parse(url); err != nil || at.Scheme != address.OCI {
			return ""
		} else if at.Digest != "" {
			return at.Digest
		}
		return digests[url]
	}
	for _, m := range f.Methods {
		k := lockedOf(m)
		k.Digest = digest(k.URL)
		for i := range k.Artifacts {
			k.Artifacts[i].Digest = digest(k.Artifacts[i].URL)
		}
		l.Methods = append(l.Methods, k)
	}
	slices.SortFunc(l.Methods, func(a, b Locked) int { return cmp.Compare(a.Name, b.Name) })
	return l
}

// lockedOf returns what a lock says of a method, without digests.
func lockedOf(m Method) Locked {
	k := Locked{
		Name: m.Name, Kind: m.Kind, Version: m.Version, ABI: m.ABI, URL: m.URL, SHA256: m.SHA256,
		Signer: m.Signer, Needs: slices.Sorted(slices.Values(m.Needs)), Confine: m.Confine,
	}
	for _, a := range m.Artifacts {
		k.Artifacts = append(k.Artifacts, LockedArtifact{Artifact: a})
	}
	slices.SortFunc(k.Artifacts, func(a, b LockedArtifact) int {
		return cmp.Or(cmp.Compare(a.OS, b.OS), cmp.Compare(a.Arch, b.Arch))
	})
	return k
}

// Method returns what is locked under a name.
func (l *Lock) Method(name string) (Locked, bool) {
	i, ok := slices.BinarySearchFunc(l.Methods, name, func(k Locked, name string) int { return cmp.Compare(k.Name, name) })
	if !ok {
		return Locked{}, false
	}
	return l.Methods[i], true
}

// Difference is one way in which the registry files are not what was locked.
type Difference struct {
	Name   string // of the method
	Field  string // the key that differs; empty where the method is missing on one side
	Locked string // its value in the lock; empty where the lock lacks the method
	Found  string // its value in the registry file; empty where no file declares the method
	File   string // the registry file; empty where none declares the method
	Lock   string // the lock
}

// String returns one sentence.
func (d Difference) String() string {
	switch {
	case d.File == "":
		return fmt.Sprintf("method %s is in %s, but no registry file declares it", d.Name, d.Lock)
	case d.Field == "":
		return fmt.Sprintf("method %s of %s is not in %s", d.Name, d.File, d.Lock)
	}
	value := func(s string) string {
		if s == "" {
			return "nothing"
		}
		return document.Shorten(s)
	}
	return fmt.Sprintf("method %s: %s is %s in %s and %s in %s", d.Name, d.Field, value(d.Found), d.File, value(d.Locked), d.Lock)
}

// Compare returns all differences between the lock, which lies beside the list's
// Project, and the methods that names find: a method of that file that the lock
// lacks or has in another form, whichever file its name finds, and one that the
// lock has and nobody declares. The methods of all other files do not belong to
// the project; whoever is about to run one asks Check.
func (l *Lock) Compare(list *List) []Difference {
	var out []Difference
	found := map[string]bool{}
	project := list.Project()
	for _, e := range list.Entries {
		found[e.Name] = true
		if _, locked := l.Method(e.Name); locked {
			out = append(out, l.Check(e)...)
			continue
		}
		for _, e := range append([]Entry{e}, e.Shadows...) {
			if e.File == project {
				out = append(out, l.Check(e)...)
			}
		}
	}
	for _, k := range l.Methods {
		if !found[k.Name] {
			out = append(out, Difference{Name: k.Name, Lock: l.Path})
		}
	}
	slices.SortStableFunc(out, func(a, b Difference) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Check returns in what an entry is not what was locked. One that the lock
// lacks is a difference, unless it is the binary's own.
func (l *Lock) Check(e Entry) []Difference {
	k, ok := l.Method(e.Name)
	if !ok {
		if e.Origin == OriginBuiltin {
			return nil
		}
		return []Difference{{Name: e.Name, File: e.File.Path, Lock: l.Path}}
	}
	var out []Difference
	differ := func(field, locked, found string) {
		if locked != found {
			out = append(out, Difference{Name: e.Name, Field: field, Locked: locked, Found: found, File: e.File.Path, Lock: l.Path})
		}
	}
	now := lockedOf(e.Method)
	differ("kind", k.Kind, now.Kind)
	differ("version", k.Version, now.Version)
	differ("abi", k.ABI, now.ABI)
	differ("url", k.URL, now.URL)
	differ("sha256", k.SHA256, now.SHA256)
	differ("signer", k.Signer, now.Signer)
	differ("needs", strings.Join(k.Needs, ", "), strings.Join(now.Needs, ", "))
	was, is := k.Confine.orLeast(), now.Confine.orLeast()
	differ("confine.landlock", strconv.FormatBool(was.Landlock), strconv.FormatBool(is.Landlock))
	differ("confine.net", strconv.FormatBool(was.Net), strconv.FormatBool(is.Net))
	differ("confine.rlimit_as", strconv.FormatInt(was.AddressSpace, 10), strconv.FormatInt(is.AddressSpace, 10))
	differ("confine.processes", strconv.Itoa(was.Processes), strconv.Itoa(is.Processes))
	differ("confine.env", strings.Join(was.Env, ", "), strings.Join(is.Env, ", "))
	differ("confine.read", strings.Join(was.Read, ", "), strings.Join(is.Read, ", "))
	for _, p := range platforms(k.Artifacts, now.Artifacts) {
		was, is := artifactOf(k.Artifacts, p), artifactOf(now.Artifacts, p)
		differ("the url for "+p, was.URL, is.URL)
		differ("the sha256 for "+p, was.SHA256, is.SHA256)
	}
	return out
}

func (a Artifact) platform() string { return a.OS + "/" + a.Arch }

// platforms returns those of either list, sorted.
func platforms(lists ...[]LockedArtifact) []string {
	var out []string
	for _, a := range slices.Concat(lists...) {
		out = append(out, a.platform())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func artifactOf(list []LockedArtifact, platform string) LockedArtifact {
	for _, a := range list {
		if a.platform() == platform {
			return a
		}
	}
	return LockedArtifact{}
}

// ReadLock reads a lock. The error is fs.ErrNotExist where there is none.
func ReadLock(path string) (*Lock, error) {
	data, err := regular.Read(path, document.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("cannot read the lock: %w", err)
	}
	return ParseLock(data, path)
}

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ParseLock reads a lock; the path is for messages. An invalid one gives a
// *ParseError with the line, one of a newer schema an *UnsupportedError.
func ParseLock(data []byte, path string) (*Lock, error) {
	l := &Lock{Path: path}
	err := decode(data, path, func(top table) {
		top.Allow("schema", "method")
		for i, t := range top.subs("method", "[[method]]", maxMethods) {
			t.Name = "method " + strconv.Itoa(i+1)
			k := t.locked()
			if i > 0 && k.Name <= l.Methods[i-1].Name {
				t.Fail("name", "the methods of a lock are sorted by name, each of them once; write the lock again with: xai plugin lock")
			}
			if top.Err() != nil {
				return
			}
			l.Methods = append(l.Methods, k)
		}
	}, "method", "method.artifact")
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (t table) locked() Locked {
	var k Locked
	k.Name = t.methodName()
	t.Name = "method " + k.Name
	t.Allow("name", "kind", "version", "abi", "url", "sha256", "digest", "signer", "needs", "artifact", "confine")
	k.Kind = t.OneOf("kind", KindWASM, KindProcess)
	k.Version, k.ABI = t.versions()
	if t.source(k.Kind) {
		k.URL, k.SHA256 = t.module()
		k.Digest = t.digest()
	}
	k.Signer, k.Needs = t.signer(), t.needs()
	if !slices.IsSorted(k.Needs) {
		t.Fail("needs", "the needs of a lock are sorted")
	}
	for i, sub := range t.subs("artifact", "[[method.artifact]]", document.MaxList) {
		sub.Name = t.Name + ": artifact " + strconv.Itoa(i+1)
		sub.Allow("os", "arch", "url", "sha256", "digest")
		a := LockedArtifact{sub.artifact(), sub.digest()}
		if i > 0 && cmp.Or(cmp.Compare(k.Artifacts[i-1].OS, a.OS), cmp.Compare(k.Artifacts[i-1].Arch, a.Arch)) >= 0 {
			sub.Fail("", "the executables of a lock are sorted by platform, each of them once")
		}
		k.Artifacts = append(k.Artifacts, a)
	}
	k.Confine = t.confinement()
	return k
}

func (t table) digest() string {
	if !t.Has("digest") {
		return ""
	}
	return t.Match("digest", digestPattern, "sha256: and 64 lower-case hexadecimal digits")
}

// Marshal returns the lock as TOML, the same bytes for the same lock. It is an
// error where ParseLock would refuse the result.
func (l *Lock) Marshal() ([]byte, error) {
	w := &document.Writer{}
	w.Line("# Written by: xai plugin lock. It belongs under version control, beside methods.toml.")
	w.Line("schema = %d", Schema)
	for _, k := range l.Methods {
		w.Header("\n[[method]]", "version")
		w.Text("name", k.Name)
		w.Text("kind", k.Kind)
		w.Text("version", k.Version)
		w.Text("abi", k.ABI)
		w.Text("url", k.URL)
		w.Text("sha256", k.SHA256)
		w.Text("digest", k.Digest)
		w.Text("signer", k.Signer)
		w.List("needs", k.Needs)
		for _, a := range k.Artifacts {
			w.Header("[[method.artifact]]", "sha256")
			writeArtifact(w, a.Artifact)
			w.Text("digest", a.Digest)
		}
		if k.Confine != nil {
			w.Header("[method.confine]", "processes")
			writeConfine(w, k.Confine)
		}
	}
	if _, err := ParseLock(w.Bytes(), l.Path); err != nil {
		return nil, fmt.Errorf("the lock would not read back: %w", err)
	}
	return w.Bytes(), nil
}

// Write writes the lock to its path, whole or not at all. It replaces a regular
// file alone, as ReadLock reads one alone: a link that came with a stranger's
// project could lead to any file of the user's.
func (l *Lock) Write() error {
	data, err := l.Marshal()
	if err != nil {
		return err
	}
	if info, err := os.Lstat(l.Path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file; remove it", l.Path)
	}
	return writeFile(l.Path, data, 0o644)
}
