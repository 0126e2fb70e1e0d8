package tokenizer

import (
	"fmt"
	"slices"
)

// readProcessors reads the post-processor, which may be a sequence of them. One
// alone may bring special tokens.
func (t *Tokenizer) readProcessors(file object) error {
	t.single, t.pair = bareSingle, barePair
	if file.null("post_processor") {
		return nil
	}
	o, err := file.object("post_processor")
	if err != nil {
		return err
	}
	var kind string
	if err := o.need("type", &kind); err != nil {
		return err
	}
	parts := []object{o}
	if kind == "Sequence" {
		if parts, err = o.objects("processors"); err != nil {
			return err
		}
	}
	templates := 0
	for _, part := range parts {
		isTemplate, err := t.readProcessor(part)
		if err != nil {
			return err
		}
		if isTemplate {
			templates++
		}
		if templates > 1 {
			return part.unsupported("special tokens around special tokens")
		}
	}
	return nil
}

// readProcessor reads one post-processor, and says whether it is one that adds
// special tokens.
func (t *Tokenizer) readProcessor(o object) (isTemplate bool, err error) {
	var kind string
	if err := o.need("type", &kind); err != nil {
		return false, err
	}
	switch kind {
	case "ByteLevel":
		return false, t.trim.read(o)
	case "BertProcessing", "RobertaProcessing":
		sepToken, sepID, err := readPair(o, "sep")
		if err != nil {
			return false, err
		}
		clsToken, clsID, err := readPair(o, "cls")
		if err != nil {
			return false, err
		}
		if kind == "BertProcessing" {
			t.single, t.pair = bertTemplates(clsToken, clsID, sepToken, sepID)
			return true, nil
		}
		t.single, t.pair = robertaTemplates(clsToken, clsID, sepToken, sepID)
		return true, t.trim.read(o)
	case "TemplateProcessing":
		special, err := readTemplateTokens(o)
		if err != nil {
			return false, err
		}
		if t.single, err = readTemplate(o, "single", special, 1); err != nil {
			return false, err
		}
		t.pair, err = readTemplate(o, "pair", special, 2)
		return true, err
	}
	return false, o.unsupported(kind)
}

// readPair reads a token and its id from an array.
func readPair(o object, key string) (string, int32, error) {
	list, err := o.list(key)
	if err != nil {
		return "", 0, err
	}
	if len(list) != 2 {
		return "", 0, o.malformed(key, "should be a token and its id")
	}
	var token string
	var id int32
	where := join(o.where, key)
	if err := decodeJSON(o.file, where+"[0]", list[0], &token); err != nil {
		return "", 0, err
	}
	if err := decodeJSON(o.file, where+"[1]", list[1], &id); err != nil {
		return "", 0, err
	}
	if id < 0 {
		return "", 0, o.malformed(key, "has a negative id")
	}
	return token, id, nil
}

// readTemplateTokens reads the special tokens of a template, each of which may
// stand for several.
func readTemplateTokens(o object) (map[string]template, error) {
	list, err := o.object("special_tokens")
	if err != nil {
		return nil, err
	}
	special := make(map[string]template, len(list.fields))
	for name := range list.fields {
		entry, err := list.object(name)
		if err != nil {
			return nil, err
		}
		var ids []int32
		var tokens []string
		if err := entry.need("ids", &ids); err != nil {
			return nil, err
		}
		if err := entry.need("tokens", &tokens); err != nil {
			return nil, err
		}
		if len(ids) != len(tokens) {
			return nil, entry.malformed("ids", "and tokens differ in number")
		}
		parts := make(template, len(ids))
		for i, id := range ids {
			if id < 0 {
				return nil, entry.malformed("ids", "has a negative id")
			}
			parts[i] = templatePart{sequence: -1, id: id, token: tokens[i]}
		}
		special[name] = parts
	}
	return special, nil
}

// readTemplate reads a template for a number of sequences.
func readTemplate(o object, key string, special map[string]template, sequences int) (template, error) {
	pieces, err := o.objects(key)
	if err != nil {
		return nil, err
	}
	var t template
	var used [2]bool
	for _, piece := range pieces {
		var name string
		var typeID int32
		isSequence := piece.has("Sequence")
		variant := "SpecialToken"
		if isSequence {
			variant = "Sequence"
		}
		body, err := piece.object(variant)
		if err != nil {
			return nil, err
		}
		if err := body.need("id", &name); err != nil {
			return nil, err
		}
		if err := body.need("type_id", &typeID); err != nil {
			return nil, err
		}
		if typeID < 0 {
			return nil, body.malformed("type_id", "is negative")
		}
		if !isSequence {
			parts, ok := special[name]
			if !ok {
				return nil, body.malformed("id", fmt.Sprintf("is %q, which is not among the special tokens", name))
			}
			if len(t)+len(parts) > maxSpecial {
				return nil, piece.unsupported(fmt.Sprintf("more than %d special tokens", maxSpecial))
			}
			for _, part := range parts {
				part.typeID = typeID
				t = append(t, part)
			}
			continue
		}
		sequence := slices.Index([]string{"A", "B"}[:sequences], name)
		if sequence < 0 {
			return nil, body.malformed("id", fmt.Sprintf("is %q, which is no text that %s has", name, key))
		}
		if used[sequence] {
			return nil, piece.unsupported("the same text twice")
		}
		used[sequence] = true
		t = append(t, templatePart{sequence: sequence, typeID: typeID})
	}
	for i, name := range []string{"A", "B"}[:sequences] {
		if !used[i] {
			return nil, o.malformed(key, "does not use the text "+name)
		}
	}
	return t, nil
}
