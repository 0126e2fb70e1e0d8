/*
 * xai.ts: explanation methods for xai, written in AssemblyScript. One file, no packages.
 *
 * A method is one WebAssembly module under ABI 1, which docs/ABI.md describes.
 * This is a complete one: what the target loses when each unit is dropped.
 *
 *   import * as xai from "./xai";
 *   export { xai_abi, xai_alloc, xai_describe, xai_explain } from "./xai";
 *
 *   xai.method("leave-one-out", `"version": "1.0.0", "needs": ["forward"],
 *     "summary": "What the target loses when each unit is dropped", "params": []`, (): void => {
 *     const n = xai.units().length, value = xai.target().value;
 *     const keep = new Uint8Array(n * n).fill(1); // row i drops unit i
 *     for (let i = 0; i < n; i++) keep[i * n + i] = 0;
 *     const values = xai.evaluate(keep, n, new xai.Fill(xai.FillKind.MASK));
 *     if (xai.failed()) return;
 *     for (let i = 0; i < n; i++) values[i] = value - values[i];
 *     xai.attributions(values);
 *   });
 *
 * and this builds it:
 *
 *   asc -O --runtime incremental --use abort=xai_abort -o method.wasm method.ts
 *   xai plugin seal method.wasm   # writes the section xai.method
 *
 * A call that fails is remembered: from then on calls do nothing and return what
 * is empty, and the user reads the host's own sentence when explain returns. So a
 * method looks at failed() where it is about to use what calls returned.
 */

/** The version of the ABI that this file speaks. */
const ABI: i32 = 1 << 16;

/** Error codes. */
export enum Code {
  /** An argument or a frame is malformed. */
  INVALID = -1,
  /** No such tensor or reply. */
  HANDLE = -2,
  /** The need was not granted. */
  CAP = -3,
  /** A pointer outside the memory. */
  FAULT = -4,
  /** An index or size out of range. */
  RANGE = -5,
  /** The memory limit. */
  NO_MEM = -6,
  /** A limit of the run. */
  QUOTA = -7,
  /** The user or the deadline ended the run. */
  CANCELLED = -8,
  /** The model or the host cannot do it. */
  UNSUPPORTED = -9,
  /** A defect of the host or the method. */
  INTERNAL = -10,
  /** No such name, or one that cannot be used. */
  NAME = -11,
}

/** The types of a tensor's elements: Uint8Array, Int32Array, Int64Array, Float32Array, Float64Array. */
export enum DType { U8 = 0, I32 = 1, I64 = 2, F32 = 3, F64 = 4, BF16 = 5 }

/** What a dropped unit or token becomes. */
export enum FillKind {
  /** The tokenizer's mask token. */
  MASK = 0,
  /** The tokenizer's padding token. */
  PAD = 1,
  /** Nothing. */
  DELETE = 2,
  /** The zero vector in place of the word embedding. */
  ZERO = 3,
  /** Fill.text. */
  TEXT = 4,
  /** Fill.token. */
  TOKEN = 5,
  /** Itself, hidden from the attention of all. */
  HIDE = 6,
  /** The mean word embedding of the vocabulary. */
  AVERAGE = 7,
}

/** The outputs of a forward: "target", f64 [N]; "logits", "probs" and "logprobs", f64 [N,C]. */
export enum Want { TARGET = 1, LOGITS = 2, PROBS = 3, LOGPROBS = 4 }

/** What an edit does with the activations that it selects. */
export enum EditOp { REPLACE = 0, ZERO = 1, MEAN = 2, ADD = 3, SCALE = 4 }

/** The operations of op. */
export enum Op { RIDGE = 1, MATMUL = 2, SOFTMAX = 3, TOPK = 4, SUM = 5, MEAN = 6 }

/**
 * How a gradient passes the target back, from its gradient at the logits on: by
 * the chain rule, or by layer-wise relevance propagation with α = 1 and β = 0, as
 * Chefer, Gur and Wolf have it for transformers (CVPR 2021).
 */
export enum Rule { GRADIENT = 0, LRP_ALPHA1 = 1 }

/** The scale of a target. */
export enum Output { LOGIT = 1, PROB = 2, LOGPROB = 3 }

/** The levels of log lines. */
export enum Level { DEBUG = 0, NOTE = 1, WARNING = 2 }

/** The keys of the host's inputs. */
enum Input {
  TEXT = 1,
  TEXT_PAIR = 2,
  IDS = 3,
  TOKENS = 4,
  UNITS = 5,
  SPECIAL = 6,
  KEEP = 7,
  TARGET = 8,
  SEED = 9,
  MODEL = 10,
  GRANTS = 11,
  ERROR = 12,
}

/** The tags of the fields of frames. */
enum Field {
  // The request frame.
  METHOD = 1,

  // A forward, and a gradient.
  UNITS = 1,
  MASKS = 2,
  TEXTS = 3,
  IDS = 4,
  FILL = 5,
  TARGET = 6,
  OVER = 7,
  DEDUP = 8,
  WANT = 9,
  EMBEDS = 10,
  POINTS = 11,
  EDITS = 12,
  WRT = 13,
  RULE = 14,

  // A generation.
  MAX_TOKENS = 1,
  PROMPT = 2,
  TEMPERATURE = 3,
  TOP_K = 4,
  TOP_P = 5,
  SEED = 6,

  // An operation.
  OPERANDS = 1,
  SCALARS = 2,

  // The meta of a result.
  AXES = 1,
  RESULT_UNITS = 2,

  // A list of tokens.
  TOKEN_IDS = 1,
  TOKEN_SEQUENCES = 2,
  TOKEN_STARTS = 3,
  TOKEN_ENDS = 4,
  TOKEN_RUNE_STARTS = 5,
  TOKEN_RUNE_ENDS = 6,
  TOKEN_FLAGS = 7,
  TOKEN_TEXTS = 8,

