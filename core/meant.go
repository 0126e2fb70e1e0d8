package core

import (
	"slices"
	"strings"
	"unicode"

	"github.com/xai-go/xai/internal/words"
	"github.com/xai-go/xai/registry"
)

// elsewhere are names that the field or another library has for methods: families,
// abbreviations, classes. None of them runs anything; whoever types one is told the
// methods that it may stand for, those that come first to mind first. What follows a
// method's name are parameters.
var elsewhere = []struct {
	names   string // as plainName has them
	methods []string
	near    bool // they are not what was named, which is not there
}{
	{names: "shap shapley shapleyvalue shapleyvalues shapvalues shapexplainer", methods: []string{"kernel-shap", "partition-shap", "permutation-shap", "sampling-shap", "exact-shap", "gradient-shap"}},
	{names: "kernelexplainer", methods: []string{"kernel-shap"}},
	{names: "partitionexplainer owen owenvalue owenvalues", methods: []string{"partition-shap"}},
	{names: "permutationexplainer", methods: []string{"permutation-shap"}},
	{names: "samplingexplainer shapleysampling shapleyvaluesampling svs", methods: []string{"sampling-shap", "permutation-shap"}},
	{names: "exactexplainer", methods: []string{"exact-shap"}},
	{names: "gradientexplainer expectedgradient expectedgradients eg", methods: []string{"gradient-shap"}},
	{names: "limetext limetextexplainer limeexplainer limebase", methods: []string{"lime"}},

	{names: "grad grads gradient gradients", methods: []string{"saliency", "input-x-gradient", "integrated-gradients", "smoothgrad", "gradient-shap"}},
	{names: "saliencymap saliencymaps vanillagrad vanillagradient vanillagradients backprop", methods: []string{"saliency"}},
	{names: "ixg gxi inputgrad inputgradient inputxgrad gradinput gradientinput gradxinput gradientxinput gradientxactivation layergradientxactivation", methods: []string{"input-x-gradient"}},
	{names: "ig lig integratedgradient layerintegratedgradients", methods: []string{"integrated-gradients"}},
	{names: "sg smoothgradient smoothgradients noisetunnel", methods: []string{"smoothgrad"}},
	{names: "deeplift layerdeeplift", methods: []string{"integrated-gradients", "input-x-gradient"}, near: true},
	{names: "deepshap deepliftshap deepexplainer", methods: []string{"gradient-shap"}, near: true},
	{names: "guidedbackprop guidedbackpropagation deconvolution deconvnet", methods: []string{"saliency"}, near: true},

	{names: "attn attentions attentionweights rawattention", methods: []string{"attention"}},
	{names: "rollout attnrollout", methods: []string{"attention-rollout"}},
	{names: "flow maxflow attnflow", methods: []string{"attention-flow"}},
	{names: "mmexplainability transformermmexplainability transformerexplainability transformerattribution gradattention gradientattention gradientxattention attentiongradient", methods: []string{"chefer"}},
	{names: "gradcam layergradcam guidedgradcam", methods: []string{"chefer -p variant=attn-gradcam"}, near: true},

	{names: "loo leaveone", methods: []string{"leave-one-out"}},
	{names: "lio leaveonein", methods: []string{"leave-one-out -p direction=in"}},
	{names: "ablation ablate featureablate", methods: []string{"feature-ablation"}},
	{names: "perturbation perturbations erasure", methods: []string{"leave-one-out", "feature-ablation", "occlusion"}},
	{names: "occlusion1", methods: []string{"leave-one-out", "occlusion"}},
	{names: "slidingwindow", methods: []string{"occlusion"}},
	{names: "transformersinterpret", methods: []string{"integrated-gradients"}},
}

// plainName returns the letters and digits of a name, in lower case.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// meant says which of the declared methods somebody may mean by a name that none of
// them has; near is the one that is spelt alike, if any. It is empty where there is
// none to name.
func meant(name, near string, declared []registry.Entry) string {
	const most = 64 // bytes of a name that is worth looking up
	plain := plainName(name)
	if plain == "" || len(name) > most {
		plain = " " // which is no name's
	}
	for _, e := range declared {
		if plainName(e.Name) == plain {
			return "did you mean " + e.Name + "?"
		}
	}
	for _, other := range elsewhere {
		if !slices.Contains(strings.Fields(other.names), plain) {
			continue
		}
		var there []string
		for _, m := range other.methods {
			method, _, _ := strings.Cut(m, " ")
			if slices.ContainsFunc(declared, func(e registry.Entry) bool { return e.Name == method }) {
				there = append(there, m)
			}
		}
		switch {
		case len(there) == 0:
		case !other.near:
			return "did you mean " + words.Or(there...) + "?"
		case len(there) == 1:
			return "what comes near is " + there[0] + ";"
		default:
			return "what comes near are " + words.And(there...) + ";"
		}
	}
	for _, param := range []string{"variant", "compat"} {
		if methods, value := choosing(param, plain, declared); len(methods) == 1 {
			return "did you mean " + methods[0] + " -p " + param + "=" + value + "?"
		} else if len(methods) > 1 {
			return "did you mean " + words.Or(methods...) + ", with -p " + param + "=" + value + "?"
		}
	}
	if near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// choosing returns the methods of which a parameter has a value of that name, and how
// they spell it.
func choosing(param, plain string, declared []registry.Entry) (methods []string, value string) {
	for _, e := range declared {
		for _, p := range e.Params {
			i := slices.IndexFunc(p.Values, func(v string) bool { return v != "none" && plainName(v) == plain })
			if p.Name == param && i >= 0 {
				methods, value = append(methods, e.Name), p.Values[i]
			}
		}
	}
	return methods, value
}
