package tokenizer

import "fmt"

// MalformedError reports a tokenizer file that contradicts its own format.
type MalformedError struct {
	File    string // the file's name in the model folder
	Where   string // a JSON path, a line or a byte offset; may be empty
	Problem string // what is wrong, as the end of a sentence
}

// Error implements error.
func (e *MalformedError) Error() string {
	return "tokenizer: " + place(e.File, e.Where) + " " + e.Problem
}

// UnsupportedError reports a tokenizer file that is valid as far as it was read
// but asks for something this package does not do.
type UnsupportedError struct {
	File      string // the file's name in the model folder
	Where     string // a JSON path; may be empty
	Component string // what is asked for, by the name the file gives it
	Hint      string // what to do, as the end of a sentence
}

// What to do about what is not supported.
const (
	useIDs   = "give the model token ids that its own library made of the text"
	saveFast = "save the tokenizer as tokenizer.json, as its fast class in transformers does"
)

// Error implements error.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("tokenizer: %s asks for %s, which is not supported; %s", place(e.File, e.Where), e.Component, e.Hint)
}

// TextError reports a text that is not UTF-8.
type TextError struct {
	Sequence int // 0 for the text, 1 for its pair
	Offset   int // where the first bad byte is
}

// Error implements error.
func (e *TextError) Error() string {
	name := "text"
	if e.Sequence == 1 {
		name = "second text"
	}
	return fmt.Sprintf("tokenizer: the %s is not UTF-8 at byte %d; convert it to UTF-8 first", name, e.Offset)
}

// LengthError reports a limit on the number of tokens that leaves no room for
// the special tokens alone.
type LengthError struct {
	MaxLength int // the limit asked for
	Special   int // the number of special tokens
}

// Error implements error.
func (e *LengthError) Error() string {
	return fmt.Sprintf("tokenizer: a limit of %d tokens cannot hold the %d special tokens; raise it or leave them out", e.MaxLength, e.Special)
}

func place(file, where string) string {
	if where == "" {
		return file
	}
	return file + ": " + where
}
