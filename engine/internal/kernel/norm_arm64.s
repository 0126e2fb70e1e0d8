//go:build !purego

#include "textflag.h"
#include "neon_arm64.h"
#include "group_arm64.h"
#include "rows_arm64.h"

// The functions of this file have the arguments rows and d, and their rows are
// contiguous. V28 … V30 hold d, eps and 1.
#define PREPARE                          \
	LSL	$2, R3, R1               \
	SCVTFS	R3, F28                  \
	FMOVS	$1.0, F30                \
	DUPLANE(28, 0, 28)               \
	DUPLANE(29, 0, 29)               \
	DUPLANE(30, 0, 30)

// MEANS gives the means of the rows, in the lanes of V20 and in V4 … V7.
#define MEANS                            \
	ZERO(V8, V9, V10, V11)           \
	PASS(SUM, sumVectors, sumRest, sumValues, sumDone) \
	ACROSS(FADDP, 8)                 \
	FDIV(28, 8, 20)                  \
	SPREAD(20, 4)

#define SUM(ldr, str, clear, fill)       \
	READ(ldr, 31, 0)                 \
	EACH(FADD, 0, 8, 8)

// NOMEANS takes 0 for the means.
#define NOMEANS ZERO(V4, V5, V6, V7)

// DIVISORS gives √(mean((x − mean)²) + eps) in the lanes of V21.
#define DIVISORS                         \
	ZERO(V8, V9, V10, V11)           \
	PASS(SQUARE, squareVectors, squareRest, squareValues, squareDone) \
	ACROSS(FADDP, 8)                 \
	FDIV(28, 8, 21)                  \
	FADD(29, 21, 21)                 \
	FSQRT(21, 21)

#define SQUARE(ldr, str, clear, fill)    \
	READ(ldr, 31, 0)                 \
	EACH(FSUB, 4, 0, 0)              \
	clear(0)                         \
	EACH(FMLA, 0, 0, 8)

// SCALES gives the inverse of the divisors in V12 … V15.
#define SCALES                           \
	FDIV(21, 30, 21)                 \
	SPREAD(21, 12)

// WEIGHTS and SHIFTS load what belongs to a column of all rows, at R16 in V24
// and at R17 in V25.
#define WEIGHTS(ldr) ldr(31, 16, 24)
#define SHIFTS(ldr)  ldr(31, 17, 25)

// ALONG moves a place in the weights or shifts with those in the rows.
#define ALONG(place, base) SUB R4, R8, place; ADD base, place

// layerNormNEON writes (x − mean)/√(var + eps)·gamma + beta for each row.
//
// func layerNormNEON(dst, x *float32, rows, d int, gamma, beta *float32, eps float32)
TEXT ·layerNormNEON(SB), NOSPLIT, $0-52
	MOVD	dst+0(FP), R13
	MOVD	x+8(FP), R0
	MOVD	rows+16(FP), R2
	MOVD	d+24(FP), R3
	MOVD	gamma+32(FP), R14
	MOVD	beta+40(FP), R15
	FMOVS	eps+48(FP), F29
	CBZ	R2, done
	SUB	R0, R13 // from x
	PREPARE

rows:
	ROWS
	MEANS
	DIVISORS
	SCALES
#define LAYERNORM(ldr, str, clear, fill) \
	ALONG(R16, R14)                \
	ALONG(R17, R15)                \
	READ(ldr, 31, 0)               \
	WEIGHTS(ldr)                   \
	SHIFTS(ldr)                    \
	EACH(FSUB, 4, 0, 0)            \
	EACH(FMUL, 12, 0, 0)           \
	UNARY(SHIFT, 16, 16)           \
	ALL(FMLA, 24, 0, 16)           \
	WRITE(str, 13, 16)
#define SHIFT(n, d) MOV(25, d)
	PASS(LAYERNORM, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)

done:
	RET

// STORELANES stores the first rows lanes of a vector, at most four.
#define STORELANES(v, to, done)          \
	VST1.P	v.S[0], 4(to)            \
	CMP	$2, R2                   \
	BLT	done                     \
	VST1.P	v.S[1], 4(to)            \
	CMP	$3, R2                   \
	BLT	done                     \
	VST1.P	v.S[2], 4(to)            \
	CMP	$4, R2                   \
	BLT	done                     \
	VST1.P	v.S[3], 4(to)            \
done:

