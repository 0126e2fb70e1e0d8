// Package catalog lists the built-in methods: which module holds them and what
// one explanation may use.
package catalog

import (
	"time"

	"github.com/xai-go/xai/plugins/attention"
	"github.com/xai-go/xai/plugins/gradient"
	"github.com/xai-go/xai/plugins/lime"
	"github.com/xai-go/xai/plugins/perturbation"
	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk"
)

// Family is one module and its methods. Its sources are the folder of its name
// beside this package's parent, with the module's main package in wasm/.
type Family struct {
	Name    string
	Methods []sdk.Method
	Limits  Limits
}

// Limits bound one explanation of a family's methods.
type Limits struct {
	Memory   int64 // bytes of the module's linear memory
	Timeout  time.Duration
	Fuel     int64 // instructions of the module
	Forwards int64 // rows that the method may have evaluated
	Output   int64 // bytes of the results
	Log      int64 // bytes of log lines
}

// Module returns the name under which the binary embeds the family's module.
func (f Family) Module() string { return f.Name + ".wasm" }

// Families are the built-in families, by name. LIME has about twice the memory
// that the largest explanation that it accepts was measured to take (260 MiB for
// 16,700 samples of 2,000 features), twice its rows, and more than twice the fuel
// that it comes to (3.5T). 384 MiB were enough for the largest field of gradients;
// the other limits are chosen, with room above what explanations took.
var Families = []Family{
	{
		Name:    "attention",
		Methods: attention.Methods(),
		Limits:  Limits{Memory: 512 << 20, Timeout: time.Hour, Fuel: 4e12, Forwards: 10_000, Output: 32 << 20, Log: 64 << 10},
	},
	{
		Name:    "gradient",
		Methods: gradient.Methods(),
		Limits:  Limits{Memory: 512 << 20, Timeout: time.Hour, Fuel: 20e12, Forwards: 200_000, Output: 32 << 20, Log: 64 << 10},
	},
	{
		Name:    "lime",
		Methods: lime.Methods(),
		Limits:  Limits{Memory: 512 << 20, Timeout: time.Hour, Fuel: 10e12, Forwards: 200_000, Output: 16 << 20, Log: 64 << 10},
	},
	{
		Name:    "perturbation",
		Methods: perturbation.Methods(),
		Limits:  Limits{Memory: 256 << 20, Timeout: time.Hour, Fuel: 1e12, Forwards: 20_000, Output: 16 << 20, Log: 64 << 10},
	},
	{
		Name:    "shap",
		Methods: shap.Methods(),
		Limits:  Limits{Memory: 512 << 20, Timeout: time.Hour, Fuel: 10e12, Forwards: 2_000_000, Output: 32 << 20, Log: 64 << 10},
	},
}
