//go:build !purego

#include "textflag.h"
#include "neon_arm64.h"

// A tile of the product is up to eight rows of two vectors. Its sums stay in
// V0 … V15 over the whole depth k, those of row r in V(2r) and V(2r+1). Four
// steps over k read four values of each row, to V16 … V23, and four rows of
// the panel, to V24 … V31. There are two loops for each number of rows, one
// where the rows of x are rows in memory and one where they are columns, and two
// more for panels of 16 bits; in
// all of them a value is the same chain of fused multiply-adds, which may be
// broken off and gone on with where it lies in memory. So the bits of a row
// depend neither on the tile that it falls into nor on the depth.
//
//	R0 … R7  the place in each row of x, or R0 in all of its columns
//	R8       the place in the panel
//	R9       steps left
//	R10      the place in the next panel
//	R11, R12 the tile of dst, and its stride in bytes
//	R13, R15 the stride of x in bytes, and its first value in the tile
//	R14      tiles left
//	R16      rows of a tile
//	R17      columns of dst
//	R23      what is special: x, whose rows are columns in memory, or the panel
//	R24      the bytes from a tile's values of x to the next one's

#define QUAD(from, to)   FMOVQ.P 16(from), to
#define SINGLE(from, to) FMOVS.P 4(from), to

#define LOAD1(get) get(R0, F16)
#define LOAD2(get) LOAD1(get); get(R1, F17)
#define LOAD3(get) LOAD2(get); get(R2, F18)
#define LOAD4(get) LOAD3(get); get(R3, F19)
#define LOAD5(get) LOAD4(get); get(R4, F20)
#define LOAD6(get) LOAD5(get); get(R5, F21)
#define LOAD7(get) LOAD6(get); get(R6, F22)
#define LOAD8(get) LOAD7(get); get(R7, F23)

// ROW adds the products of a value, the lane of a register, with a row of the
// panel, p and p+1, to two sums, and STEPn those of one lane of n rows.
#define ROW(a, lane, p, sum) FMLALANE(a, lane, p, sum); FMLALANE(a, lane, p+1, sum+1)
#define STEP1(lane, p) ROW(16, lane, p, 0)
#define STEP2(lane, p) STEP1(lane, p); ROW(17, lane, p, 2)
#define STEP3(lane, p) STEP2(lane, p); ROW(18, lane, p, 4)
#define STEP4(lane, p) STEP3(lane, p); ROW(19, lane, p, 6)
#define STEP5(lane, p) STEP4(lane, p); ROW(20, lane, p, 8)
#define STEP6(lane, p) STEP5(lane, p); ROW(21, lane, p, 10)
#define STEP7(lane, p) STEP6(lane, p); ROW(22, lane, p, 12)
#define STEP8(lane, p) STEP7(lane, p); ROW(23, lane, p, 14)

// LOADCOLUMNSn loads the values of one step in two registers, of which the
// second overlaps the first, and STEPCOLUMNSn adds their products.
#define LOADCOLUMNS1(a, b) FMOVS (R0), a; ADD R13, R0
#define LOADCOLUMNS2(a, b) FMOVD (R0), a; ADD R13, R0
#define LOADCOLUMNS3(a, b) FMOVD (R0), a; FMOVS 8(R0), b; ADD R13, R0
#define LOADCOLUMNS4(a, b) FMOVQ (R0), a; ADD R13, R0
#define LOADCOLUMNS5(a, b) FMOVQ (R0), a; FMOVQ 4(R0), b; ADD R13, R0
#define LOADCOLUMNS6(a, b) FMOVQ (R0), a; FMOVQ 8(R0), b; ADD R13, R0
#define LOADCOLUMNS7(a, b) FMOVQ (R0), a; FMOVQ 12(R0), b; ADD R13, R0
#define LOADCOLUMNS8(a, b) FMOVQ (R0), a; FMOVQ 16(R0), b; ADD R13, R0

