package toy

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

func invalid(message string) error { return sdk.NewError(sdk.EInvalid, message) }

func outside(message string) error { return sdk.NewError(sdk.ERange, message) }

// check checks that a forward has a meaning for the request, as the host does.
func (s *Session) check(f *sdk.Forward) error {
	if f == nil {
		return invalid("the forward is nil")
	}
	forms := 0
	for _, set := range []bool{f.Units != nil, f.Masks != nil, f.Texts != nil, f.IDs != nil, f.Embeds != nil} {
		if set {
			forms++
		}
	}
	switch {
	case forms != 1:
		return invalid("a forward has exactly one of units, masks, texts, ids and embeds")
	case !f.Fill.Kind.Known():
		return invalid("the forward's fill policy is unknown")
	case len(f.Fill.Text) > abi.MaxFill:
		return outside("the fill text has " + strconv.Itoa(len(f.Fill.Text)) + " bytes, and " + strconv.Itoa(abi.MaxFill) + " is the most")
	case f.Over != nil && f.Units == nil:
		return invalid("a forward names units of its own without rows over units")
	case len(f.Points) > abi.MaxPoints || len(f.Edits) > abi.MaxEdits:
		return outside("a forward has more points or edits than the ABI allows")
	}
	if err := checkUnits(f.Over, &s.request); err != nil {
		return err
	}
	for i, e := range f.Edits {
		name := "edit " + strconv.Itoa(i) + " of a forward"
		switch {
		case !e.Op.Known():
			return invalid("the operation of " + name + " is unknown")
		case e.Op.TakesValue() != (e.Value != nil):
			return invalid(name + " has a value where it takes none, or none where it takes one")
		case e.Value == nil:
			continue
		}
		if n := e.Value.Len(); n == 0 || n != len(doubles(e.Value)) {
			return invalid("the value of " + name + " is not f32 or f64 of its shape")
		}
	}
	switch {
	case f.Units != nil && f.Over != nil:
		return checkRows(f.Units, len(f.Over))
	case f.Units != nil:
		return checkRows(f.Units, len(s.request.Units))
	case f.Masks != nil:
		return checkRows(f.Masks, len(s.request.Tokens))
	case f.Embeds != nil:
		shape := []int{0, len(s.request.Tokens), s.model.network.width()}
		v, ok := f.Embeds.Data.([]float32)
		if !ok || len(f.Embeds.Shape) != 3 || !slices.Equal(f.Embeds.Shape[1:], shape[1:]) || f.Embeds.Len() != len(v) {
			return invalid("the embeddings of a forward are f32 of the shape [N," + strconv.Itoa(shape[1]) + "," + strconv.Itoa(shape[2]) + "]")
		}
	}
	for _, text := range f.Texts {
		if len(text) > abi.MaxText || !utf8.ValidString(text) {
			return outside("a text of a forward is too long, or no UTF-8")
		}
	}
	return nil
}

// checkRows checks that t is u8 [N,n] of 0 and 1, and n above 0.
func checkRows(t *sdk.Tensor, n int) error {
	keep, ok := t.Data.([]uint8)
	if !ok || len(t.Shape) != 2 || t.Shape[1] != n || n == 0 || t.Len() != len(keep) {
		return invalid("the rows of a forward are u8 of the shape [N," + strconv.Itoa(n) + "], and at least one column wide")
	}
	if slices.ContainsFunc(keep, func(k uint8) bool { return k > 1 }) {
		return invalid("the rows of a forward hold something else than 0 and 1")
	}
	return nil
}

// checkUnits checks that units lie in the request and have no empty span.
func checkUnits(units []sdk.Unit, r *sdk.Request) error {
	for i, u := range units {
		for _, t := range u.Tokens {
			if t < 0 || t >= len(r.Tokens) {
				return outside("unit " + strconv.Itoa(i) + " of a forward has a token that the request has not")
			}
		}
		for _, span := range u.Spans {
			size := len(r.Text)
			if span.Sequence == 1 && r.TextPair != nil {
				size = len(*r.TextPair)
			} else if span.Sequence != 0 {
				size = 0
			}
			if span.Start < 0 || span.Start >= span.End || span.End > size {
				return outside("unit " + strconv.Itoa(i) + " of a forward has a span that is empty or outside of its text")
			}
		}
	}
	return nil
}

