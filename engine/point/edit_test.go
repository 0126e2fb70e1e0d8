package point_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// file is a file of tensors: shapes by name, and each value its index.
type file map[string][]int

func (f file) read(name string, names []string) (point.Tensor, error) {
	if name != "run.safetensors" {
		return point.Tensor{}, fs.ErrNotExist
	}
	for _, name := range names {
		if shape, ok := f[name]; ok {
			return point.Tensor{Name: name, Shape: shape, Read: func() ([]float64, error) {
				n := 1
				for _, dim := range shape {
					n *= dim
				}
				values := make([]float64, n)
				for i := range values {
					values[i] = float64(i)
				}
				return values, nil
			}}, nil
		}
	}
	return point.Tensor{}, fmt.Errorf("none of %v: %w", names, fs.ErrNotExist)
}

// TestEdits holds what edits do and with what values.
func TestEdits(t *testing.T) {
	m := open(t, "bert-qa", arch.Form{}) // 4 heads of 12 in 48
	run := file{
		"blocks.0.attn.hook_z":        {1, 3, 4, 12},
		"blocks.1.attn.hook_z":        {2, 3, 4, 12},
		"resid_pre1":                  {1, 3, 48},
		"blocks.0.hook_resid_pre":     {1, 3, 48},
		"blocks.0.hook_resid_pre[:1]": {1, 1, 48},
		"direction":                   {48},
		"heads":                       {4, 1},
		"kept":                        {2, 3, 12},
		"dropped":                     {2, 3, 1, 12},
		"one":                         {},
		"hook_span_logits":            {1, 3, 2},
	}
	upTo := func(lo, n int) (x []float64) {
		for i := range n {
			x = append(x, float64(lo+i))
		}
		return x
	}
	for _, c := range []struct {
		spec   string
		op     point.Op
		values []float64
		shape  []int
	}{
		{"z0=zero", point.Replace, []float64{0}, []int{1, 1, 1, 1}},
		{"z0[h=3] = -2.5", point.Replace, []float64{-2.5}, []int{1, 1, 1, 1}},
		{"attn_scores0[s=1]=-inf", point.Replace, []float64{math.Inf(-1)}, []int{1, 1, 1, 1}},
		{"z0[t=:-1]=mean", point.Mean, nil, nil},
		{"q0=add:1e-3", point.Add, []float64{1e-3}, []int{1, 1, 1, 1}},
		{"q0=scale:0", point.Multiply, []float64{0}, []int{1, 1, 1, 1}},
		{"embed=scale:run.safetensors#one", point.Multiply, []float64{0}, []int{1, 1, 1}},
		// The shape of the selection, as numpy repeats it.
		{"resid_pre0[t=1:3]=add:run.safetensors#direction", point.Add, upTo(0, 48), []int{1, 1, 48}},
		{"z0=scale:run.safetensors#heads", point.Multiply, upTo(0, 4), []int{1, 1, 4, 1}},
		{"z0[h=2]=patch:run.safetensors#kept", point.Replace, upTo(0, 72), []int{2, 3, 1, 12}},
		{"z0[h=2]=patch:run.safetensors#dropped", point.Replace, upTo(0, 72), []int{2, 3, 1, 12}},
		{"resid_pre0[b=0,t=-1]=patch:run.safetensors#direction", point.Replace, upTo(0, 48), []int{1, 1, 48}},
		// The whole point, of which the selection is a part.
		{"z0=patch:run.safetensors", point.Replace, upTo(0, 144), []int{1, 3, 4, 12}},
		{"z0[t=1,h=2]=patch:run.safetensors", point.Replace, upTo(48+24, 12), []int{1, 1, 1, 12}},
		{"z0[b=5,t=-1,h=2:3]=patch:run.safetensors", point.Replace, upTo(96+24, 12), []int{1, 1, 1, 12}},
		{"z1[b=1,t=0,h=0]=patch:run.safetensors", point.Replace, upTo(144, 12), []int{1, 1, 1, 12}},
		{"z0[t=0,h=1,e=3:5]=patch:run.safetensors#blocks.0.attn.hook_z", point.Replace, upTo(15, 2), []int{1, 1, 1, 2}},
		{"resid_pre1[t=2]=patch:run.safetensors", point.Replace, upTo(96, 48), []int{1, 1, 48}},
		{"end_logits[t=1]=patch:run.safetensors", point.Replace, []float64{3}, []int{1, 1, 1}},
		// Another point, whole, with no other axes.
		{"resid_pre1[t=2]=patch:run.safetensors#blocks.0.hook_resid_pre", point.Replace, upTo(96, 48), []int{1, 1, 48}},
		{"v_input1[t=1,h=3]=patch:run.safetensors#resid_pre1", point.Replace, upTo(48, 48), []int{1, 1, 1, 48}},
		{"z1[b=0,t=0,h=0]=add:run.safetensors#blocks.0.attn.hook_z", point.Add, upTo(0, 12), []int{1, 1, 1, 12}},
		// The selection's own name comes first.
		{"blocks.0.hook_resid_pre[:1]=patch:run.safetensors", point.Replace, upTo(0, 48), []int{1, 1, 48}},
	} {
		edits, err := point.ParseEdit(m.Graph, m.Info, c.spec, run.read)
		if err != nil || len(edits) != 1 {
			t.Errorf("%s: %d edits, %v", c.spec, len(edits), err)
			continue
		}
		name := strings.TrimSpace(c.spec[:strings.LastIndexByte(c.spec, '=')])
		if e := edits[0]; e.Op != c.op || !slices.Equal(e.Values, c.values) || !slices.Equal(e.Shape, c.shape) {
			t.Errorf("%s: %d, %v, %v, want %d, %v, %v", c.spec, e.Op, e.Values, e.Shape, c.op, c.values, c.shape)
		} else if e.Name != name {
			t.Errorf("%s: edits %s", c.spec, e.Name)
		}
	}
	edits, err := point.ParseEdit(m.Graph, m.Info, "blocks.*.attn.hook_z[t=0,h=0]=patch:run.safetensors", run.read)
	if err != nil || len(edits) != 2 || len(edits[0].Values) != 12 || len(edits[1].Values) != 24 {
		t.Errorf("each point of a glob has a tensor of its own: %v, %v", edits, err)
	}
}

