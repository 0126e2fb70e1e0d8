// Occlusion: what the target loses when a window of units is dropped.
import * as xai from "../../../sdk/assemblyscript/xai";
export { xai_abi, xai_alloc, xai_describe, xai_explain } from "../../../sdk/assemblyscript/xai";

xai.method("occlusion-assemblyscript", `
  "version": "1.0.0",
  "summary": "What the target loses when a window of units is dropped",
  "source": "Zeiler, Fergus 2014, arXiv:1311.2901",
  "needs": ["forward"],
  "params": [
    {"name": "window", "type": "int", "default": 1, "min": 1, "doc": "units in a row that are dropped together"},
    {"name": "stride", "type": "int", "default": 1, "min": 1, "doc": "units from the start of one window to that of the next; at most the window"},
    {"name": "fill", "type": "enum", "default": "auto", "values": ["auto", "mask", "pad", "delete", "zero", "hide", "average"],
     "doc": "what a dropped unit becomes; auto is the mask token, or delete where the tokenizer has none"}
  ]`, explain);

function explain(): void {
  const n = xai.units().length;
  const value = xai.target().value;
  const window = xai.paramInt("window");
  const stride = xai.paramInt("stride");
  const fill = readFill();
  if (n == 0) xai.fail(xai.Code.INVALID, "the input has no units to attribute to: give a text with at least one word");
  if (stride > window) {
    xai.fail(xai.Code.INVALID, `stride=${stride} leaves units out between windows of ${window}: use a stride of at most the window`);
  }
  if (xai.failed()) return;

  // Row w of keep drops the units from w*step on, width of them or to the end.
  const width = min(window, n) as i32, step = min(stride, n) as i32;
  const windows = (n - width + step - 1) / step + 1;
  const keep = new Uint8Array(windows * n).fill(1);
  for (let w = 0; w < windows; w++) keep.fill(0, w * n + w * step, w * n + min(w * step + width, n));
  const without = xai.evaluate(keep, n, fill);
  if (xai.failed()) return;

  // A unit's attribution is the mean over the windows that it lies in.
  const scores = new Float64Array(n);
  for (let u = 0; u < n; u++) {
    let sum = 0.0, count = 0.0;
    for (let w = 0; w < windows; w++) {
      if (keep[w * n + u] != 0) continue;
      sum += value - without[w];
      count++;
    }
    scores[u] = sum / count;
  }
  xai.attributions(scores);
  xai.diagnostic("windows", windows);
}

/** The fill policy that the parameter asks for. */
function readFill(): xai.Fill {
  const fill = xai.Fill.named(xai.paramString("fill"));
  if (fill !== null) return fill;
  return new xai.Fill(xai.model().maskToken.length > 0 ? xai.FillKind.MASK : xai.FillKind.DELETE);
}
