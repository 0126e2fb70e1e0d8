package report

import (
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/evaluation"
	"github.com/xai-go/xai/sdk"
)

// CSV writes one record for each value of each attribution of e, in the order
// of the units or tokens (RFC 4180: a header, CRLF). Offsets are bytes and code
// points of the text that sequence names, from the first span of a unit; they
// are empty where there is no text. Numbers are the shortest that read back as
// the same float64, and stderr is empty where the method gave none.
//
// Spreadsheets run a cell that begins with =, +, -, @, a tab or a carriage
// return as a formula. Where such a cell of the column text has more than that
// one character, an apostrophe is put before it; start and end, and the JSON
// form, give the exact text.
func CSV(w io.Writer, e *core.Explanation) error {
	var b strings.Builder
	b.WriteString("attribution,over,index,sequence,text,start,end,rune_start,rune_end,value,stderr\r\n")
	texts := []string{e.Input.Text}
	if e.Input.TextPair != nil {
		texts = append(texts, *e.Input.TextPair)
	}
	for _, a := range e.Attributions {
		for i, v := range a.Values {
			fields := []string{a.Name, a.Over, strconv.Itoa(i), "", "", "", "", "", "", shortest(v), ""}
			place := func(text string, sequence, start, end int) {
				fields[3], fields[4] = strconv.Itoa(sequence), text
				if start == end || sequence >= len(texts) || end > len(texts[sequence]) {
					return
				}
				fields[5], fields[6] = strconv.Itoa(start), strconv.Itoa(end)
				fields[7] = strconv.Itoa(utf8.RuneCountInString(texts[sequence][:start]))
				fields[8] = strconv.Itoa(utf8.RuneCountInString(texts[sequence][:end]))
			}
			switch {
			case a.Over == sdk.OverUnits && i < len(e.Input.Units):
				u := e.Input.Units[i]
				place(u.Text, u.Sequence, u.Start, u.End)
			case a.Over == sdk.OverTokens && i < len(e.Input.Tokens):
				k := e.Input.Tokens[i]
				place(k.Text, k.Sequence, k.Start, k.End)
			}
			if i < len(a.Stderr) {
				fields[10] = shortest(a.Stderr[i])
			}
			for k, f := range fields {
				if k > 0 {
					b.WriteByte(',')
				}
				b.WriteString(quote(f, k == 0 || k == 4))
			}
			b.WriteString("\r\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// EvaluationCSV writes one record for each measure of each method on each text,
// and over all of them, where text is empty (RFC 4180: a header, CRLF). The
// columns low and high are the interval over texts; of one text, random is the
// mean over the random orders and random_sd their standard deviation. The rows of
// agreement have both methods in the column method, with " · " between them.
func EvaluationCSV(w io.Writer, e *evaluation.Evaluation) error {
	var b strings.Builder
	b.WriteString("text,method,measure,value,low,high,random,random_low,random_high,random_sd,gain,gain_low,gain_high,texts\r\n")
	record := func(fields ...string) {
		for k, f := range fields {
			if k > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(f, k < 2))
		}
		b.WriteString("\r\n")
	}
	interval := func(i *evaluation.Interval) (mean, low, high string) {
		if i == nil {
			return "", "", ""
		}
		if math.IsNaN(float64(i.Low)) {
			return shortest(i.Mean), "", ""
		}
		return shortest(i.Mean), shortest(i.Low), shortest(i.High)
	}
	for i := range e.Texts {
		x := &e.Texts[i]
		for _, r := range x.Methods {
			for _, name := range slices.Sorted(maps.Keys(r.Values)) {
				random, sd := "", ""
				if s, ok := r.Random[name]; ok {
					random, sd = shortest(s.Mean), shortest(s.SD)
				}
				record(x.ID, r.Method, name, shortest(r.Values[name]), "", "", random, "", "", sd, "", "", "", "")
			}
		}
		for _, a := range x.Agreement {
			for _, name := range slices.Sorted(maps.Keys(a.Values)) {
				record(x.ID, a.A+" · "+a.B, name, shortest(a.Values[name]), "", "", "", "", "", "", "", "", "", "")
			}
		}
	}
	for _, s := range e.Aggregate {
		for _, name := range slices.Sorted(maps.Keys(s.Measures)) {
			m := s.Measures[name]
			v, low, high := interval(&m.Interval)
			random, randomLow, randomHigh := interval(m.Random)
			gain, gainLow, gainHigh := interval(m.Gain)
			record("", s.Method, name, v, low, high, random, randomLow, randomHigh, "", gain, gainLow, gainHigh, strconv.Itoa(m.Texts))
		}
	}
	for _, a := range e.Agreement {
		for _, name := range slices.Sorted(maps.Keys(a.Over)) {
			i := a.Over[name]
			v, low, high := interval(&i)
			record("", a.A+" · "+a.B, name, v, low, high, "", "", "", "", "", "", "", strconv.Itoa(i.Texts))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shortest formats v as the shortest decimal that reads back as v.
func shortest(v core.Float) string { return strconv.FormatFloat(float64(v), 'g', -1, 64) }

// quote returns a field of RFC 4180, guarded against formulas where it is text.
// encoding/csv would rewrite line feeds inside a field.
func quote(s string, text bool) string {
	if text && len(s) > 1 && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		s = "'" + s
	}
	if strings.ContainsAny(s, "\",\r\n") || s != "" && (s[0] == ' ' || s[len(s)-1] == ' ') {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}
