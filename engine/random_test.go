package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/engine/point"
)

// kind is a configuration of a small model whose sizes fit no vector.
type kind struct {
	name   string
	config map[string]any
	first  bool // of its family: the layers of others are the same but for options
}

// kinds are models of every family with every kind of head, and the options
// that change what is computed.
func kinds() (all []kind) {
	labels := map[string]string{"0": "a", "1": "b", "2": "c"}
	add := func(class string, config map[string]any, options ...any) {
		name := class
		c := map[string]any{"architectures": []string{class}, "id2label": labels}
		for key, value := range config {
			c[key] = value
		}
		for i := 0; i < len(options); i += 2 {
			c[options[i].(string)] = options[i+1]
			name += fmt.Sprintf(",%s=%v", options[i], options[i+1])
		}
		first := len(all) == 0 || all[len(all)-1].config["model_type"] != c["model_type"]
		all = append(all, kind{name, c, first})
	}
	bert := map[string]any{
		"model_type": "bert", "vocab_size": 29, "hidden_size": 15, "num_hidden_layers": 2, "num_attention_heads": 3,
		"intermediate_size": 21, "max_position_embeddings": 300, "type_vocab_size": 2,
	}
	for _, head := range []string{"SequenceClassification", "TokenClassification", "QuestionAnswering", "MaskedLM", "NextSentencePrediction"} {
		add("BertFor"+head, bert)
	}
	add("BertForSequenceClassification", bert, "hidden_act", "silu")
	roberta := map[string]any{
		"model_type": "roberta", "vocab_size": 27, "hidden_size": 14, "num_hidden_layers": 2, "num_attention_heads": 2,
		"intermediate_size": 19, "max_position_embeddings": 310, "type_vocab_size": 1, "pad_token_id": 1,
	}
	add("RobertaForSequenceClassification", roberta)
	add("RobertaForMaskedLM", roberta)
	distil := map[string]any{
		"model_type": "distilbert", "vocab_size": 31, "dim": 21, "n_layers": 2, "n_heads": 3, "hidden_dim": 17, "max_position_embeddings": 300,
	}
	add("DistilBertForSequenceClassification", distil)
	add("DistilBertForMaskedLM", distil)
	gpt := map[string]any{
		"model_type": "gpt2", "vocab_size": 33, "n_embd": 15, "n_layer": 2, "n_head": 3, "n_inner": 22, "n_positions": 300,
	}
	add("GPT2LMHeadModel", gpt)
	add("GPT2LMHeadModel", gpt, "scale_attn_by_inverse_layer_idx", true)
	add("GPT2ForSequenceClassification", gpt, "pad_token_id", 0)
	add("GPT2ForTokenClassification", gpt)
	xlnet := map[string]any{
		"model_type": "xlnet", "vocab_size": 25, "d_model": 18, "n_layer": 2, "n_head": 3, "d_inner": 23,
	}
	add("XLNetLMHeadModel", xlnet)
	add("XLNetLMHeadModel", xlnet, "attn_type", "uni")
	add("XLNetLMHeadModel", xlnet, "clamp_len", 3)
	add("XLNetForSequenceClassification", xlnet)
	add("XLNetForQuestionAnsweringSimple", xlnet)
	add("GatedForCausalLM", map[string]any{"model_type": gated})
	return all
}

// folder returns a model of the kind with random weights.
func (k kind) folder(t testing.TB, seed uint64) fstest.MapFS {
	t.Helper()
	text, err := json.Marshal(k.config)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{checkpoint.ConfigFile: {Data: text}}
	architecture, err := engine.Describe(fsys)
	if err != nil {
		t.Fatal(err)
	}
	w := &weightMaker{random: rand.New(rand.NewPCG(seed, 0)), made: map[string]bool{}}
	for i := range 8 {
		w.graph(architecture.Graph(arch.Form{Targets: i&1 != 0, Memory: i&2 != 0, Types: i&4 != 0}))
	}
	var weights bytes.Buffer
	if err := safetensors.Write(&weights, w.tensors, nil); err != nil {
		t.Fatal(err)
	}
	fsys[checkpoint.WeightsFile] = &fstest.MapFile{Data: weights.Bytes()}
	return fsys
}

// weightMaker makes the tensors that graphs name.
type weightMaker struct {
	random  *rand.Rand
	made    map[string]bool
	tensors []safetensors.Tensor
}

