package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// maxReceipt bounds an explanation that is read, in bytes.
const maxReceipt = 256 << 20

// OtherKernels is how far two runs may be apart on different kernel families,
// as a part of the largest value of each list of values: they round their sums in
// another order, and a method may enlarge that.
const OtherKernels = 1e-4

// ReadExplanation reads the JSON form of an explanation: strictly one of Schema,
// without anything behind it. Fields that this version does not know are
// skipped, since a later one may have added them.
func ReadExplanation(r io.Reader) (*Explanation, error) {
	wrong := func(what string, err error) error {
		return &Error{Kind: KindInput, Msg: what, Hint: "give a file that xai explain --format json wrote", Err: err}
	}
	var kept bytes.Buffer
	limited := &io.LimitedReader{R: r, N: maxReceipt + 1}
	d := json.NewDecoder(io.TeeReader(limited, &kept))
	var x Explanation
	if err := d.Decode(&x); err != nil {
		if limited.N <= 0 {
			return nil, wrong("the explanation has more than "+strconv.Itoa(maxReceipt>>20)+" MiB", err)
		}
		if is[*Error](err) { // of the reader
			return nil, err
		}
		return nil, wrong("this is no explanation in JSON: "+err.Error(), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, wrong("there is something behind the explanation", err)
	}
	if name, ok := repeated(kept.Bytes()); ok {
		return nil, wrong("the explanation says "+strconv.Quote(shorten(name))+" twice, so that others may read other values in it", nil)
	}
	switch {
	case x.Schema != Schema:
		return nil, wrong("the schema is "+strconv.Quote(x.Schema)+", and this version reads "+Schema, nil)
	case x.Method.Name == "" || x.Model.ID == "" || len(x.Attributions) == 0:
		return nil, wrong("the explanation lacks its method, its model or its attributions", nil)
	}
	return &x, nil
}

// repeated returns a name that an object of valid JSON has twice. This package's
// decoder would take the last one, in whatever letter case, and another reader
// another one: then what was verified is not what somebody sees.
func repeated(data []byte) (name string, ok bool) {
	type object struct {
		names map[string]bool // folded, but for those of maps; nil of a list
		exact bool
	}
	var stack []object
	last, key := "", false // the last name, and whether a string is one now
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			// The names of these are data; those of all others are fields.
			named := len(stack) > 0 && stack[len(stack)-1].names != nil
			stack = append(stack, object{map[string]bool{}, named && (last == "params" || last == "diagnostics")})
			key = true
		case '[':
			stack, key = append(stack, object{}), false
		case '}', ']':
			stack, key = stack[:len(stack)-1], false
		case ',':
			key = stack[len(stack)-1].names != nil
		case '"':
			begin := i
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if !key {
				continue
			}
			key = false
			if json.Unmarshal(data[begin:i+1], &last) != nil {
				return "", false // it is no JSON, and was refused
			}
			top, name := stack[len(stack)-1], last
			if !top.exact {
				name = folded(name)
			}
			if top.names[name] {
				return last, true
			}
			top.names[name] = true
		}
	}
	return "", false
}

// folded returns the same string for all that differ in letter case alone.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, s)
}

// Again returns the request that repeats x. Token ids, which an explanation holds
// without their masks and positions, are not repeated from it alone: their input
// is raw, and has to be the same as then.
func (x *Explanation) Again(raw *Raw) (Request, error) {
	r := Request{
		Input:   Input{Text: x.Input.Text, Pair: x.Input.TextPair, Raw: raw},
		Method:  x.Method.Name,
		Params:  make(map[string]string, len(x.Method.Params)),
		Target:  x.Target.Expr,
		Output:  sdk.Output(x.Target.Output),
		Units:   x.Provenance.Units,
		Steps:   slices.ContainsFunc(x.Attributions, func(a Attribution) bool { return a.Name == StepName(0) && len(x.Target.Steps) > 0 }),
		Sanity:  x.Sanity != nil,
		Seed:    x.Provenance.Seed,
		Runtime: x.Method.Runtime,
	}
	if x.Provenance.Units == "" && raw == nil {
		return r, &Error{Kind: KindUsage, Msg: "the explanation is of token ids, which it does not hold all of", Hint: "name the file that it was made of with --inputs"}
	}
	if r.Units == UnitsWord { // whether they were asked for, it does not say
		r.Units = ""
	}
	for name, v := range x.Method.Params {
		if r.Params[name] = paramText(v); r.Params[name] == "" && v != "" {
			return r, &Error{Kind: KindInput, Msg: "the parameter " + strconv.Quote(name) + " of the explanation is neither a string, a number nor a truth value", Hint: "give a file that xai explain --format json wrote"}
		}
	}
	return r, nil
}

