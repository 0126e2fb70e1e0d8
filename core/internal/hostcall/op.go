package hostcall

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/num"
)

// The bounds of an operation, which cannot be interrupted.
const (
	maxColumns = 4096    // of a regression
	maxWork    = 1 << 33 // multiplications
	checkEvery = 1 << 16 // steps, after which one that can be interrupted looks whether it is
)

// operation is one of op.
type operation struct {
	operands, scalars int
	run               func(c *Call, x []*sdk.Tensor, s []float64) (*sdk.Tensor, error)
}

var operations = map[abi.Op]operation{
	abi.OpRidge:   {3, 1, (*Call).ridge},
	abi.OpMatmul:  {2, 0, (*Call).matmul},
	abi.OpSoftmax: {1, 0, (*Call).softmax},
	abi.OpTopK:    {1, 1, (*Call).topK},
	abi.OpSum:     {1, 0, (*Call).sum},
	abi.OpMean: {1, 0, func(c *Call, x []*sdk.Tensor, s []float64) (*sdk.Tensor, error) {
		out, err := c.sum(x, s)
		if err != nil {
			return nil, err
		}
		n := float64(x[0].Shape[len(x[0].Shape)-1])
		for i, v := range out.Data.([]float64) {
			out.Data.([]float64)[i] = v / n
		}
		return out, nil
	}},
}

// Op is op: the handle of a tensor that the host computed from others, with
// sdk/num, whose bits are the same everywhere.
func (c *Call) Op(code abi.Op, b []byte) (int64, error) {
	op, ok := operations[code]
	if !ok {
		return 0, sdk.NewError(sdk.EUnsupported, "the host does not know the operation "+strconv.FormatUint(uint64(code), 10))
	}
	if err := CheckFrame(uint64(len(b))); err != nil {
		return 0, err
	}
	spec, err := abi.ParseOperation(b)
	if err != nil {
		return 0, err
	}
	if len(spec.Operands) != op.operands || len(spec.Scalars) != op.scalars {
		return 0, operandError("the operation takes " + strconv.Itoa(op.operands) + " operands and " + strconv.Itoa(op.scalars) + " scalars")
	}
	x := make([]*sdk.Tensor, op.operands)
	for i, h := range spec.Operands {
		t, err := c.tensor(h)
		if err != nil {
			return 0, err
		}
		if t.DType() != sdk.F64 {
			return 0, operandError("operand " + strconv.Itoa(i) + " holds " + t.DType().String() + ", and operations are of f64")
		}
		x[i] = t.Tensor
	}
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	out, err := op.run(c, x, spec.Scalars)
	if err != nil {
		return 0, err
	}
	bytes, _ := dataBytes(out.Data)
	return c.store(&tensor{Tensor: out, bytes: bytes})
}

func operandError(message string) error { return sdk.NewError(sdk.EInvalid, message) }

// room checks that n results of 8 bytes fit the limits, before there are any.
func (c *Call) room(n int) error {
	if int64(n) > (c.Limits.HandleBytes-c.handles.bytes)/8 {
		return c.exceed(handlesError(c.Limits))
	}
	return nil
}

// within checks that the product of the factors is no more work than an
// operation may be, and takes as much fuel.
func (c *Call) within(factors ...int) error {
	work := 1.0
	for _, f := range factors {
		work *= float64(f)
	}
	if work > maxWork {
		return sdk.NewError(sdk.ERange, "the operation takes "+strconv.FormatFloat(work, 'g', 3, 64)+" multiplications, and "+strconv.FormatFloat(maxWork, 'g', 3, 64)+" is the most")
	}
	if c.Spend != nil && !c.Spend(int64(work)) {
		return c.exceed(FuelError(c.Limits))
	}
	return nil
}

func (c *Call) ridge(x []*sdk.Tensor, s []float64) (*sdk.Tensor, error) {
	if len(x[0].Shape) != 2 || len(x[1].Shape) != 1 || len(x[2].Shape) != 1 || x[1].Shape[0] != x[0].Shape[0] || x[2].Shape[0] != x[0].Shape[0] {
		return nil, operandError("a ridge regression has operands [N,U], [N] and [N]")
	}
	n, u := x[0].Shape[0], x[0].Shape[1]
	if u > maxColumns {
		return nil, sdk.NewError(sdk.ERange, "the regression has "+strconv.Itoa(u)+" columns, and "+strconv.Itoa(maxColumns)+" is the most")
	}
	if err := c.within(max(n, u), u, u); err != nil {
		return nil, err
	}
	r, err := num.NewRegression(x[0].Data.([]float64), n, u, x[1].Data.([]float64), x[2].Data.([]float64))
	if err != nil {
		return nil, operandError(err.Error())
	}
	fit, err := r.Ridge(s[0], nil)
	if err != nil {
		return nil, operandError(err.Error())
	}
	return sdk.NewTensor(append(slices.Clone(fit.Coef), fit.Intercept), u+1), nil
}

