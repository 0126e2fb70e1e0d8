package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/sdk"
)

// Term writes for people: on a terminal, or as plain text where Level is
// NoColour.
type Term struct {
	Width int   // columns; 0 means 80
	Level Level // how many colours there are
	Top   int   // rows of the table of scores; 0 means 20
}

// The bounds of what Term lays out: below the narrowest nothing fits, and
// beyond the widest lines are hard to read.
const (
	narrowest = 24
	widest    = 120
	maxLines  = 400 // of each text
)

// Explanation writes e: what the model predicted, where p is not nil; the
// text, each unit coloured by how far it pushed the target; the scores, the
// largest first; and what says how far to trust them.
func (t Term) Explanation(w io.Writer, e *core.Explanation, p *core.Prediction) error {
	t = t.defaults()
	var b strings.Builder
	var classes Classes
	if p != nil {
		classes = t.predicted(&b, p)
	}
	t.target(&b, e, classes)
	for i, a := range e.Attributions {
		rows := rowsOf(&e.Input, a)
		scale := largest(rows)
		format := signed
		if e.Unsigned(a.Name) {
			format = unsigned
		}
		if i == 0 {
			b.WriteByte('\n')
			t.texts(&b, e, rows, scale, format)
			if e.Unsigned(a.Name) {
				t.sizes(&b, e, scale)
			} else {
				t.legend(&b, e, scale)
			}
			t.table(&b, rows, scale, t.Top, format)
			continue
		}
		fmt.Fprintf(&b, "\n  %s\n", t.Level.Bold(title(a, &e.Target, classes)))
		t.table(&b, rows, scale, min(t.Top, 5), format)
		t.facts(&b, append(baseline(a.Target), others(e.Diagnostics, a.Name+".")...))
	}
	b.WriteByte('\n')
	t.tensors(&b, e)
	t.sanity(&b, e)
	t.doubts(&b, e)
	t.facts(&b, diagnostics(e))
	t.facts(&b, rounding(e))
	t.facts(&b, provenance(e))
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Term) defaults() Term {
	if t.Width == 0 {
		t.Width = 80
	}
	t.Width = min(max(t.Width, narrowest), widest)
	if t.Top == 0 {
		t.Top = 20
	}
	return t
}

// predicted writes the prediction of one row on a line or two, and returns its
// classes where it has some.
func (t Term) predicted(b *strings.Builder, p *core.Prediction) Classes {
	r := &p.Rows[0]
	const few = 3
	switch p.Task {
	case arch.TokenClassification: // the target says enough
	case arch.QuestionAnswering:
		best := *r
		best.Spans = best.Spans[:min(len(best.Spans), few)]
		t.answers(b, &best)
	case arch.CausalLM, arch.MaskedLM, arch.PermutationLM:
		if len(r.Readouts) > 0 {
			t.choices(b, r.Readouts[0].Top[:min(len(r.Readouts[0].Top), few)])
		}
	default:
		classes := ClassesOf(p, 0)
		t.classes(b, classes, maxClasses)
		return classes
	}
	return nil
}

// target writes what was explained, where the line of classes does not say it.
func (t Term) target(b *strings.Builder, e *core.Explanation, classes Classes) {
	target := &e.Target
	switch {
	case target.Kind == sdk.KindClass && target.Output == "prob" && len(classes) > 0 && classes[0].index == target.Index,
		target.Kind == sdk.KindRegression && len(classes) > 0:
		return
	}
	b.WriteString(t.Paragraph(fmt.Sprintf("explained: %s = %s", scalar(target, e.Input.Tokens), number(float64(target.Value))), "  "))
}

// title names a further attribution: "POSITIVE (class.1) = 0.98" where it belongs to a
// class whose label and value are known, and likewise a token of a continuation.
func title(a core.Attribution, target *core.Target, classes Classes) string {
	name := a.Name
	if a.Target != nil {
		if strings.TrimSpace(a.Target.Label) != "" { // else its name says it all
			name = a.Target.Label + " (" + name + ")"
		}
		return Line(name + " = " + number(float64(a.Target.Value)))
	}
	for i, s := range target.Steps {
		if name == core.StepName(i) {
			return Line(fmt.Sprintf("%q (%s) = %s", s.Text, name, number(float64(s.Value))))
		}
	}
	for _, c := range classes {
		if c.label != "" && name == sdk.ClassName(c.index) {
			return Line(c.label + " (" + name + ")")
		}
	}
	return Line(name)
}

