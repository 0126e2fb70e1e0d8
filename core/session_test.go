package core

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// started returns the session of an explanation whose method is the test.
func started(t testing.TB, m *Model, r Request) *session {
	t.Helper()
	if r.Units == "" {
		r.Units = UnitsWord
	}
	s, err := m.session(t.Context(), &r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openBuiltin(t testing.TB, o Options) *Model {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := h.OpenModel(t.Context(), "builtin:sentiment-en")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// logitsOf returns the logits of a forward, row by row.
func (s *session) logitsOf(t *testing.T, f *sdk.Forward) [][]float64 {
	t.Helper()
	reply, err := s.Forward(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	tensor, err := reply.Tensor(sdk.ReplyLogits, 0)
	if err != nil {
		t.Fatal(err)
	}
	values, err := sdk.Values[float64](tensor)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(slices.Chunk(values, tensor.Shape[1]))
}

// predicted returns the logits of raw inputs.
func predicted(t *testing.T, m *Model, raw ...*Raw) (logits [][]float64) {
	t.Helper()
	var inputs []Input
	for _, r := range raw {
		inputs = append(inputs, Input{Raw: r})
	}
	p, err := m.Predict(t.Context(), inputs, PredictOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Rows {
		logits = append(logits, r.Readouts[0].Logits)
	}
	return logits
}

// TestFillsInPlace holds the policies that leave every token in its place to
// rows of token ids that say the same.
func TestFillsInPlace(t *testing.T) {
	m := openBuiltin(t, Options{})
	const text = "The unwatchable film was not bad."
	s := started(t, m, Request{Input: Input{Text: text}})
	n, u := len(s.enc.tokens), len(s.units)
	if n <= u+2 {
		t.Fatalf("%d tokens of %d words: none has more than one", n, u)
	}
	// All words, one dropped at a time, all dropped, and one of them again.
	var keep []uint8
	drops := [][]int{{}}
	for i := range u {
		drops = append(drops, []int{i})
	}
	every := make([]int, u)
	for i := range every {
		every[i] = i
	}
	drops = append(drops, every, []int{1})
	for _, drop := range drops {
		row := slices.Repeat([]uint8{1}, u)
		for _, i := range drop {
			row[i] = 0
		}
		keep = append(keep, row...)
	}
	for _, test := range []struct {
		fill sdk.FillKind
		drop func(r *Raw, token int)
	}{
		{sdk.FillZero, func(r *Raw, token int) { r.IDs[token] = engine.ZeroWord }},
		{sdk.FillAverage, func(r *Raw, token int) { r.IDs[token] = engine.MeanWord }},
		{sdk.FillHide, func(r *Raw, token int) { r.Mask[token], r.IDs[token] = 0, 5 }}, // whatever it is
	} {
		t.Run(test.fill.String(), func(t *testing.T) {
			var raw []*Raw
			for _, drop := range drops {
				r := &Raw{IDs: slices.Clone(s.enc.row.ids), Mask: slices.Repeat([]uint8{1}, n)}
				for _, unit := range drop {
					for _, token := range s.units[unit].Tokens {
						test.drop(r, token)
					}
				}
				raw = append(raw, r)
			}
			s := started(t, m, Request{Input: Input{Text: text}})
			f := &sdk.Forward{Units: sdk.NewTensor(keep, len(drops), u), Fill: sdk.Fill{Kind: test.fill}}
			got := s.logitsOf(t, f)
			if diff := cmp.Diff(predicted(t, m, raw...), got); diff != "" {
				t.Errorf("other logits than of the rows of ids (-ids +fill):\n%s", diff)
			}
			if s.unique != len(drops)-1 || s.evaluations != len(drops) {
				t.Errorf("%d of %d rows are distinct, want %d of %d", s.unique, s.evaluations, len(drops)-1, len(drops))
			}
			if !slices.Equal(got[0], s.answers[0].values) {
				t.Error("a row that drops nothing is not the input")
			}
			for i := range drops[1:] {
				if slices.Equal(got[0], got[i+1]) {
					t.Errorf("dropping %v changes nothing", drops[i+1])
				}
			}
			f.KeepDuplicates = true
			if again := s.logitsOf(t, f); !reflect.DeepEqual(again, got) {
				t.Error("rows that are run again have other bits")
			}
		})
	}
}

// TestFillsOfEmbeddings: where the input is embeddings, some policies still say
// something, and the others are refused.
func TestFillsOfEmbeddings(t *testing.T) {
	m := openBuiltin(t, Options{})
	width := m.Engine().Info().Embedding
	embeds := make([]float32, 4*width)
	for i := range embeds {
		embeds[i] = float32(i%7) / 10
	}
	s := started(t, m, Request{Input: Input{Raw: &Raw{Embeds: embeds}}})
	masks := sdk.NewTensor([]uint8{1, 1, 0, 1}, 1, 4)
	zeroed := slices.Clone(embeds)
	clear(zeroed[2*width : 3*width])
	for fill, want := range map[sdk.FillKind]*Raw{
		sdk.FillZero:   {Embeds: zeroed},
		sdk.FillHide:   {Embeds: zeroed, Mask: []uint8{1, 1, 0, 1}},
		sdk.FillDelete: {Embeds: slices.Concat(embeds[:2*width], embeds[3*width:])},
	} {
		got := s.logitsOf(t, &sdk.Forward{Masks: masks, Fill: sdk.Fill{Kind: fill}})
		if diff := cmp.Diff(predicted(t, m, want), got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", fill, diff)
		}
	}
	for _, fill := range []sdk.FillKind{sdk.FillMask, sdk.FillAverage, sdk.FillToken} {
		_, err := s.Forward(t.Context(), &sdk.Forward{Masks: masks, Fill: sdk.Fill{Kind: fill}})
		if !errors.Is(err, sdk.NewError(sdk.EUnsupported, "")) || !strings.HasSuffix(err.Error(), "use fill=zero or fill=hide") {
			t.Errorf("%v: error %v", fill, err)
		}
	}
}

// TestSessionsShareEvaluations: what one session has run is not run again by
// another, while the counters of each say the same as before.
func TestSessionsShareEvaluations(t *testing.T) {
	m := openBuiltin(t, Options{})
	const text = "one two three"
	keep := sdk.NewTensor([]uint8{1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1}, 4, 3)
	f := &sdk.Forward{Units: keep, Fill: sdk.Fill{Kind: sdk.FillDelete}}
	counters := func(s *session) [3]int { return [3]int{s.evaluations, s.unique, s.hits} }

	first := started(t, m, Request{Input: Input{Text: text}})
	want := first.logitsOf(t, f)
	if got := counters(first); got != [3]int{4, 3, 1} { // the input was known
		t.Errorf("first: counters %v", got)
	}
	second := started(t, m, Request{Input: Input{Text: text}})
	// A row of its own, and those of the first.
	second.logitsOf(t, &sdk.Forward{Units: sdk.NewTensor([]uint8{1, 0, 0}, 1, 3), Fill: sdk.Fill{Kind: sdk.FillDelete}})
	m.engine.Close() // whatever has to be run fails from now on
	if got := second.logitsOf(t, f); !reflect.DeepEqual(got, want) {
		t.Errorf("second: logits %v, want %v", got, want)
	}
	if got := counters(second); got != [3]int{5, 4, 4} {
		t.Errorf("second: counters %v", got)
	}
	third := started(t, m, Request{Input: Input{Text: text}})
	var progress []int
	third.progress = func(done, total int) { progress = append(progress, done, total) }
	if got := third.logitsOf(t, f); !reflect.DeepEqual(got, want) || counters(third) != [3]int{4, 3, 4} {
		t.Errorf("third: logits %v, counters %v", got, counters(third))
	}
	if !slices.Equal(progress, []int{4, 4}) {
		t.Errorf("progress %v of what is known", progress)
	}
	f.KeepDuplicates = true
	if _, err := third.Forward(t.Context(), f); err == nil {
		t.Error("rows that are to be run again are not run")
	}
	if got := counters(third); got != [3]int{4, 3, 4} {
		t.Errorf("a forward that fails counts: %v", got)
	}
}

// TestCancelledRows: no row is built any more once the context is done, since
// each may be a long text.
func TestCancelledRows(t *testing.T) {
	s := started(t, openBuiltin(t, Options{}), Request{Input: Input{Text: "one two three"}})
	ctx, cancel := context.WithCancel(t.Context())
	built := 0
	build := func(int) (variant, error) {
		if built++; built == 3 {
			cancel()
		}
		return s.unchanged(), nil
	}
	if _, err := s.block(ctx, &reply{session: s, target: s.target, rows: make([]int, 10)}, build, 0, true); !errors.Is(err, context.Canceled) || built != 3 {
		t.Errorf("%d rows were built: %v", built, err)
	}
}

// TestCancelledForwards leave the session and the model as they were.
func TestCancelledForwards(t *testing.T) {
	m := openBuiltin(t, Options{Threads: 2})
	s := started(t, m, Request{Input: Input{Text: "one two three"}})
	known := len(m.cache.entries)
	ctx, cancel := context.WithCancel(t.Context())
	s.progress = func(int, int) { cancel() }
	rows := slices.Repeat([]uint8{0, 1, 1, 1, 0, 1}, 1000)
	f := &sdk.Forward{Units: sdk.NewTensor(rows, 2000, 3), KeepDuplicates: true}
	if _, err := s.Forward(ctx, f); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if len(s.answers) != 1 || len(s.known) != 1 || s.unique+s.hits+s.evaluations != 0 || len(m.cache.entries) != known {
		t.Errorf("%d answers, %d rows and %d remembered after a forward that was cancelled", len(s.answers), len(s.known), len(m.cache.entries))
	}
	s.progress, f.KeepDuplicates = nil, false
	fresh := started(t, openBuiltin(t, Options{Cache: -1}), Request{Input: Input{Text: "one two three"}})
	if diff := cmp.Diff(fresh.logitsOf(t, f), s.logitsOf(t, f)); diff != "" {
		t.Errorf("afterwards (-fresh +cancelled):\n%s", diff)
	}
}

// TestBareUnits: units that a forward brings without spans are dropped token by
// token, whatever the request's units are.
func TestBareUnits(t *testing.T) {
	s := started(t, openBuiltin(t, Options{}), Request{Input: Input{Text: "A gripping film."}})
	bare := make([]sdk.Unit, len(s.units))
	masks := make([]uint8, 0, len(s.units)*len(s.enc.tokens))
	keep := slices.Repeat([]uint8{1}, len(s.units)*len(s.units))
	for i, u := range s.units {
		bare[i] = sdk.Unit{Text: u.Text, Tokens: u.Tokens}
		keep[i*len(s.units)+i] = 0
		row := slices.Repeat([]uint8{1}, len(s.enc.tokens))
		for _, token := range u.Tokens {
			row[token] = 0
		}
		masks = append(masks, row...)
	}
	got := s.logitsOf(t, &sdk.Forward{Units: sdk.NewTensor(keep, len(bare), len(bare)), Over: bare})
	want := s.logitsOf(t, &sdk.Forward{Masks: sdk.NewTensor(masks, len(bare), len(s.enc.tokens))})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if whole := s.logitsOf(t, &sdk.Forward{Masks: sdk.NewTensor(slices.Repeat([]uint8{1}, len(s.enc.tokens)), 1, len(s.enc.tokens))}); cmp.Equal(whole[0], got[1]) {
		t.Error("dropping a unit changes nothing")
	}
}

// TestFillsThatWork: an error about a fill names the fills that work for the input.
func TestFillsThatWork(t *testing.T) {
	ids := Request{Input: Input{Raw: &Raw{IDs: []int32{5, 7}}}}
	bare := started(t, openGolden(t, "bert-seqcls", Options{}), ids)
	want := "fill=zero, fill=hide, fill=average or fill_token=ID"
	for _, fill := range []sdk.FillKind{sdk.FillDelete, sdk.FillMask} {
		_, err := bare.Forward(t.Context(), &sdk.Forward{Masks: sdk.NewTensor([]uint8{0, 0}, 1, 2), Fill: sdk.Fill{Kind: fill}})
		if err == nil || !strings.HasSuffix(err.Error(), "use "+want) {
			t.Errorf("%v: error %v", fill, err)
		}
	}
	if got := started(t, openBuiltin(t, Options{}), ids).inPlace(); got != "fill=mask, "+want {
		t.Errorf("with a tokenizer: %s", got)
	}
}
