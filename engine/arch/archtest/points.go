package archtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/arch"
)

// contract is what each name means, without blocks.N. and g.: its axes, and
// whether it is differentiable, editable and virtual. The query stream has P
// for T; with memories the keys of a block are S.
var contract = map[string]string{
	"hook_tokens":              "B T",
	"hook_embed":               "B T De: differentiable editable",
	"hook_token_type_embed":    "B T De: differentiable editable",
	"hook_pos_embed":           "B T De: differentiable editable",
	"embed.ln.hook_scale":      "B T 1: differentiable editable virtual",
	"embed.ln.hook_normalized": "B T De: differentiable editable virtual",
	"hook_full_embed":          "B T D: differentiable editable",

	"hook_resid_pre":             "B T D: differentiable editable",
	"hook_attn_in":               "B T D: differentiable editable virtual",
	"hook_mems":                  "B M D: differentiable",
	"hook_q_input":               "B T H D: differentiable editable virtual",
	"hook_k_input":               "B T K D: differentiable editable virtual",
	"hook_v_input":               "B T K D: differentiable editable virtual",
	"ln1.hook_scale":             "B T 1: differentiable editable virtual",
	"ln1.hook_normalized":        "B T D: differentiable editable virtual",
	"ln1.hook_out":               "B T D: differentiable editable",
	"attn.hook_q":                "B T H E: differentiable editable",
	"attn.hook_k":                "B S K E: differentiable editable",
	"attn.hook_v":                "B S K E: differentiable editable",
	"attn.hook_r":                "R H E: differentiable editable",
	"attn.hook_scores_content":   "B H T S: differentiable virtual",
	"attn.hook_scores_position":  "B H T S: differentiable virtual",
	"attn.hook_scores_segment":   "B H T S: differentiable virtual",
	"attn.hook_attn_scores":      "B H T S: differentiable editable virtual",
	"attn.hook_pattern":          "B H T S: differentiable editable virtual",
	"attn.hook_z":                "B T H E: differentiable editable",
	"attn.hook_result":           "B T H D: differentiable editable virtual",
	"hook_attn_out":              "B T D: differentiable editable",
	"hook_resid_mid":             "B T D: differentiable editable",
	"hook_mlp_in":                "B T D: differentiable editable virtual",
	"ln2.hook_scale":             "B T 1: differentiable editable virtual",
	"ln2.hook_normalized":        "B T D: differentiable editable virtual",
	"ln2.hook_out":               "B T D: differentiable editable",
	"mlp.hook_pre":               "B T F: differentiable editable",
	"mlp.hook_post":              "B T F: differentiable editable",
	"hook_mlp_out":               "B T D: differentiable editable",
	"hook_resid_post":            "B T D: differentiable editable",
	"hook_normalized_resid_post": "B T D: differentiable editable",

	"ln_final.hook_scale":      "B T 1: differentiable editable virtual",
	"ln_final.hook_normalized": "B T D: differentiable editable virtual",
	"ln_final.hook_out":        "B T D: differentiable editable",
	"mlm_head.hook_pre":        "B T De: differentiable editable",
	"mlm_head.hook_post":       "B T De: differentiable editable",
	"unembed.hook_in":          "B T D: differentiable editable",
	"hook_logits":              "B T V: differentiable editable",
	"pooler.hook_pooler_out":   "B D: differentiable editable",
	"nsp_head.hook_nsp_out":    "B 2: differentiable editable",
	"classifier.hook_pre":      "B D: differentiable editable",
	"classifier.hook_post":     "B D: differentiable editable",
	"hook_cls_logits":          "B C: differentiable editable",
	"hook_token_logits":        "B T C: differentiable editable",
	"hook_span_logits":         "B T 2: differentiable editable",
}

// describe returns what the contract says of a point, for a form and sizes.
func describe(info arch.Info, form arch.Form, name string) string {
	block, stream := false, false
	if rest, ok := strings.CutPrefix(name, "blocks."); ok {
		_, name, _ = strings.Cut(rest, ".")
		block = true
		name, stream = strings.CutPrefix(name, "g.")
	}
	if stream && name == "attn.hook_pattern_all" { // the tokens that are no targets too
		return contract["attn.hook_pattern"]
	}
	text := contract[name]
	if form.Targets && (stream || !block && strings.Contains("unembed.hook_in hook_logits", name)) {
		text = strings.Replace(text, "T", "P", 1)
	}
	if form.Memory && (name == "hook_k_input" || name == "hook_v_input") {
		text = strings.Replace(text, "T", "S", 1)
	}
	if info.Embedding == info.Hidden {
		text = strings.Replace(text, "De", "D", 1)
	}
	return text
}