// scalar names what was explained, for example "probability of POSITIVE", or of
// something at a place "probability of LABEL_1 at token 2 ("film")".
func scalar(t *core.Target, tokens []core.Token) string {
	name := Line(t.Label)
	switch t.Kind {
	case sdk.KindToken, sdk.KindContinuation, sdk.KindStep, sdk.KindSpan:
		name = Line(strconv.Quote(t.Label))
	}
	if t.Kind == sdk.KindRegression {
		return cmp.Or(name, "output")
	}
	if t.Kind != sdk.KindDifference {
		name = core.ClassLabel(name, t.Index)
	}
	name = placed(name, t, tokens)
	switch t.Output {
	case "prob":
		return "probability of " + name
	case "logprob":
		return "log-probability of " + name
	}
	return t.Output + " of " + name
}

// placed adds to the name of a target the tokens that it is read at.
func placed(name string, t *core.Target, tokens []core.Token) string {
	const minus = " - "
	if t.Kind != sdk.KindDifference {
		return name + place(t.Expr, tokens)
	}
	first, second, _ := strings.Cut(t.Expr, minus)
	a, b, found := strings.Cut(name, minus)
	at := []string{place(first, tokens), place(second, tokens)}
	switch {
	case at[0] == "" && at[1] == "":
		return name
	case found && !strings.Contains(b, minus):
		return a + at[0] + minus + b + at[1]
	}
	return name + "," + at[0] + minus + strings.TrimSpace(at[1]) // a label has a minus of its own
}

// at are the targets that are read at a token.
var at = regexp.MustCompile(`^(token:\d+|\d+|start|end)@(-?\d{1,9})$`)

// place says which token a target is read at, with a space before it: nothing of
// what comes behind the text, and of a target that has no such place.
func place(expr string, tokens []core.Token) string {
	match := at.FindStringSubmatch(expr)
	if match == nil || strings.HasPrefix(expr, "token:") && match[2] == "-1" {
		return ""
	}
	position, _ := strconv.Atoi(match[2])
	if position < 0 {
		position += len(tokens)
	}
	if position < 0 || position >= len(tokens) {
		return " at token " + match[2]
	}
	const width = 20
	s := fmt.Sprintf(" at token %d", position)
	if text := strings.TrimSpace(tokens[position].Text); text != "" {
		s += " (" + strconv.Quote(clip(text, width)) + ")"
	}
	return s
}

// row is one score with what it belongs to.
type row struct {
	text          string
	value, stderr float64 // stderr is NaN where there is none
	spans         []core.Span
}

// rowsOf returns the scores of a in the order of its units or tokens. Special
// tokens that nothing was attributed to are left out.
func rowsOf(in *core.InputRef, a core.Attribution) []row {
	var rows []row
	for i, v := range a.Values {
		r := row{value: float64(v), stderr: math.NaN()}
		if i < len(a.Stderr) {
			r.stderr = float64(a.Stderr[i])
		}
		switch {
		case a.Over == sdk.OverUnits && i < len(in.Units):
			u := in.Units[i]
			r.text = u.Text
			if r.spans = u.Spans; len(r.spans) == 0 {
				r.spans = []core.Span{{Sequence: u.Sequence, Start: u.Start, End: u.End}}
			}
		case a.Over == sdk.OverTokens && i < len(in.Tokens):
			k := in.Tokens[i]
			if k.Special && v == 0 {
				continue
			}
			r.text = k.Text
			r.spans = []core.Span{{Sequence: k.Sequence, Start: k.Start, End: k.End}}
		default:
			r.text = fmt.Sprintf("%s %d", a.Over, i)
		}
		rows = append(rows, r)
	}
	return rows
}

// largest returns the largest finite magnitude, which the full colour and the
// full bar stand for; 1 where all scores are 0.
func largest(rows []row) float64 {
	m := 0.0
	for _, r := range rows {
		if v := math.Abs(r.value); v > m && !math.IsInf(v, 0) {
			m = v
		}
	}
	if m == 0 {
		return 1
	}
	return m
}

