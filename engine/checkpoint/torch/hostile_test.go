package torch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xai-go/xai/engine/checkpoint/internal/torchfile"
)

// containers are the two ways to write a file.
var containers = map[string]torchfile.Write{"zip": torchfile.Zip, "legacy": torchfile.Legacy}

// pickled returns a zip container with one storage and a pickle of the given
// operations.
func pickled(ops string) []byte {
	return torchfile.Zip([]*torchfile.Storage{torchfile.Floats("0", 1, 2, 3, 4)}, func(p *torchfile.Pickle) { p.Op(ops) })
}

// text returns the operation that pushes a string.
func text(s string) string {
	p := &torchfile.Pickle{}
	return p.Text(s).String()
}

// storage0 is the persistent id of the storage in pickled, without its end.
const storage0 = "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"

// viewing returns the operations for a dict of one tensor with these arguments
// after the storage.
func viewing(arguments string) string {
	return "}" + text("a") + "ctorch._utils\n_rebuild_tensor_v2\n(" + storage0 + arguments + "tRs"
}

func TestRefused(t *testing.T) {
	tests := map[string]struct{ ops, op, name string }{
		"GLOBAL":                 {"cos\nsystem\n(" + text("true") + "tR", "GLOBAL", "os.system"},
		"GLOBAL of builtins":     {"c__builtin__\neval\n", "GLOBAL", "__builtin__.eval"},
		"GLOBAL with a dot":      {"ctorch._utils\n_rebuild_tensor_v2.__globals__\n", "GLOBAL", "torch._utils._rebuild_tensor_v2.__globals__"},
		"GLOBAL of a layer":      {"ctorch.nn.modules.linear\nLinear\n", "GLOBAL", "torch.nn.modules.linear.Linear"},
		"STACK_GLOBAL":           {text("posix") + text("system") + "\x93", "STACK_GLOBAL", "posix.system"},
		"INST":                   {"(" + text("true") + "ios\nsystem\n", "INST", "os.system"},
		"INST of what is known":  {"(icollections\nOrderedDict\n", "INST", "collections.OrderedDict"},
		"OBJ":                    {"(ccollections\nOrderedDict\no", "NEWOBJ", "collections.OrderedDict"},
		"NEWOBJ":                 {"ctorch\nFloatStorage\n)\x81", "NEWOBJ", "torch.FloatStorage"},
		"NEWOBJ_EX":              {"ctorch\nFloatStorage\n)}\x92", "NEWOBJ", "torch.FloatStorage"},
		"REDUCE of a string":     {text("os.system") + ")R", "REDUCE", "str"},
		"REDUCE of a storage":    {"ctorch\nFloatStorage\nK\x04\x85R", "REDUCE", "torch.FloatStorage"},
		"BUILD of a dict":        {"}}b", "BUILD", "dict"},
		"BUILD of a function":    {"ctorch._utils\n_rebuild_tensor_v2\n}b", "BUILD", "torch._utils._rebuild_tensor_v2"},
		"BUILD with a tuple":     {"ccollections\nOrderedDict\n)RN}\x86b", "BUILD", "collections.OrderedDict"},
		"EXT1":                   {"\x82\x01", "EXT", "a registered extension"},
		"a storage without type": {"ctorch.storage\nUntypedStorage\n", "GLOBAL", "torch.storage.UntypedStorage"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := open(pickled(test.ops))
			refused, ok := errors.AsType[*RefusedError](err)
			if !ok || refused.Op != test.op || refused.Name != test.name {
				t.Fatalf("%v, want %s of %s to be refused", err, test.op, test.name)
			}
			if !strings.Contains(err.Error(), test.name) || refused.Offset <= 0 {
				t.Errorf("%q does not say what and where", err)
			}
		})
	}
}

