// Embed runs an explanation method inside a program of its own: it opens the
// embedded English model, runs LIME in its sandbox, and prints each word with
// how far it pushed the prediction.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/sdk"
)

func main() {
	ctx := context.Background()
	host, err := core.New(core.Options{Methods: core.Builtin(plugins.Builtin()), BuiltinOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	model, err := host.OpenModel(ctx, "builtin:sentiment-en")
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	text := "The acting is superb, the story is not."
	x, err := host.Explain(ctx, model, core.Request{
		Input:  core.Input{Text: text},
		Method: "lime",                                                     // the default
		Params: map[string]string{"num_samples": "2000", "fill": "delete"}, // as after -p; the rest has its defaults
		Target: "POSITIVE - NEGATIVE",                                      // "": what the model answers
		Output: sdk.Logit,                                                  // "": the probability
		Units:  core.UnitsWord,                                             // the default
		Seed:   7,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %.3f\n", x.Target.Label, float64(x.Target.Value))
	for i, unit := range x.Input.Units {
		fmt.Printf("%-10s %+.3f\n", unit.Text, float64(x.Attributions[0].Values[i]))
	}
}
