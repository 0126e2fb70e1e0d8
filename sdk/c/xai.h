/* xai.h: explanation methods for xai, written in C. One file, no dependencies.
 *
 * A method is one WebAssembly module under ABI 1, which docs/ABI.md describes.
 * This is a complete one: what the target loses when each unit is dropped.
 *
 *	#include "xai.h"
 *
 *	static xai_error explain(void) {
 *		xai_units units;
 *		xai_target target;
 *		XAI_TRY(xai_get_units(&units));
 *		XAI_TRY(xai_get_target(&target));
 *		size_t n = units.len;
 *		uint8_t *keep = xai_new(n * n); // row i drops unit i
 *		for (size_t i = 0; keep && i < n * n; i++) keep[i] = i % (n + 1) != 0;
 *		double *values;
 *		XAI_TRY(xai_evaluate(keep, n, n, (xai_fill){.kind = XAI_FILL_MASK}, &values));
 *		for (size_t i = 0; i < n; i++) values[i] = target.value - values[i];
 *		return xai_attributions(values, n);
 *	}
 *
 *	XAI_METHOD("leave-one-out", explain, "version": "1.0.0", "needs": ["forward"],
 *		"summary": "What the target loses when each unit is dropped", "params": [])
 *
 * and this builds it:
 *
 *	clang --target=wasm32 -std=c11 -O2 -mbulk-memory -c -o method.o method.c
 *	wasm-ld --no-entry --strip-all -o method.wasm method.o
 *
 * Functions return 0 or a negative error code; XAI_TRY passes a code on, and the
 * user reads the host's own sentence. Memory comes from xai_new and lives until
 * the explanation ends, as do handles. Every file that includes this header
 * shares one explanation. C11 and later, C++20 and later. */
#ifndef XAI_H
#define XAI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define XAI_EXTERN extern "C"
#else
#define XAI_EXTERN extern
#endif

/* A function that stands in the module once, for all that call it. */
#define XAI_ONCE __attribute__((noinline, unused)) static

/* ---- Codes ---- */

#define XAI_ABI_MAJOR 1
#define XAI_ABI_MINOR 0

/* An error code, or 0. */
typedef int32_t xai_error;

enum {
	XAI_EINVAL = -1,        /* an argument or a frame is malformed */
	XAI_EHANDLE = -2,       /* no such tensor or reply */
	XAI_ECAP = -3,          /* the need was not granted */
	XAI_EFAULT = -4,        /* a pointer outside the memory */
	XAI_ERANGE = -5,        /* an index or size out of range */
	XAI_ENOMEM = -6,        /* the memory limit */
	XAI_EQUOTA = -7,        /* a limit of the run */
	XAI_ECANCELLED = -8,    /* the user or the deadline ended the run */
	XAI_EUNSUPPORTED = -9,  /* the model or the host cannot do it */
	XAI_EINTERNAL = -10,    /* a defect of the host or the method */
	XAI_ENAME = -11,        /* no such name, or one that cannot be used */
};

/* The types of a tensor's elements. */
typedef enum { XAI_U8 = 0, XAI_I32 = 1, XAI_I64 = 2, XAI_F32 = 3, XAI_F64 = 4, XAI_BF16 = 5 } xai_dtype;

/* What a dropped unit or token becomes. */
typedef enum {
	XAI_FILL_MASK = 0,    /* the tokenizer's mask token */
	XAI_FILL_PAD = 1,     /* the tokenizer's padding token */
	XAI_FILL_DELETE = 2,  /* nothing */
	XAI_FILL_ZERO = 3,    /* the zero vector in place of the word embedding */
	XAI_FILL_TEXT = 4,    /* xai_fill.text */
	XAI_FILL_TOKEN = 5,   /* xai_fill.token */
	XAI_FILL_HIDE = 6,    /* itself, hidden from the attention of all */
	XAI_FILL_AVERAGE = 7, /* the mean word embedding of the vocabulary */
} xai_fill_kind;

/* The outputs of a forward, to be joined with |. */
enum {
	XAI_WANT_TARGET = 1 << 1,   /* "target", f64 [N] */
	XAI_WANT_LOGITS = 1 << 2,   /* "logits", f64 [N,C] */
	XAI_WANT_PROBS = 1 << 3,    /* "probs", f64 [N,C] */
	XAI_WANT_LOGPROBS = 1 << 4, /* "logprobs", f64 [N,C] */
};

/* What an edit does with the activations that it selects. */
typedef enum { XAI_EDIT_REPLACE = 0, XAI_EDIT_ZERO = 1, XAI_EDIT_MEAN = 2, XAI_EDIT_ADD = 3, XAI_EDIT_SCALE = 4 } xai_edit_op;

/* How xai_grad passes the target back, from its gradient at the logits on: by
 * the chain rule, or by layer-wise relevance propagation with alpha = 1 and
 * beta = 0, as Chefer, Gur and Wolf have it for transformers (CVPR 2021). */
typedef enum { XAI_RULE_GRADIENT = 0, XAI_RULE_LRP_ALPHA1 = 1 } xai_rule;

/* The operations of xai_op. */
enum { XAI_OP_RIDGE = 1, XAI_OP_MATMUL = 2, XAI_OP_SOFTMAX = 3, XAI_OP_TOPK = 4, XAI_OP_SUM = 5, XAI_OP_MEAN = 6 };

/* The scale of a target. */
typedef enum { XAI_OUTPUT_LOGIT = 1, XAI_OUTPUT_PROB = 2, XAI_OUTPUT_LOGPROB = 3 } xai_output;

/* The levels of log lines. */
typedef enum { XAI_DEBUG = 0, XAI_NOTE = 1, XAI_WARNING = 2 } xai_level;

enum { XAI_MAX_RANK = 8, XAI_MAX_NAME = 255, XAI_MAX_MESSAGE = 1024 };

/* The keys of xai_input. */
enum {
	XAI_INPUT_TEXT = 1,
	XAI_INPUT_TEXT_PAIR = 2,
	XAI_INPUT_IDS = 3,
	XAI_INPUT_TOKENS = 4,
	XAI_INPUT_UNITS = 5,
	XAI_INPUT_SPECIAL = 6,
	XAI_INPUT_KEEP = 7,
	XAI_INPUT_TARGET = 8,
	XAI_INPUT_SEED = 9,
	XAI_INPUT_MODEL = 10,
	XAI_INPUT_GRANTS = 11,
	XAI_INPUT_ERROR = 12,
};

/* The types in front of a parameter's value. */
enum { XAI_PARAM_INT = 1, XAI_PARAM_FLOAT = 2, XAI_PARAM_BOOL = 3, XAI_PARAM_STRING = 4, XAI_PARAM_ENUM = 5 };

/* The flags of a token, and of a field. */
enum { XAI_TOKEN_SPECIAL = 1, XAI_TOKEN_FIXED = 2 };
enum { XAI_FLAG_CRITICAL = 1 };

/* The tags of fields: of the request frame, */
enum { XAI_FIELD_METHOD = 1 };

/* of what xai_forward and xai_grad are asked for, */
enum {
	XAI_FIELD_UNITS = 1,
	XAI_FIELD_MASKS = 2,
	XAI_FIELD_TEXTS = 3,
	XAI_FIELD_IDS = 4,
	XAI_FIELD_FILL = 5,
	XAI_FIELD_TARGET = 6,
	XAI_FIELD_OVER = 7,
	XAI_FIELD_DEDUP = 8,
	XAI_FIELD_WANT = 9,
	XAI_FIELD_EMBEDS = 10,
	XAI_FIELD_POINTS = 11,
	XAI_FIELD_EDITS = 12,
	XAI_FIELD_WRT = 13,
	XAI_FIELD_RULE = 14,
};

/* of a generation, */
enum {
	XAI_FIELD_MAX_TOKENS = 1,
	XAI_FIELD_PROMPT = 2,
	XAI_FIELD_TEMPERATURE = 3,
	XAI_FIELD_TOP_K = 4,
	XAI_FIELD_TOP_P = 5,
	XAI_FIELD_SEED = 6,
};

