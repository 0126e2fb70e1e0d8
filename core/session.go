package core

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

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
// keeps the logits.
type session struct {
	model  *Model
	enc    *encoded
	units  []sdk.Unit
	target target
	// byToken drops the tokens of a unit instead of editing the text: for raw
	// token ids and for units that are tokens.
	byToken  bool
	progress func(done, total int)

	known   map[rowKey]int // row → index into answers
	answers []answer       // the first is that of the unchanged input
	call    int            // calls of Forward, this one among them
	scratch []byte

	scopes [2]*scope      // without token types, and with them
	blocks float64        // bytes of a block whose rows are computed each by itself; 0 for insideBytes
	fills  []sdk.FillKind // that were asked for, each once
	sample *sample        // of the rows asked for; nil where nobody needs one

	evaluations, unique, hits int           // rows asked for, distinct ones among them, rows known before the call
	truncated                 int           // variants longer than the model reads
	forward                   time.Duration // spent in Forward
}

// answer is what the model says of a row.
type answer struct {
	logits []float64
	call   int  // of Forward, that ran it; 0 for one that was known
	asked  bool // by the method
}

// begin evaluates the unchanged input, before the method begins.
func (s *session) begin(ctx context.Context) error {
	var key rowKey
	key, s.scratch = s.enc.row.key(s.scratch)
	logits, ok := s.model.cache.get(key)
	if !ok {
		all, err := s.model.run(ctx, []row{s.enc.row}, []rowKey{key}, nil)
		if err != nil {
			return err
		}
		logits = all[0]
	}
	s.known[key] = 0
	s.answers = []answer{{logits: logits}}
	return nil
}

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
	n, build, err := s.rows(f)
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