// texts writes the text, or both texts of a pair, with every unit coloured.
func (t Term) texts(b *strings.Builder, e *core.Explanation, rows []row, scale float64, format func(float64, int) string) {
	texts := []string{e.Input.Text}
	if e.Input.TextPair != nil {
		texts = append(texts, *e.Input.TextPair)
	}
	if e.Input.Text == "" && e.Input.TextPair == nil { // raw token ids
		texts[0], rows = spell(rows)
	}
	var mark func(float64) string
	if t.Level == NoColour {
		decimals := decimals(scale)
		mark = func(v float64) string {
			if math.IsNaN(v) || math.Abs(v) < faint*scale {
				return ""
			}
			return "[" + format(v, decimals) + "]"
		}
	}
	for seq, text := range texts {
		var spans []span
		start, end := len(text), 0
		for _, r := range rows {
			for _, s := range r.spans {
				if s.Sequence != seq || s.Start < 0 || s.End <= s.Start || s.End > len(text) {
					continue
				}
				spans = append(spans, span{start: s.Start, end: s.End, value: r.value})
				start, end = min(start, s.Start), max(end, s.End)
			}
		}
		switch cut := cutFrom(e.Input.Dropped, seq); {
		case cut >= end && cut < len(text):
			text = text[:end]
		case cut >= 0 && cut < start && start < end: // the text lost its beginning
			text = text[start:]
			for i := range spans {
				spans[i].start -= start
				spans[i].end -= start
			}
		}
		if seq > 0 {
			b.WriteString("\n" + t.Level.Dim("  paired with") + "\n")
		}
		lines := wrap(cells(text, spans, scale, mark), t.Width-4)
		draw(b, lines[:min(len(lines), maxLines)], t.Level, "  ")
		if more := len(lines) - maxLines; more > 0 {
			b.WriteString(t.Paragraph(fmt.Sprintf("… and %d more lines", more), "  "))
		}
	}
	t.dropped(b, e.Input.Dropped, "explained")
}

// spell makes a text of tokens that came without one: their spellings with
// spaces between them.
func spell(rows []row) (string, []row) {
	var b strings.Builder
	out := slices.Clone(rows)
	for i, r := range out {
		if i > 0 {
			b.WriteByte(' ')
		}
		start := b.Len()
		b.WriteString(r.text)
		out[i].spans = []core.Span{{Start: start, End: b.Len()}}
	}
	return b.String(), out
}

// cutFrom returns the byte of text seq where truncation began, or -1.
func cutFrom(dropped []core.Token, seq int) int {
	for _, d := range dropped {
		if d.Sequence == seq && !d.Special {
			return d.Start
		}
	}
	return -1
}

// dropped announces the tokens that did not fit the model, and that were
// therefore not done (explained, read), and lists them, shortened.
func (t Term) dropped(b *strings.Builder, tokens []core.Token, done string) {
	const head, tail = 6, 2
	n := len(tokens)
	if n == 0 {
		return
	}
	var words []string
	for i, k := range tokens {
		if i == head && n > head+tail+1 {
			words = append(words, "…")
		}
		if n <= head+tail+1 || i < head || i >= n-tail {
			words = append(words, clip(k.Text, 20))
		}
	}
	subject := "1 token did not fit the model and was"
	if n > 1 {
		subject = fmt.Sprintf("%d tokens did not fit the model and were", n)
	}
	b.WriteString(t.Paragraph(fmt.Sprintf("… %s not %s: %s", subject, done, strings.Join(words, " ")), "  "))
}

