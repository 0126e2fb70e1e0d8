package core_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/sdk"
)

// bench runs activations of one model for the tests of this file.
type bench struct {
	*golden.Case
	model *core.Model
}

// activations returns the values of what is asked for, by name.
func (b bench) activations(t *testing.T, r core.ActivationsRequest) map[string][]float64 {
	t.Helper()
	x, err := b.model.Activations(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for _, a := range x.Tensors {
		out[a.Name] = a.Float64()
	}
	return out
}

// config decodes an entry of the configuration of the case.
func (b bench) config(t *testing.T, key string, v any) {
	t.Helper()
	if err := json.Unmarshal(b.Config[key], v); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
}

// file writes the activations of an input to a file, for edits.
func (b bench) file(t *testing.T, in []core.Input, points ...string) string {
	t.Helper()
	x, err := b.model.Activations(t.Context(), core.ActivationsRequest{Inputs: in, Points: points})
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	for _, a := range x.Tensors {
		tensors = append(tensors, safetensors.Tensor{Name: a.Name, Shape: a.Shape, Data: a.Float64()})
	}
	path := filepath.Join(t.TempDir(), "run.safetensors")
	writeTensors(t, path, tensors...)
	return path
}

func tolerance(c *golden.Case, name, dtype string) float64 {
	if dtype == "f64" {
		return c.Outputs[name].F64Atol
	}
	return c.Outputs[name].F32Atol
}

// TestHeadImportance repeats the head mask of Michel et al. (2019) by edits: the
// score without a head, and the gradient at a mask of ones, which is
// Σ pattern · ∂score/∂pattern.
func TestHeadImportance(t *testing.T) {
	for _, name := range []string{"heads_bert", "heads_gpt2"} {
		for _, dtype := range []string{"f32", "f64"} {
			t.Run(name+"/"+dtype, func(t *testing.T) {
				c := golden.Load(t, name)
				b := bench{c, goldenModel(t, c.Model, dtype)}
				in := inputsOf(t, c)
				var class int
				b.config(t, "target", &class)
				logit := fmt.Sprintf("logits[0,%d]", class)
				if b.model.Engine().Info().Task == "causal-lm" {
					logit = fmt.Sprintf("logits[0,-1,%d]", class)
				}
				info := b.model.Engine().Info()
				whole := b.activations(t, core.ActivationsRequest{Inputs: in, Points: []string{"blocks.*.attn.hook_pattern", logit}, GradOf: logit})
				score := whole[logit]
				golden.Close(t, "score", score, c.Want(t, "score"), tolerance(c, "score", dtype))
				var gradients, drops []float64
				for l := range info.Layers {
					point := fmt.Sprintf("blocks.%d.attn.hook_pattern", l)
					pattern, slope := whole[point], whole["grad("+point+")"]
					size := len(pattern) / info.Heads
					for h := range info.Heads {
						sum := 0.0
						for i := h * size; i < (h+1)*size; i++ {
							sum += pattern[i] * slope[i]
						}
						gradients = append(gradients, sum)
						without := b.activations(t, core.ActivationsRequest{Inputs: in, Points: []string{logit}, Edits: []string{fmt.Sprintf("%s[h=%d]=zero", point, h)}})
						drops = append(drops, score[0]-without[logit][0])
					}
				}
				golden.Close(t, "gradients", gradients, c.Want(t, "head_mask_gradient"), tolerance(c, "head_mask_gradient", dtype))
				golden.Close(t, "drops", drops, c.Want(t, "head_ablation_drop"), tolerance(c, "head_ablation_drop", dtype))
			})
		}
	}
}

// TestMechanistic repeats the experiments of the case mech_gpt2 with edits
// alone: activation patching, ablation, causal tracing (Meng et al. 2022),
// attribution patching and the logit lens.
func TestMechanistic(t *testing.T) {
	c := golden.Load(t, "mech_gpt2")
	m := bench{c, goldenModel(t, c.Model, "f64")}
	ids := func(name string) []core.Input {
		return readInputs(t, safetensors.Tensor{Name: "input_ids", Shape: c.Inputs[name].Shape, Data: c.Ints(t, name)})
	}
	clean, corrupt := ids("input_ids"), ids("corrupt_ids")
	var target, foil int
	m.config(t, "target", &target)
	m.config(t, "foil", &foil)
	difference := fmt.Sprintf("logits[0,-1,%d] - logits[0,-1,%d]", target, foil)
	info := m.model.Engine().Info()
	tokens := c.Inputs["input_ids"].Shape[1]

	run := m.file(t, clean, "blocks.*.hook_resid_pre,blocks.*.hook_attn_out,blocks.*.hook_mlp_out,blocks.*.attn.hook_z,hook_embed")
	// score runs the model with edits, and returns the difference of the logits.
	score := func(in []core.Input, edits ...string) float64 {
		t.Helper()
		x, err := m.model.Activations(t.Context(), core.ActivationsRequest{Inputs: in, Points: []string{"logits[0,-1,0]"}, GradOf: difference, Edits: edits})
		if err != nil {
			t.Fatal(err)
		}
		return x.Objective.Values[0]
	}
	compare := func(name string, got []float64) {
		t.Helper()
		golden.Close(t, name, got, c.Want(t, name), tolerance(c, name, "f64"))
	}
	compare("logit_diff_clean", []float64{score(clean)})
	compare("logit_diff_corrupt", []float64{score(corrupt)})

	// each runs an experiment for every layer and n places in it.
	each := func(n int, f func(layer, i int) float64) []float64 {
		var out []float64
		for l := range info.Layers {
			for i := range n {
				out = append(out, f(l, i))
			}
		}
		return out
	}
	for _, point := range []string{"resid_pre", "attn_out", "mlp_out"} {
		compare("patch."+point, each(tokens, func(l, i int) float64 {
			return score(corrupt, fmt.Sprintf("blocks.%d.hook_%s[t=%d]=patch:%s", l, point, i, run))
		}))
	}
	compare("patch.head_z", each(info.Heads, func(l, h int) float64 {
		return score(corrupt, fmt.Sprintf("z%d[h=%d]=patch:%s#blocks.%d.attn.hook_z", l, h, run, l))
	}))
	compare("ablate.zero_head", each(info.Heads, func(l, h int) float64 { return score(clean, fmt.Sprintf("z%d[h=%d]=zero", l, h)) }))
	compare("ablate.mean_head", each(info.Heads, func(l, h int) float64 { return score(clean, fmt.Sprintf("z%d[h=%d]=mean", l, h)) }))

	caches := m.activations(t, core.ActivationsRequest{Inputs: clean, Points: []string{"blocks.*.hook_resid_pre,blocks.*.hook_attn_out,blocks.*.hook_mlp_out,blocks.*.attn.hook_z,logits"}})
	for name, point := range map[string]string{"resid_pre": "hook_resid_pre", "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out", "z": "attn.hook_z"} {
		var all []float64
		for l := range info.Layers {
			all = append(all, caches[fmt.Sprintf("blocks.%d.%s", l, point)]...)
		}
		compare("cache."+name, all)
	}
	compare("logits_clean", caches["logits"])

	// Attribution patching: (clean − corrupt) · gradient at the corrupt run.
	x := m.activations(t, core.ActivationsRequest{Inputs: corrupt, Points: []string{"blocks.*.hook_resid_pre"}, GradOf: difference})
	compare("attribution_patching.resid_pre", each(tokens, func(l, i int) float64 {
		point := fmt.Sprintf("blocks.%d.hook_resid_pre", l)
		sum := 0.0
		for d := range info.Hidden {
			at := i*info.Hidden + d
			sum += (caches[point][at] - x[point][at]) * x["grad("+point+")"][at]
		}
		return sum
	}))

	// The logit lens: what the head makes of the stream of an earlier layer.
	final := fmt.Sprintf("blocks.%d.hook_resid_post", info.Layers-1)
	var lens []float64
	for l := range info.Layers {
		edit := fmt.Sprintf("%s=patch:%s#blocks.%d.hook_resid_pre", final, run, l)
		lens = append(lens, m.activations(t, core.ActivationsRequest{Inputs: clean, Points: []string{"logits"}, Edits: []string{edit}})["logits"]...)
	}
	compare("logit_lens.ln_f", append(lens, caches["logits"]...))

	m.trace(t, clean, run, target, tokens)
}

// trace repeats causal tracing: noise at the embeddings of the subject, and the
// clean residual stream put back at one layer and position.
func (b bench) trace(t *testing.T, clean []core.Input, run string, target, tokens int) {
	shape := b.Inputs["trace_noise"].Shape
	noise := b.Floats(t, "trace_noise")
	size := len(noise) / shape[0]
	path := filepath.Join(t.TempDir(), "noise.safetensors")
	probability := func(edits ...string) float64 {
		t.Helper()
		x, err := b.model.Activations(t.Context(), core.ActivationsRequest{
			Inputs: clean, Points: []string{"logits[0,-1,0]"}, GradOf: fmt.Sprintf("token:%d@-1", target), Output: sdk.Prob, Edits: edits,
		})
		if err != nil {
			t.Fatal(err)
		}
		return x.Objective.Values[0]
	}
	var corrupted, restored []float64
	for sample := range slices.Chunk(noise, size) {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		writeTensors(t, path, safetensors.Tensor{Name: "hook_embed", Shape: append([]int{1}, shape[1:]...), Data: sample})
		add := fmt.Sprintf("hook_embed[t=0:3]=add:%s#hook_embed", path)
		corrupted = append(corrupted, probability(add))
		for l := range b.model.Engine().Info().Layers {
			for i := range tokens {
				restored = append(restored, probability(add, fmt.Sprintf("blocks.%d.hook_resid_pre[t=%d]=patch:%s", l, i, run)))
			}
		}
	}
	golden.Close(t, "corrupted", corrupted, b.Want(t, "causal_trace.corrupted_prob"), tolerance(b.Case, "causal_trace.corrupted_prob", "f64"))
	golden.Close(t, "restored", restored, b.Want(t, "causal_trace.restored_prob"), tolerance(b.Case, "causal_trace.restored_prob", "f64"))
}
