package core

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

// logitBytes is what the logits of the rows that run together may take, unless
// those of one row take more: a language model's are as many as its vocabulary.
const logitBytes = 32 << 20

// variant is a variant of the input, before a target says where it is read.
type variant struct {
	row row
	// at returns where a token of the input has gone: to the token that stands
	// for it, or else the one before. Nil says that every token is in its place;
	// a place below 0 is not known.
	at func(token int) int
	// whole tells that the row has the continuation that the input ends with, and
	// padded that it has the input's padding.
	whole, padded bool
}

// query is a row with what is read of it: the logits of all classes where there
// are no spots.
type query struct {
	row   row
	spots []spot
	reads []int // the positions that the head reads, which spots count; nil for all
}

// rows returns how many rows of logits the head gives.
func (q *query) rows() int {
	switch {
	case q.spots == nil:
		return 1
	case q.reads != nil:
		return len(q.reads)
	case q.row.targets != nil:
		return len(q.row.targets)
	}
	return q.row.n
}

// question is what is asked of a model about one variant: a query a branch of the
// target. Its answer is theirs, one after the other.
type question []query

// input packs the rows. Either all say what the head reads, or none does.
func (q question) input() engine.Input {
	var rows []row
	var reads [][]int
	for i := range q {
		rows = append(rows, q[i].row)
		if q[i].reads != nil {
			reads = append(reads, q[i].reads)
		}
	}
	in := batch(rows)
	in.Reads = reads
	return in
}

// same reports whether the two parts of a difference are read in the same places: a
// position that counts from the end may be one that counts from the beginning.
func (q question) same(t *target) bool {
	if t.whole || len(t.parts) != 2 || t.parts[0].branch != t.parts[1].branch {
		return false
	}
	spots := q[t.parts[0].branch].spots
	at := func(a, b int) bool { return spots[a] == spots[b] }
	return slices.EqualFunc(t.parts[0].cells, t.parts[1].cells, at)
}

// tokens returns what the rows count for in a block: their tokens, and the marks
// of what they see.
func (q question) tokens() int {
	n := 0
	for i := range q {
		n += q[i].row.n + len(q[i].row.hidden)/64
	}
	return n
}

// answerBytes returns the bytes that an answer takes.
func (t *target) answerBytes(c scale) int64 {
	values := c.classes
	if !t.whole {
		values = 0
		for _, b := range t.branches {
			values += 2 * len(b.cells)
		}
	}
	return int64(values)*8 + knownBytes
}

// key returns the digest of all that the answer depends on. It uses and returns
// scratch.
func (q question) key(output sdk.Output, scratch []byte) (rowKey, []byte) {
	if len(q) == 1 && q[0].spots == nil {
		return q[0].row.key(scratch)
	}
	b := scratch[:0]
	for i := range q {
		b = q[i].row.append(b)
		number := func(v int) { b = binary.LittleEndian.AppendUint32(b, uint32(v)) }
		for _, list := range [][]int{q[i].reads, q[i].row.targets} {
			number(len(list))
			for _, v := range list {
				number(v)
			}
		}
		number(len(q[i].spots))
		for _, at := range q[i].spots {
			number(at.row)
			number(at.class)
		}
		if output == sdk.Logit {
			b = append(b, 1) // probabilities are not read
		}
	}
	return sha256.Sum256(b), b
}

// ask returns what is asked about a variant for the sake of a target.
func (s *session) ask(t *target, v variant) (question, error) {
	q := make(question, len(t.branches))
	for i, b := range t.branches {
		r := v.row
		if b.suffix != nil && !v.whole {
			if r.n == 0 && s.model.engine.Info().Task == arch.CausalLM {
				return nil, sdk.NewError(sdk.EUnsupported, "without any token nothing can go on; use "+s.inPlace())
			}
			var err error
			if r, err = s.model.extend(r, b.suffix); err != nil {
				return nil, err
			}
		}
		if s.model.engine.Info().Task == arch.PermutationLM {
			r = r.predicting(len(b.suffix))
		}
		q[i].row = r
		if t.whole {
			continue
		}
		q[i].spots = make([]spot, len(b.cells))
		for k, c := range b.cells {
			at, err := s.place(c.position, r, v)
			if err != nil {
				return nil, err
			}
			q[i].spots[k] = spot{at, c.class}
		}
		if r.targets == nil && (s.model.engine.Info().Task != arch.QuestionAnswering || t.output == sdk.Logit) {
			q[i].reads = narrow(q[i].spots)
		}
	}
	return q, nil
}

