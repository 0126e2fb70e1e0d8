package abi_test

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

func TestNames(t *testing.T) {
	if abi.Version != 0x10000 || abi.Namespace != "xai1" {
		t.Errorf("version %#x in %s", abi.Version, abi.Namespace)
	}
	got := []string{abi.ExportMemory, abi.ExportVersion, abi.ExportAlloc, abi.ExportExplain, abi.ExportInit}
	if diff := cmp.Diff([]string{"memory", "xai_abi", "xai_alloc", "xai_explain", "_initialize"}, got); diff != "" {
		t.Error(diff)
	}
	for w, want := range map[abi.Want]string{0: "", abi.WantTarget: "target", abi.WantLogits: "logits", abi.WantProbs: "probs", abi.WantLogProbs: "logprobs", 5: "", math.MaxUint32: ""} {
		if w.String() != want {
			t.Errorf("want %d is %q, not %q", w, w.String(), want)
		}
	}
}

var (
	tokens = []sdk.Token{
		{ID: -1, Text: "[CLS]", Special: true},
		{ID: math.MaxInt32, Text: "größer", Sequence: 1, Start: 3, End: 11, RuneStart: 2, RuneEnd: 8, Fixed: true},
	}
	units = []sdk.Unit{
		{Text: "", Tokens: []int{0}},
		{Text: "zwei", Spans: []sdk.Span{{Sequence: 1, Start: 3, End: 4}, {Sequence: 1, Start: 5, End: 7}}},
		{Text: "ü", Spans: []sdk.Span{{}}, Tokens: []int{3, 1, 2}},
	}
	target = sdk.Target{
		Kind: sdk.KindDifference, Expr: "a - b", Index: 2, Label: "a - b", Output: sdk.LogProb, Value: -1.25,
		Positions: []int{0, 258}, Second: 1, SecondLabel: "b",
	}
	info = sdk.ModelInfo{
		ID: "m", Architecture: "bert", Task: "t", Labels: []string{"", "ja"}, MaskToken: "[MASK]",
		Layers: 1, Heads: 2, Embedding: 3, Hidden: 4, Vocabulary: 5, MaxTokens: 6,
		MaskID: new(int32(0)), PadID: new(int32(7)), SpecialIDs: []int32{0, 7},
	}
)

