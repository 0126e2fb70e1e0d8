// Package shap explains a prediction by Shapley values: what a unit of the input
// adds to the target, averaged over the coalitions of other units that it may join.
//
// Five methods compute or estimate them. Exact evaluates every coalition. Kernel
// fits an additive model by weighted least squares (Lundberg and Lee, "A Unified
// Approach to Interpreting Model Predictions", NeurIPS 2017). Permutation and
// Sampling average over random orders (Castro, Gómez and Tejada, "Polynomial
// calculation of the Shapley value based on sampling", Comput. Oper. Res. 36, 2009;
// Štrumbelj and Kononenko, "Explaining prediction models and individual predictions
// with feature contributions", Knowl. Inf. Syst. 41, 2014). Partition computes Owen
// values, in which units join as parts of a hierarchy of the text.
//
// Every coalition is evaluated once in an explanation, and those of one round in one
// forward of the host. Values add up to the target's value minus its baseline, which
// is the target with every unit dropped.
package shap

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"strconv"

	"github.com/xai-go/xai/plugins/internal/game"
	"github.com/xai-go/xai/sdk"
)

const version = "1.0.0"

// Methods returns the methods of the family.
func Methods() []sdk.Method {
	return []sdk.Method{Exact{}, Kernel{}, Partition{}, Permutation{}, Sampling{}}
}

// The names of parameters that several of the methods have.
const (
	paramCompat     = "compat"
	paramNumSamples = "num_samples"
	paramMaxEvals   = "max_evals"
)

// The references that the methods replay.
const (
	compatNone   = "none"
	compatSHAP   = "shap"
	compatCaptum = "captum"
)

// The bounds of a run. They keep what an explanation remembers of its coalitions
// within the module's memory: a byte a coalition and player, and some 200 bytes a
// coalition beside that.
const (
	maxPlayers = 2000
	maxEvals   = 1 << 20
	maxCells   = 1 << 26 // coalitions × players
	// maxPatient is how many coalitions are evaluated for max_stderr unless the user says.
	maxPatient = 100_000
	// maxOutputs is how many classes an explanation can look at beside the target.
	maxOutputs = game.MaxTopLabels
	// maxWorth bounds what is remembered of them: a float64 a coalition and output.
	maxWorth = 1 << 24
)

// The rows of a problem that it has from the beginning.
const (
	empty = 0 // the coalition of nobody
	full  = 1 // that of all
)

// players are the units that form coalitions: a game, or the segments of the
// reference's masker of texts.
type players interface {
	// Forward evaluates coalitions, row-major: 1 for a player that takes part.
	Forward(ctx context.Context, keep []uint8) (sdk.Reply, error)
	// Explanation attributes values to the players.
	Explanation(values, stderr []float64) *sdk.Explanation
}

// problem is the game of one explanation with what is known of it: the worth of
// coalitions of n players, by the target and by classes beside it.
type problem struct {
	players
	n       int
	fixed   []bool // players that take part in every coalition; nil for none
	unseen  []bool // those of whom the reference thinks so, and drops them all the same; nil for none
	request *sdk.Request

	known map[string]int // coalition, a bit a player → row
	masks []uint8        // [rows,n], those not evaluated yet last

	labels  int       // how many classes to look at beside the target; −1 for all
	classes []int     // those, the most probable first
	shown   int       // how many of them to explain
	width   int       // numbers of a row: the target and the classes
	worth   []float64 // [rows,width], of the rows that are evaluated
}

// newProblem returns the problem of a request with n players, of whom those that are
// fixed take part in every coalition. It is an *sdk.Error of code EInvalid where there are more
// than a method can take.
func newProblem(p players, n int, fixed []bool, r *sdk.Request, most int) (*problem, error) {
	if n > most {
		return nil, invalid("the input has " + strconv.Itoa(n) + " units and the method takes at most " + strconv.Itoa(most) +
			": use coarser units (--units sentence) or a shorter text")
	}
	g := &problem{players: p, n: n, fixed: fixed, request: r, known: map[string]int{}, labels: r.Params.Int(game.ParamTopLabels)}
	g.shown = g.labels
	if g.labels != 0 && r.Target.Kind == sdk.KindRegression {
		return nil, invalid("top_labels needs a classifier and the target is a regression: leave it out")
	}
	g.row(make([]uint8, n))
	if all := slices.Repeat([]uint8{1}, n); g.row(all) == empty { // where all are fixed
		g.masks = append(g.masks, all...)
	}
	return g, nil
}

