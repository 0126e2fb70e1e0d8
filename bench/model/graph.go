package model

import (
	"fmt"
	"math"

	"github.com/xai-go/xai/bench/onnx"
	"github.com/xai-go/xai/internal/virtual"
)

// Graph is one way to write a model down for ONNX Runtime. All of them use the
// operators into which its own optimiser fuses these models: attention with the
// projection of queries, keys and values in one product, sum and norm in one,
// bias and GELU in one.
//
// Source: microsoft/onnxruntime, docs/ContribOperators.md.
type Graph struct {
	Head Head
	// Cut says that the last layer computes what the head reads and no more,
	// as the engine does: keys and values of all tokens, everything else of one
	// token a sequence. ONNX Runtime's optimiser does not find this by itself.
	// It needs a head that reads one token.
	Cut bool
	// Padded says that sequences may be shorter than the batch is wide.
	Padded bool
	// Int8 has all products with weights in 8 bits: activations are quantised
	// as they come, a scale a tensor (DynamicQuantizeMatMul, QAttention).
	Int8 bool
}

// Name returns what the graph's file is called, without its ending.
func (g Graph) Name() string {
	name := string(g.Head)
	for _, part := range []struct {
		set  bool
		name string
	}{{g.Cut, "-cut"}, {g.Padded, "-padded"}, {g.Int8, "-int8"}} {
		if part.set {
			name += part.name
		}
	}
	return name
}

// Inputs of the graphs, all int32: ids [batch, tokens]; types, the token types
// of BERT, likewise; mask, of padded BERT, likewise, 1 for a token and 0 for
// padding on the right; lengths [batch], of GPT-2 with the head Last.
const (
	IDs     = "ids"
	Types   = "types"
	Mask    = "mask"
	Lengths = "lengths"
)

// Inputs returns the names of the inputs that a graph of the family of s has.
func Inputs(s virtual.Shape, g Graph) []string {
	names := []string{IDs}
	switch {
	case s.Type == virtual.BERT && g.Padded:
		names = append(names, Types, Mask)
	case s.Type == virtual.BERT:
		names = append(names, Types)
	case g.Head == Last:
		names = append(names, Lengths)
	}
	return names
}

// microsoft is the domain of ONNX Runtime's own operators.
const microsoft = "com.microsoft"

// builder writes one graph down. Values are known by their names.
type builder struct {
	*exporter
	Graph
	graph onnx.Graph
	used  map[string]bool
	err   error
}

// encode returns the graph as a file, and writes those of its weights that no
// graph before it has used.
func (x *exporter) encode(g Graph) ([]byte, error) {
	b := &builder{exporter: x, Graph: g, used: map[string]bool{}}
	b.graph.Name = x.shape.Name
	for _, name := range Inputs(x.shape, g) {
		shape := []string{"batch", "tokens"}
		if name == Lengths {
			shape = shape[:1]
		}
		b.graph.Inputs = append(b.graph.Inputs, onnx.Value{Name: name, Type: onnx.Int32, Shape: shape})
	}
	if x.shape.Type == virtual.GPT2 {
		b.gpt2()
	} else {
		b.bert()
	}
	if b.err != nil {
		return nil, b.err
	}
	return onnx.Encode(onnx.Model{Graph: b.graph, Operator: map[string]int{"": 17, microsoft: 1}})
}