// The bytes of one frame of each kind, so that an encoding cannot change on
// both sides at once.
func TestBytesArePinned(t *testing.T) {
	frame := func(write func(w *abi.Writer)) []byte {
		var w abi.Writer
		write(&w)
		return w.B
	}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"request": {abi.AppendRequest(nil, "lime"), "0100 0100 04000000 6c696d65"},
		"forward": {abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldTexts, Handle: 2, Extra: 3, Fill: sdk.Fill{Kind: sdk.FillText, Token: -1, Text: "x"}, Target: "0", KeepDuplicates: true, Want: []abi.Want{abi.WantLogits}}),
			"0300 0100 10000000 0200000000000000 0300000000000000" +
				"0500 0100 09000000 04000000 ffffffff 78" +
				"0600 0100 01000000 30" +
				"0800 0100 01000000 00" +
				"0900 0100 04000000 02000000"},
		"units": {abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldUnits, Handle: 1, Over: []sdk.Unit{{Text: "a", Spans: []sdk.Span{{Start: 1, End: 2}}, Tokens: []int{5}}}}),
			"0100 0100 08000000 0100000000000000" +
				"0700 0100 45000000" +
				" 0100 0100 05000000 01000000 61" +
				" 0200 0100 04000000 01000000" +
				" 0300 0100 0c000000 00000000 01000000 02000000" +
				" 0400 0100 04000000 01000000" +
				" 0500 0100 04000000 05000000"},
		"gradient": {abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldEmbeds, Handle: 1, Points: []string{"z0"}, Edits: []abi.Edit{{Point: "z0", Op: sdk.EditAdd, Value: 2}}, Wrt: []string{"z1"}}),
			"0a00 0100 08000000 0100000000000000" +
				"0b00 0100 0a000000 01000000 02000000 7a30" +
				"0c00 0100 16000000 01000000 02000000 7a30 03000000 0200000000000000" +
				"0d00 0100 0a000000 01000000 02000000 7a31"},
		"generation": {abi.AppendGeneration(nil, &abi.Generation{Prompt: 1, MaxTokens: 2, Temperature: 1, TopK: 3, TopP: 1, Seed: 4}),
			"0100 0100 04000000 02000000 0200 0100 08000000 0100000000000000 0300 0100 08000000 000000000000f03f" +
				"0400 0100 04000000 03000000 0500 0100 08000000 000000000000f03f 0600 0100 08000000 0400000000000000"},
		"operation": {abi.AppendOperation(nil, &abi.Operation{Operands: []int64{1}, Scalars: []float64{1}}),
			"0100 0100 08000000 0100000000000000 0200 0100 08000000 000000000000f03f"},
		"meta": {abi.AppendMeta(nil, &abi.Meta{Axes: []string{"units"}}), "0100 0100 0d000000 01000000 05000000 756e697473"},
		"tokens": {frame(func(w *abi.Writer) { w.Tokens(tokens) }),
			"0100 0000 08000000 ffffffff ffffff7f" +
				"0200 0000 08000000 00000000 01000000" +
				"0300 0000 08000000 00000000 03000000" +
				"0400 0000 08000000 00000000 0b000000" +
				"0500 0000 08000000 00000000 02000000" +
				"0600 0000 08000000 00000000 08000000" +
				"0700 0000 08000000 01000000 02000000" +
				"0800 0000 15000000 05000000 5b434c535d 08000000 6772c3b6c39f6572"},
		"target": {frame(func(w *abi.Writer) { w.Target(target) }),
			"0100 0000 0a000000 646966666572656e6365" +
				"0200 0000 05000000 61202d2062" +
				"0300 0000 05000000 61202d2062" +
				"0400 0000 04000000 02000000" +
				"0500 0000 04000000 03000000" +
				"0600 0000 08000000 000000000000f4bf" +
				"0700 0000 08000000 00000000 02010000" +
				"0800 0000 04000000 01000000" +
				"0900 0000 01000000 62"},
		"target of little": {frame(func(w *abi.Writer) { w.Target(sdk.Target{}) }), "0600 0000 08000000 0000000000000000"},
		"model": {frame(func(w *abi.Writer) { w.Model(info) }),
			"0100 0000 01000000 6d" +
				"0200 0000 04000000 62657274" +
				"0300 0000 01000000 74" +
				"0400 0000 06000000 5b4d41534b5d" +
				"0500 0000 0e000000 02000000 00000000 02000000 6a61" +
				"0600 0000 04000000 01000000" +
				"0700 0000 04000000 02000000" +
				"0800 0000 04000000 03000000" +
				"0900 0000 04000000 04000000" +
				"0a00 0000 04000000 05000000" +
				"0b00 0000 04000000 06000000" +
				"0c00 0000 04000000 00000000" +
				"0d00 0000 04000000 07000000" +
				"0e00 0000 08000000 00000000 07000000"},
		"model of nothing": {frame(func(w *abi.Writer) { w.Model(sdk.ModelInfo{}) }), ""},
	} {
		if want := strings.ReplaceAll(c.want, " ", ""); hex.EncodeToString(c.got) != want {
			t.Errorf("%s: %x, want %s", name, c.got, want)
		}
	}
}

// TestLists bounds what a list costs: beyond the list's head, 32 bytes a token and
// its text.
func TestLists(t *testing.T) {
	const n = 1000
	list := make([]sdk.Token, n)
	for i := range list {
		list[i] = sdk.Token{ID: int32(i), Text: "token", Start: 6 * i, End: 6*i + 5, RuneStart: 6 * i, RuneEnd: 6*i + 5}
	}
	var w abi.Writer
	w.Tokens(list)
	if want := 8*8 + n*(32+len("token")); len(w.B) != want {
		t.Errorf("%d tokens are %d bytes, want %d", n, len(w.B), want)
	}
	r := abi.NewReader(w.B)
	if diff := cmp.Diff(list, r.Tokens()); diff != "" || r.End() != nil {
		t.Errorf("%v %s", r.End(), diff)
	}
}

