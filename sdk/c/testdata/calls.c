// A method that calls every function of xai.h, and says what it saw in its log
// and its results.
#include "../xai.h"

static xai_error say(const char *what, xai_string text) { return xai_log(XAI_DEBUG, "%s %.*s", what, XAI_PRINT(text)); }

static xai_error say_number(const char *what, int64_t v) { return xai_log(XAI_DEBUG, "%s %lld", what, (long long)v); }

static xai_error say_tokens(xai_tokens tokens) {
	for (size_t i = 0; i < tokens.len; i++) {
		xai_token t = tokens.at[i];
		XAI_TRY(xai_log(XAI_DEBUG, "token %d %d %d %d %d %d %d %d %.*s", t.id, (int)t.sequence, (int)t.start, (int)t.end, (int)t.rune_start,
			(int)t.rune_end, t.special, t.fixed, XAI_PRINT(t.text)));
	}
	return 0;
}

static xai_error inputs(xai_units *units, xai_tokens *tokens) {
	xai_string text, pair;
	bool has;
	XAI_TRY(xai_get_text(&text));
	XAI_TRY(say("text", text));
	XAI_TRY(xai_get_text_pair(&pair, &has));
	XAI_TRY(has ? say("pair", pair) : say("no", xai_str("pair")));
	const int32_t *ids;
	const uint8_t *special, *keep;
	size_t n;
	XAI_TRY(xai_get_ids(&ids, &n));
	for (size_t i = 0; i < n; i++) XAI_TRY(say_number("id", ids[i]));
	XAI_TRY(xai_get_tokens(tokens));
	XAI_TRY(say_tokens(*tokens));
	XAI_TRY(xai_get_units(units));
	for (size_t i = 0; i < units->len; i++) {
		xai_unit u = units->at[i];
		XAI_TRY(say("unit", u.text));
		for (size_t j = 0; j < u.num_spans; j++)
			XAI_TRY(xai_log(XAI_DEBUG, "span %d %d %d", (int)u.spans[j].sequence, (int)u.spans[j].start, (int)u.spans[j].end));
		for (size_t j = 0; j < u.num_tokens; j++) XAI_TRY(say_number("index", u.tokens[j]));
	}
	XAI_TRY(xai_get_special(&special, &n));
	for (size_t i = 0; i < n; i++) XAI_TRY(say_number("special", special[i]));
	XAI_TRY(xai_get_keep(&keep, &n));
	for (size_t i = 0; i < n; i++) XAI_TRY(say_number("keep", keep[i]));
	xai_target target;
	XAI_TRY(xai_get_target(&target));
	XAI_TRY(say("target", target.kind));
	XAI_TRY(say("target", target.expr));
	XAI_TRY(say("target", target.label));
	XAI_TRY(xai_log(XAI_DEBUG, "target %d %d", (int)target.index, (int)target.output));
	for (size_t i = 0; i < target.num_positions; i++) XAI_TRY(say_number("position", target.positions[i]));
	XAI_TRY(xai_log(XAI_DEBUG, "second %d %.*s", (int)target.second, XAI_PRINT(target.second_label)));
	XAI_TRY(xai_diagnostic("value", target.value));
	uint64_t seed;
	XAI_TRY(xai_get_seed(&seed));
	XAI_TRY(say_number("seed", (int64_t)seed));
	xai_model model;
	XAI_TRY(xai_get_model(&model));
	XAI_TRY(say("model", model.id));
	XAI_TRY(say("model", model.architecture));
	XAI_TRY(say("model", model.task));
	XAI_TRY(say("model", model.mask_token));
	for (size_t i = 0; i < model.labels.len; i++) XAI_TRY(say("label", model.labels.at[i]));
	XAI_TRY(xai_log(XAI_DEBUG, "sizes %d %d %d", (int)model.layers, (int)model.heads, (int)model.embedding));
	XAI_TRY(xai_log(XAI_DEBUG, "sizes %d %d %zu", (int)model.hidden, (int)model.vocabulary, (size_t)model.max_tokens));
	XAI_TRY(xai_log(XAI_DEBUG, "ids %d %d", model.mask_id, model.pad_id));
	for (size_t i = 0; i < model.num_special_ids; i++) XAI_TRY(say_number("special", model.special_ids[i]));
	xai_strings grants;
	XAI_TRY(xai_get_grants(&grants));
	for (size_t i = 0; i < grants.len; i++) XAI_TRY(say("grant", grants.at[i]));
	return 0;
}

