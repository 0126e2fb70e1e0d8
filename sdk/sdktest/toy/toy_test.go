package toy_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

var transformer = toy.Transformer(1)

func open(t testing.TB, m *toy.Model, in toy.Input) *toy.Session {
	t.Helper()
	s, err := m.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func forward(t testing.TB, s *toy.Session, f *sdk.Forward, wrt ...string) sdk.Reply {
	t.Helper()
	var r sdk.Reply
	var err error
	if wrt == nil {
		r, err = s.Forward(t.Context(), f)
	} else {
		r, err = s.Gradient(t.Context(), f, wrt)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// values returns a tensor of a reply.
func values(t testing.TB, r sdk.Reply, name string, index int) ([]float64, []int) {
	t.Helper()
	x, err := r.Tensor(name, index)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sdk.Values[float64](x)
	if err != nil {
		t.Fatal(err)
	}
	if len(v) != x.Len() {
		t.Fatalf("%s has %d values for the shape %v", name, len(v), x.Shape)
	}
	return v, x.Shape
}

func target(t testing.TB, s *toy.Session, f *sdk.Forward) []float64 {
	t.Helper()
	v, _ := values(t, forward(t, s, f), sdk.ReplyTarget, 0)
	return v
}

// all returns rows that keep everything.
func all(n, columns int) *sdk.Tensor {
	return sdk.NewTensor(slices.Repeat([]uint8{1}, n*columns), n, columns)
}

func scalar(v float64) *sdk.Tensor { return sdk.NewTensor([]float64{v}) }

// TestBits pins the model: these numbers are the same on every machine.
func TestBits(t *testing.T) {
	h := sha256.New()
	add := func(v []float64) {
		for _, x := range v {
			h.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(x)))
		}
	}
	pair := "Ein Wort, 中文 😀"
	s := open(t, transformer, toy.Input{Text: "a gripping, beautifully photographed film", TextPair: &pair, Output: sdk.LogProb})
	units := len(s.Request().Units)
	for kind := sdk.FillMask; kind.Known(); kind++ {
		rows := all(units+1, units)
		for i := range units {
			rows.Data.([]uint8)[i*units+i] = 0
		}
		r := forward(t, s, &sdk.Forward{Units: rows, Fill: sdk.Fill{Kind: kind, Text: "x", Token: 9}}, "embeddings", "hidden_states", "attentions")
		for _, name := range []string{sdk.ReplyTarget, sdk.ReplyProbs, "grad(embeddings)", "grad(hidden_states)", "grad(attentions)"} {
			v, _ := values(t, r, name, 0)
			add(v)
		}
	}
	c, err := s.Generate(t.Context(), &sdk.Generation{MaxTokens: 8, Temperature: 1.5, TopP: 0.9, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	add(c.LogProbs)
	const want = "62b2a8160bc06d69"
	if got := hex.EncodeToString(h.Sum(nil))[:16]; got != want {
		t.Errorf("the bits are %s, want %s", got, want)
	}
}

// TestGradients compares them with differences of the target, at all points,
// under edits and for all kinds of targets. An edit that adds a little at the
// point comes after the others, so that the gradient is that after them.
func TestGradients(t *testing.T) {
	pair := "second text"
	filled := sdk.Fill{Kind: sdk.FillHide}
	formula := toy.Formula(0.5, toy.Term{Coef: 2, Words: []string{"good"}}, toy.Term{Coef: -3, Words: []string{"good", "film"}}, toy.Term{Coef: 0.25, Words: []string{"film", "a", "good"}})
	inside := []string{"embeddings", "hidden_states[0]", "blocks.0.attn.hook_pattern", "hidden_states[1]", "attentions[1]", "hidden_states[2]"}
	for name, c := range map[string]struct {
		model  *toy.Model
		target string
		output sdk.Output
		points []string
		edits  []sdk.Edit
		hide   bool
	}{
		"logit":      {transformer, "0", sdk.Logit, inside, nil, false},
		"prob":       {transformer, "positive", sdk.Prob, inside, nil, false},
		"logprob":    {transformer, "label:neutral", sdk.LogProb, inside, nil, false},
		"difference": {transformer, "2 - negative", sdk.Prob, inside, nil, false},
		"log ratio":  {transformer, "2 - 0", sdk.LogProb, inside, nil, false},
		"hidden":     {transformer, "1", sdk.Logit, inside, nil, true},
		"replaced":   {transformer, "1", sdk.Logit, inside, []sdk.Edit{{Point: "hidden_states[1][t=2]", Op: sdk.EditReplace, Value: scalar(0.3)}}, false},
		"zeroed":     {transformer, "1", sdk.Logit, inside, []sdk.Edit{{Point: "attentions[0][h=1]", Op: sdk.EditZero}}, false},
		"averaged": {transformer, "1", sdk.Logit, inside, []sdk.Edit{
			{Point: "hidden_states[1][t=1:3]", Op: sdk.EditMean},
			{Point: "blocks.1.attn.hook_pattern[h=0,s=2:]", Op: sdk.EditMean},
			{Point: "embeddings[:,-2]", Op: sdk.EditMean},
		}, false},
		"scaled": {transformer, "1", sdk.Logit, inside, []sdk.Edit{
			{Point: "hidden_states[2]", Op: sdk.EditScale, Value: scalar(-2)},
			{Point: "attentions[1][s=1]", Op: sdk.EditAdd, Value: scalar(0.2)},
			{Point: "attentions[1][..., 1]", Op: sdk.EditScale, Value: scalar(1.5)},
		}, false},
		"formula": {formula, "0", sdk.Logit, inside[:1], nil, false},
		"formula's difference": {formula, "no - yes", sdk.Prob, inside[:1], []sdk.Edit{
			{Point: "embeddings[t=1]", Op: sdk.EditScale, Value: scalar(3)},
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, c.model, toy.Input{Text: "a good good film", TextPair: &pair, Target: c.target, Output: c.output, Units: toy.UnitsToken})
			units := len(s.Request().Units)
			f := sdk.Forward{Units: all(1, units), Fill: filled, Edits: c.edits}
			if c.hide {
				f.Units.Data.([]uint8)[2] = 0
			}
			r := forward(t, s, &f, c.points...)
			some := false
			for _, point := range c.points {
				g, shape := values(t, r, sdk.Grad(point), 0)
				for i := 0; i < len(g); i += 1 + len(g)/23 {
					// The place as a slice, such as [0,3,5].
					var place []string
					for axis, at := len(shape)-1, i; axis >= 0; axis-- {
						place = append([]string{fmt.Sprint(at % shape[axis])}, place...)
						at /= shape[axis]
					}
					const h = 1e-5
					var at [2]float64
					for k, step := range []float64{h, -h} {
						moved := f
						moved.Edits = append(slices.Clone(c.edits), sdk.Edit{
							Point: point + "[" + strings.Join(place, ",") + "]", Op: sdk.EditAdd, Value: scalar(step),
						})
						at[k] = target(t, s, &moved)[0]
					}
					slope := (at[0] - at[1]) / (2 * h)
					if math.Abs(slope-g[i]) > 1e-7*(1+math.Abs(slope)) {
						t.Errorf("%s%v: the gradient is %v and the slope %v", point, place, g[i], slope)
					}
					some = some || math.Abs(slope) > 1e-3
				}
			}
			if !some {
				t.Error("no slope is large enough to tell")
			}
		})
	}
}

// TestRowsAreAlone: what a row answers depends neither on the others nor on
// whether they are equal.
func TestRowsAreAlone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, transformer, toy.Input{Text: "one two three, four five"})
		units := len(s.Request().Units)
		n := rapid.IntRange(1, 9).Draw(rt, "rows")
		keep := rapid.SliceOfN(rapid.Uint8Range(0, 1), n*units, n*units).Draw(rt, "keep")
		fill := sdk.Fill{Kind: sdk.FillKind(rapid.Uint32Range(0, 7).Draw(rt, "fill")), Text: "x y", Token: 77}
		if fill.Kind == sdk.FillText {
			fill.Text = "x"
		}
		f := &sdk.Forward{Units: sdk.NewTensor(keep, n, units), Fill: fill, KeepDuplicates: rapid.Bool().Draw(rt, "again")}
		together := target(t, s, f)
		inside := target(t, s, &sdk.Forward{Units: f.Units, Fill: fill, Points: []string{"attentions"}})
		for i := range n {
			alone := open(t, transformer, toy.Input{Text: "one two three, four five"})
			row := target(t, alone, &sdk.Forward{Units: sdk.NewTensor(keep[i*units:][:units], 1, units), Fill: fill})
			if row[0] != together[i] || row[0] != inside[i] {
				rt.Fatalf("row %d is %v alone, %v with others and %v with its inside", i, row[0], together[i], inside[i])
			}
		}
	})
}

