package sdktest_test

import (
	"context"
	"fmt"
	"os"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

func ExampleCheck() {
	report := sdktest.Check(context.Background(), sdktest.Method(occlusion{}), sdktest.Options{
		Exact: true,
		Only:  []string{"axioms/exact", "axioms/dummy"},
	})
	report.Elapsed = 0
	for i := range report.Results {
		report.Results[i].Elapsed = 0
	}
	if err := report.WriteText(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// occlusion 1.0.0
	//
	// axioms
	//   ✓ exact                  0s
	//   ✓ dummy                  0s
	//
	// 2 passed, 0 failed, 0 skipped in 0s
}

// A test of one's own, on a model whose answer is known.
func Example() {
	method := occlusion{}
	model := toy.Formula(0, toy.Term{Coef: 2, Words: []string{"good"}}, toy.Term{Coef: -3, Words: []string{"not", "good"}})
	params, err := sdktest.Params(method.Info(), map[string]string{"fill": "delete"})
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := model.Open(toy.Input{Text: "not a good film", Target: "yes", Output: sdk.Logit, Params: params})
	if err != nil {
		fmt.Println(err)
		return
	}
	explanation, _, err := sdktest.Method(method).Explain(context.Background(), session, session.Request())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(explanation.Attributions[0].Values)
	// Output: [-3 0 -1 0]
}
