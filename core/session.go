package core

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/engine/tokenizer"
	"github.com/xai-go/xai/sdk"
)

// The bounds of a session's memory: how many rows and tokens are built before
// they are run, and the bytes that answers may take until the run ends.
const (
	blockRows   = 4096
	blockTokens = 1 << 19
	knownBytes  = 128 // of an answer beside its logits
	maxKnown    = 512 << 20
)

// session is the sdk.Model of one explanation. It builds the rows that a method
// asks for, runs each distinct one once, unless the model remembers it, and
// keeps what the target reads of the logits.
type session struct {
	model  *Model
	enc    *encoded
	units  []sdk.Unit
	target *target
	scale  scale
	suffix []int32 // the continuation that the input ends with
	// byToken drops the tokens of a unit instead of editing the text: for raw
	// token ids and for units that are tokens.
	byToken  bool
	progress func(done, total int)

	known   map[rowKey]int // row → index into answers
	answers []answer       // the first is that of the unchanged input
	bytes   int64          // of answers
	call    int            // calls of Forward, this one among them
	scratch []byte

	scopes [2]*scope      // without token types, and with them
	blocks float64        // bytes of a block whose rows are computed each by itself; 0 for insideBytes
	fills  []sdk.FillKind // that were asked for, each once
	sample *sample        // of the rows asked for; nil where nobody needs one

	evaluations, unique, hits int           // rows asked for, distinct ones among them, rows known before the call
	forwards, gradients       int           // rows that the model ran for the method, and those of them that it differentiated
	truncated                 int           // variants longer than the model reads
	forward                   time.Duration // spent in Forward
}

// answer is what the model says of a variant.
type answer struct {
	values []float64 // the logits of all classes, or what scale.read has
	call   int       // of Forward, that ran it; 0 for one that was known
	asked  bool      // by the method
}

// size returns the bytes that it takes.
func (a *answer) size() int64 { return int64(len(a.values))*8 + knownBytes }

// begin evaluates the unchanged input, before the method begins.
func (s *session) begin(ctx context.Context) error {
	q, err := s.ask(s.target, s.unchanged())
	if err != nil {
		if e, ok := errors.AsType[*sdk.Error](err); ok {
			return usage(e.Message, "name a target that the input has; see xai explain --help")
		}
		return err
	}
	if q.same(s.target) {
		return fromItself(s.target.expr)
	}
	var key rowKey
	key, s.scratch = q.key(s.scale.output, s.scratch)
	values, ok := s.model.cache.get(key)
	if !ok {
		all, err := s.model.run(ctx, []question{q}, s.scale, []rowKey{key}, nil)
		if err != nil {
			return err
		}
		values = all[0]
	}
	s.known[key] = 0
	s.answers = []answer{{values: values}}
	return nil
}

// unchanged returns the input as a variant of itself.
func (s *session) unchanged() variant {
	return variant{row: s.enc.row, whole: s.suffix != nil, padded: true}
}

// value returns the target of the unchanged input.
func (s *session) value() float64 { return s.target.value(s.answers[0].values, s.scale) }

// Info implements sdk.Model.
func (s *session) Info() sdk.ModelInfo { return s.model.Info() }

// Forward implements sdk.Model.
func (s *session) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	if len(f.Points)+len(f.Edits) > 0 || f.Embeds != nil {
		return s.inspect(ctx, f, nil)
	}
	start := time.Now()
	defer func() { s.forward += time.Since(start) }()
	t, err := s.targetOf(f)
	if err != nil {
		return nil, err
	}
	n, build, err := s.rows(f, t)
	if err != nil {
		return nil, err
	}
	s.fillsWith(f)
	reply := &reply{session: s, target: t, n: n, rows: make([]int, n)}
	s.call++
	for done := 0; done < n; {
		if done, err = s.block(ctx, reply, build, done, !f.KeepDuplicates); err != nil {
			return nil, s.model.provoked(err, false)
		}
	}
	s.evaluations += n
	return reply, nil
}

