//go:build !race

package author

import (
	"errors"
	"testing"

	"github.com/xai-go/xai/core"
)

// The interpreter, which asks a module what it is, takes too long with the race
// detector.
func TestSealStops(t *testing.T) {
	_, _, err := Seal(t.Context(), read(t, "core/wasm/testdata/modules/loop_start.wasm"), nil, nil)
	if _, ok := errors.AsType[*core.LimitError](err); !ok {
		t.Errorf("a module that loops: %v", err)
	}
}
