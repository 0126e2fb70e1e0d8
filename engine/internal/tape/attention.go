package tape

import (
	"context"
	"math"
	"slices"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/kernel"
	"github.com/xai-go/xai/engine/result"
)

// Attention goes tile by tile: the scores of a few queries of one head, with
// all their keys, are computed, masked, normalised and multiplied by the values
// while they are in the cache, so that memory grows with the length of a
// sequence and not with its square. What is captured is copied out of the tile,
// and edits change it there.

const (
	// tileRows is the number of queries whose scores are held at once.
	tileRows = 96
	// queryBlock is the number of queries of a job where threads share the
	// attention of a long sequence. Every job packs the keys and values of its
	// head again, so it is not small.
	queryBlock = 192
)

// attention is an attention node made ready to run.
type attention[T kernel.Float] struct {
	arch.Attention
	queries                                  arch.RowSet // whose rows ask
	keys                                     arch.RowSet // whose rows are seen
	e, ev                                    int         // width of a query head and of a value head
	content, position, segment               []T         // [heads, e], nil without relative terms
	segments                                 []T         // [2, heads, e]
	queryWidth, keyWidth, valueWidth, zWidth int
	edits                                    map[arch.Stage][]tileEdit
	captures, gradients                      map[arch.Stage][]tileView
	compact                                  bool // hidden keys may be left out
	layer, last                              int  // its place among the attentions of the plan, and that of the last one
}

// job is the attention of a block of queries [lo, hi) of one head of one sequence:
// what a worker takes at a time, or one tile of that.
type job struct{ sequence, head, lo, hi int }

// tile returns the tile of a job that begins at query lo.
func (j job) tile(lo int) job {
	return job{sequence: j.sequence, head: j.head, lo: lo, hi: min(lo+tileRows, j.hi)}
}

// attention makes node i ready.
func (p *planner[T]) attention(i int, captures bool) *attention[T] {
	n := &p.nodes[i]
	op := n.op.(arch.Attention)
	a := &attention[T]{
		Attention: op, queries: n.rows, keys: p.nodes[n.in[1]].rows,
		queryWidth: p.nodes[n.in[0]].width, keyWidth: p.nodes[n.in[1]].width, valueWidth: p.nodes[n.in[2]].width, zWidth: n.width,
		edits: map[arch.Stage][]tileEdit{}, captures: map[arch.Stage][]tileView{}, gradients: map[arch.Stage][]tileView{},
	}
	a.e, a.ev = a.queryWidth/op.Heads, a.valueWidth/op.KeyHeads
	for j := range p.nodes {
		if _, ok := p.nodes[j].op.(arch.Attention); ok {
			a.last++
			if j < i {
				a.layer++
			}
		}
	}
	a.last--
	if rel := op.Relative; rel != nil {
		a.content, a.position, a.segment = p.vector(rel.Content), p.vector(rel.Position), p.vector(rel.Segment)
		a.segments = p.vector(rel.Segments)
	}
	view := func(u use) tileView { return tileView{u, u.sel.Point.Axes[2].Letter == "P"} }
	for _, u := range n.inner.edits {
		stage := u.sel.Point.Stage
		a.edits[stage] = append(a.edits[stage], tileEdit{view(u), &p.req.Edits[u.index]})
	}
	if captures {
		for _, u := range n.inner.captures {
			a.captures[u.sel.Point.Stage] = append(a.captures[u.sel.Point.Stage], view(u))
		}
	}
	for _, u := range n.inner.gradients {
		a.gradients[u.sel.Point.Stage] = append(a.gradients[u.sel.Point.Stage], view(u))
	}
	// A key that an edit makes visible must be there to be seen, a token that
	// sees itself sees one that others do not, and the distances of relative
	// positions count hidden keys too.
	a.compact = len(a.edits) == 0 && !op.SeesSelf && op.Relative == nil
	p.plan.needs.add(&op, a.e, a.ev, p.req)
	return a
}