// paramText returns the value of a parameter as a user types it, whatever JSON
// made of its type; empty for what is no such value.
func paramText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// Verification says how a repeated run compares with the first.
type Verification struct {
	Again *Explanation
	// SameBits is true where nothing differs that should not.
	SameBits bool
	// SameKernel is true where the kernel families are the same, so that the
	// bits have to be.
	SameKernel bool
	// Within is true where every difference is one of values and within
	// OtherKernels.
	Within      bool
	Differences []Difference // in the order of the explanation
	// Elsewhere is what may be another on another machine, or in another version,
	// without a value that is: the words about the sandbox, and the version of xai.
	Elsewhere []Difference
}

// Passed reports whether the repeated run is what the first one promised.
func (v *Verification) Passed() bool { return v.SameBits || !v.SameKernel && v.Within }

// Difference is one thing that two runs differ in.
type Difference struct {
	What string // such as "attributions" or "method.sha256"
	Was  string // short
	Is   string
	// Relative is the largest difference of values, as a part of the largest
	// value; NaN where other things than values differ.
	Relative float64
}

// kernelFamilies are those that explanations come from: those of all
// machines that this version runs on.
var kernelFamilies = []string{"generic", "avx2", "avx512", "neon"}

// Verify runs an explanation again on m, as r says, and compares. What is
// compared is all that the run settles: no times, no fuel, no words that name the
// model, no doubts, which follow from the rest, and apart from it what may be
// another elsewhere.
func (h *Host) Verify(ctx context.Context, m *Model, x *Explanation, r Request) (*Verification, error) {
	if known := append(slices.Clone(kernelFamilies), engine.Kernels()...); !slices.Contains(known, x.Provenance.Kernel) {
		return nil, &Error{Kind: KindInput, Msg: "the explanation names the kernels " + strconv.Quote(shorten(x.Provenance.Kernel)) + ", which this version does not know", Hint: "those that it knows are " + strings.Join(kernelFamilies, ", ") + "; a newer xai may have others"}
	}
	if got := string(m.engine.Info().DType); got != x.Provenance.DType {
		return nil, usage("the explanation was made in "+x.Provenance.DType+", and the model is open in "+got, "give --dtype "+x.Provenance.DType)
	}
	again, err := h.Explain(ctx, m, r)
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == KindUsage {
		// Nobody has typed it: it stands in the explanation.
		return nil, &Error{Kind: KindInput, Msg: "the explanation cannot be repeated: " + e.Msg, Hint: e.Hint, Err: err}
	}
	if err != nil {
		return nil, err
	}
	v := &Verification{Again: again, SameKernel: x.Provenance.Kernel == again.Provenance.Kernel}
	v.compare(x, again)
	v.SameBits = len(v.Differences) == 0
	v.Within = !slices.ContainsFunc(v.Differences, func(d Difference) bool { return !(d.Relative <= OtherKernels) })
	return v, nil
}

