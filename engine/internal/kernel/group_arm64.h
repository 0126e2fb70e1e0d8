// Steps on groups of four vectors: a group is named by the number of its first
// register. Each step is written for all of them before the next one, so that
// the processor finds independent work close by: its window is shorter than the
// chain of an exponential.
//
// The constants of ·constantsNEON lie in V24 … V31, the c-th of them in lane c%4 of
// register 24 + c/4. A function that needs no others than the first twelve has
// the registers from V27 on to itself.

#define LOG2E      0
#define LN2HIGH    1 // ln 2 rounded to float32,
#define LN2LOW     2 // and what is missing
#define SMALLEST   3 // ln 2⁻¹²⁶: exponentials below the normal numbers are flushed to 0
#define REMAINDER4 4 // exp(r) = 1 + r + r²·(… + REMAINDER1·r + REMAINDER0)
#define REMAINDER3 5
#define REMAINDER2 6
#define REMAINDER1 7
#define REMAINDER0 8
#define ONE        9
#define TWO        10
#define LOWEST     11 // the largest negative number
#define THREE      12
#define HALF       13
#define MINUSHALF  14
#define GELUEND    15 // where exp(−t²/2) is about to be flushed to 0
#define TAIL9      16 // ten coefficients of GELU's tail
#define TAIL8      17
#define TAIL7      18
#define TAIL6      19
#define TAIL5      20
#define TAIL4      21
#define TAIL3      22
#define TAIL2      23
#define TAIL1      24
#define TAIL0      25
#define GATEEND    26 // −100: below it the gates are 0
#define GATESQUARE 27 // keeps an infinite square from a cubic that is 0
#define TANHEND    28 // where tanh rounds to 1
#define SIGN       29
#define DENSITY    30 // 1/√(2π)
#define LINEAR     30 // the exponent of the gates, from their arguments
#define CUBIC      31

#define CONSTANTS                        \
	MOVD	$·constantsNEON(SB), R9      \
	VLD1.P	64(R9), [V24.S4, V25.S4, V26.S4, V27.S4] \
	VLD1	(R9), [V28.S4, V29.S4, V30.S4, V31.S4]

// EACH applies an instruction to each vector of m and n, and ALL with one
// register or constant m for each vector of n.
#define EACH(op, m, n, d)  op(m, n, d); op(m+1, n+1, d+1); op(m+2, n+2, d+2); op(m+3, n+3, d+3)
#define ALL(op, m, n, d)   op(m, n, d); op(m, n+1, d+1); op(m, n+2, d+2); op(m, n+3, d+3)
#define UNARY(op, n, d)    op(n, d); op(n+1, d+1); op(n+2, d+2); op(n+3, d+3)

// Products of a vector and a constant, and a vector or a group of a constant.
#define FMULC(c, n, d)  FMULLANE(24+(c)>>2, (c)&3, n, d)
#define FMLAC(c, n, d)  FMLALANE(24+(c)>>2, (c)&3, n, d)
#define FMLSC(c, n, d)  FMLSLANE(24+(c)>>2, (c)&3, n, d)
#define DUP(c, d)       DUPLANE(24+(c)>>2, (c)&3, d)
#define FILL(c, d)      DUP(c, d); DUP(c, d+1); DUP(c, d+2); DUP(c, d+3)

// HORNER gives d = p·x + c.
#define HORNER(c, p, x, d) FILL(c, d); EACH(FMLA, x, p, d)

// REDUCE gives the integers n with r = n·ln 2 + r′, |r′| ≤ ln 2/2, as the
// exponents of 2ⁿ, and leaves r′ in r.
#define REDUCE(r, n)                     \
	ALL(FMULC, LOG2E, r, n)          \
	UNARY(FRINTN, n, n)              \
	ALL(FMLSC, LN2HIGH, n, r)        \
	ALL(FMLSC, LN2LOW, n, r)         \
	UNARY(FCVTNS, n, n)              \
	UNARY(SHL23, n, n)

// REMAINDER gives p = q(r) with exp(r) = 1 + r + r²·q(r): the polynomial of
// degree 4 with the smallest relative error of r + r²·q(r), 2⁻²⁶, against
// exp(r) − 1 on |r| ≤ ln 2/2 (Remez). q is clobbered.
#define REMAINDER(r, p, q)               \
	FILL(REMAINDER4, p)              \
	HORNER(REMAINDER3, p, r, q)      \
	HORNER(REMAINDER2, q, r, p)      \
	HORNER(REMAINDER1, p, r, q)      \
	HORNER(REMAINDER0, q, r, p)

// POWER gives p = exp(r)·2ⁿ, where n is as REDUCE leaves it; q is clobbered.
#define POWER(r, n, p, q)                \
	REMAINDER(r, p, q)               \
	HORNER(ONE, p, r, q)             \
	HORNER(ONE, q, r, p)             \
	EACH(ADDINT, n, p, p)

// DECAY gives p = exp(x) for x ≤ 0, and 0 below SMALLEST. r, n and q are
// clobbered.
#define DECAY(x, r, n, p, q)             \
	UNARY(MOV, x, r)                 \
	REDUCE(r, n)                     \
	POWER(r, n, p, q)                \
	DUP(SMALLEST, n)                 \
	FCMGT(x, n, q)                   \
	FCMGT(x+1, n, q+1)               \
	FCMGT(x+2, n, q+2)               \
	FCMGT(x+3, n, q+3)               \
	EACH(ANDNOT, q, p, p)

// NORMALTAIL gives, for x in V0 …, t = |x| in V4 …, e = exp(−t²/2) in V12 …, R
// with Φ(−t) = e·R(t), the lower tail of the normal distribution, in V20 …, and
// in V8 … masks of the lanes where e is to be taken as 0. R, half of the scaled
// complementary error function, is a polynomial in s = (t − 3)/(t + 3): of
// degree 9, with a relative error of 2⁻²⁷ on 0 ≤ t ≤ 13.3 (Remez). What
// rounding takes from t² is given back to the reduced exponent. V16 … are
// clobbered.
#define NORMALTAIL                       \
	UNARY(FABS, 0, 4)                \
	DUP(GELUEND, 8)                  \
	ALL(FMIN, 8, 4, 4)               \
	EACH(FMUL, 4, 4, 8)              \
	UNARY(MOV, 8, 12)                \
	EACH(FMLS, 4, 4, 12) /* what rounding added to t² */ \
	ALL(FMULC, MINUSHALF, 8, 8)      \
	REDUCE(8, 16)                    \
	ALL(FMLAC, HALF, 12, 8)          \
	POWER(8, 16, 12, 20)             \
	DUP(THREE, 8)                    \
	ALL(FSUB, 8, 4, 16)              \
	ALL(FADD, 8, 4, 20)              \
	EACH(FDIV, 20, 16, 8) /* s */    \
	FILL(TAIL9, 16)                  \
	HORNER(TAIL8, 16, 8, 20)         \
	HORNER(TAIL7, 20, 8, 16)         \
	HORNER(TAIL6, 16, 8, 20)         \
	HORNER(TAIL5, 20, 8, 16)         \
	HORNER(TAIL4, 16, 8, 20)         \
	HORNER(TAIL3, 20, 8, 16)         \
	HORNER(TAIL2, 16, 8, 20)         \
	HORNER(TAIL1, 20, 8, 16)         \
	HORNER(TAIL0, 16, 8, 20)         \
	DUP(GELUEND, 16)                 \
	ALL(FCMGE, 16, 4, 8)
