package wasm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/hostcall"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// guest is one page of a module's memory, and the call that its host functions
// work on.
type guest struct {
	t   testing.TB
	mem api.Memory
	*hostcall.Call
}

func newGuest(t testing.TB, model sdk.Model, r *sdk.Request, info sdk.Info, limits Limits) *guest {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "modules", "code_silent.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	runtime := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { runtime.Close(t.Context()) })
	m, err := runtime.Instantiate(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return &guest{t, m.Memory(), hostcall.New(t.Context(), model, r, info, limits)}
}

// put writes b to the guest's memory and returns its length.
func (g *guest) put(at uint32, b []byte) uint64 {
	g.t.Helper()
	if !g.mem.Write(at, b) {
		g.t.Fatal("the test writes outside the memory")
	}
	return uint64(len(b))
}

func (g *guest) get(at uint32, n int64) []byte {
	g.t.Helper()
	b, ok := g.mem.Read(at, uint32(n))
	if !ok {
		g.t.Fatal("the test reads outside the memory")
	}
	return b
}

// do calls a host function as a module does: it returns the errno of a failure.
func (g *guest) do(name string, args ...uint64) int64 {
	g.t.Helper()
	f, ok := hostFunctions[name]
	if !ok {
		g.t.Fatalf("there is no %s", name)
	}
	if params, _ := f.signature.types(); len(params) != len(args) {
		g.t.Fatalf("%s takes %d arguments", name, len(params))
	}
	return g.Do(func() (int64, error) { return f.run(g.Call, g.mem, args) })
}

// tensor makes a tensor in the host, with dims put at 0.
func (g *guest) tensorOf(dtype sdk.DType, dims ...int64) int64 {
	var w abi.Writer
	for _, d := range dims {
		w.I64(d)
	}
	g.put(0, w.B)
	return g.do("tensor_new", uint64(dtype), uint64(len(dims)), 0)
}

func (g *guest) want(what string, got int64, want sdk.Errno) {
	g.t.Helper()
	if got != int64(want) {
		g.t.Errorf("%s: got %d, want %v", what, got, want)
	}
}

var hostInfo = sdk.Info{Name: "host", Needs: []sdk.Need{sdk.NeedForward, sdk.NeedPatch}, Params: []sdk.Param{
	{Name: "n", Type: sdk.Int}, {Name: "x", Type: sdk.Float}, {Name: "yes", Type: sdk.Bool},
	{Name: "text", Type: sdk.String}, {Name: "kind", Type: sdk.Enum}, {Name: "lost", Type: sdk.Int},
}}

func hostRequest() *sdk.Request {
	pair := "zwei"
	return &sdk.Request{
		Text: "eins", TextPair: &pair, Seed: 1<<63 + 5,
		Tokens: []sdk.Token{{ID: -1, Text: "[CLS]", Special: true}, {ID: 7, Text: "eins", End: 4, RuneEnd: 4}, {ID: 8, Text: "zwei", Sequence: 1, End: 4, RuneEnd: 4, Fixed: true}},
		Units:  []sdk.Unit{{Text: "eins", Spans: []sdk.Span{{End: 4}}, Tokens: []int{1}}},
		Target: sdk.Target{Kind: "class", Expr: "1 - 0", Index: 1, Label: "ü", Output: sdk.LogProb, Value: -0.5, Positions: []int{0, 2}},
		Params: sdk.Params{"n": int64(-3), "x": 2.5, "yes": true, "text": "ä", "kind": "mask"},
	}
}

// asked is a model that remembers what it was asked and replies with out.
type asked struct {
	last *sdk.Forward
	out  *sdk.Tensor
}

func (m *asked) Info() sdk.ModelInfo {
	return sdk.ModelInfo{ID: "asked", Architecture: "none", Task: "t", Labels: []string{"a", "ü"}, MaskToken: "[MASK]"}
}

func (m *asked) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	m.last = f
	return m, nil
}

func (m *asked) Tensor(name string, index int) (*sdk.Tensor, error) {
	if index != 0 {
		return nil, sdk.NewError(sdk.ERange, "there is one output")
	}
	return m.out, nil
}

