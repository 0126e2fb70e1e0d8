package kernel

import (
	"sync"
	"time"
)

// Peak measures how many float32 operations a second, in GFLOP/s, the machine
// can do on threads threads at once: a loop of independent fused multiply-adds
// (two operations a lane) on the widest vectors of the selected family, which
// reads no memory. It is what the rates of products are shares of.
//
// The measurement takes a fifth of a second. It is the sum of the best rates
// of the threads over a fraction of a millisecond each, so that other work on
// the machine does not lower it. The generic family has no such loop: there
// the result is 0.
func Peak(threads int) float64 {
	f := active.Load()
	if f.peak == nil {
		return 0
	}
	const (
		rounds   = 1 << 15
		duration = 200 * time.Millisecond
	)
	var group sync.WaitGroup
	best := make([]float64, max(threads, 0))
	start := time.Now()
	for i := range best {
		group.Go(func() {
			for time.Since(start) < duration {
				begin := time.Now()
				operations := f.peak(rounds)
				best[i] = max(best[i], operations/time.Since(begin).Seconds())
			}
		})
	}
	group.Wait()
	sum := 0.0
	for _, rate := range best {
		sum += rate
	}
	return sum / 1e9
}
