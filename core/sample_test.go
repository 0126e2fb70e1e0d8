package core

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSample: what is drawn depends on the set of rows alone, each distinct row
// is drawn once at most, and each is as likely as another.
func TestSample(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var all []row
	keyOf := func(r row) rowKey {
		key, _ := r.key(nil)
		return key
	}
	for i := range 1000 {
		all = append(all, row{n: 1, ids: []int32{int32(i)}})
	}
	var first []rowKey
	for range 5 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		s := new(sample)
		for i, row := range all {
			s.offer(keyOf(row), question{{row: row}})
			s.offer(keyOf(all[r.IntN(i+1)]), question{{row: all[0]}})
		}
		if len(s.keys) != sampleRows || len(s.questions) != sampleRows {
			t.Fatalf("%d keys and %d variants", len(s.keys), len(s.questions))
		}
		if first == nil {
			first = slices.Clone(s.keys)
		}
		if !slices.Equal(first, s.keys) {
			t.Fatal("another order draws other rows")
		}
	}
	low := 0 // ids below 500
	s := new(sample)
	for _, row := range all {
		s.offer(keyOf(row), question{{row: row}})
	}
	for i, q := range s.questions {
		row := q[0].row
		if keyOf(row) != s.keys[i] {
			t.Errorf("row %d is not that of its key", i)
		}
		if row.ids[0] < 500 {
			low++
		}
	}
	if low < sampleRows/4 || low > 3*sampleRows/4 {
		t.Errorf("%d of %d rows are of the first half", low, sampleRows)
	}
	var none *sample
	none.offer(first[0], nil) // draws nothing, and does not fail
}