// compare fills in the differences.
func (v *Verification) compare(was, is *Explanation) {
	v.text("model.architecture", was.Model.Architecture, is.Model.Architecture)
	v.text("model.task", was.Model.Task, is.Model.Task)
	v.text("model.sha256", was.Model.SHA256, is.Model.SHA256)
	v.text("model.tokenizer_sha256", was.Model.TokenizerSHA256, is.Model.TokenizerSHA256)
	v.methods(was.Method, is.Method)
	v.text("input.input_ids", was.Input.InputIDs, is.Input.InputIDs)
	v.lists("input.units", texts(was.Input.Units, unitText), texts(is.Input.Units, unitText))
	v.lists("input.tokens", texts(was.Input.Tokens, tokenText), texts(is.Input.Tokens, tokenText))
	v.lists("input.dropped", texts(was.Input.Dropped, tokenText), texts(is.Input.Dropped, tokenText))
	v.targets("target", was.Target, is.Target)
	v.origins(was.Provenance, is.Provenance)
	a, b := resultNames(was), resultNames(is)
	if v.text("results", a, b); !slices.Equal(a, b) {
		return
	}
	for i, a := range was.Attributions {
		if now := is.Attributions[i].Target; a.Target != nil && now != nil { // earlier versions had none
			v.targets(a.Name+".target", *a.Target, *now)
		} else if a.Target != nil {
			v.text(a.Name+".target", a.Target.Expr, "")
		}
		v.values(a.Name, a.Values, is.Attributions[i].Values)
		v.values(a.Name+".stderr", a.Stderr, is.Attributions[i].Stderr)
	}
	for i, t := range was.Tensors {
		v.values(t.Name, t.Values, is.Tensors[i].Values)
	}
	v.diagnostics(was.Diagnostics, is.Diagnostics)
	v.sanity(was.Sanity, is.Sanity)
}

// text compares two values by what is printed of them.
func (v *Verification) text(what string, was, is any) {
	if x, y := fmt.Sprint(was), fmt.Sprint(is); x != y {
		x, y = between(x, y)
		v.Differences = append(v.Differences, Difference{what, x, y, math.NaN()})
	}
}

// lists compares two lists, up to where they first differ.
func (v *Verification) lists(what string, was, is []string) {
	if len(was) != len(is) {
		v.text(what, strconv.Itoa(len(was))+" of them", strconv.Itoa(len(is))+" of them")
		return
	}
	for i := range was {
		if was[i] != is[i] {
			v.text(what, was[i], is[i])
			return
		}
	}
}

// values compares numbers, bit for bit.
func (v *Verification) values(what string, was, is []Float) {
	if d, same := distance(was, is); !same {
		v.Differences = append(v.Differences, Difference{what, shorten(fmt.Sprint(was)), shorten(fmt.Sprint(is)), d})
	}
}

func (v *Verification) methods(was, is MethodRef) {
	v.text("method.version", was.Version, is.Version)
	v.text("method.sha256", was.SHA256, is.SHA256)
	v.text("method.signer", was.Signer, is.Signer)
	v.text("method.runtime", was.Runtime, is.Runtime)
	v.text("method.abi", was.ABI, is.ABI)
	v.text("method.needs", was.Needs, is.Needs)
	for _, name := range slices.Sorted(maps.Keys(is.Params)) {
		v.text("method.params."+name, paramText(was.Params[name]), paramText(is.Params[name]))
	}
}

func (v *Verification) targets(name string, was, is Target) {
	what := func(t Target) string {
		return strings.TrimSpace(t.Kind+" "+strconv.Itoa(t.Index)+" "+t.Label) + " " + t.Output
	}
	baseline := func(of *Float) []Float {
		if of == nil {
			return nil
		}
		return []Float{*of}
	}
	steps := func(t Target) (tokens []string, values, baselines []Float) {
		for _, s := range t.Steps {
			tokens = append(tokens, fmt.Sprintf("%q, id %d", s.Text, s.Token))
			values, baselines = append(values, s.Value), append(baselines, baseline(s.Baseline)...)
		}
		return tokens, values, baselines
	}
	v.text(name, what(was), what(is))
	v.text(name+".positions", was.Positions, is.Positions)
	v.values(name+".value", []Float{was.Value}, []Float{is.Value})
	v.values(name+".baseline", baseline(was.Baseline), baseline(is.Baseline))
	tokens, values, baselines := steps(was)
	tokensNow, valuesNow, baselinesNow := steps(is)
	v.lists(name+".steps", tokens, tokensNow)
	v.values(name+".steps.value", values, valuesNow)
	v.values(name+".steps.baseline", baselines, baselinesNow)
}

