package hostcall

import (
	"cmp"
	"strconv"
	"time"

	"github.com/xai-go/xai/core/internal/contract"
	"github.com/xai-go/xai/sdk/abi"
)

// Limits bound one explanation, whatever the method runs in. A field that is not
// positive stands for that of [Defaults].
type Limits struct {
	MemoryBytes int64         // of the method: a module's linear memory, or a process's address space beyond its start
	Timeout     time.Duration // from the start of Explain to its end, forwards included
	Fuel        int64         // instructions of a module
	OutputBytes int64         // names, meta and elements of all results
	LogBytes    int64         // log lines, standard output and standard error together
	HandleBytes int64         // of what the method has handles to: elements of tensors, 8 bytes a row of replies, and what replies keep of points
	Forwards    int64         // rows of all forwards, duplicates included, and tokens that generations may add
}

// Defaults are the limits of a method that declares none.
func Defaults() Limits {
	return Limits{
		MemoryBytes: 64 << 20,
		Timeout:     60 * time.Second,
		Fuel:        1e12,
		OutputBytes: 16 << 20,
		LogBytes:    64 << 10,
		HandleBytes: 256 << 20,
		Forwards:    1_000_000,
	}
}

// WithDefaults returns l with defaults in the place of what is not set.
func (l Limits) WithDefaults() Limits {
	d := Defaults()
	pick := func(v *int64, def int64) { *v = cmp.Or(max(*v, 0), def) }
	pick(&l.MemoryBytes, d.MemoryBytes)
	pick(&l.Fuel, d.Fuel)
	pick(&l.OutputBytes, d.OutputBytes)
	pick(&l.LogBytes, d.LogBytes)
	pick(&l.HandleBytes, d.HandleBytes)
	pick(&l.Forwards, d.Forwards)
	l.Timeout = cmp.Or(max(l.Timeout, 0), d.Timeout)
	return l
}

// MemoryError is the error of a method that needs more memory than l allows.
func MemoryError(l Limits) *contract.LimitError {
	return &contract.LimitError{Limit: contract.LimitMemory, Message: "needs more than its " + contract.Size(l.MemoryBytes) + " of memory"}
}

// FuelError is the error of a method that used more fuel than l allows.
func FuelError(l Limits) *contract.LimitError {
	return &contract.LimitError{Limit: contract.LimitFuel, Message: "used more than its " + Count(l.Fuel) + " of fuel"}
}

func outputError(l Limits) *contract.LimitError {
	return &contract.LimitError{Limit: contract.LimitOutput, Message: "returned more than its " + contract.Size(l.OutputBytes) + " of results, or more than " + strconv.Itoa(abi.MaxResults) + " of them"}
}

func handlesError(l Limits) *contract.LimitError {
	return &contract.LimitError{Limit: contract.LimitHandles, Message: "holds more than its " + contract.Size(l.HandleBytes) + " of tensors and replies, or more than " + strconv.Itoa(abi.MaxHandles) + " of them"}
}

func forwardsError(l Limits) *contract.LimitError {
	return &contract.LimitError{Limit: contract.LimitForwards, Message: "asks for more than its " + strconv.FormatInt(l.Forwards, 10) + " rows of forwards"}
}

// Count returns n in the largest decimal unit that keeps it whole.
func Count(n int64) string {
	units := []string{"", "k", "M", "G", "T"}
	i := 0
	for i < len(units)-1 && n != 0 && n%1000 == 0 {
		n /= 1000
		i++
	}
	return strconv.FormatInt(n, 10) + units[i]
}