#define STEPCOLUMNS1(a, p) ROW(a, 0, p, 0)
#define STEPCOLUMNS2(a, p) STEPCOLUMNS1(a, p); ROW(a, 1, p, 2)
#define STEPCOLUMNS3(a, p) STEPCOLUMNS2(a, p); ROW(a+1, 0, p, 4)
#define STEPCOLUMNS4(a, p) STEPCOLUMNS2(a, p); ROW(a, 2, p, 4); ROW(a, 3, p, 6)
#define STEPCOLUMNS5(a, p) STEPCOLUMNS4(a, p); ROW(a+1, 3, p, 8)
#define STEPCOLUMNS6(a, p) STEPCOLUMNS4(a, p); ROW(a+1, 2, p, 8); ROW(a+1, 3, p, 10)
#define STEPCOLUMNS7(a, p) STEPCOLUMNS4(a, p); ROW(a+1, 1, p, 8); ROW(a+1, 2, p, 10); ROW(a+1, 3, p, 12)
#define STEPCOLUMNS8(a, p) STEPCOLUMNS4(a, p); ROW(a+1, 0, p, 8); ROW(a+1, 1, p, 10); ROW(a+1, 2, p, 12); ROW(a+1, 3, p, 14)

// PANEL loads four rows of the panel and moves on in it and in the next, and
// PANELROW one row.
#define PANEL                            \
	FLDPQ	(R8), (F24, F25)         \
	FLDPQ	32(R8), (F26, F27)       \
	FLDPQ	64(R8), (F28, F29)       \
	FLDPQ	96(R8), (F30, F31)       \
	PRFM	(R10), PLDL2KEEP         \
	PRFM	64(R10), PLDL2KEEP       \
	ADD	$128, R8                 \
	ADD	$128, R10

#define PANELROW FLDPQ.P 32(R8), (F24, F25)

// The same for panels of 16 bits, of which WIDENBF16 and WIDENF16 make vectors
// a-1 and a of float32. The columns of BF16 lie as Half.place says, so that those
// of its sums are 0, 4, 1, 5 and 2, 6, 3, 7.
#define PANEL16(widen)                   \
	FLDPQ	(R8), (F25, F27)         \
	FLDPQ	32(R8), (F29, F31)       \
	PRFM	(R10), PLDL2KEEP         \
	ADD	$64, R8                  \
	ADD	$64, R10                 \
	widen(25)                        \
	widen(27)                        \
	widen(29)                        \
	widen(31)

#define PANELROW16(widen) FMOVQ.P 16(R8), F25; widen(25)

#define WIDENBF16(a) SHLL16(a, a-1); SHLL16UPPER(a, a)
#define WIDENF16(a)  FCVTL(a, a-1); FCVTLUPPER(a, a)

#define PANELBF16    PANEL16(WIDENBF16)
#define PANELROWBF16 PANELROW16(WIDENBF16)
#define PANELF16     PANEL16(WIDENF16)
#define PANELROWF16  PANELROW16(WIDENF16)

// SUMS is the loop over k for one number of rows.
#define SUMS(panel, row, load, step, loop, rest, single) \
	SUBS	$4, R9                 \
	BLT	rest                   \
loop:                                  \
	load(QUAD)                     \
	panel                          \
	step(0, 24)                    \
	step(1, 26)                    \
	step(2, 28)                    \
	step(3, 30)                    \
	SUBS	$4, R9                 \
	BGE	loop                   \
rest:                                  \
	ADDS	$4, R9                 \
	BEQ	finish                 \
single:                                \
	row                            \
	load(SINGLE)                   \
	step(0, 24)                    \
	SUBS	$1, R9                 \
	BNE	single                 \
	JMP	finish

// SUMSCOLUMNS is the same where the rows are columns in memory.
#define SUMSCOLUMNS(load, step, loop, rest, single) \
	SUBS	$4, R9                 \
	BLT	rest                   \
loop:                                  \
	load(F16, F17)                 \
	load(F18, F19)                 \
	load(F20, F21)                 \
	load(F22, F23)                 \
	PANEL                          \
	step(16, 24)                   \
	step(18, 26)                   \
	step(20, 28)                   \
	step(22, 30)                   \
	SUBS	$4, R9                 \
	BGE	loop                   \
rest:                                  \
	ADDS	$4, R9                 \
	BEQ	finish                 \
single:                                \
	PANELROW                       \
	load(F16, F17)                 \
	step(16, 24)                   \
	SUBS	$1, R9                 \
	BNE	single                 \
	JMP	finish

// BEGINROW loads the sums of a row, a and b, from dst.
#define BEGINROW(a, b)                   \
	FLDPQ	(R21), (a, b)            \
	ADD	R12, R21                 \
	SUBS	$1, R22                  \
	BEQ	start

