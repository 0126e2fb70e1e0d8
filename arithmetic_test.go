package xai_test

import (
	"path/filepath"
	"testing"

	"github.com/xai-go/xai/internal/fma"
)

// TestArithmetic holds what modules are made of, and the toy model of the
// conformance kit, to products that are rounded before they meet a sum, and to
// functions that are the same on every machine: the bits of a method rest on it.
func TestArithmetic(t *testing.T) {
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"plugins", "sdk"} {
		findings, err := fma.Check(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			name, err := filepath.Rel(root, filepath.Dir(f.Pos.Filename))
			if err != nil {
				t.Fatal(err)
			}
			if name = filepath.ToSlash(name); guest(name) || matches("sdk/sdktest/toy", name) {
				t.Error(f)
			}
		}
	}
}
