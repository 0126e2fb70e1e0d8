// Command gen writes the amd64 assembly of package kernel with avo. It is a
// module of its own so that the engine does not depend on the generator:
//
//	go run . -isa avx512 -pkg kernel -out ../avx512_amd64.s -stubs ../avx512_amd64.go
//	go run . -isa avx512 -set grad -pkg kernel -out ../grad_avx512_amd64.s -stubs ../grad_avx512_amd64.go
//
// Every kernel is written once, over the vector of a [machine], and generated
// for AVX-512 and for AVX2 with FMA. The loops that the kernels are held to
// are in the generic files of the folder above.
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
)

// sets are the kernels of a file each, by the name that begins the file's.
var sets = map[string][]func(m *machine){
	"": {
		func(m *machine) { m.gemm(false, f32) }, (*machine).transpose, (*machine).softmax, (*machine).layerNorm, (*machine).add,
		(*machine).gelu, (*machine).gate, (*machine).sigmoid, (*machine).tanh, (*machine).relu, (*machine).peak,
	},
	"grad": {
		func(m *machine) { m.gemm(true, f32) }, (*machine).stack,
		func(m *machine) { m.stats(true) }, func(m *machine) { m.stats(false) }, (*machine).normalize,
		func(m *machine) { m.affine(true) }, func(m *machine) { m.affine(false) }, (*machine).rmsNorm,
		func(m *machine) { m.normGrad(true) }, func(m *machine) { m.normGrad(false) },
		(*machine).softmaxGrad, (*machine).geluGrad, (*machine).gateGrad, (*machine).sigmoidGrad, (*machine).tanhGrad, (*machine).reluGrad,
		(*machine).mul, (*machine).scaleBy, (*machine).addScaled, (*machine).dot, (*machine).rotate,
	},
	"half": {
		func(m *machine) { m.gemm(false, bf16) }, func(m *machine) { m.gemm(false, f16) },
	},
	"int8": {
		func(m *machine) {
			if m.wide() {
				m.gemm8(fourBytes)
				m.quantize(fourBytes)
			}
		},
		func(m *machine) { m.gemm8(twoWords) }, func(m *machine) { m.quantize(twoWords) },
	},
}

func main() {
	isa := flag.String("isa", "", "instruction set: avx512 or avx2")
	set := flag.String("set", "", "kernels to write: none, grad, half or int8")
	flag.Parse()
	var m *machine
	switch *isa {
	case "avx512":
		m = &machine{suffix: "AVX512", lanes: 16, tileRows: 12, together: 4}
	case "avx2":
		m = &machine{suffix: "AVX2", lanes: 8, tileRows: 6, together: 2}
	default:
		fmt.Fprintf(os.Stderr, "gen: unknown instruction set %q: use avx512 or avx2\n", *isa)
		os.Exit(2)
	}
	kernels, ok := sets[*set]
	if !ok {
		fmt.Fprintf(os.Stderr, "gen: unknown set %q of kernels\n", *set)
		os.Exit(2)
	}
	ConstraintExpr("!purego")
	for _, write := range kernels {
		write(m)
	}
	m.emit()
	Generate()
}
