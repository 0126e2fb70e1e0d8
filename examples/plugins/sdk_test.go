package plugins_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core/seal"
	"github.com/xai-go/xai/core/wasm"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// sdks are the languages whose SDK is one file, sdk/LANGUAGE/xai.*, with a method
// in testdata that calls all of it.
var sdks = []string{"c", "rust", "assemblyscript"}

// recorder is a model that has every power and remembers what it was asked.
type recorder struct {
	forwards    []*sdk.Forward
	wrt         []string
	generations []*sdk.Generation
	tokenized   string
}

func (m *recorder) Info() sdk.ModelInfo {
	return sdk.ModelInfo{
		ID: "rec/order", Architecture: "none", Task: "nothing", Labels: []string{"no", "jä"}, MaskToken: "[MASK]",
		Layers: 2, Heads: 3, Embedding: 4, Hidden: 5, Vocabulary: 70000, MaxTokens: 512, MaskID: new(int32(0)), SpecialIDs: []int32{0, 2},
	}
}

func (m *recorder) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	m.forwards = append(m.forwards, f)
	return reply{}, nil
}

func (m *recorder) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	m.wrt = wrt
	return m.Forward(ctx, f)
}

func (m *recorder) Generate(_ context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	m.generations = append(m.generations, g)
	return &sdk.Continuation{IDs: []int32{int32(g.MaxTokens)}, LogProbs: []float64{-0.5}, Text: "größer"}, nil
}

func (m *recorder) Tokenize(_ context.Context, text string) ([]sdk.Token, error) {
	m.tokenized = text
	return []sdk.Token{{ID: 2, Text: "[CLS]", Special: true}, {ID: 9, Text: "Wörter", Start: 5, End: 12, RuneStart: 5, RuneEnd: 11}}, nil
}

type reply struct{}

func (reply) Tensor(name string, index int) (*sdk.Tensor, error) {
	switch name {
	case "target":
		return sdk.NewTensor([]float64{0.25}, 1), nil
	case "logits":
		return sdk.NewTensor([]float64{1, -1, 2, -2}, 2, 2), nil
	case "many", "grad(embeddings)":
		return sdk.NewTensor([]float32{float32(index) + 0.5}, 1), nil
	}
	return nil, sdk.NewError(sdk.EName, "there is no output "+name)
}

// callsInfo is what the methods declare.
func callsInfo() sdk.Info {
	return sdk.Info{
		Name: "calls", Version: "1.0.0", Summary: "Calls every function of the host", Source: "docs/ABI.md",
		Needs: []sdk.Need{sdk.NeedForward, sdk.NeedGradients, sdk.NeedGenerate, sdk.NeedTokenize, sdk.NeedEmbeddings, sdk.NeedPatch, sdk.NeedActivations},
		Params: []sdk.Param{
			{Name: "count", Type: sdk.Int, Default: int64(-3), Min: sdk.Bound(-10), Max: sdk.Bound(10), Aliases: []string{"n", "num"}, Doc: "an int"},
			{Name: "ratio", Type: sdk.Float, Default: 0.1, Doc: "a float"},
			{Name: "whole", Type: sdk.Bool, Default: true, Compat: map[string]any{"all": false}, Doc: "a bool"},
			{Name: "note", Type: sdk.String, Default: `a "quoted" Ünïcode \ %d`, Doc: "a string"},
			{Name: "what", Type: sdk.Enum, Default: "all", Values: []string{"all", "plain", "fail", "host", "cancel", "trap", "memory", "release"}, Doc: "an enum"},
		},
	}
}

// counter is a stream of 0, 1, 2 and so on.
type counter struct{ next byte }

func (c *counter) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = c.next
		c.next++
	}
	return len(b), nil
}