// TestRecordsGrow reads records of a later minor: what is new is skipped, unless
// the reader must know it.
func TestRecordsGrow(t *testing.T) {
	for name, c := range map[string]struct {
		write func(w *abi.Writer)
		read  func(r *abi.Reader) any
		want  any
	}{
		"tokens": {func(w *abi.Writer) { w.Tokens(tokens) }, func(r *abi.Reader) any { return r.Tokens() }, tokens},
		"units":  {func(w *abi.Writer) { w.Units(units) }, func(r *abi.Reader) any { return r.Units() }, units},
		"target": {func(w *abi.Writer) { w.Target(target) }, func(r *abi.Reader) any { return r.Target() }, target},
		"model":  {func(w *abi.Writer) { w.Model(info) }, func(r *abi.Reader) any { return r.Model() }, info},
	} {
		for _, tag := range []abi.Field{0, 15, 99, math.MaxUint16} {
			var w abi.Writer
			w.B = append(w.B, field(tag, 0, "later")...)
			c.write(&w)
			w.B = append(w.B, field(tag, 0, "and twice")...)
			r := abi.NewReader(w.B)
			if diff := cmp.Diff(c.want, c.read(r)); diff != "" || r.End() != nil {
				t.Errorf("%s with field %d: %v %s", name, tag, r.End(), diff)
			}
			r = abi.NewReader(append(w.B, field(tag, abi.FlagCritical, "")...))
			if c.read(r); !errors.Is(r.End(), &sdk.Error{Code: sdk.EUnsupported}) {
				t.Errorf("%s with the critical field %d: %v", name, tag, r.End())
			}
		}
	}
}

// TestBadLists reads columns that do not belong together.
func TestBadLists(t *testing.T) {
	one, none := "\x01\x00\x00\x00", "\x00\x00\x00\x00"
	token := func(change abi.Field, value string) string {
		var s string
		for f := abi.FieldTokenIDs; f <= abi.FieldTokenTexts; f++ {
			v := none
			if f == change {
				v = value
			}
			s += field(f, 0, v)
		}
		return s
	}
	unit := func(texts, spanCounts, spans, tokenCounts, tokens string) string {
		return field(abi.FieldUnitTexts, 0, texts) + field(abi.FieldUnitSpanCounts, 0, spanCounts) + field(abi.FieldUnitSpans, 0, spans) +
			field(abi.FieldUnitTokenCounts, 0, tokenCounts) + field(abi.FieldUnitTokens, 0, tokens)
	}
	for name, c := range map[string]struct {
		frame  string
		tokens bool
		ok     bool
	}{
		"no tokens":         {"", true, true},
		"a token":           {token(0, ""), true, true},
		"texts alone":       {field(abi.FieldTokenTexts, 0, none), true, false},
		"ids alone":         {field(abi.FieldTokenIDs, 0, none), true, false},
		"half an id":        {field(abi.FieldTokenIDs, 0, "\x00\x00"), true, false},
		"no ids":            {token(abi.FieldTokenIDs, ""), true, false},
		"two ids":           {token(abi.FieldTokenIDs, none+none), true, false},
		"no flags":          {token(abi.FieldTokenFlags, ""), true, false},
		"two rune ends":     {token(abi.FieldTokenRuneEnds, none+none), true, false},
		"no text":           {token(abi.FieldTokenTexts, ""), true, false},
		"two texts":         {token(abi.FieldTokenTexts, none+none), true, false},
		"a text cut":        {token(abi.FieldTokenTexts, one), true, false},
		"a text of 4 GiB":   {token(abi.FieldTokenTexts, "\xff\xff\xff\xff"), true, false},
		"a column twice":    {token(0, "") + field(abi.FieldTokenIDs, 0, none), true, false},
		"no units":          {"", false, true},
		"a unit":            {unit(none, none, "", none, ""), false, true},
		"a unit of a token": {unit(none, none, "", one, none), false, true},
		"fewer tokens":      {unit(none, none, "", one, ""), false, false},
		"more tokens":       {unit(none, none, "", one, none+none), false, false},
		"half a token":      {unit(none, none, "", one, none+"\x00"), false, false},
		"tokens of no unit": {unit("", "", "", "", none), false, false},
		"a unit of a span":  {unit(none, one, none+none+none, none, ""), false, true},
		"fewer spans":       {unit(none, one, none+none, none, ""), false, false},
		"more spans":        {unit(none, none, none+none+none, none, ""), false, false},
		"4 G spans":         {unit(none, "\xff\xff\xff\xff", none+none+none, none, ""), false, false},
		"no counts":         {unit(none, "", "", none, ""), false, false},
		"counts of two":     {unit(none, none+none, "", none, ""), false, false},
		"texts of two":      {unit(none+none, none, "", none, ""), false, false},
		"texts of no unit":  {field(abi.FieldUnitTexts, 0, none), false, false},
	} {
		r := abi.NewReader([]byte(c.frame))
		if c.tokens {
			r.Tokens()
		} else {
			r.Units()
		}
		if err := r.End(); c.ok != (err == nil) || !c.ok && !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		frame string
		want  sdk.Errno
	}{
		"half a position":       {field(abi.FieldTargetPositions, 0, one+"\x00"), sdk.EInvalid},
		"a short value":         {field(abi.FieldTargetValue, 0, one), sdk.EInvalid},
		"a kind twice":          {field(abi.FieldTargetKind, 0, "a") + field(abi.FieldTargetKind, 0, "a"), sdk.EInvalid},
		"an output that is new": {field(abi.FieldTargetOutput, 0, "\x04\x00\x00\x00"), sdk.EUnsupported},
	} {
		r := abi.NewReader([]byte(c.frame))
		if r.Target(); !errors.Is(r.End(), &sdk.Error{Code: c.want}) {
			t.Errorf("%s: %v", name, r.End())
		}
	}
}

