package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
)

// CompileUnmetered compiles a module that pays for nothing and never yields, to
// measure what paying costs. It has the globals that hold fuel, and nothing
// touches them.
func (r *Runtime) CompileUnmetered(ctx context.Context, binary []byte) (*Module, error) {
	v, err := read(binary)
	if err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	w := &rewriter{verifier: v}
	w.add()
	out := append([]byte(nil), binary[:8]...)
	for s := (&scanner{b: binary, at: 8}); s.at < len(binary); {
		id := s.byte()
		content := s.take(s.u32())
		switch id {
		case sectionCustom:
			continue
		case sectionGlobal:
			content = w.addGlobals(content)
		case sectionExport:
			content = w.addExports(content)
		}
		out = appendSection(out, id, content)
	}
	m := &Module{layout: v.layout}
	if err := m.build(ctx, wazero.NewRuntimeConfig(), wazero.NewCompilationCache(), out); err != nil {
		return nil, err
	}
	r.modules = append(r.modules, m)
	return m, nil
}

// verify reads a module without running or compiling it, refuses what this host
// would not run, and returns the rest as it is compiled. It leaves the types of
// values in code to the compiler.
func verify(binary []byte) ([]byte, error) {
	v, err := read(binary)
	if err != nil {
		return nil, err
	}
	if err := v.check(); err != nil {
		return nil, err
	}
	return v.rewrite(binary)
}
