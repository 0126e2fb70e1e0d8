package attention

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk"
)

// drawn returns a random model with its shape.
func drawn(t *rapid.T) *recorded {
	m := &recorded{layers: rapid.IntRange(1, 4).Draw(t, "layers"), heads: rapid.IntRange(1, 3).Draw(t, "heads"), n: rapid.IntRange(2, 7).Draw(t, "tokens")}
	seed := rapid.Uint64().Draw(t, "seed")
	m.a = randomAttention(seed, m.layers, m.heads, m.n, rapid.Float64Range(0, 5).Draw(t, "scale"), rapid.Bool().Draw(t, "causal"))
	m.gradient = randomAttention(seed+1, m.layers, m.heads, m.n, 1, false)
	for i := range m.gradient {
		m.gradient[i] -= 1 / float64(m.n)
	}
	m.relevance = slices.Clone(m.gradient)
	for i := range m.relevance { // of either sign
		m.relevance[i] *= m.a[i]
	}
	return m
}

func explained(t interface{ Fatal(...any) }, method sdk.Method, m *recorded, changes ...any) *sdk.Explanation {
	e, err := method.Explain(context.Background(), m, request(m.n, method, changes...))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// matrices are the methods with the matrix that each makes.
var matrices = []struct {
	method  sdk.Method
	tensor  string
	changes []any
}{
	{Attention{}, "attention", nil},
	{Attention{}, "attention", []any{paramLayers, layersMean}},
	{Attention{}, "attention", []any{paramFusion, fusionMax}},
	{Rollout{}, "rollout", nil},
	{Rollout{}, "rollout", []any{paramFusion, fusionMin, paramResidual, false}},
	{Flow{}, "flow", []any{paramQueries, queriesAll}},
	{Flow{}, "max_flow", []any{paramQueries, queriesAll}},
	{Chefer{}, "relevance", nil},
	{Chefer{}, "relevance", []any{paramVariant, variantRollout}},
	{Chefer{}, "relevance", []any{paramVariant, variantCAM}},
	{Chefer{}, "relevance", []any{paramVariant, variantProduct}},
	{Chefer{}, "relevance", []any{paramVariant, variantLRP}},
	{Chefer{}, "relevance", []any{paramVariant, variantPartial}},
}

func near(t *rapid.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-9*max(1, math.Abs(want[i])) {
			t.Fatalf("%s: %v at %d, want %v", what, got[i], i, want[i])
		}
	}
}

func TestRowsSumToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		discard := rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, "discard")
		fusion := rapid.SampledFrom([]string{fusionMean, fusionMax, fusionMin}).Draw(t, "fusion")
		for name, matrix := range map[string][]float64{
			"rollout":      result(explained(t, Rollout{}, m, paramDiscard, discard, paramFusion, fusion, paramStart, m.layers-1), "rollout"),
			"no residual":  result(explained(t, Rollout{}, m, paramFusion, fusion, paramResidual, false), "rollout"),
			"flow":         result(explained(t, Flow{}, m, paramFusion, fusion), "flow"),
			"grad-rollout": result(explained(t, Chefer{}, m, paramVariant, variantRollout), "relevance"),
			"lrp":          result(explained(t, Chefer{}, m, paramVariant, variantLRP), "relevance"),
		} {
			for i := range m.n {
				sum := 0.0
				for _, v := range matrix[i*m.n : (i+1)*m.n] {
					if v < 0 {
						t.Fatalf("%s: %v is below 0", name, v)
					}
					sum += v
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Fatalf("%s: row %d sums to %v", name, i, sum)
				}
			}
		}
	})
}

// TestHeadsInAnyOrder: which head is the first does not matter.
func TestHeadsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		order := rapid.Permutation([]int{0, 1, 2}[:m.heads]).Draw(t, "order")
		other := *m
		other.a, other.gradient, other.relevance = nil, nil, nil
		size := m.n * m.n
		for l := range m.layers {
			for _, h := range order {
				at := (l*m.heads + h) * size
				other.a, other.gradient = append(other.a, m.a[at:at+size]...), append(other.gradient, m.gradient[at:at+size]...)
				other.relevance = append(other.relevance, m.relevance[at:at+size]...)
			}
		}
		for _, c := range matrices {
			near(t, c.tensor, result(explained(t, c.method, &other, c.changes...), c.tensor), result(explained(t, c.method, m, c.changes...), c.tensor))
		}
	})
}

