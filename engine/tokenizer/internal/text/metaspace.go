package text

import "bytes"

// PrependScheme says where Metaspace puts a replacement before a word that does not
// begin with one.
type PrependScheme int

const (
	PrependAlways PrependScheme = iota // before every word
	PrependFirst                       // before the word that begins the original text
	PrependNever
)

// Metaspace replaces every space in the words by a rune, ▁ as a rule, puts one
// before them, and cuts before each. It is a pre-tokenizer that rewrites the
// text.
type Metaspace struct {
	Replacement rune
	Prepend     PrependScheme
	Split       bool
}

// PreTokenize implements PreTokenizer.
func (m Metaspace) PreTokenize(t *Text) {
	mark := string(m.Replacement)
	t.begin()
	t.outWords = t.outWords[:0]
	for _, w := range t.Words {
		t.drop(w.Start - t.cursor)
		start := len(t.outBytes)
		begins := t.Bytes[w.Start] == ' ' || bytes.HasPrefix(t.Bytes[w.Start:w.End], []byte(mark))
		if !begins && (m.Prepend == PrependAlways || m.Prepend == PrependFirst && t.initial && w.Start == 0) {
			t.prepend(mark)
		}
		for t.cursor < w.End {
			run := bytes.IndexByte(t.Bytes[t.cursor:w.End], ' ')
			if run < 0 {
				run = w.End - t.cursor
			}
			t.copyRun(run)
			if t.cursor < w.End {
				t.put(mark, 1)
			}
		}
		t.add(start, len(t.outBytes))
	}
	t.end()
	t.Words, t.outWords = t.outWords, t.Words
	if !m.Split {
		return
	}
	t.cut(func(w Range) {
		start := w.Start
		for at := w.Start; at < w.End; {
			next := bytes.Index(t.Bytes[at:w.End], []byte(mark))
			if next < 0 {
				break
			}
			t.add(start, at+next)
			start, at = at+next, at+next+len(mark)
		}
		t.add(start, w.End)
	})
}