// TestRows compares forms of rows that mean the same.
func TestRows(t *testing.T) {
	s := open(t, transformer, toy.Input{Text: "alpha beta gamma", Output: sdk.Logit})
	r := s.Request()
	ids := make([]int32, len(r.Tokens))
	for i, token := range r.Tokens {
		ids[i] = token.ID
	}
	units := func(keep ...uint8) *sdk.Tensor { return sdk.NewTensor(keep, 1, len(keep)) }
	words, _ := values(t, forward(t, s, &sdk.Forward{Units: all(1, 3), Points: []string{"embeddings"}}), "embeddings", 0)
	embeds := make([]float32, len(words))
	for i, v := range words {
		if embeds[i] = float32(v); float64(embeds[i]) != v {
			t.Fatalf("the embedding %v is no float32", v)
		}
	}
	changed := func(i int, id int32) [][]int32 {
		row := slices.Clone(ids)
		row[i] = id
		return [][]int32{row}
	}
	zeroed := slices.Clone(embeds)
	clear(zeroed[2*16 : 3*16])
	mask := int32(3)
	for name, c := range map[string]struct{ a, b *sdk.Forward }{
		"the input":       {&sdk.Forward{Units: units(1, 1, 1)}, &sdk.Forward{IDs: [][]int32{ids}}},
		"as text":         {&sdk.Forward{Units: units(1, 1, 1)}, &sdk.Forward{Texts: []string{"alpha beta gamma"}}},
		"as embeddings":   {&sdk.Forward{Units: units(1, 1, 1)}, &sdk.Forward{Embeds: sdk.NewTensor(embeds, 1, 5, 16)}},
		"masked":          {&sdk.Forward{Units: units(1, 0, 1)}, &sdk.Forward{IDs: changed(2, mask)}},
		"masked token":    {&sdk.Forward{Units: units(1, 0, 1)}, &sdk.Forward{Masks: sdk.NewTensor([]uint8{0, 1, 0, 1, 0}, 1, 5)}},
		"masked text":     {&sdk.Forward{Units: units(1, 0, 1)}, &sdk.Forward{Texts: []string{"alpha [MASK] gamma"}}},
		"padded":          {&sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillPad}}, &sdk.Forward{IDs: changed(2, 0)}},
		"deleted":         {&sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillDelete}}, &sdk.Forward{Texts: []string{"alpha  gamma"}}},
		"deleted token":   {&sdk.Forward{Masks: sdk.NewTensor([]uint8{1, 1, 0, 1, 1}, 1, 5), Fill: sdk.Fill{Kind: sdk.FillDelete}}, &sdk.Forward{IDs: [][]int32{slices.Delete(slices.Clone(ids), 2, 3)}}},
		"by a token":      {&sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillToken, Token: 99}}, &sdk.Forward{IDs: changed(2, 99)}},
		"by a text":       {&sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillText, Text: "x y"}}, &sdk.Forward{Texts: []string{"alpha x y gamma"}}},
		"zeroed":          {&sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillZero}}, &sdk.Forward{Embeds: sdk.NewTensor(zeroed, 1, 5, 16)}},
		"zeroed by edit":  {&sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillZero}}, &sdk.Forward{Units: units(1, 1, 1), Edits: []sdk.Edit{{Point: "embeddings[t=2]", Op: sdk.EditZero}}}},
		"hidden from all": {&sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillHide}}, &sdk.Forward{Masks: sdk.NewTensor([]uint8{1, 1, 0, 1, 1}, 1, 5), Fill: sdk.Fill{Kind: sdk.FillHide}}},
		"units of its own": {&sdk.Forward{Units: units(1, 0), Over: []sdk.Unit{{Spans: []sdk.Span{{Start: 0, End: 5}}}, {Spans: []sdk.Span{{Start: 6, End: 16}}}}},
			&sdk.Forward{Texts: []string{"alpha [MASK]"}}},
		"hidden units of its own": {&sdk.Forward{Units: units(1, 0), Fill: sdk.Fill{Kind: sdk.FillZero}, Over: []sdk.Unit{{Spans: []sdk.Span{{Start: 0, End: 5}}}, {Spans: []sdk.Span{{Start: 6, End: 10}}}}},
			&sdk.Forward{Embeds: sdk.NewTensor(zeroed, 1, 5, 16)}},
	} {
		t.Run(name, func(t *testing.T) {
			if a, b := target(t, s, c.a), target(t, s, c.b); a[0] != b[0] {
				t.Errorf("%v and %v", a, b)
			}
		})
	}
	if v := target(t, s, &sdk.Forward{Units: units(1, 1, 1)}); v[0] != r.Target.Value {
		t.Errorf("the target is %v on the input, and %v in the request", v[0], r.Target.Value)
	}
	if a, b := target(t, s, &sdk.Forward{Units: units(1, 0, 1), Fill: sdk.Fill{Kind: sdk.FillHide}}), target(t, s, &sdk.Forward{Units: units(1, 1, 1)}); a[0] == b[0] {
		t.Error("hiding a token changes nothing")
	}
}

