package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"
)

// bertBase is a model folder with the shape of BERT-base and weights drawn at
// random: what bench runs where no model is named. Nothing is stored: the bytes
// of a weight are made when they are read.
type bertBase struct{}

// The shape of BERT-base, uncased.
const (
	baseVocabulary   = 30522
	basePositions    = 512
	baseTypes        = 2
	baseLayers       = 12
	baseHeads        = 12
	baseHidden       = 768
	baseIntermediate = 3072
)

// Open implements fs.FS.
func (bertBase) Open(name string) (fs.File, error) {
	switch name {
	case ".":
		return &virtual{name: name, dir: true}, nil
	case "config.json":
		config, err := json.Marshal(map[string]any{
			"model_type": "bert", "architectures": []string{"BertForSequenceClassification"},
			"vocab_size": baseVocabulary, "max_position_embeddings": basePositions, "type_vocab_size": baseTypes,
			"num_hidden_layers": baseLayers, "num_attention_heads": baseHeads, "hidden_size": baseHidden,
			"intermediate_size": baseIntermediate, "id2label": map[string]string{"0": "A", "1": "B"},
		})
		return newVirtual(name, config, 0), err
	case "model.safetensors":
		header, values, err := baseHeader()
		return newVirtual(name, header, values), err
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// baseHeader returns the header of the weights, its length before it, and how
// many float32 follow it.
func baseHeader() ([]byte, int64, error) {
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	tensors := map[string]entry{}
	values := int64(0)
	add := func(name string, shape ...int) {
		n := int64(1)
		for _, d := range shape {
			n *= int64(d)
		}
		tensors[name] = entry{"F32", shape, [2]int64{4 * values, 4 * (values + n)}}
		values += n
	}
	linear := func(name string, out, in int) {
		add(name+".weight", out, in)
		add(name+".bias", out)
	}
	norm := func(name string) {
		add(name+".weight", baseHidden)
		add(name+".bias", baseHidden)
	}
	add("bert.embeddings.word_embeddings.weight", baseVocabulary, baseHidden)
	add("bert.embeddings.position_embeddings.weight", basePositions, baseHidden)
	add("bert.embeddings.token_type_embeddings.weight", baseTypes, baseHidden)
	norm("bert.embeddings.LayerNorm")
	for i := range baseLayers {
		layer := fmt.Sprintf("bert.encoder.layer.%d.", i)
		for _, name := range []string{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"} {
			linear(layer+name, baseHidden, baseHidden)
		}
		norm(layer + "attention.output.LayerNorm")
		linear(layer+"intermediate.dense", baseIntermediate, baseHidden)
		linear(layer+"output.dense", baseHidden, baseIntermediate)
		norm(layer + "output.LayerNorm")
	}
	linear("bert.pooler.dense", baseHidden, baseHidden)
	linear("classifier", 2, baseHidden)
	header, err := json.Marshal(tensors)
	if err != nil {
		return nil, 0, err
	}
	header = append(header, strings.Repeat(" ", (8-len(header)%8)%8)...)
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), values, nil
}

// virtual is a file of some bytes and, after them, float32 values that depend
// on where they stand.
type virtual struct {
	*io.SectionReader
	name string
	head []byte
	size int64
	dir  bool
}

func newVirtual(name string, head []byte, values int64) *virtual {
	v := &virtual{name: name, head: head, size: int64(len(head)) + 4*values}
	v.SectionReader = io.NewSectionReader(readerAt(v.readAt), 0, v.size)
	return v
}

// readerAt is a function as an io.ReaderAt.
type readerAt func(p []byte, offset int64) (int, error)

func (f readerAt) ReadAt(p []byte, offset int64) (int, error) { return f(p, offset) }

// readAt fills p, which io.SectionReader keeps within the file.
func (v *virtual) readAt(p []byte, offset int64) (int, error) {
	n := 0
	if offset < int64(len(v.head)) {
		n = copy(p, v.head[offset:])
	}
	at := offset + int64(n) - int64(len(v.head))
	for n < len(p) {
		bits := math.Float32bits(weight(uint64(at) / 4))
		if at%4 == 0 && len(p)-n >= 4 {
			binary.LittleEndian.PutUint32(p[n:], bits)
			n, at = n+4, at+4
			continue
		}
		p[n] = byte(bits >> (8 * (at % 4)))
		n, at = n+1, at+1
	}
	return n, nil
}

// weight returns the i-th weight, uniform in (-1/16, 1/16): SplitMix64.
func weight(i uint64) float32 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return float32(int64(z)>>40) / (1 << 27)
}

// Close implements fs.File.
func (v *virtual) Close() error { return nil }

// Stat implements fs.File.
func (v *virtual) Stat() (fs.FileInfo, error) { return virtualInfo{v}, nil }

type virtualInfo struct{ file *virtual }

func (i virtualInfo) Name() string       { return i.file.name }
func (i virtualInfo) Size() int64        { return i.file.size }
func (i virtualInfo) ModTime() time.Time { return time.Time{} }
func (i virtualInfo) IsDir() bool        { return i.file.dir }
func (i virtualInfo) Sys() any           { return nil }
func (i virtualInfo) Mode() fs.FileMode {
	if i.file.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
