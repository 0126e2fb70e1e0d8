// Package nearest finds the name that somebody meant when they typed another.
package nearest

import "strings"

// maxLen bounds the names that are compared; nobody mistypes longer ones, and
// the distance costs the product of the lengths.
const maxLen = 64

// Of returns the candidate that is nearest to name, and false where none is
// near enough to be worth suggesting. Near is an edit distance of at most a
// third of the name, letter case aside; failing that, a candidate that
// contains the name, the shortest first: "rollout" finds "attention-rollout".
// The first of equally near candidates wins.
func Of(name string, candidates []string) (string, bool) {
	want := []rune(strings.ToLower(name))
	if len(want) == 0 || len(want) > maxLen {
		return "", false
	}
	best, bestDistance := "", (len(want)+2)/3+1
	for _, c := range candidates {
		have := []rune(strings.ToLower(c))
		if len(have) > maxLen {
			continue
		}
		// A distance of the whole name would suggest anything for "x".
		if d := distance(want, have); d < bestDistance && d < max(len(want), len(have)) {
			best, bestDistance = c, d
		}
	}
	if best != "" {
		return best, true
	}
	if len(want) < 3 {
		return "", false
	}
	for _, c := range candidates {
		if strings.Contains(strings.ToLower(c), string(want)) && (best == "" || len(c) < len(best)) {
			best = c
		}
	}
	return best, best != ""
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and transpositions of neighbours each cost one.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