// scratch is the working memory of one worker.
type scratch[T kernel.Float] struct {
	keys, values, relative kernel.Panels[T]
	keyRows, valueColumns  kernel.Panels[T] // for the way back
	queryRows, outRows     kernel.Panels[T]
	relativeRows           kernel.Panels[T]
	scores, term, biased   []T
	pattern, dscores       []T
	quotients              []T // of relevance
	dkeys, dvalues         []T
	uniform                []int // rows of a tile that see no key and weigh all alike
	blank                  []int // keys whose values are not finite, while a tile that holds some is computed
	shown                  []int // for each key, the number of keys before it that are not hidden
	view                   tile
}

// needs is what the attentions of a plan need beside buffers.
type needs struct {
	e, ev, heads       int
	relative, gradient bool
	ruled              bool // the gradient is passed back by a rule
}

func (w *needs) add(a *arch.Attention, e, ev int, req *Request) {
	w.e, w.ev, w.heads = max(w.e, e), max(w.ev, ev), max(w.heads, a.Heads)
	w.relative, w.gradient = w.relative || a.Relative != nil, w.gradient || len(req.Gradients) > 0
	w.ruled = w.ruled || req.Rule != Gradient
}

// jobs returns an upper bound of the number of jobs of an attention.
func (w *needs) jobs(size Size) int {
	return w.heads * (size.Sequences + size.Tokens/queryBlock)
}

// scratchBytes returns an upper bound of the scratch of one worker.
func scratchBytes[T kernel.Float](w needs, size Size) int64 {
	if w.heads == 0 {
		return 0
	}
	keys, span := size.Context, size.Context+size.Longest
	ld := whole(keys)
	panels := kernel.PanelsBytes[T](w.e, keys) + kernel.PanelsBytes[T](keys, w.ev)
	numbers := tileRows * ld
	if w.relative {
		panels += kernel.PanelsBytes[T](w.e, span)
		numbers += tileRows * (span + w.e)
	}
	if w.gradient {
		panels += kernel.PanelsBytes[T](keys, w.e) + kernel.PanelsBytes[T](w.ev, keys)
		panels += kernel.PanelsBytes[T](tileRows, w.e) + kernel.PanelsBytes[T](tileRows, w.ev)
		numbers += 2*tileRows*ld + keys*(w.e+w.ev)
		if w.relative {
			panels += kernel.PanelsBytes[T](span, w.e)
		}
		if w.ruled {
			numbers += tileRows * w.ev
		}
	}
	const word = 8
	return panels + int64(numbers)*number[T]() + word*int64(3*keys+1+2*tileRows)
}

// whole rounds a number of values up to whole vectors of any kernel.
func whole(n int) int { return (n + 15) / 16 * 16 }

// grow returns a slice of n values, reusing s where it is long enough.
func grow[E any](s []E, n int) []E {
	if cap(s) < n {
		return make([]E, n)
	}
	return s[:n]
}

// tile is the keys that a sequence's queries see.
type tile struct {
	length, memory int // own rows of the sequence, and rows before them
	keys           int // all keys
	visible        int // keys in the panels: all, or those that are not hidden
	compact        bool
	mask           []uint8 // of the tokens; nil shows all
	hidden         []uint8 // [length, length] of the caller; nil hides none
	past           *Past   // cached rows that an earlier batch left; nil where the batch holds them itself
}

// forward computes z = softmax(…)·v for all heads and sequences.
func (a *attention[T]) forward(ctx context.Context, r *Runner[T], in []int, to int) error {
	block := queryBlock
	if r.pool == nil {
		block = math.MaxInt
	}
	r.divide(a.queries, a.Heads, block)
	if err := r.jobsOver(ctx, func(worker int, j job) { a.attend(r, &r.scratch[worker], j, in, to) }); err != nil {
		return err
	}
	a.keep(r, in)
	return nil
}