// rows builds the rows of a forward.
func (s *Session) rows(ctx context.Context, f *sdk.Forward) ([]row, error) {
	var n int
	var build func(i int) (row, error)
	var err error
	switch {
	case f.Units != nil:
		n = f.Units.Shape[0]
		build, err = s.unitRows(f)
	case f.Masks != nil:
		n = f.Masks.Shape[0]
		units := make([]sdk.Unit, len(s.request.Tokens))
		for i, t := range s.request.Tokens {
			if !t.Special && !t.Fixed {
				units[i].Tokens = []int{i}
			}
		}
		build = s.tokenRows(f.Masks.Data.([]uint8), units, f.Fill)
	case f.Texts != nil:
		n = len(f.Texts)
		build = func(i int) (row, error) {
			r, _ := s.model.encode(f.Texts[i : i+1])
			return r, nil
		}
	case f.IDs != nil:
		n = len(f.IDs)
		build = func(i int) (row, error) {
			return row{ids: slices.Clone(f.IDs[i])}, s.model.readable("row "+strconv.Itoa(i)+" of a forward", f.IDs[i])
		}
	default:
		n = f.Embeds.Shape[0]
		values := slices.Clone(f.Embeds.Data.([]float32))
		build = func(i int) (row, error) {
			r := s.base
			size := len(r.ids) * s.model.network.width()
			r.embeds = values[i*size:][:size]
			return r, nil
		}
	}
	if err != nil {
		return nil, err
	}
	rows := make([]row, n)
	failures := make([]error, n)
	if err := each(ctx, n, func(i int) { rows[i], failures[i] = build(i) }); err != nil {
		return nil, err
	}
	for _, err := range failures { // the first row's, however they were shared out
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// unitRows drops units, from the text where they are no tokens.
func (s *Session) unitRows(f *sdk.Forward) (func(i int) (row, error), error) {
	units, byToken := s.request.Units, s.byToken
	if f.Over != nil {
		bare := slices.ContainsFunc(f.Over, func(u sdk.Unit) bool { return len(u.Spans) == 0 })
		units, byToken = slices.Clone(f.Over), s.raw || bare
		for i, u := range units {
			if u.Tokens != nil {
				continue
			}
			for t, token := range s.request.Tokens {
				inside := func(span sdk.Span) bool {
					return span.Sequence == token.Sequence && token.Start >= span.Start && token.Start < span.End
				}
				if !token.Special && slices.ContainsFunc(u.Spans, inside) {
					units[i].Tokens = append(units[i].Tokens, t)
				}
			}
		}
	}
	keep := f.Units.Data.([]uint8)
	if byToken || f.Fill.Kind.InPlace() {
		return s.tokenRows(keep, units, f.Fill), nil
	}
	pieces, err := s.pieces(units)
	if err != nil {
		return nil, err
	}
	fill, err := s.fillText(f.Fill)
	if err != nil {
		return nil, err
	}
	return func(i int) (row, error) {
		kept := keep[i*len(units):][:len(units)]
		edited := make([][]byte, len(s.texts))
		for _, p := range pieces {
			text := s.texts[p.sequence][p.start:p.end]
			if p.unit >= 0 && kept[p.unit] == 0 {
				text = fill
			}
			edited[p.sequence] = append(edited[p.sequence], text...)
		}
		texts := make([]string, len(edited))
		for j, text := range edited {
			texts[j] = string(text)
		}
		r, _ := s.model.encode(texts)
		return r, nil
	}, nil
}

// piece is a stretch of a text: a unit's, or what stands between units (−1).
type piece struct{ sequence, start, end, unit int }

// pieces cuts the texts along the units.
func (s *Session) pieces(units []sdk.Unit) ([]piece, error) {
	var spans []piece
	for i, u := range units {
		for _, span := range u.Spans {
			text := s.texts[span.Sequence]
			for _, at := range []int{span.Start, span.End} {
				if at < len(text) && !utf8.RuneStart(text[at]) {
					return nil, invalid("unit " + strconv.Itoa(i) + " of a forward cuts a character in two")
				}
			}
			spans = append(spans, piece{span.Sequence, span.Start, span.End, i})
		}
	}
	slices.SortStableFunc(spans, func(a, b piece) int {
		return cmp.Or(a.sequence-b.sequence, a.start-b.start)
	})
	var out []piece
	for sequence, text := range s.texts {
		at := 0
		for ; len(spans) > 0 && spans[0].sequence == sequence; spans = spans[1:] {
			p := spans[0]
			if p.start < at {
				return nil, invalid("units of a forward overlap")
			}
			out = append(out, piece{sequence, at, p.start, -1}, p)
			at = p.end
		}
		out = append(out, piece{sequence, at, len(text), -1})
	}
	return out, nil
}

// fillText returns what a dropped unit of a text becomes.
func (s *Session) fillText(fill sdk.Fill) (string, error) {
	switch fill.Kind {
	case sdk.FillMask:
		return specials[maskID], nil
	case sdk.FillPad:
		return specials[padID], nil
	case sdk.FillText:
		return fill.Text, nil
	case sdk.FillToken:
		id := fill.Token
		return s.model.tokenizer.spell(id), s.model.readable("the fill", []int32{id})
	}
	return "", nil // delete
}

// tokenRows drops the tokens of units from the request's row.
func (s *Session) tokenRows(keep []uint8, units []sdk.Unit, fill sdk.Fill) func(i int) (row, error) {
	return func(i int) (row, error) {
		drop := make([]bool, len(s.base.ids))
		some := false
		for u, k := range keep[i*len(units):][:len(units)] {
			if k == 0 {
				for _, t := range units[u].Tokens {
					drop[t], some = true, true
				}
			}
		}
		if !some {
			return s.base, nil
		}
		switch fill.Kind {
		case sdk.FillDelete:
			return s.base.without(drop)
		case sdk.FillHide:
			r := s.base
			r.hidden = drop
			return r, nil
		}
		id, err := s.fillID(fill)
		if err != nil {
			return row{}, err
		}
		r := s.base
		r.ids = slices.Clone(r.ids)
		for t, d := range drop {
			if d {
				r.ids[t] = id
			}
		}
		return r, nil
	}
}

// without returns the row without some of its tokens.
func (r row) without(drop []bool) (row, error) {
	var out row
	for t, d := range drop {
		if d {
			continue
		}
		out.ids = append(out.ids, r.ids[t])
		if r.types != nil {
			out.types = append(out.types, r.types[t])
		}
	}
	if len(out.ids) == 0 {
		return out, sdk.NewError(sdk.EUnsupported, "without any token there is nothing to run: use fill=zero or fill=hide, which keep a token's place")
	}
	return out, nil
}

// fillID returns the token that takes the place of a dropped one.
func (s *Session) fillID(fill sdk.Fill) (int32, error) {
	switch fill.Kind {
	case sdk.FillPad:
		return padID, nil
	case sdk.FillZero:
		return zeroWord, nil
	case sdk.FillAverage:
		return averageWord, nil
	case sdk.FillToken:
		return fill.Token, s.model.readable("the fill", []int32{fill.Token})
	case sdk.FillText:
		tokens := s.model.tokenizer.tokens(fill.Text, 0)
		if len(tokens) != 1 {
			return 0, sdk.NewError(sdk.EUnsupported, "the fill text "+strconv.Quote(fill.Text)+" is not one token, and tokens are replaced one by one here")
		}
		return tokens[0].ID, nil
	}
	return maskID, nil
}
