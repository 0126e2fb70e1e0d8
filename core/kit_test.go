package core

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/random"
	"github.com/xai-go/xai/registry"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

// The conformance kit does without the host, and says of its own what the host
// holds a method to. These tests hold the two together.

// TestKitValidates: the kit takes the explanations that the host takes.
func TestKitValidates(t *testing.T) {
	names := rapid.SampledFrom(slices.Concat(contract.HostDiagnostics, []string{
		"attributions", "baseline", "x", "y", "x.stderr", "attributions.stderr", ".stderr", "diagnostics.x", "diagnostics.",
		"", "a\nb", "\u202e", "\xff", strings.Repeat("n", 255), strings.Repeat("n", 256),
	}))
	axes := rapid.SampledFrom([]string{"units", "tokens", "query", "", "\x00"})
	small := rapid.IntRange(-1, 3)
	floats := func(n int) []float64 { return make([]float64, max(n, 0)) }
	tensor := func(t *rapid.T, e *sdk.Explanation, shape ...int) *sdk.NamedTensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		n = max(n, 0)
		data := rapid.SampledFrom([]any{make([]uint8, n), make([]int32, n), make([]int64, n), make([]float32, n), make([]float64, n), make([]int, n), nil})
		named := sdk.NamedTensor{Name: names.Draw(t, "tensor"), Tensor: sdk.Tensor{Shape: shape, Data: data.Draw(t, "data")}}
		for range shape {
			named.Axes = append(named.Axes, axes.Draw(t, "axis"))
		}
		e.Tensors = append(e.Tensors, named)
		return &e.Tensors[len(e.Tensors)-1]
	}
	changes := map[string]func(t *rapid.T, e *sdk.Explanation){
		"attributions": func(t *rapid.T, e *sdk.Explanation) {
			a := &e.Attributions[0]
			a.Name = rapid.SampledFrom([]string{"attributions", "x"}).Draw(t, "first")
			a.Over = axes.Draw(t, "over")
			a.Values = floats(rapid.IntRange(2, 3).Draw(t, "values"))
		},
		"stderr": func(t *rapid.T, e *sdk.Explanation) {
			e.Attributions[0].Stderr = floats(small.Draw(t, "stderr"))
		},
		"further": func(t *rapid.T, e *sdk.Explanation) {
			e.Attributions = append(e.Attributions, sdk.Attribution{Name: names.Draw(t, "attribution"), Over: "tokens", Values: floats(3)})
		},
		"tensor": func(t *rapid.T, e *sdk.Explanation) {
			tensor(t, e, rapid.SliceOfN(small, 0, 3).Draw(t, "shape")...)
		},
		"rank": func(t *rapid.T, e *sdk.Explanation) {
			x := tensor(t, e, slices.Repeat([]int{1}, rapid.IntRange(8, 9).Draw(t, "dimensions"))...)
			x.Name, x.Data = "x", []float64{0}
			for i := range x.Axes {
				x.Axes[i] = "x"
			}
		},
		"axes": func(t *rapid.T, e *sdk.Explanation) {
			x := tensor(t, e, 1, 1)
			x.Axes = x.Axes[:rapid.IntRange(0, 2).Draw(t, "axes")]
		},
		"diagnostic": func(t *rapid.T, e *sdk.Explanation) {
			e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: names.Draw(t, "diagnostic")})
		},
		"units": func(t *rapid.T, e *sdk.Explanation) {
			e.Units = make([]sdk.Unit, rapid.IntRange(2, 3).Draw(t, "units"))
			e.Units[0].Tokens = rapid.SliceOfN(small, 0, 2).Draw(t, "tokens")
		},
		"spans": func(t *rapid.T, e *sdk.Explanation) {
			e.Units = make([]sdk.Unit, 2)
			for range rapid.IntRange(1, 2).Draw(t, "spans") {
				e.Units[1].Spans = append(e.Units[1].Spans, sdk.Span{
					Sequence: rapid.SampledFrom([]int{0, 0, 0, 1, 2, -1}).Draw(t, "sequence"),
					Start:    rapid.SampledFrom([]int{0, 2, 4, -1}).Draw(t, "start"),
					End:      rapid.SampledFrom([]int{2, 4, 5}).Draw(t, "end"),
				})
			}
		},
	}
	several := slices.Sorted(maps.Keys(changes))
	changes["several"] = func(t *rapid.T, e *sdk.Explanation) {
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(several), 2, 3).Draw(t, "changes") {
			changes[name](t, e)
		}
	}
	pair := "zwei"
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				r := &sdk.Request{Text: "eins", Tokens: make([]sdk.Token, 3), Units: make([]sdk.Unit, 2)}
				if rapid.Bool().Draw(t, "pair") {
					r.TextPair = &pair
				}
				e := &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: floats(2)}}}
				change(t, e)
				kit, host := sdktest.Validate(e, r), contract.Check(e, r)
				if (kit == nil) != (host == nil) {
					t.Fatalf("%+v: the kit says %v, and the host %v", e, kit, host)
				}
			})
		})
	}
	for n := range 3 {
		e := &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits}}}
		for i := range 4094 + n {
			e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: "n" + strings.Repeat("i", i%200) + string(rune('a'+i/200))})
		}
		kit, host := sdktest.Validate(e, &sdk.Request{}), contract.Check(e, &sdk.Request{})
		if want := n < 2; (kit == nil) != want || (host == nil) != want {
			t.Errorf("%d results: the kit says %v, and the host %v", 4095+n, kit, host)
		}
	}
	if sdktest.Validate(nil, &sdk.Request{}) == nil || contract.Check(nil, &sdk.Request{}) == nil {
		t.Error("no explanation is valid")
	}
}

