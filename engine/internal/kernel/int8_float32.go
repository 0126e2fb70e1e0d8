//go:build (amd64 || arm64) && !purego

package kernel

import (
	"math"
	"sync"
)

// exactDepth is the number of products of activations and weights of 8 bits
// whose sum any order of additions in float32 leaves exact: it stays within 2²⁴.
const exactDepth = (1 << 24) / (levels * 127)

// float32s are integers as float32, and their sums.
type float32s struct {
	rows, panel, product []float32
	sums                 []int32
}

var float32Pool = sync.Pool{New: func() any { return new(float32s) }}

// product8Float32 is product8 by products of float32, for families that have no
// products of integers and so the groups of the generic one, of four. Sums are those of integers: they are broken off where
// float32 would begin to round.
func product8Float32(dst []float32, ldd int, rows []uint32, stride, m int, w *Weights[float32], bias []float32) {
	s := float32Pool.Get().(*float32s)
	defer float32Pool.Put(s)
	size, steps := w.panelWords(), w.steps()
	n, deep := w.columns, 4*steps // the last group is filled up with weights of 0
	const together = 144
	s.rows, s.panel = grow(s.rows, min(m, together)*deep), grow(s.panel, deep*n)
	s.product = grow(s.product, min(m, together)*n)
	if len(s.sums) < len(s.product) {
		s.sums = make([]int32, len(s.product))
	}
	for first := 0; first < m; first += together {
		count := min(together, m-first)
		for r := range count {
			row := rows[(first+r)*stride:]
			zero := int32(row[steps+1])
			to := s.rows[r*deep : (r+1)*deep]
			for i, q := range row[:steps] {
				four := to[4*i : 4*i+4]
				four[0], four[1] = float32(int32(q&levels)-zero), float32(int32(q>>8&levels)-zero)
				four[2], four[3] = float32(int32(q>>16&levels)-zero), float32(int32(q>>24)-zero)
			}
		}
		for c := 0; c < w.out; c += n {
			panel := w.words[c/n*size:][:size]
			for i := range steps {
				four, to := panel[i*n:(i+1)*n], s.panel[4*i*n:4*(i+1)*n]
				for j, v := range four {
					to[j], to[n+j] = float32(int8(v)), float32(int8(v>>8))
					to[2*n+j], to[3*n+j] = float32(int8(v>>16)), float32(int8(v>>24))
				}
			}
			columns := min(n, w.out-c)
			clear(s.sums[:count*n])
			for at := 0; at < deep; at += exactDepth {
				depth := min(exactDepth, deep-at)
				w.family.product(s.product, n, s.rows[at:], deep, false, count, s.panel[at*n:], depth, depth, columns, nil, false)
				for r := range count {
					for j, v := range s.product[r*n : r*n+columns] {
						s.sums[r*n+j] += int32(v)
					}
				}
			}
			for r := range count {
				step := math.Float32frombits(rows[(first+r)*stride+steps])
				for j := range columns {
					y := float32(float32(s.sums[r*n+j])*step) * math.Float32frombits(panel[size-n+j])
					if bias != nil {
						y = float32(y) + bias[c+j]
					}
					dst[(first+r)*ldd+c+j] = y
				}
			}
		}
	}
}
