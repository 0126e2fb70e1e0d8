package main

import (
	"context"
	"slices"
	"time"

	"github.com/xai-go/xai/bench/ort"
)

// contender is a side that can take turns.
type contender struct {
	name       string
	operations float64 // of one run
	run        func(ctx context.Context, runs int) ([]ort.Run, error)
}

// pace says how turns are taken.
type pace struct {
	rounds int
	turn   time.Duration // runs of one turn together, at least
}

// settle is the pause before a turn, in which the threads of the side before
// it, which wait for work in a loop for a while, fall asleep.
const settle = 50 * time.Millisecond

// take takes one turn: a run that does not count, which wakes a side's threads
// and fills the caches with its weights, and then runs for as long as the pace
// says. A run so long that its beginning is nothing of it counts itself.
func (p pace) take(ctx context.Context, c contender) ([]ort.Run, error) {
	first, err := c.run(ctx, 1)
	if err != nil || first[0].Wall > 10*p.turn {
		return first, err
	}
	return c.run(ctx, min(max(int(p.turn/max(first[0].Wall, 1)), 1), 1000))
}

// measure has the sides take turns, each of which counts with its median. Every
// other round goes backwards, so that a drift of the machine favours nobody.
func (p pace) measure(ctx context.Context, contenders []contender) ([]Side, error) {
	sides := make([]Side, len(contenders))
	spent := make([][]float64, len(contenders)) // processor time, a turn
	for round := range p.rounds {
		for i := range contenders {
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			time.Sleep(settle)
			times, err := p.take(ctx, contenders[i])
			if err != nil {
				return nil, err
			}
			s := &sides[i]
			s.Name = contenders[i].name
			var wall, processor []float64
			for _, t := range times {
				wall = append(wall, t.Wall.Seconds()*1e3)
				processor = append(processor, t.Processor.Seconds()*1e3)
			}
			s.Turns = append(s.Turns, median(wall))
			spent[i] = append(spent[i], median(processor))
			if fastest := slices.Min(wall); round == 0 || fastest < s.Fastest {
				s.Fastest = fastest
			}
		}
	}
	for i := range sides {
		sides[i].Median = median(sides[i].Turns)
		sides[i].Processor = median(spent[i])
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
	r := Ratio{
		Of: of.Name, To: to.Name, Median: to.Median / of.Median, Fastest: to.Fastest / of.Fastest,
		Low: quantile(rounds, 0.25), High: quantile(rounds, 0.75),
	}
	if of.Processor > 0 {
		r.Processor = to.Processor / of.Processor
	}
	return r
}

func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile interpolates between the order statistics of v: 0 is the smallest,
// 1 the largest.
func quantile(v []float64, q float64) float64 {
	v = slices.Sorted(slices.Values(v))
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 == len(v) {
		return v[i]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}
