package onnx

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fields is a decoded message: its values by field number, in order. A varint
// is a uint64, a fixed32 a float32, anything else the bytes of a chunk.
type fields map[int][]any

// decode reads a message and fails the test where it is none.
func decode(t *testing.T, data any) fields {
	t.Helper()
	out := fields{}
	for b := data.([]byte); len(b) > 0; {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatalf("no tag in % x", b)
		}
		b = b[n:]
		field := int(key >> 3)
		switch key & 7 {
		case varint:
			v, n := binary.Uvarint(b)
			if n <= 0 {
				t.Fatalf("field %d: no varint in % x", field, b)
			}
			out[field], b = append(out[field], v), b[n:]
		case chunk:
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				t.Fatalf("field %d: %d bytes are announced, %d are left", field, length, len(b)-n)
			}
			end := n + int(length)
			out[field], b = append(out[field], b[n:end:end]), b[end:]
		case fixed32:
			out[field], b = append(out[field], math.Float32frombits(binary.LittleEndian.Uint32(b))), b[4:]
		default:
			t.Fatalf("field %d has wire type %d", field, key&7)
		}
	}
	return out
}

// text returns the chunks of a field as strings.
func (f fields) text(field int) []string {
	var out []string
	for _, v := range f[field] {
		out = append(out, string(v.([]byte)))
	}
	return out
}

// TestEncode reads a model back, field by field, by the numbers of onnx.proto.
func TestEncode(t *testing.T) {
	var file bytes.Buffer
	weights := NewWeights(&file, "weights.bin")
	var stored [2]Tensor
	for i, tensor := range []Tensor{
		Of("w", []float32{1, -2, 0.5, 0, 3, 4}, 2, 3),
		Of("q", []int8{-127, 127}, 2),
	} {
		var err error
		if stored[i], err = weights.Put(tensor); err != nil {
			t.Fatal(err)
		}
	}
	data, err := Encode(Model{
		Operator: map[string]int{"": 17, "com.example": 1},
		Graph: Graph{
			Name:    "g",
			Inputs:  []Value{{"x", Int32, []string{"batch", "2"}}},
			Outputs: []Value{{"y", Float32, []string{"batch", "3"}}},
			Tensors: []Tensor{stored[0], stored[1], Of("one", []int64{-1})},
			Nodes: []Node{{
				Operator: "Thing", Domain: "com.example", Inputs: []string{"x", "", "w", "q"}, Outputs: []string{"y"},
				Attributes: []Attribute{{"heads", int64(12)}, {"epsilon", float32(1e-5)}},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	model := decode(t, data)
	equal(t, "IR version", model[1], []any{uint64(8)})
	var sets [][2]any
	for _, set := range model[8] {
		f := decode(t, set)
		sets = append(sets, [2]any{f.text(1)[0], f[2][0]})
	}
	equal(t, "operator sets", sets, [][2]any{{"", uint64(17)}, {"com.example", uint64(1)}})

	graph := decode(t, model[7][0])
	equal(t, "graph", graph.text(2), []string{"g"})

	node := decode(t, graph[1][0])
	equal(t, "inputs of the node", node.text(1), []string{"x", "", "w", "q"})
	equal(t, "outputs of the node", node.text(2), []string{"y"})
	equal(t, "operator", append(node.text(4), node.text(7)...), []string{"Thing", "com.example"})
	heads, epsilon := decode(t, node[5][0]), decode(t, node[5][1])
	equal(t, "an integer", []any{heads.text(1)[0], heads[3][0], heads[20][0]}, []any{"heads", uint64(12), uint64(2)})
	equal(t, "a float", []any{epsilon.text(1)[0], epsilon[2][0], epsilon[20][0]}, []any{"epsilon", float32(1e-5), uint64(1)})

	for i, want := range []struct {
		name   string
		kind   uint64
		shape  []any
		values any
		offset string
		length string
	}{
		{"w", 1, []any{uint64(2), uint64(3)}, []float32{1, -2, 0.5, 0, 3, 4}, "0", "24"},
		{"q", 3, []any{uint64(2)}, []int8{-127, 127}, "4096", "2"},
	} {
		tensor := decode(t, graph[5][i])
		equal(t, "tensor", []any{tensor.text(8)[0], tensor[2][0], tensor[14][0]}, []any{want.name, want.kind, uint64(1)})
		equal(t, "shape", tensor[1], want.shape)
		place := map[string]string{}
		for _, entry := range tensor[13] {
			pair := decode(t, entry)
			place[pair.text(1)[0]] = pair.text(2)[0]
		}
		equal(t, "place", place, map[string]string{"location": "weights.bin", "offset": want.offset, "length": want.length})
		var raw bytes.Buffer
		if err := binary.Write(&raw, binary.LittleEndian, want.values); err != nil {
			t.Fatal(err)
		}
		equal(t, "values", file.Bytes()[stored[i].offset:][:stored[i].length], raw.Bytes())
	}
	one := decode(t, graph[5][2])
	equal(t, "a scalar", []any{one.text(8)[0], one[2][0], len(one[1])}, []any{"one", uint64(7), 0})
	equal(t, "its value", one[9][0], any(bytes.Repeat([]byte{0xff}, 8)))

	for field, want := range map[int][]any{11: {"x", uint64(6), "batch", uint64(2)}, 12: {"y", uint64(1), "batch", uint64(3)}} {
		value := decode(t, graph[field][0])
		tensor := decode(t, decode(t, value[2][0])[1][0])
		shape := decode(t, tensor[2][0])
		first, second := decode(t, shape[1][0]), decode(t, shape[1][1])
		equal(t, "value", []any{value.text(1)[0], tensor[1][0], first.text(2)[0], second[1][0]}, want)
	}
}

// TestEncodeRefuses holds that a graph that hangs together nowhere is named
// before a runtime sees it.
func TestEncodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		graph Graph
		want  string
	}{
		"unknown input": {
			Graph{Nodes: []Node{{Operator: "Add", Inputs: []string{"a"}, Outputs: []string{"b"}}}},
			`onnx: Add reads "a", which nothing before it makes`,
		},
		"made twice": {
			Graph{Inputs: []Value{{Name: "a"}}, Nodes: []Node{{Operator: "Add", Inputs: []string{"a"}, Outputs: []string{"a"}}}},
			`onnx: Add makes "a", which exists`,
		},
		"tensor twice": {
			Graph{Inputs: []Value{{Name: "a"}}, Tensors: []Tensor{Of("a", []int64{1}, 1)}},
			`onnx: a tensor makes "a", which exists`,
		},
		"no output": {
			Graph{Outputs: []Value{{Name: "a"}}},
			`onnx: the output "a" is made by nothing`,
		},
		"attribute": {
			Graph{Nodes: []Node{{Operator: "Add", Attributes: []Attribute{{"n", 3}}}}},
			"onnx: n of Add is a int, neither int64 nor float32",
		},
	} {
		if _, err := Encode(Model{Graph: c.graph}); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
