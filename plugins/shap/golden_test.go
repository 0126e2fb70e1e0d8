package shap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/internal/methodtest"
	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// explained is what a method found, for each of three outputs.
type explained struct {
	values, spread [3][]float64 // spread is error_std
	tensors        map[string][]float64
	baseline       [3]float64
}

// column returns a list with the outputs side by side, as the cases have them.
func column(lists [3][]float64) []float64 {
	var out []float64
	for i := range lists[0] {
		for c := range lists {
			out = append(out, lists[c][i])
		}
	}
	return out
}

// subject runs methods on the model of a case and says what they find for each of
// three outputs.
type subject struct {
	*golden.Case
	t     *testing.T
	dtype string
	seed  uint64
	run   func(t *testing.T, m sdk.Method, params map[string]string) explained
}

// near compares values with an output of the case.
func (s *subject) near(t *testing.T, name string, got []float64) {
	t.Helper()
	tolerance := s.Outputs[name].F64Atol
	if s.dtype == "f32" {
		tolerance = s.Outputs[name].F32Atol
	}
	golden.Close(t, name, got, s.Want(t, name), tolerance)
}

// cases runs a test on cases in both precisions.
func cases(t *testing.T, names []string, test func(t *testing.T, s *subject)) {
	for _, name := range names {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				s := &subject{Case: golden.Load(t, name), t: t, dtype: dtype}
				if s.Model == "gpt2-text" {
					s.run = s.languageModel(t)
				} else {
					s.run = s.classifier
				}
				test(t, s)
			})
		}
	}
}

func (s *subject) text(t *testing.T) string {
	var text string
	if err := json.Unmarshal(s.Config["text"], &text); err != nil {
		t.Fatal(err)
	}
	return text
}

// classifier runs a method through the host, on the case's ids or text.
func (s *subject) classifier(t *testing.T, m sdk.Method, params map[string]string) explained {
	t.Helper()
	host, model := methodtest.Model(t, s.Model, s.dtype, m)
	input := core.Input{Text: s.text(t)}
	if ids := s.Ints(t, "input_ids"); ids != nil {
		input = methodtest.Row(ids)
	}
	params = maps.Clone(params)
	params["top_labels"] = "3"
	x := methodtest.Explain(t, host, model, core.Request{Input: input, Method: m.Info().Name, Params: params, Target: "0", Seed: s.seed})
	e := explained{tensors: map[string][]float64{}}
	numbers := func(list []core.Float) []float64 {
		var out []float64
		for _, v := range list {
			out = append(out, float64(v))
		}
		return out
	}
	for _, a := range x.Attributions {
		name, ok := strings.CutPrefix(a.Name, "class.")
		if !ok {
			continue
		}
		class, kind, _ := strings.Cut(name, ".")
		c, err := strconv.Atoi(class)
		if err != nil {
			t.Fatal(err)
		}
		if kind == "error_std" {
			e.spread[c] = numbers(a.Values)
		} else {
			e.values[c] = numbers(a.Values)
		}
	}
	if diff := cmp.Diff(e.values[0], numbers(x.Attributions[0].Values)); diff != "" {
		t.Errorf("the target and its class differ: %s", diff)
	}
	for _, a := range x.Tensors {
		e.tensors[a.Name] = numbers(a.Values)
	}
	e.baseline[0] = float64(*x.Target.Baseline)
	return e
}