// legend says what the colours, or the marks, mean.
func (t Term) legend(b *strings.Builder, e *core.Explanation, scale float64) {
	most := unsigned(scale, decimals(scale))
	what := scalar(&e.Target, e.Input.Tokens)
	b.WriteByte('\n')
	if t.Level == NoColour {
		s := fmt.Sprintf("[+] raises the %s, [-] lowers it; unmarked: under %.0f %% of the largest, %s", what, 100*faint, most)
		b.WriteString(t.Paragraph(s, "  "))
		return
	}
	b.WriteString("  lowers ")
	for _, step := range []struct {
		v float64
		s string
	}{{-1, " -- "}, {-0.4, " - "}, {0, " 0 "}, {0.4, " + "}, {1, " ++ "}} {
		if open := t.Level.block(step.v); open != "" {
			b.WriteString(open + step.s + reset)
		} else {
			b.WriteString(step.s)
		}
	}
	const scaleWidth = len("  lowers  --  -  0  +  ++ ")
	s := fmt.Sprintf("raises the %s, full colour %s", what, most)
	if scaleWidth+1+uniseg.StringWidth(s) <= t.Width {
		b.WriteString(" " + s + "\n")
		return
	}
	b.WriteString(" raises\n")
	b.WriteString(t.Paragraph(fmt.Sprintf("the %s, full colour %s", what, most), "  "))
}

// sizes says what the colours, or the marks, mean where scores are sizes.
func (t Term) sizes(b *strings.Builder, e *core.Explanation, scale float64) {
	s := "The larger a score, the more the model reads of the unit by this method, which knows no class and does not say whether it raises or lowers the output"
	if !slices.Contains(e.Method.Needs, sdk.NeedAttentions) || slices.Contains(e.Method.Needs, sdk.NeedGradients) {
		s = fmt.Sprintf("The larger a score, the more the unit matters to the %s by this method, which does not say whether it raises or lowers it", scalar(&e.Target, e.Input.Tokens))
	}
	most := unsigned(scale, decimals(scale))
	if t.Level == NoColour {
		s += fmt.Sprintf("; unmarked: under %.0f %% of the largest, %s", 100*faint, most)
	} else {
		s += "; full colour " + most
	}
	b.WriteByte('\n')
	b.WriteString(t.Paragraph(s, "  "))
}

// table lists the largest scores. The word stands last: after it nothing can
// be moved by a word that is written from right to left, nor misaligned by a
// terminal that disagrees on its width.
func (t Term) table(b *strings.Builder, rows []row, scale float64, top int, format func(float64, int) string) {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { // NaN compares as the smallest
		return cmp.Compare(math.Abs(rows[j].value), math.Abs(rows[i].value))
	})
	rest := order[min(top, len(order)):]
	order = order[:min(top, len(order))]

	d := decimals(scale)
	rank := len(fmt.Sprint(len(order)))
	bar := min(max(t.Width/4, 6), 24)
	scores, errors := make([]string, len(order)), make([]string, len(order))
	scoreWidth, errorWidth := 0, 0
	for i, at := range order {
		r := rows[at]
		scores[i] = format(r.value, d)
		scoreWidth = max(scoreWidth, len(scores[i]))
		if !math.IsNaN(r.stderr) {
			errors[i] = " ±" + unsigned(r.stderr, d)
			errorWidth = max(errorWidth, uniseg.StringWidth(errors[i]))
		}
	}
	b.WriteByte('\n')
	for i, at := range order {
		r := rows[at]
		room := t.Width - (2 + rank + 2 + scoreWidth + errorWidth + 2 + bar + 2)
		length := bars(math.Abs(r.value)/scale, bar)
		fmt.Fprintf(b, "  %*d  %*s%s%s  %s%s  %s\n", rank, i+1, scoreWidth, scores[i],
			t.Level.Dim(errors[i]), blanks(errors[i], errorWidth),
			t.Level.stroke(r.value, length), blanks(length, bar),
			clip(r.text, max(room, 8)))
	}
	if len(rest) > 0 {
		sum := 0.0
		for _, at := range rest {
			sum += rows[at].value
		}
		b.WriteString("  " + t.Level.Dim(fmt.Sprintf("… and %d more, %s together", len(rest), format(sum, d))) + "\n")
	}
}

// bars draws a share in [0, 1] of width columns in eighths of a column.
func bars(share float64, width int) string {
	if math.IsNaN(share) {
		return ""
	}
	eighths := int(math.Round(min(share, 1) * float64(width) * 8))
	s := strings.Repeat("█", eighths/8)
	if r := eighths % 8; r > 0 {
		s += string([]rune(" ▏▎▍▌▋▊▉")[r])
	}
	return s
}