static xai_error params(void) {
	int64_t count;
	double ratio;
	bool whole;
	xai_string note, what, message;
	XAI_TRY(xai_param_int("count", &count));
	XAI_TRY(xai_param_float("ratio", &ratio));
	XAI_TRY(xai_param_bool("whole", &whole));
	XAI_TRY(xai_param_string("note", &note));
	XAI_TRY(xai_param_string("what", &what));
	XAI_TRY(say_number("count", count));
	XAI_TRY(xai_diagnostic("ratio", ratio));
	XAI_TRY(say_number("whole", whole));
	XAI_TRY(say("note", note));
	XAI_TRY(say("what", what));
	xai_error code = xai_param_int("undeclared", &count);
	XAI_TRY(xai_last_error(&message));
	return xai_log(XAI_DEBUG, "error %d %.*s", code, XAI_PRINT(message));
}

static xai_error hand(const char *name, xai_tensor t, const char *a, const char *b) {
	const char *const axes[] = {a, b, NULL};
	return xai_result(name, t, &(xai_meta){.axes = axes});
}

static xai_error tensors(void) {
	xai_tensor t, kept;
	XAI_TRY(xai_tensor_new(XAI_U8, XAI_DIMS(2, 3), &t));
	XAI_TRY(xai_tensor_write(t, 1, (const uint8_t[]){1, 2, 3}, 3));
	uint8_t two[2];
	XAI_TRY(xai_tensor_read(t, 2, two, sizeof two));
	XAI_TRY(say_number("read", two[0]));
	XAI_TRY(say_number("read", two[1]));
	XAI_TRY(hand("u8", t, "a", "b"));
	XAI_TRY(xai_tensor_of(XAI_I32, XAI_DIMS(3), (const int32_t[]){-1, 0, 2147483647}, &t));
	XAI_TRY(hand("i32", t, "a", NULL));
	XAI_TRY(xai_tensor_of(XAI_I64, XAI_DIMS(2), (const int64_t[]){-1, (int64_t)1 << 40}, &t));
	XAI_TRY(hand("i64", t, "a", NULL));
	XAI_TRY(xai_tensor_of(XAI_F32, XAI_DIMS(2), (const float[]){0.5f, -0.0f}, &t));
	XAI_TRY(hand("f32", t, "a", NULL));
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS(1, 2), (const double[]){0.1, -1e300}, &t));
	XAI_TRY(hand("f64", t, "a", "b"));
	xai_info info;
	XAI_TRY(xai_tensor_info(t, &info));
	XAI_TRY(xai_log(XAI_DEBUG, "info %d %d %d", (int)info.dtype, (int)info.dims[0], (int)info.dims[1]));
	int32_t all[12], grid[4];
	for (int i = 0; i < 12; i++) all[i] = i;
	XAI_TRY(xai_tensor_of(XAI_I32, XAI_DIMS(3, 4), all, &t));
	const xai_stride strides[] = {{0, 2, 2}, {1, 2, 2}};
	XAI_TRY(xai_tensor_read_strided(t, 2, strides, grid, sizeof grid));
	XAI_TRY(xai_tensor_of(XAI_I32, XAI_DIMS(2, 2), grid, &kept));
	XAI_TRY(hand("grid", kept, "a", "b"));
	return xai_free(t);
}

