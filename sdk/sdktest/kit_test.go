package sdktest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// text returns a report as people read it.
func text(t *testing.T, r *sdktest.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// ids returns the checks that came out so.
func ids(r *sdktest.Report, s sdktest.Status) []string {
	var out []string
	for _, result := range r.Results {
		if result.Status == s {
			out = append(out, result.ID)
		}
	}
	return out
}

// TestGoodMethods: methods of all kinds pass, and what is skipped is what does
// not apply to them.
func TestGoodMethods(t *testing.T) {
	const verify, description, instance, handles, fuel = "declaration/verify", "declaration/description", "determinism/instance", "resources/handles", "resources/fuel"
	const aliases, values, exact, efficiency, progress, log = "parameters/aliases", "parameters/values", "axioms/exact", "axioms/efficiency", "resources/progress", "resources/log"
	inside := []string{"axioms/linear", exact, "axioms/dummy", "axioms/symmetry", "axioms/interaction", efficiency, "inputs/beyond-limits"}
	process := []string{verify, description, instance, handles, fuel}
	join := func(lists ...[]string) []string { return slices.Concat(lists...) }
	for _, c := range []struct {
		name    string
		subject sdktest.Subject
		options sdktest.Options
		skipped []string
	}{
		{"occlusion", sdktest.Method(occlusion{}), sdktest.Options{Exact: true}, join(process, []string{efficiency})},
		{"constructed", sdktest.Constructor(func() sdk.Method { return occlusion{} }), sdktest.Options{Exact: true}, []string{verify, description, handles, fuel, efficiency}},
		{"counted", counted(nil), sdktest.Options{Exact: true}, []string{efficiency}},
		{"shapley", sdktest.Method(shapley{}), sdktest.Options{Exact: true, Additive: true}, join(process, []string{progress, log})},
		{"shapley, set", sdktest.Method(shapley{}), sdktest.Options{Exact: true, Additive: true, Params: map[string]string{"npermutations": "10"}}, join(process, []string{progress, log})},
		{"gradient", sdktest.Method(gradients{name: "gradient", magnitude: true}), sdktest.Options{}, join(process, []string{aliases, values, exact, efficiency, progress, log})},
		{"gradient times input", sdktest.Method(gradients{name: "input-x-gradient"}), sdktest.Options{Exact: true}, join(process, []string{aliases, values, efficiency, progress, log})},
		{"integrated gradients", sdktest.Method(gradients{name: "integrated-gradients", steps: 20}), sdktest.Options{Exact: true, Additive: true, Tolerance: 0.02}, join(process, []string{aliases, values, progress, log})},
		{"attention", sdktest.Method(attention{}), sdktest.Options{}, join(process, inside, []string{aliases, values, progress, log})},
		{"patching", sdktest.Method(patching{}), sdktest.Options{}, join(process, inside, []string{aliases, values, progress, log})},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := sdktest.Check(t.Context(), c.subject, c.options)
			if !r.OK() {
				t.Errorf("%s", text(t, r))
			}
			var want []string
			for _, check := range sdktest.Checks() {
				if slices.Contains(c.skipped, check.ID) {
					want = append(want, check.ID)
				}
			}
			if diff := cmp.Diff(want, ids(r, sdktest.Skip)); diff != "" {
				t.Errorf("skipped: %s%s", diff, text(t, r))
			}
		})
	}
}

// TestSmallMethods: a method that refuses long texts, with a message, is told up to
// which size it explains, and what is measured at others is measured there.
func TestSmallMethods(t *testing.T) {
	atMost := func(n int, code sdk.Errno) sdktest.Subject {
		return ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
			if len(r.Units) > n {
				return sdk.NewError(code, "the input has more units than the method takes: use sentences")
			}
			return nil
		})
	}
	for name, c := range map[string]struct {
		subject sdktest.Subject
		status  sdktest.Status
		got     string
	}{
		"sixteen": {atMost(16, sdk.EInvalid), sdktest.Skip, "512 tokens are refused, and 16 are explained: EINVAL: the input has more units"},
		"a quota": {atMost(300, sdk.EQuota), sdktest.Skip, "512 tokens are refused, and 256 are explained: EQUOTA"},
		"none": {ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
			if strings.HasPrefix(r.Text, "w100 ") {
				return sdk.NewError(sdk.EInvalid, "too long")
			}
			return nil
		}), sdktest.Fail, "texts of 8 tokens and more are refused: EINVAL: too long"},
		"for no reason": {atMost(100, sdk.EInternal), sdktest.Fail, "EINTERNAL"},
		"the middle": {ahead(func(_ context.Context, _ sdk.Model, r *sdk.Request) error {
			switch n := len(r.Units); {
			case n > 256:
				return sdk.NewError(sdk.EInvalid, "too long")
			case n > 100:
				return sdk.NewError(sdk.EInternal, "out of range")
			}
			return nil
		}), sdktest.Fail, "512 tokens are refused, and of 256: EINTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			r := sdktest.Check(t.Context(), c.subject, sdktest.Options{Only: []string{"inputs/long"}, Params: map[string]string{"replacement": "delete"}})
			if got := r.Results[0]; got.Status != c.status || !strings.Contains(got.Got, c.got) {
				t.Errorf("%v: %s, want %v: %s", got.Status, got.Got, c.status, c.got)
			}
		})
	}
	r := sdktest.Check(t.Context(), counted(func(s *counting) { s.Subject = atMost(16, sdk.EInvalid) }), sdktest.Options{Only: []string{"resources/handles"}})
	if got := r.Results[0]; got.Status != sdktest.Pass {
		t.Errorf("%v: %s", got.Status, got.Got)
	}
}

