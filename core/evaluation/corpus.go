package evaluation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/internal/random"
	"github.com/xai-go/xai/internal/nearest"
	"github.com/xai-go/xai/sdk/num"
)

// The bounds of a corpus: bytes of a line, texts, bytes of all texts, and bytes of all
// scores.
const (
	maxLine   = 16 << 20
	maxTexts  = 100_000
	maxText   = 256 << 20
	maxScores = 256 << 20
)

// maxWarnings bounds how many unknown keys of a corpus are warned of.
const maxWarnings = 8

// keys are what a line of a corpus may have.
var keys = []string{"text", "text_pair", "id", "label", "target", "scores", "rationale", "rationale_runes", "evidences"}

// line is a line of a corpus. Of the three ways to say where a rationale is, one
// is used.
type line struct {
	ID        *scalar     `json:"id"`
	Text      *string     `json:"text"`
	Pair      *string     `json:"text_pair"`
	Label     *scalar     `json:"label"`
	Target    *scalar     `json:"target"`
	Bytes     *[][]int    `json:"rationale"`       // offsets in bytes
	Runes     *[][]int    `json:"rationale_runes"` // offsets in code points
	Evidences *[]runes    `json:"evidences"`       // as ERASER's, with offsets in code points
	Scores    *[]*float64 `json:"scores"`
}

// kind says which of the two forms a line has.
type kind struct {
	Annotation *scalar         `json:"annotation_id"`
	Text       json.RawMessage `json:"text"`
}

// runes is a range in code points with the text that is there.
type runes struct {
	Start *int    `json:"start"`
	End   *int    `json:"end"`
	Text  *string `json:"text"`
}

// scalar is a string, or a number as it is written.
type scalar string

// text returns what was written, nothing where nothing was.
func (s *scalar) text() string {
	if s == nil {
		return ""
	}
	return string(*s)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *scalar) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(s))
	}
	var n json.Number
	err := json.Unmarshal(b, &n)
	*s = scalar(n)
	return err
}

// ReadCorpus reads a corpus: a JSON object a line, with "text" and, where there
// are any, "text_pair", "id", "label", "target", "scores" (one a unit or a token),
// and what a human marked in the text as the reason of its label: "rationale",
// [[start, end], …] in bytes; "rationale_runes", the same in code points; or
// "evidences", [{"start", "end", "text"}, …] in code points. Other fields are
// skipped, and warn, which may be nil, is told of each once. Lines of ERASER's release,
// which have an "annotation_id" and no "text", name files of documents, which is nil
// where there are none. name is what errors call the file. Errors are *core.Error, of
// core.KindInput where the corpus is wrong, and those of r.
func ReadCorpus(r io.Reader, name string, documents fs.FS, warn func(message string)) ([]Text, error) {
	var texts []Text
	lines := make(map[string]int) // id → line
	skipped := make(map[string]bool)
	total := 0 // bytes of the texts
	b := bufio.NewReaderSize(r, 1<<16)
	for at := 1; ; at++ {
		data, err := readLine(b)
		wrong := func(msg, hint string) error {
			return input(fmt.Sprintf("%s, line %d: %s", name, at, msg), hint)
		}
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, wrong(fmt.Sprintf("it has more than %d MiB", maxLine>>20), "cut the text: a model reads a few hundred words")
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if at == 1 {
			data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(data)) > 0 {
			if len(texts) == maxTexts {
				return nil, wrong("there are more than "+strconv.Itoa(maxTexts)+" texts", "evaluate on a part of them")
			}
			t, msg := parseLine(data, documents)
			if msg == "" && strings.TrimSpace(t.Input.Text) == "" {
				msg = "the text is empty"
			}
			if msg != "" {
				return nil, wrong(msg, `a line is an object such as {"text": "…", "label": "…", "rationale": [[0, 5]]}`)
			}
			if total += len(t.Input.Text); total > maxText {
				return nil, wrong(fmt.Sprintf("the texts have more than %d MiB together", maxText>>20), "evaluate on a part of them")
			}
			if t.ID == "" {
				t.ID = strconv.Itoa(at)
			}
			if first, ok := lines[t.ID]; ok {
				return nil, wrong(fmt.Sprintf("the id %q is that of line %d, too", t.ID, first), "give each text an id of its own, or none")
			}
			lines[t.ID] = at
			for _, key := range unknownKeys(data) {
				if warn == nil || skipped[key] || len(skipped) == maxWarnings {
					continue
				}
				skipped[key] = true
				message := fmt.Sprintf("%s, line %d: the key %.64q is not read", name, at, key)
				if near, ok := nearest.Of(key, keys); ok {
					message += "; did you mean " + strconv.Quote(near) + "?"
				}
				warn(message)
			}
			texts = append(texts, t)
		}
		if err == io.EOF {
			break
		}
	}
	if len(texts) == 0 {
		return nil, input(name+" holds no text", `give one a line: {"text": "…"}`)
	}
	return texts, nil
}

