package point_test

import (
	"bytes"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xai-go/xai/engine/arch"
	"github.com/xai-go/xai/engine/arch/archtest"
	_ "github.com/xai-go/xai/engine/arch/bert"
	_ "github.com/xai-go/xai/engine/arch/distilbert"
	_ "github.com/xai-go/xai/engine/arch/gpt2"
	_ "github.com/xai-go/xai/engine/arch/roberta"
	_ "github.com/xai-go/xai/engine/arch/xlnet"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/internal/golden"
)

// model is the graph of a model of the golden cases.
type model struct {
	*arch.Graph
	arch.Info
}

func open(t testing.TB, name string, form arch.Form) model {
	t.Helper()
	text, err := fs.ReadFile(golden.ModelFS(t, name), checkpoint.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	a, err := archtest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return model{a.Graph(form), a.Info}
}

var twoStreams = arch.Form{Targets: true, Memory: true, Types: true}

func (m model) resolve(t testing.TB, spec string) []point.Selection {
	t.Helper()
	selections, err := point.ResolveList(m.Graph, m.Info, spec)
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return selections
}

// one resolves the specification of one point.
func (m model) one(t testing.TB, spec string) point.Selection {
	t.Helper()
	selections := m.resolve(t, spec)
	if len(selections) != 1 {
		t.Fatalf("%s: %d selections", spec, len(selections))
	}
	return selections[0]
}

// TestAliases holds what the names of other libraries stand for.
func TestAliases(t *testing.T) {
	for _, c := range []struct {
		model string
		form  arch.Form
		names string // alias=point
	}{
		{"bert-seqcls", arch.Form{}, `
			q2=blocks.2.attn.hook_q query0=blocks.0.attn.hook_q k1=blocks.1.attn.hook_k v0=blocks.0.attn.hook_v z0=blocks.0.attn.hook_z
			pattern1=blocks.1.attn.hook_pattern attn2=blocks.2.attn.hook_pattern attn_scores2=blocks.2.attn.hook_attn_scores
			pre1=blocks.1.mlp.hook_pre mlp_pre1=blocks.1.mlp.hook_pre post0=blocks.0.mlp.hook_post mlp_post0=blocks.0.mlp.hook_post
			resid_pre1=blocks.1.hook_resid_pre resid_mid1=blocks.1.hook_resid_mid resid_post1=blocks.1.hook_resid_post
			attn_out0=blocks.0.hook_attn_out mlp_out0=blocks.0.hook_mlp_out
			scale1ln1=blocks.1.ln1.hook_scale normalized2ln2=blocks.2.ln2.hook_normalized embed=hook_embed pos_embed=hook_pos_embed
			blocks.1.hook_in=blocks.1.hook_resid_pre blocks.1.hook_out=blocks.1.hook_normalized_resid_post
			blocks.0.attn.hook_out=blocks.0.hook_attn_out blocks.0.mlp.hook_out=blocks.0.hook_mlp_out
			blocks.0.attn.q.hook_out=blocks.0.attn.hook_q blocks.0.attn.v.hook_out=blocks.0.attn.hook_v embed.hook_out=hook_embed
			hidden_states[0]=hook_full_embed hidden_states[1]=blocks.0.hook_normalized_resid_post
			hidden_states[3]=blocks.2.hook_normalized_resid_post hidden_states[-1]=blocks.2.hook_normalized_resid_post
			hidden_states[-4]=hook_full_embed last_hidden_state=blocks.2.hook_normalized_resid_post
			attentions[0]=blocks.0.attn.hook_pattern attentions[-1]=blocks.2.attn.hook_pattern
			pooler_output=pooler.hook_pooler_out logits=hook_cls_logits embeddings[0]=hook_embed`},
		{"bert-tokcls", arch.Form{}, "logits=hook_token_logits"},
		{"distilbert-mlm", arch.Form{}, "logits=hook_logits unembed.hook_out=hook_logits hidden_states[3]=blocks.2.hook_normalized_resid_post"},
		{"roberta-seqcls", arch.Form{}, "logits=hook_cls_logits"},
		{"gpt2-lm", arch.Form{}, `
			scale=ln_final.hook_scale normalized=ln_final.hook_normalized blocks.1.hook_out=blocks.1.hook_resid_post
			hidden_states[0]=hook_full_embed hidden_states[1]=blocks.1.hook_resid_pre hidden_states[2]=blocks.2.hook_resid_pre
			hidden_states[3]=ln_final.hook_out hidden_states[-1]=ln_final.hook_out last_hidden_state=ln_final.hook_out logits=hook_logits`},
		{"xlnet-lm", arch.Form{}, "hidden_states[3]=blocks.2.hook_normalized_resid_post attentions[1]=blocks.1.attn.hook_pattern"},
		{"xlnet-lm", twoStreams, `
			hidden_states[0]=hook_full_embed hidden_states[1]=blocks.0.g.hook_resid_pre
			hidden_states[4]=blocks.1.hook_normalized_resid_post hidden_states[5]=blocks.1.g.hook_normalized_resid_post
			last_hidden_state=blocks.2.g.hook_normalized_resid_post
			attentions[1].0=blocks.1.attn.hook_pattern attentions[1].1=blocks.1.g.attn.hook_pattern_all attentions[-1].1=blocks.2.g.attn.hook_pattern_all`},
	} {
		m := open(t, c.model, c.form)
		for _, pair := range strings.Fields(c.names) {
			alias, name, _ := strings.Cut(pair, "=")
			if got := m.one(t, alias); got.Point.Name != name || got.Name != alias {
				t.Errorf("%s: %s is %s as %s, want %s", c.model, alias, got.Point.Name, got.Name, name)
			}
		}
	}
}

// TestNextSentence holds what the logits of a head are called that no golden
// model has.
func TestNextSentence(t *testing.T) {
	text, err := fs.ReadFile(golden.ModelFS(t, "bert-seqcls"), checkpoint.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	a, err := archtest.Parse(bytes.Replace(text, []byte("ForSequenceClassification"), []byte("ForNextSentencePrediction"), 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := (model{a.Graph(arch.Form{}), a.Info}).one(t, "logits"); got.Point.Name != "nsp_head.hook_nsp_out" {
		t.Errorf("logits is %s", got.Point.Name)
	}
}

// TestPatterns holds what globs, layer ranges and lists select, and their
// names.
func TestPatterns(t *testing.T) {
	bert, xlnet := open(t, "bert-qa", arch.Form{}), open(t, "xlnet-lm", twoStreams)
	for _, c := range []struct {
		model model
		spec  string
		want  string
	}{
		{bert, "blocks.*.attn.hook_pattern", "blocks.0.attn.hook_pattern blocks.1.attn.hook_pattern"},
		{bert, "*.hook_?", "blocks.0.attn.hook_q blocks.0.attn.hook_k blocks.0.attn.hook_v blocks.0.attn.hook_z blocks.1.attn.hook_q blocks.1.attn.hook_k blocks.1.attn.hook_v blocks.1.attn.hook_z"},
		{bert, "hook_*", "hook_embed hook_token_type_embed hook_pos_embed hook_full_embed hook_span_logits"},
		{bert, "*pattern[h=3,t=1:]", "blocks.0.attn.hook_pattern[h=3,t=1:] blocks.1.attn.hook_pattern[h=3,t=1:]"},
		{bert, "blocks.0-1.hook_resid_pre", "blocks.0.hook_resid_pre blocks.1.hook_resid_pre"},
		{bert, "blocks.0-1.hook_out[0]", "blocks.0.hook_out[0] blocks.1.hook_out[0]"},
		{bert, "blocks.1-1.ln?.hook_scale", "blocks.1.ln1.hook_scale blocks.1.ln2.hook_scale"},
		{bert, " embed , q0[0,1] ,attentions[1]", "embed q0[0,1] attentions[1]"},
		{bert, "*_embed,hook_embed,embed", "hook_embed hook_token_type_embed hook_pos_embed hook_full_embed embed"},
		{bert, "hook_tokens", "hook_tokens"},
		{bert, "attentions", "attentions[0] attentions[1]"},
		{bert, " attentions [h=3,t=1:]", "attentions[0][h=3,t=1:] attentions[1][h=3,t=1:]"},
		{bert, "hidden_states[t=0],hidden_states[2]", "hidden_states[0][t=0] hidden_states[1][t=0] hidden_states[2][t=0] hidden_states[2]"},
		{bert, "embeddings", "embeddings[0]"},
		{xlnet, "attentions", "attentions[0].0 attentions[1].0 attentions[2].0 attentions[0].1 attentions[1].1 attentions[2].1"},
		{xlnet, "blocks.1.*resid_pre", "blocks.1.hook_resid_pre blocks.1.g.hook_resid_pre"},
		{xlnet, "blocks.0.g.*q*", "blocks.0.g.hook_q_input blocks.0.g.attn.hook_q"},
	} {
		var got []string
		for _, s := range c.model.resolve(t, c.spec) {
			got = append(got, s.Name)
		}
		if diff := cmp.Diff(strings.Fields(c.want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.spec, diff)
		}
	}
}

// TestSlices holds what slices select, by place and by letter.
func TestSlices(t *testing.T) {
	bert, qa, xlnet := open(t, "bert-seqcls", arch.Form{}), open(t, "bert-qa", arch.Form{}), open(t, "xlnet-lm", twoStreams)
	all, end := point.All, point.End
	index := func(i int) point.Range { return point.Range{Lo: i, Hi: i + 1, Drop: true} }
	last := point.Range{Lo: -1, Hi: end, Drop: true}
	for _, c := range []struct {
		model model
		spec  string
		want  []point.Range
	}{
		{bert, "pattern0", []point.Range{all, all, all, all}}, // [B,H=4,T,S]
		{bert, "pattern0[b,h=3,t=5:9]", []point.Range{all, index(3), {Lo: 5, Hi: 9}, all}},
		{bert, "pattern0[0,3,5:9]", []point.Range{index(0), index(3), {Lo: 5, Hi: 9}, all}},
		{bert, "pattern0[ : , 3 , T = 5 : 9 ]", []point.Range{all, index(3), {Lo: 5, Hi: 9}, all}},
		{bert, "pattern0[:,-1,:-1,-1]", []point.Range{all, index(3), {Hi: -1}, last}},
		{bert, "pattern0[t=-3:,s=-2,h=1:]", []point.Range{all, {Lo: 1, Hi: 4}, {Lo: -3, Hi: end}, index(-2)}},
		{bert, "pattern0[h=-3:-1,t=2:-1]", []point.Range{all, {Lo: 1, Hi: 3}, {Lo: 2, Hi: -1}, all}},
		{bert, "pattern0[...,7]", []point.Range{all, all, all, index(7)}},
		{bert, "pattern0[0,...,3,:]", []point.Range{index(0), all, index(3), all}},
		{bert, "pattern0[...]", []point.Range{all, all, all, all}},
		{bert, "hidden_states[2][0,t=5,d=:10]", []point.Range{index(0), index(5), {Lo: 0, Hi: 10}}},
		{bert, "k0[h=1,S=2,e=11]", []point.Range{all, index(2), index(1), index(11)}}, // [B,S,K,E]
		{bert, "k0[k=1]", []point.Range{all, all, index(1), all}},
		{bert, "logits[b=1,c=2]", []point.Range{index(1), index(2)}},
		{bert, "post0[f=95]", []point.Range{all, all, index(95)}},
		{qa, "hook_span_logits[...,1]", []point.Range{all, all, index(1)}},
		{qa, "end_logits", []point.Range{all, all, index(1)}},
		{qa, "start_logits[0,-1]", []point.Range{index(0), last, index(0)}},
		{qa, "start_logits[...,3]", []point.Range{all, index(3), index(0)}},
		{xlnet, "blocks.0.g.attn.hook_pattern[t=1]", []point.Range{all, all, index(1), all}}, // [B,H,P,S]
		{xlnet, "logits[p=1,v=-1]", []point.Range{all, index(1), index(239)}},
		{xlnet, "blocks.0.attn.hook_r[r=3,h=0]", []point.Range{index(3), index(0), all}}, // [R,H,E]
		{xlnet, "blocks.0.hook_mems[m=0]", []point.Range{all, index(0), all}},
	} {
		if diff := cmp.Diff(c.want, c.model.one(t, c.spec).Ranges); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.spec, diff)
		}
	}
	if got := bert.one(t, "pattern0[0,t=5:9]").Kept(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("an index leaves the axes %v", got)
	}
}

// TestRefusals holds that errors have their type and say what to do.
func TestRefusals(t *testing.T) {
	syntax, unknown, mismatch := new(*point.SyntaxError), new(*point.UnknownError), new(*point.MismatchError)
	bert, xlnet := open(t, "bert-seqcls", arch.Form{}), open(t, "xlnet-lm", arch.Form{})
	for _, c := range []struct {
		model model
		spec  string
		as    any
		words string // that the message has
	}{
		{bert, "", syntax, "needs a name"},
		{bert, "embed,,q0", syntax, "needs a name"},
		{bert, "[3]", syntax, "needs a name"},
		{bert, "q0[1", syntax, "byte 2|not closed"},
		{bert, "q0]", syntax, "byte 2|not opened"},
		{bert, "q0[[1]]", syntax, "byte 3|inside another"},
		{bert, "q0[]", syntax, "needs an index"},
		{bert, "q0[1,,2]", syntax, "byte 5|needs an index"},
		{bert, "q0[::2]", syntax, "step"},
		{bert, "q0[...,...]", syntax, "once"},
		{bert, "q0[*]", syntax, "neither an index nor a range"},
		{bert, "q0[h=]", syntax, "neither"},
		{bert, "q0[99999999999]", syntax, "too large"},
		{bert, "q0[:-99999999999]", syntax, "too large"},
		{bert, "blocks.0.attn.hook_patern", unknown, "blocks.0.attn.hook_pattern or"},
		{bert, "blocks.3.hook_resid_pre", unknown, "0 to 2"},
		{bert, "blocks.-1.hook_resid_pre", unknown, "0 to 2"},
		{bert, "blocks.1-3.hook_resid_pre", unknown, "0 to 2"},
		{bert, "blocks.2-1.hook_resid_pre", unknown, "write 1-2"},
		{bert, "blocks.1-99999999999999999999.hook_resid_pre", unknown, "0 to 2"},
		{bert, "blocks.*.hook_resid", unknown, "no name matches"},
		{bert, "hidden_states[0:2]", unknown, "hidden_states[0] to hidden_states[3]"},
		{bert, "hidden_states[t=0][0]", unknown, "the model has no point hidden_states[t=0]"},
		{bert, "attentions[e=0]", mismatch, "attentions[0][e=0]"},
		{bert, "hidden_states[4]", unknown, "hidden_states[4]: ask for one of hidden_states[0] to hidden_states[3]"},
		{bert, "hidden_states[9][0]", unknown, "hidden_states[3]"},
		{bert, "attentions[0].1", unknown, "attentions[2]"},
		{bert, "embeddings[1]", unknown, "embeddings[0]"},
		{bert, "hook_logits", unknown, "hook_cls_logits"},
		{bert, "zzzzzzzzzz", unknown, "list its points"},
		{bert, "blocks.0.g.hook_resid_pre", unknown, "did you mean blocks.0.hook_resid_pre"},
		{xlnet, "blocks.0.g.hook_resid_pre", unknown, "target_mapping"},
		{xlnet, "blocks.0.hook_mems", unknown, "mems"},
		{xlnet, "blocks.0.attn.hook_scores_segment", unknown, "token_type_ids"},
		{open(t, "xlnet-lm", twoStreams), "attentions[0]", unknown, "attentions[0].0|attentions[0].1"},
		{bert, "pattern0[h=4]", mismatch, "pattern0[h=4]|H has 4"},
		{bert, "pattern0[h=-5]", mismatch, "H has 4"},
		{bert, "pattern0[h=2:5]", mismatch, "H has 4"},
		{bert, "pattern0[h=2:2]", mismatch, "empty"},
		{bert, "pattern0[h=3:1]", mismatch, "empty"},
		{bert, "pattern0[t=5:5]", mismatch, "empty"},
		{bert, "pattern0[t=-1:-3]", mismatch, "empty"},
		{bert, "pattern0[t=:0]", mismatch, "empty"},
		{bert, "pattern0[t=-3:0]", mismatch, "empty"},
		{bert, "pattern0[e=1]", mismatch, "[B,H=4,T,S]"},
		{bert, "pattern0[0,0,0,0,0]", mismatch, "[B,H=4,T,S]"},
		{bert, "pattern0[...,0,0,0,0,0]", mismatch, "[B,H=4,T,S]"},
		{bert, "pattern0[0,b=1]", mismatch, "B twice"},
		{bert, "*[h=1]", mismatch, "hook_embed[h=1]|[B,T,D=48]"},
	} {
		_, err := point.ResolveList(c.model.Graph, c.model.Info, c.spec)
		if !errors.As(err, c.as) {
			t.Errorf("%s: %T %v", c.spec, err, err)
			continue
		}
		for word := range strings.SplitSeq(c.words, "|") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q says nothing of %q", c.spec, err, word)
			}
		}
	}
}

