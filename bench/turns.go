package main

import (
	"context"
	"slices"
	"time"
)

// contender is a side that can take turns.
type contender struct {
	name       string
	operations float64 // of one run
	run        func(ctx context.Context, runs int) ([]time.Duration, error)
}

// pace says how turns are taken.
type pace struct {
	rounds int
	turn   time.Duration // runs of one turn together, at least
}

// settle is the pause before a turn, in which the threads of the side before
// it, which wait for work in a loop for a while, fall asleep.
const settle = 50 * time.Millisecond

// measure has the sides take turns. A turn is one run that does not count,
// which wakes a side's threads and fills the caches with its weights, and then
// runs for as long as the pace says; it counts with its median. Every other
// round goes backwards, so that a drift of the machine favours nobody.
func (p pace) measure(ctx context.Context, contenders []contender) ([]Side, error) {
	sides := make([]Side, len(contenders))
	for round := range p.rounds {
		for i := range contenders {
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			time.Sleep(settle)
			first, err := contenders[i].run(ctx, 1)
			if err != nil {
				return nil, err
			}
			runs := min(max(int(p.turn/max(first[0], 1)), 1), 1000)
			times, err := contenders[i].run(ctx, runs)
			if err != nil {
				return nil, err
			}
			s := &sides[i]
			s.Name = contenders[i].name
			var ms []float64
			for _, t := range times {
				ms = append(ms, t.Seconds()*1e3)
			}
			s.Turns = append(s.Turns, median(ms))
			if fastest := slices.Min(ms); round == 0 || fastest < s.Fastest {
				s.Fastest = fastest
			}
		}
	}
	for i := range sides {
		sides[i].Median = median(sides[i].Turns)
		sides[i].GFLOPS = contenders[i].operations / sides[i].Median / 1e6
	}
	return sides, nil
}

// ratio compares the turns of two sides.
func ratio(of, to Side) Ratio {
	var rounds []float64
	for i := range of.Turns {
		rounds = append(rounds, to.Turns[i]/of.Turns[i])
	}
	return Ratio{Of: of.Name, To: to.Name, Median: to.Median / of.Median, Low: slices.Min(rounds), High: slices.Max(rounds)}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
