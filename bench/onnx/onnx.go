// Package onnx writes models in the ONNX format: as much of it as a graph of
// named operators over weights needs. It exists so that a peer can be given its
// best graph, operators of its own included, without any tool of the peer's
// world.
//
// A model is a small protobuf message; its weights lie beside it in a file of
// raw little-endian values, at multiples of a page so that they can be mapped.
//
// Source: onnx/onnx, onnx/onnx.proto (IR version 8) and docs/ExternalData.md.
package onnx

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Type is the element type of a tensor, numbered as in TensorProto.DataType.
type Type int32

// The element types.
const (
	Float32 Type = 1
	Int8    Type = 3
	Int32   Type = 6
	Int64   Type = 7
)

// Element is a Go type that tensors can hold.
type Element interface{ float32 | int8 | int32 | int64 }

// Tensor is a constant of a graph, row-major: its bytes, or where they lie in a
// file of weights.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int // empty for a scalar

	raw    []byte // little-endian, if it stands in the graph itself
	file   string // otherwise: the file beside the model
	offset int64
	length int64
}

// Of returns the tensor of the given values. It panics if they are not as many
// as the shape says.
func Of[T Element](name string, values []T, shape ...int) Tensor {
	n := 1
	for _, dim := range shape {
		n *= dim
	}
	if n != len(values) {
		panic(fmt.Sprintf("onnx: %s has %d values for shape %v", name, len(values), shape))
	}
	t := Tensor{Name: name, Shape: shape}
	switch any(T(0)).(type) {
	case float32:
		t.Type = Float32
	case int8:
		t.Type = Int8
	case int32:
		t.Type = Int32
	case int64:
		t.Type = Int64
	}
	var buffer bytes.Buffer
	buffer.Grow(binary.Size(values))
	binary.Write(&buffer, binary.LittleEndian, values) // a bytes.Buffer takes everything
	t.raw = buffer.Bytes()
	return t
}

// Value is an input or an output of a graph. A dimension is a number, or the
// name of one that differs from run to run.
type Value struct {
	Name  string
	Type  Type
	Shape []string
}

// Attribute is a setting of a node: an int64 or a float32.
type Attribute struct {
	Name  string
	Value any
}

// Node is one application of an operator.
type Node struct {
	Operator   string
	Domain     string   // "" are the operators of ONNX itself
	Inputs     []string // "" where an optional input is left out
	Outputs    []string // "" likewise
	Attributes []Attribute
}

// Graph is a computation: nodes in the order of execution.
type Graph struct {
	Name            string
	Inputs, Outputs []Value
	Tensors         []Tensor
	Nodes           []Node
}

// Model is a graph with the versions of the operator sets that it uses, by
// domain; "" is ONNX itself.
type Model struct {
	Graph    Graph
	Operator map[string]int
}

// check reports a graph that reads what nobody has made, or makes a name twice:
// what a runtime would say of it is harder to trace back.
func (g *Graph) check() error {
	known := map[string]bool{}
	make := func(name, by string) error {
		if known[name] {
			return fmt.Errorf("onnx: %s makes %q, which exists", by, name)
		}
		known[name] = true
		return nil
	}
	for _, v := range g.Inputs {
		if err := make(v.Name, "the graph's input"); err != nil {
			return err
		}
	}
	for _, t := range g.Tensors {
		if err := make(t.Name, "a tensor"); err != nil {
			return err
		}
	}
	for _, n := range g.Nodes {
		for _, name := range n.Inputs {
			if name != "" && !known[name] {
				return fmt.Errorf("onnx: %s reads %q, which nothing before it makes", n.Operator, name)
			}
		}
		for _, name := range n.Outputs {
			if name == "" {
				continue
			}
			if err := make(name, n.Operator); err != nil {
				return err
			}
		}
	}
	for _, v := range g.Outputs {
		if !known[v.Name] {
			return fmt.Errorf("onnx: the output %q is made by nothing", v.Name)
		}
	}
	return nil
}
