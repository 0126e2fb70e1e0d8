package plugins_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xai-go/xai/core/author"
	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk/sdktest"
)

// TestConformance runs the conformance kit on the committed modules, as xai plugin
// test does.
func TestConformance(t *testing.T) {
	runtime, err := wasm.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runtime.Close(context.Background()) })
	for _, language := range sdks {
		t.Run(language, func(t *testing.T) {
			module, err := os.ReadFile(filepath.Join("occlusion-"+language, "occlusion.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			methods, err := seal.Methods(module)
			if err != nil || len(methods) != 1 {
				t.Fatalf("the module describes %d methods, %v", len(methods), err)
			}
			m, err := author.NewModule(t.Context(), runtime, module, methods[0], wasm.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if r := sdktest.Check(t.Context(), m, sdktest.Options{Exact: true}); !r.OK() {
				var text strings.Builder
				if err := r.WriteText(&text); err != nil {
					t.Fatal(err)
				}
				t.Error(text.String())
			}
		})
	}
}
