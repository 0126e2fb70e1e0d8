// Package c holds xai.h, the SDK for methods written in C. The binary embeds
// it, and xai plugin new puts it into the folder of a new method.
package c

import _ "embed"

// Header is the content of xai.h.
//
//go:embed xai.h
var Header string