// callsRequest has one of everything; log and progress go to lines.
func callsRequest(what string, lines *[]string) *sdk.Request {
	r := &sdk.Request{
		Text: "schön gut",
		Tokens: []sdk.Token{
			{ID: 2, Text: "[CLS]", Special: true},
			{ID: 17, Text: "schön", End: 6, RuneEnd: 5},
			{ID: 18, Text: "gut", Start: 7, End: 10, RuneStart: 6, RuneEnd: 9, Fixed: true},
			{ID: -1, Text: "zwei", Sequence: 1, End: 4, RuneEnd: 4},
		},
		Units: []sdk.Unit{
			{Text: "schön", Spans: []sdk.Span{{End: 6}}, Tokens: []int{1}},
			{Text: "gut", Spans: []sdk.Span{{Start: 7, End: 10}}, Tokens: []int{2}},
			{Text: "both", Spans: []sdk.Span{{End: 2}, {Sequence: 1, Start: 3, End: 4}}, Tokens: []int{1, 3}},
		},
		Target: sdk.Target{
			Kind: "difference", Expr: "1 - 0", Index: 1, Label: "jä - no", Output: sdk.LogProb, Value: -0.1,
			Positions: []int{0, 3}, Second: 258, SecondLabel: "nö",
		},
		Seed:   1<<62 + 5,
		Params: sdk.Params{},
		Rand:   &counter{},
		Progress: func(done, total int) error {
			if done == total {
				return context.Canceled
			}
			*lines = append(*lines, "progress "+strconv.Itoa(done)+" "+strconv.Itoa(total))
			return nil
		},
		Log: func(level sdk.Level, line string) {
			*lines = append(*lines, strings.Repeat("!", int(level))+line)
		},
	}
	for _, p := range callsInfo().Params {
		r.Params[p.Name] = p.Default
	}
	r.Params["what"] = what
	if what == "all" {
		pair := "zwei"
		r.TextPair = &pair
	}
	return r
}

// eachSDK compiles the module of each SDK and runs f with it.
func eachSDK(t *testing.T, f func(t *testing.T, language string, m *wasm.Module)) {
	runtime, err := wasm.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runtime.Close(context.Background()) })
	for _, language := range sdks {
		t.Run(language, func(t *testing.T) {
			module, err := os.ReadFile(filepath.Join("..", "..", "sdk", language, "testdata", "calls.wasm"))
			if err != nil {
				t.Fatal(err)
			}
			m, err := runtime.Compile(t.Context(), module)
			if err != nil {
				t.Fatal(err)
			}
			f(t, language, m)
		})
	}
}

// wantLines is what the methods write to their log under what=all.
var wantLines = strings.Split(strings.Trim(`
text schön gut
pair zwei
id 2
id 17
id 18
id -1
token 2 0 0 0 0 0 1 0 [CLS]
token 17 0 0 6 0 5 0 0 schön
token 18 0 7 10 6 9 0 1 gut
token -1 1 0 4 0 4 0 0 zwei
unit schön
span 0 0 6
index 1
unit gut
span 0 7 10
index 2
unit both
span 0 0 2
span 1 3 4
index 1
index 3
special 1
special 0
special 0
special 0
keep 1
keep 0
keep 1
keep 0
target difference
target 1 - 0
target jä - no
target 1 3
position 0
position 3
second 258 nö
seed 4611686018427387909
model rec/order
model none
model nothing
model [MASK]
label no
label jä
sizes 2 3 4
sizes 5 70000 512
ids 0 -1
special 0
special 2
grant forward
grant gradients
grant generate
grant tokenize
grant embeddings
grant patch
grant activations
count -3
whole 1
note a "quoted" Ünïcode \ %d
what all
error -11 the method declares no parameter undeclared
read 2
read 3
info 4 1 2
token 2 0 0 0 0 0 1 0 [CLS]
token 9 0 5 12 5 11 0 0 Wörter
generated 3 1
generated größer
generated 1 1
generated größer
random `+strconv.FormatUint(binary.LittleEndian.Uint64([]byte{5, 6, 7, 8, 9, 10, 11, 12}), 10)+`
progress 1 2
!a note
!!a warning
long -11
`, "\n"), "\n")

// wantForwards is what they ask of the model.
func wantForwards(r *sdk.Request) []*sdk.Forward {
	one, two := sdk.NewTensor([]float32{1.5}, 1), sdk.NewTensor([]float64{2.5, -2.5}, 2)
	all := []*sdk.Forward{
		{
			Units: sdk.NewTensor([]uint8{1, 0}, 2, 1), Over: r.Units[:1], Fill: sdk.Fill{Kind: sdk.FillText, Text: "…"}, Target: "1 - 0", KeepDuplicates: true,
			Points: []string{"hidden_states[1]", "many"},
			Edits: []sdk.Edit{
				{Point: "a", Op: sdk.EditReplace, Value: one}, {Point: "b", Op: sdk.EditZero}, {Point: "c", Op: sdk.EditMean},
				{Point: "d", Op: sdk.EditAdd, Value: two}, {Point: "e", Op: sdk.EditScale, Value: one},
			},
		},
		{Masks: sdk.NewTensor([]uint8{1, 0, 1, 1}, 1, 4), Fill: sdk.Fill{Kind: sdk.FillToken, Token: 7}},
		{Texts: []string{"eins", "", "drei"}},
		{IDs: [][]int32{{1, 2, 3}, {4}}},
		{Embeds: sdk.NewTensor(make([]float32, 8), 1, 4, 2), Rule: sdk.RuleLRPAlpha1},
	}
	for _, fill := range []sdk.FillKind{sdk.FillMask, sdk.FillPad, sdk.FillDelete, sdk.FillZero, sdk.FillHide, sdk.FillAverage} {
		all = append(all, &sdk.Forward{Units: sdk.NewTensor([]uint8{1, 1, 1}, 1, 3), Fill: sdk.Fill{Kind: fill}})
	}
	return all
}

