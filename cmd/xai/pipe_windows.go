package main

import (
	"errors"
	"syscall"

	"golang.org/x/sys/windows"
)

// readerGone reports whether err says that nobody reads a pipe any more: that it
// was closed, or is being closed.
func readerGone(err error) bool {
	return errors.Is(err, windows.ERROR_BROKEN_PIPE) || errors.Is(err, windows.ERROR_NO_DATA) || errors.Is(err, syscall.EPIPE)
}