/* of an operation, */
enum { XAI_FIELD_OPERANDS = 1, XAI_FIELD_SCALARS = 2 };

/* of a result's meta, */
enum { XAI_FIELD_AXES = 1, XAI_FIELD_RESULT_UNITS = 2 };

/* of a list of tokens, */
enum {
	XAI_FIELD_TOKEN_IDS = 1,
	XAI_FIELD_TOKEN_SEQUENCES = 2,
	XAI_FIELD_TOKEN_STARTS = 3,
	XAI_FIELD_TOKEN_ENDS = 4,
	XAI_FIELD_TOKEN_RUNE_STARTS = 5,
	XAI_FIELD_TOKEN_RUNE_ENDS = 6,
	XAI_FIELD_TOKEN_FLAGS = 7,
	XAI_FIELD_TOKEN_TEXTS = 8,
};

/* of a list of units, */
enum {
	XAI_FIELD_UNIT_TEXTS = 1,
	XAI_FIELD_UNIT_SPAN_COUNTS = 2,
	XAI_FIELD_UNIT_SPANS = 3,
	XAI_FIELD_UNIT_TOKEN_COUNTS = 4,
	XAI_FIELD_UNIT_TOKENS = 5,
};

/* of the target, */
enum {
	XAI_FIELD_TARGET_KIND = 1,
	XAI_FIELD_TARGET_EXPRESSION = 2,
	XAI_FIELD_TARGET_LABEL = 3,
	XAI_FIELD_TARGET_INDEX = 4,
	XAI_FIELD_TARGET_OUTPUT = 5,
	XAI_FIELD_TARGET_VALUE = 6,
	XAI_FIELD_TARGET_POSITIONS = 7,
	XAI_FIELD_TARGET_SECOND = 8,
	XAI_FIELD_TARGET_SECOND_LABEL = 9,
};

/* and of the model. */
enum {
	XAI_FIELD_MODEL_ID = 1,
	XAI_FIELD_MODEL_ARCHITECTURE = 2,
	XAI_FIELD_MODEL_TASK = 3,
	XAI_FIELD_MODEL_MASK_TOKEN = 4,
	XAI_FIELD_MODEL_LABELS = 5,
	XAI_FIELD_MODEL_LAYERS = 6,
	XAI_FIELD_MODEL_HEADS = 7,
	XAI_FIELD_MODEL_EMBEDDING = 8,
	XAI_FIELD_MODEL_HIDDEN = 9,
	XAI_FIELD_MODEL_VOCABULARY = 10,
	XAI_FIELD_MODEL_MAX_TOKENS = 11,
	XAI_FIELD_MODEL_MASK_ID = 12,
	XAI_FIELD_MODEL_PAD_ID = 13,
	XAI_FIELD_MODEL_SPECIAL_IDS = 14,
};

/* ---- The host's functions ---- */

#define XAI_IMPORT(name) __attribute__((import_module("xai1"), import_name(name))) XAI_EXTERN

XAI_IMPORT("tensor_new") int64_t xai_host_tensor_new(uint32_t dtype, uint32_t rank, const int64_t *dims);
XAI_IMPORT("tensor_info") int32_t xai_host_tensor_info(int64_t h, void *out, size_t cap);
XAI_IMPORT("tensor_read") int32_t xai_host_tensor_read(int64_t h, int64_t offset, void *to, size_t n);
XAI_IMPORT("tensor_read_strided") int32_t xai_host_tensor_read_strided(int64_t h, const void *spec, size_t spec_len, void *to, size_t cap);
XAI_IMPORT("tensor_write") int32_t xai_host_tensor_write(int64_t h, int64_t offset, const void *from, size_t n);
XAI_IMPORT("tensor_free") int32_t xai_host_tensor_free(int64_t h);
XAI_IMPORT("tokenize") int64_t xai_host_tokenize(const void *text, size_t n);
XAI_IMPORT("forward") int64_t xai_host_forward(const void *spec, size_t n);
XAI_IMPORT("grad") int64_t xai_host_grad(const void *spec, size_t n);
XAI_IMPORT("generate") int64_t xai_host_generate(const void *spec, size_t n);
XAI_IMPORT("reply_get") int64_t xai_host_reply_get(int64_t reply, const void *name, size_t n, uint32_t index);
XAI_IMPORT("op") int64_t xai_host_op(uint32_t code, const void *spec, size_t n);
XAI_IMPORT("param_get") int32_t xai_host_param_get(const void *name, size_t n, void *out, size_t cap);
XAI_IMPORT("input_get") int32_t xai_host_input_get(uint32_t key, void *out, size_t cap);
XAI_IMPORT("rng_fill") int32_t xai_host_rng_fill(void *to, size_t n);
XAI_IMPORT("progress") int32_t xai_host_progress(int64_t done, int64_t total);
XAI_IMPORT("log") int32_t xai_host_log(int32_t level, const void *line, size_t n);
XAI_IMPORT("error") int32_t xai_host_error(int32_t code, const void *text, size_t n);
XAI_IMPORT("result") int32_t xai_host_result(const void *name, size_t n, int64_t h, const void *meta, size_t meta_len);

/* Returns the code of a call that failed. */
#define XAI_TRY(call)                            \
	do {                                         \
		xai_error xai_code_ = (xai_error)(call); \
		if (xai_code_ < 0) return xai_code_;     \
	} while (0)

/* ---- Memory ---- */

/* The memory of an explanation: what xai_new gave lies below next. It takes
 * whole pages and nothing else, so that it gets along with another allocator. */
typedef struct {
	unsigned char *start, *next, *high, *end;
} xai_arena;

__attribute__((weak)) xai_arena xai_memory;

/* Returns n bytes of zeros that live until the explanation ends, aligned to 16;
 * NULL at the memory limit. What takes memory hands NULL on as XAI_ENOMEM. */
XAI_ONCE void *xai_new(size_t n) {
	xai_arena *a = &xai_memory;
	if (n > (size_t)1 << 31) return NULL;
	n = ((n | 1) + 15) & ~(size_t)15;
	if (n > (size_t)(a->end - a->next)) {
		size_t pages = n >> 16;
		size_t old = __builtin_wasm_memory_grow(0, pages + 1);
		if (old == (size_t)-1) return NULL;
		unsigned char *fresh = (unsigned char *)(old << 16);
		if (fresh != a->end) a->start = a->next = a->high = fresh;
		a->end = fresh + ((pages + 1) << 16);
	}
	unsigned char *p = a->next;
	a->next += n;
	if (p < a->high) __builtin_memset(p, 0, (size_t)((a->next < a->high ? a->next : a->high) - p));
	if (a->high < a->next) a->high = a->next;
	return p;
}

/* A mark of the memory, for xai_release. */
static inline void *xai_mark(void) { return xai_memory.next; }

/* Takes back what xai_new gave since the mark: for the rounds of a loop. */
static inline void xai_release(void *mark) {
	unsigned char *p = (unsigned char *)mark;
	if (p >= xai_memory.start && p <= xai_memory.next) xai_memory.next = p;
}

/* ---- Strings, messages ---- */

/* A text in UTF-8. No zero follows it. */
typedef struct {
	const char *data;
	size_t len;
} xai_string;

/* The text of a C string. */
static inline xai_string xai_str(const char *s) {
	xai_string out = {s, 0};
	while (s && s[out.len]) out.len++;
	return out;
}

/* A text as the two arguments of %.*s. */
#define XAI_PRINT(s) (int)(s).len, (s).data

XAI_ONCE bool xai_equal(xai_string a, xai_string b) {
	if (a.len != b.len) return false;
	for (size_t i = 0; i < a.len; i++)
		if (a.data[i] != b.data[i]) return false;
	return true;
}

/* Writes a message as printf does, which knows %d, %lld, %zu, %s and %.*s here,
 * and returns its length. */
