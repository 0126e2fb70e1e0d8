// Package report writes explanations, evaluations, predictions, activations and
// tokenizations: for a terminal ([Term]), for programs ([JSON], [CSV],
// [EvaluationCSV], [Safetensors]), and for a page ([EvaluationMarkdown]).
//
// Values are written as the method returned them; scaling them to colours and
// bars is the business of the terminal alone. The same result gives the same
// bytes. Text that comes from an input, a vocabulary or a model never reaches a
// terminal raw: control characters and what reorders a line are made visible.
//
// Functions write once everything is laid out and return the writer's error.
package report

import (
	"encoding/json"
	"io"
)

// JSON writes v as one line of JSON with a line feed at its end. Text stays
// UTF-8: <, > and & are not escaped. An explanation follows [core.Schema].
//
// [core.Schema]: https://pkg.go.dev/github.com/xai-go/xai/core#Schema
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
