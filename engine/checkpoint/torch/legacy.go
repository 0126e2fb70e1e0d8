package torch

import (
	"encoding/binary"
	"fmt"
)

// magic is the number 0x1950a86a20f9469cfc6c, with which a legacy file begins.
const magic big = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"

// legacyVersion is the only one there ever was.
const legacyVersion = 1001

// readLegacy returns the value of a legacy container.
func (f *File) readLegacy() (any, error) {
	l := &legacy{storages: map[string]*storage{}}
	m := newMachine(f, 0, f.size, l.persistent)
	switch v, err := m.run(); {
	case err != nil:
		return nil, err
	case v != magic:
		return nil, &UnsupportedError{Feature: "a pickle that torch.save did not write"}
	}
	switch v, err := m.run(); {
	case err != nil:
		return nil, err
	case v != int64(legacyVersion):
		return nil, &UnsupportedError{Feature: fmt.Sprintf("a legacy container of another version than %d", legacyVersion)}
	}
	// What the machine was like does not matter: values are little-endian always.
	if _, err := m.run(); err != nil {
		return nil, err
	}
	root, err := m.run()
	if err != nil {
		return nil, err
	}
	keys, err := m.run()
	if err != nil {
		return nil, err
	}
	return root, l.locate(f, m.offset, keys)
}

// legacy is an open legacy container.
type legacy struct {
	storages map[string]*storage
}

// persistent returns the storage of ('storage', class, key, location,
// elements, view). It is located later.
func (l *legacy) persistent(id any) (any, error) {
	s, rest, err := storageOf(id, 6, l.storages)
	if err != nil {
		return nil, err
	}
	if rest[0] != nil {
		return nil, &UnsupportedError{Feature: "a storage that is a part of another one"}
	}
	l.storages[s.key] = s
	return s, nil
}

// locate walks over the storages, which follow each other from at on in the
// order of keys.
func (l *legacy) locate(f *File, at int64, keys any) error {
	list, ok := keys.(*list)
	if !ok {
		return malformed(at, "the keys of the storages are a %s", kind(keys))
	}
	for _, item := range list.items {
		key, _ := item.(string)
		s := l.storages[key]
		if s == nil || s.offset >= 0 {
			return malformed(at, "the storage %q is there twice, or no tensor has it", key)
		}
		if f.size-at < 8 {
			return malformed(f.size, "the file ends before the storage %q: it is cut short", key)
		}
		var count [8]byte
		if err := f.readAt(count[:], at); err != nil {
			return err
		}
		if n := binary.LittleEndian.Uint64(count[:]); n != uint64(s.elements) {
			return malformed(at, "the storage %q has %d values and not %d, as its tensors say", key, n, s.elements)
		}
		s.offset = at + 8
		if int64(s.elements) > (f.size-s.offset)/int64(s.width) {
			return malformed(f.size, "the file ends within the storage %q: it is cut short", key)
		}
		at = s.offset + int64(s.elements)*int64(s.width)
	}
	for key, s := range l.storages {
		if s.offset < 0 {
			return malformed(at, "the storage %q is missing", key)
		}
	}
	return nil
}

// storageOf reads the persistent id of a storage, a tuple of n values, and
// returns those beyond the fifth too. The storage is the known one of its key, if
// there is one.
func storageOf(id any, n int, known map[string]*storage) (s *storage, rest tuple, err error) {
	t, ok := id.(tuple)
	if !ok || len(t) != n || t[0] != "storage" {
		return nil, nil, malformed(0, "a persistent id, a %s, is none of a storage", kind(id))
	}
	class, ok := t[1].(global)
	format, ok2 := storages[class]
	key, ok3 := t[2].(string)
	elements, ok4 := index(t[4])
	if !ok || !ok2 || !ok3 || !ok4 || len(key) > maxName {
		return nil, nil, malformed(0, "the persistent id of a storage makes no sense: %s, %s, %s", kind(t[1]), kind(t[2]), kind(t[4]))
	}
	s = known[key]
	if s == nil {
		s = &storage{format: format, key: key, elements: elements, offset: -1}
	}
	if s.format != format || s.elements != elements {
		return nil, nil, malformed(0, "the storage %q is described in two ways", key)
	}
	return s, t[5:], nil
}
