package kernel

import "slices"

// Shuffled returns w with its values in the order that shuffle brings n things in,
// by swapping them. It depends on the shape and on shuffle alone, not on how the
// values are packed. Weights of 8 bits stay with their output, whose scale they
// share.
func (w *Weights[T]) Shuffled(shuffle func(n int, swap func(i, j int))) *Weights[T] {
	s := *w
	n := w.columns
	place := func(k int) int {
		o, i := k/w.in, k%w.in
		return o/n*n*w.in + i*n + w.format.place(o%n, n)
	}
	switch {
	case w.group != 0:
		s.words = slices.Clone(w.words)
		size := w.panelWords()
		for o := range w.out {
			shuffle8(s.words[o/n*size:], n, w.group, o%n, w.in, shuffle)
		}
	case w.format != 0:
		s.halves = slices.Clone(w.halves)
		shuffle(w.out*w.in, func(i, j int) {
			i, j = place(i), place(j)
			s.halves[i], s.halves[j] = s.halves[j], s.halves[i]
		})
	default:
		s.panels = slices.Clone(w.panels)
		shuffle(w.out*w.in, func(i, j int) {
			i, j = place(i), place(j)
			s.panels[i], s.panels[j] = s.panels[j], s.panels[i]
		})
	}
	return &s
}

// shuffle8 shuffles the weights of column c, of in inputs, of a panel of 8 bits.
// Their sum and their scale stay what they are.
func shuffle8(panel []uint32, columns, group, c, in int, shuffle func(n int, swap func(i, j int))) {
	at := func(i int) (word, shift int) {
		k := i/group*columns*group + c*group + i%group
		return k / 4, k % 4 * 8
	}
	shuffle(in, func(i, j int) {
		wi, si := at(i)
		wj, sj := at(j)
		change := (panel[wi]>>si ^ panel[wj]>>sj) & 0xff
		panel[wi] ^= change << si
		panel[wj] ^= change << sj
	})
}
