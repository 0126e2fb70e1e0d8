package num_test

import (
	"fmt"
	"math"
	"strings"

	"github.com/xai-go/xai/sdk/num"
)

// A linear surrogate of a model: which of two words matter, and how surely.
func ExampleRegression() {
	masks := []uint8{
		1, 1,
		1, 0,
		0, 1,
		0, 0,
		1, 0,
	}
	prediction := []float64{0.9, 0.8, 0.2, 0.1, 0.7}
	weights := []float64{1, 0.5, 0.5, 0.25, 0.5}
	r, err := num.NewRegression(masks, 5, 2, prediction, weights)
	if err != nil {
		panic(err)
	}
	fit, err := r.Ridge(0.01, nil)
	if err != nil {
		panic(err)
	}
	for k, stderr := range fit.StdErr() {
		fmt.Printf("word %d: %.2f ± %.2f\n", fit.Columns[k], fit.Coef[k], stderr)
	}
	fmt.Printf("R² %.2f\n", fit.R2)
	// Output:
	// word 0: 0.67 ± 0.08
	// word 1: 0.13 ± 0.08
	// R² 0.99
}

func ExampleRegression_LassoPath() {
	x := []float64{
		1, 0,
		0, 1,
		-1, 0,
		0, -1,
	}
	r, err := num.NewRegression(x, 4, 2, []float64{4, 2, -4, -2}, nil)
	if err != nil {
		panic(err)
	}
	path, err := r.LassoPath(500, 0)
	if err != nil {
		panic(err)
	}
	for k, alpha := range path.Alphas {
		fmt.Printf("%.3g %.3g\n", alpha, path.Coefs[k])
	}
	// Output:
	// 2 [0 0]
	// 1 [2 0]
	// 0 [4 2]
}

func ExampleSoftmax() {
	logits := []float64{1000, 1000 + math.Ln2}
	for _, p := range num.Softmax(logits, logits) {
		fmt.Printf("%.4f\n", p)
	}
	// Output:
	// 0.3333
	// 0.6667
}

// The samples of numpy.random.RandomState(42).
func ExampleMT19937() {
	random := num.NewMT19937(42)
	fmt.Println(random.RandInt(1, 7, 5))
	fmt.Println(random.ChoiceWithoutReplacement(10, 3))
	// Output:
	// [4 5 3 5 5]
	// [0 1 5]
}

func ExampleRand() {
	random := num.NewRand(strings.NewReader("any stream of bytes will do, such as the one in a request of the host"))
	fmt.Println(random.Perm(5))
	fmt.Println(random.Err())
	// Output:
	// [2 0 3 4 1]
	// <nil>
}
