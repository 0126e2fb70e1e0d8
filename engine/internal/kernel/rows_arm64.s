//go:build !purego

#include "textflag.h"
#include "neon_arm64.h"
#include "group_arm64.h"

// The functions of this file work on four rows at once, a vector of each at a
// time and then, for what does not fill a vector, a value of each at a time:
// the order of a sum depends on the length of the row alone. Where fewer than
// four rows are left, the last one takes the place of those that are missing.
// Its copies then go through the same steps as itself: all of them are read
// before one is written.
//
//	R0       the first row of the four
//	R1       the bytes between two rows
//	R2       rows left
//	R3       the length of a row
//	R4 … R7  the rows
//	R8 … R11 the places in them
//	R12      values of a row left

// FOUR points to, and to three registers more, at four rows of which the first
// is from.
#define FOUR(from, a, b, c, d)           \
	MOVD	from, a                  \
	ADD	R1, a, b                 \
	CMP	$2, R2                   \
	CSEL	GE, b, a, b              \
	ADD	R1, b, c                 \
	CMP	$3, R2                   \
	CSEL	GE, c, b, c              \
	ADD	R1, c, d                 \
	CMP	$4, R2                   \
	CSEL	GE, d, c, d

// PASS begins a pass over the rows: the vectors follow it, and VALUES and the
// values. PASSED ends it.
#define PASS(vector, rest)               \
	MOVD	R4, R8                   \
	MOVD	R5, R9                   \
	MOVD	R6, R10                  \
	MOVD	R7, R11                  \
	SUBS	$4, R3, R12              \
	BLT	rest                     \
vector:

#define VALUES(vector, rest, value, done) \
	SUBS	$4, R12                  \
	BGE	vector                   \
rest:                                    \
	ADDS	$4, R12                  \
	BEQ	done                     \
value:

#define PASSED(value, done)              \
	SUBS	$1, R12                  \
	BNE	value                    \
done:

// The vectors or values at the places, in V0 … V3, and the places moved on.
#define LOADVECTORS                      \
	FMOVQ.P	16(R8), F0               \
	FMOVQ.P	16(R9), F1               \
	FMOVQ.P	16(R10), F2              \
	FMOVQ.P	16(R11), F3

#define LOADVALUES                       \
	FMOVS.P	4(R8), F0                \
	FMOVS.P	4(R9), F1                \
	FMOVS.P	4(R10), F2               \
	FMOVS.P	4(R11), F3

// The same without moving on: what is written there next does so.
#define PEEKVECTORS                      \
	FMOVQ	(R8), F0                 \
	FMOVQ	(R9), F1                 \
	FMOVQ	(R10), F2                \
	FMOVQ	(R11), F3

#define PEEKVALUES                       \
	FMOVS	(R8), F0                 \
	FMOVS	(R9), F1                 \
	FMOVS	(R10), F2                \
	FMOVS	(R11), F3

#define STOREVECTORS(a, b, c, d)         \
	FMOVQ.P	a, 16(R8)                \
	FMOVQ.P	b, 16(R9)                \
	FMOVQ.P	c, 16(R10)               \
	FMOVQ.P	d, 16(R11)

#define STOREVALUES(a, b, c, d)          \
	FMOVS.P	a, 4(R8)                 \
	FMOVS.P	b, 4(R9)                 \
	FMOVS.P	c, 4(R10)                \
	FMOVS.P	d, 4(R11)

// ACROSS combines the lanes of each vector of a group, by pairs: lane i of its
// first vector becomes what the i-th vector gives. SPREAD goes the other way.
#define ACROSS(pairs, g) pairs(g+1, g, g); pairs(g+3, g+2, g+2); pairs(g+2, g, g)
#define SPREAD(n, d)     DUPLANE(n, 0, d); DUPLANE(n, 1, d+1); DUPLANE(n, 2, d+2); DUPLANE(n, 3, d+3)

