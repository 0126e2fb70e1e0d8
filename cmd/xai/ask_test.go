package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/xai-go/xai/registry"
)

func TestAnswers(t *testing.T) {
	ask := &registry.Ask{Grant: registry.Grant{Name: "mine\x1b[2J", SHA256: "ab"}, Needs: []string{"forward"}}
	for answer, want := range map[string]bool{"y\n": true, " Yes\n": true, "n\n": false, "\n": false, "": false, "yy\n": false, "y": true} {
		var stderr bytes.Buffer
		a := &app{stderr: &stderr, getenv: func(string) string { return "" }}
		got, err := a.askOn(strings.NewReader(answer))(t.Context(), ask)
		if err != nil || got != want {
			t.Errorf("%q is a %t, %v", answer, got, err)
		}
		if text := stderr.String(); !strings.HasPrefix(text, "method mine") || strings.Contains(text, "\x1b") || !strings.HasSuffix(text, "[y/N] ") {
			t.Errorf("the question is %q", text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	never, end := io.Pipe()
	defer end.Close()
	a := &app{stderr: io.Discard, getenv: func(string) string { return "" }}
	if _, err := a.askOn(never)(ctx, ask); !errors.Is(err, context.Canceled) {
		t.Errorf("after an interrupt: %v", err)
	}
	if a.ask() != nil {
		t.Error("somebody would be asked without a terminal")
	}
}
