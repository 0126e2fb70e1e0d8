package plugins_test

import (
	"testing"

	"github.com/xai-go/xai/plugins/internal/catalog"
)

// TestPresetsDiffer: a preset declares the values alone that are not the defaults, so
// that what a method is said to do under it is what it does otherwise.
func TestPresetsDiffer(t *testing.T) {
	for _, f := range catalog.Families {
		for _, m := range f.Methods {
			for _, p := range m.Info().Params {
				for preset, v := range p.Compat {
					if v == p.Default {
						t.Errorf("%s: compat=%s declares %s=%v, which is the default", m.Info().Name, preset, p.Name, v)
					}
				}
			}
		}
	}
}