// EncoderBlock and DecoderBlock are the points of a block that
// [arch.Builder.Encoder] and [arch.Builder.Decoder] add.
var (
	EncoderBlock = List("blocks.*.", `
		hook_resid_pre hook_attn_in hook_q_input hook_k_input hook_v_input
		attn.hook_q attn.hook_k attn.hook_v attn.hook_attn_scores attn.hook_pattern attn.hook_z attn.hook_result
		hook_attn_out hook_resid_mid ln1.hook_scale ln1.hook_normalized ln1.hook_out
		hook_mlp_in mlp.hook_pre mlp.hook_post hook_mlp_out
		hook_resid_post ln2.hook_scale ln2.hook_normalized ln2.hook_out hook_normalized_resid_post`)
	DecoderBlock = List("blocks.*.", `
		hook_resid_pre hook_attn_in hook_q_input hook_k_input hook_v_input ln1.hook_scale ln1.hook_normalized ln1.hook_out
		attn.hook_q attn.hook_k attn.hook_v attn.hook_attn_scores attn.hook_pattern attn.hook_z attn.hook_result
		hook_attn_out hook_resid_mid hook_mlp_in ln2.hook_scale ln2.hook_normalized ln2.hook_out
		mlp.hook_pre mlp.hook_post hook_mlp_out hook_resid_post`)
)

// Points tests that a graph has the wanted points in that order. Those of a
// block are wanted as blocks.*.NAME, for all layers.
func Points(t *testing.T, a *arch.Architecture, form arch.Form, want ...string) {
	t.Helper()
	g := a.Graph(form)
	Check(t, a, form, g)
	var got []string
	for _, p := range g.Points {
		got = append(got, p.Name)
	}
	if diff := cmp.Diff(unroll(want, a.Info.Layers), got); diff != "" {
		t.Errorf("%s %+v: points (-want +got):\n%s", a.Info.Architecture, form, diff)
	}
}

// unroll repeats each run of names that begin with blocks.* for all layers.
func unroll(names []string, layers int) (all []string) {
	inBlock := func(name string) bool { return strings.HasPrefix(name, "blocks.*.") }
	for i := 0; i < len(names); {
		end := i
		for end < len(names) && inBlock(names[end]) {
			end++
		}
		for l := range layers {
			for _, name := range names[i:end] {
				all = append(all, strings.Replace(name, "*", strconv.Itoa(l), 1))
			}
		}
		if i = end; i < len(names) {
			all = append(all, names[i])
			i++
		}
	}
	return all
}

// List returns the names in a text, each with a prefix.
func List(prefix, names string) []string {
	list := strings.Fields(names)
	for i := range list {
		list[i] = prefix + list[i]
	}
	return list
}

// Check tests that a graph of an architecture is sound: operations read earlier
// values of the right widths, the logits are read, and points are those of the
// contract with axes that multiply to what they hold.
func Check(t testing.TB, a *arch.Architecture, form arch.Form, g *arch.Graph) {
	t.Helper()
	for i, n := range g.Nodes {
		for _, x := range n.Op.Inputs() {
			if x < 0 || int(x) >= i {
				t.Fatalf("node %d, %T, reads node %d", i, n.Op, x)
			}
		}
		if err := fits(g, n); err != "" {
			t.Errorf("node %d: %s", i, err)
		}
	}
	logits := g.Nodes[g.Logits]
	if want := a.Info.Outputs; logits.Width != want || logits.Rows != arch.Reads && logits.Rows != arch.Targets {
		t.Errorf("the logits have %d columns over rows %d, want %d over Reads or Targets", logits.Width, logits.Rows, want)
	}
	seen := map[string]bool{}
	for _, p := range g.Points {
		if seen[p.Name] {
			t.Errorf("%s is declared twice", p.Name)
		}
		seen[p.Name] = true
		if got, want := text(p), describe(a.Info, form, p.Name); got != want {
			t.Errorf("%s is %q, the contract says %q", p.Name, got, want)
		}
		layer := -1
		fmt.Sscanf(p.Name, "blocks.%d.", &layer)
		if p.Layer != layer {
			t.Errorf("%s has layer %d", p.Name, p.Layer)
		}
		if got, want := columns(p), held(g, p); got != want {
			t.Errorf("%s has axes for %d numbers a row, its node holds %d", p.Name, got, want)
		}
	}
}

// text writes a point as the contract does.
func text(p arch.Point) string {
	var letters, uses []string
	for _, axis := range p.Axes {
		letters = append(letters, axis.Letter)
	}
	for use, is := range map[string]bool{"differentiable": p.Differentiable, "editable": p.Editable, "virtual": p.Virtual} {
		if is {
			uses = append(uses, use)
		}
	}
	if uses == nil {
		return strings.Join(letters, " ")
	}
	slices.Sort(uses)
	return strings.Join(letters, " ") + ": " + strings.Join(uses, " ")
}

// columns multiplies the sizes of the axes that are no rows.
func columns(p arch.Point) int {
	n := 1
	for _, axis := range p.Axes {
		if !strings.Contains("B T S P R M", axis.Letter) {
			n *= axis.Size
		} else if axis.Size != 0 {
			return -1
		}
	}
	return n
}