// divide lists the jobs of an attention, each of at most block queries.
func (r *Runner[T]) divide(queries arch.RowSet, heads, block int) {
	r.jobs = r.jobs[:0]
	s := &r.sets[queries]
	for i := range r.batch.Sequences() {
		n := s.starts[i+1] - s.starts[i]
		for lo := 0; lo < n; {
			hi := n
			if n-lo > block {
				hi = lo + block
			}
			for h := range heads {
				r.jobs = append(r.jobs, job{sequence: i, head: h, lo: lo, hi: hi})
			}
			lo = hi
		}
	}
}

// jobsOver runs the jobs.
func (r *Runner[T]) jobsOver(ctx context.Context, f func(worker int, j job)) error {
	if r.pool == nil {
		for _, j := range r.jobs {
			if err := ctx.Err(); err != nil {
				return err
			}
			f(0, j)
		}
		return ctx.Err()
	}
	return r.pool.For(ctx, len(r.jobs), func(worker, i int) { f(worker, r.jobs[i]) })
}

// parts returns the rows of one head of a sequence's keys or values: those
// before its own, then these. kept is what an earlier batch left.
func (a *attention[T]) parts(r *Runner[T], b, width, column int, t *tile, seq int, kept func(l *layerPast) result.Tensor) []kernel.Rows[T] {
	x := r.matrix(b)
	rows := func(from, n int, mask []uint8) kernel.Rows[T] {
		return kernel.Rows[T]{Data: x[min(from*width+column, len(x)):], Stride: width, N: n, Mask: mask}
	}
	own := r.sets[a.keys].starts[seq+1] - t.length
	var parts []kernel.Rows[T]
	switch {
	case t.past != nil:
		x := values[T](kept(&t.past.layers[a.layer]))
		parts = append(parts, kernel.Rows[T]{Data: x[min(column, len(x)):], Stride: width, N: t.memory})
	case r.batch.Prefixes != nil:
		for _, p := range r.batch.Prefixes[seq] {
			parts = append(parts, rows(p[0], p[1]-p[0], nil))
		}
	case t.memory > 0:
		parts = append(parts, rows(own-t.memory, t.memory, nil))
	}
	return append(parts, rows(own, t.length, t.shownTokens()))
}

// keysOf and valuesOf return the rows of a head of the sequence of a job.
func (a *attention[T]) keysOf(r *Runner[T], in []int, kv int, t *tile, seq int) []kernel.Rows[T] {
	return a.parts(r, in[1], a.keyWidth, kv*a.e, t, seq, func(l *layerPast) result.Tensor { return l.keys })
}

func (a *attention[T]) valuesOf(r *Runner[T], in []int, kv int, t *tile, seq int) []kernel.Rows[T] {
	return a.parts(r, in[2], a.valueWidth, kv*a.ev, t, seq, func(l *layerPast) result.Tensor { return l.values })
}

// shownTokens returns the mask of the tokens where hidden ones are left out.
func (t *tile) shownTokens() []uint8 {
	if t.compact {
		return t.mask
	}
	return nil
}

// leavesOut tells whether a key is not in the panels.
func (t *tile) leavesOut(key int) bool {
	return t.compact && key >= t.memory && t.mask[key-t.memory] == 0
}

// look finds out which keys the queries of a sequence see.
func (a *attention[T]) look(r *Runner[T], s *scratch[T], seq int) *tile {
	lo, hi := r.batch.Range(seq)
	t := &s.view
	*t = tile{length: hi - lo}
	t.memory = r.sets[a.keys].starts[seq+1] - r.sets[a.keys].starts[seq] - t.length + r.batch.prefix(seq)
	if past := r.batch.past(seq); past != nil && past.Length > 0 {
		t.past, t.memory = past, past.Length
	}
	if r.batch.Mask != nil {
		t.mask = r.batch.Mask[lo:hi]
	}
	if r.batch.Hidden != nil {
		t.hidden = r.batch.Hidden[r.batch.Sequence(seq)]
	}
	t.keys = t.memory + t.length
	t.compact = a.compact && t.mask != nil && t.hidden == nil
	t.visible = t.keys
	if t.compact {
		s.shown = grow(s.shown, t.keys+1)
		t.visible = 0
		for j := range t.keys {
			s.shown[j] = t.visible
			if j < t.memory || t.mask[j-t.memory] != 0 {
				t.visible++
			}
		}
		s.shown[t.keys] = t.visible
	}
	return t
}