// readLine returns a line without its end, and io.EOF with the last one.
func readLine(b *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := b.ReadSlice('\n')
		if len(out)+len(part) > maxLine {
			return nil, bufio.ErrTooLong
		}
		out = append(out, part...)
		if err != bufio.ErrBufferFull {
			return out, err
		}
	}
}

// parseLine returns the text of a line, or what is wrong with it.
func parseLine(data []byte, documents fs.FS) (Text, string) {
	if !utf8.Valid(data) {
		return Text{}, "it is not UTF-8"
	}
	var k kind
	if err := json.Unmarshal(data, &k); err != nil {
		return Text{}, "it is no such object: " + problem(err)
	}
	if key := twice(data); key != "" {
		return Text{}, "it says " + strconv.Quote(key) + " twice: keep one of them"
	}
	if k.Annotation != nil && k.Text == nil {
		return parseAnnotation(data, documents)
	}
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		return Text{}, "it is no such object: " + problem(err)
	}
	if l.Text == nil {
		return Text{}, `it has no "text"`
	}
	t := Text{Input: core.Input{Text: *l.Text, Pair: l.Pair}}
	t.ID, t.Label, t.Target = l.ID.text(), l.Label.text(), l.Target.text()
	if l.Scores != nil {
		t.Scores = []float64{}
		for _, v := range *l.Scores {
			if v == nil {
				return t, "one of its scores is null"
			}
			t.Scores = append(t.Scores, *v)
		}
	}
	return t, l.mark(&t)
}

// mark sets what a human marked in the text, and returns what is wrong with it.
func (l *line) mark(t *Text) string {
	ways := 0
	for _, there := range []bool{l.Bytes != nil, l.Runes != nil, l.Evidences != nil} {
		if there {
			ways++
		}
	}
	if ways > 1 {
		return "it says where its rationale is in more than one way"
	}
	t.Marked = ways > 0
	var runes []int32 // where each code point begins
	if l.Runes != nil || l.Evidences != nil {
		runes = runeStarts(t.Input.Text)
	}
	add := func(start, end int, inRunes bool) bool {
		if inRunes {
			if start < 0 || end < start || end >= len(runes) {
				return false
			}
			start, end = int(runes[start]), int(runes[end])
		}
		if start < 0 || end < start || end > len(t.Input.Text) {
			return false
		}
		t.Ranges = append(t.Ranges, Range{start, end})
		return true
	}
	const outside = "its rationale lies outside of the text"
	within := func(at int) bool { return at == len(t.Input.Text) || utf8.RuneStart(t.Input.Text[at]) }
	for _, list := range []*[][]int{l.Bytes, l.Runes} {
		if list == nil {
			continue
		}
		for _, r := range *list {
			if len(r) != 2 {
				return "its rationale has a range that is not [start, end]"
			}
			if !add(r[0], r[1], list == l.Runes) {
				return outside
			}
			if list == l.Bytes && !(within(r[0]) && within(r[1])) {
				return fmt.Sprintf(`its rationale [%d, %d] cuts a character in two: give offsets in bytes, or those in characters as "rationale_runes"`, r[0], r[1])
			}
		}
	}
	if l.Evidences == nil {
		return ""
	}
	for _, e := range *l.Evidences {
		if e.Start == nil || e.End == nil {
			return `its evidences have no "start" and "end" in characters`
		}
		if !add(*e.Start, *e.End, true) {
			return outside
		}
		if last := t.Ranges[len(t.Ranges)-1]; e.Text != nil && *e.Text != t.Input.Text[last.Start:last.End] {
			return fmt.Sprintf("the evidence at %d is not the text that is there", *e.Start)
		}
	}
	return ""
}

// inner are the keys of what evidences hold, in both forms of a line.
var inner = []string{"start", "end", "text", "docid", "start_token", "end_token"}