XAI_ONCE size_t xai_format(char *out, size_t cap, const char *format, va_list args) {
	size_t n = 0;
	for (const char *f = format; *f; f++) {
		xai_string part = {f, 1};
		char digits[20];
		if (*f == '%') {
			bool wide = f[1] == 'l' && f[2] == 'l' && f[3] == 'd';
			bool size = f[1] == 'z' && f[2] == 'u';
			if (f[1] == 's') {
				part = xai_str(va_arg(args, const char *));
				f++;
			} else if (f[1] == '.' && f[2] == '*' && f[3] == 's') {
				part.len = (size_t)va_arg(args, int);
				part.data = va_arg(args, const char *);
				f += 3;
			} else if (wide || size || f[1] == 'd') {
				long long v = wide ? va_arg(args, long long) : size ? (long long)va_arg(args, size_t) : va_arg(args, int);
				unsigned long long u = v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v;
				size_t at = sizeof digits;
				do digits[--at] = (char)('0' + u % 10);
				while (u /= 10);
				if (v < 0) digits[--at] = '-';
				part.data = digits + at;
				part.len = sizeof digits - at;
				f += wide ? 3 : size ? 2 : 1;
			}
		}
		for (size_t i = 0; i < part.len && n < cap; i++) out[n++] = part.data[i];
	}
	return n;
}

/* Gives the message for the code that explain is about to return, a sentence
 * for the user that says what to do, and returns the code. */
__attribute__((format(printf, 2, 3))) static inline xai_error xai_fail(xai_error code, const char *format, ...) {
	char message[XAI_MAX_MESSAGE];
	va_list args;
	va_start(args, format);
	size_t n = xai_format(message, sizeof message, format, args);
	va_end(args);
	xai_host_error(code, message, n);
	return code;
}

/* Writes one line to the user's log. */
__attribute__((format(printf, 2, 3))) static inline xai_error xai_log(xai_level level, const char *format, ...) {
	char line[XAI_MAX_MESSAGE];
	va_list args;
	va_start(args, format);
	size_t n = xai_format(line, sizeof line, format, args);
	va_end(args);
	return xai_host_log((int32_t)level, line, n);
}

/* Reports work of the method's own; the host reports that of forwards. It is
 * XAI_ECANCELLED once the user gave up. */
static inline xai_error xai_progress(int64_t done, int64_t total) { return xai_host_progress(done, total); }

/* The next bytes of the run's random stream, which the seed determines. */
static inline xai_error xai_random(void *to, size_t n) { return xai_host_rng_fill(to, n); }

/* ---- Frames ---- */

/* Reads a frame. After the first mistake it gives zeros; code says which. */
typedef struct {
	const unsigned char *at;
	size_t left;
	xai_error code;
} xai_reader;

XAI_ONCE const void *xai_take(xai_reader *r, size_t n) {
	if (n > r->left) {
		r->code = XAI_EINVAL;
		r->left = 0;
		return NULL;
	}
	const void *p = r->at;
	r->at += n;
	r->left -= n;
	return p;
}

XAI_ONCE uint32_t xai_read_u32(xai_reader *r) {
	uint32_t v = 0;
	const void *p = xai_take(r, sizeof v);
	if (p) __builtin_memcpy(&v, p, sizeof v);
	return v;
}

XAI_ONCE uint64_t xai_read_u64(xai_reader *r) {
	uint64_t v = 0;
	const void *p = xai_take(r, sizeof v);
	if (p) __builtin_memcpy(&v, p, sizeof v);
	return v;
}

XAI_ONCE xai_string xai_read_string(xai_reader *r) {
	size_t n = xai_read_u32(r);
	const char *p = (const char *)xai_take(r, n);
	xai_string s = {p, p ? n : 0};
	return s;
}

/* Reads a frame to its end: f[tag] becomes the value of the field of that tag, for
 * tags up to last, and is empty where there is none. */
XAI_ONCE void xai_read_fields(xai_reader *r, xai_reader *f, uint32_t last) {
	__builtin_memset(f, 0, (last + 1) * sizeof *f);
	while (r->left > 0) {
		uint32_t head = xai_read_u32(r), tag = head & 0xffff;
		xai_string value = xai_read_string(r);
		if (tag > 0 && tag <= last) {
			f[tag].at = (const unsigned char *)value.data;
			f[tag].left = value.len;
		} else if (head >> 16 & XAI_FLAG_CRITICAL) {
			r->code = XAI_EUNSUPPORTED;
		}
	}
}

/* The text that is left. */
static inline xai_string xai_read_rest(xai_reader *r) {
	xai_string s = {(const char *)r->at, r->left};
	return s;
}

/* The number of a field, 0 where it is absent. */
static inline uint32_t xai_read_number(xai_reader *r) { return r->left ? xai_read_u32(r) : 0; }

/* The numbers of 4 bytes that are left, in memory of their own. */
XAI_ONCE void *xai_read_numbers(xai_reader *r, size_t *n) {
	*n = r->left / 4;
	if (r->left % 4) r->code = XAI_EINVAL;
	if (*n == 0) return NULL;
	void *out = xai_new(r->left);
	if (out) __builtin_memcpy(out, r->at, r->left);
	else r->code = XAI_ENOMEM;
	if (r->code) *n = 0;
	return out;
}

/* The code of r, or of one of the fields 1 to last that were read from it. */
XAI_ONCE xai_error xai_code_of(const xai_reader *r, const xai_reader *f, uint32_t last) {
	xai_error code = r->code;
	for (uint32_t i = 1; i <= last && code == 0; i++) code = f[i].code;
	return code;
}

/* Reads the length of a list whose elements take size bytes or more, and makes
 * room for it. */
XAI_ONCE size_t xai_read_list(xai_reader *r, size_t size, size_t room, void **out) {
	size_t n = xai_read_u32(r);
	*out = NULL;
	if (n > r->left / size) r->code = XAI_EINVAL;
	if (r->code == 0 && n > 0 && !(*out = xai_new(n * room))) r->code = XAI_ENOMEM;
	return r->code == 0 ? n : 0;
}

/* Writes a frame into memory of the explanation. */
typedef struct {
	unsigned char *data;
	size_t len, cap;
	xai_error code;
} xai_writer;

XAI_ONCE void xai_put(xai_writer *w, const void *from, size_t n) {
	if (n > w->cap - w->len) {
		size_t cap = 2 * w->cap + n + 256;
		unsigned char *data = (unsigned char *)xai_new(cap);
		if (!data || w->code) {
			w->code = XAI_ENOMEM;
			return;
		}
		if (w->len) __builtin_memcpy(data, w->data, w->len);
		w->data = data;
		w->cap = cap;
	}
	for (size_t i = 0; i < n; i++) w->data[w->len + i] = ((const unsigned char *)from)[i];
	w->len += n;
}

XAI_ONCE void xai_put_u32(xai_writer *w, uint32_t v) { xai_put(w, &v, sizeof v); }
XAI_ONCE void xai_put_i64(xai_writer *w, int64_t v) { xai_put(w, &v, sizeof v); }
XAI_ONCE void xai_put_f64(xai_writer *w, double v) { xai_put(w, &v, sizeof v); }

XAI_ONCE void xai_put_string(xai_writer *w, xai_string s) {
	xai_put_u32(w, (uint32_t)s.len);
	xai_put(w, s.data, s.len);
}

/* Opens a critical field; xai_close gives it its length. */
XAI_ONCE size_t xai_open(xai_writer *w, uint32_t tag) {
	xai_put_u32(w, tag | (uint32_t)XAI_FLAG_CRITICAL << 16);
	xai_put_u32(w, 0);
	return w->len;
}

XAI_ONCE void xai_close(xai_writer *w, size_t mark) {
	uint32_t n = (uint32_t)(w->len - mark);
	if (w->code == 0) __builtin_memcpy(w->data + mark - sizeof n, &n, sizeof n);
}

/* A field of a string list, from names that end with NULL. */
XAI_ONCE void xai_put_names(xai_writer *w, uint32_t tag, const char *const *names) {
	if (!names) return;
	size_t mark = xai_open(w, tag);
	uint32_t n = 0;
	while (names[n]) n++;
	xai_put_u32(w, n);
	for (uint32_t i = 0; i < n; i++) xai_put_string(w, xai_str(names[i]));
	xai_close(w, mark);
}

