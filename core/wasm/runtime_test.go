package wasm

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/xai-go/xai/sdk"
)

// broken is a context that breaks whoever asks it for a value, as the compiler
// does.
type broken struct{ context.Context }

func (broken) Value(any) any { panic("upset\ngoroutine 1 [running]:") }

func TestBrokenCompilerIsAnError(t *testing.T) {
	for name, dir := range map[string]string{"with a cache": t.TempDir(), "without": ""} {
		t.Run(name, func(t *testing.T) {
			r, err := New(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, compile := range []func(context.Context, []byte) (*Module, error){r.Compile, r.CompileEmbedded} {
				m, err := compile(broken{t.Context()}, module(t, "minimal"))
				if want := sdk.NewError(sdk.EInternal, "the module broke the compiler: upset goroutine 1 [running]:"); m != nil || !errors.Is(err, want) {
					t.Errorf("got %v, %v", m, err)
				}
				if _, err := compile(t.Context(), module(t, "minimal")); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			}
			if err := r.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := New(ctx, t.TempDir()); r != nil || err != context.Canceled {
		t.Errorf("got %v, %v", r, err)
	}
}

// What was compiled of a module as another version rewrote it is not found.
func TestCacheKnowsTheRewriter(t *testing.T) {
	if f := (&cache{"wasm"}).folder([32]byte{1}); !strings.HasSuffix(f, "."+rewriteVersion) {
		t.Errorf("the folder of a module is %s", f)
	}
}
