package report

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// ActivationsSchema names the version of the metadata of a file of activations.
const ActivationsSchema = "xai.activations/1"

// ActivationsSafetensors writes every tensor of a under its name, in the number
// format of the model, and input_ids [B,T] as I64, padded with zeros, where the
// inputs were tokens. The metadata have "schema", and as JSON "model", "dtype" and
// "kernel" (strings), "lengths" and "dropped" (tokens of each sequence, and of its
// text those that did not fit), "axes" (the letters of each tensor's), and "target"
// with its values, null where no gradients were asked for.
func ActivationsSafetensors(w io.Writer, a *core.Activations) error {
	tensors := inputIDs(a)
	axes := map[string][]string{}
	for _, t := range a.Tensors {
		axes[t.Name] = append([]string{}, t.Axes...)
		var data any = t.F32
		switch {
		case t.F64 != nil:
			data = t.F64
		case t.IDs != nil:
			data = t.IDs
		}
		tensors = append(tensors, safetensors.Tensor{Name: t.Name, Shape: t.Shape, Data: data})
	}
	metadata := map[string]string{"schema": ActivationsSchema}
	for key, value := range map[string]any{"model": a.Model, "dtype": a.DType, "kernel": a.Kernel, "lengths": lengths(a), "dropped": dropped(a), "axes": axes, "target": objectiveOf(a)} {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		metadata[key] = string(text)
	}
	return safetensors.Write(w, tensors, metadata)
}

// inputIDs returns the tensor input_ids; nothing where the inputs were
// embeddings.
func inputIDs(a *core.Activations) []safetensors.Tensor {
	longest := 0
	for _, n := range lengths(a) {
		longest = max(longest, n)
	}
	ids := make([]int64, len(a.Rows)*longest)
	for i, r := range a.Rows {
		for k, t := range r.Tokens {
			if t.ID < 0 {
				return nil
			}
			ids[i*longest+k] = int64(t.ID)
		}
	}
	return []safetensors.Tensor{{Name: "input_ids", Shape: []int{len(a.Rows), longest}, Data: ids}}
}

func lengths(a *core.Activations) []int {
	out := make([]int, len(a.Rows))
	for i, r := range a.Rows {
		out[i] = len(r.Tokens)
	}
	return out
}

// dropped returns how many tokens of each text did not fit.
func dropped(a *core.Activations) []int {
	out := make([]int, len(a.Rows))
	for i, r := range a.Rows {
		out[i] = len(r.Dropped)
	}
	return out
}

// target is the JSON form of what was differentiated.
type target struct {
	Expr   string       `json:"expr"`
	Output string       `json:"output"`
	Values []core.Float `json:"values"`
}

func objectiveOf(a *core.Activations) *target {
	if a.Objective == nil {
		return nil
	}
	return &target{a.Objective.Expr, string(a.Objective.Output), core.Floats(a.Objective.Values)}
}

// summary says of a tensor what fits into a line.
type summary struct {
	Name  string     `json:"name"`
	Axes  []string   `json:"axes"`
	Shape []int      `json:"shape"`
	Min   core.Float `json:"min"`
	Mean  core.Float `json:"mean"`
	Max   core.Float `json:"max"`
	Norm  core.Float `json:"norm"`       // the Euclidean one
	Other int        `json:"not_finite"` // values that are left out of the numbers before: masked scores are −Inf
}

// numbers yields the values of a tensor, whatever they are, without a copy: it
// may be most of what the memory holds.
func numbers(t core.Activation) iter.Seq[float64] {
	return func(yield func(float64) bool) {
		_ = each(t.F32, yield) && each(t.F64, yield) && each(t.IDs, yield)
	}
}

func each[T float32 | float64 | int64](values []T, yield func(float64) bool) bool {
	for _, v := range values {
		if !yield(float64(v)) {
			return false
		}
	}
	return true
}

func summarize(t core.Activation) summary {
	s := summary{Name: t.Name, Axes: append([]string{}, t.Axes...), Shape: t.Shape}
	low, high, sum, squares := math.Inf(1), math.Inf(-1), 0.0, 0.0
	n := 0.0
	for v := range numbers(t) {
		if v-v != 0 {
			s.Other++
			continue
		}
		low, high = min(low, v), max(high, v)
		sum += v
		squares += v * v
		n++
	}
	if n == 0 {
		low, high, squares = math.NaN(), math.NaN(), math.NaN()
	}
	s.Min, s.Mean, s.Max, s.Norm = core.Float(low), core.Float(sum/n), core.Float(high), core.Float(math.Sqrt(squares))
	return s
}

// ActivationsJSON writes a summary of a as one JSON object: of each tensor its
// "name", "axes" and "shape", and of its finite values "min", "mean", "max" and
// "norm", NaN where there are none; the "lengths" of the sequences and how many
// tokens of each text were "dropped" since they did not fit; and "target" with its
// values, null where no gradients were asked for.
func ActivationsJSON(w io.Writer, a *core.Activations) error {
	out := struct {
		Model   string    `json:"model"`
		Tensors []summary `json:"tensors"`
		Lengths []int     `json:"lengths"`
		Dropped []int     `json:"dropped"`
		Target  *target   `json:"target"`
	}{Model: a.Model, Lengths: lengths(a), Dropped: dropped(a), Target: objectiveOf(a)}
	for _, t := range a.Tensors {
		out.Tensors = append(out.Tensors, summarize(t))
	}
	return JSON(w, out)
}

// Activations writes a table with a line for each tensor. A value alone is
// written itself.
func (t Term) Activations(w io.Writer, a *core.Activations) error {
	t = t.defaults()
	var b strings.Builder
	if o := a.Objective; o != nil {
		for i, v := range o.Values {
			where := ""
			if len(o.Values) > 1 {
				where = fmt.Sprintf(" of row %d", i)
			}
			b.WriteString(t.Paragraph(fmt.Sprintf("target: %s (%s)%s = %s", Line(o.Expr), o.Output, where, number(v)), "  "))
		}
	}
	lines := [][]string{{"", "shape", "min", "mean", "max", "norm"}}
	for _, tensor := range a.Tensors {
		s := summarize(tensor)
		cells := []string{Line(s.Name), shape(s), number(float64(s.Min)), number(float64(s.Mean)), number(float64(s.Max)), number(float64(s.Norm))}
		switch {
		case len(s.Shape) == 0:
			for v := range numbers(tensor) {
				cells = []string{cells[0], "", number(v)}
			}
		case s.Other > 0:
			cells = append(cells, fmt.Sprintf("(%d not finite)", s.Other))
		}
		lines = append(lines, cells)
	}
	widths := make([]int, 8)
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], uniseg.StringWidth(c))
		}
	}
	for i, cells := range lines {
		var line strings.Builder
		for k, c := range cells {
			pad := blanks(c, widths[k])
			if k > 1 && k < 6 { // numbers end in line
				c = pad + c
			} else {
				c += pad
			}
			line.WriteString("  " + c)
		}
		text := strings.TrimRight(line.String(), " ")
		if i == 0 {
			text = t.Level.Dim(text)
		}
		b.WriteString(text + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shape writes a shape as [B=1,T=7,D=48].
func shape(s summary) string {
	parts := make([]string, len(s.Shape))
	for i, dim := range s.Shape {
		parts[i] = s.Axes[i] + "=" + strconv.Itoa(dim)
	}
	return "[" + strings.Join(parts, ",") + "]"
}
