// Occlusion: what the target loses when a window of units is dropped.
#include "../../../sdk/c/xai.h"

// The fill policy that the parameter asks for.
static xai_error read_fill(xai_fill *fill) {
	xai_string name;
	xai_model model;
	XAI_TRY(xai_param_string("fill", &name));
	if (xai_fill_named(name, fill)) return 0;
	XAI_TRY(xai_get_model(&model)); // auto
	fill->kind = model.mask_token.len > 0 ? XAI_FILL_MASK : XAI_FILL_DELETE;
	return 0;
}

static xai_error explain(void) {
	xai_units units;
	xai_target target;
	xai_fill fill = {0};
	int64_t window, stride;
	XAI_TRY(xai_get_units(&units));
	XAI_TRY(xai_get_target(&target));
	XAI_TRY(xai_param_int("window", &window));
	XAI_TRY(xai_param_int("stride", &stride));
	XAI_TRY(read_fill(&fill));
	if (units.len == 0) return xai_fail(XAI_EINVAL, "the input has no units to attribute to: give a text with at least one word");
	if (stride > window)
		return xai_fail(XAI_EINVAL, "stride=%lld leaves units out between windows of %lld: use a stride of at most the window", stride, window);

	// Row w of keep drops the units from w*step on, width of them or to the end.
	size_t n = units.len;
	size_t width = window < (int64_t)n ? (size_t)window : n, step = stride < (int64_t)n ? (size_t)stride : n;
	size_t windows = (n - width + step - 1) / step + 1;
	uint8_t *keep = xai_new(windows * n);
	if (!keep) return XAI_ENOMEM;
	for (size_t w = 0; w < windows; w++)
		for (size_t u = 0; u < n; u++) keep[w * n + u] = u < w * step || u >= w * step + width;
	double *values;
	XAI_TRY(xai_evaluate(keep, windows, n, fill, &values));

	// A unit's attribution is the mean over the windows that it lies in.
	double *scores = xai_new(n * sizeof *scores);
	if (!scores) return XAI_ENOMEM;
	for (size_t u = 0; u < n; u++) {
		double sum = 0, count = 0;
		for (size_t w = 0; w < windows; w++) {
			if (keep[w * n + u]) continue;
			sum += target.value - values[w];
			count++;
		}
		scores[u] = sum / count;
	}
	XAI_TRY(xai_attributions(scores, n));
	return xai_diagnostic("windows", (double)windows);
}

XAI_METHOD("occlusion-c", explain,
	"version": "1.0.0",
	"summary": "What the target loses when a window of units is dropped",
	"source": "Zeiler, Fergus 2014, arXiv:1311.2901",
	"needs": ["forward"],
	"params": [
		{"name": "window", "type": "int", "default": 1, "min": 1, "doc": "units in a row that are dropped together"},
		{"name": "stride", "type": "int", "default": 1, "min": 1, "doc": "units from the start of one window to that of the next; at most the window"},
		{"name": "fill", "type": "enum", "default": "auto", "values": ["auto", "mask", "pad", "delete", "zero", "hide", "average"],
		 "doc": "what a dropped unit becomes; auto is the mask token, or delete where the tokenizer has none"}
	])
