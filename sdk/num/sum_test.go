package num_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk/num"
)

func TestSumAndDot(t *testing.T) {
	for _, n := range []int{0, 1, 2, 31, 32, 33, 64, 65, 1000, 100003} {
		random := num.NewRand(stream(uint64(n)))
		x, y := make([]float64, n), make([]float64, n)
		single := make([]float32, n)
		sum, dot, singles := bigFloat(0), bigFloat(0), bigFloat(0)
		var size, dotSize, singleSize float64 // Σ |terms|
		for i := range x {
			x[i], y[i] = random.NormFloat64(), random.NormFloat64()
			single[i] = float32(x[i])
			sum = add(sum, bigFloat(x[i]))
			dot = add(dot, mul(bigFloat(x[i]), bigFloat(y[i])))
			s := bigFloat(float64(single[i]))
			singles = add(singles, mul(s, s))
			size += math.Abs(x[i])
			dotSize += math.Abs(x[i] * y[i])
			singleSize += float64(single[i]) * float64(single[i])
		}
		for _, test := range []struct {
			name string
			got  float64
			want *big.Float
			size float64
		}{
			{"Sum", num.Sum(x), sum, size},
			{"Dot", num.Dot(x, y), dot, dotSize},
			{"Dot of float32", num.Dot(single, single), singles, singleSize},
		} {
			// Each term meets at most 33 roundings in its block, and one a halving.
			bound := test.size * (33 + math.Log2(float64(n+1))) * 0x1p-53
			if d, _ := sub(bigFloat(test.got), test.want).Float64(); math.Abs(d) > bound {
				t.Errorf("%s of %d: %v is wrong by %g, more than %g", test.name, n, test.got, d, bound)
			}
		}
	}
}

func TestLengthsMustAgree(t *testing.T) {
	tests := map[string]func(){
		"Dot":     func() { num.Dot([]float64{1}, []float64{1, 2}) },
		"Softmax": func() { num.Softmax(make([]float64, 1), []float64{1, 2}) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestSoftmaxLaws(t *testing.T) {
	vector := rapid.SliceOfN(rapid.Float64Range(-800, 800), 1, 100)
	rapid.Check(t, func(t *rapid.T) {
		x := vector.Draw(t, "x")
		p := num.Softmax(make([]float64, len(x)), x)
		if s := num.Sum(p); math.Abs(s-1) > 1e-15*float64(1+len(x)) {
			t.Fatalf("the sum is %v", s)
		}
		total := num.LogSumExp(x)
		for i, v := range x {
			if p[i] < 0 || p[i] > 1 {
				t.Fatalf("p[%d] = %v", i, p[i])
			}
			if want := math.Exp(v - total); math.Abs(p[i]-want) > 1e-12*want && want > 1e-300 {
				t.Fatalf("p[%d] = %v, want exp(x − LogSumExp) = %v", i, p[i], want)
			}
		}
		// A shift by a power of two that loses no bits changes nothing.
		shifted := make([]float64, len(x))
		exact := true
		for i, v := range x {
			shifted[i] = v + 4096
			exact = exact && shifted[i]-4096 == v
		}
		if exact {
			for i, q := range num.Softmax(shifted, shifted) {
				if q != p[i] {
					t.Fatalf("shifted: p[%d] = %v, want %v", i, q, p[i])
				}
			}
		}
	})
}

func TestLogSumExp(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	tests := []struct {
		name string
		x    []float64
		want float64
	}{
		{"no element", nil, -inf},
		{"one", []float64{-3.5}, -3.5},
		{"equal", []float64{2, 2, 2, 2}, 2 + 2*math.Ln2},
		{"large", []float64{1000, 1000}, 1000 + math.Ln2},
		{"far below", []float64{-1000, -1001}, -1000 + math.Log1p(math.Exp(-1))},
		{"−Inf adds nothing", []float64{-inf, 1}, 1},
		{"−Inf alone", []float64{-inf, -inf}, -inf},
		{"+Inf", []float64{inf, 1}, inf},
		{"NaN", []float64{nan, inf}, nan},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := num.LogSumExp(test.x)
			if !(math.Abs(got-test.want) <= 1e-15*math.Abs(test.want)) && got != test.want && !(got != got && test.want != test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
