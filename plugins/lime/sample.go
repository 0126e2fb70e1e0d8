package lime

import (
	"math"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// neighbourhood is a sample of variants of the input, in the binary space of
// its features.
type neighbourhood struct {
	n        int     // samples
	features int     // columns
	keep     []uint8 // [n,features]: 1 keeps a feature; row 0 is the input
}

// row returns the mask of sample i.
func (h *neighbourhood) row(i int) []uint8 { return h.keep[i*h.features : (i+1)*h.features] }

// newNeighbourhood returns n samples that keep everything, with room for one
// more.
func newNeighbourhood(n, features int) *neighbourhood {
	h := &neighbourhood{n: n, features: features, keep: make([]uint8, n*features, (n+1)*features)}
	for i := range h.keep {
		h.keep[i] = 1
	}
	return h
}

// firstRound is the sample, but for one row for every two features, after which
// max_stderr is looked at for the first time.
const firstRound = 128

// sample is a neighbourhood that grows: by whole rounds of one stream, so that a
// larger one begins with the smaller.
type sample struct {
	*neighbourhood
	random *num.Rand
	order  []int // of the features, shuffled on
}

// newSample draws the sample of a run, or its first round where it may suffice.
func newSample(s settings, r *sdk.Request, features int) (*sample, error) {
	if s.compat {
		return &sample{neighbourhood: sampleLikeReference(r.Seed, s.samples, features)}, nil
	}
	n := s.samples
	if s.maxStderr > 0 {
		n = min(n, firstRound+2*features)
	}
	h := &sample{neighbourhood: newNeighbourhood(1, features), random: num.NewRand(r.Rand), order: make([]int, features)}
	for i := range h.order {
		h.order[i] = i
	}
	return h, h.extend(n)
}

// extend draws variants until there are n samples. Each drops a number of
// features that is uniform in 1…features, and as many features at random.
func (h *sample) extend(n int) error {
	keep := make([]uint8, n*h.features, (n+1)*h.features)
	copy(keep, h.keep)
	for i := h.n * h.features; i < len(keep); i++ {
		keep[i] = 1
	}
	first := h.n
	h.keep, h.n = keep, n
	for i := first; i < n; i++ {
		row := h.row(i)
		draw := 1 + h.random.IntN(h.features)
		picked := uint8(0) // what becomes of the features that are drawn: the fewer
		if draw > h.features-draw {
			clear(row)
			draw, picked = h.features-draw, 1
		}
		for j := range draw { // the first steps of a shuffle; any order may precede it
			k := j + h.random.IntN(h.features-j)
			h.order[j], h.order[k] = h.order[k], h.order[j]
			row[h.order[j]] = picked
		}
	}
	return h.random.Err()
}

// sampleLikeReference draws what the reference draws with random_state=seed:
// all the sizes first, then a permutation a row.
func sampleLikeReference(seed uint64, n, features int) *neighbourhood {
	h := newNeighbourhood(n, features)
	r := num.NewMT19937(seed)
	for i, drop := range r.RandInt(1, int64(features)+1, n-1) {
		row := h.row(i + 1)
		for _, j := range r.ChoiceWithoutReplacement(features, int(drop)) {
			row[j] = 0
		}
	}
	return h
}

// distances returns 100 times the distance of each sample from the input. Both
// are binary, so the number k of the n features that a sample keeps says all:
// 1 − √(k/n) is the cosine distance, √(n−k) the Euclidean, n−k the Manhattan.
// The cosine distance of nothing at all is 1, as in scikit-learn.
func (h *neighbourhood) distances(metric string) []float64 {
	d := make([]float64, h.n)
	for i := range d {
		kept := 0
		for _, k := range h.row(i) {
			kept += int(k)
		}
		n, k := float64(h.features), float64(kept)
		switch metric {
		case euclidean:
			d[i] = math.Sqrt(n - k)
		case manhattan:
			d[i] = n - k
		default:
			d[i] = 1 - math.Sqrt(k/n)
		}
		d[i] = float64(d[i] * 100)
	}
	return d
}

// kernel returns √exp(−d²/width²) of each distance.
func kernel(distances []float64, width float64) []float64 {
	w := make([]float64, len(distances))
	for i, d := range distances {
		x := d / width
		w[i] = math.Sqrt(num.Exp(-float64(x * x)))
	}
	return w
}

// effective returns Kish's effective number of samples, (Σw)²/Σw².
func effective(w []float64) float64 {
	sum := num.Sum(w)
	return float64(sum*sum) / num.Dot(w, w)
}