// targetOf returns the target of a forward. One that goes on behind the input
// must do so as the request's does, which the input's tokens have.
func (s *session) targetOf(f *sdk.Forward) (*target, error) {
	if f.Target == "" {
		return s.target, nil
	}
	t, err := s.model.questions().parse(f.Target, s.target.output)
	if err != nil {
		return t, sdk.NewError(sdk.EName, err.Error())
	}
	other := func(b branch) bool { return !slices.Equal(b.suffix, s.suffix) }
	if s.suffix != nil && slices.ContainsFunc(t.branches, other) {
		return nil, sdk.NewError(sdk.EUnsupported, "the input goes on as the request's target says, and the target "+strconv.Quote(f.Target)+" has it go on otherwise")
	}
	return t, nil
}

// fillsWith remembers how a forward fills in what is dropped.
func (s *session) fillsWith(f *sdk.Forward) {
	if (f.Units != nil || f.Masks != nil) && !slices.Contains(s.fills, f.Fill.Kind) {
		s.fills = append(s.fills, f.Fill.Kind)
	}
}

// block builds rows from start on, as many as its bounds allow, runs those that
// are new, and returns where the next block starts. Where it fails, the session
// knows nothing more than before.
func (s *session) block(ctx context.Context, reply *reply, build func(int) (variant, error), start int, dedup bool) (int, error) {
	var fresh []question
	var keys []rowKey
	var places []int   // of fresh questions, in added
	var added []answer // of variants that are new to the session
	n, end, tokens := len(reply.rows), start, 0
	pending := make(map[rowKey]int) // variant → index into answers, once the block is done
	for ; end < n && end-start < blockRows && tokens < blockTokens; end++ {
		if ctx.Err() != nil { // a row may be a long text
			return 0, ctx.Err()
		}
		v, err := build(end)
		if err != nil {
			return 0, err
		}
		q, err := s.ask(reply.target, v)
		if err != nil {
			return 0, err
		}
		var key rowKey
		key, s.scratch = q.key(s.scale.output, s.scratch)
		var values []float64
		if dedup {
			j, ok := s.known[key]
			if !ok {
				j, ok = pending[key]
			}
			if ok {
				reply.rows[end] = j
				continue
			}
			values, _ = s.model.cache.get(key)
		}
		j := len(s.answers) + len(added)
		pending[key], reply.rows[end] = j, j
		s.sample.offer(key, q)
		if values != nil {
			added = append(added, answer{values: values})
			continue
		}
		fresh, keys, places = append(fresh, q), append(keys, key), append(places, len(added))
		added = append(added, answer{call: s.call})
		tokens += q.tokens()
	}
	if bytes := s.bytes + int64(len(added))*reply.target.answerBytes(s.scale); bytes > maxKnown {
		return 0, sdk.NewError(sdk.EQuota, "the method has asked for "+strconv.Itoa(len(s.answers)+len(added))+" different variants, more than the host keeps answers for; use fewer samples")
	}
	progress := func(done, total int) {
		if s.progress != nil && total > 0 {
			s.progress(start+(end-start)*done/total, n)
		}
	}
	values, err := s.model.run(ctx, fresh, s.scale, keys, progress)
	if err != nil {
		return 0, err
	}
	if len(fresh) == 0 {
		progress(1, 1)
	}
	for i, place := range places {
		added[place].values = values[i]
	}
	for i := range added {
		s.bytes += added[i].size()
	}
	s.forwards += len(fresh) * len(reply.target.branches)
	s.answers = append(s.answers, added...)
	maps.Copy(s.known, pending)
	for _, j := range reply.rows[start:end] {
		a := &s.answers[j]
		if a.call < s.call {
			s.hits++
		}
		if !a.asked {
			a.asked = true
			s.unique++
		}
	}
	return end, nil
}

