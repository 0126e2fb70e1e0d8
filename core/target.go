package core

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/num"
)

// head says how a classifier's logits become probabilities.
type head int

const (
	singleLabel head = iota // softmax over the classes
	multiLabel              // a sigmoid a class
	regression              // the logit is the output
)

// target is a scalar of what a model answers to a variant of the input: a sum of
// parts, each of which is a product of probabilities, or the sum of their
// logarithms or logits. One that grammar.parse returns is of every variant.
type target struct {
	kind   string
	expr   string // that selects it again
	label  string
	index  int // of the class or the token; of a difference that of the first
	output sdk.Output

	second      int    // the index of what a difference subtracts
	secondLabel string // and its label

	// branches are the rows that it is read from: the variant itself, or the
	// variant with one of two texts behind it. parts sum up to the value.
	branches []branch
	parts    []summand
	// whole says that what is kept of an answer is the logits of all classes, and
	// not what scale.read has of the cells.
	whole bool
}

// branch is a row that a target is read from.
type branch struct {
	suffix []int32 // tokens behind the variant; nil for none
	cells  []cell  // what is read
}

// cell is one logit: a column at a token.
type cell struct {
	position int // of the token; below 0 counted from the row's end. A classifier of texts has none
	class    int
}

// summand is a multiple of the logits, probabilities or log-probabilities of some
// cells of a branch, all together.
type summand struct {
	weight float64
	branch int
	cells  []int
}

// inside reports whether the target is read at places that count from the
// beginning of the input.
func (t *target) inside() bool {
	return slices.ContainsFunc(t.branches, func(b branch) bool {
		return slices.ContainsFunc(b.cells, func(c cell) bool { return c.position >= 0 })
	})
}

// grammar is what the targets of a model are made of.
type grammar struct {
	task      string
	labels    []string // of the classes; nil of a language model
	outputs   int      // logits at a position
	head      head
	tokenizer *tokenizer.Tokenizer // may be nil
	// behind has a model of two streams predict the token behind the input, as
	// explain and predict have it; it does not read the input's own.
	behind bool
}

// grammar returns the grammar of the model's targets.
func (m *Model) grammar() grammar {
	info := m.engine.Info()
	return grammar{task: info.Task, labels: m.labels, outputs: info.Outputs, head: m.head, tokenizer: m.tokenizer}
}

// questions returns the grammar of the targets that are explained.
func (m *Model) questions() grammar {
	g := m.grammar()
	g.behind = true
	return g
}

// parse reads a target expression: one scalar, or the difference of two of a
// kind, A - B. By the model's task a scalar is
//
//	CLASS, label:NAME              of a classifier of texts
//	CLASS@POS                      of a classifier of tokens
//	start@POS, end@POS, span:S-E   of a model that answers with a span
//	token:ID@POS                   of a language model; ID may be the token's text
//	continuation:TEXT, step:I:TEXT of a causal language model: all tokens of a text
//	                               behind the input, or its token I
//
// An integer is the index of a class; anything else is a label, matched exactly,
// then by case folding. Positions count tokens, special ones included, from 0 or
// from the end, −1 being the last. The output defaults to the logit of a
// regression, the log-probability of a continuation and the probability of
// anything else. Errors are *Error of KindUsage.
func (g grammar) parse(expr string, output sdk.Output) (*target, error) {
	if err := g.offers(output); err != nil {
		return nil, err
	}
	s, err := g.scalars(expr)
	if err != nil {
		return nil, err
	}
	if len(s) == 2 && s[0].same(s[1]) {
		return nil, fromItself(expr)
	}
	t := &target{kind: s[0].kind, expr: s[0].expr, label: s[0].label, index: s[0].index, output: output, whole: g.task == arch.SequenceClassification}
	if output == "" {
		switch {
		case g.head == regression:
			t.output = sdk.Logit
		case s[0].kind == sdk.KindContinuation || s[0].kind == sdk.KindStep:
			t.output = sdk.LogProb
		default:
			t.output = sdk.Prob
		}
	}
	for i, weight := range []float64{1, -1}[:len(s)] {
		b := slices.IndexFunc(t.branches, func(b branch) bool { return slices.Equal(b.suffix, s[i].suffix) })
		if b < 0 {
			b = len(t.branches)
			t.branches = append(t.branches, branch{suffix: s[i].suffix})
		}
		p := summand{weight: weight, branch: b}
		for k, c := range s[i].cells {
			at := slices.Index(t.branches[b].cells, c)
			if at < 0 {
				at = len(t.branches[b].cells)
				t.branches[b].cells = append(t.branches[b].cells, c)
			}
			if s[i].step < 0 || s[i].step == k {
				p.cells = append(p.cells, at)
			}
		}
		t.parts = append(t.parts, p)
	}
	if len(s) == 2 {
		t.kind = sdk.KindDifference
		t.second, t.secondLabel = s[1].index, s[1].label
		t.expr += " - " + s[1].expr
		t.label = s[0].quoted() + " - " + s[1].quoted()
	}
	return t, nil
}

