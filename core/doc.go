// Package core is the host: it opens a model, runs an explanation method on it
// in a sandbox, and returns what the method found as an Explanation, with what
// it takes to run it again.
//
//	host, err := core.New(core.Options{Methods: core.Builtin(plugins.Builtin())})
//	model, err := host.OpenModel(ctx, "builtin:sentiment-en")
//	x, err := host.Explain(ctx, model, core.Request{Input: core.Input{Text: text}})
//
// A Model also answers by itself, whatever its task is: [Model.Predict] and
// [Model.Generate]; and shows what it computes on the way: [Model.Activations].
//
// A Host and its Models are safe for concurrent use. Errors that a user can
// mend are of type *Error.
package core