// TestTokensInAnyOrder: tokens that change places take their values with them.
func TestTokensInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		places := make([]int, m.n)
		for i := range places {
			places[i] = i
		}
		order := rapid.Permutation(places).Draw(t, "order")
		moved := func(matrices []float64) []float64 {
			var out []float64
			for at := 0; at < len(matrices); at += m.n * m.n {
				for _, i := range order {
					for _, j := range order {
						out = append(out, matrices[at+i*m.n+j])
					}
				}
			}
			return out
		}
		other := *m
		other.a, other.gradient, other.relevance = moved(m.a), moved(m.gradient), moved(m.relevance)
		for _, c := range matrices {
			near(t, c.tensor, result(explained(t, c.method, &other, c.changes...), c.tensor), moved(result(explained(t, c.method, m, c.changes...), c.tensor)))
		}
	})
}

// TestOneLayer: of a single layer, rollout and flow are its augmented attention,
// and relevance is what was added to the identity.
func TestOneLayer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		m.layers = 1
		n := m.n
		raw := result(explained(t, Attention{}, m), "attention")
		weight := result(explained(t, Chefer{}, m, paramVariant, variantProduct), "relevance")
		augmented, relevance := make([]float64, n*n), make([]float64, n*n)
		for i := range n {
			for j := range n {
				at := i*n + j
				augmented[at], relevance[at] = raw[at]/2, weight[at]
				if i == j {
					augmented[at] += 0.5
					relevance[at]++
				}
			}
		}
		near(t, "rollout", result(explained(t, Rollout{}, m), "rollout"), augmented)
		near(t, "flow", result(explained(t, Flow{}, m), "flow"), augmented)
		near(t, "relevance", result(explained(t, Chefer{}, m), "relevance"), relevance)
	})
}

// TestFlowIsTheSmallestCut: the largest flow is the smallest cut, over all cuts of
// a small network, and never below what rollout sends along single ways.
func TestFlowIsTheSmallestCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, layers := rapid.IntRange(2, 3).Draw(t, "tokens"), rapid.IntRange(1, 4).Draw(t, "layers")
		g := &network{n: n}
		for range layers {
			w := make([]float64, n*n)
			for i := range w {
				w[i] = rapid.SampledFrom([]float64{0, 0, 0.125, 0.25, 0.375, 0.5, 1}).Draw(t, "width")
			}
			g.capacity = append(g.capacity, w)
		}
		for range 2 { // the network serves one flow after another
			for from := range n {
				for to := range n {
					got, want := g.maxFlow(from, to), smallestCut(g, from, to)
					if math.Abs(got-want) > 1e-12 {
						t.Fatalf("%v from %d to %d, and the smallest cut is %v", got, from, to, want)
					}
				}
			}
		}
	})
}

// smallestCut tries all sets of nodes with the source and without the sink.
func smallestCut(g *network, from, to int) float64 {
	n, layers := g.n, len(g.capacity)
	nodes := (layers + 1) * n
	source := layers*n + from
	best := math.Inf(1)
	for set := range 1 << nodes {
		if set>>source&1 == 0 || set>>to&1 == 1 {
			continue
		}
		cut := 0.0
		for l, w := range g.capacity {
			for i := range n {
				for j := range n {
					if set>>((l+1)*n+i)&1 == 1 && set>>(l*n+j)&1 == 0 {
						cut += w[i*n+j]
					}
				}
			}
		}
		best = min(best, cut)
	}
	return best
}

// TestOwnEntry: under lrp, what a position owes to itself, which the identity
// makes the most of all, is attributed as the least of its row.
func TestOwnEntry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawn(t)
		r := request(m.n, Chefer{}, paramVariant, variantLRP)
		at := rapid.IntRange(1, m.n-1).Draw(t, "position")
		r.Target.Positions = []int{at}
		e, err := Chefer{}.Explain(context.Background(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		row := slices.Clone(result(e, "relevance")[at*m.n:][:m.n])
		row[at] = slices.Min(row)
		near(t, "the row", e.Attributions[0].Values, row[1:])
	})
}

