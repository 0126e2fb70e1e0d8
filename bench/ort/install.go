// Package ort runs ONNX Runtime beside us, in a process of its own: Microsoft's
// build of it for Node.js, which npm has for every platform. Node.js and npm
// must be installed.
package ort

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The package that npm installs, with the hashes of all that it consists of,
// and the program that serves it.
var (
	//go:embed package.json
	manifest []byte
	//go:embed package-lock.json
	lock []byte
	//go:embed serve.js
	program []byte
)

// Version returns the version of onnxruntime-node that is measured.
func Version() string {
	var p struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(manifest, &p); err != nil {
		panic(err) // it is compiled in
	}
	return p.Dependencies["onnxruntime-node"]
}

// Runtime is an installed ONNX Runtime.
type Runtime struct{ dir string }

// Install has npm put ONNX Runtime into the user's cache folder, unless it is
// there: a download of some 100 MB from npm's registry, checked against the
// hashes of package-lock.json. Scripts of packages do not run: that of
// onnxruntime-node would fetch libraries for GPUs.
func Install(ctx context.Context) (*Runtime, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "xai", "bench", "onnxruntime-node-"+Version())
	if _, err := os.Stat(dir); err == nil {
		return &Runtime{dir}, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return nil, err
	}
	// Installed beside and then renamed, so that dir is whole or absent.
	work, err := os.MkdirTemp(filepath.Dir(dir), "install-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	for name, data := range map[string][]byte{"package.json": manifest, "package-lock.json": lock} {
		if err := os.WriteFile(filepath.Join(work, name), data, 0o666); err != nil {
			return nil, err
		}
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = work
	if out, err := npm.CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("ONNX Runtime comes from npm, which is not installed: install Node.js (%w)", err)
	} else if err != nil {
		return nil, fmt.Errorf("npm ci: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	if err := os.Rename(work, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // and nobody else was faster
			return nil, err
		}
	}
	return &Runtime{dir}, nil
}
