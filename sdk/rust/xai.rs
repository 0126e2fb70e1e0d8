//! Explanation methods for xai, written in Rust. One file, no crates.
//!
//! A method is one WebAssembly module under ABI 1, which docs/ABI.md describes.
//! This is a complete one: what the target loses when each unit is dropped.
//!
//! ```ignore
//! mod xai;
//!
//! xai::method! {
//!     name: "leave-one-out", version: "1.0.0",
//!     summary: "What the target loses when each unit is dropped",
//!     needs: ["forward"], params: Params {}, explain: explain,
//! }
//!
//! fn explain(_: Params) -> xai::Result<()> {
//!     let (n, value) = (xai::units()?.len(), xai::target()?.value);
//!     let keep: Vec<u8> = (0..n * n).map(|i| (i % (n + 1) != 0) as u8).collect(); // row i drops unit i
//!     let without = xai::evaluate(&keep, n, xai::Fill::Mask)?;
//!     xai::attributions(&without.iter().map(|v| value - v).collect::<Vec<_>>())
//! }
//! ```
//!
//! and this builds it:
//!
//! ```text
//! rustc --edition 2021 --crate-type cdylib --target wasm32-unknown-unknown \
//!     -C opt-level=s -C lto -C panic=abort -C strip=symbols -o method.wasm method.rs
//! ```
//!
//! Put this file beside the crate's root as `xai.rs`. Tensors and replies are handles of the
//! host's, which are freed when they are dropped. `?` passes an error of the host on, and the user
//! reads the host's own sentence. Rust 1.63 and later; on other targets than wasm32 every call
//! fails, so that a method's own arithmetic can be tested there.

#![allow(dead_code)] // a method uses what it needs

use std::cell::RefCell;
use std::fmt;
use std::mem::{size_of, size_of_val};

/// ABI version that this file speaks, as `xai_abi` returns it.
pub const ABI: i32 = 1 << 16;

/// The keys of the host's inputs.
mod input {
    pub const TEXT: u32 = 1;
    pub const TEXT_PAIR: u32 = 2;
    pub const IDS: u32 = 3;
    pub const TOKENS: u32 = 4;
    pub const UNITS: u32 = 5;
    pub const SPECIAL: u32 = 6;
    pub const KEEP: u32 = 7;
    pub const TARGET: u32 = 8;
    pub const SEED: u32 = 9;
    pub const MODEL: u32 = 10;
    pub const GRANTS: u32 = 11;
    pub const ERROR: u32 = 12;
}

/// The tags of the fields of frames.
mod field {
    // The request frame.
    pub const METHOD: usize = 1;

    // A forward, and a gradient.
    pub const UNITS: usize = 1;
    pub const MASKS: usize = 2;
    pub const TEXTS: usize = 3;
    pub const IDS: usize = 4;
    pub const FILL: usize = 5;
    pub const TARGET: usize = 6;
    pub const OVER: usize = 7;
    pub const DEDUP: usize = 8;
    pub const WANT: usize = 9;
    pub const EMBEDS: usize = 10;
    pub const POINTS: usize = 11;
    pub const EDITS: usize = 12;
    pub const WRT: usize = 13;
    pub const RULE: usize = 14;

    // A generation.
    pub const MAX_TOKENS: usize = 1;
    pub const PROMPT: usize = 2;
    pub const TEMPERATURE: usize = 3;
    pub const TOP_K: usize = 4;
    pub const TOP_P: usize = 5;
    pub const SEED: usize = 6;

    // An operation.
    pub const OPERANDS: usize = 1;
    pub const SCALARS: usize = 2;

    // The meta of a result.
    pub const AXES: usize = 1;
    pub const RESULT_UNITS: usize = 2;

    // A list of tokens.
    pub const TOKEN_IDS: usize = 1;
    pub const TOKEN_SEQUENCES: usize = 2;
    pub const TOKEN_STARTS: usize = 3;
    pub const TOKEN_ENDS: usize = 4;
    pub const TOKEN_RUNE_STARTS: usize = 5;
    pub const TOKEN_RUNE_ENDS: usize = 6;
    pub const TOKEN_FLAGS: usize = 7;
    pub const TOKEN_TEXTS: usize = 8;

    // A list of units.
    pub const UNIT_TEXTS: usize = 1;
    pub const UNIT_SPAN_COUNTS: usize = 2;
    pub const UNIT_SPANS: usize = 3;
    pub const UNIT_TOKEN_COUNTS: usize = 4;
    pub const UNIT_TOKENS: usize = 5;

    // A target.
    pub const TARGET_KIND: usize = 1;
    pub const TARGET_EXPRESSION: usize = 2;
    pub const TARGET_LABEL: usize = 3;
    pub const TARGET_INDEX: usize = 4;
    pub const TARGET_OUTPUT: usize = 5;
    pub const TARGET_VALUE: usize = 6;
    pub const TARGET_POSITIONS: usize = 7;
    pub const TARGET_SECOND: usize = 8;
    pub const TARGET_SECOND_LABEL: usize = 9;

    // A model.
    pub const MODEL_ID: usize = 1;
    pub const MODEL_ARCHITECTURE: usize = 2;
    pub const MODEL_TASK: usize = 3;
    pub const MODEL_MASK_TOKEN: usize = 4;
    pub const MODEL_LABELS: usize = 5;
    pub const MODEL_LAYERS: usize = 6;
    pub const MODEL_HEADS: usize = 7;
    pub const MODEL_EMBEDDING: usize = 8;
    pub const MODEL_HIDDEN: usize = 9;
    pub const MODEL_VOCABULARY: usize = 10;
    pub const MODEL_MAX_TOKENS: usize = 11;
    pub const MODEL_MASK_ID: usize = 12;
    pub const MODEL_PAD_ID: usize = 13;
    pub const MODEL_SPECIAL_IDS: usize = 14;
}

/// The types in front of a parameter's value.
mod param_type {
    pub const INT: u32 = 1;
    pub const FLOAT: u32 = 2;
    pub const BOOL: u32 = 3;
    pub const STRING: u32 = 4;
    pub const ENUM: u32 = 5;
}

/// The flags of a token.
mod token {
    pub const SPECIAL: u32 = 1;
    pub const FIXED: u32 = 2;
}

/// The flags of a field.
mod flag {
    pub const CRITICAL: u32 = 1;
}

// ---- Errors ----

