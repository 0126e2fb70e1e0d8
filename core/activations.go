package core

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/words"
	"github.com/xai-go/xai/sdk"
)

// ActivationsRequest asks for values inside of a model, as package
// engine/point names them.
type ActivationsRequest struct {
	Inputs []Input
	Points []string // lists of points
	// GradOf is the target whose gradients at the points are asked for: see
	// [Model.Activations]. Empty asks for none.
	GradOf string
	Output sdk.Output // scale of the target; sdk.Logit where it is empty
	Edits  []string   // POINT=CHANGE, applied in order: see point.ParseEdit
	// Recompute makes gradients from less memory, with the same bits.
	Recompute bool
	// Progress is told how many sequences are done, and their total. Calls come
	// one at a time, from any goroutine, and the run waits for them.
	Progress func(done, total int)
}

// Activations are values inside of a model for a batch of inputs.
type Activations struct {
	Model     string
	DType     string
	Kernel    string
	Rows      []ActivationsRow
	Tensors   []Activation
	Objective *Objective // nil where no gradients were asked for
}

// ActivationsRow is one sequence of the batch.
type ActivationsRow struct {
	Tokens  []Token // of raw embeddings their ids are −1
	Dropped []Token // what truncation cut
}

// Objective is the scalar that was differentiated, with its value for each
// sequence.
type Objective struct {
	Expr   string
	Output sdk.Output
	Values []float64
}

// Activation is one point for the whole batch. Sequences that are shorter than
// the longest one are padded with zeros.
type Activation struct {
	Name  string   // as it was asked for; grad(NAME) of a gradient
	Point string   // its canonical name
	Axes  []string // letters of the axes that no index dropped
	engine.Tensor
	IDs []int64 // of hook_tokens, in place of numbers
}

