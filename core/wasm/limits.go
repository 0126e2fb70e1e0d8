package wasm

import (
	"strconv"
	"time"

	"github.com/tetratelabs/wazero/experimental"
	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk/abi"
)

// Limits bound one explanation. A field that is not positive stands for
// DefaultLimits'.
type Limits struct {
	MemoryBytes int64         // the module's linear memory, in whole pages of 64 KiB
	Timeout     time.Duration // from the start of Explain to its end, forwards included
	OutputBytes int64         // names, meta and elements of all results
	LogBytes    int64         // log lines, standard output and standard error together
	HandleBytes int64         // of what the module has handles to: elements of tensors, and 8 bytes a row of replies
	Forwards    int64         // rows of all forwards, duplicates included
}

// DefaultLimits are the limits of a method that declares none.
var DefaultLimits = Limits{
	MemoryBytes: 64 << 20,
	Timeout:     60 * time.Second,
	OutputBytes: 16 << 20,
	LogBytes:    64 << 10,
	HandleBytes: 256 << 20,
	Forwards:    1_000_000,
}

const (
	page       = 64 << 10
	maxMemory  = 4 << 30
	maxHandles = abi.MaxHandles
)

func (l Limits) withDefaults() Limits {
	pick := func(v *int64, def int64) {
		if *v <= 0 {
			*v = def
		}
	}
	pick(&l.MemoryBytes, DefaultLimits.MemoryBytes)
	pick(&l.OutputBytes, DefaultLimits.OutputBytes)
	pick(&l.LogBytes, DefaultLimits.LogBytes)
	pick(&l.HandleBytes, DefaultLimits.HandleBytes)
	pick(&l.Forwards, DefaultLimits.Forwards)
	if l.Timeout <= 0 {
		l.Timeout = DefaultLimits.Timeout
	}
	l.MemoryBytes = max(page, min(l.MemoryBytes, maxMemory)/page*page)
	return l
}

// Describe returns the words for the confinement that a run under l has.
func Describe(l Limits) string {
	l = l.withDefaults()
	return "wasm: " + size(l.MemoryBytes) + " of memory, " + contract.Seconds(l.Timeout) + ", no files, network, clock or environment"
}

// The limits that a LimitError names.
const (
	LimitMemory   = "memory"
	LimitTimeout  = contract.LimitTimeout
	LimitOutput   = "output"
	LimitHandles  = "handles"
	LimitForwards = "forwards"
)

// LimitError is the error of a method that ran into one of its Limits; its Limit
// is LimitMemory, LimitTimeout, LimitOutput, LimitHandles or LimitForwards.
type LimitError = contract.LimitError

func memoryError(l Limits) *LimitError {
	return &LimitError{Limit: LimitMemory, Message: "needs more than its " + size(l.MemoryBytes) + " of memory"}
}

func outputError(l Limits) *LimitError {
	return &LimitError{Limit: LimitOutput, Message: "returned more than its " + size(l.OutputBytes) + " of results, or more than " + strconv.Itoa(abi.MaxResults) + " of them"}
}

func handlesError(l Limits) *LimitError {
	return &LimitError{Limit: LimitHandles, Message: "holds more than its " + size(l.HandleBytes) + " of tensors and replies, or more than " + strconv.Itoa(maxHandles) + " of them"}
}

func forwardsError(l Limits) *LimitError {
	return &LimitError{Limit: LimitForwards, Message: "asks for more than its " + strconv.FormatInt(l.Forwards, 10) + " rows of forwards"}
}

// size returns n in the largest binary unit that keeps it whole.
func size(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB"}
	i := 0
	for i < len(units)-1 && n != 0 && n%1024 == 0 {
		n /= 1024
		i++
	}
	return strconv.FormatInt(n, 10) + " " + units[i]
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
		copy(grown, m.buf)
		m.buf = grown
	}
	m.buf = m.buf[:n]
	return m.buf
}

// Free implements experimental.LinearMemory. The collector frees the memory
// with the instance.
func (m *linearMemory) Free() {}