func (c *Call) matmul(x []*sdk.Tensor, _ []float64) (*sdk.Tensor, error) {
	if len(x[0].Shape) != 2 || len(x[1].Shape) != 2 || x[0].Shape[1] != x[1].Shape[0] {
		return nil, operandError("a product of matrices has operands [N,K] and [K,M]")
	}
	n, k, m := x[0].Shape[0], x[0].Shape[1], x[1].Shape[1]
	if err := c.within(n, k, m); err != nil {
		return nil, err
	}
	if m > 0 && n > math.MaxInt32/m {
		return nil, c.exceed(handlesError(c.Limits))
	}
	if err := c.room(n * m); err != nil {
		return nil, err
	}
	a, b, out := x[0].Data.([]float64), x[1].Data.([]float64), make([]float64, n*m)
	if len(a) == 0 || len(b) == 0 { // of which there may be any number of rows
		return sdk.NewTensor(out, n, m), nil
	}
	for i := range n {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
		row := out[i*m : (i+1)*m]
		for j, v := range a[i*k : (i+1)*k] {
			for l, w := range b[j*m : (j+1)*m] {
				row[l] += float64(v * w) // not fused
			}
		}
	}
	return sdk.NewTensor(out, n, m), nil
}

// lines returns the length of the last dimension and the number of lines along
// it.
func lines(t *sdk.Tensor) (length, count int, err error) {
	if len(t.Shape) == 0 || t.Shape[len(t.Shape)-1] == 0 {
		return 0, 0, operandError("the operand has no last dimension to run along")
	}
	length = t.Shape[len(t.Shape)-1]
	return length, t.Len() / length, nil
}

func (c *Call) softmax(x []*sdk.Tensor, _ []float64) (*sdk.Tensor, error) {
	k, n, err := lines(x[0])
	if err != nil {
		return nil, err
	}
	if err := c.within(n, k, 16); err != nil {
		return nil, err
	}
	if err := c.room(n * k); err != nil {
		return nil, err
	}
	in, out := x[0].Data.([]float64), make([]float64, n*k)
	for i := range n {
		num.Softmax(out[i*k:(i+1)*k], in[i*k:(i+1)*k])
	}
	return sdk.NewTensor(out, slices.Clone(x[0].Shape)...), nil
}

func (c *Call) topK(x []*sdk.Tensor, s []float64) (*sdk.Tensor, error) {
	if len(x[0].Shape) != 1 {
		return nil, operandError("the largest are taken of an operand [N]")
	}
	v := x[0].Data.([]float64)
	if !(s[0] >= 0) || s[0] > float64(len(v)) || s[0] != math.Trunc(s[0]) {
		return nil, sdk.NewError(sdk.ERange, "the number of the largest is "+strconv.FormatFloat(s[0], 'g', -1, 64)+", and the operand has "+strconv.Itoa(len(v)))
	}
	if err := c.within(len(v), 32); err != nil {
		return nil, err
	}
	k := int(s[0])
	if err := c.room(k); err != nil {
		return nil, err
	}
	// A heap of the k that come first, with the last of them at its root.
	heap := make([]int64, 0, k)
	after := func(a, b int64) bool { // NaN is below everything
		if c := cmp.Compare(v[a], v[b]); c != 0 {
			return c < 0
		}
		return a > b
	}
	sink := func(i, n int) {
		for child := 2*i + 1; child < n; child = 2*i + 1 {
			if child+1 < n && after(heap[child+1], heap[child]) {
				child++
			}
			if !after(heap[child], heap[i]) {
				return
			}
			heap[i], heap[child] = heap[child], heap[i]
			i = child
		}
	}
	for i := range int64(len(v)) {
		if i%checkEvery == 0 && c.ctx.Err() != nil {
			return nil, c.ctx.Err()
		}
		switch {
		case len(heap) < k:
			heap = append(heap, i)
			if len(heap) == k {
				for j := k/2 - 1; j >= 0; j-- {
					sink(j, k)
				}
			}
		case k > 0 && after(heap[0], i):
			heap[0] = i
			sink(0, k)
		}
	}
	for n := k - 1; n > 0; n-- {
		if n%checkEvery == 0 && c.ctx.Err() != nil {
			return nil, c.ctx.Err()
		}
		heap[0], heap[n] = heap[n], heap[0]
		sink(0, n)
	}
	return sdk.NewTensor(heap, k), nil
}

func (c *Call) sum(x []*sdk.Tensor, _ []float64) (*sdk.Tensor, error) {
	k, n, err := lines(x[0])
	if err != nil {
		return nil, err
	}
	if err := c.within(n, k); err != nil {
		return nil, err
	}
	if err := c.room(n); err != nil {
		return nil, err
	}
	in, out := x[0].Data.([]float64), make([]float64, n)
	for i := range out {
		for _, v := range in[i*k : (i+1)*k] {
			out[i] += v
		}
	}
	return sdk.NewTensor(out, slices.Clone(x[0].Shape[:len(x[0].Shape)-1])...), nil
}
