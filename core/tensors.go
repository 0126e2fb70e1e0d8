package core

import (
	"os"

	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

// tensorFile is an open .safetensors file.
type tensorFile struct {
	*safetensors.File
	path string
	file *os.File
}

// openTensors opens a .safetensors file. Pipes and devices, which could be read
// once at best, or without end, are refused before they are opened: opening a
// pipe waits for a writer.
func openTensors(path, hint string) (*tensorFile, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, &Error{Kind: KindInput, Msg: path + " is no regular file", Hint: hint}
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
	}
	if err != nil {
		return nil, &Error{Kind: KindInput, Msg: "cannot open the tensors: " + err.Error(), Hint: hint, Err: err}
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() { // another file took its place
		err = os.ErrInvalid
	}
	var st *safetensors.File
	if err == nil {
		st, err = safetensors.Open(file, info.Size())
	}
	if err != nil {
		file.Close()
		return nil, input(path, err, hint)
	}
	return &tensorFile{File: st, path: path, file: file}, nil
}

// Close closes the file.
func (f *tensorFile) Close() error { return f.file.Close() }
