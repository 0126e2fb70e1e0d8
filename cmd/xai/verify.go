package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
)

// verification is the command verify with its flags.
type verification struct {
	*app
	model  string
	inputs string
	format string
}

func (a *app) verify() *cobra.Command {
	v := &verification{app: a}
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Run an explanation again from its receipt, and compare",
		Long: `Verify reads an explanation that explain --format json wrote, runs the same method
with the same parameters on the same text and model, and compares all that the run
settles: values, diagnostics, units, tokens, hashes, parameters, runtime, the bytes that
the method read and wrote. The time and the fuel that it took are not compared. Where
the version of xai or the words about the sandbox are others, which another machine
may bring with it, verify says so, and the run repeats all the same. FILE may be -,
standard input.

On the same family of kernels (provenance.kernel) the bits have to be the same. On
another one, every list of values may differ by a ten-thousandth of its largest value;
the models, the method and the text have to be the same all the same. Exit code 4
says that the run did not repeat.`,
		Example: examples(
			`xai explain "Not bad at all." --format json -o run.json && xai verify run.json`, "does it repeat?",
			`xai verify run.json -m ./the-same-model`, "where the model lies elsewhere on this machine",
			`xai verify run.json --format json`, "for a program",
		),
		Args: oneArg("the file of an explanation"),
		RunE: func(cmd *cobra.Command, args []string) error { return v.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVarP(&v.model, "model", "m", "", "`MODEL` to run it on (default: the one that the explanation names)")
	f.StringVar(&v.inputs, "inputs", "", "raw tensors that the explanation is of: the `FILE` that explain --inputs was given")
	f.Var(choice{&v.format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// verified is the JSON form of a verification.
type verified struct {
	Repeats     bool         `json:"repeats"`
	SameBits    bool         `json:"same_bits"`
	SameKernel  bool         `json:"same_kernel"`
	Kernel      string       `json:"kernel"`
	Differences []difference `json:"differences"`
	Elsewhere   []difference `json:"elsewhere"` // what may be another on another machine
}

type difference struct {
	What     string     `json:"what"`
	Was      string     `json:"was"`
	Is       string     `json:"is"`
	Relative core.Float `json:"relative"`
}

func (v *verification) run(cmd *cobra.Command, path string) error {
	ctx := cmd.Context()
	x, err := v.read(path)
	if err != nil {
		return err
	}
	var raw *core.Raw
	if v.inputs != "" {
		s := source{inputs: v.inputs}
		inputs, err := s.read(v.app, cmd, nil)
		if err != nil {
			return err
		}
		if len(inputs) != 1 {
			return usage("give the file of that one row", "%s holds %d rows, and an explanation is of one", v.inputs, len(inputs))
		}
		raw = inputs[0].Raw
	}
	request, err := x.Again(raw)
	if err != nil {
		return err
	}
	request.Timeout, request.Fuel, request.Log = v.timeout, int64(v.fuel), v.log
	typed := v.dtype != ""
	if !typed {
		v.dtype = x.Provenance.DType
	}
	host, err := v.host()
	if e, ok := errors.AsType[*core.Error](err); ok && e.Kind == core.KindUsage && !typed { // nobody has typed it
		return &core.Error{Kind: core.KindInput, Msg: "the explanation cannot be repeated: " + e.Msg, Hint: e.Hint, Err: err}
	}
	if err != nil {
		return err
	}
	defer host.Close()
	name := v.model
	if name == "" {
		name = x.Model.ID
	}
	model, err := host.OpenModel(ctx, name)
	if err != nil {
		return err
	}
	defer model.Close()
	request.Progress = v.showProgress()
	result, err := host.Verify(ctx, model, x, request)
	if err != nil {
		return err
	}
	if err := v.write(func(w io.Writer) error { return v.print(w, x, result) }); err != nil {
		return err
	}
	if !result.Passed() {
		return &core.Error{Kind: core.KindMethod, Msg: "the run does not repeat: " + report.Line(result.Differences[0].What) + " differs", Hint: "what it was made with, and what it is made with here, stand above"}
	}
	return nil
}

// read reads the explanation in a file, or in standard input for "-".
func (v *verification) read(path string) (*core.Explanation, error) {
	if path == "-" {
		return core.ReadExplanation(v.stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(err, "cannot read", path)
	}
	defer f.Close()
	return core.ReadExplanation(&opened{f, path})
}

func (v *verification) print(w io.Writer, x *core.Explanation, r *core.Verification) error {
	kernel := r.Again.Provenance.Kernel
	if v.format == "json" {
		out := verified{Repeats: r.Passed(), SameBits: r.SameBits, SameKernel: r.SameKernel, Kernel: kernel, Differences: differences(r.Differences), Elsewhere: differences(r.Elsewhere)}
		return report.JSON(w, out)
	}
	switch {
	case r.SameBits && len(r.Elsewhere) > 0:
		fmt.Fprintf(w, "It repeats: the results of %s on %s are the same bits, kernel %s. What another machine or version may change is not the same:\n", report.Line(x.Method.Name), report.Line(x.Model.ID), kernel)
	case r.SameBits:
		fmt.Fprintf(w, "It repeats, bit for bit: %s on %s, kernel %s.\n", report.Line(x.Method.Name), report.Line(x.Model.ID), kernel)
	case r.Passed():
		fmt.Fprintf(w, "It repeats within %g of the largest values: kernel %s then, %s now.\n", core.OtherKernels, report.Line(x.Provenance.Kernel), kernel)
	default:
		fmt.Fprintf(w, "It does not repeat (kernel %s then, %s now):\n", report.Line(x.Provenance.Kernel), kernel)
	}
	for _, d := range slices.Concat(r.Differences, r.Elsewhere) {
		fmt.Fprintf(w, "  %s: ", report.Line(d.What))
		if math.IsNaN(d.Relative) {
			fmt.Fprintf(w, "was %s, is %s\n", report.Line(d.Was), report.Line(d.Is))
		} else {
			fmt.Fprintf(w, "apart by %.3g of the largest value\n", d.Relative)
		}
	}
	return nil
}

// differences returns the JSON form of some.
func differences(list []core.Difference) []difference {
	out := []difference{}
	for _, d := range list {
		out = append(out, difference{d.What, d.Was, d.Is, core.Float(d.Relative)})
	}
	return out
}
