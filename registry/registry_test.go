package registry

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/registry/internal/document"
)

// keyA is the public key of a publisher.
const keyA = "ed25519:RWQy2OshzpNXpbzPLtHbPLKxhAKx83sbq0cOsyHIoIazAFBi+n2LSbuu"

const hashA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" // of "test"

// full uses every key of the schema.
const full = `schema = 1

[[method]]
name    = "lime"
kind    = "wasm"
url     = "builtin:lime.wasm"
sha256  = "` + hashA + `"
abi     = "1.0"
version = "1.2.0"
needs   = ["forward", "gradients"]
summary = "Local surrogate \"by\" token masking \\ é"
source  = "Ribeiro et al. 2016"
signer  = "` + keyA + `"
[method.limits]
memory   = "64MiB"
timeout  = "60s"
fuel     = "20G"
forwards = 5000
output   = "16MiB"
log      = 1000
[method.params.num_samples]
type    = "int"
default = 1000
min     = 10
max     = 100000
aliases = ["nsamples", "n_samples"]
doc     = "number of perturbations"
[method.params.kernel_width]
type    = "float"
default = 25.0
min     = 1e-06
[method.params.bow]
type    = "bool"
default = false
compat  = { "lime" = true }
[method.params.fill]
type    = "enum"
values  = ["mask", "pad"]
default = "mask"
[method.params.a_string]
type    = "string"
default = ""

[[method]]
name    = "confined"
kind    = "process"
abi     = "1.0"
version = "0.1.0-rc.1"
[[method.artifact]]
os     = "linux"
arch   = "amd64"
url    = "https://example.org/x"
sha256 = "` + hashA + `"
[[method.artifact]]
os     = "darwin"
arch   = "arm64"
url    = "oci://example.org/x"
sha256 = "` + hashA + `"
[method.confine]
landlock  = true
net       = false
rlimit_as = "4GiB"
processes = 16
env       = ["LANG"]
read      = ["/usr", "/opt/a b"]
`

func bound(v float64) *float64 { return &v }

func fullFile() *File {
	return &File{Path: "methods.toml", Methods: []Method{{
		Name: "lime", Kind: KindWASM, URL: "builtin:lime.wasm", SHA256: hashA, ABI: "1.0", Version: "1.2.0",
		Needs: []string{"forward", "gradients"}, Summary: `Local surrogate "by" token masking \ é`,
		Source: "Ribeiro et al. 2016", Signer: keyA,
		Limits: Limits{Memory: 64 << 20, Timeout: time.Minute, Forwards: 5000, Output: 16 << 20, Log: 1000, Fuel: 20e9},
		Params: []Param{
			{Name: "num_samples", Aliases: []string{"nsamples", "n_samples"}, Type: TypeInt, Default: int64(1000), Min: bound(10), Max: bound(100000), Doc: "number of perturbations"},
			{Name: "kernel_width", Type: TypeFloat, Default: 25.0, Min: bound(1e-6)},
			{Name: "bow", Type: TypeBool, Default: false, Compat: map[string]any{"lime": true}},
			{Name: "fill", Type: TypeEnum, Default: "mask", Values: []string{"mask", "pad"}},
			{Name: "a_string", Type: TypeString, Default: ""},
		},
	}, {
		Name: "confined", Kind: KindProcess, ABI: "1.0", Version: "0.1.0-rc.1",
		Artifacts: []Artifact{
			{OS: "linux", Arch: "amd64", URL: "https://example.org/x", SHA256: hashA},
			{OS: "darwin", Arch: "arm64", URL: "oci://example.org/x", SHA256: hashA},
		},
		Confine: &Confine{Landlock: true, AddressSpace: 4 << 30, Processes: 16, Env: []string{"LANG"}, Read: []string{"/usr", "/opt/a b"}},
	}}}
}

