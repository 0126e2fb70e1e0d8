package num

import (
	"math"
	"slices"
	"strconv"
)

// Path is the path of the lasso: at Alphas[k] the coefficients Coefs[k], one a
// column, minimise Σ wᵢ·(yᵢ − b₀ − xᵢ·b)²/(2n) + α·Σ|bⱼ| over n rows, and between
// two knots they are linear in α. Alphas descends from the smallest α that leaves
// no coefficient.
type Path struct {
	Alphas []float64
	Coefs  [][]float64
}

// LassoPath follows the lasso by least angle regression, as lars_path with
// method="lasso" does in scikit-learn on columns that are centred and multiplied
// by √wᵢ (Efron, Hastie, Johnstone and Tibshirani, "Least angle regression", Ann.
// Statist. 32, 2004).
//
// It ends after maxSteps steps, at the first knot with α ≤ stop, or with the
// least squares solution. scikit-learn's defaults are 500 steps and
// stop = 2⁻²³, which depends on the scale of y; 0 does not. A column that turns
// out to be a linear combination of active ones stays out. It returns an *Error
// where maxSteps is negative, or stop is negative or NaN.
func (r *Regression) LassoPath(maxSteps int, stop float64) (*Path, error) {
	return r.path(maxSteps, stop, true)
}

// LARPath is LassoPath by plain least angle regression, as lars_path with
// method="lar" does: a coefficient that reaches 0 stays active, so that each step
// adds a column and none is lost. Its coefficients minimise nothing.
func (r *Regression) LARPath(maxSteps int, stop float64) (*Path, error) {
	return r.path(maxSteps, stop, false)
}

func (r *Regression) path(maxSteps int, stop float64, lasso bool) (*Path, error) {
	if maxSteps < 0 {
		return nil, &Error{"maxSteps", strconv.Itoa(maxSteps) + "; it must be 0 or more"}
	}
	if !(stop >= 0) {
		return nil, &Error{"stop", strconv.FormatFloat(stop, 'g', -1, 64) + "; it must be 0 or more"}
	}
	l := &lars{
		Regression:  r,
		lasso:       lasso,
		coef:        make([]float64, r.columns),
		correlation: slices.Clone(r.moment),
		state:       make([]state, r.columns),
	}
	l.start()
	path := new(Path)
	for step := 0; ; step++ {
		alpha := l.level / float64(r.rows)
		path.Alphas = append(path.Alphas, alpha)
		path.Coefs = append(path.Coefs, slices.Clone(l.coef))
		if alpha <= stop || step == maxSteps {
			return path, nil
		}
		l.step()
	}
}

// state says what a column may do in the next step.
type state uint8

const (
	inactive state = iota // its coefficient is 0
	active                // it is among the active columns
	excluded              // it is a linear combination of columns that were active
)

// lars is the state of the algorithm at one knot.
type lars struct {
	*Regression
	lasso       bool // a coefficient that reaches 0 leaves
	coef        []float64
	correlation []float64 // cⱼ = mⱼ − Gⱼ·b, of column j with the residual
	level       float64   // C, which |cⱼ| has for active columns and no column exceeds
	rounding    float64   // what a correlation may miss a knot by
	noise       float64   // what Σ wᵢ·(bⱼ·xᵢⱼ)² may be where bⱼ should be 0
	state       []state
	active      []int
	sign        []float64   // of the correlations of the active columns
	factor      [][]float64 // L of their Gram matrix, row by row
}

// rounding is the share of the first level, and of the target, that is taken for
// the rounding error of 0. Where two columns reach a knot together, or a
// coefficient ends at one, the path would otherwise hold coefficients of this
// order in place of 0.
const rounding = 1e-13