// place returns the row of logits of r that a position of the input stands for.
func (s *session) place(position int, r row, v variant) (int, error) {
	at, n := position, r.n
	switch tokens := len(s.enc.tokens); {
	case position < 0 && v.padded:
		at += n - s.enc.padding()
	case position < 0:
		at += n
	case v.at == nil:
	case position >= tokens-len(s.suffix) && position < tokens: // in the continuation
		at = n - tokens + position
	case position >= tokens:
		at = n
	default:
		if at = v.at(position); at < 0 {
			return 0, sdk.NewError(sdk.EUnsupported, "the target is read at token "+strconv.Itoa(position)+" of the input, and a text of the method's own has none that stands for it: name a position that counts from the end")
		}
	}
	if position < 0 && v.at != nil { // of a row that became shorter
		at = max(at, 0)
	}
	if at < 0 || at >= n {
		return 0, sdk.NewError(sdk.ERange, "the target is read at position "+strconv.Itoa(position)+", and the row has "+strconv.Itoa(n)+" tokens")
	}
	if r.targets != nil {
		if at = slices.Index(r.targets, at); at < 0 {
			return 0, sdk.NewError(sdk.ERange, "the model predicts what stands behind the text alone: name the position −1")
		}
	}
	return at, nil
}

// extend returns a row with tokens behind it.
func (m *Model) extend(r row, suffix []int32) (row, error) {
	if r.embeds != nil {
		return r, sdk.NewError(sdk.EUnsupported, "a row of embeddings cannot be continued with tokens")
	}
	if n := r.n + len(suffix); m.engine.Info().Length > 0 && n > m.engine.Info().Length {
		return r, sdk.NewError(sdk.ERange, "with its continuation the row has "+strconv.Itoa(n)+" tokens, and the model reads "+strconv.Itoa(m.engine.Info().Length)+" at most")
	}
	last := r.n - 1
	r.ids = slices.Concat(r.ids, suffix)
	for i := range suffix {
		if r.types != nil {
			r.types = append(slices.Clip(r.types), r.types[last])
		}
		if r.positions != nil {
			r.positions = append(slices.Clip(r.positions), r.positions[last]+int32(i+1))
		}
		if r.mask != nil {
			r.mask = append(slices.Clip(r.mask), 1)
		}
	}
	r.n += len(suffix)
	return r, nil
}

// predicting returns the row with its last k tokens as the targets of a model of
// two streams: each is predicted from all before it.
func (r row) predicting(k int) row {
	r.targets, r.hidden = lasts(r.n, k), make([]uint8, r.n*r.n)
	for query := range r.n {
		for _, key := range r.targets {
			if key >= query {
				r.hidden[query*r.n+key] = 1
			}
		}
	}
	return r
}

// lasts returns the last k of n positions.
func lasts(n, k int) []int {
	list := make([]int, k)
	for i := range list {
		list[i] = n - k + i
	}
	return list
}

// padding returns how many tokens at the end of the input are hidden.
func (e *encoded) padding() int {
	n := 0
	for n < e.row.n && at(e.row.mask, e.row.n-1-n, 1) == 0 {
		n++
	}
	return n
}

// run returns the answer to each question, and remembers them under their keys:
// all of them, or none where it fails. As many rows run together as their logits
// have room.
func (m *Model) run(ctx context.Context, questions []question, c scale, keys []rowKey, progress func(done, total int)) ([][]float64, error) {
	answers := make([][]float64, len(questions))
	each := float64(m.engine.Info().Outputs) * float64(m.engine.Info().DType.Size())
	for done := 0; done < len(questions); {
		end, bytes := done, 0.0
		var rows question
		for ; end < len(questions); end++ {
			for i := range questions[end] {
				bytes += each * float64(questions[end][i].rows())
			}
			if end > done && bytes > logitBytes {
				break
			}
			rows = append(rows, questions[end]...)
		}
		var opts []engine.ForwardOption
		if progress != nil {
			opts = append(opts, engine.Progress(func(rows, total int) {
				progress(done+(end-done)*rows/max(total, 1), len(questions))
			}))
		}
		out, err := m.forward(ctx, rows.input(), opts...)
		if err != nil {
			return nil, err
		}
		row := 0
		for ; done < end; done++ {
			for _, q := range questions[done] {
				answers[done] = q.answer(answers[done], c, out, row)
				row++
			}
		}
	}
	m.cache.put(keys, answers)
	return answers, nil
}

