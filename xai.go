// Package xai explains what a pre-trained language model did. This folder
// holds the registry file of the built-in methods; the program is cmd/xai, the
// library to embed is core, and methods are written against sdk.
package xai

import _ "embed"

//go:embed methods.toml
var methods string

// Methods returns the methods.toml that declares the built-in methods.
func Methods() []byte { return []byte(methods) }
