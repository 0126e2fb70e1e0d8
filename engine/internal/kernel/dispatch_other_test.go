//go:build !amd64 || purego

package kernel

func others8() []*family { return nil }