// place returns the number of keys in the panels that lie before key j.
func (s *scratch[T]) place(t *tile, j int) int {
	if t.compact {
		return s.shown[j]
	}
	return j
}

// sees returns the range of keys in the panels that a query at a position sees
// as far as order goes: in causal attention, and with windows.
func (a *attention[T]) sees(s *scratch[T], t *tile, position int) (lo, hi int) {
	hi = t.keys
	if a.Causal {
		hi = t.memory + position + 1
		if a.Window > 0 {
			lo = max(0, hi-a.Window)
		}
	}
	return s.place(t, lo), s.place(t, hi)
}

// shows tells whether masks let the query at a position see a token.
func (a *attention[T]) shows(t *tile, position, token int) bool {
	return a.SeesSelf && token == position ||
		(t.mask == nil || t.mask[token] != 0) && (t.hidden == nil || t.hidden[position*t.length+token] == 0)
}

// visible tells whether the query at a position sees a key of the panels.
func (a *attention[T]) visible(s *scratch[T], t *tile, position, key int) bool {
	from, to := a.sees(s, t, position)
	return key >= from && key < to && (t.compact || key < t.memory || a.shows(t, position, key-t.memory))
}

// attend computes one job.
func (a *attention[T]) attend(r *Runner[T], s *scratch[T], j job, in []int, to int) {
	t := a.look(r, s, j.sequence)
	first := r.sets[a.queries].starts[j.sequence]
	kv := j.head / (a.Heads / a.KeyHeads)
	if t.visible == 0 {
		for i := j.lo; i < j.hi; i++ {
			clear(r.row(to, first+i)[j.head*a.ev : (j.head+1)*a.ev])
		}
		return
	}
	a.packKeys(r, s, t, j, kv, in)
	vals := a.valuesOf(r, in, kv, t, j.sequence)
	s.values.Stack(a.ev, 1, vals...)
	for lo := j.lo; lo < j.hi; lo += tileRows {
		j := j.tile(lo)
		keys := a.scores(r, s, t, j, in)
		a.normalise(r, s, t, j, keys)
		z := r.matrix(to)[(first+lo)*a.zWidth+j.head*a.ev:]
		s.values.Multiply(z, a.zWidth, s.scores, s.width(t), j.hi-lo, keys, a.ev, false)
		// A value that is not finite reaches every query, as 0·NaN is NaN.
		if square := kernel.Dot(z[:a.ev], z[:a.ev]); square-square != 0 {
			a.contain(r, s, t, j, keys, z)
			s.values.Stack(a.ev, 1, vals...)
		}
	}
}

// contain computes z again for those queries of a tile that see none of the keys
// whose values are not finite, with 0 in place of these. It leaves them so in
// s.values.
func (a *attention[T]) contain(r *Runner[T], s *scratch[T], t *tile, j job, keys int, z []T) {
	s.blank = s.values.Blank(s.blank[:0], keys)
	if len(s.blank) == 0 {
		return
	}
	for i := j.lo; i < j.hi; i++ {
		position, weights := a.at(r, j, i), s.scores[(i-j.lo)*s.width(t):]
		sees := func(key int) bool { return weights[key] != 0 || a.visible(s, t, position, key) }
		if !slices.ContainsFunc(s.blank, sees) {
			s.values.Multiply(z[(i-j.lo)*a.zWidth:], a.zWidth, weights, s.width(t), 1, keys, a.ev, false)
		}
	}
}

// width returns the row stride of a tile.
func (s *scratch[T]) width(t *tile) int { return whole(t.visible) }

// packKeys packs what the queries of a head are multiplied by, scaled.
func (a *attention[T]) packKeys(r *Runner[T], s *scratch[T], t *tile, j job, kv int, in []int) {
	s.keys.Transpose(a.e, T(a.Factor), a.keysOf(r, in, kv, t, j.sequence)...)
	if a.Relative != nil {
		s.relative.Transpose(a.e, T(a.Factor), a.relatives(r, t, j.head, in[relativeInput]))
	}
	s.scores = grow(s.scores, tileRows*s.width(t))
}

