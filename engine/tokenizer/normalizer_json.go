package tokenizer

import (
	"fmt"

	"github.com/xai-go/xai/engine/tokenizer/internal/text"
)

// normalizerReader reads normalizers and keeps count of what they may do.
type normalizerReader struct {
	settings *settings
	count    int
	growth   growth
}

func (r *normalizerReader) read(o object, depth int) (text.Normalizer, error) {
	var kind string
	if err := o.need("type", &kind); err != nil {
		return nil, err
	}
	if r.count++; r.count > maxComponents {
		return nil, o.unsupported(fmt.Sprintf("more than %d normalizers", maxComponents))
	}
	switch kind {
	case "NFC":
		return text.NFC{}, r.growth.by(o, canonicalGrowth)
	case "NFD":
		return text.NFD{}, r.growth.by(o, canonicalGrowth)
	case "NFKC":
		return text.NFKC{}, r.growth.by(o, compatibilityGrowth)
	case "NFKD":
		return text.NFKD{}, r.growth.by(o, compatibilityGrowth)
	case "Lowercase":
		return text.Lowercase{}, r.growth.by(o, lowerGrowth)
	case "StripAccents":
		return text.StripAccents{}, nil
	case "BertNormalizer":
		return r.readBertNormalizer(o)
	case "Strip":
		var n text.Strip
		err := o.needAll(field{"strip_left", &n.Left}, field{"strip_right", &n.Right})
		return n, err
	case "Replace":
		return r.readReplace(o)
	case "Nmt":
		return text.Nmt{}, nil
	case "Precompiled":
		return r.readPrecompiled(o)
	case "Prepend":
		return r.readPrepend(o)
	case "Sequence":
		parts, err := o.objects("normalizers")
		if err != nil {
			return nil, err
		}
		if depth == maxNesting {
			return nil, o.unsupported("deeper nesting")
		}
		sequence := make(text.Normalizers, len(parts))
		for i, part := range parts {
			if sequence[i], err = r.read(part, depth+1); err != nil {
				return nil, err
			}
		}
		return sequence, nil
	}
	return nil, o.unsupported(kind)
}

// readBertNormalizer reads BERT's normalizer. tokenizer_config.json has the
// last word on its flags, as it has in BertTokenizerFast.
func (r *normalizerReader) readBertNormalizer(o object) (text.Normalizer, error) {
	s := r.settings
	var n text.Bert
	var stripAccents *bool
	if err := o.needAll(
		field{"clean_text", &n.CleanText}, field{"handle_chinese_chars", &n.ChineseChars}, field{"lowercase", &n.Lowercase},
	); err != nil {
		return nil, err
	}
	if err := o.get("strip_accents", &stripAccents); err != nil {
		return nil, err
	}
	if s.class == bert {
		// The tokenizer whose vocab.txt lies beside drops them.
		n.CleanMore = s.slow
		if s.config.has("strip_accents") {
			stripAccents = nil
		}
		if err := s.config.getAll(
			field{"do_lower_case", &n.Lowercase}, field{"tokenize_chinese_chars", &n.ChineseChars},
			field{"strip_accents", &stripAccents},
		); err != nil {
			return nil, err
		}
	}
	n.StripAccents = n.Lowercase
	if stripAccents != nil {
		n.StripAccents = *stripAccents
	}
	factor := 1.0
	if n.ChineseChars {
		factor *= chineseGrowth
	}
	if n.StripAccents {
		factor *= canonicalGrowth
	}
	if n.Lowercase {
		factor *= lowerGrowth
	}
	return n, r.growth.by(o, factor)
}

func (r *normalizerReader) readReplace(o object) (text.Normalizer, error) {
	var n text.Replace
	if err := o.need("content", &n.Content); err != nil {
		return nil, err
	}
	var shortest int
	var err error
	if n.Pattern, shortest, err = readPattern(o); err != nil {
		return nil, err
	}
	// What matches nothing adds to every rune, and to the end.
	factor := float64(1 + 2*len(n.Content))
	if shortest > 0 {
		factor = float64(len(n.Content)) / float64(shortest)
	}
	return n, r.growth.by(o, factor)
}
