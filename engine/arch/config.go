package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xai-go/xai/engine/checkpoint"
)

// The largest dimensions that a configuration may ask for. They bound
// arithmetic; memory is bounded by the tensors, which must have these shapes.
const (
	MaxWidth      = 1 << 20 // of a residual stream or a feed-forward layer; heads, token types
	MaxLayers     = 1 << 9
	MaxVocabulary = 1 << 26 // also positions
)

// Heads tells the task of a class of the reference implementation by what
// follows the name of the family in the name of the class: "ForMaskedLM".
type Heads map[string]string

// Head reads what architectures[0] says of the head of a model: family,
// "Bert", and one of heads. It sets Architecture, Task, Labels and Outputs;
// Vocabulary and ModelType must be set. Errors are a [*checkpoint.ConfigError]
// or, for a head that does not run, a [*checkpoint.UnsupportedError].
func (i *Info) Head(c *checkpoint.Config, family string, heads Heads) (err error) {
	if i.Architecture, err = c.Architecture(); err != nil {
		return err
	}
	head, found := strings.CutPrefix(i.Architecture, family)
	if i.Task = heads[head]; !found || i.Task == "" {
		var run []string
		for _, head := range slices.Sorted(maps.Keys(heads)) {
			run = append(run, family+head)
		}
		return &checkpoint.UnsupportedError{
			What: "the architecture " + i.Architecture,
			Hint: "of " + i.ModelType + " models only " + strings.Join(run, ", ") + " run",
		}
	}
	switch i.Task {
	case SequenceClassification, TokenClassification:
		i.Labels, err = c.Labels()
		i.Outputs = len(i.Labels)
	case QuestionAnswering:
		i.Labels, i.Outputs = []string{"start", "end"}, 2
	default:
		i.Outputs = i.Vocabulary
	}
	return err
}

// CheckHeads returns a [*checkpoint.ConfigError] where the heads do not share
// the residual stream evenly; key is where the configuration has their number.
func (i *Info) CheckHeads(key string) error {
	if i.Hidden%i.Heads != 0 {
		return &checkpoint.ConfigError{Key: key, Reason: fmt.Sprintf("is %d, which does not divide the hidden size %d", i.Heads, i.Hidden)}
	}
	return nil
}

// Sizes returns the sizes of the axes by letter for [NewBuilder], given the
// width of the feed-forward layer. There are as many key heads as query heads.
func (i *Info) Sizes(feedForward int) map[string]int {
	return map[string]int{
		"D": i.Hidden, "De": i.Embedding, "F": feedForward,
		"H": i.Heads, "K": i.Heads, "E": i.Hidden / i.Heads,
		"V": i.Vocabulary, "C": len(i.Labels),
	}
}
