package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPanels holds every form of product with packed panels to the definition.
func TestPanels(t *testing.T) {
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(31, 32))
		var p Panels[float32]
		for range 600 {
			out := columnSizes[r.IntN(len(columnSizes))]
			m := rowSizes[r.IntN(len(rowSizes))]
			scale := float32(1)
			if r.IntN(2) == 0 {
				scale = 0.375
			}
			transpose := r.IntN(2) == 0
			width := out // of a row that is packed
			if transpose {
				width = 1 + r.IntN(40)
				if r.IntN(2) == 0 {
					width = 4 * (1 + r.IntN(20))
				}
			}
			var parts []Rows[float32]
			var rows [][]float32
			for range r.IntN(4) {
				n := r.IntN(50)
				part := Rows[float32]{Stride: width + r.IntN(5), N: n}
				if r.IntN(2) == 0 {
					part.Mask = make([]uint8, n)
					for i := range part.Mask {
						part.Mask[i] = uint8(min(r.IntN(3), 1) * 7)
					}
				}
				part.Data = strided(randoms(r, n*width), n, width, part.Stride)
				for i := range n {
					row := part.Data[i*part.Stride:][:width]
					if part.Mask != nil && part.Mask[i] == 0 {
						for j := range row {
							row[j] = float32(math.NaN())
						}
						continue
					}
					rows = append(rows, row)
				}
				parts = append(parts, part)
			}
			at := func(i, c int) float64 { return float64(scale * rows[i][c]) }
			in := len(rows)
			if transpose {
				in, out = width, len(rows)
				at = func(i, c int) float64 { return float64(scale * rows[c][i]) }
				if got := p.Transpose(in, scale, parts...); got != out {
					t.Fatalf("Transpose returns %d, want %d", got, out)
				}
			} else if got := p.Stack(out, scale, parts...); got != in {
				t.Fatalf("Stack returns %d, want %d", got, in)
			}
			// The rest of the matrix must not count.
			in, out = r.IntN(in+1), r.IntN(out+1)
			for _, transposed := range []bool{false, true} {
				add := r.IntN(2) == 0
				a := randoms(r, m*in)
				lda, ldd := in+r.IntN(4), out+r.IntN(4)
				dst := newGuarded(m*ldd, r.IntN(16))
				before := randoms(r, m*out)
				for i := range m {
					copy(dst.values[i*ldd:], before[i*out:(i+1)*out])
				}
				if transposed {
					lda = m + r.IntN(4)
					flipped := make([]float32, in*m)
					for i := range m {
						for j := range in {
							flipped[j*m+i] = a[i*in+j]
						}
					}
					p.MultiplyTransposed(dst.values, ldd, strided(flipped, in, m, lda), lda, m, in, out, add)
				} else {
					p.Multiply(dst.values, ldd, strided(a, m, in, lda), lda, m, in, out, add)
				}
				dst.check(t, func(i int) bool { return i%ldd < out })
				for i := range m {
					for c := range out {
						want, magnitude := 0.0, 0.0
						if add {
							want = float64(before[i*out+c])
							magnitude = math.Abs(want)
						}
						for j := range in {
							v := float64(a[i*in+j]) * at(j, c)
							want += v
							magnitude += math.Abs(v)
						}
						if got, bound := float64(dst.values[i*ldd+c]), float64(in+1)*epsilon*magnitude; !(math.Abs(got-want) <= bound) {
							t.Fatalf("m=%d in=%d out=%d transpose=%v transposed=%v add=%v: [%d, %d] is %v, want %v ± %v",
								m, in, out, transpose, transposed, add, i, c, got, want, bound)
						}
					}
				}
			}
		}
	})
}

// TestBlank: rows that are not finite are as if they were 0, and no others.
func TestBlank(t *testing.T) {
	special := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	eachFamily(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(33, 34))
		var p, zeros Panels[float32]
		for range 50 {
			in, out, m := 1+r.IntN(20), 1+r.IntN(80), 1+r.IntN(5)
			b, a := randoms(r, in*out), randoms(r, m*in)
			first := r.IntN(in + 1)
			cleared, want := slices.Clone(b), []int{}
			for i := range in {
				if r.IntN(3) == 0 {
					b[i*out+r.IntN(out)] = special[r.IntN(len(special))]
					if i < first {
						want = append(want, i)
						clear(cleared[i*out : (i+1)*out])
					}
				}
			}
			p.Stack(out, 1, Rows[float32]{Data: b, Stride: out, N: in})
			zeros.Stack(out, 1, Rows[float32]{Data: cleared, Stride: out, N: in})
			if got := p.Blank([]int{}, first); !slices.Equal(got, want) {
				t.Fatalf("rows %v of [%d, %d] are blank, want %v", got, in, out, want)
			}
			got, expected := make([]float32, m*out), make([]float32, m*out)
			p.Multiply(got, out, a, in, m, first, out, false)
			zeros.Multiply(expected, out, a, in, m, first, out, false)
			if !sameBits(got, expected) {
				t.Fatalf("the product with [%d, %d] is %v, want %v", first, out, got, expected)
			}
		}
	})
}
