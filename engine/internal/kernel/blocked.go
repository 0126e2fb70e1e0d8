//go:build amd64 && !purego

package kernel

// depth is the number of steps over the inner dimension that a sum stays in
// registers: 384 steps of a panel of 32 columns are 48 KiB, a first-level
// cache. It is part of what fixes the bits: a longer sum is the sum of its
// blocks of 384 in order.
const depth = 384

// rowsTogether is the number of rows that go through all panels of a block of
// depth before the next rows do: 144 · 384 values stay in a second-level cache.
const rowsTogether = 144

// product computes dst = x·panels + bias: dst is [m, out], x is [m, in],
// panels is as in Weights and bias may be nil; in is not 0.
func (a *assembly) product(dst []float32, ldd int, x []float32, ldx, m int, panels []float32, out, in int, bias []float32) {
	width := a.columns()
	blocks := (m + rowsTogether - 1) / rowsTogether
	for block := range blocks {
		first, last := m*block/blocks, m*(block+1)/blocks
		// Tiles of nearly equal heights: the first ones have a row more.
		tiles := (last - first + a.rows - 1) / a.rows
		rows, higher := (last-first)/tiles, (last-first)%tiles
		for k0 := 0; k0 < in; k0 += depth {
			k := min(depth, in-k0)
			for c := 0; c < out; c += width {
				panel := &panels[c*in+k0*width]
				next := panel
				if c+width < out {
					next = &panels[(c+width)*in+k0*width]
				}
				var b *float32
				if bias != nil && k0+k == in {
					b = &bias[c]
				}
				columns, add, r := min(width, out-c), k0 > 0, first
				if higher > 0 {
					a.gemm(rows+1, higher, k, &x[r*ldx+k0], ldx, panel, &dst[r*ldd+c], ldd, columns, add, b, next)
					r += higher * (rows + 1)
				}
				a.gemm(rows, tiles-higher, k, &x[r*ldx+k0], ldx, panel, &dst[r*ldd+c], ldd, columns, add, b, next)
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
	a.product(dst, ldd, x, ldx, m, w.panels, w.out, w.in, bias)
}

// queriesTogether is the number of queries whose scores are held at once.
const queriesTogether = 96

// attention is Attention: two products by the microkernel, with the keys and
// the values of the head packed into panels. Excluded keys are left out of the
// panels, so that a padded sequence has the bits of the sequence alone.
func (a *assembly) attention(dst []float32, ldd int, q []float32, ldq int, k []float32, ldk int, v []float32, ldv int,
	t, s, e int, scale float32, mask []uint8, pattern []float32, scratch *Scratch[float32]) {
	visible := s
	for _, shown := range mask {
		if shown == 0 {
			visible--
		}
	}
	if visible == 0 || e == 0 {
		attention(dst, ldd, q, ldq, k, ldk, v, ldv, t, s, e, scale, mask, pattern, scratch)
		return
	}
	keys := a.packKeys(k, ldk, e, scale, mask, visible, scratch)
	values := a.packValues(v, ldv, s, e, mask, visible, scratch)
	ld := roundUp(visible, a.columns())
	scratch.scores = grow(scratch.scores, min(t, queriesTogether)*ld)
	scores := scratch.scores
	for i := 0; i < t; i += queriesTogether {
		rows := min(queriesTogether, t-i)
		a.product(scores, ld, q[i*ldq:], ldq, rows, keys, visible, e, nil)
		a.softmax(&scores[0], ld, rows, visible)
		if pattern != nil {
			reveal(pattern[i*s:], s, scores, ld, rows, mask)
		}
		a.product(dst[i*ldd:], ldd, scores, ld, rows, values, e, visible, nil)
	}
}

// packKeys returns the panels of scale·kᵀ, [e, visible]; what lies in them past
// visible is arbitrary.
func (a *assembly) packKeys(k []float32, ldk, e int, scale float32, mask []uint8, visible int, scratch *Scratch[float32]) []float32 {
	width := a.columns()
	size := roundUp(visible, width) * e
	scratch.keys = grow(scratch.keys, size+a.lanes*e)
	panels, staged := scratch.keys[:size], scratch.keys[size:]
	j := 0 // the next key
	for c := 0; c < visible; c += a.lanes {
		n := min(a.lanes, visible-c)
		rows, ld := staged, e
		if n == a.lanes && e%4 == 0 && allShown(mask, j, n) {
			rows, ld = k[j*ldk:], ldk
			j += n
		} else { // bring together keys that do not fill a vector, or do not lie at one stride
			for r := range n {
				for mask != nil && mask[j] == 0 {
					j++
				}
				copy(staged[r*e:(r+1)*e], k[j*ldk:])
				j++
			}
		}
		panel := panels[c/width*width*e+c%width:]
		if e%4 == 0 {
			a.transpose(&panel[0], &rows[0], ld, e/4, scale)
			continue
		}
		for r := range n {
			for i := range e {
				panel[i*width+r] = scale * rows[r*ld+i]
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
func (a *assembly) packValues(v []float32, ldv, s, e int, mask []uint8, visible int, scratch *Scratch[float32]) []float32 {
	width := a.columns()
	scratch.values = grow(scratch.values, roundUp(e, width)*visible)
	panels := scratch.values
	if visible == s && e%width == 0 {
		for c := 0; c < e; c += width {
			a.gather(&panels[c*visible], &v[c], ldv, visible)
		}
		return panels
	}
	i := 0
	for j := range s {
		if mask != nil && mask[j] == 0 {
			continue
		}
		row := v[j*ldv : j*ldv+e]
		for c := 0; c < e; c += width {
			to := panels[c*visible+i*width:][:width]
			clear(to[copy(to, row[c:]):])
		}
		i++
	}
	return panels
}

// reveal copies the weights of the visible keys into pattern, [rows, s], and
// sets the others to 0.
func reveal(pattern []float32, s int, weights []float32, ld, rows int, mask []uint8) {
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
