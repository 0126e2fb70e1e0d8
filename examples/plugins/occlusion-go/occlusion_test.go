package occlusion_test

import (
	"testing"

	occlusion "github.com/xai-go/xai/examples/plugins/occlusion-go"
	"github.com/xai-go/xai/sdk/sdktest"
)

// TestConformance runs the conformance kit: windows of one unit, as the defaults
// are, give the weights of a linear model.
func TestConformance(t *testing.T) { sdktest.Run(t, occlusion.Method{}, sdktest.Options{Exact: true}) }
