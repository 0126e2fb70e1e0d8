//go:build !purego

package kernel

// gemmNEON computes tiles · rows rows of dst = x·panel: x is [tiles·rows, k], panel is
// [k, 8], and the first columns of dst are written. With add the sums begin with what
// dst holds; bias, of as many columns, is added last if it is not nil. Where next is not
// nil the memory from there on, as much as panel, is brought closer meanwhile.
// 1 ≤ rows ≤ 8, 1 ≤ tiles, 1 ≤ k, 1 ≤ columns ≤ 8; ldx and ldd count elements.
//
//go:noescape
func gemmNEON(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)

// gemmTransposedNEON computes what gemmNEON does where x is [k, tiles·rows], transposed:
// the rows in memory are ldx apart.
//
//go:noescape
func gemmTransposedNEON(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)

// gemmBF16NEON is gemmNEON for panels of bfloat16, in the order of [Half.place].
//
//go:noescape
func gemmBF16NEON(rows, tiles, k int, x *float32, ldx int, panel *uint16, dst *float32, ldd, columns int, add bool, bias *float32, next *uint16)

// gemmF16NEON is gemmNEON for panels of binary16.
//
//go:noescape
func gemmF16NEON(rows, tiles, k int, x *float32, ldx int, panel *uint16, dst *float32, ldd, columns int, add bool, bias *float32, next *uint16)

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

// layerNormStatsNEON writes the mean and √(var + eps) of each of rows rows of d contiguous
// values of x; 1 ≤ d.
//
//go:noescape
func layerNormStatsNEON(mean, divisor, x *float32, rows, d int, eps float32)

// rmsNormStatsNEON writes √(mean(x²) + eps) of each of rows rows of d contiguous values of x;
// 1 ≤ d.
//
//go:noescape
func rmsNormStatsNEON(divisor, x *float32, rows, d int, eps float32)

// normalizeNEON computes (x − mean)·(1/divisor) for each of rows rows of d contiguous values
// of x into dst, which may be x. The means are step bytes apart, the divisors 4; 1 ≤ d.
//
//go:noescape
func normalizeNEON(dst, x *float32, rows, d int, mean *float32, step int, divisor *float32)

// affineNEON computes x·gamma + beta for each of rows rows of d contiguous values of x into
// dst, which may be x; 1 ≤ d.
//
//go:noescape
func affineNEON(dst, x *float32, rows, d int, gamma, beta *float32)

// gainNEON computes x·gamma for each of rows rows of d contiguous values of x into dst,
// which may be x; 1 ≤ d.
//
//go:noescape
func gainNEON(dst, x *float32, rows, d int, gamma *float32)

// rmsNormNEON computes x/√(mean(x²) + eps)·gamma for each of rows rows of d contiguous values
// of x into dst, which may be x; 1 ≤ d.
//
//go:noescape
func rmsNormNEON(dst, x *float32, rows, d int, gamma *float32, eps float32)

// layerNormGradNEON computes (g − mean(g) − n·mean(g·n))/divisor with n = (x − mean)/divisor
// and g = dy·gamma for each of rows rows of d contiguous values into dx, which may be dy or x;
// 1 ≤ d.
//
//go:noescape
func layerNormGradNEON(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)

// rmsNormGradNEON computes (g − n·mean(g·n))/divisor with n = x/divisor and g = dy·gamma for
// each of rows rows of d contiguous values into dx, which may be dy or x; 1 ≤ d.
//
//go:noescape
func rmsNormGradNEON(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)

// softmaxGradNEON computes p·(dp − Σ p·dp) for each of rows rows of n values at stride ld
// elements and writes it to ds, which may be p or dp; 1 ≤ n.
//
//go:noescape
func softmaxGradNEON(ds, p, dp *float32, ld, rows, n int)

// geluGradNEON computes the n values of dx = dy·f′(x), f′(x) = Φ(x) + x·φ(x). dx may be dy
// or x.
//
//go:noescape
func geluGradNEON(dx, dy, x *float32, n int)

// gateGradNEON computes the n values of dx = dy·f′(x), f′(x) = σ(z) + x·z′·σ(z)·σ(−z),
// z = linear·x + cubic·x³; linear ≥ 1, cubic ≥ 0. dx may be dy or x.
//
//go:noescape
func gateGradNEON(dx, dy, x *float32, n int, linear, cubic float32)

// sigmoidGradNEON computes the n values of dx = dy·f′(x), f′(x) = σ(x)·σ(−x). dx may be dy
// or x.
//
//go:noescape
func sigmoidGradNEON(dx, dy, x *float32, n int)

// tanhGradNEON computes the n values of dx = dy·f′(x), f′(x) = 1 − tanh²(x). dx may be dy or x.
//
//go:noescape
func tanhGradNEON(dx, dy, x *float32, n int)

// reluGradNEON computes the n values of dx: dy where x > 0, 0 where x ≤ 0, and x where it is
// NaN. dx may be dy or x.
//
//go:noescape
func reluGradNEON(dx, dy, x *float32, n int)

// mulNEON multiplies the n values of dst by those of x.
//
//go:noescape
func mulNEON(dst, x *float32, n int)

// scaleNEON multiplies the n values of x by a.
//
//go:noescape
func scaleNEON(x *float32, n int, a float32)

// addScaledNEON adds a times the n values of x to those of dst.
//
//go:noescape
func addScaledNEON(dst, x *float32, n int, a float32)

// dotNEON returns the sum of the n products of values of x and y.
//
//go:noescape
func dotNEON(x, y *float32, n int) float32

// rotateNEON turns the pairs i, half + i of each of heads heads of e contiguous values in each
// of rows rows of x, at stride ld elements, by angles with the given cosines and sign times
// the given sines, [rows, half]; 1 ≤ rows, heads and half.
//
//go:noescape
func rotateNEON(x *float32, ld, rows, heads, e, half int, cos, sin *float32, sign float32)