// languageModel returns what runs a method on a language model, whose outputs are the
// logits of three tokens at the last position.
func (s *subject) languageModel(t *testing.T) func(*testing.T, sdk.Method, map[string]string) explained {
	_, model := methodtest.Model(t, s.Model, s.dtype, shap.Exact{})
	lm := &languageModel{model: model, tokens: []int{5, 70, 200}, mask: 396, known: known(s.dtype)}
	return func(t *testing.T, m sdk.Method, params map[string]string) explained {
		t.Helper()
		e := explained{tensors: map[string][]float64{}}
		params = maps.Clone(params)
		params["top_labels"] = "3"
		p, err := sdktest.Params(m.Info(), params)
		if err != nil {
			t.Fatal(err)
		}
		r := lm.request(t, s, p)
		x, _, err := sdktest.Method(m).Explain(t.Context(), lm, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range x.Attributions {
			for c := range 3 {
				if a.Name == fmt.Sprintf("class.%d", c) {
					e.values[c] = a.Values
				}
				if a.Name == fmt.Sprintf("class.%d.error_std", c) {
					e.spread[c] = a.Values
				}
			}
		}
		for _, a := range x.Tensors {
			e.tensors[a.Name] = a.Data.([]float64)
		}
		e.baseline[0] = *x.Baseline
		return e
	}
}

// known returns the outputs that were computed in a number format, for all tests.
func known(dtype string) map[string][]float64 {
	if outputs[dtype] == nil {
		outputs[dtype] = map[string][]float64{}
	}
	return outputs[dtype]
}

var outputs = map[string]map[string][]float64{}

// languageModel is an sdk.Model whose outputs are logits of some tokens.
type languageModel struct {
	model  *core.Model
	tokens []int
	mask   int32
	ids    []int32 // of a request without a text
	units  []sdk.Unit
	known  map[string][]float64
}

func (m *languageModel) Info() sdk.ModelInfo { return sdk.ModelInfo{Task: "causal-lm"} }

// request returns the request of a case.
func (m *languageModel) request(t *testing.T, s *subject, p sdk.Params) *sdk.Request {
	r := &sdk.Request{Params: p, Seed: s.seed, Target: sdk.Target{Kind: "class", Output: sdk.Logit}, Rand: strings.NewReader(strings.Repeat("random", 1000))}
	m.ids = nil
	in := core.Input{Text: s.text(t)}
	if ids := s.Ints(t, "input_ids"); ids != nil {
		in = methodtest.Row(ids)
		m.ids = in.Raw.IDs
	}
	x, err := m.model.Activations(t.Context(), core.ActivationsRequest{Inputs: []core.Input{in}, Points: []string{"logits"}})
	if err != nil {
		t.Fatal(err)
	}
	r.Text = in.Text
	for i, token := range x.Rows[0].Tokens {
		r.Tokens = append(r.Tokens, sdk.Token{ID: token.ID, Text: token.Text, Start: token.Start, End: token.End})
		u := sdk.Unit{Text: token.Text, Tokens: []int{i}}
		if token.Start < token.End {
			u.Spans = []sdk.Span{{Start: token.Start, End: token.End}}
		}
		r.Units = append(r.Units, u)
	}
	m.units = r.Units
	r.Target.Value = m.outputs(t.Context(), []core.Input{in})[0][0]
	return r
}

// outputs returns the logits of the tokens for each input.
func (m *languageModel) outputs(ctx context.Context, in []core.Input) [][]float64 {
	var fresh []core.Input
	var keys []string
	key := func(in core.Input) string {
		if in.Raw != nil {
			return fmt.Sprint(in.Raw.IDs)
		}
		return in.Text
	}
	for _, one := range in {
		if _, ok := m.known[key(one)]; !ok {
			m.known[key(one)] = nil
			fresh, keys = append(fresh, one), append(keys, key(one))
		}
	}
	for len(fresh) > 0 {
		n := min(len(fresh), 256)
		x, err := m.model.Activations(ctx, core.ActivationsRequest{Inputs: fresh[:n], Points: []string{"logits"}})
		if err != nil {
			panic(err)
		}
		tensor := x.Tensors[0]
		steps, vocabulary := tensor.Shape[1], tensor.Shape[2]
		for i, row := range x.Rows {
			at := (i*steps + len(row.Tokens) - 1) * vocabulary
			var v []float64
			for _, id := range m.tokens {
				if tensor.F64 != nil {
					v = append(v, tensor.F64[at+id])
				} else {
					v = append(v, float64(tensor.F32[at+id]))
				}
			}
			m.known[keys[i]] = v
		}
		fresh, keys = fresh[n:], keys[n:]
	}
	var out [][]float64
	for _, one := range in {
		out = append(out, m.known[key(one)])
	}
	return out
}

func (m *languageModel) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	var in []core.Input
	if f.Units != nil {
		keep, err := sdk.Values[uint8](f.Units)
		if err != nil {
			return nil, err
		}
		for row := range slices.Chunk(keep, len(m.units)) {
			raw := &core.Raw{IDs: slices.Clone(m.ids)}
			for i, k := range row {
				for _, token := range m.units[i].Tokens {
					if k == 0 {
						raw.IDs[token] = m.mask
					}
				}
			}
			in = append(in, core.Input{Raw: raw})
		}
	}
	for _, text := range f.Texts {
		in = append(in, core.Input{Text: text})
	}
	var target, all []float64
	for _, v := range m.outputs(ctx, in) {
		target, all = append(target, v[0]), append(all, v...)
	}
	return answer{sdk.ReplyTarget: sdk.NewTensor(target, len(in)), sdk.ReplyLogits: sdk.NewTensor(all, len(in), len(m.tokens))}, nil
}

