package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/sdk"
)

// TestRelevance: by a rule, a method is given the relevance that the engine has
// at a point of each row; where there is none it is told why.
func TestRelevance(t *testing.T) {
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			m := openGolden(t, family, Options{DType: string(engine.F64)})
			s := rawSession(t, m, Request{Target: "1", Output: "logit"})
			rows := sampleIDs(9, 4)
			f := &sdk.Forward{IDs: rows, Rule: sdk.RuleLRPAlpha1}
			const pattern = "attentions[1]"
			r, err := s.Gradient(t.Context(), f, []string{pattern, "embeddings"})
			if family == "xlnet-seqcls" {
				if !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) || !strings.Contains(err.Error(), "relative positions") {
					t.Errorf("a model that has no relevance: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			in := engine.Input{IDs: slices.Concat(rows...), Lengths: []int{9, 4}}
			selections, err := point.Resolve(m.engine.Graph(in), m.engine.Info(), pattern)
			if err != nil {
				t.Fatal(err)
			}
			one := func(_ int, x, grad []float64) float64 { grad[1] = 1; return x[1] }
			out, err := m.engine.Forward(t.Context(), in, engine.Gradients(one, selections...), engine.Propagate(engine.LRPAlpha1))
			if err != nil {
				t.Fatal(err)
			}
			got, shape := get(t, r, sdk.Grad(pattern), 0)
			for i, want := range out.Gradients[0].Sequences {
				for j, v := range want.Float64() {
					n := want.Shape[1]
					head, query, key := j/n/n, j/n%n, j%n
					if at := ((i*shape[1]+head)*shape[2]+query)*shape[3] + key; got[at] != v {
						t.Fatalf("row %d, head %d, %d to %d: %v, want %v", i, head, query, key, got[at], v)
					}
				}
			}
			gradient, err := s.Gradient(t.Context(), &sdk.Forward{IDs: rows}, []string{pattern})
			if err != nil {
				t.Fatal(err)
			}
			if other, _ := get(t, gradient, sdk.Grad(pattern), 0); slices.Equal(got, other) {
				t.Error("the relevance is the gradient")
			}
			for name, c := range map[string]struct {
				f    sdk.Forward
				at   string
				says string
			}{
				"edits":               {sdk.Forward{IDs: rows, Edits: []sdk.Edit{{Point: "hidden_states[1]", Op: sdk.EditZero}}}, pattern, "edits"},
				"a part of a value":   {sdk.Forward{IDs: rows}, "blocks.0.ln1.hook_scale", "a part of a value"},
				"what one head reads": {sdk.Forward{IDs: rows}, "blocks.0.hook_q_input", "single heads"},
			} {
				c.f.Rule = sdk.RuleLRPAlpha1
				if _, err := s.Gradient(t.Context(), &c.f, []string{c.at}); !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v", name, err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Gradient(ctx, f, []string{pattern}); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
}