// doubts writes each doubt on a line of its own. What was cut stands below the text
// already.
func (t Term) doubts(b *strings.Builder, e *core.Explanation) {
	for _, d := range e.Doubts {
		if d.Code == core.DoubtCut {
			continue
		}
		mark := "  ! "
		for l := range strings.Lines(t.Paragraph(Line(d.Text), "    ")) {
			b.WriteString(mark + strings.TrimPrefix(l, "    "))
			mark = "    "
		}
	}
}

// tensors names the further results, which have no place on a terminal.
func (t Term) tensors(b *strings.Builder, e *core.Explanation) {
	if len(e.Tensors) == 0 {
		return
	}
	names := make([]string, len(e.Tensors))
	for i, tensor := range e.Tensors {
		names[i] = Line(fmt.Sprintf("%s [%s]", tensor.Name, strings.Join(tensor.Axes, ", ")))
	}
	b.WriteString(t.Paragraph("also: "+strings.Join(names, ", ")+" (in --format json or safetensors)", "  "))
}

// sanity plots how the scores keep their order as the model loses its weights.
func (t Term) sanity(b *strings.Builder, e *core.Explanation) {
	if e.Sanity == nil {
		return
	}
	n := 0
	if len(e.Attributions) > 0 {
		n = len(rowsOf(&e.Input, e.Attributions[0]))
	}
	chance := "two lists that have nothing to do with each other seldom exceed " + fmt.Sprintf("%.2f", e.Sanity.Chance(n))
	if e.Sanity.Chance(n) == 1 {
		chance = "so few scores have any order by chance"
	}
	b.WriteString(t.Paragraph("Sanity check: are the scores others when the model's weights are shuffled, from the head down? Rank correlations with the scores above ("+chance+"):", "  "))
	const down, magnitudes = "down to", "of magnitudes"
	bar, name := min(max(t.Width/4, 6), 24), len(down)
	for _, s := range e.Sanity.Stages {
		name = max(name, uniseg.StringWidth(Line(s.Down)))
	}
	fmt.Fprintf(b, "\n  %s\n", t.Level.Dim(fmt.Sprintf("%-*s  %-*s  %s", name, down, 7+bar, magnitudes, "of scores")))
	for _, s := range e.Sanity.Stages {
		length := bars(math.Abs(float64(s.Magnitudes)), bar)
		fmt.Fprintf(b, "  %-*s  %5s  %s%s  %5s\n", name, Line(s.Down), signed(float64(s.Magnitudes), 2),
			t.Level.stroke(float64(s.Magnitudes), length), blanks(length, bar), signed(float64(s.Values), 2))
	}
	b.WriteByte('\n')
}

// fact is one thing worth knowing about a run.
type fact string

// diagnostics says how far to trust the values: the known figures in words,
// any others by name.
func diagnostics(e *core.Explanation) []fact {
	var out []fact
	get := func(name string) (float64, bool) {
		v, ok := e.Diagnostics[name]
		return float64(v), ok
	}
	if v, ok := get(core.DiagR2); ok {
		out = append(out, fact(fmt.Sprintf("r² %.3f", v)))
	}
	if v, ok := get(core.DiagGap); ok {
		out = append(out, fact("completeness gap "+number(v)))
	}
	if v, ok := get(core.DiagEvaluations); ok {
		s := plural(int(v), "evaluation")
		if u, ok := get(core.DiagUnique); ok && u != v {
			s += fmt.Sprintf(", %.0f distinct", u)
		}
		if g, _ := get(core.DiagGradients); g > 0 {
			s += ", " + plural(int(g), "gradient")
		}
		out = append(out, fact(s))
	}
	out = append(out, baseline(&e.Target)...)
	out = append(out, fact(fmt.Sprintf("%.2f s", e.Provenance.WallSeconds)))
	rest := maps.Clone(e.Diagnostics)
	for _, name := range []string{
		core.DiagR2, core.DiagGap, core.DiagEvaluations, core.DiagUnique, core.DiagCacheHits, core.DiagForwards, core.DiagGradients,
		core.DiagFloat32Value, core.DiagFloat32Variants, core.DiagFloat32Mean, core.DiagFloat32Largest, core.DiagFloat32Attributed,
	} {
		delete(rest, name)
	}
	for _, a := range e.Attributions[min(1, len(e.Attributions)):] { // those stand below their table
		maps.DeleteFunc(rest, func(name string, _ core.Float) bool { return strings.HasPrefix(name, a.Name+".") })
	}
	return append(out, others(rest, "")...)
}

