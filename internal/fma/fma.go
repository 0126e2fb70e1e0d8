// Package fma finds floating-point arithmetic in Go source whose bits depend
// on the machine that runs it.
//
// The language lets a compiler fuse x*y + z into one instruction that rounds
// once, "possibly across statements", unless the product is explicitly
// converted (https://go.dev/ref/spec#Floating_point_operators). The gc
// compiler does so on arm64, ppc64, riscv64 and s390x, and on amd64 under
// GOAMD64=v3; it does not for WebAssembly. After inlining, the addition may
// stand in another function than the product. Hence the rule, which is
// stricter than a search for x*y + z and needs no data flow: a product of
// floats is converted to its own type, or it is itself an operand of a product,
// a quotient or a comparison, or it is converted to an integer. (A quotient by
// a constant power of two counts as a product, because it compiles to one. A
// divisor that only inlining turns into such a constant goes unseen: its
// product is exact unless it is subnormal.)
//
// Beside that, the functions of package math are Go on one machine and assembly
// on another, so only those whose result is exact or correctly rounded may be
// named.
package fma

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"math"
	"sort"
)

// Finding is one place where bits may differ between machines.
type Finding struct {
	Pos    token.Position
	Reason string // a sentence that says what to write instead
}

// String returns the position and the reason as compilers print them.
func (f Finding) String() string { return f.Pos.String() + ": " + f.Reason }

// The reasons that a Finding may give.
const (
	reasonProduct  = "this product may fuse with a sum: convert it to its own type, as in float64(x * y)"
	reasonAssign   = "*= leaves a product that may fuse with a sum: write x = float64(x * y)"
	reasonQuotient = "a quotient by a power of two compiles to a product that may fuse with a sum: convert it to its own type, as in float64(x / 2)"
	reasonComplex  = "products and quotients of complex numbers fuse inside: compute with the real and imaginary parts"
	reasonMath     = " may differ between machines: use package num, or what package math computes exactly"
)

// exact holds the functions of package math whose result IEEE 754 or the
// representation fixes, whether Go or assembly computes it.
var exact = map[string]bool{
	"Abs": true, "Ceil": true, "Copysign": true, "Float32bits": true, "Float32frombits": true,
	"Float64bits": true, "Float64frombits": true, "Floor": true, "Frexp": true, "Ilogb": true,
	"Inf": true, "IsInf": true, "IsNaN": true, "Ldexp": true, "Logb": true, "Max": true, "Min": true,
	"Mod": true, "Modf": true, "NaN": true, "Nextafter": true, "Nextafter32": true,
	"Remainder": true, "Round": true, "RoundToEven": true, "Signbit": true, "Sqrt": true, "Trunc": true,
}

// Check examines the Go packages in dir and below it, without their tests, as
// they build for linux/amd64, linux/arm64 and wasip1/wasm, and returns what it
// found in the order of files and lines. It needs the go command. An error
// says that the packages could not be listed, parsed or type-checked.
func Check(dir string) ([]Finding, error) {
	packages, err := load(dir)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	for _, p := range packages {
		for _, file := range p.files {
			w := walker{fset: p.fset, info: p.info}
			ast.Walk(&w, file)
			findings = append(findings, w.findings...)
		}
	}
	sort.SliceStable(findings, func(i, j int) bool {
		a, b := findings[i].Pos, findings[j].Pos
		if a.Filename != b.Filename {
			return a.Filename < b.Filename
		}
		return a.Offset < b.Offset
	})
	unique := findings[:0]
	for i, f := range findings {
		if i == 0 || f != unique[len(unique)-1] {
			unique = append(unique, f)
		}
	}
	return unique, nil
}

// walker visits the nodes of one file and keeps the path to the current one.
type walker struct {
	fset     *token.FileSet
	info     *types.Info
	path     []ast.Node
	findings []Finding
}

// Visit implements ast.Visitor.
func (w *walker) Visit(n ast.Node) ast.Visitor {
	if n == nil {
		w.path = w.path[:len(w.path)-1]
		return nil
	}
	w.path = append(w.path, n)
	switch n := n.(type) {
	case *ast.BinaryExpr:
		w.operation(n.OpPos, n.Op, n, n.Y)
	case *ast.AssignStmt:
		switch n.Tok {
		case token.MUL_ASSIGN:
			w.assignment(n.TokPos, token.MUL, n)
		case token.QUO_ASSIGN:
			w.assignment(n.TokPos, token.QUO, n)
		}
	case *ast.Ident:
		w.name(n)
	}
	return w
}

