//go:build !purego

#include "textflag.h"
#include "neon_arm64.h"
#include "group_arm64.h"

// MERGE goes along dst, at R0, and x, at R1, of which R2 values are left: four
// vectors of dst in V0 … V3 and of x in V4 … V7 at a time, which op combines,
// and then a value at a time.
#define MERGE(op)                        \
	SUBS	$16, R2                  \
	BLT	rest                     \
vectors:                                 \
	VLD1	(R0), [V0.S4, V1.S4, V2.S4, V3.S4] \
	VLD1.P	64(R1), [V4.S4, V5.S4, V6.S4, V7.S4] \
	EACH(op, 4, 0, 0)                \
	VST1.P	[V0.S4, V1.S4, V2.S4, V3.S4], 64(R0) \
	SUBS	$16, R2                  \
	BGE	vectors                  \
rest:                                    \
	ADDS	$16, R2                  \
	BEQ	done                     \
values:                                  \
	FMOVS	(R0), F0                 \
	FMOVS.P	4(R1), F4                \
	op(4, 0, 0)                      \
	FMOVS.P	F0, 4(R0)                \
	SUBS	$1, R2                   \
	BNE	values                   \
done:                                    \
	RET

// func addNEON(dst, x *float32, n int)
TEXT ·addNEON(SB), NOSPLIT, $0-24
	MOVD	dst+0(FP), R0
	MOVD	x+8(FP), R1
	MOVD	n+16(FP), R2
	MERGE(FADD)

// func mulNEON(dst, x *float32, n int)
TEXT ·mulNEON(SB), NOSPLIT, $0-24
	MOVD	dst+0(FP), R0
	MOVD	x+8(FP), R1
	MOVD	n+16(FP), R2
	MERGE(FMUL)

// func addScaledNEON(dst, x *float32, n int, a float32)
TEXT ·addScaledNEON(SB), NOSPLIT, $0-28
	MOVD	dst+0(FP), R0
	MOVD	x+8(FP), R1
	MOVD	n+16(FP), R2
	FMOVS	a+24(FP), F31
#define TIMESA(m, n, d) FMLALANE(31, 0, m, d)
	MERGE(TIMESA)

// func scaleNEON(x *float32, n int, a float32)
TEXT ·scaleNEON(SB), NOSPLIT, $0-20
	MOVD	x+0(FP), R0
	MOVD	n+8(FP), R2
	FMOVS	a+16(FP), F31
	SUBS	$16, R2
	BLT	rest

vectors:
	VLD1	(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	FMULLANE(31, 0, 0, 0)
	FMULLANE(31, 0, 1, 1)
	FMULLANE(31, 0, 2, 2)
	FMULLANE(31, 0, 3, 3)
	VST1.P	[V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	SUBS	$16, R2
	BGE	vectors

rest:
	ADDS	$16, R2
	BEQ	done

values:
	FMOVS	(R0), F0
	FMULS	F31, F0
	FMOVS.P	F0, 4(R0)
	SUBS	$1, R2
	BNE	values

done:
	RET

// dotNEON writes Σ x·y: sixteen sums, of which single values enter the first.
//
// func dotNEON(x, y *float32, n int) float32
TEXT ·dotNEON(SB), NOSPLIT, $0-28
	MOVD	x+0(FP), R0
	MOVD	y+8(FP), R1
	MOVD	n+16(FP), R2
	VEOR	V8.B16, V8.B16, V8.B16
	VEOR	V9.B16, V9.B16, V9.B16
	VEOR	V10.B16, V10.B16, V10.B16
	VEOR	V11.B16, V11.B16, V11.B16
	SUBS	$16, R2
	BLT	rest

vectors:
	VLD1.P	64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P	64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	EACH(FMLA, 4, 0, 8)
	SUBS	$16, R2
	BGE	vectors

rest:
	ADDS	$16, R2
	BEQ	sum

values:
	FMOVS.P	4(R0), F0 // and 0 in the other lanes
	FMOVS.P	4(R1), F4
	FMLA(4, 0, 8)
	SUBS	$1, R2
	BNE	values

sum:
	FADDP(9, 8, 8)
	FADDP(11, 10, 10)
	FADDP(10, 8, 8)
	FADDP(8, 8, 8)
	FADDP(8, 8, 8)
	FMOVS	F8, ret+24(FP)
	RET

// rotateNEON writes a·cos − b·sin and b·cos + a·sin for each pair a, b.
//
// func rotateNEON(x *float32, ld, rows, heads, e, half int, cos, sin *float32, sign float32)
TEXT ·rotateNEON(SB), NOSPLIT, $0-68
	MOVD	x+0(FP), R0
	MOVD	ld+8(FP), R1
	MOVD	rows+16(FP), R2
	MOVD	e+32(FP), R4
	MOVD	half+40(FP), R5
	MOVD	cos+48(FP), R6
	MOVD	sin+56(FP), R7
	FMOVS	sign+64(FP), F31
	LSL	$2, R5, R13 // from a to b

// TURN turns the pairs at R8 and R8 + R13 by the angles at R9 and R10.
#define TURN(ldr, str)                   \
	ldr(31, 8, 0)                    \
	ldr(13, 8, 1)                    \
	ldr(31, 9, 2)                    \
	ldr(31, 10, 3)                   \
	FMULLANE(31, 0, 3, 3)            \
	FMUL(2, 0, 4)                    \
	FMUL(2, 1, 5)                    \
	FMLS(3, 1, 4)                    \
	FMLA(3, 0, 5)                    \
	str(31, 8, 4)                    \
	str(13, 8, 5)

row:
	MOVD	R0, R11
	MOVD	heads+24(FP), R3

head:
	MOVD	R11, R8
	MOVD	R6, R9
	MOVD	R7, R10
	SUBS	$4, R5, R12
	BLT	rest

vectors:
	TURN(LDRQ, STRQ)
	ADD	$16, R8
	ADD	$16, R9
	ADD	$16, R10
	SUBS	$4, R12
	BGE	vectors

rest:
	ADDS	$4, R12
	BEQ	turned

values:
	TURN(LDRS, STRS)
	ADD	$4, R8
	ADD	$4, R9
	ADD	$4, R10
	SUBS	$1, R12
	BNE	values

turned:
	ADD	R4<<2, R11
	SUBS	$1, R3
	BNE	head
	ADD	R13, R6
	ADD	R13, R7
	ADD	R1<<2, R0
	SUBS	$1, R2
	BNE	row
	RET
