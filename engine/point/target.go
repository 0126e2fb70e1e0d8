package point

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
)

// Term is a multiple of one logit.
type Term struct {
	// Sequence is that of the batch, and Row one of the sequence's rows of
	// logits: a token, a predicted position, or 0 for a classifier of
	// sequences. Negative ones count from the end.
	Sequence, Row int
	Class         int // the column of the logit
	Weight        float64
}

// In returns the term with Sequence and Row counted from the start of a batch,
// whose sequences have so many rows of logits, and false where there is none.
func (t Term) In(rows []int) (Term, bool) {
	within := func(i *int, n int) bool {
		if *i < 0 {
			*i += n
		}
		return *i >= 0 && *i < n
	}
	ok := within(&t.Sequence, len(rows)) && within(&t.Row, rows[t.Sequence])
	return t, ok
}

var weight = regexp.MustCompile(`^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\*`)

// ParseTarget reads a sum of single logits,
//
//	logits[0,5,17] - 0.5*logits[0,-1,3] + start_logits[1,2]
//
// whose names are those that the model's logits have, with an index for each of
// their axes. Errors are those of [Resolve].
func ParseTarget(g *arch.Graph, info arch.Info, text string) ([]Term, error) {
	n := newNames(g, info)
	var terms []Term
	for at := 0; at < len(text) || terms == nil; {
		factor := 1.0
		for ; at < len(text) && strings.IndexByte(" \t\n+-", text[at]) >= 0; at++ {
			if text[at] == '-' {
				factor = -factor
			}
		}
		if m := weight.FindStringSubmatch(text[at:]); m != nil {
			x, err := strconv.ParseFloat(m[1]+m[2], 64)
			if err != nil {
				return nil, &SyntaxError{text, at, "the factor is too large"}
			}
			factor *= x
			at += len(m[0])
		}
		end, err := outside(text, at, "+-")
		if err != nil {
			return nil, err
		}
		if end < 0 {
			end = len(text)
		}
		spec := strings.TrimSpace(text[at:end])
		if spec == "" {
			return nil, &SyntaxError{text, at, "a term is missing; a target is a sum of logits like 2*logits[0,1]"}
		}
		selections, err := n.resolve(spec)
		if err != nil {
			return nil, err
		}
		for _, s := range selections {
			term, err := single(g, s)
			if err != nil {
				return nil, err
			}
			term.Weight = factor
			terms = append(terms, term)
		}
		at = end
	}
	return terms, nil
}

// single returns the logit that a selection is.
func single(g *arch.Graph, s Selection) (t Term, err error) {
	logits := g.Logits
	if read, ok := g.Nodes[logits].Op.(arch.Select); ok { // rows of the point
		logits = read.X
	}
	if s.Point.Node != logits || s.Point.Stage != arch.Out {
		return t, mismatch(s.Name, "is no logit of the model")
	}
	if len(s.Kept()) > 0 {
		return t, mismatch(s.Name, "is not one logit: give an index for each axis of %s", s.shape())
	}
	for axis, a := range s.Point.Axes {
		switch i := s.Ranges[axis].Lo; {
		case a.Letter == "B":
			t.Sequence = i
		case a.Size == 0:
			t.Row = i
		default:
			t.Class = i
		}
	}
	return t, nil
}
