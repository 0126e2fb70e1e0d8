package onnx

import (
	"encoding/binary"
	"math"
)

// message is a protobuf message under construction. A field is its number and
// wire type as a varint, and then its value.
//
// Source: protobuf.dev/programming-guides/encoding.
type message []byte

// The wire types that ONNX uses.
const (
	varint  = 0
	chunk   = 2 // a length and as many bytes
	fixed32 = 5
)

func (m *message) tag(field, wire int) {
	*m = binary.AppendUvarint(*m, uint64(field)<<3|uint64(wire))
}

func (m *message) integer(field int, v int64) {
	m.tag(field, varint)
	*m = binary.AppendUvarint(*m, uint64(v))
}

func (m *message) float(field int, v float32) {
	m.tag(field, fixed32)
	*m = binary.LittleEndian.AppendUint32(*m, math.Float32bits(v))
}

func (m *message) bytes(field int, v []byte) {
	m.tag(field, chunk)
	*m = binary.AppendUvarint(*m, uint64(len(v)))
	*m = append(*m, v...)
}

func (m *message) string(field int, v string) { m.bytes(field, []byte(v)) }
