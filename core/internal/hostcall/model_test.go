package hostcall

import (
	"bytes"
	order "cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/num"
	"pgregory.net/rapid"
)

// model has every power and remembers what it was asked.
type model struct {
	forward    *sdk.Forward
	wrt        []string
	generation *sdk.Generation
	text       string
	kept       int64 // bytes that its replies say they keep
	room       int64 // what the last reply could keep
}

func (*model) Info() sdk.ModelInfo { return sdk.ModelInfo{Labels: []string{"a", "b"}} }

func (m *model) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	m.forward = f
	m.room, _ = contract.ReplyBytes(ctx)
	return answer{m.kept}, nil
}

func (m *model) Gradient(_ context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	m.forward, m.wrt = f, wrt
	return answer{m.kept}, nil
}

func (m *model) Generate(_ context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	m.generation = g
	return &sdk.Continuation{IDs: []int32{4, 5}, LogProbs: []float64{-1, -2}, Text: "né"}, nil
}

func (m *model) Tokenize(_ context.Context, text string) ([]sdk.Token, error) {
	m.text = text
	return []sdk.Token{{ID: 2, Special: true}, {ID: 7, Text: "né", End: 3, RuneEnd: 2}}, nil
}

// answer is a reply of tensors that hold their index.
type answer struct{ kept int64 }

func (a answer) Tensor(name string, index int) (*sdk.Tensor, error) {
	return sdk.NewTensor([]float32{float32(len(name)), float32(index)}, 1, 2), nil
}

func (a answer) Bytes() int64 { return a.kept }

// powers are the needs of the tests' method.
var powers = sdk.Info{Name: "powers", Needs: sdk.Needs()}

func newCall(t *testing.T, m sdk.Model, limits Limits) *Call {
	t.Helper()
	request := &sdk.Request{Text: "a b", Tokens: []sdk.Token{{ID: 1, Text: "a", End: 1}, {ID: 2, Text: "b", Start: 2, End: 3}}}
	return New(t.Context(), m, request, powers, limits)
}