func TestParse(t *testing.T) {
	got, err := Parse([]byte(full), "methods.toml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fullFile(), got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestParseForms(t *testing.T) {
	const head = "schema = 1\n[[method]]\nname=\"m\"\nkind=\"wasm\"\nurl=\"m.wasm\"\nabi=\"1.0\"\nversion=\"1.0.0\"\nsha256=\"" + hashA + "\"\n"
	inOrder := []Param{
		{Name: "z", Type: TypeFloat, Default: 2.0},
		{Name: "a", Type: TypeBool, Default: true},
	}
	for name, params := range map[string]string{
		"headers":           "[method.params.z]\ntype=\"float\"\ndefault=2\n[method.params.a]\ntype=\"bool\"\ndefault=true\n",
		"inline tables":     "[method.params]\nz = {type=\"float\", default=2.0}\na = {type=\"bool\", default=true}\n",
		"one inline table":  "params = {z = {type=\"float\", default=2.0}, a = {type=\"bool\", default=true}}\n",
		"dotted":            "params.z.type=\"float\"\nparams.a.type=\"bool\"\nparams.a.default=true\nparams.z.default=2.0\n",
		"carriage returns":  "[method.params.z]\r\ntype=\"float\"\r\ndefault=2\r\n[method.params.a]\r\ntype=\"bool\"\r\ndefault=true\r\n",
		"comments, quoting": "# [x\n[ method . \"params\" . 'z' ] # {\ntype = 'float' # \"\ndefault = 2\n[method.params.a]\ntype = \"\"\"bool\"\"\"\ndefault = true",
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Parse([]byte(head+params), "x")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(inOrder, f.Methods[0].Params); diff != "" {
				t.Errorf("params (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("no methods", func(t *testing.T) {
		f, err := Parse([]byte("schema = 1"), "x")
		if err != nil || len(f.Methods) != 0 {
			t.Errorf("Parse = %v, %v", f, err)
		}
	})
	t.Run("confinement is the default", func(t *testing.T) {
		f, err := Parse([]byte(strings.Replace(head, "wasm\"\nurl", "process\"\nurl", 1)+"[method.confine]\n"), "x")
		if err != nil || !f.Methods[0].Confine.Landlock || f.Methods[0].Confine.Net {
			t.Errorf("Parse = %v, %v", f, err)
		}
	})
}

// TestParseErrors changes one thing in a valid file a case.
func TestParseErrors(t *testing.T) {
	const param = "[method.params.num_samples]\ntype    = \"int\"\ndefault = 1000\nmin     = 10\nmax     = 100000\n"
	for _, c := range []struct {
		name, old, new string
		want           string // the whole message
	}{
		{"syntax", `abi     = "1.0"`, `abi     = "1.0`, `f:8: strings cannot contain newlines`},
		{"not UTF-8", "é", "\xff", `f: the file is not UTF-8; save it as UTF-8 text`},
		{"no schema", "schema = 1\n", "\n", `f: the file does not say which schema it follows; begin it with: schema = 1`},
		{"schema is text", "schema = 1\n", "schema = \"1\"\n", `f:1: schema must be 1`},
		{"schema is zero", "schema = 1\n", "schema = 0\n", `f:1: schema must be 1`},
		{"unknown key at the top", "schema = 1\n", "schema = 1\nmethods = 2\n", `f:2: unknown key "methods"; did you mean "method"?`},
		{"unknown key in a method", "summary = \"Loc", "summry = \"Loc", `f:11: method lime: unknown key "summry"; did you mean "summary"?`},
		{"unknown key far from all", "signer ", "cheese", `f:13: method lime: unknown key "cheese"; known are name, kind, url, sha256, abi, version, needs, summary, source, signer, limits, params, artifact, confine`},
		{"upper-case key", "summary", "Summary", `f:11: method lime: unknown key "Summary"; did you mean "summary"?`},
		{"unknown key in limits", "memory ", "memroy ", `f:15: method lime: limits: unknown key "memroy"; did you mean "memory"?`},
		{"unknown key in a parameter", "doc  ", "dco  ", `f:27: method lime: parameter num_samples: unknown key "dco"; did you mean "doc"?`},
		{"unknown key in the second method", "version = \"0.1.0-rc.1\"", "version = \"0.1.0\"\nsumary = \"x\"", `f:49: method confined: unknown key "sumary"; did you mean "summary"?`},
		{"unknown key in an artifact", "os     = \"darwin\"", "so     = \"darwin\"", `f:55: method confined: artifact 2: unknown key "so"; did you mean "os"?`},
		{"unknown key in confine", "net  ", "nett  ", `f:61: method confined: confine: unknown key "nett"; did you mean "net"?`},
		{"key twice", "kind    = \"wasm\"", "kind = \"wasm\"\nkind = \"wasm\"", `f:6: Key 'method.kind' has already been defined.`},
		{"name missing", "name    = \"lime\"\n", "", `f:3: method 1: name is missing; it must be lower-case letters and digits, with hyphens between them`},
		{"name in upper case", `"lime"`, `"Lime"`, `f:4: method 1: name is "Lime" and must be lower-case letters and digits, with hyphens between them`},
		{"name is a number", `"lime"`, `7`, `f:4: method 1: name must be a string`},
		{"name too long", `"lime"`, `"` + strings.Repeat("a", 65) + `"`, `f:4: method 1: name has 65 bytes and may have 64`},
		{"name twice", `"confined"`, `"lime"`, `f:45: method 2: the name "lime" is taken by the method in line 3; names are unique in a file`},
		{"kind missing", "kind    = \"wasm\"\n", "", `f:3: method lime: kind is missing; it must be one of wasm, process`},
		{"kind unknown", `"wasm"`, `"native"`, `f:5: method lime: kind is "native" and must be one of wasm, process`},
		{"url missing", "url     = \"builtin:lime.wasm\"\n", "", `f:3: method lime: url is missing; it says where the module is`},
		{"url empty", "builtin:lime.wasm", "", `f:6: method lime: url is empty; leave the key out or give it a value`},
		{"url of an unknown scheme", "builtin:lime.wasm", "ftp://x", `f:6: method lime: url is "ftp://x": the scheme "ftp:" is unknown; known are builtin:, a path, file://, https:// and oci://`},
		{"url over http", "builtin:lime.wasm", "http://x", `f:6: method lime: url is "http://x": http:// is not authenticated; use https://`},
		{"url without host", "builtin:lime.wasm", "https:///x", `f:6: method lime: url is "https:///x": it names no host`},
		{"built-in with a folder", "builtin:lime.wasm", "builtin:../x", `f:6: method lime: url is "builtin:../x": a built-in module has a plain name, such as builtin:lime.wasm`},
		{"file on another host", "builtin:lime.wasm", "file://host/x", `f:6: method lime: url is "file://host/x": a file address is file:// and an absolute path, such as file:///opt/xai/lime.wasm`},
		{"path on another machine", "builtin:lime.wasm", `\\\\host\\x`, `f:6: method lime: url is "\\\\host\\x": a path on another machine is refused; copy the module here`},
		{"sha256 missing", "sha256  = \"" + hashA + "\"\nabi ", "abi ", `f:3: method lime: sha256 is missing; it must be the 64 lower-case hexadecimal digits of the module's SHA-256`},
		{"sha256 too short", "sha256  = \"9", "sha256  = \"", `f:7: method lime: sha256 is "` + hashA[1:] + `" and must be the 64 lower-case hexadecimal digits of the module's SHA-256`},
		{"sha256 of an artifact", "x\"\nsha256 = \"9", "x\"\nsha256 = \"G", `f:53: method confined: artifact 1: sha256 is "G` + hashA[1:] + `" and must be the 64 lower-case hexadecimal digits of the module's SHA-256`},
		{"abi", `abi     = "1.0"`, `abi     = "1"`, `f:8: method lime: abi is "1" and must be the version of the ABI, such as "1.0"`},
		{"version", `"1.2.0"`, `"v1.2"`, `f:9: method lime: version is "v1.2" and must be a semantic version, such as "1.2.0"`},
		{"need unknown", `"gradients"]`, `"network"]`, `f:10: method lime: needs holds "network" and may hold forward, gradients, attentions, activations, hidden_states, generate, embeddings, tokenize, patch`},
		{"need twice", `"gradients"]`, `"forward"]`, `f:10: method lime: needs holds "forward" twice`},
		{"needs is text", `["forward", "gradients"]`, `"forward"`, `f:10: method lime: needs must be an array of strings`},
		{"needs of numbers", `["forward", "gradients"]`, `[1]`, `f:10: method lime: needs must hold strings alone`},
		{"too many needs", `["forward", "gradients"]`, `[` + strings.Repeat(`"a",`, 101) + `]`, `f:10: method lime: needs has 101 elements and may have 100`},
		{"text that is read backwards", "Ribeiro", `\u202egnp.exe`, `f:12: method lime: source holds a control character; it must be one line of text`},
		{"line separator", "Ribeiro", `\u2028error: x`, `f:12: method lime: source holds a control character; it must be one line of text`},
		{"control character", "Ribeiro", `\u001b[2J`, `f:12: method lime: source holds a control character; it must be one line of text`},
		{"text too long", "Ribeiro", strings.Repeat("x", 2000), `f:12: method lime: source has 2012 bytes and may have 2000`},
		{"memory in decimal units", `"64MiB"`, `"64MB"`, `f:15: method lime: limits: memory must be a size such as "64MiB"`},
		{"memory beyond the address space", `"64MiB"`, `"5GiB"`, `f:15: method lime: limits: memory is 5GiB and must be from 64KiB to 4GiB`},
		{"memory overflows", `"64MiB"`, `"9223372036854775807GiB"`, `f:15: method lime: limits: memory must be a size such as "64MiB"`},
		{"memory negative", `"64MiB"`, `"-1MiB"`, `f:15: method lime: limits: memory must be a size such as "64MiB"`},
		{"timeout without a unit", `"60s"`, `"60"`, `f:16: method lime: limits: timeout is "60" and must be a duration such as "60s"`},
		{"timeout zero", `"60s"`, `"0s"`, `f:16: method lime: limits: timeout is 0s and must be more than 0 and at most 24h0m0s`},
		{"fuel zero", `"20G"`, `0`, `f:17: method lime: limits: fuel is 0 and must be from 1 to 1000000T`},
		{"forwards", `5000`, `1.5`, `f:18: method lime: limits: forwards must be a whole number such as 5000 or "5M"`},
		{"limits is no table", "[method.limits]\nmemory   = \"64MiB\"\ntimeout  = \"60s\"\nfuel     = \"20G\"\nforwards = 5000\noutput   = \"16MiB\"\nlog      = 1000\n", "limits = 3\n", `f:14: method lime: limits must be a table`},
		{"parameter name", "[method.params.bow]", "[method.params.Bow]", `f:32: method lime: params: the name "Bow" must be a lower-case letter and then such letters, digits and underscores`},
		{"parameter is no table", param, "[method.params]\nnum_samples = 3\n[method.params.x]\ntype = \"string\"\ndefault=\"\"\n", `f:22: method lime: params: num_samples must be a table`},
		{"type missing", "type    = \"bool\"\n", "", `f:32: method lime: parameter bow: type is missing; it must be one of int, float, bool, string, enum`},
		{"default missing", "default = false\n", "", `f:32: method lime: parameter bow: default is missing; every parameter has one`},
		{"default of another type", "default = false", "default = 0", `f:34: method lime: parameter bow: default must be true or false`},
		{"default below min", "default = 1000\n", "default = 9\n", `f:23: method lime: parameter num_samples: default is 9, outside of min and max`},
		{"default above max", "default = 1000\n", "default = 100001\n", `f:23: method lime: parameter num_samples: default is 100001, outside of min and max`},
		{"default with a fraction", "default = 1000\n", "default = 1000.0\n", `f:23: method lime: parameter num_samples: default must be a whole number`},
		{"default not exact", "default = 1000\n", "default = 9007199254740993\n", `f:23: method lime: parameter num_samples: default is 9007199254740993 and must be from -9007199254740992 to 9007199254740992`},
		{"default not finite", "default = 25.0", "default = inf", `f:30: method lime: parameter kernel_width: default must be finite`},
		{"min not finite", "min     = 1e-06", "min = nan", `f:31: method lime: parameter kernel_width: min must be finite`},
		{"min above max", "min     = 10\n", "min = 200000\n", `f:25: method lime: parameter num_samples: max is 100000 and min 200000`},
		{"min of a bool", "default = false", "default = false\nmin = 1", `f:35: method lime: parameter bow: only an int and a float have min and max`},
		{"preset of another type", `{ "lime" = true }`, `{ lime = 1 }`, `f:35: method lime: parameter bow: compat: lime must be true or false`},
		{"name of a preset", `{ "lime" = true }`, `{ "\u0007" = true }`, `f:35: method lime: parameter bow: compat has a preset "\a"; they are lower-case letters and digits, with hyphens between them`},
		{"default not among the values", "default = \"mask\"", "default = \"zero\"", `f:39: method lime: parameter fill: default is "zero" and must be one of mask, pad`},
		{"enum without values", "values  = [\"mask\", \"pad\"]\n", "", `f:36: method lime: parameter fill: an enum must list its values`},
		{"values of a string", "default = \"\"\n", "default = \"\"\nvalues = [\"\"]\n", `f:43: method lime: parameter a_string: values holds an empty string`},
		{"alias", `"nsamples"`, `"2"`, `f:26: method lime: parameter num_samples: the alias "2" must be a letter and then letters, digits, underscores and hyphens`},
		{"alias is another's name", `"nsamples"`, `"bow"`, `f:32: method lime: params: "bow" names both the parameter num_samples and the parameter bow`},
		{"alias is its own name", `"nsamples"`, `"num_samples"`, `f:21: method lime: params: "num_samples" names both the parameter num_samples and the parameter num_samples`},
		{"artifact of a wasm method", `"process"`, `"wasm"`, `f:49: method confined: artifact belongs to kind = "process" alone`},
		{"methods inline", "schema = 1\n", "schema = 1\nmethod = [{}]\n#", `f:4: Key 'method' was already created and cannot be used as an array.`},
		{"env name", `"LANG"`, `"A=B"`, `f:64: method confined: confine: env holds "A=B", which is no name of an environment variable`},
		{"path to read", `"/usr"`, `"usr"`, `f:65: method confined: confine: read holds "usr" and may hold absolute paths without . and .., such as "/usr"`},
		{"path to read with dots", `"/usr"`, `"/usr/../root"`, `f:65: method confined: confine: read holds "/usr/../root" and may hold absolute paths without . and .., such as "/usr"`},
		{"every file", `"/usr"`, `"/"`, `f:65: method confined: confine: read holds /, which is every file there is; name the folders that the process needs`},
		{"processes", `= 16`, `= 0`, `f:63: method confined: confine: processes is 0 and must be from 1 to 4096`},
		{"two executables for a platform", `"darwin"
arch   = "arm64"`, `"linux"
arch = "amd64"`, `f:54: method confined: artifact 2: there is an executable for linux/amd64 already`},
		{"url beside artifacts", "kind    = \"process\"\n", "kind = \"process\"\nurl = \"x\"\n", `f:50: method confined: there is a url for every platform and an artifact for some; leave one of them out`},
		{"signer", keyA, "ed25519:RWQ", `f:13: method lime: signer is "ed25519:RWQ": a key is ed25519: and the 56 characters of a minisign public key, which begin with RW`},
		{"empty key", "net       = false", `"" = 1`, `f:59: method confined: confine: unknown key ""; known are landlock, net, rlimit_as, processes, env, read`},
		{"parameter named like a position", "[method.params.bow]", "[method.params.\"fill.type\"]", `f:32: method lime: params: the name "fill.type" must be a lower-case letter and then such letters, digits and underscores`},
		{"landlock", `landlock  = true`, `landlock  = "yes"`, `f:60: method confined: confine: landlock must be true or false`},
		{"nested too deep", "5000", strings.Repeat("[", 6), `f:18: a value is nested more than 5 levels deep`},
		{"long key", "forwards", strings.Repeat("a", 200), `f:18: a key has 202 bytes and may have 200`},
		{"key of many parts", "forwards", strings.Repeat("a.", 9) + "a", `f:18: a key has 10 parts and may have 8`},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := strings.Replace(full, c.old, c.new, 1)
			if doc == full {
				t.Fatalf("the case changes nothing: %q is not in the file", c.old)
			}
			f, err := Parse([]byte(doc), "f")
			if err == nil {
				t.Fatalf("Parse = %v, want an error", f)
			}
			if _, ok := err.(*ParseError); !ok {
				t.Errorf("the error is a %T, want *ParseError", err)
			}
			if err.Error() != c.want {
				t.Errorf("error\n  got  %s\n  want %s", err, c.want)
			}
		})
	}
}