// ASPACKED puts the columns of a row, in a and b, into the order of BF16, and
// INORDER back.
#define ASPACKED(a, b)                   \
	VZIP1	b.S4, a.S4, V24.S4       \
	VZIP2	b.S4, a.S4, b.S4         \
	VMOV	V24.B16, a.B16

#define INORDER(a, b)                    \
	VUZP1	b.S4, a.S4, V24.S4       \
	VUZP2	b.S4, a.S4, b.S4         \
	VMOV	V24.B16, a.B16

#define EACHROW(op)                      \
	op(V0, V1)                       \
	op(V2, V3)                       \
	op(V4, V5)                       \
	op(V6, V7)                       \
	op(V8, V9)                       \
	op(V10, V11)                     \
	op(V12, V13)                     \
	op(V14, V15)

// BYROWS goes to the loop for the number of rows, or on where it is one.
#define BYROWS(two, three, four, five, six, seven, eight) \
	CMP	$8, R16                  \
	BEQ	eight                    \
	CMP	$7, R16                  \
	BEQ	seven                    \
	CMP	$6, R16                  \
	BEQ	six                      \
	CMP	$5, R16                  \
	BEQ	five                     \
	CMP	$4, R16                  \
	BEQ	four                     \
	CMP	$3, R16                  \
	BEQ	three                    \
	CMP	$2, R16                  \
	BEQ	two

#define ADDBIAS(a) FADD(24, a, a); FADD(25, a+1, a+1)

#define STOREROW(a, b)                   \
	FSTPQ	(a, b), (R21)            \
	ADD	R12, R21                 \
	SUBS	$1, R22                  \
	BEQ	next

#define ROWMAJOR    0
#define COLUMNMAJOR 1
#define PANELOFBF16 2
#define PANELOFF16  3

// func gemmNEON(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)
TEXT ·gemmNEON(SB), NOSPLIT, $0-96
	MOVD	$ROWMAJOR, R23
	JMP	gemm<>(SB)

// func gemmTransposedNEON(rows, tiles, k int, x *float32, ldx int, panel, dst *float32, ldd, columns int, add bool, bias, next *float32)
TEXT ·gemmTransposedNEON(SB), NOSPLIT, $0-96
	MOVD	$COLUMNMAJOR, R23
	JMP	gemm<>(SB)

// func gemmBF16NEON(rows, tiles, k int, x *float32, ldx int, panel *uint16, dst *float32, ldd, columns int, add bool, bias *float32, next *uint16)
TEXT ·gemmBF16NEON(SB), NOSPLIT, $0-96
	MOVD	$PANELOFBF16, R23
	JMP	gemm<>(SB)

// func gemmF16NEON(rows, tiles, k int, x *float32, ldx int, panel *uint16, dst *float32, ldd, columns int, add bool, bias *float32, next *uint16)
TEXT ·gemmF16NEON(SB), NOSPLIT, $0-96
	MOVD	$PANELOFF16, R23
	JMP	gemm<>(SB)

TEXT gemm<>(SB), NOSPLIT, $256-96
	MOVD	rows+0(FP), R16
	MOVD	tiles+8(FP), R14
	MOVD	x+24(FP), R15
	MOVD	ldx+32(FP), R13
	MOVD	dst+48(FP), R11
	MOVD	ldd+56(FP), R12
	MOVD	columns+64(FP), R17
	LSL	$2, R13
	LSL	$2, R12
	MUL	R13, R16, R24
	CMP	$COLUMNMAJOR, R23
	BNE	tile
	LSL	$2, R16, R24