  // A list of units.
  UNIT_TEXTS = 1,
  UNIT_SPAN_COUNTS = 2,
  UNIT_SPANS = 3,
  UNIT_TOKEN_COUNTS = 4,
  UNIT_TOKENS = 5,

  // A target.
  TARGET_KIND = 1,
  TARGET_EXPRESSION = 2,
  TARGET_LABEL = 3,
  TARGET_INDEX = 4,
  TARGET_OUTPUT = 5,
  TARGET_VALUE = 6,
  TARGET_POSITIONS = 7,
  TARGET_SECOND = 8,
  TARGET_SECOND_LABEL = 9,

  // A model.
  MODEL_ID = 1,
  MODEL_ARCHITECTURE = 2,
  MODEL_TASK = 3,
  MODEL_MASK_TOKEN = 4,
  MODEL_LABELS = 5,
  MODEL_LAYERS = 6,
  MODEL_HEADS = 7,
  MODEL_EMBEDDING = 8,
  MODEL_HIDDEN = 9,
  MODEL_VOCABULARY = 10,
  MODEL_MAX_TOKENS = 11,
  MODEL_MASK_ID = 12,
  MODEL_PAD_ID = 13,
  MODEL_SPECIAL_IDS = 14,
}

/** The types in front of a parameter's value. */
enum Param { INT = 1, FLOAT = 2, BOOL = 3, STRING = 4, ENUM = 5 }

/** The flags of a token. */
enum TokenFlag { SPECIAL = 1, FIXED = 2 }

/** The flags of a field. */
enum Flag { CRITICAL = 1 }

// ---- The host's functions ----

@external("xai1", "tensor_new") declare function host_tensor_new(dtype: u32, rank: u32, dims: usize): i64;
@external("xai1", "tensor_info") declare function host_tensor_info(h: i64, out: usize, cap: u32): i32;
@external("xai1", "tensor_read") declare function host_tensor_read(h: i64, offset: i64, to: usize, n: u32): i32;
@external("xai1", "tensor_read_strided") declare function host_tensor_read_strided(h: i64, spec: usize, specLen: u32, to: usize, cap: u32): i32;
@external("xai1", "tensor_write") declare function host_tensor_write(h: i64, offset: i64, from: usize, n: u32): i32;
@external("xai1", "tensor_free") declare function host_tensor_free(h: i64): i32;
@external("xai1", "tokenize") declare function host_tokenize(text: usize, n: u32): i64;
@external("xai1", "forward") declare function host_forward(spec: usize, n: u32): i64;
@external("xai1", "grad") declare function host_grad(spec: usize, n: u32): i64;
@external("xai1", "generate") declare function host_generate(spec: usize, n: u32): i64;
@external("xai1", "reply_get") declare function host_reply_get(reply: i64, name: usize, n: u32, index: u32): i64;
@external("xai1", "op") declare function host_op(code: u32, spec: usize, n: u32): i64;
@external("xai1", "param_get") declare function host_param_get(name: usize, n: u32, out: usize, cap: u32): i32;
@external("xai1", "input_get") declare function host_input_get(key: u32, out: usize, cap: u32): i32;
@external("xai1", "rng_fill") declare function host_rng_fill(to: usize, n: u32): i32;
@external("xai1", "progress") declare function host_progress(done: i64, total: i64): i32;
@external("xai1", "log") declare function host_log(level: i32, line: usize, n: u32): i32;
@external("xai1", "error") declare function host_error(code: i32, text: usize, n: u32): i32;
@external("xai1", "result") declare function host_result(name: usize, n: u32, h: i64, meta: usize, metaLen: u32): i32;

// ---- Errors ----

let failure: i32 = 0; // the code of the first call that failed

/** Whether a call has failed; the method returns then. */
export function failed(): bool {
  return failure != 0;
}

/** Fails with a sentence for the user that says what to do. The method returns then. */
export function fail(code: Code, message: string): void {
  if (failure != 0) return;
  failure = code;
  const text = String.UTF8.encode(message);
  host_error(code, changetype<usize>(text), text.byteLength);
}

/** Forgets what failed and returns its code, 0 where nothing did: for a method that knows another way. */
export function recover(): Code {
  const code = failure;
  failure = 0;
  return code as Code;
}

/** The message of the host's function that failed last; empty where none did. */
export function lastError(): string {
  const n = host_input_get(Input.ERROR, 0, 0);
  const bytes = new ArrayBuffer(max(n, 0));
  host_input_get(Input.ERROR, changetype<usize>(bytes), bytes.byteLength);
  return String.UTF8.decode(bytes);
}

/** Returns what a host's function returned, and remembers where it failed. */
function check(value: i64): i64 {
  if (value >= 0) return value;
  if (failure == 0) failure = value as i32;
  return 0;
}

/** What a trap comes to, under --use abort=xai_abort: its message is in the log. */
// @ts-ignore: decorator
@global
export function xai_abort(message: string | null, file: string | null, line: u32, column: u32): void {
  log(Level.WARNING, (message === null ? "the method stopped" : message) + " at " + (file === null ? "" : file) + ":" + line.toString());
  unreachable();
}

// ---- Frames ----

/** Reads a frame that the host wrote, or a part of it. */
class Reader {
  private at: usize;
  private end: usize;

  constructor(private bytes: ArrayBuffer) {
    this.at = changetype<usize>(bytes);
    this.end = this.at + bytes.byteLength;
  }

  /** Takes the next n bytes as a reader of their own. */
  part(n: usize): Reader {
    const r = new Reader(this.bytes);
    r.at = this.take(n);
    r.end = r.at == 0 ? 0 : r.at + n;
    return r;
  }

