package arch

// Logits adds the linear layer whose outputs a model answers with, and
// declares them to be the point of that name; letter is that of their axis.
// Logits of every token are those of the tokens read in the end.
func (b *Builder) Logits(name string, x Value, p Projection, letter string) Value {
	rows, _ := b.letters(x)
	logits := b.Name(name, b.Project(x, p), rows+" "+letter)
	if b.rows(x) == Tokens {
		return b.Select(logits, Reads)
	}
	return logits
}

// Ends are the heads in which families differ. Each adds a head to the rows x
// and returns the logits.
type Ends struct {
	Language func(b *Builder, x Value) Value // of a language model: x is all tokens, or all targets
	Classify func(b *Builder, x Value) Value // of a sequence classifier: x is the token that Read picks
	Read     Read
}

// Answer adds the head for a task to x and returns the finished graph. Token
// classifiers and models that find spans have the same head in all families.
func (b *Builder) Answer(task string, x Value, norm Placement, ends Ends) *Graph {
	switch task {
	case TokenClassification:
		return b.Graph(b.TokenLogits(x), Read{From: Every}, norm)
	case QuestionAnswering:
		return b.Graph(b.SpanLogits(x), Read{From: Every}, norm)
	case SequenceClassification:
		return b.Graph(ends.Classify(b, b.Select(x, Reads)), ends.Read, norm)
	default:
		return b.Graph(ends.Language(b, x), Read{From: Every}, norm)
	}
}

// ClassLogits adds the last layer of a sequence classifier to the row that it
// reads. It declares hook_cls_logits.
func (b *Builder) ClassLogits(x Value, p Projection) Value {
	return b.Logits("hook_cls_logits", x, p, "C")
}

// TokenLogits adds the layer "classifier" of a token classifier. It declares
// hook_token_logits.
func (b *Builder) TokenLogits(x Value) Value {
	return b.Logits("hook_token_logits", x, Dense("classifier", b.sizes["C"], b.Width(x)), "C")
}

// SpanLogits adds the layer "qa_outputs" of a model that answers questions
// with a span: the logits of its start and of its end. It declares
// hook_span_logits.
func (b *Builder) SpanLogits(x Value) Value {
	return b.Logits("hook_span_logits", x, Dense("qa_outputs", 2, b.Width(x)), "2")
}

// Unembed adds the last layer of a language model. It declares unembed.hook_in
// and hook_logits.
func (b *Builder) Unembed(x Value, p Projection) Value {
	rows, width := b.letters(x)
	b.Name("unembed.hook_in", x, rows+" "+width)
	return b.Logits("hook_logits", x, p, "V")
}

// Tie returns the table of word embeddings and the matrix of the unembedding,
// called name. Tied, they are one tensor, which a checkpoint may hold under
// either name.
func Tie(words Weight, name string, tied bool) (table, unembedding Weight) {
	if tied {
		words.Or = []string{name}
		return words, words
	}
	return words, Weight{Name: name, Shape: words.Shape}
}

// MaskedLMHead is the head of BERT that predicts hidden words:
//
//	Unembedding·LN(act(Dense·x))
type MaskedLMHead struct {
	Dense       Projection
	Activation  string
	Key         string // of the configuration that names the activation
	Norm        Norm
	Unembedding Projection
}

// MaskedLM adds a [MaskedLMHead] to the rows x. It declares mlm_head.hook_pre, what
// enters the norm, mlm_head.hook_post, what leaves it, and those of
// [Builder.Unembed].
func (b *Builder) MaskedLM(x Value, h MaskedLMHead) Value {
	pre := b.Activate(b.Project(x, h.Dense), h.Activation, h.Key)
	rows, width := b.letters(pre)
	b.Name("mlm_head.hook_pre", pre, rows+" "+width)
	post := b.Name("mlm_head.hook_post", b.Normalize(pre, h.Norm, "", false), rows+" "+width)
	return b.Unembed(post, h.Unembedding)
}

// Classifier adds what stands between the layer x and the last one of a
// sequence classifier: the activation that the configuration names under key.
// It declares classifier.hook_pre and classifier.hook_post, before and after.
func (b *Builder) Classifier(x Value, activation, key string) Value {
	rows, width := b.letters(x)
	b.Name("classifier.hook_pre", x, rows+" "+width)
	return b.Name("classifier.hook_post", b.Activate(x, activation, key), rows+" "+width)
}
