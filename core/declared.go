package core

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// speaks refuses a method that is declared for an ABI which this version does not
// speak.
func speaks(e registry.Entry) error {
	major, minor, _ := strings.Cut(e.ABI, ".")
	x, err := strconv.Atoi(major)
	y, err2 := strconv.Atoi(minor)
	if err != nil || err2 != nil || x == abi.Major && y <= abi.Minor {
		return nil // none is declared; what the module says when it runs counts
	}
	newer := "a newer xai"
	if x < abi.Major {
		newer = "a newer version of the method"
	}
	return &Error{Kind: KindMethod, Msg: "method " + e.Name + " speaks ABI " + e.ABI + ", and this xai " + abi.VersionText, Hint: newer + " is needed; " + e.File.Path + " declares the ABI"}
}

// sealed refuses a module that carries a description of its methods which is not
// what the registry declares: another version or ABI, or parameters of other names;
// defaults and bounds may be others on purpose. One under development may be ahead
// of its file, as long as that has all the parameters that it asks for.
func (h *Host) sealed(e registry.Entry, module []byte) error {
	if e.Embedded {
		return nil
	}
	refuse := func(msg string) error {
		return &Error{Kind: KindMethod, Msg: msg, Hint: "xai plugin seal prints the declaration that the module takes, for " + e.File.Path + "; for a folder of sources, xai plugin build writes it there"}
	}
	methods, err := seal.Methods(module)
	if h.options.Dev {
		if i := slices.IndexFunc(methods, func(m seal.Method) bool { return m.Name == e.Name }); err == nil && i >= 0 {
			if name, ok := lacks(e.Params, methods[i].Params); ok {
				return refuse("the module of method " + e.Name + " has a parameter " + name + ", which " + e.File.Path + " does not declare")
			}
		}
		return nil
	}
	if err != nil {
		return refuse("method " + e.Name + ": " + err.Error())
	}
	if len(methods) == 0 {
		return nil
	}
	i := slices.IndexFunc(methods, func(m seal.Method) bool { return m.Name == e.Name })
	if i < 0 {
		var names []string
		for _, m := range methods {
			names = append(names, m.Name)
		}
		return refuse("the module of method " + e.Name + " holds " + strings.Join(names, ", ") + " and no method of that name")
	}
	for _, c := range []struct{ what, declared, is string }{
		{"version", e.Version, methods[i].Version},
		{"ABI", e.ABI, methods[i].ABI},
	} {
		if c.declared != "" && c.declared != c.is {
			return refuse(fmt.Sprintf("method %s is declared as %s %s, and its module is %s", e.Name, c.what, c.declared, c.is))
		}
	}
	if name, ok := lacks(e.Params, methods[i].Params); ok {
		return refuse("the module of method " + e.Name + " has a parameter " + name + ", which " + e.File.Path + " does not declare")
	}
	for _, p := range e.Params {
		if !slices.ContainsFunc(methods[i].Params, func(q sdk.Param) bool { return q.Name == p.Name }) {
			return refuse("method " + e.Name + " is declared with a parameter " + p.Name + ", which its module does not have")
		}
	}
	return nil
}

// lacks returns a parameter of a module that a declaration lacks.
func lacks(declared []registry.Param, has []sdk.Param) (name string, ok bool) {
	for _, p := range has {
		if !slices.ContainsFunc(declared, func(q registry.Param) bool { return q.Name == p.Name }) {
			return p.Name, true
		}
	}
	return "", false
}
