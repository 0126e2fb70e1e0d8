package engine

import "github.com/xai-go/xai/engine/internal/kernel"

// Peak measures the arithmetic peak of the machine on a number of threads, in
// GFLOP/s: independent fused multiply-adds of the kernel family in use, without
// a memory access. It takes about a fifth of a second, and is 0 for the family
// "generic", which has no such loop.
func Peak(threads int) float64 { return kernel.Peak(threads) }

// Kernels returns the kernel families that this machine can run, the fastest
// first. The environment variable XAI_KERNEL selects another than the first.
func Kernels() []string { return kernel.Families() }

// Kernel returns the kernel family that models opened from now on compute with,
// and an error where XAI_KERNEL names one that this machine cannot run.
func Kernel() (string, error) { return kernel.Family(), kernel.Err() }
