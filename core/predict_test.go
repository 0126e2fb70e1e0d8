package core_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// withVocabulary copies a model of the golden cases and gives it the tokenizer
// of another one.
func withVocabulary(t *testing.T, model, tokenizer string, files ...string) string {
	t.Helper()
	models := filepath.Join("..", "testdata", "conformance", "models")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(models, model))); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(models, tokenizer, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func bertMLM(t *testing.T) *core.Model {
	return open(t, newHost(t, core.Options{}), withVocabulary(t, "bert-mlm", "bert-text", "vocab.txt"))
}

func bertQA(t *testing.T) *core.Model {
	return open(t, newHost(t, core.Options{}), withVocabulary(t, "bert-qa", "bert-text", "vocab.txt"))
}

// xlnet returns XLNet with a tokenizer, whose vocabulary is larger than that of
// the golden model: the missing words are drawn at random.
func xlnet(t *testing.T, o core.Options) *core.Model {
	t.Helper()
	dir := withVocabulary(t, "xlnet-lm", "tok-spm-xlm", "spiece.model")
	config := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	const old, words = 240, 491
	text := strings.Replace(string(b), `"vocab_size": 240`, fmt.Sprintf(`"vocab_size": %d`, words), 1)
	if err := os.WriteFile(config, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(`{"tokenizer_class": "XLNetTokenizer"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	weights := filepath.Join(dir, "model.safetensors")
	f, err := os.Open(weights)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	var tensors []safetensors.Tensor
	for _, name := range file.Names() {
		tensor, _ := file.Tensor(name)
		values, err := file.ReadF32(name)
		if err != nil {
			t.Fatal(err)
		}
		shape := slices.Clone(tensor.Shape)
		if shape[0] == old {
			for range len(values) / old * (words - old) {
				values = append(values, float32(random.NormFloat64()))
			}
			shape[0] = words
		}
		tensors = append(tensors, safetensors.Tensor{Name: name, Shape: shape, Data: values})
	}
	f.Close()
	writeTensors(t, weights, tensors...)
	return open(t, newHost(t, o), dir)
}

func predict(t *testing.T, m *core.Model, o core.PredictOptions, inputs ...core.Input) *core.Prediction {
	t.Helper()
	p, err := m.Predict(t.Context(), inputs, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sortsFirst holds choices to all logits and their softmax.
func sortsFirst(t *testing.T, top []core.Choice, logits []float64) {
	t.Helper()
	order := make([]int, len(logits))
	sum := 0.0
	for i, v := range logits {
		order[i] = i
		sum += math.Exp(v - slices.Max(logits))
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if logits[a] > logits[b] {
			return -1
		} else if logits[a] < logits[b] {
			return 1
		}
		return 0
	})
	if len(top) != 10 {
		t.Fatalf("%d choices", len(top))
	}
	for i, c := range top {
		prob := math.Exp(c.Logit-slices.Max(logits)) / sum
		if int(c.ID) != order[i] || c.Logit != logits[order[i]] || math.Abs(c.Prob-prob) > 1e-12 {
			t.Errorf("choice %d is %+v; token %d has %v", i, c, order[i], logits[order[i]])
		}
	}
}

func TestPredictMasks(t *testing.T) {
	m := bertMLM(t)
	in := core.Input{Text: "the [MASK] was very [MASK] ."}
	p, all := predict(t, m, core.PredictOptions{}, in), predict(t, m, core.PredictOptions{All: true}, in)
	var at []int
	for _, r := range p.Rows[0].Readouts {
		at = append(at, r.Position)
		if r.Logits != nil {
			t.Error("all logits are kept where nobody asked for them")
		}
		sortsFirst(t, r.Top, all.Rows[0].Readouts[r.Position].Logits)
		if text := p.Rows[0].Tokens[r.Position].Text; text != "[MASK]" {
			t.Errorf("token %d is %s", r.Position, text)
		}
	}
	if len(at) != 2 {
		t.Errorf("the positions %v for two masks", at)
	}
	if got := len(all.Rows[0].Readouts); got != len(all.Rows[0].Tokens) {
		t.Errorf("%d positions of %d tokens", got, len(all.Rows[0].Tokens))
	}
}

// TestProgress: who runs a batch is told of all of it.
func TestProgress(t *testing.T) {
	m := goldenModel(t, "bert-text", "f32")
	inputs := []core.Input{{Text: "the film"}, {Text: "was good"}, {Text: "great"}}
	var told [2]int
	progress := func(done, total int) { told = [2]int{done, total} }
	predict(t, m, core.PredictOptions{Progress: progress}, inputs...)
	if told != [2]int{3, 3} {
		t.Errorf("predictions end at %v", told)
	}
	told = [2]int{}
	if _, err := m.Activations(t.Context(), core.ActivationsRequest{Inputs: inputs, Points: []string{"logits"}, Progress: progress}); err != nil || told != [2]int{3, 3} {
		t.Errorf("activations end at %v (%v)", told, err)
	}
}

// TestPredictNext holds that the next token is read behind the last visible one.
func TestPredictNext(t *testing.T) {
	m := goldenModel(t, "gpt2-text", "f32")
	p := predict(t, m, core.PredictOptions{}, core.Input{Text: "the film was"})
	n := len(p.Rows[0].Tokens)
	if r := p.Rows[0].Readouts; len(r) != 1 || r[0].Position != n-1 {
		t.Fatalf("read at %+v of %d tokens", r, n)
	}
	all := predict(t, m, core.PredictOptions{All: true}, core.Input{Text: "the film was"})
	sortsFirst(t, p.Rows[0].Readouts[0].Top, all.Rows[0].Readouts[n-1].Logits)

	raw := &core.Raw{}
	for _, token := range p.Rows[0].Tokens {
		raw.IDs, raw.Mask = append(raw.IDs, token.ID), append(raw.Mask, 1)
	}
	raw.IDs, raw.Mask = append(raw.IDs, 0, 0), append(raw.Mask, 0, 0)
	padded := predict(t, m, core.PredictOptions{}, core.Input{Raw: raw})
	if diff := cmp.Diff(p.Rows[0].Readouts[0].Top, padded.Rows[0].Readouts[0].Top); diff != "" {
		t.Errorf("padding changes what comes next:\n%s", diff)
	}

	empty := predict(t, m, core.PredictOptions{}, core.Input{})
	if tokens := empty.Rows[0].Tokens; len(tokens) != 1 || !tokens[0].Special {
		t.Errorf("an empty text begins with %+v", tokens)
	}
}

// TestPredictSpans compares the best spans with those of a search through all.
func TestPredictSpans(t *testing.T) {
	m := bertQA(t)
	context := "the film was good , and the plot was thin ; every scene looks great !"
	p := predict(t, m, core.PredictOptions{}, core.Input{Text: "how was the film ?", Pair: &context})
	row := p.Rows[0]
	var want []core.Answer
	sums := [2]float64{}
	for _, r := range row.Readouts {
		sums[0] += math.Exp(r.Logits[0])
		sums[1] += math.Exp(r.Logits[1])
	}
	for i, first := range row.Readouts {
		for j, last := range row.Readouts {
			a, b := row.Tokens[i], row.Tokens[j]
			if a.Sequence == 0 || b.Sequence == 0 || a.Special || b.Special || j < i {
				continue
			}
			want = append(want, core.Answer{
				Tokens: [2]int{i, j}, Span: &core.Span{Sequence: 1, Start: a.Start, End: b.End}, Text: context[a.Start:b.End],
				StartLogit: first.Logits[0], EndLogit: last.Logits[1], Prob: math.Exp(first.Logits[0]) / sums[0] * math.Exp(last.Logits[1]) / sums[1],
			})
		}
	}
	slices.SortStableFunc(want, func(a, b core.Answer) int {
		if x, y := a.StartLogit+a.EndLogit, b.StartLogit+b.EndLogit; x > y {
			return -1
		} else if x < y {
			return 1
		}
		return 0
	})
	near := cmp.Comparer(func(x, y float64) bool { return math.Abs(x-y) < 1e-12 })
	if diff := cmp.Diff(want[:10], row.Spans, near); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}

	// The same as raw tokens: the context is what has type 1.
	raw := &core.Raw{}
	for _, token := range row.Tokens {
		raw.IDs, raw.TypeIDs = append(raw.IDs, token.ID), append(raw.TypeIDs, int32(token.Sequence))
	}
	raw.TypeIDs[len(raw.TypeIDs)-1] = 1 // [SEP], which stays out as a special token
	got := predict(t, m, core.PredictOptions{}, core.Input{Raw: raw}).Rows[0].Spans
	if len(got) != 10 || got[0].Tokens != want[0].Tokens || got[0].Span != nil {
		t.Errorf("of raw tokens the best span is %+v", got[0])
	}
}

// TestPredictPermutation holds what XLNet says of the next token to the query
// stream of a target that nothing sees.
func TestPredictPermutation(t *testing.T) {
	m := xlnet(t, core.Options{})
	p := predict(t, m, core.PredictOptions{}, core.Input{Text: "the film was"})
	row := p.Rows[0]
	n := len(row.Tokens)
	raw := &core.Raw{Hidden: make([]uint8, n*n), Targets: []int{n - 1}}
	for i, token := range row.Tokens {
		raw.IDs = append(raw.IDs, token.ID)
		raw.Hidden[i*n+n-1] = 1
	}
	raw.IDs[n-1] = 7 // whatever stands there
	got := predict(t, m, core.PredictOptions{}, core.Input{Raw: raw}).Rows[0]
	if diff := cmp.Diff(row.Readouts, got.Readouts); diff != "" || n < 4 || row.Readouts[0].Position != n-1 {
		t.Errorf("the next token (-text +raw):\n%s", diff)
	}
}

// TestGenerate holds a greedy continuation to predictions one after another,
// and its pieces to its text.
func TestGenerate(t *testing.T) {
	m := goldenModel(t, "gpt2-text", "f32")
	text := "the film was"
	var pieces strings.Builder
	g, err := m.Generate(t.Context(), core.Input{Text: text}, core.Generation{Tokens: 12, Text: func(piece string) error {
		pieces.WriteString(piece)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if pieces.String() != g.Text || len(g.IDs) != 12 || len(g.Tokens) != 12 {
		t.Errorf("%q in pieces is %q; tokens %q", g.Text, pieces.String(), g.Tokens)
	}
	raw := &core.Raw{}
	for _, token := range g.Prompt {
		raw.IDs = append(raw.IDs, token.ID)
	}
	for i, id := range g.IDs {
		top := predict(t, m, core.PredictOptions{}, core.Input{Raw: raw}).Rows[0].Readouts[0].Top[0]
		if top.ID != id || math.Abs(math.Log(top.Prob)-g.LogProbs[i]) > 1e-9 {
			t.Errorf("token %d is %d with %v, and the most probable one %d with %v", i, id, g.LogProbs[i], top.ID, math.Log(top.Prob))
		}
		raw.IDs = append(raw.IDs, id)
	}
	if want := m.Tokenizer().Join(raw.IDs, true); text+g.Text != want {
		t.Errorf("the text goes on as %q, and all tokens are %q", g.Text, want)
	}

	draw := func(seed uint64) []int32 {
		g, err := m.Generate(t.Context(), core.Input{Text: text}, core.Generation{Tokens: 12, Temperature: 1, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		return g.IDs
	}
	if !slices.Equal(draw(1), draw(1)) || slices.Equal(draw(1), draw(2)) {
		t.Error("a seed does not decide what is drawn")
	}
}

// TestPredictRefuses holds that what cannot be answered is said with what to do.
func TestPredictRefuses(t *testing.T) {
	long := strings.Repeat("film ", 4000)
	ids := &core.Raw{IDs: []int32{3, 4}}
	for _, c := range []struct {
		name  string
		model *core.Model
		in    core.Input
		kind  core.Kind
		says  string
	}{
		{"no context", bertQA(t), core.Input{Text: "why ?"}, core.KindUsage, "context"},
		{"no mask", bertMLM(t), core.Input{Text: "the film"}, core.KindInput, "no mask"},
		{"a mask behind what is read", bertMLM(t), core.Input{Text: long + "[MASK]"}, core.KindInput, "tokens that the model reads"},
		{"no target", goldenModel(t, "xlnet-lm", "f32"), core.Input{Raw: ids}, core.KindInput, "no target"},
		{"too long", goldenModel(t, "gpt2-text", "f32"), core.Input{Text: long}, core.KindInput, "at most"},
		{"memories for a model without", goldenModel(t, "bert-seqcls", "f32"), core.Input{Raw: &core.Raw{IDs: ids.IDs, Memory: 1, Memories: [][]float32{{1}}}}, core.KindInput, "takes none"},
		{"targets for a model without", goldenModel(t, "bert-seqcls", "f32"), core.Input{Raw: &core.Raw{IDs: ids.IDs, Targets: []int{0}}}, core.KindInput, "query stream"},
	} {
		_, err := c.model.Predict(t.Context(), []core.Input{c.in}, core.PredictOptions{})
		if err == nil || core.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	small := open(t, newHost(t, core.Options{Memory: 2 << 20}), filepath.Join("..", "testdata", "conformance", "models", "gpt2-text"))
	many := core.Input{Raw: &core.Raw{IDs: make([]int32, 64)}}
	if _, err := small.Predict(t.Context(), []core.Input{many, many}, core.PredictOptions{All: true}); core.KindOf(err) != core.KindInput || !strings.Contains(err.Error(), "all logits and probabilities need 7.4 MiB") {
		t.Errorf("every logit in little memory: %v", err)
	}
	words := core.Input{Text: strings.Repeat("a ", 3000)} // whose square is more than the memory
	_, err := xlnet(t, core.Options{Memory: 4 << 20}).Predict(t.Context(), []core.Input{words}, core.PredictOptions{})
	if e, ok := errors.AsType[*core.Error](err); !ok || e.Kind != core.KindInput || !strings.Contains(e.Msg, "tokens see need 8") || !strings.Contains(e.Hint, "--memory") {
		t.Errorf("the marks of a long text in little memory: %v", err)
	}
	tokens := open(t, newHost(t, core.Options{Memory: 4 << 20}), filepath.Join("..", "testdata", "conformance", "models", "bert-tokcls"))
	var rows []core.Input
	for range 200 {
		rows = append(rows, core.Input{Raw: &core.Raw{IDs: make([]int32, 40)}})
	}
	if _, err := tokens.Predict(t.Context(), rows, core.PredictOptions{}); err == nil || !strings.Contains(err.Error(), "all logits and probabilities need 5.8 MiB") {
		t.Errorf("the labels of many tokens in little memory: %v", err)
	}
	host := newHost(t, core.Options{})
	bert := open(t, host, filepath.Join("..", "testdata", "conformance", "models", "bert-text"))
	if _, err := bert.Generate(t.Context(), core.Input{Text: "a"}, core.Generation{Tokens: 1}); core.KindOf(err) != core.KindInput {
		t.Errorf("a classifier generates: %v", err)
	}
}