type answer map[string]*sdk.Tensor

func (r answer) Tensor(name string, _ int) (*sdk.Tensor, error) {
	if t, ok := r[name]; ok {
		return t, nil
	}
	return nil, sdk.NewError(sdk.EName, "no tensor "+name)
}

var idCases = []string{"shap_ids_bert_a", "shap_ids_bert_b", "shap_ids_gpt2"}

// varying returns the rows, of three outputs each, of the tokens that may be dropped.
func (s *subject) varying(t *testing.T, all []float64) []float64 {
	var out []float64
	for _, i := range s.Ints(t, "varying_positions") {
		out = append(out, all[i*3:(i+1)*3]...)
	}
	return out
}

func TestExactAgainstReference(t *testing.T) {
	cases(t, idCases, func(t *testing.T, s *subject) {
		e := s.run(t, shap.Exact{}, map[string]string{"compat": "shap"})
		s.near(t, "exact", column(e.values))
		s.near(t, "brute_shapley", column(e.values))
		golden.Close(t, "exact_base", e.baseline[:1], s.Want(t, "exact_base")[:1], s.Outputs["exact_base"].F32Atol)
		if _, ok := s.Outputs["exact_interactions"]; !ok {
			return
		}
		n := len(s.Ints(t, "varying_positions"))
		tokens := s.Outputs["exact"].Shape[0]
		for kind, name := range map[string]string{"shap": "exact_interactions", "shapley-taylor": "brute_sti2", "shapley-interaction": "brute_sii2"} {
			e := s.run(t, shap.Exact{}, map[string]string{"compat": "shap", "interactions": kind})
			var matrices [3][]float64
			for c := range matrices {
				matrices[c] = e.tensors[fmt.Sprintf("interactions.class.%d", c)]
			}
			got := column(matrices)
			if kind != "shap" { // over all tokens, and without a diagonal
				all := make([]float64, tokens*tokens*3)
				at := s.Ints(t, "varying_positions")
				for i, a := range at {
					for j, b := range at {
						if i != j {
							copy(all[(int(a)*tokens+int(b))*3:][:3], got[(i*n+j)*3:][:3])
						}
					}
				}
				got = all
			}
			s.near(t, name, got)
		}
	})
}

// The seeds of NumPy's global stream that the reference's runs began with.
const (
	permutationSeed = 1
	kernelSeed      = 17
)

func TestPermutationAgainstReference(t *testing.T) {
	cases(t, idCases, func(t *testing.T, s *subject) {
		var evals int
		if err := json.Unmarshal(s.Config["perm_max_evals"], &evals); err != nil {
			t.Fatal(err)
		}
		s.seed = permutationSeed
		e := s.run(t, shap.Permutation{}, map[string]string{"compat": "shap", "max_evals": strconv.Itoa(evals)})
		s.near(t, "permutation", column(e.values))
		s.near(t, "permutation_error_std", column(e.spread))
	})
}