// TestLayerByLayer: a host that does not keep all layers at once is asked for one
// after another, with the same result.
func TestLayerByLayer(t *testing.T) {
	m := &recorded{layers: 3, heads: 2, n: 4, a: randomAttention(1, 3, 2, 4, 1, false), gradient: randomAttention(2, 3, 2, 4, 1, false)}
	m.relevance = randomAttention(3, 3, 2, 4, 1, false)
	for _, code := range []sdk.Errno{sdk.EQuota, sdk.ENoMem} {
		small := *m
		small.refuse = code
		for _, c := range matrices {
			small.calls = 0
			got, want := explained(t, c.method, &small, c.changes...), explained(t, c.method, m, c.changes...)
			for i, v := range want.Attributions[0].Values {
				if got.Attributions[0].Values[i] != v {
					t.Errorf("%s: %v, want %v", c.tensor, got.Attributions[0].Values, want.Attributions[0].Values)
				}
			}
			calls := 1 + small.layers
			if len(c.changes) > 0 && c.changes[len(c.changes)-1] == variantLRP { // gradients, and relevance
				calls += small.layers
			}
			if one := c.tensor == "attention" && c.changes == nil || len(c.changes) > 0 && c.changes[0] == paramFusion && c.tensor == "attention"; !one && small.calls != calls {
				t.Errorf("%s: %d calls of the host, want one for all layers and one for each", c.tensor, small.calls)
			}
		}
	}
}

func TestAttributions(t *testing.T) {
	m := &recorded{layers: 2, heads: 1, n: 4, a: randomAttention(3, 2, 1, 4, 1, false)}
	r := request(4, Rollout{})
	r.Units = []sdk.Unit{{Tokens: []int{1, 2}}}
	r.Tokens[3].Fixed = true
	r.Target.Positions = []int{1, 2}
	e, err := Rollout{}.Explain(t.Context(), m, r)
	if err != nil {
		t.Fatal(err)
	}
	full := result(e, "rollout")
	unit := (full[1*4+1] + full[1*4+2] + full[2*4+1] + full[2*4+2]) / 2
	if got := e.Attributions[0].Values; len(got) != 1 || math.Abs(got[0]-unit) > 1e-15 {
		t.Errorf("a unit of two tokens read from two positions has %v, want %v", got, unit)
	}
	if got := diagnostic(e, "special_share"); math.Abs(got-(1-unit)) > 1e-12 {
		t.Errorf("special and fixed tokens have %v, want %v", got, 1-unit)
	}
	// Even attention has the entropy ln 4.
	for i := range m.a {
		m.a[i] = 0.25
	}
	if e, err = (Attention{}).Explain(t.Context(), m, request(4, Attention{}, paramAll, true)); err != nil {
		t.Fatal(err)
	}
	if got := diagnostic(e, "attention_entropy"); math.Abs(got-math.Log(4)) > 1e-12 {
		t.Errorf("even attention over 4 tokens has the entropy %v", got)
	}
}

