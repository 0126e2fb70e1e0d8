package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// preTokenizerReader reads pre-tokenizers and keeps count of what they may do.
type preTokenizerReader struct {
	settings *settings
	count    int
	growth   growth
}

func (r *preTokenizerReader) read(o object, depth int) (text.PreTokenizer, error) {
	var kind string
	if err := o.need("type", &kind); err != nil {
		return nil, err
	}
	if r.count++; r.count > maxComponents {
		return nil, o.unsupported(fmt.Sprintf("more than %d pre-tokenizers", maxComponents))
	}
	switch kind {
	case "BertPreTokenizer":
		return text.BertPreTokenizer{}, nil
	case "Whitespace":
		return text.Whitespace{}, nil
	case "WhitespaceSplit":
		return text.WhitespaceSplit{}, nil
	case "ByteLevel":
		// A byte of a word and a space before it become two bytes each.
		if err := r.growth.by(o, 4); err != nil {
			return nil, err
		}
		return readByteLevel(o, r.settings)
	case "Metaspace":
		m, err := readMetaspace(o)
		if err != nil {
			return nil, err
		}
		// A word of one byte may get the mark of a space before it.
		return m, r.growth.by(o, float64(1+utf8.RuneLen(m.Replacement)))
	case "UnicodeScripts":
		return text.UnicodeScripts{}, nil
	case "Split":
		return readSplit(o)
	case "CharDelimiterSplit":
		var delimiter string
		if err := o.need("delimiter", &delimiter); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(delimiter) != 1 {
			return nil, o.malformed("delimiter", "should be one character")
		}
		return text.Split{Pattern: text.Literal(delimiter), Behavior: text.Removed}, nil
	case "Digits":
		var each bool
		err := o.need("individual_digits", &each)
		return text.Digits(each), err
	case "Punctuation":
		behavior, err := readBehavior(o, "Isolated")
		return text.Punctuation{Behavior: behavior}, err
	case "Sequence":
		parts, err := o.objects("pretokenizers")
		if err != nil {
			return nil, err
		}
		if depth == maxNesting {
			return nil, o.unsupported("deeper nesting")
		}
		sequence := make(text.PreTokenizers, len(parts))
		for i, part := range parts {
			if sequence[i], err = r.read(part, depth+1); err != nil {
				return nil, err
			}
		}
		return sequence, nil
	}
	return nil, o.unsupported(kind)
}

// readBehavior reads what becomes of delimiters; usual is the name of what holds
// where the file does not say, or empty if it must.
func readBehavior(o object, usual string) (text.Behavior, error) {
	name, read := usual, o.get
	if usual == "" {
		read = o.need
	}
	if err := read("behavior", &name); err != nil {
		return 0, err
	}
	behavior := slices.Index(behaviors, name)
	if behavior < 0 {
		return 0, o.malformed("behavior", fmt.Sprintf("is %q, which is none of %q", name, behaviors))
	}
	return text.Behavior(behavior), nil
}

// behaviors are the names of the text.Behavior constants, in their order.
var behaviors = []string{"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}
