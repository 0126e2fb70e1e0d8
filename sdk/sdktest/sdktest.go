// Package sdktest is the conformance kit of explanation methods: it runs a
// method on small exact models and holds it to what the host, its users and
// their readers rely on.
//
// An author's test is one line:
//
//	func TestConformance(t *testing.T) { sdktest.Run(t, mymethod.Method{}, sdktest.Options{}) }
//
// The same checks run on whatever else is a [Subject], such as a sandboxed
// module: xai plugin test is [Check] and a [Report] in one of its forms.
//
// A check that does not apply is skipped with a reason, which is no pass. Where
// an author claims more than every method must keep, Exact and Additive hold the
// method to it. docs/conformance-kit.md lists the checks.
package sdktest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest/toy"
)

// Options say what a method is held to, and how. The zero value is ready.
type Options struct {
	// Exact claims that the attributions of a linear model are its weights.
	Exact bool
	// Additive claims that attributions sum to the target's value minus its
	// baseline, which the method returns.
	Additive bool
	// Tolerance is how far Exact and Additive may be off, relative to the largest
	// magnitude involved: 1e-6.
	Tolerance float64
	// Params are the settings of all runs, as users type them: the method's
	// defaults where nothing is given.
	Params map[string]string
	// Only names the checks to run, such as "axioms" or "axioms/dummy": all.
	Only []string
	// Timeout bounds each run: 10 seconds.
	Timeout time.Duration
	// Grace is how long a run may go on after it was cancelled: 100 ms.
	Grace time.Duration
	// Done is told of each result as it comes.
	Done func(Result)
}

// Run runs the kit on a method in process, each check as a subtest.
func Run(t *testing.T, method sdk.Method, o Options) {
	t.Helper()
	RunSubject(t, Method(method), o)
}

// RunSubject runs the kit on a subject, each check as a subtest.
func RunSubject(t *testing.T, s Subject, o Options) {
	t.Helper()
	k := newKit(t.Context(), s, o)
	ran := false
	for _, group := range groups() {
		wanted := slices.DeleteFunc(slices.Clone(checks), func(c check) bool { return c.group() != group || !k.wants(c) })
		if len(wanted) == 0 {
			continue
		}
		t.Run(group, func(t *testing.T) {
			for _, c := range wanted {
				_, name, _ := strings.Cut(c.id, "/")
				t.Run(name, func(t *testing.T) {
					ran = true
					switch r := k.run(c); {
					case r.Status == Fail:
						t.Errorf("expected: %s\ngot: %s", r.Expect, r.Got)
					case r.Status == Skip:
						t.Skip(r.Got)
					case r.Got != "":
						t.Log(r.Got)
					}
				})
			}
		})
	}
	if !ran && len(o.Only) > 0 {
		t.Errorf("no check is named %s", strings.Join(o.Only, ", "))
	}
}

// Check runs the kit on a subject. Where ctx ends, what is left is skipped.
func Check(ctx context.Context, s Subject, o Options) *Report {
	start := time.Now()
	k := newKit(ctx, s, o)
	r := &Report{Method: k.info.Name, Version: k.info.Version}
	for _, c := range checks {
		if !k.wants(c) {
			continue
		}
		r.Results = append(r.Results, k.run(c))
		if o.Done != nil {
			o.Done(r.Results[len(r.Results)-1])
		}
	}
	r.Interrupted = ctx.Err() != nil
	r.Elapsed = time.Since(start)
	return r
}

// CheckInfo describes a check of the kit.
type CheckInfo struct {
	ID     string // such as "axioms/dummy"
	Expect string // a sentence: what is held
}

// Checks returns all checks, in the order in which they run.
func Checks() []CheckInfo {
	var out []CheckInfo
	for _, c := range checks {
		out = append(out, CheckInfo{c.id, c.expect})
	}
	return out
}

// check is one check.
type check struct {
	id     string
	expect string // a sentence: what is held
	run    func(k *kit) verdict
}

func (c check) group() string {
	group, _, _ := strings.Cut(c.id, "/")
	return group
}

// verdict is what a check found.
type verdict struct {
	status Status
	got    string
}

func passed(format string, args ...any) verdict { return verdict{Pass, fmt.Sprintf(format, args...)} }
func failed(format string, args ...any) verdict { return verdict{Fail, fmt.Sprintf(format, args...)} }
func skipped(format string, args ...any) verdict {
	return verdict{Skip, fmt.Sprintf(format, args...)}
}

// checks are all checks in the order in which they run: later ones rest on
// earlier ones.
var checks = slices.Concat(declarationChecks, parameterChecks, resultChecks, determinismChecks, axiomChecks, inputChecks, errorChecks, resourceChecks)

// groups returns the groups of checks in order.
func groups() []string {
	var out []string
	for _, c := range checks {
		if !slices.Contains(out, c.group()) {
			out = append(out, c.group())
		}
	}
	return out
}

// kit is the state of one check of a subject. One goroutine uses it.
type kit struct {
	ctx     context.Context
	subject Subject
	info    sdk.Info
	options Options

	params   sdk.Params   // of all runs
	invalid  error        // why there are none
	first    *explanation // of the base text; nil until asked for
	sessions map[sessionKey]*toy.Session
	stuck    bool // a run has not ended
	unsteady bool // the same run has given two results

	// What was seen over all runs.
	runs     int
	used     map[sdk.Need]bool
	progress finding
	log      finding
	mutation finding
}

// finding is what all runs showed of one thing: how often it was there, and the
// first that was wrong.
type finding struct {
	seen  int
	wrong string
}

func newKit(ctx context.Context, s Subject, o Options) *kit {
	if o.Tolerance == 0 {
		o.Tolerance = 1e-6
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 100 * time.Millisecond
	}
	k := &kit{ctx: ctx, subject: s, info: s.Info(), options: o, sessions: make(map[sessionKey]*toy.Session), used: make(map[sdk.Need]bool)}
	k.params, k.invalid = k.read(nil)
	return k
}

// read reads parameters beside those of all runs.
func (k *kit) read(more map[string]string) (sdk.Params, error) {
	given := maps.Clone(k.options.Params)
	if given == nil {
		given = make(map[string]string)
	}
	for name, value := range more {
		if p, ok := k.info.Param(name); ok { // an alias of it may be given
			maps.DeleteFunc(given, func(g, _ string) bool {
				other, ok := k.info.Param(g)
				return ok && other.Name == p.Name
			})
		}
		given[name] = value
	}
	if r, ok := k.subject.(ParamReader); ok {
		return r.Params(given)
	}
	return Params(k.info, given)
}

// wants reports whether the options ask for a check.
func (k *kit) wants(c check) bool {
	return len(k.options.Only) == 0 || slices.Contains(k.options.Only, c.id) || slices.Contains(k.options.Only, c.group())
}

// run runs a check.
func (k *kit) run(c check) Result {
	start := time.Now()
	var v verdict
	switch {
	case k.ctx.Err() != nil:
		v = skipped("interrupted")
	case k.stuck:
		v = skipped("an earlier run has not ended, and goes on beside this one")
	default:
		v = c.run(k)
		if k.ctx.Err() != nil {
			v = skipped("interrupted")
		}
	}
	return Result{ID: c.id, Group: c.group(), Expect: c.expect, Status: v.status, Got: v.got, Elapsed: time.Since(start)}
}