func TestMalformedPickle(t *testing.T) {
	contiguous := "K\x00K\x04\x85K\x01\x85"
	end := "\x89}"
	tests := map[string]struct{ ops, says string }{
		"nothing on the stack":       {"", "than there is"},
		"pop of nothing":             {"0", "than there is"},
		"take below a mark":          {"NN(N\x86", "than there is"},
		"no mark":                    {"Nt", "MARK"},
		"tuple of too few":           {"N\x87", "than there is"},
		"append to a tuple":          {")Na", "appends to a tuple"},
		"items of a list":            {"]NNs", "of a list"},
		"odd items":                  {"}(NNNu", "3 keys"},
		"never stored":               {"h\x07", "value 7"},
		"cut string":                 {"X\xff\xff\x00\x00abc", "ends early"},
		"huge string":                {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "ends early"},
		"huge bytes":                 {"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", "ends early"},
		"cut name":                   {"cos", "ends early"},
		"long name":                  {"c" + strings.Repeat("x", 1<<20), "more than 4096"},
		"long name on the stack":     {text(strings.Repeat("x", 1<<13)) + text("y") + "\x93", "more than 4096"},
		"names of numbers":           {"K\x01K\x02\x93", "a int and a int"},
		"arguments no tuple":         {"ctorch\nSize\n]R", "with a list"},
		"size of nothing":            {"ctorch\nSize\n)R", "0 arguments"},
		"items of OrderedDict":       {"ccollections\nOrderedDict\n](K\x01K\x02e\x85R", "no key and value"},
		"parameter of no tensor":     {"ctorch._utils\n_rebuild_parameter\nN\x89}\x87R", "3 arguments"},
		"tensor of a list":           {"}" + text("a") + "ctorch._utils\n_rebuild_tensor_v2\n(]" + contiguous + end + "tRs", "view of a list"},
		"too few arguments":          {viewing(contiguous), "4 arguments"},
		"negative offset":            {viewing("J\xff\xff\xff\xffK\x04\x85K\x01\x85" + end), "from a int"},
		"negative size":              {viewing("K\x00J\xff\xff\xff\xff\x85K\x01\x85" + end), "do not go together"},
		"negative stride":            {viewing("K\x03K\x04\x85J\xff\xff\xff\xff\x85" + end), "do not go together"},
		"more sizes than strides":    {viewing("K\x00K\x02K\x02\x86K\x01\x85" + end), "do not go together"},
		"too many dimensions":        {viewing("K\x00(" + strings.Repeat("K\x01", 65) + "t(" + strings.Repeat("K\x01", 65) + "t" + end), "do not go together"},
		"size beyond the storage":    {viewing("K\x00K\x05\x85K\x01\x85" + end), "exceeds its storage of 4"},
		"offset beyond the storage":  {viewing("K\x01K\x04\x85K\x01\x85" + end), "exceeds its storage of 4"},
		"stride beyond the storage":  {viewing("K\x00K\x02\x85K\x04\x85" + end), "exceeds its storage of 4"},
		"stride overflows":           {viewing("K\x00K\x03\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85" + end), "exceeds its storage"},
		"shape overflows":            {viewing("K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x86K\x00K\x00\x86" + end), "too large"},
		"size beyond 64 bits":        {viewing("K\x00\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01\x85K\x01\x85" + end), "do not go together"},
		"id of a string":             {text("0") + "Q", "none of a storage"},
		"id of a module":             {"(" + text("module") + "NNNNtQ", "none of a storage"},
		"storage of an unknown type": {"(" + text("storage") + "ccollections\nOrderedDict\n" + text("0") + text("cpu") + "K\x04tQ", "makes no sense"},
		"storage of negative length": {strings.Replace(storage0, "K\x04tQ", "J\xff\xff\xff\xfftQ", 1), "makes no sense"},
		"storage that is absent":     {strings.Replace(storage0, "\x000X", "\x009X", 1), `lacks "data/9"`},
		"storage of another length":  {strings.Replace(storage0, "K\x04tQ", "K\x05tQ", 1), "16 bytes and claims 5"},
		"storage of absurd length":   {strings.Replace(storage0, "K\x04tQ", "\x8a\x08\x04\x00\x00\x00\x00\x00\x00\x40tQ", 1), "16 bytes and claims"},
		"storage of two types":       {storage0 + strings.Replace(strings.Replace(storage0, "Float", "Double", 1), "K\x04tQ", "K\x02tQ", 1), "in two ways"},
		"storage that climbs":        {strings.Replace(storage0, "X\x01\x00\x00\x000", text("../data.pkl"), 1), "lacks"},
		"same name twice":            {"}(" + text("a") + viewing(contiguous + end)[7:len(viewing(contiguous+end))-1] + text("a") + viewing(contiguous + end)[7:len(viewing(contiguous+end))-1] + "u", "twice"},
		"long name of a tensor":      {strings.Replace(viewing(contiguous+end), text("a"), text(strings.Repeat("a", 5000)), 1), "5000 bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := pickled(test.ops)
			_, err := open(file)
			format, ok := errors.AsType[*FormatError](err)
			if !ok || !strings.Contains(format.Reason, test.says) {
				t.Fatalf("%v, want a FormatError that says %q", err, test.says)
			}
			if format.Offset < 0 || format.Offset > int64(len(file)) {
				t.Errorf("offset %d is outside of the file of %d bytes", format.Offset, len(file))
			}
		})
	}
}