// rows returns how many rows f asks for and what builds the i-th. The contract
// has checked the request: one form, shapes that match, masks of 0 and 1.
func (s *session) rows(f *sdk.Forward, t *target) (int, func(i int) (variant, error), error) {
	switch {
	case f.Units != nil:
		units, byToken := s.units, s.byToken
		if f.Over != nil {
			own := slices.ContainsFunc(f.Over, func(u sdk.Unit) bool { return u.Tokens == nil })
			bare := slices.ContainsFunc(f.Over, func(u sdk.Unit) bool { return len(u.Spans) == 0 })
			units, byToken = s.enc.withTokens(f.Over), s.enc.raw || bare || s.byToken && !own
		}
		keep, err := sdk.Values[uint8](f.Units)
		if err != nil {
			return 0, nil, err
		}
		if byToken || f.Fill.Kind.InPlace() {
			return s.tokenRows(f.Units.Shape[0], keep, units, f.Fill)
		}
		return s.textRows(f.Units.Shape[0], keep, units, f.Fill, t)
	case f.Masks != nil:
		keep, err := sdk.Values[uint8](f.Masks)
		if err != nil {
			return 0, nil, err
		}
		units := make([]sdk.Unit, len(s.enc.tokens))
		for i, t := range s.enc.tokens {
			if !t.Special && !t.Fixed {
				units[i].Tokens = []int{i}
			}
		}
		return s.tokenRows(f.Masks.Shape[0], keep, units, f.Fill)
	case f.Texts != nil:
		if s.model.tokenizer == nil {
			return 0, nil, sdk.NewError(sdk.EUnsupported, "the model has no tokenizer, so it reads no texts")
		}
		return len(f.Texts), func(i int) (variant, error) {
			r, err := s.encodeRow(f.Texts[i], nil)
			return variant{row: r, at: nowhere}, err
		}, nil
	case f.Embeds != nil:
		return s.embedRows(f.Embeds)
	}
	return len(f.IDs), func(i int) (variant, error) {
		ids := f.IDs[i]
		v := variant{row: row{n: len(ids), ids: ids}, whole: s.suffix != nil}
		return v, s.model.readable("row "+strconv.Itoa(i), ids)
	}, nil
}

// nowhere is variant.at where no token has a place that is known.
func nowhere(int) int { return -1 }

// embedRows puts vectors in the place of the word embeddings of the original row.
// Its ids stay beside them: they say where padding is.
func (s *session) embedRows(t *sdk.Tensor) (int, func(int) (variant, error), error) {
	values, err := sdk.Values[float32](t)
	if err != nil {
		return 0, nil, err
	}
	if have, want := t.Shape[2], s.model.engine.Info().Embedding; have != want {
		return 0, nil, sdk.NewError(sdk.EInvalid, "the embeddings of a forward have the width "+strconv.Itoa(have)+", and the model's "+strconv.Itoa(want))
	}
	size := t.Shape[1] * t.Shape[2]
	return t.Shape[0], func(i int) (variant, error) {
		v := s.unchanged()
		v.row.embeds = values[i*size : (i+1)*size : (i+1)*size]
		return v, nil
	}, nil
}

// encodeRow tokenises a variant and counts those that had to be cut.
func (s *session) encodeRow(text string, pair *string) (row, error) {
	r, cut, err := s.model.encodeRow(text, pair, s.room())
	if cut {
		s.truncated++
	}
	return r, err
}

// room returns how many tokens there may be behind a text.
func (s *session) room() int {
	most := len(s.suffix)
	for _, b := range s.target.branches {
		most = max(most, len(b.suffix))
	}
	return most
}

// textRows edits the text unit by unit and tokenises again. What truncation cut
// off stays away, so that deleting words lets no others in.
func (s *session) textRows(n int, keep []uint8, units []sdk.Unit, fill sdk.Fill, t *target) (int, func(int) (variant, error), error) {
	if s.enc.raw {
		return 0, nil, sdk.NewError(sdk.EUnsupported, "the input is token ids, so there is no text to edit")
	}
	text, unfit := s.fillText(fill) // which matters to rows that drop something
	pieces, err := layout(s.enc.kept, units)
	if err != nil {
		return 0, nil, err
	}
	pieces = after(s.enc.from, pieces)
	own := len(s.enc.tokens) - len(s.suffix)
	follow := &follower{texts: s.enc.kept, tokens: s.enc.tokens[:own], ids: s.enc.row.ids[:own], pieces: pieces, fill: text}
	inside := t.inside()
	var buf [2][]byte
	return n, func(i int) (variant, error) {
		kept := keep[i*len(units) : (i+1)*len(units)]
		if unfit != nil && slices.Contains(kept, 0) {
			return variant{}, unfit
		}
		buf = edit([2][]byte{buf[0][:0], buf[1][:0]}, s.enc.kept, pieces, kept, text)
		edited := string(buf[0])
		var pair *string
		if len(s.enc.kept) == 2 {
			second := string(buf[1])
			pair = &second
		}
		if !inside {
			r, err := s.encodeRow(edited, pair)
			return variant{row: s.neverEmpty(r), at: nowhere}, err
		}
		enc, err := s.model.encodeText(edited, pair, s.room())
		if err != nil {
			return variant{}, err
		}
		if len(enc.Dropped) > 0 {
			s.truncated++
		}
		at := func(token int) int { return follow.at(token, kept, enc.Tokens) }
		if len(enc.Tokens) == 0 { // the token that begins a text is the first, and all there is
			at = func(int) int { return 0 }
		}
		return variant{row: s.neverEmpty(rowOf(enc)), at: at}, nil
	}, nil
}

