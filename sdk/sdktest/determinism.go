package sdktest

import (
	"context"
	"io"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

var determinismChecks = []check{
	{"determinism/repeat", "The same request gives the same bits again.", (*kit).repeat},
	{"determinism/instance", "A fresh instance gives the same bits.", (*kit).instance},
	{"determinism/history", "An explanation does not depend on what was explained before.", (*kit).history},
	{"determinism/after-error", "A run that failed leaves the next one as it is.", (*kit).afterError},
	{"determinism/seed", "Another seed is a run like any other.", (*kit).seed},
	{"determinism/concurrent", "Sixteen runs at once give the bits that each gives alone.", (*kit).concurrent},
}

// again runs the base text once more and compares.
func (k *kit) again(x *explanation) verdict {
	y := k.explain(job{session: k.open(transformer, baseText)})
	return k.compare(x, y)
}

// compare compares the bits of two runs.
func (k *kit) compare(x, y *explanation) verdict {
	if wrong := k.failure(y); wrong != "" {
		k.unsteady = true
		return failed("%s", wrong)
	}
	if d := difference(x.Explanation, y.Explanation); d != "" {
		k.unsteady = true
		return failed("%s", d)
	}
	return passed("")
}

func (k *kit) repeat() verdict {
	x, v := k.reference()
	if v != nil {
		return *v
	}
	return k.again(x)
}

func (k *kit) instance() verdict {
	x, v := k.steady()
	if v != nil {
		return *v
	}
	i, ok := k.subject.(Instancer)
	if !ok {
		return skipped("one value in process serves all runs; Constructor makes one for each")
	}
	fresh, err := i.Instance(k.ctx)
	if err != nil {
		return failed("%v", err)
	}
	if c, ok := fresh.(io.Closer); ok {
		defer c.Close()
	}
	y := k.explain(job{session: k.open(transformer, baseText), explain: fresh.Explain})
	return k.compare(x, y)
}

func (k *kit) history() verdict {
	x, v := k.steady()
	if v != nil {
		return *v
	}
	for _, text := range []string{"A quite different one, of other words and of another length, that comes between", "short"} {
		k.explain(job{session: k.open(transformer, toy.Input{Text: text}), seed: 1})
	}
	return k.again(x)
}

func (k *kit) afterError() verdict {
	x, v := k.steady()
	if v != nil {
		return *v
	}
	y := k.explain(job{session: k.open(transformer, baseText), before: func(int, string) error {
		return sdk.NewError(sdk.EInternal, "the kit lets every call of the host fail")
	}})
	if y.stuck {
		return failed("%v", y.err)
	}
	return k.again(x)
}

func (k *kit) seed() verdict {
	x, v := k.reference()
	if v != nil {
		return *v
	}
	for _, seed := range []uint64{1, 1<<64 - 1} {
		y := k.explain(job{session: k.open(transformer, baseText), seed: seed})
		if wrong := k.failure(y); wrong != "" {
			return failed("seed %d: %s", seed, wrong)
		}
		if difference(x.Explanation, y.Explanation) != "" {
			return passed("another seed gives other values")
		}
	}
	return passed("every seed gives the same values")
}

// concurrent runs four texts four times each.
func (k *kit) concurrent() verdict {
	if _, v := k.steady(); v != nil {
		return *v
	}
	texts := []string{"not a good film", "a film", "never so bored , never", "it ends at last"}
	alone := make([]*explanation, len(texts))
	for i, text := range texts {
		alone[i] = k.explain(job{session: k.open(transformer, toy.Input{Text: text}), seed: uint64(i)})
		if wrong := k.failure(alone[i]); wrong != "" {
			return failed("%q: %s", text, wrong)
		}
	}
	const runs = 16
	ctx, cancel := context.WithTimeout(k.ctx, k.options.Timeout)
	defer cancel()
	ended := make(chan *explanation, runs)
	var jobs [runs]job
	for i := range runs {
		s, err := transformer.Open(toy.Input{Text: texts[i%len(texts)]})
		if err != nil {
			return failed("%v", err)
		}
		jobs[i] = job{session: s, seed: uint64(i % len(texts))}
	}
	for i := range runs {
		go func() {
			ended <- k.start(ctx, jobs[i])
		}()
	}
	wrong := ""
	for range runs {
		y := <-ended
		k.absorb(y)
		x := alone[y.request.Seed]
		if wrong != "" {
			continue
		}
		if wrong = k.failure(y); wrong == "" {
			wrong = difference(x.Explanation, y.Explanation)
		}
	}
	if wrong != "" {
		return failed("%s", wrong)
	}
	return passed("")
}
