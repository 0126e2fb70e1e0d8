package tape

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/xai-go/xai/engine/arch"
	_ "github.com/xai-go/xai/engine/arch/bert"
	_ "github.com/xai-go/xai/engine/arch/gpt2"
	_ "github.com/xai-go/xai/engine/arch/xlnet"
	"github.com/xai-go/xai/engine/checkpoint"
	"github.com/xai-go/xai/engine/internal/parallel"
	"github.com/xai-go/xai/engine/point"
	"github.com/xai-go/xai/engine/result"
	"github.com/xai-go/xai/internal/golden"
)

// load opens a model of the golden cases.
func loadGolden(t *testing.T, model string, dtype arch.DType) (Network, *arch.Architecture) {
	t.Helper()
	c, err := checkpoint.Open(golden.ModelFS(t, model))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	modelType, err := c.Config.ModelType()
	if err != nil {
		t.Fatal(err)
	}
	describe, err := arch.Lookup(modelType)
	if err != nil {
		t.Fatal(err)
	}
	a, err := describe(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	a.Info.DType = dtype
	n, err := Open(t.Context(), c, a, dtype)
	if err != nil {
		t.Fatal(err)
	}
	return n, a
}

// heldBy returns the bytes of the arrays behind all slices of a value.
func heldBy(v reflect.Value) (n int64) {
	switch v.Kind() {
	case reflect.Slice:
		n = int64(v.Cap()) * int64(v.Type().Elem().Size())
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Slice {
			whole := v.Slice(0, v.Cap())
			for i := range whole.Len() {
				n += heldBy(whole.Index(i))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			n += heldBy(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			n += heldBy(v.Index(i))
		}
	}
	return n
}

// workload is a batch with a request on it.
type workload struct {
	lengths  []int
	memory   int // rows of each sequence
	targets  int // of each sequence
	past     int // tokens before each sequence
	reads    int // of each sequence; all where it is 0
	gradient string
	again    bool // recompute
	rule     Rule
	threads  int
}

// batch returns the batch of a workload and its request.
func (w workload) batch(n Network, info arch.Info) (Batch, *Request) {
	form := arch.Form{Memory: w.memory > 0, Targets: w.targets > 0}
	req := &Request{Form: form, Logits: true, AllReads: w.reads == 0, Recompute: w.again, Rule: w.rule}
	for _, p := range n.Graph(form).Points {
		if p.Name == w.gradient {
			s := point.Selection{Name: p.Name, Point: p}
			for range p.Axes {
				s.Ranges = append(s.Ranges, point.All)
			}
			req.Gradients = append(req.Gradients, s)
		}
	}
	b := Batch{Starts: []int{0}}
	if w.memory > 0 {
		b.MemoryStarts = []int{0}
	}
	for i, length := range w.lengths {
		for t := range length {
			b.IDs = append(b.IDs, int32(5+t%20))
			b.PositionIDs = append(b.PositionIDs, int32(t%20))
		}
		b.Starts = append(b.Starts, len(b.IDs))
		first := func(n int) (all []int) {
			for t := range min(n, length) {
				all = append(all, t)
			}
			return all
		}
		if w.targets > 0 {
			b.Targets = append(b.Targets, first(w.targets))
		}
		if w.reads > 0 {
			b.Reads = append(b.Reads, first(w.reads))
		}
		if w.memory > 0 {
			b.MemoryStarts = append(b.MemoryStarts, (i+1)*w.memory)
		}
	}
	if w.memory > 0 {
		for range info.Layers {
			b.Memories = append(b.Memories, make([]float32, w.memory*len(w.lengths)*info.Hidden))
		}
	}
	return b, req
}

// output returns room for the results of a request.
func output(info arch.Info, b Batch, req *Request) *result.Output {
	out := &result.Output{Starts: []int{0}, Classes: info.Outputs, Objectives: make([]float64, b.Sequences())}
	for i := range b.Sequences() {
		n := b.Starts[i+1] - b.Starts[i]
		switch {
		case b.Targets != nil:
			n = len(b.Targets[i])
		case b.Reads != nil:
			n = len(b.Reads[i])
		}
		out.Starts = append(out.Starts, out.Starts[i]+n)
	}
	out.Logits = result.NewTensor(info.DType, out.Starts[b.Sequences()], info.Outputs)
	for _, g := range req.Gradients {
		a := result.Activation{Selection: g}
		for i := range b.Sequences() {
			n := b.Starts[i+1] - b.Starts[i]
			if g.Point.Axes[0].Letter != "B" {
				n = 2 * n * b.Sequences() // relative positions; more than there are
			}
			width := 1
			for _, axis := range g.Point.Axes {
				width *= max(axis.Size, 1)
			}
			a.Sequences = append(a.Sequences, result.NewTensor(info.DType, n, width))
		}
		out.Gradients = append(out.Gradients, a)
	}
	return out
}

// TestBytes: a runner holds no more memory than its program said, over sizes,
// with gradients, relative positions, memories and what was kept of earlier
// tokens, whatever plan it served before; and the figure is not far above.
func TestBytes(t *testing.T) {
	objective := func(_ int, x, grad []float64) float64 {
		for i := range grad {
			grad[i] = 1
		}
		return 0
	}
	many := make([]int, 70)
	for i := range many {
		many[i] = 1 + i%3
	}
	for model, workloads := range map[string][]workload{
		"bert-seqcls": {
			{lengths: []int{20, 3, 1}, reads: 1, threads: 1},
			{lengths: []int{220}, reads: 1, threads: 2},
			{lengths: []int{220}, reads: 1, gradient: "hook_embed", threads: 2},
			{lengths: []int{220}, reads: 1, gradient: "hook_embed", again: true, threads: 1},
			{lengths: many, reads: 1, threads: 1},
			{lengths: []int{220}, reads: 1, gradient: "hook_embed", rule: LRPAlpha1, threads: 2},
			{lengths: many, reads: 1, gradient: "blocks.0.attn.hook_q", threads: 3},
			{lengths: many, reads: 1, gradient: "blocks.0.attn.hook_q", rule: LRPAlpha1, threads: 1},
		},
		"gpt2-lm": {
			{lengths: []int{7}, threads: 1},
			{lengths: []int{200}, threads: 2},
			{lengths: []int{200}, past: 200, threads: 1},
			{lengths: []int{2, 3}, past: 300, threads: 2},
			{lengths: []int{200, 20}, gradient: "hook_embed", threads: 2},
			{lengths: many, gradient: "hook_embed", again: true, threads: 1},
		},
		"xlnet-lm": {
			{lengths: []int{200, 9}, threads: 2},
			{lengths: []int{30, 9}, memory: 200, threads: 1},
			{lengths: []int{200}, targets: 40, gradient: "hook_embed", threads: 2},
			{lengths: []int{150, 20}, memory: 50, targets: 5, gradient: "hook_embed", threads: 1},
			{lengths: many, targets: 2, threads: 2},
		},
	} {
		for _, dtype := range []arch.DType{arch.F32, arch.F64} {
			n, a := loadGolden(t, model, dtype)
			info := a.Info
			for i, first := range workloads {
				if dtype == arch.F64 && i > 1 {
					break
				}
				for j, w := range workloads {
					if j != i && j != (i+1)%len(workloads) && j != (i+3)%len(workloads) {
						continue
					}
					var runner Executor
					limit := int64(0)
					for _, w := range []workload{first, w} {
						b, req := w.batch(n, info)
						program := n.Plan(req)
						if w.past > 0 {
							before := workload{lengths: []int{w.past}}
							pb, preq := before.batch(n, info)
							past := &Past{}
							pb.Keep = []*Past{past}
							p := n.Plan(preq)
							size := pb.Size()
							size.Threads = 1
							if err := p.Runner(size, nil).Forward(t.Context(), nil, pb, nil, output(info, pb, preq)); err != nil {
								t.Fatal(err)
							}
							for range w.lengths {
								b.Past = append(b.Past, past)
							}
						}
						size := b.Size()
						size.Threads = w.threads
						pool := parallel.New(w.threads)
						runner = program.Runner(size, runner)
						limit = max(limit, program.Bytes(size))
						if err := runner.Forward(t.Context(), pool, b, objective, output(info, b, req)); err != nil {
							t.Fatal(err)
						}
						pool.Close()
						held := memoryOf(runner)
						what := fmt.Sprintf("%s %s: %+v", model, dtype, w)
						if held > limit {
							t.Errorf("%s holds %d bytes of %d", what, held, limit)
						}
						if alone := program.Bytes(size); i == j && alone > 2*held+256<<10 {
							t.Errorf("%s holds %d bytes and asked for %d", what, held, alone)
						}
					}
				}
			}
		}
	}
}

// memoryOf returns the bytes that a runner holds.
func memoryOf(e Executor) int64 {
	v := reflect.ValueOf(e).Elem()
	n := int64(0)
	for _, name := range []string{"memory", "scratch", "jobs", "sets", "logits", "dlogits"} {
		n += heldBy(v.FieldByName(name))
	}
	return n
}

// TestLinearMemory: working memory grows with the length of a sequence and not
// with its square, with gradients too.
func TestLinearMemory(t *testing.T) {
	for _, c := range []struct {
		model, gradient string
		reads           int
	}{
		{"bert-seqcls", "", 1}, {"bert-seqcls", "hook_embed", 1}, {"gpt2-lm", "", 1}, {"gpt2-lm", "blocks.1.attn.hook_pattern", 1},
		{"xlnet-lm", "", 0}, {"xlnet-lm", "hook_embed", 0},
	} {
		n, a := loadGolden(t, c.model, arch.F32)
		bytes := func(length int) int64 {
			b, req := workload{lengths: []int{length}, reads: c.reads, gradient: c.gradient}.batch(n, a.Info)
			size := b.Size()
			size.Threads = 2
			return n.Plan(req).Bytes(size)
		}
		one, two, four := bytes(512), bytes(1024), bytes(2048)
		if first, second := two-one, four-two; first <= 0 || second > 2*first+second/50 {
			t.Errorf("%s, gradient %q: %d bytes for 512 tokens, %d for 1024, %d for 2048", c.model, c.gradient, one, two, four)
		}
	}
}
