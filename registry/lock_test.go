package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const digestA = "sha256:" + hashA

// lockText is the lock of the methods of full, with the digest of one artefact.
const lockText = `# Written by: xai plugin lock. It belongs under version control, beside methods.toml.
schema = 1

[[method]]
name    = "confined"
kind    = "process"
version = "0.1.0-rc.1"
abi     = "1.0"
[[method.artifact]]
os     = "darwin"
arch   = "arm64"
url    = "oci://example.org/x"
sha256 = "` + hashA + `"
digest = "` + digestA + `"
[[method.artifact]]
os     = "linux"
arch   = "amd64"
url    = "https://example.org/x"
sha256 = "` + hashA + `"
[method.confine]
landlock  = true
net       = false
rlimit_as = "4GiB"
processes = 16
env       = ["LANG"]
read      = ["/usr", "/opt/a b"]

[[method]]
name    = "lime"
kind    = "wasm"
version = "1.2.0"
abi     = "1.0"
url     = "builtin:lime.wasm"
sha256  = "` + hashA + `"
signer  = "` + keyA + `"
needs   = ["forward", "gradients"]
`

func fullLock() *Lock {
	return NewLock(fullFile(), map[string]string{"oci://example.org/x": digestA, "https://example.org/x": digestA})
}

func TestLockMarshal(t *testing.T) {
	got, err := fullLock().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lockText, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	l, err := ParseLock(got, LockName)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullLock(), l); diff != "" {
		t.Errorf("ParseLock (-want +got):\n%s", diff)
	}
	l.Methods[0].Name = "zzz"
	if data, err := l.Marshal(); err == nil {
		t.Errorf("a lock out of order was written: %s", data)
	}
}

