package shap_test

import (
	"testing"

	"github.com/xai-go/xai/internal/fma"
)

// TestArithmetic: no product of the package fuses with a sum on any machine.
func TestArithmetic(t *testing.T) {
	findings, err := fma.Check(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}
