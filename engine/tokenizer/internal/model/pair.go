package model

// pairTable maps pairs of symbols to merges: an open-addressed table with
// linear probing, like that of Trie.
type pairTable struct {
	keys   []uint64 // free where noPair stands
	merges []merge
	used   int
	shift  uint8
}

// merge is what a pair of symbols becomes, and when: lower ranks come first.
type merge struct{ rank, symbol int32 }

// noPair is the key of no pair, since no symbol is noSymbol.
const noPair = ^uint64(0)

func newPairTable() *pairTable {
	t := new(pairTable)
	t.resize(6)
	return t
}

func (t *pairTable) resize(bits uint8) {
	keys, merges := t.keys, t.merges
	t.keys, t.merges, t.shift = make([]uint64, 1<<bits), make([]merge, 1<<bits), 64-bits
	for i := range t.keys {
		t.keys[i] = noPair
	}
	for i, key := range keys {
		if key != noPair {
			at := t.slot(key)
			t.keys[at], t.merges[at] = key, merges[i]
		}
	}
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// slot returns where key is or belongs (Fibonacci hashing).
func (t *pairTable) slot(key uint64) uint64 {
	at := key * 0x9E3779B97F4A7C15 >> t.shift
	for t.keys[at] != noPair && t.keys[at] != key {
		at = (at + 1) & uint64(len(t.keys)-1)
	}
	return at
}

// put maps a pair to a merge; the last one given for a pair counts.
func (t *pairTable) put(left, right int32, m merge) {
	key := pairKey(left, right)
	at := t.slot(key)
	if t.keys[at] == noPair {
		if 2*t.used >= len(t.keys) {
			t.resize(65 - t.shift)
			at = t.slot(key)
		}
		t.used++
	}
	t.keys[at], t.merges[at] = key, m
}

func (t *pairTable) get(left, right int32) (merge, bool) {
	key := pairKey(left, right)
	at := t.slot(key)
	return t.merges[at], t.keys[at] == key
}