// TestKernelSampleAgainstReference: the coalitions and weights are those that NumPy's
// stream gives the reference.
func TestKernelSampleAgainstReference(t *testing.T) {
	for _, name := range idCases {
		c := golden.Load(t, name)
		n := len(c.Ints(t, "varying_positions"))
		for output, array := range c.Outputs {
			sample, ok := strings.CutSuffix(output, ".masks")
			if !ok {
				continue
			}
			masks, weights := shap.ReferenceSample(n, array.Shape[0], kernelSeed)
			var got []int64
			for _, k := range masks {
				got = append(got, int64(k))
			}
			if diff := cmp.Diff(c.WantInts(t, output), got); diff != "" {
				t.Errorf("%s: %s: %s", name, output, diff)
			}
			golden.Close(t, sample+".weights", weights, c.Want(t, sample+".weights"), c.Outputs[sample+".weights"].F64Atol)
		}
	}
}

func TestKernelAgainstReference(t *testing.T) {
	cases(t, idCases, func(t *testing.T, s *subject) {
		s.seed = kernelSeed
		for name, array := range s.Outputs {
			sample, ok := strings.CutSuffix(name, ".masks")
			if !ok {
				continue
			}
			for output := range s.Outputs {
				kind, ok := strings.CutPrefix(output, sample+".")
				if !ok || slices.Contains([]string{"masks", "weights", "ey"}, kind) {
					continue
				}
				t.Run(output, func(t *testing.T) {
					params := map[string]string{"compat": "shap", "l1_reg": kind, "num_samples": strconv.Itoa(array.Shape[0])}
					s.near(t, output, s.varying(t, column(s.run(t, shap.Kernel{}, params).values)))
				})
			}
		}
	})
}

// TestTiesAgainstReference: of columns with equal correlations num_features(K) takes the
// first, one by one, as scikit-learn 1.2.1 does below shap 0.42.1.
func TestTiesAgainstReference(t *testing.T) {
	for _, c := range []struct {
		worth []float64 // of each player, alone and with others
		k     string
		want  []float64
	}{
		{[]float64{1, 1, 1}, "1", []float64{3, 0, 0}},
		{[]float64{1, 1, 1}, "2", []float64{1.5, 1.5, 0}},
		{[]float64{0, 1, 1}, "1", []float64{0, 2, 0}},
		{[]float64{2, 1, 1}, "2", []float64{2.5, 1.5, 0}},
		{[]float64{1, 1, 1, 1}, "1", []float64{4, 0, 0, 0}},
		{[]float64{1, 1, 1, 1}, "3", []float64{4. / 3, 4. / 3, 4. / 3, 0}},
		{[]float64{0, 1, 1}, "3", []float64{0, 1, 1}},
	} {
		model := &formula{f: func(set uint) float64 {
			sum := 0.0
			for i, v := range c.worth {
				sum += v * float64(set>>i&1)
			}
			return sum
		}}
		for _, compat := range []string{"shap", "none"} {
			e := explain(t, shap.Kernel{}, len(c.worth), model, 1, "compat", compat, "l1_reg", "num_features("+c.k+")")
			golden.Close(t, fmt.Sprint(c.worth, " ", c.k, " ", compat), values(e), c.want, 1e-12)
		}
	}
}

// TestTurnedSignsAgainstReference: where a coefficient changes its sign on the way of
// least angle regression, scikit-learn takes fewer columns than num_features(K) asks for;
// values of shap 0.42.1 on it, with NumPy's stream.
func TestTurnedSignsAgainstReference(t *testing.T) {
	for _, c := range []struct {
		factor, modulus uint
		samples, k      string
		want            []float64
	}{
		{7, 23, "18", "8", []float64{-9.967213114754117, -7.270491803278702, 16.467213114754173, 4.66393442622951, 3.098360655737711, 0, 4.999999999999957, 9.008196721311467}},
		{7, 257, "20", "8", []float64{116.59090909090904, -32.32727272727268, -41.82727272727274, 76.33636363636364, 0, 36.000000000000014, -123.83636363636361, 31.06363636363635}},
		{3, 29, "18", "7", []float64{-19.780000000000026, -38.61999999999999, 44.78000000000006, 11.939999999999992, 0, 0, 15.499999999999986, 14.179999999999978}},
	} {
		model := &formula{f: func(set uint) float64 {
			return float64((19*set*set+c.factor*set)%c.modulus) - float64(c.modulus/2)
		}}
		e := explain(t, shap.Kernel{}, 8, model, 1, "compat", "shap", "num_samples", c.samples, "l1_reg", "num_features("+c.k+")")
		golden.Close(t, fmt.Sprint(c.factor, " ", c.modulus), values(e), c.want, 1e-9)
	}
}

