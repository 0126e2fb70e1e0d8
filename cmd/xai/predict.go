package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core/report"
)

func (a *app) predict() *cobra.Command {
	var from source
	var model, format string
	cmd := &cobra.Command{
		Use:   "predict [TEXT]",
		Short: "Run the model and print its answer",
		Long: `Predict runs the model on a text, or on every row of raw tensors, and prints the
classes with their probabilities. Without TEXT, the text is standard input.

The JSON form has "logits" and "probs" in the order of "labels", the predicted
"label", "input_ids" and "tokens"; with --inputs each is a list with one entry a
row. A regression has no probs and no label: they are null.`,
		Example: examples(
			`xai predict "A gripping, beautifully shot film."`, "the embedded model",
			`xai predict -m ./my-bert --format json "Some text."`, "a model folder, for a program",
			`xai predict -m ./my-nli --text-pair "A person is outside." "A man walks."`, "two texts",
			`xai predict -m ./my-bert --inputs rows.safetensors --format json`, "raw token ids, a batch",
		),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := a.deadline(cmd.Context())
			defer cancel()
			inputs, err := from.read(a, cmd, args)
			if err != nil {
				return err
			}
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			m, err := host.OpenModel(ctx, a.chosen(model, inputs[0], format != "json"))
			if err != nil {
				return err
			}
			defer m.Close()
			p, err := m.Predict(ctx, inputs)
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.PredictionJSON(w, p, from.inputs != "")
				}
				return a.term().Prediction(w, p)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&model, "model", "m", "", "`MODEL` folder, or builtin:NAME (default: an embedded one for the language of the text)")
	from.flags(cmd, true)
	f.Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}
