package sdktest_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// bent is occlusion with something wrong.
type bent struct {
	info    func(i *sdk.Info)
	explain func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error)
}

func (b *bent) Info() sdk.Info {
	i := occlusion{}.Info()
	if b.info != nil {
		b.info(&i)
	}
	return i
}

func (b *bent) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
	if b.explain == nil {
		return occlusion{}.Explain(ctx, m, r)
	}
	return b.explain(ctx, m, r)
}

// result is a method that is wrong in what it returns.
func result(change func(e *sdk.Explanation, r *sdk.Request)) sdktest.Subject {
	return sdktest.Method(&bent{explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
		e, err := occlusion{}.Explain(ctx, m, r)
		if err == nil {
			change(e, r)
		}
		return e, err
	}})
}

// ahead is a method that is wrong before it begins.
func ahead(f func(ctx context.Context, m sdk.Model, r *sdk.Request) error) sdktest.Subject {
	return sdktest.Method(&bent{explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
		if err := f(ctx, m, r); err != nil {
			return nil, err
		}
		return occlusion{}.Explain(ctx, m, r)
	}})
}

// declares is a method that is wrong in how it describes itself.
func declares(change func(i *sdk.Info)) sdktest.Subject {
	return sdktest.Method(&bent{info: change})
}

// onText fails where a text has something.
func onText(has func(r *sdk.Request) bool) sdktest.Subject {
	return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
		if has(r) {
			panic("index out of range")
		}
		return nil
	})
}

func only(table *unicode.RangeTable) func(r *sdk.Request) bool {
	return func(r *sdk.Request) bool {
		return strings.ContainsFunc(r.Text, func(c rune) bool { return unicode.Is(table, c) })
	}
}

// of changes the value of a word.
func of(word string, value float64) sdktest.Subject {
	return result(func(e *sdk.Explanation, r *sdk.Request) {
		for i, u := range r.Units {
			if u.Text == word {
				e.Attributions[0].Values[i] = value
			}
		}
	})
}

// refusing returns the error of a refusal.
func refusing(when func(r *sdk.Request) bool, err error) sdktest.Subject {
	return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
		if when(r) {
			return err
		}
		return nil
	})
}

// counting is a subject that counts what processes and modules use.
type counting struct {
	sdktest.Subject
	usage func(n int64) sdktest.Usage // of the nth run
	need  int64                       // instructions that a run really takes

	runs            atomic.Int64
	verify          error
	section, export []byte
	accepts         bool
	instance        sdktest.Subject
	grants          bool
}

func (s *counting) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, sdktest.Usage, error) {
	e, u, err := s.Subject.Explain(ctx, m, r)
	if s.usage != nil {
		u = s.usage(s.runs.Add(1))
	}
	return e, u, err
}

func (s *counting) ExplainWithin(ctx context.Context, m sdk.Model, r *sdk.Request, l sdktest.Limits) (*sdk.Explanation, sdktest.Usage, error) {
	if l.Fuel < s.need {
		return nil, sdktest.Usage{}, errors.New("used up its fuel")
	}
	return s.Explain(ctx, m, r)
}

func (s *counting) Verify(context.Context) error { return s.verify }

func (s *counting) Describe(context.Context) (section, export []byte, err error) {
	return s.section, s.export, nil
}

func (s *counting) Params(given map[string]string) (sdk.Params, error) {
	if s.accepts {
		clean := map[string]string{}
		for name, v := range given {
			if _, ok := s.Info().Param(name); ok {
				clean[name] = v
			}
		}
		given = clean
	}
	return sdktest.Params(s.Info(), given)
}

func (s *counting) Instance(context.Context) (sdktest.Subject, error) {
	if s.instance != nil {
		return s.instance, nil
	}
	return s.Subject, nil
}

func (s *counting) ExplainGranted(ctx context.Context, m sdk.Model, r *sdk.Request, needs []sdk.Need) (*sdk.Explanation, sdktest.Usage, error) {
	if s.grants {
		return s.Explain(ctx, m, r)
	}
	return s.Subject.(sdktest.Granter).ExplainGranted(ctx, m, r, needs)
}

// counted returns a good subject that counts.
func counted(change func(s *counting)) sdktest.Subject {
	s := &counting{
		Subject: sdktest.Method(occlusion{}), need: 1000,
		section: []byte(`{"name":"occlusion"}`), export: []byte(`{"name":"occlusion"}`),
		usage: func(int64) sdktest.Usage {
			return sdktest.Usage{Fuel: 1000, MemoryBytes: 1 << 20, HostCalls: 5, Handles: 3, OpenHandles: 1}
		},
	}
	if change != nil {
		change(s)
	}
	return s
}