func TestTensors(t *testing.T) {
	g := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{HandleBytes: 1 << 10})
	for _, dtype := range []sdk.DType{sdk.U8, sdk.I32, sdk.I64, sdk.F32, sdk.F64} {
		h := g.tensorOf(dtype, 2, 3)
		if h <= 0 {
			t.Fatalf("tensor_new of %v: %d", dtype, h)
		}
		size := int64(6 * dtype.Size())
		want := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 7)[:size]
		g.put(100, want)
		g.want("write", g.do("tensor_write", uint64(h), 0, 100, uint64(size)), sdk.Errno(size))
		g.want("read", g.do("tensor_read", uint64(h), 1, 200, uint64(size-1)), sdk.Errno(size-1))
		if got := g.get(200, size-1); !bytes.Equal(got, want[1:]) {
			t.Errorf("%v: read %v, wrote %v", dtype, got, want)
		}
		g.want("info", g.do("tensor_info", uint64(h), 300, 24), 24)
		r := abi.NewReader(g.get(300, 24))
		if d, rank, a, b := r.U32(), r.U32(), r.I64(), r.I64(); d != uint32(dtype) || rank != 2 || a != 2 || b != 3 {
			t.Errorf("%v: info %d %d %d %d", dtype, d, rank, a, b)
		}
		g.want("short info", g.do("tensor_info", uint64(h), 65536, 23), 24)
		g.want("read beyond", g.do("tensor_read", uint64(h), uint64(size), 200, 1), sdk.ERange)
		g.want("read before", g.do("tensor_read", uint64(h), math.MaxUint64, 200, 1), sdk.ERange)
		g.want("read too much", g.do("tensor_read", uint64(h), 0, 200, uint64(size)+1), sdk.ERange)
		g.want("read -1", g.do("tensor_read", uint64(h), 0, 200, math.MaxUint32), sdk.ERange)
		g.want("read nowhere", g.do("tensor_read", uint64(h), 0, 65536, 1), sdk.EFault)
		g.want("read nothing", g.do("tensor_read", uint64(h), uint64(size), 0, 0), 0)
		g.want("write beyond", g.do("tensor_write", uint64(h), 1, 100, uint64(size)), sdk.ERange)
		g.want("write nowhere", g.do("tensor_write", uint64(h), 0, math.MaxUint32, 1), sdk.EFault)
		g.want("free", g.do("tensor_free", uint64(h)), 0)
		g.want("free again", g.do("tensor_free", uint64(h)), sdk.EHandle)
		g.want("read freed", g.do("tensor_read", uint64(h), 0, 200, 1), sdk.EHandle)
	}
	g.want("handle 0", g.do("tensor_info", 0, 0, 64), sdk.EHandle)
	g.want("handle -1", g.do("tensor_write", math.MaxUint64, 0, 0, 1), sdk.EHandle)
	g.want("unknown type", g.tensorOf(6, 1), sdk.EInvalid)
	g.want("negative type", g.tensorOf(math.MaxUint32, 1), sdk.EInvalid)
	g.want("bf16", g.tensorOf(sdk.BF16, 1), sdk.EUnsupported)
	g.want("9 dimensions", g.tensorOf(sdk.U8, 1, 1, 1, 1, 1, 1, 1, 1, 1), sdk.ERange)
	g.want("-1 dimensions", g.do("tensor_new", uint64(sdk.U8), math.MaxUint32, 0), sdk.ERange)
	g.want("dimensions nowhere", g.do("tensor_new", uint64(sdk.U8), 2, 65528), sdk.EFault)
	g.want("negative dimension", g.tensorOf(sdk.U8, -1), sdk.ERange)
	g.want("overflow", g.tensorOf(sdk.U8, 1<<32, 1<<32), sdk.ERange)
	g.want("overflow in bytes", g.tensorOf(sdk.F64, 1<<61), sdk.ERange)
	g.want("overflow with zero", g.tensorOf(sdk.F64, 1<<62, 1<<62, 0), sdk.ERange)
	g.want("over the quota", g.tensorOf(sdk.U8, 1025), sdk.EQuota)
	full := g.tensorOf(sdk.U8, 1024)
	if full <= 0 {
		t.Errorf("at the quota: %d", full)
	}
	g.want("past the quota", g.tensorOf(sdk.U8, 1), sdk.EQuota)
	g.want("free", g.do("tensor_free", uint64(full)), 0)
	before := g.HandleBytes()
	if h := g.tensorOf(sdk.F32); h <= 0 || g.HandleBytes() != before+4 {
		t.Errorf("a tensor without dimensions: %d", h)
	}
}

