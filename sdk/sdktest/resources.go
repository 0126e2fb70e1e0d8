package sdktest

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

var resourceChecks = []check{
	{"resources/handles", "A run frees what the host gave it: at its end at most 16 handles are open.", (*kit).handles},
	{"resources/memory", "The memory of a hundred runs is that of one.", (*kit).memory},
	{"resources/fuel", "A run succeeds with the instructions that it takes, and fails with one less.", (*kit).fuel},
	{"resources/progress", "Progress lies between 0 and its total, and does not go back.", func(k *kit) verdict {
		return k.seen(k.progress, "the method reports no progress of its own")
	}},
	{"resources/log", "The log of a run has lines of at most 1024 bytes, and not more than 64 KiB.", func(k *kit) verdict {
		return k.seen(k.log, "the method writes no log")
	}},
	{"resources/request", "The request is as it was after each run.", func(k *kit) verdict {
		return k.seen(k.mutation, "there was no run")
	}},
	{"resources/needs", "Each need that the method declares is used.", (*kit).unusedNeeds},
}

// maxLog is the host's bound for the log of a run.
const maxLog = 64 << 10

// maxHandles is how many handles may be open at the end of a run: a method's
// runtime may free the last ones late.
const maxHandles = 16

func (k *kit) handles() verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	x := k.tokens(k.light(), 64)
	if tooLarge(x) { // which inputs/long tells of
		x = k.tokens(k.light(), fewest)
	}
	switch wrong := k.failure(x); {
	case wrong != "":
		return failed("%s", wrong)
	case x.usage.Handles == 0:
		return skipped("nobody counts the handles of this kind of method")
	case x.usage.OpenHandles > maxHandles:
		return failed("%d of %d handles are open", x.usage.OpenHandles, x.usage.Handles)
	}
	return passed("%d of %d handles are open", x.usage.OpenHandles, x.usage.Handles)
}

// memory runs a short text a hundred times. What the subject does not count is
// that of this process: where each of three times a hundred runs leaves more
// behind than before, it grows.
func (k *kit) memory() verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	const runs = 100
	j := job{session: k.open(k.light(), toy.Input{Text: "a good film"})}
	if x := k.explain(j); k.failure(x) != "" {
		return failed("%s", k.failure(x))
	} else if x.usage.MemoryBytes > 0 {
		return k.counted(j, x.usage.MemoryBytes, runs)
	}
	switch k.subject.(type) {
	case *inProcess, *constructed:
	default:
		return skipped("nobody counts the memory of this kind of method")
	}
	const slack = 64 << 10
	before := heap()
	least := int64(1 << 62)
	for range 3 {
		for range runs {
			if x := k.explain(j); k.failure(x) != "" {
				return failed("%s", k.failure(x))
			}
		}
		after := heap()
		if least = min(least, after-before); least <= slack {
			return passed("")
		}
		before = after
	}
	return failed("every %d runs leave %d KiB behind", runs, least>>10)
}

// counted compares the memory that the subject counts.
func (k *kit) counted(j job, first int64, runs int) verdict {
	limit := first + first/10 + 64<<10
	for i := range runs {
		x := k.explain(j)
		switch {
		case k.failure(x) != "":
			return failed("%s", k.failure(x))
		case x.usage.MemoryBytes > limit:
			return failed("the first run takes %d KiB and the run %d takes %d", first>>10, i+2, x.usage.MemoryBytes>>10)
		}
	}
	return passed("%d KiB", first>>10)
}

// heap returns the bytes that are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalised
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func (k *kit) fuel() verdict {
	x, v := k.steady()
	if v != nil {
		return *v
	}
	l, ok := k.subject.(Limiter)
	if !ok || x.usage.Fuel == 0 {
		return skipped("nobody counts the instructions of this kind of method")
	}
	run := func(fuel int64) *explanation {
		return k.explain(job{session: k.open(transformer, baseText), explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, Usage, error) {
			return l.ExplainWithin(ctx, m, r, Limits{Fuel: fuel})
		}})
	}
	again := k.explain(job{session: k.open(transformer, baseText)})
	if again.usage.Fuel != x.usage.Fuel {
		return skipped("the instructions of equal runs differ, as garbage collectors make them: %d and %d", x.usage.Fuel, again.usage.Fuel)
	}
	enough := run(x.usage.Fuel)
	if wrong := k.failure(enough); wrong != "" {
		return failed("with the %d instructions that it takes: %s", x.usage.Fuel, wrong)
	}
	if d := difference(x.Explanation, enough.Explanation); d != "" {
		return failed("with the %d instructions that it takes: %s", x.usage.Fuel, d)
	}
	if short := run(x.usage.Fuel - 1); short.err == nil {
		return failed("with one instruction less than the %d that it takes it runs", x.usage.Fuel)
	}
	return passed("%d instructions", x.usage.Fuel)
}

// seen is the verdict on what all runs showed.
func (k *kit) seen(f finding, never string) verdict {
	if _, v := k.reference(); v != nil && f.wrong == "" {
		return *v
	}
	switch {
	case f.wrong != "":
		return failed("%s", f.wrong)
	case f.seen == 0:
		return skipped("%s", never)
	}
	return passed("%d runs", f.seen)
}

func (k *kit) unusedNeeds() verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	var unused []string
	for _, need := range k.info.Needs {
		used := k.used[need]
		if need == sdk.NeedActivations {
			used = used || slices.ContainsFunc(sdk.Needs(), func(n sdk.Need) bool { return pointNeed(n) && k.used[n] })
		}
		if !used {
			unused = append(unused, string(need))
		}
	}
	if len(unused) > 0 {
		return skipped("no run used %s, which users have to grant", strings.Join(unused, ", "))
	}
	return passed("")
}
