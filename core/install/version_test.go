package install

import "testing"

func TestAbove(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1.2.0", "1.1.9", true}, {"1.10.0", "1.9.0", true}, {"1.2.0", "1.2.0", false}, {"1.1.0", "1.2.0", false},
		{"1.0.0", "1.0.0-rc.1", true}, {"1.0.0-rc.1", "1.0.0", false}, {"1.0.0+b", "1.0.0", false}, {"2.0.0-a", "1.0.0", true},
	} {
		if got := above(c.a, c.b); got != c.want {
			t.Errorf("above(%s, %s) = %t", c.a, c.b, got)
		}
	}
}
