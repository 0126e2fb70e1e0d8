package golden

import (
	"math"
	"testing"
)

func TestLoad(t *testing.T) {
	c := Load(t, "bert_seqcls")
	if c.Model != "bert-seqcls" || c.Method != "forward" {
		t.Errorf("model %q, method %q", c.Model, c.Method)
	}
	if ids := c.Ints(t, "input_ids"); len(ids) != 2*11 {
		t.Errorf("%d ids", len(ids))
	}
	if c.Ints(t, "position_ids") != nil {
		t.Error("an input that the case does not have")
	}
	if logits := c.Want(t, "logits"); len(logits) != 2*3 {
		t.Errorf("%d logits", len(logits))
	}
	if tolerance := c.Outputs["logits"].F32Atol; !(tolerance > 0 && tolerance < 1e-4) {
		t.Errorf("tolerance %v", tolerance)
	}
}

// recorder counts the errors of a comparison instead of failing.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }

func TestClose(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := map[string]struct {
		got, want []float64
		errors    int
	}{
		"equal":          {[]float64{1, nan, inf}, []float64{1, nan, inf}, 0},
		"within":         {[]float64{1.05}, []float64{1}, 0},
		"beyond":         {[]float64{1.2}, []float64{1}, 1},
		"length":         {[]float64{1}, []float64{1, 2}, 1},
		"NaN for number": {[]float64{nan}, []float64{1}, 1},
		"number for NaN": {[]float64{1}, []float64{nan}, 1},
		"infinite":       {[]float64{inf}, []float64{1}, 1},
		"wrong infinity": {[]float64{inf}, []float64{-inf}, 1},
	}
	for name, test := range tests {
		r := &recorder{TB: t}
		Close(r, name, test.got, test.want, 0.1)
		if r.errors != test.errors {
			t.Errorf("%s: %d errors, want %d", name, r.errors, test.errors)
		}
	}
}
