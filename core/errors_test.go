package core

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// TestHints: errors of the engine, of files and of limits say what to do, and say
// it once.
func TestHints(t *testing.T) {
	limit := func(name string) error { return fmt.Errorf("run: %w", &LimitError{Limit: name, Message: "did"}) }
	for _, c := range []struct {
		err       error
		msg, hint string
	}{
		{engineError("m", &engine.MemoryError{What: "they", Need: 2, Budget: 1}), "m: they need", "--memory"},
		{engineError("m", &engine.MemoryError{What: "they", Need: 3 << 20, Budget: 1}), "m: they need 3.0 MiB of memory, more than the budget of 1 B", "--memory"},
		{engineError("m", &engine.OptionError{Option: "threads", Reason: "5000 is too many"}), "threads: 5000", "0"},
		{methodError("m", limit(LimitTimeout)), "method m: run: did", "a shorter text"},
		{engineError("m", &engine.InputError{Field: "IDs", Sequence: -1, Token: -1, Reason: "are wrong"}), "m: IDs are wrong", "to what the model takes"},
		{engineError("m", &fs.PathError{Op: "open", Path: "f", Err: fs.ErrNotExist}), "m: open f", "check the path"},
		{engineError("m", &checkpoint.MissingError{File: "f", Hint: "write it"}), "m: f is missing", "write it"},
		{engineError("m", fmt.Errorf("x: %w", &checkpoint.UnsupportedError{What: "y", Hint: "use z"})), "m: x: y is not supported", "use z"},
		{engineError("m", &checkpoint.TensorError{File: "f", Name: "w"}), "m: f has no tensor w", "both of the same model"},
		{input("f", &safetensors.FormatError{Offset: 3, Reason: "cut"}, ""), "f: malformed file at byte 3: cut", "get the file again"},
		{input("f", &safetensors.UnsupportedError{Tensor: "x", Feature: "F4", Hint: "save it again as F32"}, ""), `f: tensor "x": F4 is not supported`, "F32"},
		{input("f", errors.New("broken"), "mend it"), "f: broken", "mend it"},
		{methodError("m", limit(LimitTimeout)), "method m: run: did", "--timeout"},
		{methodError("m", limit(LimitFuel)), "method m: run: did", "--fuel"},
		{methodError("m", limit(LimitMemory)), "method m: run: did", "raise memory"},
		{methodError("m", limit(LimitForwards)), "method m: run: did", "raise forwards"},
		{methodError("m", limit(LimitHandles)), "method m: run: did", "fewer samples"},
	} {
		e, ok := errors.AsType[*Error](c.err)
		if !ok || !strings.HasPrefix(e.Msg, c.msg) || !strings.Contains(e.Hint, c.hint) || strings.Contains(e.Msg, e.Hint) {
			t.Errorf("%T: %q, hint %q; want %q, %q", c.err, c.err, e.Hint, c.msg, c.hint)
		}
	}
	if err := engineError("m", context.Canceled); KindOf(err) != KindInterrupted {
		t.Errorf("cancelled: %v", err)
	}
}

// TestLongTexts: a text that the memory does not suffice to tokenise is refused,
// of a pair the sum counts.
func TestLongTexts(t *testing.T) {
	h, err := New(Options{Memory: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := h.OpenTokenizer("builtin:sentiment-en")
	if err != nil {
		t.Fatal(err)
	}
	half := strings.Repeat("a ", 4<<20/textBytes/4)
	if _, err := h.Encode(tok, Input{Text: half, Pair: &half}); err != nil {
		t.Errorf("what fits: %v", err)
	}
	pair := half + "a"
	_, err = h.Encode(tok, Input{Text: half, Pair: &pair})
	if !is[*engine.MemoryError](err) || KindOf(err) != KindInput || !strings.HasPrefix(err.Error(), "the text: its tokens need 4.0 MiB") {
		t.Errorf("a byte more: %v", err)
	}
	m := &Model{tokenizer: tok, memory: 4 << 20}
	if _, err := m.encode(Input{Text: half, Pair: &pair}); !is[*engine.MemoryError](err) {
		t.Errorf("to a model: %v", err)
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Kind
	}{
		{&Error{Kind: KindUsage}, KindUsage},
		{fmt.Errorf("wrapped: %w", &Error{Kind: KindInput}), KindInput},
		{&Error{Msg: "of no kind"}, KindInternal},
		{errors.New("another"), KindInternal},
		{&Error{Kind: KindInput, Err: context.Canceled}, KindInterrupted},
		{context.DeadlineExceeded, KindMethod},
	} {
		if got := KindOf(c.err); got != c.want {
			t.Errorf("%v is of kind %d, want %d", c.err, got, c.want)
		}
	}
}
