package wasm

import (
	"math"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero/experimental"
	"github.com/xai-go/xai/sdk/abi"
)

// Limits bound one explanation. A field that is not positive stands for
// DefaultLimits', where no number of forwards is too large.
type Limits struct {
	MemoryBytes int64         // the module's linear memory, in whole pages of 64 KiB
	Timeout     time.Duration // from the start of Explain to its end, forwards included
	OutputBytes int64         // names, meta and elements of all results
	LogBytes    int64         // log lines, standard output and standard error together
	HandleBytes int64         // elements of all tensors that the module has handles to
	Forwards    int64         // rows of all forwards, duplicates included
}

// DefaultLimits are the limits of a method that declares none.
var DefaultLimits = Limits{
	MemoryBytes: 64 << 20,
	Timeout:     60 * time.Second,
	OutputBytes: 16 << 20,
	LogBytes:    64 << 10,
	HandleBytes: 256 << 20,
	Forwards:    math.MaxInt64,
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
	return "wasm: " + size(l.MemoryBytes) + " of memory, " + seconds(l.Timeout) + ", no files, network, clock or environment"
}

// The limits that a LimitError names.
const (
	LimitMemory   = "memory"
	LimitTimeout  = "timeout"
	LimitOutput   = "output"
	LimitHandles  = "handles"
	LimitForwards = "forwards"
)

// LimitError is the error of a method that ran into one of its Limits.
type LimitError struct {
	Limit   string // LimitMemory, LimitTimeout, LimitOutput, LimitHandles or LimitForwards
	message string
}

// Error says what the method did, for a sentence that begins with its name.
func (e *LimitError) Error() string { return e.message }

func timeoutError(l Limits) *LimitError {
	return &LimitError{LimitTimeout, "ran longer than its limit of " + seconds(l.Timeout)}
}

func memoryError(l Limits) *LimitError {
	return &LimitError{LimitMemory, "needs more than its " + size(l.MemoryBytes) + " of memory"}
}

func outputError(l Limits) *LimitError {
	return &LimitError{LimitOutput, "returned more than its " + size(l.OutputBytes) + " of results"}
}

func handlesError(l Limits) *LimitError {
	return &LimitError{LimitHandles, "holds more than its " + size(l.HandleBytes) + " of tensors, or more than " + strconv.Itoa(maxHandles) + " of them"}
}

func forwardsError(l Limits) *LimitError {
	return &LimitError{LimitForwards, "asks for more than its " + strconv.FormatInt(l.Forwards, 10) + " rows of forwards"}
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

// seconds returns d in seconds where it is a whole number of them.
func seconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return d.String()
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