pub type Result<T> = std::result::Result<T, Error>;

/// The class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// An argument or a frame is malformed.
    Invalid = -1,
    /// No such tensor or reply.
    Handle = -2,
    /// The need was not granted.
    Cap = -3,
    /// A pointer outside the memory.
    Fault = -4,
    /// An index or size out of range.
    Range = -5,
    /// The memory limit.
    NoMem = -6,
    /// A limit of the run.
    Quota = -7,
    /// The user or the deadline ended the run.
    Cancelled = -8,
    /// The model or the host cannot do it.
    Unsupported = -9,
    /// A defect of the host or the method.
    Internal = -10,
    /// No such name, or one that cannot be used.
    Name = -11,
}

impl Code {
    fn of(code: i64) -> Code {
        use Code::*;
        let codes = [
            Invalid,
            Handle,
            Cap,
            Fault,
            Range,
            NoMem,
            Quota,
            Cancelled,
            Unsupported,
            Internal,
            Name,
        ];
        codes
            .into_iter()
            .find(|c| *c as i64 == code)
            .unwrap_or(Internal)
    }
}

/// An error with a sentence for the user that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    pub message: String,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => write!(f, "{:?}", self.code),
            message => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

/// The error of input that the method refuses.
pub fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(Code::Invalid, message))
}

/// Turns what a function of the host returned into a result.
fn check(value: i64) -> Result<i64> {
    if value >= 0 {
        return Ok(value);
    }
    let mut message = vec![0; 1024];
    let n = unsafe { host::input_get(input::ERROR, message.as_mut_ptr(), message.len()) };
    message.truncate(n.max(0) as usize);
    Err(Error::new(
        Code::of(value),
        String::from_utf8_lossy(&message),
    ))
}

// ---- The host's functions ----

mod host {
    macro_rules! imports {
        ($(fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
            #[cfg(target_arch = "wasm32")]
            #[link(wasm_import_module = "xai1")]
            extern "C" {
                $(pub fn $name($($argument: $type),*) -> $result;)*
            }
            $(
                #[cfg(not(target_arch = "wasm32"))]
                pub unsafe fn $name($(_: $type),*) -> $result {
                    super::Code::Unsupported as $result
                }
            )*
        };
    }

    imports! {
        fn tensor_new(dtype: u32, rank: usize, dims: *const i64) -> i64;
        fn tensor_info(h: i64, out: *mut u8, cap: usize) -> i32;
        fn tensor_read(h: i64, offset: i64, to: *mut u8, n: usize) -> i32;
        fn tensor_read_strided(h: i64, spec: *const u8, spec_len: usize, to: *mut u8, cap: usize) -> i32;
        fn tensor_write(h: i64, offset: i64, from: *const u8, n: usize) -> i32;
        fn tensor_free(h: i64) -> i32;
        fn tokenize(text: *const u8, n: usize) -> i64;
        fn forward(spec: *const u8, n: usize) -> i64;
        fn grad(spec: *const u8, n: usize) -> i64;
        fn generate(spec: *const u8, n: usize) -> i64;
        fn reply_get(reply: i64, name: *const u8, n: usize, index: u32) -> i64;
        fn op(code: u32, spec: *const u8, n: usize) -> i64;
        fn param_get(name: *const u8, n: usize, out: *mut u8, cap: usize) -> i32;
        fn input_get(key: u32, out: *mut u8, cap: usize) -> i32;
        fn rng_fill(to: *mut u8, n: usize) -> i32;
        fn progress(done: i64, total: i64) -> i32;
        fn log(level: i32, line: *const u8, n: usize) -> i32;
        fn error(code: i32, text: *const u8, n: usize) -> i32;
        fn result(name: *const u8, n: usize, h: i64, meta: *const u8, meta_len: usize) -> i32;
    }
}

/// Fetches an answer of the host, which tells its length first.
fn fetch(mut get: impl FnMut(*mut u8, usize) -> i32) -> Result<Vec<u8>> {
    let n = check(get(std::ptr::null_mut(), 0).into())?;
    let mut bytes = vec![0; n as usize];
    check(get(bytes.as_mut_ptr(), bytes.len()).into())?;
    Ok(bytes)
}

// ---- Frames ----

/// Reads a frame that the host wrote.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        if n > self.0.len() {
            return Err(Error::new(Code::Internal, "a frame of the host ends early"));
        }
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn size(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    fn string(&mut self) -> Result<String> {
        let n = self.size()?;
        Ok(utf8(self.take(n)?))
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let n = self.size()?;
        (0..n).map(|_| read(self)).collect()
    }

    fn strings(&mut self) -> Result<Vec<String>> {
        self.list(Reader::string)
    }

    /// The bytes that are left, as a text.
    fn rest(&mut self) -> String {
        utf8(std::mem::take(&mut self.0))
    }

    /// A number, 0 where nothing is left.
    fn number(&mut self) -> Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        self.size()
    }

    /// A token's id, none where nothing is left.
    fn id(&mut self) -> Result<Option<i32>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.u32()? as i32))
    }

    /// The numbers that are left.
    fn numbers(&mut self) -> Result<Vec<u32>> {
        let mut out = Vec::with_capacity(self.0.len() / 4);
        while !self.0.is_empty() {
            out.push(self.u32()?);
        }
        Ok(out)
    }

    /// Reads a frame to its end: the values of its fields, each at its tag, for tags up to `last`,
    /// and empty ones where there is none.
    fn fields(&mut self, last: usize) -> Result<Vec<Reader<'a>>> {
        let mut out = vec![Reader(&[]); last + 1];
        while !self.0.is_empty() {
            let head = self.u32()?;
            let n = self.size()?;
            let value = Reader(self.take(n)?);
            match (head & 0xffff) as usize {
                tag if tag > 0 && tag <= last => out[tag] = value,
                _ if head >> 16 & flag::CRITICAL != 0 => {
                    return Err(Error::new(
                        Code::Unsupported,
                        "a frame of the host has a field that the method was not built for",
                    ))
                }
                _ => {}
            }
        }
        Ok(out)
    }

    fn tokens(&mut self) -> Result<Vec<Token>> {
        let mut f = self.fields(field::TOKEN_TEXTS)?;
        let n = f[field::TOKEN_IDS].0.len() / 4;
        let columns = &f[field::TOKEN_IDS..=field::TOKEN_FLAGS];
        if columns.iter().any(|c| c.0.len() != 4 * n) || f[field::TOKEN_TEXTS].0.len() < 4 * n {
            return Err(uneven());
        }
        let list = (0..n).map(|_| {
            let mut t = Token {
                id: f[field::TOKEN_IDS].u32()? as i32,
                sequence: f[field::TOKEN_SEQUENCES].size()?,
                start: f[field::TOKEN_STARTS].size()?,
                end: f[field::TOKEN_ENDS].size()?,
                rune_start: f[field::TOKEN_RUNE_STARTS].size()?,
                rune_end: f[field::TOKEN_RUNE_ENDS].size()?,
                text: f[field::TOKEN_TEXTS].string()?,
                ..Token::default()
            };
            let flags = f[field::TOKEN_FLAGS].u32()?;
            t.special = flags & token::SPECIAL != 0;
            t.fixed = flags & token::FIXED != 0;
            Ok(t)
        });
        list.collect()
    }

    fn units(&mut self) -> Result<Vec<Unit>> {
        let mut f = self.fields(field::UNIT_TOKENS)?;
        let n = f[field::UNIT_SPAN_COUNTS].0.len() / 4;
        if f[field::UNIT_SPAN_COUNTS].0.len() != 4 * n
            || f[field::UNIT_TOKEN_COUNTS].0.len() != 4 * n
            || f[field::UNIT_TEXTS].0.len() < 4 * n
        {
            return Err(uneven());
        }
        let mut list = Vec::with_capacity(n);
        for _ in 0..n {
            let mut u = Unit {
                text: f[field::UNIT_TEXTS].string()?,
                ..Unit::default()
            };
            for _ in 0..f[field::UNIT_SPAN_COUNTS].u32()? {
                let r = &mut f[field::UNIT_SPANS];
                u.spans.push(Span {
                    sequence: r.size()?,
                    start: r.size()?,
                    end: r.size()?,
                });
            }
            for _ in 0..f[field::UNIT_TOKEN_COUNTS].u32()? {
                u.tokens.push(f[field::UNIT_TOKENS].size()?);
            }
            list.push(u);
        }
        if f.iter().any(|c| !c.0.is_empty()) {
            return Err(uneven());
        }
        Ok(list)
    }
}

