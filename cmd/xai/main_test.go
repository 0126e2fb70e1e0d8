package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/registry"
)

func TestMain(m *testing.M) {
	core.WorkerMain() // before testscript makes a folder, which a confined worker may not
	testscript.Main(m, map[string]func(){"xai": scripted})
}

// TestScript runs the scripts of testdata/script. Beside the commands of
// testscript they have those of scriptCommands.
func TestScript(t *testing.T) {
	if testing.Short() {
		t.Skip("scripts take a while")
	}
	// The module is compiled once for all scripts.
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("LocalAppData", cache) // Windows
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"explain", "good"}, nil, io.Discard, &stderr, os.Getenv); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	models, err := filepath.Abs("../../testdata/conformance/models")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Condition: func(name string) (bool, error) {
			if name == "root" { // may write what nobody may
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %s", name)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", cache)
			e.Setenv("LocalAppData", cache)
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("MODELS", models)
			return nil
		},
	})
}

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// fails CODE COMMAND…: the command exits with that code, prints nothing to
	// standard output, and one sentence and perhaps a hint to standard error.
	"fails": func(ts *testscript.TestScript, neg bool, args []string) {
		exits(ts, neg, args)
		if out := ts.ReadFile("stdout"); out != "" {
			ts.Fatalf("standard output is not empty: %q", out)
		}
		message := ts.ReadFile("stderr")
		if strings.HasPrefix(message, "{") {
			var f struct{ Error failure }
			d := json.NewDecoder(strings.NewReader(message))
			d.DisallowUnknownFields()
			if err := d.Decode(&f); err != nil || f.Error.Message == "" || f.Error.Kind == "" || strconv.Itoa(f.Error.ExitCode) != args[0] {
				ts.Fatalf("not the JSON form of an error: %v", err)
			}
			return
		}
		if !errorForm.MatchString(message) {
			ts.Fatalf("not the form of an error: %q", message)
		}
	},
	// exits CODE COMMAND…: the command exits with that code.
	"exits": exits,
	// same FILE FILE: two explanations differ in nothing but their times.
	"same": func(ts *testscript.TestScript, neg bool, args []string) {
		a, b := normal(ts, ts.ReadFile(args[0])), normal(ts, ts.ReadFile(args[1]))
		if diff := cmp.Diff(a, b); (diff == "") == neg {
			ts.Fatalf("%s and %s: same is %v\n%s", args[0], args[1], diff == "", diff)
		}
	},
	// words N FILE: a text of N words.
	"words": func(ts *testscript.TestScript, _ bool, args []string) {
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Repeat("good ", n)), 0o666))
	},
	// bytes FILE TEXT: a file of any bytes, with the escapes of a Go string.
	"bytes": func(ts *testscript.TestScript, _ bool, args []string) {
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s), 0o666))
	},
	// field FILE PATH WANT: the value at a path such as .input.text, as JSON.
	"field": func(ts *testscript.TestScript, neg bool, args []string) {
		var v any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
		for _, key := range strings.Split(strings.TrimPrefix(args[1], "."), ".") {
			switch x := v.(type) {
			case map[string]any:
				v = x[key]
			case []any:
				i, err := strconv.Atoi(key)
				ts.Check(err)
				v = x[i]
			default:
				ts.Fatalf("%s: nothing has a field %s", args[1], key)
			}
		}
		got, err := json.Marshal(v)
		ts.Check(err)
		if (string(got) == args[2]) == neg {
			ts.Fatalf("%s is %s", args[1], got)
		}
	},
	// rows FILE ROW…: a .safetensors with input_ids, a row of ids with commas each.
	"rows": func(ts *testscript.TestScript, _ bool, args []string) {
		var data []byte
		tokens := 0
		for _, row := range args[1:] {
			ids := strings.Split(row, ",")
			tokens = len(ids)
			for _, id := range ids {
				n, err := strconv.ParseUint(id, 10, 63)
				ts.Check(err)
				data = binary.LittleEndian.AppendUint64(data, n)
			}
		}
		head := fmt.Sprintf(`{"input_ids":{"dtype":"I64","shape":[%d,%d],"data_offsets":[0,%d]}}`, len(args)-1, tokens, len(data))
		b := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(append(b, head...), data...), 0o666))
	},
	// tensors FILE WANT: the names and shapes of the tensors, in order.
	"tensors": func(ts *testscript.TestScript, _ bool, args []string) {
		var got []string
		for name, raw := range header(ts, args[0]) {
			var t struct{ Shape []int }
			ts.Check(json.Unmarshal(raw, &t))
			if name != "__metadata__" {
				got = append(got, name+strings.ReplaceAll(fmt.Sprint(t.Shape), " ", ","))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(strings.Fields(args[1]), got); diff != "" {
			ts.Fatalf("tensors (-want +got):\n%s", diff)
		}
	},
	// metadata FILE KEY WANT: an entry of the metadata of a file of tensors.
	"metadata": func(ts *testscript.TestScript, _ bool, args []string) {
		var m map[string]string
		ts.Check(json.Unmarshal(header(ts, args[0])["__metadata__"], &m))
		if m[args[1]] != args[2] {
			ts.Fatalf("%s is %s", args[1], m[args[1]])
		}
	},
	// other [METHOD]: a methods.toml with the method, lime if none is named, whose
	// module has other bytes than the binary's.
	"other": func(ts *testscript.TestScript, _ bool, args []string) {
		name := "lime"
		if len(args) > 0 {
			name = args[0]
		}
		file, err := registry.Parse(plugins.Builtin().Registry, "methods.toml")
		ts.Check(err)
		file.Methods = slices.DeleteFunc(file.Methods, func(m registry.Method) bool { return m.Name != name })
		url := strings.TrimPrefix(file.Methods[0].URL, "builtin:")
		module, err := plugins.Builtin().Module(url)
		ts.Check(err)
		module = append(slices.Clone(module), "\x00\x05\x04note"...) // a custom section without content
		sum := sha256.Sum256(module)
		file.Methods[0].URL, file.Methods[0].SHA256 = url, hex.EncodeToString(sum[:])
		text, err := file.Marshal()
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(url), module, 0o666))
		ts.Check(os.WriteFile(ts.MkAbs("methods.toml"), text, 0o666))
	},
	// model HOW DIR: a copy of a model folder that is damaged in some way.
	"model": func(ts *testscript.TestScript, _ bool, args []string) {
		dir := ts.MkAbs(args[1])
		ts.Check(os.CopyFS(dir, os.DirFS(filepath.Join(ts.Getenv("MODELS"), "bert-text"))))
		damage(ts, args[0], dir)
	},
}