// relatives returns the rows of the relative positions that a sequence's
// queries and keys can have: memory + length − 1 down to 1 − length.
func (a *attention[T]) relatives(r *Runner[T], t *tile, head, b int) kernel.Rows[T] {
	width := a.Heads * a.e
	from := r.longestContext() - (t.memory + t.length - 1)
	return kernel.Rows[T]{Data: r.matrix(b)[from*width+head*a.e:], Stride: width, N: t.keys + t.length - 1}
}

// scores computes what enters the softmax, for the queries of a tile, and returns
// the number of keys in the panels that any of them sees.
func (a *attention[T]) scores(r *Runner[T], s *scratch[T], t *tile, j job, in []int) int {
	set := &r.sets[a.queries]
	first := set.starts[j.sequence]
	rows, ld := j.hi-j.lo, s.width(t)
	keys := 0
	for i := j.lo; i < j.hi; i++ {
		_, end := a.sees(s, t, set.position(j.sequence, first+i))
		keys = max(keys, end)
	}
	if a.Uniform || a.inspects() {
		keys = t.visible
	}
	q := r.matrix(in[0])[(first+j.lo)*a.queryWidth+j.head*a.e:]
	if a.Relative == nil {
		s.keys.Multiply(s.scores, ld, q, a.queryWidth, rows, a.e, keys, false)
	} else {
		a.relativeScores(r, s, t, j, q)
	}
	a.mask(r, s, t, j, keys)
	return keys
}

// inspects tells whether somebody looks at the scores or the pattern.
func (a *attention[T]) inspects() bool {
	return len(a.edits)+len(a.captures)+len(a.gradients) > 0
}

// relativeScores computes Factor·[(q + Content)·k + (q + Position)·r_{i−j} +
// (q + Segment)·s_ij].
func (a *attention[T]) relativeScores(r *Runner[T], s *scratch[T], t *tile, j job, q []T) {
	rows, ld := j.hi-j.lo, s.width(t)
	span := t.keys + t.length - 1
	s.biased, s.term = grow(s.biased, rows*a.e), grow(s.term, rows*span)
	a.bias(s, q, rows, a.content[j.head*a.e:])
	s.keys.Multiply(s.scores, ld, s.biased, a.e, rows, a.e, t.keys, false)
	a.copyOut(r, arch.Content, s, t, j, 1/a.Factor)
	a.bias(s, q, rows, a.position[j.head*a.e:])
	s.relative.Multiply(s.term, span, s.biased, a.e, rows, a.e, span, false)
	a.copyTerm(r, arch.Position, j, t, func(i, key int) T { return s.term[(i-j.lo)*span+a.shift(r, t, j, i)+key] / T(a.Factor) })
	for i := j.lo; i < j.hi; i++ {
		at := (i-j.lo)*span + a.shift(r, t, j, i)
		kernel.Add(s.scores[(i-j.lo)*ld:(i-j.lo)*ld+t.keys], s.term[at:at+t.keys])
	}
	if r.batch.TypeIDs == nil {
		return
	}
	a.bias(s, q, rows, a.segment[j.head*a.e:])
	var value [2]T
	for i := j.lo; i < j.hi; i++ {
		for k := range value {
			vector := a.segments[(k*a.Heads+j.head)*a.e:][:a.e]
			value[k] = T(a.Factor) * kernel.Dot(s.biased[(i-j.lo)*a.e:(i-j.lo+1)*a.e], vector)
		}
		own := a.typeOf(r, t, j, t.memory+a.at(r, j, i))
		for key := range t.keys {
			other := 0
			if a.typeOf(r, t, j, key) != own {
				other = 1
			}
			s.scores[(i-j.lo)*ld+key] += value[other]
		}
	}
	a.copyTerm(r, arch.Segment, j, t, func(i, key int) T {
		other := 0
		if a.typeOf(r, t, j, key) != a.typeOf(r, t, j, t.memory+a.at(r, j, i)) {
			other = 1
		}
		vector := a.segments[(other*a.Heads+j.head)*a.e:][:a.e]
		return kernel.Dot(s.biased[(i-j.lo)*a.e:(i-j.lo+1)*a.e], vector)
	})
}

