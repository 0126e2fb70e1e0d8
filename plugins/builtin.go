// Package plugins holds the built-in explanation methods: each as a sandboxed
// WebAssembly module and, the same value, in process.
package plugins

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/binary"
	"io/fs"
	"sync"

	"github.com/xai-go/xai"
	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/sdk"
)

//go:generate go run -C .. ./plugins/internal/build

//go:embed modules/*.wasm.gz
var modules embed.FS

// Bundle is what a host needs to offer the built-in methods.
type Bundle struct {
	// Registry is the methods.toml that declares them.
	Registry []byte
	// Module returns the module that the registry calls builtin:NAME, for
	// example "lime.wasm", and fs.ErrNotExist for a name it does not have. It
	// decompresses a module once; the caller must not change the bytes. It is
	// safe for concurrent use.
	Module func(name string) ([]byte, error)
	// Native holds the same methods by name, to run in process.
	Native map[string]sdk.Method
}

// loads decompresses each module at its first use.
var loads = func() map[string]func() ([]byte, error) {
	loads := make(map[string]func() ([]byte, error))
	for _, f := range catalog.Families {
		loads[f.Module()] = sync.OnceValues(func() ([]byte, error) { return load(f.Module()) })
	}
	return loads
}()

// Builtin returns the built-in methods.
func Builtin() Bundle {
	b := Bundle{Registry: xai.Methods(), Native: make(map[string]sdk.Method), Module: module}
	for _, f := range catalog.Families {
		for _, m := range f.Methods {
			b.Native[m.Info().Name] = m
		}
	}
	return b
}

func module(name string) ([]byte, error) {
	load, ok := loads[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: "builtin:" + name, Err: fs.ErrNotExist}
	}
	return load()
}

func load(name string) ([]byte, error) {
	packed, err := modules.ReadFile("modules/" + name + ".gz")
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	// The length stands at the end (RFC 1952).
	size := binary.LittleEndian.Uint32(packed[len(packed)-4:])
	module := bytes.NewBuffer(make([]byte, 0, int(size)+bytes.MinRead))
	_, err = module.ReadFrom(r)
	return module.Bytes(), err
}