// neverEmpty returns a row, or one of the token that begins a text where it has
// none: a model without special tokens around its texts still reads something.
func (s *session) neverEmpty(r row) row {
	if first, ok := s.begins(); ok && r.n == 0 {
		return first
	}
	return r
}

// begins returns the row of the token that begins a text.
func (s *session) begins() (row, bool) {
	if s.model.tokenizer == nil {
		return row{}, false
	}
	id, ok := s.model.tokenizer.BosID()
	return row{n: 1, ids: []int32{id}}, ok
}

// fillText returns what a dropped unit of a text becomes.
func (s *session) fillText(fill sdk.Fill) (string, error) {
	tok := s.model.tokenizer
	id, ok := fill.Token, true
	switch fill.Kind {
	case sdk.FillToken:
		if err := s.model.knows("the fill token", id); err != nil {
			return "", err
		}
	case sdk.FillDelete:
		return "", nil
	case sdk.FillText:
		return fill.Text, nil
	case sdk.FillMask:
		id, ok = tok.MaskID()
	case sdk.FillPad:
		id, ok = tok.PadID()
	}
	var text string
	if ok {
		text, ok = tok.Token(id)
	}
	if !ok {
		return "", sdk.NewError(sdk.EUnsupported, "the tokenizer has no such fill token; use fill=delete or fill=text")
	}
	return text, nil
}

// tokenRows fills in dropped tokens of the original row, without tokenising.
// Fixed tokens stay, whoever drops them.
func (s *session) tokenRows(n int, keep []uint8, units []sdk.Unit, fill sdk.Fill) (int, func(int) (variant, error), error) {
	base := s.enc.row
	var change func(drop []bool) row
	var unfit error // which matters to rows that drop something
	switch fill.Kind {
	case sdk.FillDelete:
		change = base.without
	case sdk.FillHide:
		change = base.hiding
	default:
		var id int32
		id, unfit = s.fillID(fill)
		change = func(drop []bool) row { return base.replaced(drop, id) }
	}
	return n, func(i int) (variant, error) {
		drop := make([]bool, base.n)
		for u, unit := range units {
			if keep[i*len(units)+u] == 0 {
				for _, t := range unit.Tokens {
					drop[t] = !s.enc.tokens[t].Fixed
				}
			}
		}
		if unfit != nil && slices.Contains(drop, true) {
			return variant{}, unfit
		}
		v := s.unchanged()
		v.row = change(drop)
		if fill.Kind != sdk.FillDelete {
			return v, nil
		}
		v.at = shifted(drop)
		left := v.row.n
		if !s.target.whole { // which is read at a token of the text
			left -= len(s.suffix) + s.enc.padding()
		}
		if left > 0 {
			return v, nil
		}
		first, ok := s.begins()
		if !ok || base.ids == nil {
			return variant{}, sdk.NewError(sdk.EUnsupported, "without any token there is nothing to run; use "+s.inPlace())
		}
		v.row = first
		v.whole, v.padded = false, false
		return v, nil
	}, nil
}

// inPlace names the fills that leave something in the place of every dropped token of
// this input, as an error advises.
func (s *session) inPlace() string {
	if s.enc.row.ids == nil {
		return "fill=zero or fill=hide"
	}
	named := ""
	if s.model.tokenizer != nil {
		if _, ok := s.model.tokenizer.MaskID(); ok {
			named = "fill=mask, "
		}
	}
	return named + "fill=zero, fill=hide, fill=average or fill_token=ID"
}

