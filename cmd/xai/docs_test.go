package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/plugins"
)

// TestGuide runs the commands of docs/activations.md, one after another in one
// folder, and compares what they print with what the guide shows. Numbers may
// differ in their last digits on other machines, so they count by their place.
func TestGuide(t *testing.T) {
	if testing.Short() {
		t.Skip("commands take a while")
	}
	guide, err := os.ReadFile("../../docs/activations.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```\n(?:```\n(.*?)```\n)?").FindAllStringSubmatch(string(guide), -1)
	if len(blocks) < 6 {
		t.Fatalf("the guide has %d blocks of commands", len(blocks))
	}
	words := regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
	for _, block := range blocks {
		var stdout, stderr bytes.Buffer
		for line := range strings.Lines(block[1]) {
			var args []string
			for _, word := range words.FindAllString(line, -1) {
				args = append(args, strings.Trim(word, `"'`))
			}
			if code := run(t.Context(), args[1:], nil, &stdout, &stderr, os.Getenv); code != 0 {
				t.Errorf("%s: exit code %d: %s", line, code, stderr.String())
			}
		}
		if block[2] == "" {
			continue
		}
		if diff := cmp.Diff(places(block[2]), places(stdout.String())); diff != "" {
			t.Errorf("%s (-guide +printed):\n%s", block[1], diff)
		}
	}
}

// places returns the lines of a table with # for numbers and one space between
// columns.
func places(text string) []string {
	number := regexp.MustCompile(`-?\d+(\.\d+)?(e-?\d+)?`)
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, number.ReplaceAllString(strings.Join(strings.Fields(line), " "), "#"))
	}
	return lines
}

// TestCards: every embedded method has its card where methods info says, and no other
// method has one.
func TestCards(t *testing.T) {
	host, err := core.New(core.Options{Methods: core.Builtin(plugins.Builtin()), BuiltinOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	list, err := host.Methods()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Entries {
		if text, err := os.ReadFile("../../" + card(e)); err != nil || !strings.Contains(string(text), e.Name) {
			t.Errorf("%s: the card %q does not name it: %v", e.Name, card(e), err)
		}
		if e.Embedded = false; card(e) != "" {
			t.Errorf("%s has a card where it is not embedded", e.Name)
		}
	}
}

// TestComingFrom holds the commands of docs/coming-from.md, which stand before a
// text, to the methods and their parameters.
func TestComingFrom(t *testing.T) {
	guide, err := os.ReadFile("../../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	host, err := core.New(core.Options{Methods: core.Builtin(plugins.Builtin()), BuiltinOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	commands := regexp.MustCompile("`xai explain ([^`]*)`").FindAllStringSubmatch(string(guide), -1)
	if len(commands) < 25 {
		t.Fatalf("the guide has %d commands", len(commands))
	}
	for _, command := range commands {
		method, params := "", map[string]string{}
		for _, flag := range regexp.MustCompile(`-([Mp]) (\S+)`).FindAllStringSubmatch(command[1], -1) {
			if flag[1] == "M" {
				method = flag[2]
				continue
			}
			name, value, _ := strings.Cut(flag[2], "=")
			params[name] = value
		}
		if _, err := host.Params(method, params); method == "" || err != nil {
			t.Errorf("%s: %v", command[0], err)
		}
	}
}