func TestRefusals(t *testing.T) {
	m := &recorded{layers: 2, heads: 2, n: 3, a: randomAttention(1, 2, 2, 3, 1, false), gradient: randomAttention(2, 2, 2, 3, 1, false)}
	m.relevance = m.gradient
	for name, c := range map[string]struct {
		method  sdk.Method
		changes []any
		want    string
	}{
		"head":            {Attention{}, []any{paramHead, 2}, "use 0 to 1"},
		"head fused":      {Attention{}, []any{paramHead, 1, paramFusion, fusionMax}, "leave one of them out"},
		"two layers":      {Attention{}, []any{paramLayers, layersMean, paramLayer, 1}, "leave one of them out"},
		"layer":           {Attention{}, []any{paramLayer, 2}, "use 0 to 1"},
		"layer of all":    {Attention{}, []any{paramLayer, -3, paramAll, true}, "use 0 to 1"},
		"position":        {Rollout{}, []any{paramPosition, 3}, "use 0 to 2"},
		"start":           {Rollout{}, []any{paramStart, 2}, "use 0 to 1"},
		"start of flow":   {Flow{}, []any{paramStart, 2}, "use 0 to 1"},
		"start of chefer": {Chefer{}, []any{paramStart, 2}, "use 0 to 1"},
		"vit":             {Rollout{}, []any{paramCompat, compatViT, paramResidual, false}, "leave residual=false out"},
		"no layer":        {Chefer{}, []any{paramLayer, 1}, "use start_layer"},
		"no start":        {Chefer{}, []any{paramStart, 1, paramVariant, variantCAM}, "use layer"},
		"chefer's layer":  {Chefer{}, []any{paramLayer, 2, paramVariant, variantCAM}, "use 0 to 1"},
		"layer of lrp":    {Chefer{}, []any{paramLayer, 1, paramVariant, variantLRP}, "use start_layer"},
		"start of lrp":    {Chefer{}, []any{paramStart, 2, paramVariant, variantLRP}, "use 0 to 1"},
		"partial start":   {Chefer{}, []any{paramStart, 1, paramVariant, variantPartial}, "use layer"},
		"full layer":      {Chefer{}, []any{paramLayer, 1, paramVariant, variantFull}, "leave them out"},
		"full position":   {Chefer{}, []any{paramPosition, 1, paramVariant, variantFull}, "leave them out"},
		"full all":        {Chefer{}, []any{paramAll, true, paramVariant, variantFull}, "leave them out"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.method.Explain(t.Context(), m, request(3, c.method, c.changes...))
			if !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
	for _, variant := range []string{variantLRP, variantPartial, variantFull} {
		for want, target := range map[string]sdk.Target{
			"use --output logit": {Kind: sdk.KindClass, Output: sdk.Prob, Positions: []int{0}},
			"one by one":         {Kind: sdk.KindDifference, Output: sdk.Logit, Positions: []int{0}},
		} {
			r := request(3, Chefer{}, paramVariant, variant)
			r.Target = target
			if _, err := (Chefer{}).Explain(t.Context(), m, r); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one that says %q", variant, err, want)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(r *sdk.Request)
		code   sdk.Errno
		want   string
	}{
		"no position": {func(r *sdk.Request) { r.Target.Positions = nil }, sdk.EUnsupported, "-p position=N"},
		"no units":    {func(r *sdk.Request) { r.Units = nil }, sdk.EInvalid, "at least one word"},
		"too long":    {func(r *sdk.Request) { r.Tokens = make([]sdk.Token, maxTokens+1) }, sdk.EInvalid, "shorter text"},
		"other shape": {func(r *sdk.Request) { r.Tokens = r.Tokens[:2] }, sdk.EUnsupported, "earlier segments"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(3, Rollout{})
			c.change(r)
			_, err := Rollout{}.Explain(t.Context(), m, r)
			if !errors.Is(err, &sdk.Error{Code: c.code}) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %q", err, c.want)
			}
		})
	}
	s := &source{n: 512, positions: []int{0}}
	if q, err := s.queries(queriesAuto, 12); err != nil || len(q) != 1 {
		t.Errorf("a long input has the flows of %d queries (%v)", len(q), err)
	}
	if _, err := s.queries(queriesAll, 12); err == nil || !strings.Contains(err.Error(), "queries=target") {
		t.Errorf("all flows of a long input: %v", err)
	}
	s.n = 1024
	if _, err := s.queries(queriesTarget, 12); err == nil || !strings.Contains(err.Error(), "attention-rollout") {
		t.Errorf("the flows of a very long input: %v", err)
	}
}

// TestLayers: a layer is the same whichever way it is named and read.
func TestLayers(t *testing.T) {
	m := &recorded{layers: 3, heads: 2, n: 3, a: randomAttention(1, 3, 2, 3, 1, false), gradient: randomAttention(2, 3, 2, 3, 1, false)}
	for l := range m.layers {
		want := make([]float64, 9)
		for i := range want {
			want[i] = (m.a[l*18+i] + m.a[l*18+9+i]) / 2
		}
		relevance := result(explained(t, Chefer{}, m, paramVariant, variantProduct, paramLayer, l), "relevance")
		for name, got := range map[string][]float64{
			"one":       result(explained(t, Attention{}, m, paramLayer, l), "attention"),
			"of all":    result(explained(t, Attention{}, m, paramLayer, l, paramAll, true), "attention"),
			"from last": result(explained(t, Attention{}, m, paramLayer, l-3, paramAll, true), "attention"),
		} {
			if !slices.Equal(got, want) {
				t.Errorf("%s: layer %d is %v, want %v", name, l, got, want)
			}
		}
		if got := result(explained(t, Chefer{}, m, paramVariant, variantProduct, paramLayer, l-3), "relevance"); !slices.Equal(got, relevance) {
			t.Errorf("the relevance of layer %d from the last is %v, want %v", l-3, got, relevance)
		}
	}
	head := result(explained(t, Attention{}, m, paramLayer, 1, paramHead, 1), "attention")
	if !slices.Equal(head, m.a[27:36]) {
		t.Errorf("head 1 of layer 1 is %v, want %v", head, m.a[27:36])
	}
}
