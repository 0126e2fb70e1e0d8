package abi_test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xai-go/xai/sdk"
)

// row is a row of a table of docs/ABI.md that ends with the name of a constant.
type row struct{ value, name string }

// documented returns those rows by constant.
func documented(t *testing.T) map[string]row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "ABI.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]row{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) != 4 {
			continue
		}
		name, ok := strings.CutPrefix(strings.TrimSpace(cells[3]), "`")
		if !ok {
			continue
		}
		name = strings.TrimSuffix(name, "`")
		if _, twice := rows[name]; twice {
			t.Errorf("docs/ABI.md has %s twice", name)
		}
		rows[name] = row{strings.Trim(strings.TrimSpace(cells[0]), "`"), strings.TrimSpace(cells[1])}
	}
	return rows
}

// declared returns the constants of this package's sources with their values.
func declared(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, file := range []string{"abi.go", "request.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				name := spec.Names[0].Name
				if len(spec.Values) != 1 {
					t.Fatalf("%s has no value of its own, so that the order of the source would be the ABI", name)
				}
				if name == "Version" || name == "Namespace" || strings.HasPrefix(name, "Export") {
					continue // of Major and Minor; pinned by TestNames
				}
				v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, types.ExprString(spec.Values[0]))
				if err != nil {
					t.Fatal(err)
				}
				values[name] = v.Value.ExactString()
				if v.Value.Kind() == constant.String {
					values[name] = constant.StringVal(v.Value)
				}
			}
		}
	}
	return values
}

func TestConstantsAreTheDocumented(t *testing.T) {
	want := map[string]string{}
	for name, r := range documented(t) {
		if !strings.HasPrefix(name, "sdk.") {
			want[name] = r.value
		}
	}
	if len(want) < 40 {
		t.Fatalf("docs/ABI.md has tables of %d constants", len(want))
	}
	if diff := cmp.Diff(want, declared(t)); diff != "" {
		t.Errorf("the package differs from docs/ABI.md (-docs +package):\n%s", diff)
	}
}

func TestCodesOfSDKAreTheDocumented(t *testing.T) {
	want := map[string]row{}
	for name, r := range documented(t) {
		if rest, ok := strings.CutPrefix(name, "sdk."); ok {
			want[rest] = r
		}
	}
	got := map[string]row{}
	add := func(name string, value int, text string) { got[name] = row{strconv.Itoa(value), text} }
	for name, code := range map[string]sdk.Errno{
		"EInvalid": sdk.EInvalid, "EHandle": sdk.EHandle, "ECap": sdk.ECap, "EFault": sdk.EFault, "ERange": sdk.ERange, "ENoMem": sdk.ENoMem,
		"EQuota": sdk.EQuota, "ECancelled": sdk.ECancelled, "EUnsupported": sdk.EUnsupported, "EInternal": sdk.EInternal, "EName": sdk.EName,
	} {
		add(name, int(code), code.String())
	}
	for name, d := range map[string]sdk.DType{"U8": sdk.U8, "I32": sdk.I32, "I64": sdk.I64, "F32": sdk.F32, "F64": sdk.F64, "BF16": sdk.BF16} {
		add(name, int(d), d.String())
	}
	for name, k := range map[string]sdk.FillKind{
		"FillMask": sdk.FillMask, "FillPad": sdk.FillPad, "FillDelete": sdk.FillDelete, "FillZero": sdk.FillZero, "FillText": sdk.FillText, "FillToken": sdk.FillToken,
		"FillHide": sdk.FillHide, "FillAverage": sdk.FillAverage,
	} {
		add(name, int(k), k.String())
	}
	for name, o := range map[string]sdk.EditOp{"EditReplace": sdk.EditReplace, "EditZero": sdk.EditZero, "EditMean": sdk.EditMean, "EditAdd": sdk.EditAdd, "EditScale": sdk.EditScale} {
		add(name, int(o), o.String())
	}
	for name, r := range map[string]sdk.Rule{"RuleGradient": sdk.RuleGradient, "RuleLRPAlpha1": sdk.RuleLRPAlpha1} {
		add(name, int(r), r.String())
	}
	for name, l := range map[string]sdk.Level{"Debug": sdk.Debug, "Note": sdk.Note, "Warning": sdk.Warning} {
		add(name, int(l), strings.ToLower(name))
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("sdk differs from docs/ABI.md (-docs +sdk):\n%s", diff)
	}
	if sdk.Errno(-12).String() != "EUNKNOWN" || sdk.DType(6).String() != "unknown" || sdk.FillKind(8).Known() || sdk.FillKind(8).String() != "unknown" || sdk.Rule(2).Known() || sdk.Rule(2).String() != "unknown" {
		t.Error("sdk has a code that docs/ABI.md does not have")
	}
}