// start makes the column of the largest correlation active, unless that is what
// rounding leaves of 0: by Cauchy and Schwarz cⱼ² ≤ Gⱼⱼ·Σ wᵢ·(yᵢ − ȳ)².
func (l *lars) start() {
	first := -1
	for j, c := range l.correlation {
		if math.Abs(c) > l.level {
			first, l.level = j, math.Abs(c)
		}
	}
	if first < 0 || l.level <= float64(rounding*math.Sqrt(float64(l.gram[first*l.columns+first]*l.square))) {
		l.level = 0
		return
	}
	l.rounding = float64(rounding * l.level)
	l.noise = float64(rounding * rounding * l.square)
	l.enter(first, math.Copysign(1, l.correlation[first]))
}

// step goes to the next knot: to where the first inactive column reaches the
// level, the first active coefficient reaches 0, or the level does. (The sign of
// an active coefficient is that of its correlation.)
func (l *lars) step() {
	d := l.direction()
	length, entering, leaving, sign := l.level, -1, -1, 0.0
	for j, c := range l.correlation {
		if l.state[j] != inactive {
			continue
		}
		a := 0.0 // c shrinks by a while the level shrinks by 1
		for i, k := range l.active {
			a += float64(l.gram[j*l.columns+k] * d[i])
		}
		for _, s := range [2]float64{1, -1} {
			approach := 1 - float64(s*a)
			if !(approach > dependent) {
				continue
			}
			gap := l.level - float64(s*c)
			if gap < l.rounding {
				gap = 0
			}
			if g := gap / approach; g < length && l.level-g > l.rounding {
				length, entering, sign = g, j, s
			}
		}
	}
	for i, j := range l.active {
		if !l.lasso || !(float64(l.sign[i]*d[i]) < 0) {
			continue
		}
		if g := max(-l.coef[j]/d[i], 0); g < length {
			length, leaving = g, i
		}
	}
	l.level -= length
	for i, j := range l.active {
		b := l.coef[j] + float64(length*d[i])
		if float64(b*b)*l.gram[j*l.columns+j] < l.noise {
			b = 0
		}
		l.coef[j] = b
	}
	switch {
	case leaving >= 0:
		l.leave(leaving)
	case entering >= 0:
		l.enter(entering, sign)
	}
	for j := range l.correlation {
		c := l.moment[j]
		for _, k := range l.active {
			c -= float64(l.gram[j*l.columns+k] * l.coef[k])
		}
		l.correlation[j] = c
	}
}

// enter makes column j, of whose correlation it is told the sign, active, or
// excludes it where it depends on the active columns.
func (l *lars) enter(j int, sign float64) {
	row := make([]float64, len(l.active)+1)
	square := l.gram[j*l.columns+j]
	left := square
	for i, k := range l.active {
		row[i] = (l.gram[j*l.columns+k] - Dot(l.factor[i][:i], row[:i])) / l.factor[i][i]
		left -= float64(row[i] * row[i])
	}
	if !(left > dependent*square) {
		l.state[j] = excluded
		return
	}
	row[len(l.active)] = math.Sqrt(left)
	l.factor = append(l.factor, row)
	l.active = append(l.active, j)
	l.sign = append(l.sign, sign)
	l.state[j] = active
}

// leave makes the i-th active column inactive and factorises the Gram matrix of
// the others anew.
func (l *lars) leave(i int) {
	columns, signs := l.active, l.sign
	l.active, l.sign, l.factor = nil, nil, nil
	l.coef[columns[i]] = 0
	l.state[columns[i]] = inactive
	for k, j := range columns {
		if k != i {
			l.enter(j, signs[k])
		}
	}
}

// direction returns the d with G·d = sign on the active columns, along which all
// their correlations shrink alike.
func (l *lars) direction() []float64 {
	d := slices.Clone(l.sign)
	for i, row := range l.factor {
		d[i] = (d[i] - Dot(row[:i], d[:i])) / row[i]
	}
	for i := len(d) - 1; i >= 0; i-- {
		row := l.factor[i]
		d[i] /= row[i]
		for k := range i {
			d[k] -= float64(row[k] * d[i])
		}
	}
	return d
}
