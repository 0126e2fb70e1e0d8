package virtual

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"testing"
)

// TestFolder reads the weights in pieces of odd sizes, across the end of the
// header and at the end of the file: the bytes are those of one reading.
func TestFolder(t *testing.T) {
	for _, name := range []string{"bert-tiny", "gpt2-tiny"} {
		for _, half := range []bool{false, true} {
			shape, err := Named(name)
			if err != nil {
				t.Fatal(err)
			}
			folder, err := shape.Folder(half)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := fs.ReadFile(folder, "model.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			opened, err := folder.Open("model.safetensors")
			if err != nil {
				t.Fatal(err)
			}
			f := opened.(*file)
			if values := int64(len(whole) - len(f.head)); values != shape.Parameters()*4 && !half || half && values != shape.Parameters()*2 {
				t.Errorf("%s, half %t: %d bytes of %d weights", name, half, values, shape.Parameters())
			}
			for _, from := range []int{0, len(f.head) - 100, len(whole) - 100} {
				var pieces []byte
				for n := 1; len(pieces) < 100; n = n%13 + 1 {
					piece := make([]byte, n)
					got, err := f.ReadAt(piece, int64(from+len(pieces)))
					if err != nil && !(errors.Is(err, io.EOF) && got < n) {
						t.Fatal(err)
					}
					pieces = append(pieces, piece[:got]...)
				}
				if want := whole[from:]; !bytes.Equal(pieces, want[:min(len(want), len(pieces))]) {
					t.Errorf("%s, half %t: pieces from %d on differ from the whole", name, half, from)
				}
			}
		}
	}
}

// TestBertBase: the shape is the well-known one, and the numbers are of the
// stated size and not one-sided.
func TestBertBase(t *testing.T) {
	base, err := Named("bert-base")
	if err != nil {
		t.Fatal(err)
	}
	if got := base.Parameters(); got != 109483778 { // of BertForSequenceClassification, two labels
		t.Errorf("%d parameters", got)
	}
	sum, most := 0.0, 0.0
	for i := range uint64(10000) {
		w := float64(math.Float32frombits(weightBits(i)))
		sum, most = sum+w, max(most, w, -w)
	}
	if most > 0.06 || most < 0.05 || math.Abs(sum) > 20 {
		t.Errorf("weights reach %v and sum to %v", most, sum)
	}
}
