//go:build !purego

#include "textflag.h"
#include "neon_arm64.h"
#include "group_arm64.h"

DATA ·constantsNEON+0(SB)/4, $1.4426950408889634 // LOG2E
DATA ·constantsNEON+4(SB)/4, $0x3f317218 // LN2HIGH
DATA ·constantsNEON+8(SB)/4, $(-1.9046542e-9) // LN2LOW
DATA ·constantsNEON+12(SB)/4, $(-87.33654475) // SMALLEST
DATA ·constantsNEON+16(SB)/4, $0.0013882522334 // REMAINDER4
DATA ·constantsNEON+20(SB)/4, $0.00836652057626 // REMAINDER3
DATA ·constantsNEON+24(SB)/4, $0.0416671998453 // REMAINDER2
DATA ·constantsNEON+28(SB)/4, $0.166665436211 // REMAINDER1
DATA ·constantsNEON+32(SB)/4, $0.499999981541 // REMAINDER0
DATA ·constantsNEON+36(SB)/4, $1.0 // ONE
DATA ·constantsNEON+40(SB)/4, $2.0 // TWO
DATA ·constantsNEON+44(SB)/4, $0xff7fffff // LOWEST
DATA ·constantsNEON+48(SB)/4, $3.0 // THREE
DATA ·constantsNEON+52(SB)/4, $0.5 // HALF
DATA ·constantsNEON+56(SB)/4, $(-0.5) // MINUSHALF
DATA ·constantsNEON+60(SB)/4, $13.21 // GELUEND
DATA ·constantsNEON+64(SB)/4, $5.41508074164e-5 // TAIL9
DATA ·constantsNEON+68(SB)/4, $0.000116037308862 // TAIL8
DATA ·constantsNEON+72(SB)/4, $(-0.000339911301507) // TAIL7
DATA ·constantsNEON+76(SB)/4, $(-0.000984182703077) // TAIL6
DATA ·constantsNEON+80(SB)/4, $0.0029047026213 // TAIL5
DATA ·constantsNEON+84(SB)/4, $0.0061321830435 // TAIL4
DATA ·constantsNEON+88(SB)/4, $(-0.0462133138117) // TAIL3
DATA ·constantsNEON+92(SB)/4, $0.123225021699 // TAIL2
DATA ·constantsNEON+96(SB)/4, $(-0.206402617928) // TAIL1
DATA ·constantsNEON+100(SB)/4, $0.121513947724 // TAIL0
DATA ·constantsNEON+104(SB)/4, $(-100.0) // GATEEND
DATA ·constantsNEON+108(SB)/4, $1e30 // GATESQUARE
DATA ·constantsNEON+112(SB)/4, $10.0 // TANHEND
DATA ·constantsNEON+116(SB)/4, $0x80000000 // SIGN
DATA ·constantsNEON+120(SB)/4, $0.3989422804 // DENSITY
GLOBL ·constantsNEON(SB), RODATA|NOPTR, $128

// An activation goes through x by blocks of sixteen values, in V0 … V3, which
// its code stands between BLOCKS and END for. What is left at the end is
// copied to a block of its own on the stack, and back.
//
//	R0 the block
//	R1 values left
//	R2 what is left of x, while R0 is the copy
//	R3 the number of values in the copy, or 0
#define BLOCKS                           \
	MOVD	ZR, R3                   \
	SUBS	$16, R1                  \
	BLT	rest                     \
block:                                   \
	VLD1	(R0), [V0.S4, V1.S4, V2.S4, V3.S4]

#define END                              \
	VST1.P	[V0.S4, V1.S4, V2.S4, V3.S4], 64(R0) \
	CBNZ	R3, back                 \
	SUBS	$16, R1                  \
	BGE	block                    \
rest:                                    \
	ADDS	$16, R1, R3              \
	BEQ	done                     \
	MOVD	R0, R2                   \
	MOVD	$copy-64(SP), R0         \
	MOVD	ZR, R4                   \
there:                                   \
	FMOVS	(R2)(R4<<2), F0          \
	FMOVS	F0, (R0)(R4<<2)          \
	ADD	$1, R4                   \
	CMP	R3, R4                   \
	BLT	there                    \
	JMP	block                    \
back:                                    \
	SUB	$64, R0                  \
	MOVD	ZR, R4                   \
again:                                   \
	FMOVS	(R0)(R4<<2), F0          \
	FMOVS	F0, (R2)(R4<<2)          \
	ADD	$1, R4                   \
	CMP	R3, R4                   \
	BLT	again                    \
done:                                    \
	RET

