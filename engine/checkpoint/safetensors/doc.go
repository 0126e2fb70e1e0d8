// Package safetensors reads and writes the safetensors container: named
// tensors with a JSON header in front of one buffer of raw little-endian
// values.
//
//	8 bytes   N, the length of the header, little-endian
//	N bytes   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}, padded with spaces
//	the rest  the buffer; offsets count from its first byte
//
// Files come from strangers, so [Open] believes nothing it has not compared
// with the size of the file: tensors must tile the buffer without holes or
// overlaps, names must be unique, and every size must be the product of its
// shape. What breaks these rules is a [*FormatError] with the offset of the
// fault; what obeys them but has no conversion here is an [*UnsupportedError].
//
// Source: https://github.com/huggingface/safetensors, README section "Format"
// and safetensors/src/tensor.rs.
package safetensors