func TestParseMore(t *testing.T) {
	t.Run("too large", func(t *testing.T) {
		_, err := Parse([]byte("schema = 1\n#"+strings.Repeat("x", document.MaxSize)), "f")
		if err == nil || err.Error() != "f: the file has 1048588 bytes and may have 1048576; split it" {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("newer schema", func(t *testing.T) {
		_, err := Parse([]byte("schema = 2\nnovelty = true\n"), "f")
		if _, ok := err.(*UnsupportedError); !ok || err.Error() != "f: the file follows a schema newer than 1, the one that this version of xai reads; update xai" {
			t.Errorf("error = %T %v", err, err)
		}
	})
	t.Run("methods as an inline array", func(t *testing.T) {
		_, err := Parse([]byte("schema = 1\nmethod = [{name = \"x\"}]\n"), "f")
		if err == nil || err.Error() != "f:2: write every method as a table of its own under [[method]]" {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("too many methods", func(t *testing.T) {
		_, err := Parse([]byte("schema = 1\n"+strings.Repeat("[[method]]\n", 1001)), "f")
		if err == nil || err.Error() != "f:2: the file has 1001 of [[method]] and may have 1000" {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("too many keys", func(t *testing.T) {
		_, err := Parse([]byte("schema = 1\n"+strings.Repeat("[[x]]\n", 20000)), "f")
		if err == nil || err.Error() != "f:20001: the file has more than 20000 keys; split it" {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("a long foreign string is cut", func(t *testing.T) {
		_, err := Parse([]byte("schema = 1\n\""+strings.Repeat("é", 90)+"\" = 1\n"), "f")
		if err == nil || len(err.Error()) > 150 || !strings.HasPrefix(err.Error(), `f:2: unknown key "éé`) {
			t.Errorf("error = %v", err)
		}
	})
}

func TestMarshal(t *testing.T) {
	f := fullFile()
	got, err := f.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, string(got)); diff != "" {
		t.Errorf("Marshal (-want +got):\n%s", diff)
	}
	f.Methods[0].Params[0].Default = 1000 // an int, where int64 is asked for
	if data, err := f.Marshal(); err == nil || err.Error() != `the parameter "num_samples" is of type int and has a value of the Go type int` {
		t.Errorf("Marshal of a value of another type = %q, %v", data, err)
	}
	f = fullFile()
	f.Methods[0].Name = "LIME"
	if data, err := f.Marshal(); err == nil {
		t.Errorf("Marshal of an invalid file = %q", data)
	}
}

// TestMarshalReadsBack draws files and holds Parse to be the inverse of
// Marshal.
func TestMarshalReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &File{Path: "p"}
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}`), 0, 4, rapid.ID).Draw(t, "names")
		for _, name := range names {
			want.Methods = append(want.Methods, drawMethod(t, name))
		}
		data, err := want.Marshal()
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}
		got, err := Parse(data, "p")
		if err != nil {
			t.Fatalf("Parse: %v\n%s", err, data)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, data)
		}
	})
}

// line draws text without control characters, most of it awkward.
var line = rapid.StringMatching(`[ -~é世"'\\#=\[\]{}.,]{0,30}`)

func drawMethod(t *rapid.T, name string) Method {
	m := Method{
		Name: name, Kind: KindWASM, SHA256: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "sha256"),
		URL:     rapid.SampledFrom([]string{"builtin:x.wasm", "a/b c.wasm", "../x", `C:\x`, "file:///x", "https://h/p?q=1", "oci://h/p"}).Draw(t, "url"),
		ABI:     "1." + rapid.StringMatching(`[1-9][0-9]?`).Draw(t, "abi"),
		Version: rapid.SampledFrom([]string{"0.0.0", "1.20.3", "1.0.0-rc.1+linux"}).Draw(t, "version"),
		Summary: line.Draw(t, "summary"), Source: line.Draw(t, "source"),
		Signer: rapid.SampledFrom([]string{"", keyA}).Draw(t, "signer"),
		Limits: Limits{
			Memory:   rapid.SampledFrom([]int64{0, 64 << 10, 1 << 20, 100_000, 4 << 30}).Draw(t, "memory"),
			Timeout:  rapid.SampledFrom([]time.Duration{0, 1, 1500 * time.Millisecond, 90 * time.Second, 24 * time.Hour}).Draw(t, "timeout"),
			Forwards: rapid.Int64Range(0, 1e9).Draw(t, "forwards"),
			Output:   rapid.Int64Range(0, 1<<30).Draw(t, "output"),
			Log:      rapid.Int64Range(0, 16<<20).Draw(t, "log"),
			Fuel:     rapid.Int64Range(0, 1e18).Draw(t, "fuel"),
		},
		Needs: orNil(rapid.SliceOfNDistinct(rapid.SampledFrom(needs), 0, 3, rapid.ID).Draw(t, "needs")),
	}
	// The first half of the names are parameters, the second their aliases.
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z][a-z0-9_]{0,8}`), 0, 8, rapid.ID).Draw(t, "params")
	half := len(names) / 2
	for i, name := range names[:half] {
		m.Params = append(m.Params, drawParam(t, name, names[half+i]))
	}
	if rapid.Bool().Draw(t, "process") {
		m.Kind = KindProcess
		if rapid.Bool().Draw(t, "artifacts") {
			m.Artifacts = []Artifact{{"linux", "amd64", m.URL, m.SHA256}, {"windows", "arm64", m.URL, m.SHA256}}
			m.URL, m.SHA256 = "", ""
		}
		if rapid.Bool().Draw(t, "confine") {
			m.Confine = drawConfine(t)
		}
	}
	return m
}

func drawConfine(t *rapid.T) *Confine {
	return &Confine{
		Landlock: rapid.Bool().Draw(t, "landlock"), Net: rapid.Bool().Draw(t, "net"),
		AddressSpace: rapid.SampledFrom([]int64{0, 1 << 20, 1<<20 + 1}).Draw(t, "rlimit_as"),
		Processes:    rapid.IntRange(0, maxProcesses).Draw(t, "processes"),
		Read:         orNil(rapid.SliceOfNDistinct(rapid.StringMatching(`(/[a-zé "\\][a-z.]{0,4}){1,3}`), 0, 3, rapid.ID).Draw(t, "read")),
		Env:          orNil(rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Z_][A-Z0-9_]{0,5}`), 0, 3, rapid.ID).Draw(t, "env")),
	}
}

func drawParam(t *rapid.T, name, alias string) Param {
	p := Param{Name: name, Doc: line.Draw(t, "doc")}
	if rapid.Bool().Draw(t, "alias") {
		p.Aliases = []string{alias}
	}
	p.Type = rapid.SampledFrom([]string{TypeInt, TypeFloat, TypeBool, TypeString, TypeEnum}).Draw(t, "type")
	switch p.Type {
	case TypeInt:
		v := rapid.Int64Range(-1e15, 1e15).Draw(t, "int")
		p.Default = v
		if rapid.Bool().Draw(t, "bounds") {
			p.Min, p.Max = bound(float64(v-1)), bound(float64(v))
		}
	case TypeFloat:
		v := rapid.Float64Range(-1e300, 1e300).Draw(t, "float")
		p.Default = v
		if rapid.Bool().Draw(t, "bounds") {
			p.Min, p.Max = bound(v), bound(1.5e300)
		}
	case TypeBool:
		p.Default = rapid.Bool().Draw(t, "bool")
	case TypeString:
		p.Default = rapid.String().Draw(t, "string")
	case TypeEnum:
		p.Values = rapid.SliceOfNDistinct(rapid.StringMatching(`[ -~é]{1,10}`), 1, 4, rapid.ID).Draw(t, "values")
		p.Default = rapid.SampledFrom(p.Values).Draw(t, "enum")
	}
	if rapid.Bool().Draw(t, "compat") {
		p.Compat = map[string]any{rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "preset"): p.Default, "": p.Default}
	}
	return p
}

func orNil(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}
