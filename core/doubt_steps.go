package core

import (
	"fmt"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// doubtOrder has the codes in the order in which an explanation lists its doubts.
var doubtOrder = []DoubtCode{
	DoubtInsensitive, DoubtZero, DoubtEqual, DoubtOneUnit, DoubtFlat, DoubtLeaning, DoubtSaturated, DoubtGap, DoubtTogether, DoubtFidelity,
	DoubtNoise, DoubtOrder, DoubtStopped, DoubtUnsplit, DoubtSamples, DoubtAttention, DoubtSpecial, DoubtCancelled, DoubtRounding, DoubtCut,
	DoubtVariants, DoubtUnknown,
}

// doubtful are the steps of a continuation that one thing speaks against.
type doubtful struct {
	first int    // step
	text  string // what is said of the first
	steps int    // how many there are
}

// withSteps adds to the doubts of a whole continuation what the same rules say of its
// steps: each thing once, of however many steps it is true.
func withSteps(x *Explanation, whole []Doubt) []Doubt {
	steps := stepsOf(x)
	if len(steps) == 1 { // which is the whole
		return whole
	}
	found := make(map[DoubtCode]*doubtful)
	for i, step := range steps {
		if step == nil {
			continue
		}
		j := judge(step)
		j.scores()
		for _, d := range j.doubts {
			switch {
			case d.Code == DoubtOneUnit || d.Code == DoubtAttention: // which is said of the whole
			case found[d.Code] == nil:
				found[d.Code] = &doubtful{i, d.Text, 1}
			default:
				found[d.Code].steps++
			}
		}
	}
	for i, d := range whole {
		if f := found[d.Code]; f != nil {
			whole[i].Text += " The same is true of " + f.which(len(steps)) + "."
			delete(found, d.Code)
		}
	}
	for code, f := range found {
		of := f.which(len(steps))
		if f.steps > 1 {
			of += ", as in step " + strconv.Itoa(f.first)
		}
		const longest = 40 // runes of a token
		if token := []rune(x.Target.Steps[f.first].Text); len(token) <= longest {
			of += " (" + strconv.Quote(string(token)) + ")"
		}
		whole = append(whole, Doubt{code, "In " + of + ", " + uncapital(f.text)})
	}
	slices.SortStableFunc(whole, func(a, b Doubt) int {
		return slices.Index(doubtOrder, a.Code) - slices.Index(doubtOrder, b.Code)
	})
	return whole
}

// which says of how many steps something is true, or of which one.
func (f *doubtful) which(all int) string {
	switch {
	case f.steps == 1:
		return "step " + strconv.Itoa(f.first)
	case f.steps == all:
		return fmt.Sprintf("all %d steps", all)
	}
	return fmt.Sprintf("%d of %d steps", f.steps, all)
}

// stepsOf returns an explanation for each step that was explained, which has the
// step's scores, diagnostics, value and baseline as if it stood alone; nil where a step
// was not.
func stepsOf(x *Explanation) []*Explanation {
	steps := make([]*Explanation, len(x.Target.Steps))
	for _, a := range x.Attributions {
		i, rest, ok := stepOf(a.Name)
		if !ok || rest != "" || i < 0 || i >= len(steps) {
			continue
		}
		one := *x
		a.Name = x.Attributions[0].Name
		one.Attributions, one.Diagnostics, one.Sanity = []Attribution{a}, make(Diagnostics), nil
		one.Target.Value, one.Target.Baseline, one.Target.Steps = x.Target.Steps[i].Value, x.Target.Steps[i].Baseline, nil
		steps[i] = &one
	}
	for name, v := range x.Diagnostics {
		i, short, ok := stepOf(name)
		if ok && short != "" && i >= 0 && i < len(steps) && steps[i] != nil {
			steps[i].Diagnostics[short] = v
		}
	}
	return steps
}

// uncapital returns a sentence as it stands inside of another.
func uncapital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(first)) + s[size:]
}
