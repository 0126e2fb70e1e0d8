package regex

import (
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// search is the scratch space of the matcher for one text.
type search struct {
	program *program
	b       []byte // the text
	states  []state
	// failed has a bit for every fork at every byte of the text, and at its end:
	// whether going on from there has been tried. All that was tried has failed,
	// but for what the last match went through.
	failed bits
	viewed bits // failed for look-around, from one place
	// runs are the last stretches of the text that the spans without limit went
	// through, so that none is gone through again from every byte in it.
	runs   []text.Range
	looked int // the number of runes that were looked at
}

// state is a step to take at a byte of the text.
type state struct{ step, at int32 }

// bits is a set of numbers.
type bits []uint64

func (b *bits) reset(n int) {
	n = (n + 63) / 64
	if cap(*b) < n {
		*b = make(bits, n)
		return
	}
	*b = (*b)[:n]
	clear(*b)
}

// add adds n, and says whether it was new.
func (b bits) add(n int) bool {
	word, bit := &b[n/64], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

func (b bits) remove(n int) { b[n/64] &^= 1 << (n % 64) }

func (s *search) reset(p *program, b []byte) {
	s.program, s.b = p, b
	s.failed.reset(p.forks * (len(b) + 1))
	s.runs = append(s.runs[:0], make([]text.Range, p.runs)...)
	s.looked = 0
}

// find returns the leftmost match that begins at the byte at or after it.
func (s *search) find(at int) (text.Range, bool) {
	p := s.program
	for start := at; start <= len(s.b); start += runeLength(s.b, start) {
		if p.wants && (start == len(s.b) || !p.first[s.b[start]]) {
			continue
		}
		if end, ok := s.run(p, start, s.failed, 0); ok {
			// What led to the end has not failed, and the next search may come
			// to it again; it does not come to what lies before.
			for fork := range p.forks {
				s.failed.remove(end*p.forks + fork)
			}
			return text.Range{Start: start, End: end}, true
		}
	}
	return text.Range{}, false
}

// run returns where a match ends that begins at a byte. The first one of tried
// is that for the byte from.
func (s *search) run(p *program, at int, tried bits, from int) (end int, ok bool) {
	bottom := len(s.states)
	defer func() { s.states = s.states[:bottom] }()
	s.states = append(s.states, state{int32(p.start), int32(at)})
	for len(s.states) > bottom {
		now := s.states[len(s.states)-1]
		s.states = s.states[:len(s.states)-1]
		at := int(now.at)
	steps:
		for i := int(now.step); ; {
			step := &p.steps[i]
			switch step.op {
			case match:
				return at, true
			case take:
				size := s.takes(step.set, at)
				if size == 0 {
					break steps
				}
				at += size
			case span:
				end, n := s.spans(step, at)
				if n < step.min {
					break steps
				}
				at = end
			case fork:
				if !tried.add((at-from)*p.forks + step.fork) {
					break steps
				}
				s.states = append(s.states, state{int32(step.other), int32(at)})
			case stand:
				if !s.stands(step.place, at) {
					break steps
				}
			case look:
				if s.looks(step, at) == step.negative {
					break steps
				}
			}
			i = step.next
		}
	}
	return 0, false
}

// spans returns where the runes of a span end that begin at a byte, and how many
// they are; beyond the least number, those that are known to be there count as
// one.
func (s *search) spans(step *step, at int) (end, n int) {
	var none text.Range
	run := &none
	if step.max < 0 {
		run = &s.runs[step.run]
	}
	for end = at; n != step.max; n++ {
		if n >= step.min && run.Start <= end && end < run.End {
			end, at = run.End, min(at, run.Start)
			continue
		}
		size := s.takes(step.set, end)
		if size == 0 {
			break
		}
		end += size
	}
	*run = text.Range{Start: at, End: end}
	return end, n
}

// takes returns the length of the rune at a byte, if it is in the set, or 0.
func (s *search) takes(set *set, at int) int {
	if at == len(s.b) {
		return 0
	}
	s.looked++
	r, size := rune(s.b[at]), 1
	if r >= utf8.RuneSelf {
		r, size = utf8.DecodeRune(s.b[at:])
	}
	if !set.has(r) {
		return 0
	}
	return size
}

// looks says whether look-around at a byte finds what it looks for.
func (s *search) looks(step *step, at int) bool {
	for i := range step.views {
		v := &step.views[i]
		start := at
		if step.behind {
			runes := 0
			for ; runes < v.runes && start > 0; runes++ {
				_, size := utf8.DecodeLastRune(s.b[:start])
				start -= size
			}
			if runes < v.runes {
				continue
			}
		}
		s.viewed.reset(v.program.forks * (maxLook*utf8.UTFMax + 1))
		if _, ok := s.run(&v.program, start, s.viewed, start); ok {
			return true
		}
	}
	return false
}

// stands says whether a byte is at a place of a kind.
func (s *search) stands(place kind, at int) bool {
	end := at == len(s.b)
	switch place {
	case textStart:
		return at == 0
	case textEnd:
		return end
	case lastLineEnd:
		return end || at == len(s.b)-1 && s.b[at] == '\n'
	case lineStart:
		return at == 0 || s.b[at-1] == '\n' && !end
	case lineEnd:
		return end || s.b[at] == '\n'
	}
	before, _ := utf8.DecodeLastRune(s.b[:at])
	after, _ := utf8.DecodeRune(s.b[at:])
	edge := (at > 0 && wordSet.has(before)) != (!end && wordSet.has(after))
	return edge == (place == boundary)
}

// wordSet is \w.
var wordSet = func() *set {
	s := &set{tables: word}
	s.compile()
	return s
}()

// runeLength returns the length of the rune at a byte, and 1 at the end.
func runeLength(b []byte, at int) int {
	if at == len(b) {
		return 1
	}
	_, size := utf8.DecodeRune(b[at:])
	return size
}
