package plugins_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xai-go/xai/plugins/internal/catalog"
	"github.com/xai-go/xai/sdk"
)

// card returns a family's card, and what it says of a method: its section, and what
// stands in none of another method's.
func card(t *testing.T, family catalog.Family, method string) (all, of string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(family.Name, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all = "\n" + strings.ReplaceAll(string(text), "\r\n", "\n")
	sections := strings.Split(all, "\n## ")
	of = sections[0]
	for _, section := range sections[1:] {
		title, _, _ := strings.Cut(section, "\n")
		other := slices.ContainsFunc(family.Methods, func(m sdk.Method) bool { return m.Info().Name == title })
		if title == method || !other {
			of += "\n## " + section
		}
	}
	return all, of
}

// TestCards: the card of a method has each of its parameters, what an explanation
// costs, who described it and when, and when it misleads; other names of a parameter,
// and what it may be, may stand with another method of the family.
func TestCards(t *testing.T) {
	author, year, preprint := regexp.MustCompile(`\p{Lu}[\p{L}-]+`), regexp.MustCompile(`\b(19|20)\d\d\b`), regexp.MustCompile(`arXiv:[0-9.]+`)
	cost, misleads := regexp.MustCompile(`(?i)evaluation|gradient|forward`), regexp.MustCompile(`(?i)mislead`)
	for _, f := range catalog.Families {
		for _, m := range f.Methods {
			info := m.Info()
			t.Run(info.Name, func(t *testing.T) {
				all, text := card(t, f, info.Name)
				// says reports whether a word stands in a code span.
				says := func(text, word string) bool {
					return regexp.MustCompile("`([^`\n]*[=,])?" + regexp.QuoteMeta(word) + "([=,][^`\n]*)?`").MatchString(text)
				}
				if !cost.MatchString(text) || !misleads.MatchString(text) {
					t.Error("the card does not say what it costs, or when it misleads")
				}
				for paper := range strings.SplitSeq(preprint.ReplaceAllString(info.Source, ""), ";") {
					published := year.FindString(paper)
					if published == "" { // a repository
						continue
					}
					for _, name := range append(author.FindAllString(paper, -1), published) {
						if !strings.Contains(text, name) {
							t.Errorf("the card does not name %s of %s", name, paper)
						}
					}
				}
				for _, p := range info.Params {
					if !says(text, p.Name) {
						t.Errorf("the card does not name the parameter %s", p.Name)
					}
					for _, name := range p.Aliases {
						if !says(all, name) {
							t.Errorf("the card does not name %s, which is %s", name, p.Name)
						}
					}
					for _, v := range p.Values {
						if !says(all, v) {
							t.Errorf("the card does not say what %s=%s is", p.Name, v)
						}
					}
				}
			})
		}
	}
}