func (m *weightMaker) graph(g *arch.Graph) {
	for _, n := range g.Nodes {
		switch op := n.Op.(type) {
		case arch.Words:
			m.add(op.Table, 0, 1)
		case arch.Embed:
			m.add(op.Table, 0, 0.5)
		case arch.Repeat:
			m.add(op.Row, 0, 1)
		case arch.Norm:
			m.add(op.Gamma, 1, 0.2)
			m.add(op.Beta, 0, 0.2)
		case arch.Linear:
			_, in := op.W.Dims()
			m.add(op.W, 0, 1.3/math.Sqrt(float64(in)))
			m.add(op.Bias, 0, 0.3)
		case arch.Attention:
			if r := op.Relative; r != nil {
				for _, w := range []arch.Weight{r.Content, r.Position, r.Segment, r.Segments} {
					m.add(w, 0, 0.7)
				}
			}
		}
	}
}

func (m *weightMaker) add(w arch.Weight, mean, deviation float64) {
	if !w.Given() || m.made[w.Name] {
		return
	}
	m.made[w.Name] = true
	data := make([]float32, w.Elements())
	for i := range data {
		data[i] = float32(mean + deviation*m.random.NormFloat64())
	}
	m.tensors = append(m.tensors, safetensors.Tensor{Name: w.Name, Shape: w.Shape, Data: data})
}

// with says which optional parts of an input are given.
type with struct{ mask, types, memories, targets, hidden, reads bool }

// input returns sequences of the given lengths, with what the model takes of
// what is asked for.
func (w with) input(info engine.Info, seed uint64, lengths ...int) engine.Input {
	random := rand.New(rand.NewPCG(seed, 1))
	in := engine.Input{Lengths: lengths}
	for i, n := range lengths {
		seen := make([]int, 0, n)
		for range n {
			in.IDs = append(in.IDs, int32(2+random.IntN(info.Vocabulary-2)))
			if w.types && info.Types > 0 {
				in.TypeIDs = append(in.TypeIDs, int32(random.IntN(min(info.Types, 2))))
			}
			if w.mask {
				in.Mask = append(in.Mask, uint8(min(1, random.IntN(3))))
			}
			seen = append(seen, len(seen))
		}
		random.Shuffle(n, func(a, b int) { seen[a], seen[b] = seen[b], seen[a] })
		some := seen[:1+random.IntN(n)]
		if w.targets && info.Targets {
			in.Targets = append(in.Targets, some)
		} else if w.reads && info.Task != arch.SequenceClassification {
			in.Reads = append(in.Reads, some)
		}
		if w.hidden && info.Targets {
			hidden := make([]uint8, n*n)
			for k := range hidden {
				hidden[k] = uint8(random.IntN(2))
			}
			if n > 1 { // each query sees something
				for q := range n {
					hidden[q*n+(q+1)%n] = 0
				}
			}
			in.PermMask = append(in.PermMask, hidden)
		}
		if w.memories && info.Memories {
			in.MemoryLengths = append(in.MemoryLengths, (i+1)%3)
		}
	}
	if in.MemoryLengths != nil {
		rows := 0
		for _, n := range in.MemoryLengths {
			rows += n
		}
		for range info.Layers {
			layer := make([]float32, rows*info.Hidden)
			for i := range layer {
				layer[i] = float32(random.NormFloat64())
			}
			in.Memories = append(in.Memories, layer)
		}
	}
	return in
}

// inputs are the forms of input that a model takes.
func inputs(info engine.Info) []with {
	all := []with{{}, {mask: true, types: true, reads: true}}
	if info.Memories {
		all = append(all, with{mask: true, types: true, memories: true})
	}
	if info.Targets {
		all = append(all, with{targets: true, types: true, hidden: true}, with{targets: true, mask: true},
			with{mask: true, types: true, memories: true, targets: true, hidden: true})
	}
	return all
}

// String lists what is given.
func (w with) String() string {
	s := "ids"
	for i, is := range []bool{w.mask, w.types, w.memories, w.targets, w.hidden, w.reads} {
		if is {
			s += "+" + []string{"mask", "types", "memories", "targets", "hidden", "reads"}[i]
		}
	}
	return s
}

// noise returns n random values.
func noise(random *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = random.NormFloat64()
	}
	return x
}

// quadratic is a random objective, Σ aᵢ·xᵢ + bᵢ·xᵢ²/2, of the logits of each
// sequence. It is safe for concurrent use.
func quadratic(seed uint64) engine.Objective {
	return func(sequence int, logits, grad []float64) float64 {
		random := rand.New(rand.NewPCG(seed, uint64(sequence)))
		sum := 0.0
		for i, x := range logits {
			a, b := random.NormFloat64(), random.NormFloat64()/4
			sum += a*x + b*x*x/2
			grad[i] += a + b*x
		}
		return sum
	}
}

