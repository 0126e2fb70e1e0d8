package core_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/xai-go/xai/core"
)

// TestExplainInt8: an explanation in 8 bits says how far it is from that in
// float32: the target of the unchanged input and of some variants, and, where
// there are few of them, the attributions.
func TestExplainInt8(t *testing.T) {
	const value, variants, mean, largest, attributed = "float32_value", "float32_variants", "float32_change_mean", "float32_change_largest", "float32_attribution_change"
	exact, rounded := newHost(t, core.Options{}), newHost(t, core.Options{DType: "int8"})
	m32, m8 := open(t, exact, "builtin:sentiment-en"), open(t, rounded, "builtin:sentiment-en")
	for _, samples := range []string{"40", "200", "40"} {
		params := map[string]string{"num_samples": samples}
		want, got := explain(t, exact, m32, 3, params), explain(t, rounded, m8, 3, params)
		for name := range want.Diagnostics {
			if strings.HasPrefix(name, "float32") {
				t.Errorf("in float32: a diagnostic %s", name)
			}
		}
		d := got.Diagnostics
		if got.Provenance.DType != "int8" || got.Target.Value == want.Target.Value || got.Target.Index != want.Target.Index || d[value] != want.Target.Value {
			t.Errorf("%s %v, and in float32 %v, which is %v", got.Provenance.DType, got.Target, d[value], want.Target)
		}
		if !(d[mean] > 0 && d[mean] <= d[largest] && d[largest] < 0.05) {
			t.Errorf("changes are %v on average and %v at most", d[mean], d[largest])
		}
		change, ok := d[attributed]
		if samples == "200" {
			if n := int(d[variants]); n != 64 || ok || d["unique_evaluations"] <= 64 {
				t.Errorf("%d of %v variants were compared, and the attributions: %v", n, d["unique_evaluations"], ok)
			}
			continue
		}
		if d[variants] != d["unique_evaluations"]-1 || d["unique_evaluations"] != want.Diagnostics["unique_evaluations"] {
			t.Errorf("%v of %v variants, without the unchanged input, were compared", d[variants], d["unique_evaluations"])
		}
		most := 0.0
		for i, v := range want.Attributions[0].Values {
			most = max(most, math.Abs(float64(v-got.Attributions[0].Values[i])))
		}
		if !ok || float64(change) != most || most == 0 {
			t.Errorf("attributions change by %v, they say, and by %v", change, most)
		}
	}
}

// TestExplainInt8Target: both formats explain the same, what is asked for or
// else the class that 8 bits find.
func TestExplainInt8Target(t *testing.T) {
	host := newHost(t, core.Options{DType: "int8"})
	m := open(t, host, "builtin:sentiment-en")
	for _, target := range []string{"0", "1", "NEGATIVE - POSITIVE"} {
		r := request(3, map[string]string{"num_samples": "20"})
		r.Target = target
		x, err := host.Explain(context.Background(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		if change := math.Abs(float64(x.Target.Value - x.Diagnostics["float32_value"])); change > 0.05 {
			t.Errorf("%s: %v, and %v in float32", target, x.Target.Value, x.Diagnostics["float32_value"])
		}
	}
	m.Close()
	if _, err := host.Explain(context.Background(), m, request(4, nil)); err == nil || strings.Contains(err.Error(), "panic") {
		t.Errorf("a closed model: %v", err)
	}
}

// TestExplainInt8Memory: where the model in float32 does not fit beside the one
// in 8 bits, the error says why there is to be one.
func TestExplainInt8Memory(t *testing.T) {
	r := request(3, map[string]string{"num_samples": "20"})
	said := false
	for memory := int64(5 << 20); ; memory += 64 << 10 {
		host := newHost(t, core.Options{DType: "int8", Memory: memory, Threads: 1})
		m, err := host.OpenModel(context.Background(), "builtin:sentiment-en")
		if err == nil {
			_, err = host.Explain(context.Background(), m, r)
			m.Close()
		}
		if err == nil {
			break
		}
		e, ok := errors.AsType[*core.Error](err)
		if !ok || e.Kind != core.KindInput {
			t.Fatalf("%d bytes: %v", memory, err)
		}
		said = said || strings.Contains(e.Msg, "f32") && strings.Contains(e.Hint, "is compared with float32")
	}
	if !said {
		t.Error("no budget is too small for float32 alone")
	}
}
