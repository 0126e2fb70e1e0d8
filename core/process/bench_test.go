package process_test

import (
	"strconv"
	"testing"

	"github.com/xai-go/xai/core/process"
	"github.com/xai-go/xai/core/process/testdata/method"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
)

// explain runs one explanation of a benchmark, in a process and, apart, in a module.
func explain(b *testing.B, params map[string]string) {
	info := method.Method{}.Info()
	p, m := program(b, "plugin", process.Confine{}), module(b, compiled(b))
	for name, run := range map[string]func(sdk.Model, *sdk.Request) error{
		"process": func(model sdk.Model, r *sdk.Request) error {
			_, _, err := p.Explain(b.Context(), model, r, info, process.Limits{})
			return err
		},
		"module": func(model sdk.Model, r *sdk.Request) error {
			_, _, err := m.Explain(b.Context(), model, r, info, wasm.Limits{MemoryBytes: 1 << 30})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, r := session(b, params)
				if err := run(s, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStart is an explanation that asks for next to nothing: what a process
// costs.
func BenchmarkStart(b *testing.B) { explain(b, map[string]string{"mode": "move", "n": "0"}) }

// BenchmarkCalls is an explanation of 1000 small forwards, each of five calls.
func BenchmarkCalls(b *testing.B) { explain(b, map[string]string{"mode": "round", "n": "1000"}) }

// BenchmarkMove hands so many MiB over.
func BenchmarkMove(b *testing.B) {
	for _, n := range []int{1, 14} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(n) << 20)
			explain(b, map[string]string{"mode": "move", "n": strconv.Itoa(n)})
		})
	}
}