// wantExplanation is what they return.
func wantExplanation(r *sdk.Request) *sdk.Explanation {
	baseline := 0.125
	named := func(name string, axes string, t *sdk.Tensor) sdk.NamedTensor {
		return sdk.NamedTensor{Name: name, Axes: strings.Fields(axes), Tensor: *t}
	}
	fit, err := num.NewRegression([]float64{1, 0, 0, 1, 1, 1}, 3, 2, []float64{1, 2, 4}, []float64{1, 2, 1})
	if err != nil {
		panic(err)
	}
	ridge, err := fit.Ridge(0.5, nil)
	if err != nil {
		panic(err)
	}
	softmax := make([]float64, 4)
	num.Softmax(softmax[:2], []float64{1, 2})
	num.Softmax(softmax[2:], []float64{3, 4})
	return &sdk.Explanation{
		Units: r.Units[:2],
		Attributions: []sdk.Attribution{
			{Name: "attributions", Over: "units", Values: []float64{1.5, -2.5}, Stderr: []float64{0.5, 0.25}},
			{Name: "second", Over: "tokens", Values: make([]float64, 4)},
		},
		Tensors: []sdk.NamedTensor{
			named("u8", "a b", sdk.NewTensor([]uint8{0, 1, 2, 3, 0, 0}, 2, 3)),
			named("i32", "a", sdk.NewTensor([]int32{-1, 0, 1<<31 - 1}, 3)),
			named("i64", "a", sdk.NewTensor([]int64{-1, 1 << 40}, 2)),
			named("f32", "a", sdk.NewTensor([]float32{0.5, float32(math.Copysign(0, -1))}, 2)),
			named("f64", "a b", sdk.NewTensor([]float64{0.1, -1e300}, 1, 2)),
			named("grid", "a b", sdk.NewTensor([]int32{1, 3, 9, 11}, 2, 2)),
			named("target", "row", sdk.NewTensor([]float64{0.25}, 1)),
			named("logits", "row class", sdk.NewTensor([]float64{1, -1, 2, -2}, 2, 2)),
			named("many", "row", sdk.NewTensor([]float32{1.5}, 1)),
			named("grad", "row", sdk.NewTensor([]float32{0.5}, 1)),
			named("ridge", "a", sdk.NewTensor(append(ridge.Coef, ridge.Intercept), 3)),
			named("matmul", "a b", sdk.NewTensor([]float64{1, 2, 3, 4, 4, 6}, 3, 2)),
			named("softmax", "a b", sdk.NewTensor(softmax, 2, 2)),
			named("topk", "a", sdk.NewTensor([]int64{2, 1}, 2)),
			named("sum", "a", sdk.NewTensor([]float64{3, 7}, 2)),
			named("mean", "a", sdk.NewTensor([]float64{1.5, 3.5}, 2)),
			named("random", "a", sdk.NewTensor([]uint8{0, 1, 2, 3, 4}, 5)),
		},
		Baseline:    &baseline,
		Diagnostics: []sdk.Diagnostic{{Name: "value", Value: -0.1}, {Name: "ratio", Value: 0.1}},
	}
}