// TestSamplingAgainstReference: values of shap 0.42.1 and NumPy's stream, where the draws
// of the second round are one or three, which leaves players with two fewer than before.
func TestSamplingAgainstReference(t *testing.T) {
	worth := []float64{0, 1, 3, -2, 2, 0.5, -1, 4, 1.5, -0.5, 2.5, 0, 3.5, 1, -3, 2}
	for _, c := range []struct {
		samples string
		seed    uint64
		want    []float64
	}{
		{"401", 1, []float64{0.7114603464037874, 0.5365965699400369, 0.8583818617341674, -0.1064389355506265}},
		{"401", 2, []float64{1.05607488468682, 0.06446947189705335, 0.8129052679083657, 0.06655056451303501}},
		{"403", 1, []float64{0.783733342614477, 0.5109526416585028, 0.8231717697954054, -0.1178580618806322}},
		{"800", 1, []float64{0.9857204035200278, 0.35258504346003366, 0.8961569408421105, -0.23446239422003867}},
	} {
		model := &formula{f: func(set uint) float64 { return worth[set] }}
		e := explain(t, shap.Sampling{}, 4, model, c.seed, "compat", "shap", "num_samples", c.samples)
		golden.Close(t, fmt.Sprint(c.samples, " ", c.seed), values(e), c.want, 1e-9)
	}
}

func TestOwenAgainstReference(t *testing.T) {
	cases(t, idCases, func(t *testing.T, s *subject) {
		// The recorded hierarchy is over all tokens, the special ones among them.
		e := s.run(t, shap.PartitionOf(s.Want(t, "clustering"), s.Ints(t, "varying_positions")), map[string]string{"max_evals": "100000"})
		s.near(t, "owen_exact", column(e.values))
	})
}

func TestPartitionAgainstReference(t *testing.T) {
	names := []string{"shap_partition_bert_a", "shap_partition_bert_b", "shap_partition_bert_subword", "shap_partition_bert_slowtok", "shap_partition_gpt2"}
	cases(t, names, func(t *testing.T, s *subject) {
		var variants map[string]map[string]any
		if err := json.Unmarshal(s.Config["variants"], &variants); err != nil {
			t.Fatal(err)
		}
		for name, config := range variants {
			if s.Model == "gpt2-text" && s.dtype == "f64" && (name == "full" || strings.HasPrefix(name, "ctx")) {
				continue // a thousand forwards, of what f32 and the other variants hold
			}
			t.Run(name, func(t *testing.T) {
				params := map[string]string{"compat": "shap", "segments": "offsets"}
				if strings.HasSuffix(s.Name, "slowtok") {
					params["segments"] = "tokens"
				}
				for key, v := range config {
					params[key] = fmt.Sprint(v)
				}
				e := s.run(t, shap.Partition{}, params)
				s.near(t, name+".values", column(e.values))
				var nodes [3][]float64
				for c := range nodes {
					nodes[c] = e.tensors[fmt.Sprintf("hierarchical_values.class.%d", c)]
				}
				s.near(t, name+".hierarchical_values", column(nodes))
				s.near(t, "clustering", e.tensors["clustering"])
			})
		}
	})
}

