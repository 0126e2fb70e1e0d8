package safetensors_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/xai-go/xai/engine/checkpoint/safetensors"
)

func Example() {
	var file bytes.Buffer
	err := safetensors.Write(&file, []safetensors.Tensor{
		{Name: "attributions", Shape: []int{2, 2}, Data: []float32{0.5, -0.25, 0, 1}},
		{Name: "input_ids", Shape: []int{2}, Data: []int64{101, 102}},
	}, map[string]string{"method": "saliency"})
	if err != nil {
		log.Fatal(err)
	}
	f, err := safetensors.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range f.Names() {
		info, _ := f.Tensor(name)
		fmt.Println(name, info.DType, info.Shape)
	}
	values, err := f.ReadF32("attributions")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values)
	// Output:
	// input_ids I64 [2]
	// attributions F32 [2 2]
	// [0.5 -0.25 0 1]
}
