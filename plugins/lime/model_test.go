package lime

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/xai-go/xai/sdk"
)

// toy is a model whose outputs are functions of the masks. It edits the text as
// the host does and records what it was asked.
type toy struct {
	info    sdk.ModelInfo
	request *sdk.Request
	// outputs returns the target and the classes' outputs of a variant.
	outputs func(row int, keep []uint8) (target float64, classes []float64)

	asked *sdk.Forward
	keep  []uint8
	texts []string
}

func (m *toy) Info() sdk.ModelInfo { return m.info }

func (m *toy) Forward(_ context.Context, f *sdk.Forward) (sdk.Reply, error) {
	keep, err := sdk.Values[uint8](f.Units)
	if err != nil {
		return nil, err
	}
	n, width := f.Units.Shape[0], f.Units.Shape[1]
	units := f.Over
	if units == nil {
		units = m.request.Units
	}
	if len(units) != width {
		return nil, sdk.NewError(sdk.EInvalid, "the mask does not fit the units")
	}
	m.asked, m.keep = f, slices.Clone(keep)
	reply := make(toyReply)
	var target, classes []float64
	for i := range n {
		row := keep[i*width : (i+1)*width]
		m.texts = append(m.texts, edited(m.request.Text, units, row, f.Fill.Text))
		t, c := m.outputs(i, row)
		target, classes = append(target, t), append(classes, c...)
	}
	reply[sdk.ReplyTarget] = sdk.NewTensor(target, n)
	for _, name := range []string{sdk.ReplyProbs, sdk.ReplyLogits, sdk.ReplyLogProbs} {
		reply[name] = sdk.NewTensor(classes, n, len(classes)/n)
	}
	return reply, nil
}

// edited returns the text with the dropped units replaced.
func edited(text string, units []sdk.Unit, keep []uint8, fill string) string {
	var spans []sdk.Span
	for i, u := range units {
		if keep[i] == 0 {
			spans = append(spans, u.Spans...)
		}
	}
	slices.SortFunc(spans, func(a, b sdk.Span) int { return b.Start - a.Start })
	for _, s := range spans {
		text = text[:s.Start] + fill + text[s.End:]
	}
	return text
}

type toyReply map[string]*sdk.Tensor

func (r toyReply) Tensor(name string, _ int) (*sdk.Tensor, error) {
	if t, ok := r[name]; ok {
		return t, nil
	}
	return nil, sdk.NewError(sdk.EName, "no tensor "+name)
}

// linear returns a toy model that is linear in its units.
func linear(r *sdk.Request, intercept float64, weights []float64) *toy {
	return &toy{request: r, info: sdk.ModelInfo{MaskToken: "[MASK]"}, outputs: func(_ int, keep []uint8) (float64, []float64) {
		y := intercept
		for j, w := range weights {
			y += w * float64(keep[j])
		}
		return y, []float64{y, -y}
	}}
}

// params returns the defaults, those of the preset if compat is among the
// changes, with the changes, which are given as name, value pairs.
func params(changes ...any) sdk.Params {
	p := sdk.Params{}
	for _, declared := range (Method{}).Info().Params {
		p[declared.Name] = declared.Default
		for i := 0; i < len(changes); i += 2 {
			if v, ok := declared.Compat[fmt.Sprint(changes[i+1])]; ok && changes[i] == "compat" {
				p[declared.Name] = v
			}
		}
	}
	for i := 0; i < len(changes); i += 2 {
		name, value := changes[i].(string), changes[i+1]
		if n, ok := value.(int); ok {
			value = int64(n)
		}
		if _, ok := p[name]; !ok {
			panic("no parameter " + name)
		}
		p[name] = value
	}
	return p
}

// request returns a request over the words of a text between single spaces.
func request(text string, seed uint64, p sdk.Params) *sdk.Request {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	r := &sdk.Request{
		Text: text, Seed: seed, Params: p, Rand: rand.NewChaCha8(key),
		Target: sdk.Target{Kind: "class", Index: 1, Output: sdk.Prob},
	}
	start := 0
	for _, word := range bytes.Split([]byte(text), []byte(" ")) {
		if len(word) > 0 {
			r.Tokens = append(r.Tokens, sdk.Token{ID: int32(len(r.Tokens)), Text: string(word), Start: start, End: start + len(word)})
			u := unit(0, text, start, start+len(word))
			u.Tokens = []int{len(r.Units)}
			r.Units = append(r.Units, u)
		}
		start += len(word) + 1
	}
	return r
}

// diagnostics returns the explanation's diagnostics by name.
func diagnostics(e *sdk.Explanation) map[string]float64 {
	d := make(map[string]float64)
	for _, v := range e.Diagnostics {
		d[v.Name] = v.Value
	}
	return d
}
