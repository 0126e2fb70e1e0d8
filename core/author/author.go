// Package author is the side of the host that writes methods: it seals modules
// with their descriptions, and runs the conformance kit of sdk/sdktest on them in
// their sandbox. Modules need not be trusted.
package author

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
)

// ErrUndescribed is the error of a module that says nothing of its methods.
var ErrUndescribed = errors.New("the module does not describe its methods: it has no section " + seal.SectionMethod + " and exports no xai_describe")

// Seal returns the module with descriptions of its methods, after it has held
// them to the module. They are those that are given; without any, those that the
// module carries; and failing these what its xai_describe returns, which is
// interpreted within small limits. A description that leaves out the ABI has that
// of the module. Unless build is nil, it says what the module was built from.
//
// A module that the host would not run is an *sdk.Error, one that ran out of its
// limits a *core.LimitError, and one without descriptions ErrUndescribed.
func Seal(ctx context.Context, module []byte, given []seal.Method, build *seal.Build) ([]byte, []seal.Method, error) {
	methods, err := examine(ctx, module, given)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := seal.Seal(module, methods, build)
	return sealed, methods, err
}

// Methods returns the descriptions that Seal would find in a module that is given
// none, after it has held them to the module. The errors are those of Seal.
func Methods(ctx context.Context, module []byte) ([]seal.Method, error) {
	return examine(ctx, module, nil)
}

// examine returns what is known of a module's methods.
func examine(ctx context.Context, module []byte, given []seal.Method) ([]seal.Method, error) {
	x, err := wasm.Inspect(module)
	if err != nil {
		return nil, err
	}
	p, err := wasm.Probe(ctx, module)
	if err != nil {
		return nil, err
	}
	methods := slices.Clone(given)
	if len(methods) == 0 {
		if methods, err = seal.Methods(module); err != nil {
			return nil, err
		}
	}
	if len(methods) == 0 {
		if methods, err = Described(p); err != nil {
			return nil, err
		}
	}
	if len(methods) == 0 {
		return nil, ErrUndescribed
	}
	for i := range methods {
		if methods[i].ABI == "" {
			methods[i].ABI = Version(p)
		}
	}
	return methods, check(x, p, methods)
}

// Version returns the version of the ABI that a module says it was built against.
func Version(p *wasm.Probed) string { return fmt.Sprintf("%d.%d", p.Major, p.Minor) }

// Described returns the descriptions that xai_describe gave, none where the module
// has none.
func Described(p *wasm.Probed) ([]seal.Method, error) {
	if p.Description == nil {
		return nil, nil
	}
	methods, err := seal.ParseAll(p.Description)
	if err != nil {
		return nil, fmt.Errorf("xai_describe: %w", err)
	}
	for i := range methods {
		if methods[i].ABI == "" {
			methods[i].ABI = Version(p)
		}
	}
	return methods, nil
}

// check holds descriptions to the module that they are of.
func check(x *wasm.Inspection, p *wasm.Probed, methods []seal.Method) error {
	for _, m := range methods {
		if version := Version(p); m.ABI != version {
			return fmt.Errorf("the description of %s names ABI %s and the module speaks %s", m.Name, m.ABI, version)
		}
	}
	for _, f := range x.Imports {
		declared := slices.ContainsFunc(methods, func(m seal.Method) bool { return slices.Contains(m.Needs, f.Need) })
		if f.Need != "" && !declared {
			return fmt.Errorf("the module imports %s.%s, and no description of it declares the need %s", f.Module, f.Name, f.Need)
		}
	}
	return nil
}

// Needs compares what the methods declare with the module's imports: undeclared
// needs belong to an import, unused ones have no import that could use them.
func Needs(x *wasm.Inspection, methods []seal.Method) (undeclared, unused []sdk.Need) {
	var declared []sdk.Need
	for _, m := range methods {
		declared = append(declared, m.Needs...)
	}
	for _, n := range x.Needs {
		if !slices.Contains(declared, n) {
			undeclared = append(undeclared, n)
		}
	}
	for _, n := range []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedGenerate, sdk.NeedTokenize} {
		if slices.Contains(declared, n) && !slices.Contains(x.Needs, n) {
			unused = append(unused, n)
		}
	}
	return undeclared, unused
}