// TestEditRefusals holds that what cannot be done is refused with a reason.
func TestEditRefusals(t *testing.T) {
	syntax, unknown, mismatch := new(*point.SyntaxError), new(*point.UnknownError), new(*point.MismatchError)
	m := open(t, "xlnet-lm", twoStreams)
	run := file{
		"blocks.0.attn.hook_z": {1, 3, 4, 10}, "blocks.1.attn.hook_z": {3, 4, 10}, "blocks.2.attn.hook_z": {1, 3, 5, 10},
		"three": {3}, "five": {1, 1, 1, 1, 1}, "none": {0, 40},
	}
	for _, c := range []struct {
		spec  string
		as    any
		words string
	}{
		{"z0", syntax, "POINT="},
		{"z0[h=1]", syntax, "POINT="},
		{"z0=", syntax, "add:X"},
		{"z0=half", syntax, "add:X"},
		{"z0=nan", syntax, "add:X"},
		{"z0=1e999", syntax, "add:X"},
		{"z0=add:inf", syntax, "finite"},
		{"z0=add:", syntax, "file"},
		{"z0=add:run.safetensors", syntax, "FILE#NAME"},
		{"z0=scale:run.safetensors#", syntax, "tensor"},
		{"z0=patch", syntax, "patch:FILE"},
		{"z0=patch:", syntax, "file"},
		{"z0=patch:#three", syntax, "file"},
		{"z0[h=1=zero", syntax, "not closed"},
		{"=zero", syntax, "needs a name"},
		{"zz=zero", unknown, "zz"},
		{"z0[h=9]=zero", mismatch, "H has 4"},
		{"hook_tokens=zero", mismatch, "hook_embed"},
		{"blocks.0.hook_mems=zero", mismatch, "memories"},
		{"blocks.0.attn.hook_scores_content=zero", mismatch, "hook_attn_scores"},
		{"blocks.0.*=zero", mismatch, "blocks.0.hook_mems"},
		{"z0=patch:other", new(error), "not exist"},
		{"z0=patch:run.safetensors#missing", new(error), "missing"},
		{"z0=patch:run.safetensors#three", mismatch, "[B,T,H=4,E=10]|[3]"},
		{"pattern0[h=1]=patch:run.safetensors#blocks.0.attn.hook_z", mismatch, "[B,T,S]|[1 3 4 10]"},
		{"z0[h=1:3]=patch:run.safetensors#three", mismatch, "[B,T,H=2,E=10]|[3]"},
		{"z0[t=1:3,e=0]=patch:run.safetensors#three", mismatch, "[B,T=2,H=4]|[3]"},
		{"z0=patch:run.safetensors#five", mismatch, "[1 1 1 1 1]"},
		{"embed=patch:run.safetensors#none", mismatch, "no values|[0 40]"},
		{"z0[t=3]=patch:run.safetensors", mismatch, "axis T|[1 3 4 10]"},
		{"z1[t=0]=patch:run.safetensors", mismatch, "[3 4 10]|[B,T,H=4,E=10]"},
		{"z2[t=0]=patch:run.safetensors", mismatch, "[1 3 5 10]|[B,T,H=4,E=10]"},
	} {
		_, err := point.ParseEdit(m.Graph, m.Info, c.spec, run.read)
		if !errors.As(err, c.as) {
			t.Errorf("%s: %T %v", c.spec, err, err)
			continue
		}
		for word := range strings.SplitSeq(c.words, "|") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q says nothing of %q", c.spec, err, word)
			}
		}
	}
	// What does not fit by its shape is refused unread; what the reader says is
	// passed on, and held to the shape.
	broken := errors.New("broken")
	for spec, c := range map[string]struct {
		shape  []int
		values []float64
		err    error
		words  string
	}{
		"z0=patch:f#three":      {[]int{3}, nil, broken, "[3]"},
		"z0[t=3]=patch:f":       {[]int{1, 3, 4, 10}, nil, broken, "axis T"},
		"z0[t=0]=patch:f":       {[]int{1, 3, 5, 10}, nil, broken, "[1 3 5 10]"},
		"z0=patch:f#fits":       {[]int{10}, nil, broken, "broken"},
		"z0=patch:f#too-little": {[]int{10}, make([]float64, 9), nil, "9 values"},
	} {
		_, err := point.ParseEdit(m.Graph, m.Info, spec, func(_ string, names []string) (point.Tensor, error) {
			return point.Tensor{Name: names[len(names)-1], Shape: c.shape, Read: func() ([]float64, error) { return c.values, c.err }}, nil
		})
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s of a tensor %v: %v", spec, c.shape, err)
		}
	}
	bert := open(t, "bert-seqcls", arch.Form{})
	if _, err := point.ParseEdit(bert.Graph, bert.Info, "pooler_output=mean", nil); !errors.As(err, mismatch) {
		t.Errorf("the mean of a point without positions: %v", err)
	}
}