// bert writes BERT with its classifier.
//
//	x = LayerNorm(word + type + position)
//	per layer:  x = LayerNorm(x + W_o attention(x)),  x = LayerNorm(x + W₂ gelu(W₁ x))
//	logits = W_c tanh(W_p x[CLS])
func (b *builder) bert() {
	const embeddings = "bert.embeddings."
	words := b.weight(embeddings + "word_embeddings.weight")
	positions := b.weight(embeddings + "position_embeddings.weight")
	types := b.weight(embeddings + "token_type_embeddings.weight")
	gain, shift := b.norm(embeddings + "LayerNorm")
	inputs := []string{IDs, Types, words, positions, types, gain, shift}
	outputs := []string{"embedded", "unpadded"}
	lengths := ""
	if b.Padded {
		inputs, lengths = append(inputs, Mask), "unpadded"
	}
	b.node(microsoft, "EmbedLayerNormalization", inputs, outputs, b.epsilon())
	x := "embedded"
	for i := range b.shape.Layers {
		layer := fmt.Sprintf("bert.encoder.layer.%d.", i)
		self := layer + "attention.self."
		all := func() linear { return b.linear(self+"query", self+"key", self+"value") }
		var y string
		if b.Cut && i == b.shape.Layers-1 {
			row := b.op("", "Slice", []string{x, b.integers("zero", 0), b.integers("one", 1), b.integers("one", 1)}, layer+"first")
			y, x = b.attendFrom(row, x, layer, all, lengths), row
		} else {
			y = b.attend(x, layer, all, lengths)
		}
		y, bias := b.dense(y, layer+"attention.output.dense")
		x = b.addNorm(y, bias, x, layer+"attention.output.LayerNorm", "")
		y, bias = b.dense(x, layer+"intermediate.dense")
		y = b.op(microsoft, "BiasGelu", []string{y, bias}, layer+"gelu")
		y, bias = b.dense(y, layer+"output.dense")
		x = b.addNorm(y, bias, x, layer+"output.LayerNorm", "")
	}
	first := b.op("", "Gather", []string{x, b.constant(onnx.Of("first", []int64{0}))}, "cls", onnx.Attribute{Name: "axis", Value: int64(1)})
	transB := onnx.Attribute{Name: "transB", Value: int64(1)}
	pooled := b.op("", "Gemm", []string{first, b.weight("bert.pooler.dense.weight"), b.weight("bert.pooler.dense.bias")}, "pooled", transB)
	pooled = b.op("", "Tanh", []string{pooled}, "pooler")
	b.op("", "Gemm", []string{pooled, b.weight("classifier.weight"), b.weight("classifier.bias")}, "logits", transB)
	b.graph.Outputs = []onnx.Value{{Name: "logits", Type: onnx.Float32, Shape: []string{"batch", fmt.Sprint(b.shape.Labels)}}}
}