tile:
	// The places past the last row are not used.
	MOVD	R15, R0
	ADD	R13, R0, R1
	ADD	R13, R1, R2
	ADD	R13, R2, R3
	ADD	R13, R3, R4
	ADD	R13, R4, R5
	ADD	R13, R5, R6
	ADD	R13, R6, R7
	MOVD	k+16(FP), R9
	MOVD	panel+40(FP), R8
	MOVD	next+88(FP), R10
	CMP	$0, R10
	CSEL	EQ, R8, R10, R10 // nothing is next: the panel itself is as good
	VEOR	V0.B16, V0.B16, V0.B16
	VEOR	V1.B16, V1.B16, V1.B16
	VEOR	V2.B16, V2.B16, V2.B16
	VEOR	V3.B16, V3.B16, V3.B16
	VEOR	V4.B16, V4.B16, V4.B16
	VEOR	V5.B16, V5.B16, V5.B16
	VEOR	V6.B16, V6.B16, V6.B16
	VEOR	V7.B16, V7.B16, V7.B16
	VEOR	V8.B16, V8.B16, V8.B16
	VEOR	V9.B16, V9.B16, V9.B16
	VEOR	V10.B16, V10.B16, V10.B16
	VEOR	V11.B16, V11.B16, V11.B16
	VEOR	V12.B16, V12.B16, V12.B16
	VEOR	V13.B16, V13.B16, V13.B16
	VEOR	V14.B16, V14.B16, V14.B16
	VEOR	V15.B16, V15.B16, V15.B16
	MOVBU	add+72(FP), R19
	CBZ	R19, start
	MOVD	R11, R21
	MOVD	R16, R22
	CMP	$8, R17
	BNE	beginEdge
	BEGINROW(F0, F1)
	BEGINROW(F2, F3)
	BEGINROW(F4, F5)
	BEGINROW(F6, F7)
	BEGINROW(F8, F9)
	BEGINROW(F10, F11)
	BEGINROW(F12, F13)
	BEGINROW(F14, F15)

beginEdge:
	// Fewer columns than a row of the tile has: value by value, through memory.
	MOVD	$sums-256(SP), R20
	FSTPQ	(F0, F1), (R20)
	FSTPQ	(F2, F3), 32(R20)
	FSTPQ	(F4, F5), 64(R20)
	FSTPQ	(F6, F7), 96(R20)
	FSTPQ	(F8, F9), 128(R20)
	FSTPQ	(F10, F11), 160(R20)
	FSTPQ	(F12, F13), 192(R20)
	FSTPQ	(F14, F15), 224(R20)

beginRow:
	MOVD	ZR, R19

beginValue:
	FMOVS	(R21)(R19<<2), F24
	FMOVS	F24, (R20)(R19<<2)
	ADD	$1, R19
	CMP	R17, R19
	BLT	beginValue
	ADD	$32, R20
	ADD	R12, R21
	SUBS	$1, R22
	BNE	beginRow
	MOVD	$sums-256(SP), R20
	FLDPQ	(R20), (F0, F1)
	FLDPQ	32(R20), (F2, F3)
	FLDPQ	64(R20), (F4, F5)
	FLDPQ	96(R20), (F6, F7)
	FLDPQ	128(R20), (F8, F9)
	FLDPQ	160(R20), (F10, F11)
	FLDPQ	192(R20), (F12, F13)
	FLDPQ	224(R20), (F14, F15)

start:
	CMP	$COLUMNMAJOR, R23
	BEQ	columns
	CMP	$PANELOFBF16, R23
	BEQ	bf16
	CMP	$PANELOFF16, R23
	BEQ	f16

	BYROWS(rows2, rows3, rows4, rows5, rows6, rows7, rows8)
	SUMS(PANEL, PANELROW, LOAD1, STEP1, loop1, rest1, single1)
rows2:
	SUMS(PANEL, PANELROW, LOAD2, STEP2, loop2, rest2, single2)
rows3:
	SUMS(PANEL, PANELROW, LOAD3, STEP3, loop3, rest3, single3)
rows4:
	SUMS(PANEL, PANELROW, LOAD4, STEP4, loop4, rest4, single4)
rows5:
	SUMS(PANEL, PANELROW, LOAD5, STEP5, loop5, rest5, single5)
rows6:
	SUMS(PANEL, PANELROW, LOAD6, STEP6, loop6, rest6, single6)
rows7:
	SUMS(PANEL, PANELROW, LOAD7, STEP7, loop7, rest7, single7)
rows8:
	SUMS(PANEL, PANELROW, LOAD8, STEP8, loop8, rest8, single8)

columns:
	BYROWS(columnsRows2, columnsRows3, columnsRows4, columnsRows5, columnsRows6, columnsRows7, columnsRows8)
	SUMSCOLUMNS(LOADCOLUMNS1, STEPCOLUMNS1, columnsLoop1, columnsRest1, columnsSingle1)
columnsRows2:
	SUMSCOLUMNS(LOADCOLUMNS2, STEPCOLUMNS2, columnsLoop2, columnsRest2, columnsSingle2)
columnsRows3:
	SUMSCOLUMNS(LOADCOLUMNS3, STEPCOLUMNS3, columnsLoop3, columnsRest3, columnsSingle3)
columnsRows4:
	SUMSCOLUMNS(LOADCOLUMNS4, STEPCOLUMNS4, columnsLoop4, columnsRest4, columnsSingle4)
