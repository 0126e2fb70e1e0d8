package model

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"testing/fstest"
	"time"
)

// Virtual returns a model folder that takes neither disk nor memory: the
// weights are computed as they are read, in 16 bits (BF16) or in 32. They are
// not those of [Shape.Write].
func (s Shape) Virtual(half bool) (fs.FS, error) {
	config, err := json.Marshal(s.config())
	if err != nil {
		return nil, err
	}
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header, at, size := map[string]entry{}, int64(0), int64(4)
	dtype := "F32"
	if half {
		dtype, size = "BF16", 2
	}
	s.weights(func(name string, _, _ float32, shape ...int) {
		n := size
		for _, dim := range shape {
			n *= int64(dim)
		}
		header[name] = entry{dtype, shape, [2]int64{at, at + n}}
		at += n
	})
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return virtualFolder{
		config:  fstest.MapFS{"config.json": {Data: config}},
		weights: virtualFile{head: append(head, text...), size: int64(8+len(text)) + at, half: half},
	}, nil
}

// virtualFolder is a folder with a virtual file of weights.
type virtualFolder struct {
	config  fstest.MapFS
	weights virtualFile
}

const virtualName = "model.safetensors"

// Open implements [fs.FS].
func (f virtualFolder) Open(name string) (fs.File, error) {
	if name == virtualName {
		file := f.weights
		return &file, nil
	}
	return f.config.Open(name)
}

// Stat implements [fs.StatFS].
func (f virtualFolder) Stat(name string) (fs.FileInfo, error) {
	if name == virtualName {
		return f.weights.Stat()
	}
	return f.config.Stat(name)
}

// virtualFile is a file of weights: its head, then numbers of ±0.03 or so.
type virtualFile struct {
	head []byte
	size int64
	half bool
	at   int64
}

// ReadAt implements [io.ReaderAt].
func (f *virtualFile) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at >= f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), f.size-at))
	done := 0
	if at < int64(len(f.head)) {
		done = copy(p[:n], f.head[at:])
	}
	for i := done; i < n; {
		offset := at + int64(i) - int64(len(f.head))
		word := weightBits(uint64(offset / 4))
		if f.half {
			word = word&0xffff0000 | weightBits(^uint64(offset/4))>>16
		}
		var bytes [4]byte
		binary.LittleEndian.PutUint32(bytes[:], word)
		i += copy(p[i:n], bytes[offset%4:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// weightBits returns the bits of the float32 number i of a fixed random
// sequence (splitmix64).
func weightBits(i uint64) uint32 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return math.Float32bits(float32(int32(z>>32)) * (0.06 / (1 << 31)))
}

// Read implements [fs.File].
func (f *virtualFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	return n, err
}

// Close implements [fs.File].
func (*virtualFile) Close() error { return nil }

// Stat implements [fs.File].
func (f virtualFile) Stat() (fs.FileInfo, error) { return virtualInfo(f.size), nil }

// virtualInfo is the size of a virtual file.
type virtualInfo int64

func (i virtualInfo) Name() string     { return virtualName }
func (i virtualInfo) Size() int64      { return int64(i) }
func (virtualInfo) Mode() fs.FileMode  { return 0o444 }
func (virtualInfo) ModTime() time.Time { return time.Time{} }
func (virtualInfo) IsDir() bool        { return false }
func (virtualInfo) Sys() any           { return nil }

// String says how large the model is.
func (s Shape) String() string {
	n := int64(0)
	s.weights(func(_ string, _, _ float32, shape ...int) {
		size := int64(1)
		for _, dim := range shape {
			size *= int64(dim)
		}
		n += size
	})
	return fmt.Sprintf("%s, %.2f billion parameters", s.Name, float64(n)/1e9)
}
