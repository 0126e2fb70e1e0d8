package document

import (
	"strconv"
	"strings"
	"time"
)

// unit is a suffix of a quantity and what it multiplies by.
type unit struct {
	suffix string
	factor int64
}

// Scale is how one kind of quantity is written.
type Scale struct {
	units []unit // the largest first
	form  string // for messages
}

// The scales of sizes and of counts.
var (
	Bytes = Scale{[]unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}, `a size such as "64MiB"`}
	Count = Scale{[]unit{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}}, `a whole number such as 5000 or "5M"`}
)

// Parse reads a whole number with an optional unit: "64MiB", "20G".
func (sc Scale) Parse(s string) (int64, bool) {
	factor := int64(1)
	for _, u := range sc.units {
		if digits, ok := strings.CutSuffix(s, u.suffix); ok {
			s, factor = digits, u.factor
			break
		}
	}
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > (1<<63-1)/factor {
		return 0, false
	}
	return n * factor, true
}

// Format writes n as a TOML value with the largest unit that divides it, and
// as a plain number where none does.
func (sc Scale) Format(n int64) string {
	for _, u := range sc.units {
		if u.factor > 1 && n%u.factor == 0 {
			return strconv.Quote(strconv.FormatInt(n/u.factor, 10) + u.suffix)
		}
	}
	return strconv.FormatInt(n, 10)
}

// words writes n for a message.
func (sc Scale) words(n int64) string {
	if n == 0 {
		return "0"
	}
	return strings.Trim(sc.Format(n), `"`)
}

// formatDuration writes whole seconds as seconds and the rest as Go does.
func formatDuration(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return d.String()
}
