package core

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// tester is a test, or one of rapid's.
type tester interface {
	rapid.TB
	Context() context.Context
}

// targetsOf returns the target of the rows of a forward.
func (s *session) targetsOf(t tester, f *sdk.Forward) []float64 {
	t.Helper()
	reply, err := s.Forward(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	x, err := reply.Tensor(sdk.ReplyTarget, 0)
	if err != nil {
		t.Fatal(err)
	}
	return x.Data.([]float64)
}

func int32s(v []int64) []int32 {
	out := make([]int32, len(v))
	for i, x := range v {
		out[i] = int32(x)
	}
	return out
}

// TestTargetsAtPositions holds targets at a position of a causal language model,
// and their gradients, to the reference implementation.
func TestTargetsAtPositions(t *testing.T) {
	for _, dtype := range []string{"f32", "f64"} {
		atol := func(a golden.Array) float64 {
			if dtype == "f64" {
				return a.F64Atol
			}
			return a.F32Atol
		}
		m := openGolden(t, "gpt2-text", Options{DType: dtype})
		for _, name := range []string{"pert_gpt2", "grad_gpt2"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				ids := int32s(c.Ints(t, "input_ids"))
				last := len(ids) - 1
				want := c.Want(t, "output")
				for id := 0; id < len(want); id += 13 {
					for _, expr := range []string{fmt.Sprintf("token:%d@%d", id, last), fmt.Sprintf("token:%d@-1", id)} {
						s := started(t, m, Request{Input: Input{Raw: &Raw{IDs: ids}}, Target: expr, Output: sdk.Logit})
						golden.Close(t, expr, []float64{s.value()}, want[id:id+1], atol(c.Outputs["output"]))
					}
				}
				other, target := 7, string(c.Config["target"])
				s := started(t, m, Request{Input: Input{Raw: &Raw{IDs: ids}}, Target: fmt.Sprintf("token:%s - token:%d@-1", target, other), Output: sdk.Logit})
				var id int
				fmt.Sscan(target, &id)
				golden.Close(t, "a difference", []float64{s.value()}, []float64{want[id] - want[other]}, 2*atol(c.Outputs["output"]))
				s = started(t, m, Request{Input: Input{Raw: &Raw{IDs: ids}}, Target: "token:" + target, Output: sdk.LogProb})
				golden.Close(t, "a log-probability", []float64{s.value()}, []float64{want[id] - num.LogSumExp(want)}, 2*atol(c.Outputs["output"]))
				s = started(t, m, Request{Input: Input{Raw: &Raw{IDs: ids}}, Target: "token:" + target, Output: sdk.Logit})
				if saliency, ok := c.Outputs["saliency_signed"]; ok {
					reply, err := s.Gradient(t.Context(), &sdk.Forward{IDs: [][]int32{ids}, Points: []string{"embeddings"}}, []string{"embeddings"})
					if err != nil {
						t.Fatal(err)
					}
					got, _ := get(t, reply, sdk.Grad("embeddings"), 0)
					golden.Close(t, "its gradient", got, c.Want(t, "saliency_signed"), atol(saliency))
					value, _ := get(t, reply, sdk.ReplyTarget, 0)
					golden.Close(t, "its value", value, want[id:id+1], atol(c.Outputs["output"]))
				}
				if ablated, ok := c.Outputs["feature_ablation"]; ok {
					masked := int32s(c.Ints(t, "baseline_ids"))
					rows := [][]int32{ids}
					for i := range ids {
						row := slices.Clone(ids)
						row[i] = masked[i]
						rows = append(rows, row)
					}
					values := s.targetsOf(t, &sdk.Forward{IDs: rows})
					for i := range ids {
						values[i+1] = values[0] - values[i+1]
					}
					golden.Close(t, "ablations", values[1:], c.Want(t, "feature_ablation"), atol(ablated))
				}
			})
		}
	}
}