// TestHang: a method that does not end costs its check, and what would run beside
// it is skipped.
func TestHang(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	r := sdktest.Check(t.Context(), ahead(func(ctx context.Context, _ sdk.Model, r *sdk.Request) error {
		if strings.Contains(r.Text, "Is it?") {
			<-release
		}
		return nil
	}), sdktest.Options{Timeout: time.Second, Grace: time.Millisecond, Only: []string{"parameters", "inputs/sentences", "inputs/chinese", "resources/log"}})
	if diff := cmp.Diff([]string{"inputs/sentences"}, ids(r, sdktest.Fail)); diff != "" {
		t.Errorf("failed: %s", diff)
	}
	if diff := cmp.Diff([]string{"inputs/chinese", "resources/log"}, ids(r, sdktest.Skip)); diff != "" {
		t.Errorf("skipped: %s", diff)
	}
}

// TestSlow: a method that ends with its deadline is told so.
func TestSlow(t *testing.T) {
	r := sdktest.Check(t.Context(), ahead(func(ctx context.Context, _ sdk.Model, _ *sdk.Request) error {
		<-ctx.Done()
		return ctx.Err()
	}), sdktest.Options{Timeout: 10 * time.Millisecond, Only: []string{"parameters/defaults"}})
	if got := r.Results[0]; got.Status != sdktest.Fail || got.Got != "it ran longer than 10ms" {
		t.Errorf("got %+v", got)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var done []string
	r := sdktest.Check(ctx, sdktest.Method(occlusion{}), sdktest.Options{Done: func(r sdktest.Result) {
		if done = append(done, r.ID); r.ID == "results/finite" {
			cancel()
		}
	}})
	if r.OK() || !r.Interrupted || len(done) != len(sdktest.Checks()) {
		t.Errorf("%d of %d checks are told, and the report is %s", len(done), len(sdktest.Checks()), text(t, r))
	}
	for _, result := range r.Results {
		if late := !slices.Contains(done[:10], result.ID); late && (result.Status != sdktest.Skip || result.Got != "interrupted") {
			t.Errorf("%+v", result)
		}
	}
}

// TestRun runs the kit as an author does, in a process of its own where it has to
// fail.
func TestRun(t *testing.T) {
	sdktest.Run(t, occlusion{}, sdktest.Options{Exact: true, Params: map[string]string{"replacement": "delete"}, Only: []string{"inputs", "axioms/exact"}})
	if os.Getenv("SDKTEST_FAILS") != "" {
		t.Run("bad", func(t *testing.T) {
			sdktest.Run(t, shapley{}, sdktest.Options{Exact: true, Tolerance: -1, Only: []string{"axioms/exact", "axioms/symmetry", "declaration/verify"}})
		})
		t.Run("none", func(t *testing.T) { sdktest.Run(t, shapley{}, sdktest.Options{Only: []string{"axiom"}}) })
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRun$", "-test.v")
	cmd.Env = append(os.Environ(), "SDKTEST_FAILS=1")
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		t.Fatalf("the process ends with %v", err)
	}
	for _, want := range []string{
		"--- FAIL: TestRun/bad/axioms/exact", "--- PASS: TestRun/bad/axioms/symmetry", "--- SKIP: TestRun/bad/declaration/verify",
		"--- FAIL: TestRun/none", "no check is named axiom", "got: the largest gap is", "--- PASS: TestRun/inputs/long",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}
