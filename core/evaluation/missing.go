package evaluation

import (
	"fmt"
	"slices"

	"github.com/xai-go/xai/sdk"
)

// unread tells the log of tokens that the model does not know, once for all texts:
// what it cannot tell apart, no method can.
func (r *run) unread() {
	texts, unknown, tokens := 0, 0, 0
	for _, t := range r.result.Texts {
		if t.Unknown == 0 {
			continue
		}
		texts++
		unknown += t.Unknown
		for _, w := range t.Windows {
			tokens += w.Tokens
		}
	}
	apart := fmt.Sprintf("%d of %d tokens are unknown to the model, which cannot tell them apart", unknown, tokens)
	switch n := len(r.result.Texts); {
	case texts == 0:
	case n == 1:
		r.warn(apart)
	case texts == 1:
		r.warn(fmt.Sprintf("in 1 of %d texts %s", n, apart))
	default:
		r.warn(fmt.Sprintf("in %d of %d texts %s", texts, n, apart))
	}
}

// missing tells the log why a group of measures that somebody asked for has no value.
// A preset asks for all that may be had, but for noise on embeddings, which captum's
// is about.
func (r *run) missing(texts []Text) {
	asked := func(group string) bool {
		usual, err := Preset(r.Preset)
		return r.Has(group) && (err != nil || !slices.Equal(usual.Measures, r.Measures))
	}
	if asked(Plausibility) && !r.measured(averagePrecision, auprc) {
		reason := "no text has a rationale, which a human marked in it: a line of a corpus brings one as \"rationale\": [[start, end], …]"
		if slices.ContainsFunc(texts, func(t Text) bool { return t.Marked }) {
			reason = "the rationales of the texts mark none of their units"
		}
		r.warn("plausibility is not measured: " + reason)
	}
	if asked(Agreements) && len(r.result.Methods) < 2 {
		r.warn("agreement is not measured: it is between methods, and there is one")
	}
	if !r.Has(Embedding) {
		return
	}
	for k, ref := range r.result.Methods {
		if slices.ContainsFunc(r.result.Texts, func(t TextResult) bool { return has(t.Methods[k].Values, embeddingInfidelity) }) {
			continue
		}
		_, info, err := r.host.Method(ref.Name)
		reason := "it does not say what each component of an embedding does, as methods with the parameter " + paramDetailed + " do: integrated-gradients is one"
		switch {
		case !slices.ContainsFunc(r.Methods, func(m Method) bool { return m.Label == ref.Label }):
			reason = "its scores were given, and noise takes explanations of its own"
		case r.NoiseSamples == 0:
			reason = "there are no samples of it"
		case err == nil && slices.ContainsFunc(info.Params, func(p sdk.Param) bool { return p.Name == paramDetailed }):
			reason = "with these parameters it is of a point inside of the model, and not of the embeddings"
		}
		r.warn("what noise on the embeddings does to " + ref.Label + " is not measured: " + reason)
	}
}

// measured reports whether any method has one of some measures on any text.
func (r *run) measured(names ...string) bool {
	return slices.ContainsFunc(r.result.Texts, func(t TextResult) bool {
		return slices.ContainsFunc(t.Methods, func(m Result) bool {
			return slices.ContainsFunc(names, func(name string) bool { return has(m.Values, name) })
		})
	})
}
