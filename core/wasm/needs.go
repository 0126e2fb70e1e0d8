package wasm

import (
	"encoding/json"
	"slices"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// sectionMethod is the custom section that describes a method.
const sectionMethod = "xai.method"

// need returns the need without which f must not be imported, empty for none.
func (f hostImport) need() sdk.Need {
	if f.module != abi.Namespace {
		return ""
	}
	return hostFunctions[f.name].need
}

// needs returns the needs that the module's imports imply, each once.
func (l *layout) needs() []sdk.Need {
	var needs []sdk.Need
	for _, f := range l.imports {
		if n := f.need(); n != "" && !slices.Contains(needs, n) {
			needs = append(needs, n)
		}
	}
	slices.Sort(needs)
	return needs
}

// checkNeeds refuses a module that imports a function of the host without its need: one
// that none of the methods declares which the module describes in itself or, where
// it describes none, that the method to be run does not declare.
func (l *layout) checkNeeds(info sdk.Info) error {
	declared, whose := info.Needs, "the method "+info.Name+" does not declare"
	if sections := l.sections[sectionMethod]; len(sections) > 0 {
		declared, whose = nil, "none of its methods declares"
		for _, s := range sections {
			var method struct{ Needs []sdk.Need }
			if err := json.Unmarshal(s, &method); err != nil {
				return refuse("has a section " + sectionMethod + " that is no description of a method: " + err.Error())
			}
			declared = append(declared, method.Needs...)
		}
	}
	for _, f := range l.imports {
		if n := f.need(); n != "" && !slices.Contains(declared, n) {
			return sdk.NewError(sdk.ECap, "the module imports "+f.quoted()+", and "+whose+" the need "+string(n))
		}
	}
	return nil
}