func TestRoundTrips(t *testing.T) {
	var w abi.Writer
	w.Strings([]string{"a", ""})
	w.Bool(true)
	w.U16(65535)
	w.U64(math.MaxUint64)
	w.I64(math.MinInt64)
	w.F64(math.Inf(-1))
	r := abi.NewReader(w.B)
	for _, c := range []struct{ want, got any }{
		{[]string{"a", ""}, r.Strings()},
		{uint8(1), r.U8()}, {uint16(65535), r.U16()}, {uint64(math.MaxUint64), r.U64()}, {int64(math.MinInt64), r.I64()}, {math.Inf(-1), r.F64()},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
	pass(t, nil, (*abi.Writer).Tokens, (*abi.Reader).Tokens)
	pass(t, tokens, (*abi.Writer).Tokens, (*abi.Reader).Tokens)
	pass(t, []sdk.Unit{}, (*abi.Writer).Units, (*abi.Reader).Units)
	pass(t, units, (*abi.Writer).Units, (*abi.Reader).Units)
	pass(t, sdk.Target{}, (*abi.Writer).Target, (*abi.Reader).Target)
	pass(t, target, (*abi.Writer).Target, (*abi.Reader).Target)
	pass(t, sdk.ModelInfo{}, (*abi.Writer).Model, (*abi.Reader).Model)
	pass(t, info, (*abi.Writer).Model, (*abi.Reader).Model)
	pass(t, nil, (*abi.Writer).Indices, (*abi.Reader).Indices)
	pass(t, []int{3, math.MaxUint32}, (*abi.Writer).Indices, (*abi.Reader).Indices)
	for _, f := range []*abi.Forward{
		{Rows: abi.FieldUnits, Handle: 1},
		{Rows: abi.FieldUnits, Handle: 1, Over: units},
		{Rows: abi.FieldUnits, Handle: 1, Over: []sdk.Unit{}},
		{Rows: abi.FieldMasks, Handle: math.MaxInt64, Fill: sdk.Fill{Kind: sdk.FillToken, Token: 5}, Target: "1 - 0", Want: []abi.Want{}},
		{Rows: abi.FieldTexts, Handle: 3, Extra: 4, KeepDuplicates: true, Want: []abi.Want{abi.WantTarget, abi.WantLogProbs}},
		{Rows: abi.FieldIDs, Handle: 3, Extra: 4, Fill: sdk.Fill{Text: "only text"}},
		{Rows: abi.FieldEmbeds, Handle: 3, Points: []string{"attentions", "hidden_states[2]"}, Edits: []abi.Edit{{Point: "z0[h=1]", Op: sdk.EditAdd, Value: 9}, {Point: "z1"}}},
		{Rows: abi.FieldEmbeds, Handle: 3, Wrt: []string{"embeddings"}},
	} {
		parse := abi.ParseForward
		if f.Wrt != nil {
			parse = abi.ParseGradient
		}
		got, err := parse(abi.AppendForward([]byte{}, f))
		if err != nil {
			t.Errorf("%+v: %v", f, err)
		} else if diff := cmp.Diff(f, got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := abi.ParseGradient(abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldUnits, Handle: 1})); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
		t.Errorf("a gradient at no point: %v", err)
	}
	for _, g := range []*abi.Generation{{MaxTokens: 1}, {Prompt: 7, MaxTokens: 20, Temperature: 0.5, TopK: 3, TopP: 0.9, Seed: math.MaxUint64}} {
		got, err := abi.ParseGeneration(abi.AppendGeneration(nil, g))
		if diff := cmp.Diff(g, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	if _, err := abi.ParseGeneration(nil); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
		t.Errorf("a generation of no token: %v", err)
	}
	for _, o := range []*abi.Operation{{Operands: []int64{1}}, {Operands: []int64{1, -2, 3}, Scalars: []float64{1, math.Inf(1)}}} {
		got, err := abi.ParseOperation(abi.AppendOperation(nil, o))
		if diff := cmp.Diff(o, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	for _, m := range []*abi.Meta{{}, {Axes: []string{"units"}}, {Axes: []string{"a", "b"}, Units: units}, {Units: []sdk.Unit{}}} {
		got, err := abi.ParseMeta(abi.AppendMeta(nil, m))
		if err != nil {
			t.Errorf("%+v: %v", m, err)
		} else if diff := cmp.Diff(m, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, c := range []struct {
		t sdk.ParamType
		v any
	}{{sdk.Int, int64(-5)}, {sdk.Float, math.Pi}, {sdk.Bool, false}, {sdk.Bool, true}, {sdk.String, "ä"}, {sdk.Enum, ""}} {
		var w abi.Writer
		if !w.Param(c.t, c.v) {
			t.Errorf("%v is no %s", c.v, c.t)
		}
		r := abi.NewReader(w.B)
		if got := r.Param(); got != c.v || r.End() != nil {
			t.Errorf("%s: %v, want %v (%v)", c.t, got, c.v, r.Err())
		}
		for _, other := range []sdk.ParamType{sdk.Int, sdk.Float, sdk.Bool, sdk.String} {
			if other != c.t && !(c.t == sdk.Enum && other == sdk.String) && new(abi.Writer).Param(other, c.v) {
				t.Errorf("%v passes for %s", c.v, other)
			}
		}
	}
	if new(abi.Writer).Param(sdk.Int, 5) || new(abi.Writer).Param(sdk.Int, nil) {
		t.Error("a Go int or nil passes for a parameter")
	}
}

// pass writes v and reads it again.
func pass[T any](t *testing.T, v T, write func(*abi.Writer, T), read func(*abi.Reader) T) {
	t.Helper()
	var w abi.Writer
	write(&w, v)
	r := abi.NewReader(w.B)
	if diff := cmp.Diff(v, read(r)); diff != "" || r.End() != nil {
		t.Errorf("%v %s", r.End(), diff)
	}
}

// What does not fit into an index must not become another index.
func TestIndexSaturates(t *testing.T) {
	for _, v := range []int{-1, math.MaxUint32, math.MaxUint32 + 1, 1<<32 + 1, math.MaxInt} {
		var w abi.Writer
		w.Index(v)
		if got := abi.NewReader(w.B).Index(); got != math.MaxUint32 {
			t.Errorf("%d became %d", v, got)
		}
	}
}

func field(tag abi.Field, flags uint16, value string) string {
	var w abi.Writer
	m := w.Open(tag, flags)
	w.Text(value)
	w.Close(m)
	return string(w.B)
}

func TestBadFrames(t *testing.T) {
	units := field(abi.FieldUnits, 1, "\x01\x00\x00\x00\x00\x00\x00\x00")
	for name, c := range map[string]struct {
		frame string
		want  sdk.Errno
	}{
		"empty":                {"", sdk.EInvalid},
		"rows twice":           {units + field(abi.FieldMasks, 1, "\x01\x00\x00\x00\x00\x00\x00\x00"), sdk.EInvalid},
		"field twice":          {units + units, sdk.EInvalid},
		"head cut":             {units[:7], sdk.EInvalid},
		"value cut":            {units[:len(units)-1], sdk.EInvalid},
		"value long":           {field(abi.FieldUnits, 1, "\x01\x00\x00\x00\x00\x00\x00\x00\x00"), sdk.EInvalid},
		"value short":          {field(abi.FieldUnits, 1, "\x01"), sdk.EInvalid},
		"length of 4 GiB":      {"\x01\x00\x01\x00\xff\xff\xff\xff", sdk.EInvalid},
		"critical and unknown": {units + field(99, abi.FlagCritical, ""), sdk.EUnsupported},
		"flags and unknown":    {units + field(99, 0xffff, ""), sdk.EUnsupported},
		"over is no frame":     {units + field(abi.FieldOver, 1, "\xff\xff\xff\xff"), sdk.EInvalid},
		"over of texts alone":  {units + field(abi.FieldOver, 1, field(abi.FieldUnitTexts, 1, "\x00\x00\x00\x00")), sdk.EInvalid},
		"over of what is new":  {units + field(abi.FieldOver, 1, field(99, 1, "")), sdk.EUnsupported},
		"want cut":             {units + field(abi.FieldWant, 1, "\x01\x00"), sdk.EInvalid},
		"want unknown":         {units + field(abi.FieldWant, 1, "\x09\x00\x00\x00"), sdk.EUnsupported},
		"unknown twice":        {units + field(70, 0, "x") + field(70, 0, "y") + field(60, 0, "x") + field(60, 0, "y"), 0},
		"wrt of a forward":     {units + field(abi.FieldWrt, 1, "\x01\x00\x00\x00\x01\x00\x00\x00a"), sdk.EUnsupported},
		"rule of a forward":    {units + field(abi.FieldRule, 1, "\x01\x00\x00\x00"), sdk.EUnsupported},
		"edits cut":            {units + field(abi.FieldEdits, 1, "\x01\x00\x00\x00\x01\x00\x00\x00a\x00\x00\x00\x00\x01"), sdk.EInvalid},
		"2 G edits":            {units + field(abi.FieldEdits, 1, "\xff\xff\xff\x7f"), sdk.EInvalid},
	} {
		_, err := abi.ParseForward([]byte(c.frame))
		if c.want == 0 && err != nil || c.want != 0 && !errors.Is(err, &sdk.Error{Code: c.want}) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := abi.ParseRequest([]byte(field(2, 1, ""))); !errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
		t.Errorf("a request with a critical field that is unknown: %v", err)
	}
	if m, err := abi.ParseRequest([]byte(field(2, 0, "later") + field(1, 1, "lime"))); err != nil || m != "lime" {
		t.Errorf("a request with a field that is unknown: %q, %v", m, err)
	}
	if _, err := abi.ParseMeta([]byte(field(abi.FieldAxes, 1, "\x01\x00\x00\x00\x05\x00\x00\x00unit"))); !errors.Is(err, &sdk.Error{Code: sdk.EInvalid}) {
		t.Errorf("a string that is cut: %v", err)
	}
	r := abi.NewReader([]byte{9, 0, 0, 0})
	if r.Param() != nil || !errors.Is(r.Err(), &sdk.Error{Code: sdk.EInvalid}) {
		t.Errorf("a parameter of unknown type: %v", r.Err())
	}
}

func TestElements(t *testing.T) {
	for _, c := range []struct {
		shape []int
		n     int
		ok    bool
	}{
		{nil, 1, true}, {[]int{3, 4}, 12, true}, {[]int{0, math.MaxInt}, 0, true}, {[]int{math.MaxInt, 0}, 0, true}, {[]int{math.MaxInt, 1}, math.MaxInt, true},
		{[]int{-1}, 0, false}, {[]int{0, -1}, 0, false}, {[]int{1 << 32, 1 << 31}, 0, false}, {[]int{math.MaxInt, 2}, 0, false},
	} {
		if n, ok := abi.Elements(c.shape); ok != c.ok || ok && n != c.n {
			t.Errorf("%v: %d, %v", c.shape, n, ok)
		}
	}
}

// same compares what a frame was read as with what it is read as once written
// again.
func same[T any](t *testing.T, got, again T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("what was read and written cannot be read: %v", err)
	}
	if diff := cmp.Diff(got, again, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzForward(f *testing.F) {
	f.Add(abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldUnits, Handle: 1, Over: units, Fill: sdk.Fill{Kind: sdk.FillText, Text: "x"}, Target: "a - b", KeepDuplicates: true, Want: []abi.Want{1, 2}}))
	f.Add(abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldIDs, Handle: 1, Extra: 2}))
	f.Add([]byte("\x01\x00\x01\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := abi.ParseForward(b)
		if err != nil {
			return
		}
		again, err := abi.ParseForward(abi.AppendForward(nil, got))
		same(t, got, again, err)
	})
}

// FuzzSpecs reads the bytes as each of the other specs.
func FuzzSpecs(f *testing.F) {
	f.Add(abi.AppendForward(nil, &abi.Forward{Rows: abi.FieldEmbeds, Handle: 1, Points: []string{"a"}, Edits: []abi.Edit{{Point: "a", Op: 3, Value: 2}}, Wrt: []string{"b"}}))
	f.Add(abi.AppendGeneration(nil, &abi.Generation{Prompt: 7, MaxTokens: 20, Temperature: 0.5, TopK: 3, TopP: 0.9, Seed: 1}))
	f.Add(abi.AppendOperation(nil, &abi.Operation{Operands: []int64{1, 2}, Scalars: []float64{1}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := abi.ParseGradient(b); err == nil {
			again, err := abi.ParseGradient(abi.AppendForward(nil, got))
			same(t, got, again, err)
		}
		if got, err := abi.ParseGeneration(b); err == nil {
			again, err := abi.ParseGeneration(abi.AppendGeneration(nil, got))
			same(t, got, again, err)
		}
		if got, err := abi.ParseOperation(b); err == nil {
			again, err := abi.ParseOperation(abi.AppendOperation(nil, got))
			same(t, got, again, err)
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(abi.AppendMeta(nil, &abi.Meta{Axes: []string{"a", "b"}, Units: units}))
	f.Add([]byte(field(abi.FieldResultUnits, 0, field(abi.FieldUnitTexts, 0, "\xff\xff\xff\xff"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := abi.ParseMeta(b)
		if err != nil {
			return
		}
		again, err := abi.ParseMeta(abi.AppendMeta(nil, got))
		same(t, got, again, err)
	})
}

// FuzzInputs reads the bytes as each of the inputs, as a module does with what
// the host answers.
func FuzzInputs(f *testing.F) {
	for _, write := range []func(w *abi.Writer){
		func(w *abi.Writer) { w.Tokens(tokens) }, func(w *abi.Writer) { w.Units(units) }, func(w *abi.Writer) { w.Target(target) },
		func(w *abi.Writer) { w.Model(info) }, func(w *abi.Writer) { w.Param(sdk.Enum, "mask") }, func(w *abi.Writer) { w.Strings([]string{"forward"}) },
	} {
		var w abi.Writer
		write(&w)
		f.Add(w.B)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip(t, b, (*abi.Reader).Tokens, (*abi.Writer).Tokens)
		roundTrip(t, b, (*abi.Reader).Units, (*abi.Writer).Units)
		roundTrip(t, b, (*abi.Reader).Target, (*abi.Writer).Target)
		roundTrip(t, b, (*abi.Reader).Model, (*abi.Writer).Model)
		roundTrip(t, b, (*abi.Reader).Strings, (*abi.Writer).Strings)
		roundTrip(t, b, (*abi.Reader).Param, func(w *abi.Writer, v any) {
			for _, p := range []sdk.ParamType{sdk.Int, sdk.Float, sdk.Bool, sdk.String} {
				if trial := (abi.Writer{}); trial.Param(p, v) {
					w.Param(p, v)
					return
				}
			}
			t.Fatalf("a parameter was read as %T", v)
		})
	})
}

func roundTrip[T any](t *testing.T, b []byte, read func(*abi.Reader) T, write func(*abi.Writer, T)) {
	r := abi.NewReader(b)
	got := read(r)
	if r.End() != nil {
		return
	}
	var w abi.Writer
	write(&w, got)
	r = abi.NewReader(w.B)
	again := read(r)
	same(t, got, again, r.End())
}
