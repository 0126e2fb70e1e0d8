// Package model holds the models of tokenizers: what turns a word into tokens
// of a vocabulary. Everything here is immutable once built and safe for
// concurrent use.
package model

// Trie maps strings to ids that are not negative, and finds the longest of its
// strings at the beginning of a text. Build it with Insert.
type Trie struct {
	// The edges are an open-addressed table: an edge from a node over a byte is
	// at its key, node<<8 | byte, plus one (0 marks a free slot).
	keys  []uint64
	nodes []uint32
	edges int
	shift uint8
	// ids has the id of the string that ends at each node, or -1.
	ids []int32
}

// Root is the node where every string begins.
const Root uint32 = 0

// NewTrie returns an empty trie.
func NewTrie() *Trie {
	t := &Trie{ids: []int32{-1}}
	t.resize(6)
	return t
}

func (t *Trie) resize(bits uint8) {
	keys, nodes := t.keys, t.nodes
	t.keys, t.nodes, t.shift = make([]uint64, 1<<bits), make([]uint32, 1<<bits), 64-bits
	for i, key := range keys {
		if key != 0 {
			at := t.slot(key)
			t.keys[at], t.nodes[at] = key, nodes[i]
		}
	}
}

// slot returns where key is or belongs (Fibonacci hashing, linear probing).
func (t *Trie) slot(key uint64) uint64 {
	at := key * 0x9E3779B97F4A7C15 >> t.shift
	for t.keys[at] != 0 && t.keys[at] != key {
		at = (at + 1) & uint64(len(t.keys)-1)
	}
	return at
}

// Insert maps s to id; the last id given for a string is the one that counts.
func (t *Trie) Insert(s string, id int32) {
	node := Root
	for i := range len(s) {
		key := uint64(node)<<8 + uint64(s[i]) + 1
		at := t.slot(key)
		if t.keys[at] == 0 {
			if 2*t.edges >= len(t.keys) {
				t.resize(65 - t.shift)
				at = t.slot(key)
			}
			t.keys[at], t.nodes[at] = key, uint32(len(t.ids))
			t.ids = append(t.ids, -1)
			t.edges++
		}
		node = t.nodes[at]
	}
	t.ids[node] = id
}

// Step follows the edge of c from node.
func (t *Trie) Step(node uint32, c byte) (uint32, bool) {
	at := t.slot(uint64(node)<<8 + uint64(c) + 1)
	return t.nodes[at], t.keys[at] != 0
}

// Walk follows s from the root and returns the node where it ends.
func (t *Trie) Walk(s string) (uint32, bool) {
	node := Root
	for i := range len(s) {
		var ok bool
		if node, ok = t.Step(node, s[i]); !ok {
			return 0, false
		}
	}
	return node, true
}

// ID returns the id that s is mapped to.
func (t *Trie) ID(s string) (int32, bool) {
	node, ok := t.Walk(s)
	if !ok || t.ids[node] < 0 {
		return 0, false
	}
	return t.ids[node], true
}

// Longest returns the id and the length of the longest string that begins s,
// followed from node; the length is 0 if there is none.
func (t *Trie) Longest(node uint32, s []byte) (id int32, length int) {
	for i, c := range s {
		var ok bool
		if node, ok = t.Step(node, c); !ok {
			break
		}
		if t.ids[node] >= 0 {
			id, length = t.ids[node], i+1
		}
	}
	return id, length
}

// Least returns the smallest id among the strings that begin s, and the length
// of the string that has it; the length is 0 if there is none.
func (t *Trie) Least(s []byte) (id int32, length int) {
	node := Root
	for i, c := range s {
		var ok bool
		if node, ok = t.Step(node, c); !ok {
			break
		}
		if n := t.ids[node]; n >= 0 && (length == 0 || n < id) {
			id, length = n, i+1
		}
	}
	return id, length
}