// Activations runs the model and returns what it computed at the points, after
// edits; with GradOf also the gradient of the target at each of them, named
// grad(NAME). The target is a class or a difference of two, A - B, of a
// classifier of texts; CLASS@POS of a classifier of tokens; token:ID@POS of a
// language model; start@POS or end@POS of a model that answers with a span, or a
// difference of two of these; or a sum of single logits, logits[b,i,j]. Targets
// without b are meant of every sequence.
//
// Work that does not fit into the memory budget, sequences padded to the longest
// included, is refused before it begins.
func (m *Model) Activations(ctx context.Context, r ActivationsRequest) (*Activations, error) {
	out := &Activations{Model: m.id, DType: string(m.engine.Info().DType), Kernel: m.engine.Kernel()}
	var rows []row
	for _, in := range r.Inputs {
		e, err := m.encode(in)
		if err != nil {
			return nil, err
		}
		rows = append(rows, e.row)
		out.Rows = append(out.Rows, ActivationsRow{tokenRefs(e.tokens), tokenRefs(e.dropped)})
	}
	in := batch(rows)
	graph := m.engine.Graph(in)
	selections, err := m.selections(graph, r.Points)
	if err != nil {
		return nil, err
	}
	padding, err := m.padding(in, selections, r.GradOf != "")
	if err != nil {
		return nil, err
	}
	if err := m.allows("the activations, padded to the longest sequence,", padding); err != nil {
		return nil, err
	}
	if selections, err = out.tokens(selections); err != nil {
		return nil, err
	}
	edits, err := m.edits(ctx, graph, r.Edits)
	if err != nil {
		return nil, err
	}
	for _, e := range edits {
		shapes, err := m.engine.Shapes(in, e.Selection)
		if err != nil {
			return nil, engineError(m.id, err)
		}
		if !slices.ContainsFunc(shapes, func(dims []int) bool { return dims != nil && !slices.Contains(dims, 0) }) {
			return nil, out.nothing(e.Selection) // the answer would be that of the model as it is
		}
	}
	switch {
	case len(selections) == 0 && r.GradOf != "":
		return nil, usage("hook_tokens has no gradient", "ask for the gradient at hook_embed, or leave --grad-of out")
	case len(selections) == 0:
		return out, nil
	}
	opts := []engine.ForwardOption{engine.WithoutLogits(), engine.Capture(selections...), engine.Edits(edits...), engine.Progress(r.Progress)}
	if r.GradOf != "" {
		o, err := m.objective(r.GradOf, r.Output, graph, in)
		if err != nil {
			return nil, err
		}
		in.Reads = o.reads
		opts = append(opts, engine.Gradients(o.value, selections...))
		out.Objective = &Objective{Expr: r.GradOf, Output: o.output}
	}
	if r.Recompute {
		opts = append(opts, engine.Recompute())
	}
	if padding > 0 {
		memory, err := m.engine.Memory(ctx, in, opts...)
		if err != nil {
			return nil, engineError(m.id, err)
		}
		if err := m.allows("the weights and the activations, padded to the longest sequence,", memory.Weights+memory.Results+padding); err != nil {
			return nil, err
		}
	}
	result, err := m.forward(ctx, in, opts...)
	if err != nil {
		return nil, err
	}
	if out.Objective != nil {
		out.Objective.Values = result.Objectives
	}
	for i := range result.Values {
		if err := out.add("", &result.Values[i]); err != nil {
			return nil, err
		}
	}
	for i := range result.Gradients {
		if err := out.add("grad", &result.Gradients[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// selections resolves lists of points; what is asked for twice is given once.
func (m *Model) selections(g *arch.Graph, lists []string) ([]point.Selection, error) {
	var all []point.Selection
	for _, list := range lists {
		selections, err := point.ResolveList(g, m.engine.Info(), list)
		if err != nil {
			return nil, m.pointError(err)
		}
		for _, s := range selections {
			if !slices.ContainsFunc(all, func(other point.Selection) bool { return other.Name == s.Name }) {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		return nil, usage("no point is asked for", "name some with --points; xai models points "+m.id+" lists them")
	}
	return all, nil
}

// edits parses edits, and reads the tensors that they take from files.
func (m *Model) edits(ctx context.Context, g *arch.Graph, specs []string) ([]point.Edit, error) {
	tensors := &editTensors{ctx: ctx, budget: m.memory, files: make(map[string]*tensorFile)}
	defer tensors.close()
	var all []point.Edit
	for _, spec := range specs {
		edits, err := point.ParseEdit(g, m.engine.Info(), spec, tensors.find)
		if err != nil {
			return nil, m.pointError(err)
		}
		all = append(all, edits...)
	}
	return all, nil
}

// padding returns the bytes of the tensors of a batch whose sequences differ, all
// padded to the largest: those of the selections, and the token ids. It is 0
// where nothing is padded.
func (m *Model) padding(in engine.Input, selections []point.Selection, gradients bool) (int64, error) {
	const ids = 8
	if len(in.Lengths) == 0 {
		return 0, nil
	}
	bytes := 0.0 // which may be more than an int64 holds
	longest := slices.Max(in.Lengths)
	if longest > slices.Min(in.Lengths) {
		bytes = ids * float64(len(in.Lengths)) * float64(longest)
	}
	for _, s := range selections {
		if s.Point.Stage == arch.IDs {
			bytes += ids * float64(len(in.Lengths)) * float64(longest)
			continue
		}
		shapes, err := m.engine.Shapes(in, s)
		if err != nil {
			return 0, engineError(m.id, err)
		}
		shapes = slices.DeleteFunc(shapes, func(dims []int) bool { return dims == nil })
		if !slices.ContainsFunc(shapes, func(dims []int) bool { return !slices.Equal(dims, shapes[0]) }) {
			continue
		}
		size := float64(len(shapes)) * float64(m.engine.Info().DType.Size())
		for _, dim := range largest(shapes) {
			size *= float64(dim)
		}
		if gradients {
			size *= 2
		}
		bytes += size
	}
	return int64(min(bytes, math.MaxInt64/2)), nil
}

// largest returns the largest size of each axis.
func largest(shapes [][]int) []int {
	dims := slices.Clone(shapes[0])
	for _, shape := range shapes {
		for axis, dim := range shape {
			dims[axis] = max(dims[axis], dim)
		}
	}
	return dims
}

// first returns the first n of a list, with an ellipsis where there are more.
func first(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), "…")
}

// pointError words an error of package point.
func (m *Model) pointError(err error) error { return pointError(m.id, err) }

func pointError(ref string, err error) error {
	if err == nil || KindOf(err) != KindInternal {
		return err
	}
	msg, hint := err.Error(), "xai models points "+ref+" lists the points"
	if e, ok := errors.AsType[*point.UnknownError](err); ok && len(e.Near) > 0 {
		msg, hint = "the model has no point "+e.Name, "did you mean "+words.Or(e.Near...)+"? "+hint
	}
	return &Error{Kind: KindUsage, Msg: msg, Hint: hint, Err: err}
}

// Points describes the points of a model, all of them or those of a list. It
// reads config.json alone. Of a model of two streams they are those of an input
// that has everything: targets, memories and token types.
func (h *Host) Points(ref, list string) ([]point.Description, error) {
	fsys, err := h.folder(ref)
	if err != nil {
		return nil, err
	}
	a, err := engine.Describe(fsys)
	if err != nil {
		return nil, engineError(ref, err)
	}
	a.Info.DType = engine.DType(h.options.DType)
	graph := a.Graph(arch.Form{Targets: true, Memory: true, Types: true})
	all := point.Describe(graph, a.Info)
	if list == "" {
		return all, nil
	}
	selections, err := point.ResolveList(graph, a.Info, list)
	if err != nil {
		return nil, pointError(ref, err)
	}
	return slices.DeleteFunc(all, func(d point.Description) bool {
		return !slices.ContainsFunc(selections, func(s point.Selection) bool { return s.Point.Name == d.Name })
	}), nil
}

// add appends an activation, all sequences in one tensor, and lets go of those
// that it was copied from.
func (a *Activations) add(of string, from *engine.Activation) error {
	s := from.Selection
	t := Activation{Name: s.Name, Point: s.Point.Name}
	if of != "" {
		t.Name = of + "(" + s.Name + ")"
	}
	tensors := from.Sequences
	batched := s.Point.Axes[0].Letter == "B"
	if batched {
		lo, hi := s.Ranges[0].Bounds(len(tensors))
		tensors = tensors[lo:hi]
	}
	for _, tensor := range tensors {
		if tensor.Len() == 0 {
			tensors = nil
			break
		}
	}
	if len(tensors) == 0 {
		return a.nothing(s)
	}
	shapes := make([][]int, len(tensors))
	for i, tensor := range tensors {
		shapes[i] = tensor.Shape
	}
	dims := largest(shapes) // without B
	joint, ok := from.Joined()
	if !ok {
		joint = padded(tensors, dims)
	}
	t.Tensor = joint
	*from = engine.Activation{}
	if batched {
		dims = append([]int{len(tensors)}, dims...)
	}
	t.Shape = []int{}
	for _, axis := range s.Kept() {
		t.Axes, t.Shape = append(t.Axes, s.Point.Axes[axis].Letter), append(t.Shape, dims[axis])
	}
	a.Tensors = append(a.Tensors, t)
	return nil
}

// tokens appends the token ids that are asked for, which no forward computes,
// and returns the other selections.
func (a *Activations) tokens(selections []point.Selection) ([]point.Selection, error) {
	var others []point.Selection
	for _, s := range selections {
		if s.Point.Stage != arch.IDs {
			others = append(others, s)
			continue
		}
		first, last := s.Ranges[0].Bounds(len(a.Rows))
		width, empty := 0, first >= last
		for _, r := range a.Rows[first:last] {
			lo, hi := s.Ranges[1].Bounds(len(r.Tokens))
			width, empty = max(width, hi-lo), empty || lo == hi
		}
		if empty {
			return nil, a.nothing(s)
		}
		t := Activation{Name: s.Name, Point: s.Point.Name}
		t.Shape = []int{}
		for _, axis := range s.Kept() {
			t.Axes, t.Shape = append(t.Axes, s.Point.Axes[axis].Letter), append(t.Shape, []int{last - first, width}[axis])
		}
		for i, r := range a.Rows[first:last] {
			lo, hi := s.Ranges[1].Bounds(len(r.Tokens))
			for _, token := range r.Tokens[lo:hi] {
				t.IDs = append(t.IDs, int64(token.ID))
			}
			t.IDs = append(t.IDs, make([]int64, (i+1)*width-len(t.IDs))...) // padding
		}
		a.Tensors = append(a.Tensors, t)
	}
	return others, nil
}

// nothing is the error for a selection outside of the input.
func (a *Activations) nothing(s point.Selection) error {
	return usage(s.Name+" selects nothing of the input", "its rows have "+a.sizes()+" tokens; indices count from 0, and from the end where they are negative")
}

// sizes lists the lengths of the rows.
func (a *Activations) sizes() string {
	var lengths []string
	for _, r := range a.Rows {
		lengths = append(lengths, strconv.Itoa(len(r.Tokens)))
	}
	return strings.Join(first(lengths, 8), ", ")
}

// padded returns tensors one after another, each padded with zeros to dims.
func padded(tensors []engine.Tensor, dims []int) engine.Tensor {
	size := 1
	for _, dim := range dims {
		size *= dim
	}
	var out engine.Tensor
	for i, t := range tensors {
		if t.F64 != nil {
			if out.F64 == nil {
				out.F64 = make([]float64, size*len(tensors))
			}
			pad(out.F64[i*size:(i+1)*size], t.F64, dims, t.Shape)
			continue
		}
		if out.F32 == nil {
			out.F32 = make([]float32, size*len(tensors))
		}
		pad(out.F32[i*size:(i+1)*size], t.F32, dims, t.Shape)
	}
	return out
}

// pad copies a tensor of one shape into the beginning of one of another, no
// smaller on any axis.
func pad[T any](dst, src []T, to, from []int) {
	if slices.Equal(to, from) {
		copy(dst, src)
		return
	}
	d, s := len(dst)/to[0], len(src)/from[0]
	for i := range from[0] {
		pad(dst[i*d:(i+1)*d], src[i*s:(i+1)*s], to[1:], from[1:])
	}
}
