// A method that calls every function of xai.ts, and says what it saw in its log
// and its results.
import * as xai from "../xai";
export { xai_abi, xai_alloc, xai_describe, xai_explain } from "../xai";

xai.method("calls", `
  "version": "1.0.0",
  "summary": "Calls every function of the host",
  "source": "docs/ABI.md",
  "needs": ["forward", "gradients", "generate", "tokenize", "embeddings", "patch", "activations"],
  "params": [
    {"name": "count", "type": "int", "default": -3, "min": -10, "max": 10, "aliases": ["n", "num"], "doc": "an int"},
    {"name": "ratio", "type": "float", "default": 0.1, "doc": "a float"},
    {"name": "whole", "type": "bool", "default": true, "compat": {"all": false}, "doc": "a bool"},
    {"name": "note", "type": "string", "default": "a \\"quoted\\" Ünïcode \\\\ %d", "doc": "a string"},
    {"name": "what", "type": "enum", "default": "all", "values": ["all", "plain", "fail", "host", "cancel", "trap", "memory", "release"], "doc": "an enum"}
  ]`, explain);

function say(line: string): void {
  xai.log(xai.Level.DEBUG, line);
}

function sayTokens(tokens: xai.Token[]): void {
  for (let i = 0; i < tokens.length; i++) {
    const t = tokens[i];
    say(`token ${t.id} ${t.sequence} ${t.start} ${t.end} ${t.runeStart} ${t.runeEnd} ${i32(t.special)} ${i32(t.fixed)} ${t.text}`);
  }
}

function inputs(units: xai.Unit[], tokens: xai.Token[]): void {
  say(`text ${xai.text()}`);
  const pair = xai.textPair();
  say(pair === null ? "no pair" : `pair ${pair}`);
  const ids = xai.ids();
  for (let i = 0; i < ids.length; i++) say(`id ${ids[i]}`);
  sayTokens(tokens);
  for (let i = 0; i < units.length; i++) {
    const u = units[i];
    say(`unit ${u.text}`);
    for (let j = 0; j < u.spans.length; j++) say(`span ${u.spans[j].sequence} ${u.spans[j].start} ${u.spans[j].end}`);
    for (let j = 0; j < u.tokens.length; j++) say(`index ${u.tokens[j]}`);
  }
  const special = xai.special(), keep = xai.keep();
  for (let i = 0; i < special.length; i++) say(`special ${special[i]}`);
  for (let i = 0; i < keep.length; i++) say(`keep ${keep[i]}`);
  const target = xai.target();
  say(`target ${target.kind}`);
  say(`target ${target.expr}`);
  say(`target ${target.label}`);
  say(`target ${target.index} ${i32(target.output)}`);
  for (let i = 0; i < target.positions.length; i++) say(`position ${target.positions[i]}`);
  say(`second ${target.second} ${target.secondLabel}`);
  xai.diagnostic("value", target.value);
  say(`seed ${xai.seed()}`);
  const model = xai.model();
  say(`model ${model.id}`);
  say(`model ${model.architecture}`);
  say(`model ${model.task}`);
  say(`model ${model.maskToken}`);
  for (let i = 0; i < model.labels.length; i++) say(`label ${model.labels[i]}`);
  say(`sizes ${model.layers} ${model.heads} ${model.embedding}`);
  say(`sizes ${model.hidden} ${model.vocabulary} ${model.maxTokens}`);
  say(`ids ${model.maskID} ${model.padID}`);
  for (let i = 0; i < model.specialIDs.length; i++) say(`special ${model.specialIDs[i]}`);
  const grants = xai.grants();
  for (let i = 0; i < grants.length; i++) say(`grant ${grants[i]}`);
}

function params(): void {
  say(`count ${xai.paramInt("count")}`);
  xai.diagnostic("ratio", xai.paramFloat("ratio"));
  say(`whole ${i32(xai.paramBool("whole"))}`);
  say(`note ${xai.paramString("note")}`);
  say(`what ${xai.paramString("what")}`);
  xai.paramInt("undeclared");
  const message = xai.lastError();
  say(`error ${i32(xai.recover())} ${message}`);
}

function typed<T extends ArrayBufferView, E>(values: StaticArray<E>): T {
  const out = instantiate<T>(values.length);
  memory.copy(out.dataStart, changetype<usize>(values), out.byteLength);
  return out;
}

