package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/xai-go/xai/engine/checkpoint/safetensors"
	"github.com/xai-go/xai/engine/checkpoint/stored"
	"github.com/xai-go/xai/engine/checkpoint/torch"
)

// maxDescription bounds what is read of all files of weights to find what is in
// them: headers, pickles, directories. A hundred thousand tensors, more than any
// known model has, take half of it.
const maxDescription = 48 << 20 // bytes

// container is a file of named tensors.
type container interface {
	Names() []string
	Tensor(name string) (stored.Info, bool)
	ReadF32(name string) ([]float32, error)
	ReadF64(name string) ([]float64, error)
	ReadBits(name string) ([]uint16, error)
}

// file is an open file of weights, or an index of such files.
type file struct {
	fs.File
	name    string
	size    int64
	time    time.Time
	tensors container // nil for an index
}

// layout is a way to store weights.
type layout struct {
	file  string // a container, or the index of several
	index bool
	open  func(r io.ReaderAt, size int64) (container, error)
}

// layouts are those that this package reads, in the order of preference.
var layouts = []layout{
	{WeightsFile, false, openSafetensors},
	{WeightsFile + ".index.json", true, openSafetensors},
	{"pytorch_model.bin", false, openTorch},
	{"pytorch_model.bin.index.json", true, openTorch},
}

func openSafetensors(r io.ReaderAt, size int64) (container, error) { return safetensors.Open(r, size) }

func openTorch(r io.ReaderAt, size int64) (container, error) { return torch.Open(r, size) }

// otherWeights are files of layouts that this package does not read, and the
// option with which the reference implementation does.
var otherWeights = []struct{ file, option string }{
	{"tf_model.h5", "from_tf"}, {"tf_model.h5.index.json", "from_tf"}, {"model.ckpt.index", "from_tf"}, {"bert_model.ckpt.index", "from_tf"},
	{"flax_model.msgpack", "from_flax"}, {"flax_model.msgpack.index.json", "from_flax"},
}

// openWeights opens the preferred layout that there is. Files that it opened
// are in c.files even if it fails.
func (c *Checkpoint) openWeights() error {
	for _, l := range layouts {
		var err error
		if l.index {
			err = c.openShards(l)
		} else {
			_, err = c.openContainer(l.file, l.open)
		}
		if len(c.files) > 0 || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, other := range otherWeights {
		if _, err := fs.Stat(c.fsys, other.file); err == nil {
			return &UnsupportedError{
				What: "weights stored as " + other.file,
				Hint: "save the model again as safetensors, for instance with from_pretrained(folder, " + other.option + "=True).save_pretrained(folder, safe_serialization=True)",
			}
		}
	}
	return &MissingError{File: WeightsFile, Hint: "a model folder needs it, or pytorch_model.bin, beside " + ConfigFile}
}

// openContainer opens a file of weights and adds it to c.files.
func (c *Checkpoint) openContainer(name string, open func(io.ReaderAt, int64) (container, error)) (*file, error) {
	f, err := openFile(c.fsys, name)
	if err != nil {
		return nil, err
	}
	c.files = append(c.files, f)
	r, err := readerAt(f.File, f.size)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: reading %s: %w", name, err)
	}
	metered := &meter{r, &c.unread}
	f.tensors, err = open(metered, f.size)
	metered.left = nil
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %s: %w", name, err)
	}
	return f, nil
}

// meter reads a file up to so many bytes, without a bound where left is nil.
type meter struct {
	io.ReaderAt
	left *int64
}

func (m *meter) ReadAt(p []byte, offset int64) (int, error) {
	if m.left != nil {
		if int64(len(p)) > *m.left {
			return 0, &UnsupportedError{
				What: fmt.Sprintf("a model whose files take more than %d bytes to say what tensors they hold", maxDescription),
				Hint: "save it again with save_pretrained, which writes down each tensor once",
			}
		}
		*m.left -= int64(len(p))
	}
	return m.ReaderAt.ReadAt(p, offset)
}

// openFile opens a regular file, or a link to one. Its mode is looked at
// before, because to open a named pipe waits for somebody to write into it. An
// error for a file that is absent wraps [fs.ErrNotExist].
func openFile(fsys fs.FS, name string) (*file, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: opening %s: %w", name, err)
	}
	if err := regular(name, info); err != nil {
		return nil, err
	}
	opened, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: opening %s: %w", name, err)
	}
	if info, err = opened.Stat(); err != nil {
		err = fmt.Errorf("checkpoint: opening %s: %w", name, err)
	} else {
		err = regular(name, info) // nobody has put another thing in its place
	}
	if err != nil {
		opened.Close()
		return nil, err
	}
	return &file{File: opened, name: name, size: info.Size(), time: info.ModTime()}, nil
}

// regular returns an error unless info is of a regular file.
func regular(name string, info fs.FileInfo) error {
	what := "neither a file nor a folder"
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a folder"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	}
	return &UnsupportedError{What: name + " that is " + what, Hint: "the files of a model are regular files or links to them"}
}

// readerAt gives random access to a file. Operating systems, embed and zip
// archives kept in memory provide it; anything else is read as a whole.
func readerAt(file fs.File, size int64) (io.ReaderAt, error) {
	if r, ok := file.(io.ReaderAt); ok {
		return r, nil
	}
	data, err := io.ReadAll(io.LimitReader(file, size))
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(data), nil
}
