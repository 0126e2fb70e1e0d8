package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWritingAMethod does what docs/writing-a-method.md tells its readers to do, in
// one folder: it runs the commands, writes method.go, and compares what is printed
// with what the page shows, but for numbers.
func TestWritingAMethod(t *testing.T) {
	if testing.Short() {
		t.Skip("compilers take a while")
	}
	page, err := os.ReadFile("../../docs/writing-a-method.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("GOPROXY", "off")               // what is needed was needed to build this test
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // no methods of whoever runs this
	blocks := regexp.MustCompile("(?s)```(go|sh)\n(.*?)```\n(?:\n```\n(.*?)```\n)?").FindAllStringSubmatch(string(page), -1)
	words := regexp.MustCompile(`"[^"]*"|\S+`)
	ran := 0
	for _, block := range blocks {
		if block[1] == "go" {
			if err := os.WriteFile("method.go", []byte(block[2]), 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var stdout, stderr bytes.Buffer
		for line := range strings.Lines(block[2]) {
			var args []string
			for _, word := range words.FindAllString(line, -1) {
				args = append(args, strings.Trim(word, `"`))
			}
			ran++
			switch {
			case args[0] == "cd":
				t.Chdir(args[1])
			case args[0] == "xai":
				if strings.HasPrefix(line, "xai plugin new") { // this checkout has no release yet
					args = append(args, "--replace", root)
				}
				if code := run(t.Context(), args[1:], strings.NewReader(""), &stdout, &stderr, os.Getenv); code != 0 {
					t.Fatalf("%s: exit code %d\n%s%s", line, code, stdout.String(), stderr.String())
				}
			default:
				cmd := exec.Command(args[0], args[1:]...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", line, err, out)
				}
			}
		}
		if block[3] == "" {
			continue
		}
		if diff := cmp.Diff(measured(block[3]), measured(stdout.String())); diff != "" {
			t.Errorf("%s (-page +printed):\n%s", block[2], diff)
		}
	}
	if ran < 9 {
		t.Errorf("the page has %d commands", ran)
	}
}

// measured returns the lines of a text without times and with one space between
// columns.
func measured(text string) []string {
	duration := regexp.MustCompile(`\b\d+(\.\d+)?(ms|µs|ns|s)\b`)
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(duration.ReplaceAllString(line, "")), " "))
	}
	return lines
}
