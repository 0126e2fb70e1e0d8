package fma_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/internal/fma"
)

// module writes a module of its own with the files and returns its folder.
func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/m\n\ngo 1.26\n"
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCheck judges one file whose lines say in a trailing comment, with the
// mark "want:", what is to be found on them. A line without it is to pass.
func TestCheck(t *testing.T) {
	const source = `package m

import (
	"math"
	"math/cmplx"
	r1 "math/rand"
	"math/rand/v2"
)

const half = 0.5 * 1.0

type angle float64

type real interface{ ~float32 | ~float64 }

type number interface{ real | ~int }

func products(x, y, z float64, f, g float32, a, b angle, i, j int) {
	_ = x*y + z                      // want: product
	_ = z - x*y                      // want: product
	_ = float64(x*y) + z
	_ = z + float64((x * y))
	_ = z + float64(-(x * y))
	_ = -(x * y) + z                 // want: product
	_ = (x * y) + z                  // want: product
	_ = float64(x*y*z) + x
	_ = x*y*z + x                    // want: product
	_ = x*y/z + x
	_ = x/(y*z) + x
	_ = x*y < z*x
	_ = int(x*y) + i*j
	_ = i*j + i
	_ = f*g + f                      // want: product
	_ = float32(f*g) + f
	_ = float64(f*g) + x             // want: product
	_ = float64(float32(f*g)) + x
	_ = float64(a*b) + x             // want: product
	_ = angle(a*b) + a
	_ = 2*x + y                      // want: product
	_ = half*2 + x
	_ = math.Sqrt(x * y)             // want: product
	_ = math.Sqrt(float64(x * y))
	t := x * y                       // want: product
	_ = t + z
	z *= x                           // want: *=
	z = float64(z * x)
	i *= j
	_ = []float64{x * y}             // want: product
	_ = func() float64 { return x * y } // want: product
	v := []float64{1}
	v[i*j] += x * y                  // want: product
}

func quotients(x, y float64, i int) {
	_ = x/2 + y                      // want: quotient
	_ = x/0.25 + y                   // want: quotient
	_ = float64(x/2) + y
	_ = x/3 + y
	_ = x/y + x
	_ = x/2 < y
	_ = i/2 + 1
	x /= 4                           // want: quotient
	x /= y
}

func generic[T real, N number](x, y T, n, m N) {
	_ = x*y + x                      // want: product
	_ = T(x*y) + x
	_ = float64(x*y) + 1             // want: product
	_ = n*m + n                      // want: product
	_ = int(x*y) + 1
}

func complexes(a, b complex128) {
	_ = a * b                        // want: complex
	_ = a / b                        // want: complex
	a *= b                           // want: complex
	_ = a + b
}

func functions(x float64, r *rand.Rand, o *r1.Rand) {
	_ = math.Exp(x)                  // want: math.Exp
	_ = math.FMA(x, x, x)            // want: math.FMA
	_ = math.Log1p                   // want: math.Log1p
	_ = math.Pow(x, 2)               // want: math.Pow
	_ = math.Tanh(math.Inf(1))       // want: math.Tanh
	_ = math.Floor(x) + math.MaxFloat64 + math.NaN()
	_ = cmplx.Abs(0)                 // want: cmplx.Abs
	_ = r.NormFloat64()              // want: rand.NormFloat64
	_ = o.ExpFloat64()               // want: rand.ExpFloat64
	_ = rand.Float64() + r.Float64()
}
`
	dir := module(t, map[string]string{"m.go": source})
	findings, err := fma.Check(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for _, f := range findings {
		found[f.Pos.Line] += f.Reason
	}
	for i, line := range strings.Split(source, "\n") {
		_, want, _ := strings.Cut(line, "// want: ")
		switch got := found[i+1]; {
		case want == "" && got != "":
			t.Errorf("line %d: %s\n\tpasses, but was found: %s", i+1, line, got)
		case !strings.Contains(got, want):
			t.Errorf("line %d: %s\n\tgot %q, want %q", i+1, line, got, want)
		}
	}
}

// TestCheckFiles looks into packages below dir and into files that build for
// one platform alone, and passes over tests.
func TestCheckFiles(t *testing.T) {
	body := "package %\n\nfunc F(x, y float64) float64 { return x*y + x }\n"
	text := func(name string) string { return strings.Replace(body, "%", name, 1) }
	dir := module(t, map[string]string{
		"m.go":               "package m\n",
		"m_test.go":          text("m"),
		"sub/sub.go":         text("sub"),
		"sub/sub_arm64.go":   strings.Replace(text("sub"), "F(", "G(", 1),
		"wasm/main.go":       "//go:build wasip1\n\n" + strings.Replace(text("main"), "func F", "func main() { F(1, 2) }\n\nfunc F", 1),
		"windows/a_arm.go":   text("windows"),
		"windows/windows.go": "package windows\n",
	})
	findings, err := fma.Check(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range findings {
		name, err := filepath.Rel(dir, f.Pos.Filename)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, filepath.ToSlash(name))
	}
	want := []string{"sub/sub.go", "sub/sub_arm64.go", "wasm/main.go"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files with findings (-want +got):\n%s", diff)
	}
	if s := findings[0].String(); !strings.Contains(s, "sub.go:3:") || !strings.Contains(s, "float64(x * y)") {
		t.Errorf("a finding reads %q", s)
	}
}

func TestCheckErrors(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"no package":     {map[string]string{}, "no Go packages"},
		"syntax":         {map[string]string{"m.go": "package m\n\nfunc {\n"}, "m.go:3"},
		"type":           {map[string]string{"m.go": "package m\n\nvar x int = \"\"\n"}, "m.go:3"},
		"unknown import": {map[string]string{"m.go": "package m\n\nimport _ \"example.com/m/none\"\n"}, "none"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := fma.Check(module(t, test.files))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}