// TestNewEdit holds in what shape an edit has its values.
func TestNewEdit(t *testing.T) {
	qa, pooled := open(t, "bert-qa", arch.Form{}), open(t, "bert-seqcls", arch.Form{}) // 4 heads of 12
	for _, c := range []struct {
		model model
		spec  string
		op    point.Op
		shape []int
		want  []int // the shape of the edit
		says  string
	}{
		{qa, "z0", point.Replace, nil, []int{1, 1, 1, 1}, ""},
		{qa, "z0[h=2]", point.Add, []int{1, 1, 1, 1, 1, 1}, []int{1, 1, 1, 1}, ""}, // one value is of any shape
		{qa, "pattern0", point.Multiply, []int{5, 1, 1, 1}, []int{5, 1, 1, 1}, ""},
		{qa, "pattern0[h=1]", point.Replace, []int{1, 1, 5}, []int{1, 1, 1, 5}, ""},
		{qa, "pattern0[h=1]", point.Replace, []int{1, 1, 1, 5}, []int{1, 1, 1, 5}, ""},
		{qa, "pattern0[0,1,2]", point.Replace, []int{5}, []int{1, 1, 1, 5}, ""},
		{qa, "pattern0", point.Mean, nil, nil, ""},
		{qa, "pattern0", point.Replace, []int{5}, nil, "takes values of the shape [B,H=4,T,S], not of [5]"},
		{qa, "pattern0[h=1]", point.Replace, []int{5, 1}, nil, "not of [5 1]"},
		{qa, "pattern0", point.Replace, []int{1, 5, 1, 1}, nil, "not of [1 5 1 1]"},
		{qa, "hook_tokens", point.Replace, nil, nil, "give other tokens"},
		{pooled, "pooler_output", point.Mean, nil, nil, "no positions"},
	} {
		s := c.model.one(t, c.spec)
		e, err := point.NewEdit(c.model.Graph, s, c.op, c.shape)
		if c.says != "" {
			if _, ok := errors.AsType[*point.MismatchError](err); !ok || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s by %v: %v", c.spec, c.shape, err)
			}
			continue
		}
		if err != nil || e.Name != c.spec || e.Op != c.op || !slices.Equal(e.Shape, c.want) {
			t.Errorf("%s by %v: %+v, %v", c.spec, c.shape, e, err)
		}
	}
}

