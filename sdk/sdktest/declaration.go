package sdktest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/xai-go/xai/sdk"
)

var declarationChecks = []check{
	{"declaration/verify", "The host's static checks of the code find nothing.", (*kit).verify},
	{"declaration/description", "The description that the file carries is the one that the code gives.", (*kit).description},
	{"declaration/info", "Name, version, summary, needs and parameters are such that a registry takes them, every parameter has a default within its bounds and a documentation, and they never change.", (*kit).declaration},
	{"declaration/needs", "The method uses no power of the host that it does not declare.", (*kit).declaredNeeds},
}

func (k *kit) verify() verdict {
	v, ok := k.subject.(Verifier)
	if !ok {
		return skipped("there is no code to check in this kind of method")
	}
	if err := v.Verify(k.ctx); err != nil {
		return failed("%v", err)
	}
	return passed("")
}

func (k *kit) description() verdict {
	d, ok := k.subject.(Describer)
	if !ok {
		return skipped("this kind of method carries no description")
	}
	section, export, err := d.Describe(k.ctx)
	switch {
	case err != nil:
		return failed("%v", err)
	case section == nil && export == nil:
		return skipped("the file carries no description")
	case section == nil:
		return failed("the code gives a description and the file carries none: seal it")
	case !json.Valid(section):
		return failed("the file's description is not JSON")
	case export == nil:
		return skipped("the code gives no description to compare with that of the file")
	case !bytes.Equal(section, export):
		return failed("they differ from byte %d on: seal the file again", prefix(section, export))
	}
	return passed("")
}

// prefix returns how many bytes two slices have in common at their beginning.
func prefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func (k *kit) declaration() verdict {
	if wrong := wrongInfo(k.info); wrong != "" {
		return failed("%s", wrong)
	}
	if !reflect.DeepEqual(k.info, k.subject.Info()) {
		return failed("asked again, the method describes itself otherwise")
	}
	return passed("")
}

var (
	methodName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	paramName  = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	aliasName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	version    = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

// line reports whether a text is one line that prints.
func line(s string) bool {
	return strings.TrimSpace(s) != "" && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// wrongInfo returns what is wrong with a declaration, empty where nothing is.
func wrongInfo(info sdk.Info) string {
	switch {
	case !methodName.MatchString(info.Name) || len(info.Name) > 64:
		return fmt.Sprintf("the name %q is not of lower-case letters and digits with hyphens between them, or longer than 64 bytes", info.Name)
	case !version.MatchString(info.Version):
		return fmt.Sprintf("the version %q is not a semantic version, such as 1.2.0", info.Version)
	case !line(info.Summary):
		return fmt.Sprintf("the summary %q is not one line of text", info.Summary)
	}
	needs := make(map[sdk.Need]bool)
	for _, n := range info.Needs {
		if !slices.Contains(sdk.Needs(), n) {
			return fmt.Sprintf("there is no need %q", n)
		}
		if needs[n] {
			return fmt.Sprintf("the need %q is named twice", n)
		}
		needs[n] = true
	}
	owner := make(map[string]string)
	for _, p := range info.Params {
		if !paramName.MatchString(p.Name) || len(p.Name) > 64 {
			return fmt.Sprintf("the parameter's name %q is not a lower-case letter and then such letters, digits and underscores", p.Name)
		}
		for _, name := range append([]string{p.Name}, p.Aliases...) {
			if other, taken := owner[name]; taken {
				return fmt.Sprintf("the name %q is of the parameter %s and of %s", name, other, p.Name)
			}
			owner[name] = p.Name
			if !aliasName.MatchString(name) {
				return fmt.Sprintf("the alias %q of %s is not a letter and then letters, digits, underscores and hyphens", name, p.Name)
			}
		}
	}
	for _, p := range info.Params {
		if wrong := wrongParam(info, p); wrong != "" {
			return "the parameter " + p.Name + " " + wrong
		}
	}
	return ""
}

// wrongParam returns what is wrong with a parameter, for a sentence that begins
// with its name.
func wrongParam(info sdk.Info, p sdk.Param) string {
	number := p.Type == sdk.Int || p.Type == sdk.Float
	switch {
	case !slices.Contains([]sdk.ParamType{sdk.Int, sdk.Float, sdk.Bool, sdk.String, sdk.Enum}, p.Type):
		return fmt.Sprintf("has the type %q, which is none", p.Type)
	case !line(p.Doc):
		return "has no documentation of one line"
	case !number && (p.Min != nil || p.Max != nil):
		return "has bounds and is no number"
	case p.Min != nil && p.Max != nil && !(*p.Min <= *p.Max):
		return fmt.Sprintf("has the bounds %v and %v", *p.Min, *p.Max)
	case (p.Type == sdk.Enum) != (len(p.Values) > 0):
		return "lists values and is no enum, or is one and lists none"
	case p.Default == nil:
		return "has no default"
	case !admits(p, p.Default):
		return fmt.Sprintf("has the default %v (%T), which its type, bounds or values do not allow", p.Default, p.Default)
	}
	seen := make(map[string]bool)
	for _, v := range p.Values {
		if seen[v] || v == "" {
			return fmt.Sprintf("lists the value %q twice, or an empty one", v)
		}
		seen[v] = true
	}
	compat, _ := info.Param("compat")
	for preset, v := range p.Compat {
		if !slices.Contains(compat.Values, preset) {
			return fmt.Sprintf("has a default for the preset %q, which the parameter compat does not list", preset)
		}
		if !admits(p, v) {
			return fmt.Sprintf("has the default %v for the preset %q, which its type, bounds or values do not allow", v, preset)
		}
	}
	return ""
}

// declaredNeeds rests on the runner, which refuses what is not declared.
func (k *kit) declaredNeeds() verdict {
	if k.invalid != nil {
		return skipped("there are no parameters to run it with")
	}
	if k.reference(); codeOf(k.first.err) == sdk.ECap {
		return failed("%v", k.first.err)
	}
	for _, need := range sdk.Needs() {
		covered := pointNeed(need) && slices.Contains(k.info.Needs, sdk.NeedActivations)
		if k.first.probe.used[need] && !covered && !slices.Contains(k.info.Needs, need) {
			return failed("it uses %s", need)
		}
	}
	return passed("")
}

// pointNeed reports whether the need is one of points, which NeedActivations
// covers.
func pointNeed(n sdk.Need) bool {
	return n == sdk.NeedHiddenStates || n == sdk.NeedAttentions || n == sdk.NeedEmbeddings
}