// gpt2 writes GPT-2 with its tied language model head. A norm is fused with the
// sum before it, so that a layer makes both the residual stream x and the next
// norm of it, n.
//
//	x = word + position
//	per layer:  x += W_o attention(LayerNorm(x)),  x += W₂ gelu(W₁ LayerNorm(x))
//	logits = wordᵀ LayerNorm(x)
func (b *builder) gpt2() {
	words, positions := b.weight("transformer.wte.weight"), b.weight("transformer.wpe.weight")
	gain, shift := b.norm("transformer.h.0.ln_1")
	b.node(microsoft, "EmbedLayerNormalization", []string{IDs, "", words, positions, "", gain, shift},
		[]string{"embedded norm", "unpadded", "embedded"}, b.epsilon())
	n, x := "embedded norm", "embedded"
	last := ""
	if b.Head == Last {
		index := b.op("", "Sub", []string{Lengths, b.constant(onnx.Of("one of int32", []int32{1}, 1))}, "last of int32")
		index = b.op("", "Cast", []string{index}, "last of int64", onnx.Attribute{Name: "to", Value: int64(onnx.Int64)})
		last = b.op("", "Reshape", []string{index, b.integers("column", -1, 1, 1)}, "last")
	}
	at := func(x, name string) string { // [batch, tokens, hidden] to [batch, 1, hidden]
		return b.op("", "GatherND", []string{x, last}, name, onnx.Attribute{Name: "batch_dims", Value: int64(1)})
	}
	lengths := ""
	if b.Padded {
		lengths = Lengths
	}
	for i := range b.shape.Layers {
		layer := fmt.Sprintf("transformer.h.%d.", i)
		all := func() linear { return b.linear(layer + "attn.c_attn") }
		var y string
		if b.Cut && i == b.shape.Layers-1 {
			x = at(x, layer+"residual of last")
			y = b.attendFrom(at(n, layer+"norm of last"), n, layer, all, lengths)
		} else {
			y = b.attend(n, layer, all, "", onnx.Attribute{Name: "unidirectional", Value: int64(1)})
		}
		y, bias := b.dense(y, layer+"attn.c_proj")
		residual := layer + "residual"
		n, x = b.addNorm(y, bias, x, layer+"ln_2", residual), residual
		y, bias = b.dense(n, layer+"mlp.c_fc")
		y = b.op(microsoft, "FastGelu", []string{y, bias}, layer+"gelu")
		y, bias = b.dense(y, layer+"mlp.c_proj")
		if i == b.shape.Layers-1 {
			n = b.addNorm(y, bias, x, "transformer.ln_f", "")
			break
		}
		residual = layer + "output"
		n, x = b.addNorm(y, bias, x, fmt.Sprintf("transformer.h.%d.ln_1", i+1), residual), residual
	}
	if b.Head == Last && !b.Cut {
		n = at(n, "norm of last")
	}
	head := func() linear {
		w := b.tensors["transformer.wte.weight"]
		return linear{in: w.shape[1], out: w.shape[0], weight: transposed(w)}
	}
	b.product(n, "lm_head", "logits", head)
	b.graph.Outputs = []onnx.Value{{Name: "logits", Type: onnx.Float32, Shape: []string{"batch", "positions", fmt.Sprint(b.shape.Vocabulary)}}}
}

// node adds an operator.
func (b *builder) node(domain, operator string, inputs, outputs []string, attributes ...onnx.Attribute) {
	b.graph.Nodes = append(b.graph.Nodes, onnx.Node{Operator: operator, Domain: domain, Inputs: inputs, Outputs: outputs, Attributes: attributes})
}

// op adds an operator with one output and returns it.
func (b *builder) op(domain, operator string, inputs []string, output string, attributes ...onnx.Attribute) string {
	b.node(domain, operator, inputs, []string{output}, attributes...)
	return output
}

// constant makes a small tensor known to the graph.
func (b *builder) constant(t onnx.Tensor) string {
	if !b.used[t.Name] {
		b.used[t.Name] = true
		b.graph.Tensors = append(b.graph.Tensors, t)
	}
	return t.Name
}

func (b *builder) integers(name string, values ...int64) string {
	return b.constant(onnx.Of(name, values, len(values)))
}

// place makes a tensor known that lies in the file of weights, where it is
// written the first time that a graph asks for it.
func (b *builder) place(name string, values func() onnx.Tensor) string {
	t, ok := b.placed[name]
	if !ok {
		var err error
		if t, err = b.weights.Put(values()); err != nil && b.err == nil {
			b.err = err
		}
		b.placed[name] = t
	}
	return b.constant(t)
}

// weight makes a weight known as it is.
func (b *builder) weight(name string) string {
	return b.place(name, func() onnx.Tensor { return onnx.Of(name, b.tensors[name].values, b.tensors[name].shape...) })
}

func (b *builder) norm(name string) (gain, shift string) {
	return b.weight(name + ".weight"), b.weight(name + ".bias")
}

// bias makes the bias of layers known.
func (b *builder) bias(name string, l func() linear) string {
	name += " bias"
	return b.place(name, func() onnx.Tensor { l := l(); return onnx.Of(name, l.bias, l.out) })
}

// dense multiplies x with a layer's matrix and returns the product and the
// bias, which the operator behind it adds.
func (b *builder) dense(x, name string) (y, bias string) {
	l := func() linear { return b.linear(name) }
	return b.product(x, name, name+" product", l), b.bias(name, l)
}