// at returns the position within its sequence of query i of a job.
func (a *attention[T]) at(r *Runner[T], j job, i int) int {
	set := &r.sets[a.queries]
	return set.position(j.sequence, set.starts[j.sequence]+i)
}

// shift returns where, among the relative positions of a sequence, those of
// query i begin: that of its first key.
func (a *attention[T]) shift(r *Runner[T], t *tile, j job, i int) int {
	return t.length - 1 - a.at(r, j, i)
}

// typeOf returns the token type of a key; cached rows have type 0.
func (a *attention[T]) typeOf(r *Runner[T], t *tile, j job, key int) int32 {
	if key < t.memory {
		return 0
	}
	lo, _ := r.batch.Range(j.sequence)
	return r.batch.TypeIDs[lo+key-t.memory]
}

// bias sets s.biased to q + vector.
func (a *attention[T]) bias(s *scratch[T], q []T, rows int, vector []T) {
	for i := range rows {
		to := s.biased[i*a.e : (i+1)*a.e]
		copy(to, q[i*a.queryWidth:])
		kernel.Add(to, vector[:a.e])
	}
}

// mask sets the scores of the keys that a query does not see to −Inf, for the
// first keys of the panels.
func (a *attention[T]) mask(r *Runner[T], s *scratch[T], t *tile, j job, keys int) {
	never := T(math.Inf(-1))
	ld := s.width(t)
	for i := j.lo; i < j.hi; i++ {
		position := a.at(r, j, i)
		row := s.scores[(i-j.lo)*ld:][:keys]
		from, to := a.sees(s, t, position)
		for k := 0; k < from; k++ {
			row[k] = never
		}
		for k := to; k < keys; k++ {
			row[k] = never
		}
		if t.compact || t.mask == nil && t.hidden == nil {
			continue
		}
		for k := t.memory; k < to; k++ {
			if !a.shows(t, position, k-t.memory) {
				row[k] = never
			}
		}
	}
}

// normalise turns the scores of a tile into the pattern, with what the request
// does to either.
func (a *attention[T]) normalise(r *Runner[T], s *scratch[T], t *tile, j job, keys int) {
	ld := s.width(t)
	a.change(r, a.edits[arch.Scores], s.scores, s, t, j)
	a.copyOut(r, arch.Scores, s, t, j, 1)
	a.softmax(s, ld, j.hi-j.lo, keys)
	a.change(r, a.edits[arch.Pattern], s.scores, s, t, j)
	a.copyOut(r, arch.Pattern, s, t, j, 1)
}

// softmax turns rows of scores into weights. It leaves the rows whose weights do
// not depend on the scores in s.uniform.
func (a *attention[T]) softmax(s *scratch[T], ld, rows, keys int) {
	s.uniform = s.uniform[:0]
	for i := range rows {
		row := s.scores[i*ld : i*ld+keys]
		if a.Uniform && !slices.ContainsFunc(row, func(v T) bool { return !hidden(v) }) {
			clear(row)
			s.uniform = append(s.uniform, i)
		}
	}
	sum := a.summed(keys)
	for i := range rows {
		rest := s.scores[i*ld+keys : i*ld+sum]
		for k := range rest {
			rest[k] = T(math.Inf(-1))
		}
	}
	kernel.SoftmaxRows(s.scores, ld, rows, sum)
}

// summed returns the number of keys that a sum over the keys of a tile takes in.
// In causal attention, how many lie behind those that a query sees depends on
// who shares its tile, and the order of a sum depends on its length: in whole
// vectors, keys without weight change no bit of it.
func (a *attention[T]) summed(keys int) int {
	if a.Causal {
		return whole(keys)
	}
	return keys
}
