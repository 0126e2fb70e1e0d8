// Instructions on vectors of four float32 that Go's assembler does not know.
// Registers are given by number, in the order of Go's assembler: the result
// is the last one, and FSUB(m, n, d) and FDIV(m, n, d) are n − m and n / m.

#define FADD(m, n, d)   WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d))
#define FSUB(m, n, d)   WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d))
#define FMUL(m, n, d)   WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d))
#define FDIV(m, n, d)   WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d))
#define FMLA(m, n, d)   WORD $(0x4E20CC00 | (m)<<16 | (n)<<5 | (d))
#define FMLS(m, n, d)   WORD $(0x4EA0CC00 | (m)<<16 | (n)<<5 | (d))
#define ADDINT(m, n, d) WORD $(0x4EA08400 | (m)<<16 | (n)<<5 | (d))

// FMAX and FMIN give NaN where one operand is NaN.
#define FMAX(m, n, d)   WORD $(0x4E20F400 | (m)<<16 | (n)<<5 | (d))
#define FMIN(m, n, d)   WORD $(0x4EA0F400 | (m)<<16 | (n)<<5 | (d))

// FADDP and FMAXP combine the neighbours of n, and then those of m.
#define FADDP(m, n, d)  WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d))
#define FMAXP(m, n, d)  WORD $(0x6E20F400 | (m)<<16 | (n)<<5 | (d))

// Masks: n ≥ m, n > m, n < 0.
#define FCMGE(m, n, d)  WORD $(0x6E20E400 | (m)<<16 | (n)<<5 | (d))
#define FCMGT(m, n, d)  WORD $(0x6EA0E400 | (m)<<16 | (n)<<5 | (d))
#define FCMLT0(n, d)    WORD $(0x4EA0E800 | (n)<<5 | (d))

// ANDNOT is n &^ m, and BSL takes the bits of n where d has ones and those of m
// elsewhere. BIT puts the bits of n where m has ones.
#define ANDNOT(m, n, d) WORD $(0x4E601C00 | (m)<<16 | (n)<<5 | (d))
#define BSL(m, n, d)    WORD $(0x6E601C00 | (m)<<16 | (n)<<5 | (d))
#define BIT(m, n, d)    WORD $(0x6EA01C00 | (m)<<16 | (n)<<5 | (d))

#define FABS(n, d)      WORD $(0x4EA0F800 | (n)<<5 | (d))
#define FNEG(n, d)      WORD $(0x6EA0F800 | (n)<<5 | (d))
#define FSQRT(n, d)     WORD $(0x6EA1F800 | (n)<<5 | (d))
#define MOV(n, d)       WORD $(0x4EA01C00 | (n)<<16 | (n)<<5 | (d))

// FRINTN rounds to integers, ties to even, and FCVTNS makes an int32 of them.
#define FRINTN(n, d)    WORD $(0x4E218800 | (n)<<5 | (d))
#define FCVTNS(n, d)    WORD $(0x4E21A800 | (n)<<5 | (d))
#define SHL23(n, d)     WORD $(0x4F375400 | (n)<<5 | (d))

// Four uint16 as the upper halves of words, and four binary16 as float32: the
// lower or the upper ones of n.
#define SHLL16(n, d)      WORD $(0x2E613800 | (n)<<5 | (d))
#define SHLL16UPPER(n, d) WORD $(0x6E613800 | (n)<<5 | (d))
#define FCVTL(n, d)       WORD $(0x0E217800 | (n)<<5 | (d))
#define FCVTLUPPER(n, d)  WORD $(0x4E217800 | (n)<<5 | (d))

// The forms with one lane of m for all lanes of n.
#define FMULLANE(m, lane, n, d) WORD $(0x4F809000 | ((lane)&1)<<21 | (m)<<16 | ((lane)>>1)<<11 | (n)<<5 | (d))
#define FMLALANE(m, lane, n, d) WORD $(0x4F801000 | ((lane)&1)<<21 | (m)<<16 | ((lane)>>1)<<11 | (n)<<5 | (d))
#define FMLSLANE(m, lane, n, d) WORD $(0x4F805000 | ((lane)&1)<<21 | (m)<<16 | ((lane)>>1)<<11 | (n)<<5 | (d))
#define DUPLANE(n, lane, d)     WORD $(0x4E040400 | (lane)<<19 | (n)<<5 | (d))

// A vector, or a value with 0 in the other lanes, at the sum of two registers
// for integers, of which 31 is 0; and the first lane of n with 0 in the others.
#define LDRQ(offset, base, d)   WORD $(0x3CE06800 | (offset)<<16 | (base)<<5 | (d))
#define STRQ(offset, base, n)   WORD $(0x3CA06800 | (offset)<<16 | (base)<<5 | (n))
#define LDRS(offset, base, d)   WORD $(0xBC606800 | (offset)<<16 | (base)<<5 | (d))
#define STRS(offset, base, n)   WORD $(0xBC206800 | (offset)<<16 | (base)<<5 | (n))
#define FIRST(n, d)             WORD $(0x1E204000 | (n)<<5 | (d))