// offers refuses a scale that the model's answers do not have.
func (g grammar) offers(output sdk.Output) error {
	switch output {
	case "", sdk.Logit:
	case sdk.Prob, sdk.LogProb:
		if g.head == regression {
			return usage("a regression model has no probabilities", "use --output logit")
		}
	default:
		return usage("unknown output "+strconv.Quote(string(output)), "use logit, prob or logprob")
	}
	return nil
}

// scalar is what a target is the value of, or the difference of two.
type scalar struct {
	kind, expr, label string
	index             int
	suffix            []int32
	cells             []cell
	step              int // which of the cells alone; −1 for all
}

// quoted returns the label, in quotes where it is a text of its own.
func (s scalar) quoted() string {
	if s.kind == sdk.KindToken || behind(s.expr) != "" {
		return strconv.Quote(s.label)
	}
	return ClassLabel(s.label, s.index)
}

// ClassLabel names a class for people: a model may have classes whose label is blank.
func ClassLabel(label string, class int) string {
	if strings.TrimSpace(label) == "" {
		return "class " + strconv.Itoa(class)
	}
	return label
}

// ClassLabels names classes for people, separated by commas.
func ClassLabels(labels []string) string {
	names := make([]string, len(labels))
	for i, l := range labels {
		names[i] = ClassLabel(l, i)
	}
	return strings.Join(names, ", ")
}

// same reports whether another scalar is the same one, however either is written. What
// is behind a continuation's last token that is read changes nothing of it.
func (s scalar) same(other scalar) bool {
	if s.suffix == nil || other.suffix == nil || behind(s.expr) == "" {
		return slices.Equal(s.suffix, other.suffix) && slices.Equal(s.cells, other.cells)
	}
	from, read := s.read()
	otherFrom, otherRead := other.read()
	return from == otherFrom && slices.Equal(read, otherRead)
}

// read returns the tokens of a continuation up to the last that is read, and which the
// first is that is.
func (s scalar) read() (from int, tokens []int32) {
	if s.step < 0 {
		return 0, s.suffix
	}
	return s.step, s.suffix[:s.step+1]
}

// fromItself refuses a difference that is 0 whatever the model says.
func fromItself(expr string) error {
	return usage("the target "+strconv.Quote(strings.TrimSpace(expr))+" takes something from itself, which leaves 0 of any input", "name two that differ, or one alone")
}

// The most bytes of a target expression: a method may give one, or a receipt.
const (
	maxTarget       = 4 << 10
	maxContinuation = 1 << 20 // of one that goes on behind the input
)

// scalars reads a scalar, or two with a minus between them.
func (g grammar) scalars(expr string) ([]scalar, error) {
	expr = strings.TrimLeft(expr, " \t\r\n")
	most := maxTarget
	if behind(expr) != "" {
		most = maxContinuation
	}
	if len(expr) > most {
		return nil, usage("the target has "+strconv.Itoa(len(expr))+" bytes, and "+strconv.Itoa(most)+" is the most", "see xai explain --help")
	}
	if behind(expr) != "" { // whose text may have a minus in it
		const minus = " - "
		for i := range expr {
			if strings.HasPrefix(expr[i:], minus) && behind(expr[i+len(minus):]) != "" {
				a, err := g.scalar(expr[:i])
				if err != nil {
					return nil, err
				}
				b, err := g.scalar(expr[i+len(minus):])
				return []scalar{a, b}, err
			}
		}
	}
	one, err := g.scalar(expr)
	if err == nil {
		return []scalar{one}, nil
	}
	for at := 0; ; {
		i := strings.Index(expr[at:], " - ")
		if i < 0 {
			break
		}
		i += at
		at = i + len(" - ")
		a, errA := g.scalar(expr[:i])
		b, errB := g.scalar(expr[at:])
		switch {
		case errA != nil:
			err = errA
		case errB != nil:
			err = errB
		case (behind(a.expr) == "") != (behind(b.expr) == ""):
			return nil, usage("a continuation can be compared with a continuation alone", "write it as continuation:TEXT - continuation:TEXT")
		default:
			return []scalar{a, b}, nil
		}
	}
	if g.task != arch.SequenceClassification && strings.Count(expr, " - ") > 1 {
		return nil, usage("the target "+strconv.Quote(expr)+" is more than a difference of two", "xai activations --grad-of takes longer sums, as logits[b,i,j] + …")
	}
	if g.task == arch.SequenceClassification && len(expr) <= 256 { // a minus without its spaces is part of a label
		for i := range expr {
			if expr[i] != '-' {
				continue
			}
			a, b := strings.TrimSpace(expr[:i]), strings.TrimSpace(expr[i+1:])
			_, errA := g.class(a)
			_, errB := g.class(b)
			if errA == nil && errB == nil {
				return nil, usage("the model has no class "+strconv.Quote(expr), "a difference has spaces around its minus: "+a+" - "+b)
			}
		}
	}
	return nil, err
}