// TestPickleRest runs operations that a state dict may have and PyTorch seldom
// writes.
func TestPickleRest(t *testing.T) {
	contiguous := "K\x00K\x04\x85K\x01\x85"
	for name, ops := range map[string]string{
		"plain":                   viewing(contiguous + "\x89}"),
		"no hooks":                viewing(contiguous + "\x89N"),
		"metadata of none":        viewing(contiguous + "\x89}N"),
		"empty metadata":          viewing(contiguous + "\x89}}"),
		"before 0.4":              strings.Replace(viewing(contiguous), "_v2", "", 1),
		"size of torch.Size":      viewing("K\x00ctorch\nSize\nK\x04\x85\x85RK\x01\x85\x89}"),
		"an OrderedDict of items": "ccollections\nOrderedDict\n](](" + viewing(contiguous + "\x89}")[1:len(viewing(contiguous+"\x89}"))-1] + "ee\x85R",
		"strings of Python 2":     strings.Replace(viewing(contiguous+"\x89}"), text("a"), "U\x01a", 1),
		"POP, DUP, POP_MARK":      "N0(0(NN1" + viewing(contiguous+"\x89}") + "20",
		"under state_dict":        "}(" + text("x") + "N" + text("state_dict") + viewing(contiguous+"\x89}") + "u",
		"under model":             "}" + text("model") + viewing(contiguous+"\x89}") + "s",
		"bytes, sets of numbers":  "}(" + text("x") + "C\x01aB\x01\x00\x00\x00a\x86" + text("y") + "G?\xf8\x00\x00\x00\x00\x00\x00\x8b\x01\x00\x00\x00\xff\x86u0" + viewing(contiguous+"\x89}"),
	} {
		f, err := open(pickled(ops))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := f.ReadF32("a"); err != nil || !cmp.Equal(got, []float32{1, 2, 3, 4}) {
			t.Errorf("%s: a = %v, %v", name, got, err)
		}
	}
	for name, ops := range map[string]string{
		"a conjugate":       viewing("K\x00K\x04\x85K\x01\x85\x89}}" + text("conj") + "\x88s"),
		"protocol 1":        "\x80\x01N",
		"an old operation":  "I01\n",
		"a list":            "]",
		"a set":             "\x8f",
		"a number for dict": "K\x01",
	} {
		var unsupported *UnsupportedError
		if _, err := open(pickled(ops)); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v, want an UnsupportedError", name, err)
		}
	}
}

func TestLong(t *testing.T) {
	for ops, want := range map[string]any{
		"\x8a\x00": int64(0), "\x8a\x01\xff": int64(-1), "\x8a\x02\xff\x00": int64(255), "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80": int64(-1 << 63),
		"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00": big("\x00\x00\x00\x00\x00\x00\x00\x80\x00"),
		"J\xfe\xff\xff\xff":                            int64(-2), "M\xfe\xff": int64(65534), "K\xfe": int64(254),
	} {
		b := []byte(ops + ".")
		m := newMachine(&File{r: bytes.NewReader(b)}, 0, int64(len(b)), nil)
		if got, err := m.run(); err != nil || got != want {
			t.Errorf("%q = %v, %v, want %v", ops, got, err, want)
		}
	}
}

