package author

import (
	"os"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/wasm"
)

func TestMain(m *testing.M) {
	core.WorkerMain() // modules are compiled apart
	os.Exit(m.Run())
}

// TestCompileApart holds that a module is compiled in another process, or not at
// all, and that nothing of it stays.
func TestCompileApart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, dir)
	}
	module := bare(t, "assemblyscript")
	if _, _, err := Compile(t.Context(), module, "/nowhere/xai"); err == nil {
		t.Error("it was compiled where nobody can do so apart")
	}
	runtime, end, err := Compile(t.Context(), module, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.CacheError(); err != nil {
		t.Error(err)
	}
	methods, err := Methods(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewModule(t.Context(), runtime, module, methods[0], wasm.Limits{}); err != nil {
		t.Error(err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if _, _, err := Compile(t.Context(), []byte("no module"), ""); err == nil {
		t.Error("what is no module was compiled")
	}
}