// The prefixes of targets that go on behind the input.
const (
	prefixContinuation = "continuation:"
	prefixStep         = "step:"
)

// behind returns the prefix of a target behind the input, "" of any other.
func behind(expr string) string {
	for _, prefix := range []string{prefixContinuation, prefixStep} {
		if strings.HasPrefix(expr, prefix) {
			return prefix
		}
	}
	return ""
}

// scalar reads one scalar.
func (g grammar) scalar(expr string) (scalar, error) {
	if prefix := behind(expr); prefix != "" && (g.task == arch.CausalLM || g.task == arch.PermutationLM) {
		return g.continuation(prefix, expr)
	}
	expr = strings.TrimSpace(expr)
	if g.task == arch.SequenceClassification {
		class, err := g.class(expr)
		if err != nil {
			return scalar{}, err
		}
		s := scalar{kind: sdk.KindClass, expr: strconv.Itoa(class), label: g.labels[class], index: class, cells: []cell{{class: class}}, step: -1}
		if g.head == regression {
			s.kind = sdk.KindRegression
		}
		return s, nil
	}
	if s, ok, err := g.span(expr); ok {
		return s, err
	}
	return g.placed(expr)
}

// placed reads a logit at one position.
func (g grammar) placed(expr string) (scalar, error) {
	wrong := func(reason string) (scalar, error) {
		hint := "write it as token:ID@POS"
		switch g.task {
		case arch.MaskedLM:
			hint += ", where POS is the place of the mask among the tokens; xai tokenize numbers them"
		case arch.CausalLM:
			hint += ", or continuation:TEXT for what comes behind the input"
		case arch.PermutationLM:
			if g.behind {
				hint = "write it as token:ID, or continuation:TEXT for more than one token"
			}
		case arch.QuestionAnswering:
			hint = "write it as start@POS, end@POS or span:S-E"
		case arch.TokenClassification:
			hint = "write it as CLASS@POS"
		}
		return scalar{}, usage("the target "+strconv.Quote(expr)+" "+reason, hint)
	}
	what, where, found := cutLast(expr, "@")
	position, err := strconv.Atoi(where)
	if (!found || err != nil) && strings.HasPrefix(expr, "token:") && (g.task == arch.CausalLM || g.task == arch.PermutationLM) {
		what, position, found, err = expr, -1, true, nil // the next token
	}
	token, isToken := strings.CutPrefix(what, "token:")
	s := scalar{kind: sdk.KindClass, label: what, step: -1}
	switch {
	case behind(expr) != "":
		return wrong("is nothing that a model for " + g.task + " answers")
	case !found && !isToken && (g.task == arch.CausalLM || g.task == arch.MaskedLM || g.task == arch.PermutationLM):
		return wrong("does not begin with token:, and a language model has no classes")
	case !found:
		return wrong("names no position")
	case err != nil:
		return wrong(noPosition(where))
	case g.task == arch.QuestionAnswering && what == "start":
		s.kind = sdk.KindStart
	case g.task == arch.QuestionAnswering && what == "end":
		s.kind, s.index = sdk.KindEnd, 1
	case g.task == arch.TokenClassification:
		if s.index, err = g.class(what); err != nil {
			return s, err
		}
		s.label, what = g.labels[s.index], strconv.Itoa(s.index)
	case isToken && g.labels == nil:
		id, ok := g.token(token)
		if before, after, at := cutLast(token, "@"); !ok && at {
			if _, named := g.token(before); named {
				return wrong(noPosition(after))
			}
		}
		if pieces := g.pieces(token); !ok && len(pieces) > 1 {
			hint := "name one of them: " + strings.Join(pieces[:min(len(pieces), 8)], ", ")
			if g.task == arch.CausalLM || g.task == arch.PermutationLM && g.behind {
				hint = "as what comes behind the input it is continuation:" + token
			}
			return s, usage("the target "+strconv.Quote(expr)+" is "+strconv.Itoa(len(pieces))+" tokens of the model, not one", hint)
		}
		if !ok {
			return wrong("names no token of the model, whose ids are 0 to " + strconv.Itoa(g.outputs-1))
		}
		s.kind, s.index, s.label, what = sdk.KindToken, id, g.text(int32(id)), "token:"+strconv.Itoa(id)
	default:
		return wrong("is nothing that a model for " + g.task + " answers")
	}
	if g.task == arch.PermutationLM && g.behind {
		if position != -1 {
			return wrong("is inside of the text, where the model hides nothing from itself: position −1 is what comes behind it")
		}
		s.suffix = []int32{0} // nothing sees what it is
		if g.tokenizer != nil {
			s.suffix[0], _ = g.tokenizer.MaskID()
		}
	}
	s.expr = what + "@" + strconv.Itoa(position)
	s.cells = []cell{{position, s.index}}
	return s, nil
}