// CLEAR sets a group to 0.
#define CLEAR(a, b, c, d)                \
	VEOR	a.B16, a.B16, a.B16      \
	VEOR	b.B16, b.B16, b.B16      \
	VEOR	c.B16, c.B16, c.B16      \
	VEOR	d.B16, d.B16, d.B16

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
	FOUR(R0, R4, R5, R6, R7)

	// The bound keeps a row that is −Inf everywhere from −Inf − −Inf.
	FILL(LOWEST, 4)
	PASS(maxVectors, maxRest)
	LOADVECTORS
	EACH(FMAX, 0, 4, 4)
	VALUES(maxVectors, maxRest, maxValues, maxDone)
	VLD1R.P	4(R8), [V0.S4]
	VLD1R.P	4(R9), [V1.S4]
	VLD1R.P	4(R10), [V2.S4]
	VLD1R.P	4(R11), [V3.S4]
	EACH(FMAX, 0, 4, 4)
	PASSED(maxValues, maxDone)
	ACROSS(FMAXP, 4)
	MOV(4, 8)
	SPREAD(8, 4)

	// The exponentials, in V16 …, and their sums, in V8 …
	CLEAR(V8, V9, V10, V11)
	PASS(expVectors, expRest)
	PEEKVECTORS
	EACH(FSUB, 4, 0, 0)
	DECAY(0, 12, 20, 16, 28)
	STOREVECTORS(F16, F17, F18, F19)
	EACH(FADD, 16, 8, 8)
	VALUES(expVectors, expRest, expValues, expDone)
	PEEKVALUES
	EACH(FSUB, 4, 0, 0)
	DECAY(0, 12, 20, 16, 28)
	STOREVALUES(F16, F17, F18, F19)
	FMOVS	F16, F0 // and 0 in the other lanes
	FMOVS	F17, F1
	FMOVS	F18, F2
	FMOVS	F19, F3
	EACH(FADD, 0, 8, 8)
	PASSED(expValues, expDone)

	// A sum is at least 1, or it is 0 where all is −Inf, or NaN.
	ACROSS(FADDP, 8)
	DUP(ONE, 0)
	FMAX(0, 8, 8)
	FDIV(8, 0, 8)
	SPREAD(8, 4)
	PASS(scaleVectors, scaleRest)
	PEEKVECTORS
	EACH(FMUL, 4, 0, 0)
	STOREVECTORS(F0, F1, F2, F3)
	VALUES(scaleVectors, scaleRest, scaleValues, scaleDone)
	PEEKVALUES
	EACH(FMUL, 4, 0, 0)
	STOREVALUES(F0, F1, F2, F3)
	PASSED(scaleValues, scaleDone)

	ADD	R1<<2, R0
	SUBS	$4, R2
	BGT	softmax
	RET

// layerNormNEON writes (x − mean)/√(var + eps)·gamma + beta for each row.
//
// func layerNormNEON(dst, x *float32, rows, d int, gamma, beta *float32, eps float32)
TEXT ·layerNormNEON(SB), NOSPLIT, $0-52
	MOVD	dst+0(FP), R19
	MOVD	x+8(FP), R0
	MOVD	rows+16(FP), R2
	MOVD	d+24(FP), R3
	MOVD	gamma+32(FP), R14
	MOVD	beta+40(FP), R15
	CBZ	R2, done
	SUB	R0, R19 // from x
	LSL	$2, R3, R1
	SCVTFS	R3, F28
	FMOVS	eps+48(FP), F29
	FMOVS	$1.0, F30
	DUPLANE(28, 0, 28)
	DUPLANE(29, 0, 29)
	DUPLANE(30, 0, 30)

layerNorm:
	FOUR(R0, R4, R5, R6, R7)

	// The sums, in V8 …, and the means, in V4 …
	CLEAR(V8, V9, V10, V11)
	PASS(sumVectors, sumRest)
	LOADVECTORS
	EACH(FADD, 0, 8, 8)
	VALUES(sumVectors, sumRest, sumValues, sumDone)
	LOADVALUES
	EACH(FADD, 0, 8, 8)
	PASSED(sumValues, sumDone)
	ACROSS(FADDP, 8)
	FDIV(28, 8, 8)
	SPREAD(8, 4)

	// The sums of squares, in V8 …, and 1/√(var + eps), in V12 …
	CLEAR(V8, V9, V10, V11)
	PASS(squareVectors, squareRest)
	LOADVECTORS
	EACH(FSUB, 4, 0, 0)
	EACH(FMLA, 0, 0, 8)
	VALUES(squareVectors, squareRest, squareValues, squareDone)
	LOADVALUES
	FSUBS	F4, F0 // and 0 in the other lanes
	FSUBS	F5, F1
	FSUBS	F6, F2
	FSUBS	F7, F3
	EACH(FMLA, 0, 0, 8)
	PASSED(squareValues, squareDone)
	ACROSS(FADDP, 8)
	FDIV(28, 8, 8)
	FADD(29, 8, 8)
	FSQRT(8, 8)
	FDIV(8, 30, 8)
	SPREAD(8, 12)

	MOVD	R14, R16
	MOVD	R15, R17
	ADD	R19, R4, R20
	ADD	R19, R5, R21
	ADD	R19, R6, R22
	ADD	R19, R7, R23
	PASS(applyVectors, applyRest)
	LOADVECTORS
	FMOVQ.P	16(R16), F20
	FMOVQ.P	16(R17), F16
	EACH(FSUB, 4, 0, 0)
	EACH(FMUL, 12, 0, 0)
	MOV(16, 17)
	MOV(16, 18)
	MOV(16, 19)
	ALL(FMLA, 20, 0, 16)
	FMOVQ.P	F16, 16(R20)
	FMOVQ.P	F17, 16(R21)
	FMOVQ.P	F18, 16(R22)
	FMOVQ.P	F19, 16(R23)
	VALUES(applyVectors, applyRest, applyValues, applyDone)
	LOADVALUES
	FMOVS.P	4(R16), F20
	FMOVS.P	4(R17), F16
	EACH(FSUB, 4, 0, 0)
	EACH(FMUL, 12, 0, 0)
	MOV(16, 17)
	MOV(16, 18)
	MOV(16, 19)
	ALL(FMLA, 20, 0, 16)
	FMOVS.P	F16, 4(R20)
	FMOVS.P	F17, 4(R21)
	FMOVS.P	F18, 4(R22)
	FMOVS.P	F19, 4(R23)
	PASSED(applyValues, applyDone)

	ADD	R1<<2, R0
	SUBS	$4, R2
	BGT	layerNorm

done:
	RET