function f64s(values: StaticArray<f64>): Float64Array {
  return typed<Float64Array, f64>(values);
}

function tensors(): void {
  let t = xai.Tensor.zeros<Uint8Array>([2, 3]);
  t.write<Uint8Array>(1, typed<Uint8Array, u8>([1, 2, 3]));
  const two = new Uint8Array(2);
  t.readAt<Uint8Array>(2, two);
  say(`read ${two[0]}`);
  say(`read ${two[1]}`);
  xai.result("u8", t, ["a", "b"]);
  xai.result("i32", xai.Tensor.of<Int32Array>(typed<Int32Array, i32>([-1, 0, i32.MAX_VALUE]), [3]), ["a"]);
  xai.result("i64", xai.Tensor.of<Int64Array>(typed<Int64Array, i64>([-1, 1 << 40]), [2]), ["a"]);
  xai.result("f32", xai.Tensor.of<Float32Array>(typed<Float32Array, f32>([0.5, -0.0]), [2]), ["a"]);
  t = xai.Tensor.of<Float64Array>(f64s([0.1, -1e300]), [1, 2]);
  xai.result("f64", t, ["a", "b"]);
  const shape = t.shape;
  say(`info ${i32(t.dtype)} ${shape[0]} ${shape[1]}`);
  const all = new Int32Array(12);
  for (let i = 0; i < 12; i++) all[i] = i;
  t = xai.Tensor.of<Int32Array>(all, [3, 4]);
  const grid = t.readStrided<Int32Array>([new xai.Stride(0, 2, 2), new xai.Stride(1, 2, 2)]);
  xai.result("grid", xai.Tensor.of<Int32Array>(grid, [2, 2]), ["a", "b"]);
  t.free();
}

function forwards(units: xai.Unit[], tokens: xai.Token[]): void {
  const one = xai.Tensor.of<Float32Array>(typed<Float32Array, f32>([1.5]), [1]);
  const two = xai.Tensor.of<Float64Array>(f64s([2.5, -2.5]), [2]);
  const full = new xai.Forward();
  full.units = xai.Tensor.of<Uint8Array>(typed<Uint8Array, u8>([1, 0]), [2, 1]);
  full.fill = new xai.Fill(xai.FillKind.TEXT, "…");
  full.over = units.slice(0, 1);
  full.target = "1 - 0";
  full.keepDuplicates = true;
  full.want = [xai.Want.TARGET, xai.Want.LOGITS];
  full.points = ["hidden_states[1]", "many"];
  full.edits = [
    new xai.Edit("a", xai.EditOp.REPLACE, one), new xai.Edit("b", xai.EditOp.ZERO), new xai.Edit("c", xai.EditOp.MEAN),
    new xai.Edit("d", xai.EditOp.ADD, two), new xai.Edit("e", xai.EditOp.SCALE, one),
  ];
  let reply = full.run();
  const values = reply.read<Float64Array>("target");
  xai.result("target", xai.Tensor.of<Float64Array>(values, [values.length]), ["row"]);
  xai.result("logits", reply.tensor("logits"), ["row", "class"]);
  xai.result("many", reply.tensor("many", 1), ["row"]);
  reply.free();

  const masks = new Uint8Array(tokens.length).fill(1);
  masks[1] = 0;
  const byToken = new xai.Forward();
  byToken.masks = xai.Tensor.of<Uint8Array>(masks, [1, masks.length]);
  byToken.fill = new xai.Fill(xai.FillKind.TOKEN, "", 7);
  byToken.want = [xai.Want.PROBS, xai.Want.LOGPROBS];
  byToken.run();
  const byText = new xai.Forward();
  byText.texts = ["eins", "", "drei"];
  byText.run();
  const byID = new xai.Forward();
  byID.ids = [typed<Int32Array, i32>([1, 2, 3]), typed<Int32Array, i32>([4])];
  byID.run();
  const byEmbeds = new xai.Forward();
  byEmbeds.embeds = xai.Tensor.zeros<Float32Array>([1, tokens.length, 2]);
  byEmbeds.rule = xai.Rule.LRP_ALPHA1;
  reply = byEmbeds.gradient(["embeddings", "many"]);
  xai.result("grad", reply.gradient("embeddings"), ["row"]);

  const names = ["mask", "pad", "delete", "zero", "hide", "average"];
  for (let i = 0; i < names.length; i++) {
    const values = xai.evaluate(new Uint8Array(units.length).fill(1), units.length, xai.Fill.named(names[i])!);
    if (!xai.failed() && values[0] != 0.25) xai.fail(xai.Code.INTERNAL, "evaluate returns something else than the target");
  }
}

