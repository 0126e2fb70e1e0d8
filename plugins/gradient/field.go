package gradient

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

// The bounds of a run. A method holds a few arrays of the field's size in float64,
// and what it sends and receives in one call.
const (
	maxCells   = 1 << 21 // components of all tokens
	blockCells = 1 << 20 // of the rows of one call, unless one row has more
)

// embeddings is the point of the word embeddings.
const embeddings = "embeddings"

// field is where a model is differentiated: the word embeddings of the input, or
// the values of a point inside. It is an array [tokens,width].
type field struct {
	model   sdk.Model
	request *sdk.Request

	point  string // embeddings, or that of the parameter layer
	inside bool   // it is not the word embeddings
	shape  []int  // of the point in one row, without the axis of rows
	double bool   // the point is in float64
	tokens int
	width  int
	values []float64 // of the input; nil until read

	done, total int // rows, for progress
}

// newField returns the field of the request's parameters.
func newField(m sdk.Model, r *sdk.Request) (*field, error) {
	if len(r.Units) == 0 && (r.Params.String(paramSpecial) == "keep" || len(r.Tokens) == 0) {
		return nil, game.NoUnits()
	}
	f := &field{model: m, request: r, point: embeddings, tokens: len(r.Tokens)}
	if layer := r.Params.String(paramLayer); layer != "" && layer != embeddings {
		f.point, f.inside = layer, true
	}
	switch f.point {
	case sdk.ReplyTarget, sdk.ReplyLogits, sdk.ReplyProbs, sdk.ReplyLogProbs:
		return nil, f.unfit()
	}
	if len(f.point) > maxName {
		return nil, invalid("layer has " + strconv.Itoa(len(f.point)) + " bytes, and the name of a point has at most " + strconv.Itoa(maxName) + ": name a point such as blocks.1.hook_out")
	}
	return f, nil
}

// maxName bounds the name of a point, in bytes, as the host does.
const maxName = 255

// unfit returns the error of a point that does not have values for each token.
func (f *field) unfit() error {
	return invalid("layer=" + f.point + " has not one row of values for each of the " + strconv.Itoa(f.tokens) + " tokens: name a point such as blocks.1.hook_out")
}

// named words the error of a first look at the field where it is the parameter
// layer that names no point of the model; its code stays.
func (f *field) named(err error) error {
	e, ok := errors.AsType[*sdk.Error](err)
	if !ok || !f.inside || e.Code != sdk.EName && e.Code != sdk.ERange {
		return err
	}
	return sdk.NewError(e.Code, "layer="+f.point+" names no point: "+e.Message)
}

// size returns the number of components.
func (f *field) size() int { return f.tokens * f.width }

// mask returns a row over the tokens in which all are kept, or all are dropped.
func (f *field) mask(keep uint8) *sdk.Tensor {
	return sdk.NewTensor(slices.Repeat([]uint8{keep}, f.tokens), 1, f.tokens)
}

// read reads the field of the input, and the gradient there where that is asked
// for.
func (f *field) read(ctx context.Context, gradient bool) ([]float64, error) {
	spec := &sdk.Forward{Masks: f.mask(1), Points: []string{f.point}}
	if !gradient {
		reply, err := f.model.Forward(ctx, spec)
		if err != nil {
			return nil, f.named(err)
		}
		f.values, err = f.take(reply, f.point)
		return nil, err
	}
	reply, err := sdk.Gradient(ctx, f.model, spec, f.point)
	if err != nil {
		return nil, f.named(err)
	}
	if f.values, err = f.take(reply, f.point); err != nil {
		return nil, err
	}
	return f.take(reply, sdk.Grad(f.point))
}

// gradient reads the gradient at the input alone.
func (f *field) gradient(ctx context.Context) ([]float64, error) {
	reply, err := sdk.Gradient(ctx, f.model, &sdk.Forward{Masks: f.mask(1)}, f.point)
	if err != nil {
		return nil, f.named(err)
	}
	return f.take(reply, sdk.Grad(f.point))
}

// take returns the point's values, or the gradient at it, in a reply of one row.
func (f *field) take(reply sdk.Reply, name string) ([]float64, error) {
	t, err := reply.Tensor(name, 0)
	if err != nil {
		return nil, err
	}
	if f.shape == nil {
		if err := f.measure(reply, name, t); err != nil {
			return nil, err
		}
	}
	v := make([]float64, f.size())
	return v, f.row(t, 0, v)
}