func noPosition(s string) string {
	return "has the position " + strconv.Quote(s) + ", which is no whole number"
}

var spanPattern = regexp.MustCompile(`^span:(\d{1,9})-(\d{1,9})$`)

// span reads span:S-E; ok tells that it looks like one.
func (g grammar) span(expr string) (s scalar, ok bool, err error) {
	if g.task != arch.QuestionAnswering || !strings.HasPrefix(expr, "span:") {
		return s, false, nil
	}
	match := spanPattern.FindStringSubmatch(expr)
	if match == nil {
		return s, true, usage("the target "+strconv.Quote(expr)+" is no span", "write it as span:S-E, with the positions of its first and its last token")
	}
	from, _ := strconv.Atoi(match[1])
	to, _ := strconv.Atoi(match[2])
	if to < from {
		return s, true, usage("the target "+strconv.Quote(expr)+" ends before it starts", "name the first token, then the last")
	}
	return scalar{
		kind: sdk.KindSpan, expr: "span:" + strconv.Itoa(from) + "-" + strconv.Itoa(to), label: "tokens " + strconv.Itoa(from) + " to " + strconv.Itoa(to),
		cells: []cell{{from, 0}, {to, 1}}, step: -1,
	}, true, nil
}

// continuation reads continuation:TEXT or step:I:TEXT. Spaces belong to the text.
func (g grammar) continuation(prefix, expr string) (scalar, error) {
	s := scalar{kind: sdk.KindContinuation, expr: expr, step: -1}
	text := strings.TrimPrefix(expr, prefix)
	if prefix == prefixStep {
		step, rest, _ := strings.Cut(text, ":")
		var err error
		if s.step, err = strconv.Atoi(step); err != nil || s.step < 0 {
			return s, usage("the target "+strconv.Quote(expr)+" names no step", "write it as step:I:TEXT, where I counts the tokens of the text from 0")
		}
		s.kind, text = sdk.KindStep, rest
	}
	if g.tokenizer == nil {
		return s, &Error{Kind: KindInput, Msg: "the model has no tokenizer, so it reads no continuation", Hint: "put tokenizer.json or vocab.txt into its folder"}
	}
	enc, err := g.tokenizer.Encode(text, tokenizer.Options{NoSpecial: true})
	if err != nil {
		return s, input("the continuation", err, "")
	}
	n := len(enc.Tokens)
	if n == 0 {
		return s, usage("the continuation has no tokens", "write it as continuation:TEXT; a space at its beginning belongs to it")
	}
	if s.step >= n {
		return s, usage("the continuation has no token "+strconv.Itoa(s.step), "it has "+strconv.Itoa(n))
	}
	s.suffix, s.label = enc.IDs(), text
	for i, id := range s.suffix {
		at := i - n // the query stream answers at the token itself
		if g.task == arch.CausalLM {
			at-- // and a causal model at the one before
		}
		s.cells = append(s.cells, cell{at, int(id)})
	}
	if s.index = int(s.suffix[max(s.step, 0)]); s.step >= 0 {
		s.label = g.text(s.suffix[s.step])
	}
	return s, nil
}

// token resolves a token of the vocabulary: an id, a token as the vocabulary
// spells it, or a text that is one token.
func (g grammar) token(name string) (int, bool) {
	if id, err := strconv.Atoi(name); err == nil {
		return id, id >= 0 && id < g.outputs
	}
	if g.tokenizer == nil {
		return 0, false
	}
	id, ok := g.tokenizer.ID(name)
	if !ok {
		enc, err := g.tokenizer.Encode(name, tokenizer.Options{NoSpecial: true})
		if err != nil || len(enc.Tokens) != 1 {
			return 0, false
		}
		id = enc.Tokens[0].ID
	}
	return int(id), int(id) < g.outputs
}