  /**
   * Reads a frame to its end: the values of its fields, each at its tag, for tags
   * up to last, and empty ones where there is none.
   */
  fields(last: i32): Reader[] {
    const out: Reader[] = [];
    for (let tag = 0; tag <= last; tag++) out.push(this.part(0));
    while (this.left() > 0 && failure == 0) {
      const head = this.value<u32>(), tag = (head & 0xffff) as i32;
      const value = this.part(this.value<u32>());
      if (tag > 0 && tag <= last) out[tag] = value;
      else if (((head >> 16) & Flag.CRITICAL) != 0) fail(Code.UNSUPPORTED, "a frame of the host has a field that the method was not built for");
    }
    return out;
  }

  /** Fails unless there are so many numbers of 4 bytes. */
  numbers(n: i32): void {
    if (this.left() != 4 * n) fail(Code.INTERNAL, "the columns of a list of the host differ in their lengths");
  }

  /** A number, or what stands for none. */
  number(none: i32 = 0): i32 {
    return this.left() == 0 ? none : this.size();
  }

  /** The numbers that are left. */
  ints(): i32[] {
    const list: i32[] = [];
    while (this.left() >= 4) list.push(this.size());
    this.numbers(0);
    return list;
  }

  left(): i32 {
    return (this.end - this.at) as i32;
  }

  take(n: usize): usize {
    if (n > this.end - this.at) {
      fail(Code.INTERNAL, "a frame of the host ends early");
      this.at = this.end;
      return 0;
    }
    this.at += n;
    return this.at - n;
  }

  value<T>(): T {
    const p = this.take(sizeof<T>());
    return p == 0 ? (0 as T) : load<T>(p);
  }

  size(): i32 {
    return this.value<i32>();
  }

  /** The length of a list whose elements take so many bytes each at least. */
  count(size: i32): i32 {
    const n = this.size();
    if (n >= 0 && n <= this.left() / size) return n;
    fail(Code.INTERNAL, "a list of the host is longer than its frame");
    return 0;
  }

  string(): string {
    const n = this.value<u32>();
    const p = this.take(n);
    return p == 0 ? "" : String.UTF8.decodeUnsafe(p, n);
  }

  rest(): string {
    const n = this.left();
    return String.UTF8.decodeUnsafe(this.take(n), n);
  }

  strings(): string[] {
    const list = new Array<string>(this.count(4)).fill("");
    for (let i = 0; i < list.length; i++) list[i] = this.string();
    return list;
  }

  tokens(): Token[] {
    const f = this.fields(Field.TOKEN_TEXTS);
    const n = f[Field.TOKEN_IDS].left() / 4;
    for (let tag: i32 = Field.TOKEN_IDS; tag <= Field.TOKEN_FLAGS; tag++) f[tag].numbers(n);
    const list: Token[] = [];
    for (let i = 0; i < n && failure == 0; i++) {
      const t = new Token();
      t.id = f[Field.TOKEN_IDS].value<i32>();
      t.sequence = f[Field.TOKEN_SEQUENCES].size();
      t.start = f[Field.TOKEN_STARTS].size();
      t.end = f[Field.TOKEN_ENDS].size();
      t.runeStart = f[Field.TOKEN_RUNE_STARTS].size();
      t.runeEnd = f[Field.TOKEN_RUNE_ENDS].size();
      const flags = f[Field.TOKEN_FLAGS].value<u32>();
      t.special = (flags & TokenFlag.SPECIAL) != 0;
      t.fixed = (flags & TokenFlag.FIXED) != 0;
      t.text = f[Field.TOKEN_TEXTS].string();
      list.push(t);
    }
    return list;
  }

  units(): Unit[] {
    const f = this.fields(Field.UNIT_TOKENS);
    const n = f[Field.UNIT_SPAN_COUNTS].left() / 4;
    f[Field.UNIT_SPAN_COUNTS].numbers(n);
    f[Field.UNIT_TOKEN_COUNTS].numbers(n);
    const spans = f[Field.UNIT_SPANS], tokens = f[Field.UNIT_TOKENS];
    const list: Unit[] = [];
    for (let i = 0; i < n && failure == 0; i++) {
      const u = new Unit();
      u.text = f[Field.UNIT_TEXTS].string();
      for (let m = f[Field.UNIT_SPAN_COUNTS].size(); m > 0 && failure == 0; m--) u.spans.push(new Span(spans.size(), spans.size(), spans.size()));
      for (let m = f[Field.UNIT_TOKEN_COUNTS].size(); m > 0 && failure == 0; m--) u.tokens.push(tokens.size());
      list.push(u);
    }
    spans.numbers(0);
    tokens.numbers(0);
    return list;
  }
}

/** Writes a frame for the host. */
class Writer {
  private bytes: ArrayBuffer = new ArrayBuffer(256);
  length: i32 = 0;

  get pointer(): usize {
    return changetype<usize>(this.bytes);
  }

  /** Makes room for n bytes and returns where they go. */
  private room(n: i32): usize {
    const at = this.length;
    if (n > this.bytes.byteLength - at) {
      const larger = new ArrayBuffer(2 * this.bytes.byteLength + n);
      memory.copy(changetype<usize>(larger), this.pointer, at);
      this.bytes = larger;
    }
    this.length += n;
    return this.pointer + at;
  }

  value<T>(v: T): void {
    store<T>(this.room(sizeof<T>()), v);
  }

  /** The text alone, for a value that runs to its end. */
  text(s: string): void {
    const utf8 = String.UTF8.encode(s);
    memory.copy(this.room(utf8.byteLength), changetype<usize>(utf8), utf8.byteLength);
  }

  string(s: string): void {
    this.value<u32>(String.UTF8.byteLength(s));
    this.text(s);
  }

  strings(tag: u32, list: string[]): void {
    if (list.length == 0) return;
    const mark = this.open(tag);
    this.value<u32>(list.length);
    for (let i = 0; i < list.length; i++) this.string(list[i]);
    this.close(mark);
  }