// key returns a coalition with a bit a player; fixed ones are always there.
func (g *problem) key(mask []uint8) string {
	b := make([]byte, (g.n+7)/8)
	for i, k := range mask {
		if g.fixed != nil && g.fixed[i] {
			k = 1
		}
		b[i/8] |= k << (i % 8)
	}
	return string(b)
}

// varying returns the players that are not fixed.
func (g *problem) varying() []int {
	var varying []int
	for i := range g.n {
		if g.fixed == nil || !g.fixed[i] {
			varying = append(varying, i)
		}
	}
	return varying
}

// most returns how many coalitions there are, or a number above maxEvals where they
// are more.
func (g *problem) most() int { return 1 << min(len(g.varying()), bits.Len(maxEvals)) }

// has reports whether the coalition has a row.
func (g *problem) has(mask []uint8) bool {
	_, ok := g.known[g.key(mask)]
	return ok
}

// row returns the row of a coalition, a new one unless it has one. New rows have no
// worth before run.
func (g *problem) row(mask []uint8) int {
	k := g.key(mask)
	row, ok := g.known[k]
	if !ok {
		row = len(g.known)
		g.known[k] = row
		g.masks = append(g.masks, mask...)
	}
	return row
}

// forget removes the rows from some on, which were not evaluated.
func (g *problem) forget(from int) {
	for row := from; row < g.rows(); row++ {
		delete(g.known, g.key(g.mask(row)))
	}
	g.masks = g.masks[:from*g.n]
}

// rows returns how many coalitions have a row.
func (g *problem) rows() int { return len(g.masks) / g.n }

// mask returns the coalition of a row.
func (g *problem) mask(row int) []uint8 { return g.masks[row*g.n : (row+1)*g.n] }

// at returns the worth of a row by output c: 0 is the target, c > 0 is
// classes[c-1].
func (g *problem) at(row, c int) float64 { return g.worth[row*g.width+c] }

// delta returns what all are worth beyond nobody.
func (g *problem) delta(c int) float64 { return g.at(full, c) - g.at(empty, c) }

// run evaluates the new rows, in one forward.
func (g *problem) run(ctx context.Context) error {
	done := 0
	if g.width > 0 {
		done = len(g.worth) / g.width
	}
	n := g.rows() - done
	if n == 0 {
		return nil
	}
	reply, err := g.Forward(ctx, g.masks[done*g.n:])
	if err != nil {
		return err
	}
	target, err := game.Column(reply, sdk.ReplyTarget, n)
	if err != nil {
		return err
	}
	if g.labels == 0 {
		g.width = 1
		g.worth = append(g.worth, target...)
		return ctx.Err()
	}
	outputs, count, err := game.Classes(reply, g.request.Target, n)
	if err != nil {
		return err
	}
	if g.width == 0 {
		if g.labels < 0 && count > maxOutputs {
			g.labels = g.shown
		}
		g.classes = game.Largest(outputs[full*count:(full+1)*count], g.labels)
		g.width = 1 + len(g.classes)
	}
	if g.rows() > maxWorth/g.width {
		return invalid(strconv.Itoa(g.rows()) + " coalitions and " + strconv.Itoa(g.width) + " outputs of each do not fit into memory: lower top_labels or the number of coalitions")
	}
	for i, v := range target {
		g.worth = append(g.worth, v)
		for _, class := range g.classes {
			g.worth = append(g.worth, outputs[i*count+class])
		}
	}
	return ctx.Err()
}

// lookAtAll evaluates the first two coalitions, and has all classes looked at beside
// the target from then on, unless they are too many.
func (g *problem) lookAtAll(ctx context.Context) error {
	kind := g.request.Target.Kind
	if kind != sdk.KindRegression {
		g.labels = -1
	}
	err := g.run(ctx)
	if errors.Is(err, &sdk.Error{Code: sdk.EUnsupported}) && kind != sdk.KindClass && kind != sdk.KindRegression {
		return sdk.NewError(sdk.EUnsupported, "compat=shap looks at the outputs of all classes, as the reference does, and a target of kind "+kind+" has none: use compat=none")
	}
	return err
}

// estimate is what a method finds for one output.
type estimate struct {
	values      []float64
	stderr      []float64 // nil where nothing was sampled; NaN of what a selection left out
	diagnostics []sdk.Diagnostic
}

