package attention

import (
	"context"
	"slices"

	"github.com/xai-go/xai/sdk"
)

// Rollout multiplies the attention of all layers, with the identity for the
// residual connections:
//
//	R₀ = I, R_l = Â_l·R_{l−1}, Â = rows of (A + I) over their sums
//
// Abnar and Zuidema, ACL 2020. The zero value is ready, and safe for concurrent
// use.
type Rollout struct{}

const (
	paramCompat  = "compat"
	paramDiscard = "discard_ratio"
	paramSteps   = "steps"

	compatNone  = "none"
	compatAbnar = "abnar"
	compatViT   = "vit-explain"
)

// Info implements sdk.Method.
func (Rollout) Info() sdk.Info {
	return sdk.Info{
		Name:    "attention-rollout",
		Version: "1.0.0",
		Summary: "The product of the attention of all layers, residual connections included",
		Source:  "Abnar, Zuidema 2020, arXiv:2005.00928; samiraabnar/attention_flow; jacobgil/vit-explain",
		Needs:   []sdk.Need{sdk.NeedForward, sdk.NeedAttentions},
		Params: []sdk.Param{
			{
				Name: paramCompat, Type: sdk.Enum, Default: compatNone, Values: []string{compatNone, compatAbnar, compatViT},
				Doc: "abnar: rows are not normalised where residual is false; vit-explain: columns are divided by what rows sum to, as that script does by mistake, and nine tenths are discarded",
			},
			fusionParam(),
			residualParam(),
			{
				Name: paramDiscard, Type: sdk.Float, Default: 0.0, Min: sdk.Bound(0), Max: sdk.Bound(1),
				Compat: map[string]any{compatViT: 0.9},
				Doc:    "the share of each layer's fused attention that is set to 0, the smallest weights first, that of the first token to itself never",
			},
			startParam(),
			{
				Name: paramSteps, Type: sdk.Bool, Default: false,
				Doc: "return the product up to every layer too, as the tensor rollout_steps",
			},
			positionParam(),
		},
	}
}

// Explain implements sdk.Method. The tensor rollout is the product; its rows sum
// to one.
func (Rollout) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	s, err := newSource(m, r)
	if err != nil {
		return nil, err
	}
	compat, start := r.Params.String(paramCompat), r.Params.Int(paramStart)
	o := rolling{
		n: s.n, residual: r.Params.Bool(paramResidual), discard: r.Params.Float(paramDiscard),
		columns: compat == compatViT,
	}
	o.normalise = o.residual || compat != compatAbnar
	if o.columns && !o.residual {
		return nil, invalid("compat=vit-explain always adds the identity: leave residual=false out")
	}
	if err := s.through(start); err != nil {
		return nil, err
	}
	if r.Params.Bool(paramSteps) {
		if err := s.bounded(paramSteps, s.layers-start); err != nil {
			return nil, err
		}
	}
	var product, steps []float64
	err = s.every(ctx, nil, func(l *layer) error {
		if l.index < start {
			return nil
		}
		a := make([]float64, s.n*s.n)
		l.fuse(r.Params.String(paramFusion), a)
		o.augment(a)
		if product == nil {
			product = a
		} else {
			product = multiply(a, product, s.n)
		}
		if r.Params.Bool(paramSteps) {
			steps = append(steps, product...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e := s.sizes(s.row(product))
	e.Tensors = append(e.Tensors, square("rollout", product, s.n))
	if steps != nil {
		e.Tensors = append(e.Tensors, tensor("rollout_steps", steps, []string{"layer", "query", "key"}, s.layers-start, s.n, s.n))
	}
	return e, nil
}

// rolling says what becomes of a layer's fused attention before it is multiplied.
type rolling struct {
	n         int
	discard   float64 // share of the smallest weights that are set to 0
	residual  bool    // the identity is added
	normalise bool    // rows are divided by their sums
	columns   bool    // column j is divided by the sum of row j instead
}

// augment changes a layer's fused attention to what is multiplied.
func (o rolling) augment(a []float64) {
	n := o.n
	if drop := int(float64(len(a)) * o.discard); drop > 0 {
		order := make([]int32, len(a))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(i, j int32) int {
			switch {
			case a[i] < a[j]:
				return -1
			case a[i] > a[j]:
				return 1
			}
			return int(i - j)
		})
		for _, i := range order[:drop] {
			if i != 0 {
				a[i] = 0
			}
		}
	}
	if o.residual {
		for i := range n {
			a[i*n+i]++
		}
	}
	if !o.normalise {
		return
	}
	sums := make([]float64, n)
	for i := range n {
		for _, v := range a[i*n : (i+1)*n] {
			sums[i] += v
		}
	}
	for i := range n {
		for j := range n {
			sum := sums[i]
			if o.columns {
				sum = sums[j]
			}
			if sum > 0 {
				a[i*n+j] /= sum
			}
		}
	}
}

// identity returns I, [n,n].
func identity(n int) []float64 {
	m := make([]float64, n*n)
	for i := range n {
		m[i*n+i] = 1
	}
	return m
}

// multiply returns a·b, [n,n]. It takes rows of b by fours, which are added in
// their order, so that sums are rounded as one by one.
func multiply(a, b []float64, n int) []float64 {
	out := make([]float64, n*n)
	for i := range n {
		to, from := out[i*n:(i+1)*n], a[i*n:(i+1)*n]
		k := 0
		for ; k+4 <= n; k += 4 {
			w, x, y, z := from[k], from[k+1], from[k+2], from[k+3]
			if w == 0 && x == 0 && y == 0 && z == 0 {
				continue // of a causal model, half of them
			}
			p, q := b[k*n:(k+1)*n], b[(k+1)*n:(k+2)*n]
			r, s := b[(k+2)*n:(k+3)*n], b[(k+3)*n:(k+4)*n]
			p, q, r, s = p[:len(to)], q[:len(to)], r[:len(to)], s[:len(to)]
			for j, v := range to {
				v += float64(w * p[j])
				v += float64(x * q[j])
				v += float64(y * r[j])
				v += float64(z * s[j])
				to[j] = v
			}
		}
		for ; k < n; k++ {
			x := from[k]
			for j, y := range b[k*n : (k+1)*n] {
				to[j] += float64(x * y)
			}
		}
	}
	return out
}