  units(tag: u32, list: Unit[] | null): void {
    if (list === null) return;
    const frame = this.open(tag);
    let mark = this.open(Field.UNIT_TEXTS);
    for (let i = 0; i < list.length; i++) this.string(list[i].text);
    this.close(mark);
    mark = this.open(Field.UNIT_SPAN_COUNTS);
    for (let i = 0; i < list.length; i++) this.value<u32>(list[i].spans.length);
    this.close(mark);
    mark = this.open(Field.UNIT_SPANS);
    for (let i = 0; i < list.length; i++) {
      const spans = list[i].spans;
      for (let j = 0; j < spans.length; j++) {
        this.value<u32>(spans[j].sequence);
        this.value<u32>(spans[j].start);
        this.value<u32>(spans[j].end);
      }
    }
    this.close(mark);
    mark = this.open(Field.UNIT_TOKEN_COUNTS);
    for (let i = 0; i < list.length; i++) this.value<u32>(list[i].tokens.length);
    this.close(mark);
    mark = this.open(Field.UNIT_TOKENS);
    for (let i = 0; i < list.length; i++) {
      const tokens = list[i].tokens;
      for (let j = 0; j < tokens.length; j++) this.value<u32>(tokens[j]);
    }
    this.close(mark);
    this.close(frame);
  }

  /** Opens a critical field; close gives it its length. */
  open(tag: u32): i32 {
    this.value<u32>(tag | (Flag.CRITICAL << 16));
    this.value<u32>(0);
    return this.length;
  }

  close(mark: i32): void {
    store<u32>(this.pointer + mark - 4, this.length - mark);
  }

  /** A field of one value. */
  field<T>(tag: u32, v: T): void {
    const mark = this.open(tag);
    this.value<T>(v);
    this.close(mark);
  }
}

// ---- The request ----

/** A token. Offsets are bytes, and code points, of the original text. */
export class Token {
  id: i32 = 0;
  /** 1 in the second text of a pair. */
  sequence: i32 = 0;
  start: i32 = 0;
  end: i32 = 0;
  runeStart: i32 = 0;
  runeEnd: i32 = 0;
  /** Added by the tokenizer. */
  special: bool = false;
  /** Marked to be kept. */
  fixed: bool = false;
  text: string = "";
}

/** A range of bytes of one of the original texts. */
export class Span {
  constructor(public sequence: i32, public start: i32, public end: i32) {}
}

/** What a method drops, keeps and attributes to. */
export class Unit {
  text: string = "";
  spans: Span[] = [];
  /** Indices into the request's tokens. */
  tokens: i32[] = [];
}

/** The scalar that is explained. */
export class Target {
  /** "class", "regression", "difference" …; docs/ABI.md has all. */
  kind: string = "";
  /** For Forward.target. */
  expr: string = "";
  label: string = "";
  /** Of the class or the token, as the kind says. */
  index: i32 = 0;
  output: Output = Output.LOGIT;
  /** On the unchanged input. */
  value: f64 = 0;
  /** The tokens whose row of the last layer it is read from; none where the host does not say. */
  positions: i32[] = [];
  /** The index of what a difference subtracts. */
  second: i32 = 0;
  secondLabel: string = "";
}

/** The model under explanation. */
export class Model {
  id: string = "";
  architecture: string = "";
  task: string = "";
  /** Empty where the tokenizer has none. */
  maskToken: string = "";
  labels: string[] = [];
  /** Blocks. This and the other sizes are 0 where there is none or the host does not say. */
  layers: i32 = 0;
  /** Of attention, in each layer. */
  heads: i32 = 0;
  /** Width of the word embeddings. */
  embedding: i32 = 0;
  /** Width of the hidden states. */
  hidden: i32 = 0;
  /** Ids of tokens are less. */
  vocabulary: i32 = 0;
  /** Of the longest row that the model reads; 0 where nothing bounds it. */
  maxTokens: i32 = 0;
  /** -1 where there is none. */
  maskID: i32 = -1;
  /** -1 where there is none. */
  padID: i32 = -1;
  specialIDs: i32[] = [];
}

function input(key: u32): ArrayBuffer {
  if (failure != 0) return new ArrayBuffer(0);
  const bytes = new ArrayBuffer(check(host_input_get(key, 0, 0)) as i32);
  check(host_input_get(key, changetype<usize>(bytes), bytes.byteLength));
  return bytes;
}

/** The text; empty where the input is raw token ids. */
export function text(): string {
  return String.UTF8.decode(input(Input.TEXT));
}

/** The second text of a pair, null where there is none. */
export function textPair(): string | null {
  if (failure != 0 || host_input_get(Input.TEXT_PAIR, 0, 0) == Code.NAME) return null;
  return String.UTF8.decode(input(Input.TEXT_PAIR));
}

/** The token ids, special ones included. */
export function ids(): Int32Array {
  return Int32Array.wrap(input(Input.IDS));
}

/** The tokens, special ones included. */
export function tokens(): Token[] {
  const bytes = input(Input.TOKENS);
  return failure != 0 ? [] : new Reader(bytes).tokens();
}

/** The units: a partition of the tokens that are neither special nor fixed. */
export function units(): Unit[] {
  const bytes = input(Input.UNITS);
  return failure != 0 ? [] : new Reader(bytes).units();
}

/** For each token, 1 where it is special. */
export function special(): Uint8Array {
  return Uint8Array.wrap(input(Input.SPECIAL));
}

/** For each token, 1 where it is never dropped. */
export function keep(): Uint8Array {
  return Uint8Array.wrap(input(Input.KEEP));
}

