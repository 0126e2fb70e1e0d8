package shap

import (
	"context"
	"math"
	"slices"

	"github.com/xai-go/xai/sdk/num"
)

// referenceLAR is least angle regression as scikit-learn's lars_path has it, on the
// columns of masks, row by row, without an intercept. Where a coefficient changes its
// sign within a step, the sign of its correlation is turned and the next step adds no
// column; from there on the correlations of the active columns differ, and fewer columns
// than steps are taken.
type referenceLAR struct {
	masks   []uint8 // [len(weights),columns]
	weights []float64
	columns int

	order       []int // of the columns: the active ones, and the others as they were swapped
	active      int   // how many of them
	correlation []float64
	coef        []float64
	sign        []float64   // of the active columns
	gram        [][]float64 // of the active columns with all
	factor      [][]float64 // L of that of the active columns
}

// What the reference stops at or takes for 0, and what rounding makes of equals.
const (
	larRounding   = 1e-12
	larDegenerate = 1e-7
	larTiny       = 0x1p-126
	larEpsilon    = 0x1p-52
	larDecimals   = 1e15
)

// choose returns the columns that so many steps take, ascending.
func (l *referenceLAR) choose(ctx context.Context, y []float64, steps int, stop float64) ([]int, error) {
	n := l.columns
	l.correlation, l.coef, l.order = make([]float64, n), make([]float64, n), make([]int, n)
	for j := range l.order {
		l.order[j] = j
	}
	for i, w := range l.weights {
		for j, k := range l.masks[i*n : (i+1)*n] {
			if k == 1 {
				l.correlation[j] += float64(w * y[i])
			}
		}
	}
	turned := false
	for step := 0; step < steps && l.active < n; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		first, level := l.active, 0.0
		for at, j := range l.order[l.active:] {
			if c := math.Abs(l.correlation[j]); c > float64(level*(1+larRounding)) { // of equals the first
				first, level = l.active+at, c
			}
		}
		if level/float64(len(l.weights)) <= stop {
			break
		}
		if !turned && !l.enter(first) {
			continue
		}
		turned = l.step(level)
		step++
	}
	taken := slices.Clone(l.order[:l.active])
	slices.Sort(taken)
	return taken, nil
}

// enter makes the column at a place in the order active, unless it depends on those that
// are.
func (l *referenceLAR) enter(at int) bool {
	n := l.columns
	j := l.order[at]
	gram := make([]float64, n)
	for i, w := range l.weights {
		row := l.masks[i*n : (i+1)*n]
		if row[j] == 0 {
			continue
		}
		for k, kept := range row {
			if kept == 1 {
				gram[k] += w
			}
		}
	}
	row := make([]float64, l.active+1)
	for i, k := range l.order[:l.active] {
		row[i] = (gram[k] - num.Dot(l.factor[i][:i], row[:i])) / l.factor[i][i]
	}
	left := max(math.Sqrt(math.Abs(gram[j]-num.Dot(row[:l.active], row[:l.active]))), larEpsilon)
	if left < larDegenerate {
		l.correlation[j] = 0
		return false
	}
	row[l.active] = left
	l.order[at], l.order[l.active] = l.order[l.active], j
	l.active++
	l.factor, l.gram = append(l.factor, row), append(l.gram, gram)
	l.sign = append(l.sign, math.Copysign(1, l.correlation[j]))
	return true
}

// step goes to where a column that is not active reaches the level, and reports whether
// a coefficient changed its sign on the way.
func (l *referenceLAR) step(level float64) (turned bool) {
	active, others := l.order[:l.active], l.order[l.active:]
	d := slices.Clone(l.sign)
	for i, row := range l.factor {
		d[i] = (d[i] - num.Dot(row[:i], d[:i])) / row[i]
	}
	for i := len(d) - 1; i >= 0; i-- {
		row := l.factor[i]
		d[i] /= row[i]
		for k := range i {
			d[k] -= float64(row[k] * d[i])
		}
	}
	scale := 1 / math.Sqrt(num.Dot(d, l.sign))
	for i := range d {
		d[i] = float64(d[i] * scale)
	}
	length := level / scale
	shrinks := make([]float64, len(others))
	for at, j := range others {
		for i, g := range l.gram {
			shrinks[at] += float64(g[j] * d[i])
		}
		shrinks[at] = math.RoundToEven(float64(shrinks[at]*larDecimals)) / larDecimals
		for _, s := range [2]float64{1, -1} {
			if g := (level - float64(s*l.correlation[j])) / (scale - float64(s*shrinks[at]) + larTiny); g > 0 {
				length = min(length, g)
			}
		}
	}
	zero := math.Inf(1)
	crossing := make([]float64, len(active))
	for i, j := range active {
		crossing[i] = -l.coef[j] / (d[i] + larTiny)
		if crossing[i] > 0 {
			zero = min(zero, crossing[i])
		}
	}
	if zero < length {
		turned = true
		for i, z := range crossing {
			if z == zero {
				l.sign[i] = -l.sign[i]
			}
		}
	}
	for i, j := range active {
		l.coef[j] += float64(length * d[i])
	}
	for at, j := range others {
		l.correlation[j] -= float64(length * shrinks[at])
	}
	return turned
}
