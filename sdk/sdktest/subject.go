package sdktest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/xai-go/xai/sdk"
)

// Subject is a method under test, whatever runs it. It may implement Verifier,
// Describer, ParamReader, Instancer, Limiter and Granter; checks that need one
// which it does not have are skipped. It is safe for concurrent use.
type Subject interface {
	// Info describes the method.
	Info() sdk.Info
	// Explain runs the method once, on a fresh instance where methods have
	// instances, held to the needs that Info declares. The kit checks what it
	// returns, so that Explain need not.
	Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, Usage, error)
}

// Usage is what one run took. What is not known is 0.
type Usage struct {
	Fuel        int64 // instructions
	MemoryBytes int64 // of the instance at its end
	HostCalls   int64
	Handles     int64 // that the host gave to the method
	OpenHandles int64 // that the method has not freed, results not counted
}

// Verifier is a Subject whose code can be checked without running it.
type Verifier interface {
	Verify(ctx context.Context) error
}

// Describer is a Subject that carries descriptions of its method: in the module's
// section "xai.method", and as its export xai_describe returns it. One that is
// not there is nil.
type Describer interface {
	Describe(ctx context.Context) (section, export []byte, err error)
}

// ParamReader is a Subject that reads parameters as users type them. It refuses
// those that the method does not declare, and values that its declaration does
// not allow; the others have their defaults.
type ParamReader interface {
	Params(given map[string]string) (sdk.Params, error)
}

// Instancer is a Subject that can be made anew: loaded, compiled or constructed
// again. Close, where the new one has it, ends it.
type Instancer interface {
	Instance(ctx context.Context) (Subject, error)
}

// Limits bound one run. A field that is 0 stands for the Subject's own bound.
type Limits struct {
	Fuel int64
}

// Limiter is a Subject that counts instructions.
type Limiter interface {
	ExplainWithin(ctx context.Context, m sdk.Model, r *sdk.Request, l Limits) (*sdk.Explanation, Usage, error)
}

// Granter is a Subject that can run the method with fewer needs than it declares.
type Granter interface {
	ExplainGranted(ctx context.Context, m sdk.Model, r *sdk.Request, needs []sdk.Need) (*sdk.Explanation, Usage, error)
}

// Method returns the method as a Subject that runs it in process, under the
// contract of a module: its declared needs, its random stream, a panic as an
// error. It has no instances; Constructor has.
func Method(m sdk.Method) Subject { return &inProcess{method: m} }

// Constructor returns a Subject in process that makes a method for each run.
func Constructor(fresh func() sdk.Method) Subject {
	return &constructed{inProcess{method: fresh(), fresh: fresh}}
}

// inProcess runs a method in process.
type inProcess struct {
	method sdk.Method
	fresh  func() sdk.Method // nil where one value serves all runs
}

// constructed is one that can be made anew.
type constructed struct{ inProcess }

// Instance implements Instancer.
func (s *constructed) Instance(context.Context) (Subject, error) { return Constructor(s.fresh), nil }

// Info implements Subject.
func (s *inProcess) Info() sdk.Info { return s.method.Info() }

// Params implements ParamReader.
func (s *inProcess) Params(given map[string]string) (sdk.Params, error) {
	return Params(s.method.Info(), given)
}

// Explain implements Subject.
func (s *inProcess) Explain(ctx context.Context, m sdk.Model, r *sdk.Request) (*sdk.Explanation, Usage, error) {
	return s.ExplainGranted(ctx, m, r, s.method.Info().Needs)
}

// ExplainGranted implements Granter.
func (s *inProcess) ExplainGranted(ctx context.Context, m sdk.Model, r *sdk.Request, needs []sdk.Need) (e *sdk.Explanation, u Usage, err error) {
	if err := ctx.Err(); err != nil {
		return nil, u, err
	}
	method := s.method
	if s.fresh != nil {
		method = s.fresh()
	}
	defer func() {
		if v := recover(); v != nil {
			e, err = nil, sdk.Recovered(v)
		}
		if err != nil {
			e = nil
			if ended := ctx.Err(); ended != nil {
				err = ended
			}
		}
	}()
	e, err = method.Explain(ctx, &guard{m, needs}, complete(r, method.Info().Name))
	if e == nil && err == nil {
		err = sdk.NewError(sdk.EInternal, "the method returned neither an explanation nor an error")
	}
	return e, u, err
}

// complete returns a copy of r in which Rand, Progress and Log are set.
func complete(r *sdk.Request, method string) *sdk.Request {
	c := *r
	if c.Rand == nil {
		c.Rand = randomBytes(r.Seed, method)
	}
	if c.Progress == nil {
		c.Progress = func(int, int) error { return nil }
	}
	if c.Log == nil {
		c.Log = func(sdk.Level, string) {}
	}
	return &c
}

// randomBytes returns the random stream of a run, as docs/ABI.md defines it.
func randomBytes(seed uint64, method string) io.Reader {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	key = binary.LittleEndian.AppendUint64(key, uint64(len(method)))
	sum := sha256.Sum256(append(key, method+"method"...))
	return &random{pcg: rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:]))}
}

