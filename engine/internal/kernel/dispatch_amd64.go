//go:build !purego

package kernel

func available() []*family { return []*family{generic} }