// func layerNormStatsNEON(mean, divisor, x *float32, rows, d int, eps float32)
TEXT ·layerNormStatsNEON(SB), NOSPLIT, $0-44
	MOVD	mean+0(FP), R14
	MOVD	divisor+8(FP), R15
	MOVD	x+16(FP), R0
	MOVD	rows+24(FP), R2
	MOVD	d+32(FP), R3
	FMOVS	eps+40(FP), F29
	CBZ	R2, done
	PREPARE

rows:
	ROWS
	MEANS
	DIVISORS
	STORELANES(V20, R14, meansDone)
	STORELANES(V21, R15, divisorsDone)
	NEXTROWS(rows)

done:
	RET

// func rmsNormStatsNEON(divisor, x *float32, rows, d int, eps float32)
TEXT ·rmsNormStatsNEON(SB), NOSPLIT, $0-36
	MOVD	divisor+0(FP), R15
	MOVD	x+8(FP), R0
	MOVD	rows+16(FP), R2
	MOVD	d+24(FP), R3
	FMOVS	eps+32(FP), F29
	CBZ	R2, done
	PREPARE

rows:
	ROWS
	NOMEANS
	DIVISORS
	STORELANES(V21, R15, divisorsDone)
	NEXTROWS(rows)

done:
	RET

// func normalizeNEON(dst, x *float32, rows, d int, mean *float32, step int, divisor *float32)
TEXT ·normalizeNEON(SB), NOSPLIT, $0-56
	MOVD	dst+0(FP), R13
	MOVD	x+8(FP), R0
	MOVD	rows+16(FP), R2
	MOVD	d+24(FP), R3
	MOVD	mean+32(FP), R14
	MOVD	step+40(FP), R16
	MOVD	divisor+48(FP), R15
	MOVD	$4, R17
	CBZ	R2, done
	SUB	R0, R13 // from x
	PREPARE

rows:
	FOUR(R14, R16, R8, R9, R10, R11)
	READ(LDRS, 31, 4)
	FILLREST(4)
	FOUR(R15, R17, R8, R9, R10, R11)
	READ(LDRS, 31, 12)
	FILLREST(12)
#define INVERSE(n, d) FDIV(n, 30, d)
	UNARY(INVERSE, 12, 12)
	ADD	R16<<2, R14
	ADD	R17<<2, R15
	ROWS
#define NORMALIZE(ldr, str, clear, fill) \
	READ(ldr, 31, 0)               \
	EACH(FSUB, 4, 0, 0)            \
	EACH(FMUL, 12, 0, 0)           \
	WRITE(str, 13, 0)
	PASS(NORMALIZE, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)

done:
	RET

// func affineNEON(dst, x *float32, rows, d int, gamma, beta *float32)
TEXT ·affineNEON(SB), NOSPLIT, $0-48
	MOVD	dst+0(FP), R13
	MOVD	x+8(FP), R0
	MOVD	rows+16(FP), R2
	MOVD	d+24(FP), R3
	MOVD	gamma+32(FP), R14
	MOVD	beta+40(FP), R15
	CBZ	R2, done
	SUB	R0, R13 // from x
	LSL	$2, R3, R1

rows:
	ROWS
#define AFFINE(ldr, str, clear, fill) \
	ALONG(R16, R14)                \
	ALONG(R17, R15)                \
	READ(ldr, 31, 0)               \
	WEIGHTS(ldr)                   \
	SHIFTS(ldr)                    \
	UNARY(SHIFT, 16, 16)           \
	ALL(FMLA, 24, 0, 16)           \
	WRITE(str, 13, 16)
	PASS(AFFINE, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)

done:
	RET

// func gainNEON(dst, x *float32, rows, d int, gamma *float32)
TEXT ·gainNEON(SB), NOSPLIT, $0-40
	MOVD	dst+0(FP), R13
	MOVD	x+8(FP), R0
	MOVD	rows+16(FP), R2
	MOVD	d+24(FP), R3
	MOVD	gamma+32(FP), R14
	CBZ	R2, done
	SUB	R0, R13 // from x
	LSL	$2, R3, R1

rows:
	ROWS
#define GAIN(ldr, str, clear, fill) \
	ALONG(R16, R14)                \
	READ(ldr, 31, 0)               \
	WEIGHTS(ldr)                   \
	ALL(FMUL, 24, 0, 0)            \
	WRITE(str, 13, 0)
	PASS(GAIN, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)

