package sdktest

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/xai-go/xai/sdk"
	"github.com/xai-go/xai/sdk/abi"
)

// probe is a model, and what the kit sees of a run: it counts the calls of the
// host, may fail or cancel one, and remembers what the method used and reported.
// It is safe for concurrent use.
type probe struct {
	sdk.Model
	// before is asked ahead of each call, which counts from 1, and may fail it.
	before func(call int, name string) error

	mu       sync.Mutex
	calls    []string // the names of all calls
	used     map[sdk.Need]bool
	progress []report
	logged   int    // bytes
	logging  string // what is wrong with a line
}

// report is one report of progress.
type report struct{ done, total int }

var (
	_ sdk.Differentiable = (*probe)(nil)
	_ sdk.Generator      = (*probe)(nil)
	_ sdk.Tokenizer      = (*probe)(nil)
)

// call counts a call and what it uses.
func (p *probe) call(name string, needs ...sdk.Need) error {
	p.mu.Lock()
	p.calls = append(p.calls, name)
	n := len(p.calls)
	for _, need := range needs {
		if p.used == nil {
			p.used = make(map[sdk.Need]bool)
		}
		p.used[need] = true
	}
	p.mu.Unlock()
	if p.before == nil {
		return nil
	}
	return p.before(n, name)
}

func (p *probe) needs(own sdk.Need, f *sdk.Forward, wrt []string) []sdk.Need {
	if f == nil {
		return []sdk.Need{own}
	}
	return append(needsOf(p.Model, f, wrt), own)
}

// Forward implements sdk.Model.
func (p *probe) Forward(ctx context.Context, f *sdk.Forward) (sdk.Reply, error) {
	if err := p.call("forward", p.needs(sdk.NeedForward, f, nil)...); err != nil {
		return nil, err
	}
	return p.reply(p.Model.Forward(ctx, f))
}

// Gradient implements sdk.Differentiable.
func (p *probe) Gradient(ctx context.Context, f *sdk.Forward, wrt []string) (sdk.Reply, error) {
	if err := p.call("grad", p.needs(sdk.NeedGradients, f, wrt)...); err != nil {
		return nil, err
	}
	return p.reply(sdk.Gradient(ctx, p.Model, f, wrt...))
}

// Generate implements sdk.Generator.
func (p *probe) Generate(ctx context.Context, g *sdk.Generation) (*sdk.Continuation, error) {
	if err := p.call("generate", sdk.NeedGenerate); err != nil {
		return nil, err
	}
	return sdk.Generate(ctx, p.Model, g)
}

// Tokenize implements sdk.Tokenizer.
func (p *probe) Tokenize(ctx context.Context, text string) ([]sdk.Token, error) {
	if err := p.call("tokenize", sdk.NeedTokenize); err != nil {
		return nil, err
	}
	return sdk.Tokenize(ctx, p.Model, text)
}

// PointNeeds is how the host asks what a point needs.
func (p *probe) PointNeeds(name string) ([]sdk.Need, error) {
	return p.Model.(pointer).PointNeeds(name)
}

func (p *probe) reply(r sdk.Reply, err error) (sdk.Reply, error) {
	if err != nil {
		return nil, err
	}
	return &tapped{r, p}, nil
}

// tapped is a reply whose tensors are calls of the host.
type tapped struct {
	sdk.Reply
	probe *probe
}

// Tensor implements sdk.Reply.
func (t *tapped) Tensor(name string, index int) (*sdk.Tensor, error) {
	if err := t.probe.call("reply_get"); err != nil {
		return nil, err
	}
	return t.Reply.Tensor(name, index)
}

// Bytes is what the host asks a reply for.
func (t *tapped) Bytes() int64 {
	if r, ok := t.Reply.(interface{ Bytes() int64 }); ok {
		return r.Bytes()
	}
	return 0
}

// report is the request's Progress.
func (p *probe) report(ctx context.Context, done, total int) error {
	p.mu.Lock()
	p.progress = append(p.progress, report{done, total})
	p.mu.Unlock()
	if err := p.call("progress"); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return sdk.NewError(sdk.ECancelled, "the run was cancelled")
	}
	return nil
}

// log is the request's Log.
func (p *probe) log(_ sdk.Level, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logged += len(line) + 1
	switch {
	case len(line) > abi.MaxMessage:
		p.logging = "a line of " + strconv.Itoa(len(line)) + " bytes, of which the host keeps " + strconv.Itoa(abi.MaxMessage)
	case !utf8.ValidString(line) || strings.ContainsAny(line, "\n\r\x1b\x00"):
		p.logging = "the line " + strconv.QuoteToASCII(line) + ", which is not one line of text"
	}
}

// backwards returns what is wrong with the reports of progress, empty where
// nothing is.
func (p *probe) backwards() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.progress {
		text := strconv.Itoa(r.done) + " of " + strconv.Itoa(r.total)
		if r.done < 0 || r.total < 0 || r.done > r.total {
			return "progress of " + text
		}
		if i > 0 && r.total == p.progress[i-1].total && r.done < p.progress[i-1].done {
			return "progress of " + text + " after " + strconv.Itoa(p.progress[i-1].done)
		}
	}
	return ""
}