// held returns how many numbers a row of a point has by its node.
func held(g *arch.Graph, p arch.Point) int {
	n := g.Nodes[p.Node]
	switch p.Stage {
	case arch.IDs, arch.Divisor:
		return 1
	case arch.Scores, arch.Pattern, arch.Content, arch.Position, arch.Segment:
		return n.Op.(arch.Attention).Heads
	case arch.Result:
		z := g.Nodes[n.Op.(arch.Linear).X]
		for z.Op.Inputs() != nil { // a target's row is selected in between
			if attention, ok := z.Op.(arch.Attention); ok {
				return n.Width * attention.Heads
			}
			z = g.Nodes[z.Op.Inputs()[0]]
		}
		return -1
	}
	if edge, ok := n.Op.(arch.Edge); ok {
		return n.Width * max(1, edge.Heads)
	}
	return n.Width
}

// fits returns what is wrong with the widths or rows of a node.
func fits(g *arch.Graph, n arch.Node) string {
	in := func(v arch.Value) arch.Node { return g.Nodes[v] }
	wrong := func(format string, args ...any) string {
		return fmt.Sprintf("%T in block %d: ", n.Op, n.Block) + fmt.Sprintf(format, args...)
	}
	switch op := n.Op.(type) {
	case arch.Words:
		if n.Rows != arch.Tokens || op.Table.Shape[1] != n.Width {
			return wrong("%v", op.Table.Shape)
		}
	case arch.Linear:
		out, width := op.W.Dims()
		if out != n.Width || width != in(op.X).Width || in(op.X).Rows != n.Rows {
			return wrong("%s is [%d, %d] between %d and %d", op.W.Name, out, width, in(op.X).Width, n.Width)
		}
		if bias := op.Bias; bias.Given() {
			if width, _ := bias.Dims(); width != out {
				return wrong("the bias %s has %d values, want %d", bias.Name, width, out)
			}
		}
	case arch.Norm:
		if !slices.Equal(op.Gamma.Shape, []int{n.Width}) || op.Beta.Given() && !slices.Equal(op.Beta.Shape, op.Gamma.Shape) {
			return wrong("%s is %v for %d columns", op.Gamma.Name, op.Gamma.Shape, n.Width)
		}
	case arch.Add:
		if in(op.A).Width != n.Width || in(op.B).Width != n.Width || in(op.A).Rows != in(op.B).Rows {
			return wrong("widths %d and %d", in(op.A).Width, in(op.B).Width)
		}
	case arch.Concat:
		if in(op.Memory).Rows != arch.Memory || in(op.Tokens).Rows != arch.Tokens || in(op.Memory).Width != in(op.Tokens).Width {
			return wrong("rows %d and %d", in(op.Memory).Rows, in(op.Tokens).Rows)
		}
	case arch.Spread:
		if in(op.X).Rows != arch.Targets {
			return wrong("rows %d", in(op.X).Rows)
		}
	case arch.Select:
		if in(op.X).Rows != arch.Tokens {
			return wrong("rows %d", in(op.X).Rows)
		}
	case arch.Attention:
		q, k, v := in(op.Query), in(op.Key), in(op.Value)
		if q.Rows != arch.Tokens || k.Rows != v.Rows || k.Rows != arch.Tokens && k.Rows != arch.Context {
			return wrong("rows %d, %d and %d", q.Rows, k.Rows, v.Rows)
		}
		if op.Heads%op.KeyHeads != 0 || q.Width%op.Heads != 0 || q.Width/op.Heads*op.KeyHeads != k.Width {
			return wrong("%d and %d heads on %d and %d columns", op.Heads, op.KeyHeads, q.Width, k.Width)
		}
		if r := op.Relative; r != nil && (in(r.R).Rows != arch.Relative || in(r.R).Width != q.Width) {
			return wrong("relative rows %d of %d columns", in(r.R).Rows, in(r.R).Width)
		}
		if !(op.Factor > 0) {
			return wrong("factor %v", op.Factor)
		}
	}
	return ""
}

// Describes holds an architecture to what its Info says, to the rule by which it
// reads tokens, to where its norms stand, and to its points in the plain form.
func Describes(t *testing.T, a *arch.Architecture, want arch.Info, read arch.Reader, norm arch.Placement, points ...string) {
	t.Helper()
	if diff := cmp.Diff(want, a.Info); diff != "" {
		t.Errorf("%s (-want +got):\n%s", want.Architecture, diff)
	}
	if g := a.Graph(arch.Form{}); g.Read.From != read || g.Norm != norm {
		t.Errorf("%s reads by rule %d, norms are placed %d", want.Architecture, g.Read.From, g.Norm)
	}
	Points(t, a, arch.Form{}, points...)
}