// TestPoints holds what points are and what edits do to them.
func TestPoints(t *testing.T) {
	s := open(t, transformer, toy.Input{Text: "alpha beta gamma delta"})
	f := &sdk.Forward{Texts: []string{"a", "a b c"}, Points: []string{"hidden_states", "attentions", "attentions[0]", "blocks.1.attn.hook_pattern[h=1]", "hidden_states[-1][t=0]", "hidden_states[0][:,0,2:5]", "attentions[1][1]", "hidden_states[1][b=1]"}}
	r := forward(t, s, f)
	for _, c := range []struct {
		name  string
		index int
		shape []int
	}{
		{"hidden_states", 2, []int{2, 5, 16}}, {"attentions", 1, []int{2, 2, 5, 5}}, {"attentions[0]", 0, []int{2, 2, 5, 5}},
		{"blocks.1.attn.hook_pattern[h=1]", 0, []int{2, 5, 5}}, {"hidden_states[-1][t=0]", 0, []int{2, 16}},
		{"hidden_states[0][:,0,2:5]", 0, []int{2, 3}}, {"attentions[1][1]", 0, []int{2, 5, 5}}, {"hidden_states[1][b=1]", 0, []int{5, 16}},
	} {
		if _, shape := values(t, r, c.name, c.index); !slices.Equal(shape, c.shape) {
			t.Errorf("%s has the shape %v, want %v", c.name, shape, c.shape)
		}
	}
	pattern, _ := values(t, r, "attentions[0]", 0)
	for i := range 2 * 2 * 5 { // rows of queries; the first text has 3 tokens
		sum := 0.0
		for _, w := range pattern[i*5:][:5] {
			sum += w
		}
		want := 1.0
		if i < 10 && i%5 >= 3 {
			want = 0
		}
		if math.Abs(sum-want) > 1e-12 {
			t.Errorf("row %d of the patterns sums to %v, want %v", i, sum, want)
		}
	}
	whole, _ := values(t, r, "attentions", 1)
	slice, _ := values(t, r, "blocks.1.attn.hook_pattern[h=1]", 0)
	if diff := cmp.Diff(append(slices.Clone(whole[25:50]), whole[75:]...), slice); diff != "" {
		t.Errorf("a head of attentions: %s", diff)
	}
	// What a point holds after edits, for one text of 3 tokens.
	edited := func(point string, edits ...sdk.Edit) []float64 {
		v, _ := values(t, forward(t, s, &sdk.Forward{Texts: []string{"a"}, Points: []string{point}, Edits: edits}), point, 0)
		return v
	}
	plain := edited("hidden_states[1]")
	vector := make([]float32, 16)
	for i := range vector {
		vector[i] = float32(i)
	}
	mean := make([]float64, 16)
	for d := range mean {
		mean[d] = (plain[d] + plain[16+d] + plain[32+d]) / 3
	}
	for _, c := range []struct {
		edit sdk.Edit
		want func(t, d int) float64
	}{
		{sdk.Edit{Point: "hidden_states[1]", Op: sdk.EditZero}, func(t, d int) float64 { return 0 }},
		{sdk.Edit{Point: "blocks.1.hook_in[t=1]", Op: sdk.EditReplace, Value: sdk.NewTensor(vector, 1, 16)}, func(t, d int) float64 {
			if t == 1 {
				return float64(d)
			}
			return plain[t*16+d]
		}},
		{sdk.Edit{Point: "blocks.0.hook_out[t=1:]", Op: sdk.EditAdd, Value: sdk.NewTensor(vector, 1, 1, 16)}, func(t, d int) float64 {
			if t >= 1 {
				return plain[t*16+d] + float64(d)
			}
			return plain[t*16+d]
		}},
		{sdk.Edit{Point: "hidden_states[1][d=3]", Op: sdk.EditScale, Value: sdk.NewTensor([]float64{1, 2, 3}, 1, 3)}, func(t, d int) float64 {
			if d == 3 {
				return plain[t*16+d] * float64(t+1)
			}
			return plain[t*16+d]
		}},
		{sdk.Edit{Point: "hidden_states[1][t=2]", Op: sdk.EditMean}, func(t, d int) float64 {
			if t == 2 {
				return mean[d]
			}
			return plain[t*16+d]
		}},
	} {
		got := edited("hidden_states[1]", c.edit)
		for i, v := range got {
			if want := c.want(i/16, i%16); math.Abs(v-want) > 1e-14 {
				t.Errorf("%s of %s: %v at %d,%d, want %v", c.edit.Op, c.edit.Point, v, i/16, i%16, want)
			}
		}
	}
	// Rows have values of their own where the value has an axis for them.
	each := target(t, s, &sdk.Forward{Texts: []string{"a", "a"}, Edits: []sdk.Edit{{Point: "embeddings[t=1]", Op: sdk.EditAdd, Value: sdk.NewTensor(append(make([]float64, 31), 1), 2, 16)}}})
	if each[0] == each[1] || each[0] != target(t, s, &sdk.Forward{Texts: []string{"a"}})[0] {
		t.Errorf("an edit of the second row gives %v", each)
	}
	for name, want := range map[string]sdk.Need{"embeddings": sdk.NeedEmbeddings, "hidden_states": sdk.NeedHiddenStates, "blocks.0.attn.hook_pattern[h=0]": sdk.NeedAttentions} {
		if needs, err := s.PointNeeds(name); err != nil || !slices.Equal(needs, []sdk.Need{want}) {
			t.Errorf("%s needs %v (%v), want %s", name, needs, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	s := open(t, transformer, toy.Input{Text: "alpha beta"})
	texts := []string{"a"}
	edit := func(e sdk.Edit) *sdk.Forward { return &sdk.Forward{Texts: texts, Edits: []sdk.Edit{e}} }
	for name, c := range map[string]struct {
		f    *sdk.Forward
		want sdk.Errno
	}{
		"nil":             {nil, sdk.EInvalid},
		"nothing":         {&sdk.Forward{}, sdk.EInvalid},
		"two forms":       {&sdk.Forward{Texts: texts, Units: all(1, 2)}, sdk.EInvalid},
		"width":           {&sdk.Forward{Units: all(1, 3)}, sdk.EInvalid},
		"values":          {&sdk.Forward{Units: sdk.NewTensor([]uint8{1, 2}, 1, 2)}, sdk.EInvalid},
		"masks":           {&sdk.Forward{Masks: all(1, 2)}, sdk.EInvalid},
		"fill":            {&sdk.Forward{Units: all(1, 2), Fill: sdk.Fill{Kind: 9}}, sdk.EInvalid},
		"fill token":      {&sdk.Forward{Masks: sdk.NewTensor(make([]uint8, 4), 1, 4), Fill: sdk.Fill{Kind: sdk.FillToken, Token: 512}}, sdk.ERange},
		"fill text":       {&sdk.Forward{Masks: sdk.NewTensor(make([]uint8, 4), 1, 4), Fill: sdk.Fill{Kind: sdk.FillText, Text: "a b"}}, sdk.EUnsupported},
		"over":            {&sdk.Forward{Texts: texts, Over: []sdk.Unit{}}, sdk.EInvalid},
		"span":            {&sdk.Forward{Units: all(1, 1), Over: []sdk.Unit{{Spans: []sdk.Span{{End: 11}}}}}, sdk.ERange},
		"overlap":         {&sdk.Forward{Units: all(1, 2), Over: []sdk.Unit{{Spans: []sdk.Span{{End: 5}}}, {Spans: []sdk.Span{{Start: 4, End: 6}}}}}, sdk.EInvalid},
		"id":              {&sdk.Forward{IDs: [][]int32{{512}}}, sdk.ERange},
		"no id":           {&sdk.Forward{IDs: [][]int32{{}}}, sdk.EInvalid},
		"long":            {&sdk.Forward{IDs: [][]int32{make([]int32, 513)}}, sdk.ERange},
		"embeds":          {&sdk.Forward{Embeds: sdk.NewTensor(make([]float32, 16), 1, 1, 16)}, sdk.EInvalid},
		"target":          {&sdk.Forward{Texts: texts, Target: "nosuch"}, sdk.EName},
		"target beyond":   {&sdk.Forward{Texts: texts, Target: "0 - 3"}, sdk.EName},
		"point":           {&sdk.Forward{Texts: texts, Points: []string{"nosuch"}}, sdk.EName},
		"layer":           {&sdk.Forward{Texts: texts, Points: []string{"attentions[2]"}}, sdk.EName},
		"slice":           {&sdk.Forward{Texts: texts, Points: []string{"attentions[0][x=1]"}}, sdk.EInvalid},
		"unclosed":        {&sdk.Forward{Texts: texts, Points: []string{"attentions[0"}}, sdk.EInvalid},
		"after slice":     {&sdk.Forward{Texts: texts, Points: []string{"attentions[0]x"}}, sdk.EInvalid},
		"nothing there":   {&sdk.Forward{Texts: texts, Points: []string{"attentions[0][h=2]"}}, sdk.ERange},
		"edit of several": {edit(sdk.Edit{Point: "attentions", Op: sdk.EditZero}), sdk.EInvalid},
		"edit of nothing": {edit(sdk.Edit{Point: "embeddings[t=7]", Op: sdk.EditZero}), sdk.ERange},
		"edit's value":    {edit(sdk.Edit{Point: "embeddings", Op: sdk.EditAdd}), sdk.EInvalid},
		"edit's shape":    {edit(sdk.Edit{Point: "embeddings", Op: sdk.EditAdd, Value: sdk.NewTensor(make([]float64, 15), 1, 1, 15)}), sdk.EInvalid},
		"edit's op":       {edit(sdk.Edit{Point: "embeddings", Op: 5}), sdk.EInvalid},
		"edit's type":     {edit(sdk.Edit{Point: "embeddings", Op: sdk.EditAdd, Value: sdk.NewTensor([]uint8{1}, 1)}), sdk.EInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Forward(t.Context(), c.f); !errors.Is(err, &sdk.Error{Code: c.want}) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	r := forward(t, s, &sdk.Forward{Texts: texts})
	if _, err := r.Tensor("attentions", 0); !errors.Is(err, &sdk.Error{Code: sdk.EName}) {
		t.Errorf("a tensor that was not asked for: %v", err)
	}
	if _, err := r.Tensor(sdk.ReplyTarget, 1); !errors.Is(err, &sdk.Error{Code: sdk.ERange}) {
		t.Errorf("a second target: %v", err)
	}
	if _, err := s.Gradient(t.Context(), &sdk.Forward{Texts: texts}, nil); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
		t.Errorf("a gradient at nothing: %v", err)
	}
	if _, err := s.Gradient(t.Context(), &sdk.Forward{Texts: texts, Rule: sdk.RuleLRPAlpha1}, []string{"embeddings"}); !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
		t.Errorf("relevance: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Forward(ctx, &sdk.Forward{Texts: texts}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, in := range []toy.Input{{Text: "a", Target: "3"}, {Text: "a", Output: "odds"}, {Text: "\xff"}, {Text: "a", Units: "line"}, {IDs: []int32{}}, {IDs: []int32{512}}, {Text: "a", IDs: []int32{1}}} {
		if _, err := transformer.Open(in); err == nil {
			t.Errorf("%+v opens", in)
		}
	}
}

// TestFormula holds its values and what its tokens contribute.
func TestFormula(t *testing.T) {
	m := toy.Formula(0.5, toy.Term{Coef: 2, Words: []string{"good"}}, toy.Term{Coef: -4, Words: []string{"not", "good"}}, toy.Term{Coef: 1, Words: []string{"w17"}})
	for text, want := range map[string]float64{
		"": 0.5, "good": 2.5, "good good": 4.5, "not": 0.5, "not good": -1.5, "a not so good film": -1.5, "w17 good": 3.5, "Good": 0.5,
	} {
		if got := open(t, m, toy.Input{Text: text, Target: "yes", Output: sdk.Logit}).Request().Target.Value; got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	s := open(t, m, toy.Input{Text: "not good", Target: "0", Output: sdk.Logit})
	drop := sdk.NewTensor([]uint8{0, 1, 1, 0, 0, 0}, 3, 2)
	for kind := sdk.FillMask; kind.Known(); kind++ {
		got := target(t, s, &sdk.Forward{Units: drop, Fill: sdk.Fill{Kind: kind, Text: "UNKWORDZ", Token: 4711}})
		if !slices.Equal(got, []float64{2.5, 0.5, 0.5}) {
			t.Errorf("%s: %v", kind, got)
		}
	}
	if _, err := s.Generate(t.Context(), &sdk.Generation{MaxTokens: 1}); !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
		t.Errorf("a formula generates: %v", err)
	}
	if _, err := s.Forward(t.Context(), &sdk.Forward{Texts: []string{"a"}, Points: []string{"hidden_states[0]"}}); !errors.Is(err, &sdk.Error{Code: sdk.EName}) {
		t.Errorf("a formula has hidden states: %v", err)
	}
}

func TestGenerate(t *testing.T) {
	s := open(t, transformer, toy.Input{Text: "once upon a time"})
	generate := func(g sdk.Generation) *sdk.Continuation {
		c, err := s.Generate(t.Context(), &g)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	greedy := generate(sdk.Generation{MaxTokens: 6})
	if len(greedy.IDs) != 6 || len(greedy.LogProbs) != 6 {
		t.Fatalf("greedy: %+v", greedy)
	}
	if diff := cmp.Diff(greedy, generate(sdk.Generation{MaxTokens: 6, Temperature: 3, TopK: 1, Seed: 9})); diff != "" {
		t.Errorf("the best of one: %s", diff)
	}
	if diff := cmp.Diff(greedy, generate(sdk.Generation{MaxTokens: 6, Temperature: 1, TopP: 1e-9, Seed: 9})); diff != "" {
		t.Errorf("the best: %s", diff)
	}
	drawn := generate(sdk.Generation{MaxTokens: 6, Temperature: 5, Seed: 1})
	if diff := cmp.Diff(drawn, generate(sdk.Generation{MaxTokens: 6, Temperature: 5, Seed: 1})); diff != "" {
		t.Errorf("the same seed: %s", diff)
	}
	if slices.Equal(drawn.IDs, generate(sdk.Generation{MaxTokens: 6, Temperature: 5, Seed: 2}).IDs) {
		t.Error("another seed draws the same")
	}
	// The text reads back as the ids.
	tokens, err := s.Tokenize(t.Context(), drawn.Text)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range drawn.IDs {
		if tokens[i+1].ID != id {
			t.Errorf("token %d of %q is %d, want %d", i, drawn.Text, tokens[i+1].ID, id)
		}
	}
	ids := make([]int32, 511)
	if c := generate(sdk.Generation{Prompt: append(ids, 9)[:511], MaxTokens: 5}); len(c.IDs) != 1 {
		t.Errorf("511 tokens are continued by %d", len(c.IDs))
	}
	if _, err := s.Generate(t.Context(), &sdk.Generation{}); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
		t.Errorf("nothing to add: %v", err)
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]string{
		"A gripping film.":         "A gripping film .",
		"beautifully photographed": "beautifu ##lly photogra ##phed",
		"中文 です":                    "中 文 で す",
		"don't":                    "don ' t",
		"😀👍🏽 👨‍👩‍👧 🇩🇪🇫🇷":             "😀 👍🏽 👨‍👩‍👧 🇩🇪 🇫🇷",
		"e\u0301a\u0308 \u0301":      "e\u0301a\u0308 \u0301",
		"שלום עולם":                  "שלום עולם",
		"x[MASK]y [PAD":              "x [MASK] y [ PAD",
		" \t\n\x00":                  "",
		"a\x00b":                     "a b",
		"می\u200cخواهم":              "می\u200cخواهم",
		strings.Repeat("o\u0302", 9): strings.Repeat("o\u0302", 4) + " ##" + strings.Repeat("o\u0302", 4) + " ##o\u0302",
		"1234567890":                 "12345678 ##90",
		"–—…\u200b":                  "– — … \u200b",
	} {
		var got []string
		for _, token := range open(t, transformer, toy.Input{Text: text}).Request().Tokens {
			if !token.Special || token.End > 0 {
				got = append(got, token.Text)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q gives %q, want %q", text, strings.Join(got, " "), want)
		}
	}
}

func TestUnits(t *testing.T) {
	pair := "Und noch einer"
	for policy, want := range map[string][]string{
		toy.UnitsToken:    {"Good", ".", "Beautifu", "lly", "done", "!", "”", "Yes", "Und", "noch", "einer"},
		toy.UnitsWord:     {"Good", ".", "Beautifully", "done", "!", "”", "Yes", "Und", "noch", "einer"},
		toy.UnitsSentence: {"Good.", "Beautifully done!”", "Yes", "Und noch einer"},
	} {
		r := open(t, transformer, toy.Input{Text: "Good. Beautifully done!” Yes", TextPair: &pair, Units: policy}).Request()
		var got []string
		for _, u := range r.Units {
			got = append(got, u.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", policy, diff)
		}
	}
}

// FuzzOpen holds that any text can be opened: tokens are where they say, units
// partition them, and what is dropped can be run.
func FuzzOpen(f *testing.F) {
	for _, text := range []string{"", "A good film.", "中文😀", "שלום", "e\u0301", "[MASK]", "👨‍👩‍👧🇩🇪🇫", "a\x00b\u200d", "\u0301\u0301", strings.Repeat("long ", 700)} {
		f.Add(text, uint8(0))
		f.Add(text, uint8(2))
	}
	f.Fuzz(func(t *testing.T, text string, policy uint8) {
		in := toy.Input{Text: text, Units: []string{toy.UnitsToken, toy.UnitsWord, toy.UnitsSentence}[policy%3]}
		s, err := toy.Formula(1, toy.Term{Coef: 1, Words: []string{"good"}}).Open(in)
		if err != nil {
			if !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
				t.Fatal(err)
			}
			return
		}
		r := s.Request()
		at, next := 0, 0
		for _, token := range r.Tokens {
			if token.Start == 0 && token.End == 0 {
				continue
			}
			piece := strings.TrimPrefix(token.Text, "##")
			if token.Start < at || text[token.Start:token.End] != piece && text[token.Start:token.End] != token.Text ||
				len([]rune(text[:token.Start])) != token.RuneStart || len([]rune(text[:token.End])) != token.RuneEnd {
				t.Fatalf("token %+v of %q", token, text)
			}
			at = token.End
		}
		for _, u := range r.Units {
			for _, i := range u.Tokens {
				for next < len(r.Tokens) && r.Tokens[next].Special {
					next++
				}
				if i != next {
					t.Fatalf("unit %q has token %d, and %d is next", u.Text, i, next)
				}
				next++
			}
			if u.Text != text[u.Spans[0].Start:u.Spans[0].End] {
				t.Fatalf("unit %+v of %q", u, text)
			}
		}
		if n := len(r.Units); n > 0 && n < 200 {
			rows := all(2, n)
			clear(rows.Data.([]uint8)[n:])
			if _, err := s.Forward(t.Context(), &sdk.Forward{Units: rows}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestInfo holds the sizes that a model says it has to what it gives.
func TestInfo(t *testing.T) {
	for name, m := range map[string]*toy.Model{"transformer": transformer, "formula": toy.Formula(0)} {
		info := m.Info()
		f := &sdk.Forward{Texts: []string{"one two"}, Points: []string{"embeddings"}}
		if info.Layers > 0 {
			f.Points = append(f.Points, "hidden_states", "attentions")
		}
		r := forward(t, open(t, m, toy.Input{Text: "one two"}), f)
		if _, shape := values(t, r, "embeddings", 0); shape[2] != info.Embedding {
			t.Errorf("%s: embeddings %v, and the width is said to be %d", name, shape, info.Embedding)
		}
		if info.Layers > 0 {
			if _, shape := values(t, r, "hidden_states", info.Layers); shape[2] != info.Hidden {
				t.Errorf("%s: hidden states %v, and the width is said to be %d", name, shape, info.Hidden)
			}
			if _, shape := values(t, r, "attentions", info.Layers-1); shape[1] != info.Heads {
				t.Errorf("%s: attentions %v of %d heads", name, shape, info.Heads)
			}
		}
		for _, id := range append(info.SpecialIDs, *info.MaskID, *info.PadID) {
			if int(id) >= info.Vocabulary || !slices.Contains(info.SpecialIDs, id) {
				t.Errorf("%s: token %d of %d is not among the special ones %v", name, id, info.Vocabulary, info.SpecialIDs)
			}
		}
	}
}