static xai_error forwards(xai_units units, xai_tokens tokens) {
	xai_spec full = {0};
	xai_reply reply;
	xai_tensor t, one, two;
	double *values;
	size_t n;
	XAI_TRY(xai_tensor_of(XAI_U8, XAI_DIMS(2, 1), (const uint8_t[]){1, 0}, &full.units));
	full.fill = (xai_fill){.kind = XAI_FILL_TEXT, .text = xai_str("…")};
	full.over = (xai_units){units.at, 1};
	full.target = "1 - 0";
	full.keep_duplicates = true;
	full.want = XAI_WANT_TARGET | XAI_WANT_LOGITS;
	full.points = (const char *const[]){"hidden_states[1]", "many", NULL};
	XAI_TRY(xai_tensor_of(XAI_F32, XAI_DIMS(1), (const float[]){1.5f}, &one));
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS(2), (const double[]){2.5, -2.5}, &two));
	const xai_edit edits[] = {{"a", XAI_EDIT_REPLACE, one}, {"b", XAI_EDIT_ZERO, 0}, {"c", XAI_EDIT_MEAN, 0}, {"d", XAI_EDIT_ADD, two}, {"e", XAI_EDIT_SCALE, one}};
	full.edits = edits;
	full.num_edits = 5;
	XAI_TRY(xai_forward(&full, &reply));
	XAI_TRY(xai_reply_f64(reply, "target", 0, &values, &n));
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS((int64_t)n), values, &t));
	XAI_TRY(hand("target", t, "row", NULL));
	XAI_TRY(xai_reply_get(reply, "logits", 0, &t));
	XAI_TRY(hand("logits", t, "row", "class"));
	XAI_TRY(xai_reply_get(reply, "many", 1, &t));
	XAI_TRY(hand("many", t, "row", NULL));
	XAI_TRY(xai_free(reply));

	uint8_t *masks = xai_new(tokens.len);
	if (!masks) return XAI_ENOMEM;
	for (size_t i = 0; i < tokens.len; i++) masks[i] = i != 1;
	XAI_TRY(xai_tensor_of(XAI_U8, XAI_DIMS(1, (int64_t)tokens.len), masks, &t));
	XAI_TRY(xai_forward(&(xai_spec){.masks = t, .fill = {.kind = XAI_FILL_TOKEN, .token = 7}, .want = XAI_WANT_PROBS | XAI_WANT_LOGPROBS}, &reply));

	xai_spec texts = {0};
	const xai_string three[] = {xai_str("eins"), xai_str(""), xai_str("drei")};
	XAI_TRY(xai_texts(three, 3, &texts));
	XAI_TRY(xai_forward(&texts, &reply));

	xai_spec ids = {0};
	XAI_TRY(xai_tensor_of(XAI_I32, XAI_DIMS(2, 3), (const int32_t[]){1, 2, 3, 4, 0, 0}, &ids.ids));
	XAI_TRY(xai_tensor_of(XAI_I32, XAI_DIMS(2), (const int32_t[]){3, 1}, &ids.lengths));
	XAI_TRY(xai_forward(&ids, &reply));

	xai_spec embeds = {0};
	XAI_TRY(xai_tensor_new(XAI_F32, XAI_DIMS(1, (int64_t)tokens.len, 2), &embeds.embeds));
	embeds.wrt = (const char *const[]){"embeddings", "many", NULL};
	embeds.rule = XAI_RULE_LRP_ALPHA1;
	XAI_TRY(xai_grad(&embeds, &reply));
	XAI_TRY(xai_reply_get(reply, "grad(embeddings)", 0, &t));
	XAI_TRY(hand("grad", t, "row", NULL));

	const char *const fills[] = {"mask", "pad", "delete", "zero", "hide", "average"};
	uint8_t *keep = xai_new(units.len);
	if (!keep) return XAI_ENOMEM;
	for (size_t i = 0; i < units.len; i++) keep[i] = 1;
	for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
		xai_fill fill = {0};
		if (!xai_fill_named(xai_str(fills[i]), &fill)) return XAI_EINTERNAL;
		XAI_TRY(xai_evaluate(keep, 1, units.len, fill, &values));
		if (values[0] != 0.25) return XAI_EINTERNAL;
	}
	return 0;
}

static xai_error texts(void) {
	xai_tokens tokens;
	XAI_TRY(xai_tokenize(xai_str("zwei Wörter"), &tokens));
	XAI_TRY(say_tokens(tokens));
	xai_tensor prompt;
	XAI_TRY(xai_tensor_of(XAI_I32, XAI_DIMS(2), (const int32_t[]){5, 6}, &prompt));
	const xai_generation all[] = {
		{.max_tokens = 3, .prompt = prompt, .temperature = 0.5, .top_k = 2, .top_p = 0.75, .seed = 9},
		{.max_tokens = 1},
	};
	for (int i = 0; i < 2; i++) {
		xai_continuation c;
		XAI_TRY(xai_generate(&all[i], &c));
		for (size_t j = 0; j < c.len; j++) XAI_TRY(xai_log(XAI_DEBUG, "generated %d %d", c.ids[j], c.logprobs[j] == -0.5));
		XAI_TRY(say("generated", c.text));
	}
	return 0;
}

static xai_error arithmetic(void) {
	xai_tensor x, y, w, out;
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS(3, 2), (const double[]){1, 0, 0, 1, 1, 1}, &x));
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS(3), (const double[]){1, 2, 4}, &y));
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS(3), (const double[]){1, 2, 1}, &w));
	XAI_TRY(xai_ridge(x, y, w, 0.5, &out));
	XAI_TRY(hand("ridge", out, "a", NULL));
	xai_tensor square;
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS(2, 2), (const double[]){1, 2, 3, 4}, &square));
	XAI_TRY(xai_matmul(x, square, &out));
	XAI_TRY(hand("matmul", out, "a", "b"));
	XAI_TRY(xai_softmax(square, &out));
	XAI_TRY(hand("softmax", out, "a", "b"));
	XAI_TRY(xai_top_k(y, 2, &out));
	XAI_TRY(hand("topk", out, "a", NULL));
	XAI_TRY(xai_sum(square, &out));
	XAI_TRY(hand("sum", out, "a", NULL));
	XAI_TRY(xai_mean(square, &out));
	return hand("mean", out, "a", NULL);
}

