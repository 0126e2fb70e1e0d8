// Package torchfile writes files as torch.save does, byte by byte, and files as
// it never would. It is for tests alone.
package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Storage is a run of values.
type Storage struct {
	Key   string
	Class string // "FloatStorage"
	Width int    // bytes of a value
	Data  []byte // little-endian
}

// Floats returns a storage of float32.
func Floats(key string, values ...float32) *Storage {
	data, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err)
	}
	return &Storage{Key: key, Class: "FloatStorage", Width: 4, Data: data}
}

// Tensor is a view of a storage. Without Strides it is contiguous.
type Tensor struct {
	Name    string
	Storage *Storage
	Offset  int
	Shape   []int
	Strides []int
}

// Pickle is the text of a pickle in the making. Its methods append to it and
// return it.
type Pickle struct {
	bytes.Buffer
	legacy bool // persistent ids have six values
}

// Op appends bytes as they are.
func (p *Pickle) Op(ops string) *Pickle {
	p.WriteString(ops)
	return p
}

// Int appends an integer, in as few bytes as Python does.
func (p *Pickle) Int(n int) *Pickle {
	switch {
	case n >= 0 && n < 1<<8:
		p.Write([]byte{'K', byte(n)})
	case n >= 0 && n < 1<<16:
		p.Write([]byte{'M', byte(n), byte(n >> 8)})
	case n == int(int32(n)):
		p.WriteByte('J')
		p.Write(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	default:
		p.Write([]byte{0x8a, 8})
		p.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	return p
}

// Text appends a string.
func (p *Pickle) Text(s string) *Pickle {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	return p.Op(s)
}

// Ints appends a tuple of integers.
func (p *Pickle) Ints(values []int) *Pickle {
	p.Op("(")
	for _, v := range values {
		p.Int(v)
	}
	return p.Op("t")
}

// Tensor appends what makes a tensor.
func (p *Pickle) Tensor(t Tensor) *Pickle {
	strides := t.Strides
	if strides == nil {
		strides = make([]int, len(t.Shape))
		step := 1
		for i := len(strides) - 1; i >= 0; i-- {
			strides[i] = step
			step *= max(t.Shape[i], 1)
		}
	}
	p.Op("ctorch._utils\n_rebuild_tensor_v2\n((").Text("storage").Op("ctorch\n" + t.Storage.Class + "\n")
	p.Text(t.Storage.Key).Text("cpu").Int(len(t.Storage.Data) / t.Storage.Width)
	if p.legacy {
		p.Op("N")
	}
	p.Op("tQ").Int(t.Offset).Ints(t.Shape).Ints(strides)
	return p.Op("\x89ccollections\nOrderedDict\n)RtR")
}

// StateDict appends an OrderedDict of tensors.
func (p *Pickle) StateDict(tensors ...Tensor) *Pickle {
	p.Op("ccollections\nOrderedDict\n)R(")
	for _, t := range tensors {
		p.Text(t.Name).Tensor(t)
	}
	return p.Op("u")
}

// Write appends what describe says as the pickle of a file that has the given
// storages.
type Write func(storages []*Storage, describe func(p *Pickle)) []byte

// StateDict returns a file that holds a state dict, written by write.
func StateDict(write Write, tensors ...Tensor) []byte {
	var storages []*Storage
	seen := map[*Storage]bool{}
	for _, tensor := range tensors {
		if !seen[tensor.Storage] {
			seen[tensor.Storage] = true
			storages = append(storages, tensor.Storage)
		}
	}
	return write(storages, func(p *Pickle) { p.StateDict(tensors...) })
}

// Record is a file in a zip archive.
type Record struct {
	Name string
	Data []byte
}

// Zip writes the container of PyTorch since 1.6.
func Zip(storages []*Storage, describe func(p *Pickle)) []byte {
	p := &Pickle{}
	p.Op("\x80\x02")
	describe(p)
	p.Op(".")
	records := []Record{{"archive/data.pkl", p.Bytes()}, {"archive/byteorder", []byte("little")}}
	for _, s := range storages {
		records = append(records, Record{"archive/data/" + s.Key, s.Data})
	}
	return Archive(append(records, Record{"archive/version", []byte("3\n")})...)
}

// Archive writes a zip archive of uncompressed records.
func Archive(records ...Record) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, r := range records {
		// Sizes stand before the data, as PyTorch writes them.
		f, err := w.CreateRaw(&zip.FileHeader{
			Name: r.Name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(r.Data),
			CompressedSize64: uint64(len(r.Data)), UncompressedSize64: uint64(len(r.Data)),
		})
		if err == nil {
			_, err = f.Write(r.Data)
		}
		if err != nil {
			panic(err) // a buffer takes everything
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// LegacyStart is what a legacy file begins with: the magic number, the version
// and facts about the machine.
const LegacyStart = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + "\x80\x02M\xe9\x03." + "\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."

// Legacy writes the container of PyTorch before 1.6.
func Legacy(storages []*Storage, describe func(p *Pickle)) []byte {
	p := &Pickle{legacy: true}
	p.Op(LegacyStart + "\x80\x02")
	describe(p)
	p.Op("." + "\x80\x02](")
	for _, s := range storages {
		p.Text(s.Key)
	}
	p.Op("e.")
	for _, s := range storages {
		p.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(s.Data)/s.Width)))
		p.Write(s.Data)
	}
	return p.Bytes()
}
