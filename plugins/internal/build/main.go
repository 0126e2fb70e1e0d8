// Command build compiles the built-in methods to WebAssembly, seals and
// compresses the modules into plugins/modules, and writes methods.toml:
//
//	go run ./plugins/internal/build         # from the root of the module
//	go run ./plugins/internal/build -check  # compare with what is committed
//
// The modules are reproducible: the toolchain of go.mod gives the same bytes on
// every machine, and no other one is accepted.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/plugins/internal/bundle"
	"github.com/xai-go/xai/plugins/internal/catalog"
)

func main() {
	check := flag.Bool("check", false, "compare with what is committed and write nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, ".", *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run builds every family under the root and writes or compares the files.
func run(ctx context.Context, root string, check bool) error {
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return errors.New("run this from the root of the module, where go.mod is")
	}
	dir, err := os.MkdirTemp("", "xai-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	files := make(map[string][]byte)
	modules := make(map[string][]byte)
	for _, f := range catalog.Families {
		module, err := compile(ctx, root, f, filepath.Join(dir, f.Module()))
		if err != nil {
			return fmt.Errorf("family %s: %w", f.Name, err)
		}
		modules[f.Module()] = module
		packed, err := compress(module)
		if err != nil {
			return err
		}
		files["plugins/modules/"+f.Module()+".gz"] = packed
		fmt.Printf("%s: %d bytes, %d compressed\n", f.Module(), len(module), len(packed))
	}
	if files["methods.toml"], err = bundle.Registry(catalog.Families, modules); err != nil {
		return err
	}
	for name, data := range files {
		if err := settle(filepath.Join(root, filepath.FromSlash(name)), data, check); err != nil {
			return err
		}
	}
	return nil
}

// settle writes the file, or compares it where check is set.
func settle(name string, data []byte, check bool) error {
	if !check {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return os.WriteFile(name, data, 0o644)
	}
	committed, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !bytes.Equal(committed, data) {
		return fmt.Errorf("%s differs from what its sources give: run go run ./plugins/internal/build and commit the result", name)
	}
	return nil
}

// compile returns the sealed module of a family.
func compile(ctx context.Context, root string, f catalog.Family, out string) ([]byte, error) {
	pkg := "plugins/" + f.Name + "/wasm"
	b, err := bundle.Current(root, pkg)
	if err != nil {
		return nil, err
	}
	version, err := command(ctx, root, "env", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	if v := strings.TrimSpace(string(version)); v != b.Toolchain {
		return nil, fmt.Errorf("the toolchain is %s and go.mod says %s, which alone gives the committed bytes: set GOTOOLCHAIN=%s", v, b.Toolchain, b.Toolchain)
	}
	cmd := command(ctx, root, "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid=", "-o", out, "./"+pkg)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	module, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return seal.Seal(module, bundle.Describe(f), &b)
}

// command returns a go command for wasip1 that nothing in the user's
// environment bends.
func command(ctx context.Context, root string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0",
		"GOFLAGS=-mod=readonly", "GOENV=off", "GOWORK=off", "GOEXPERIMENT=", "GOWASM=", "GODEBUG=", "GOFIPS140=off")
	return cmd
}

// compress returns the module under gzip, with neither a name nor a time.
func compress(module []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(module); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
