package wasm

import (
	"math"
	"slices"
)

// scanner reads the binary format. After the first failure it returns zeros.
type scanner struct {
	b      []byte
	at     int
	failed bool
}

func (s *scanner) take(n uint32) []byte {
	if s.failed || int64(n) > int64(len(s.b)-s.at) {
		s.failed = true
		return nil
	}
	s.at += int(n)
	return s.b[s.at-int(n) : s.at]
}

func (s *scanner) byte() byte {
	if s.failed || s.at >= len(s.b) {
		s.failed = true
		return 0
	}
	s.at++
	return s.b[s.at-1]
}

// zero reads a byte that has to be 0.
func (s *scanner) zero() { s.failed = s.byte() != 0 || s.failed }

// end reads the end of an expression.
func (s *scanner) end() { s.failed = s.byte() != opEnd || s.failed }

// u32 reads an unsigned LEB128 of 32 bits.
func (s *scanner) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		b := s.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > math.MaxUint32 {
				break
			}
			return uint32(v)
		}
	}
	s.failed = true
	return 0
}

// index reads an index below n.
func (s *scanner) index(n int) uint32 {
	i := s.u32()
	if int64(i) >= int64(n) {
		s.failed = true
		return 0
	}
	return i
}

// skip reads a LEB128 of at most n bytes.
func (s *scanner) skip(n int) {
	for ; n > 0; n-- {
		if s.byte() < 0x80 {
			return
		}
	}
	s.failed = true
}

// offset reads where a segment begins, which without imported globals is a
// constant.
func (s *scanner) offset() uint64 {
	s.failed = s.byte() != opI32Const || s.failed
	at := s.at
	s.skip(5)
	var value uint32
	for i, b := range s.b[at:s.at] {
		value |= uint32(b&0x7f) << (7 * i)
		if b&0xc0 == 0x40 && i < 4 { // the last one of a negative number
			value |= math.MaxUint32 << (7 * (i + 1))
		}
	}
	s.end()
	return uint64(value)
}

func (s *scanner) name() string { return string(s.take(s.u32())) }

func (s *scanner) rest() []byte { return s.take(uint32(len(s.b) - s.at)) }

// valueType reads a value type as its code in a signature.
func (s *scanner) valueType() byte {
	code := codeOf[s.byte()]
	s.failed = s.failed || code == 0
	return code
}

// valueTypes reads a vector of value types as their codes.
func (s *scanner) valueTypes() string {
	codes := slices.Clone(s.take(s.u32()))
	for i, t := range codes {
		codes[i] = codeOf[t]
		s.failed = s.failed || codes[i] == 0
	}
	return string(codes)
}

// refType reads the type of a reference.
func (s *scanner) refType() {
	t := s.byte()
	s.failed = s.failed || t != typeFuncRef && t != typeExternRef
}

// appendU32 appends v as an unsigned LEB128.
func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// appendI64 appends v as a signed LEB128.
func appendI64(b []byte, v int64) []byte {
	for v >= 0x40 || v < -0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}
