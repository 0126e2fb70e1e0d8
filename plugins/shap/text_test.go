package shap_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/internal/golden"
	"github.com/xai-go/xai/plugins/shap"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/sdktest"
)

// tokens returns a request over tokens, which are the text's pieces between "|"; those
// in angle brackets are special and not of the text. Other white space is the text's.
func tokens(t *testing.T, pieces, text string, params ...string) *sdk.Request {
	t.Helper()
	given := map[string]string{}
	for i := 0; i < len(params); i += 2 {
		given[params[i]] = params[i+1]
	}
	p, err := sdktest.Params(shap.Partition{}.Info(), given)
	if err != nil {
		t.Fatal(err)
	}
	r := &sdk.Request{Text: text, Params: p}
	at := 0
	for i, piece := range strings.Split(pieces, "|") {
		token := sdk.Token{ID: int32(i), Text: piece}
		if strings.HasPrefix(piece, "<") {
			token.Special = true
			r.Tokens = append(r.Tokens, token)
			continue
		}
		bare := strings.ReplaceAll(strings.TrimPrefix(piece, "##"), "Ġ", " ")
		start := strings.Index(text[at:], bare)
		if start < 0 {
			t.Fatalf("%q is not in the text", bare)
		}
		token.Start, token.End = at+start, at+start+len(bare)
		at = token.End
		r.Tokens = append(r.Tokens, token)
		r.Units = append(r.Units, sdk.Unit{
			Text: strings.TrimSpace(bare), Spans: []sdk.Span{{Start: token.Start, End: token.End}}, Tokens: []int{i},
		})
	}
	return r
}

// TestSegments holds the masker to what shap's tests of it assert.
func TestSegments(t *testing.T) {
	for name, c := range map[string]struct {
		pieces, text, mask string
		params             []string
		segments           []string
		prefix, suffix     int
		masked             map[string]string // coalition → text
	}{
		"fast": {
			pieces: "<cls>|I|ate|a|Can|##no|##li|<sep>", text: "I ate a Cannoli", mask: "[MASK]",
			segments: []string{"", "I ", "ate ", "a ", "Can", "no", "li", ""}, prefix: 1, suffix: 1,
			masked: map[string]string{
				"10110111": "[MASK]ate a [MASK]noli", "00000000": "[MASK] [MASK] [MASK] [MASK] [MASK] [MASK]", "11111111": "I ate a Cannoli",
			},
		},
		"slow": {
			pieces: "<cls>|I|ate|a|Can|##no|##li|<sep>", text: "I ate a Cannoli", mask: "[MASK]", params: []string{"segments", "tokens"},
			segments: []string{"", " I", " ate", " a", " Can", "no", "li", ""}, prefix: 1, suffix: 1,
			masked: map[string]string{"10110111": "[MASK] ate a [MASK]noli"},
		},
		"collapsed": {
			pieces: "This|Ġis|Ġa|Ġtest|Ġstring|Ġto|Ġbe|Ġinf|illed", text: "This is a test string to be infilled",
			segments: []string{"This", " is", " a", " test", " string", " to", " be", " inf", "illed"},
			masked: map[string]string{
				"111110000": "This is a test string ...", "111001111": "This is a ... to be infilled",
				"000111111": "... test string to be infilled", "000000000": "...",
			},
		},
		"mask of one's own": {
			pieces: "<cls>|one|two|three|<sep>", text: "one two  three", mask: "[MASK]", params: []string{"mask_string", "[X]"},
			segments: []string{"", "one ", "two  ", "three", ""}, prefix: 1, suffix: 1,
			masked: map[string]string{"10010": "[X]three", "01010": "one [X]three", "01110": "one two three"},
		},
		"not collapsed": {
			pieces: "one|two|three", text: "one two three", params: []string{"collapse_mask_token", "false"},
			segments: []string{"one ", "two ", "three"},
			masked:   map[string]string{"001": "... ...three"},
		},
		"white space first": {
			pieces: "<cls>|one|<sep>", text: "\u3000\n one", mask: "[MASK]",
			segments: []string{"\u3000\n ", "one", ""}, prefix: 1, suffix: 1,
			masked: map[string]string{"000": "[MASK]", "010": "one"},
		},
		"a piece of no width": {
			pieces: "<cls>|one||two|<sep>", text: "one two", mask: "[MASK]",
			segments: []string{"", "one", " ", "two", ""}, prefix: 1, suffix: 1,
			masked: map[string]string{"00000": "[MASK] [MASK] [MASK]", "00110": "[MASK] two", "01010": "one [MASK]two"},
		},
		"a mark that ends": {
			pieces: "one|two|<eos>", text: "one two",
			segments: []string{"one ", "two", ""}, suffix: 1,
			masked: map[string]string{"010": "...two"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := tokens(t, c.pieces, c.text, append(c.params, "compat", "shap")...)
			segments, prefix, suffix, write, err := shap.Segments(&formula{mask: c.mask}, r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.segments, segments); diff != "" {
				t.Error(diff)
			}
			if prefix != c.prefix || suffix != c.suffix {
				t.Errorf("%d and %d fixed, want %d and %d", prefix, suffix, c.prefix, c.suffix)
			}
			for mask, want := range c.masked {
				var keep []uint8
				for _, k := range mask {
					keep = append(keep, uint8(k-'0'))
				}
				if got := write(keep); got != want {
					t.Errorf("%s: %q, want %q", mask, got, want)
				}
			}
		})
	}
}

