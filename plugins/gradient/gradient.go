// Package gradient explains a prediction by its gradient: saliency, input times
// gradient, integrated gradients, SmoothGrad with its variants, and expected
// gradients.
//
// All of them differentiate the target with respect to the word embeddings of the
// input, or to the values of a point inside of the model (the parameter layer),
// and sum what comes out over the components of each token and the tokens of each
// unit. The values are those of captum where its conventions are right, and under
// compat=captum where they are not.
package gradient

import (
	"math"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// Methods returns the methods of the family.
func Methods() []sdk.Method {
	return []sdk.Method{Saliency{}, InputXGradient{}, IntegratedGradients{}, SmoothGrad{}, GradientSHAP{}}
}

// The parameters that every method has.
const (
	paramCompat   = "compat"
	paramReduce   = "reduce"
	paramSpecial  = "special"
	paramLayer    = "layer"
	paramDetailed = "embedding_attributions" // and the name of the tensor that it asks for
)

// captum is the preset that replays the reference.
const captum = "captum"

// preset is the default v under compat=captum.
func preset(v any) map[string]any { return map[string]any{captum: v} }

// common declares the parameters that every method has, with those of the method
// after the first, and the default of reduce; that of compat=captum is sum.
func common(reduce string, own ...sdk.Param) []sdk.Param {
	params := []sdk.Param{{
		Name: paramCompat, Type: sdk.Enum, Default: "none", Values: []string{"none", captum},
		Doc: "captum: the reference's defaults, and what else the card of the method names",
	}}
	params = append(params, own...)
	return append(params,
		reduction(reduce),
		sdk.Param{
			Name: paramSpecial, Type: sdk.Enum, Default: "keep", Values: []string{"keep", "replace"}, Compat: preset("replace"),
			Doc: "replace: special tokens such as [CLS] are changed and attributed to like all others",
		},
		sdk.Param{
			Name: paramLayer, Aliases: []string{"point"}, Type: sdk.String, Default: "",
			Doc: "a point inside of the model, such as blocks.1.hook_out or hidden_states[2], that takes the place of the word embeddings; it has values for each token",
		},
		sdk.Param{
			Name: paramDetailed, Type: sdk.Bool, Default: false,
			Doc: "return the value of every component of every token too, as the tensor embedding_attributions",
		},
	)
}

// The reductions over the components of a token.
const (
	reduceAuto = "auto"
	reduceSum  = "sum"
	reduceL1   = "l1"
	reduceL2   = "l2"
	reduceMean = "mean"
)

// reduction declares the parameter reduce.
func reduction(preferred string) sdk.Param {
	p := sdk.Param{
		Name: paramReduce, Aliases: []string{"reduction", "aggregation"}, Type: sdk.Enum, Default: preferred, Values: []string{reduceSum, reduceL1, reduceL2, reduceMean},
		Doc: "how the values of a token's components become one: their sum, the sum of their magnitudes, their Euclidean norm, or their mean",
	}
	if preferred != reduceSum {
		p.Compat = preset(reduceSum)
	}
	if preferred == reduceAuto {
		p.Values = append([]string{reduceAuto}, p.Values...)
		p.Doc += "; auto is l2 of the mean gradient, and sum of squares and variances"
	}
	return p
}

// reduced returns the value of a token from those of its components.
func reduced(how string, v []float64) float64 {
	switch how {
	case reduceL1:
		s := 0.0
		for _, x := range v {
			s += math.Abs(x)
		}
		return s
	case reduceL2:
		return math.Sqrt(num.Dot(v, v))
	case reduceMean:
		return num.Sum(v) / float64(len(v))
	}
	return num.Sum(v)
}

func invalid(message string) *sdk.Error { return sdk.NewError(sdk.EInvalid, message) }