// TestSDKs runs a method that calls everything, in each language, and compares
// what the model, the log and the results show.
func TestSDKs(t *testing.T) {
	eachSDK(t, func(t *testing.T, _ string, m *wasm.Module) {
		var lines []string
		model, r := &recorder{}, callsRequest("all", &lines)
		e, stats, err := m.Explain(t.Context(), model, r, callsInfo(), wasm.Limits{})
		if err != nil {
			t.Fatalf("%v\nits log:\n%s", err, strings.Join(lines, "\n"))
		}
		if diff := cmp.Diff(wantLines, lines); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(wantForwards(r), model.forwards, bits); diff != "" {
			t.Errorf("the forwards (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"embeddings", "many"}, model.wrt); diff != "" {
			t.Errorf("the points of the gradient (-want +got):\n%s", diff)
		}
		generations := []*sdk.Generation{
			{Prompt: []int32{5, 6}, MaxTokens: 3, Temperature: 0.5, TopK: 2, TopP: 0.75, Seed: 9},
			{MaxTokens: 1},
		}
		if diff := cmp.Diff(generations, model.generations); diff != "" {
			t.Errorf("the generations (-want +got):\n%s", diff)
		}
		if want := "zwei Wörter"; model.tokenized != want {
			t.Errorf("tokenize was given %q, want %q", model.tokenized, want)
		}
		if diff := cmp.Diff(wantExplanation(r), e, bits); diff != "" {
			t.Errorf("the explanation (-want +got):\n%s", diff)
		}
		if stats.MemoryBytes > 4<<20 {
			t.Errorf("the module took %d bytes of memory", stats.MemoryBytes)
		}
	})
}

// TestSDKErrors runs the ways in which a method ends early.
func TestSDKErrors(t *testing.T) {
	eachSDK(t, func(t *testing.T, language string, m *wasm.Module) {
		for _, c := range []struct {
			what, method string
			err          string // that the user reads
			code         sdk.Errno
			log          map[string]string // the end of the log, by language
		}{
			{what: "fail", err: "a message of -5 and 7696581394432", code: sdk.EUnsupported},
			{what: "host", err: "the forward did not ask for the output nothing", code: sdk.EName},
			{what: "cancel", err: "context canceled"},
			{what: "memory", err: "16 MiB of memory"},
			{what: "trap", err: "unreachable", log: map[string]string{
				"rust":           "index out of bounds: the len is 1 but the index is 3",
				"assemblyscript": "Index out of range at",
			}},
			{what: "plain", method: "other", err: "the module has no method other", code: sdk.EName},
			{what: "plain"},
			{what: "release"},
		} {
			var lines []string
			info := callsInfo()
			if c.method != "" {
				info.Name = c.method
			}
			e, _, err := m.Explain(t.Context(), &recorder{}, callsRequest(c.what, &lines), info, wasm.Limits{MemoryBytes: 16 << 20})
			if c.err == "" {
				if err != nil {
					t.Errorf("%s: %v", c.what, err)
				} else if diff := cmp.Diff([]float64{1, 2, 3}, e.Attributions[0].Values); diff != "" {
					t.Errorf("%s: %s", c.what, diff)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want one that says %q", c.what, err, c.err)
			}
			if c.code != 0 && !errors.Is(err, &sdk.Error{Code: c.code}) {
				t.Errorf("%s: the error %v has not the code %v", c.what, err, c.code)
			}
			if want := c.log[language]; want != "" && (len(lines) == 0 || !strings.Contains(lines[len(lines)-1], want)) {
				t.Errorf("%s: the log is %q, and should end with %q", c.what, lines, want)
			}
		}
	})
}

// TestSDKDescriptions reads what the modules say of themselves.
func TestSDKDescriptions(t *testing.T) {
	for _, language := range sdks {
		module, err := os.ReadFile(filepath.Join("..", "..", "sdk", language, "testdata", "calls.wasm"))
		if err != nil {
			t.Fatal(err)
		}
		methods, err := seal.Methods(module)
		if err != nil || len(methods) != 1 {
			t.Errorf("%s: %d methods, %v", language, len(methods), err)
			continue
		}
		if diff := cmp.Diff(seal.Of(callsInfo()), methods[0]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", language, diff)
		}
	}
}

// docRow is a row of docs/ABI.md that numbers a constant: its value, its label, its
// name.
var docRow = regexp.MustCompile("(?m)^\\| (-?[0-9]+) \\| ([^|]*) \\|.*\\| `(?:sdk\\.)?([A-Za-z0-9]+)` \\|$")

// constants is how an SDK writes numbers down.
type constants struct {
	block  *regexp.Regexp // what encloses constants: its name, its content; nil where names say it all
	member *regexp.Regexp // a constant: its name, its value
	arm    *regexp.Regexp // a variant with a value of its own: its enumeration, its name, its code; nil where there are none
	list   *regexp.Regexp // words whose places are their codes: the list's name, its words; nil where there are none
}

var constantsOf = map[string]constants{
	"c": {member: regexp.MustCompile(`\bXAI_([A-Z0-9_]+) = (?:1 << )?(-?[0-9]+)\b`)},
	"rust": {
		block:  regexp.MustCompile(`(?s)\b(?:enum|mod) (\w+) \{(.*?)\n\}`),
		member: regexp.MustCompile(`\b(\w+)(?:: \w+)? = (-?[0-9]+)\b`),
		arm:    regexp.MustCompile(`\b(Fill|Edit)::(\w+)(?:\(\w+\))? => \(([0-9]+),`),
	},
	"assemblyscript": {
		block:  regexp.MustCompile(`(?s)\benum (\w+) \{(.*?)\}`),
		member: regexp.MustCompile(`\b(\w+) = (-?[0-9]+)\b`),
	},
	"python": {
		block:  regexp.MustCompile(`(?m)^class (\w+)(?:\(.*\))?:\n((?:    .*\n|\n)+)`),
		member: regexp.MustCompile(`(?m)^    (\w+) = (-?[0-9]+)\b`),
		arm:    regexp.MustCompile(`()"(\w+)": \(([0-9]+), "\w"\)`), // the types of elements
		list:   regexp.MustCompile(`(?m)^_([A-Z]+)S = \(([^)]*)\)`),
	},
}

// of returns the values of an SDK's constants by names as docs/ABI.md has them, in
// small letters.
func (c constants) of(text string) map[string][]string {
	have := map[string][]string{}
	add := func(block, member, value string) {
		small := func(s string) string { return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s)) }
		prefix, ok := map[string]string{
			"code": "e", "dtype": "", "level": "", "fillkind": "fill", "editop": "edit", "tokenflag": "token", "paramtype": "param", "tag": "field",
		}[small(block)]
		if !ok {
			prefix = small(block)
		}
		have[prefix+small(member)] = append(have[prefix+small(member)], value)
	}
	blocks := [][]string{{"", "", text}}
	if c.block != nil {
		blocks = c.block.FindAllStringSubmatch(text, -1)
	}
	for _, b := range blocks {
		for _, m := range c.member.FindAllStringSubmatch(b[2], -1) {
			add(b[1], m[1], m[2])
		}
	}
	if c.arm != nil {
		for _, m := range c.arm.FindAllStringSubmatch(text, -1) {
			add(m[1], m[2], m[3])
		}
	}
	if c.list != nil {
		for _, m := range c.list.FindAllStringSubmatch(text, -1) {
			first := 0
			if m[1] == "WANT" || m[1] == "OP" {
				first = 1
			}
			for i, word := range regexp.MustCompile(`[\w-]+`).FindAllString(m[2], -1) {
				add(m[1], word, strconv.Itoa(first+i))
			}
		}
	}
	return have
}

