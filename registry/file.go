// Package registry reads methods.toml, the file that declares explanation
// methods: where each module is, which bytes it must have, what it may use and
// which parameters it takes.
//
// Search finds the files that apply, in order of precedence; the first file
// that declares a name wins. A Loader reads a module, and verifies its SHA-256
// and its publisher's signature every time, whether it comes from the binary,
// from a disk or from the Store, which holds what was fetched. The Policy of a
// machine, the Lock of a project and the Grants of a user say whether it may
// run. Nothing here uses the network; package source does.
//
// A methods.toml may come with a stranger's project, so nothing in it is
// trusted: a file has bounds on its size, depth and every figure, unknown keys
// are errors, and reading it runs nothing.
package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schema is the version of the files that this package reads and writes.
const Schema = 1

// The kinds of methods: a module in the sandbox, or an executable that runs
// as a process of its own.
const (
	KindWASM    = "wasm"
	KindProcess = "process"
)

// File is one methods.toml.
type File struct {
	Path    string   // as it was opened, or BuiltinPath
	Methods []Method // in the order of the file; names are unique
}

// Method returns the method of that name.
func (f *File) Method(name string) (Method, bool) {
	for _, m := range f.Methods {
		if m.Name == name {
			return m, true
		}
	}
	return Method{}, false
}

// Method declares one method.
type Method struct {
	Name    string   // lower-case letters, digits and hyphens
	Kind    string   // KindWASM or KindProcess
	URL     string   // builtin:NAME, a path relative to the file, file://, https:// or oci://
	SHA256  string   // of the module, 64 lower-case hexadecimal digits
	ABI     string   // the ABI that the module was built against, "major.minor"
	Version string   // of the method, semantic
	Needs   []string // powers of the host: forward, gradients …
	Summary string   // one line
	Source  string   // the paper or implementation that defines the method
	Signer  string   // the key of who signs the module, "ed25519:RWQ…"; empty where nobody does
	Limits  Limits
	Params  []Param // in the order of the file

	Artifacts []Artifact // of KindProcess: an executable a platform; without any, URL is one for all
	Confine   *Confine   // of KindProcess: what the process may do; nil is as little as there is
}

// Artifact returns what the method runs on a platform: its module, or the
// executable of a process. It is an *UnsupportedError where there is none.
func (e Entry) Artifact(goos, goarch string) (Artifact, error) {
	if len(e.Artifacts) == 0 {
		return Artifact{OS: goos, Arch: goarch, URL: e.URL, SHA256: e.SHA256}, nil
	}
	var have []string
	for _, a := range e.Artifacts {
		if a.OS == goos && a.Arch == goarch {
			return a, nil
		}
		have = append(have, a.platform())
	}
	slices.Sort(have)
	return Artifact{}, &UnsupportedError{e.File.Path, fmt.Sprintf("method %s: there is no executable for %s/%s; there are those for %s", e.Name, goos, goarch, strings.Join(have, ", "))}
}

// Limits bound one explanation. A zero stands for the host's default.
type Limits struct {
	Memory   int64 // bytes of the guest's linear memory
	Timeout  time.Duration
	Forwards int64 // rows that the method may have evaluated
	Output   int64 // bytes of the results
	Log      int64 // bytes of log lines
	Fuel     int64 // instructions
}

// The types of parameters and the Go types of their defaults.
const (
	TypeInt    = "int"    // int64
	TypeFloat  = "float"  // float64
	TypeBool   = "bool"   // bool
	TypeString = "string" // string
	TypeEnum   = "enum"   // string, one of Param.Values
)

// Param declares one parameter of a method.
type Param struct {
	Name    string
	Aliases []string // other names that people know it by
	Type    string   // TypeInt …
	Default any      // int64, float64, bool or string, as Type says; never nil
	Min     *float64 // inclusive bound of an int or float; nil where there is none
	Max     *float64
	Values  []string // of an enum
	Doc     string
	Compat  map[string]any // the default under each value of the parameter compat that has its own
}

// Artifact is the executable of a process method for one platform.
type Artifact struct {
	OS     string // as GOOS spells it
	Arch   string // as GOARCH spells it
	URL    string
	SHA256 string
}

// Confine says what the process of a method asks to be able to do. What is
// granted is another matter.
type Confine struct {
	Landlock     bool     // no file is visible but its own executable and Read; the default
	Net          bool     // the network is reachable
	AddressSpace int64    // bytes of RLIMIT_AS; 0 where there is no limit
	Processes    int      // tasks, threads included; 0 is the host's default
	Env          []string // environment variables that it sees
	Read         []string // absolute paths below which it may read and execute, with slashes
}

// orLeast returns the confinement of a process that asks for nothing where c is
// nil.
func (c *Confine) orLeast() *Confine {
	if c == nil {
		return &Confine{Landlock: true}
	}
	return c
}
