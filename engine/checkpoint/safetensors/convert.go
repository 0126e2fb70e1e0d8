package safetensors

import (
	"github.com/xai-go/xai/engine/checkpoint/internal/raw"
	"github.com/xai-go/xai/engine/checkpoint/stored"
)

// Convert returns what of makes of each value of a tensor of any integer or
// floating-point format, or the first error of of. It takes no memory worth
// mention beside its result. BOOL comes as its byte, and integers beyond 2⁵³
// come rounded.
func Convert[T any](f *File, name string, of func(value float64) (T, error)) ([]T, error) {
	var failed error
	values, err := read(f, name, raw.Form{Name: "numbers", Formats: "F32, I64 or another format of numbers"}, func(d stored.DType) (raw.Convert[T], int, bool) {
		if floats, width, ok := raw.Floats[float64](d); ok {
			return each(floats, width, func(v float64) float64 { return v }, of, &failed), width, true
		}
		number := func(v int64) float64 { return float64(v) }
		if d == stored.U64 {
			number = func(v int64) float64 { return float64(uint64(v)) }
		}
		ints, width, ok := raw.Ints(d)
		return each(ints, width, number, of, &failed), width, ok
	})
	if failed != nil {
		return nil, failed
	}
	return values, err
}

// each returns a conversion that passes values of width bytes through of, until
// it fails.
func each[S, T any](convert raw.Convert[S], width int, number func(S) float64, of func(float64) (T, error), failed *error) raw.Convert[T] {
	var some [1024]S
	return func(dst []T, src []byte) {
		for at := 0; at < len(dst) && *failed == nil; at += len(some) {
			part := some[:min(len(some), len(dst)-at)]
			convert(part, src[at*width:])
			for i, v := range part {
				if dst[at+i], *failed = of(number(v)); *failed != nil {
					return
				}
			}
		}
	}
}
