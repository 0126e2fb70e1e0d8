package num_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/xai-go/xai/sdk/num"
)

// TestBits compares a digest of what the package computes with the one that
// every machine is to give: run it for GOAMD64=v1 and v3, arm64 and wasip1.
func TestBits(t *testing.T) {
	digest := sha256.New()
	write := func(values ...float64) {
		var b [8]byte
		for _, v := range values {
			binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
			digest.Write(b[:])
		}
	}
	random := num.NewMT19937(20260101)
	for range 2000 {
		x := float64(1400*random.Float64()) - 700
		small := float64(x / 350)
		write(num.Exp(x), num.Expm1(small), num.Log(math.Abs(x)), num.Log1p(math.Abs(small)), num.Tanh(small), num.Sigmoid(small))
	}
	normal := num.NewRand(stream(1))
	v := make([]float64, 1000)
	for i := range v {
		v[i] = normal.NormFloat64()
	}
	write(v...)
	write(num.Sum(v), num.Dot(v, v), num.LogSumExp(v))
	write(num.Softmax(v, v)...)

	const rows, columns = 300, 12
	masks, y, w := sample(rows, columns)
	fromMasks, err := num.NewRegression(masks, rows, columns, y, w)
	if err != nil {
		t.Fatal(err)
	}
	fromFloats, err := num.NewRegressionThroughOrigin(floats(masks), rows, columns, y, w)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*num.Regression{fromMasks, fromFloats} {
		for _, alpha := range []float64{0, 1} {
			f := ridge(t, r, alpha, nil)
			write(f.Coef...)
			write(f.Intercept, f.R2)
			write(f.StdErr()...)
		}
		path := lasso(t, r, 500, 0)
		write(path.Alphas...)
		for _, b := range path.Coefs {
			write(b...)
		}
	}
	const want = "f19c34e6db48b17a39819debe953fb482777e4f3b378fa5797c8de2717b80e24"
	if got := hex.EncodeToString(digest.Sum(nil)); got != want {
		t.Errorf("the digest is %s, want %s", got, want)
	}
}
