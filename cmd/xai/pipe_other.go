//go:build !windows

package main

import (
	"errors"
	"syscall"
)

// readerGone reports whether err says that nobody reads a pipe any more.
func readerGone(err error) bool { return errors.Is(err, syscall.EPIPE) }
