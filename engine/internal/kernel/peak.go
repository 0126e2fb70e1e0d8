package kernel

import (
	"sync"
	"time"
)

// Peak measures how many float32 operations a second, in GFLOP/s, the machine
// can do on threads threads: a loop of independent fused multiply-adds (two
// operations a lane) on the widest vectors of the selected family, which reads
// no memory. It is what the rates of products are shares of. The measurement
// takes about a fifth of a second. The generic family has no such loop: there
// the result is 0.
func Peak(threads int) float64 {
	f := active.Load()
	if f.peak == nil {
		return 0
	}
	const (
		rounds   = 1 << 16
		attempts = 5
		duration = 40 * time.Millisecond
	)
	best := 0.0
	for range attempts {
		var group sync.WaitGroup
		operations := make([]float64, threads)
		start := time.Now()
		for i := range operations {
			group.Go(func() {
				for time.Since(start) < duration {
					operations[i] += f.peak(rounds)
				}
			})
		}
		group.Wait()
		elapsed := time.Since(start).Seconds()
		sum := 0.0
		for _, n := range operations {
			sum += n
		}
		best = max(best, sum/elapsed/1e9)
	}
	return best
}
