package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"unicode/utf8"
)

// Open reads the tokenizer of a model folder: tokenizer.json, or else
// vocab.txt, or vocab.json and merges.txt, or a SentencePiece model, and
// tokenizer_config.json, special_tokens_map.json and added_tokens.json beside it
// where they are. Of config.json it reads only the model type, and only to know
// what a vocabulary is for; weights it never reads.
//
// It fails with an error that matches fs.ErrNotExist if there are no tokenizer
// files, with a *MalformedError if one lies, and with an *UnsupportedError if
// one asks for a component that this package lacks.
func Open(fsys fs.FS) (*Tokenizer, error) {
	f := &folder{fsys: fsys, hash: sha256.New()}
	t, err := f.open()
	if err != nil {
		return nil, err
	}
	t.digest = hex.EncodeToString(f.hash.Sum(nil))
	return t, nil
}

func (f *folder) open() (*Tokenizer, error) {
	data, err := f.read("tokenizer.json")
	if err == nil {
		return f.openJSON(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	data, err = f.read("vocab.txt")
	if err == nil {
		return f.openVocab(data)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if f.has("vocab.json") && f.has("merges.txt") {
		return f.openMerges()
	}
	for _, name := range pieceFiles {
		data, err = f.readBinary(name)
		if err == nil {
			return f.openPieces(name, data)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("tokenizer: the folder has neither tokenizer.json nor a vocabulary (vocab.txt, vocab.json and merges.txt, spiece.model): %w", fs.ErrNotExist)
}

// folder is a model folder that is being read.
type folder struct {
	fsys fs.FS
	hash hash.Hash // of the files read so far
}

// has says whether there is a file.
func (f *folder) has(name string) bool {
	_, err := fs.Stat(f.fsys, name)
	return err == nil
}

// maxFile is the largest file that Open reads, in bytes: twice the largest
// tokenizer.json in use.
const maxFile = 64 << 20

// read returns a tokenizer file, which is text, and adds it to the digest.
func (f *folder) read(name string) ([]byte, error) {
	data, err := f.peek(name)
	if err != nil {
		return nil, err
	}
	f.digest(name, data)
	return data, nil
}

// readBinary is read for a file that is not text.
func (f *folder) readBinary(name string) ([]byte, error) {
	data, err := f.load(name)
	if err != nil {
		return nil, err
	}
	f.digest(name, data)
	return data, nil
}

func (f *folder) digest(name string, data []byte) {
	f.hash.Write(append([]byte(name), 0))
	f.hash.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(data))))
	f.hash.Write(data)
}

// peek returns a file, which is text.
func (f *folder) peek(name string) ([]byte, error) {
	data, err := f.load(name)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, &MalformedError{name, fmt.Sprintf("byte %d", firstInvalid(string(data))), "is not UTF-8"}
	}
	return data, nil
}

// load returns a file, which must be a regular one: to open a named pipe waits
// for somebody to write into it. It allocates by what the file holds, not by
// what its size is said to be.
func (f *folder) load(name string) ([]byte, error) {
	info, err := fs.Stat(f.fsys, name)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &MalformedError{name, "", "is no regular file"}
	}
	file, err := f.fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: reading %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, &UnsupportedError{File: name, Component: fmt.Sprintf("more than %d MiB", maxFile>>20), Hint: useIDs}
	}
	return data, nil
}