// origins compares where two explanations come from: what may be another elsewhere
// apart from what may not.
func (v *Verification) origins(was, is Provenance) {
	v.text("provenance.units", was.Units, is.Units)
	v.text("provenance.dev", was.Dev, is.Dev)
	v.values("provenance.bytes_in", []Float{Float(was.BytesIn)}, []Float{Float(is.BytesIn)})
	v.values("provenance.bytes_out", []Float{Float(was.BytesOut)}, []Float{Float(is.BytesOut)})
	for _, d := range []Difference{
		{"provenance.xai", was.XAI, is.XAI, math.NaN()},
		{"provenance.sandbox", was.Sandbox, is.Sandbox, math.NaN()},
	} {
		if d.Was != d.Is {
			v.Elsewhere = append(v.Elsewhere, d)
		}
	}
}

func (v *Verification) diagnostics(was, is Diagnostics) {
	for _, name := range slices.Sorted(maps.Keys(was)) { // a newer version may have more
		if name == DiagCacheHits || name == DiagForwards {
			continue // of what the model had run before
		}
		var now []Float
		if d, ok := is[name]; ok {
			now = []Float{d}
		}
		v.values("diagnostics."+name, []Float{was[name]}, now)
	}
}

func (v *Verification) sanity(was, is *Sanity) {
	stages := func(s *Sanity) (targets, ranks []Float) {
		if s != nil {
			for _, stage := range s.Stages {
				targets, ranks = append(targets, stage.Target), append(ranks, stage.Values, stage.Magnitudes)
			}
		}
		return targets, ranks
	}
	targets, ranks := stages(was)
	targetsNow, ranksNow := stages(is)
	v.values("sanity.target", targets, targetsNow)
	v.values("sanity.ranks", ranks, ranksNow)
}

// resultNames names the attributions and tensors of an explanation, with their forms.
func resultNames(x *Explanation) (names []string) {
	for _, a := range x.Attributions {
		names = append(names, a.Name+" over "+a.Over)
	}
	for _, t := range x.Tensors {
		names = append(names, fmt.Sprint(t.Name, t.Axes, t.Shape))
	}
	return names
}

// distance returns the largest difference of two lists as a part of their
// largest value, and whether they are the same bits.
func distance(a, b []Float) (relative float64, same bool) {
	if len(a) != len(b) {
		return math.NaN(), false
	}
	same = true
	largest, apart := 0.0, 0.0
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		if math.Float64bits(x) == math.Float64bits(y) || math.IsNaN(x) && math.IsNaN(y) {
			continue
		}
		same = false
		apart = max(apart, math.Abs(x-y)) // NaN where one of them is
	}
	for i := range a {
		largest = max(largest, math.Abs(float64(a[i])))
	}
	if same || apart == 0 {
		return 0, same
	}
	return apart / largest, false
}

// texts returns the texts of units or tokens, with all else that they hold.
func texts[T any](list []T, text func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = text(v)
	}
	return out
}

func tokenText(t Token) string {
	s := fmt.Sprintf("%q, id %d, %s, runes %d to %d", t.Text, t.ID, spanText(Span{t.Sequence, t.Start, t.End}), t.RuneStart, t.RuneEnd)
	if t.Special {
		s += ", special"
	}
	return s
}

func unitText(u Unit) string {
	s := fmt.Sprintf("%q, %s, tokens %v", u.Text, spanText(Span{u.Sequence, u.Start, u.End}), u.Tokens)
	for _, more := range u.Spans {
		s += "; " + spanText(more)
	}
	return s
}

func spanText(s Span) string {
	return fmt.Sprintf("bytes %d to %d of text %d", s.Start, s.End, s.Sequence)
}

// between cuts two texts that differ to where they do, if they are too long to be
// shown.
func between(x, y string) (string, string) {
	const before = 20
	a, b := []rune(x), []rune(y)
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	if same > before && max(len(a), len(b)) > shown {
		x, y = "…"+string(a[same-before:]), "…"+string(b[same-before:])
	}
	return shorten(x), shorten(y)
}

// shown is how much of a text is shown, in runes.
const shown = 60

// shorten cuts what is too long to be shown.
func shorten(s string) string {
	r := []rune(s)
	if len(r) <= shown {
		return s
	}
	return string(r[:shown]) + "…"
}