// pieces returns the tokens of a text as targets name them; nil where it cannot be
// told.
func (g grammar) pieces(text string) []string {
	if _, err := strconv.Atoi(text); err == nil || g.tokenizer == nil {
		return nil
	}
	enc, err := g.tokenizer.Encode(text, tokenizer.Options{NoSpecial: true})
	if err != nil {
		return nil
	}
	var out []string
	for _, id := range enc.IDs() {
		name, _ := g.tokenizer.Token(id)
		out = append(out, "token:"+name)
	}
	return out
}

// text returns the text that a token stands for: without a tokenizer, its id.
func (g grammar) text(id int32) string {
	if g.tokenizer != nil {
		if text := g.tokenizer.Join([]int32{id}, false); text != "" {
			return text
		}
		if text, ok := g.tokenizer.Token(id); ok {
			return text
		}
	}
	return strconv.Itoa(int(id))
}

// class resolves the name of one class.
func (g grammar) class(name string) (int, error) {
	name = strings.TrimSpace(name)
	for _, prefix := range []string{"token:", "start@", "end@", "span:", prefixContinuation, prefixStep} {
		if strings.HasPrefix(name, prefix) {
			return 0, usage("target "+prefix+"… does not apply to a classifier", "name a class: "+ClassLabels(g.labels))
		}
	}
	label, forced := strings.CutPrefix(name, "label:")
	if !forced {
		if i, err := strconv.Atoi(name); err == nil {
			if i < 0 || i >= len(g.labels) {
				return 0, usage("class "+name+" does not exist: the model has "+strconv.Itoa(len(g.labels))+" classes", "use 0 to "+strconv.Itoa(len(g.labels)-1))
			}
			return i, nil
		}
	}
	for i, l := range g.labels {
		if l == label {
			return i, nil
		}
	}
	found := -1
	for i, l := range g.labels {
		if strings.EqualFold(l, label) {
			if found >= 0 {
				return 0, usage("label "+strconv.Quote(label)+" matches more than one class", "spell it exactly: "+ClassLabels(g.labels))
			}
			found = i
		}
	}
	if found >= 0 {
		return found, nil
	}
	hint := "the classes are " + ClassLabels(g.labels)
	if near, ok := nearest.Of(label, g.labels); ok {
		hint = "did you mean " + near + "? " + hint
	}
	return 0, usage("the model has no class "+strconv.Quote(label), hint)
}

// value reads the target from what is kept of an answer.
func (t *target) value(answer []float64, c scale) float64 {
	sum := 0.0
	if t.whole {
		switch outputs := answer; t.output {
		case sdk.Prob:
			answer = probs(outputs, c.head)
		case sdk.LogProb:
			answer = logProbs(outputs, c.head)
		}
		for _, p := range t.parts {
			for _, k := range p.cells {
				sum += p.weight * answer[t.branches[0].cells[k].class]
			}
		}
		return sum
	}
	starts := make([]int, len(t.branches)+1)
	for i, b := range t.branches {
		starts[i+1] = starts[i] + 2*len(b.cells)
	}
	for _, p := range t.parts {
		value, _ := c.fold(p, answer[starts[p.branch]:starts[p.branch+1]])
		sum += value
	}
	return sum
}

// probs returns the probabilities of one row of logits.
func probs(logits []float64, h head) []float64 {
	out := make([]float64, len(logits))
	switch h {
	case multiLabel:
		for i, v := range logits {
			out[i] = num.Sigmoid(v)
		}
	case singleLabel:
		num.Softmax(out, logits)
	default:
		copy(out, logits)
	}
	return out
}

// logProbs returns the logarithms of the probabilities, accurate where the
// probabilities themselves vanish.
func logProbs(logits []float64, h head) []float64 {
	out := make([]float64, len(logits))
	switch h {
	case multiLabel: // log σ(v) = −log(1+e^−v)
		for i, v := range logits {
			out[i] = -num.LogSumExp([]float64{0, -v})
		}
	case singleLabel:
		z := num.LogSumExp(logits)
		for i, v := range logits {
			out[i] = v - z
		}
	default:
		copy(out, logits)
	}
	return out
}

// argmax is the class with the largest logit, the first of equals: what is
// explained when no target is named.
func argmax(logits []float64) int {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return best
}

// cutLast is strings.Cut around the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