// worst returns the largest standard error, 0 where there are none.
func (e estimate) worst() float64 {
	worst := 0.0
	for _, v := range e.stderr {
		if v > worst { // not max: what was left out has NaN
			worst = v
		}
	}
	return worst
}

// explanation returns the explanation that holds an estimate for the target, and for
// each class beside it.
func (g *problem) explanation(find func(c int) (estimate, error)) (*sdk.Explanation, error) {
	var e *sdk.Explanation
	weight := g.kernel()
	for c := range 1 + min(g.shown, len(g.classes)) {
		found, err := find(c)
		if err != nil {
			return nil, err
		}
		one := g.Explanation(found.values, found.stderr)
		value := g.at(full, c)
		prefix := ""
		if c == 0 {
			e = one
			e.Baseline = &g.worth[empty]
			value = g.request.Target.Value
		} else {
			name := sdk.ClassName(g.classes[c-1])
			prefix = name + "."
			one.Attributions[0].Name = name
			e.Attributions = append(e.Attributions, one.Attributions[0])
		}
		diagnostics := []sdk.Diagnostic{
			game.Gap(found.values, value, g.at(empty, c)),
			{Name: "r2", Value: game.R2(found.values, g.at(empty, c), len(weight), func(i int) ([]uint8, float64, float64) { return g.mask(i), g.at(i, c), weight[i] })},
		}
		if found.stderr != nil {
			diagnostics = append(diagnostics, game.Certain(found.values, found.stderr)...)
		}
		if c > 0 {
			diagnostics = append(diagnostics, sdk.Diagnostic{Name: "baseline", Value: g.at(empty, c)})
		}
		for _, d := range append(diagnostics, found.diagnostics...) {
			e.Diagnostics = append(e.Diagnostics, sdk.Diagnostic{Name: prefix + d.Name, Value: d.Value})
		}
	}
	return e, nil
}

// kernel returns the weight of each row that is evaluated, with which Shapley values
// are the best additive model of all coalitions between nobody and all: a size s of n
// players that may leave has 1/(s·(n−s)), in equal parts of the coalitions of that size
// that are there.
func (g *problem) kernel() []float64 {
	varying := g.varying()
	n := len(varying)
	weight := make([]float64, len(g.worth)/g.width)
	size := make([]int, len(weight))
	count := make([]float64, n+1)
	for row := range size {
		mask := g.mask(row)
		for _, i := range varying {
			size[row] += int(mask[i])
		}
		count[size[row]]++
	}
	for row, s := range size {
		if 0 < s && s < n {
			weight[row] = 1 / float64(float64(s*(n-s))*count[s])
		}
	}
	return weight
}

// only returns the estimate of a game in which at most one player is not fixed, to
// whom everything is due.
func (g *problem) only(c int) estimate {
	e := estimate{values: make([]float64, g.n)}
	for _, i := range g.varying() {
		e.values[i] = g.delta(c)
	}
	return e
}

// patient returns how many coalitions to evaluate at most where usual is the default:
// more under max_stderr, as far as there is room for them.
func (g *problem) patient(usual, room int) int {
	return game.Most(g.request.Params, usual, min(room, maxPatient, maxCells/g.n, maxWorth/(1+max(g.labels, 0))))
}

// fits refuses coalitions that do not fit into memory, where not all that there are
// do. They are bounded by a parameter.
func (g *problem) fits(evals int, parameter string) error {
	if most := min(maxEvals, maxCells/g.n); min(evals, g.most()) > most {
		return invalid(strconv.Itoa(evals) + " coalitions of " + strconv.Itoa(g.n) + " units do not fit into memory, and " + strconv.Itoa(most) +
			" do: lower " + parameter + ", or use coarser units (--units sentence)")
	}
	return nil
}

func invalid(message string) *sdk.Error { return sdk.NewError(sdk.EInvalid, message) }

// internal wraps an error of the arithmetic.
func internal(err error) error { return sdk.NewError(sdk.EInternal, err.Error()) }

// params returns a method's parameters: the preset, its own, and those that all
// methods have.
func params(presets []string, doc string, own ...sdk.Param) []sdk.Param {
	all := []sdk.Param{{
		Name: paramCompat, Type: sdk.Enum, Default: compatNone, Values: append([]string{compatNone}, presets...), Doc: doc,
	}}
	all = append(all, own...)
	all = append(all, game.TopLabels())
	return append(all, game.Params()...)
}