/* ---- The request ---- */

/* A token. Offsets are bytes, and code points, of the original text. */
typedef struct {
	int32_t id;
	uint32_t sequence; /* 1 in the second text of a pair */
	uint32_t start, end, rune_start, rune_end;
	bool special; /* added by the tokenizer */
	bool fixed;   /* marked to be kept */
	xai_string text;
} xai_token;

typedef struct {
	xai_token *at;
	size_t len;
} xai_tokens;

/* A range of bytes of one of the original texts. */
typedef struct {
	uint32_t sequence, start, end;
} xai_span;

/* What a method drops, keeps and attributes to. */
typedef struct {
	xai_string text;
	xai_span *spans;
	size_t num_spans;
	uint32_t *tokens; /* indices into the request's tokens */
	size_t num_tokens;
} xai_unit;

typedef struct {
	xai_unit *at;
	size_t len;
} xai_units;

/* The scalar that is explained. */
typedef struct {
	xai_string kind;  /* "class", "regression", "difference" ...; docs/ABI.md has all */
	xai_string expr;  /* for xai_spec.target */
	xai_string label;
	uint32_t index; /* of the class or the token, as the kind says */
	xai_output output;
	double value;              /* on the unchanged input */
	const uint32_t *positions; /* of the tokens whose row of the last layer it is read from */
	size_t num_positions;      /* 0 where the host does not say */
	uint32_t second;           /* the index of what a difference subtracts */
	xai_string second_label;
} xai_target;

typedef struct {
	xai_string *at;
	size_t len;
} xai_strings;

typedef struct {
	xai_string id, architecture, task;
	xai_string mask_token; /* empty where the tokenizer has none */
	xai_strings labels;
	/* Sizes, each 0 where there is none or where the host does not say. */
	uint32_t layers, heads; /* blocks, and heads of attention in each */
	uint32_t embedding, hidden; /* widths of the word embeddings and of the hidden states */
	uint32_t vocabulary;    /* ids of tokens are less */
	uint32_t max_tokens;    /* of the longest row; 0 where nothing bounds it */
	int32_t mask_id, pad_id; /* -1 where there is none */
	const int32_t *special_ids;
	size_t num_special_ids;
} xai_model;

/* The input of that key, XAI_INPUT_... */
XAI_ONCE xai_error xai_input(uint32_t key, xai_reader *r) {
	int32_t n = xai_host_input_get(key, NULL, 0);
	XAI_TRY(n);
	void *p = xai_new((size_t)n);
	if (!p) return XAI_ENOMEM;
	XAI_TRY(xai_host_input_get(key, p, (size_t)n));
	r->at = (const unsigned char *)p;
	r->left = (size_t)n;
	r->code = 0;
	return 0;
}

static inline xai_error xai_input_text(uint32_t key, xai_string *out) {
	xai_reader r;
	XAI_TRY(xai_input(key, &r));
	out->data = (const char *)r.at;
	out->len = r.left;
	return 0;
}

XAI_ONCE xai_strings xai_read_strings(xai_reader *r) {
	void *p;
	xai_strings list;
	list.len = xai_read_list(r, 4, sizeof(xai_string), &p);
	list.at = (xai_string *)p;
	for (size_t i = 0; i < list.len; i++) list.at[i] = xai_read_string(r);
	return list;
}

XAI_ONCE xai_tokens xai_read_tokens(xai_reader *r) {
	xai_reader f[XAI_FIELD_TOKEN_TEXTS + 1];
	xai_tokens list = {NULL, 0};
	xai_read_fields(r, f, XAI_FIELD_TOKEN_TEXTS);
	size_t n = f[XAI_FIELD_TOKEN_IDS].left / 4;
	for (uint32_t i = XAI_FIELD_TOKEN_IDS; i <= XAI_FIELD_TOKEN_FLAGS; i++)
		if (f[i].left != 4 * n) r->code = XAI_EINVAL;
	if (f[XAI_FIELD_TOKEN_TEXTS].left < 4 * n) r->code = XAI_EINVAL;
	if (r->code == 0 && n > 0 && !(list.at = (xai_token *)xai_new(n * sizeof(xai_token)))) r->code = XAI_ENOMEM;
	if (r->code == 0) list.len = n;
	for (size_t i = 0; i < list.len; i++) {
		xai_token *t = &list.at[i];
		t->id = (int32_t)xai_read_u32(&f[XAI_FIELD_TOKEN_IDS]);
		t->sequence = xai_read_u32(&f[XAI_FIELD_TOKEN_SEQUENCES]);
		t->start = xai_read_u32(&f[XAI_FIELD_TOKEN_STARTS]);
		t->end = xai_read_u32(&f[XAI_FIELD_TOKEN_ENDS]);
		t->rune_start = xai_read_u32(&f[XAI_FIELD_TOKEN_RUNE_STARTS]);
		t->rune_end = xai_read_u32(&f[XAI_FIELD_TOKEN_RUNE_ENDS]);
		uint32_t flags = xai_read_u32(&f[XAI_FIELD_TOKEN_FLAGS]);
		t->special = (flags & XAI_TOKEN_SPECIAL) != 0;
		t->fixed = (flags & XAI_TOKEN_FIXED) != 0;
		t->text = xai_read_string(&f[XAI_FIELD_TOKEN_TEXTS]);
	}
	r->code = xai_code_of(r, f, XAI_FIELD_TOKEN_TEXTS);
	return list;
}

XAI_ONCE xai_units xai_read_units(xai_reader *r) {
	xai_reader f[XAI_FIELD_UNIT_TOKENS + 1];
	xai_units list = {NULL, 0};
	xai_read_fields(r, f, XAI_FIELD_UNIT_TOKENS);
	size_t n = f[XAI_FIELD_UNIT_SPAN_COUNTS].left / 4, spans, tokens;
	if (f[XAI_FIELD_UNIT_SPAN_COUNTS].left != 4 * n || f[XAI_FIELD_UNIT_TOKEN_COUNTS].left != 4 * n || f[XAI_FIELD_UNIT_TEXTS].left < 4 * n) r->code = XAI_EINVAL;
	if (r->code == 0 && n > 0 && !(list.at = (xai_unit *)xai_new(n * sizeof(xai_unit)))) r->code = XAI_ENOMEM;
	if (r->code == 0) list.len = n;
	xai_span *span = (xai_span *)xai_read_numbers(&f[XAI_FIELD_UNIT_SPANS], &spans);
	uint32_t *token = (uint32_t *)xai_read_numbers(&f[XAI_FIELD_UNIT_TOKENS], &tokens);
	spans /= 3;
	for (size_t i = 0; i < list.len; i++) {
		xai_unit *u = &list.at[i];
		u->text = xai_read_string(&f[XAI_FIELD_UNIT_TEXTS]);
		u->num_spans = xai_read_u32(&f[XAI_FIELD_UNIT_SPAN_COUNTS]);
		u->num_tokens = xai_read_u32(&f[XAI_FIELD_UNIT_TOKEN_COUNTS]);
		if (u->num_spans > spans || u->num_tokens > tokens) {
			r->code = XAI_EINVAL;
			list.len = 0;
			break;
		}
		u->spans = span;
		u->tokens = token;
		spans -= u->num_spans;
		tokens -= u->num_tokens;
		if (span) span += u->num_spans;
		if (token) token += u->num_tokens;
	}
	if (spans || tokens) r->code = XAI_EINVAL;
	r->code = xai_code_of(r, f, XAI_FIELD_UNIT_TOKENS);
	return list;
}

/* The text; empty where the input is raw token ids. */
static inline xai_error xai_get_text(xai_string *out) { return xai_input_text(XAI_INPUT_TEXT, out); }

/* The second text of a pair, and whether there is one. */
static inline xai_error xai_get_text_pair(xai_string *out, bool *has) {
	xai_error code = xai_input_text(XAI_INPUT_TEXT_PAIR, out);
	*has = code == 0;
	return code == XAI_ENAME ? 0 : code;
}