func TestSegmentsOfPair(t *testing.T) {
	r := tokens(t, "<cls>|one|<sep>", "one", "compat", "shap")
	pair := "two"
	r.TextPair = &pair
	if _, _, _, _, err := shap.Segments(&formula{}, r); err == nil {
		t.Error("a pair of texts is not refused")
	}
}

// TestHierarchy: sentences of clauses of words, in several scripts.
func TestHierarchy(t *testing.T) {
	for pieces, want := range map[string]string{
		"a": "a",
		"the|plot|is|thin|,|but|the|music|is|great|.|Go|see|it|!": "((((the plot) (is (thin ,))) ((but (the music)) (is (great .)))) ((Go see) (it !)))",
		"un|##forget|##table|story":                               "((un (forget table)) story)",
		"a|dog|(|a|big|one|)|barks":                               "((a dog) (((( a) (big (one )))) barks))",
		"这|部|电影|很|好|。|音乐|很|美|。":                                   "(((这 (部 电影)) (很 (好 。))) ((音乐 很) (美 。)))",
		"वह|आया|।|फिर|वह|गया|।":                                   "((वह (आया ।)) ((फिर वह) (गया ।)))",
		"هل|أنت|هنا|؟|نعم|،|أنا|هنا":                              "(((هل أنت) (هنا ؟)) ((نعم ،) (أنا هنا)))",
		"He|said|“|Stop|.|”|Then|he|left|.":                       "(((He said) ((“ Stop) (. ”))) ((Then he) (left .)))",
		"costs|3|.|50|now":                                        "(costs ((3 (. 50)) now))",
		"a|well|-|known|man":                                      "(a ((well (- known)) man))",
	} {
		var text strings.Builder
		list := strings.Split(pieces, "|")
		joined := []string{"##forget", "##table", ",", ".", "!", ")", "”", "؟", "،", "-", "known", "50", "Stop"}
		chinese := strings.Contains(pieces, "电影")
		for i, p := range list {
			if i > 0 && !chinese && !slices.Contains(joined, p) && list[i-1] != "(" && list[i-1] != "“" {
				text.WriteString(" ")
			}
			text.WriteString(strings.TrimPrefix(p, "##"))
		}
		if got := shap.Hierarchy("clauses", tokens(t, pieces, text.String())); got != want {
			t.Errorf("%s: %s, want %s", text.String(), got, want)
		}
	}
}