/** The target, with the model's output on the unchanged input. */
export function target(): Target {
  const r = new Reader(input(Input.TARGET));
  const t = new Target();
  if (failure != 0) return t;
  const f = r.fields(Field.TARGET_SECOND_LABEL);
  t.kind = f[Field.TARGET_KIND].rest();
  t.expr = f[Field.TARGET_EXPRESSION].rest();
  t.label = f[Field.TARGET_LABEL].rest();
  t.index = f[Field.TARGET_INDEX].number();
  const output = f[Field.TARGET_OUTPUT].number();
  if (output < Output.LOGIT || output > Output.LOGPROB) fail(Code.UNSUPPORTED, "the target has an output that the method was not built for");
  t.output = output as Output;
  t.value = f[Field.TARGET_VALUE].value<f64>();
  t.positions = f[Field.TARGET_POSITIONS].ints();
  t.second = f[Field.TARGET_SECOND].number();
  t.secondLabel = f[Field.TARGET_SECOND_LABEL].rest();
  return t;
}

/** The run's seed. */
export function seed(): u64 {
  const r = new Reader(input(Input.SEED));
  return failure != 0 ? 0 : r.value<u64>();
}

/** The model under explanation. */
export function model(): Model {
  const r = new Reader(input(Input.MODEL));
  const m = new Model();
  if (failure != 0) return m;
  const f = r.fields(Field.MODEL_SPECIAL_IDS);
  m.id = f[Field.MODEL_ID].rest();
  m.architecture = f[Field.MODEL_ARCHITECTURE].rest();
  m.task = f[Field.MODEL_TASK].rest();
  m.maskToken = f[Field.MODEL_MASK_TOKEN].rest();
  if (f[Field.MODEL_LABELS].left() > 0) m.labels = f[Field.MODEL_LABELS].strings();
  m.layers = f[Field.MODEL_LAYERS].number();
  m.heads = f[Field.MODEL_HEADS].number();
  m.embedding = f[Field.MODEL_EMBEDDING].number();
  m.hidden = f[Field.MODEL_HIDDEN].number();
  m.vocabulary = f[Field.MODEL_VOCABULARY].number();
  m.maxTokens = f[Field.MODEL_MAX_TOKENS].number();
  m.maskID = f[Field.MODEL_MASK_ID].number(-1);
  m.padID = f[Field.MODEL_PAD_ID].number(-1);
  m.specialIDs = f[Field.MODEL_SPECIAL_IDS].ints();
  return m;
}

/** The needs that were granted. */
export function grants(): string[] {
  const r = new Reader(input(Input.GRANTS));
  return failure != 0 ? [] : r.strings();
}

/** The value of a declared parameter behind its type, which is one of two. */
function param(name: string, type: u32, orType: u32): Reader {
  if (failure != 0) return new Reader(new ArrayBuffer(8));
  const key = String.UTF8.encode(name);
  const bytes = new ArrayBuffer(check(host_param_get(changetype<usize>(key), key.byteLength, 0, 0)) as i32);
  check(host_param_get(changetype<usize>(key), key.byteLength, changetype<usize>(bytes), bytes.byteLength));
  const r = new Reader(bytes);
  if (failure != 0) return r;
  const have = r.value<u32>();
  if (have != type && have != orType) fail(Code.INTERNAL, "the parameter " + name + " has another type than the method reads");
  return r;
}

/** The value of a parameter of type int. */
export function paramInt(name: string): i64 {
  const r = param(name, Param.INT, Param.INT);
  return failure != 0 ? 0 : r.value<i64>();
}

/** The value of a parameter of type float. */
export function paramFloat(name: string): f64 {
  const r = param(name, Param.FLOAT, Param.FLOAT);
  return failure != 0 ? 0 : r.value<f64>();
}

/** The value of a parameter of type bool. */
export function paramBool(name: string): bool {
  const r = param(name, Param.BOOL, Param.BOOL);
  return failure == 0 && r.value<u8>() != 0;
}

/** The value of a parameter of type string or enum. */
export function paramString(name: string): string {
  const r = param(name, Param.STRING, Param.ENUM);
  return failure != 0 ? "" : r.rest();
}

// ---- Tensors ----

/** What to read of one dimension: count elements from start on, step apart. */
export class Stride {
  constructor(public start: i32, public count: i32, public step: i32 = 1) {}
}

/** The DType of a typed array's elements. */
function dtypeOf<T>(): DType {
  if (isFloat<valueof<T>>()) return sizeof<valueof<T>>() == 4 ? DType.F32 : DType.F64;
  return sizeof<valueof<T>>() == 1 ? DType.U8 : sizeof<valueof<T>>() == 4 ? DType.I32 : DType.I64;
}

function product(shape: i32[]): i32 {
  let n = 1;
  for (let i = 0; i < shape.length; i++) n *= shape[i];
  return n;
}

/** A dense row-major array that the host holds until the explanation ends, or until free. */
export class Tensor {
  constructor(readonly handle: i64) {}

  /** Makes a tensor of zeros: Tensor.zeros<Float64Array>([2, 3]). */
  static zeros<T extends ArrayBufferView>(shape: i32[]): Tensor {
    if (failure != 0) return new Tensor(0);
    const dims = new StaticArray<i64>(shape.length);
    for (let i = 0; i < shape.length; i++) dims[i] = shape[i];
    return new Tensor(check(host_tensor_new(dtypeOf<T>(), shape.length, changetype<usize>(dims))));
  }

  /** Makes a tensor of values, as many as the product of the shape. */
  static of<T extends ArrayBufferView>(values: T, shape: i32[]): Tensor {
    if (product(shape) * (sizeof<valueof<T>>() as i32) != values.byteLength) fail(Code.INTERNAL, "the shape of a tensor does not match its values");
    const t = Tensor.zeros<T>(shape);
    t.write<T>(0, values);
    return t;
  }

  /** The type of the elements. */
  get dtype(): DType {
    return this.info().value<i32>() as DType;
  }