func TestStridedRead(t *testing.T) {
	g := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{})
	h := uint64(g.tensorOf(sdk.I32, 3, 4, 5))
	data, err := g.TensorWrite(int64(h), 0, 4*60)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		binary.LittleEndian.PutUint32(data[4*i:], uint32(i))
	}
	read := func(capacity uint64, dims ...int64) int64 {
		var w abi.Writer
		for _, d := range dims {
			w.I64(d)
		}
		return g.do("tensor_read_strided", h, 0, g.put(0, w.B), 1024, capacity)
	}
	for name, dims := range map[string][]int64{
		"all":         {0, 3, 1, 0, 4, 1, 0, 5, 1},
		"one head":    {1, 1, 1, 0, 4, 1, 0, 5, 1},
		"one column":  {0, 3, 1, 0, 4, 1, 4, 1, 1},
		"every other": {0, 2, 2, 1, 2, 2, 0, 3, 2},
		"nothing":     {3, 0, 1, 0, 4, 1, 0, 5, 1},
		"large step":  {2, 1, math.MaxInt64, 0, 1, 1, 0, 1, 1},
	} {
		var want []byte
		for i := range dims[1] {
			for j := range dims[4] {
				for k := range dims[7] {
					x := ((dims[0]+i*dims[2])*4+dims[3]+j*dims[5])*5 + dims[6] + k*dims[8]
					want = binary.LittleEndian.AppendUint32(want, uint32(x))
				}
			}
		}
		n := read(4096, dims...)
		if n != int64(len(want)) || !bytes.Equal(g.get(1024, n), want) {
			t.Errorf("%s: %d bytes, want %d", name, n, len(want))
		}
	}
	for name, c := range map[string]struct {
		capacity uint64
		dims     []int64
		want     sdk.Errno
	}{
		"negative start": {4096, []int64{-1, 1, 1, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"negative count": {4096, []int64{0, -1, 1, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"step 0":         {4096, []int64{0, 2, 0, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"step -1":        {4096, []int64{2, 2, -1, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"beyond":         {4096, []int64{1, 3, 1, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"start beyond":   {4096, []int64{3, 1, 1, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"overflow":       {4096, []int64{0, 2, math.MaxInt64, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"many":           {4096, []int64{0, math.MaxInt64, 1, 0, 1, 1, 0, 1, 1}, sdk.ERange},
		"two dimensions": {4096, []int64{0, 3, 1, 0, 4, 1}, sdk.EInvalid},
		"small buffer":   {239, []int64{0, 3, 1, 0, 4, 1, 0, 5, 1}, sdk.ERange},
	} {
		g.want(name, read(c.capacity, c.dims...), c.want)
	}
	var all abi.Writer
	for _, d := range []int64{0, 3, 1, 0, 4, 1, 0, 5, 1} {
		all.I64(d)
	}
	g.want("buffer outside", g.do("tensor_read_strided", h, 0, g.put(0, all.B), 65500, 4096), sdk.EFault)
}

func TestInputsAndParams(t *testing.T) {
	g := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{})
	input := func(key abi.Input) []byte {
		t.Helper()
		n := g.do("input_get", uint64(key), 0, 0)
		if n < 0 {
			t.Fatalf("input %d: %d", key, n)
		}
		if again := g.do("input_get", uint64(key), 64, uint64(n)); again != n {
			t.Fatalf("input %d: %d, then %d", key, n, again)
		}
		return bytes.Clone(g.get(64, n))
	}
	r := hostRequest()
	for key, want := range map[abi.Input]string{
		abi.InputText: "eins", abi.InputTextPair: "zwei",
		abi.InputIDs:     "\xff\xff\xff\xff\x07\x00\x00\x00\x08\x00\x00\x00",
		abi.InputSpecial: "\x01\x00\x00", abi.InputKeep: "\x01\x00\x01",
		abi.InputSeed:   "\x05\x00\x00\x00\x00\x00\x00\x80",
		abi.InputGrants: "\x02\x00\x00\x00\x07\x00\x00\x00forward\x05\x00\x00\x00patch",
		abi.InputError:  "",
	} {
		if got := input(key); string(got) != want {
			t.Errorf("input %d: %q, want %q", key, got, want)
		}
	}
	if got := abi.NewReader(input(abi.InputTokens)).Tokens(); !slices.Equal(got, r.Tokens) {
		t.Errorf("tokens: %+v", got)
	}
	if diff := cmp.Diff(r.Target, abi.NewReader(input(abi.InputTarget)).Target()); diff != "" {
		t.Errorf("target: %s", diff)
	}
	if got := abi.NewReader(input(abi.InputUnits)).Units(); len(got) != 1 || got[0].Text != "eins" {
		t.Errorf("units: %+v", got)
	}
	if got := abi.NewReader(input(abi.InputModel)).Model(); got.ID != "asked" || got.Labels[1] != "ü" {
		t.Errorf("model: %+v", got)
	}
	g.want("unknown key", g.do("input_get", 13, 0, 64), sdk.EName)
	if got := string(input(abi.InputError)); got != "the input's key is unknown" {
		t.Errorf("the error's message is %q", got)
	}
	g.want("nowhere", g.do("input_get", uint64(abi.InputText), 65534, 64), sdk.EFault)
	single := hostRequest()
	single.TextPair = nil
	alone := newGuest(t, &asked{}, single, hostInfo, Limits{})
	alone.want("no pair", alone.do("input_get", uint64(abi.InputTextPair), 0, 64), sdk.EName)

	param := func(name string) int64 { return g.do("param_get", 0, g.put(0, []byte(name)), 64, 64) }
	for name, want := range map[string]string{
		"n": "\x01\x00\x00\x00\xfd\xff\xff\xff\xff\xff\xff\xff", "x": "\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x40",
		"yes": "\x03\x00\x00\x00\x01", "text": "\x04\x00\x00\x00ä", "kind": "\x05\x00\x00\x00mask",
	} {
		n := param(name)
		if n != int64(len(want)) || string(g.get(64, n)) != want {
			t.Errorf("parameter %s: %d, %q, want %q", name, n, g.get(64, max(n, 0)), want)
		}
	}
	g.want("unknown", param("m"), sdk.EName)
	g.want("without a value", param("lost"), sdk.EInternal)
	g.want("long name", param(strings.Repeat("n", 256)), sdk.EName)
	g.want("name nowhere", g.do("param_get", 65535, 2, 0, 64), sdk.EFault)
}

func TestForwardRows(t *testing.T) {
	m := &asked{}
	g := newGuest(t, m, hostRequest(), hostInfo, Limits{})
	forward := func(f *abi.Forward) int64 { return g.do("forward", 4096, g.put(4096, abi.AppendForward(nil, f))) }
	filled := func(h int64, values any) int64 {
		b, err := binary.Append(nil, binary.LittleEndian, values)
		if err != nil {
			t.Fatal(err)
		}
		to, err := g.TensorWrite(h, 0, uint64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		copy(to, b)
		return h
	}
	texts := func(joined string, offsets ...int64) *abi.Forward {
		return &abi.Forward{Rows: abi.FieldTexts,
			Handle: filled(g.tensorOf(sdk.U8, int64(len(joined))), []byte(joined)),
			Extra:  filled(g.tensorOf(sdk.I64, int64(len(offsets))), offsets)}
	}
	ids := func(width int64, rows []int32, lengths ...int32) *abi.Forward {
		return &abi.Forward{Rows: abi.FieldIDs,
			Handle: filled(g.tensorOf(sdk.I32, int64(len(lengths)), width), rows),
			Extra:  filled(g.tensorOf(sdk.I32, int64(len(lengths))), lengths)}
	}
	if h := forward(texts("abcü", 0, 1, 1, 5)); h <= 0 || !slices.Equal(m.last.Texts, []string{"a", "", "bcü"}) {
		t.Errorf("texts: %d, %q", h, m.last.Texts)
	}
	if h := forward(ids(2, []int32{1, 2, 3, 4}, 2, 1)); h <= 0 || !slices.Equal(m.last.IDs[0], []int32{1, 2}) || !slices.Equal(m.last.IDs[1], []int32{3}) {
		t.Errorf("ids: %d, %v", h, m.last.IDs)
	}
	over := []sdk.Unit{{Text: "a"}, {Text: "b"}}
	f := &abi.Forward{Rows: abi.FieldUnits, Handle: g.tensorOf(sdk.U8, 5, 2), Over: over, Target: "0", KeepDuplicates: true, Fill: sdk.Fill{Kind: sdk.FillText, Text: "ä"}}
	if h := forward(f); h <= 0 || m.last.Units.Shape[0] != 5 || len(m.last.Over) != 2 || m.last.Target != "0" || !m.last.KeepDuplicates || m.last.Fill != f.Fill {
		t.Errorf("units: %d, %+v", h, m.last)
	}
	masks := g.tensorOf(sdk.U8, 4, 3)
	if h := forward(&abi.Forward{Rows: abi.FieldMasks, Handle: masks, Fill: sdk.Fill{Kind: sdk.FillToken, Token: 9}}); h <= 0 || m.last.Masks.Shape[0] != 4 || m.last.Fill.Token != 9 {
		t.Errorf("masks: %d, %+v", h, m.last)
	}
	if g.Stats.Rows != 3+2+5+4 || g.Stats.Forwards != 4 {
		t.Errorf("stats: %+v", g.Stats)
	}
	wide := g.tensorOf(sdk.U8, 1, 4)
	far := []sdk.Unit{{Tokens: []int{1 << 40}}}
	for name, c := range map[string]struct {
		f    *abi.Forward
		want sdk.Errno
	}{
		"no handle":          {&abi.Forward{Rows: abi.FieldUnits}, sdk.EHandle},
		"no offsets":         {&abi.Forward{Rows: abi.FieldTexts, Handle: wide}, sdk.EHandle},
		"too many columns":   {&abi.Forward{Rows: abi.FieldMasks, Handle: wide}, sdk.EInvalid},
		"floats":             {&abi.Forward{Rows: abi.FieldMasks, Handle: g.tensorOf(sdk.F32, 1, 3)}, sdk.EInvalid},
		"one dimension":      {&abi.Forward{Rows: abi.FieldMasks, Handle: g.tensorOf(sdk.U8, 3)}, sdk.EInvalid},
		"offsets descend":    {texts("abc", 0, 2, 1), sdk.ERange},
		"offsets beyond":     {texts("abc", 0, 4), sdk.ERange},
		"negative offset":    {texts("abc", -1, 2), sdk.ERange},
		"empty offsets":      {texts("abc"), sdk.EInvalid},
		"length beyond":      {ids(2, []int32{1, 2}, 3), sdk.ERange},
		"negative length":    {ids(2, []int32{1, 2}, -1), sdk.ERange},
		"ids of bytes":       {&abi.Forward{Rows: abi.FieldIDs, Handle: wide, Extra: wide}, sdk.EInvalid},
		"units of no token":  {&abi.Forward{Rows: abi.FieldUnits, Handle: g.tensorOf(sdk.U8, 1, 1), Over: far}, sdk.ERange},
		"over without units": {&abi.Forward{Rows: abi.FieldMasks, Handle: masks, Over: over}, sdk.EInvalid},
		"unknown fill":       {&abi.Forward{Rows: abi.FieldMasks, Handle: masks, Fill: sdk.Fill{Kind: sdk.FillAverage + 1}}, sdk.EInvalid},
		"unknown want":       {&abi.Forward{Rows: abi.FieldMasks, Handle: masks, Want: []abi.Want{5}}, sdk.EUnsupported},
	} {
		g.want(name, forward(c.f), c.want)
	}
	g.want("frame nowhere", g.do("forward", 65535, 8), sdk.EFault)
	g.want("frame too long", g.do("forward", 0, abi.MaxFrame+1), sdk.ERange)
}

func TestReplies(t *testing.T) {
	m := &asked{out: sdk.NewTensor([]float64{1, 2}, 2)}
	g := newGuest(t, m, hostRequest(), hostInfo, Limits{})
	f := &abi.Forward{Rows: abi.FieldMasks, Handle: g.tensorOf(sdk.U8, 2, 3), Want: []abi.Want{abi.WantTarget}}
	h := uint64(g.do("forward", 4096, g.put(4096, abi.AppendForward(nil, f))))
	get := func(h uint64, name string, index uint64) int64 {
		return g.do("reply_get", h, 0, g.put(0, []byte(name)), index)
	}
	out := get(h, sdk.ReplyTarget, 0)
	if out <= 0 {
		t.Fatalf("got %d", out)
	}
	g.want("write to the host's", g.do("tensor_write", uint64(out), 0, 0, 8), sdk.EInvalid)
	g.want("not wanted", get(h, sdk.ReplyLogits, 0), sdk.EName)
	g.want("no such index", get(h, sdk.ReplyTarget, 1), sdk.ERange)
	g.want("a tensor", get(uint64(out), sdk.ReplyTarget, 0), sdk.EHandle)
	g.want("read a reply", g.do("tensor_read", h, 0, 0, 1), sdk.EHandle)
	for name, bad := range map[string]*sdk.Tensor{
		"no data":  {Shape: []int{1}},
		"strings":  {Shape: []int{1}, Data: []string{"a"}},
		"short":    {Shape: []int{3}, Data: []float64{1}},
		"negative": {Shape: []int{-1}, Data: []float64{}},
		"deep":     {Shape: []int{1, 1, 1, 1, 1, 1, 1, 1, 1}, Data: []float64{1}},
	} {
		m.out = bad
		g.want(name, get(h, sdk.ReplyTarget, 0), sdk.EInternal)
	}
	g.want("free", g.do("tensor_free", h), 0)
	g.want("freed", get(h, sdk.ReplyTarget, 0), sdk.EHandle)
}

// counted is a model that counts the outputs it builds.
type counted struct {
	asked
	built int
}

func (m *counted) Forward(context.Context, *sdk.Forward) (sdk.Reply, error) { return m, nil }

func (m *counted) Tensor(name string, index int) (*sdk.Tensor, error) {
	m.built++
	return m.asked.Tensor(name, index)
}

func TestRepliesCount(t *testing.T) {
	m := &counted{asked: asked{out: sdk.NewTensor(make([]float64, 10), 10)}}
	g := newGuest(t, m, hostRequest(), hostInfo, Limits{HandleBytes: 30 + 80 + 80, Forwards: 35})
	f := &abi.Forward{Rows: abi.FieldMasks, Handle: g.tensorOf(sdk.U8, 10, 3)}
	forward := func(f *abi.Forward) int64 { return g.do("forward", 4096, g.put(4096, abi.AppendForward(nil, f))) }
	get := func(h int64, name string) int64 { return g.do("reply_get", uint64(h), 0, g.put(0, []byte(name)), 0) }
	a := forward(f)
	if a <= 0 {
		t.Fatalf("got %d", a)
	}
	g.want("two columns", get(a, sdk.ReplyLogits), sdk.EQuota)
	if m.built != 0 {
		t.Error("an output beyond the limit was built")
	}
	if h := get(a, sdk.ReplyTarget); h <= 0 || m.built != 1 {
		t.Errorf("one column: %d", h)
	} else {
		g.want("reply past the limit", forward(f), sdk.EQuota)
		g.want("free", g.do("tensor_free", uint64(h)), 0)
	}
	b := forward(f)
	if b <= 0 {
		t.Errorf("a second reply: %d", b)
	}
	g.want("a third", forward(f), sdk.EQuota)
	for _, h := range []int64{a, b} {
		g.want("free", g.do("tensor_free", uint64(h)), 0)
	}
	if g.HandleBytes() != 30 {
		t.Errorf("%d bytes are held", g.HandleBytes())
	}
	if h := forward(f); h <= 0 {
		t.Errorf("after they are free: %d", h)
	} else {
		g.want("free", g.do("tensor_free", uint64(h)), 0)
	}
	g.want("rows past the limit", forward(f), sdk.EQuota)
	_, err := g.End(sdk.EQuota)
	if limit, ok := errors.AsType[*contract.LimitError](err); !ok || limit.Limit != contract.LimitForwards {
		t.Errorf("the limit is %v", err)
	}
}

// A tensor without columns is free, whatever its number of rows.
func TestRowsWithoutColumns(t *testing.T) {
	m := &asked{}
	g := newGuest(t, m, hostRequest(), hostInfo, Limits{})
	rows := func(n int64) int64 {
		f := &abi.Forward{Rows: abi.FieldUnits, Handle: g.tensorOf(sdk.U8, n, 0), Over: []sdk.Unit{}}
		return g.do("forward", 4096, g.put(4096, abi.AppendForward(nil, f)))
	}
	g.want("a row", rows(1), sdk.EInvalid)
	g.want("any number", rows(1<<40), sdk.EQuota)
	if m.last != nil {
		t.Error("the model saw it")
	}
}

func TestResultsAreCounted(t *testing.T) {
	g := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{})
	h := uint64(g.tensorOf(sdk.F64))
	result := func(i int) int64 {
		return g.do("result", 0, g.put(0, strconv.AppendInt(nil, int64(i), 10)), h, 0, 0)
	}
	for i := range abi.MaxResults {
		if code := result(i); code != 0 {
			t.Fatalf("result %d: %d", i, code)
		}
	}
	g.want("one more", result(abi.MaxResults), sdk.EQuota)
}

func TestResults(t *testing.T) {
	g := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{OutputBytes: 200})
	meta := func(m *abi.Meta) uint64 { return g.put(4096, abi.AppendMeta(nil, m)) }
	units := meta(&abi.Meta{Axes: []string{"units"}})
	result := func(name string, h int64, n uint64) int64 {
		return g.do("result", 0, g.put(0, []byte(name)), uint64(h), 4096, n)
	}
	h := g.tensorOf(sdk.F64, 1)
	g.want("no name", result("", h, units), sdk.EName)
	g.want("escape", result("a\x1b", h, units), sdk.EName)
	g.want("not UTF-8", result("a\xff", h, units), sdk.EName)
	g.want("long name", result(strings.Repeat("n", 256), h, units), sdk.EName)
	g.want("no tensor", result("a", 99, units), sdk.EHandle)
	g.want("half a frame", result("a", h, units-1), sdk.EInvalid)
	g.want("good", result("a", h, units), 0)
	g.want("again", result("a", h, units), sdk.EName)
	g.want("write to a result", g.do("tensor_write", uint64(h), 0, 0, 8), sdk.EInvalid)
	g.want("too much", result("b", g.tensorOf(sdk.F64, 30), units), sdk.EQuota)
	g.want("free a result", g.do("tensor_free", uint64(h)), 0)
	if _, err := g.End(0); err == nil || err.Error() != "the method returned no attributions" {
		t.Errorf("the end is %v", err)
	}
}

func TestSmallHostFunctions(t *testing.T) {
	r := hostRequest()
	var logged []string
	var done []int
	r.Log = func(level sdk.Level, s string) { logged = append(logged, s) }
	r.Progress = func(a, b int) error {
		done = append(done, a, b)
		return nil
	}
	g := newGuest(t, &asked{}, r, hostInfo, Limits{})
	g.want("rng nowhere", g.do("rng_fill", 65530, 7), sdk.EFault)
	g.want("rng", g.do("rng_fill", 65530, 6), 0)
	again := newGuest(t, &asked{}, hostRequest(), hostInfo, Limits{})
	again.do("rng_fill", 0, 2)
	again.do("rng_fill", 2, 4)
	if !bytes.Equal(g.get(65530, 6), again.get(0, 6)) {
		t.Error("the random bytes depend on how they are asked for")
	}
	g.want("unknown level", g.do("log", 3, 0, 0), sdk.EInvalid)
	g.want("negative level", g.do("log", math.MaxUint32, 0, 0), sdk.EInvalid)
	g.want("log", g.do("log", uint64(sdk.Warning), 0, g.put(0, []byte("a\tb\u202e\x00c"))), 0)
	if !slices.Equal(logged, []string{"a bc"}) {
		t.Errorf("logged %q", logged)
	}
	g.want("progress", g.do("progress", 3, 9), 0)
	g.want("negative progress", g.do("progress", math.MaxUint64, 9), sdk.EInvalid)
	g.want("progress of less", g.do("progress", 0, math.MaxUint64), sdk.EInvalid)
	g.want("progress beyond", g.do("progress", 10, 9), sdk.EInvalid)
	if !slices.Equal(done, []int{3, 9}) {
		t.Errorf("progress %v", done)
	}
	g.want("error nowhere", g.do("error", 0, 65535, 2), sdk.EFault)
	g.want("long error", g.do("error", 0, 0, 5000), 0)
	g.do("error", 1<<32-9, 0, 5000)
	if _, err := g.End(sdk.EUnsupported); len(err.Error()) > abi.MaxMessage {
		t.Errorf("the message has %d bytes", len(err.Error()))
	}
}
