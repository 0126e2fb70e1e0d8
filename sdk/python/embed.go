// Package python holds xai.py, the SDK for methods written in Python, which run as
// processes. The binary embeds it, and xai plugin new puts it into the folder of a
// new method.
//
// The file packs a method, too: python3 xai.py pack METHOD.py writes METHOD.pyz, the
// executable that a methods.toml declares. Equal sources have equal bytes.
package python

import _ "embed"

// Source is the content of xai.py.
//
//go:embed xai.py
var Source string

// Example is the smallest method there is, for a file beside xai.py: what the target
// loses when each unit is dropped. Its name is leave-one-out.
//
//go:embed example.py
var Example string