// TestTargetsOfTasks holds the targets of answers and of tokens, with their
// gradients, to the reference implementation.
func TestTargetsOfTasks(t *testing.T) {
	for name, expr := range map[string]func(row []int64) string{
		"bert_qa":     func(row []int64) string { return fmt.Sprintf("start@%d", row[1]) },
		"bert_tokcls": func(row []int64) string { return fmt.Sprintf("%d@%d", row[2], row[1]) },
		"gpt2_lm":     func(row []int64) string { return fmt.Sprintf("token:%d@%d", row[2], row[1]) },
		"bert_mlm":    func(row []int64) string { return fmt.Sprintf("token:%d@%d", row[2], row[1]) },
	} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				m := openGolden(t, c.Model, Options{DType: dtype})
				tokens := c.Inputs["input_ids"].Shape[1]
				width := m.engine.Info().Embedding
				for i, row := range slices.Collect(slices.Chunk(c.Ints(t, "target"), c.Inputs["target"].Shape[1])) {
					b := int(row[0])
					part := func(name string) []int32 {
						if v := c.Ints(t, name); v != nil {
							return int32s(v[b*tokens : (b+1)*tokens])
						}
						return nil
					}
					raw := &Raw{IDs: part("input_ids"), TypeIDs: part("token_type_ids")}
					for _, v := range part("attention_mask") {
						raw.Mask = append(raw.Mask, uint8(v))
					}
					for _, output := range []sdk.Output{sdk.Logit, sdk.LogProb} {
						s := started(t, m, Request{Input: Input{Raw: raw}, Target: expr(row), Output: output})
						value, gradient := "target_"+string(output), "grad_"+string(output)+".embeddings.0"
						tolerance := func(name string) float64 {
							if dtype == "f64" {
								return c.Outputs[name].F64Atol
							}
							return c.Outputs[name].F32Atol
						}
						golden.Close(t, value, []float64{s.value()}, c.Want(t, value)[i:i+1], tolerance(value))
						n := 0 // no other target is of the same row
						for _, other := range slices.Collect(slices.Chunk(c.Ints(t, "target"), c.Inputs["target"].Shape[1])) {
							if other[0] == row[0] {
								n++
							}
						}
						if n > 1 {
							t.Fatalf("row %d has %d targets", b, n)
						}
						reply, err := s.Gradient(t.Context(), &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, tokens), 1, tokens)}, []string{"embeddings"})
						if err != nil {
							t.Fatal(err)
						}
						got, _ := get(t, reply, sdk.Grad("embeddings"), 0)
						size := tokens * width
						golden.Close(t, gradient, got, c.Want(t, gradient)[b*size:(b+1)*size], tolerance(gradient))
						at, _ := get(t, reply, sdk.ReplyTarget, 0)
						if at[0] != s.value() {
							t.Errorf("%s of the gradient is %v, and %v alone", expr(row), at[0], s.value())
						}
						if s.gradients != 1 || s.forwards != 1 || s.evaluations != 1 || s.unique != 1 || s.hits != 0 {
							t.Errorf("%d gradients, %d forwards, %d evaluations, %d distinct, %d hits", s.gradients, s.forwards, s.evaluations, s.unique, s.hits)
						}
					}
				}
			})
		}
	}
}

