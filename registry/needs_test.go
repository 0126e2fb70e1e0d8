package registry

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The registry is a leaf and imports no sdk, so that the needs which a method
// may declare are read from its source.
func TestNeedsAreThoseOfSDK(t *testing.T) {
	f, err := goparser.ParseFile(token.NewFileSet(), filepath.Join("..", "sdk", "method.go"), nil, goparser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, "Need") || len(v.Values) != 1 {
			return true
		}
		if literal, ok := v.Values[0].(*ast.BasicLit); ok {
			need, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, need)
		}
		return true
	})
	if len(want) == 0 || !slices.Equal(needs, want) {
		t.Errorf("the registry knows the needs %q and sdk %q", needs, want)
	}
}