// TestBounds is the law of slices: they are those of a list, as Python cuts it.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 8).Draw(t, "n")
		bound := rapid.OneOf(rapid.IntRange(-10, 10), rapid.Just(point.End))
		r := point.Range{Lo: rapid.IntRange(-10, 10).Draw(t, "lo"), Hi: bound.Draw(t, "hi")}
		lo, hi := r.Bounds(n)
		if lo < 0 || lo > hi || hi > n {
			t.Fatalf("%v of %d is [%d, %d)", r, n, lo, hi)
		}
		for i := range n {
			after := r.Lo >= 0 && i >= r.Lo || r.Lo < 0 && i-n >= r.Lo
			before := r.Hi >= 0 && i < r.Hi || r.Hi < 0 && i-n < r.Hi
			if in := i >= lo && i < hi; in != (after && before) {
				t.Errorf("%v of %d: %d is in: %v", r, n, i, in)
			}
		}
	})
}

// FuzzResolve holds that any text is refused or selects parts of points, and
// that what is selected bears a name that selects it again.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		"blocks.0-1.attn.hook_*[b,h=3,t=5:9]", "hidden_states[-1][...,2]", "attentions[0].1,start_logits[0]", "*", "q0[:,-1,:-1]", "scale1ln2[ 0 ]", "[", "a]", ",", "embed[\x00]",
	} {
		f.Add(seed)
	}
	models := []model{open(f, "bert-qa", arch.Form{}), open(f, "gpt2-lm", arch.Form{}), open(f, "xlnet-lm", twoStreams)}
	f.Fuzz(func(t *testing.T, spec string) {
		for _, m := range models {
			selections, err := point.ResolveList(m.Graph, m.Info, spec)
			if err != nil {
				typed(t, err)
				continue
			}
			for i, s := range selections {
				if i == 0 || i == len(selections)-1 { // the others would only take time
					again, err := point.Resolve(m.Graph, m.Info, s.Name)
					if err != nil || !reflect.DeepEqual([]point.Selection{s}, again) {
						t.Fatalf("%q gives %q, which gives %v, %v", spec, s.Name, again, err)
					}
				}
				for axis, a := range s.Point.Axes {
					if lo, hi := s.Ranges[axis].Bounds(a.Size); a.Size > 0 && lo >= hi {
						t.Fatalf("%q selects nothing of axis %s", spec, a.Letter)
					}
				}
			}
		}
	})
}

// typed tests that an error is one of the package's, and that its offset is in
// the text.
func typed(t *testing.T, err error) {
	t.Helper()
	var syntax *point.SyntaxError
	var unknown *point.UnknownError
	var mismatch *point.MismatchError
	switch {
	case errors.As(err, &syntax):
		if syntax.Offset < 0 || syntax.Offset > len(syntax.Spec) {
			t.Fatalf("%v: the offset lies outside", err)
		}
	case !errors.As(err, &unknown) && !errors.As(err, &mismatch):
		t.Fatalf("%T %v", err, err)
	}
}