  get shape(): i32[] {
    const r = this.info();
    const shape = new Array<i32>();
    r.size();
    for (let rank = r.size(); rank > 0; rank--) shape.push(r.value<i64>() as i32);
    return shape;
  }

  private info(): Reader {
    const bytes = new ArrayBuffer(8 + 8 * 8);
    if (failure == 0) check(host_tensor_info(this.handle, changetype<usize>(bytes), bytes.byteLength));
    return new Reader(bytes);
  }

  /** Reads all elements: t.read<Float64Array>(). */
  read<T extends ArrayBufferView>(): T {
    if (failure == 0 && this.dtype != dtypeOf<T>()) fail(Code.INTERNAL, "a tensor is read as another type than it has");
    const out = instantiate<T>(failure != 0 ? 0 : product(this.shape));
    this.readAt<T>(0, out);
    return out;
  }

  /** Reads as many elements as out has, from the element start on. */
  readAt<T extends ArrayBufferView>(start: i32, out: T): void {
    if (failure == 0) check(host_tensor_read(this.handle, (start as i64) * sizeof<valueof<T>>(), out.dataStart, out.byteLength));
  }

  /** Reads a grid, one stride a dimension: one head, one row. */
  readStrided<T extends ArrayBufferView>(dims: Stride[]): T {
    const spec = new Writer();
    let n = 1;
    for (let i = 0; i < dims.length; i++) {
      spec.value<i64>(dims[i].start);
      spec.value<i64>(dims[i].count);
      spec.value<i64>(dims[i].step);
      n *= dims[i].count;
    }
    const out = instantiate<T>(failure != 0 ? 0 : n);
    if (failure == 0) check(host_tensor_read_strided(this.handle, spec.pointer, spec.length, out.dataStart, out.byteLength));
    return out;
  }

  /** Writes elements from the element start on, to a tensor that the method made. */
  write<T extends ArrayBufferView>(start: i32, values: T): void {
    if (failure == 0) check(host_tensor_write(this.handle, (start as i64) * sizeof<valueof<T>>(), values.dataStart, values.byteLength));
  }

  /** Drops the tensor before the explanation ends. */
  free(): void {
    if (failure == 0) check(host_tensor_free(this.handle));
  }
}

// ---- The model ----

/** A fill policy with its argument. */
export class Fill {
  constructor(public kind: FillKind, public text: string = "", public token: i32 = 0) {}

  /** The policy of that name, as parameters spell it; null where there is none. */
  static named(name: string): Fill | null {
    const kind = ["mask", "pad", "delete", "zero", "text", "token", "hide", "average"].indexOf(name);
    return kind < 0 ? null : new Fill(kind as FillKind);
  }
}

/** A change of activations at a point. The value is that of REPLACE, ADD and SCALE. Needs "patch". */
export class Edit {
  constructor(public point: string, public op: EditOp, public value: Tensor | null = null) {}
}

/**
 * Variants of the input to evaluate. Exactly one of units, masks, texts, ids and
 * embeds says what the rows are.
 */
export class Forward {
  /** u8 [N,U]: 1 keeps a unit, 0 drops it. */
  units: Tensor | null = null;
  /** u8 [N,T]: the same for tokens. */
  masks: Tensor | null = null;
  texts: string[] | null = null;
  /** Rows of token ids, special ones included. */
  ids: Int32Array[] | null = null;
  /** f32 [N,T,D]. Needs "embeddings". */
  embeds: Tensor | null = null;

  fill: Fill = new Fill(FillKind.MASK);
  /** The columns of units in place of the request's units. */
  over: Unit[] | null = null;
  /** A target expression in place of the request's target, where it is not empty. */
  target: string = "";
  /** Runs equal rows again. */
  keepDuplicates: bool = false;
  /** The outputs that the reply has; empty for all. */
  want: Want[] = [];
  /** The activations that the reply has. */
  points: string[] = [];
  /** In order. */
  edits: Edit[] = [];
  /** How gradient passes the target back; of that alone. */
  rule: Rule = Rule.GRADIENT;

  /** Evaluates all rows in one call: a thousand cost one. Needs "forward". */
  run(): Reply {
    const own: Tensor[] = [];
    const w = this.spec([], own);
    const reply = new Reply(failure != 0 ? 0 : check(host_forward(w.pointer, w.length)));
    freeAll(own);
    return reply;
  }

  /**
   * Evaluates, and takes the gradient of each row's target at the points wrt, or
   * the relevance there by another rule, which Reply.gradient has. Needs
   * "gradients".
   */
  gradient(wrt: string[]): Reply {
    const own: Tensor[] = [];
    const w = this.spec(wrt, own);
    const reply = new Reply(failure != 0 ? 0 : check(host_grad(w.pointer, w.length)));
    freeAll(own);
    return reply;
  }

