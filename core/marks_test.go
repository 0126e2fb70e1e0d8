package core_test

import (
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/sdk"
)

// TestMarksAreRefusedFirst: what each of a long text's tokens sees is a square, which
// is refused before it is made, whatever is asked of the text.
func TestMarksAreRefusedFirst(t *testing.T) {
	model := xlnet(t, core.Options{Memory: 4 << 20})
	host := newHost(t, core.Options{})
	in := core.Input{Text: strings.Repeat("the film was good ", 800)}
	for _, target := range []string{"", "token:5", "continuation: good film", "continuation: good - continuation: bad"} {
		_, err := host.Explain(t.Context(), model, core.Request{Input: in, Method: "leave-one-out", Target: target, Output: sdk.LogProb, Runtime: core.RuntimeNative})
		if core.KindOf(err) != core.KindInput || !strings.Contains(err.Error(), "the marks of what") {
			t.Errorf("%q: %v", target, err)
		}
	}
	if _, err := model.Predict(t.Context(), []core.Input{in}, core.PredictOptions{}); core.KindOf(err) != core.KindInput || !strings.Contains(err.Error(), "the marks of what") {
		t.Errorf("predict: %v", err)
	}
	if n := model.Rows(); n != 0 {
		t.Errorf("%d rows are run", n)
	}
}
