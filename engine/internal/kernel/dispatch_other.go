//go:build (!amd64 && !arm64) || purego

package kernel

func available() []*family { return []*family{generic} }