// shared is what several runs share.
type shared struct {
	mu      sync.Mutex
	texts   map[string]bool
	running int
	failed  bool
	leak    [][]byte
}

func (s *shared) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// slow are checks that are left out where they are not meant.
var slow = []string{"inputs/long", "inputs/beyond-limits", "resources/memory"}

// TestBadMethods: each of these breaks one rule, and fails that check and no
// other.
func TestBadMethods(t *testing.T) {
	noNeeds := func(i *sdk.Info) { i.Needs = nil }
	param := func(change func(p *sdk.Param)) sdktest.Subject {
		return declares(func(i *sdk.Info) {
			i.Params = slices.Clone(i.Params)
			change(&i.Params[1])
		})
	}
	values := func(f func(values []float64, r *sdk.Request)) sdktest.Subject {
		return result(func(e *sdk.Explanation, r *sdk.Request) { f(e.Attributions[0].Values, r) })
	}
	has := func(part string) func(r *sdk.Request) bool {
		return func(r *sdk.Request) bool { return strings.Contains(r.Text, part) }
	}
	for _, c := range []struct {
		name    string
		subject func() sdktest.Subject
		options sdktest.Options
		want    string
	}{
		{"does not verify", func() sdktest.Subject {
			return counted(func(s *counting) { s.verify = errors.New("imports a socket") })
		}, sdktest.Options{}, "declaration/verify"},
		{"is not sealed", func() sdktest.Subject { return counted(func(s *counting) { s.section = nil }) }, sdktest.Options{}, "declaration/description"},
		{"is sealed otherwise", func() sdktest.Subject { return counted(func(s *counting) { s.export = []byte(`{"name":"x"}`) }) }, sdktest.Options{}, "declaration/description"},
		{"is sealed with something else", func() sdktest.Subject { return counted(func(s *counting) { s.section = []byte(`{`) }) }, sdktest.Options{}, "declaration/description"},
		{"bad name", func() sdktest.Subject { return declares(func(i *sdk.Info) { i.Name = "My Method" }) }, sdktest.Options{}, "declaration/info"},
		{"bad version", func() sdktest.Subject { return declares(func(i *sdk.Info) { i.Version = "1.0" }) }, sdktest.Options{}, "declaration/info"},
		{"no summary", func() sdktest.Subject { return declares(func(i *sdk.Info) { i.Summary = "" }) }, sdktest.Options{}, "declaration/info"},
		{"unknown need", func() sdktest.Subject {
			return declares(func(i *sdk.Info) { i.Needs = append(i.Needs, "network") })
		}, sdktest.Options{}, "declaration/info"},
		{"need twice", func() sdktest.Subject {
			return declares(func(i *sdk.Info) { i.Needs = append(i.Needs, sdk.NeedForward) })
		}, sdktest.Options{}, "declaration/info"},
		{"no documentation", func() sdktest.Subject { return param(func(p *sdk.Param) { p.Doc = "" }) }, sdktest.Options{}, "declaration/info"},
		{"two parameters of a name", func() sdktest.Subject { return param(func(p *sdk.Param) { p.Aliases = []string{"times", "times"} }) }, sdktest.Options{}, "declaration/info"},
		{"preset of nothing", func() sdktest.Subject {
			return param(func(p *sdk.Param) { p.Compat = map[string]any{"lime": 1.0} })
		}, sdktest.Options{}, "declaration/info"},
		{"changes its description", func() sdktest.Subject {
			var n atomic.Int64
			return declares(func(i *sdk.Info) { i.Source = strings.Repeat("x", int(n.Add(1))%7) })
		}, sdktest.Options{}, "declaration/info"},
		{"undeclared need", func() sdktest.Subject { return declares(noNeeds) }, sdktest.Options{}, "declaration/needs"},
		{"takes any parameter", func() sdktest.Subject { return counted(func(s *counting) { s.accepts = true }) }, sdktest.Options{}, "parameters/unknown"},
		{"cannot run", func() sdktest.Subject {
			return refusing(func(*sdk.Request) bool { return true }, sdk.NewError(sdk.EInvalid, "no"))
		}, sdktest.Options{}, "parameters/defaults"},
		{"panics", func() sdktest.Subject { return onText(func(*sdk.Request) bool { return true }) }, sdktest.Options{}, "parameters/defaults"},
		{"returns nothing", func() sdktest.Subject {
			return sdktest.Method(&bent{explain: func(context.Context, sdk.Model, *sdk.Request) (*sdk.Explanation, error) { return nil, nil }})
		}, sdktest.Options{}, "parameters/defaults"},
		{"set to what there is not", func() sdktest.Subject { return sdktest.Method(occlusion{}) }, sdktest.Options{Params: map[string]string{"fil": "mask"}}, "parameters/defaults"},
		{"panics for a value", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return r.Params.String("fill") == "hide" })
		}, sdktest.Options{}, "parameters/values"},
		{"refuses a bound without a message", func() sdktest.Subject {
			return refusing(func(r *sdk.Request) bool { return r.Params.Float("scale") == 2 }, sdk.NewError(sdk.EInvalid, ""))
		}, sdktest.Options{}, "parameters/values"},
		{"too few values", func() sdktest.Subject {
			return result(func(e *sdk.Explanation, _ *sdk.Request) { e.Attributions[0].Values = e.Attributions[0].Values[1:] })
		}, sdktest.Options{}, "results/valid"},
		{"another name", func() sdktest.Subject {
			return result(func(e *sdk.Explanation, _ *sdk.Request) { e.Attributions[0].Name = "shap" })
		}, sdktest.Options{}, "results/valid"},
		{"the host's diagnostic", func() sdktest.Subject {
			return result(func(e *sdk.Explanation, _ *sdk.Request) { e.Diagnostics = []sdk.Diagnostic{{Name: "evaluations"}} })
		}, sdktest.Options{}, "results/valid"},
		{"NaN", func() sdktest.Subject {
			return values(func(v []float64, r *sdk.Request) {
				if has("gripping")(r) {
					v[1] = math.NaN()
				}
			})
		}, sdktest.Options{}, "results/finite"},
		{"nothing but 0", func() sdktest.Subject {
			return values(func(v []float64, r *sdk.Request) {
				if has("gripping")(r) {
					clear(v)
				}
			})
		}, sdktest.Options{}, "results/finite"},
		{"random", func() sdktest.Subject {
			var n atomic.Int64
			return values(func(v []float64, r *sdk.Request) {
				if has("gripping")(r) {
					v[0] += float64(n.Add(1))
				}
			})
		}, sdktest.Options{}, "determinism/repeat"},
		{"instances differ", func() sdktest.Subject {
			return counted(func(s *counting) {
				s.instance = values(func(v []float64, _ *sdk.Request) { v[0]++ })
			})
		}, sdktest.Options{}, "determinism/instance"},
		{"remembers texts", func() sdktest.Subject {
			s := &shared{texts: map[string]bool{}}
			return values(func(v []float64, r *sdk.Request) {
				s.locked(func() { s.texts[r.Text] = true })
				if has("gripping")(r) && len(s.texts) > 2 {
					v[0]++
				}
			})
		}, sdktest.Options{}, "determinism/history"},
		{"remembers errors", func() sdktest.Subject {
			s := &shared{}
			return sdktest.Method(&bent{explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
				e, err := occlusion{}.Explain(ctx, m, r)
				s.locked(func() { s.failed = s.failed || err != nil && has("gripping")(r) })
				if err == nil && s.failed && has("gripping")(r) {
					e.Attributions[0].Values[0]++
				}
				return e, err
			}})
		}, sdktest.Options{}, "determinism/after-error"},
		{"fails for a seed", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return r.Seed > 1<<63 })
		}, sdktest.Options{}, "determinism/seed"},
		{"runs disturb each other", func() sdktest.Subject {
			// Each run waits a moment for another one to come.
			s := &shared{}
			return sdktest.Method(&bent{explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
				s.locked(func() { s.running++ })
				defer s.locked(func() { s.running-- })
				e, err := occlusion{}.Explain(ctx, m, r)
				if err != nil || r.Text != "it ends at last" {
					return e, err
				}
				for range 20 {
					s.locked(func() {
						if s.running > 1 {
							e.Attributions[0].Values[0]++
						}
					})
					time.Sleep(time.Millisecond)
				}
				return e, nil
			}})
		}, sdktest.Options{}, "determinism/concurrent"},
		{"ranks by place", func() sdktest.Subject {
			return values(func(v []float64, r *sdk.Request) {
				for i := range v {
					if has("superb")(r) {
						v[i] = float64(i)
					}
				}
			})
		}, sdktest.Options{}, "axioms/linear"},
		{"compresses", func() sdktest.Subject {
			return values(func(v []float64, r *sdk.Request) {
				for i := range v {
					if has("superb")(r) {
						v[i] = 10 + v[i]/10
					}
				}
			})
		}, sdktest.Options{}, "axioms/linear"},
		{"is not exact", func() sdktest.Subject {
			return values(func(v []float64, r *sdk.Request) {
				if has("superb")(r) {
					v[0] += 1e-4
				}
			})
		}, sdktest.Options{Exact: true}, "axioms/exact"},
		{"values a dummy", func() sdktest.Subject { return of("grey", 0.5) }, sdktest.Options{}, "axioms/dummy"},
		{"not symmetric", func() sdktest.Subject { return of("left", 1) }, sdktest.Options{}, "axioms/symmetry"},
		{"misses an interaction", func() sdktest.Subject { return of("storm", 0.1) }, sdktest.Options{}, "axioms/interaction"},
		{"is not additive", func() sdktest.Subject { return sdktest.Method(occlusion{}) }, sdktest.Options{Additive: true}, "axioms/efficiency"},
		{"panics without words", func() sdktest.Subject { return onText(func(r *sdk.Request) bool { return len(r.Units) == 0 }) }, sdktest.Options{}, "inputs/empty"},
		{"panics for one token", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return len(r.Units) == 1 && r.Text == "film" })
		}, sdktest.Options{}, "inputs/one-token"},
		{"wants different tokens", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return has("photography")(r) && len(r.Units) > 4 })
		}, sdktest.Options{}, "inputs/tokens"},
		{"wants words of one token", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return has("photography")(r) && len(r.Units) == 4 })
		}, sdktest.Options{}, "inputs/words"},
		{"knows no sentences", func() sdktest.Subject { return onText(has("Is it?")) }, sdktest.Options{}, "inputs/sentences"},
		{"has a buffer of 500", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return len(r.Units) == 512 })
		}, sdktest.Options{}, "inputs/long"},
		{"has a buffer of 2000", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return len(r.Units) > 2000 })
		}, sdktest.Options{}, "inputs/beyond-limits"},
		{"knows no Chinese", func() sdktest.Subject { return onText(only(unicode.Han)) }, sdktest.Options{}, "inputs/chinese"},
		{"knows no emoji", func() sdktest.Subject { return onText(has("😀")) }, sdktest.Options{}, "inputs/emoji"},
		{"knows no Arabic", func() sdktest.Subject { return onText(only(unicode.Arabic)) }, sdktest.Options{}, "inputs/right-to-left"},
		{"knows no marks", func() sdktest.Subject { return onText(has("e\u0301")) }, sdktest.Options{}, "inputs/combining"},
		{"ends at NUL", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return has("\x00")(r) && len(r.Units) > 0 })
		}, sdktest.Options{}, "inputs/odd-characters"},
		{"knows one text", func() sdktest.Subject { return onText(func(r *sdk.Request) bool { return r.TextPair != nil }) }, sdktest.Options{}, "inputs/pair"},
		{"wants a text", func() sdktest.Subject {
			return onText(func(r *sdk.Request) bool { return r.Text == "" && len(r.Units) > 0 })
		}, sdktest.Options{}, "inputs/token-ids"},
		{"is granted all", func() sdktest.Subject { return counted(func(s *counting) { s.grants = true }) }, sdktest.Options{}, "errors/needs"},
		{"another code", func() sdktest.Subject {
			return sdktest.Method(&bent{explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
				e, err := occlusion{}.Explain(ctx, m, r)
				if errors.Is(err, &sdk.Error{Code: sdk.EQuota}) {
					err = sdk.NewError(sdk.EInternal, "the forward failed")
				}
				return e, err
			}})
		}, sdktest.Options{}, "errors/host"},
		{"goes on after an error", func() sdktest.Subject {
			return sdktest.Method(&bent{explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
				e, err := occlusion{}.Explain(ctx, m, r)
				if errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) {
					e, err = &sdk.Explanation{Attributions: []sdk.Attribution{{Name: "attributions", Over: sdk.OverUnits, Values: make([]float64, len(r.Units))}}}, nil
				}
				return e, err
			}})
		}, sdktest.Options{}, "errors/host"},
		{"goes on without the user", func() sdktest.Subject {
			return sdktest.Method(&bent{explain: func(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, error) {
				// The host ends its calls, and the method computes on.
				e, err := occlusion{}.Explain(ctx, m, r)
				if ctx.Err() != nil && has("not a good")(r) {
					time.Sleep(30 * time.Millisecond)
				}
				return e, err
			}})
		}, sdktest.Options{Grace: 15 * time.Millisecond}, "errors/cancel"},
		{"leaves handles open", func() sdktest.Subject {
			return counted(func(s *counting) {
				s.usage = func(int64) sdktest.Usage {
					return sdktest.Usage{Handles: 64, OpenHandles: 64, MemoryBytes: 1, Fuel: 1000}
				}
			})
		}, sdktest.Options{}, "resources/handles"},
		{"grows in its instance", func() sdktest.Subject {
			return counted(func(s *counting) {
				s.usage = func(n int64) sdktest.Usage { return sdktest.Usage{Handles: 1, MemoryBytes: n << 14, Fuel: 1000} }
			})
		}, sdktest.Options{}, "resources/memory"},
		{"grows in process", func() sdktest.Subject {
			s := &shared{}
			return ahead(func(context.Context, sdk.Model, *sdk.Request) error {
				s.locked(func() { s.leak = append(s.leak, make([]byte, 4096)) })
				return nil
			})
		}, sdktest.Options{}, "resources/memory"},
		{"takes more than it says", func() sdktest.Subject { return counted(func(s *counting) { s.need = 1001 }) }, sdktest.Options{}, "resources/fuel"},
		{"takes less than it says", func() sdktest.Subject { return counted(func(s *counting) { s.need = 999 }) }, sdktest.Options{}, "resources/fuel"},
		{"goes backwards", func() sdktest.Subject {
			return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
				for _, done := range []int{0, 2, 1, 3} {
					if err := r.Progress(done, 3); err != nil {
						return err
					}
				}
				return nil
			})
		}, sdktest.Options{}, "resources/progress"},
		{"more than all", func() sdktest.Subject {
			return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error { return r.Progress(2, 1) })
		}, sdktest.Options{}, "resources/progress"},
		{"logs the text", func() sdktest.Subject {
			return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
				r.Log(sdk.Note, strings.Repeat(r.Text, 20))
				return nil
			})
		}, sdktest.Options{}, "resources/log"},
		{"logs for ever", func() sdktest.Subject {
			return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
				for range 2000 {
					r.Log(sdk.Note, "a line of thirty-eight bytes or so on")
				}
				return nil
			})
		}, sdktest.Options{}, "resources/log"},
		{"logs lines at once", func() sdktest.Subject {
			return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
				r.Log(sdk.Note, "one\ntwo")
				return nil
			})
		}, sdktest.Options{}, "resources/log"},
		{"changes the request", func() sdktest.Subject {
			return result(func(_ *sdk.Explanation, r *sdk.Request) {
				if len(r.Units[0].Text) > 0 {
					r.Units[0].Text = strings.ToUpper(r.Units[0].Text)
				}
			})
		}, sdktest.Options{}, "resources/request"},
		{"changes the target's positions", func() sdktest.Subject {
			return result(func(_ *sdk.Explanation, r *sdk.Request) { r.Target.Positions[0]++ })
		}, sdktest.Options{}, "resources/request"},
		{"changes the parameters", func() sdktest.Subject {
			return result(func(_ *sdk.Explanation, r *sdk.Request) { r.Params["scale"] = 3.0 })
		}, sdktest.Options{}, "resources/request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, check := range sdktest.Checks() {
				if check.ID == c.want || !slices.Contains(slow, check.ID) {
					c.options.Only = append(c.options.Only, check.ID)
				}
			}
			r := sdktest.Check(t.Context(), c.subject(), c.options)
			var failures []string
			for _, result := range r.Results {
				if result.Status == sdktest.Fail {
					failures = append(failures, result.ID)
					if !utf8.ValidString(result.Got) || result.Got == "" {
						t.Errorf("%s says %q", result.ID, result.Got)
					}
				}
			}
			if diff := cmp.Diff([]string{c.want}, failures); diff != "" {
				var b strings.Builder
				if err := r.WriteText(&b); err != nil {
					t.Fatal(err)
				}
				t.Errorf("failures: %s%s", diff, b.String())
			}
			if r.OK() {
				t.Error("the report is well")
			}
		})
	}
}