// fillID returns the token that takes the place of a dropped one.
func (s *session) fillID(fill sdk.Fill) (int32, error) {
	tok := s.model.tokenizer
	if fill.Kind == sdk.FillZero {
		return engine.ZeroWord, nil
	}
	if s.enc.row.ids == nil {
		return 0, sdk.NewError(sdk.EUnsupported, "the input is embeddings, where no token can take a place; use "+s.inPlace())
	}
	if fill.Kind == sdk.FillAverage {
		return engine.MeanWord, nil
	}
	if fill.Kind == sdk.FillToken {
		return fill.Token, s.model.knows("the fill token", fill.Token)
	}
	if tok == nil {
		return 0, sdk.NewError(sdk.EUnsupported, "the model has no tokenizer to name a fill token; use "+s.inPlace())
	}
	var id int32
	var ok bool
	switch fill.Kind {
	case sdk.FillMask:
		id, ok = tok.MaskID()
	case sdk.FillPad:
		id, ok = tok.PadID()
	case sdk.FillText:
		enc, err := tok.Encode(fill.Text, tokenizer.Options{NoSpecial: true})
		if err == nil && len(enc.Tokens) == 1 {
			return enc.Tokens[0].ID, nil
		}
		return 0, sdk.NewError(sdk.EUnsupported, "the fill text "+strconv.Quote(fill.Text)+" is not one token, and tokens are replaced one by one here")
	}
	if !ok {
		return 0, sdk.NewError(sdk.EUnsupported, "the tokenizer has no such fill token; use fill=delete or fill=zero")
	}
	return id, nil
}

// reply reads the outputs of one Forward or Gradient of n rows: from the answers
// of the session that rows are, or, where the rows were computed by themselves,
// from answers of its own, [n,width], and from what was kept inside of the model.
type reply struct {
	session *session
	target  *target
	n       int
	rows    []int
	own     []float64
	parts   map[string][]*sdk.Tensor
	bytes   int64
}

// Bytes returns what the reply holds of its own: answers, points and gradients.
func (r *reply) Bytes() int64 { return r.bytes }

// answer returns the answer to a row.
func (r *reply) answer(i int) []float64 {
	if r.rows != nil {
		return r.session.answers[r.rows[i]].values
	}
	c := len(r.own) / r.n
	return r.own[i*c : (i+1)*c]
}

// Tensor implements sdk.Reply.
func (r *reply) Tensor(name string, index int) (*sdk.Tensor, error) {
	h := r.session.model.head
	var outputs func([]float64, head) []float64
	parts := r.parts[name]
	switch name {
	case sdk.ReplyTarget:
	case sdk.ReplyLogits:
		outputs = func(logits []float64, _ head) []float64 { return logits }
	case sdk.ReplyProbs:
		outputs = probs
	case sdk.ReplyLogProbs:
		outputs = logProbs
	default:
		if parts == nil {
			return nil, &contract.Fault{Err: sdk.NewError(sdk.EName, "the reply has no tensor "+strconv.Quote(name))}
		}
	}
	if index < 0 || index >= max(len(parts), 1) {
		return nil, sdk.NewError(sdk.ERange, name+" has "+strconv.Itoa(max(len(parts), 1))+" tensors, and none at "+strconv.Itoa(index))
	}
	switch {
	case parts != nil:
		return parts[index], nil
	case name == sdk.ReplyTarget:
		out := make([]float64, r.n)
		for i := range out {
			out[i] = r.target.value(r.answer(i), r.session.scale)
		}
		return sdk.NewTensor(out, r.n), nil
	case !r.target.whole:
		return nil, sdk.NewError(sdk.EUnsupported, "only classifiers of texts answer with a row of "+name+": the host keeps what the target reads, and the reply has its "+sdk.ReplyTarget)
	}
	c := len(r.session.model.labels)
	out := make([]float64, 0, r.n*c)
	for i := range r.n {
		out = append(out, outputs(r.answer(i), h)...)
	}
	return sdk.NewTensor(out, r.n, c), nil
}
