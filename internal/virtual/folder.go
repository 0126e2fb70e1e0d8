package virtual

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"io/fs"
	"math"
	"time"
)

// Folder returns a model folder of that shape whose weights are computed as they
// are read, in 16 bits (BF16) or in 32: numbers of up to ±0.06 that depend on
// their place in the file alone.
func (s Shape) Folder(half bool) (fs.FS, error) {
	config, err := json.Marshal(s.Config())
	if err != nil {
		return nil, err
	}
	head, values, err := s.header(half)
	if err != nil {
		return nil, err
	}
	return folder{
		"config.json":       {name: "config.json", head: config, size: int64(len(config))},
		"model.safetensors": {name: "model.safetensors", head: head, size: int64(len(head)) + values, half: half},
	}, nil
}

// header returns what precedes the values in a file of the weights, and the
// bytes of these.
func (s Shape) header(half bool) (head []byte, values int64, err error) {
	type entry struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	dtype, size := "F32", int64(4)
	if half {
		dtype, size = "BF16", 2
	}
	tensors := map[string]entry{}
	for _, w := range s.Weights() {
		n := size * w.Elements()
		tensors[w.Name] = entry{dtype, w.Shape, [2]int64{values, values + n}}
		values += n
	}
	text, err := json.Marshal(tensors)
	if err != nil {
		return nil, 0, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), values, nil
}

// folder has files by their names, and is one itself.
type folder map[string]file

// Open implements [fs.FS].
func (f folder) Open(name string) (fs.File, error) {
	if name == "." {
		return &file{name: name, mode: fs.ModeDir | 0o111}, nil
	}
	opened, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &opened, nil
}

// file is some bytes, and after them as many weights as fill its size.
type file struct {
	name string
	head []byte
	size int64
	half bool
	mode fs.FileMode // beside that everybody may read it
	at   int64
}

// ReadAt implements [io.ReaderAt].
func (f *file) ReadAt(p []byte, at int64) (int, error) {
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
// sequence (SplitMix64).
func weightBits(i uint64) uint32 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return math.Float32bits(float32(int32(z>>32)) * (0.06 / (1 << 31)))
}

// Read implements [fs.File].
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	return n, err
}

// Close implements [fs.File].
func (*file) Close() error { return nil }

// Stat implements [fs.File].
func (f *file) Stat() (fs.FileInfo, error) { return info{f}, nil }

// info describes a file.
type info struct{ file *file }

func (i info) Name() string      { return i.file.name }
func (i info) Size() int64       { return i.file.size }
func (i info) Mode() fs.FileMode { return i.file.mode | 0o444 }
func (info) ModTime() time.Time  { return time.Time{} }
func (i info) IsDir() bool       { return i.Mode().IsDir() }
func (info) Sys() any            { return nil }
