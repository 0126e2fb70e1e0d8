package point

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/internal/nearest"
)

// aliases are the further names of points, {l} standing for each layer. An
// alias is that of the first of the points, a list, that the model has. Where
// nothing of it is left out, value and shape are those of the point.
var aliases = []struct{ alias, points string }{
	// get_act_name of TransformerLens, and what it takes for the same.
	{"q{l} query{l}", "blocks.{l}.attn.hook_q"},
	{"k{l} key{l}", "blocks.{l}.attn.hook_k"},
	{"v{l} value{l}", "blocks.{l}.attn.hook_v"},
	{"z{l}", "blocks.{l}.attn.hook_z"},
	{"result{l}", "blocks.{l}.attn.hook_result"},
	{"pattern{l} attn{l}", "blocks.{l}.attn.hook_pattern"},
	{"attn_scores{l} attn_logits{l}", "blocks.{l}.attn.hook_attn_scores"},
	{"pre{l} mlp_pre{l}", "blocks.{l}.mlp.hook_pre"},
	{"post{l} mlp_post{l}", "blocks.{l}.mlp.hook_post"},
	{"resid_pre{l}", "blocks.{l}.hook_resid_pre"},
	{"resid_mid{l}", "blocks.{l}.hook_resid_mid"},
	{"resid_post{l}", "blocks.{l}.hook_resid_post"},
	{"normalized_resid_post{l}", "blocks.{l}.hook_normalized_resid_post"},
	{"attn_in{l}", "blocks.{l}.hook_attn_in"},
	{"q_input{l}", "blocks.{l}.hook_q_input"},
	{"k_input{l}", "blocks.{l}.hook_k_input"},
	{"v_input{l}", "blocks.{l}.hook_v_input"},
	{"mlp_in{l}", "blocks.{l}.hook_mlp_in"},
	{"attn_out{l}", "blocks.{l}.hook_attn_out"},
	{"mlp_out{l}", "blocks.{l}.hook_mlp_out"},
	{"scale{l}ln1", "blocks.{l}.ln1.hook_scale"},
	{"scale{l}ln2", "blocks.{l}.ln2.hook_scale"},
	{"normalized{l}ln1", "blocks.{l}.ln1.hook_normalized"},
	{"normalized{l}ln2", "blocks.{l}.ln2.hook_normalized"},
	{"scale", "ln_final.hook_scale"},
	{"normalized", "ln_final.hook_normalized"},
	{"embed", "hook_embed"},
	{"pos_embed", "hook_pos_embed"},
	{"token_type_embed", "hook_token_type_embed"},
	{"full_embed", "hook_full_embed"},

	// TransformerBridge.
	{"blocks.{l}.hook_in", "blocks.{l}.hook_resid_pre"},
	{"blocks.{l}.hook_out", "blocks.{l}.hook_normalized_resid_post blocks.{l}.hook_resid_post"},
	{"blocks.{l}.attn.hook_out", "blocks.{l}.hook_attn_out"},
	{"blocks.{l}.attn.q.hook_out", "blocks.{l}.attn.hook_q"},
	{"blocks.{l}.attn.k.hook_out", "blocks.{l}.attn.hook_k"},
	{"blocks.{l}.attn.v.hook_out", "blocks.{l}.attn.hook_v"},
	{"blocks.{l}.mlp.hook_out", "blocks.{l}.hook_mlp_out"},
	{"embed.hook_out", "hook_embed"},
	{"unembed.hook_out", "hook_logits"},

	// The outputs of Hugging Face Transformers, those of [names.outputs] aside.
	{"logits", "hook_logits hook_cls_logits hook_token_logits nsp_head.hook_nsp_out"},
	{"start_logits", "hook_span_logits[...,0]"},
	{"end_logits", "hook_span_logits[...,1]"},
	{"pooler_output", "pooler.hook_pooler_out"},
}

// names is all that the points of a model are called.
type names struct {
	graph  *arch.Graph
	info   arch.Info
	known  map[string]meaning
	listed []string            // in the order in which they are to be suggested
	tuples map[string][]string // the elements of what is called as a whole, in order
}

// meaning is what a name stands for.
type meaning struct {
	point *arch.Point
	slice string // with brackets; empty for all of the point
}

func newNames(g *arch.Graph, info arch.Info) *names {
	n := &names{graph: g, info: info, known: map[string]meaning{}, tuples: map[string][]string{}}
	for i := range g.Points {
		p := &g.Points[i]
		n.known[p.Name] = meaning{point: p}
		n.listed = append(n.listed, p.Name)
	}
	for _, row := range aliases {
		for l := range info.Layers {
			in := func(s string) []string {
				return strings.Fields(strings.ReplaceAll(s, "{l}", strconv.Itoa(l)))
			}
			for _, alias := range in(row.alias) {
				n.add(alias, in(row.points)...)
			}
			if !strings.Contains(row.alias, "{l}") {
				break
			}
		}
	}
	n.outputs()
	return n
}

