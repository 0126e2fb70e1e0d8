package torch

import (
	"archive/zip"
	"fmt"
	"io"
	"strings"
)

// maxDirectory bounds what is read of a zip archive to find what is in it: its
// directory, which takes about seventy bytes for a storage. The objects made
// of it take several times as much.
const maxDirectory = 16 << 20

// readZip returns the value of a zip container. The checksums of the archive
// are not looked at: PyTorch does not either, and may be told to write none.
func (f *File) readZip() (any, error) {
	limited := &limitedReaderAt{f: f, left: maxDirectory}
	archive, err := zip.NewReader(limited, f.size)
	if err != nil {
		if limited.err != nil {
			return nil, limited.err
		}
		return nil, malformed(f.size, "the zip archive has no valid directory (%v): the file is cut short or damaged", err)
	}
	limited.left = -1
	z := &zipped{f: f, reader: limited, records: map[string]*zip.File{}, storages: map[string]*storage{}}
	for _, file := range archive.File {
		folder, name, ok := strings.Cut(file.Name, "/")
		if !ok {
			return nil, malformed(0, "the zip archive has a file %q outside of its folder: this is no file of torch.save", file.Name)
		}
		if z.folder == "" {
			z.folder = folder
		}
		if z.folder != folder || z.records[name] != nil {
			return nil, malformed(0, "the zip archive has %q twice or in a second folder: this is no file of torch.save", file.Name)
		}
		z.records[name] = file
	}
	if z.records["constants.pkl"] != nil {
		return nil, &UnsupportedError{Feature: "a TorchScript program"}
	}
	if z.records["data.pkl"] == nil {
		return nil, malformed(0, "the zip archive has no data.pkl: this is no file of torch.save")
	}
	if z.records["byteorder"] != nil {
		order, err := z.text("byteorder")
		if err != nil {
			return nil, err
		}
		if order != "little" && order != "big" {
			return nil, malformed(0, "the byte order is %q", order)
		}
		f.swapped = order == "big"
	}
	from, size, err := z.locate("data.pkl")
	if err != nil {
		return nil, err
	}
	return newMachine(f, from, from+size, z.persistent).run()
}

// zipped is an open zip container.
type zipped struct {
	f        *File
	reader   *limitedReaderAt // of the archive
	folder   string
	records  map[string]*zip.File // by the name within the folder
	storages map[string]*storage
}

// persistent returns the storage of ('storage', class, key, location, elements).
func (z *zipped) persistent(id any) (any, error) {
	s, _, err := storageOf(id, 5, z.storages)
	if err != nil {
		return nil, err
	}
	if s.offset >= 0 { // found before
		return s, nil
	}
	offset, size, err := z.locate("data/" + s.key)
	if err != nil {
		return nil, err
	}
	if s.elements > int(size)/s.width || int64(s.elements*s.width) != size {
		return nil, malformed(offset, "the storage %q has %d bytes and claims %d values of %d bytes", s.key, size, s.elements, s.width)
	}
	s.offset = offset
	z.storages[s.key] = s
	return s, nil
}

// locate returns where a record lies in the file. Both ends are within it.
func (z *zipped) locate(name string) (offset, size int64, err error) {
	record := z.records[name]
	if record == nil {
		return 0, 0, malformed(0, "the zip archive lacks %q", name)
	}
	if record.Method != zip.Store || record.Flags&1 != 0 {
		return 0, 0, &UnsupportedError{Feature: fmt.Sprintf("the compressed or encrypted record %q of the zip archive", name)}
	}
	if offset, err = record.DataOffset(); err != nil {
		if z.reader.err != nil {
			return 0, 0, z.reader.err
		}
		return 0, 0, malformed(0, "the record %q of the zip archive is not where its directory says (%v)", name, err)
	}
	if record.UncompressedSize64 != record.CompressedSize64 || offset > z.f.size || record.UncompressedSize64 > uint64(z.f.size-offset) {
		return 0, 0, malformed(offset, "the record %q of the zip archive exceeds the file", name)
	}
	return offset, int64(record.UncompressedSize64), nil
}

// text returns a short record.
func (z *zipped) text(name string) (string, error) {
	offset, size, err := z.locate(name)
	if err != nil {
		return "", err
	}
	text := make([]byte, min(size, 16))
	err = z.f.readAt(text, offset)
	return string(text), err
}

// limitedReaderAt reads a file up to so many bytes in all, without a bound
// where left is negative, and keeps what went wrong, which archive/zip may say
// in other words.
type limitedReaderAt struct {
	f    *File
	left int
	err  error
}

func (l *limitedReaderAt) ReadAt(p []byte, offset int64) (int, error) {
	if l.left >= 0 && len(p) > l.left {
		l.err = &UnsupportedError{Feature: fmt.Sprintf("a zip archive whose directory has more than %d bytes", maxDirectory)}
		return 0, l.err
	}
	if l.left >= 0 {
		l.left -= len(p)
	}
	if offset < 0 || offset > l.f.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), l.f.size-offset))
	if err := l.f.readAt(p[:n], offset); err != nil {
		l.err = err
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
