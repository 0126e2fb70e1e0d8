package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xai-go/xai/bench/model"
)

// TestRun measures two short texts, for what the report says and the plots are,
// not for how long it takes.
func TestRun(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "plots")
	var out, log bytes.Buffer
	if err := run(t.Context(), []string{"-model", "bert-tiny", "-what", "length", "-longest", "32", "-rounds", "1", "-plots", folder}, &out, &log); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Lengths) != 2 || r.Lengths[1].Tokens != 32 || r.Lengths[0].Milliseconds <= 0 || r.Lengths[0].Gradient <= 0 {
		t.Errorf("%+v", r)
	}
	// 2 layers · 2 heads · 32² weights of 4 bytes.
	if got := r.Lengths[1].Patterns; got != 2*2*32*32*4 {
		t.Errorf("patterns of %d bytes", got)
	}
	for _, name := range []string{"length.svg", "memory.svg"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(text)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s is no XML: %v", name, err)
			}
		}
		if !strings.Contains(string(text), "NaN") == strings.Contains(string(text), "<path") {
			continue
		}
		t.Errorf("%s: %s", name, text)
	}
	if _, err := os.Stat(filepath.Join(folder, "batch.svg")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a plot of nothing: %v", err)
	}
	if err := run(t.Context(), []string{"-what", "luck"}, &out, &log); err == nil {
		t.Error("luck was measured")
	}
}

// TestVirtual reads a folder in pieces of odd sizes: the bytes are those of one
// reading.
func TestVirtual(t *testing.T) {
	shape, err := model.Named("gpt2-tiny")
	if err != nil {
		t.Fatal(err)
	}
	for _, half := range []bool{false, true} {
		folder, err := shape.Virtual(half)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := fs.ReadFile(folder, "model.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		file, err := folder.Open("model.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		var pieces []byte
		for n := 1; len(pieces) < len(whole); n = n%13 + 1 {
			piece := make([]byte, n)
			got, err := file.(io.ReaderAt).ReadAt(piece, int64(len(pieces)))
			if err != nil && !(errors.Is(err, io.EOF) && got < n) {
				t.Fatal(err)
			}
			pieces = append(pieces, piece[:got]...)
			if len(pieces) > 30000 {
				whole = whole[:len(pieces)]
			}
		}
		if !bytes.Equal(pieces, whole) {
			t.Errorf("half %t: pieces differ from the whole", half)
		}
	}
}
