package tape

import (
	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/point"
)

// Rule says how an objective is passed back through a network.
type Rule uint8

// The rules.
const (
	// Gradient is the chain rule: vector-Jacobian products.
	Gradient Rule = iota
	// LRPAlpha1 is layer-wise relevance propagation with α = 1 and β = 0, as it
	// is for transformers in Chefer, Gur and Wolf, "Transformer Interpretability
	// Beyond Attention Visualization", CVPR 2021 (arXiv:2012.09838). What comes
	// back at a value is its relevance R, which begins with the gradient of the
	// objective at the logits.
	LRPAlpha1
)

// rules is the number of rules.
const rules = 2

// String returns the name of the rule.
func (r Rule) String() string {
	switch r {
	case Gradient:
		return "gradient"
	case LRPAlpha1:
		return "lrp-alpha1"
	}
	return "unknown"
}

// Check returns nil where the rule can be followed back to a point of a graph,
// and a [*point.MismatchError] that says why it cannot otherwise.
func (r Rule) Check(graph *arch.Graph, s point.Selection) error {
	if r == Gradient {
		return nil
	}
	refuse := func(reason string) error {
		return &point.MismatchError{Name: s.Name, Reason: "has no relevance by " + r.String() + ": " + reason}
	}
	if r >= rules {
		return refuse("there is no such rule")
	}
	undefined := ""
	for _, n := range graph.Nodes {
		switch op := n.Op.(type) {
		case arch.Words, arch.Embed, arch.Select, arch.Add, arch.Scale, arch.Norm, arch.Linear, arch.Activate, arch.Edge:
		case arch.Attention:
			if op.Relative != nil {
				return refuse("the rule is not defined for relative positions, which the attention of this model has")
			}
		default:
			undefined = "the rule is not defined for this architecture"
		}
	}
	if undefined != "" {
		return refuse(undefined)
	}
	edge, ok := graph.Nodes[s.Point.Node].Op.(arch.Edge)
	switch {
	case s.Point.Stage != arch.Out && s.Point.Stage != arch.Scores && s.Point.Stage != arch.Pattern:
		return refuse("it is a part of a value, and relevance is of whole values, of attn_scores and of pattern")
	case ok && edge.Heads > 0:
		return refuse("it is what single heads read, and relevance is of what all of them do")
	}
	return nil
}
