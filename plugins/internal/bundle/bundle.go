// Package bundle makes what the binary embeds of methods, sealed modules and
// methods.toml, and compares a committed module with its sources without
// building it.
package bundle

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/registry"
)

// Describe returns the descriptions of a family's methods.
func Describe(f catalog.Family) []seal.Method {
	var methods []seal.Method
	for _, m := range f.Methods {
		methods = append(methods, seal.Of(m.Info()))
	}
	return methods
}

// Registry returns the methods.toml that declares the families' methods, given
// each sealed module by its name.
func Registry(families []catalog.Family, modules map[string][]byte) ([]byte, error) {
	file := registry.File{Path: "methods.toml"}
	for _, f := range families {
		sum := sha256.Sum256(modules[f.Module()])
		for _, m := range Describe(f) {
			e := m.Entry("builtin:"+f.Module(), hex.EncodeToString(sum[:]))
			e.Limits = registry.Limits{
				Memory: f.Limits.Memory, Timeout: f.Limits.Timeout, Fuel: f.Limits.Fuel, Forwards: f.Limits.Forwards,
				Output: f.Limits.Output, Log: f.Limits.Log,
			}
			file.Methods = append(file.Methods, e)
		}
	}
	return file.Marshal()
}
