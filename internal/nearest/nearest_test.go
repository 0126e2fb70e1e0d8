package nearest

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	methods := []string{"lime", "kernel-shap", "partition-shap", "exact-shap", "saliency", "attention", "attention-rollout"}
	for _, c := range []struct {
		name, given, want string
	}{
		{"transposed", "lmie", "lime"},
		{"letter case", "LIME", "lime"},
		{"one letter short", "saliecy", "saliency"},
		{"other separator", "kernel_shap", "kernel-shap"},
		{"two letters wrong", "atention-rolout", "attention-rollout"},
		{"a part of the name", "rollout", "attention-rollout"},
		{"the shortest that contains it", "shap", "exact-shap"},
		{"far from all", "integrated-gradients", ""},
		{"a single letter", "x", ""},
		{"empty", "", ""},
		{"too long", strings.Repeat("l", maxLen+1), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Of(c.given, methods)
			if got != c.want || ok != (c.want != "") {
				t.Errorf("Of(%q) = %q, %v, want %q", c.given, got, ok, c.want)
			}
		})
	}
	if got, ok := Of("lime", nil); ok {
		t.Errorf("Of without candidates = %q", got)
	}
	if got, _ := Of("shop", []string{"shap", "ship"}); got != "shap" {
		t.Errorf("of equally near candidates the first wins, got %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3},
		{"ab", "ba", 1}, {"ca", "abc", 3}, {"naïve", "naive", 1},
	} {
		if got := distance([]rune(c.a), []rune(c.b)); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
