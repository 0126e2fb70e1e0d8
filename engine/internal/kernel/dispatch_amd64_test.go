//go:build !purego

package kernel

// others8 returns families with the code for weights of 8 bits that they would
// not choose on this processor, or at all.
func others8() []*family {
	var all []*family
	with := func(base *family, name string, code *integers) {
		f := *base
		f.name, f.group, f.quantize = name, generic.group, generic.quantize
		(&assembly{rows: 12, lanes: 16, integers: code}).enter8(&f)
		all = append(all, &f)
	}
	for _, f := range available() {
		switch f {
		case avx512:
			with(f, "avx512 without VNNI", wordsAVX512)
			with(f, "avx512 by float32", nil)
		case avx2:
			with(f, "avx2 by float32", nil)
		}
	}
	return all
}