static xai_error reports(void) {
	uint8_t five[5];
	uint64_t number;
	xai_tensor t;
	XAI_TRY(xai_random(five, sizeof five));
	XAI_TRY(xai_tensor_of(XAI_U8, XAI_DIMS(5), five, &t));
	XAI_TRY(hand("random", t, "a", NULL));
	XAI_TRY(xai_random(&number, sizeof number));
	XAI_TRY(say_number("random", (int64_t)number));
	XAI_TRY(xai_progress(1, 2));
	XAI_TRY(xai_log(XAI_NOTE, "a note"));
	XAI_TRY(xai_log(XAI_WARNING, "a warning"));
	char name[301];
	for (size_t i = 0; i < 300; i++) name[i] = 'x';
	name[300] = 0;
	return xai_log(XAI_DEBUG, "long %d", xai_diagnostic(name, 1));
}

static xai_error results(xai_units units, xai_tokens tokens) {
	xai_tensor t;
	xai_meta meta = {.axes = (const char *const[]){"units", NULL}, .units = {units.at, 2}};
	XAI_TRY(xai_tensor_of(XAI_F64, XAI_DIMS(2), (const double[]){1.5, -2.5}, &t));
	XAI_TRY(xai_result("attributions", t, &meta));
	XAI_TRY(xai_attribution("attributions.stderr", "units", (const double[]){0.5, 0.25}, 2));
	double *values = xai_new(tokens.len * sizeof *values);
	if (!values) return XAI_ENOMEM;
	XAI_TRY(xai_attribution("second", "tokens", values, tokens.len));
	return xai_baseline(0.125);
}

static xai_error explain(void) {
	xai_string what;
	XAI_TRY(xai_param_string("what", &what));
	if (xai_equal(what, xai_str("fail"))) return xai_fail(XAI_EUNSUPPORTED, "%s of %d and %lld", "a message", -5, 7LL << 40);
	if (xai_equal(what, xai_str("cancel"))) return xai_progress(1, 1);
	if (xai_equal(what, xai_str("trap"))) __builtin_trap();
	if (xai_equal(what, xai_str("plain"))) return xai_attributions((const double[]){1, 2, 3}, 3);
	if (xai_equal(what, xai_str("host"))) {
		xai_spec spec = {0};
		const xai_string text = xai_str("eins");
		xai_reply reply;
		xai_tensor t;
		XAI_TRY(xai_texts(&text, 1, &spec));
		XAI_TRY(xai_forward(&spec, &reply));
		XAI_TRY(xai_reply_get(reply, "nothing", 0, &t));
	}
	if (xai_equal(what, xai_str("memory"))) {
		while (xai_new(1 << 20)) {
		}
		return XAI_ENOMEM;
	}
	if (xai_equal(what, xai_str("release"))) {
		for (int i = 0; i < 100; i++) {
			void *mark = xai_mark();
			char *p = xai_new(1 << 20);
			if (!p) return XAI_ENOMEM;
			if (p[i] != 0) return XAI_EINTERNAL;
			p[i] = 1;
			p[i + 1] = 1;
			xai_release(mark);
		}
		return xai_attributions((const double[]){1, 2, 3}, 3);
	}
	xai_units units;
	xai_tokens tokens;
	XAI_TRY(inputs(&units, &tokens));
	XAI_TRY(params());
	XAI_TRY(tensors());
	XAI_TRY(forwards(units, tokens));
	XAI_TRY(texts());
	XAI_TRY(arithmetic());
	XAI_TRY(reports());
	return results(units, tokens);
}

XAI_METHOD("calls", explain,
	"version": "1.0.0",
	"summary": "Calls every function of the host",
	"source": "docs/ABI.md",
	"needs": ["forward", "gradients", "generate", "tokenize", "embeddings", "patch", "activations"],
	"params": [
		{"name": "count", "type": "int", "default": -3, "min": -10, "max": 10, "aliases": ["n", "num"], "doc": "an int"},
		{"name": "ratio", "type": "float", "default": 0.1, "doc": "a float"},
		{"name": "whole", "type": "bool", "default": true, "compat": {"all": false}, "doc": "a bool"},
		{"name": "note", "type": "string", "default": "a \"quoted\" Ünïcode \\ %d", "doc": "a string"},
		{"name": "what", "type": "enum", "default": "all", "values": ["all", "plain", "fail", "host", "cancel", "trap", "memory", "release"], "doc": "an enum"}
	])
