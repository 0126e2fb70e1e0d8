package engine_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/golden"
)

// TestHeadImportance holds the importance of heads (Michel et al. 2019,
// arXiv:1905.10650) to the reference implementation: the gradient with respect
// to a factor on a head's pattern, and what the score loses without it.
func TestHeadImportance(t *testing.T) {
	for _, name := range []string{"heads_bert", "heads_gpt2"} {
		t.Run(name, func(t *testing.T) {
			onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
				c := golden.Load(t, name)
				m := openGolden(t, c.Model, engine.WithDType(dtype), engine.WithThreads(2))
				r := &reference{Case: c, model: m, compared: map[string]bool{}}
				r.in = engine.Input{IDs: int32s(c.Ints(t, "input_ids")), Mask: bytesOf(c.Ints(t, "attention_mask"))}
				info, target := m.Info(), configured(t, c, "target")
				objective := func(_ int, logits, grad []float64) float64 { // of the last position, if there are several
					at := len(logits) - info.Outputs + target
					grad[at] = 1
					return logits[at]
				}
				var patterns []point.Selection
				for l := range info.Layers {
					patterns = append(patterns, r.named(t, fmt.Sprintf("pattern%d", l)))
				}
				out := forward(t, m, r.in, engine.Capture(patterns...), engine.Gradients(objective, patterns...))
				var gradient, drop []float64
				for l, pattern := range patterns {
					x, dx := joined(out.Values[l]), joined(out.Gradients[l])
					for h := range info.Heads {
						lo, hi := h*len(x)/info.Heads, (h+1)*len(x)/info.Heads
						gradient = append(gradient, dot(x[lo:hi], dx[lo:hi]))
						without := pattern
						without.Ranges = slices.Clone(pattern.Ranges)
						without.Ranges[1] = point.Range{Lo: h, Hi: h + 1}
						less := forward(t, m, r.in, engine.Edits(point.Edit{Selection: without, Values: []float64{0}}))
						drop = append(drop, out.Objectives[0]-total(less, objective))
					}
				}
				r.compare(t, "score", out.Objectives, dtype)
				r.compare(t, "head_mask_gradient", gradient, dtype)
				r.compare(t, "head_ablation_drop", drop, dtype)
				r.complete(t)
			})
		})
	}
}

// configured returns a number of the configuration of a case.
func configured(t *testing.T, c *golden.Case, key string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(string(c.Config[key]), &n); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

func dot(x, y []float64) float64 {
	sum := 0.0
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

// complete reports the outputs of a case that were not compared.
func (r *reference) complete(t *testing.T) {
	t.Helper()
	for name := range r.Outputs {
		if !r.compared[name] {
			t.Errorf("%s is not compared", name)
		}
	}
}

// TestMemories holds XLNet's memories to the reference implementation: a second
// segment that sees what the layers were given for the first.
func TestMemories(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		c := golden.Load(t, "xlnet_lm_mems")
		m := openGolden(t, c.Model, engine.WithDType(dtype), engine.WithThreads(2))
		r := &reference{Case: c, model: m, compared: map[string]bool{}}
		length := configured(t, c, "mem_len")
		batch, first, second := 2, 6, 4
		in := engine.Input{IDs: int32s(c.Ints(t, "segment1")), Lengths: slices.Repeat([]int{first}, batch)}
		var layers, states, patterns []point.Selection
		for l := range m.Info().Layers {
			layers = append(layers, selectPoint(t, m, in, fmt.Sprintf("resid_pre%d", l)))
		}
		out := forward(t, m, in, engine.Capture(layers...))
		r.compare(t, "seg1.logits", slices.Clone(out.Logits.Float64()), dtype)
		next := engine.Input{
			IDs: int32s(c.Ints(t, "segment2")), Lengths: slices.Repeat([]int{second}, batch),
			MemoryLengths: slices.Repeat([]int{length}, batch),
		}
		d := m.Info().Hidden
		for l := range layers {
			var memory []float32
			var values []float64
			for _, s := range out.Values[l].Sequences {
				memory = append(memory, s.Float32()[(first-length)*d:]...)
				values = append(values, s.Float64()[(first-length)*d:]...)
			}
			next.Memories = append(next.Memories, memory)
			r.compare(t, fmt.Sprintf("seg1.mems.%d", l), timeFirst(values, batch, length), dtype)
		}
		for l := range m.Info().Layers + 1 {
			states = append(states, selectPoint(t, m, next, fmt.Sprintf("hidden_states[%d]", l)))
		}
		for l := range m.Info().Layers {
			patterns = append(patterns, selectPoint(t, m, next, fmt.Sprintf("attentions[%d]", l)))
		}
		out = forward(t, m, next, engine.Capture(slices.Concat(states, patterns)...))
		// Memories are given in single precision, so that double precision
		// agrees to that alone.
		r.compare(t, "seg2.logits", slices.Clone(out.Logits.Float64()), engine.F32)
		for l := range states {
			r.compare(t, fmt.Sprintf("seg2.hidden_states.%d", l), joined(out.Values[l]), engine.F32)
		}
		for l := range patterns {
			r.compare(t, fmt.Sprintf("seg2.attentions.%d", l), joined(out.Values[len(states)+l]), engine.F32)
		}
		r.complete(t)
	})
}