// TestWordsAgainstReference: Shapley values of words, whose tokens are masked in their
// places, are those of captum's ShapleyValues with a feature mask; those of its
// sampling, and ours, are as far off as the standard errors say.
func TestWordsAgainstReference(t *testing.T) {
	for _, name := range []string{"pert_bert_a", "pert_distil", "pert_gpt2"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				var text string
				var target, mask int
				var output sdk.Output
				for key, v := range map[string]any{"text": &text, "target": &target, "mask_id": &mask, "output": &output} {
					if err := json.Unmarshal(c.Config[key], v); err != nil {
						t.Fatal(err)
					}
				}
				expr := strconv.Itoa(target)
				if name == "pert_gpt2" { // whose target is the next token
					expr = "token:" + expr + "@-1"
				}
				run := func(m sdk.Method, params map[string]string) *core.Explanation {
					host, model := methodtest.Model(t, c.Model, dtype, m)
					params["fill_token"] = strconv.Itoa(mask)
					return methodtest.Explain(t, host, model, core.Request{
						Input: core.Input{Text: text}, Method: m.Info().Name, Params: params, Target: expr, Output: output,
					})
				}
				// spread gives each token its word's value, and special ones 0.
				spread := func(x *core.Explanation, values []core.Float) []float64 {
					out := make([]float64, len(x.Input.Tokens))
					for i, u := range x.Input.Units {
						for _, token := range u.Tokens {
							out[token] = float64(values[i])
						}
					}
					return out
				}
				x := run(shap.Exact{}, map[string]string{"fill_by": "token"})
				exact := spread(x, x.Attributions[0].Values)
				groups := c.Ints(t, "feature_groups")
				per := make([]float64, slices.Max(groups)+1)
				for i, g := range groups {
					per[g] = exact[i]
				}
				near := func(name string, got []float64) {
					if array, ok := c.Outputs[name]; ok {
						tolerance := array.F64Atol
						if dtype == "f32" {
							tolerance = array.F32Atol
						}
						golden.Close(t, name, got, c.Want(t, name), tolerance)
					}
				}
				near("shapley_values_words", exact)
				near("brute_shapley_per_group", per)

				var sampled map[string]json.RawMessage
				if !c.Get(t, "statistical_captum_runs", &sampled) {
					t.Fatal("no sampled runs")
				}
				var theirs []float64
				if err := json.Unmarshal(sampled["shapley_value_sampling_200"], &theirs); err != nil {
					t.Fatal(err)
				}
				x = run(shap.Sampling{}, map[string]string{"compat": "captum", "num_samples": "200"})
				ours, stderr := spread(x, x.Attributions[0].Values), spread(x, x.Attributions[0].Stderr)
				for i, want := range exact {
					for _, got := range []float64{ours[i], theirs[i]} {
						if off := got - want; off > 4*stderr[i]+1e-6 || off < -4*stderr[i]-1e-6 {
							t.Errorf("token %d is %v, want %v within 4 times %v", i, got, want, stderr[i])
						}
					}
				}
			})
		}
	}
}

// TestLanguageModelAgainstReference runs the case of a language model through the
// host: each of the tokens that it is about is a target, and a token of the
// vocabulary stands for what is dropped.
func TestLanguageModelAgainstReference(t *testing.T) {
	for _, dtype := range []string{"f32", "f64"} {
		s := &subject{Case: golden.Load(t, "shap_ids_gpt2"), dtype: dtype}
		var mask int
		if err := json.Unmarshal(s.Config["mask_id"], &mask); err != nil {
			t.Fatal(err)
		}
		host, model := methodtest.Model(t, s.Model, dtype, shap.Exact{})
		var columns [3][]float64
		for i, token := range []int{5, 70, 200} { // as the case says
			x := methodtest.Explain(t, host, model, core.Request{
				Input: methodtest.Row(s.Ints(t, "input_ids")), Method: "exact-shap", Params: map[string]string{"fill_token": strconv.Itoa(mask)},
				Target: "token:" + strconv.Itoa(token) + "@-1", Output: sdk.Logit,
			})
			columns[i] = methodtest.Values(x)
		}
		s.near(t, "exact", column(columns))
	}
}

// recorder remembers the texts that a method asks for.
type recorder struct {
	sdk.Method
	texts map[string]bool
}