/// The error of columns that do not belong together.
fn uneven() -> Error {
    Error::new(
        Code::Internal,
        "the columns of a list of the host differ in their lengths",
    )
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a frame for the host.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u32(&mut self, v: u32) {
        self.put(&v.to_le_bytes());
    }

    fn i64(&mut self, v: i64) {
        self.put(&v.to_le_bytes());
    }

    fn f64(&mut self, v: f64) {
        self.put(&v.to_le_bytes());
    }

    fn string(&mut self, s: &str) {
        self.u32(s.len() as u32);
        self.put(s.as_bytes());
    }

    fn strings(&mut self, list: &[&str]) {
        self.u32(list.len() as u32);
        list.iter().for_each(|s| self.string(s));
    }

    fn units(&mut self, list: &[Unit]) {
        self.field(field::UNIT_TEXTS, |w| {
            list.iter().for_each(|u| w.string(&u.text))
        });
        self.field(field::UNIT_SPAN_COUNTS, |w| {
            list.iter().for_each(|u| w.u32(u.spans.len() as u32))
        });
        self.field(field::UNIT_SPANS, |w| {
            for s in list.iter().flat_map(|u| &u.spans) {
                w.u32(s.sequence as u32);
                w.u32(s.start as u32);
                w.u32(s.end as u32);
            }
        });
        self.field(field::UNIT_TOKEN_COUNTS, |w| {
            list.iter().for_each(|u| w.u32(u.tokens.len() as u32))
        });
        self.field(field::UNIT_TOKENS, |w| {
            let tokens = list.iter().flat_map(|u| &u.tokens);
            tokens.for_each(|t| w.u32(*t as u32))
        });
    }

    /// Writes a critical field.
    fn field(&mut self, tag: usize, content: impl FnOnce(&mut Writer)) {
        self.u32(tag as u32 | flag::CRITICAL << 16);
        self.u32(0);
        let start = self.0.len();
        content(self);
        let n = (self.0.len() - start) as u32;
        self.0[start - 4..start].copy_from_slice(&n.to_le_bytes());
    }
}

// ---- The request ----

/// A token. Offsets are bytes, and code points, of the original text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    pub id: i32,
    /// 1 in the second text of a pair.
    pub sequence: usize,
    pub start: usize,
    pub end: usize,
    pub rune_start: usize,
    pub rune_end: usize,
    /// Added by the tokenizer.
    pub special: bool,
    /// Marked to be kept.
    pub fixed: bool,
    pub text: String,
}

/// A range of bytes of one of the original texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub sequence: usize,
    pub start: usize,
    pub end: usize,
}

/// What a method drops, keeps and attributes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    pub text: String,
    pub spans: Vec<Span>,
    /// Indices into the request's tokens.
    pub tokens: Vec<usize>,
}

/// The scale on which a target is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Logit = 1,
    Prob = 2,
    LogProb = 3,
}

/// The scalar that is explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// "class", "regression", "difference" …; docs/ABI.md has all.
    pub kind: String,
    /// For `Forward::target`.
    pub expr: String,
    pub label: String,
    /// Of the class or the token, as the kind says.
    pub index: usize,
    pub output: Output,
    /// On the unchanged input.
    pub value: f64,
    /// The tokens whose row of the last layer it is read from; none where the host does not say.
    pub positions: Vec<usize>,
    /// The index of what a difference subtracts.
    pub second: usize,
    pub second_label: String,
}

/// The model under explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub id: String,
    pub architecture: String,
    pub task: String,
    /// Empty where the tokenizer has none.
    pub mask_token: String,
    pub labels: Vec<String>,
    /// Blocks. This and the other sizes are 0 where there is none or the host does not say.
    pub layers: usize,
    /// Of attention, in each layer.
    pub heads: usize,
    /// Width of the word embeddings.
    pub embedding: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Ids of tokens are less.
    pub vocabulary: usize,
    /// Of the longest row that the model reads; 0 where nothing bounds it.
    pub max_tokens: usize,
    pub mask_id: Option<i32>,
    pub pad_id: Option<i32>,
    pub special_ids: Vec<i32>,
}

