package sdktest_test

import (
	"bytes"
	"testing"

	"github.com/xai-go/xai/sdk/sdktest"
)

func TestX(t *testing.T) {
	r := sdktest.Check(t.Context(), sdktest.Method(occlusion{}), sdktest.Options{Exact: true})
	var b bytes.Buffer
	r.WriteText(&b)
	t.Log(b.String())
}