/* The token ids, special ones included, as many as there are tokens. */
static inline xai_error xai_get_ids(const int32_t **out, size_t *n) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_IDS, &r));
	*out = (const int32_t *)r.at;
	*n = r.left / sizeof(int32_t);
	return 0;
}

/* The tokens, special ones included. */
static inline xai_error xai_get_tokens(xai_tokens *out) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_TOKENS, &r));
	*out = xai_read_tokens(&r);
	return r.code;
}

/* The units: a partition of the tokens that are neither special nor fixed. */
static inline xai_error xai_get_units(xai_units *out) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_UNITS, &r));
	*out = xai_read_units(&r);
	return r.code;
}

/* For each token, 1 where it is special. */
static inline xai_error xai_get_special(const uint8_t **out, size_t *n) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_SPECIAL, &r));
	*out = r.at;
	*n = r.left;
	return 0;
}

/* For each token, 1 where it is never dropped. */
static inline xai_error xai_get_keep(const uint8_t **out, size_t *n) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_KEEP, &r));
	*out = r.at;
	*n = r.left;
	return 0;
}

/* The target, with the model's output on the unchanged input. */
static inline xai_error xai_get_target(xai_target *out) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_TARGET, &r));
	xai_reader f[XAI_FIELD_TARGET_SECOND_LABEL + 1];
	xai_read_fields(&r, f, XAI_FIELD_TARGET_SECOND_LABEL);
	out->kind = xai_read_rest(&f[XAI_FIELD_TARGET_KIND]);
	out->expr = xai_read_rest(&f[XAI_FIELD_TARGET_EXPRESSION]);
	out->label = xai_read_rest(&f[XAI_FIELD_TARGET_LABEL]);
	out->index = xai_read_number(&f[XAI_FIELD_TARGET_INDEX]);
	out->output = (xai_output)xai_read_number(&f[XAI_FIELD_TARGET_OUTPUT]);
	if (out->output > XAI_OUTPUT_LOGPROB) return xai_fail(XAI_EUNSUPPORTED, "the target has an output that the method was not built for");
	uint64_t bits = xai_read_u64(&f[XAI_FIELD_TARGET_VALUE]);
	__builtin_memcpy(&out->value, &bits, sizeof bits);
	out->positions = (const uint32_t *)xai_read_numbers(&f[XAI_FIELD_TARGET_POSITIONS], &out->num_positions);
	out->second = xai_read_number(&f[XAI_FIELD_TARGET_SECOND]);
	out->second_label = xai_read_rest(&f[XAI_FIELD_TARGET_SECOND_LABEL]);
	return xai_code_of(&r, f, XAI_FIELD_TARGET_SECOND_LABEL);
}

/* The run's seed. */
static inline xai_error xai_get_seed(uint64_t *out) {
	XAI_TRY(xai_host_input_get(XAI_INPUT_SEED, out, sizeof *out));
	return 0;
}

/* The model under explanation. */
static inline xai_error xai_get_model(xai_model *out) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_MODEL, &r));
	xai_reader f[XAI_FIELD_MODEL_SPECIAL_IDS + 1];
	xai_read_fields(&r, f, XAI_FIELD_MODEL_SPECIAL_IDS);
	out->id = xai_read_rest(&f[XAI_FIELD_MODEL_ID]);
	out->architecture = xai_read_rest(&f[XAI_FIELD_MODEL_ARCHITECTURE]);
	out->task = xai_read_rest(&f[XAI_FIELD_MODEL_TASK]);
	out->mask_token = xai_read_rest(&f[XAI_FIELD_MODEL_MASK_TOKEN]);
	out->labels.len = 0;
	if (f[XAI_FIELD_MODEL_LABELS].left) out->labels = xai_read_strings(&f[XAI_FIELD_MODEL_LABELS]);
	out->layers = xai_read_number(&f[XAI_FIELD_MODEL_LAYERS]);
	out->heads = xai_read_number(&f[XAI_FIELD_MODEL_HEADS]);
	out->embedding = xai_read_number(&f[XAI_FIELD_MODEL_EMBEDDING]);
	out->hidden = xai_read_number(&f[XAI_FIELD_MODEL_HIDDEN]);
	out->vocabulary = xai_read_number(&f[XAI_FIELD_MODEL_VOCABULARY]);
	out->max_tokens = xai_read_number(&f[XAI_FIELD_MODEL_MAX_TOKENS]);
	out->mask_id = f[XAI_FIELD_MODEL_MASK_ID].left ? (int32_t)xai_read_u32(&f[XAI_FIELD_MODEL_MASK_ID]) : -1;
	out->pad_id = f[XAI_FIELD_MODEL_PAD_ID].left ? (int32_t)xai_read_u32(&f[XAI_FIELD_MODEL_PAD_ID]) : -1;
	out->special_ids = (const int32_t *)xai_read_numbers(&f[XAI_FIELD_MODEL_SPECIAL_IDS], &out->num_special_ids);
	return xai_code_of(&r, f, XAI_FIELD_MODEL_SPECIAL_IDS);
}

/* The needs that were granted. */
static inline xai_error xai_get_grants(xai_strings *out) {
	xai_reader r;
	XAI_TRY(xai_input(XAI_INPUT_GRANTS, &r));
	*out = xai_read_strings(&r);
	return r.code;
}

/* The message of the host's function that failed last; empty where none did. */
static inline xai_error xai_last_error(xai_string *out) { return xai_input_text(XAI_INPUT_ERROR, out); }

/* The value of a declared parameter behind its type. */
XAI_ONCE xai_error xai_param(const char *name, uint32_t type, uint32_t or_type, xai_reader *r) {
	size_t len = xai_str(name).len;
	int32_t n = xai_host_param_get(name, len, NULL, 0);
	XAI_TRY(n);
	void *p = xai_new((size_t)n);
	if (!p) return XAI_ENOMEM;
	XAI_TRY(xai_host_param_get(name, len, p, (size_t)n));
	r->at = (const unsigned char *)p;
	r->left = (size_t)n;
	r->code = 0;
	uint32_t have = xai_read_u32(r);
	if (have != type && have != or_type) return xai_fail(XAI_EINTERNAL, "the method reads its parameter %s as another type than it declares", name);
	return 0;
}

/* The value of a parameter of type int. */
static inline xai_error xai_param_int(const char *name, int64_t *out) {
	xai_reader r;
	XAI_TRY(xai_param(name, XAI_PARAM_INT, XAI_PARAM_INT, &r));
	*out = (int64_t)xai_read_u64(&r);
	return r.code;
}

/* The value of a parameter of type float. */
static inline xai_error xai_param_float(const char *name, double *out) {
	xai_reader r;
	XAI_TRY(xai_param(name, XAI_PARAM_FLOAT, XAI_PARAM_FLOAT, &r));
	uint64_t bits = xai_read_u64(&r);
	__builtin_memcpy(out, &bits, sizeof bits);
	return r.code;
}

/* The value of a parameter of type bool. */
static inline xai_error xai_param_bool(const char *name, bool *out) {
	xai_reader r;
	XAI_TRY(xai_param(name, XAI_PARAM_BOOL, XAI_PARAM_BOOL, &r));
	*out = r.left > 0 && *r.at != 0;
	return 0;
}

/* The value of a parameter of type string or enum. */
static inline xai_error xai_param_string(const char *name, xai_string *out) {
	xai_reader r;
	XAI_TRY(xai_param(name, XAI_PARAM_STRING, XAI_PARAM_ENUM, &r));
	out->data = (const char *)r.at;
	out->len = r.left;
	return 0;
}

/* ---- Tensors ---- */

/* The handles of a tensor and of a reply, which the host holds. 0 is none. */
typedef int64_t xai_tensor;
typedef int64_t xai_reply;

typedef struct {
	xai_dtype dtype;
	uint32_t rank;
	int64_t dims[XAI_MAX_RANK];
} xai_info;

/* The two arguments rank and dims of a tensor: XAI_DIMS(2, 3). */
#define XAI_DIMS(...) (uint32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__}

