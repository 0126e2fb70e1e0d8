package tokenizer

import "strings"

// decoder says how tokens make up a text.
type decoder struct {
	prefix  string // marks a token that continues a word
	join    bool   // whether such a token joins the one before it
	cleanup bool   // whether Decode takes out spaces before punctuation
}

// Decode returns the text that the ids stand for, as the model reads it: words
// normalized and one space between them. With skipSpecial, special tokens are
// left out. Unless the files say otherwise, the spaces before punctuation and
// inside English contractions go too; Join keeps them. Ids that stand for no
// token are left out, or read as unknown tokens where vocab.txt rules.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.Join(ids, skipSpecial)
	if !t.decoder.cleanup {
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
	var b strings.Builder
	first, fresh := true, true // nothing written yet; nothing for a prefix to join
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
		if special && skipSpecial {
			continue
		}
		// To a slow tokenizer, an added token that is not special stands apart.
		apart := t.python && isAdded && !special
		if rest, continues := strings.CutPrefix(token, t.decoder.prefix); t.decoder.join && continues && !fresh && !apart {
			b.WriteString(rest)
		} else {
			if !first {
				b.WriteByte(' ')
			}
			b.WriteString(token)
		}
		first, fresh = false, apart
	}
	return b.String()
}