fn get(key: u32) -> Result<Vec<u8>> {
    fetch(|out, cap| unsafe { host::input_get(key, out, cap) })
}

/// The text; empty where the input is raw token ids.
pub fn text() -> Result<String> {
    Ok(utf8(&get(input::TEXT)?))
}

/// The second text of a pair.
pub fn text_pair() -> Result<Option<String>> {
    match get(input::TEXT_PAIR) {
        Ok(bytes) => Ok(Some(utf8(&bytes))),
        Err(e) if e.code == Code::Name => Ok(None),
        Err(e) => Err(e),
    }
}

/// The token ids, special ones included.
pub fn ids() -> Result<Vec<i32>> {
    Ok(get(input::IDS)?
        .chunks_exact(4)
        .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect())
}

/// The tokens, special ones included.
pub fn tokens() -> Result<Vec<Token>> {
    Reader(&get(input::TOKENS)?).tokens()
}

/// The units: a partition of the tokens that are neither special nor fixed.
pub fn units() -> Result<Vec<Unit>> {
    Reader(&get(input::UNITS)?).units()
}

/// For each token, 1 where it is special.
pub fn special() -> Result<Vec<u8>> {
    get(input::SPECIAL)
}

/// For each token, 1 where it is never dropped.
pub fn keep() -> Result<Vec<u8>> {
    get(input::KEEP)
}

/// The target, with the model's output on the unchanged input.
pub fn target() -> Result<Target> {
    let bytes = get(input::TARGET)?;
    let mut f = Reader(&bytes).fields(field::TARGET_SECOND_LABEL)?;
    Ok(Target {
        kind: f[field::TARGET_KIND].rest(),
        expr: f[field::TARGET_EXPRESSION].rest(),
        label: f[field::TARGET_LABEL].rest(),
        index: f[field::TARGET_INDEX].number()?,
        output: match f[field::TARGET_OUTPUT].number()? {
            1 => Output::Logit,
            2 => Output::Prob,
            3 => Output::LogProb,
            _ => {
                return Err(Error::new(
                    Code::Unsupported,
                    "the target has an output that the method was not built for",
                ))
            }
        },
        value: f[field::TARGET_VALUE].f64()?,
        positions: f[field::TARGET_POSITIONS]
            .numbers()?
            .into_iter()
            .map(|at| at as usize)
            .collect(),
        second: f[field::TARGET_SECOND].number()?,
        second_label: f[field::TARGET_SECOND_LABEL].rest(),
    })
}

/// The run's seed.
pub fn seed() -> Result<u64> {
    Reader(&get(input::SEED)?).array().map(u64::from_le_bytes)
}

/// The model under explanation.
pub fn model() -> Result<Model> {
    let bytes = get(input::MODEL)?;
    let mut f = Reader(&bytes).fields(field::MODEL_SPECIAL_IDS)?;
    Ok(Model {
        id: f[field::MODEL_ID].rest(),
        architecture: f[field::MODEL_ARCHITECTURE].rest(),
        task: f[field::MODEL_TASK].rest(),
        mask_token: f[field::MODEL_MASK_TOKEN].rest(),
        labels: match f[field::MODEL_LABELS] {
            Reader([]) => Vec::new(),
            mut labels => labels.strings()?,
        },
        layers: f[field::MODEL_LAYERS].number()?,
        heads: f[field::MODEL_HEADS].number()?,
        embedding: f[field::MODEL_EMBEDDING].number()?,
        hidden: f[field::MODEL_HIDDEN].number()?,
        vocabulary: f[field::MODEL_VOCABULARY].number()?,
        max_tokens: f[field::MODEL_MAX_TOKENS].number()?,
        mask_id: f[field::MODEL_MASK_ID].id()?,
        pad_id: f[field::MODEL_PAD_ID].id()?,
        special_ids: f[field::MODEL_SPECIAL_IDS]
            .numbers()?
            .into_iter()
            .map(|id| id as i32)
            .collect(),
    })
}

/// The needs that were granted.
pub fn grants() -> Result<Vec<String>> {
    Reader(&get(input::GRANTS)?).strings()
}

/// A type of parameters. `method!` uses it.
pub trait Parameter: Sized {
    /// The value from its bytes, which follow the type's code; none where the code is another's.
    fn parse(code: u32, value: &[u8]) -> Option<Self>;
}

impl Parameter for i64 {
    fn parse(code: u32, value: &[u8]) -> Option<i64> {
        Some(i64::from_le_bytes(
            value.try_into().ok().filter(|_| code == param_type::INT)?,
        ))
    }
}

impl Parameter for f64 {
    fn parse(code: u32, value: &[u8]) -> Option<f64> {
        Some(f64::from_le_bytes(
            value
                .try_into()
                .ok()
                .filter(|_| code == param_type::FLOAT)?,
        ))
    }
}

impl Parameter for bool {
    fn parse(code: u32, value: &[u8]) -> Option<bool> {
        Some(*value.first().filter(|_| code == param_type::BOOL)? != 0)
    }
}

impl Parameter for String {
    fn parse(code: u32, value: &[u8]) -> Option<String> {
        Some(utf8(value)).filter(|_| code == param_type::STRING || code == param_type::ENUM)
    }
}

/// The value of a declared parameter. `method!` reads them all.
pub fn param<T: Parameter>(name: &str) -> Result<T> {
    let bytes = fetch(|out, cap| unsafe { host::param_get(name.as_ptr(), name.len(), out, cap) })?;
    let mut r = Reader(&bytes);
    T::parse(r.u32()?, r.0).ok_or_else(|| {
        Error::new(
            Code::Internal,
            format!("the parameter {name} has another type than the method reads"),
        )
    })
}

// ---- Tensors ----

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    U8 = 0,
    I32 = 1,
    I64 = 2,
    F32 = 3,
    F64 = 4,
    /// The host's alone.
    BF16 = 5,
}

mod sealed {
    pub trait Element: Copy + Default {}
}

/// A type that a tensor can hold.
pub trait Element: sealed::Element {
    const DTYPE: DType;
}

macro_rules! elements {
    ($($type:ty: $dtype:ident),*) => {
        $(
            impl sealed::Element for $type {}
            impl Element for $type {
                const DTYPE: DType = DType::$dtype;
            }
        )*
    };
}

elements! { u8: U8, i32: I32, i64: I64, f32: F32, f64: F64 }