// twice returns a key that is read and that an object of a line has more than once,
// in whatever case, of which package json would take the last; "" where there is
// none. The line is valid JSON.
func twice(data []byte) string {
	type level struct {
		object, value bool // it is one, and what comes next in it is a value
		read          []string
		seen          []string
	}
	var levels []level
	var next []string // the keys that are read in what comes next
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		mark, _ := token.(json.Delim)
		if mark == '}' || mark == ']' {
			if levels = levels[:len(levels)-1]; len(levels) == 0 {
				return ""
			}
			continue
		}
		if n := len(levels); n > 0 && levels[n-1].object {
			in := &levels[n-1]
			if in.value = !in.value; in.value {
				next = nil
				i := slices.IndexFunc(in.read, func(k string) bool { name, _ := token.(string); return strings.EqualFold(k, name) })
				if i < 0 {
					continue
				}
				key := in.read[i]
				if slices.Contains(in.seen, key) {
					return key
				}
				if in.seen = append(in.seen, key); n == 1 && key == "evidences" {
					next = inner
				}
				continue
			}
		} else if n == 0 {
			next = slices.Concat(keys, []string{"annotation_id", "classification", "docids"})
		} else {
			next = levels[n-1].read
		}
		if mark == '{' || mark == '[' {
			levels = append(levels, level{object: mark == '{', read: next})
		}
	}
}

// unknownKeys returns the keys of a line that mean nothing, in order; none of a line
// of ERASER's release, whose further keys are known to be of no use.
func unknownKeys(data []byte) []string {
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &all) != nil || all["text"] == nil && all["annotation_id"] != nil {
		return nil
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, key) }) {
			out = append(out, key)
		}
	}
	return out
}

// problem says what is wrong with JSON.
func problem(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return "it has the JSON type " + e.Value
		}
		return strconv.Quote(e.Field) + " cannot have the JSON type " + e.Value
	}
	return err.Error()
}

// runeStarts returns the bytes at which the code points of a text begin, and its end.
func runeStarts(text string) []int32 {
	starts := make([]int32, 0, len(text)+1)
	for at := range text {
		starts = append(starts, int32(at))
	}
	return append(starts, int32(len(text)))
}

// Sample returns n texts drawn at random without replacement, in the order of the
// corpus; all of them where there are no more.
func Sample(texts []Text, n int, seed uint64) []Text {
	if n >= len(texts) {
		return texts
	}
	chosen := make([]bool, len(texts))
	for _, i := range num.NewRand(random.New(seed, "evaluation", "sample of texts")).Perm(len(texts))[:n] {
		chosen[i] = true
	}
	out := make([]Text, 0, n)
	for i, t := range texts {
		if chosen[i] {
			out = append(out, t)
		}
	}
	return out
}

// Scores are scores that a user gives: an explanation, or a list of numbers.
type Scores struct {
	Given *core.Explanation
	List  []float64
}

// ReadScores reads scores: explanations, or lists of numbers, one after another,
// or one list of such lists. name is what errors call the file.
func ReadScores(r io.Reader, name string) ([]Scores, error) {
	limited := &io.LimitedReader{R: r, N: maxScores + 1}
	d := json.NewDecoder(limited)
	var out []Scores
	const hint = "give an explanation that xai explain --format json wrote, or a list of numbers, one a unit or a token; one for each text"
	for {
		var raw json.RawMessage
		err := d.Decode(&raw)
		if limited.N <= 0 {
			return nil, input(fmt.Sprintf("%s holds more than %d MiB", name, maxScores>>20), hint)
		}
		if err == io.EOF {
			break
		}
		if _, ok := errors.AsType[*core.Error](err); ok { // of the reader
			return nil, err
		}
		if err != nil {
			return nil, input(name+" holds no scores: "+err.Error(), hint)
		}
		var list []*core.Float
		var lists [][]*core.Float
		switch {
		case raw[0] == '{':
			x, err := core.ReadExplanation(bytes.NewReader(raw))
			if err != nil {
				return nil, err
			}
			out = append(out, Scores{Given: x})
			continue
		case raw[0] != '[':
		case json.Unmarshal(raw, &list) == nil:
			lists = [][]*core.Float{list}
		case json.Unmarshal(raw, &lists) != nil:
			lists = nil
		}
		if len(lists) == 0 {
			return nil, input(name+" holds something that is neither an explanation nor a list of numbers", hint)
		}
		for _, l := range lists {
			values, ok := numbers(l)
			if !ok {
				return nil, input(name+" holds a score that is null", hint)
			}
			out = append(out, Scores{List: values})
		}
	}
	if len(out) == 0 {
		return nil, input(name+" holds no scores", hint)
	}
	return out, nil
}

// numbers returns a list of numbers, and false where one of them is missing.
func numbers(list []*core.Float) ([]float64, bool) {
	out := make([]float64, len(list))
	for i, v := range list {
		if v == nil {
			return nil, false
		}
		out[i] = float64(*v)
	}
	return out, true
}
