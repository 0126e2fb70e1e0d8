package wasm

import (
	"github.com/tetratelabs/wazero/experimental"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/core/internal/hostcall"
)

// Limits bound one explanation. MemoryBytes counts whole pages of 64 KiB.
type Limits = hostcall.Limits

const (
	page      = 64 << 10
	maxMemory = 4 << 30
)

// bounded returns l with defaults, and with the memory that a module can have.
func bounded(l Limits) Limits {
	l = l.WithDefaults()
	l.MemoryBytes = max(page, min(l.MemoryBytes, maxMemory)/page*page)
	l.Fuel = min(l.Fuel, bottomless)
	return l
}

// Describe returns the words for the confinement that a run under l has.
func Describe(l Limits) string {
	l = bounded(l)
	return "wasm: " + contract.Size(l.MemoryBytes) + " of memory, " + contract.Seconds(l.Timeout) + ", " + hostcall.Count(l.Fuel) + " of fuel, no files, network, clock or environment"
}

// linearMemory is the memory of one instance. Its capacity grows by doubling,
// so that a module which grows page by page costs its limit and not the square
// of it.
type linearMemory struct {
	limit   uint64
	buf     []byte
	refused bool // a growth was refused, whatever the module made of it
}

var _ experimental.MemoryAllocator = (*linearMemory)(nil)

// Allocate implements experimental.MemoryAllocator.
func (m *linearMemory) Allocate(_, _ uint64) experimental.LinearMemory { return m }

// Reallocate implements experimental.LinearMemory.
func (m *linearMemory) Reallocate(n uint64) []byte {
	if n > m.limit {
		m.refused = true
		return nil
	}
	if n > uint64(cap(m.buf)) {
		grown := make([]byte, n, min(m.limit, max(n, 2*uint64(cap(m.buf)))))
		for at := 0; at < len(m.buf); at += piece { // a copy cannot be interrupted
			copy(grown[at:], m.buf[at:min(at+piece, len(m.buf))])
		}
		m.buf = grown
	}
	m.buf = m.buf[:n]
	return m.buf
}

// Free implements experimental.LinearMemory. The collector frees the memory
// with the instance.
func (m *linearMemory) Free() {}
