package core

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/xai-go/xai/engine"
)

// row is one sequence of n tokens as the engine reads it: ids, or embeddings
// [n,D] in their place. Other slices are nil where the defaults hold (types 0,
// positions 0…n−1, every token visible).
type row struct {
	n         int
	ids       []int32
	embeds    []float32
	types     []int32
	positions []int32
	mask      []uint8
}

// rowKey is a digest of a row: rows of one key have the same logits.
type rowKey [sha256.Size]byte

// key returns the row's digest. It uses and returns scratch.
func (r row) key(scratch []byte) (rowKey, []byte) {
	b := binary.LittleEndian.AppendUint32(scratch[:0], uint32(r.n))
	for _, part := range [][]int32{r.ids, r.types, r.positions} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(part)))
		for _, v := range part {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
	}
	b = append(b, r.mask...)
	for _, v := range r.embeds {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return sha256.Sum256(b), b
}

// without returns the row without the tokens that drop marks.
func (r row) without(drop []bool) row {
	var out row
	width := len(r.embeds) / max(r.n, 1)
	for i, d := range drop {
		if d {
			continue
		}
		out.n++
		if r.ids != nil {
			out.ids = append(out.ids, r.ids[i])
		}
		if r.types != nil {
			out.types = append(out.types, r.types[i])
		}
		if r.positions != nil {
			out.positions = append(out.positions, r.positions[i])
		}
		if r.mask != nil {
			out.mask = append(out.mask, r.mask[i])
		}
		out.embeds = append(out.embeds, r.embeds[i*width:(i+1)*width]...)
	}
	return out
}

// replaced returns the row with id in place of the tokens that drop marks; of a
// row of embeddings, with zeros in their place.
func (r row) replaced(drop []bool, id int32) row {
	r.ids = append([]int32(nil), r.ids...)
	r.embeds = append([]float32(nil), r.embeds...)
	width := len(r.embeds) / max(r.n, 1)
	for i, d := range drop {
		if d && len(r.ids) > 0 {
			r.ids[i] = id
		}
		if d {
			clear(r.embeds[i*width : (i+1)*width])
		}
	}
	return r
}

// batch packs rows one after another, ragged.
func batch(rows []row) engine.Input {
	var in engine.Input
	types, positions, mask := false, false, false
	for _, r := range rows {
		types = types || r.types != nil
		positions = positions || r.positions != nil
		mask = mask || r.mask != nil
	}
	for _, r := range rows {
		in.IDs = append(in.IDs, r.ids...)
		in.Embeds = append(in.Embeds, r.embeds...)
		in.Lengths = append(in.Lengths, r.n)
		for i := range r.n {
			if types {
				in.TypeIDs = append(in.TypeIDs, at(r.types, i, 0))
			}
			if positions {
				in.PositionIDs = append(in.PositionIDs, at(r.positions, i, int32(i)))
			}
			if mask {
				in.Mask = append(in.Mask, at(r.mask, i, 1))
			}
		}
	}
	return in
}

// at returns s[i], or the default where s is nil.
func at[T any](s []T, i int, def T) T {
	if s == nil {
		return def
	}
	return s[i]
}
