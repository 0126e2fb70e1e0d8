package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/xai-go/xai/core"
	"github.com/xai-go/xai/core/report"
	"github.com/xai-go/xai/engine/tokenizer"
)

func (a *app) tokenize() *cobra.Command {
	var from source
	var model, format string
	var lines bool
	cmd := &cobra.Command{
		Use:   "tokenize [TEXT]",
		Short: "Show the tokens that a model reads",
		Long: `Tokenize cuts a text into the tokens that a model reads, special tokens included,
and says where in the text each comes from. It needs the tokenizer's files alone,
no config.json and no weights. Without TEXT, the text is standard input.

The JSON form has "ids", "tokens", "offsets" (bytes), "rune_offsets", "word_ids"
(null for special tokens), "type_ids" and "special". With --jsonl each line of the
input is a JSON string, and gives one line of output as soon as it is read.`,
		Example: examples(
			`xai tokenize "Unbelievably good."`, "the embedded English tokenizer",
			`xai tokenize -m ./my-bert --format json "Some text."`, "any folder with a tokenizer, for a program",
			`jq -c .text reviews.json | xai tokenize -m ./my-bert --jsonl`, "many texts",
		),
		RunE: func(cmd *cobra.Command, args []string) error {
			if lines && (len(args) > 0 || cmd.Flags().Changed("text-pair")) {
				return usage("pipe the lines in, or name a file with --file", "--jsonl reads its texts from lines, and a text was given")
			}
			if lines && format == "term" {
				return usage("leave out one of them", "--jsonl writes JSON, and --format term was given")
			}
			host, err := a.host()
			if err != nil {
				return err
			}
			defer host.Close()
			if lines {
				in, err := from.open(a, cmd)
				if err != nil {
					return err
				}
				defer in.Close()
				t, err := host.OpenTokenizer(a.chosen(model, core.Input{}, false))
				if err != nil {
					return err
				}
				return tokenizeLines(cmd.Context(), host, t, in, standard{a.stdout})
			}
			inputs, err := from.read(a, cmd, args)
			if err != nil {
				return err
			}
			t, err := host.OpenTokenizer(a.chosen(model, inputs[0], format != "json"))
			if err != nil {
				return err
			}
			enc, err := host.Encode(t, inputs[0])
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				if format == "json" {
					return report.EncodingJSON(w, enc)
				}
				return a.term().Encoding(w, enc)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&model, "model", "m", "", "`MODEL` folder with tokenizer files, or builtin:NAME (default: an embedded one for the language of the text)")
	from.flags(cmd, false)
	f.BoolVar(&lines, "jsonl", false, "read one JSON string a line, and print one object a line")
	f.Var(choice{&format, []string{"term", "json"}}, "format", "how to write the result (default: term)")
	a.complete(cmd)
	return cmd
}

// maxLine bounds one line of --jsonl.
const maxLine = 64 << 20

// tokenizeLines tokenises the JSON string on each line of r. What has been read
// is written before the next read waits, so that it can serve another program.
func tokenizeLines(ctx context.Context, host *core.Host, t *tokenizer.Tokenizer, r io.Reader, w io.Writer) error {
	in := bufio.NewReaderSize(r, 1<<16)
	out := bufio.NewWriterSize(w, 1<<16)
	for n := 1; ; n++ {
		line, err := readLine(in)
		if err == io.EOF {
			return out.Flush()
		}
		var enc *tokenizer.Encoding
		if err == nil {
			var text string
			if text, err = parseString(line); err == nil {
				enc, err = host.Encode(t, core.Input{Text: text})
			}
		}
		if err != nil {
			out.Flush() // what came before is right
			hint := `each line must be a JSON string, for example "Some text."`
			if e, ok := errors.AsType[*core.Error](err); ok {
				hint = e.Hint
			}
			return &core.Error{Kind: core.KindInput, Msg: fmt.Sprintf("line %d: %v", n, err), Hint: hint, Err: err}
		}
		if err := report.EncodingJSON(out, enc); err != nil {
			return err
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// readLine returns the next line without its end, and io.EOF after the last.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, fmt.Errorf("it is longer than %d MiB", maxLine>>20)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) > 0:
			return line, nil
		case err != nil:
			return nil, err
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
	}
}

// parseString reads a JSON string strictly: encoding/json would replace what is
// no text by U+FFFD.
func parseString(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", errors.New("it is not valid UTF-8")
	}
	var s *string
	if err := json.Unmarshal(b, &s); err != nil || s == nil {
		return "", errors.New("it is not a JSON string")
	}
	if loneSurrogate(b) {
		return "", errors.New(`it has half of a surrogate pair (\uD800 to \uDFFF), which is no text`)
	}
	return *s, nil
}

// loneSurrogate reports whether a valid JSON string escapes half a surrogate
// pair.
func loneSurrogate(b []byte) bool {
	unit := func(i int) int64 { // of the escape \uXXXX at i, -1 where there is none
		if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
			return -1
		}
		v, err := strconv.ParseInt(string(b[i+2:i+6]), 16, 32)
		if err != nil {
			return -1
		}
		return v
	}
	for i := 0; i < len(b); {
		u := unit(i)
		switch {
		case u >= 0xD800 && u < 0xDC00:
			if low := unit(i + 6); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 12
		case u >= 0xDC00 && u <= 0xDFFF:
			return true
		case u >= 0:
			i += 6
		case b[i] == '\\':
			i += 2
		default:
			i++
		}
	}
	return false
}
