// Command gen writes the amd64 assembly of package kernel with avo. It is a
// module of its own so that the engine does not depend on the generator:
//
//	go run . -isa avx512 -pkg kernel -out ../avx512_amd64.s -stubs ../avx512_amd64.go
//
// Every kernel is written once, over the vector of a [machine], and generated
// for AVX-512 and for AVX2 with FMA. The loops that the kernels are held to
// are in ../generic.go.
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	isa := flag.String("isa", "", "instruction set: avx512 or avx2")
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
	ConstraintExpr("!purego")
	m.gemm()
	m.transpose()
	m.gather()
	m.softmax()
	m.layerNorm()
	m.add()
	m.gelu()
	m.gate()
	m.sigmoid()
	m.tanh()
	m.relu()
	m.peak()
	m.emit()
	Generate()
}