/// What to read of one dimension: `count` elements from `start` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stride {
    pub start: usize,
    pub count: usize,
    pub step: usize,
}

/// A dense row-major array that the host holds. Dropping it frees it there.
#[derive(Debug)]
pub struct Tensor(i64);

impl Drop for Tensor {
    fn drop(&mut self) {
        unsafe { host::tensor_free(self.0) };
    }
}

impl Tensor {
    /// Makes a tensor of zeros.
    pub fn zeros<T: Element>(shape: &[usize]) -> Result<Tensor> {
        let dims: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
        check(unsafe { host::tensor_new(T::DTYPE as u32, dims.len(), dims.as_ptr()) }).map(Tensor)
    }

    /// Makes a tensor of values, as many as the product of the shape.
    pub fn new<T: Element>(values: &[T], shape: &[usize]) -> Result<Tensor> {
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::new(
                Code::Internal,
                "the shape of a tensor does not match its values",
            ));
        }
        let t = Tensor::zeros::<T>(shape)?;
        t.write(0, values)?;
        Ok(t)
    }

    /// The type of the elements and the shape.
    pub fn info(&self) -> Result<(DType, Vec<usize>)> {
        let bytes = fetch(|out, cap| unsafe { host::tensor_info(self.0, out, cap) })?;
        let mut r = Reader(&bytes);
        let dtypes = [
            DType::U8,
            DType::I32,
            DType::I64,
            DType::F32,
            DType::F64,
            DType::BF16,
        ];
        let dtype = dtypes.get(r.size()?).ok_or_else(|| {
            Error::new(
                Code::Unsupported,
                "a tensor has elements that the method was not built for",
            )
        })?;
        let shape = r.list(|r| Ok(i64::from_le_bytes(r.array()?) as usize))?;
        Ok((*dtype, shape))
    }

    /// Reads all elements.
    pub fn read<T: Element>(&self) -> Result<Vec<T>> {
        let (dtype, shape) = self.info()?;
        if dtype != T::DTYPE {
            return Err(Error::new(
                Code::Internal,
                format!("a tensor of {dtype:?} is read as {:?}", T::DTYPE),
            ));
        }
        let mut out = vec![T::default(); shape.iter().product()];
        self.read_at(0, &mut out)?;
        Ok(out)
    }

    /// Reads as many elements as out has, from the element `start` on.
    pub fn read_at<T: Element>(&self, start: usize, out: &mut [T]) -> Result<()> {
        let offset = (start * size_of::<T>()) as i64;
        check(
            unsafe { host::tensor_read(self.0, offset, out.as_mut_ptr().cast(), size_of_val(out)) }
                .into(),
        )?;
        Ok(())
    }

    /// Reads a grid, one stride a dimension: one head, one row.
    pub fn read_strided<T: Element>(&self, dims: &[Stride]) -> Result<Vec<T>> {
        let mut spec = Writer::default();
        for d in dims {
            spec.i64(d.start as i64);
            spec.i64(d.count as i64);
            spec.i64(d.step as i64);
        }
        let mut out = vec![T::default(); dims.iter().map(|d| d.count).product()];
        let n = out.len() * size_of::<T>();
        check(
            unsafe {
                host::tensor_read_strided(
                    self.0,
                    spec.0.as_ptr(),
                    spec.0.len(),
                    out.as_mut_ptr().cast(),
                    n,
                )
            }
            .into(),
        )?;
        Ok(out)
    }

    /// Writes elements from the element `start` on, to a tensor that the method made.
    pub fn write<T: Element>(&self, start: usize, values: &[T]) -> Result<()> {
        let offset = (start * size_of::<T>()) as i64;
        check(
            unsafe {
                host::tensor_write(self.0, offset, values.as_ptr().cast(), size_of_val(values))
            }
            .into(),
        )?;
        Ok(())
    }
}

// ---- The model ----

/// What a dropped unit or token becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill<'a> {
    /// The tokenizer's mask token.
    Mask,
    /// The tokenizer's padding token.
    Pad,
    /// Nothing.
    Delete,
    /// The zero vector in place of the word embedding.
    Zero,
    /// A text.
    Text(&'a str),
    /// A token.
    Token(i32),
    /// Itself, hidden from the attention of all.
    Hide,
    /// The mean word embedding of the vocabulary.
    Average,
}

/// The policy of a name, of those without an argument: `"mask".parse()`.
impl std::str::FromStr for Fill<'_> {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "mask" => Fill::Mask,
            "pad" => Fill::Pad,
            "delete" => Fill::Delete,
            "zero" => Fill::Zero,
            "hide" => Fill::Hide,
            "average" => Fill::Average,
            _ => {
                return invalid(format!(
                    "there is no fill {name}; use mask, pad, delete, zero, hide or average"
                ))
            }
        })
    }
}

/// An output of a forward, with its name in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// "target", f64 [N].
    Target = 1,
    /// "logits", f64 [N,C].
    Logits = 2,
    /// "probs", f64 [N,C].
    Probs = 3,
    /// "logprobs", f64 [N,C].
    LogProbs = 4,
}

/// What an edit does with the activations that it selects. Needs "patch".
#[derive(Clone, Copy, Debug)]
pub enum Edit<'a> {
    Replace(&'a Tensor),
    Zero,
    /// By the mean over all positions of the row.
    Mean,
    Add(&'a Tensor),
    Scale(&'a Tensor),
}

/// How a gradient passes the target back, from its gradient at the logits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The chain rule.
    Gradient = 0,
    /// Layer-wise relevance propagation with α = 1 and β = 0, by the rules for transformers
    /// of Chefer, Gur and Wolf, CVPR 2021.
    LrpAlpha1 = 1,
}

/// The rows of a forward.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// u8 [N,U]: 1 keeps a unit, 0 drops it.
    Units(&'a Tensor),
    /// u8 [N,T]: the same for tokens.
    Masks(&'a Tensor),
    Texts(&'a [&'a str]),
    /// Token ids, special ones included.
    Ids(&'a [&'a [i32]]),
    /// f32 [N,T,D]. Needs "embeddings".
    Embeds(&'a Tensor),
}

/// Variants of the input to evaluate: `Forward { fill, ..Forward::new(rows) }.run()`.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    pub rows: Rows<'a>,
    pub fill: Fill<'a>,
    /// The columns of `Rows::Units` in place of the request's units.
    pub over: Option<&'a [Unit]>,
    /// A target expression in place of the request's target, where it is not empty.
    pub target: &'a str,
    /// Runs equal rows again.
    pub keep_duplicates: bool,
    /// The outputs that the reply has; empty for all.
    pub want: &'a [Want],
    /// The activations that the reply has.
    pub points: &'a [&'a str],
    /// Points with what is done there, in order.
    pub edits: &'a [(&'a str, Edit<'a>)],
    /// How `gradient` passes the target back; of that alone.
    pub rule: Rule,
}

