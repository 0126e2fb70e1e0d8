package engine

import (
	"fmt"
	"slices"
	"weak"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/internal/tape"
	"github.com/xai-go/xai/engine/point"
)

// Past is what tokens leave behind for those that follow in a causal model:
// their keys and values, layer by layer. The zero value is that of no token; a
// forward fills it that has it in [Input.Keep], and only forwards of the same
// [Model] continue it. It must not be read and grown at the same time.
type Past struct {
	kept  tape.Past
	owner weak.Pointer[Model] // that kept it to the end
}

// Length returns the number of tokens.
func (p *Past) Length() int { return p.kept.Length }

// Bytes returns the size of the keys and values. They count towards the budget
// of [WithMemory] only while the forward runs that keeps them.
func (p *Past) Bytes() int64 { return p.kept.Bytes() }

// Fork returns a copy that can be continued by itself. It shares the keys and
// values until one of the two grows.
func (p *Past) Fork() *Past { return &Past{kept: *p.kept.Fork(), owner: p.owner} }

// own says whose some pasts are. While a forward changes them they are nobody's.
func own(pasts []*Past, owner weak.Pointer[Model]) {
	for _, p := range pasts {
		if p != nil {
			p.owner = owner
		}
	}
}

// rowsOf returns the keys and values of some pasts.
func rowsOf(pasts []*Past) []*tape.Past {
	if pasts == nil {
		return nil
	}
	rows := make([]*tape.Past, len(pasts))
	for i, p := range pasts {
		if p != nil {
			rows[i] = &p.kept
		}
	}
	return rows
}

// checkPast refuses a Past that the model cannot take up, and a Keep that does
// not come to its end, that two sequences would write, or one while another
// reads it.
func (m *Model) checkPast(in Input, r *request, graph *arch.Graph) error {
	if in.Past == nil && in.Keep == nil {
		return nil
	}
	field := "Past"
	if in.Past == nil {
		field = "Keep"
	}
	if !causal(graph) || len(r.Request.Gradients) > 0 {
		return inputError(field, "is for causal models without relative positions, and not for gradients")
	}
	if slices.Contains(in.Mask, 0) {
		return inputError("Mask", "hides tokens, which a Past would show to those that follow: leave them out instead")
	}
	for _, e := range r.Request.Edits {
		if e.Op == point.Mean && in.Past != nil {
			return &point.MismatchError{Name: e.Name, Reason: "has no mean over all positions beside a Past, which keeps none of its values: run the whole sequence"}
		}
	}
	kept := make(map[*Past]int)
	for i, to := range in.Keep {
		if to == nil {
			continue
		}
		if !r.Logits {
			return inputError("Keep", "asks for the keys and values of layers that WithoutLogits leaves out: leave that option out, and read no position in place of it")
		}
		if j, twice := kept[to]; twice {
			return &InputError{"Keep", i, -1, fmt.Sprintf("is to be kept where sequence %d is: give each a Past of its own", j)}
		}
		kept[to] = i
	}
	for i, past := range in.Past {
		if past == nil {
			continue
		}
		if j, writes := kept[past]; writes && j != i {
			return &InputError{"Past", i, -1, fmt.Sprintf("continues what sequence %d grows: keep that one elsewhere", j)}
		}
		if past.Bytes() > 0 && past.owner != weak.Make(m) {
			return &InputError{"Past", i, -1, "continues what this model has not kept, or not to the end: begin with an empty Past"}
		}
	}
	return nil
}

// keptBytes returns the size of the keys and values that a forward keeps: those
// of its tokens and, where they are kept in another Past than they continue, a
// copy of those before them.
func keptBytes(info Info, graph *arch.Graph, b tape.Batch) int64 {
	rows, width := 0, 0
	for i, to := range b.Keep {
		if to == nil {
			continue
		}
		lo, hi := b.Range(i)
		rows += hi - lo
		if b.Past != nil && b.Past[i] != nil && b.Past[i] != to {
			rows += b.Past[i].Length
		}
	}
	for _, n := range graph.Nodes {
		if op, ok := n.Op.(arch.Attention); ok {
			width += graph.Nodes[op.Key].Width + graph.Nodes[op.Value].Width
		}
	}
	return int64(rows) * int64(width) * info.DType.Size()
}
