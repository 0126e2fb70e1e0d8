package sdktest_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/sdk/sdktest"
)

// report has all that a report can have, and text that means something to a
// terminal and to each form.
func report() *sdktest.Report {
	return &sdktest.Report{
		Method: "my\x1b[2J-method", Version: `1.0.0"<`,
		Results: []sdktest.Result{
			{ID: "results/valid", Group: "results", Expect: "It is valid.", Elapsed: 1234567 * time.Nanosecond},
			{ID: "results/finite", Group: "results", Expect: "It is finite & small.", Status: sdktest.Fail, Got: "a \"NaN\" <at> 5 # \\ ]]>\x00\u202e\xff\nnext", Elapsed: 2 * time.Second},
			{ID: "inputs/pair", Group: "inputs", Expect: "A pair.", Status: sdktest.Skip, Got: "nobody # has pairs"},
			{ID: "inputs/long", Group: "inputs", Expect: "A long one.", Got: "refused: too long"},
		},
		Elapsed: 2500 * time.Millisecond,
	}
}

// written returns a form of the report.
func written(t *testing.T, write func(r *sdktest.Report, w io.Writer) error, r *sdktest.Report) string {
	t.Helper()
	var b strings.Builder
	if err := write(r, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	want := `my[2J-method 1.0.0"<

results
  ✓ valid               1.2ms
  ✗ finite                 2s
      expected: It is finite & small.
      got:      a "NaN" <at> 5 # \ ]]>� next

inputs
  – pair                   0s  nobody # has pairs
  ✓ long                   0s  refused: too long

2 passed, 1 failed, 1 skipped in 2.5s
`
	if diff := cmp.Diff(want, written(t, (*sdktest.Report).WriteText, report())); diff != "" {
		t.Error(diff)
	}
	r := report()
	r.Interrupted = true
	for _, id := range []string{"a/one", "a/two", "a/three", "b/four"} {
		group, _, _ := strings.Cut(id, "/")
		r.Results = append(r.Results, sdktest.Result{ID: id, Group: group, Status: sdktest.Skip, Got: "no reason"})
	}
	if got := written(t, (*sdktest.Report).WriteText, r); !strings.Contains(got, "\n\na\n  – 3 checks, from one to three: no reason\n\nb\n  – four                   0s  no reason\n") {
		t.Errorf("skipped for one reason: %s", got)
	}
	if got := written(t, (*sdktest.Report).WriteText, r); !strings.HasSuffix(got, "interrupted\n") {
		t.Errorf("interrupted: %s", got)
	}
}

func TestTAP(t *testing.T) {
	want := `TAP version 14
1..4
ok 1 - results/valid
  ---
  expect: "It is valid."
  duration_ms: 1.235
  ...
not ok 2 - results/finite
  ---
  expect: "It is finite & small."
  got: "a \"NaN\" <at> 5 # \\ ]]>� next"
  duration_ms: 2000.000
  ...
ok 3 - inputs/pair # SKIP nobody \# has pairs
  ---
  expect: "A pair."
  duration_ms: 0.000
  ...
ok 4 - inputs/long
  ---
  expect: "A long one."
  got: "refused: too long"
  duration_ms: 0.000
  ...
`
	if diff := cmp.Diff(want, written(t, (*sdktest.Report).WriteTAP, report())); diff != "" {
		t.Error(diff)
	}
}

// TestJUnit reads the XML back.
func TestJUnit(t *testing.T) {
	out := written(t, (*sdktest.Report).WriteJUnit, report())
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Time    string   `xml:"time,attr"`
		Failure *failure `xml:"failure"`
		Skipped *failure `xml:"skipped"`
		Out     string   `xml:"system-out"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	var got struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Suites   []suite  `xml:"testsuite"`
	}
	d := xml.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		if tok, err := d.Token(); err == nil {
			t.Errorf("something follows: %v", tok)
		}
	}
	if !strings.HasPrefix(out, xml.Header) {
		t.Error("the XML has no header")
	}
	said := `a "NaN" <at> 5 # \ ]]>` + "\uFFFD next"
	class := "my[2J-method."
	want := []suite{
		{"results", 2, 1, 0, []testcase{
			{Name: "valid", Class: class + "results", Time: "0.001235"},
			{Name: "finite", Class: class + "results", Time: "2.000000", Failure: &failure{said, "expected: It is finite & small.\ngot: " + said}},
		}},
		{"inputs", 2, 0, 1, []testcase{
			{Name: "pair", Class: class + "inputs", Time: "0.000000", Skipped: &failure{Message: "nobody # has pairs"}},
			{Name: "long", Class: class + "inputs", Time: "0.000000", Out: "refused: too long"},
		}},
	}
	if diff := cmp.Diff(want, got.Suites); diff != "" {
		t.Error(diff)
	}
	if got.Tests != 4 || got.Failures != 1 || got.Skipped != 1 {
		t.Errorf("the totals are %+v", got)
	}
}

func TestJSON(t *testing.T) {
	var got map[string]any
	d := json.NewDecoder(strings.NewReader(written(t, (*sdktest.Report).WriteJSON, report())))
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	checks, _ := got["checks"].([]any)
	delete(got, "checks")
	want := map[string]any{
		"schema": "xai.conformance/1", "method": map[string]any{"name": "my\x1b[2J-method", "version": `1.0.0"<`},
		"ok": false, "passed": 2.0, "failed": 1.0, "skipped": 1.0, "interrupted": false, "seconds": 2.5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(checks) != 4 {
		t.Fatalf("there are %d checks", len(checks))
	}
	if diff := cmp.Diff(any(map[string]any{"id": "inputs/long", "status": "pass", "expect": "A long one.", "got": "refused: too long", "seconds": 0.0}), checks[3]); diff != "" {
		t.Error(diff)
	}
}

// TestOK: a report is well where checks ran and none failed.
func TestOK(t *testing.T) {
	pass, skip := sdktest.Result{Status: sdktest.Pass}, sdktest.Result{Status: sdktest.Skip}
	for name, c := range map[string]struct {
		report sdktest.Report
		want   bool
	}{
		"passed":      {sdktest.Report{Results: []sdktest.Result{pass, skip}}, true},
		"failed":      {sdktest.Report{Results: []sdktest.Result{pass, {Status: sdktest.Fail}}}, false},
		"skipped":     {sdktest.Report{Results: []sdktest.Result{skip}}, false},
		"nothing":     {sdktest.Report{}, false},
		"interrupted": {sdktest.Report{Results: []sdktest.Result{pass}, Interrupted: true}, false},
	} {
		if got := c.report.OK(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// failing is a writer that takes a few bytes.
type failing struct{ left int }

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	for name, write := range map[string]func(r *sdktest.Report, w io.Writer) error{
		"text": (*sdktest.Report).WriteText, "TAP": (*sdktest.Report).WriteTAP, "JUnit": (*sdktest.Report).WriteJUnit, "JSON": (*sdktest.Report).WriteJSON,
	} {
		if err := write(report(), &failing{50}); err == nil {
			t.Errorf("%s: what could not be written is no error", name)
		}
	}
}

// TestChecks: names are what reports, flags and subtests take, and every check
// says what it holds in one sentence.
func TestChecks(t *testing.T) {
	id, seen := regexp.MustCompile(`^[a-z]+/[a-z-]+$`), map[string]bool{}
	for _, c := range sdktest.Checks() {
		if !id.MatchString(c.ID) || seen[c.ID] || !strings.HasSuffix(c.Expect, ".") || strings.Contains(c.Expect, "\n") {
			t.Errorf("%+v", c)
		}
		seen[c.ID] = true
	}
}