// measure takes the field's shape from a tensor of one row.
func (f *field) measure(reply sdk.Reply, name string, t *sdk.Tensor) error {
	if f.inside {
		switch _, err := reply.Tensor(name, 1); {
		case err == nil:
			return invalid("layer=" + f.point + " stands for several points: name one, such as hidden_states[2]")
		case !errors.Is(err, &sdk.Error{Code: sdk.ERange}):
			return err
		}
	}
	pattern := len(t.Shape) == 4 && t.Shape[2] == f.tokens && t.Shape[3] == f.tokens
	if len(t.Shape) < 2 || t.Shape[0] != 1 || t.Shape[1] != f.tokens || pattern {
		return f.unfit()
	}
	f.shape = t.Shape[1:]
	f.width = t.Len() / f.tokens
	f.double = t.DType() == sdk.F64
	if f.size() > maxCells {
		return tooLong(f.tokens, f.width)
	}
	return nil
}

func tooLong(tokens, width int) error {
	return invalid("the input has " + strconv.Itoa(tokens) + " tokens of " + strconv.Itoa(width) + " components, and " + strconv.Itoa(maxCells) + " components are the most: use a shorter text")
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// row copies row i of a tensor, which has the field's shape in each row.
func (f *field) row(t *sdk.Tensor, i int, dst []float64) error {
	n := f.size()
	if t.Len() < (i+1)*n || len(t.Shape) == 0 || t.Len()/max(t.Shape[0], 1) != n {
		return sdk.NewError(sdk.EInternal, "the host's tensor has another shape than the point "+f.point+" had before")
	}
	switch v := t.Data.(type) {
	case []float32:
		for j, x := range v[i*n : (i+1)*n] {
			dst[j] = float64(x)
		}
	case []float64:
		copy(dst, v[i*n:(i+1)*n])
	default:
		return sdk.NewError(sdk.EUnsupported, "the point "+f.point+" holds no floating-point numbers")
	}
	for _, x := range dst {
		if !finite(x) {
			return invalid("a value or gradient of the model at " + f.point + " is not a finite number: try --output logit or another baseline")
		}
	}
	return nil
}

// forward returns the request for rows of the field's values, [n,tokens,width].
func (f *field) forward(rows []float64) *sdk.Forward {
	return f.substitute(f.point, rows, append([]int{len(rows) / f.size()}, f.shape...))
}

// substitute returns the request for rows with values of that shape in the place
// of a point's. Word embeddings that a host takes in place of tokens are float32,
// so that those of a model in float64 are edits, as the values of all other points
// are.
func (f *field) substitute(point string, values []float64, shape []int) *sdk.Forward {
	var t *sdk.Tensor
	if f.double {
		t = sdk.NewTensor(values, shape...)
	} else {
		single := make([]float32, len(values))
		for j, x := range values {
			single[j] = float32(x)
		}
		t = sdk.NewTensor(single, shape...)
	}
	if point == embeddings && !f.double {
		return &sdk.Forward{Embeds: t}
	}
	n := shape[0]
	return &sdk.Forward{
		Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, n*f.tokens), n, f.tokens),
		Edits: []sdk.Edit{{Point: point, Op: sdk.EditReplace, Value: t}},
	}
}

// walk differentiates the target at n rows. fill writes the i-th, and each gets
// the gradient there, which it may not keep; both are called in the order of the
// rows.
func (f *field) walk(ctx context.Context, n int, fill func(i int, row []float64), each func(i int, gradient []float64)) error {
	size := f.size()
	most := max(1, blockCells/max(size, 1))
	calls := max(1, (n+most-1)/most)
	block := (n + calls - 1) / calls // as many in each call
	rows, gradient := make([]float64, block*size), make([]float64, size)
	for start := 0; start < n; start += block {
		count := min(block, n-start)
		for i := range count {
			fill(start+i, rows[i*size:(i+1)*size])
		}
		reply, err := sdk.Gradient(ctx, f.model, f.forward(rows[:count*size]), f.point)
		if err != nil {
			return err
		}
		t, err := reply.Tensor(sdk.Grad(f.point), 0)
		if err != nil {
			return err
		}
		if len(t.Shape) == 0 || t.Shape[0] != count {
			return sdk.NewError(sdk.EInternal, "the host's gradient has not one row for each of the "+strconv.Itoa(count)+" that were asked for")
		}
		for i := range count {
			if err := f.row(t, i, gradient); err != nil {
				return err
			}
			each(start+i, gradient)
		}
		if f.done += count; f.total > block && f.request.Progress != nil {
			if err := f.request.Progress(min(f.done, f.total), f.total); err != nil {
				return err
			}
		}
	}
	return nil
}
