package core

import (
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// TestAffords: a method whose gradients or attention cannot fit is refused before
// anything is computed, as one is whose forwards cannot; what fits is not refused.
func TestAffords(t *testing.T) {
	text := Input{Text: strings.Repeat("good film ", 9)}
	for _, c := range []struct {
		name  string
		needs []sdk.Need
		ask   string // what such a method may ask for at the least
	}{
		{"gradients", []sdk.Need{sdk.NeedGradients}, "embeddings"},
		{"gradients of anything", []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedActivations}, "last_hidden_state"},
		{"gradients of hidden states", []sdk.Need{sdk.NeedGradients, sdk.NeedAttentions, sdk.NeedHiddenStates}, "last_hidden_state"},
		{"gradients of attention", []sdk.Need{sdk.NeedGradients, sdk.NeedAttentions}, "attentions[-1]"},
		{"attention", []sdk.Need{sdk.NeedForward, sdk.NeedAttentions}, "attentions[-1]"},
	} {
		for _, name := range []string{"bert-text", "gpt2-text", "distilbert-text"} {
			t.Run(c.name+" of "+name, func(t *testing.T) {
				s := started(t, openGolden(t, name, Options{Threads: 1}), Request{Input: text})
				q, err := s.ask(s.target, s.unchanged())
				if err != nil {
					t.Fatal(err)
				}
				forward, err := s.model.engine.Memory(t.Context(), q.input())
				if err != nil {
					t.Fatal(err)
				}
				refused, fitted := 0, 0
				for more := int64(1 << 6); more <= 1<<22; more *= 2 {
					m := openGolden(t, name, Options{Threads: 1, Memory: forward.Total() + more})
					_, err := m.session(t.Context(), &Request{Input: text}, c.needs...)
					ran := m.Rows()
					s := started(t, m, Request{Input: text}) // of a method without needs
					f := &sdk.Forward{Masks: sdk.NewTensor(everything(len(s.enc.tokens)), 1, len(s.enc.tokens))}
					var asked error
					if c.needs[0] == sdk.NeedGradients || c.needs[1] == sdk.NeedGradients {
						_, asked = s.Gradient(t.Context(), f, []string{c.ask})
					} else {
						f.Points = []string{c.ask}
						_, asked = s.Forward(t.Context(), f)
					}
					switch {
					case err == nil:
						fitted++
					case asked == nil:
						t.Errorf("%d bytes more than the forward are enough, and: %v", more, err)
					case !is[*engine.MemoryError](err) || KindOf(err) != KindInput || ran != 0 || !strings.Contains(err.Error(), name+": the weights and this forward need "):
						t.Errorf("%d bytes more: %v, and %d rows ran", more, err, ran)
					default:
						refused++
					}
				}
				if refused == 0 || fitted == 0 {
					t.Errorf("%d budgets were refused and %d not", refused, fitted)
				}
			})
		}
	}
	xlnet := openGolden(t, "xlnet-lm", Options{})
	if _, err := xlnet.session(t.Context(), &Request{Input: Input{Raw: &Raw{IDs: []int32{5, 6, 7}}}}, sdk.NeedGradients, sdk.NeedActivations); err != nil {
		t.Errorf("xlnet: %v", err)
	}
}

// everything keeps n tokens.
func everything(n int) []uint8 {
	keep := make([]uint8, n)
	for i := range keep {
		keep[i] = 1
	}
	return keep
}