// TestTargets holds how sums of logits are read.
func TestTargets(t *testing.T) {
	for _, c := range []struct {
		model, text string
		want        []point.Term
	}{
		{"bert-seqcls", "logits[1,2]", []point.Term{{Sequence: 1, Class: 2, Weight: 1}}},
		{"bert-seqcls", " -hook_cls_logits[b=0,c=-1]+ 2.5e-1 * logits[-1,0] ", []point.Term{{Class: 2, Weight: -1}, {Sequence: -1, Weight: 0.25}}},
		{"gpt2-lm", "logits[0,5,17] - .5*logits[0,-1,3] - -2*logits[1,0,0]", []point.Term{
			{Row: 5, Class: 17, Weight: 1}, {Row: -1, Class: 3, Weight: -0.5}, {Sequence: 1, Weight: 2},
		}},
		{"gpt2-seqcls", "logits[0,1]", []point.Term{{Class: 1, Weight: 1}}},
		{"bert-qa", "start_logits[0,3]+end_logits[0,4]+hook_span_logits[1,2,0]", []point.Term{
			{Row: 3, Weight: 1}, {Row: 4, Class: 1, Weight: 1}, {Sequence: 1, Row: 2, Weight: 1},
		}},
		{"xlnet-lm", "unembed.hook_out[0,p=1,7]", []point.Term{{Row: 1, Class: 7, Weight: 1}}},
	} {
		m := open(t, c.model, twoStreams)
		got, err := point.ParseTarget(m.Graph, m.Info, c.text)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", c.text, err, diff)
		}
	}
	syntax, unknown, mismatch := new(*point.SyntaxError), new(*point.UnknownError), new(*point.MismatchError)
	m := open(t, "gpt2-lm", arch.Form{})
	for text, as := range map[string]any{
		"": syntax, "-": syntax, "logits[0,0,0] +": syntax, "2*": syntax, "9e999*logits[0,0,0]": syntax, "logits[0,0": syntax,
		"logits[0,0,0] logits[0,0,1]": unknown, "2 logits[0,0,0]": unknown, "logit[0,0,0]": unknown, "start_logits[0,0]": unknown,
		"logits": mismatch, "logits[0,1:2,0]": mismatch, "logits[0,0,260]": mismatch, "hook_embed[0,0,0]": mismatch, "unembed.hook_in[0,0,0]": mismatch,
	} {
		if got, err := point.ParseTarget(m.Graph, m.Info, text); !errors.As(err, as) {
			t.Errorf("%q: %v, %T %v", text, got, err, err)
		}
	}
}

// TestTermIn holds what indices from the end stand for.
func TestTermIn(t *testing.T) {
	rows := []int{5, 2}
	for _, c := range []struct {
		sequence, row         int
		wantSequence, wantRow int
		ok                    bool
	}{
		{0, 4, 0, 4, true}, {0, -1, 0, 4, true}, {-1, -2, 1, 0, true}, {-2, 0, 0, 0, true},
		{1, 2, 0, 0, false}, {1, -3, 0, 0, false}, {2, 0, 0, 0, false}, {-3, 0, 0, 0, false},
	} {
		got, ok := point.Term{Sequence: c.sequence, Row: c.row, Class: 7, Weight: 2}.In(rows)
		if ok != c.ok || ok && got != (point.Term{Sequence: c.wantSequence, Row: c.wantRow, Class: 7, Weight: 2}) {
			t.Errorf("row %d of sequence %d: %+v, %v", c.row, c.sequence, got, ok)
		}
	}
}