// TestBombs opens pickles that would build far more than they say.
func TestBombs(t *testing.T) {
	const size = 1 << 20
	many := func(ops string) string { return strings.Repeat(ops, size/len(ops)) }
	for name, ops := range map[string]string{
		"empty dicts":       many("}"),
		"empty lists":       many("]"),
		"marks":             many("("),
		"copies":            "N" + many("2"),
		"tuples":            many(")"),
		"recalls":           text(strings.Repeat("x", 1000)) + "q\x00" + many("h\x00"),
		"memo":              "N" + many("r\x01\x02\x03\x04")[:size/2] + many("\x94"),
		"nested tuples":     "N" + many("\x85"),
		"doubling":          "Nq\x00" + many("h\x00h\x00\x86q\x00"),
		"repeated items":    "](" + many("N") + "eq\x000" + many("ccollections\nOrderedDict\nh\x00\x85R0"),
		"pairs of one list": "](NN\x86q\x01" + many("h\x01") + "eq\x000" + many("ccollections\nOrderedDict\nh\x00\x85R0"),
	} {
		t.Run(name, func(t *testing.T) {
			file := pickled(ops)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := open(file)
			runtime.ReadMemStats(&after)
			if _, ok := errors.AsType[*FormatError](err); !ok {
				t.Errorf("%v, want a FormatError", err)
			}
			if ratio := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(file)); ratio > 40 {
				t.Errorf("%.0f bytes were allocated for each of the file", ratio)
			}
		})
	}
}

// TestMemoryRate holds that what a state dict needs is well below what the
// machine allows.
func TestMemoryRate(t *testing.T) {
	storage := torchfile.Floats("0", 1)
	p := &torchfile.Pickle{}
	p.Op("}")
	for range 1000 {
		p.Op("(").Text("w").Tensor(torchfile.Tensor{Storage: storage, Shape: []int{1, 1, 1, 1}}).Op("u")
	}
	p.Op(".")
	m := newMachine(&File{r: bytes.NewReader(p.Bytes())}, 0, int64(p.Len()), func(any) (any, error) {
		return newStorage("torch.FloatStorage", 1), nil
	})
	if _, err := m.run(); err != nil {
		t.Fatal(err)
	}
	rate := float64(m.memory) / float64(p.Len())
	t.Logf("%.1f bytes of memory for a byte of pickle", rate)
	if rate > memoryRate/2 {
		t.Errorf("the machine counts %.1f bytes for a byte of an honest pickle and allows %d", rate, memoryRate)
	}
}

func newStorage(class global, elements int) *storage {
	return &storage{format: storages[class], elements: elements}
}

func TestMalformedZip(t *testing.T) {
	pickle := torchfile.Record{Name: "a/data.pkl", Data: []byte("\x80\x02}.")}
	whole := torchfile.Archive(pickle)
	moved := bytes.Clone(whole) // the directory says that the pickle is elsewhere
	directory := bytes.LastIndex(moved, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(moved[directory+42:], 7)
	long := bytes.Clone(whole) // … and longer than the file
	binary.LittleEndian.PutUint32(long[directory+20:], 1<<30)
	binary.LittleEndian.PutUint32(long[directory+24:], 1<<30)
	for name, test := range map[string]struct {
		file []byte
		says string
	}{
		"empty":            {nil, "no file of torch.save"},
		"text":             {[]byte("hello"), "no file of torch.save"},
		"cut":              {whole[:len(whole)-30], "cut short"},
		"start alone":      {[]byte("PK\x03\x04"), "cut short"},
		"no pickle":        {torchfile.Archive(torchfile.Record{Name: "a/version", Data: []byte("3\n")}), "no data.pkl"},
		"no folder":        {torchfile.Archive(torchfile.Record{Name: "data.pkl", Data: []byte("\x80\x02}.")}), "outside of its folder"},
		"two folders":      {torchfile.Archive(pickle, torchfile.Record{Name: "b/data.pkl"}), "twice or in a second folder"},
		"same name twice":  {torchfile.Archive(pickle, pickle), "twice or in a second folder"},
		"wrong order":      {torchfile.Archive(pickle, torchfile.Record{Name: "a/byteorder", Data: []byte("middle")}), "byte order"},
		"pickle elsewhere": {moved, "not where its directory says"},
		"pickle too long":  {long, "exceeds the file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(test.file)
			format, ok := errors.AsType[*FormatError](err)
			if !ok || !strings.Contains(format.Reason, test.says) {
				t.Fatalf("%v, want a FormatError that says %q", err, test.says)
			}
		})
	}
	tar := make([]byte, 1024)
	copy(tar[257:], "ustar")
	deflated := bytes.Clone(whole)
	deflated[8], deflated[directory+10] = 8, 8
	for name, file := range map[string][]byte{"tar": tar, "compressed": deflated} {
		var unsupported *UnsupportedError
		if _, err := open(file); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v, want an UnsupportedError", name, err)
		}
	}
}

