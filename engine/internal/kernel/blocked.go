//go:build (amd64 || arm64) && !purego

package kernel

// depth is the number of steps over the inner dimension that a sum stays in
// registers: 384 steps of a panel of 32 columns are 48 KiB, a first-level
// cache. It is part of what fixes the bits: a longer sum is the sum of its
// blocks of 384 in order.
const depth = 384

// rowsTogether is the number of rows that go through all panels of a block of
// depth before the next rows do: 144 · 384 values stay in a second-level cache.
const rowsTogether = 144

// product is the product with packed matrices; m, in and out are not 0.
func (a *assembly) product(dst []float32, ldd int, x []float32, ldx int, transposed bool, m int,
	panels []float32, stride, in, out int, bias []float32, add bool) {
	width := a.columns()
	gemm, row, step := a.gemm, ldx, 1 // from a value of x to the one below, and to the next of its sum
	if transposed {
		gemm, row, step = a.gemmTransposed, 1, ldx
	}
	blocks := (m + rowsTogether - 1) / rowsTogether
	for block := range blocks {
		first, last := m*block/blocks, m*(block+1)/blocks
		// Tiles of nearly equal heights: the first ones have a row more.
		tiles := (last - first + a.rows - 1) / a.rows
		rows, higher := (last-first)/tiles, (last-first)%tiles
		for k0 := 0; k0 < in; k0 += depth {
			k := min(depth, in-k0)
			for c := 0; c < out; c += width {
				panel := &panels[c*stride+k0*width]
				next := panel
				if c+width < out {
					next = &panels[(c+width)*stride+k0*width]
				}
				var b *float32
				if bias != nil && k0+k == in {
					b = &bias[c]
				}
				columns, add, r := min(width, out-c), add || k0 > 0, first
				if higher > 0 {
					gemm(rows+1, higher, k, &x[r*row+k0*step], ldx, panel, &dst[r*ldd+c], ldd, columns, add, b, next)
					r += higher * (rows + 1)
				}
				gemm(rows, tiles-higher, k, &x[r*row+k0*step], ldx, panel, &dst[r*ldd+c], ldd, columns, add, b, next)
			}
		}
	}
}

// linear is Linear.
func (a *assembly) linear(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32) {
	if w.in == 0 {
		for r := range m {
			clear(dst[r*ldd : r*ldd+w.out])
			copy(dst[r*ldd:], bias)
		}
		return
	}
	a.product(dst, ldd, x, ldx, false, m, w.panels, w.in, w.in, w.out, bias, false)
}

// interleave packs a vector of rows by transposition, four columns at a time.
func (a *assembly) interleave(panel []float32, columns int, rows []float32, ld, n, in int, scale float32) {
	fours := in / 4
	if fours > 0 {
		a.transpose(&panel[0], &rows[0], ld, fours, scale)
	}
	if rest := in % 4; rest > 0 {
		interleave(panel[4*fours*columns:], columns, rows[4*fours:], ld, n, rest, scale)
	}
}

// stack packs rows by vectors.
func (a *assembly) stack(panel []float32, columns int, rows []float32, ld, n, width int, scale float32) {
	a.stackRows(&panel[0], &rows[0], ld, n, width, scale)
}
