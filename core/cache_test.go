package core

import (
	"encoding/binary"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// numbered returns the key of number i.
func numbered(i int) (key rowKey) {
	binary.LittleEndian.PutUint64(key[:], uint64(i))
	return key
}

func (c *cache) fill(from, to, classes int) {
	for i := from; i < to; i++ {
		logits := make([]float64, classes)
		logits[0] = float64(i)
		c.put([]rowKey{numbered(i)}, [][]float64{logits})
	}
}

// has tells whether all of the numbers [from, to) are known, or none.
func (c *cache) has(t *testing.T, from, to int, want bool) {
	t.Helper()
	for i := from; i < to; i++ {
		logits, ok := c.get(numbered(i))
		if ok != want || ok && logits[0] != float64(i) {
			t.Errorf("row %d: known %t with %v, want %t", i, ok, logits, want)
		}
	}
}

func TestCacheForgetsTheOldest(t *testing.T) {
	const classes, room = 4, 10
	c := newCache(room*(evaluationBytes+8*classes) + 7)
	c.fill(0, room, classes)
	c.has(t, 0, room, true)
	c.has(t, 3, 5, true) // asked for: not the oldest any more
	c.fill(room, room+8, classes)
	c.has(t, 0, 3, false)
	c.has(t, 5, 10, false)
	c.has(t, 3, 5, true)
	c.has(t, room, room+8, true)
	c.fill(room, room+8, classes) // known already
	if len(c.entries) != room || c.recent.Len() != room || c.bytes != room*(evaluationBytes+8*classes) {
		t.Errorf("%d rows, %d in order, %d bytes", len(c.entries), c.recent.Len(), c.bytes)
	}
	c.fill(100, 101, 1000) // larger than the cache
	c.has(t, 100, 101, false)
	if len(c.entries) != 0 || c.recent.Len() != 0 || c.bytes != 0 {
		t.Errorf("after one that is too large: %d rows, %d in order, %d bytes", len(c.entries), c.recent.Len(), c.bytes)
	}
}

func TestCacheOff(t *testing.T) {
	c := newCache(-1)
	c.fill(0, 3, 2)
	c.has(t, 0, 3, false)
	if newCache(0).limit != DefaultCache {
		t.Error("no bound is not the default bound")
	}
}

// TestCacheTogether: goroutines that ask for the same rows find what belongs to
// them, whoever has put it there.
func TestCacheTogether(t *testing.T) {
	c := newCache(50 * (evaluationBytes + 16))
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for round := range 200 {
				i := (round*7 + worker) % 80
				if logits, ok := c.get(numbered(i)); ok && logits[0] != float64(i) {
					t.Errorf("row %d is %v", i, logits)
				}
				c.fill(i, i+1, 2)
			}
		})
	}
	wg.Wait()
	if c.bytes > c.limit || c.bytes != int64(len(c.entries))*(evaluationBytes+16) {
		t.Errorf("%d bytes for %d rows", c.bytes, len(c.entries))
	}
}

// drawn returns a row whose parts are small, so that their bytes could be
// taken for each other's.
func drawn(t *rapid.T) row {
	r := row{n: rapid.IntRange(1, 3).Draw(t, "n")}
	tokens := func(name string) []int32 {
		if !rapid.Bool().Draw(t, name) {
			return nil
		}
		return rapid.SliceOfN(rapid.Int32Range(-2, 1), r.n, r.n).Draw(t, name)
	}
	if r.ids = tokens("ids"); r.ids == nil {
		r.embeds = rapid.SliceOfN(rapid.SampledFrom([]float32{0, 1e-45, 1}), r.n, r.n).Draw(t, "embeds")
	}
	r.types, r.positions = tokens("types"), tokens("positions")
	if rapid.Bool().Draw(t, "masked") {
		r.mask = rapid.SliceOfN(rapid.Uint8Range(0, 1), r.n, r.n).Draw(t, "mask")
	}
	return r
}

// TestRowKeys: rows that differ in anything have different keys, and rows that
// do not have the same.
func TestRowKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawn(t), drawn(t)
		a, scratch := x.key(nil)
		b, _ := y.key(scratch)
		if same := reflect.DeepEqual(x, y); same != (a == b) {
			t.Fatalf("%+v and %+v: keys equal %t", x, y, a == b)
		}
	})
}
