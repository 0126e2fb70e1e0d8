package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// irVersion is the version of the format itself.
const irVersion = 8

// Encode returns the model as a protobuf message. It fails where a node reads a
// name that does not exist, or makes one that does.
func Encode(m Model) ([]byte, error) {
	if err := m.Graph.check(); err != nil {
		return nil, err
	}
	var graph message
	for _, n := range m.Graph.Nodes {
		node, err := n.encode()
		if err != nil {
			return nil, err
		}
		graph.bytes(1, node)
	}
	graph.string(2, m.Graph.Name)
	for _, t := range m.Graph.Tensors {
		graph.bytes(5, t.encode())
	}
	for _, v := range m.Graph.Inputs {
		graph.bytes(11, v.encode())
	}
	for _, v := range m.Graph.Outputs {
		graph.bytes(12, v.encode())
	}
	var model message
	model.integer(1, irVersion)
	model.bytes(7, graph)
	for _, domain := range slices.Sorted(maps.Keys(m.Operator)) {
		var set message
		set.string(1, domain)
		set.integer(2, int64(m.Operator[domain]))
		model.bytes(8, set)
	}
	return model, nil
}

func (n Node) encode() (message, error) {
	var m message
	for _, name := range n.Inputs {
		m.string(1, name)
	}
	for _, name := range n.Outputs {
		m.string(2, name)
	}
	if len(n.Outputs) > 0 {
		m.string(3, n.Outputs[0]) // the node's own name, for messages
	}
	m.string(4, n.Operator)
	for _, a := range n.Attributes {
		var attribute message
		attribute.string(1, a.Name)
		switch v := a.Value.(type) {
		case float32:
			attribute.float(2, v)
			attribute.integer(20, 1)
		case int64:
			attribute.integer(3, v)
			attribute.integer(20, 2)
		default:
			return nil, fmt.Errorf("onnx: %s of %s is a %T, neither int64 nor float32", a.Name, n.Operator, a.Value)
		}
		m.bytes(5, attribute)
	}
	if n.Domain != "" {
		m.string(7, n.Domain)
	}
	return m, nil
}

func (t Tensor) encode() message {
	var m message
	for _, dim := range t.Shape {
		m.integer(1, int64(dim))
	}
	m.integer(2, int64(t.Type))
	m.string(8, t.Name)
	if t.file == "" {
		m.bytes(9, t.raw)
		return m
	}
	for _, entry := range [][2]string{
		{"location", t.file},
		{"offset", strconv.FormatInt(t.offset, 10)},
		{"length", strconv.FormatInt(t.length, 10)},
	} {
		var pair message
		pair.string(1, entry[0])
		pair.string(2, entry[1])
		m.bytes(13, pair)
	}
	m.integer(14, 1) // external
	return m
}

func (v Value) encode() message {
	var shape message
	for _, s := range v.Shape {
		var dim message
		if size, err := strconv.ParseInt(s, 10, 64); err == nil {
			dim.integer(1, size)
		} else {
			dim.string(2, s)
		}
		shape.bytes(1, dim)
	}
	var tensor, kind, m message
	tensor.integer(1, int64(v.Type))
	tensor.bytes(2, shape)
	kind.bytes(1, tensor)
	m.string(1, v.Name)
	m.bytes(2, kind)
	return m
}