// TestSDKConstants holds every SDK to every number of docs/ABI.md: it has each key,
// tag, flag and code, whether its authors write it or its own functions do.
func TestSDKConstants(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "ABI.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := docRow.FindAllStringSubmatch(string(doc), -1)
	if len(rows) < 125 {
		t.Fatalf("docs/ABI.md numbers %d constants", len(rows))
	}
	// What no SDK needs: the version is in what a module says, which the calls above
	// pass by, and the host keeps the limits.
	elsewhere := func(name string) bool { return name == "Major" || name == "Minor" || strings.HasPrefix(name, "Max") }
	for _, language := range slices.Concat(sdks, []string{"python"}) {
		text, err := os.ReadFile(sourceOf(t, language))
		if err != nil {
			t.Fatal(err)
		}
		have := constantsOf[language].of(string(text))
		for _, m := range rows {
			value, label, name := m[1], strings.TrimSpace(m[2]), m[3]
			constant := strings.ToLower(name)
			if language == "c" && strings.HasPrefix(value, "-") {
				constant = strings.ToLower(label) // EINVAL, not EInvalid
			}
			if elsewhere(name) || language == "python" && name == "BF16" { // which Python has no array for
				continue
			}
			if !slices.Contains(have[constant], value) {
				t.Errorf("%s: %s is %s in docs/ABI.md, and %q in the SDK", language, name, value, have[constant])
			}
		}
	}
}

// sourceOf returns the file of an SDK.
func sourceOf(t *testing.T, language string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "sdk", language, "xai.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the SDK of %s is %q, %v", language, files, err)
	}
	return files[0]
}
