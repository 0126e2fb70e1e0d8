// Package assemblyscript holds xai.ts, the SDK for methods written in
// AssemblyScript. The binary embeds it, and xai plugin new puts it into the folder
// of a new method.
package assemblyscript

import _ "embed"

// Source is the content of xai.ts.
//
//go:embed xai.ts
var Source string
