//go:build !purego

#include "textflag.h"
#include "neon_arm64.h"
#include "group_arm64.h"
#include "rows_arm64.h"

// softmaxNEON writes exp(x − max)/Σ for each row.
//
// func softmaxNEON(x *float32, ld, rows, n int)
TEXT ·softmaxNEON(SB), NOSPLIT, $0-32
	MOVD	x+0(FP), R0
	MOVD	ld+8(FP), R1
	MOVD	rows+16(FP), R2
	MOVD	n+24(FP), R3
	LSL	$2, R1
	CONSTANTS

softmax:
	ROWS

	// The bound keeps a row that is −Inf everywhere from −Inf − −Inf.
	FILL(LOWEST, 4)
#define LARGEST(ldr, str, clear, fill) \
	READ(ldr, 31, 0)               \
	fill(0)                        \
	EACH(FMAX, 0, 4, 4)
	PASS(LARGEST, maxVectors, maxRest, maxValues, maxDone)
	ACROSS(FMAXP, 4)
	MOV(4, 8)
	SPREAD(8, 4)

	// The exponentials, in V16 …, and their sums, in V8 …
	ZERO(V8, V9, V10, V11)
#define EXPONENTIAL(ldr, str, clear, fill) \
	READ(ldr, 31, 0)               \
	EACH(FSUB, 4, 0, 0)            \
	DECAY(0, 12, 20, 16, 28)       \
	WRITE(str, 31, 16)             \
	clear(16)                      \
	EACH(FADD, 16, 8, 8)
	PASS(EXPONENTIAL, expVectors, expRest, expValues, expDone)

	// A sum is at least 1, or it is 0 where all is −Inf, or NaN.
	ACROSS(FADDP, 8)
	DUP(ONE, 0)
	FMAX(0, 8, 8)
	FDIV(8, 0, 8)
	SPREAD(8, 4)
#define WEIGHTS(ldr, str, clear, fill) \
	READ(ldr, 31, 0)               \
	EACH(FMUL, 4, 0, 0)            \
	WRITE(str, 31, 0)
	PASS(WEIGHTS, scaleVectors, scaleRest, scaleValues, scaleDone)

	NEXTROWS(softmax)
	RET

// softmaxGradNEON writes p·(dp − Σ p·dp) for each row.
//
// func softmaxGradNEON(ds, p, dp *float32, ld, rows, n int)
TEXT ·softmaxGradNEON(SB), NOSPLIT, $0-48
	MOVD	ds+0(FP), R14
	MOVD	p+8(FP), R0
	MOVD	dp+16(FP), R13
	MOVD	ld+24(FP), R1
	MOVD	rows+32(FP), R2
	MOVD	n+40(FP), R3
	LSL	$2, R1
	SUB	R0, R13 // from p
	SUB	R0, R14

rows:
	ROWS
	ZERO(V8, V9, V10, V11)
#define PRODUCTS(ldr, str, clear, fill) \
	READ(ldr, 31, 0)               \
	READ(ldr, 13, 4)               \
	EACH(FMLA, 0, 4, 8)
	PASS(PRODUCTS, sumVectors, sumRest, sumValues, sumDone)
	ACROSS(FADDP, 8)
	SPREAD(8, 12)
#define GRADIENT(ldr, str, clear, fill) \
	READ(ldr, 31, 0)               \
	READ(ldr, 13, 4)               \
	EACH(FSUB, 12, 4, 4)           \
	EACH(FMUL, 0, 4, 4)            \
	WRITE(str, 14, 4)
	PASS(GRADIENT, applyVectors, applyRest, applyValues, applyDone)
	NEXTROWS(rows)
	RET