// answer appends the answer to a query from the output of a sequence. It keeps
// nothing of the output.
func (q *query) answer(dst []float64, c scale, out *engine.Output, sequence int) []float64 {
	var logits []float64
	for i := out.Starts[sequence]; i < out.Starts[sequence+1]; i++ {
		logits = append(logits, out.Row(i)...)
	}
	if q.spots == nil {
		return append(dst, logits...)
	}
	return c.read(dst, logits, q.spots)
}

// follower finds the tokens of the input in a text that was edited and tokenised
// again.
type follower struct {
	texts  []string
	tokens []sdk.Token // of the input, without a continuation
	ids    []int32     // theirs
	pieces []piece
	fill   string
}

// at returns where a token of the input is among those of the edited text; keep
// has one byte a unit.
func (f *follower) at(token int, keep []uint8, edited []tokenizer.Token) int {
	if slices.EqualFunc(f.ids, edited, func(id int32, t tokenizer.Token) bool { return id == t.ID }) {
		return token
	}
	t := f.tokens[token]
	if t.Special && t.Start == t.End {
		return f.around(token, edited)
	}
	from := skipSpace(f.texts[t.Sequence], t.Start, t.End)
	start, end := 0, 0 // of what stands for it in the edited text
	for _, p := range f.pieces {
		if p.sequence != t.Sequence {
			continue
		}
		dropped := p.unit >= 0 && keep[p.unit] == 0
		size := p.end - p.start
		if dropped {
			size = len(f.fill)
		}
		if from < p.end {
			end = start + size
			if !dropped && from >= p.start {
				start += from - p.start
				end = start + 1
			}
			break
		}
		start += size
	}
	before := -1 // the last token of the text that ends before
	for i, other := range edited {
		switch {
		case other.Sequence != t.Sequence || other.Start == other.End:
		case other.End <= start:
			before = i
		case end > start && other.Start < end:
			// A character may be several tokens.
			for k := token; k > 0 && f.tokens[k-1].Start == t.Start && f.tokens[k-1].End == t.End; k-- {
				if i+1 < len(edited) && edited[i+1].Start == other.Start && edited[i+1].End == other.End {
					i++
				}
			}
			return i
		}
	}
	if before >= 0 {
		return before
	}
	for i, other := range edited { // there is none: what is around the text, then
		if other.Sequence == t.Sequence && other.Start < other.End {
			return max(i-1, 0)
		}
	}
	first := slices.IndexFunc(f.tokens, func(other sdk.Token) bool { return other.Sequence == t.Sequence && other.Start < other.End })
	return f.around(max(first-1, 0), edited)
}

// around returns where a special token is that stands around the texts: at the
// beginning, at the end, or between the two.
func (f *follower) around(token int, edited []tokenizer.Token) int {
	own := func(i int) bool { return f.tokens[i].Special && f.tokens[i].Start == f.tokens[i].End }
	first, last := token, token // of those next to each other
	for first > 0 && own(first-1) {
		first--
	}
	for last+1 < len(f.tokens) && own(last+1) {
		last++
	}
	end := len(edited)
	switch {
	case first == 0:
		return min(token, end-1)
	case last+1 < len(f.tokens): // between them
		if i := slices.IndexFunc(edited, func(t tokenizer.Token) bool { return t.Sequence == 1 && t.Start < t.End }); i >= 0 {
			end = i
		}
	}
	return max(end-1-(last-token), 0)
}

// shifted returns where the tokens of the input are once some are left out.
func shifted(drop []bool) func(token int) int {
	return func(token int) int {
		at := 0
		for _, d := range drop[:token] {
			if !d {
				at++
			}
		}
		if drop[token] { // on the one before
			at--
		}
		return max(at, 0)
	}
}

// skipSpace returns the first position of text[start:end] that is not white
// space, or start where there is none: byte-level tokens carry a leading space.
func skipSpace(text string, start, end int) int {
	for i := start; i < end; {
		r, n := utf8.DecodeRuneInString(text[i:end])
		if !unicode.IsSpace(r) {
			return i
		}
		i += n
	}
	return start
}
