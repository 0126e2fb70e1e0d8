// Package document reads TOML that nobody vouches for: strictly, within bounds,
// and with the line of every mistake.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// The bounds of a document. They are far above what real ones need, and low
// enough that a hostile one costs nothing.
const (
	MaxSize = 1 << 20 // bytes
	MaxList = 100     // elements of an array
	MaxText = 2000    // bytes of a string
)

// Error says what is wrong, and where.
type Error struct {
	Line int    // 1 is the first; 0 where the mistake belongs to no line
	Msg  string // one sentence without the place
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Msg }

// Decode reads a document and returns its top table. The arrays of tables that
// the caller is going to read are named by their keys, "method" and
// "method.artifact", so that lines are those of the right element. What is no
// TOML, or beyond the bounds, gives an *Error.
func Decode(data []byte, arrays ...string) (t Table, err error) {
	if len(data) > MaxSize {
		return Table{}, &Error{Msg: fmt.Sprintf("the file has %d bytes and may have %d; split it", len(data), MaxSize)}
	}
	// The library takes a zero byte for the end of the file.
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return Table{}, &Error{Msg: "the file is not UTF-8; save it as UTF-8 text"}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // some editors' byte order mark
	lines, err := scan(data)
	if err != nil {
		return Table{}, err
	}
	// The library panics where its lexer and its parser disagree.
	defer func() {
		if r := recover(); r != nil {
			t, err = Table{}, &Error{Msg: "the file is not TOML: " + Shorten(fmt.Sprint(r))}
		}
	}()
	// Decoding into a map and reading that by hand names the table, the key and
	// the line of every mistake. Decoding into structs would match keys of any
	// letter case, and Undecoded cannot tell the elements of [[method]] apart.
	values := map[string]any{}
	meta, err := toml.Decode(string(data), &values)
	if err != nil {
		if e, ok := errors.AsType[toml.ParseError](err); ok {
			return Table{}, &Error{Line: e.Position.Line, Msg: Shorten(e.Message)}
		}
		return Table{}, &Error{Msg: Shorten(err.Error())}
	}
	r := &reader{}
	r.index(meta.Keys(), lines, arrays)
	return Table{reader: r, values: values}, nil
}

// reader is what the tables of a document share. The first mistake sticks, and
// what is read after it does not matter.
type reader struct {
	lines map[string]int      // the line of a position such as "method[2].params.fill"
	order map[string][]string // the keys of the table at a position, in the order of the file
	err   *Error
}

// index notes the line and the order of every key: TOML forgets the order of a
// table's keys, and that of parameters is the order of their documentation.
func (r *reader) index(keys []toml.Key, lines []int, arrays []string) {
	r.lines = make(map[string]int, len(keys))
	r.order = map[string][]string{}
	counts := map[string]int{} // elements so far of the array at a position
	for i, key := range keys {
		line := 0
		if len(lines) == len(keys) {
			line = lines[i]
		}
		position := ""
		for depth, part := range key {
			parent := position
			position = join(parent, part)
			if _, ok := r.lines[position]; !ok {
				r.lines[position] = line
				r.order[parent] = append(r.order[parent], part)
			}
			if !slices.Contains(arrays, strings.Join(key[:depth+1], ".")) {
				continue
			}
			if depth == len(key)-1 {
				counts[position]++
			}
			position = element(position, counts[position]-1)
			if _, ok := r.lines[position]; !ok {
				r.lines[position] = line
			}
		}
	}
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join returns the position of a key in the table at position. No two keys have
// the same.
func join(position, key string) string {
	if !bareKey.MatchString(key) {
		key = strconv.Quote(key)
	}
	if position == "" {
		return key
	}
	return position + "." + key
}

func element(position string, i int) string { return position + "[" + strconv.Itoa(i) + "]" }

// fail records a mistake at a position, unless there is an earlier one.
func (r *reader) fail(position, format string, args ...any) {
	if r.err != nil {
		return
	}
	for position != "" && r.lines[position] == 0 {
		position = position[:max(strings.LastIndexByte(position, '.'), 0)]
	}
	r.err = &Error{r.lines[position], fmt.Sprintf(format, args...)}
}

// Quote quotes a foreign string for a message, cut to a length that leaves the
// message readable.
func Quote(s string) string { return strconv.Quote(Shorten(s)) }

// Shorten cuts a long string between runes.
func Shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