columnsRows5:
	SUMSCOLUMNS(LOADCOLUMNS5, STEPCOLUMNS5, columnsLoop5, columnsRest5, columnsSingle5)
columnsRows6:
	SUMSCOLUMNS(LOADCOLUMNS6, STEPCOLUMNS6, columnsLoop6, columnsRest6, columnsSingle6)
columnsRows7:
	SUMSCOLUMNS(LOADCOLUMNS7, STEPCOLUMNS7, columnsLoop7, columnsRest7, columnsSingle7)
columnsRows8:
	SUMSCOLUMNS(LOADCOLUMNS8, STEPCOLUMNS8, columnsLoop8, columnsRest8, columnsSingle8)

bf16:
	EACHROW(ASPACKED)
	BYROWS(bfRows2, bfRows3, bfRows4, bfRows5, bfRows6, bfRows7, bfRows8)
	SUMS(PANELBF16, PANELROWBF16, LOAD1, STEP1, bfLoop1, bfRest1, bfSingle1)
bfRows2:
	SUMS(PANELBF16, PANELROWBF16, LOAD2, STEP2, bfLoop2, bfRest2, bfSingle2)
bfRows3:
	SUMS(PANELBF16, PANELROWBF16, LOAD3, STEP3, bfLoop3, bfRest3, bfSingle3)
bfRows4:
	SUMS(PANELBF16, PANELROWBF16, LOAD4, STEP4, bfLoop4, bfRest4, bfSingle4)
bfRows5:
	SUMS(PANELBF16, PANELROWBF16, LOAD5, STEP5, bfLoop5, bfRest5, bfSingle5)
bfRows6:
	SUMS(PANELBF16, PANELROWBF16, LOAD6, STEP6, bfLoop6, bfRest6, bfSingle6)
bfRows7:
	SUMS(PANELBF16, PANELROWBF16, LOAD7, STEP7, bfLoop7, bfRest7, bfSingle7)
bfRows8:
	SUMS(PANELBF16, PANELROWBF16, LOAD8, STEP8, bfLoop8, bfRest8, bfSingle8)

f16:
	BYROWS(fRows2, fRows3, fRows4, fRows5, fRows6, fRows7, fRows8)
	SUMS(PANELF16, PANELROWF16, LOAD1, STEP1, fLoop1, fRest1, fSingle1)
fRows2:
	SUMS(PANELF16, PANELROWF16, LOAD2, STEP2, fLoop2, fRest2, fSingle2)
fRows3:
	SUMS(PANELF16, PANELROWF16, LOAD3, STEP3, fLoop3, fRest3, fSingle3)
fRows4:
	SUMS(PANELF16, PANELROWF16, LOAD4, STEP4, fLoop4, fRest4, fSingle4)
fRows5:
	SUMS(PANELF16, PANELROWF16, LOAD5, STEP5, fLoop5, fRest5, fSingle5)
fRows6:
	SUMS(PANELF16, PANELROWF16, LOAD6, STEP6, fLoop6, fRest6, fSingle6)
fRows7:
	SUMS(PANELF16, PANELROWF16, LOAD7, STEP7, fLoop7, fRest7, fSingle7)
fRows8:
	SUMS(PANELF16, PANELROWF16, LOAD8, STEP8, fLoop8, fRest8, fSingle8)

finish:
	CMP	$PANELOFBF16, R23
	BNE	ordered
	EACHROW(INORDER)

ordered:
	MOVD	bias+80(FP), R20
	CMP	$8, R17
	BNE	edge
	CBZ	R20, store
	FLDPQ	(R20), (F24, F25)
	ADDBIAS(0)
	ADDBIAS(2)
	ADDBIAS(4)
	ADDBIAS(6)
	ADDBIAS(8)
	ADDBIAS(10)
	ADDBIAS(12)
	ADDBIAS(14)

store:
	MOVD	R11, R21
	MOVD	R16, R22
	STOREROW(F0, F1)
	STOREROW(F2, F3)
	STOREROW(F4, F5)
	STOREROW(F6, F7)
	STOREROW(F8, F9)
	STOREROW(F10, F11)
	STOREROW(F12, F13)
	STOREROW(F14, F15)