// random gives the outputs of a generator as bytes.
type random struct {
	pcg    *rand.PCG
	unread []byte
}

// Read implements io.Reader.
func (r *random) Read(b []byte) (int, error) {
	for done := 0; done < len(b); {
		if len(r.unread) == 0 {
			r.unread = binary.LittleEndian.AppendUint64(r.unread[:0], r.pcg.Uint64())
		}
		n := copy(b[done:], r.unread)
		r.unread = r.unread[n:]
		done += n
	}
	return len(b), nil
}

// guard is a model of which a method has the powers that were granted.
type guard struct {
	sdk.Model
	needs []sdk.Need
}

// pointer is a model that says what its points need, as the host asks for it.
type pointer interface {
	PointNeeds(name string) ([]sdk.Need, error)
}

// granted returns ECAP unless a need was granted.
func (g *guard) granted(need sdk.Need, what string) error {
	if slices.Contains(g.needs, need) {
		return nil
	}
	return sdk.NewError(sdk.ECap, "the method "+what+" without the need "+strconv.Quote(string(need))+", which its declaration must name")
}

// allows returns ECAP unless all that a call uses was granted.
func (g *guard) allows(need sdk.Need, what string, f *sdk.Forward, wrt []string) error {
	if err := g.granted(need, what); err != nil || f == nil {
		return err
	}
	for _, used := range fieldNeeds(f) {
		if err := g.granted(used, "uses "+string(used)); err != nil {
			return err
		}
	}
	if slices.Contains(g.needs, sdk.NeedActivations) { // which covers every point
		return nil
	}
	return eachPoint(f, wrt, func(name string, free sdk.Need) error {
		needs, err := pointNeeds(g.Model, name)
		if err != nil {
			return err
		}
		for _, used := range needs {
			if used == free {
				continue
			}
			if err := g.granted(used, "uses "+string(used)); err != nil {
				return err
			}
		}
		return nil
	})
}

// needsOf returns what a forward, or a gradient, uses beside its own need.
func needsOf(m sdk.Model, f *sdk.Forward, wrt []string) []sdk.Need {
	used := fieldNeeds(f)
	_ = eachPoint(f, wrt, func(name string, free sdk.Need) error {
		needs, _ := pointNeeds(m, name) // the model refuses a name that does not exist
		used = append(used, slices.DeleteFunc(needs, func(n sdk.Need) bool { return n == free })...)
		return nil
	})
	return used
}

// fieldNeeds returns what the fields of a forward need, its points left out.
func fieldNeeds(f *sdk.Forward) (needs []sdk.Need) {
	if f.Embeds != nil {
		needs = append(needs, sdk.NeedEmbeddings)
	}
	if len(f.Edits) > 0 {
		needs = append(needs, sdk.NeedPatch)
	}
	return needs
}

// eachPoint visits the names of points in order, until an error. The need free
// costs nothing there: the gradient at the embeddings has none of its own.
func eachPoint(f *sdk.Forward, wrt []string, visit func(name string, free sdk.Need) error) error {
	for _, name := range f.Points {
		if err := visit(name, ""); err != nil {
			return err
		}
	}
	for _, name := range wrt {
		if err := visit(name, sdk.NeedEmbeddings); err != nil {
			return err
		}
	}
	return nil
}

// pointNeeds returns what the points need that a name stands for. Where the model
// does not say it, it is what the host takes it for.
func pointNeeds(m sdk.Model, name string) ([]sdk.Need, error) {
	if p, ok := m.(pointer); ok {
		return p.PointNeeds(name)
	}
	if name == string(sdk.NeedEmbeddings) {
		return []sdk.Need{sdk.NeedEmbeddings}, nil
	}
	return []sdk.Need{sdk.NeedActivations}, nil
}

// Forward implements sdk.Model.
func (g *guard) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	if err := g.allows(sdk.NeedForward, "asks for a forward", f, nil); err != nil {
		return nil, err
	}
	return g.Model.Forward(ctx, f)
}

// Gradient implements sdk.Differentiable.
func (g *guard) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	if err := g.allows(sdk.NeedGradients, "asks for gradients", f, wrt); err != nil {
		return nil, err
	}
	return sdk.Gradient(ctx, g.Model, f, wrt...)
}

// Generate implements sdk.Generator.
func (g *guard) Generate(ctx context.Context, x *sdk.Generation) (*sdk.Continuation, error) {
	if err := g.granted(sdk.NeedGenerate, "generates text"); err != nil {
		return nil, err
	}
	return sdk.Generate(ctx, g.Model, x)
}

// Tokenize implements sdk.Tokenizer.
func (g *guard) Tokenize(ctx context.Context, text string) ([]sdk.Token, error) {
	if err := g.granted(sdk.NeedTokenize, "cuts a text into tokens"); err != nil {
		return nil, err
	}
	return sdk.Tokenize(ctx, g.Model, text)
}
