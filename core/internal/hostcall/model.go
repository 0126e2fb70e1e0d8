package hostcall

import (
	"context"
	"strconv"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// Sized is a reply that says how many bytes it keeps of points and gradients,
// which count against the limit for handles.
type Sized interface{ Bytes() int64 }

// Forward is forward: the handle of a reply.
func (c *Call) Forward(spec []byte) (int64, error) {
	return c.evaluate(spec, abi.ParseForward, func(ctx context.Context, f *sdk.Forward, _ []string) (sdk.Reply, error) {
		return c.model.Forward(ctx, f)
	})
}

// Grad is grad: the handle of a reply.
func (c *Call) Grad(spec []byte) (int64, error) {
	return c.evaluate(spec, abi.ParseGradient, func(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
		return sdk.Gradient(ctx, c.model, f, wrt...)
	})
}

func (c *Call) evaluate(b []byte, parse func([]byte) (*abi.Forward, error), run func(context.Context, *sdk.Forward, []string) (sdk.Reply, error)) (int64, error) {
	if err := CheckFrame(uint64(len(b))); err != nil {
		return 0, err
	}
	spec, err := parse(b)
	if err != nil {
		return 0, err
	}
	f := &sdk.Forward{Over: spec.Over, Fill: spec.Fill, Target: spec.Target, KeepDuplicates: spec.KeepDuplicates, Points: spec.Points, Rule: spec.Rule}
	for _, e := range spec.Edits {
		edit := sdk.Edit{Point: e.Point, Op: e.Op}
		if e.Value != 0 {
			t, err := c.tensor(e.Value)
			if err != nil {
				return 0, err
			}
			edit.Value = t.Tensor
		}
		f.Edits = append(f.Edits, edit)
	}
	n, err := c.rows(f, spec)
	if err != nil {
		return 0, err
	}
	c.Stats.Forwards++
	c.Stats.Rows += n
	// What the reply would keep is refused before it is computed.
	ctx := contract.WithReply(c.ctx, c.Limits.HandleBytes-c.handles.bytes-n*rowBytes)
	r, err := timed(&c.Stats.Forward, func() (sdk.Reply, error) { return run(ctx, f, spec.Wrt) })
	if err != nil {
		return 0, err
	}
	return c.keep(reply{Reply: r, spec: spec, rows: n}, n*rowBytes)
}

// keep gives a reply a handle, which counts for some bytes beside what the reply
// says itself.
func (c *Call) keep(r reply, bytes int64) (int64, error) {
	h := &c.handles
	if s, ok := r.Reply.(Sized); ok {
		bytes += s.Bytes()
	}
	if len(h.tensors)+len(h.replies) >= abi.MaxHandles || bytes > c.Limits.HandleBytes-h.bytes {
		return 0, c.exceed(handlesError(c.Limits))
	}
	r.bytes = bytes
	h.last++
	h.replies[h.last] = r
	h.bytes += bytes
	return h.last, nil
}

// admit checks n rows against the limits, before anything is allocated for them.
func (c *Call) admit(n int64) error {
	h := &c.handles
	if n > c.Limits.Forwards-c.Stats.Rows {
		return c.exceed(forwardsError(c.Limits))
	}
	if len(h.tensors)+len(h.replies) >= abi.MaxHandles || n > (c.Limits.HandleBytes-h.bytes)/rowBytes {
		return c.exceed(handlesError(c.Limits))
	}
	return nil
}

// rows fills in the rows of f from the tensors that spec names, and returns
// their number, which the limits admit.
func (c *Call) rows(f *sdk.Forward, spec *abi.Forward) (int64, error) {
	t, err := c.tensor(spec.Handle)
	if err != nil {
		return 0, err
	}
	switch spec.Rows {
	case abi.FieldUnits, abi.FieldMasks, abi.FieldEmbeds:
		switch spec.Rows {
		case abi.FieldUnits:
			f.Units = t.Tensor
		case abi.FieldMasks:
			f.Masks = t.Tensor
		default:
			f.Embeds = t.Tensor
		}
		n := int64(1) // of a scalar, which the contract refuses
		if len(t.Shape) > 0 {
			n = int64(t.Shape[0])
		}
		return n, c.admit(n)
	}
	extra, err := c.tensor(spec.Extra)
	if err != nil {
		return 0, err
	}
	if spec.Rows == abi.FieldTexts {
		joined, ok := t.Data.([]uint8)
		offsets, ok2 := extra.Data.([]int64)
		if !ok || !ok2 || len(t.Shape) != 1 || len(extra.Shape) != 1 || len(offsets) == 0 {
			return 0, sdk.NewError(sdk.EInvalid, "texts are a u8 tensor [B] with offsets, an i64 tensor [N+1]")
		}
		n := int64(len(offsets) - 1)
		if err := c.admit(n); err != nil {
			return 0, err
		}
		f.Texts = make([]string, n)
		for i := range f.Texts {
			from, to := offsets[i], offsets[i+1]
			if from < 0 || from > to || to > int64(len(joined)) {
				return 0, sdk.NewError(sdk.ERange, "the offsets of texts do not ascend within them")
			}
			f.Texts[i] = string(joined[from:to])
		}
		return n, nil
	}
	ids, ok := t.Data.([]int32)
	lengths, ok2 := extra.Data.([]int32)
	if !ok || !ok2 || len(t.Shape) != 2 || len(extra.Shape) != 1 || len(lengths) != t.Shape[0] {
		return 0, sdk.NewError(sdk.EInvalid, "ids are an i32 tensor [N,T] with lengths, an i32 tensor [N]")
	}
	if err := c.admit(int64(len(lengths))); err != nil {
		return 0, err
	}
	f.IDs = make([][]int32, len(lengths))
	for i, n := range lengths {
		if n < 0 || int(n) > t.Shape[1] {
			return 0, sdk.NewError(sdk.ERange, "a length of ids is outside their row")
		}
		f.IDs[i] = ids[i*t.Shape[1]:][:n:n]
	}
	return int64(len(lengths)), nil
}

// Generate is generate: the handle of a reply.
func (c *Call) Generate(b []byte) (int64, error) {
	if err := CheckFrame(uint64(len(b))); err != nil {
		return 0, err
	}
	spec, err := abi.ParseGeneration(b)
	if err != nil {
		return 0, err
	}
	g := &sdk.Generation{MaxTokens: spec.MaxTokens, Temperature: spec.Temperature, TopK: spec.TopK, TopP: spec.TopP, Seed: spec.Seed}
	if spec.Prompt != 0 {
		t, err := c.tensor(spec.Prompt)
		if err != nil {
			return 0, err
		}
		ids, ok := t.Data.([]int32)
		if !ok || len(t.Shape) != 1 {
			return 0, sdk.NewError(sdk.EInvalid, "a prompt is an i32 tensor [T]")
		}
		g.Prompt = ids
	}
	if err := c.admit(int64(g.MaxTokens)); err != nil {
		return 0, err
	}
	c.Stats.Forwards++
	c.Stats.Rows += int64(g.MaxTokens)
	out, err := timed(&c.Stats.Forward, func() (*sdk.Continuation, error) { return sdk.Generate(c.ctx, c.model, g) })
	if err != nil {
		return 0, err
	}
	return c.keepTensors(map[string]*sdk.Tensor{
		abi.ReplyIDs:      sdk.NewTensor(out.IDs, len(out.IDs)),
		abi.ReplyLogProbs: sdk.NewTensor(out.LogProbs, len(out.LogProbs)),
		abi.ReplyText:     sdk.NewTensor([]byte(out.Text), len(out.Text)),
	})
}

// Tokenize is tokenize: the handle of a reply.
func (c *Call) Tokenize(text []byte) (int64, error) {
	if len(text) > abi.MaxText {
		return 0, sdk.NewError(sdk.ERange, "the text has "+strconv.Itoa(len(text))+" bytes, and "+strconv.Itoa(abi.MaxText)+" is the most")
	}
	tokens, err := timed(&c.Stats.Forward, func() ([]sdk.Token, error) { return sdk.Tokenize(c.ctx, c.model, string(text)) })
	if err != nil {
		return 0, err
	}
	n := len(tokens)
	ids, offsets, special := make([]int32, n), make([]int64, 0, 2*n), make([]uint8, n)
	for i, t := range tokens {
		ids[i] = t.ID
		offsets = append(offsets, int64(t.Start), int64(t.End))
		if t.Special {
			special[i] = 1
		}
	}
	var w abi.Writer
	w.Tokens(tokens)
	return c.keepTensors(map[string]*sdk.Tensor{
		abi.ReplyIDs:     sdk.NewTensor(ids, n),
		abi.ReplyOffsets: sdk.NewTensor(offsets, n, 2),
		abi.ReplySpecial: sdk.NewTensor(special, n),
		abi.ReplyTokens:  sdk.NewTensor(w.B, len(w.B)),
	})
}

// tensors is a reply that is made of them.
type tensors map[string]*sdk.Tensor

// Tensor implements sdk.Reply.
func (t tensors) Tensor(name string, index int) (*sdk.Tensor, error) {
	switch out, ok := t[name]; {
	case !ok:
		return nil, sdk.NewError(sdk.EName, "the reply has no output "+Clean(name, 100))
	case index != 0:
		return nil, sdk.NewError(sdk.ERange, "the output "+name+" has one tensor alone")
	default:
		return out, nil
	}
}

// Bytes implements Sized.
func (t tensors) Bytes() int64 {
	n := int64(0)
	for _, t := range t {
		n += int64(t.Len() * t.DType().Size())
	}
	return n
}

func (c *Call) keepTensors(t tensors) (int64, error) { return c.keep(reply{Reply: t}, 0) }

// ReplyGet is reply_get: the handle of a tensor.
func (c *Call) ReplyGet(h int64, name []byte, index int32) (int64, error) {
	r, ok := c.handles.replies[h]
	if !ok {
		return 0, sdk.NewError(sdk.EHandle, "a handle is no reply's")
	}
	text, err := checkName(name)
	if err != nil {
		return 0, err
	}
	if r.spec != nil {
		if !wanted(r.spec, text) {
			return 0, sdk.NewError(sdk.EName, "the forward did not ask for the output "+Clean(text, 100))
		}
		// Before the model builds it.
		columns := int64(1)
		switch text {
		case sdk.ReplyLogits, sdk.ReplyProbs, sdk.ReplyLogProbs:
			columns = int64(len(c.model.Info().Labels))
		}
		if free := (c.Limits.HandleBytes - c.handles.bytes) / int64(sdk.F64.Size()); columns > 0 && r.rows > free/columns {
			return 0, c.exceed(handlesError(c.Limits))
		}
	}
	t, err := r.Tensor(text, int(index))
	if err != nil {
		return 0, err
	}
	b, ok := dataBytes(t.Data)
	if n, ok2 := abi.Elements(t.Shape); !ok || !ok2 || n*t.DType().Size() != len(b) || len(t.Shape) > abi.MaxRank {
		return 0, sdk.NewError(sdk.EInternal, "the model's output "+Clean(text, 100)+" has a wrong shape")
	}
	return c.store(&tensor{Tensor: t, bytes: b})
}