// withWords is a golden model beside a tokenizer of another one.
func withWords(t testing.TB, model, words, vocabulary string) *Model {
	t.Helper()
	models := filepath.Join("..", "testdata", "conformance", "models")
	dir := t.TempDir()
	for _, file := range []string{filepath.Join(model, "config.json"), filepath.Join(model, "model.safetensors"), filepath.Join(words, vocabulary)} {
		b, err := os.ReadFile(filepath.Join(models, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.OpenModel(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// alone returns a target of a row by itself, its places counted from the row's
// beginning: what the reference says of logits that are all there.
func alone(t tester, m *Model, q question, target *target) float64 {
	t.Helper()
	sum := 0.0
	for _, p := range target.parts {
		q := q[p.branch]
		r := Raw{IDs: q.row.ids, Mask: q.row.mask, TypeIDs: q.row.types, PositionIDs: q.row.positions, Targets: q.row.targets, Hidden: q.row.hidden}
		prediction, err := m.Predict(t.Context(), []Input{{Raw: &r}}, PredictOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		heads := prediction.Rows[0].Readouts
		value := 0.0
		for _, k := range p.cells {
			at := q.spots[k]
			if q.reads != nil {
				at.row = q.reads[at.row]
			}
			x := heads[at.row].Logits[at.class]
			if target.output == sdk.Logit {
				value += x
				continue
			}
			rivals := heads[at.row].Logits
			if m.scale(target.output).spans {
				rivals = nil
				for _, h := range heads {
					rivals = append(rivals, h.Logits[at.class])
				}
			}
			value += x - num.LogSumExp(rivals)
		}
		if target.output == sdk.Prob {
			value = math.Exp(value)
		}
		sum += p.weight * value
	}
	return sum
}

// TestTargetsOfVariants: the target of a variant is that of the variant alone,
// read where the token of the input has gone.
func TestTargetsOfVariants(t *testing.T) {
	gpt := openGolden(t, "gpt2-text", Options{})
	qa, mlm, tokens := withWords(t, "bert-qa", "bert-text", "vocab.txt"), withWords(t, "bert-mlm", "bert-text", "vocab.txt"), withWords(t, "bert-tokcls", "bert-text", "vocab.txt")
	pair := "the film was good and not dull ."
	kinds := []struct {
		model   *Model
		input   Input
		targets []string
	}{
		{gpt, Input{Text: "the film was good and dull"}, []string{"", "token:9@-1", "token:9@3", "token: river@0 - token:7@-3", "continuation: not bad", "continuation: not bad - continuation: good", "step:1: not bad"}},
		{gpt, Input{Raw: &Raw{IDs: sampleIDs(7)[0], Mask: []uint8{1, 1, 1, 1, 1, 0, 0}}}, []string{"", "token:9@-1", "token:9@2"}},
		{qa, Input{Text: "was it good ?", Pair: &pair}, []string{"", "start@0", "end@-2", "span:7-10", "start@8 - end@8", "span:7-7 - span:8-9"}},
		{mlm, Input{Text: "the film [MASK] good"}, []string{"", "token:7@3", "token:7@-1 - token:8@1"}},
		{tokens, Input{Text: "the film was good"}, []string{"", "1@2", "0@0 - 1@-1"}},
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		r := Request{
			Input: kind.input, Target: rapid.SampledFrom(kind.targets).Draw(t, "target"),
			Output: rapid.SampledFrom([]sdk.Output{"", sdk.Logit, sdk.Prob, sdk.LogProb}).Draw(t, "output"),
			Units:  rapid.SampledFrom([]string{UnitsWord, UnitsToken}).Draw(t, "units"),
		}
		s, err := kind.model.session(t.Context(), &r)
		if err != nil {
			t.Fatal(err)
		}
		fill := sdk.Fill{Kind: rapid.SampledFrom([]sdk.FillKind{sdk.FillDelete, sdk.FillText, sdk.FillZero, sdk.FillHide, sdk.FillToken}).Draw(t, "fill"), Token: 5, Text: "it"}
		form := rapid.SampledFrom([]string{"units", "masks", "over"}).Draw(t, "form")
		if fill.Kind == sdk.FillText && (kind.input.Raw != nil || form != "units" || r.Units == UnitsToken) {
			fill.Kind = sdk.FillHide // the text may be several tokens
		}
		const rows = 5
		var f *sdk.Forward
		n := len(s.units)
		if form == "masks" {
			n = len(s.enc.tokens)
		}
		keep := rapid.SliceOfN(rapid.Uint8Range(0, 1), rows*n, rows*n).Draw(t, "keep")
		copy(keep, slices.Repeat([]uint8{1}, n))
		f = &sdk.Forward{Units: sdk.NewTensor(keep, rows, n), Fill: fill}
		switch form {
		case "masks":
			f = &sdk.Forward{Masks: f.Units, Fill: fill}
		case "over":
			for _, u := range s.units {
				f.Over = append(f.Over, sdk.Unit{Text: u.Text, Tokens: u.Tokens})
			}
		}
		got := s.targetsOf(t, f)
		if got[0] != s.value() {
			t.Errorf("a row that drops nothing has the target %v, and the input %v", got[0], s.value())
		}
		count, build, err := s.rows(f, s.target)
		if err != nil || count != rows {
			t.Fatal(count, err)
		}
		for i := range rows {
			v, err := build(i)
			if err != nil {
				t.Fatal(err)
			}
			q, err := s.ask(s.target, v)
			if err != nil {
				t.Fatal(err)
			}
			if want := alone(t, kind.model, q, s.target); math.Abs(got[i]-want) > 1e-6*max(1, math.Abs(want)) {
				t.Errorf("row %d, %v: target %v, and %v alone", i, q[0].row.ids, got[i], want)
			}
			// Where a token is kept, it is that token.
			for b, branch := range s.target.branches {
				for k, c := range branch.cells {
					if c.position < 0 || form == "units" && r.Units == UnitsWord && kind.model == gpt {
						continue // words are several tokens there, that others may take the place of
					}
					at := q[b].spots[k].row
					if q[b].reads != nil {
						at = q[b].reads[at]
					}
					if id := q[b].row.ids[at]; !dropped(s, f, i, c.position) && id != s.enc.tokens[c.position].ID {
						t.Errorf("row %d, %v: position %d has gone to %d, token %d instead of %d", i, q[b].row.ids, c.position, at, id, s.enc.tokens[c.position].ID)
					}
				}
			}
		}
	})
}

// dropped reports whether row i of a forward drops a token.
func dropped(s *session, f *sdk.Forward, i, token int) bool {
	t := s.enc.tokens[token]
	if f.Masks != nil {
		return !t.Special && !t.Fixed && f.Masks.Data.([]uint8)[i*len(s.enc.tokens)+token] == 0
	}
	for k, u := range s.units {
		if slices.Contains(u.Tokens, token) {
			return f.Units.Data.([]uint8)[i*len(s.units)+k] == 0
		}
	}
	return false
}

// TestPlacesOfDropped: what is read at a token that was deleted is read at the one
// before it, and at the first where there is none; a place that counts from the
// end stays.
func TestPlacesOfDropped(t *testing.T) {
	m := withWords(t, "bert-tokcls", "bert-text", "vocab.txt")
	for _, c := range []struct {
		units, drop, target string
		want                int // position in the row
	}{
		{UnitsWord, "film", "1@2", 1},
		{UnitsWord, "the", "1@1", 0},
		{UnitsWord, "the film", "1@3", 1},
		{UnitsWord, "the film was good", "1@4", 0},
		{UnitsWord, "the film was good", "1@5", 1}, // [SEP]
		{UnitsWord, "was", "1@4", 3},
		{UnitsWord, "was", "1@0", 0},
		{UnitsWord, "was good", "1@-1", 3},
		{UnitsWord, "was", "1@-2", 3},
		{UnitsWord, "the film was good", "1@-4", 0},
	} {
		for _, policy := range []string{UnitsWord, UnitsToken} {
			s := started(t, m, Request{Input: Input{Text: "the film was good"}, Units: policy, Target: c.target})
			keep := slices.Repeat([]uint8{1}, len(s.units))
			for i, u := range s.units {
				if slices.Contains(strings.Fields(c.drop), u.Text) {
					keep[i] = 0
				}
			}
			_, build, err := s.rows(&sdk.Forward{Units: sdk.NewTensor(keep, 1, len(keep)), Fill: sdk.Fill{Kind: sdk.FillDelete}}, s.target)
			if err != nil {
				t.Fatal(err)
			}
			v, err := build(0)
			if err != nil {
				t.Fatal(err)
			}
			q, err := s.ask(s.target, v)
			if err != nil {
				t.Fatal(err)
			}
			if got := q[0].reads[q[0].spots[0].row]; got != c.want {
				t.Errorf("%s, %s without %q: read at %d, want %d", policy, c.target, c.drop, got, c.want)
			}
		}
	}
	s := started(t, m, Request{Input: Input{Text: "the film was good"}, Target: "1@2"})
	if _, err := s.Forward(t.Context(), &sdk.Forward{Texts: []string{"the"}}); !errors.Is(err, sdk.NewError(sdk.EUnsupported, "")) {
		t.Errorf("a place in another text: %v", err)
	}
	s = started(t, m, Request{Input: Input{Text: "the film was good"}, Target: "1@-2"})
	if _, err := s.Forward(t.Context(), &sdk.Forward{Texts: []string{"the"}}); err != nil {
		t.Errorf("a place from the end of another text: %v", err)
	}
}

// TestRepliesOfPlaces: what is kept of a row of logits is what the target reads.
func TestRepliesOfPlaces(t *testing.T) {
	m := openGolden(t, "gpt2-text", Options{})
	s := started(t, m, Request{Input: Input{Text: "the film was good"}})
	reply, err := s.Forward(t.Context(), &sdk.Forward{IDs: sampleIDs(3, 5)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{sdk.ReplyLogits, sdk.ReplyProbs, sdk.ReplyLogProbs} {
		if _, err := reply.Tensor(name, 0); !errors.Is(err, sdk.NewError(sdk.EUnsupported, "")) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for _, a := range s.answers {
		if len(a.values) != 2 {
			t.Errorf("an answer keeps %d values", len(a.values))
		}
	}
	if s.forwards != 2 || s.gradients != 0 {
		t.Errorf("%d forwards, %d gradients", s.forwards, s.gradients)
	}
}

// TestContinuations: the value of a continuation is what its tokens have one after
// the other, each given those before it, and its steps are these.
func TestContinuations(t *testing.T) {
	m := openGolden(t, "gpt2-text", Options{})
	const text, rest = "the film was", " good and dull"
	s := started(t, m, Request{Input: Input{Text: text}, Target: "continuation:" + rest})
	row := s.enc.row.ids
	n, k := len(row)-len(s.suffix), len(s.suffix)
	if got := m.tokenizer.Join(s.suffix, false); got != rest || k < 2 {
		t.Fatalf("the continuation is %q in %d tokens", got, k)
	}
	sum := 0.0
	for i, step := range s.steps() {
		prefix := started(t, m, Request{Input: Input{Raw: &Raw{IDs: row[:n+i]}}, Target: fmt.Sprintf("token:%d", row[n+i]), Output: sdk.LogProb})
		if math.Abs(prefix.value()-float64(step.Value)) > 1e-5 {
			t.Errorf("step %d is %v, and alone %v", i, step.Value, prefix.value())
		}
		sum += prefix.value()
	}
	if math.Abs(sum-s.value()) > 1e-5 {
		t.Errorf("the continuation is %v, and its steps sum up to %v", s.value(), sum)
	}
	if p := started(t, m, Request{Input: Input{Text: text}, Target: "continuation:" + rest, Output: sdk.Prob}); math.Abs(math.Log(p.value())-sum) > 1e-5 {
		t.Errorf("the probability is %v, and its logarithm should be %v", p.value(), sum)
	}
	other := started(t, m, Request{Input: Input{Text: text}, Target: "continuation: bad"})
	both := started(t, m, Request{Input: Input{Text: text}, Target: "continuation:" + rest + " - continuation: bad"})
	if math.Abs(both.value()-(s.value()-other.value())) > 1e-5 {
		t.Errorf("the difference of %v and %v is %v", s.value(), other.value(), both.value())
	}
	if got := s.describe(0).Positions; len(got) != k || got[0] != n-1 || got[k-1] != n+k-2 {
		t.Errorf("the target is read from %v of %d tokens", got, n+k)
	}
	// Its tokens are there, and fixed: nothing drops them.
	for _, f := range []*sdk.Forward{
		{Masks: sdk.NewTensor(make([]uint8, n+k), 1, n+k), Fill: sdk.Fill{Kind: sdk.FillDelete}},
		{Units: sdk.NewTensor([]uint8{0, 1}, 1, 2), Over: []sdk.Unit{{Tokens: []int{n, n + 1}}, {Tokens: []int{0}}}, Fill: sdk.Fill{Kind: sdk.FillToken, Token: 3}},
	} {
		got := s.targetsOf(t, f)
		if f.Units != nil && got[0] != s.value() {
			t.Errorf("dropping fixed tokens gives %v instead of %v", got[0], s.value())
		}
	}
	// A method cannot have the input go on otherwise.
	if _, err := s.Forward(t.Context(), &sdk.Forward{IDs: [][]int32{row}, Target: "token:3@-1"}); !errors.Is(err, sdk.NewError(sdk.EUnsupported, "")) {
		t.Errorf("another target: %v", err)
	}
	if got := s.targetsOf(t, &sdk.Forward{IDs: [][]int32{row}, Target: "step:1:" + rest}); got[0] != float64(s.steps()[1].Value) {
		t.Errorf("step 1 is %v, and %v by its name", s.steps()[1].Value, got[0])
	}
	// The gradient of the whole is the sum of the steps'.
	sums := make([]float64, (n+k)*m.engine.Info().Embedding)
	gradient := func(target string) []float64 {
		reply, err := s.Gradient(t.Context(), &sdk.Forward{IDs: [][]int32{row}, Target: target}, []string{"embeddings"})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := get(t, reply, sdk.Grad("embeddings"), 0)
		return got
	}
	for i := range k {
		for j, v := range gradient(fmt.Sprintf("step:%d:%s", i, rest)) {
			sums[j] += v
		}
	}
	golden.Close(t, "the gradient of a continuation", gradient(""), sums, 1e-4)
}

// TestContrast: what a difference of two continuations has inside of the model is at
// the input's tokens, whose values both rows have, and its gradients are the
// differences of theirs.
func TestContrast(t *testing.T) {
	const text, one, two = "the film was", "continuation: good and dull", "continuation: bad"
	points := []string{"embeddings", "hidden_states[1]", "blocks.1.attn.hook_v"}
	for _, dtype := range []string{"f32", "f64"} {
		m := openGolden(t, "gpt2-text", Options{DType: dtype})
		for _, output := range []sdk.Output{sdk.LogProb, sdk.Prob, sdk.Logit} {
			t.Run(dtype+"/"+string(output), func(t *testing.T) {
				begin := func(target string) *session {
					return started(t, m, Request{Input: Input{Text: text}, Target: target, Output: output})
				}
				kept := func(s *session, n int) *sdk.Forward {
					return &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, n*len(s.enc.tokens)), n, len(s.enc.tokens)), Points: points}
				}
				read := func(s *session, f *sdk.Forward) sdk.Reply {
					t.Helper()
					reply, err := s.Gradient(t.Context(), f, points)
					if err != nil {
						t.Fatal(err)
					}
					return reply
				}
				both, a, b := begin(one+" - "+two), begin(one), begin(two)
				n := len(both.enc.tokens)
				reply, replyA, replyB := read(both, kept(both, 1)), read(a, kept(a, 1)), read(b, kept(b, 1))
				near := func(name string, got, want []float64) {
					t.Helper()
					golden.Close(t, name, got, want, map[string]float64{"f32": 1e-5, "f64": 1e-12}[dtype])
				}
				for _, point := range points {
					got, shape := get(t, reply, sdk.Grad(point), 0)
					if shape[1] != n {
						t.Fatalf("%s: the gradient has the shape %v, of %d tokens", point, shape, n)
					}
					want, _ := get(t, replyA, sdk.Grad(point), 0)
					minus, _ := get(t, replyB, sdk.Grad(point), 0)
					for j := range got {
						want[j] -= minus[j]
					}
					near(point, got, want[:len(got)])
					value, _ := get(t, reply, point, 0)
					other, _ := get(t, replyB, point, 0)
					near("values of "+point, value, other[:len(value)])
				}
				value, _ := get(t, reply, sdk.ReplyTarget, 0)
				near("the target", value, []float64{both.value()})
				if want := a.value() - b.value(); math.Abs(both.value()-want) > 1e-5 {
					t.Errorf("the difference is %v, want %v", both.value(), want)
				}
				// With what is there already put in its place nothing changes.
				grad, _ := get(t, reply, sdk.Grad("embeddings"), 0)
				words, shape := get(t, reply, "embeddings", 0)
				single := make([]float32, 2*len(words))
				for j := range single {
					single[j] = float32(words[j%len(words)])
				}
				inside, err := reply.Tensor("hidden_states[1]", 0)
				if err != nil {
					t.Fatal(err)
				}
				for name, f := range map[string]*sdk.Forward{
					"embeddings": {Embeds: sdk.NewTensor(single, 2, shape[1], shape[2]), Points: points},
					"edits":      {Masks: kept(both, 2).Masks, Points: points, Edits: []sdk.Edit{{Point: "hidden_states[1]", Op: sdk.EditReplace, Value: inside}}},
				} {
					again := read(both, f)
					value, _ := get(t, again, sdk.ReplyTarget, 0)
					golden.Close(t, "the target with "+name, value, []float64{both.value(), both.value()}, 1e-5)
					if name == "embeddings" {
						got, _ := get(t, again, sdk.Grad("embeddings"), 0)
						golden.Close(t, "the gradient with "+name, got, slices.Concat(grad, grad), 1e-4)
					}
				}
				if both.forwards != 2*(1+2+2) || both.gradients != both.forwards || both.evaluations != 1+2+2 {
					t.Errorf("%d forwards, %d gradients of %d evaluations", both.forwards, both.gradients, both.evaluations)
				}
				for _, point := range []string{"attentions[0]", "blocks.0.attn.hook_attn_scores", "hidden_states[1][t=1]"} {
					f := kept(both, 1)
					f.Points = []string{point}
					if _, err := both.Forward(t.Context(), f); !errors.Is(err, sdk.NewError(sdk.EUnsupported, "")) {
						t.Errorf("%s: error %v", point, err)
					}
				}
			})
		}
	}
}

// TestTwoStreams: XLNet predicts what stands behind the input.
func TestTwoStreams(t *testing.T) {
	m := openGolden(t, "xlnet-lm", Options{})
	ids := sampleIDs(6)[0]
	s := started(t, m, Request{Input: Input{Raw: &Raw{IDs: ids}}})
	n := len(ids) + 1
	hidden := make([]uint8, n*n)
	for i := range n {
		hidden[i*n+n-1] = 1
	}
	p, err := m.Predict(t.Context(), []Input{{Raw: &Raw{IDs: append(slices.Clone(ids), 0), Targets: []int{n - 1}, Hidden: hidden}}}, PredictOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if best := p.Rows[0].Readouts[0].Top[0]; s.target.index != int(best.ID) || math.Abs(s.value()-best.Prob) > 1e-6 {
		t.Errorf("token %d with %v, and predict has %d with %v", s.target.index, s.value(), best.ID, best.Prob)
	}
	reply, err := s.Gradient(t.Context(), &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, n), 1, n), Points: []string{"hidden_states[1]"}}, []string{"embeddings"})
	if err != nil {
		t.Fatal(err)
	}
	got, shape := get(t, reply, sdk.Grad("embeddings"), 0)
	if shape[1] != n || !slices.ContainsFunc(got[:shape[2]], func(v float64) bool { return v != 0 }) {
		t.Errorf("the gradient has the shape %v", shape)
	}
	if slices.ContainsFunc(got[len(got)-shape[2]:], func(v float64) bool { return v != 0 }) {
		t.Error("the place that is predicted is seen")
	}
	if _, err := m.session(t.Context(), &Request{Input: Input{Raw: &Raw{IDs: ids}}, Units: UnitsWord, Target: "token:3@2"}); KindOf(err) != KindUsage {
		t.Errorf("a token inside of the text: %v", err)
	}
}

// TestPreferredTargets: without a target the model's own answer is explained, as
// predict has it.
func TestPreferredTargets(t *testing.T) {
	pair := "the film was good and not dull ."
	for name, c := range map[string]struct {
		model *Model
		input Input
		kind  string
	}{
		"answer":  {withWords(t, "bert-qa", "bert-text", "vocab.txt"), Input{Text: "was it good ?", Pair: &pair}, sdk.KindSpan},
		"next":    {openGolden(t, "gpt2-text", Options{}), Input{Text: "the film was"}, sdk.KindToken},
		"mask":    {withWords(t, "bert-mlm", "bert-text", "vocab.txt"), Input{Text: "the [MASK] was"}, sdk.KindToken},
		"padding": {openGolden(t, "gpt2-text", Options{}), Input{Raw: &Raw{IDs: []int32{5, 9, 7, 0}, Mask: []uint8{1, 1, 1, 0}}}, sdk.KindToken},
	} {
		s := started(t, c.model, Request{Input: c.input})
		p, err := c.model.Predict(t.Context(), []Input{c.input}, PredictOptions{})
		if err != nil {
			t.Fatal(err)
		}
		row, d := p.Rows[0], s.describe(s.value())
		want, label := 0.0, ""
		if c.kind == sdk.KindSpan {
			want, label = row.Spans[0].Prob, row.Spans[0].Text
		} else {
			want, label = row.Readouts[0].Top[0].Prob, row.Readouts[0].Top[0].Text
			if d.Index != int(row.Readouts[0].Top[0].ID) || !slices.Equal(d.Positions, []int{row.Readouts[0].Position}) {
				t.Errorf("%s: token %d at %v", name, d.Index, d.Positions)
			}
		}
		if d.Kind != c.kind || d.Label != label || math.Abs(d.Value-want) > 1e-6 {
			t.Errorf("%s: %+v, and predict says %q with %v", name, d, label, want)
		}
	}
}

// TestTargetsRefuse: a target that a model does not answer is a mistake of whoever
// named it.
func TestTargetsRefuse(t *testing.T) {
	gpt, qa := openGolden(t, "gpt2-text", Options{}), withWords(t, "bert-qa", "bert-text", "vocab.txt")
	pair := "the film was good"
	question, text := Input{Text: "what ?", Pair: &pair}, Input{Text: "the film was good"}
	mlm, xlnet := withWords(t, "bert-mlm", "bert-text", "vocab.txt"), withWords(t, "xlnet-lm", "tok-spm-xlm", "spiece.model")
	long := Input{Text: strings.Repeat("film ", 200)}
	last := len(started(t, gpt, Request{Input: text}).enc.tokens) - 1
	for _, differ := range []string{"step:0: good - step:1: good", "token:5@0 - token:5@-1", "step:1: good - step:1: bad"} {
		if s := started(t, gpt, Request{Input: text, Target: differ}); s.target.kind != sdk.KindDifference {
			t.Errorf("%s is a %s", differ, s.target.kind)
		}
	}
	hint := func(err error) string {
		if e, ok := errors.AsType[*Error](err); ok {
			return e.Hint
		}
		return ""
	}
	for _, c := range []struct {
		model  *Model
		input  Input
		target string
		kind   Kind
		want   string
	}{
		{gpt, text, "token:9999@0", KindUsage, "no token"},
		{gpt, text, "token:nosuchtoken", KindUsage, "is 10 tokens of the model, not one (as what comes behind the input it is continuation:nosuchtoken)"},
		{mlm, text, "token:good", KindUsage, "POS is the place of the mask"},
		{gpt, text, "token:5@77", KindUsage, "77"},
		{gpt, text, "token:5@-77", KindUsage, "-77"},
		{gpt, text, "3", KindUsage, "a language model has no classes"},
		{gpt, text, "start@1", KindUsage, "causal-lm"},
		{gpt, text, "continuation:", KindUsage, "no tokens"},
		{gpt, text, "step:9: good", KindUsage, "no token 9"},
		{gpt, text, "step:x: good", KindUsage, "names no step"},
		{gpt, text, "token:5 - continuation: good", KindUsage, "continuation"},
		{gpt, text, "token:1 - token:2 - token:3", KindUsage, "difference of two"},
		{gpt, long, "", KindInput, "at most"},
		{gpt, text, "continuation:" + long.Text, KindInput, "at most"},
		{gpt, Input{Raw: &Raw{IDs: []int32{4, 5}, Mask: []uint8{1, 0}}}, "continuation: good", KindInput, "padding"},
		{qa, question, "span:5-3", KindUsage, "before it starts"},
		{qa, question, "span:5", KindUsage, "no span"},
		{qa, question, "span:5-99", KindUsage, "99"},
		{qa, question, "continuation: good", KindUsage, "question-answering"},
		{qa, question, "5", KindUsage, "names no position"},
		{gpt, text, "token:5@x", KindUsage, `the position "x"`},
		{mlm, text, "token:good@x", KindUsage, `the position "x"`},
		{mlm, Input{Text: strings.Repeat("film ", 4000) + "[MASK]"}, "", KindInput, "behind the"},
		{gpt, text, "token:5@", KindUsage, "or continuation:TEXT"},
		{xlnet, text, "token:5@1", KindUsage, "write it as token:ID, or"},
		{gpt, text, "token:5 - token:5", KindUsage, "takes something from itself, which leaves 0 of any input (name two"},
		{gpt, text, "token:5@-1 - token:5@" + strconv.Itoa(last), KindUsage, "takes something from itself"},
		{gpt, text, "continuation: good - continuation: good", KindUsage, "takes something from itself"},
		{gpt, text, "step:0: good - step:0: good film", KindUsage, "takes something from itself"},
		{xlnet, text, "token:5 - token:5@-1", KindUsage, "takes something from itself"},
		{qa, question, "start@3 - start@3", KindUsage, "takes something from itself"},
	} {
		_, err := c.model.session(t.Context(), &Request{Input: c.input, Units: UnitsWord, Target: c.target})
		if err == nil || KindOf(err) != c.kind || !strings.Contains(err.Error()+" ("+hint(err)+")", c.want) {
			t.Errorf("%q: error %v of kind %d, want one that says %q", c.target, err, KindOf(err), c.want)
		}
	}
}