/* The most bytes that move in one call. */
enum { XAI_CHUNK = 1 << 30 };

static inline xai_error xai_handle(int64_t h, int64_t *out) {
	*out = h < 0 ? 0 : h;
	return h < 0 ? (xai_error)h : 0;
}

/* Makes a tensor of zeros. */
static inline xai_error xai_tensor_new(xai_dtype dtype, uint32_t rank, const int64_t *dims, xai_tensor *out) {
	return xai_handle(xai_host_tensor_new(dtype, rank, dims), out);
}

/* The type and the shape of a tensor. */
static inline xai_error xai_tensor_info(xai_tensor t, xai_info *out) {
	XAI_TRY(xai_host_tensor_info(t, out, sizeof *out));
	return 0;
}

/* Copies n bytes from byte offset on. */
XAI_ONCE xai_error xai_tensor_read(xai_tensor t, int64_t offset, void *to, size_t n) {
	for (size_t at = 0, part; at < n; at += part) {
		part = n - at < XAI_CHUNK ? n - at : XAI_CHUNK;
		XAI_TRY(xai_host_tensor_read(t, offset + (int64_t)at, (char *)to + at, part));
	}
	return 0;
}

/* Copies n bytes to byte offset, of a tensor that the method made. */
XAI_ONCE xai_error xai_tensor_write(xai_tensor t, int64_t offset, const void *from, size_t n) {
	for (size_t at = 0, part; at < n; at += part) {
		part = n - at < XAI_CHUNK ? n - at : XAI_CHUNK;
		XAI_TRY(xai_host_tensor_write(t, offset + (int64_t)at, (const char *)from + at, part));
	}
	return 0;
}

/* What to read of one dimension: count elements from start on, step apart. */
typedef struct {
	int64_t start, count, step;
} xai_stride;

/* Copies a grid, one stride a dimension: one head, one row. to has cap bytes. */
static inline xai_error xai_tensor_read_strided(xai_tensor t, uint32_t rank, const xai_stride *dims, void *to, size_t cap) {
	XAI_TRY(xai_host_tensor_read_strided(t, dims, rank * sizeof *dims, to, cap));
	return 0;
}

/* Drops a tensor or a reply before the explanation ends. */
static inline xai_error xai_free(int64_t handle) { return xai_host_tensor_free(handle); }

/* The bytes of one element. */
static inline size_t xai_dtype_size(xai_dtype dtype) {
	return dtype == XAI_U8 ? 1 : dtype == XAI_BF16 ? 2 : dtype == XAI_I32 || dtype == XAI_F32 ? 4 : 8;
}

/* Makes a tensor of data: as many elements as the product of dims. XAI_ENOMEM
 * where data is NULL, so that what xai_new gave needs no check of its own. */
XAI_ONCE xai_error xai_tensor_of(xai_dtype dtype, uint32_t rank, const int64_t *dims, const void *data, xai_tensor *out) {
	size_t n = xai_dtype_size(dtype);
	for (uint32_t i = 0; i < rank; i++) n *= (size_t)dims[i];
	if (!data) return XAI_ENOMEM;
	XAI_TRY(xai_tensor_new(dtype, rank, dims, out));
	return xai_tensor_write(*out, 0, data, n);
}

/* Reads a whole tensor of that type; n counts elements. */
XAI_ONCE xai_error xai_tensor_values(xai_tensor t, xai_dtype dtype, void **out, size_t *n) {
	xai_info info;
	XAI_TRY(xai_tensor_info(t, &info));
	if (info.dtype != dtype) return xai_fail(XAI_EINTERNAL, "the method reads a tensor as another type than it has");
	*n = 1;
	for (uint32_t i = 0; i < info.rank; i++) *n *= (size_t)info.dims[i];
	if (*n > ((size_t)1 << 31) / xai_dtype_size(dtype) || !(*out = xai_new(*n * xai_dtype_size(dtype)))) return XAI_ENOMEM;
	return xai_tensor_read(t, 0, *out, *n * xai_dtype_size(dtype));
}

/* ---- The model ---- */

/* A fill policy with its argument. The zero value is the mask token. */
typedef struct {
	xai_fill_kind kind;
	int32_t token;   /* of XAI_FILL_TOKEN */
	xai_string text; /* of XAI_FILL_TEXT */
} xai_fill;

/* The policy of that name, as parameters spell it; false where there is none. */
XAI_ONCE bool xai_fill_named(xai_string name, xai_fill *out) {
	static const char *const names[] = {"mask", "pad", "delete", "zero", "text", "token", "hide", "average"};
	for (uint32_t i = 0; i < sizeof names / sizeof *names; i++)
		if (xai_equal(name, xai_str(names[i]))) {
			out->kind = (xai_fill_kind)i;
			return true;
		}
	return false;
}

/* A change of activations. value is of XAI_EDIT_REPLACE, _ADD and _SCALE. */
typedef struct {
	const char *point;
	xai_edit_op op;
	xai_tensor value;
} xai_edit;

/* What xai_forward and xai_grad evaluate. Exactly one of units, masks, texts,
 * ids and embeds says what the rows are; all else may be left out. */
typedef struct {
	xai_tensor units;          /* u8 [N,U]: 1 keeps a unit, 0 drops it */
	xai_tensor masks;          /* u8 [N,T]: the same for tokens */
	xai_tensor texts, offsets; /* u8 [B], i64 [N+1]; xai_texts makes them */
	xai_tensor ids, lengths;   /* i32 [N,T], i32 [N] */
	xai_tensor embeds;         /* f32 [N,T,D] */

	xai_fill fill;       /* what a dropped unit or token becomes */
	const char *target;  /* an expression in place of the request's target */
	xai_units over;      /* the columns of units, in place of the request's */
	bool keep_duplicates; /* runs equal rows again */
	uint32_t want;       /* XAI_WANT_... joined with |; 0 for all */

	const char *const *points; /* activations that the reply keeps; NULL ends them */
	const xai_edit *edits;
	size_t num_edits;
	const char *const *wrt; /* of xai_grad alone: where the gradient is taken; NULL ends them */
	xai_rule rule;          /* of xai_grad alone */
} xai_spec;

XAI_ONCE void xai_put_units(xai_writer *w, uint32_t tag, const xai_units *units) {
	if (!units->at) return;
	size_t list = xai_open(w, tag), mark = xai_open(w, XAI_FIELD_UNIT_TEXTS);
	for (size_t i = 0; i < units->len; i++) xai_put_string(w, units->at[i].text);
	xai_close(w, mark);
	mark = xai_open(w, XAI_FIELD_UNIT_SPAN_COUNTS);
	for (size_t i = 0; i < units->len; i++) xai_put_u32(w, (uint32_t)units->at[i].num_spans);
	xai_close(w, mark);
	mark = xai_open(w, XAI_FIELD_UNIT_SPANS);
	for (size_t i = 0; i < units->len; i++) xai_put(w, units->at[i].spans, units->at[i].num_spans * sizeof(xai_span));
	xai_close(w, mark);
	mark = xai_open(w, XAI_FIELD_UNIT_TOKEN_COUNTS);
	for (size_t i = 0; i < units->len; i++) xai_put_u32(w, (uint32_t)units->at[i].num_tokens);
	xai_close(w, mark);
	mark = xai_open(w, XAI_FIELD_UNIT_TOKENS);
	for (size_t i = 0; i < units->len; i++) xai_put(w, units->at[i].tokens, units->at[i].num_tokens * sizeof(uint32_t));
	xai_close(w, mark);
	xai_close(w, list);
}

