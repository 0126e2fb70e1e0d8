// Package rust holds xai.rs, the SDK for methods written in Rust. The binary
// embeds it, and xai plugin new puts it into the folder of a new method.
package rust

import _ "embed"

// Source is the content of xai.rs.
//
//go:embed xai.rs
var Source string
