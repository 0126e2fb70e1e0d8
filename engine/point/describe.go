package point

import (
	"reflect"
	"strings"

	"github.com/xai-go/xai/engine/arch"
)

// Description is what callers may want to know of a point before a model runs.
type Description struct {
	Name  string   `json:"name"`
	Shape string   `json:"shape"` // [B,T,H=12,E=64]
	Axes  []string `json:"axes"`  // letters, as [arch.Axis] has them
	Sizes []int    `json:"sizes"` // one for each axis; 0 where the input decides
	DType string   `json:"dtype"` // int32, float32 or float64
	Layer *int     `json:"layer"` // nil outside of the blocks
	// Operation is what computes the node that the point belongs to: linear,
	// norm, attention …
	Operation      string   `json:"operation"`
	Differentiable bool     `json:"differentiable"`
	Editable       bool     `json:"editable"`
	Virtual        bool     `json:"virtual"` // computed only where it is asked for
	Aliases        []string `json:"aliases"` // names of all of the point
}

// Describe describes all points of a graph in the order of execution.
func Describe(g *arch.Graph, info arch.Info) []Description {
	n := newNames(g, info)
	aliases := map[string][]string{}
	for _, name := range n.listed[len(g.Points):] {
		if m := n.known[name]; m.slice == "" {
			aliases[m.point.Name] = append(aliases[m.point.Name], name)
		}
	}
	var all []Description
	for _, p := range g.Points {
		d := Description{
			Name: p.Name, Shape: whole(p.Name, p).shape(), DType: "float32",
			Operation:      strings.ToLower(reflect.TypeOf(g.Nodes[p.Node].Op).Name()),
			Differentiable: p.Differentiable, Editable: p.Editable, Virtual: p.Virtual,
			Aliases: append([]string{}, aliases[p.Name]...),
		}
		for _, a := range p.Axes {
			d.Axes, d.Sizes = append(d.Axes, a.Letter), append(d.Sizes, a.Size)
		}
		if p.Layer >= 0 {
			d.Layer = &p.Layer
		}
		switch {
		case p.Stage == arch.IDs:
			d.DType = "int32"
		case info.DType == arch.F64:
			d.DType = "float64"
		}
		all = append(all, d)
	}
	return all
}