// header reads the header of a .safetensors file.
func header(ts *testscript.TestScript, file string) (entries map[string]json.RawMessage) {
	b, err := os.ReadFile(ts.MkAbs(file))
	ts.Check(err)
	ts.Check(json.Unmarshal(b[8:8+binary.LittleEndian.Uint64(b)], &entries))
	return entries
}

var errorForm = regexp.MustCompile(`\A(note: [^\n]+\n)*error: [^\n]+\n(hint: [^\n]+\n)?\z`)

func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = e.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// normal returns an explanation without its times.
func normal(ts *testscript.TestScript, text string) string {
	var v map[string]any
	ts.Check(json.Unmarshal([]byte(text), &v))
	for _, name := range []string{"wall_seconds", "fuel", "bytes_in", "bytes_out"} {
		delete(v["provenance"].(map[string]any), name)
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	return string(b)
}

// damage makes a model folder malformed.
func damage(ts *testscript.TestScript, how, dir string) {
	weights, config := filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "config.json")
	b, err := os.ReadFile(weights)
	ts.Check(err)
	size := int(binary.LittleEndian.Uint64(b))
	head, data := string(b[8:8+size]), b[8+size:]
	write := func(length uint64, head string, data []byte) {
		b := binary.LittleEndian.AppendUint64(nil, length)
		ts.Check(os.WriteFile(weights, append(append(b, head...), data...), 0o666))
	}
	change := func(file, old, new string) {
		b, err := os.ReadFile(file)
		ts.Check(err)
		if !bytes.Contains(b, []byte(old)) {
			ts.Fatalf("%s has no %s", file, old)
		}
		ts.Check(os.WriteFile(file, bytes.Replace(b, []byte(old), []byte(new), 1), 0o666))
	}
	switch how {
	case "intact":
	case "no-config":
		ts.Check(os.Remove(config))
	case "no-weights":
		ts.Check(os.Remove(weights))
	case "pickled":
		ts.Check(os.Rename(weights, filepath.Join(dir, "pytorch_model.bin")))
	case "no-tokenizer":
		ts.Check(os.Remove(filepath.Join(dir, "vocab.txt")))
	case "tokenizer-alone":
		ts.Check(os.Remove(config))
		ts.Check(os.Remove(weights))
	case "config-not-json":
		ts.Check(os.WriteFile(config, []byte("{"), 0o666))
	case "unknown-architecture":
		change(config, `"model_type": "bert"`, `"model_type": "brt"`)
	case "wrong-shape":
		change(config, `"hidden_size": 48`, `"hidden_size": 96`)
	case "huge-shape":
		change(config, `"hidden_size": 48`, `"hidden_size": 1000000000`)
	case "missing-tensor":
		if !strings.Contains(head, "pooler.dense.bias") {
			ts.Fatalf("no pooler")
		}
		write(uint64(size), strings.Replace(head, "pooler.dense.bias", "pooler.dense.bios", 1), data)
	case "empty":
		ts.Check(os.WriteFile(weights, nil, 0o666))
	case "truncated":
		write(uint64(size), head, data[:len(data)/2])
	case "truncated-header":
		write(uint64(size), head[:size/2], nil)
	case "oversized-header":
		write(1<<62, head, data)
	case "lying-header": // the first tensor claims all of memory
		write(uint64(size), regexp.MustCompile(`"data_offsets":\[\d+,\d+\]`).ReplaceAllStringFunc(head, func(s string) string {
			return fmt.Sprintf("%-*s", len(s), `"data_offsets":[0,9e15]`[:min(len(s), 23)])
		}), data)
	case "header-not-json":
		write(uint64(size), strings.Repeat("x", size), data)
	default:
		ts.Fatalf("unknown damage %s", how)
	}
}