impl<'a> Forward<'a> {
    pub fn new(rows: Rows<'a>) -> Forward<'a> {
        Forward {
            rows,
            fill: Fill::Mask,
            over: None,
            target: "",
            keep_duplicates: false,
            want: &[],
            points: &[],
            edits: &[],
            rule: Rule::Gradient,
        }
    }

    /// Evaluates all rows in one call: a thousand cost one. Needs "forward".
    pub fn run(&self) -> Result<Reply> {
        self.send(&[], |spec| unsafe {
            host::forward(spec.as_ptr(), spec.len())
        })
    }

    /// Evaluates, and takes the gradient of each row's target at the points `wrt`, or the
    /// relevance there by another `rule`, which `Reply::gradient` has. Needs "gradients".
    pub fn gradient(&self, wrt: &[&str]) -> Result<Reply> {
        self.send(wrt, |spec| unsafe { host::grad(spec.as_ptr(), spec.len()) })
    }

    fn send(&self, wrt: &[&str], call: impl Fn(&[u8]) -> i64) -> Result<Reply> {
        let mut w = Writer::default();
        let mut own = Vec::new(); // tensors that live until the call is over
        let (tag, rows) = match self.rows {
            Rows::Units(t) => (field::UNITS, vec![t.0]),
            Rows::Masks(t) => (field::MASKS, vec![t.0]),
            Rows::Embeds(t) => (field::EMBEDS, vec![t.0]),
            Rows::Texts(texts) => {
                let mut offsets = vec![0i64];
                for t in texts {
                    offsets.push(offsets[offsets.len() - 1] + t.len() as i64);
                }
                let joined = texts.concat();
                own.push(Tensor::new(joined.as_bytes(), &[joined.len()])?);
                own.push(Tensor::new(&offsets, &[offsets.len()])?);
                (field::TEXTS, own.iter().map(|t| t.0).collect())
            }
            Rows::Ids(rows) => {
                let width = rows.iter().map(|r| r.len()).max().unwrap_or(0);
                let mut padded = vec![0i32; rows.len() * width];
                for (i, row) in rows.iter().enumerate() {
                    padded[i * width..][..row.len()].copy_from_slice(row);
                }
                let lengths: Vec<i32> = rows.iter().map(|r| r.len() as i32).collect();
                own.push(Tensor::new(&padded, &[rows.len(), width])?);
                own.push(Tensor::new(&lengths, &[rows.len()])?);
                (field::IDS, own.iter().map(|t| t.0).collect())
            }
        };
        w.field(tag, |w| rows.iter().for_each(|h| w.i64(*h)));
        w.field(field::FILL, |w| {
            let (code, token, text) = match self.fill {
                Fill::Mask => (0, 0, ""),
                Fill::Pad => (1, 0, ""),
                Fill::Delete => (2, 0, ""),
                Fill::Zero => (3, 0, ""),
                Fill::Text(text) => (4, 0, text),
                Fill::Token(id) => (5, id, ""),
                Fill::Hide => (6, 0, ""),
                Fill::Average => (7, 0, ""),
            };
            w.u32(code);
            w.u32(token as u32);
            w.put(text.as_bytes());
        });
        if !self.target.is_empty() {
            w.field(field::TARGET, |w| w.put(self.target.as_bytes()));
        }
        if let Some(over) = self.over {
            w.field(field::OVER, |w| w.units(over));
        }
        if self.keep_duplicates {
            w.field(field::DEDUP, |w| w.put(&[0]));
        }
        if !self.want.is_empty() {
            w.field(field::WANT, |w| {
                self.want.iter().for_each(|x| w.u32(*x as u32))
            });
        }
        if !self.points.is_empty() {
            w.field(field::POINTS, |w| w.strings(self.points));
        }
        if !self.edits.is_empty() {
            w.field(field::EDITS, |w| {
                w.u32(self.edits.len() as u32);
                for (point, edit) in self.edits {
                    let (code, value) = match edit {
                        Edit::Replace(t) => (0, t.0),
                        Edit::Zero => (1, 0),
                        Edit::Mean => (2, 0),
                        Edit::Add(t) => (3, t.0),
                        Edit::Scale(t) => (4, t.0),
                    };
                    w.string(point);
                    w.u32(code);
                    w.i64(value);
                }
            });
        }
        if !wrt.is_empty() {
            w.field(field::WRT, |w| w.strings(wrt));
        }
        if self.rule != Rule::Gradient {
            w.field(field::RULE, |w| w.u32(self.rule as u32));
        }
        check(call(&w.0)).map(Reply)
    }
}

/// The outputs of a forward. Dropping it frees it in the host.
#[derive(Debug)]
pub struct Reply(i64);

impl Drop for Reply {
    fn drop(&mut self) {
        unsafe { host::tensor_free(self.0) };
    }
}

impl Reply {
    /// An output: "target", "logits" …, or a point's name. The index selects one of several points
    /// that one name stands for.
    pub fn tensor(&self, name: &str, index: u32) -> Result<Tensor> {
        check(unsafe { host::reply_get(self.0, name.as_ptr(), name.len(), index) }).map(Tensor)
    }

    /// The gradient at a point.
    pub fn gradient(&self, point: &str, index: u32) -> Result<Tensor> {
        self.tensor(&["grad(", point, ")"].concat(), index)
    }

