package text

import "unicode/utf8"

// Bert is the normalizer of the BERT family as the tokenizers library has it:
// clean the text, put spaces around Chinese characters, strip accents, map to
// lower case, in this order.
type Bert struct {
	CleanText    bool // drop control characters, make all white space a space
	CleanMore    bool // with CleanText, drop unassigned code points too
	ChineseChars bool // put spaces around CJK ideographs, so that each is a word
	StripAccents bool // decompose (NFD) and drop nonspacing marks
	Lowercase    bool
}

// Normalize implements Normalizer.
func (n Bert) Normalize(t *Text) {
	if n.CleanText {
		dropped := frozenControl
		if n.CleanMore {
			dropped |= unassigned
		}
		t.clean(space, dropped)
	}
	if n.ChineseChars {
		t.spaceChinese(0x2B920)
	}
	if n.StripAccents {
		t.stripAccents(frozenNonspacing)
	}
	if n.Lowercase {
		t.lower()
	}
}

// clean drops U+0000, U+FFFD and the runes of the class dropped, except tab,
// line feed and carriage return, and makes these and the class blank a space.
// It works in place, since no text gets longer.
func (t *Text) clean(blank, dropped class) {
	table := classes()
	kept := 0
	for i := 0; i < len(t.Bytes); {
		r, size := rune(t.Bytes[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(t.Bytes[i:])
		}
		c := table.of(r)
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			c = blank
		case r == 0 || r == utf8.RuneError || c&dropped != 0:
			i += size
			continue
		}
		length := size
		if c&blank != 0 {
			t.Bytes[kept], length = ' ', 1
		} else if kept < i {
			copy(t.Bytes[kept:], t.Bytes[i:i+size])
		}
		if t.tracked && kept < i {
			copy(t.Spans[kept:], t.Spans[i:i+length])
		}
		kept += length
		i += size
	}
	t.Bytes = t.Bytes[:kept]
	if t.tracked {
		t.Spans = t.Spans[:kept]
	}
}

// spaceChinese puts a space on either side of every CJK ideograph; the spaces
// share its span.
func (t *Text) spaceChinese(extensionE rune) {
	if ascii(t.Bytes) {
		return
	}
	for i := 0; i < len(t.Bytes); {
		r, size := utf8.DecodeRune(t.Bytes[i:])
		if !chinese(r, extensionE) {
			i += size
			continue
		}
		t.begin()
		t.copyRun(i)
		for i < len(t.Bytes) {
			r, size := utf8.DecodeRune(t.Bytes[i:])
			if chinese(r, extensionE) {
				t.keep(' ', size)
				t.insert(r)
				t.insert(' ')
			} else {
				t.copyRun(size)
			}
			i += size
		}
		t.end()
		return
	}
}

// stripAccents decomposes t and drops the runes of the class marks.
func (t *Text) stripAccents(marks class) {
	if ascii(t.Bytes) {
		return
	}
	NFD{}.Normalize(t)
	t.filter(func(r rune) bool { return classOf(r)&marks == 0 })
}

// SlowBert is what transformers' BertTokenizer in Python does to a text that
// holds no added token. It differs from Bert in what it takes for a control
// character (unassigned code points too) and for white space (category Zs
// alone), in where the CJK ideographs of extension E begin, in composing the
// text (NFC), and in working word by word, so that it can leave some alone.
type SlowBert struct {
	ChineseChars bool
	StripAccents bool
	Lowercase    bool
	NeverSplit   *Set // words that are neither mapped nor stripped
}

// Normalize implements Normalizer.
func (n SlowBert) Normalize(t *Text) {
	t.clean(separator, control|unassigned)
	if n.ChineseChars {
		t.spaceChinese(0x2B820)
	}
	exempt := n.NeverSplit.words(t)
	if !n.StripAccents || len(exempt) > 0 {
		// Before NFD, NFC would only blur the spans: NFD(NFC(x)) = NFD(x).
		NFC{}.Normalize(t)
		exempt = n.NeverSplit.words(t)
	}
	if len(exempt) == 0 {
		n.normalizeWords(t)
		return
	}
	var between, whole Text
	at := 0
	for _, r := range append(exempt, Range{len(t.Bytes), len(t.Bytes)}) {
		between.Slice(t, Range{at, r.Start})
		n.normalizeWords(&between)
		whole.Bytes = append(append(whole.Bytes, between.Bytes...), t.Bytes[r.Start:r.End]...)
		if t.tracked {
			whole.Spans = append(append(whole.Spans, between.Spans...), t.Spans[r.Start:r.End]...)
		}
		at = r.End
	}
	whole.tracked = t.tracked
	t.Slice(&whole, Range{0, len(whole.Bytes)})
}

func (n SlowBert) normalizeWords(t *Text) {
	if n.Lowercase {
		t.lower()
	}
	if n.StripAccents {
		t.stripAccents(nonspacing)
	}
}

// LowercaseExcept maps a text to lower case, rune by rune, but for what Except
// finds in it: Find returns the end of the exempt text that begins at the byte
// i, or i if none does.
type LowercaseExcept struct {
	Find func(text []byte, i int) int
}

// Normalize implements Normalizer.
func (n LowercaseExcept) Normalize(t *Text) {
	if ascii(t.Bytes) {
		for i := 0; i < len(t.Bytes); i++ {
			if end := n.Find(t.Bytes, i); end > i {
				i = end - 1
				continue
			}
			lowerASCII(t.Bytes[i : i+1])
		}
		return
	}
	t.begin()
	for i := 0; i < len(t.Bytes); {
		if end := n.Find(t.Bytes, i); end > i {
			t.copyRun(end - i)
			i = end
			continue
		}
		r, size := utf8.DecodeRune(t.Bytes[i:])
		t.keepLower(r, size)
		i += size
	}
	t.end()
}