// TestKitReadsParams: the kit takes the parameters that the host takes, for the
// same values.
func TestKitReadsParams(t *testing.T) {
	names := []string{"num_samples", "nsamples", "compat", "kernel_width", "bow", "fill", "mask_string", "nosuch"}
	values := []string{"", "9", "10", "100", "101", "1e1", "0x10", " 10", "0", "1e-7", "NaN", "inf", "true", "Yes", "on", "OFF", "none", "lime", "Lime", "mask", "99999999999999999999"}
	for _, name := range names {
		for _, value := range values {
			for _, other := range names {
				given := map[string]string{other: "lime", name: value}
				kit, errKit := sdktest.Params(testInfo, given)
				host, err := ParseParams(testInfo, given)
				if diff := cmp.Diff(host, kit); diff != "" || (errKit == nil) != (err == nil) {
					t.Errorf("%v: the kit says %v, and the host %v %s", given, errKit, err, diff)
				}
			}
		}
	}
}

// named is a method of a name.
type named string

func (n named) Info() sdk.Info {
	return sdk.Info{Name: string(n), Version: "1.0.0", Summary: "Does nothing.", Needs: []sdk.Need{sdk.NeedForward}}
}

func (n named) Explain(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) {
	return &sdk.Explanation{}, nil
}