    /// The target's value in each row.
    pub fn target(&self) -> Result<Vec<f64>> {
        self.tensor("target", 0)?.read()
    }
}

/// The target's value on each row of `keep`, where 1 keeps one of the request's units and 0 drops
/// it: all that many a method asks of a model. Needs "forward".
pub fn evaluate(keep: &[u8], units: usize, fill: Fill) -> Result<Vec<f64>> {
    let rows = Tensor::new(keep, &[keep.len() / units.max(1), units])?;
    Forward {
        fill,
        want: &[Want::Target],
        ..Forward::new(Rows::Units(&rows))
    }
    .run()?
    .target()
}

/// How a row of tokens is continued.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generation<'a> {
    /// How many tokens are added at most.
    pub max_tokens: u32,
    /// None for the request's tokens.
    pub prompt: Option<&'a [i32]>,
    /// 0 takes the most probable token every time.
    pub temperature: f64,
    pub top_k: u32,
    pub top_p: f64,
    pub seed: u64,
}

/// What a model generated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Continuation {
    pub ids: Vec<i32>,
    /// Of each token, by the model itself.
    pub logprobs: Vec<f64>,
    /// That the tokens add.
    pub text: String,
}

impl Generation<'_> {
    /// Continues the tokens. Needs "generate".
    pub fn run(&self) -> Result<Continuation> {
        let prompt = self
            .prompt
            .map(|ids| Tensor::new(ids, &[ids.len()]))
            .transpose()?;
        let mut w = Writer::default();
        w.field(field::MAX_TOKENS, |w| w.u32(self.max_tokens));
        if let Some(t) = &prompt {
            w.field(field::PROMPT, |w| w.i64(t.0));
        }
        w.field(field::TEMPERATURE, |w| w.f64(self.temperature));
        w.field(field::TOP_K, |w| w.u32(self.top_k));
        w.field(field::TOP_P, |w| w.f64(self.top_p));
        w.field(field::SEED, |w| w.i64(self.seed as i64));
        let reply = check(unsafe { host::generate(w.0.as_ptr(), w.0.len()) }).map(Reply)?;
        Ok(Continuation {
            ids: reply.tensor("ids", 0)?.read()?,
            logprobs: reply.tensor("logprobs", 0)?.read()?,
            text: utf8(&reply.tensor("text", 0)?.read::<u8>()?),
        })
    }
}

/// Cuts a text into tokens, special ones included. Needs "tokenize".
pub fn tokenize(text: &str) -> Result<Vec<Token>> {
    let reply = check(unsafe { host::tokenize(text.as_ptr(), text.len()) }).map(Reply)?;
    Reader(&reply.tensor("tokens", 0)?.read::<u8>()?).tokens()
}

// ---- The host's arithmetic: native speed, the same bits everywhere ----

/// An operation on tensors of f64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Ridge = 1,
    Matmul = 2,
    Softmax = 3,
    TopK = 4,
    Sum = 5,
    Mean = 6,
}

pub fn op(code: Op, operands: &[&Tensor], scalars: &[f64]) -> Result<Tensor> {
    let mut w = Writer::default();
    w.field(field::OPERANDS, |w| {
        operands.iter().for_each(|t| w.i64(t.0))
    });
    w.field(field::SCALARS, |w| scalars.iter().for_each(|x| w.f64(*x)));
    check(unsafe { host::op(code as u32, w.0.as_ptr(), w.0.len()) }).map(Tensor)
}

/// Weighted ridge regression: x [N,U], y [N], weights [N] give [U+1], the intercept last and not
/// penalised.
pub fn ridge(x: &Tensor, y: &Tensor, weights: &Tensor, penalty: f64) -> Result<Tensor> {
    op(Op::Ridge, &[x, y, weights], &[penalty])
}

/// [N,K] times [K,M].
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    op(Op::Matmul, &[a, b], &[])
}

/// Softmax over the last dimension.
pub fn softmax(t: &Tensor) -> Result<Tensor> {
    op(Op::Softmax, &[t], &[])
}

/// The indices of the k largest of [N], an i64 [k].
pub fn top_k(t: &Tensor, k: usize) -> Result<Tensor> {
    op(Op::TopK, &[t], &[k as f64])
}

/// The sum over the last dimension, which is gone then.
pub fn sum(t: &Tensor) -> Result<Tensor> {
    op(Op::Sum, &[t], &[])
}

/// The mean over the last dimension, which is gone then.
pub fn mean(t: &Tensor) -> Result<Tensor> {
    op(Op::Mean, &[t], &[])
}

// ---- Reports ----

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug = 0,
    Note = 1,
    Warning = 2,
}

/// Writes one line to the user's log.
pub fn log(level: Level, line: &str) {
    unsafe { host::log(level as i32, line.as_ptr(), line.len()) };
}

/// Reports work of the method's own; the host reports that of forwards. Its error is `Cancelled`
/// once the user gave up.
pub fn progress(done: usize, total: usize) -> Result<()> {
    check(unsafe { host::progress(done as i64, total as i64) }.into()).map(drop)
}

/// Fills `out` with the next bytes of the run's random stream, which the seed determines.
pub fn random(out: &mut [u8]) -> Result<()> {
    check(unsafe { host::rng_fill(out.as_mut_ptr(), out.len()) }.into()).map(drop)
}