func (w *walker) report(pos token.Pos, reason string) {
	w.findings = append(w.findings, Finding{w.fset.Position(pos), reason})
}

// operation judges x op y.
func (w *walker) operation(pos token.Pos, op token.Token, e, y ast.Expr) {
	tv := w.info.Types[e]
	if tv.Value != nil || op != token.MUL && op != token.QUO {
		return
	}
	if has(tv.Type, types.IsComplex) {
		w.report(pos, reasonComplex)
	}
	if !has(tv.Type, types.IsFloat) || w.rounded(tv.Type) {
		return
	}
	switch {
	case op == token.MUL:
		w.report(pos, reasonProduct)
	case powerOfTwo(w.info.Types[y].Value):
		w.report(pos, reasonQuotient)
	}
}

// assignment judges x op= y.
func (w *walker) assignment(pos token.Pos, op token.Token, n *ast.AssignStmt) {
	t := w.info.Types[n.Lhs[0]].Type
	if has(t, types.IsComplex) {
		w.report(pos, reasonComplex)
	}
	switch {
	case !has(t, types.IsFloat):
	case op == token.MUL:
		w.report(pos, reasonAssign)
	case powerOfTwo(w.info.Types[n.Rhs[0]].Value):
		w.report(pos, reasonQuotient)
	}
}

// rounded reports whether the expression at the end of the path, of type t,
// is used where no sum can reach it unrounded.
func (w *walker) rounded(t types.Type) bool {
	for i := len(w.path) - 2; i >= 0; i-- {
		switch p := w.path[i].(type) {
		case *ast.ParenExpr:
		case *ast.UnaryExpr: // the sign does not round
		case *ast.BinaryExpr:
			switch p.Op {
			case token.MUL, token.QUO, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
				return true
			}
			return false
		case *ast.CallExpr:
			target := w.info.Types[p.Fun]
			return target.IsType() && (types.Identical(target.Type, t) || only(target.Type, types.IsInteger))
		default:
			return false
		}
	}
	return false
}

// name judges the mention of a function, called or not.
func (w *walker) name(id *ast.Ident) {
	f, ok := w.info.Uses[id].(*types.Func)
	if !ok || f.Pkg() == nil {
		return
	}
	switch path := f.Pkg().Path(); path {
	case "math":
		if !exact[f.Name()] {
			w.report(id.Pos(), "math."+f.Name()+reasonMath)
		}
	case "math/cmplx":
		w.report(id.Pos(), "cmplx."+f.Name()+reasonMath)
	case "math/rand", "math/rand/v2":
		if f.Name() == "NormFloat64" || f.Name() == "ExpFloat64" { // these call math.Exp and math.Log
			w.report(id.Pos(), "rand."+f.Name()+reasonMath)
		}
	}
}

// has reports whether t, or a type in the type set of the type parameter t,
// is of the kind.
func has(t types.Type, kind types.BasicInfo) bool {
	found := false
	each(t, func(b *types.Basic) { found = found || b.Info()&kind != 0 })
	return found
}

// only reports whether t, and every type in the type set of the type
// parameter t, is of the kind.
func only(t types.Type, kind types.BasicInfo) bool {
	n, all := 0, true
	each(t, func(b *types.Basic) { n, all = n+1, all && b.Info()&kind != 0 })
	return n > 0 && all
}

// each calls visit with the basic types that t stands for.
func each(t types.Type, visit func(*types.Basic)) {
	if t == nil {
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		visit(u)
	case *types.Interface: // a constraint
		for i := range u.NumEmbeddeds() {
			each(u.EmbeddedType(i), visit)
		}
	case *types.Union:
		for i := range u.Len() {
			each(u.Term(i).Type(), visit)
		}
	}
}

// powerOfTwo reports whether v is a constant by which gc divides with a product.
func powerOfTwo(v constant.Value) bool {
	if v == nil {
		return false
	}
	v = constant.ToFloat(v)
	if v.Kind() != constant.Float {
		return false
	}
	f, _ := constant.Float64Val(v)
	fraction, _ := math.Frexp(math.Abs(f))
	return fraction == 0.5
}