// TestHierarchyOfIDs: without a text, the vocabulary's spelling says what a word is.
func TestHierarchyOfIDs(t *testing.T) {
	for list, want := range map[string]string{
		"un ##forget ##table story .": "((un (##forget ##table)) (story .))",
		"Ġthe Ġmu sic . Ġgo":          "((Ġthe ((Ġmu sic) .)) Ġgo)",
	} {
		r := &sdk.Request{}
		for i, s := range strings.Fields(list) {
			r.Tokens = append(r.Tokens, sdk.Token{Text: s})
			r.Units = append(r.Units, sdk.Unit{Text: s, Tokens: []int{i}})
		}
		if got := shap.Hierarchy("clauses", r); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
}

// TestSlowTokens: of a slow tokenizer, an unknown word is a special token, which has
// no text, and pieces of SentencePiece have their spaces themselves.
func TestSlowTokens(t *testing.T) {
	for pieces, want := range map[string][]string{
		"<cls>|one|X|##s|[MASK]|<sep>": {"", " one", "", "s", " [MASK]", ""},
		"▁one|s|▁X|[MASK]|<sep>|<cls>": {"▁one", "s", "▁X", "[MASK]", "<sep>", ""},
		"▁|s|_|[MASK]|_x|<cls>":        {"▁", "s", " ", "[MASK]", " x", ""},
	} {
		text := strings.NewReplacer("▁", " ", "##", "", "|", "").Replace(pieces)
		r := tokens(t, strings.ReplaceAll(pieces, "▁", "Ġ"), text, "compat", "shap", "segments", "tokens")
		for i := range r.Tokens {
			r.Tokens[i].Text = strings.Replace(r.Tokens[i].Text, "Ġ", "▁", 1)
		}
		got, _, _, _, err := shap.Segments(&formula{mask: "[MASK]", special: []int32{0, 2, 4, 5}}, r)
		if strings.HasPrefix(pieces, "▁|") {
			r.Tokens[0].End = 0 // a mark of no width
			got, _, _, _, err = shap.Segments(&formula{mask: "[MASK]", special: []int32{3, 5}}, r)
		} else if strings.HasPrefix(pieces, "▁") {
			got, _, _, _, err = shap.Segments(&formula{mask: "[MASK]", special: []int32{3, 4, 5}}, r)
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", pieces, diff)
		}
	}
}

// TestSeparator: a separator that the text spells out is in every coalition where its
// segment is the token and nothing else, as shap 0.42.1 has it.
func TestSeparator(t *testing.T) {
	for _, c := range []struct{ text, segments, want string }{
		{"one two [SEP] three", "offsets", "[MASK] [MASK] [MASK] [MASK]"},
		{"one two [SEP]three", "offsets", "[MASK] [MASK][SEP] [MASK]"},
		{"one two [SEP]three", "tokens", "[MASK] [MASK] [MASK] [MASK]"},
	} {
		r := tokens(t, "<cls>|one|two|[SEP]|three|<sep>", c.text, "compat", "shap", "segments", c.segments)
		r.Tokens[3].Special = true
		_, _, _, write, err := shap.Segments(&formula{mask: "[MASK]"}, r)
		if err != nil {
			t.Fatal(err)
		}
		if got := write(make([]uint8, 6)); got != c.want {
			t.Errorf("%s, %s: %q, want %q", c.text, c.segments, got, c.want)
		}
	}
}

// TestNothingVaries: where every token takes part in all coalitions, or is one that the
// reference thinks so of, all values are 0, as there.
func TestNothingVaries(t *testing.T) {
	for pieces, text := range map[string]string{"<cls>|[SEP]|<sep>": "[SEP]", "one|<sep>|<cls>": "one"} {
		for _, m := range []sdk.Method{shap.Partition{}, shap.Permutation{}} {
			r := tokens(t, pieces, text)
			if text == "[SEP]" {
				r.Tokens[1].Special = true
			}
			var err error
			if r.Params, err = sdktest.Params(m.Info(), map[string]string{"compat": "shap", "max_evals": "2"}); err != nil {
				t.Fatal(err)
			}
			r.Target, r.Rand = sdk.Target{Kind: sdk.KindClass, Output: sdk.Prob}, rand.NewChaCha8([32]byte{1})
			e, err := m.Explain(t.Context(), &formula{mask: "[MASK]"}, r)
			if err != nil {
				t.Fatalf("%s of %s: %v", m.Info().Name, text, err)
			}
			golden.Close(t, m.Info().Name+" of "+text, values(e), make([]float64, 3), 0)
		}
	}
}

// wordy is a model whose target is a function of a text's words, of how many are
// masked, and of whether the last one is.
type wordy struct{ texts map[string]bool }

func (*wordy) Info() sdk.ModelInfo {
	return sdk.ModelInfo{MaskToken: "<mask>", SpecialIDs: []int32{6, 7}}
}

var wordyPieces = regexp.MustCompile(`<mask>|<sep>|\w+|,`)

func (*wordy) of(text string) float64 {
	has, v, last := map[string]bool{}, 0.0, ""
	masks := 0.0
	for _, last = range wordyPieces.FindAllString(text, -1) {
		has[last] = true
		switch last {
		case "<mask>":
			masks++
		case "<sep>":
			v += 0.07
		}
	}
	for word, weight := range map[string]float64{"one": 0.5, "two": -0.25, "but": 0.125, "three": 1, ",": -0.375, "four": 0.75} {
		if has[word] {
			v += weight
		}
	}
	if has["two"] && has["three"] {
		v += 0.6
	}
	if has["one"] && has["four"] && has["but"] {
		v -= 0.9
	}
	if last == "<mask>" {
		v += 0.3
	}
	return v + 0.01*masks*masks
}

func (m *wordy) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	y := make([]float64, len(f.Texts))
	for i, text := range f.Texts {
		y[i] = m.of(text)
		m.texts[text] = true
	}
	return answer{sdk.ReplyTarget: sdk.NewTensor(y, len(y)), sdk.ReplyProbs: sdk.NewTensor(y, len(y), 1)}, nil
}