// total is the sum of an objective over the sequences of an output.
func total(out *engine.Output, objective engine.Objective) float64 {
	sum := 0.0
	logits := out.Logits.Float64()
	for i := range len(out.Starts) - 1 {
		x := logits[out.Starts[i]*out.Classes : out.Starts[i+1]*out.Classes]
		sum += objective(i, x, make([]float64, len(x)))
	}
	return sum
}

// points returns those of a list that are worth a look at a kind of model: all of
// them where it is the first of its family, and otherwise those of one layer and
// outside of layers.
func (k kind) points(all []point.Selection) []point.Selection {
	return slices.DeleteFunc(all, func(s point.Selection) bool { return !k.first && s.Point.Layer == 0 })
}

// wholeOf selects all of a point.
func wholeOf(p arch.Point) point.Selection {
	return point.Selection{Name: p.Name, Point: p, Ranges: slices.Repeat([]point.Range{point.All}, len(p.Axes))}
}

// differentiable returns the points of a model that have a gradient.
func differentiable(m *engine.Model, in engine.Input) (all []point.Selection) {
	for _, p := range m.Graph(in).Points {
		if p.Differentiable {
			all = append(all, wholeOf(p))
		}
	}
	return all
}

// adds returns the edits that add factor·direction to what was captured or
// differentiated, sequence by sequence.
func adds(a engine.Activation, direction [][]float64, factor float64) (edits []point.Edit) {
	for i, tensor := range a.Sequences {
		if tensor.Len() == 0 {
			continue
		}
		e := point.Edit{Selection: a.Selection, Op: point.Add, Shape: tensor.Shape}
		if e.Point.Axes[0].Letter == "B" {
			e.Ranges = slices.Clone(e.Ranges)
			e.Ranges[0] = point.Range{Lo: i, Hi: i + 1}
			e.Shape = append([]int{1}, tensor.Shape...)
		}
		for _, v := range direction[i] {
			e.Values = append(e.Values, factor*v)
		}
		edits = append(edits, e)
	}
	return edits
}

// directions returns a random direction for each sequence of an activation.
func directions(random *rand.Rand, a engine.Activation) (all [][]float64) {
	for _, tensor := range a.Sequences {
		all = append(all, noise(random, tensor.Len()))
	}
	return all
}

// along returns the inner product of a gradient with a direction.
func along(a engine.Activation, direction [][]float64) float64 {
	sum := 0.0
	for i, tensor := range a.Sequences {
		for j, g := range tensor.Float64() {
			sum += g * direction[i][j]
		}
	}
	return sum
}

// slope is the derivative of f at 0 by a central difference.
func slope(f func(h float64) float64) float64 {
	const h = 1.0 / (1 << 16)
	return (f(h) - f(-h)) / (2 * h)
}

// randomEdits returns n edits of random parts of random points by random
// operations.
func randomEdits(random *rand.Rand, m *engine.Model, in engine.Input, n int) (edits []point.Edit) {
	var editable []arch.Point
	for _, p := range m.Graph(in).Points {
		if p.Editable {
			editable = append(editable, p)
		}
	}
	for range n {
		edits = append(edits, randomEdit(random, editable[random.IntN(len(editable))]))
	}
	return edits
}

func randomEdit(random *rand.Rand, p arch.Point) point.Edit {
	e := point.Edit{Selection: wholeOf(p), Op: point.Op(random.IntN(4))}
	if e.Op == point.Mean && !e.HasPositions() {
		e.Op = point.Add
	}
	count := 1
	for axis, a := range p.Axes {
		size, width := a.Size, 1
		if random.IntN(2) == 0 {
			lo := random.IntN(max(size, 3))
			e.Ranges[axis] = point.Range{Lo: lo, Hi: lo + 1 + random.IntN(2)}
			if random.IntN(3) == 0 {
				e.Ranges[axis] = point.Range{Lo: -1 - random.IntN(2), Hi: point.End}
			}
		}
		if size > 0 && (e.Op == point.Replace || random.IntN(2) == 0) { // equal values cannot be normed
			lo, hi := e.Ranges[axis].Bounds(size)
			width = hi - lo
		}
		e.Shape, count = append(e.Shape, width), count*width
	}
	if e.Op == point.Mean {
		e.Shape = nil
		return e
	}
	e.Values = noise(random, count)
	if p.Stage == arch.Divisor { // a divisor is above 0
		for i, v := range e.Values {
			e.Values[i] = 0.5 + math.Abs(v)
		}
	}
	return e
}