// product multiplies x with a matrix.
func (b *builder) product(x, name, output string, l func() linear) string {
	if b.Int8 {
		q, scale, zero := b.matrix8(name, l)
		return b.op(microsoft, "DynamicQuantizeMatMul", []string{x, q, scale, zero}, output)
	}
	return b.op("", "MatMul", []string{x, b.matrix(name, l)}, output)
}

func (b *builder) matrix(name string, l func() linear) string {
	name += " matrix"
	return b.place(name, func() onnx.Tensor { l := l(); return onnx.Of(name, l.weight, l.in, l.out) })
}

// matrix8 makes a matrix known in 8 bits, with its scale and zero point.
func (b *builder) matrix8(name string, l func() linear) (q, scale, zero string) {
	q, scale = name+" matrix of int8", name+" scale"
	if _, ok := b.placed[q]; !ok {
		l := l()
		values, s := quantized(l.weight)
		b.place(q, func() onnx.Tensor { return onnx.Of(q, values, l.in, l.out) })
		b.place(scale, func() onnx.Tensor { return onnx.Of(scale, []float32{s}) })
	}
	return b.constant(b.placed[q]), b.constant(b.placed[scale]), b.constant(onnx.Of("zero of int8", []int8{0}))
}

// attend is attention of all tokens: x·W_qkv, patterns, values. lengths is
// empty where nothing is padded.
func (b *builder) attend(x, layer string, all func() linear, lengths string, more ...onnx.Attribute) string {
	name, output := layer+"attention", layer+"attended"
	attributes := append(more, onnx.Attribute{Name: "num_heads", Value: int64(b.shape.Heads)})
	bias := b.bias(name, all)
	if b.Int8 {
		q, scale, zero := b.matrix8(name, all)
		xq, xScale, xZero := layer+"quantized", layer+"quantized scale", layer+"quantized zero"
		b.node("", "DynamicQuantizeLinear", []string{x}, []string{xq, xScale, xZero})
		return b.op(microsoft, "QAttention", []string{xq, q, bias, xScale, scale, lengths, xZero, zero}, output, attributes...)
	}
	inputs := []string{x, b.matrix(name, all), bias}
	if lengths != "" {
		inputs = append(inputs, lengths)
	}
	return b.op(microsoft, "Attention", inputs, output, attributes...)
}

// attendFrom is attention of one token a sequence, row [batch, 1, hidden], to
// all tokens of x.
func (b *builder) attendFrom(row, x, layer string, all func() linear, lengths string) string {
	var parts [3]string
	h := b.shape.Hidden
	for i, name := range []string{"query", "key", "value"} {
		from := x
		if i == 0 {
			from = row
		}
		name = layer + name
		parts[i] = b.product(from, name, name+" product", func() linear { return all().columns(i*h, (i+1)*h) })
	}
	inputs := []string{parts[0], parts[1], parts[2], b.bias(layer+"attention", all)}
	if lengths != "" {
		inputs = append(inputs, lengths)
	}
	return b.op(microsoft, "MultiHeadAttention", inputs, layer+"attended", onnx.Attribute{Name: "num_heads", Value: int64(b.shape.Heads)})
}

// addNorm returns LayerNorm(y + bias + x), and names the sum where residual is
// not empty.
func (b *builder) addNorm(y, bias, x, norm, residual string) string {
	gain, shift := b.norm(norm)
	outputs := []string{norm + " output"}
	if residual != "" {
		outputs = append(outputs, "", "", residual)
	}
	b.node(microsoft, "SkipLayerNormalization", []string{y, x, gain, shift, bias}, outputs, b.epsilon())
	return outputs[0]
}

// epsilon is what the norms add to the variance.
func (b *builder) epsilon() onnx.Attribute {
	return onnx.Attribute{Name: "epsilon", Value: b.shape.Epsilon()}
}

func roundEven(v float32) float32 { return float32(math.RoundToEven(float64(v))) }