// TestSpecialTokensBehind: XLNet's tokenizer puts <sep> and <cls> behind the text, of
// which the reference takes one to stand before it. Base values and values are those
// of shap 0.42.1's Text masker with its PartitionExplainer and PermutationExplainer, of
// a tokenizer that cuts words and punctuation so, with offsets and without, and the
// function of wordy.
func TestSpecialTokensBehind(t *testing.T) {
	const text = "one two but three, four"
	for _, c := range []struct {
		segments string
		method   sdk.Method
		params   []string
		base     float64
		want     []float64
	}{
		{"offsets", shap.Partition{}, nil, 1.16, []float64{-0.006874999999999992, -0.003124999999999961, -0.38499999999999995, 1.24, -0.43499999999999983, 0.09000000000000002, -0.21000000000000002, 0}},
		{"offsets", shap.Partition{}, []string{"max_evals", "20"}, 1.16, []float64{0.013166666666666715, 0.013166666666666715, -0.0068333333333332885, 0.614, -0.22349999999999987, -0.09749999999999998, -0.02250000000000002, 0}},
		{"offsets", shap.Partition{}, []string{"fixed_context", "1"}, 1.16, []float64{-0.050166666666666776, 0.2898333333333333, -0.8351666666666665, 1.5365000000000002, -0.4385, -0.22749999999999998, -0.07750000000000007, 0.09249999999999999}},
		{"offsets", shap.Permutation{}, []string{"max_evals", "60"}, 1.16, []float64{0, -0.019999999999999997, -0.3949999999999999, 1.2300000000000002, -0.44499999999999995, 0.23000000000000007, 0, 0}},
		{"tokens", shap.Partition{}, nil, 0.82, []float64{0, 0, -0.37499999999999994, 1.2499999999999998, -0.425, 0.24999999999999992, 0, 0}},
		{"tokens", shap.Partition{}, []string{"max_evals", "20"}, 0.82, []float64{0.0015000000000000135, 0.0015000000000000135, 0.14587500000000003, 0.5146250000000001, -0.21349999999999994, 0.2075, 0.04250000000000001, 0}},
		{"tokens", shap.Partition{}, []string{"fixed_context", "1"}, 0.82, []float64{-0.06949999999999999, 0.2705000000000001, -0.8644999999999998, 1.5105, -0.29450000000000004, -0.05749999999999994, 0.10249999999999998, 0.10249999999999998}},
		{"tokens", shap.Permutation{}, []string{"max_evals", "60"}, 0.82, []float64{0, 0, -0.37499999999999983, 1.25, -0.42499999999999993, 0.25, 0, 0}},
	} {
		name := fmt.Sprint(c.method.Info().Name, " ", c.segments, " ", c.params)
		r := tokens(t, "Ġone|Ġtwo|Ġbut|Ġthree|,|Ġfour|<sep>|<cls>", " "+text, "compat", "shap")
		r.Text = text
		given := map[string]string{"compat": "shap", "segments": c.segments}
		for i := 0; i < len(c.params); i += 2 {
			given[c.params[i]] = c.params[i+1]
		}
		var err error
		if r.Params, err = sdktest.Params(c.method.Info(), given); err != nil {
			t.Fatal(err)
		}
		for i := range r.Tokens { // offsets without the space before a word
			token := &r.Tokens[i]
			if piece, ok := strings.CutPrefix(token.Text, "Ġ"); ok {
				token.Text = "▁" + piece
			} else {
				token.Start = max(token.Start-1, 0)
			}
			token.End = max(token.End-1, 0)
		}
		m := &wordy{texts: map[string]bool{}}
		r.Target, r.Rand = sdk.Target{Kind: sdk.KindClass, Output: sdk.Prob, Value: m.of(text)}, rand.NewChaCha8([32]byte{1})
		e, err := c.method.Explain(t.Context(), m, r)
		if err != nil {
			t.Fatal(err)
		}
		golden.Close(t, name, values(e), c.want, 1e-12)
		golden.Close(t, name+" base", []float64{*e.Baseline}, []float64{c.base}, 1e-12)
		first, full := "one <mask> <mask> <mask> <mask> <mask> <mask>", text
		if c.segments == "tokens" {
			first, full = "one <mask> <mask> <mask> <mask> <mask><sep>", text+"<sep>"
		}
		if !m.texts[first] || !m.texts[full] {
			t.Errorf("%s: the texts %v are without %q or %q", name, m.texts, first, full)
		}
	}
}

// TestMergeTree: the reference's scores, by rules that the golden cases do not reach.
func TestMergeTree(t *testing.T) {
	for list, want := range map[string]string{
		"it |isn|'|t |good":             "((it ((isn ') t)) good)",
		"a |(|b |c|) |d":                "((a (( ((b c) )))) d)",
		"so |bad |? |[MASK] |more |fun": "(((so bad) ?) ([MASK] (more fun)))",
		"ham |and |eggs |here":          "((ham and) (eggs here))",
		"a |film|_|n|a|m|e |was":        "((a (((film _) (n a)) (m e))) was)",
		"see |a|[|x|] |now":             "((see (a [)) ((x ]) now))",
	} {
		if got := shap.MergeTree(strings.Split(list, "|")); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
}