XAI_ONCE void xai_put_spec(xai_writer *w, const xai_spec *s) {
	const struct {
		uint32_t tag;
		xai_tensor rows, extra;
	} rows[] = {
		{XAI_FIELD_UNITS, s->units, 0},
		{XAI_FIELD_MASKS, s->masks, 0},
		{XAI_FIELD_TEXTS, s->texts, s->offsets},
		{XAI_FIELD_IDS, s->ids, s->lengths},
		{XAI_FIELD_EMBEDS, s->embeds, 0},
	};
	size_t mark;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!rows[i].rows) continue;
		mark = xai_open(w, rows[i].tag);
		xai_put_i64(w, rows[i].rows);
		if (rows[i].extra) xai_put_i64(w, rows[i].extra);
		xai_close(w, mark);
	}
	mark = xai_open(w, XAI_FIELD_FILL);
	xai_put_u32(w, s->fill.kind);
	xai_put_u32(w, (uint32_t)s->fill.token);
	xai_put(w, s->fill.text.data, s->fill.text.len);
	xai_close(w, mark);
	if (s->target) {
		mark = xai_open(w, XAI_FIELD_TARGET);
		xai_put(w, s->target, xai_str(s->target).len);
		xai_close(w, mark);
	}
	xai_put_units(w, XAI_FIELD_OVER, &s->over);
	if (s->keep_duplicates) {
		mark = xai_open(w, XAI_FIELD_DEDUP);
		xai_put(w, "\0", 1);
		xai_close(w, mark);
	}
	if (s->want) {
		mark = xai_open(w, XAI_FIELD_WANT);
		for (uint32_t code = 1; code < 32; code++)
			if (s->want >> code & 1) xai_put_u32(w, code);
		xai_close(w, mark);
	}
	xai_put_names(w, XAI_FIELD_POINTS, s->points);
	if (s->edits) {
		mark = xai_open(w, XAI_FIELD_EDITS);
		xai_put_u32(w, (uint32_t)s->num_edits);
		for (size_t i = 0; i < s->num_edits; i++) {
			xai_put_string(w, xai_str(s->edits[i].point));
			xai_put_u32(w, s->edits[i].op);
			xai_put_i64(w, s->edits[i].value);
		}
		xai_close(w, mark);
	}
	xai_put_names(w, XAI_FIELD_WRT, s->wrt);
	if (s->rule) {
		mark = xai_open(w, XAI_FIELD_RULE);
		xai_put_u32(w, s->rule);
		xai_close(w, mark);
	}
}

/* Evaluates the model on many variants of the input in one call: a thousand rows
 * cost one. Needs "forward". */
static inline xai_error xai_forward(const xai_spec *spec, xai_reply *out) {
	void *mark = xai_mark();
	xai_writer w = {NULL, 0, 0, 0};
	xai_put_spec(&w, spec);
	if (w.code) return w.code;
	xai_error code = xai_handle(xai_host_forward(w.data, w.len), out);
	xai_release(mark);
	return code;
}

/* Evaluates as xai_forward does and takes the gradient of each row's target at
 * spec.wrt, or the relevance there by another spec.rule: "grad(POINT)" in the
 * reply. Needs "gradients". */
static inline xai_error xai_grad(const xai_spec *spec, xai_reply *out) {
	void *mark = xai_mark();
	xai_writer w = {NULL, 0, 0, 0};
	xai_put_spec(&w, spec);
	if (w.code) return w.code;
	xai_error code = xai_handle(xai_host_grad(w.data, w.len), out);
	xai_release(mark);
	return code;
}

/* Makes the two tensors of xai_spec.texts and .offsets. */
static inline xai_error xai_texts(const xai_string *texts, size_t n, xai_spec *out) {
	void *mark = xai_mark();
	int64_t *offsets = (int64_t *)xai_new((n + 1) * sizeof(int64_t));
	if (!offsets) return XAI_ENOMEM;
	for (size_t i = 0; i < n; i++) offsets[i + 1] = offsets[i] + (int64_t)texts[i].len;
	XAI_TRY(xai_tensor_new(XAI_U8, 1, &offsets[n], &out->texts));
	for (size_t i = 0; i < n; i++) XAI_TRY(xai_tensor_write(out->texts, offsets[i], texts[i].data, texts[i].len));
	XAI_TRY(xai_tensor_of(XAI_I64, XAI_DIMS((int64_t)n + 1), offsets, &out->offsets));
	xai_release(mark);
	return 0;
}

/* An output of a reply as a tensor: "target", "logits", a point's name,
 * "grad(POINT)" ... The index selects one of several points of one name. */
static inline xai_error xai_reply_get(xai_reply reply, const char *name, uint32_t index, xai_tensor *out) {
	return xai_handle(xai_host_reply_get(reply, name, xai_str(name).len, index), out);
}

/* The elements of an output of that type; n counts them. */
XAI_ONCE xai_error xai_reply_values(xai_reply reply, const char *name, uint32_t index, xai_dtype dtype, void **out, size_t *n) {
	xai_tensor t;
	XAI_TRY(xai_reply_get(reply, name, index, &t));
	XAI_TRY(xai_tensor_values(t, dtype, out, n));
	return xai_free(t);
}

/* The elements of an output of f64. */
static inline xai_error xai_reply_f64(xai_reply reply, const char *name, uint32_t index, double **out, size_t *n) {
	void *p;
	XAI_TRY(xai_reply_values(reply, name, index, XAI_F64, &p, n));
	*out = (double *)p;
	return 0;
}

/* The target's value on each row of keep [rows,units], where 1 keeps one of the
 * request's units and 0 drops it: all that many a method asks of a model.
 * XAI_ENOMEM where keep is NULL. */
static inline xai_error xai_evaluate(const uint8_t *keep, size_t rows, size_t units, xai_fill fill, double **values) {
	xai_spec spec = {0};
	xai_reply reply;
	spec.fill = fill;
	spec.want = XAI_WANT_TARGET;
	XAI_TRY(xai_tensor_of(XAI_U8, XAI_DIMS((int64_t)rows, (int64_t)units), keep, &spec.units));
	XAI_TRY(xai_forward(&spec, &reply));
	XAI_TRY(xai_free(spec.units));
	XAI_TRY(xai_reply_f64(reply, "target", 0, values, &rows));
	return xai_free(reply);
}

/* How a row of tokens is continued. All but max_tokens may be left out. */
typedef struct {
	uint32_t max_tokens;
	xai_tensor prompt; /* i32 [T]; the request's tokens where it is 0 */
	double temperature; /* 0 takes the most probable token every time */
	uint32_t top_k;
	double top_p;
	uint64_t seed;
} xai_generation;

typedef struct {
	int32_t *ids;
	double *logprobs; /* by the model itself */
	size_t len;       /* of both */
	xai_string text;  /* that the tokens add */
} xai_continuation;

/* Continues a row of tokens. Needs "generate". */
static inline xai_error xai_generate(const xai_generation *g, xai_continuation *out) {
	xai_writer w = {NULL, 0, 0, 0};
	size_t mark = xai_open(&w, XAI_FIELD_MAX_TOKENS);
	xai_put_u32(&w, g->max_tokens);
	xai_close(&w, mark);
	if (g->prompt) {
		mark = xai_open(&w, XAI_FIELD_PROMPT);
		xai_put_i64(&w, g->prompt);
		xai_close(&w, mark);
	}
	mark = xai_open(&w, XAI_FIELD_TEMPERATURE);
	xai_put_f64(&w, g->temperature);
	xai_close(&w, mark);
	mark = xai_open(&w, XAI_FIELD_TOP_K);
	xai_put_u32(&w, g->top_k);
	xai_close(&w, mark);
	mark = xai_open(&w, XAI_FIELD_TOP_P);
	xai_put_f64(&w, g->top_p);
	xai_close(&w, mark);
	mark = xai_open(&w, XAI_FIELD_SEED);
	xai_put_i64(&w, (int64_t)g->seed);
	xai_close(&w, mark);
	if (w.code) return w.code;
	xai_reply reply;
	XAI_TRY(xai_handle(xai_host_generate(w.data, w.len), &reply));
	void *p;
	XAI_TRY(xai_reply_values(reply, "ids", 0, XAI_I32, &p, &out->len));
	out->ids = (int32_t *)p;
	XAI_TRY(xai_reply_f64(reply, "logprobs", 0, &out->logprobs, &out->len));
	XAI_TRY(xai_reply_values(reply, "text", 0, XAI_U8, &p, &out->text.len));
	out->text.data = (const char *)p;
	return xai_free(reply);
}