// geluNEON writes x·Φ(x) as max(x, 0) − |x|·Φ(−|x|), so that both tails keep
// their relative accuracy.
//
// func geluNEON(x *float32, n int)
TEXT ·geluNEON(SB), NOSPLIT, $64-16
	MOVD	x+0(FP), R0
	MOVD	n+8(FP), R1
	CONSTANTS
	BLOCKS
	NORMALTAIL
	EACH(FMUL, 4, 20, 20)
	EACH(FMUL, 12, 20, 20)
	EACH(ANDNOT, 8, 20, 20)
	VEOR	V8.B16, V8.B16, V8.B16
	ALL(FMAX, 8, 0, 0)
	EACH(FSUB, 20, 0, 0)
	END

// gateNEON writes x·σ(z), z = linear·x + cubic·x³, as x/(1 + e) or x·e/(1 + e)
// with e = exp(−|z|).
//
// func gateNEON(x *float32, n int, linear, cubic float32)
TEXT ·gateNEON(SB), NOSPLIT, $64-24
	MOVD	x+0(FP), R0
	MOVD	n+8(FP), R1
	CONSTANTS
	MOVWU	linear+16(FP), R4
	MOVWU	cubic+20(FP), R5
	VMOV	R4, V31.S[2] // LINEAR
	VMOV	R5, V31.S[3] // CUBIC
	BLOCKS
	DUP(GATEEND, 4)
	ALL(FMAX, 4, 0, 0)
	EACH(FMUL, 0, 0, 8)
	DUP(GATESQUARE, 4)
	ALL(FMIN, 4, 8, 8) // x²
	FILL(LINEAR, 4)
	ALL(FMLAC, CUBIC, 8, 4)
	EACH(FMUL, 0, 4, 4) // z
	UNARY(FABS, 4, 4)
	UNARY(FNEG, 4, 4)
	DECAY(4, 8, 12, 16, 20) // e in V16 …
	EACH(FMUL, 16, 0, 4)
	UNARY(FCMLT0, 0, 8)
	EACH(BSL, 0, 4, 8)
	DUP(ONE, 4)
	ALL(FADD, 4, 16, 16)
	EACH(FDIV, 16, 8, 0)
	END

// sigmoidNEON writes 1/(1 + e) or e/(1 + e) with e = exp(−|x|).
//
// func sigmoidNEON(x *float32, n int)
TEXT ·sigmoidNEON(SB), NOSPLIT, $64-16
	MOVD	x+0(FP), R0
	MOVD	n+8(FP), R1
	CONSTANTS
	BLOCKS
	UNARY(FABS, 0, 4)
	UNARY(FNEG, 4, 4)
	DECAY(4, 8, 12, 16, 20) // e in V16 …
	UNARY(FCMLT0, 0, 0)
	FILL(ONE, 4)
	EACH(BSL, 4, 16, 0)
	EACH(FADD, 4, 16, 16)
	EACH(FDIV, 16, 0, 0)
	END

// tanhNEON writes (exp(2x) − 1)/(exp(2x) + 1) as d/(d + 2) with
// d = exp(2|x|) − 1, where small |x| lose nothing: d = 2ⁿ·(exp(r) − 1) + (2ⁿ − 1).
//
// func tanhNEON(x *float32, n int)
TEXT ·tanhNEON(SB), NOSPLIT, $64-16
	MOVD	x+0(FP), R0
	MOVD	n+8(FP), R1
	CONSTANTS
	BLOCKS
	UNARY(FABS, 0, 4)
	DUP(TANHEND, 8)
	ALL(FMIN, 8, 4, 4)
	EACH(FADD, 4, 4, 4)
	REDUCE(4, 8)
	REMAINDER(4, 12, 16)
	HORNER(ONE, 12, 4, 16)
	EACH(FMUL, 4, 16, 16) // exp(r) − 1
	FILL(ONE, 20)
	EACH(ADDINT, 20, 8, 8) // 2ⁿ
	EACH(FSUB, 20, 8, 12)
	EACH(FMLA, 8, 16, 12) // d
	DUP(TWO, 4)
	ALL(FADD, 4, 12, 16)
	EACH(FDIV, 16, 12, 12)
	DUP(SIGN, 4)
	ALL(BIT, 4, 0, 12)
	UNARY(MOV, 12, 0)
	END

// func reluNEON(x *float32, n int)
TEXT ·reluNEON(SB), NOSPLIT, $64-16
	MOVD	x+0(FP), R0
	MOVD	n+8(FP), R1
	VEOR	V4.B16, V4.B16, V4.B16
	BLOCKS
	ALL(FMAX, 4, 0, 0)
	END