edge:
	// Fewer columns than a row of the tile has: value by value, from memory.
	MOVD	$sums-256(SP), R0
	FSTPQ	(F0, F1), (R0)
	FSTPQ	(F2, F3), 32(R0)
	FSTPQ	(F4, F5), 64(R0)
	FSTPQ	(F6, F7), 96(R0)
	FSTPQ	(F8, F9), 128(R0)
	FSTPQ	(F10, F11), 160(R0)
	FSTPQ	(F12, F13), 192(R0)
	FSTPQ	(F14, F15), 224(R0)
	MOVD	R11, R21
	MOVD	R16, R22

edgeRow:
	MOVD	R0, R1 // the sum
	MOVD	R21, R2 // its place in dst
	MOVD	R20, R3 // its bias
	MOVD	R17, R4 // columns left

edgeValue:
	FMOVS.P	4(R1), F0
	CBZ	R20, edgeStore
	FMOVS.P	4(R3), F1
	FADDS	F1, F0

edgeStore:
	FMOVS.P	F0, 4(R2)
	SUBS	$1, R4
	BNE	edgeValue
	ADD	$32, R0
	ADD	R12, R21
	SUBS	$1, R22
	BNE	edgeRow

next:
	ADD	R24, R15
	MADD	R12, R11, R16, R11
	SUBS	$1, R14
	BNE	tile
	RET

// func transposeNEON(dst, src *float32, ld, fours int, scale float32)
TEXT ·transposeNEON(SB), NOSPLIT, $0-36
	MOVD	dst+0(FP), R0
	MOVD	src+8(FP), R1
	MOVD	ld+16(FP), R2
	MOVD	fours+24(FP), R3
	FMOVS	scale+32(FP), F31
	ADD	R2<<2, R1, R4
	ADD	R2<<2, R4, R5
	ADD	R2<<2, R5, R6

transpose:
	FMOVQ.P	16(R1), F0
	FMOVQ.P	16(R4), F1
	FMOVQ.P	16(R5), F2
	FMOVQ.P	16(R6), F3
	FMULLANE(31, 0, 0, 0)
	FMULLANE(31, 0, 1, 1)
	FMULLANE(31, 0, 2, 2)
	FMULLANE(31, 0, 3, 3)
	VTRN1	V1.S4, V0.S4, V4.S4
	VTRN2	V1.S4, V0.S4, V5.S4
	VTRN1	V3.S4, V2.S4, V6.S4
	VTRN2	V3.S4, V2.S4, V7.S4
	VTRN1	V6.D2, V4.D2, V0.D2
	VTRN1	V7.D2, V5.D2, V1.D2
	VTRN2	V6.D2, V4.D2, V2.D2
	VTRN2	V7.D2, V5.D2, V3.D2
	FMOVQ.P	F0, 32(R0)
	FMOVQ.P	F1, 32(R0)
	FMOVQ.P	F2, 32(R0)
	FMOVQ.P	F3, 32(R0)
	SUBS	$1, R3
	BNE	transpose
	RET

// func stackNEON(dst, src *float32, ld, rows, width int, scale float32)
TEXT ·stackNEON(SB), NOSPLIT, $0-44
	MOVD	dst+0(FP), R0
	MOVD	src+8(FP), R1
	MOVD	ld+16(FP), R2
	MOVD	rows+24(FP), R3
	MOVD	width+32(FP), R4
	FMOVS	scale+40(FP), F31
	CMP	$8, R4
	BNE	narrow

whole:
	FLDPQ	(R1), (F0, F1)
	FMULLANE(31, 0, 0, 0)
	FMULLANE(31, 0, 1, 1)
	FSTPQ.P	(F0, F1), 32(R0)
	ADD	R2<<2, R1
	SUBS	$1, R3
	BNE	whole
	RET

narrow:
	VEOR	V1.B16, V1.B16, V1.B16

row:
	FSTPQ	(F1, F1), (R0)
	MOVD	ZR, R5

value:
	FMOVS	(R1)(R5<<2), F0
	FMULS	F31, F0
	FMOVS	F0, (R0)(R5<<2)
	ADD	$1, R5
	CMP	R4, R5
	BLT	value
	ADD	$32, R0
	ADD	R2<<2, R1
	SUBS	$1, R3
	BNE	row
	RET

// func peakNEON(n int)
TEXT ·peakNEON(SB), NOSPLIT, $0-8
	MOVD	n+0(FP), R0

peak:
	// Sums that do not depend on each other: as many as a tile has. What the
	// registers hold does not matter.
	STEP8(0, 24)
	SUBS	$1, R0
	BNE	peak
	RET
