package process

import (
	"testing"

	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
	"github.com/xai-go/xai/sdk/process/wire"
	"github.com/xai-go/xai/sdk/sdktest/toy"
	"google.golang.org/protobuf/proto"
)

// FuzzEvents holds that events that anybody may have written are answered: one
// answer each, or several that say so, none of them longer than it may be, and no
// error without a sentence.
func FuzzEvents(f *testing.F) {
	add := func(events ...*wire.Event) {
		var frame []byte
		for _, e := range events {
			b, err := proto.Marshal(e)
			if err != nil {
				f.Fatal(err)
			}
			var w abi.Writer
			w.U16(uint16(len(b)))
			frame = append(append(frame, w.B...), b...)
		}
		f.Add(frame)
	}
	dims := func(n ...int64) []byte {
		var w abi.Writer
		for _, d := range n {
			w.I64(d)
		}
		return w.B
	}
	spec := abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldUnits, Handle: 1})
	add(
		&wire.Event{Event: &wire.Event_TensorNew{TensorNew: &wire.TensorNew{Dims: dims(2, 3)}}},
		&wire.Event{Event: &wire.Event_TensorWrite{TensorWrite: &wire.TensorWrite{Handle: 1, Data: []byte{1, 0, 1}, More: true}}},
		&wire.Event{Event: &wire.Event_TensorWrite{TensorWrite: &wire.TensorWrite{Handle: 1, Offset: 3, Data: []byte{1, 1, 1}}}},
		&wire.Event{Event: &wire.Event_Forward{Forward: &wire.Forward{Spec: spec}}},
		&wire.Event{Event: &wire.Event_ReplyGet{ReplyGet: &wire.ReplyGet{Reply: 2, Name: []byte(sdk.ReplyLogits)}}},
		&wire.Event{Event: &wire.Event_TensorRead{TensorRead: &wire.TensorRead{Handle: 3, Size: 8}}},
		&wire.Event{Event: &wire.Event_TensorReadStrided{TensorReadStrided: &wire.TensorReadStrided{Handle: 3, Spec: dims(0, 1, 1, 0, 1, 1), Capacity: 8}}},
		&wire.Event{Event: &wire.Event_Result{Result: &wire.Result{Name: []byte("x"), Handle: 3, Meta: abi.AppendMeta(nil, &abi.Meta{Axes: []string{"a", "b"}})}}},
	)
	add(
		&wire.Event{Event: &wire.Event_InputGet{InputGet: &wire.InputGet{Key: uint32(abi.InputUnits)}}},
		&wire.Event{Event: &wire.Event_ParamGet{ParamGet: &wire.ParamGet{Name: []byte("n")}}},
		&wire.Event{Event: &wire.Event_Tokenize{Tokenize: &wire.Tokenize{Text: []byte("a film")}}},
		&wire.Event{Event: &wire.Event_Generate{Generate: &wire.Generate{Spec: abi.AppendGeneration(nil, &abi.Generation{MaxTokens: 1})}}},
		&wire.Event{Event: &wire.Event_Op{Op: &wire.Op{Code: uint32(abi.OpSum), Spec: abi.AppendOperation(nil, &abi.Operation{Operands: []int64{1}})}}},
		&wire.Event{Event: &wire.Event_RngFill{RngFill: &wire.RngFill{Size: 9}}},
		&wire.Event{Event: &wire.Event_Error{Error: &wire.Error{Code: -1, Text: []byte("no")}}},
		&wire.Event{Event: &wire.Event_Log{Log: &wire.Log{Level: 1, Line: []byte("line")}}},
		&wire.Event{Event: &wire.Event_Progress{Progress: &wire.Progress{Done: 1, Total: 2}}},
		&wire.Event{Event: &wire.Event_TensorFree{TensorFree: &wire.TensorFree{Handle: 1}}},
		&wire.Event{Event: &wire.Event_Started{}}, &wire.Event{},
	)
	model := toy.Transformer(1)
	info := sdk.Info{Name: "fuzz", Needs: sdk.Needs(), Params: []sdk.Param{{Name: "n", Type: sdk.Int}}}
	f.Fuzz(func(t *testing.T, frame []byte) {
		s, err := model.Open(toy.Input{Text: "a gripping film"})
		if err != nil {
			t.Fatal(err)
		}
		r := s.Request()
		r.Params = sdk.Params{"n": int64(3)}
		limits := Limits{HandleBytes: 1 << 20, Forwards: 50, OutputBytes: 1 << 16, LogBytes: 1 << 12}
		h := &host{call: hostcall.New(t.Context(), s, r, info, limits)}
		in := abi.NewReader(frame)
		for in.Len() > 0 && in.Err() == nil {
			e := &wire.Event{}
			if proto.Unmarshal(in.Take(int(in.U16())), e) != nil {
				return
			}
			answers, more := 0, false
			err := h.answer(e, func(a *wire.Answer) error {
				answers++
				more = a.More
				if streams(e) && len(a.Data) > wire.MaxChunk {
					t.Errorf("an answer has %d bytes", len(a.Data))
				}
				if a.Value < 0 && (a.Message == "" || a.Data != nil || a.More) {
					t.Errorf("the error %v has the message %q, %d bytes", sdk.Errno(a.Value), a.Message, len(a.Data))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if part := e.GetTensorWrite().GetMore(); more || part != (answers == 0) {
				t.Errorf("%v has %d answers, and the last says that more follow: %v", e, answers, more)
			}
		}
		if n := h.call.HandleBytes(); n > 1<<20 {
			t.Errorf("the handles count for %d bytes", n)
		}
	})
}
