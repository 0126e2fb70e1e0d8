//go:build !windows

package main

import "io"

// enableEscapes does nothing: terminals obey escape sequences.
func enableEscapes(io.Writer) {}
