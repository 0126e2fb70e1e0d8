package kernel

// depth is the number of steps over the inner dimension that a sum stays in
// registers: of a panel of 32 columns, 384 steps are 48 KiB, a first-level
// cache. It is part of what fixes the bits: a longer sum is the sum of its
// blocks of 384 in order.
const depth = 384

// rowsTogether is the number of rows that go through all panels of a block of
// depth before the next rows: a second-level cache holds 144 · 384 values.
const rowsTogether = 144

// tiled is a family of kernels around one microkernel.
type tiled struct {
	rows    int // of the largest tile
	columns int // of a panel: two vectors
	// gemm computes tiles · rows rows of dst = x·panel (+ dst) (+ bias).
	gemm func(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)
	// transpose writes scale · the rows of half a panel as columns of it.
	transpose func(dst, src *float32, ld, fours int, scale float32)
	softmax   func(x *float32, ld, rows, n int)
}

// product computes dst = x·panels + bias: dst is [m, out], x is [m, in] and
// panels is as in Weights. in and m are positive.
func (f *tiled) product(dst []float32, ldd int, x []float32, ldx, m int, panels []float32, out, in int, bias []float32) {
	blocks := (m + rowsTogether - 1) / rowsTogether
	for block := range blocks {
		r0, r1 := share(m, blocks, block), share(m, blocks, block+1)
		tiles := (r1 - r0 + f.rows - 1) / f.rows
		rows, larger := (r1-r0)/tiles, (r1-r0)%tiles
		for k0 := 0; k0 < in; k0 += depth {
			k := min(depth, in-k0)
			for c := 0; c < out; c += f.columns {
				columns := min(f.columns, out-c)
				panel := &panels[c*in+k0*f.columns]
				var b *float32
				if bias != nil && k0+k == in {
					b = &bias[c]
				}
				next := panel
				if c+f.columns < out {
					next = &panels[(c+f.columns)*in+k0*f.columns]
				}
				// Tiles of nearly equal heights: first those with a row more.
				r := r0
				if larger > 0 {
					f.gemm(rows+1, larger, k, &x[r*ldx+k0], ldx, panel, &dst[r*ldd+c], ldd, columns, k0 > 0, b, next)
					r += larger * (rows + 1)
				}
				f.gemm(rows, tiles-larger, k, &x[r*ldx+k0], ldx, panel, &dst[r*ldd+c], ldd, columns, k0 > 0, b, next)
			}
		}
	}
}

// share returns where the i-th of parts nearly equal parts of n begins.
func share(n, parts, i int) int { return n * i / parts }

// linear is Linear.
func (f *tiled) linear(dst []float32, ldd int, x []float32, ldx, m int, w *Weights[float32], bias []float32) {
	if w.in == 0 {
		linear(dst, ldd, x, ldx, m, w, bias)
		return
	}
	f.product(dst, ldd, x, ldx, m, w.panels, w.out, w.in, bias)
}

// queriesTogether is the number of queries whose scores are held at once.
const queriesTogether = 96

// attention is Attention: two products by the microkernel, with the keys and
// the values of the head packed into panels. Excluded keys are left out of the
// panels, so that a padded sequence has the bits of the sequence alone.
func (f *tiled) attention(dst []float32, ldd int, q []float32, ldq int, k []float32, ldk int, v []float32, ldv int,
	t, s, e int, scale float32, mask []uint8, pattern []float32, scratch *Scratch[float32]) {
	if t == 0 || e == 0 {
		attention(dst, ldd, q, ldq, k, ldk, v, ldv, t, s, e, scale, mask, pattern, scratch)
		return
	}
	visible := s
	for _, shown := range mask {
		if shown == 0 {
			visible--
		}
	}
	if visible == 0 {
		for i := range t {
			clear(dst[i*ldd : i*ldd+e])
		}
		clear(pattern)
		return
	}
	keys := f.packKeys(k, ldk, e, scale, mask, visible, scratch)
	values := f.packValues(v, ldv, e, mask, visible, scratch)

	wide := roundUp(visible, f.columns)
	scratch.scores = grow(scratch.scores, min(t, queriesTogether)*wide)
	scores := scratch.scores
	for i := 0; i < t; i += queriesTogether {
		rows := min(queriesTogether, t-i)
		f.product(scores, wide, q[i*ldq:], ldq, rows, keys, wide, e, nil)
		f.softmax(&scores[0], wide, rows, visible)
		if pattern != nil {
			spread(pattern[i*s:], s, scores, wide, rows, mask)
		}
		f.product(dst[i*ldd:], ldd, scores, wide, rows, values, e, visible, nil)
	}
}

// packKeys returns the panels of scale·kᵀ, [e, visible]; what is past visible
// is arbitrary.
func (f *tiled) packKeys(k []float32, ldk, e int, scale float32, mask []uint8, visible int, scratch *Scratch[float32]) []float32 {
	half := f.columns / 2
	size := roundUp(visible, f.columns) * e
	scratch.keys = grow(scratch.keys, size+half*e)
	panels, staged := scratch.keys[:size], scratch.keys[size:]
	j := 0 // of the next row of k
	for c := 0; c < visible; c += half {
		n := min(half, visible-c)
		rows, ld := k[min(j*ldk, len(k)):], ldk
		if n < half || !allShown(mask, j, n) || e%4 != 0 {
			// Rows that do not lie at one stride, or not all there, are
			// brought together first.
			for r := range n {
				for mask != nil && mask[j] == 0 {
					j++
				}
				copy(staged[r*e:(r+1)*e], k[j*ldk:j*ldk+e])
				j++
			}
			rows, ld = staged, e
		} else {
			j += n
		}
		panel := panels[c/f.columns*f.columns*e+c%f.columns:]
		if e%4 == 0 {
			f.transpose(&panel[0], &rows[0], ld, e/4, scale)
			continue
		}
		for r := range n {
			for i := range e {
				panel[i*f.columns+r] = scale * rows[r*ld+i]
			}
		}
	}
	return panels
}

// allShown tells whether the n keys from j on are all visible.
func allShown(mask []uint8, j, n int) bool {
	if mask == nil {
		return true
	}
	for _, shown := range mask[j : j+n] {
		if shown == 0 {
			return false
		}
	}
	return true
}

// packValues returns the panels of v, [visible, e], padded with zeros past e.
func (f *tiled) packValues(v []float32, ldv, e int, mask []uint8, visible int, scratch *Scratch[float32]) []float32 {
	scratch.values = grow(scratch.values, roundUp(e, f.columns)*visible)
	panels := scratch.values
	i := 0
	for j := 0; i < visible; j++ {
		if mask != nil && mask[j] == 0 {
			continue
		}
		row := v[j*ldv : j*ldv+e]
		for c := 0; c < e; c += f.columns {
			to := panels[c*visible+i*f.columns:][:f.columns]
			clear(to[copy(to, row[c:]):])
		}
		i++
	}
	return panels
}

// spread copies the visible weights of rows queries into pattern, [rows, s].
func spread(pattern []float32, s int, weights []float32, ld, rows int, mask []uint8) {
	for r := range rows {
		to, from := pattern[r*s:(r+1)*s], weights[r*ld:]
		if mask == nil {
			copy(to, from)
			continue
		}
		i := 0
		for j, shown := range mask {
			to[j] = 0
			if shown != 0 {
				to[j] = from[i]
				i++
			}
		}
	}
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }
