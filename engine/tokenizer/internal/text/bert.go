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

func (n Bert) Normalize(t *Text) {
	if ascii(t.Bytes) {
		n.normalizeASCII(t)
		return
	}
	if n.CleanText {
		dropped := control
		if n.CleanMore {
			dropped |= unassigned
		}
		t.clean(space, dropped)
	}
	if n.ChineseChars {
		t.spaceChinese(0x2B920)
	}
	if n.StripAccents {
		t.stripAccents()
	}
	if n.Lowercase {
		t.lower()
	}
}

// normalizeASCII is Normalize for text that has no accents and no ideographs:
// in place, since it only drops bytes and replaces them one by one.
func (n Bert) normalizeASCII(t *Text) {
	if n.CleanText {
		kept := 0
		for i, c := range t.Bytes {
			switch {
			case c == '\t' || c == '\n' || c == '\r':
				c = ' '
			case c < ' ' || c == 0x7F:
				continue
			}
			t.Bytes[kept] = c
			if t.tracked {
				t.Spans[kept] = t.Spans[i]
			}
			kept++
		}
		t.Bytes = t.Bytes[:kept]
		if t.tracked {
			t.Spans = t.Spans[:kept]
		}
	}
	if n.Lowercase {
		lowerASCII(t.Bytes)
	}
}

// clean drops U+0000, U+FFFD and the runes of the class dropped, except tab,
// line feed and carriage return, and makes these and the class blank a space.
func (t *Text) clean(blank, dropped class) {
	t.begin()
	for i := 0; i < len(t.Bytes); {
		r, size := utf8.DecodeRune(t.Bytes[i:])
		i += size
		c := classOf(r)
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			t.keep(' ', size)
		case r == 0 || r == utf8.RuneError || c&dropped != 0:
			t.drop(size)
		case c&blank != 0:
			t.keep(' ', size)
		default:
			t.copyRun(size)
		}
	}
	t.end()
}

// spaceChinese puts a space on either side of every CJK ideograph; the spaces
// share its span.
func (t *Text) spaceChinese(extensionE rune) {
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

// stripAccents decomposes t and drops its nonspacing marks.
func (t *Text) stripAccents() {
	NFD{}.Normalize(t)
	t.filter(func(r rune) bool { return classOf(r)&nonspacing == 0 })
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
		t.stripAccents()
	}
}

// LowercaseExcept maps a text to lower case, rune by rune, but for what Except
// finds in it: Find returns the end of the exempt text that begins at the byte
// i, or i if none does.
type LowercaseExcept struct {
	Find func(text []byte, i int) int
}

func (n LowercaseExcept) Normalize(t *Text) {
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
