//go:build (amd64 || arm64) && !purego

package kernel

// How a product is taken apart. None of it changes a bit: the sum of a value is
// one chain of multiply-adds over the inner dimension, which may be broken off
// and gone on with anywhere.
const (
	// rowsTogether is the number of rows that go through all panels before the
	// next rows do: 144 rows of a block of depth stay in a second-level cache.
	rowsTogether = 144
	// depth is the number of steps over the inner dimension that all panels
	// take before the next steps: 384 rows of a panel of 32 columns are 48 KiB,
	// a first-level cache.
	depth = 384
	// Few rows, of at most fewValues values in all, wait for the panels: they
	// take them one after the other, as they lie in memory, and share blocks of
	// fewDepth steps, so that memory is read while they are computed.
	fewValues = 192 << 10
	fewDepth  = 64
)

// product is the product with packed matrices; m, in and out are not 0.
func (a *assembly) product(dst []float32, ldd int, x []float32, ldx int, transposed bool, m int,
	panels []float32, stride, in, out int, bias []float32, add bool) {
	if transposed {
		blocked(a, a.gemmTransposed, dst, ldd, x, ldx, 1, ldx, m, panels, stride, in, out, bias, add)
	} else {
		blocked(a, a.gemm, dst, ldd, x, ldx, ldx, 1, m, panels, stride, in, out, bias, add)
	}
}

// blocked is product by a microkernel. row is the distance of a value of x to
// the one of the next row, step that to the next one of its own.
func blocked[E float32 | uint16](a *assembly, gemm microkernel[E], dst []float32, ldd int, x []float32, ldx, row, step, m int,
	panels []E, stride, in, out int, bias []float32, add bool) {
	width := a.columns()
	blocks := (m + rowsTogether - 1) / rowsTogether
	for block := range blocks {
		first, last := m*block/blocks, m*(block+1)/blocks
		// Tiles of nearly equal heights: the first ones have a row more.
		tiles := (last - first + a.rows - 1) / a.rows
		rows, higher := (last-first)/tiles, (last-first)%tiles
		// multiply takes the steps [k, k+steps) for the panel of column c.
		multiply := func(c, k, steps int, next *E) {
			panel := &panels[c*stride+k*width]
			var b *float32
			if bias != nil && k+steps == in {
				b = &bias[c]
			}
			columns, add, r, low := min(width, out-c), add || k > 0, first, tiles-higher
			if higher > 0 {
				var now *E // one of the calls fetches what is next
				if higher >= low {
					now, next = next, nil
				}
				gemm(rows+1, higher, steps, &x[r*row+k*step], ldx, panel, &dst[r*ldd+c], ldd, columns, add, b, now)
				r += higher * (rows + 1)
			}
			gemm(rows, low, steps, &x[r*row+k*step], ldx, panel, &dst[r*ldd+c], ldd, columns, add, b, next)
		}
		switch {
		case tiles == 1: // which reads at the speed of memory whatever is fetched
			for c := 0; c < out; c += width {
				multiply(c, 0, in, nil)
			}
		case blocks == 1 && m*in <= fewValues:
			for c := 0; c < out; c += width {
				for k := 0; k < in; k += fewDepth {
					steps, at := min(fewDepth, in-k), c*stride+(k+fewDepth)*width
					if k+steps == in {
						at = min(c+width, out-1) / width * width * stride
					}
					multiply(c, k, steps, &panels[at])
				}
			}
		default:
			for k := 0; k < in; k += depth {
				for c := 0; c < out; c += width {
					multiply(c, k, min(depth, in-k), &panels[min(c+width, out-1)/width*width*stride+k*width])
				}
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

// linear16 is linear for weights of 16 bits.
func (a *assembly) linear16(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32) {
	gemm := a.gemmF16
	if w.format == BF16 {
		gemm = a.gemmBF16
	}
	if w.in == 0 {
		a.linear(dst, ldd, x, ldx, m, w, bias)
		return
	}
	blocked(a, gemm, dst, ldd, x, ldx, ldx, 1, m, w.halves, w.in, w.in, w.out, bias, false)
}

// product8 is the product of rows of integers. Its sums stay in registers over
// the whole inner dimension, so panels are as deep as that: 96 KiB at most in
// the models at hand, which a second-level cache keeps beside the rows.
func (a *assembly) product8(dst []float32, ldd int, rows []uint32, stride, m int, w *Weights[float32], bias []float32) {
	size, steps := w.panelWords(), w.steps()
	blocks := (m + rowsTogether - 1) / rowsTogether
	for block := range blocks {
		first, last := m*block/blocks, m*(block+1)/blocks
		tiles := (last - first + a.rows - 1) / a.rows
		height, higher := (last-first)/tiles, (last-first)%tiles
		for c := 0; c < w.out; c += w.columns {
			var b *float32
			if bias != nil {
				b = &bias[c]
			}
			var next *uint32 // of the next panel
			if tiles > 1 {
				next = &w.words[min(c+w.columns, w.out-1)/w.columns*size]
			}
			panel, columns, r := &w.words[c/w.columns*size], min(w.columns, w.out-c), first
			if higher > 0 {
				var now *uint32 // one of the calls fetches what is next
				if higher >= tiles-higher {
					now, next = next, nil
				}
				a.integers.gemm(height+1, higher, steps, &rows[r*stride], stride, panel, &dst[r*ldd+c], ldd, columns, b, now)
				r += higher * (height + 1)
			}
			a.integers.gemm(height, tiles-higher, steps, &rows[r*stride], stride, panel, &dst[r*ldd+c], ldd, columns, b, next)
		}
	}
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
