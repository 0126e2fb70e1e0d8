//go:build !purego

package kernel

// gemmNEON computes tiles · rows rows of dst = x·panel: x is [tiles·rows, k], panel is
// [k, 8], and the first columns of dst are written. With add the product is added
// to dst; bias, of as many columns, is added last if it is not nil. The memory from
// next on, the panel that will be wanted next, is brought closer meanwhile.
// 1 ≤ rows ≤ 8, 1 ≤ tiles, 1 ≤ k, 1 ≤ columns ≤ 8; ldx and ldd count elements.
//
//go:noescape
func gemmNEON(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)

// gemmTransposedNEON computes what gemmNEON does where x is [k, tiles·rows], transposed:
// the rows in memory are ldx apart.
//
//go:noescape
func gemmTransposedNEON(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)

// transposeNEON multiplies the 4 rows of src, [4, 4·fours] with row stride ld, by scale
// and writes them as columns of dst, [4·fours, 4] of a panel 8 wide.
//
//go:noescape
func transposeNEON(dst, src *float32, ld, fours int, scale float32)

// stackNEON multiplies src, [rows, width] with row stride ld, by scale and writes it to dst,
// [rows, 8] contiguous, with zeros past width; 1 ≤ rows, 1 ≤ width ≤ 8.
//
//go:noescape
func stackNEON(dst, src *float32, ld, rows, width int, scale float32)

// softmaxNEON replaces each of rows rows of n values, at stride ld elements, by its softmax;
// 1 ≤ n.
//
//go:noescape
func softmaxNEON(x *float32, ld, rows, n int)

// layerNormNEON normalises each of rows rows of d contiguous values of x into dst, which may
// be x; 1 ≤ d.
//
//go:noescape
func layerNormNEON(dst, x *float32, rows, d int, gamma, beta *float32, eps float32)

// addNEON adds the n values of x to those of dst.
//
//go:noescape
func addNEON(dst, x *float32, n int)

// geluNEON replaces the n values of x by x·Φ(x).
//
//go:noescape
func geluNEON(x *float32, n int)

// gateNEON replaces the n values of x by x·σ(linear·x + cubic·x³); linear ≥ 1, cubic ≥ 0.
//
//go:noescape
func gateNEON(x *float32, n int, linear, cubic float32)

// sigmoidNEON replaces the n values of x by 1/(1 + exp(−x)).
//
//go:noescape
func sigmoidNEON(x *float32, n int)

// tanhNEON replaces the n values of x by their hyperbolic tangents.
//
//go:noescape
func tanhNEON(x *float32, n int)

// reluNEON replaces the negative ones of the n values of x by 0.
//
//go:noescape
func reluNEON(x *float32, n int)

// peakNEON runs n rounds of fused multiply-adds on registers.
//
//go:noescape
func peakNEON(n int)