func (r recorder) Explain(ctx context.Context, m sdk.Model, q *sdk.Request) (*sdk.Explanation, error) {
	return r.Method.Explain(ctx, recording{m, r.texts}, q)
}

type recording struct {
	sdk.Model
	texts map[string]bool
}

func (r recording) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	for _, text := range f.Texts {
		r.texts[text] = true
	}
	return r.Model.Forward(ctx, f)
}

// TestMaskedTextsAgainstReference: the masked texts are the reference's, but none is
// evaluated twice.
func TestMaskedTextsAgainstReference(t *testing.T) {
	names := []string{"shap_partition_bert_a", "shap_partition_bert_b", "shap_partition_bert_subword", "shap_partition_bert_slowtok", "shap_partition_gpt2"}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			s := &subject{Case: golden.Load(t, name), dtype: "f32"}
			s.run = s.classifier
			if s.Model == "gpt2-text" {
				s.run = s.languageModel(t)
			}
			var runs map[string]struct {
				Texts []string `json:"texts_evaluated"`
			}
			if !s.Get(t, "runs", &runs) {
				t.Fatal("no runs")
			}
			for _, variant := range []string{"ctx0", "ctx1", "e10", "e30"} {
				params := map[string]string{"compat": "shap"}
				if strings.HasSuffix(name, "slowtok") {
					params["segments"] = "tokens"
				}
				switch variant {
				case "ctx0", "ctx1":
					params["fixed_context"] = variant[3:]
				default:
					params["max_evals"] = variant[1:]
				}
				r := recorder{shap.Partition{}, map[string]bool{}}
				s.run(t, r, params)
				want := map[string]bool{}
				for _, text := range runs[variant].Texts {
					want[text] = true
				}
				if diff := cmp.Diff(want, r.texts); diff != "" {
					t.Errorf("%s: %s", variant, diff)
				}
			}
		})
	}
}

// TestTokensOfText: of a text, players that are tokens are dropped in their places, as
// those of token ids are, whatever the units of the request.
func TestTokensOfText(t *testing.T) {
	c := golden.Load(t, "shap_ids_bert_a")
	s := &subject{Case: c}
	explain := func(input core.Input, m sdk.Method, params map[string]string) *core.Explanation {
		host, model := methodtest.Model(t, c.Model, "f32", m)
		return methodtest.Explain(t, host, model, core.Request{Input: input, Method: m.Info().Name, Params: params, Target: "1", Units: core.UnitsWord})
	}
	text := core.Input{Text: s.text(t)}
	ids := methodtest.Row(c.Ints(t, "input_ids"))
	for _, m := range []sdk.Method{shap.Kernel{}, shap.Exact{}, shap.Sampling{}} {
		params := map[string]string{"compat": "shap"}
		x, want := explain(text, m, params), explain(ids, m, params)
		if n := len(x.Input.Units); n != 7 {
			t.Errorf("%s: %d players, want 7 tokens", m.Info().Name, n)
		}
		if u := x.Input.Units[3]; u.Start == u.End {
			t.Errorf("%s: a player has no place in the text", m.Info().Name)
		}
		for i, v := range x.Attributions[0].Values {
			if v != want.Attributions[0].Values[i+1] || x.Attributions[0].Stderr != nil && x.Attributions[0].Stderr[i] != want.Attributions[0].Stderr[i+1] {
				t.Errorf("%s: value %d is %v, want %v", m.Info().Name, i, v, want.Attributions[0].Values[i+1])
			}
		}
	}
	x := explain(text, shap.Exact{}, map[string]string{"special": "replace"})
	if n := len(x.Input.Units); n != 7 { // five words and two special tokens
		t.Fatalf("%d players", n)
	}
	if x.Attributions[0].Values[0] == 0 || x.Attributions[0].Values[6] == 0 {
		t.Error("a special token that is replaced has no effect")
	}
	if gap := float64(x.Diagnostics["completeness_gap"]); gap > 1e-9 || gap < -1e-9 {
		t.Errorf("gap %v", gap)
	}
}
