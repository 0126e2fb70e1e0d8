package num_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/mathext/prng"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/sdk/num"
)

func TestMT19937AgainstGonum(t *testing.T) {
	for _, seed := range []uint64{0, 1, 42, 1<<32 - 1, 1 << 32, 1<<63 + 12345} {
		g, want := num.NewMT19937(seed), prng.NewMT19937()
		if want.Seed(seed); seed > math.MaxUint32 {
			want.SeedFromKeys([]uint32{uint32(seed), uint32(seed >> 32)})
		}
		for i := range 2000 { // three generations of the state
			if got, want := g.Uint32(), want.Uint32(); got != want {
				t.Fatalf("seed %d: word %d is %#x, want %#x", seed, i, got, want)
			}
		}
	}
}

// TestMT19937AgainstNumPy compares draws, one after another from one generator,
// with those of numpy.random.RandomState in NumPy 1.24.2.
func TestMT19937AgainstNumPy(t *testing.T) {
	type draws struct {
		Words       []int64  // randint(0, 2**32, 3)
		Floats      []uint64 // random_sample(3), as bits
		Small       []int64  // randint(-5, 7, 6)
		Large       []int64  // randint(0, 2**40, 3)
		Single      []int64  // randint(3, 4, 2)
		Permutation []int    // permutation(10)
		Choice      []int    // choice(20, 5, replace=False)
		Widest      []int64  // randint(-2**63, 2**63-1, 2)
	}
	tests := []struct {
		name string
		seed uint64
		want draws
	}{
		{"0", 0, draws{
			[]int64{2357136044, 2546248239, 3071714933},
			[]uint64{4605779689366698701, 4605902906672936411, 4605806584775430800},
			[]int64{-2, 0, -3, -1, 2, 1}, []int64{931851835992, 602942290234, 832329121254}, []int64{3, 3},
			[]int{2, 3, 8, 4, 5, 1, 0, 6, 9, 7}, []int{17, 13, 7, 4, 10},
			[]int64{4770616165856172575, -7269721523862681356},
		}},
		{"42", 42, draws{
			[]int64{1608637542, 3421126067, 4083286876},
			[]uint64{4595776955100839748, 4605198051741861562, 4603551167843124057},
			[]int64{4, -3, 1, 5, 5, 2}, []int64{500797975651, 445422780055, 558434158229}, []int64{3, 3},
			[]int{9, 2, 0, 6, 8, 5, 3, 7, 1, 4}, []int{17, 1, 5, 0, 10},
			[]int64{8280476511538258520, 8589394987613136909},
		}},
		{"the largest integer", 1<<32 - 1, draws{
			[]int64{419326371, 479346978, 3918654476},
			[]uint64{4603243510922475742, 4602915900480207171, 4605116300020309703},
			[]int64{-5, 6, -3, 6, 6, 5}, []int64{116697488525, 784488856663, 239748944598}, []int64{3, 3},
			[]int{3, 9, 2, 6, 8, 1, 7, 0, 4, 5}, []int{17, 19, 12, 6, 18},
			[]int64{5300629737525301138, 1687027825687198999},
		}},
		{"the key [0, 1]", 1 << 32, draws{
			[]int64{485306839, 1508871100, 1794561286},
			[]uint64{4606594440328450972, 4582235171294339968, 4606066364891331464},
			[]int64{-4, -4, 5, 0, -1, 3}, []int64{1074067269696, 317571543853, 53400018716}, []int64{3, 3},
			[]int{8, 4, 0, 5, 1, 3, 7, 9, 2, 6}, []int{10, 9, 19, 8, 4},
			[]int64{-8340100135328171518, 5812479785605863631},
		}},
		{"the key [12345, 6789]", 6789<<32 | 12345, draws{
			[]int64{1370900909, 2053653560, 4263923756},
			[]uint64{4604974199301041136, 4593807765566018592, 4599518008299426198},
			[]int64{-2, -4, 5, 3, -5, 1}, []int64{631225669539, 566654466585, 746130278387}, []int64{3, 3},
			[]int{5, 3, 7, 1, 8, 2, 4, 6, 0, 9}, []int{11, 0, 19, 17, 12},
			[]int64{-4376660499865188780, 2671215855240569178},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := num.NewMT19937(test.seed)
			var got draws
			got.Words = g.RandInt(0, 1<<32, 3)
			for range 3 {
				got.Floats = append(got.Floats, math.Float64bits(g.Float64()))
			}
			got.Small = g.RandInt(-5, 7, 6)
			got.Large = g.RandInt(0, 1<<40, 3)
			got.Single = g.RandInt(3, 4, 2)
			got.Permutation = g.Permutation(10)
			got.Choice = g.ChoiceWithoutReplacement(20, 5)
			got.Widest = g.RandInt(math.MinInt64, math.MaxInt64, 2)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("draws (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMT19937SamplesLIME draws the masks of the golden cases: the sizes first,
// as one vector, then the features that each row loses.
func TestMT19937SamplesLIME(t *testing.T) {
	goldens(t, func(t *testing.T, g *golden) {
		want, shape := g.ints(t, "data"), g.Outputs["data"].Shape
		rows, features := shape[0], shape[1]
		random := num.NewMT19937(g.Config.RandomState)
		got := make([]int, rows*features)
		for i := range got {
			got[i] = 1
		}
		for i, size := range random.RandInt(1, int64(features)+1, rows-1) {
			for _, j := range random.ChoiceWithoutReplacement(features, int(size)) {
				got[(i+1)*features+j] = 0
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("masks (-want +got):\n%s", diff)
		}
	})
}

func TestPermutationIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, seed := rapid.IntRange(0, 300).Draw(t, "n"), rapid.Uint64().Draw(t, "seed")
		for name, p := range map[string][]int{
			"MT19937": num.NewMT19937(seed).Permutation(n),
			"Rand":    num.NewRand(stream(seed)).Perm(n),
		} {
			slices.Sort(p)
			for i, v := range p {
				if i != v {
					t.Fatalf("%s: the sorted permutation of %d has %d at %d", name, n, v, i)
				}
			}
		}
	})
}

// stream returns endless bytes that seed determines.
func stream(seed uint64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

func TestRandReadsLittleEndian(t *testing.T) {
	r := num.NewRand(iotest.OneByteReader(bytes.NewReader([]byte{
		1, 2, 3, 4, 5, 6, 7, 8,
		0, 0, 0, 0, 0, 0, 0, 0xc0, // 3/4 of 2⁶⁴
		0, 0, 0, 0, 0, 0, 0, 0x90, // 9/16 of 2⁶⁴
	})))
	if got, want := r.Uint64(), uint64(0x0807060504030201); got != want {
		t.Errorf("Uint64: got %#x, want %#x", got, want)
	}
	if got := r.Float64(); got != 0.75 {
		t.Errorf("Float64: got %v, want 0.75", got)
	}
	if got := r.IntN(10); got != 5 {
		t.Errorf("IntN: got %d, want 5", got)
	}
	if r.Err() != nil {
		t.Errorf("an error while the source had bytes: %v", r.Err())
	}
}

// TestIntNRejects needs the second word: with n = 3·2⁶¹ the first, whose product
// ends in the incomplete interval, would make 0 more probable than others.
func TestIntNRejects(t *testing.T) {
	source := append(make([]byte, 8), 1, 0, 0, 0, 0, 0, 0, 0x40) // 0, then 2⁶² + 1
	n := 3 << 61
	if got, want := num.NewRand(bytes.NewReader(source)).IntN(n), n/4; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestRandErrors(t *testing.T) {
	broken := errors.New("broken")
	tests := map[string]struct {
		source io.Reader
		want   error
	}{
		"empty":      {bytes.NewReader(nil), io.ErrUnexpectedEOF},
		"seven more": {bytes.NewReader(make([]byte, 512+7)), io.ErrUnexpectedEOF},
		"broken":     {iotest.ErrReader(broken), broken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := num.NewRand(test.source)
			for range 65 {
				r.Uint64()
			}
			if !errors.Is(r.Err(), test.want) {
				t.Errorf("got %v, want %v", r.Err(), test.want)
			}
			// The draws that reject must end all the same.
			if r.Uint64() != 0 || r.IntN(3<<61) != 0 || r.NormFloat64() != 0 || r.Float64() != 0 {
				t.Error("a draw after the error is not 0")
			}
		})
	}
}

// TestRandDistributions compares moments and cell counts with their expectation;
// the stream is fixed, so it fails always or never.
func TestRandDistributions(t *testing.T) {
	const n = 100000
	r := num.NewRand(stream(7))
	var sum, squares, fourth float64
	for range n {
		x := r.NormFloat64()
		sum += x
		squares += x * x
		fourth += x * x * x * x
	}
	for _, m := range []struct {
		name                 string
		got, want, deviation float64
	}{
		{"mean of the normal", sum / n, 0, 1},
		{"variance of the normal", squares / n, 1, math.Sqrt2},
		{"fourth moment of the normal", fourth / n, 3, math.Sqrt(96)},
	} {
		if d := math.Abs(m.got-m.want) / m.deviation * math.Sqrt(n); d > 4 {
			t.Errorf("%s: %v, want %v; %.1f standard errors away", m.name, m.got, m.want, d)
		}
	}
	var cells [2][7]float64
	for range n {
		cells[0][r.IntN(7)]++
		cells[1][int(7*r.Float64())]++
	}
	for i, name := range []string{"IntN", "Float64"} {
		chi2 := 0.0
		for _, c := range cells[i] {
			chi2 += (c - n/7.) * (c - n/7.) / (n / 7.)
		}
		if chi2 > 22.46 { // probability 0.001 with 6 degrees of freedom
			t.Errorf("%s: the cells of a seventh hold %v, χ² = %.1f", name, cells[i], chi2)
		}
	}
}

func TestRandomPanics(t *testing.T) {
	tests := map[string]func(){
		"RandInt, empty range":            func() { num.NewMT19937(0).RandInt(3, 3, 1) },
		"ChoiceWithoutReplacement, k > n": func() { num.NewMT19937(0).ChoiceWithoutReplacement(2, 3) },
		"Permutation, negative":           func() { num.NewMT19937(0).Permutation(-1) },
		"IntN, zero":                      func() { num.NewRand(stream(0)).IntN(0) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
