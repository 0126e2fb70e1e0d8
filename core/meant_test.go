package core

import (
	"errors"
	"strings"
	"testing"

	"github.com/xai-go/xai/plugins"
	"github.com/xai-go/xai/registry"
)

// builtinHost returns a host of the built-in methods alone.
func builtinHost(t *testing.T) *Host {
	t.Helper()
	host, err := New(Options{Methods: Builtin(plugins.Builtin()), BuiltinOnly: true, CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

// TestMethodsMeant: a name that the field has for a method, or for several, leads to
// them; one that is nothing, nowhere.
func TestMethodsMeant(t *testing.T) {
	host := builtinHost(t)
	const list = "see xai methods list"
	for name, want := range map[string]string{
		"shap":                     "did you mean kernel-shap, partition-shap, permutation-shap, sampling-shap, exact-shap or gradient-shap? ",
		"SHAP":                     "did you mean kernel-shap, partition-shap, ",
		"kernelshap":               "did you mean kernel-shap? ",
		"Kernel_SHAP":              "did you mean kernel-shap? ",
		"ShapleyValueSampling":     "did you mean sampling-shap or permutation-shap? ",
		"ig":                       "did you mean integrated-gradients? ",
		"integrated_gradients":     "did you mean integrated-gradients? ",
		"IntegratedGradients":      "did you mean integrated-gradients? ",
		"gradient":                 "did you mean saliency, ",
		"rollout":                  "did you mean attention-rollout? ",
		"flow":                     "did you mean attention-flow? ",
		"loo":                      "did you mean leave-one-out? ",
		"occlusion_1":              "did you mean leave-one-out or occlusion? ",
		"gradcam":                  "what comes near is chefer -p variant=attn-gradcam; ",
		"Grad-CAM":                 "what comes near is chefer -p variant=attn-gradcam; ",
		"DeepLift":                 "what comes near are integrated-gradients and input-x-gradient; ",
		"captum":                   "did you mean saliency, input-x-gradient, integrated-gradients, smoothgrad, ",
		"vit_explain":              "did you mean attention-rollout -p compat=vit-explain? ",
		"vargrad":                  "did you mean smoothgrad -p variant=vargrad? ",
		"lrp":                      "did you mean chefer -p variant=lrp? ",
		"lmie":                     "did you mean lime? ",
		"none":                     "",
		"xyzzy":                    "",
		"":                         "",
		"--":                       "",
		strings.Repeat("ig", 1000): "",
	} {
		_, _, err := host.Method(name)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Kind != KindUsage || !strings.HasPrefix(e.Hint, want) || !strings.HasSuffix(e.Hint, list) || want == "" && e.Hint != list {
			t.Errorf("%.20q: %+v, want the hint %q", name, err, want+list)
		}
	}
	if _, _, err := host.Method("captum"); !strings.Contains(err.(*Error).Hint, " or sampling-shap, with -p compat=captum? ") {
		t.Errorf("captum: %q", err.(*Error).Hint)
	}
}

// TestMethodsElsewhere: what the table names is there, its parameters too, and no name
// stands in it twice or is that of a method.
func TestMethodsElsewhere(t *testing.T) {
	host := builtinHost(t)
	file, err := registry.Parse(plugins.Builtin().Registry, "methods.toml")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, m := range file.Methods {
		seen[plainName(m.Name)] = true
	}
	for _, other := range elsewhere {
		for _, name := range strings.Fields(other.names) {
			if seen[name] || plainName(name) != name {
				t.Errorf("%s is there twice, is a method, or is never found", name)
			}
			seen[name] = true
		}
		for _, m := range other.methods {
			name, param, found := strings.Cut(m, " -p ")
			params := make(map[string]string)
			if key, value, _ := strings.Cut(param, "="); found {
				params[key] = value
			}
			if _, err := host.Params(name, params); err != nil {
				t.Errorf("%s: %v", m, err)
			}
		}
	}
}

// TestMethodsMeantElsewhere: methods that are not declared are not named.
func TestMethodsMeantElsewhere(t *testing.T) {
	file, err := registry.Parse([]byte("schema = 1\n[[method]]\nname = \"exact-shap\"\nkind = \"wasm\"\nurl = \"m.wasm\"\nabi = \"1.0\"\nversion = \"1.0.0\"\nsha256 = \""+strings.Repeat("0", 64)+"\"\n"), "methods.toml")
	if err != nil {
		t.Fatal(err)
	}
	var declared []registry.Entry
	for _, m := range file.Methods {
		declared = append(declared, registry.Entry{Method: m})
	}
	for name, want := range map[string]string{"shap": "did you mean exact-shap?", "ig": "", "deeplift": "", "captum": ""} {
		if got := meant(name, "", declared); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