// put makes a tensor in the host and returns its handle.
func put[T sdk.Element](t *testing.T, c *Call, data []T, shape ...int) int64 {
	t.Helper()
	var w abi.Writer
	for _, d := range shape {
		w.I64(int64(d))
	}
	h, err := c.TensorNew((&sdk.Tensor{Data: data}).DType(), w.B)
	if err != nil {
		t.Fatal(err)
	}
	b, err := binary.Append(nil, binary.LittleEndian, data)
	if err != nil {
		t.Fatal(err)
	}
	to, err := c.TensorWrite(h, 0, uint64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	copy(to, b)
	return h
}

// get returns the elements of a tensor.
func get[T sdk.Element](t *testing.T, c *Call, h int64) []T {
	t.Helper()
	x, err := c.tensor(h)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sdk.Values[T](x.Tensor)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantCode(t *testing.T, what string, err error, want sdk.Errno) {
	t.Helper()
	if !errors.Is(err, &sdk.Error{Code: want}) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestGradient(t *testing.T) {
	m := &model{}
	c := newCall(t, m, Limits{})
	embeds := put(t, c, make([]float32, 3*2*4), 3, 2, 4)
	value := put(t, c, []float64{2})
	spec := abi.AppendForward(nil, &abi.Forward{
		Rows: abi.FieldEmbeds, Handle: embeds, Points: []string{"attentions", "hidden_states[1]"},
		Edits: []abi.Edit{{Point: "z0", Op: sdk.EditScale, Value: value}, {Point: "z1", Op: sdk.EditZero}}, Wrt: []string{"embeddings"},
		Rule: sdk.RuleLRPAlpha1,
	})
	h, err := c.Grad(spec)
	if err != nil {
		t.Fatal(err)
	}
	want := &sdk.Forward{
		Embeds: sdk.NewTensor(make([]float32, 3*2*4), 3, 2, 4), Points: []string{"attentions", "hidden_states[1]"},
		Edits: []sdk.Edit{{Point: "z0", Op: sdk.EditScale, Value: &sdk.Tensor{Shape: []int{}, Data: []float64{2}}}, {Point: "z1", Op: sdk.EditZero}},
		Rule:  sdk.RuleLRPAlpha1,
	}
	if diff := cmp.Diff(want, m.forward); diff != "" || !cmp.Equal(m.wrt, []string{"embeddings"}) {
		t.Errorf("the model was asked for something else at %v:\n%s", m.wrt, diff)
	}
	if c.Stats.Rows != 3 || c.Stats.Forwards != 1 {
		t.Errorf("stats %+v", c.Stats)
	}
	for name, want := range map[string]float32{"attentions": 10, "hidden_states[1]": 16, "grad(embeddings)": 16} {
		x, err := c.ReplyGet(h, []byte(name), 1)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := get[float32](t, c, x); got[0] != want || got[1] != 1 {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range []string{"embeddings", "grad(attentions)", "hidden_states[2]", ""} {
		_, err := c.ReplyGet(h, []byte(name), 0)
		wantCode(t, name, err, sdk.EName)
	}
	_, err = c.Forward(spec)
	wantCode(t, "wrt of a forward", err, sdk.EUnsupported)
	_, err = c.Grad(abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldEmbeds, Handle: embeds, Edits: []abi.Edit{{Point: "z", Value: 99}}, Wrt: []string{"z"}}))
	wantCode(t, "an edit's handle", err, sdk.EHandle)
	_, err = c.Grad(make([]byte, abi.MaxFrame+1))
	wantCode(t, "a long frame", err, sdk.ERange)
}

// What a reply keeps counts from the start, and is free with it.
func TestRepliesCountWhatTheyKeep(t *testing.T) {
	m := &model{kept: 600}
	c := newCall(t, m, Limits{HandleBytes: 1024})
	embeds := put(t, c, make([]float32, 8), 1, 2, 4)
	spec := abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldEmbeds, Handle: embeds, Points: []string{"z"}})
	h, err := c.Forward(spec)
	if err != nil || c.HandleBytes() != 32+8+600 {
		t.Fatalf("%d bytes are held: %v", c.HandleBytes(), err)
	}
	if m.room != 1024-32-8 {
		t.Errorf("the model knows of room for %d bytes", m.room)
	}
	_, err = c.Forward(spec)
	wantCode(t, "a second reply", err, sdk.EQuota)
	if err := c.Free(h); err != nil || c.HandleBytes() != 32 {
		t.Errorf("%d bytes are held: %v", c.HandleBytes(), err)
	}
	if _, err := c.Forward(spec); err != nil {
		t.Error(err)
	}
}

func TestGenerateAndTokenize(t *testing.T) {
	m := &model{}
	c := newCall(t, m, Limits{Forwards: 20})
	h, err := c.Generate(abi.AppendGeneration(nil, &abi.Generation{Prompt: put(t, c, []int32{1, 2, 3}, 3), MaxTokens: 12, Temperature: 0.5, TopK: 3, TopP: 0.9, Seed: 4}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&sdk.Generation{Prompt: []int32{1, 2, 3}, MaxTokens: 12, Temperature: 0.5, TopK: 3, TopP: 0.9, Seed: 4}, m.generation); diff != "" {
		t.Error(diff)
	}
	output := func(h int64, name string) int64 {
		x, err := c.ReplyGet(h, []byte(name), 0)
		if err != nil {
			t.Fatal(name, err)
		}
		return x
	}
	if ids, text := get[int32](t, c, output(h, "ids")), get[byte](t, c, output(h, "text")); !cmp.Equal(ids, []int32{4, 5}) || string(text) != "né" {
		t.Errorf("%v %s", ids, text)
	}
	_, err = c.ReplyGet(h, []byte("ids"), 1)
	wantCode(t, "a second row of ids", err, sdk.ERange)
	_, err = c.ReplyGet(h, []byte("target"), 0)
	wantCode(t, "a target", err, sdk.EName)
	_, err = c.Generate(abi.AppendGeneration(nil, &abi.Generation{MaxTokens: 12}))
	wantCode(t, "more tokens than rows are left", err, sdk.EQuota)

	h, err = c.Tokenize([]byte("né"))
	if err != nil || m.text != "né" {
		t.Fatal(m.text, err)
	}
	tokens := abi.NewReader(get[byte](t, c, output(h, "tokens"))).Tokens()
	want, _ := m.Tokenize(t.Context(), "né")
	if diff := cmp.Diff(want, tokens); diff != "" {
		t.Error(diff)
	}
	if offsets, special := get[int64](t, c, output(h, "offsets")), get[byte](t, c, output(h, "special")); !cmp.Equal(offsets, []int64{0, 0, 0, 3}) || !cmp.Equal(special, []byte{1, 0}) {
		t.Errorf("%v %v", offsets, special)
	}
	_, err = c.Tokenize(make([]byte, abi.MaxText+1))
	wantCode(t, "a long text", err, sdk.ERange)
}

// Random bytes take fuel, and look at the deadline.
func TestRandomTakesFuel(t *testing.T) {
	c := newCall(t, &model{}, Limits{Fuel: 1000})
	tank := int64(1000)
	c.Spend = func(fuel int64) bool {
		if fuel > tank {
			return false
		}
		tank -= fuel
		return true
	}
	source, most := rand.NewChaCha8([32]byte{}), 0
	c.request.Rand = readerFunc(func(b []byte) (int, error) {
		most = max(most, len(b))
		return source.Read(b)
	})
	if err := c.Random(make([]byte, 999)); err != nil || tank != 1 {
		t.Errorf("999 bytes leave %d: %v", tank, err)
	}
	err := c.Random(make([]byte, 2))
	wantCode(t, "beyond the fuel", err, sdk.EQuota)
	if _, err := c.End(c.Fail(err)); err == nil || err.Error() != "used more than its 1k of fuel" {
		t.Errorf("the method fails with %v", err)
	}

	c.Spend = nil
	long := make([]byte, 3*drawn+1)
	if err := c.Random(long); err != nil || most != drawn || bytes.Equal(long[2*drawn:], make([]byte, drawn+1)) {
		t.Errorf("at most %d at once: %v", most, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.ctx = ctx
	if err := c.Random(long); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
}

// readerFunc is a reader that is one function.
type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Operations take fuel where it is counted: as much as they multiply or so.
func TestOperationsTakeFuel(t *testing.T) {
	c := newCall(t, &model{}, Limits{Fuel: 1000})
	tank := int64(1000)
	c.Spend = func(fuel int64) bool {
		if fuel > tank {
			return false
		}
		tank -= fuel
		return true
	}
	a, b, v := put(t, c, make([]float64, 20), 4, 5), put(t, c, make([]float64, 30), 5, 6), put(t, c, make([]float64, 7), 7)
	for _, o := range []struct {
		code     abi.Op
		scalars  []float64
		operands []int64
		cost     int64
	}{
		{abi.OpMatmul, nil, []int64{a, b}, 4 * 5 * 6},
		{abi.OpSum, nil, []int64{a}, 4 * 5},
		{abi.OpMean, nil, []int64{a}, 4 * 5},
		{abi.OpSoftmax, nil, []int64{a}, 4 * 5 * 16},
		{abi.OpTopK, []float64{2}, []int64{v}, 7 * 32},
	} {
		before := tank
		if _, err := c.Op(o.code, abi.AppendOperation(nil, &abi.Operation{Operands: o.operands, Scalars: o.scalars})); err != nil {
			t.Fatal(err)
		}
		if before-tank != o.cost {
			t.Errorf("operation %d took %d, want %d", o.code, before-tank, o.cost)
		}
	}
	tank = 119
	_, err := c.Op(abi.OpMatmul, abi.AppendOperation(nil, &abi.Operation{Operands: []int64{a, b}}))
	wantCode(t, "beyond the fuel", err, sdk.EQuota)
	if _, err := c.End(c.Fail(err)); err == nil || err.Error() != "used more than its 1k of fuel" {
		t.Errorf("the method fails with %v", err)
	}
}

// The largest come in their order, equal ones by their places, whatever there is.
func TestTopK(t *testing.T) {
	values := []float64{math.NaN(), math.Inf(-1), -1, math.Copysign(0, -1), 0, 1, 2, math.Inf(1)}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.SampledFrom(values), 1, 40).Draw(t, "values")
		k := rapid.IntRange(0, len(v)).Draw(t, "k")
		want := make([]int64, len(v))
		for i := range want {
			want[i] = int64(i)
		}
		slices.SortStableFunc(want, func(a, b int64) int { return order.Compare(v[b], v[a]) })
		c := New(context.Background(), &model{}, &sdk.Request{}, sdk.Info{}, Limits{})
		got, err := c.topK([]*sdk.Tensor{sdk.NewTensor(v, len(v))}, []float64{float64(k)})
		if err != nil || !slices.Equal(got.Data.([]int64), want[:k]) {
			t.Errorf("the %d largest of %v are %v, %v, want %v", k, v, got, err, want[:k])
		}
	})
}

func TestOperations(t *testing.T) {
	nan := math.NaN()
	c := newCall(t, &model{}, Limits{})
	op := func(code abi.Op, scalars []float64, operands ...int64) (int64, error) {
		return c.Op(code, abi.AppendOperation(nil, &abi.Operation{Operands: operands, Scalars: scalars}))
	}
	floats := func(h int64, err error) []float64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return get[float64](t, c, h)
	}
	x := []float64{1, 0, 0, 1, 1, 1, 0, 0}
	y, w := []float64{1, 2, 3, 0.5}, []float64{1, 2, 1, 1}
	r, err := num.NewRegression(x, 4, 2, y, w)
	if err != nil {
		t.Fatal(err)
	}
	fit, err := r.Ridge(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	hx, hy, hw := put(t, c, x, 4, 2), put(t, c, y, 4), put(t, c, w, 4)
	if got := floats(op(abi.OpRidge, []float64{1}, hx, hy, hw)); !cmp.Equal(got, append(fit.Coef, fit.Intercept)) {
		t.Errorf("ridge %v, want %v and %v", got, fit.Coef, fit.Intercept)
	}
	if got := floats(op(abi.OpMatmul, nil, hx, put(t, c, []float64{1, 2, 3, 4, 5, 6}, 2, 3))); !cmp.Equal(got, []float64{1, 2, 3, 4, 5, 6, 5, 7, 9, 0, 0, 0}) {
		t.Errorf("matmul %v", got)
	}
	if got := floats(op(abi.OpMatmul, nil, put(t, c, []float64{}, 1<<50, 0), put(t, c, []float64{}, 0, 0))); len(got) != 0 { // and at once
		t.Errorf("matmul of nothing %v", got)
	}
	if got := floats(op(abi.OpSoftmax, nil, put(t, c, []float64{0, 0, 5, 5}, 2, 2))); !cmp.Equal(got, []float64{0.5, 0.5, 0.5, 0.5}) {
		t.Errorf("softmax %v", got)
	}
	h, err := op(abi.OpTopK, []float64{4}, put(t, c, []float64{1, nan, 3, 3, math.Inf(-1)}, 5))
	if err != nil {
		t.Fatal(err)
	}
	if got := get[int64](t, c, h); !cmp.Equal(got, []int64{2, 3, 0, 4}) {
		t.Errorf("topk %v", got)
	}
	if got := floats(op(abi.OpSum, nil, hx)); !cmp.Equal(got, []float64{1, 1, 2, 0}) {
		t.Errorf("sum %v", got)
	}
	if got := floats(op(abi.OpMean, nil, hx)); !cmp.Equal(got, []float64{0.5, 0.5, 1, 0}) {
		t.Errorf("mean %v", got)
	}

	bytes, scalar, empty := put(t, c, []byte{1}, 1), put(t, c, []float64{1}), put(t, c, []float64{}, 0, 5)
	wide := put(t, c, make([]float64, 5000), 1, 5000)
	for name, f := range map[string]struct {
		code     abi.Op
		scalars  []float64
		operands []int64
		want     sdk.Errno
	}{
		"unknown":          {9, nil, nil, sdk.EUnsupported},
		"zero":             {0, nil, nil, sdk.EUnsupported},
		"few operands":     {abi.OpMatmul, nil, []int64{hx}, sdk.EInvalid},
		"scalars":          {abi.OpSum, []float64{1}, []int64{hx}, sdk.EInvalid},
		"no tensor":        {abi.OpSum, nil, []int64{99}, sdk.EHandle},
		"bytes":            {abi.OpSum, nil, []int64{bytes}, sdk.EInvalid},
		"scalar":           {abi.OpSoftmax, nil, []int64{scalar}, sdk.EInvalid},
		"inner dimensions": {abi.OpMatmul, nil, []int64{hx, hx}, sdk.EInvalid},
		"nothing by much":  {abi.OpMatmul, nil, []int64{wide, put(t, c, []float64{}, 5000, 0)}, 0},
		"rows of weights":  {abi.OpRidge, []float64{1}, []int64{hx, hy, scalar}, sdk.EInvalid},
		"penalty":          {abi.OpRidge, []float64{nan}, []int64{hx, hy, hw}, sdk.EInvalid},
		"columns":          {abi.OpRidge, []float64{1}, []int64{wide, put(t, c, []float64{1}, 1), put(t, c, []float64{1}, 1)}, sdk.ERange},
		"half of one":      {abi.OpTopK, []float64{0.5}, []int64{hy}, sdk.ERange},
		"more than all":    {abi.OpTopK, []float64{5}, []int64{hy}, sdk.ERange},
		"not a number":     {abi.OpTopK, []float64{nan}, []int64{hy}, sdk.ERange},
		"sum of none":      {abi.OpSum, nil, []int64{empty}, 0},
		"no rows":          {abi.OpRidge, []float64{1}, []int64{put(t, c, []float64{}, 0, 2), put(t, c, []float64{}, 0), put(t, c, []float64{}, 0)}, sdk.EInvalid},
	} {
		_, err := op(f.code, f.scalars, f.operands...)
		if f.want == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wantCode(t, name, err, f.want)
	}
	long := put(t, c, make([]float64, 1<<20), 1<<20, 1)
	_, err = op(abi.OpMatmul, nil, long, put(t, c, make([]float64, 1<<14), 1, 1<<14))
	wantCode(t, "much work", err, sdk.ERange)
	_, err = op(abi.OpMatmul, nil, long, put(t, c, make([]float64, 1<<12), 1, 1<<12))
	wantCode(t, "a large result", err, sdk.EQuota)
}

// TestCounted: what the method was given, and what of it it holds; a result is the
// host's.
func TestCounted(t *testing.T) {
	c := newCall(t, &model{}, Limits{})
	kept, freed := put(t, c, []float64{1}, 1), put(t, c, []float64{2}, 1)
	if err := c.Free(freed); err != nil {
		t.Fatal(err)
	}
	if s := c.Counted(); s.Handles != 2 || s.OpenHandles != 1 {
		t.Errorf("of %d handles %d are open, want 2 and 1", s.Handles, s.OpenHandles)
	}
	if err := c.Result([]byte("attributions"), kept, abi.AppendMeta(nil, &abi.Meta{Axes: []string{"units"}})); err != nil {
		t.Fatal(err)
	}
	if s := c.Counted(); s.Handles != 2 || s.OpenHandles != 0 {
		t.Errorf("of %d handles %d are open, want 2 and 0", s.Handles, s.OpenHandles)
	}
}