  /** Writes the spec. The tensors that it makes for it go to own. */
  private spec(wrt: string[], own: Tensor[]): Writer {
    const w = new Writer();
    const units = this.units, masks = this.masks, embeds = this.embeds, texts = this.texts, ids = this.ids;
    if (units !== null) w.field<i64>(Field.UNITS, units.handle);
    if (masks !== null) w.field<i64>(Field.MASKS, masks.handle);
    if (embeds !== null) w.field<i64>(Field.EMBEDS, embeds.handle);
    if (texts !== null) {
      const offsets = new Int64Array(texts.length + 1);
      const joined = new Writer();
      for (let i = 0; i < texts.length; i++) {
        joined.text(texts[i]);
        offsets[i + 1] = joined.length;
      }
      const bytes = new Uint8Array(joined.length);
      memory.copy(bytes.dataStart, joined.pointer, joined.length);
      own.push(Tensor.of<Uint8Array>(bytes, [bytes.length]));
      own.push(Tensor.of<Int64Array>(offsets, [offsets.length]));
      const mark = w.open(Field.TEXTS);
      w.value<i64>(own[0].handle);
      w.value<i64>(own[1].handle);
      w.close(mark);
    }
    if (ids !== null) {
      let width = 0;
      for (let i = 0; i < ids.length; i++) width = max(width, ids[i].length);
      const padded = new Int32Array(ids.length * width);
      const lengths = new Int32Array(ids.length);
      for (let i = 0; i < ids.length; i++) {
        padded.set(ids[i], i * width);
        lengths[i] = ids[i].length;
      }
      own.push(Tensor.of<Int32Array>(padded, [ids.length, width]));
      own.push(Tensor.of<Int32Array>(lengths, [ids.length]));
      const mark = w.open(Field.IDS);
      w.value<i64>(own[own.length - 2].handle);
      w.value<i64>(own[own.length - 1].handle);
      w.close(mark);
    }
    let mark = w.open(Field.FILL);
    w.value<u32>(this.fill.kind);
    w.value<i32>(this.fill.token);
    w.text(this.fill.text);
    w.close(mark);
    if (this.target.length > 0) {
      mark = w.open(Field.TARGET);
      w.text(this.target);
      w.close(mark);
    }
    w.units(Field.OVER, this.over);
    if (this.keepDuplicates) w.field<u8>(Field.DEDUP, 0);
    if (this.want.length > 0) {
      mark = w.open(Field.WANT);
      for (let i = 0; i < this.want.length; i++) w.value<u32>(this.want[i]);
      w.close(mark);
    }
    w.strings(Field.POINTS, this.points);
    if (this.edits.length > 0) {
      mark = w.open(Field.EDITS);
      w.value<u32>(this.edits.length);
      for (let i = 0; i < this.edits.length; i++) {
        const value = this.edits[i].value;
        w.string(this.edits[i].point);
        w.value<u32>(this.edits[i].op);
        w.value<i64>(value === null ? 0 : value.handle);
      }
      w.close(mark);
    }
    w.strings(Field.WRT, wrt);
    if (this.rule != Rule.GRADIENT) w.field<u32>(Field.RULE, this.rule);
    return w;
  }
}

function freeAll(list: Tensor[]): void {
  for (let i = 0; i < list.length; i++) list[i].free();
}

/** The outputs of a forward, which the host holds until the explanation ends, or until free. */
export class Reply {
  constructor(readonly handle: i64) {}

  /**
   * An output: "target", "logits" …, or a point's name. The index selects one of
   * several points that one name stands for.
   */
  tensor(name: string, index: i32 = 0): Tensor {
    if (failure != 0) return new Tensor(0);
    const utf8 = String.UTF8.encode(name);
    return new Tensor(check(host_reply_get(this.handle, changetype<usize>(utf8), utf8.byteLength, index)));
  }

  /** The gradient at a point. */
  gradient(point: string, index: i32 = 0): Tensor {
    return this.tensor("grad(" + point + ")", index);
  }

  /** All elements of an output: reply.read<Float64Array>("logits"). */
  read<T extends ArrayBufferView>(name: string, index: i32 = 0): T {
    const t = this.tensor(name, index);
    const out = t.read<T>();
    t.free();
    return out;
  }

  /** Drops the reply before the explanation ends. */
  free(): void {
    if (failure == 0) check(host_tensor_free(this.handle));
  }
}

/**
 * The target's value on each row of keep [rows,units], where 1 keeps one of the
 * request's units and 0 drops it: all that many a method asks of a model. Needs
 * "forward".
 */
export function evaluate(keep: Uint8Array, units: i32, fill: Fill): Float64Array {
  const f = new Forward();
  f.units = Tensor.of<Uint8Array>(keep, [keep.length / max(units, 1), units]);
  f.fill = fill;
  f.want = [Want.TARGET];
  const reply = f.run();
  f.units!.free();
  const values = reply.read<Float64Array>("target");
  reply.free();
  return values;
}

/** How a row of tokens is continued. */
export class Generation {
  /** Null for the request's tokens. */
  prompt: Int32Array | null = null;
  /** 0 takes the most probable token every time. */
  temperature: f64 = 0;
  topK: i32 = 0;
  topP: f64 = 0;
  seed: u64 = 0;

  /** maxTokens says how many tokens are added at most. */
  constructor(public maxTokens: i32) {}

  /** Continues the tokens. Needs "generate". */
  run(): Continuation {
    const w = new Writer();
    w.field<u32>(Field.MAX_TOKENS, this.maxTokens);
    const own: Tensor[] = [];
    const prompt = this.prompt;
    if (prompt !== null) {
      own.push(Tensor.of<Int32Array>(prompt, [prompt.length]));
      w.field<i64>(Field.PROMPT, own[0].handle);
    }
    w.field<f64>(Field.TEMPERATURE, this.temperature);
    w.field<u32>(Field.TOP_K, this.topK);
    w.field<f64>(Field.TOP_P, this.topP);
    w.field<u64>(Field.SEED, this.seed);
    const reply = new Reply(failure != 0 ? 0 : check(host_generate(w.pointer, w.length)));
    freeAll(own);
    const text = reply.read<Uint8Array>("text");
    const out = new Continuation(reply.read<Int32Array>("ids"), reply.read<Float64Array>("logprobs"), String.UTF8.decodeUnsafe(text.dataStart, text.length));
    reply.free();
    return out;
  }
}

/** What a model generated: logprobs are those of each token by the model itself, text is what the tokens add. */
export class Continuation {
  constructor(public ids: Int32Array, public logprobs: Float64Array, public text: string) {}
}

/** Cuts a text into tokens, special ones included. Needs "tokenize". */
export function tokenize(text: string): Token[] {
  if (failure != 0) return [];
  const utf8 = String.UTF8.encode(text);
  const reply = new Reply(check(host_tokenize(changetype<usize>(utf8), utf8.byteLength)));
  const bytes = reply.read<Uint8Array>("tokens");
  reply.free();
  return failure != 0 ? [] : new Reader(bytes.buffer).tokens();
}