/* Cuts a text into tokens, special ones included. Needs "tokenize". */
static inline xai_error xai_tokenize(xai_string text, xai_tokens *out) {
	xai_reply reply;
	XAI_TRY(xai_handle(xai_host_tokenize(text.data, text.len), &reply));
	void *p;
	xai_reader r = {NULL, 0, 0};
	XAI_TRY(xai_reply_values(reply, "tokens", 0, XAI_U8, &p, &r.left));
	r.at = (const unsigned char *)p;
	*out = xai_read_tokens(&r);
	XAI_TRY(xai_free(reply));
	return r.code;
}

/* ---- The host's arithmetic: native speed, the same bits everywhere ---- */

/* One of XAI_OP_..., on tensors of f64. */
static inline xai_error xai_op(uint32_t code, const xai_tensor *operands, size_t num_operands, const double *scalars, size_t num_scalars, xai_tensor *out) {
	xai_writer w = {NULL, 0, 0, 0};
	size_t mark = xai_open(&w, XAI_FIELD_OPERANDS);
	xai_put(&w, operands, num_operands * sizeof *operands);
	xai_close(&w, mark);
	mark = xai_open(&w, XAI_FIELD_SCALARS);
	xai_put(&w, scalars, num_scalars * sizeof *scalars);
	xai_close(&w, mark);
	if (w.code) return w.code;
	return xai_handle(xai_host_op(code, w.data, w.len), out);
}

/* Weighted ridge regression: x [N,U], y [N], weights [N] give [U+1], the
 * intercept last and not penalised. */
static inline xai_error xai_ridge(xai_tensor x, xai_tensor y, xai_tensor weights, double penalty, xai_tensor *out) {
	const xai_tensor operands[] = {x, y, weights};
	return xai_op(XAI_OP_RIDGE, operands, 3, &penalty, 1, out);
}

/* [N,K] times [K,M]. */
static inline xai_error xai_matmul(xai_tensor a, xai_tensor b, xai_tensor *out) {
	const xai_tensor operands[] = {a, b};
	return xai_op(XAI_OP_MATMUL, operands, 2, NULL, 0, out);
}

/* Softmax over the last dimension. */
static inline xai_error xai_softmax(xai_tensor t, xai_tensor *out) { return xai_op(XAI_OP_SOFTMAX, &t, 1, NULL, 0, out); }

/* The indices of the k largest of [N], an i64 [k]. */
static inline xai_error xai_top_k(xai_tensor t, uint32_t k, xai_tensor *out) {
	double scalar = k;
	return xai_op(XAI_OP_TOPK, &t, 1, &scalar, 1, out);
}

/* The sum over the last dimension, which is gone then. */
static inline xai_error xai_sum(xai_tensor t, xai_tensor *out) { return xai_op(XAI_OP_SUM, &t, 1, NULL, 0, out); }

/* The mean over the last dimension, which is gone then. */
static inline xai_error xai_mean(xai_tensor t, xai_tensor *out) { return xai_op(XAI_OP_MEAN, &t, 1, NULL, 0, out); }

/* ---- Results ---- */

/* What the dimensions of a result are. */
typedef struct {
	const char *const *axes; /* one name a dimension; NULL ends them */
	xai_units units;         /* replaces the request's; with "attributions" alone */
} xai_meta;

/* Hands over a tensor under a name. It can no longer be written. */
XAI_ONCE xai_error xai_result(const char *name, xai_tensor t, const xai_meta *meta) {
	void *mark = xai_mark();
	xai_writer w = {NULL, 0, 0, 0};
	xai_put_names(&w, XAI_FIELD_AXES, meta->axes);
	xai_put_units(&w, XAI_FIELD_RESULT_UNITS, &meta->units);
	if (w.code) return w.code;
	xai_error code = xai_host_result(name, xai_str(name).len, t, w.data, w.len);
	xai_release(mark);
	return code;
}

/* Hands over values over "units" or "tokens" under a name: a further
 * attribution, or NAME.stderr, the standard errors of the attribution NAME. */
XAI_ONCE xai_error xai_attribution(const char *name, const char *over, const double *values, size_t n) {
	const char *const axes[] = {over, NULL};
	const xai_meta meta = {axes, {NULL, 0}};
	xai_tensor t;
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS((int64_t)n), values, &t));
	XAI_TRY(xai_result(name, t, &meta));
	return xai_free(t);
}

/* Hands over the attributions: one value a unit. Every method does, once. */
static inline xai_error xai_attributions(const double *values, size_t n) { return xai_attribution("attributions", "units", values, n); }

/* Hands over a number under a name. */
XAI_ONCE xai_error xai_scalar(const char *name, double value) {
	const xai_meta meta = {NULL, {NULL, 0}};
	xai_tensor t;
	XAI_TRY(xai_tensor_of(XAI_F64, 0, NULL, &value, &t));
	XAI_TRY(xai_result(name, t, &meta));
	return xai_free(t);
}

/* Hands over the target's value at the method's baseline. */
static inline xai_error xai_baseline(double value) { return xai_scalar("baseline", value); }

/* Hands over a number that says how far to trust the values. XAI_ENAME where the
 * name is too long. */
static inline xai_error xai_diagnostic(const char *name, double value) {
	char full[XAI_MAX_NAME + 1] = "diagnostics.";
	size_t at = xai_str(full).len, len = xai_str(name).len;
	if (len > XAI_MAX_NAME - at) return xai_fail(XAI_ENAME, "the name of a diagnostic has %zu bytes, and %zu is the most", len, XAI_MAX_NAME - at);
	for (size_t i = 0; i < len; i++) full[at + i] = name[i];
	return xai_scalar(full, value);
}

/* ---- The method ---- */

/* Runs explain where the request is for the method of that name. */
static inline xai_error xai_run(const char *name, xai_error (*explain)(void), const unsigned char *request, size_t n) {
	xai_reader r = {request, n, 0};
	xai_reader f[XAI_FIELD_METHOD + 1];
	xai_read_fields(&r, f, XAI_FIELD_METHOD);
	if (r.code == XAI_EUNSUPPORTED) return xai_fail(XAI_EUNSUPPORTED, "the request has a field that the method was not built for");
	if (r.code) return r.code;
	xai_string wanted = xai_read_rest(&f[XAI_FIELD_METHOD]);
	if (!xai_equal(wanted, xai_str(name))) return xai_fail(XAI_ENAME, "the module has no method %.*s", XAI_PRINT(wanted));
	xai_error code = explain();
	xai_memory.next = xai_memory.start;
	return code < 0 ? code : 0;
}

#define XAI_EXPORT(name) __attribute__((export_name(name))) XAI_EXTERN
#define XAI_QUOTE(x) #x
#define XAI_SECTION(head, json) __asm__(".section .custom_section.xai.method,\"\",@\n.ascii " XAI_QUOTE(head) "\n.ascii " XAI_QUOTE(json) "\n.ascii \"}\"\n.text");

/* Makes the module of a method: its exports, and the section xai.method, which
 * says without running it what the method is. Behind the name and the function
 * come the members of that section, as JSON: "version", "summary", "source",
 * "needs" and "params". A parameter has "name", "type" ("int", "float", "bool",
 * "string" or "enum"), "default" and "doc", and where they apply "min", "max",
 * "values" and "aliases". */
#define XAI_METHOD(name, explain, ...)                                                                          \
	XAI_SECTION("{\"abi\": \"1.0\", \"name\": \"" name "\", ", #__VA_ARGS__)                                        \
	XAI_EXPORT("xai_abi") int32_t xai_abi(void) { return XAI_ABI_MAJOR << 16 | XAI_ABI_MINOR; }                 \
	XAI_EXPORT("xai_alloc") void *xai_alloc(size_t n) { return xai_new(n); }                                    \
	XAI_EXPORT("xai_explain") int32_t xai_explain(const unsigned char *p, size_t n) { return xai_run(name, explain, p, n); }

#endif