// TestMechanistic holds what mechanistic interpretability does with a model to
// the reference implementation: the logit lens, direct logit attribution,
// activation patching, ablation, causal tracing and attribution patching, all by
// reading, editing and differentiating points.
func TestMechanistic(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, dtype engine.DType) {
		c := golden.Load(t, "mech_gpt2")
		m := openGolden(t, c.Model, engine.WithDType(dtype), engine.WithThreads(2))
		s := &mechanistic{reference: &reference{Case: c, model: m, compared: map[string]bool{}}, t: t, dtype: dtype}
		s.target, s.foil = configured(t, c, "target"), configured(t, c, "foil")
		s.clean = engine.Input{IDs: int32s(c.Ints(t, "input_ids"))}
		s.corrupt = engine.Input{IDs: int32s(c.Ints(t, "corrupt_ids"))}
		s.length = len(s.clean.IDs)
		s.cache()
		s.lens()
		s.attribution()
		s.patching()
		s.ablation()
		s.tracing()
		s.complete(t)
	})
}

// mechanistic is the state of [TestMechanistic].
type mechanistic struct {
	*reference
	t              *testing.T
	dtype          engine.DType
	target, foil   int
	clean, corrupt engine.Input
	length         int
	// Of the clean run, layer by layer: [T, D] each.
	pre, attention, mlp, z [][]float64
	final                  []float64 // what enters the last norm
	logits                 []float64
}

// at returns a point, or a part of it.
func (s *mechanistic) at(spec string, args ...any) point.Selection {
	return s.named(s.t, fmt.Sprintf(spec, args...))
}

// run runs an input and returns the logits of the last position.
func (s *mechanistic) run(in engine.Input, edits ...point.Edit) []float64 {
	return forward(s.t, s.model, in, engine.Edits(edits...)).Row(s.length - 1)
}

// difference is the logit of the target without that of the foil.
func (s *mechanistic) difference(row []float64) float64 { return row[s.target] - row[s.foil] }

// hold compares values with an output of the case.
func (s *mechanistic) hold(name string, values ...float64) {
	s.t.Helper()
	s.compare(s.t, name, values, s.dtype)
}

// patch puts values of all axes in the place of a part of a point.
func (s *mechanistic) patch(at point.Selection, shape []int, values ...float64) point.Edit {
	return point.Edit{Selection: at, Op: point.Replace, Shape: shape, Values: values}
}

// cache reads the residual stream and what is added to it.
func (s *mechanistic) cache() {
	layers := s.model.Info().Layers
	var points []point.Selection
	for _, spec := range []string{"resid_pre%d", "attn_out%d", "mlp_out%d", "z%d"} {
		for l := range layers {
			points = append(points, s.at(spec, l))
		}
	}
	points = append(points, s.at("resid_post%d", layers-1))
	out := forward(s.t, s.model, s.clean, engine.Capture(points...))
	var all [][]float64
	for _, v := range out.Values {
		all = append(all, joined(v))
	}
	s.pre, s.attention, s.mlp, s.z = all[:layers], all[layers:2*layers], all[2*layers:3*layers], all[3*layers:4*layers]
	s.final, s.logits = all[4*layers], out.Logits.Float64()
	s.hold("cache.resid_pre", slices.Concat(s.pre...)...)
	s.hold("cache.attn_out", slices.Concat(s.attention...)...)
	s.hold("cache.mlp_out", slices.Concat(s.mlp...)...)
	s.hold("cache.z", slices.Concat(s.z...)...)
	s.hold("logits_clean", s.logits...)
	corrupt := forward(s.t, s.model, s.corrupt).Logits.Float64()
	s.hold("logits_corrupt", corrupt...)
	s.hold("logit_diff_clean", s.difference(s.logits[len(s.logits)-s.model.Info().Outputs:]))
	s.hold("logit_diff_corrupt", s.difference(corrupt[len(corrupt)-s.model.Info().Outputs:]))
}

