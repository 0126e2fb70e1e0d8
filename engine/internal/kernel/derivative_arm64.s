//go:build !purego

#include "textflag.h"
#include "neon_arm64.h"
#include "group_arm64.h"

// A derivative goes through dx, dy and x by blocks of sixteen values: the code
// between BLOCKS and END finds x in V0 … V3 and leaves dx there. What is left
// at the end is copied to blocks on the stack, and back.
//
//	R0 the block of x, the next one after BLOCKS
//	R5 the block of dy, which TIMESDY moves on
//	R6 the block of dx
//	R1 values left
//	R2 what is left of dx, while R6 is a copy
//	R3 the number of values in the copies, or 0
#define BLOCKS                           \
	MOVD	dx+0(FP), R6             \
	MOVD	dy+8(FP), R5             \
	MOVD	x+16(FP), R0             \
	MOVD	n+24(FP), R1             \
	CONSTANTS                        \
	MOVD	ZR, R3                   \
	SUBS	$16, R1                  \
	BLT	rest                     \
block:                                   \
	VLD1.P	64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]

#define LOADDY VLD1.P 64(R5), [V4.S4, V5.S4, V6.S4, V7.S4]

// TIMESDY makes of f′(x), in V0 …, what belongs in dx.
#define TIMESDY LOADDY; EACH(FMUL, 4, 0, 0)

#define END                              \
	VST1.P	[V0.S4, V1.S4, V2.S4, V3.S4], 64(R6) \
	CBNZ	R3, back                 \
	SUBS	$16, R1                  \
	BGE	block                    \
rest:                                    \
	ADDS	$16, R1, R3              \
	BEQ	done                     \
	MOVD	R6, R2                   \
	MOVD	$copy-128(SP), R6        \
	ADD	$64, R6, R7              \
	MOVD	ZR, R4                   \
there:                                   \
	FMOVS	(R0)(R4<<2), F0          \
	FMOVS	(R5)(R4<<2), F1          \
	FMOVS	F0, (R6)(R4<<2)          \
	FMOVS	F1, (R7)(R4<<2)          \
	ADD	$1, R4                   \
	CMP	R3, R4                   \
	BLT	there                    \
	MOVD	R6, R0                   \
	MOVD	R7, R5                   \
	JMP	block                    \
back:                                    \
	SUB	$64, R6                  \
	MOVD	ZR, R4                   \
again:                                   \
	FMOVS	(R6)(R4<<2), F0          \
	FMOVS	F0, (R2)(R4<<2)          \
	ADD	$1, R4                   \
	CMP	R3, R4                   \
	BLT	again                    \
done:                                    \
	RET

// MIRROR gives y, in V20 …, where x < 0, and 1 − y elsewhere, in V0 …
#define MIRROR                           \
	UNARY(FCMLT0, 0, 0)              \
	FILL(ONE, 4)                     \
	EACH(FSUB, 20, 4, 4)             \
	EACH(BSL, 4, 20, 0)

// BELL gives e/(1 + e)² in V0 …, for e in V16 …
#define BELL                             \
	DUP(ONE, 4)                      \
	ALL(FADD, 4, 16, 0)              \
	EACH(FMUL, 0, 0, 0)              \
	EACH(FDIV, 0, 16, 0)

// CUBE gives t = min(|x|, 100), beyond which e is 0, in V4 …, and cubic·t² in
// V8 … The gates compute it twice, for want of registers.
#define CUBE                             \
	DUP(GATEEND, 8)                  \
	FNEG(8, 8)                       \
	UNARY(FABS, 0, 4)                \
	ALL(FMIN, 8, 4, 4)               \
	EACH(FMUL, 4, 4, 8)              \
	ALL(FMULC, CUBIC, 8, 8)

// geluGradNEON writes dy·(Φ(x) + x·φ(x)): with t = |x| and the R of NORMALTAIL,
// the sum is e·(R(t) − t/√(2π)) for x < 0, with e = exp(−t²/2), and what is
// missing from 1 for −x.
//
// func geluGradNEON(dx, dy, x *float32, n int)
TEXT ·geluGradNEON(SB), NOSPLIT, $128-32
	BLOCKS
	NORMALTAIL
	ALL(FMLSC, DENSITY, 4, 20)
	EACH(FMUL, 12, 20, 20)
	EACH(ANDNOT, 8, 20, 20)
	MIRROR
	TIMESDY
	END

// gateGradNEON writes dy·(σ(z) + x·z′·σ(z)·σ(−z)) with z = linear·x + cubic·x³:
// for x < 0, with e = exp(−|z|), the sum is e·((1 + e) − |x·z′|)/(1 + e)², and
// what is missing from 1 for −x.
//
// func gateGradNEON(dx, dy, x *float32, n int, linear, cubic float32)
TEXT ·gateGradNEON(SB), NOSPLIT, $128-40
	MOVWU	linear+32(FP), R10
	MOVWU	cubic+36(FP), R11
	BLOCKS
	VMOV	R10, V31.S[2] // LINEAR
	VMOV	R11, V31.S[3] // CUBIC
	CUBE
	FILL(LINEAR, 12)
	EACH(FADD, 8, 12, 12)
	EACH(FMUL, 4, 12, 4)
	UNARY(FNEG, 4, 4) // −|z|
	DECAY(4, 8, 12, 16, 20) // e in V16 …
	CUBE
	FILL(LINEAR, 12)
	ALL(FMLAC, THREE, 8, 12) // z′
	EACH(FMUL, 4, 12, 12)
	DUP(ONE, 4)
	ALL(FADD, 4, 16, 8)
	EACH(FSUB, 12, 8, 12)
	EACH(FMUL, 16, 12, 12)
	EACH(FMUL, 8, 8, 8)
	EACH(FDIV, 8, 12, 20)
	MIRROR
	TIMESDY
	END

// sigmoidGradNEON writes dy·σ(x)·σ(−x) with e/(1 + e)², e = exp(−|x|).
//
// func sigmoidGradNEON(dx, dy, x *float32, n int)
TEXT ·sigmoidGradNEON(SB), NOSPLIT, $128-32
	BLOCKS
	UNARY(FABS, 0, 4)
	UNARY(FNEG, 4, 4)
	DECAY(4, 8, 12, 16, 20) // e in V16 …
	BELL
	TIMESDY
	END

// tanhGradNEON writes dy·(1 − tanh²(x)) with 4·e/(1 + e)², e = exp(−2|x|).
//
// func tanhGradNEON(dx, dy, x *float32, n int)
TEXT ·tanhGradNEON(SB), NOSPLIT, $128-32
	BLOCKS
	UNARY(FABS, 0, 4)
	ALL(FMULC, TWO, 4, 4)
	UNARY(FNEG, 4, 4)
	DECAY(4, 8, 12, 16, 20) // e in V16 …
	BELL
	ALL(FMULC, TWO, 0, 0)
	ALL(FMULC, TWO, 0, 0)
	TIMESDY
	END

// reluGradNEON writes dy where x > 0, x where it is NaN, and 0 elsewhere.
//
// func reluGradNEON(dx, dy, x *float32, n int)
TEXT ·reluGradNEON(SB), NOSPLIT, $128-32
	BLOCKS
	LOADDY
	VEOR	V8.B16, V8.B16, V8.B16
	ALL(FCMGT, 8, 0, 12)
	ALL(FMAX, 8, 0, 0)
	ALL(FMIN, 8, 0, 0) // 0, or NaN
	EACH(BSL, 0, 4, 12)
	UNARY(MOV, 12, 0)
	END