// TestDescribe holds what is said of points.
func TestDescribe(t *testing.T) {
	m := open(t, "bert-qa", arch.Form{})
	m.DType = arch.F64
	all := map[string]point.Description{}
	for i, d := range point.Describe(m.Graph, m.Info) {
		if d.Name != m.Points[i].Name {
			t.Fatalf("point %d is %s, want %s", i, d.Name, m.Points[i].Name)
		}
		all[d.Name] = d
		for _, alias := range d.Aliases {
			if got := m.one(t, alias); got.Point.Name != d.Name {
				t.Errorf("%s is no alias of %s", alias, d.Name)
			}
		}
	}
	first := 0
	for _, want := range []point.Description{
		{
			Name: "hook_tokens", Shape: "[B,T]", Axes: []string{"B", "T"}, Sizes: []int{0, 0}, DType: "int32", Operation: "words", Aliases: []string{},
		},
		{
			Name: "blocks.0.attn.hook_pattern", Shape: "[B,H=4,T,S]", Axes: []string{"B", "H", "T", "S"}, Sizes: []int{0, 4, 0, 0},
			DType: "float64", Layer: &first, Operation: "attention", Differentiable: true, Editable: true, Virtual: true,
			Aliases: []string{"pattern0", "attn0", "attentions[0]"},
		},
		{
			Name: "hook_span_logits", Shape: "[B,T,2]", Axes: []string{"B", "T", "2"}, Sizes: []int{0, 0, 2},
			DType: "float64", Operation: "linear", Differentiable: true, Editable: true, Aliases: []string{},
		},
	} {
		if diff := cmp.Diff(want, all[want.Name]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// FuzzEdit holds that any text is refused or changes what can be changed, with
// as many values as their shape has.
func FuzzEdit(f *testing.F) {
	for _, seed := range []string{
		"z0[t=1,h=2]=patch:run.safetensors", "*embed=scale:run.safetensors#direction", "q0[:,-1]=-1e3", "hidden_states[1]=mean", "z?=zero", "z0=add:#", "=", "a[=]=zero",
	} {
		f.Add(seed)
	}
	models := []model{open(f, "bert-qa", arch.Form{}), open(f, "xlnet-lm", twoStreams)}
	run := file{"blocks.0.attn.hook_z": {1, 3, 4, 12}, "direction": {48}, "none": {0}}
	f.Fuzz(func(t *testing.T, spec string) {
		for _, m := range models {
			edits, err := point.ParseEdit(m.Graph, m.Info, spec, run.read)
			if err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					typed(t, err)
				}
				continue
			}
			for _, e := range edits {
				n := 1
				for _, dim := range e.Shape {
					n *= dim
				}
				if !e.Point.Editable || e.Op != point.Mean && (n != len(e.Values) || len(e.Shape) != len(e.Ranges)) {
					t.Fatalf("%q edits %s with %d values of the shape %v", spec, e.Name, len(e.Values), e.Shape)
				}
			}
		}
	})
}

// FuzzTarget holds that any text is refused or a sum of logits that exist.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"logits[0,1]", "2*logits[0,-1,3] - 1e-3*start_logits[1,2]", "--end_logits[0,0]", "*logits[0,0]", "hook_*_logits[0,0,1]", "+", "1*"} {
		f.Add(seed)
	}
	models := []model{open(f, "bert-qa", arch.Form{}), open(f, "gpt2-lm", arch.Form{}), open(f, "bert-seqcls", arch.Form{})}
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range models {
			terms, err := point.ParseTarget(m.Graph, m.Info, text)
			if err != nil {
				typed(t, err)
				continue
			}
			for _, term := range terms {
				if term.Class < 0 || term.Class >= m.Outputs || math.IsInf(term.Weight, 0) || math.IsNaN(term.Weight) {
					t.Fatalf("%q has the term %+v", text, term)
				}
			}
			if len(terms) == 0 {
				t.Fatalf("%q has no terms", text)
			}
		}
	})
}
