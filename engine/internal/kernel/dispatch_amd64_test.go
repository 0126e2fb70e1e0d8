//go:build !purego

package kernel

// others8 returns families with the code for weights of 8 bits that the
// processor would not choose.
func others8() []*family {
	if active.Load().name != "avx512" || avx512.group == 2 {
		return nil
	}
	f := *avx512
	a := assembly{rows: 12, lanes: 16, integers: wordsAVX512}
	a.enter8(&f)
	f.name = "avx512 without VNNI"
	return []*family{&f}
}
