package seal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Method is the content of a section xai.method.
type Method struct {
	Name    string     `json:"name"`
	Version string     `json:"version"`
	Summary string     `json:"summary"`
	Source  string     `json:"source"`
	ABI     string     `json:"abi"`
	Needs   []sdk.Need `json:"needs"`
	Params  []Param    `json:"params"`
}

// Param is one parameter of a Method.
type Param struct {
	Name    string        `json:"name"`
	Aliases []string      `json:"aliases,omitempty"`
	Type    sdk.ParamType `json:"type"`
	Default any           `json:"default"`
	Min     *float64      `json:"min,omitempty"`
	Max     *float64      `json:"max,omitempty"`
	Values  []string      `json:"values,omitempty"`
	Doc     string        `json:"doc"`

	Compat map[string]any `json:"compat,omitempty"` // defaults of presets
}

// abiVersion is the ABI that this source tree builds against.
var abiVersion = fmt.Sprintf("%d.%d", abi.Major, abi.Minor)

// Describe returns the content of the section xai.method for a method.
func Describe(info sdk.Info) ([]byte, error) {
	m := Method{
		Name: info.Name, Version: info.Version, Summary: info.Summary, Source: info.Source,
		ABI: abiVersion, Needs: info.Needs,
	}
	for _, p := range info.Params {
		m.Params = append(m.Params, Param(p))
	}
	return json.Marshal(m)
}

// Seal returns the module of a family with its custom sections, which it must
// not have yet.
func Seal(module []byte, f catalog.Family, b Build) ([]byte, error) {
	for _, m := range f.Methods {
		content, err := Describe(m.Info())
		if err != nil {
			return nil, err
		}
		module = Append(module, SectionMethod, content)
	}
	content, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return Append(module, SectionBuild, content), nil
}

// Registry returns the methods.toml that declares the families' methods, given
// each sealed module by its name.
func Registry(families []catalog.Family, modules map[string][]byte) ([]byte, error) {
	file := registry.File{Path: "methods.toml"}
	for _, f := range families {
		sum := sha256.Sum256(modules[f.Module()])
		for _, m := range f.Methods {
			file.Methods = append(file.Methods, entry(f, m.Info(), hex.EncodeToString(sum[:])))
		}
	}
	return file.Marshal()
}

func entry(f catalog.Family, info sdk.Info, sum string) registry.Method {
	m := registry.Method{
		Name: info.Name, Kind: registry.KindWASM, URL: "builtin:" + f.Module(), SHA256: sum,
		ABI: abiVersion, Version: info.Version, Summary: info.Summary, Source: info.Source,
		Limits: registry.Limits{
			Memory: f.Limits.Memory, Timeout: f.Limits.Timeout, Forwards: f.Limits.Forwards,
			Output: f.Limits.Output, Log: f.Limits.Log,
		},
	}
	for _, n := range info.Needs {
		m.Needs = append(m.Needs, string(n))
	}
	for _, p := range info.Params {
		m.Params = append(m.Params, registry.Param{
			Name: p.Name, Aliases: p.Aliases, Type: string(p.Type), Default: p.Default,
			Min: p.Min, Max: p.Max, Values: p.Values, Doc: p.Doc, Compat: p.Compat,
		})
	}
	return m
}