done:
	RET

// func rmsNormNEON(dst, x *float32, rows, d int, gamma *float32, eps float32)
TEXT ·rmsNormNEON(SB), NOSPLIT, $0-44
	MOVD	dst+0(FP), R13
	MOVD	x+8(FP), R0
	MOVD	rows+16(FP), R2
	MOVD	d+24(FP), R3
	MOVD	gamma+32(FP), R14
	FMOVS	eps+40(FP), F29
	CBZ	R2, done
	SUB	R0, R13 // from x
	PREPARE

rows:
	ROWS
	NOMEANS
	DIVISORS
	SCALES
#define RMSNORM(ldr, str, clear, fill) \
	ALONG(R16, R14)                \
	READ(ldr, 31, 0)               \
	WEIGHTS(ldr)                   \
	EACH(FMUL, 12, 0, 0)           \
	ALL(FMUL, 24, 0, 0)            \
	WRITE(str, 13, 0)
	PASS(RMSNORM, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)

done:
	RET

// The gradient of a norm: with n = (x − mean)/divisor and g = dy·gamma,
//
//	(g − mean(g) − n·mean(g·n))/divisor
//
// GRADIENT loads g, in V16 …, and x − mean, in V0 …
#define GRADIENT(ldr)                    \
	ALONG(R16, R14)                  \
	READ(ldr, 31, 0)                 \
	READ(ldr, 15, 16)                \
	WEIGHTS(ldr)                     \
	EACH(FSUB, 4, 0, 0)              \
	ALL(FMUL, 24, 16, 16)

// PRODUCT adds g·(x − mean) to V8 …, and g to V20 …; what a value leaves in the
// other lanes of g is 0.
#define PRODUCT(ldr, str, clear, fill)   \
	GRADIENT(ldr)                    \
	EACH(FMLA, 0, 16, 8)             \
	EACH(FADD, 16, 20, 20)

// PRODUCTS gives mean(g·n)/divisor in V8 …, and leaves Σ g in V20 …
#define PRODUCTS                         \
	ZERO(V8, V9, V10, V11)           \
	ZERO(V20, V21, V22, V23)         \
	PASS(PRODUCT, productVectors, productRest, productValues, productDone) \
	ACROSS(FADDP, 8)                 \
	FDIV(28, 8, 26)                  \
	SPREAD(26, 8)                    \
	EACH(FMUL, 12, 8, 8)             \
	EACH(FMUL, 12, 8, 8)

// APPLY writes the gradient, with mean(g) in V20 …
#define APPLY(ldr, str, clear, fill)     \
	GRADIENT(ldr)                    \
	EACH(FSUB, 20, 16, 16)           \
	EACH(FMLS, 8, 0, 16)             \
	EACH(FMUL, 12, 16, 16)           \
	WRITE(str, 13, 16)

// func layerNormGradNEON(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)
TEXT ·layerNormGradNEON(SB), NOSPLIT, $0-52
	MOVD	dx+0(FP), R13
	MOVD	dy+8(FP), R15
	MOVD	x+16(FP), R0
	MOVD	rows+24(FP), R2
	MOVD	d+32(FP), R3
	MOVD	gamma+40(FP), R14
	FMOVS	eps+48(FP), F29
	CBZ	R2, done
	SUB	R0, R13 // from x
	SUB	R0, R15
	PREPARE

rows:
	ROWS
	MEANS
	DIVISORS
	SCALES
	PRODUCTS
	ACROSS(FADDP, 20)
	FDIV(28, 20, 26)
	SPREAD(26, 20)
	PASS(APPLY, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)

done:
	RET

// func rmsNormGradNEON(dx, dy, x *float32, rows, d int, gamma *float32, eps float32)
TEXT ·rmsNormGradNEON(SB), NOSPLIT, $0-52
	MOVD	dx+0(FP), R13
	MOVD	dy+8(FP), R15
	MOVD	x+16(FP), R0
	MOVD	rows+24(FP), R2
	MOVD	d+32(FP), R3
	MOVD	gamma+40(FP), R14
	FMOVS	eps+48(FP), F29
	CBZ	R2, done
	SUB	R0, R13 // from x
	SUB	R0, R15
	PREPARE

rows:
	ROWS
	NOMEANS
	DIVISORS
	SCALES
	PRODUCTS
	ZERO(V20, V21, V22, V23)
	PASS(APPLY, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)

done:
	RET
