package sdk_test

import (
	"context"
	"fmt"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

// What a target loses when each unit is dropped. A method is handed the model and
// the request; here they are those of a test.
func ExampleEvaluate() {
	formula := toy.Formula(0, toy.Term{Coef: 2, Words: []string{"good"}}, toy.Term{Coef: -3, Words: []string{"not", "good"}})
	model, err := formula.Open(toy.Input{Text: "not good", Target: "0", Output: sdk.Logit})
	if err != nil {
		fmt.Println(err)
		return
	}
	request := model.Request()

	keep := sdk.NewTensor([]uint8{0, 1, 1, 0}, 2, 2) // row i drops unit i
	values, err := sdk.Evaluate(context.Background(), model, &sdk.Forward{Units: keep})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, unit := range request.Units {
		fmt.Println(unit.Text, request.Target.Value-values[i])
	}
	// Output:
	// not -3
	// good -1
}
