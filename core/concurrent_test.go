package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/xai-go/xai/core"
)

// transports are what the tests of many explanations at once run methods in.
var transports = []string{core.RuntimeWASM, core.RuntimeNative, core.RuntimeProcess}

// Explanations at the same time, in mixed transports, are each what they are
// alone, and the end of one is no matter to the others.
func TestManyExplanationsAtOnce(t *testing.T) {
	host := newHost(t, core.Options{Cache: -1}) // none is spared by another's answers
	model := open(t, host, "builtin:sentiment-en")
	request := func(i int) core.Request {
		texts := []string{sentence, "Not bad at all.", "I have seldom been so bored.", "So-so: the end saves it."}
		return core.Request{
			Input: core.Input{Text: texts[i%len(texts)]}, Seed: uint64(i % 3), Runtime: transports[i%len(transports)],
			Params: map[string]string{"num_samples": fmt.Sprint(40 + i%5), "fill": []string{"mask", "delete"}[i%2]},
		}
	}
	const n = 64
	alone := make([][]byte, n)
	for i := range alone {
		r := request(i)
		r.Runtime = core.RuntimeNative
		x, err := host.Explain(t.Context(), model, r)
		if err != nil {
			t.Fatal(err)
		}
		alone[i] = bare(t, x)
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			x, err := host.Explain(t.Context(), model, request(i))
			if err != nil {
				t.Errorf("explanation %d: %v", i, err)
			} else if got := bare(t, x); string(got) != string(alone[i]) {
				t.Errorf("explanation %d, in %s: other bytes\n%s\nwant\n%s", i, request(i).Runtime, got, alone[i])
			}
		})
		if i%8 > 0 {
			continue
		}
		all.Go(func() { // ended midway
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := request(i / 8)
			r.Params["num_samples"] = "5000"
			r.Progress = func(done, total int) { cancel() }
			if _, err := host.Explain(ctx, model, r); !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled explanation in %s: %v", r.Runtime, err)
			}
		})
	}
	all.Wait()
}

// bare returns the JSON of an explanation without what depends on its transport.
func bare(t *testing.T, x *core.Explanation) []byte {
	t.Helper()
	x.Method.Runtime, x.Provenance.Sandbox = "", ""
	return marshal(t, x)
}

// TestErrorsAlike: what the host refuses of what the user asked for ends alike
// wherever the method runs: with the same reason, hint and exit code.
func TestErrorsAlike(t *testing.T) {
	host := newHost(t, core.Options{})
	model := open(t, host, "builtin:sentiment-en")
	for name, c := range map[string]struct {
		method string
		params map[string]string
		kind   core.Kind
		says   string
	}{
		"no such point":     {"saliency", map[string]string{"layer": "nosuch"}, core.KindUsage, "nosuch"},
		"no gradient there": {"saliency", map[string]string{"layer": "hook_tokens"}, core.KindInput, "hook_tokens"},
		"several points":    {"saliency", map[string]string{"layer": "blocks.*.hook_resid_pre"}, core.KindUsage, ""},
		"an output's name":  {"saliency", map[string]string{"layer": "logits"}, core.KindUsage, "logits"},
	} {
		t.Run(name, func(t *testing.T) {
			var ends []*core.Error
			for _, runtime := range transports {
				_, err := host.Explain(t.Context(), model, core.Request{Input: core.Input{Text: "A good film."}, Method: c.method, Params: c.params, Runtime: runtime})
				e, ok := errors.AsType[*core.Error](err)
				if !ok || e.Kind != c.kind || !strings.Contains(e.Msg, c.says) {
					t.Fatalf("%s: %v, of kind %d, want %d and %q", runtime, err, core.KindOf(err), c.kind, c.says)
				}
				ends = append(ends, e)
			}
			host := strings.TrimPrefix(ends[0].Msg, "method "+c.method+": ") // before which a method may say more
			for i, e := range ends {
				if !strings.HasSuffix(e.Msg, host) || e.Hint != ends[0].Hint {
					t.Errorf("%s: %q (%s)\n%s: %q (%s)", transports[0], ends[0].Msg, ends[0].Hint, transports[i], e.Msg, e.Hint)
				}
			}
		})
	}
}