/// The next number of the run's random stream.
pub fn random_u64() -> Result<u64> {
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

// ---- Results ----

fn report(name: &str, t: &Tensor, axes: &[&str], units: Option<&[Unit]>) -> Result<()> {
    let mut meta = Writer::default();
    if !axes.is_empty() {
        meta.field(field::AXES, |w| w.strings(axes));
    }
    if let Some(units) = units {
        meta.field(field::RESULT_UNITS, |w| w.units(units));
    }
    check(
        unsafe {
            host::result(
                name.as_ptr(),
                name.len(),
                t.0,
                meta.0.as_ptr(),
                meta.0.len(),
            )
        }
        .into(),
    )
    .map(drop)
}

/// Hands over a tensor under a name, with one axis a dimension. It can no longer be written.
pub fn result(name: &str, t: &Tensor, axes: &[&str]) -> Result<()> {
    report(name, t, axes, None)
}

/// Hands over the attributions: one value a unit. Every method does, once.
pub fn attributions(values: &[f64]) -> Result<()> {
    attribution("attributions", "units", values)
}

/// Hands over the attributions to units of the method's own, which replace the request's.
pub fn attributions_to(units: &[Unit], values: &[f64]) -> Result<()> {
    report(
        "attributions",
        &Tensor::new(values, &[values.len()])?,
        &["units"],
        Some(units),
    )
}

/// Hands over values over "units" or "tokens" under a name: a further attribution, or NAME.stderr,
/// the standard errors of the attribution NAME.
pub fn attribution(name: &str, over: &str, values: &[f64]) -> Result<()> {
    result(name, &Tensor::new(values, &[values.len()])?, &[over])
}

/// Hands over the target's value at the method's baseline.
pub fn baseline(value: f64) -> Result<()> {
    result("baseline", &Tensor::new(&[value], &[])?, &[])
}

/// Hands over a number that says how far to trust the values.
pub fn diagnostic(name: &str, value: f64) -> Result<()> {
    result(
        &["diagnostics.", name].concat(),
        &Tensor::new(&[value], &[])?,
        &[],
    )
}

// ---- The method ----

thread_local! {
    /// What `xai_alloc` gave, until the explanation is over.
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

#[doc(hidden)]
pub fn alloc(n: usize) -> *mut u8 {
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(n.max(1)).is_err() {
        return std::ptr::null_mut();
    }
    let p = buffer.as_mut_ptr();
    BUFFERS.with(|b| b.borrow_mut().push(buffer));
    p
}

/// Runs the method where the request is for it, and returns its code.
#[doc(hidden)]
pub unsafe fn run(
    name: &str,
    explain: impl FnOnce() -> Result<()>,
    request: *const u8,
    n: usize,
) -> i32 {
    std::panic::set_hook(Box::new(|panic| log(Level::Warning, &panic.to_string())));
    let outcome = admit(name, std::slice::from_raw_parts(request, n)).and_then(|()| explain());
    BUFFERS.with(|b| b.borrow_mut().clear());
    match outcome {
        Ok(()) => 0,
        Err(e) => {
            host::error(e.code as i32, e.message.as_ptr(), e.message.len());
            e.code as i32
        }
    }
}

/// Refuses a request that is not for the method of that name.
fn admit(name: &str, request: &[u8]) -> Result<()> {
    let mut f = Reader(request).fields(field::METHOD)?;
    let wanted = f[field::METHOD].rest();
    if wanted != name {
        return Err(Error::new(
            Code::Name,
            format!("the module has no method {wanted}"),
        ));
    }
    Ok(())
}

#[doc(hidden)]
pub const fn section<const N: usize>(json: &str) -> [u8; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = json.as_bytes()[i];
        i += 1;
    }
    out
}

/// Makes the module of a method: its exports, the struct of its parameters, and the section
/// `xai.method`, which says without running it what the method is.
///
/// ```ignore
/// xai::method! {
///     name: "example",
///     version: "1.0.0",
///     summary: "One line",
///     source: "The paper that defines it", // may be left out
///     needs: ["forward"],
///     params: Params {
///         samples: int = 100 { min: 1, max: 10000, aliases: ["n_samples"], doc: "variants of the input" },
///         width: float = 0.5 { doc: "width of the kernel" },
///         signed: bool = true { doc: "whether values keep their sign" },
///         fill: enum = "mask" { values: ["mask", "delete"], doc: "what a dropped unit becomes" },
///         note: string = "" { doc: "any text" },
///     },
///     explain: explain, // fn(Params) -> xai::Result<()>
/// }
/// ```
///
/// `min`, `max`, `values`, `aliases` and `compat: {"PRESET": default}` come in this order, each
/// where it applies.
macro_rules! method {
    (
        name: $name:literal,
        version: $version:literal,
        summary: $summary:literal,
        $(source: $source:literal,)?
        needs: [$($need:literal),* $(,)?],
        params: $Params:ident { $($param:ident: $type:tt = $default:literal $more:tt),* $(,)? },
        explain: $explain:path $(,)?
    ) => {
        /// The values of the method's parameters.
        #[derive(Clone, Debug)]
        pub struct $Params {
            $(pub $param: $crate::xai::method!(@type $type),)*
        }

        impl $Params {
            /// Reads the parameters of the request.
            pub fn read() -> $crate::xai::Result<$Params> {
                Ok($Params { $($param: $crate::xai::param(stringify!($param))?,)* })
            }
        }

        const _: () = {
            const METHOD: &str = concat!(
                "{\"abi\":\"1.0\",\"name\":", stringify!($name), ",\"version\":", stringify!($version),
                ",\"summary\":", stringify!($summary), $(",\"source\":", stringify!($source),)?
                ",\"needs\":", stringify!([$($need),*]),
                ",\"params\":[", $crate::xai::method!(@params $($param $type $default $more)*), "]}",
            );

            #[used]
            #[cfg_attr(target_arch = "wasm32", link_section = "xai.method")]
            static SECTION: [u8; METHOD.len()] = $crate::xai::section(METHOD);

            #[no_mangle]
            extern "C" fn xai_abi() -> i32 {
                $crate::xai::ABI
            }

            #[no_mangle]
            extern "C" fn xai_alloc(n: usize) -> *mut u8 {
                $crate::xai::alloc(n)
            }

            #[no_mangle]
            unsafe extern "C" fn xai_explain(request: *const u8, n: usize) -> i32 {
                $crate::xai::run($name, || $explain($Params::read()?), request, n)
            }
        };
    };

    (@type int) => { i64 };
    (@type float) => { f64 };
    (@type bool) => { bool };
    (@type string) => { String };
    (@type enum) => { String };

    (@params) => { "" };
    (@params $param:ident $type:tt $default:literal $more:tt) => {
        concat!("{\"name\":\"", stringify!($param), "\",\"type\":\"", stringify!($type), "\",\"default\":", stringify!($default), $crate::xai::method!(@more $more), "}")
    };
    (@params $param:ident $type:tt $default:literal $more:tt $($rest:tt)+) => {
        concat!($crate::xai::method!(@params $param $type $default $more), ",", $crate::xai::method!(@params $($rest)+))
    };

    (@more {
        $(min: $min:literal,)?
        $(max: $max:literal,)?
        $(values: [$($value:literal),* $(,)?],)?
        $(aliases: [$($alias:literal),* $(,)?],)?
        $(compat: {$($preset:literal: $value2:literal),* $(,)?},)?
        doc: $doc:literal $(,)?
    }) => {
        concat!(
            $(",\"min\":", stringify!($min),)?
            $(",\"max\":", stringify!($max),)?
            $(",\"values\":", stringify!([$($value),*]),)?
            $(",\"aliases\":", stringify!([$($alias),*]),)?
            $(",\"compat\":", stringify!({$($preset: $value2),*}),)?
            ",\"doc\":", stringify!($doc),
        )
    };
}
pub(crate) use method;
