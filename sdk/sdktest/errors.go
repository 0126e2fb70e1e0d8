package sdktest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

var errorChecks = []check{
	{"errors/needs", "Without one of the needs that it uses, the method is refused with ECAP.", (*kit).withoutNeeds},
	{"errors/host", "Where a call of the host fails, the run ends with that error's code; or the method finds another way, where the code says that what it asked for is too much or not there.", (*kit).hostErrors},
	{"errors/cancel", "A run that is cancelled, before it begins or at any call of the host, ends as cancelled within the grace.", (*kit).cancels},
}

func (k *kit) withoutNeeds() verdict {
	x, v := k.reference()
	if v != nil {
		return *v
	}
	g, ok := k.subject.(Granter)
	if !ok {
		return skipped("whoever runs this method cannot withhold needs")
	}
	some := false
	for _, need := range k.info.Needs {
		if !x.probe.used[need] || pointNeed(need) && slices.Contains(k.info.Needs, sdk.NeedActivations) {
			continue
		}
		some = true
		rest := slices.DeleteFunc(slices.Clone(k.info.Needs), func(n sdk.Need) bool { return n == need })
		y := k.explain(job{session: k.open(transformer, shortText), explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, Usage, error) {
			return g.ExplainGranted(ctx, m, r, rest)
		}})
		switch {
		case y.err == nil:
			return failed("without %s it runs", need)
		case codeOf(y.err) != sdk.ECap:
			return failed("without %s it ends with %s", need, describe(y.err))
		}
	}
	if !some {
		return skipped("the method uses no need")
	}
	return passed("")
}

// codes are all error codes.
func codes() []sdk.Errno {
	var out []sdk.Errno
	for e := sdk.EInvalid; e >= sdk.EName; e-- {
		out = append(out, e)
	}
	return out
}

// detours are the codes after which a method may go another way.
var detours = []sdk.Errno{sdk.ERange, sdk.ENoMem, sdk.EQuota, sdk.EUnsupported, sdk.EName}

// hostErrors lets each call of the host fail with each code.
func (k *kit) hostErrors() verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	session := k.open(transformer, shortText)
	x := k.explain(job{session: session})
	if wrong := k.failure(x); wrong != "" {
		return failed("%s", wrong)
	}
	calls := x.calls()
	at := places(len(calls))
	if len(at) == 0 {
		return skipped("the method calls nothing of the host")
	}
	for _, place := range at {
		for _, code := range codes() {
			if calls[place-1] == "progress" && code != sdk.ECancelled {
				continue
			}
			y := k.explain(job{session: session, before: func(call int, name string) error {
				if call != place {
					return nil
				}
				return sdk.NewError(code, "the kit lets the call "+strconv.Itoa(call)+" of the host fail: "+name)
			}})
			if wrong := k.ended(x, y, place, code); wrong != "" {
				return failed("%v from %s, the call %d of the host: %s", code, calls[place-1], place, wrong)
			}
		}
	}
	return passed("%s with %d codes", tried(at, len(calls)), len(codes()))
}

// ended says what is wrong with the end of a run whose call of that place failed
// with a code.
func (k *kit) ended(x, y *explanation, place int, code sdk.Errno) string {
	switch {
	case y.late || y.stuck:
		return k.failure(y)
	case y.err != nil && codeOf(y.err) != code:
		return "the run ends with " + describe(y.err)
	case y.err != nil:
		return ""
	case code == sdk.ECancelled:
		return "the run goes on to an explanation"
	}
	if wrong := k.failure(y); wrong != "" {
		return wrong
	}
	if difference(x.Explanation, y.Explanation) == "" {
		return "" // the method asked again, or did not need it
	}
	if slices.Contains(detours, code) && len(y.calls()) > place {
		return ""
	}
	return "the run ends with an explanation, and another one than without the error"
}

// most is how many calls of the host are tried.
const most = 12

// places returns which of n calls are tried: all, or the first and the last ones.
func places(n int) []int {
	var out []int
	for i := range n {
		if n <= most || i < most*2/3 || i >= n-most/3 {
			out = append(out, i+1)
		}
	}
	return out
}

// tried words them.
func tried(at []int, n int) string {
	if len(at) == n {
		return "all " + strconv.Itoa(n) + " calls"
	}
	return strconv.Itoa(len(at)) + " of " + strconv.Itoa(n) + " calls"
}

// cancels cancels a run before it begins and at its calls of the host.
func (k *kit) cancels() verdict {
	if _, v := k.reference(); v != nil {
		return *v
	}
	session := k.open(transformer, shortText)
	x := k.explain(job{session: session})
	if wrong := k.failure(x); wrong != "" {
		return failed("%s", wrong)
	}
	calls := x.calls()
	at := places(len(calls))
	slowest := time.Duration(0)
	for _, place := range append([]int{0}, at...) {
		name := "before it begins"
		if place > 0 {
			name = "at " + calls[place-1] + ", the call " + strconv.Itoa(place) + " of the host"
		}
		var took time.Duration
		for range 3 { // a busy machine is no fault of the method
			y, d := k.cancelAt(session, place)
			switch {
			case y.stuck || y.late:
				return failed("cancelled %s, it does not end", name)
			case y.err != nil && codeOf(y.err) != sdk.ECancelled:
				return failed("cancelled %s, it ends with %s", name, describe(y.err))
			case y.err == nil && (place == 0 || asks(calls[place:]) || difference(x.Explanation, y.Explanation) != ""):
				return failed("cancelled %s, it goes on to an explanation", name)
			}
			if took == 0 || d < took {
				took = d
			}
			if took <= k.options.Grace {
				break
			}
		}
		if took > k.options.Grace {
			return failed("cancelled %s, it ends after %v, and the grace is %v", name, took.Round(time.Millisecond), k.options.Grace)
		}
		slowest = max(slowest, took)
	}
	return passed("%s; the slowest ends after %v", tried(at, len(calls)), slowest.Round(10*time.Microsecond))
}

// asks reports whether there is a call that a host refuses after the end of the
// run. Reading a reply is none.
func asks(calls []string) bool {
	return slices.ContainsFunc(calls, func(name string) bool { return name != "reply_get" })
}

// cancelAt runs the job, cancels it at a call of the host, and returns how long
// it went on.
func (k *kit) cancelAt(session *toy.Session, place int) (*explanation, time.Duration) {
	ctx, cancel := context.WithTimeout(k.ctx, k.options.Timeout)
	defer cancel()
	began := time.Now()
	if place == 0 {
		cancel()
	}
	y := k.start(ctx, job{session: session, before: func(call int, _ string) error {
		if call == place {
			began = time.Now()
			cancel()
		}
		return nil
	}})
	d := time.Since(began)
	k.absorb(y)
	return y, d
}
