package text

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Charsmap maps strings to their normalized forms. It is the table that
// SentencePiece compiles its normalization rules to: a double-array trie
// (Aoe 1989, in the layout of the library Darts-clone) whose values are
// positions among the normalized forms. It is immutable.
type Charsmap struct {
	units []uint32
	forms []byte // each ends with NUL
	// plain has the ASCII characters that neither are a key nor begin one whose
	// second byte is ASCII: before ASCII, they stay as they are.
	plain  [utf8.RuneSelf]bool
	growth float64
}

// The bounds of what ParseCharsmap reads. The largest table that SentencePiece
// ships has a quarter of a megabyte, and forms of 33 bytes.
const (
	maxCharsmap = 4 << 20
	maxKey      = 64
	maxForm     = 256
)

// ErrUnusual says that normalization rules are larger than any in use.
var ErrUnusual = errors.New("unusually large normalization rules")

// ParseCharsmap reads a precompiled_charsmap: the size of the trie in bytes, the
// trie in units of four bytes, and the normalized forms; numbers are
// little-endian. Errors other than ErrUnusual mean that the data is malformed;
// they read as the end of a sentence.
func ParseCharsmap(data []byte) (*Charsmap, error) {
	if len(data) > maxCharsmap {
		return nil, fmt.Errorf("%w: %d bytes", ErrUnusual, len(data))
	}
	if len(data) < 4 {
		return nil, errors.New("is cut off")
	}
	size, rest := binary.LittleEndian.Uint32(data), data[4:]
	if size == 0 || size%4 != 0 || uint64(size) > uint64(len(rest)) {
		return nil, fmt.Errorf("has a trie of %d bytes in %d", size, len(rest))
	}
	m := &Charsmap{units: make([]uint32, size/4), forms: bytes.Clone(rest[size:])}
	for i := range m.units {
		m.units[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	for c := 1; c < utf8.RuneSelf; c++ {
		unit, node, ok := m.step(m.root(), byte(c))
		m.plain[c] = !ok || !isKey(unit)
		for next := 1; ok && next < utf8.RuneSelf; next++ {
			if _, _, more := m.step(node, byte(next)); more {
				m.plain[c] = false
			}
		}
	}
	return m, nil
}

// Growth returns the largest factor by which a normalized form is longer than
// its key, or 1.
func (m *Charsmap) Growth() float64 { return m.growth }

// A unit of the trie has the label of the edge that leads to it, whether a key
// ends with it, and the offset to its children: the child over the byte c of the
// node n is the unit n^c. The child over the byte 0 of a node where a key ends
// holds the value, with the highest bit set, which no label has.

func label(unit uint32) uint32  { return unit & (1<<31 | 0xFF) }
func isKey(unit uint32) bool    { return unit>>8&1 != 0 }
func value(unit uint32) uint32  { return unit &^ (1 << 31) }
func offset(unit uint32) uint32 { return unit >> 10 << (unit >> 6 & 8) }

func (m *Charsmap) root() uint32 { return offset(m.units[0]) }

// step returns the child of a node over the byte c, which is not 0: its unit,
// and the node that it is.
func (m *Charsmap) step(node uint32, c byte) (unit, child uint32, ok bool) {
	at := node ^ uint32(c)
	if at >= uint32(len(m.units)) || label(m.units[at]) != uint32(c) {
		return 0, 0, false
	}
	unit = m.units[at]
	return unit, at ^ offset(unit), true
}

// check walks over the trie level by level. It returns an error if a value is
// no position of a normalized form, or a form no UTF-8, or if keys or forms are
// so long that looking them up could take long.
func (m *Charsmap) check() error {
	n := uint32(len(m.units))
	// The children of the node x are the units children[begin[x]:begin[x+1]].
	begin := make([]uint32, n+256+1)
	isChild := func(i uint32) bool { return label(m.units[i]) != 0 && label(m.units[i]) <= 0xFF }
	for i := range n {
		if isChild(i) {
			begin[(i^label(m.units[i]))+1]++
		}
	}
	for x := range n + 256 {
		begin[x+1] += begin[x]
	}
	children, fill := make([]uint32, begin[n+256]), slices.Clone(begin)
	for i := range n {
		if isChild(i) {
			x := i ^ label(m.units[i])
			children[fill[x]] = i
			fill[x]++
		}
	}

	m.growth = 1
	seen := make([]uint8, n+256) // the length of the longest key to the node so far
	level, next := []uint32{m.root()}, []uint32(nil)
	for length := 1; len(level) > 0; length++ {
		if length > maxKey {
			return fmt.Errorf("%w: keys of more than %d bytes", ErrUnusual, maxKey)
		}
		for _, node := range level {
			if node >= n+256 {
				continue // has no children
			}
			for _, i := range children[begin[node]:begin[node+1]] {
				unit := m.units[i]
				child := i ^ offset(unit)
				if isKey(unit) {
					if child >= n {
						return fmt.Errorf("has a key without a value at unit %d", i)
					}
					form, err := m.form(value(m.units[child]))
					if err != nil {
						return err
					}
					m.growth = max(m.growth, float64(len(form))/float64(length))
				}
				if child < n+256 && seen[child] < uint8(length) {
					seen[child] = uint8(length)
					next = append(next, child)
				}
			}
		}
		level, next = next, level[:0]
	}
	return nil
}

// form returns the normalized form at a position.
func (m *Charsmap) form(at uint32) ([]byte, error) {
	if at >= uint32(len(m.forms)) {
		return nil, fmt.Errorf("has a normalized form at byte %d of %d", at, len(m.forms))
	}
	rest := m.forms[at:]
	n := bytes.IndexByte(rest[:min(len(rest), maxForm+1)], 0)
	if n < 0 {
		if len(rest) > maxForm {
			return nil, fmt.Errorf("%w: forms of more than %d bytes", ErrUnusual, maxForm)
		}
		n = len(rest)
	}
	if !utf8.Valid(rest[:n]) {
		return nil, fmt.Errorf("has a normalized form at byte %d that is not UTF-8", at)
	}
	return rest[:n], nil
}

// Longest returns the normalized form and the length of the longest key that
// begins b; the length is 0 if there is none.
func (m *Charsmap) Longest(b []byte) (form []byte, length int) {
	at, length := m.search(b, false)
	return m.at(at, length)
}

// Shortest is Longest for the shortest key.
func (m *Charsmap) Shortest(b []byte) (form []byte, length int) {
	at, length := m.search(b, true)
	return m.at(at, length)
}

// search returns the value and the length of the first or the last key that
// begins b.
func (m *Charsmap) search(b []byte, first bool) (at uint32, length int) {
	node := m.root()
	for i, c := range b {
		unit, child, ok := m.step(node, c)
		if c == 0 || !ok {
			break
		}
		if isKey(unit) {
			at, length = value(m.units[child]), i+1
			if first {
				break
			}
		}
		node = child
	}
	return at, length
}

// at returns the form at a value that check has seen.
func (m *Charsmap) at(value uint32, length int) ([]byte, int) {
	if length == 0 {
		return nil, 0
	}
	form := m.forms[value:]
	if n := bytes.IndexByte(form, 0); n >= 0 {
		form = form[:n]
	}
	return form, length
}
