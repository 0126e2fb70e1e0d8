package core

import (
	"container/list"
	"sync"
)

// DefaultCache is the memory in bytes for the evaluations that a model remembers
// unless Options.Cache sets another.
const DefaultCache = 64 << 20

// evaluationBytes is what a remembered evaluation takes beside its logits: its
// key twice, its place in the map and in the order. Measured, rounded up.
const evaluationBytes = 256

// cache remembers the logits of the rows that a model has run, for whatever asks
// for them later. A row's key is a digest of all that its logits depend on, and
// the engine gives the same bits whenever it runs a row, so that nothing shows
// which of two explanations has run it. The rows that were asked for least
// recently make room for new ones. It is safe for concurrent use; nil remembers
// nothing.
type cache struct {
	limit int64 // bytes

	mu      sync.Mutex
	bytes   int64
	entries map[rowKey]*list.Element
	recent  list.List // of *evaluation, the one asked for last in front
}

// evaluation is a row's answer, which nobody may change.
type evaluation struct {
	key    rowKey
	logits []float64
}

// size returns the bytes that an evaluation takes.
func (e *evaluation) size() int64 { return int64(len(e.logits))*8 + evaluationBytes }

// newCache returns a cache of so many bytes: nil for a negative number,
// DefaultCache for 0.
func newCache(limit int64) *cache {
	switch {
	case limit < 0:
		return nil
	case limit == 0:
		limit = DefaultCache
	}
	return &cache{limit: limit, entries: make(map[rowKey]*list.Element)}
}

// get returns the logits of a row, and whether they are known.
func (c *cache) get(key rowKey) ([]float64, bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[key]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(element)
	return element.Value.(*evaluation).logits, true
}

// put remembers the logits of rows.
func (c *cache) put(keys []rowKey, logits [][]float64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, key := range keys {
		if element, ok := c.entries[key]; ok { // run by another explanation meanwhile
			c.recent.MoveToFront(element)
			continue
		}
		e := &evaluation{key, logits[i]}
		c.entries[key] = c.recent.PushFront(e)
		for c.bytes += e.size(); c.bytes > c.limit; {
			oldest := c.recent.Remove(c.recent.Back()).(*evaluation)
			delete(c.entries, oldest.key)
			c.bytes -= oldest.size()
		}
	}
}