// targetOf returns the target of a forward.
func (s *session) targetOf(f *sdk.Forward) (target, error) {
	if f.Target == "" {
		return s.target, nil
	}
	t, err := parseTarget(f.Target, s.target.output, s.model.labels, s.model.head)
	if err != nil {
		return t, sdk.NewError(sdk.EName, err.Error())
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
func (s *session) block(ctx context.Context, reply *reply, build func(int) (row, error), start int, dedup bool) (int, error) {
	var fresh []row
	var keys []rowKey
	var places []int   // of fresh rows, in added
	var added []answer // of rows that are new to the session
	n, end, tokens := len(reply.rows), start, 0
	pending := make(map[rowKey]int) // row → index into answers, once the block is done
	for ; end < n && end-start < blockRows && tokens < blockTokens; end++ {
		if ctx.Err() != nil { // a row may be a long text
			return 0, ctx.Err()
		}
		r, err := build(end)
		if err != nil {
			return 0, err
		}
		var key rowKey
		key, s.scratch = r.key(s.scratch)
		var logits []float64
		if dedup {
			j, ok := s.known[key]
			if !ok {
				j, ok = pending[key]
			}
			if ok {
				reply.rows[end] = j
				continue
			}
			logits, _ = s.model.cache.get(key)
		}
		j := len(s.answers) + len(added)
		pending[key], reply.rows[end] = j, j
		s.sample.offer(key, r)
		if logits != nil {
			added = append(added, answer{logits: logits})
			continue
		}
		fresh, keys, places = append(fresh, r), append(keys, key), append(places, len(added))
		added = append(added, answer{call: s.call})
		tokens += r.n
	}
	if kept := len(s.answers) + len(added); kept*(len(s.model.labels)*8+knownBytes) > maxKnown {
		return 0, sdk.NewError(sdk.EQuota, "the method has asked for "+strconv.Itoa(kept)+" different variants, more than the host keeps answers for; use fewer samples")
	}
	progress := func(done, total int) {
		if s.progress != nil && total > 0 {
			s.progress(start+(end-start)*done/total, n)
		}
	}
	logits, err := s.model.run(ctx, fresh, keys, progress)
	if err != nil {
		return 0, err
	}
	if len(fresh) == 0 {
		progress(1, 1)
	}
	for i, place := range places {
		added[place].logits = logits[i]
	}
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
func (s *session) rows(f *sdk.Forward) (int, func(i int) (row, error), error) {
	switch {
	case f.Units != nil:
		units, byToken := s.units, s.byToken
		if f.Over != nil {
			own := slices.ContainsFunc(f.Over, func(u sdk.Unit) bool { return u.Tokens == nil })
			spans := slices.ContainsFunc(f.Over, func(u sdk.Unit) bool { return len(u.Spans) > 0 })
			units, byToken = s.enc.withTokens(f.Over), s.enc.raw || !spans || s.byToken && !own
		}
		keep, err := sdk.Values[uint8](f.Units)
		if err != nil {
			return 0, nil, err
		}
		if byToken || f.Fill.Kind.InPlace() {
			return s.tokenRows(f.Units.Shape[0], keep, units, f.Fill)
		}
		return s.textRows(f.Units.Shape[0], keep, units, f.Fill)
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
		return len(f.Texts), func(i int) (row, error) { return s.encodeRow(f.Texts[i], nil) }, nil
	case f.Embeds != nil:
		return s.embedRows(f.Embeds)
	}
	return len(f.IDs), func(i int) (row, error) {
		ids := f.IDs[i]
		return row{n: len(ids), ids: ids}, s.model.readable("row "+strconv.Itoa(i), ids)
	}, nil
}

// embedRows puts vectors in the place of the word embeddings of the original row.
// Its ids stay beside them: they say where padding is.
func (s *session) embedRows(t *sdk.Tensor) (int, func(int) (row, error), error) {
	values, err := sdk.Values[float32](t)
	if err != nil {
		return 0, nil, err
	}
	if have, want := t.Shape[2], s.model.engine.Info().Embedding; have != want {
		return 0, nil, sdk.NewError(sdk.EInvalid, "the embeddings of a forward have the width "+strconv.Itoa(have)+", and the model's "+strconv.Itoa(want))
	}
	size := t.Shape[1] * t.Shape[2]
	return t.Shape[0], func(i int) (row, error) {
		r := s.enc.row
		r.embeds = values[i*size : (i+1)*size : (i+1)*size]
		return r, nil
	}, nil
}

// encodeRow tokenises a variant and counts those that had to be cut.
func (s *session) encodeRow(text string, pair *string) (row, error) {
	r, cut, err := s.model.encodeRow(text, pair)
	if cut {
		s.truncated++
	}
	return r, err
}

// textRows edits the text unit by unit and tokenises again. What truncation cut
// off stays away, so that deleting words lets no others in.
func (s *session) textRows(n int, keep []uint8, units []sdk.Unit, fill sdk.Fill) (int, func(int) (row, error), error) {
	if s.enc.raw {
		return 0, nil, sdk.NewError(sdk.EUnsupported, "the input is token ids, so there is no text to edit")
	}
	text, unfit := s.fillText(fill) // which matters to rows that drop something
	pieces, err := layout(s.enc.kept, units)
	if err != nil {
		return 0, nil, err
	}
	pieces = after(s.enc.from, pieces)
	var buf [2][]byte
	return n, func(i int) (row, error) {
		kept := keep[i*len(units) : (i+1)*len(units)]
		if unfit != nil && slices.Contains(kept, 0) {
			return row{}, unfit
		}
		buf = edit([2][]byte{buf[0][:0], buf[1][:0]}, s.enc.kept, pieces, kept, text)
		if len(s.enc.kept) < 2 {
			return s.encodeRow(string(buf[0]), nil)
		}
		pair := string(buf[1])
		return s.encodeRow(string(buf[0]), &pair)
	}, nil
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
func (s *session) tokenRows(n int, keep []uint8, units []sdk.Unit, fill sdk.Fill) (int, func(int) (row, error), error) {
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
	return n, func(i int) (row, error) {
		drop := make([]bool, base.n)
		for u, unit := range units {
			if keep[i*len(units)+u] == 0 {
				for _, t := range unit.Tokens {
					drop[t] = true
				}
			}
		}
		if unfit != nil && slices.Contains(drop, true) {
			return row{}, unfit
		}
		r := change(drop)
		if r.n == 0 {
			return row{}, sdk.NewError(sdk.EUnsupported, "without any token there is nothing to run; use fill=mask, fill=zero or fill=hide")
		}
		return r, nil
	}, nil
}

// fillID returns the token that takes the place of a dropped one.
func (s *session) fillID(fill sdk.Fill) (int32, error) {
	tok := s.model.tokenizer
	if fill.Kind == sdk.FillZero {
		return engine.ZeroWord, nil
	}
	if s.enc.row.ids == nil {
		return 0, sdk.NewError(sdk.EUnsupported, "the input is embeddings, where no token can take a place; use fill=zero, fill=hide or fill=delete")
	}
	if fill.Kind == sdk.FillAverage {
		return engine.MeanWord, nil
	}
	if fill.Kind == sdk.FillToken {
		return fill.Token, s.model.knows("the fill token", fill.Token)
	}
	if tok == nil {
		return 0, sdk.NewError(sdk.EUnsupported, "the model has no tokenizer to name a fill token; use fill=delete, fill=zero, fill=hide or fill=average")
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
// from logits, [n, classes], and from what was kept inside of the model.
type reply struct {
	session *session
	target  target
	n       int
	rows    []int
	logits  []float64
	parts   map[string][]*sdk.Tensor
	bytes   int64
}

// Bytes returns what the reply holds of its own: logits, points and gradients.
func (r *reply) Bytes() int64 { return r.bytes }

// logitsOf returns the logits of a row.
func (r *reply) logitsOf(i int) []float64 {
	if r.rows != nil {
		return r.session.answers[r.rows[i]].logits
	}
	c := len(r.logits) / r.n
	return r.logits[i*c : (i+1)*c]
}

// Tensor implements sdk.Reply.
func (r *reply) Tensor(name string, index int) (*sdk.Tensor, error) {
	h := r.session.model.head
	var scale func([]float64, head) []float64
	parts := r.parts[name]
	switch name {
	case sdk.ReplyTarget:
	case sdk.ReplyLogits:
		scale = func(logits []float64, _ head) []float64 { return logits }
	case sdk.ReplyProbs:
		scale = probs
	case sdk.ReplyLogProbs:
		scale = logProbs
	default:
		if parts == nil {
			return nil, sdk.NewError(sdk.EName, "the reply has no tensor "+strconv.Quote(name))
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
			out[i] = r.target.value(r.logitsOf(i), h)
		}
		return sdk.NewTensor(out, r.n), nil
	}
	c := len(r.session.model.labels)
	out := make([]float64, 0, r.n*c)
	for i := range r.n {
		out = append(out, scale(r.logitsOf(i), h)...)
	}
	return sdk.NewTensor(out, r.n, c), nil
}