function texts(): void {
  sayTokens(xai.tokenize("zwei Wörter"));
  const one = new xai.Generation(3);
  one.prompt = typed<Int32Array, i32>([5, 6]);
  one.temperature = 0.5;
  one.topK = 2;
  one.topP = 0.75;
  one.seed = 9;
  const all = [one, new xai.Generation(1)];
  for (let i = 0; i < all.length; i++) {
    const c = all[i].run();
    for (let j = 0; j < c.ids.length; j++) say(`generated ${c.ids[j]} ${i32(c.logprobs[j] == -0.5)}`);
    say(`generated ${c.text}`);
  }
}

function arithmetic(): void {
  const x = xai.Tensor.of<Float64Array>(f64s([1, 0, 0, 1, 1, 1]), [3, 2]);
  const y = xai.Tensor.of<Float64Array>(f64s([1, 2, 4]), [3]);
  const w = xai.Tensor.of<Float64Array>(f64s([1, 2, 1]), [3]);
  const square = xai.Tensor.of<Float64Array>(f64s([1, 2, 3, 4]), [2, 2]);
  xai.result("ridge", xai.ridge(x, y, w, 0.5), ["a"]);
  xai.result("matmul", xai.matmul(x, square), ["a", "b"]);
  xai.result("softmax", xai.softmax(square), ["a", "b"]);
  xai.result("topk", xai.topK(y, 2), ["a"]);
  xai.result("sum", xai.sum(square), ["a"]);
  xai.result("mean", xai.mean(square), ["a"]);
}

function reports(): void {
  const five = new Uint8Array(5);
  xai.random(five);
  xai.result("random", xai.Tensor.of<Uint8Array>(five, [5]), ["a"]);
  say(`random ${xai.randomU64()}`);
  xai.progress(1, 2);
  xai.log(xai.Level.NOTE, "a note");
  xai.log(xai.Level.WARNING, "a warning");
  xai.diagnostic("x".repeat(300), 1);
  say(`long ${i32(xai.recover())}`);
}

function results(units: xai.Unit[], tokens: xai.Token[]): void {
  xai.result("attributions", xai.Tensor.of<Float64Array>(f64s([1.5, -2.5]), [2]), ["units"], units.slice(0, 2));
  xai.attribution("attributions.stderr", "units", f64s([0.5, 0.25]));
  xai.attribution("second", "tokens", new Float64Array(tokens.length));
  xai.baseline(0.125);
}

function explain(): void {
  const what = xai.paramString("what");
  if (what == "fail") return xai.fail(xai.Code.UNSUPPORTED, `${"a message"} of ${-5} and ${(7 as i64) << 40}`);
  if (what == "cancel") return xai.progress(1, 1);
  if (what == "trap") {
    const one: i32[] = [1];
    say(`trap ${one[-xai.paramInt("count") as i32]}`);
  }
  if (what == "plain") return xai.attributions(f64s([1, 2, 3]));
  if (what == "host") {
    const f = new xai.Forward();
    f.texts = ["eins"];
    f.run().tensor("nothing");
    xai.attributions(f64s([1, 2, 3])); // does nothing
    return;
  }
  if (what == "memory") {
    const all: Uint8Array[] = [];
    while (true) all.push(new Uint8Array(1 << 20));
  }
  if (what == "release") {
    for (let i = 0; i < 100; i++) {
      const room = new Uint8Array(1 << 20).fill(1);
      const t = xai.Tensor.of<Uint8Array>(room, [room.length]);
      if (t.read<Uint8Array>()[i] != 1) return xai.fail(xai.Code.INTERNAL, "a tensor changed");
      t.free();
    }
    return xai.attributions(f64s([1, 2, 3]));
  }
  const units = xai.units(), tokens = xai.tokens();
  inputs(units, tokens);
  params();
  tensors();
  forwards(units, tokens);
  texts();
  arithmetic();
  reports();
  results(units, tokens);
}
