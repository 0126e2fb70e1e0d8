package main

import (
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/sdk"
)

// activation is the command activations with its flags.
type activation struct {
	*app
	source
	model       string
	request     core.ActivationsRequest
	outputScale string
	format      string
	file        string
}

func (a *app) activations() *cobra.Command {
	r := &activation{app: a}
	cmd := &cobra.Command{
		Use:   "activations [TEXT]",
		Short: "Read, differentiate and change what a model computes on the way",
		Long: `Activations runs the model and writes values from inside of it, named as in
HookedTransformer: blocks.3.attn.hook_pattern, its aliases (pattern3, attentions[3]),
globs (blocks.*.hook_mlp_out), and slices of them (pattern3[h=0,t=2:5]). xai models
points MODEL lists the names. Without TEXT, the text is standard input.

With --grad-of each tensor is joined by grad(NAME), the gradient of the target: a
class or A - B of a classifier of texts, CLASS@POS of a classifier of tokens,
token:ID@POS of a language model, start@POS or end@POS of a model that answers
questions, or a sum of single logits such as "logits[0,3,17] - logits[0,3,5]".
--output says whether it is the logit (default), the probability or the
log-probability.

--edit changes a value for all that is computed from it, and may be repeated:
  POINT=zero            ablate                POINT=mean           by the mean over positions
  POINT=1.5             set to a number       POINT=scale:0.5      multiply
  POINT=add:F#NAME      add a tensor of F     POINT=patch:F#NAME   put a tensor of F in its place
F is a .safetensors file, as -o writes it; without #NAME the tensor is that of the
point's own name.

With -o the tensors go to a .safetensors FILE, with input_ids and, in the metadata,
the lengths of the sequences: shorter ones are padded with zeros. Without -o, or
with --format, a summary of each tensor is printed.`,
		Example: examples(
			`xai activations "Not bad at all." --points 'blocks.*.attn.hook_pattern' -o pattern.safetensors`, "the attention of every layer",
			`xai activations "Not bad at all." --points hook_embed --grad-of POSITIVE --output logprob`, "a gradient at the embeddings, as a summary",
			`xai activations "Not bad at all." --edit 'pattern0[h=1]=zero' --points logits`, "what the model says without a head",
			`xai activations "A good film." --points 'blocks.*.hook_resid_pre' -o clean.safetensors`, "a clean run …",
			`xai activations "A dull film." --edit 'resid_pre1[t=2]=patch:clean.safetensors' --points logits`, "… one of whose positions is patched into another",
		),
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd, args) },
	}
	f := cmd.Flags()
	f.StringVarP(&r.model, "model", "m", "", "`MODEL` folder, or builtin:NAME (default: an embedded one for the language of the text)")
	r.source.flags(cmd, true)
	f.StringArrayVar(&r.request.Points, "points", nil, "`NAMES` of points, with commas between; may be repeated")
	f.StringVar(&r.request.GradOf, "grad-of", "", "also the gradients of this `TARGET`")
	f.Var(choice{&r.outputScale, []string{"logit", "prob", "logprob"}}, "output", "scale of the target (default: logit)")
	f.StringArrayVar(&r.request.Edits, "edit", nil, "change a value, `POINT=CHANGE`; may be repeated")
	f.BoolVar(&r.request.Recompute, "recompute", false, "gradients from less memory, in more time; the same bits")
	f.Var(choice{&r.format, []string{"term", "json"}}, "format", "how to write the summary (default: term)")
	f.VarP(filename{&r.file}, "out-file", "o", "write the tensors to this .safetensors `FILE`, whole or not at all")
	a.complete(cmd)
	return cmd
}

// run runs the command.
func (r *activation) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	switch {
	case len(r.request.Points) == 0:
		return usage("add --points NAMES; xai models points MODEL lists them", "no point is asked for")
	case r.request.GradOf == "" && (r.outputScale != "" || r.request.Recompute):
		return usage("add --grad-of TARGET", "--output and --recompute are for gradients, and none is asked for")
	case r.file == "-" && r.format != "":
		return usage("leave one of them out", "the tensors go to standard output, and so would the summary")
	}
	if ext := filepath.Ext(r.file); ext != "" && ext != ".safetensors" {
		return usage("name it .safetensors; the library safetensors turns it into arrays of NumPy or PyTorch", "%s would hold safetensors, whatever its name says", r.file)
	}
	if _, terminal := terminalWidth(r.stdout); terminal && r.file == "-" {
		return usage("name a file with -o", "safetensors is a binary format and standard output is a terminal")
	}
	var out *output
	var err error
	if r.file != "" && r.file != "-" {
		if out, err = r.openOutput(r.file); err != nil {
			return err
		}
	}
	if r.request.Inputs, err = r.read(r.app, cmd, args); err != nil {
		return err
	}
	host, err := r.host()
	if err != nil {
		return err
	}
	defer host.Close()
	m, err := host.OpenModel(ctx, r.chosen(r.model, r.request.Inputs[0], r.format != "json"))
	if err != nil {
		return err
	}
	defer m.Close()
	r.request.Output, r.request.Progress = sdk.Output(r.outputScale), r.showProgress()
	result, err := m.Activations(ctx, r.request)
	if err != nil {
		return err
	}
	r.clearProgress()
	for _, row := range result.Rows {
		r.noteDropped(len(row.Dropped))
	}
	write := func(w io.Writer) error { return report.ActivationsSafetensors(w, result) }
	switch {
	case out != nil:
		if err := out.write(ctx, r.app, write); err != nil || r.format == "" {
			return err
		}
	case r.file == "-":
		return write(standard{r.stdout})
	}
	if r.format == "json" {
		return r.write(func(w io.Writer) error { return report.ActivationsJSON(w, result) })
	}
	return r.write(func(w io.Writer) error { return r.term().Activations(w, result) })
}