// lens reads the residual stream of every layer as if it were the last.
func (s *mechanistic) lens() {
	outputs, shape := s.model.Info().Outputs, []int{1, s.length, s.model.Info().Hidden}
	var normed, raw, logprob, divergence, entropy []float64
	var rank []int64
	for _, x := range append(slices.Clone(s.pre), s.final) {
		last := forward(s.t, s.model, s.clean, engine.Edits(s.patch(s.at("resid_post%d", s.model.Info().Layers-1), shape, x...)))
		normed = append(normed, last.Logits.Float64()...)
		bare := forward(s.t, s.model, s.clean, engine.Edits(s.patch(s.at("ln_final.hook_out"), shape, x...)))
		raw = append(raw, bare.Logits.Float64()...)
		for i := range s.length {
			p, q := logSoftmax(s.logits[i*outputs:(i+1)*outputs]), logSoftmax(last.Row(i))
			kl, h, above := 0.0, 0.0, int64(0)
			for j := range p {
				kl += math.Exp(p[j]) * (p[j] - q[j])
				h -= math.Exp(q[j]) * q[j]
				if q[j] > q[s.target] {
					above++
				}
			}
			logprob, divergence, entropy, rank = append(logprob, q[s.target]), append(divergence, kl), append(entropy, h), append(rank, above)
		}
	}
	s.hold("logit_lens.ln_f", normed...)
	s.hold("logit_lens.raw", raw...)
	s.hold("logit_lens.target_logprob", logprob...)
	s.hold("logit_lens.kl_final_to_layer", divergence...)
	s.hold("logit_lens.entropy", entropy...)
	s.compared["logit_lens.target_rank"] = true
	if want := s.WantInts(s.t, "logit_lens.target_rank"); !slices.Equal(rank, want) {
		s.t.Errorf("the target has the ranks %v, want %v", rank, want)
	}
}

// logSoftmax returns the log-probabilities of logits.
func logSoftmax(x []float64) []float64 {
	norm, y := logSumExp(x), slices.Clone(x)
	for i := range y {
		y[i] -= norm
	}
	return y
}

// attribution splits the logits of the last position among what was added to
// the residual stream, with the scale of the last norm frozen. With it frozen
// they are linear in that stream, so that the share of a part is its product
// with the gradient.
func (s *mechanistic) attribution() {
	info := s.model.Info()
	layers, d := info.Layers, info.Hidden
	scale := s.at("ln_final.hook_scale")
	frozen := forward(s.t, s.model, s.clean, engine.Capture(scale)).Values[0]
	stream := s.at("resid_post%d", layers-1)
	var directions [2][]float64
	var biases []float64
	for i, class := range []int{s.target, s.foil} {
		objective := func(_ int, logits, grad []float64) float64 {
			at := len(logits) - info.Outputs + class
			grad[at] = 1
			return logits[at]
		}
		out := forward(s.t, s.model, s.clean, engine.Edits(replaces(frozen)...), engine.Gradients(objective, stream))
		all := joined(out.Gradients[0])
		directions[i] = all[len(all)-d:]
		// Of a stream of zeros only the bias of the norm is left.
		zero := forward(s.t, s.model, s.clean, engine.Edits(append(replaces(frozen), point.Edit{Selection: stream, Values: []float64{0}})...))
		biases = append(biases, zero.Row(s.length - 1)[class])
	}
	share := func(x []float64) []float64 {
		x = x[len(x)-d:]
		return []float64{dot(x, directions[0]), dot(x, directions[1])}
	}
	captured := forward(s.t, s.model, s.clean, engine.Capture(s.at("embed"), s.at("pos_embed")))
	s.hold("dla.embed", share(joined(captured.Values[0]))...)
	s.hold("dla.pos", share(joined(captured.Values[1]))...)
	s.hold("dla.ln_f_bias", biases...)
	var heads, bias, attention, mlp []float64
	for l := range layers {
		out := forward(s.t, s.model, s.clean, engine.Capture(s.at("result%d", l)))
		results := joined(out.Values[0])
		results = results[len(results)-info.Heads*d:]
		for h := range info.Heads {
			heads = append(heads, share(results[h*d:(h+1)*d])...)
		}
		// Without its heads, attention adds the bias alone.
		nothing := point.Edit{Selection: s.at("result%d", l), Values: []float64{0}}
		out = forward(s.t, s.model, s.clean, engine.Capture(s.at("attn_out%d", l)), engine.Edits(nothing))
		bias = append(bias, share(joined(out.Values[0]))...)
		attention, mlp = append(attention, share(s.attention[l])...), append(mlp, share(s.mlp[l])...)
	}
	s.hold("dla.heads", heads...)
	s.hold("dla.attn_bias", bias...)
	s.hold("dla.attn_out", attention...)
	s.hold("dla.mlp_out", mlp...)
}