// add makes an alias known for the first of the points that exists.
func (n *names) add(alias string, points ...string) {
	for _, name := range points {
		name, slice, sliced := strings.Cut(name, "[")
		if sliced {
			slice = "[" + slice
		}
		m, ok := n.known[name]
		if _, taken := n.known[alias]; ok && !taken {
			n.known[alias] = meaning{m.point, slice}
			n.listed = append(n.listed, alias)
			return
		}
	}
}

// outputs adds the tuples that models of Hugging Face Transformers return.
func (n *names) outputs() {
	streams := []string{""}
	if n.queries() {
		streams = append(streams, "g.")
	}
	// One state enters the first layer and one leaves each: normed, the last one
	// of models with norms before the branches too. Two streams take turns.
	var states, patterns []string
	for l := range n.info.Layers + 1 {
		for _, g := range streams {
			state := fmt.Sprintf("blocks.%d.%shook_resid_pre", l, g)
			switch {
			case l == 0 && g == "":
				state = "hook_full_embed"
			case l > 0 && n.graph.Norm == arch.NormPost:
				state = fmt.Sprintf("blocks.%d.%shook_normalized_resid_post", l-1, g)
			case l == n.info.Layers:
				state = "ln_final.hook_out"
			}
			states = append(states, state)
		}
	}
	n.tuple("hidden_states", "", states)
	n.add("last_hidden_state", states[len(states)-1])
	for l := range n.info.Layers {
		patterns = append(patterns, fmt.Sprintf("blocks.%d.attn.hook_pattern", l))
	}
	if !n.queries() {
		n.tuple("attentions", "", patterns)
	} else {
		n.tuple("attentions", ".0", patterns)
		for l := range patterns { // of the query stream: all rows, not those of the targets alone
			patterns[l] = fmt.Sprintf("blocks.%d.g.attn.hook_pattern_all", l)
		}
		n.tuple("attentions", ".1", patterns)
	}
	var lookups []string
	for v, node := range n.graph.Nodes {
		if _, ok := node.Op.(arch.Words); ok {
			raw := func(p arch.Point) bool { return p.Node == arch.Value(v) && p.Stage == arch.Out }
			if i := slices.IndexFunc(n.graph.Points, raw); i >= 0 {
				lookups = append(lookups, n.graph.Points[i].Name)
			}
		}
	}
	n.tuple("embeddings", "", lookups)
}

// tuple makes the elements of a tuple known, from the first and from the last,
// and its name as that of all of them.
func (n *names) tuple(name, suffix string, points []string) {
	for i, point := range points {
		element := fmt.Sprintf("%s[%d]%s", name, i, suffix)
		if n.add(element, point); n.known[element].point != nil {
			n.tuples[name] = append(n.tuples[name], element)
		}
	}
	for i, point := range points {
		if m, ok := n.known[point]; ok {
			n.known[fmt.Sprintf("%s[%d]%s", name, i-len(points), suffix)] = m
		}
	}
}

// queries tells whether the graph has a query stream.
func (n *names) queries() bool { return n.known["blocks.0.g.hook_resid_pre"].point != nil }

// forms are the parts of names that exist where the input holds something.
var forms = []struct {
	part, input string
	can         func(arch.Info) bool
}{
	{".g.", "target_mapping", func(i arch.Info) bool { return i.Targets }},
	{".hook_mems", "mems", func(i arch.Info) bool { return i.Memories }},
	{".hook_scores_segment", "token_type_ids", func(i arch.Info) bool { return i.Types > 0 }},
}

// unknown is the error for a name, without its slice, that no point has.
func (n *names) unknown(name, slice string) error {
	e := &UnknownError{Name: name + slice, Reason: n.why(name)}
	if e.Reason != "" {
		return e
	}
	rest := slices.Clone(n.listed)
	for len(e.Near) < 3 {
		near, ok := nearest.Of(name, rest)
		if !ok {
			break
		}
		e.Near = append(e.Near, near)
		rest = slices.DeleteFunc(rest, func(s string) bool { return s == near })
	}
	return e
}

// why says why a name does not exist, where that is more than that nobody gave
// it.
func (n *names) why(name string) string {
	tuple, _, _ := strings.Cut(name, "[")
	count := 0
	for n.known[fmt.Sprintf("%s[%d]", tuple, count)].point != nil {
		count++
	}
	if count > 0 {
		return fmt.Sprintf("ask for one of %[1]s[0] to %[1]s[%[2]d]", tuple, count-1)
	}
	if n.known[tuple+"[0].0"].point != nil {
		return fmt.Sprintf("there are two streams, and %[1]s[0].0 is of the content stream, %[1]s[0].1 of the query stream, up to layer %[2]d", tuple, n.info.Layers-1)
	}
	for _, f := range forms {
		if strings.Contains(name, f.part) && f.can(n.info) && !slices.ContainsFunc(n.listed, func(s string) bool { return strings.Contains(s, f.part) }) {
			return "it is there only where the input has " + f.input
		}
	}
	rest, ok := strings.CutPrefix(name, "blocks.")
	layer, _, _ := strings.Cut(rest, ".")
	if l, err := strconv.Atoi(layer); ok && err == nil && (l < 0 || l >= n.info.Layers) {
		return fmt.Sprintf("its blocks are 0 to %d", n.info.Layers-1)
	}
	return ""
}
