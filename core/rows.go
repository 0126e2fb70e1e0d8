package core

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/xai-go/xai/engine"
)

// row is one sequence of n tokens as the engine reads it: ids, or embeddings
// [n,D] in their place. Other slices are nil where the defaults hold (types 0,
// the model's own positions, every token visible, every token read).
type row struct {
	n         int
	ids       []int32
	embeds    []float32
	types     []int32
	positions []int32
	mask      []uint8
	streams
}

// streams is what a row has beside its tokens for a model of two streams.
type streams struct {
	targets  []int       // the positions that the query stream predicts
	hidden   []uint8     // [n,n]: 1 where a query (row) cannot see a key
	memory   int         // rows of earlier segments
	memories [][]float32 // for each layer, [memory,D]; nil where there are none
}

// given reports whether there is anything in it.
func (s streams) given() bool { return s.targets != nil || s.hidden != nil || s.memories != nil }

// rowKey is a digest of a row, or of what is asked about one: those of one key
// have the same answer.
type rowKey [sha256.Size]byte

// key returns the digest of all that the row's logits depend on, but for what
// is for two streams. It uses and returns scratch.
func (r row) key(scratch []byte) (rowKey, []byte) {
	b := r.append(scratch[:0])
	return sha256.Sum256(b), b
}

// append appends what key digests.
func (r row) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(r.n))
	part := func(length int) { b = binary.LittleEndian.AppendUint32(b, uint32(length)) }
	for _, values := range [][]int32{r.ids, r.types, r.positions} {
		part(len(values))
		for _, v := range values {
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
	}
	part(len(r.mask))
	b = append(b, r.mask...)
	part(len(r.embeds))
	for _, v := range r.embeds {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
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

// hiding returns the row with the tokens that drop marks in their place, but
// hidden from all others.
func (r row) hiding(drop []bool) row {
	if !slices.Contains(drop, true) {
		return r
	}
	mask := make([]uint8, r.n)
	for i, d := range drop {
		if !d {
			mask[i] = at(r.mask, i, 1)
		}
	}
	r.mask = mask
	return r
}

// batch packs rows one after another, ragged. Rows of one batch have positions
// all of them or none, and so with what is for two streams.
func batch(rows []row) engine.Input {
	var in engine.Input
	types, mask, embeds := false, false, 0
	for _, r := range rows {
		types = types || r.types != nil
		mask = mask || r.mask != nil
		embeds += len(r.embeds)
	}
	in.Embeds = slices.Grow(in.Embeds, embeds)
	for _, r := range rows {
		in.PositionIDs = append(in.PositionIDs, r.positions...)
		if r.targets != nil {
			in.Targets = append(in.Targets, r.targets)
		}
		if r.hidden != nil {
			in.PermMask = append(in.PermMask, r.hidden)
		}
		if r.memories != nil {
			in.MemoryLengths = append(in.MemoryLengths, r.memory)
			if in.Memories == nil {
				in.Memories = make([][]float32, len(r.memories))
			}
			for l, values := range r.memories {
				in.Memories[l] = append(in.Memories[l], values...)
			}
		}
		in.IDs = append(in.IDs, r.ids...)
		in.Embeds = append(in.Embeds, r.embeds...)
		in.Lengths = append(in.Lengths, r.n)
		for i := range r.n {
			if types {
				in.TypeIDs = append(in.TypeIDs, at(r.types, i, 0))
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