// baseline says what a target is at the method's baseline, where there is one.
func baseline(t *core.Target) []fact {
	if t == nil || t.Baseline == nil {
		return nil
	}
	return []fact{fact("baseline " + number(float64(*t.Baseline)))}
}

// rounding says what 8 bits change, where they do.
func rounding(e *core.Explanation) []fact {
	value, ok := e.Diagnostics[core.DiagFloat32Value]
	if !ok {
		return nil
	}
	out := []fact{fact("8 bits: " + number(float64(e.Target.Value)) + " instead of " + number(float64(value)) + " in float32")}
	if n := e.Diagnostics[core.DiagFloat32Variants]; n > 0 {
		out = append(out, fact(fmt.Sprintf("%.0f variants off by %s on average, %s at most", float64(n),
			number(float64(e.Diagnostics[core.DiagFloat32Mean])), number(float64(e.Diagnostics[core.DiagFloat32Largest])))))
	}
	if change, ok := e.Diagnostics[core.DiagFloat32Attributed]; ok {
		out = append(out, fact("scores by "+number(float64(change))+" at most"))
	}
	return out
}

// others lists the diagnostics whose names begin with prefix.
func others(d core.Diagnostics, prefix string) []fact {
	var out []fact
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if short, ok := strings.CutPrefix(name, prefix); ok && short != core.DiagUnsigned {
			out = append(out, fact(strings.ReplaceAll(Line(short), "_", " ")+" "+number(float64(d[name]))))
		}
	}
	return out
}

// provenance says what ran, on what.
func provenance(e *core.Explanation) []fact {
	method := Line(e.Method.Name + " " + e.Method.Version)
	if e.Provenance.Dev {
		method += " as it lay on the disk, held to no hash and no grant"
	}
	return []fact{
		fact(method),
		fact(Line(e.Model.ID)),
		fact(Line(strings.TrimSpace(e.Provenance.DType + " " + e.Provenance.Kernel))),
		fact(fmt.Sprintf("seed %d", e.Provenance.Seed)),
		fact(Line(cmp.Or(e.Provenance.Sandbox, e.Method.Runtime))),
	}
}

// Paragraph wraps a text that says something, with indent before each line.
func (t Term) Paragraph(s, indent string) string {
	t = t.defaults()
	var b strings.Builder
	draw(&b, wrap(cells(s, nil, 1, nil), max(t.Width-2-len(indent), narrowest/2)), NoColour, indent)
	return b.String()
}

// facts writes facts on as few lines as they need, without breaking one that
// fits a line.
func (t Term) facts(b *strings.Builder, facts []fact) {
	const separator = " · "
	var current string
	flush := func() {
		if current != "" {
			for l := range strings.Lines(t.Paragraph(current, "")) {
				b.WriteString("  " + t.Level.Dim(strings.TrimSuffix(l, "\n")) + "\n")
			}
		}
		current = ""
	}
	for _, f := range facts {
		s := string(f)
		if current != "" && uniseg.StringWidth(current+separator+s) > t.Width-4 {
			flush()
		}
		if current != "" {
			current += separator
		}
		current += s
	}
	flush()
}

// decimals returns how many decimals show three significant digits of the
// largest score, or -1 where only an exponent can.
func decimals(scale float64) int {
	e := int(math.Floor(math.Log10(scale)))
	if e < -5 || e > 6 {
		return -1
	}
	return max(2-e, 0)
}

// signed formats v with its sign. What rounds to zero has none.
func signed(v float64, decimals int) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case decimals < 0:
		return fmt.Sprintf("%+.2e", v)
	}
	s := fmt.Sprintf("%+.*f", decimals, v)
	if strings.Trim(s, "+-0.") == "" {
		return " " + s[1:]
	}
	return s
}

// unsigned formats v without a plus.
func unsigned(v float64, decimals int) string {
	return strings.TrimLeft(signed(v, decimals), "+ ")
}

// number formats a figure with four significant digits.
func number(v float64) string {
	if a := math.Abs(v); a >= 1000 && a < 1e9 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}
