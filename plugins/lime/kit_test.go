package lime_test

import (
	"testing"

	"github.com/xai-go/xai/plugins/lime"
	"github.com/xai-go/xai/sdk/sdktest"
)

// TestConformance runs the conformance kit. What it skips in process it has for
// modules.
func TestConformance(t *testing.T) {
	sdktest.Run(t, lime.Method{})
}

// TestExactness: without a penalty a linear model is explained by its weights,
// to the rounding of the regression.
func TestExactness(t *testing.T) {
	sdktest.Run(t, lime.Method{}, sdktest.Only("axioms"), sdktest.Exact(), sdktest.With("ridge_alpha", "0"))
}