// patching puts parts of the clean run into the corrupt one, and estimates what
// that does from gradients.
func (s *mechanistic) patching() {
	info := s.model.Info()
	d, e := info.Hidden, info.Hidden/info.Heads
	corrupted := s.difference(s.run(s.corrupt))
	clean := s.difference(s.logits[len(s.logits)-info.Outputs:])
	for name, part := range map[string]struct {
		spec   string
		values [][]float64
	}{
		"resid_pre": {"resid_pre%d[t=%d]", s.pre}, "attn_out": {"attn_out%d[t=%d]", s.attention}, "mlp_out": {"mlp_out%d[t=%d]", s.mlp},
	} {
		var got, normalised []float64
		for l := range info.Layers {
			for i := range s.length {
				v := s.difference(s.run(s.corrupt, s.patch(s.at(part.spec, l, i), []int{1, 1, d}, part.values[l][i*d:(i+1)*d]...)))
				got, normalised = append(got, v), append(normalised, (v-corrupted)/(clean-corrupted))
			}
		}
		s.hold("patch."+name, got...)
		if name == "resid_pre" {
			s.hold("patch.resid_pre_normalised", normalised...)
		}
	}
	var heads []float64
	for l := range info.Layers {
		for h := range info.Heads {
			var values []float64
			for i := range s.length {
				values = append(values, s.z[l][i*d+h*e:i*d+(h+1)*e]...)
			}
			heads = append(heads, s.difference(s.run(s.corrupt, s.patch(s.at("z%d[h=%d]", l, h), []int{1, s.length, 1, e}, values...))))
		}
	}
	s.hold("patch.head_z", heads...)
	objective := func(_ int, logits, grad []float64) float64 {
		row := len(logits) - info.Outputs
		grad[row+s.target], grad[row+s.foil] = 1, -1
		return s.difference(logits[row:])
	}
	var streams []point.Selection
	for l := range info.Layers {
		streams = append(streams, s.at("resid_pre%d", l))
	}
	out := forward(s.t, s.model, s.corrupt, engine.Capture(streams...), engine.Gradients(objective, streams...))
	var estimates []float64
	for l := range streams {
		x, dx := joined(out.Values[l]), joined(out.Gradients[l])
		for i := range s.length {
			estimate := 0.0
			for j := i * d; j < (i+1)*d; j++ {
				estimate += (s.pre[l][j] - x[j]) * dx[j]
			}
			estimates = append(estimates, estimate)
		}
	}
	s.hold("attribution_patching.resid_pre", estimates...)
}

// ablation takes heads away.
func (s *mechanistic) ablation() {
	var zero, mean []float64
	for l := range s.model.Info().Layers {
		for h := range s.model.Info().Heads {
			z := s.at("z%d[h=%d]", l, h)
			zero = append(zero, s.difference(s.run(s.clean, point.Edit{Selection: z, Values: []float64{0}})))
			mean = append(mean, s.difference(s.run(s.clean, point.Edit{Selection: z, Op: point.Mean})))
		}
	}
	s.hold("ablate.zero_head", zero...)
	s.hold("ablate.mean_head", mean...)
}

// tracing adds noise to the embeddings of some tokens and restores single states.
func (s *mechanistic) tracing() {
	d := s.model.Info().Hidden
	noise := s.Floats(s.t, "trace_noise")
	var corrupted, restored []float64
	for sample := range slices.Chunk(noise, s.length*d) {
		noisy := point.Edit{Selection: s.at("embed[t=0:3]"), Op: point.Add, Shape: []int{1, 3, d}, Values: sample[:3*d]}
		probability := func(edits ...point.Edit) float64 {
			return math.Exp(logSoftmax(s.run(s.clean, append([]point.Edit{noisy}, edits...)...))[s.target])
		}
		corrupted = append(corrupted, probability())
		for l := range s.model.Info().Layers {
			for i := range s.length {
				restored = append(restored, probability(s.patch(s.at("resid_pre%d[t=%d]", l, i), []int{1, 1, d}, s.pre[l][i*d:(i+1)*d]...)))
			}
		}
	}
	s.hold("causal_trace.corrupted_prob", corrupted...)
	s.hold("causal_trace.restored_prob", restored...)
}
