package sdktest

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// Status is how a check came out.
type Status int

// The ways in which a check comes out. A skip is no pass: what the check holds
// is not known.
const (
	Pass Status = iota
	Fail
	Skip
)

var (
	statusNames = [...]string{"pass", "fail", "skip"}
	statusSigns = [...]string{"✓", "✗", "–"}
)

// String returns pass, fail or skip.
func (s Status) String() string { return statusNames[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Result is the result of one check.
type Result struct {
	ID      string // such as "axioms/dummy"
	Group   string // such as "axioms"
	Expect  string // a sentence: what is held
	Status  Status
	Got     string // what came, why it was skipped, or a note on what passed
	Elapsed time.Duration
}

// Report is the result of a kit.
type Report struct {
	Method      string
	Version     string
	Results     []Result // in the order of the kit
	Interrupted bool     // its context ended before the last check
	Elapsed     time.Duration
}

// Count returns how many checks came out so.
func (r *Report) Count(s Status) int {
	n := 0
	for _, result := range r.Results {
		if result.Status == s {
			n++
		}
	}
	return n
}

// OK reports whether checks ran and none failed.
func (r *Report) OK() bool {
	return !r.Interrupted && r.Count(Fail) == 0 && r.Count(Pass) > 0
}

// round returns a time for a reader.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

// printable returns text of a method's for a terminal: control characters and
// those that change the direction of text are removed.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// alike returns how many results from i on are skipped for the same reason.
func (r *Report) alike(i int) int {
	n := i
	for first := r.Results[i]; n < len(r.Results) && first.Status == Skip; n++ {
		if c := r.Results[n]; c.Status != Skip || c.Group != first.Group || c.Got != first.Got {
			break
		}
	}
	return n - i
}

// WriteText writes the report for a reader: a line a check, and below what did
// not pass what was expected and what came. Checks that are skipped for one
// reason share a line where they are more than two.
func (r *Report) WriteText(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s %s\n", printable(r.Method), printable(r.Version))
	group := ""
	for i := 0; i < len(r.Results); i++ {
		c := r.Results[i]
		if c.Group != group {
			group = c.Group
			fmt.Fprintf(b, "\n%s\n", group)
		}
		name := strings.TrimPrefix(c.ID, c.Group+"/")
		if n := r.alike(i); n > 2 {
			i += n - 1
			last := strings.TrimPrefix(r.Results[i].ID, c.Group+"/")
			fmt.Fprintf(b, "  %s %d checks, from %s to %s: %s\n", statusSigns[Skip], n, name, last, printable(c.Got))
			continue
		}
		fmt.Fprintf(b, "  %s %-16s %8v", statusSigns[c.Status], name, round(c.Elapsed))
		switch {
		case c.Status == Fail:
			fmt.Fprintf(b, "\n      expected: %s\n      got:      %s\n", c.Expect, printable(c.Got))
		case c.Got != "":
			fmt.Fprintf(b, "  %s\n", printable(c.Got))
		default:
			fmt.Fprintln(b)
		}
	}
	fmt.Fprintf(b, "\n%d passed, %d failed, %d skipped in %v\n", r.Count(Pass), r.Count(Fail), r.Count(Skip), round(r.Elapsed))
	if r.Interrupted {
		fmt.Fprintln(b, "interrupted")
	}
	return b.Flush()
}

// WriteTAP writes the report in the Test Anything Protocol, version 14.
func (r *Report) WriteTAP(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "TAP version 14\n1..%d\n", len(r.Results))
	escape := strings.NewReplacer(`\`, `\\`, `#`, `\#`).Replace
	for i, c := range r.Results {
		sign, directive := "ok", ""
		switch c.Status {
		case Fail:
			sign = "not ok"
		case Skip:
			directive = " # SKIP " + escape(printable(c.Got))
		}
		fmt.Fprintf(b, "%s %d - %s%s\n", sign, i+1, escape(c.ID), directive)
		// Strings of JSON are strings of YAML.
		fmt.Fprintf(b, "  ---\n  expect: %s\n", quoted(c.Expect))
		if c.Status != Skip && c.Got != "" {
			fmt.Fprintf(b, "  got: %s\n", quoted(printable(c.Got)))
		}
		fmt.Fprintf(b, "  duration_ms: %.3f\n  ...\n", c.Elapsed.Seconds()*1000)
	}
	if r.Interrupted {
		fmt.Fprintln(b, "Bail out! interrupted")
	}
	return b.Flush()
}

func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // strings have no errors
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
		elapsed  time.Duration
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkip    `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkip struct {
		Message string `xml:"message,attr"`
	}
)

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

// WriteJUnit writes the report as the XML of JUnit, a suite a group.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{
		Name: printable(r.Method), Tests: len(r.Results), Failures: r.Count(Fail), Skipped: r.Count(Skip), Time: seconds(r.Elapsed),
	}
	for _, c := range r.Results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != c.Group {
			all.Suites = append(all.Suites, junitSuite{Name: c.Group})
		}
		s := &all.Suites[len(all.Suites)-1]
		x := junitCase{Name: strings.TrimPrefix(c.ID, c.Group+"/"), Class: printable(r.Method) + "." + c.Group, Time: seconds(c.Elapsed)}
		got := printable(c.Got)
		switch c.Status {
		case Fail:
			x.Failure = &junitFailure{got, "expected: " + c.Expect + "\ngot: " + got}
			s.Failures++
		case Skip:
			x.Skipped = &junitSkip{got}
			s.Skipped++
		default:
			x.Output = got
		}
		s.Tests++
		s.elapsed += c.Elapsed
		s.Time = seconds(s.elapsed)
		s.Cases = append(s.Cases, x)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// Schema names the form of WriteJSON.
const Schema = "xai.conformance/1"

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	type result struct {
		ID      string  `json:"id"`
		Status  Status  `json:"status"`
		Expect  string  `json:"expect"`
		Got     string  `json:"got"`
		Seconds float64 `json:"seconds"`
	}
	out := struct {
		Schema string `json:"schema"`
		Method struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"method"`
		OK          bool     `json:"ok"`
		Passed      int      `json:"passed"`
		Failed      int      `json:"failed"`
		Skipped     int      `json:"skipped"`
		Interrupted bool     `json:"interrupted"`
		Seconds     float64  `json:"seconds"`
		Checks      []result `json:"checks"`
	}{
		Schema: Schema, OK: r.OK(), Passed: r.Count(Pass), Failed: r.Count(Fail), Skipped: r.Count(Skip),
		Interrupted: r.Interrupted, Seconds: r.Elapsed.Seconds(), Checks: []result{},
	}
	out.Method.Name, out.Method.Version = r.Method, r.Version
	for _, c := range r.Results {
		out.Checks = append(out.Checks, result{c.ID, c.Status, c.Expect, c.Got, c.Elapsed.Seconds()})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