func TestLockWrite(t *testing.T) {
	dir := t.TempDir()
	f := fullFile()
	f.Path = filepath.Join(dir, "methods.toml")
	l := NewLock(f, nil)
	if _, err := ReadLock(l.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadLock of none = %v", err)
	}
	for range 2 {
		if err := l.Write(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadLock(filepath.Join(dir, "xai.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if left := files(t, dir); len(left) != 1 {
		t.Errorf("the folder holds %v", left)
	}
	// What cannot be written leaves the old one.
	l.Methods[0].SHA256 = "none"
	if err := l.Write(); err == nil {
		t.Error("an invalid lock was written")
	}
	if _, err := ReadLock(l.Path); err != nil {
		t.Error(err)
	}
}

func TestParseLockErrors(t *testing.T) {
	for _, c := range []struct {
		name, old, new, want string
	}{
		{"unknown key", "version = \"1.2.0\"", "version = \"1.2.0\"\nsummary = \"x\"", `f:32: method lime: unknown key "summary"; known are name, kind, version, abi, url, sha256, digest, signer, needs, artifact, confine`},
		{"unknown key at the top", "schema = 1", "schema = 1\nlock = 1", `f:3: unknown key "lock"; known are schema, method`},
		{"order", `"lime"`, `"a"`, `f:29: method 2: the methods of a lock are sorted by name, each of them once; write the lock again with: xai plugin lock`},
		{"twice", `"lime"`, `"confined"`, `f:29: method 2: the methods of a lock are sorted by name, each of them once; write the lock again with: xai plugin lock`},
		{"order of needs", `"forward", "gradients"`, `"gradients", "forward"`, `f:36: method lime: the needs of a lock are sorted`},
		{"order of artifacts", `"darwin"`, `"windows"`, `f:15: method confined: artifact 2: the executables of a lock are sorted by platform, each of them once`},
		{"digest", digestA, "sha512:00", `f:14: method confined: artifact 1: digest is "sha512:00" and must be sha256: and 64 lower-case hexadecimal digits`},
		{"sha256", "sha256  = \"" + hashA, "sha256  = \"", `f:34: method lime: sha256 is empty; leave the key out or give it a value`},
		{"signer", keyA, "me", `f:35: method lime: signer is "me": a key is ed25519: and the 56 characters of a minisign public key, which begin with RW`},
		{"newer schema", "schema = 1", "schema = 9", `f: the file follows a schema newer than 1, the one that this version of xai reads; update xai`},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := strings.Replace(lockText, c.old, c.new, 1)
			if doc == lockText {
				t.Fatalf("the case changes nothing: %q is not in the lock", c.old)
			}
			l, err := ParseLock([]byte(doc), "f")
			if err == nil {
				t.Fatalf("ParseLock = %v, want an error", l)
			}
			if err.Error() != c.want {
				t.Errorf("error\n  got  %s\n  want %s", err, c.want)
			}
		})
	}
}

// TestLockCompare changes one thing after locking a case.
func TestLockCompare(t *testing.T) {
	lime := func(f *File) *Method { return &f.Methods[0] }
	confined := func(f *File) *Method { return &f.Methods[1] }
	for _, c := range []struct {
		name   string
		change func(f *File)
		want   []string
	}{
		{"nothing", func(*File) {}, nil},
		{"what no lock holds", func(f *File) { lime(f).Summary, lime(f).Params = "other", nil }, nil},
		{"the order of needs", func(f *File) { lime(f).Needs = []string{"gradients", "forward"} }, nil},
		{"version", func(f *File) { lime(f).Version = "1.3.0" }, []string{"method lime: version is 1.3.0 in methods.toml and 1.2.0 in xai.lock"}},
		{"hash", func(f *File) { lime(f).SHA256 = sumOf("x") }, []string{"method lime: sha256 is " + sumOf("x") + " in methods.toml and " + hashA + " in xai.lock"}},
		{"address", func(f *File) { lime(f).URL = "x.wasm" }, []string{"method lime: url is x.wasm in methods.toml and builtin:lime.wasm in xai.lock"}},
		{"abi", func(f *File) { lime(f).ABI = "1.1" }, []string{"method lime: abi is 1.1 in methods.toml and 1.0 in xai.lock"}},
		{"kind", func(f *File) { lime(f).Kind = KindProcess }, []string{"method lime: kind is process in methods.toml and wasm in xai.lock"}},
		{"signer gone", func(f *File) { lime(f).Signer = "" }, []string{"method lime: signer is nothing in methods.toml and " + keyA + " in xai.lock"}},
		{"more needs", func(f *File) { lime(f).Needs = append(lime(f).Needs, "patch") }, []string{"method lime: needs is forward, gradients, patch in methods.toml and forward, gradients in xai.lock"}},
		{"the network", func(f *File) {
			c := *confined(f).Confine
			c.Net = true
			confined(f).Confine = &c
		}, []string{"method confined: confine.net is true in methods.toml and false in xai.lock"}},
		{"an executable", func(f *File) { confined(f).Artifacts[0].SHA256 = sumOf("x") }, []string{"method confined: the sha256 for linux/amd64 is " + sumOf("x") + " in methods.toml and " + hashA + " in xai.lock"}},
		{"a platform more", func(f *File) {
			confined(f).Artifacts = append(confined(f).Artifacts, Artifact{"windows", "amd64", "w", hashA})
		}, []string{"method confined: the url for windows/amd64 is w in methods.toml and nothing in xai.lock", "method confined: the sha256 for windows/amd64 is " + hashA + " in methods.toml and nothing in xai.lock"}},
		{"a method more", func(f *File) {
			m := *lime(f)
			m.Name = "new"
			f.Methods = append(f.Methods, m)
		}, []string{"method new of methods.toml is not in xai.lock"}},
		{"a method less", func(f *File) { f.Methods = f.Methods[:1] }, []string{"method confined is in xai.lock, but no registry file declares it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fullFile()
			l := fullLock()
			c.change(f)
			list := &List{Places: []Place{{Origin: OriginProject, Path: f.Path, File: f}}}
			list.settle(nil)
			var got []string
			for _, d := range l.Compare(list) {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLockScope holds whose methods a lock covers.
func TestLockScope(t *testing.T) {
	method := func(name, bytes string) *File {
		f := &File{Path: name + ".toml", Methods: []Method{{Name: name, Kind: KindWASM, URL: "x", SHA256: sumOf(bytes), ABI: "1.0", Version: "1.0.0"}}}
		return f
	}
	own := method("own", "own")
	l := NewLock(own, nil)
	list := &List{Places: []Place{
		{Origin: OriginFlag, File: method("own", "another")},
		{Origin: OriginEnv, File: method("env", "env")},
		{Origin: OriginProject, File: own},
		{Origin: OriginUser, File: method("user", "user")},
		{Origin: OriginBuiltin, File: method("builtin", "builtin")},
	}}
	list.settle(nil)
	var got []string
	for _, d := range l.Compare(list) {
		got = append(got, d.Name+" "+d.Field)
	}
	// The flag's file stands before the project's; the environment's is no part of
	// either.
	if diff := cmp.Diff([]string{"own sha256"}, got); diff != "" {
		t.Errorf("Compare (-want +got):\n%s", diff)
	}
	for name, want := range map[string]int{"builtin": 0, "user": 1, "own": 1} {
		e, err := list.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Check(e); len(got) != want {
			t.Errorf("Check(%s) = %v", name, got)
		}
	}
}

// TestLockOfAnotherFile holds that a lock is one of the file that it lies beside,
// whatever the project around it declares, and whatever hides what it declares.
func TestLockOfAnotherFile(t *testing.T) {
	method := func(name string) Method {
		return Method{Name: name, Kind: KindWASM, URL: "x", SHA256: sumOf(name), ABI: "1.0", Version: "1.0.0"}
	}
	flag := &File{Path: "other/f.toml", Methods: []Method{method("a"), method("new")}}
	env := &File{Path: "env.toml", Methods: []Method{method("env"), method("new")}}
	project := &File{Path: "methods.toml", Methods: []Method{method("project")}}
	places := []Place{{Origin: OriginFlag, File: flag}, {Origin: OriginEnv, File: env}, {Origin: OriginProject, File: project}}
	old := NewLock(&File{Path: flag.Path, Methods: flag.Methods[:1]}, nil)
	for _, c := range []struct {
		name   string
		lock   *Lock
		places []Place
		want   []string
	}{
		{"what the flag names", NewLock(flag, nil), places, nil},
		{"what it declares and the lock lacks", old, places, []string{"new"}},
		{"which another file hides", old, []Place{places[1], places[0]}, []string{"new"}},
		{"without the flag", NewLock(project, nil), places[1:], nil},
	} {
		list := &List{Places: c.places}
		list.settle(nil)
		var got []string
		for _, d := range c.lock.Compare(list) {
			got = append(got, d.Name+d.Field)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestLockWriteFollowsNoLink holds that the lock of a stranger's project cannot
// lead to a file of the user's.
func TestLockWriteFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	precious := write(t, "precious", dir, "precious")
	l := fullLock()
	l.Path = filepath.Join(dir, LockName)
	if err := os.Symlink(precious, l.Path); err != nil {
		if err := os.Mkdir(l.Path, 0o700); err != nil { // not everybody may make a link on Windows
			t.Fatal(err)
		}
	}
	if err := l.Write(); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("Write = %v", err)
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "precious" {
		t.Errorf("the link led to a file that now holds %q, %v", text, err)
	}
}

// TestLockReadsBack draws files and holds that their locks read back, and that
// they differ in nothing from the files.
func TestLockReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &File{Path: "methods.toml"}
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}`), 0, 4, rapid.ID).Draw(t, "names") {
			f.Methods = append(f.Methods, drawMethod(t, name))
		}
		l := NewLock(f, map[string]string{"oci://h/p": digestA})
		data, err := l.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseLock(data, LockName)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		list := &List{Places: []Place{{Origin: OriginProject, File: f}}}
		list.settle(nil)
		if d := got.Compare(list); d != nil {
			t.Errorf("Compare = %v", d)
		}
	})
}

func TestReadLockRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadLock(write(t, "", dir, "empty.lock")); err == nil || !strings.Contains(err.Error(), "schema") {
		t.Errorf("an empty lock: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, LockName), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLock(filepath.Join(dir, LockName)); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
}
