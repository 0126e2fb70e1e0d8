package lime

import (
	"io"
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

// sampleNeighbourhood draws n−1 variants. Each drops a number of features that
// is uniform in 1…features, and as many features at random.
func sampleNeighbourhood(source io.Reader, n, features int) (*neighbourhood, error) {
	h := newNeighbourhood(n, features)
	r := num.NewRand(source)
	order := make([]int, features)
	for i := range order {
		order[i] = i
	}
	for i := 1; i < n; i++ {
		row := h.row(i)
		draw := 1 + r.IntN(features)
		picked := uint8(0) // what becomes of the features that are drawn: the fewer
		if draw > features-draw {
			clear(row)
			draw, picked = features-draw, 1
		}
		for j := range draw { // the first steps of a shuffle; any order may precede it
			k := j + r.IntN(features-j)
			order[j], order[k] = order[k], order[j]
			row[order[j]] = picked
		}
	}
	return h, r.Err()
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

// withBaseline returns the masks with one more row that drops everything.
func (h *neighbourhood) withBaseline() *sdk.Tensor {
	rows := append(h.keep, make([]uint8, h.features)...)
	return sdk.NewTensor(rows, h.n+1, h.features)
}