// ---- The host's arithmetic: native speed, the same bits everywhere ----

/** An operation on tensors of f64. */
export function op(code: Op, operands: Tensor[], scalars: f64[] = []): Tensor {
  if (failure != 0) return new Tensor(0);
  const w = new Writer();
  let mark = w.open(Field.OPERANDS);
  for (let i = 0; i < operands.length; i++) w.value<i64>(operands[i].handle);
  w.close(mark);
  mark = w.open(Field.SCALARS);
  for (let i = 0; i < scalars.length; i++) w.value<f64>(scalars[i]);
  w.close(mark);
  return new Tensor(check(host_op(code, w.pointer, w.length)));
}

/**
 * Weighted ridge regression: x [N,U], y [N], weights [N] give [U+1], the
 * intercept last and not penalised.
 */
export function ridge(x: Tensor, y: Tensor, weights: Tensor, penalty: f64): Tensor {
  return op(Op.RIDGE, [x, y, weights], [penalty]);
}

/** [N,K] times [K,M]. */
export function matmul(a: Tensor, b: Tensor): Tensor {
  return op(Op.MATMUL, [a, b]);
}

/** Softmax over the last dimension. */
export function softmax(t: Tensor): Tensor {
  return op(Op.SOFTMAX, [t]);
}

/** The indices of the k largest of [N], an Int64Array of k. */
export function topK(t: Tensor, k: i32): Tensor {
  return op(Op.TOPK, [t], [k as f64]);
}

/** The sum over the last dimension, which is gone then. */
export function sum(t: Tensor): Tensor {
  return op(Op.SUM, [t]);
}

/** The mean over the last dimension, which is gone then. */
export function mean(t: Tensor): Tensor {
  return op(Op.MEAN, [t]);
}

// ---- Reports ----

/** Writes one line to the user's log. */
export function log(level: Level, line: string): void {
  const utf8 = String.UTF8.encode(line);
  host_log(level, changetype<usize>(utf8), utf8.byteLength);
}

/**
 * Reports work of the method's own; the host reports that of forwards. It fails
 * with CANCELLED once the user gave up.
 */
export function progress(done: i64, total: i64): void {
  if (failure == 0) check(host_progress(done, total));
}

/** Fills out with the next bytes of the run's random stream, which the seed determines. */
export function random(out: Uint8Array): void {
  if (failure == 0) check(host_rng_fill(out.dataStart, out.byteLength));
}

/** The next number of the run's random stream. */
export function randomU64(): u64 {
  const bytes = new Uint8Array(8);
  random(bytes);
  return load<u64>(bytes.dataStart);
}

// ---- Results ----

/**
 * Hands over a tensor under a name, with one axis a dimension. It can no longer be
 * written. Units replace the request's, with "attributions" alone.
 */
export function result(name: string, t: Tensor, axes: string[], units: Unit[] | null = null): void {
  if (failure != 0) return;
  const w = new Writer();
  w.strings(Field.AXES, axes);
  w.units(Field.RESULT_UNITS, units);
  const utf8 = String.UTF8.encode(name);
  check(host_result(changetype<usize>(utf8), utf8.byteLength, t.handle, w.pointer, w.length));
}

/** Hands over the attributions: one value a unit. Every method does, once. */
export function attributions(values: Float64Array): void {
  attribution("attributions", "units", values);
}

/**
 * Hands over values over "units" or "tokens" under a name: a further attribution,
 * or NAME.stderr, the standard errors of the attribution NAME.
 */
export function attribution(name: string, over: string, values: Float64Array): void {
  const t = Tensor.of<Float64Array>(values, [values.length]);
  result(name, t, [over]);
  t.free();
}

function scalar(name: string, value: f64): void {
  const values = new Float64Array(1);
  values[0] = value;
  const t = Tensor.of<Float64Array>(values, []);
  result(name, t, []);
  t.free();
}

/** Hands over the target's value at the method's baseline. */
export function baseline(value: f64): void {
  scalar("baseline", value);
}

/** Hands over a number that says how far to trust the values. */
export function diagnostic(name: string, value: f64): void {
  scalar("diagnostics." + name, value);
}

// ---- The method ----

let methodName: string = "";
let description: ArrayBuffer = new ArrayBuffer(0);
let run: () => void = (): void => {};
let buffers: ArrayBuffer[] = []; // what xai_alloc gave, until the explanation is over

/**
 * Says which method the module holds. Behind the name come, as JSON, the members
 * of the section xai.method: "version", "summary", "source", "needs" and "params".
 * A parameter has "name", "type" ("int", "float", "bool", "string" or "enum"),
 * "default" and "doc", and where they apply "min", "max", "values" and "aliases".
 */
export function method(name: string, json: string, explain: () => void): void {
  methodName = name;
  description = String.UTF8.encode(`{"abi": "1.0", "name": "${name}", ${json}}`);
  run = explain;
}

export function xai_abi(): i32 {
  return ABI;
}

export function xai_describe(): i64 {
  return ((changetype<usize>(description) as i64) << 32) | description.byteLength;
}

export function xai_alloc(n: i32): usize {
  const buffer = new ArrayBuffer(n);
  buffers.push(buffer);
  return changetype<usize>(buffer);
}

export function xai_explain(request: usize, n: u32): i32 {
  const frame = new ArrayBuffer(n);
  memory.copy(changetype<usize>(frame), request, n);
  const wanted = new Reader(frame).fields(Field.METHOD)[Field.METHOD].rest();
  if (wanted != methodName) fail(Code.NAME, "the module has no method " + wanted);
  if (failure == 0) run();
  buffers = [];
  return failure;
}
