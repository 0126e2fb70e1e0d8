package main

import (
	"io"

	"golang.org/x/sys/windows"
)

// enableEscapes asks a console that is not Windows Terminal to obey escape
// sequences.
func enableEscapes(w io.Writer) {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return
	}
	h := windows.Handle(f.Fd())
	var mode uint32
	if windows.GetConsoleMode(h, &mode) == nil {
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
	}
}