// TestHugeDirectory opens an archive with more files than any model has.
func TestHugeDirectory(t *testing.T) {
	records := make([]torchfile.Record, 300)
	for i := range records {
		records[i].Name = "a/" + strings.Repeat("x", 60_000)
	}
	file := torchfile.Archive(records...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var unsupported *UnsupportedError
	if _, err := open(file); !errors.As(err, &unsupported) || !strings.Contains(err.Error(), "directory") {
		t.Errorf("%v, want an UnsupportedError", err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16*maxDirectory {
		t.Errorf("%d bytes were allocated", took)
	}
}

func TestMalformedLegacy(t *testing.T) {
	s := torchfile.Floats("0", 1, 2, 3, 4)
	tensor := torchfile.Tensor{Name: "a", Storage: s, Shape: []int{4}}
	whole := torchfile.StateDict(torchfile.Legacy, tensor)
	start := torchfile.LegacyStart
	other := bytes.Clone(whole)
	other[len(other)-24] = 5
	dict := func(p *torchfile.Pickle) { p.StateDict(tensor) }
	for name, test := range map[string]struct {
		file []byte
		says string
	}{
		"cut in the magic":     {whole[:5], "ends early"},
		"cut in a pickle":      {whole[:len(start)+10], "ends early"},
		"cut before a storage": {whole[:len(whole)-20], "cut short"},
		"cut in a storage":     {whole[:len(whole)-1], "cut short"},
		"other count":          {other, "has 5 values and not 4"},
		"storage missing":      {torchfile.Legacy(nil, dict), "is missing"},
		"storage twice":        {torchfile.Legacy([]*torchfile.Storage{s, s}, dict), "twice"},
		"storage of no tensor": {torchfile.Legacy([]*torchfile.Storage{torchfile.Floats("1", 1)}, dict), "no tensor has it"},
		"keys no list":         {[]byte(start + "}.N."), "are a None"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(test.file)
			format, ok := errors.AsType[*FormatError](err)
			if !ok || !strings.Contains(format.Reason, test.says) {
				t.Fatalf("%v, want a FormatError that says %q", err, test.says)
			}
		})
	}
	storage := bytes.Index(whole, []byte("K\x04NtQ"))
	viewed := append(append(bytes.Clone(whole[:storage+2]), ")"...), whole[storage+3:]...)
	for name, file := range map[string][]byte{
		"another pickle":  []byte("\x80\x02}."),
		"another magic":   []byte("\x80\x02\x8a\x0a0123456789."),
		"another version": []byte(strings.Replace(start, "M\xe9\x03", "M\xea\x03", 1)),
		"a part":          viewed,
	} {
		var unsupported *UnsupportedError
		if _, err := open(file); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v, want an UnsupportedError", name, err)
		}
	}
}

// brokenAt is a file that cannot be read beyond an offset.
type brokenAt struct {
	io.ReaderAt
	limit int64
}

func (b brokenAt) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > b.limit {
		return 0, io.ErrClosedPipe
	}
	return b.ReaderAt.ReadAt(p, offset)
}

// TestReadErrorIsKept: a disk that fails is no malformed file.
func TestReadErrorIsKept(t *testing.T) {
	for name, write := range containers {
		file := torchfile.StateDict(write, torchfile.Tensor{Name: "a", Storage: torchfile.Floats("0", make([]float32, 1000)...), Shape: []int{1000}})
		for _, limit := range []int64{0, 600, int64(len(file)) - 1} {
			f, err := Open(brokenAt{bytes.NewReader(file), limit}, int64(len(file)))
			if err == nil {
				_, err = f.ReadF32("a")
			}
			if !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s, broken from byte %d on: %v, want the reader's own error", name, limit, err)
			}
		}
		f, err := open(file)
		if err != nil {
			t.Fatal(err)
		}
		f.r = bytes.NewReader(file[:1000])
		var format *FormatError
		if _, err := f.ReadF32("a"); !errors.As(err, &format) || !strings.Contains(err.Error(), "smaller than it was") {
			t.Errorf("%s that shrank: %v", name, err)
		}
		if _, err := Open(bytes.NewReader(file[:100]), int64(len(file))); !errors.As(err, &format) {
			t.Errorf("%s with a size that lies: %v", name, err)
		}
	}
}
