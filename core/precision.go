package core

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/xai-go/xai/engine"
	"github.com/xai-go/xai/sdk"
)

// A model in 8 bits answers a little differently than it does in float32, and so
// it is explained a little differently. How much so is part of the result: some
// of the variants that the method asked for are run in float32 too, and where
// there are few of them, the whole method.

// sampleRows is the number of variants that are run in float32 too.
const sampleRows = 64

// sample draws variants from those of a session: of all distinct ones those whose
// digests are the smallest, which is a uniform draw that depends neither on
// their order nor on what the model remembers. A nil sample draws none.
type sample struct {
	keys      []rowKey // ascending
	questions []question
}

// offer has a variant take part.
func (s *sample) offer(key rowKey, q question) {
	if s == nil || len(s.keys) == sampleRows && compareKeys(key, s.keys[sampleRows-1]) >= 0 {
		return
	}
	at, found := slices.BinarySearchFunc(s.keys, key, compareKeys)
	if found {
		return
	}
	s.keys, s.questions = slices.Insert(s.keys, at, key), slices.Insert(s.questions, at, q)
	n := min(len(s.keys), sampleRows)
	s.keys, s.questions = s.keys[:n], s.questions[:n]
}

func compareKeys(a, b rowKey) int { return bytes.Compare(a[:], b[:]) }

// float32s is a model in float32 beside one in 8 bits, opened when it is first
// asked for.
type float32s struct {
	open func(ctx context.Context) (*Model, error)

	mu     sync.Mutex
	closed bool
	model  *Model
}

// get opens the model.
func (f *float32s) get(ctx context.Context) (*Model, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, engineError("", engine.ErrClosed)
	}
	if f.model == nil {
		m, err := f.open(ctx)
		if e, ok := errors.AsType[*Error](err); ok {
			e.Hint = strings.TrimPrefix(e.Hint+"; an explanation in int8 is compared with float32, for which the model is opened in that, too", "; ")
		}
		if err != nil {
			return nil, err
		}
		f.model = m
	}
	return f.model, nil
}

// close releases its threads.
func (f *float32s) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	if f.model != nil {
		f.model.Close()
	}
}

// inFloat32 returns the diagnostics of an explanation by a model in 8 bits,
// which result is and s has made: the same in float32. again runs the method on
// another session.
func (s *session) inFloat32(ctx context.Context, r Request, result *sdk.Explanation, again func(*session, float64) (*sdk.Explanation, error)) (Diagnostics, error) {
	m, err := s.model.float32.get(ctx)
	if err != nil {
		return nil, err
	}
	r.Progress = nil
	r.Target = s.target.expr // which need not be the default here
	exact, err := m.session(ctx, &r)
	if err != nil {
		return nil, err
	}
	value := exact.value()
	d := Diagnostics{DiagFloat32Value: Float(value)}

	answers, err := m.run(ctx, s.sample.questions, exact.scale, s.sample.keys, nil)
	if err != nil {
		return nil, err
	}
	sum, largest, n := 0.0, 0.0, 0
	for i, key := range s.sample.keys {
		j, ok := s.known[key]
		if !ok {
			continue // of a forward that failed
		}
		if len(answers[i]) != len(exact.answers[0].values) {
			continue // of another target
		}
		change := math.Abs(s.target.value(s.answers[j].values, s.scale) - exact.target.value(answers[i], exact.scale))
		sum, largest, n = sum+change, max(largest, change), n+1
	}
	d[DiagFloat32Variants] = Float(n)
	if n > 0 {
		d[DiagFloat32Mean], d[DiagFloat32Largest] = Float(sum/float64(n)), Float(largest)
	}
	if s.unique > sampleRows {
		return d, nil
	}
	want, err := again(exact, value)
	if err != nil {
		return nil, err
	}
	if change, ok := changeOf(result.Attributions[0].Values, want.Attributions[0].Values); ok {
		d[DiagFloat32Attributed] = Float(change)
	}
	return d, nil
}

// changeOf returns the largest difference of attributions to the same units; a
// method may cut other ones for other answers.
func changeOf(a, b []float64) (float64, bool) {
	if len(a) != len(b) {
		return 0, false
	}
	largest := 0.0
	for i := range a {
		largest = max(largest, math.Abs(a[i]-b[i]))
	}
	return largest, true
}