// TestKitNames: the kit takes the names that a registry file can declare.
func TestKitNames(t *testing.T) {
	takes := func(name string) bool {
		r := sdktest.Check(t.Context(), sdktest.Method(named(name)), sdktest.Options{Only: []string{"declaration/info"}})
		return r.Results[0].Status == sdktest.Pass
	}
	for name, want := range map[string]bool{
		"lime": true, "grad-x-input": true, "2": true, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false,
		"": false, "-x": false, "x-": false, "x--y": false, "X": false, "x_y": false, "ä": false, "x\n": false, "x y": false,
	} {
		if kit, file := takes(name), registry.ValidName(name); kit != want || file != want {
			t.Errorf("%q: the kit says %t and the registry %t, want %t", name, kit, file, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9A-Zß_.-]{0,4}[a-z0-9-]{0,64}`).Draw(t, "name")
		if kit, file := takes(name), registry.ValidName(name); kit != file {
			t.Fatalf("%q: the kit says %t and the registry %t", name, kit, file)
		}
	})
}

// asks is a method that does one thing.
type asks struct {
	needs []sdk.Need
	ask   func(ctx context.Context, m sdk.Model, r *sdk.Request) error
}

func (a asks) Info() sdk.Info { return sdk.Info{Name: "asks", Needs: a.needs} }

func (a asks) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	return &sdk.Explanation{}, a.ask(ctx, m, r)
}

// TestKitDraws: a method draws the same numbers under the kit.
func TestKitDraws(t *testing.T) {
	session, err := toy.Transformer(1).Open(toy.Input{Text: "a good film"})
	if err != nil {
		t.Fatal(err)
	}
	want, got := make([]byte, 100), make([]byte, 100)
	if _, err := io.ReadFull(random.New(7, "asks", random.Method), want); err != nil {
		t.Fatal(err)
	}
	r := session.Request()
	r.Seed = 7
	method := sdktest.Method(asks{nil, func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
		if _, err := io.ReadFull(r.Rand, got[:3]); err != nil {
			return err
		}
		_, err := io.ReadFull(r.Rand, got[3:])
		return err
	}})
	if _, _, err := method.Explain(t.Context(), session, r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestKitGrants: under the kit a method is refused for the needs that it is
// refused for by the host, and for no others.
func TestKitGrants(t *testing.T) {
	session, err := toy.Transformer(1).Open(toy.Input{Text: "a good film"})
	if err != nil {
		t.Fatal(err)
	}
	length := len(session.Request().Tokens)
	keep := sdk.NewTensor(slices.Repeat([]uint8{1}, length), 1, length)
	reply, err := session.Forward(t.Context(), &sdk.Forward{Masks: keep, Points: []string{"embeddings"}})
	if err != nil {
		t.Fatal(err)
	}
	words, err := reply.Tensor("embeddings", 0)
	if err != nil {
		t.Fatal(err)
	}
	embeds := sdk.NewTensor(make([]float32, words.Len()), words.Shape...)
	points := rapid.SliceOfN(rapid.SampledFrom([]string{"embeddings", "hidden_states[1]", "attentions", "attentions[0][h=1]", "nosuch"}), 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		needs := rapid.SliceOfDistinct(rapid.SampledFrom(sdk.Needs()), rapid.ID).Draw(t, "needs")
		f := &sdk.Forward{Masks: keep, Points: points.Draw(t, "points")}
		switch rapid.IntRange(0, 3).Draw(t, "beside") {
		case 0:
			f.Masks, f.Embeds = nil, embeds
		case 1:
			f.Edits = []sdk.Edit{{Point: "hidden_states[1]", Op: sdk.EditZero}}
		}
		wrt := append(points.Draw(t, "wrt"), "embeddings")
		call := rapid.IntRange(0, 3).Draw(t, "call")
		ask := func(ctx context.Context, m sdk.Model, _ *sdk.Request) (err error) {
			switch call {
			case 0:
				_, err = m.Forward(ctx, f)
			case 1:
				_, err = sdk.Gradient(ctx, m, f, wrt...)
			case 2:
				_, err = sdk.Generate(ctx, m, &sdk.Generation{MaxTokens: 1})
			default:
				_, err = sdk.Tokenize(ctx, m, "a film")
			}
			return err
		}
		method := asks{needs, ask}
		_, _, kit := sdktest.Method(method).Explain(context.Background(), session, session.Request())
		r := session.Request()
		host := ask(context.Background(), contract.Model(session, method.Info(), r), r)
		capped := &sdk.Error{Code: sdk.ECap}
		if errors.Is(kit, capped) != errors.Is(host, capped) || (kit == nil) != (host == nil) {
			t.Fatalf("the kit says %v, and the host %v", kit, host)
		}
	})
}
