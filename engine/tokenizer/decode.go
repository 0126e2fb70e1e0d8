package tokenizer

import "strings"

// A decoder turns tokens into parts of a text, which stand side by side
// without spaces. Implementations are immutable.
type decoder interface {
	decode(tokens []string) []string
}

// spaceDecoder puts a space between any two tokens. It is what the tokenizers
// library does where a file names no decoder.
type spaceDecoder struct{}

func (spaceDecoder) decode(tokens []string) []string {
	return []string{strings.Join(tokens, " ")}
}

// wordPieceDecoder joins every token that begins with prefix to the one before
// it, and puts a space before the others.
type wordPieceDecoder struct{ prefix string }

func (d wordPieceDecoder) decode(tokens []string) []string {
	parts := make([]string, len(tokens))
	for i, token := range tokens {
		if rest, continues := strings.CutPrefix(token, d.prefix); i > 0 && continues {
			parts[i] = rest
		} else if i > 0 {
			parts[i] = " " + token
		} else {
			parts[i] = token
		}
	}
	return parts
}

// Decode returns the text that the ids stand for, as the model reads it: words
// normalized and, unless the tokens keep the spaces, one space between them.
// With skipSpecial, special tokens are left out. Unless the files say otherwise,
// the spaces before punctuation and inside English contractions go too; Join
// keeps them. Ids that stand for no token are left out, or read as unknown
// tokens by the rules of the slow tokenizers.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.Join(ids, skipSpecial)
	if !t.cleanup {
		return s
	}
	for _, artifact := range artifacts {
		s = strings.ReplaceAll(s, artifact[0], artifact[1])
	}
	return s
}

// artifacts are what Decode replaces, one after the other (transformers,
// PreTrainedTokenizerBase.clean_up_tokenization).
var artifacts = [][2]string{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
	{" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

// Join is Decode with all the spaces between words.
func (t *Tokenizer) Join(ids []int32, skipSpecial bool) string {
	var texts, tokens []string
	flush := func() {
		if s := strings.Join(t.decoder.decode(tokens), ""); s != "" {
			texts = append(texts, s)
		}
		tokens = tokens[:0]
	}
	for _, id := range ids {
		token, ok := t.Token(id)
		added, isAdded := t.added.byID[id]
		special := isAdded && t.added.tokens[added].special
		if !ok {
			if !t.python {
				continue
			}
			token, special = t.roles.unk, true
		}
		switch {
		case special && skipSpecial:
		case t.python && isAdded && (!special || t.added.tokens[added].apart):
			// To a slow tokenizer, an added token that is not special stands
			// apart, and so do special ones that extend the vocabulary.
			flush()
			texts = append(texts, token)
		default:
			tokens = append(tokens, token)
		}
	}
	flush()
	return strings.Join(texts, t.between)
}
