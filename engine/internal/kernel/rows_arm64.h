// Functions on rows work on four rows at once: a vector of each at a time and
// then, for what does not fill a vector, a value of each at a time. The order of
// a sum therefore depends on the length of the row alone. Where fewer than four
// rows are left, the last one takes the place of those that are missing. Its
// copies go through the same steps as itself: all of them are read before one
// is written.
//
//	R0       the first row of the four
//	R1       the bytes between two rows
//	R2       rows left
//	R3       the length of a row
//	R4 … R7  the rows
//	R8 … R11 the places in them
//	R12      values of a row left

// FOUR points to four rows of which the first is from, or to what else has a
// part for each row.
#define FOUR(from, stride, a, b, c, d)   \
	MOVD	from, a                  \
	ADD	stride, a, b             \
	CMP	$2, R2                   \
	CSEL	GE, b, a, b              \
	ADD	stride, b, c             \
	CMP	$3, R2                   \
	CSEL	GE, c, b, c              \
	ADD	stride, c, d             \
	CMP	$4, R2                   \
	CSEL	GE, d, c, d

#define ROWS FOUR(R0, R1, R4, R5, R6, R7)

// NEXTROWS goes on with the next four rows, if there are any.
#define NEXTROWS(more)                   \
	ADD	R1<<2, R0                \
	SUBS	$4, R2                   \
	BGT	more

// PASS goes along the rows with a body that is given the instructions for
// loading and storing, and a step each for clearing the lanes of a group that
// hold no values and for giving them the value.
#define PASS(body, vectors, rest, values, done) \
	MOVD	R4, R8                   \
	MOVD	R5, R9                   \
	MOVD	R6, R10                  \
	MOVD	R7, R11                  \
	SUBS	$4, R3, R12              \
	BLT	rest                     \
vectors:                                 \
	body(LDRQ, STRQ, ALLVALUES, ALLVALUES) \
	ADVANCE($16)                     \
	SUBS	$4, R12                  \
	BGE	vectors                  \
rest:                                    \
	ADDS	$4, R12                  \
	BEQ	done                     \
values:                                  \
	body(LDRS, STRS, CLEARREST, FILLREST) \
	ADVANCE($4)                      \
	SUBS	$1, R12                  \
	BNE	values                   \
done:

#define ADVANCE(bytes) ADD bytes, R8; ADD bytes, R9; ADD bytes, R10; ADD bytes, R11
#define ALLVALUES(g)
#define CLEARREST(g) UNARY(FIRST, g, g)
#define FILLREST(g)  DUPLANE(g, 0, g); DUPLANE(g+1, 0, g+1); DUPLANE(g+2, 0, g+2); DUPLANE(g+3, 0, g+3)

// READ and WRITE take a group from the places plus an offset, or to there.
#define READ(ldr, offset, g)  ldr(offset, 8, g); ldr(offset, 9, g+1); ldr(offset, 10, g+2); ldr(offset, 11, g+3)
#define WRITE(str, offset, g) str(offset, 8, g); str(offset, 9, g+1); str(offset, 10, g+2); str(offset, 11, g+3)

// ACROSS combines the lanes of each vector of a group, by pairs: lane i of its
// first vector becomes what the i-th vector gives. SPREAD goes the other way.
#define ACROSS(pairs, g) pairs(g+1, g, g); pairs(g+3, g+2, g+2); pairs(g+2, g, g)
#define SPREAD(n, d)     DUPLANE(n, 0, d); DUPLANE(n, 1, d+1); DUPLANE(n, 2, d+2); DUPLANE(n, 3, d+3)

// ZERO clears a group.
#define ZERO(a, b, c, d)                 \
	VEOR	a.B16, a.B16, a.B16      \
	VEOR	b.B16, b.B16, b.B16      \
	VEOR	c.B16, c.B16, c.B16      \
	VEOR	d.B16, d.B16, d.B16
