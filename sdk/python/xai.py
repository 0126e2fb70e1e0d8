"""Explanation methods for xai, written in Python. One file, and nothing to install.

A method is a program that xai starts for one explanation. This is a complete one, in a file
leave_one_out.py: what the target loses when each unit is dropped.

    import xai

    @xai.method(
        name="leave-one-out", version="1.0.0", needs=["forward"],
        summary="What the target loses when each unit is dropped",
    )
    def explain(model: xai.Model, request: xai.Request) -> xai.Explanation:
        n = len(request.units)
        keep = [[i != j for j in range(n)] for i in range(n)]  # row i drops unit i
        without = model.forward(units=keep)["target"]
        return xai.Explanation([request.target.value - v for v in without])

    if __name__ == "__main__":
        xai.serve(explain)

A method's parameters stand in params=[xai.Int("samples", 100, min=1, doc="variants of the input")],
with xai.Float, xai.Bool, xai.String and xai.Enum beside xai.Int; request.params["samples"] is what
the user gave, or the default.

Put this file beside it as xai.py, and

    python3 xai.py pack leave_one_out.py

makes leave_one_out.pyz of both: the executable that a methods.toml declares.

A float of Python is a float64, and its arithmetic gives the same bits as that of Go: leave
exp, log and tanh of math, whose last bits differ between systems, to the model's softmax.
Arrays of numpy are taken wherever numbers are, and numpy takes a Tensor; it need not be there.
What a method prints goes to the user's log. An xai.Error is a sentence that the user reads; of
any other exception the user reads one line, and the log has the traceback.

Python 3.9 and later. docs/ABI.md has the interface below, and sdk/process/wire/xai.proto the
protocol, which is gRPC: the second half of this file speaks it.
"""

from __future__ import annotations

import enum
import json
import math
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import weakref
from array import array
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

__all__ = [
    "ABI", "Attribution", "Bool", "Code", "Continuation", "Edit", "Enum", "Error", "Explanation", "Fill",
    "Float", "Int", "Method", "Model", "Output", "Param", "Reply", "Request", "Span", "String", "Target",
    "Tensor", "Token", "Unit", "grad", "method", "serve",
]

ABI = 1 << 16  # the version that this file speaks, major << 16 | minor
_MAX_CHUNK = 1 << 20  # bytes of a tensor in one message


# ---- Errors ----


class Code(enum.IntEnum):
    """The class of an error."""

    INVALID = -1  # an argument or a frame is malformed
    HANDLE = -2  # no such tensor or reply
    CAP = -3  # the need was not granted
    FAULT = -4  # a pointer outside the memory
    RANGE = -5  # an index or size out of range
    NO_MEM = -6  # the memory limit
    QUOTA = -7  # a limit of the run
    CANCELLED = -8  # the user or the deadline ended the run
    UNSUPPORTED = -9  # the model or the host cannot do it
    INTERNAL = -10  # a defect of the host or the method
    NAME = -11  # no such name, or one that cannot be used


class Error(Exception):
    """An error with a sentence for the user that says what to do."""

    def __init__(self, code: Code, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message or self.code.name


def _host_error(code: int, message: str) -> Error:
    try:
        return Error(Code(code), message)
    except ValueError:
        return Error(Code.INTERNAL, message)


# ---- Tensors ----

# The element types: their codes in the ABI, and those of array and memoryview.
_DTYPES: Dict[str, Tuple[int, str]] = {
    "u8": (0, "B"), "i32": (1, "i"), "i64": (2, "q"), "f32": (3, "f"), "f64": (4, "d"),
}
_DTYPE_OF_CODE = {code: dtype for dtype, (code, _) in _DTYPES.items()}
_DTYPE_OF_FORMAT = {
    "B": "u8", "?": "u8", "i": "i32", "q": "i64", "f": "f32", "d": "f64",
    "l": "i64" if struct.calcsize("l") == 8 else "i32",
}


class Tensor:
    """A dense row-major array of u8, i32, i64, f32 or f64.

    It is made of nested sequences of numbers, or of what has a buffer, such as bytes and arrays
    of numpy, which are not copied where the type is the same. Without a dtype, floats become f64,
    integers i64 and booleans u8. Iterating and indexing give numbers, or tensors of one dimension
    less that share the memory.
    """

    __slots__ = ("dtype", "shape", "data")

    dtype: str
    shape: Tuple[int, ...]
    data: memoryview  # the elements, flat

    def __init__(self, values: Any, dtype: Optional[str] = None) -> None:
        if dtype is not None and dtype not in _DTYPES:
            raise Error(Code.INVALID, f"{dtype!r} is no type of elements: use one of {', '.join(_DTYPES)}")
        if isinstance(values, Tensor):
            if dtype in (None, values.dtype):
                self.dtype, self.shape, self.data = values.dtype, values.shape, values.data
                return
            shape, flat = values.shape, values.data.tolist()
        elif (found := _buffer(values, dtype)) is not None:
            self.dtype, self.shape, self.data = found
            return
        else:
            shape, flat = _nested(values)
        if dtype is None:
            if any(isinstance(v, float) for v in flat):
                dtype = "f64"
            else:
                dtype = "u8" if flat and all(isinstance(v, bool) for v in flat) else "i64"
        try:
            self.data = memoryview(array(_DTYPES[dtype][1], flat))
        except (TypeError, OverflowError, ValueError) as e:
            raise Error(Code.INVALID, f"a tensor of {dtype} cannot hold these values: {e}") from None
        self.dtype, self.shape = dtype, shape

    @classmethod
    def _of(cls, dtype: str, shape: Tuple[int, ...], data: memoryview) -> Tensor:
        t = cls.__new__(cls)
        t.dtype, t.shape, t.data = dtype, shape, data
        return t

    @classmethod
    def zeros(cls, shape: Sequence[int], dtype: str = "f64") -> Tensor:
        """A tensor of zeros."""
        code = _DTYPES[dtype][1]
        return cls._of(dtype, tuple(shape), memoryview(bytearray(math.prod(shape) * struct.calcsize(code))).cast(code))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if len(self.shape) == 1:
            return iter(self.data)
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, tuple):
            t: Any = self
            for i in index:
                t = t[i]
            return t
        n = len(self)
        size = math.prod(self.shape[1:])
        if isinstance(index, slice):
            start, stop, step = index.indices(n)
            if step != 1:
                raise IndexError("a slice of a tensor has steps of 1")
            stop = max(start, stop)
            return Tensor._of(self.dtype, (stop - start,) + self.shape[1:], self.data[start * size : stop * size])
        i = index.__index__()
        if not -n <= i < n:
            raise IndexError(f"the index {i} is outside a dimension of {n}")
        i %= n
        if len(self.shape) == 1:
            return self.data[i]
        return Tensor._of(self.dtype, self.shape[1:], self.data[i * size : (i + 1) * size])

    def item(self) -> Any:
        """The number of a tensor that has one element."""
        if len(self.data) != 1:
            raise Error(Code.INVALID, f"a tensor of {len(self.data)} elements is no single number")
        return self.data[0]

    def tolist(self) -> Any:
        """The elements as nested lists of numbers."""
        if not self.shape:
            return self.data[0]
        if len(self.shape) == 1:
            return self.data.tolist()
        return [row.tolist() for row in self]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tensor):
            return NotImplemented
        return self.dtype == other.dtype and self.shape == other.shape and bool(self.data == other.data)

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import numpy

        out = numpy.frombuffer(self.data, numpy.dtype(self.data.format)).reshape(self.shape)
        return out.astype(dtype or out.dtype, copy=bool(copy))

    def __repr__(self) -> str:
        return f"Tensor({self.dtype} {list(self.shape)})"


def _buffer(values: Any, dtype: Optional[str]) -> Optional[Tuple[str, Tuple[int, ...], memoryview]]:
    """The type, shape and elements of what has a buffer; None of anything else."""
    if isinstance(values, (list, tuple, range)):
        return None
    if dtype is not None and hasattr(values, "astype"):
        values = values.astype(_DTYPES[dtype][1], order="C", copy=False)
    try:
        view = memoryview(values)
    except TypeError:
        return None
    have = _DTYPE_OF_FORMAT.get(view.format.lstrip("@=<|"))
    if have is None or dtype not in (None, have):
        shape, flat = _nested(view.tolist())
        t = Tensor(flat, dtype)
        return t.dtype, shape, t.data
    shape = tuple(view.shape or ())
    flat_bytes = view.cast("B") if view.c_contiguous and view.nbytes else memoryview(view.tobytes())
    return have, shape, flat_bytes.cast(_DTYPES[have][1])


def _nested(values: Any) -> Tuple[Tuple[int, ...], List[Any]]:
    """The shape and the elements of nested sequences."""
    if isinstance(values, (int, float)):
        return (), [values]
    try:
        values = list(values)
    except TypeError:
        return (), [values]
    if all(isinstance(v, (int, float)) for v in values):
        return (len(values),), values
    flat: List[Any] = []
    shapes = set()
    for v in values:
        if isinstance(v, str):
            raise Error(Code.INVALID, "a tensor holds numbers, and was given a text")
        shape, part = _nested(v)
        shapes.add(shape)
        flat += part
    if len(shapes) != 1:
        raise Error(Code.INVALID, "the rows of a tensor differ in their lengths")
    return (len(values),) + shapes.pop(), flat


# ---- Frames: little-endian, as docs/ABI.md has them ----


class _Input(enum.IntEnum):
    """The keys of the host's inputs."""

    TEXT = 1
    TEXT_PAIR = 2
    IDS = 3
    TOKENS = 4
    UNITS = 5
    SPECIAL = 6
    KEEP = 7
    TARGET = 8
    SEED = 9
    MODEL = 10
    GRANTS = 11
    ERROR = 12


class _Param(enum.IntEnum):
    """The types in front of a parameter's value."""

    INT = 1
    FLOAT = 2
    BOOL = 3
    STRING = 4
    ENUM = 5


class _TokenFlag(enum.IntFlag):
    SPECIAL = 1
    FIXED = 2


class _Flag(enum.IntFlag):
    """The flags of a field."""

    CRITICAL = 1


class _Tag:
    """The tags of the fields of frames."""

    # The request frame.
    METHOD = 1

    # A forward, and a gradient.
    UNITS = 1
    MASKS = 2
    TEXTS = 3
    IDS = 4
    FILL = 5
    TARGET = 6
    OVER = 7
    DEDUP = 8
    WANT = 9
    EMBEDS = 10
    POINTS = 11
    EDITS = 12
    WRT = 13
    RULE = 14

    # A generation.
    MAX_TOKENS = 1
    PROMPT = 2
    TEMPERATURE = 3
    TOP_K = 4
    TOP_P = 5
    SEED = 6

    # An operation.
    OPERANDS = 1
    SCALARS = 2

    # The meta of a result.
    AXES = 1
    RESULT_UNITS = 2

    # A list of tokens.
    TOKEN_IDS = 1
    TOKEN_SEQUENCES = 2
    TOKEN_STARTS = 3
    TOKEN_ENDS = 4
    TOKEN_RUNE_STARTS = 5
    TOKEN_RUNE_ENDS = 6
    TOKEN_FLAGS = 7
    TOKEN_TEXTS = 8

    # A list of units.
    UNIT_TEXTS = 1
    UNIT_SPAN_COUNTS = 2
    UNIT_SPANS = 3
    UNIT_TOKEN_COUNTS = 4
    UNIT_TOKENS = 5

    # A target.
    TARGET_KIND = 1
    TARGET_EXPRESSION = 2
    TARGET_LABEL = 3
    TARGET_INDEX = 4
    TARGET_OUTPUT = 5
    TARGET_VALUE = 6
    TARGET_POSITIONS = 7
    TARGET_SECOND = 8
    TARGET_SECOND_LABEL = 9

    # A model.
    MODEL_ID = 1
    MODEL_ARCHITECTURE = 2
    MODEL_TASK = 3
    MODEL_MASK_TOKEN = 4
    MODEL_LABELS = 5
    MODEL_LAYERS = 6
    MODEL_HEADS = 7
    MODEL_EMBEDDING = 8
    MODEL_HIDDEN = 9
    MODEL_VOCABULARY = 10
    MODEL_MAX_TOKENS = 11
    MODEL_MASK_ID = 12
    MODEL_PAD_ID = 13
    MODEL_SPECIAL_IDS = 14


def _u32(v: int) -> bytes:
    try:
        return struct.pack("<I", v)
    except struct.error:
        raise Error(Code.RANGE, f"{v} is no index, count or offset") from None


def _i64(*v: int) -> bytes:
    return struct.pack(f"<{len(v)}q", *v)


def _utf8(text: str) -> bytes:
    """The bytes of a text: those that are no UTF-8 stand in it as Python escapes them."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Error(Code.INVALID, "a text holds half of a surrogate pair") from None


def _text(data: bytes) -> str:
    return bytes(data).decode("utf-8", "surrogateescape")


def _string(text: str) -> bytes:
    data = _utf8(text)
    return _u32(len(data)) + data


def _list(items: Sequence[Any], write: Callable[[Any], bytes]) -> bytes:
    return _u32(len(items)) + b"".join(map(write, items))


def _strings(items: Sequence[str]) -> bytes:
    return _list(items, _string)


def _units(units: Sequence[Unit]) -> bytes:
    return b"".join((
        _field(_Tag.UNIT_TEXTS, *(_string(u.text) for u in units)),
        _field(_Tag.UNIT_SPAN_COUNTS, *(_u32(len(u.spans)) for u in units)),
        _field(_Tag.UNIT_SPANS, *(_u32(v) for u in units for s in u.spans for v in (s.sequence, s.start, s.end))),
        _field(_Tag.UNIT_TOKEN_COUNTS, *(_u32(len(u.tokens)) for u in units)),
        _field(_Tag.UNIT_TOKENS, *(_u32(t) for u in units for t in u.tokens)),
    ))


def _field(tag: int, *parts: bytes) -> bytes:
    """A critical field."""
    value = b"".join(parts)
    return struct.pack("<HHI", tag, _Flag.CRITICAL, len(value)) + value


class _Reader:
    """Reads a frame of the host's."""

    def __init__(self, data: Union[bytes, bytearray, memoryview]) -> None:
        self.data = memoryview(data)

    def take(self, n: int) -> memoryview:
        if n > len(self.data):
            raise Error(Code.INTERNAL, "a frame of the host ends early")
        head, self.data = self.data[:n], self.data[n:]
        return head

    def number(self, format: str) -> Any:
        return struct.unpack(format, self.take(struct.calcsize(format)))[0]

    def u32(self) -> int:
        return int(self.number("<I"))

    def string(self) -> str:
        return _text(self.take(self.u32()))

    def list(self, read: Callable[[], Any]) -> List[Any]:
        return [read() for _ in range(self.u32())]

    def rest(self) -> str:
        return _text(self.take(len(self.data)))

    def whole(self) -> int:
        """A number, 0 where there is none."""
        return self.u32() if len(self.data) else 0

    def id(self) -> Optional[int]:
        """A token's id, None where there is none."""
        return int(self.number("<i")) if len(self.data) else None

    def numbers(self, format: str = "I") -> List[int]:
        """The numbers of 4 bytes that are left."""
        n = len(self.data) // 4
        if len(self.data) != 4 * n:
            raise Error(Code.INTERNAL, "a frame of the host ends early")
        return list(struct.unpack(f"<{n}{format}", self.take(4 * n)))

    def fields(self, last: int) -> Dict[int, _Reader]:
        """Reads a frame to its end: its fields by their tags, up to last. One that is absent is
        empty."""
        out: Dict[int, _Reader] = defaultdict(lambda: _Reader(b""))
        while len(self.data) > 0:
            tag, flags, size = struct.unpack("<HHI", self.take(8))
            value = self.take(size)
            if 0 < tag <= last:
                out[tag] = _Reader(value)
            elif flags & _Flag.CRITICAL:
                raise Error(Code.UNSUPPORTED, "the frame has a critical field that this version does not know")
        return out

    def tokens(self) -> List[Token]:
        f = self.fields(_Tag.TOKEN_TEXTS)
        flags = f[_Tag.TOKEN_FLAGS].numbers()
        r = f[_Tag.TOKEN_TEXTS]
        columns: List[List[Any]] = [
            f[_Tag.TOKEN_IDS].numbers("i"), [r.string() for _ in flags],
            *(f[tag].numbers() for tag in range(_Tag.TOKEN_SEQUENCES, _Tag.TOKEN_FLAGS)),
            [bool(v & _TokenFlag.SPECIAL) for v in flags], [bool(v & _TokenFlag.FIXED) for v in flags],
        ]
        if any(len(c) != len(flags) for c in columns):
            raise Error(Code.INTERNAL, "the columns of a list of the host differ in their lengths")
        return [Token(*values) for values in zip(*columns)]

    def units(self) -> List[Unit]:
        f = self.fields(_Tag.UNIT_TOKENS)
        texts, spans, tokens = f[_Tag.UNIT_TEXTS], f[_Tag.UNIT_SPANS], f[_Tag.UNIT_TOKENS]
        span_counts, token_counts = f[_Tag.UNIT_SPAN_COUNTS].numbers(), f[_Tag.UNIT_TOKEN_COUNTS].numbers()
        if len(span_counts) != len(token_counts):
            raise Error(Code.INTERNAL, "the columns of a list of the host differ in their lengths")
        return [
            Unit(
                texts.string(),
                [Span(*struct.unpack("<3I", spans.take(12))) for _ in range(n)],
                list(struct.unpack(f"<{m}I", tokens.take(4 * m))),
            )
            for n, m in zip(span_counts, token_counts)
        ]

    def target(self) -> Target:
        f = self.fields(_Tag.TARGET_SECOND_LABEL)
        try:
            output = Output(f[_Tag.TARGET_OUTPUT].whole())
        except ValueError:
            raise Error(Code.UNSUPPORTED, "the target has an output that the method was not written for") from None
        return Target(
            f[_Tag.TARGET_KIND].rest(), f[_Tag.TARGET_EXPRESSION].rest(), f[_Tag.TARGET_LABEL].rest(),
            f[_Tag.TARGET_INDEX].whole(), output, float(f[_Tag.TARGET_VALUE].number("<d")),
            f[_Tag.TARGET_POSITIONS].numbers(), f[_Tag.TARGET_SECOND].whole(), f[_Tag.TARGET_SECOND_LABEL].rest(),
        )

    def param(self) -> ParamValue:
        kind = self.u32()
        if kind == _Param.INT:
            return int(self.number("<q"))
        if kind == _Param.FLOAT:
            return float(self.number("<d"))
        if kind == _Param.BOOL:
            return bool(self.number("<B"))
        return self.rest()

    def method(self) -> str:
        """The method that a request frame names."""
        return self.fields(_Tag.METHOD)[_Tag.METHOD].rest()


# ---- The request ----

ParamValue = Union[int, float, bool, str]


@dataclass
class Span:
    """A range of bytes of one of the original texts."""

    sequence: int  # 1 in the second text of a pair
    start: int
    end: int


@dataclass
class Token:
    """A token. start and end are bytes of the original text, rune_start and rune_end indices of
    its str; a special token has none."""

    id: int
    text: str  # as the vocabulary spells it
    sequence: int = 0  # 1 in the second text of a pair
    start: int = 0
    end: int = 0
    rune_start: int = 0
    rune_end: int = 0
    special: bool = False  # added by the tokenizer
    fixed: bool = False  # marked to be kept: never dropped, and never attributed to


@dataclass
class Unit:
    """What a method drops, keeps and attributes to: a token, a word, a sentence, or (with several
    spans) all occurrences of a word."""

    text: str
    spans: List[Span]
    tokens: List[int]  # indices into the request's tokens


class Output(enum.IntEnum):
    """The scale on which a target is read."""

    LOGIT = 1
    PROB = 2
    LOGPROB = 3


@dataclass
class Target:
    """The scalar that is explained."""

    kind: str  # "class", "regression", "difference" …; docs/ABI.md has all
    expr: str  # for target= of forward
    label: str
    index: int  # of the class or the token, as the kind says
    output: Output
    value: float  # on the unchanged input
    # of the tokens whose row of the last layer it is read from; none where the host does not say
    positions: List[int] = field(default_factory=list)
    second: int = 0  # the index of what a difference subtracts
    second_label: str = ""


class Request:
    """One input to explain."""

    text: str
    text_pair: Optional[str]  # None where there is no second text
    tokens: List[Token]  # special ones included
    units: List[Unit]  # of the tokens that are neither special nor fixed
    target: Target
    seed: int
    params: Dict[str, Any]  # all that the method declares, after defaults and validation

    def __init__(self, host: _Host, info: Method) -> None:
        self._host = host
        self.text = host.input(_Input.TEXT).rest()
        self.tokens = host.input(_Input.TOKENS).tokens()
        self.units = host.input(_Input.UNITS).units()
        self.target = host.input(_Input.TARGET).target()
        self.seed = host.input(_Input.SEED).number("<Q")
        try:
            self.text_pair = host.input(_Input.TEXT_PAIR).rest()
        except Error as e:
            if e.code != Code.NAME:
                raise
            self.text_pair = None
        self.params = {p.name: host.param(p.name) for p in info.params}
        self._ahead = b""  # of the random bytes
        self._sent = 0.0  # when a step was last sent

    @property
    def needs(self) -> List[str]:
        """The needs that the user granted."""
        r = self._host.input(_Input.GRANTS)
        return r.list(r.string)

    def random(self, n: int) -> bytes:
        """The next n bytes of a stream that the seed and the method's name determine: the same in
        every language. random.Random(request.seed) is another one, of Python's alone."""
        while len(self._ahead) < n:  # reads ahead: a call costs as much as a thousand bytes
            size = min(max(n - len(self._ahead), 4096), _MAX_CHUNK)
            self._ahead += self._host.call(_Event.RNG_FILL, (1, size))[1]
        out, self._ahead = self._ahead[:n], self._ahead[n:]
        return out

    def progress(self, done: int, total: int) -> None:
        """Reports work of the method's own; the host reports that of forward. It may be called
        often. Raises an Error of the code CANCELLED when the user gave up."""
        now = time.monotonic()
        if 0 <= done < total and now - self._sent < 0.02:
            return
        self._sent = now
        self._host.call(_Event.PROGRESS, (1, _zigzag(done)), (2, _zigzag(total)))

    def log(self, message: str, level: str = "note") -> None:
        """Writes one line to the user's log, of level debug, note or warning."""
        if level not in _LEVELS:
            raise Error(Code.INVALID, f"{level!r} is no level of the log: use one of {', '.join(_LEVELS)}")
        self._host.call(_Event.LOG, (1, _zigzag(_LEVELS.index(level))), (2, _utf8(message)))


_LEVELS = ("debug", "note", "warning")


# ---- The model ----

_FILLS = ("mask", "pad", "delete", "zero", "text", "token", "hide", "average")
_RULES = ("gradient", "lrp-alpha1")
_EDITS = ("replace", "zero", "mean", "add", "scale")
_WANTS = ("target", "logits", "probs", "logprobs")
_OPS = ("ridge", "matmul", "softmax", "topk", "sum", "mean")


@dataclass(frozen=True)
class Fill:
    """What a dropped unit or token becomes, where the name of a policy does not say it all:
    Fill.of_text("…") or Fill.of_token(17)."""

    kind: str = "mask"
    text: str = ""
    token: int = 0

    @classmethod
    def of_text(cls, text: str) -> Fill:
        return cls("text", text=text)

    @classmethod
    def of_token(cls, token: int) -> Fill:
        return cls("token", token=token)


@dataclass
class Edit:
    """A change of an activation on its way, under the need patch. op is replace, zero, mean (over
    the positions of the row), add or scale. The value of replace, add and scale has one element,
    or the axes of what point selects, rows first, in which axes of 1 are repeated."""

    point: str  # with a slice where only a part of it is meant: "blocks.3.attn.hook_z[h=2]"
    op: str = "replace"
    value: Any = None


@dataclass
class Continuation:
    """What a model generated."""

    ids: List[int]
    logprobs: List[float]  # of each token, by the model itself
    text: str  # that the tokens add to the prompt's


def grad(point: str) -> str:
    """The name under which a reply has the gradient at a point."""
    return f"grad({point})"


class Model:
    """The model under explanation. It belongs to one explanation; calls from several threads wait
    for each other. One forward of many rows is the way to ask for much."""

    id: str  # as the user named it
    architecture: str  # "bert", "distilbert" …
    task: str  # "sequence-classification" …
    mask_token: str  # empty where the tokenizer has none
    labels: List[str]
    # Sizes, each 0 where there is none or where the host does not say.
    layers: int  # blocks
    heads: int  # of attention, in each layer
    embedding: int  # width of the word embeddings
    hidden: int  # width of the hidden states
    vocabulary: int  # ids of tokens are less
    max_tokens: int  # of the longest row that the model reads; 0 where nothing bounds it
    mask_id: Optional[int]
    pad_id: Optional[int]
    special_ids: List[int]

    def __init__(self, host: _Host) -> None:
        self._host = host
        f = host.input(_Input.MODEL).fields(_Tag.MODEL_SPECIAL_IDS)
        self.id, self.architecture = f[_Tag.MODEL_ID].rest(), f[_Tag.MODEL_ARCHITECTURE].rest()
        self.task, self.mask_token = f[_Tag.MODEL_TASK].rest(), f[_Tag.MODEL_MASK_TOKEN].rest()
        labels = f[_Tag.MODEL_LABELS]
        self.labels = labels.list(labels.string) if len(labels.data) else []
        self.layers, self.heads = f[_Tag.MODEL_LAYERS].whole(), f[_Tag.MODEL_HEADS].whole()
        self.embedding, self.hidden = f[_Tag.MODEL_EMBEDDING].whole(), f[_Tag.MODEL_HIDDEN].whole()
        self.vocabulary, self.max_tokens = f[_Tag.MODEL_VOCABULARY].whole(), f[_Tag.MODEL_MAX_TOKENS].whole()
        self.mask_id, self.pad_id = f[_Tag.MODEL_MASK_ID].id(), f[_Tag.MODEL_PAD_ID].id()
        self.special_ids = f[_Tag.MODEL_SPECIAL_IDS].numbers("i")

    def forward(
        self,
        *,
        units: Any = None,
        masks: Any = None,
        texts: Optional[Sequence[str]] = None,
        ids: Optional[Sequence[Sequence[int]]] = None,
        embeds: Any = None,
        over: Optional[Sequence[Unit]] = None,
        fill: Union[str, Fill] = "mask",
        target: str = "",
        dedup: bool = True,
        want: Optional[Sequence[str]] = None,
        points: Optional[Sequence[str]] = None,
        edits: Optional[Sequence[Edit]] = None,
    ) -> Reply:
        """Evaluates variants of the input, N rows in one call. The host builds the rows, runs equal
        ones once, reports progress and honours cancellation. Exactly one of these says what they are:

        units   [N,U] over the request's units, or those of over: 1 keeps a unit, 0 drops it; the
                host edits the text and tokenises it again
        masks   [N,T] the same for the request's tokens; special and fixed ones are always kept
        texts   N texts in the place of the request's
        ids     N rows of token ids, special tokens included
        embeds  [N,T,D] vectors in the place of the word embeddings of the request's T tokens, under
                the need embeddings

        fill says what is dropped becomes: mask (the mask token), pad, delete, zero or average
        (vectors), hide (from the attention of all), or a Fill. target is an expression in place of
        the request's target. dedup=False runs equal rows again. want are the outputs that the reply
        will be asked for: target, logits, probs, logprobs; all where it is left out. points names
        the activations that the reply keeps, and edits change them on the way.
        """
        spec = dict(units=units, masks=masks, texts=texts, ids=ids, embeds=embeds, over=over, fill=fill,
                    target=target, dedup=dedup, want=want, points=points, edits=edits)
        return self._evaluate(_Event.FORWARD, spec)

    def gradient(self, *, wrt: Sequence[str], rule: str = "gradient", **rows: Any) -> Reply:
        """forward, with its arguments, and the gradient of each row's target at the points wrt: the
        reply has reply[grad(point)] for each, of the shape of the point. It takes the need
        gradients, and that of a point other than the word embeddings. By the rule lrp-alpha1 it is
        the relevance there, by layer-wise relevance propagation as Chefer, Gur and Wolf have it for
        transformers (CVPR 2021)."""
        return self._evaluate(_Event.GRAD, {**rows, "wrt": wrt, "rule": rule})

    def generate(
        self,
        max_tokens: int,
        *,
        prompt: Optional[Sequence[int]] = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 0.0,
        seed: int = 0,
    ) -> Continuation:
        """Continues a row of tokens, the request's where there is no prompt: with the most probable
        token every time, or by drawing where temperature, which divides the logits, is above 0.
        top_k and top_p bound what may be drawn; 0 is no bound. It takes the need generate."""
        with _Handles(self._host) as handles:
            handle = 0 if prompt is None else handles.send(Tensor(prompt, "i32"))
            spec = _generation(handle, max_tokens, temperature, top_k, top_p, seed)
            reply = Reply(self._host, self._host.call(_Event.GENERATE, (1, spec))[0])
        text = _text(reply["text"].data)
        return Continuation(reply["ids"].tolist(), reply["logprobs"].tolist(), text)

    def tokenize(self, text: str) -> List[Token]:
        """The tokens of a text, special ones included, with nothing cut off. It takes the need
        tokenize."""
        reply = Reply(self._host, self._host.call(_Event.TOKENIZE, (1, _utf8(text)))[0])
        return _Reader(reply["tokens"].data).tokens()

    # Arithmetic of the host's, with the same bits on every machine. Operands are f64.

    def ridge(self, x: Any, y: Any, weights: Any, penalty: float) -> Tensor:
        """Weighted ridge regression of y [N] on x [N,U]: U coefficients, then the intercept, which
        is not penalised."""
        return self._op("ridge", [x, y, weights], [penalty])

    def matmul(self, a: Any, b: Any) -> Tensor:
        """The product of a [N,K] and b [K,M]."""
        return self._op("matmul", [a, b])

    def softmax(self, x: Any) -> Tensor:
        """The softmax over the last dimension."""
        return self._op("softmax", [x])

    def top_k(self, x: Any, k: int) -> Tensor:
        """The indices, i64 [k], of the largest of x [N]; of equal ones the first."""
        return self._op("topk", [x], [float(k)])

    def sum(self, x: Any) -> Tensor:
        """The sums over the last dimension."""
        return self._op("sum", [x])

    def mean(self, x: Any) -> Tensor:
        """The means over the last dimension."""
        return self._op("mean", [x])

    def _op(self, name: str, operands: Sequence[Any], scalars: Sequence[float] = ()) -> Tensor:
        with _Handles(self._host) as handles:
            spec = _operation([handles.send(Tensor(x, "f64")) for x in operands], scalars)
            return self._host.receive(self._host.call(_Event.OP, (1, _OPS.index(name) + 1), (2, spec))[0])

    def _evaluate(self, event: int, spec: Dict[str, Any]) -> Reply:
        with _Handles(self._host) as handles:
            frame = _forward(handles.send, **spec)
            return Reply(self._host, self._host.call(event, (1, frame))[0])


def _forward(
    send: Callable[[Tensor], int],
    units: Any = None,
    masks: Any = None,
    texts: Optional[Sequence[str]] = None,
    ids: Optional[Sequence[Sequence[int]]] = None,
    embeds: Any = None,
    over: Optional[Sequence[Unit]] = None,
    fill: Union[str, Fill] = "mask",
    target: str = "",
    dedup: bool = True,
    want: Optional[Sequence[str]] = None,
    points: Optional[Sequence[str]] = None,
    edits: Optional[Sequence[Edit]] = None,
    wrt: Optional[Sequence[str]] = None,
    rule: str = "gradient",
) -> bytes:
    """The frame of a forward or a gradient, whose tensors send hands to the host."""
    if sum(rows is not None for rows in (units, masks, texts, ids, embeds)) != 1:
        raise Error(Code.INVALID, "a forward has exactly one of units, masks, texts, ids and embeds")
    out = []
    if units is not None:
        out.append(_field(_Tag.UNITS, _i64(send(Tensor(units, "u8")))))
    if masks is not None:
        out.append(_field(_Tag.MASKS, _i64(send(Tensor(masks, "u8")))))
    if texts is not None:
        parts = [_utf8(text) for text in texts]
        offsets = [0]
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        out.append(_field(_Tag.TEXTS, _i64(send(Tensor(b"".join(parts), "u8")), send(Tensor(offsets, "i64")))))
    if ids is not None:
        rows = [list(row) for row in ids]
        width = max(map(len, rows), default=0)
        padded = Tensor([v for row in rows for v in row + [0] * (width - len(row))], "i32")
        padded.shape = (len(rows), width)
        out.append(_field(_Tag.IDS, _i64(send(padded), send(Tensor(list(map(len, rows)), "i32")))))
    if embeds is not None:
        out.append(_field(_Tag.EMBEDS, _i64(send(Tensor(embeds, "f32")))))
    if over is not None:
        out.append(_field(_Tag.OVER, _units(over)))
    if isinstance(fill, str):
        if fill in ("text", "token"):
            raise Error(Code.INVALID, f"the fill {fill} says nothing of what it is: use Fill.of_{fill}(…)")
        fill = Fill(fill)
    if fill != Fill():
        kind = _index(_FILLS, fill.kind, "fill")
        out.append(_field(_Tag.FILL, struct.pack("<Ii", kind, fill.token), _utf8(fill.text)))
    if target:
        out.append(_field(_Tag.TARGET, _utf8(target)))
    if not dedup:
        out.append(_field(_Tag.DEDUP, b"\0"))
    if want is not None:
        out.append(_field(_Tag.WANT, *(_u32(_index(_WANTS, w, "output of a model") + 1) for w in want)))
    if points is not None:
        out.append(_field(_Tag.POINTS, _strings(points)))
    if edits is not None:

        def edit(e: Edit) -> bytes:
            value = 0 if e.value is None else send(_floats(e.value))
            return _string(e.point) + _u32(_index(_EDITS, e.op, "operation of an edit")) + _i64(value)

        out.append(_field(_Tag.EDITS, _list(edits, edit)))
    if wrt is not None:
        out.append(_field(_Tag.WRT, _strings(wrt)))
    if rule != "gradient":
        out.append(_field(_Tag.RULE, _u32(_index(_RULES, rule, "rule of a gradient"))))
    return b"".join(out)


def _index(names: Sequence[str], name: str, what: str) -> int:
    if name not in names:
        raise Error(Code.INVALID, f"{name!r} is no {what}: use one of {', '.join(names)}")
    return names.index(name)


def _floats(values: Any) -> Tensor:
    """A tensor of f32 or f64: integers become f64."""
    t = Tensor(values)
    return t if t.dtype in ("f32", "f64") else Tensor(t, "f64")


def _generation(prompt: int, max_tokens: int, temperature: float, top_k: int, top_p: float, seed: int) -> bytes:
    out = [_field(_Tag.MAX_TOKENS, _u32(max_tokens))]
    if prompt:
        out.append(_field(_Tag.PROMPT, _i64(prompt)))
    if temperature:
        out.append(_field(_Tag.TEMPERATURE, struct.pack("<d", temperature)))
    if top_k:
        out.append(_field(_Tag.TOP_K, _u32(top_k)))
    if top_p:
        out.append(_field(_Tag.TOP_P, struct.pack("<d", top_p)))
    if seed:
        out.append(_field(_Tag.SEED, struct.pack("<Q", seed & (1 << 64) - 1)))
    return b"".join(out)


def _operation(operands: Sequence[int], scalars: Sequence[float]) -> bytes:
    out = _field(_Tag.OPERANDS, _i64(*operands))
    return out + _field(_Tag.SCALARS, struct.pack(f"<{len(scalars)}d", *scalars)) if scalars else out


class Reply:
    """The outputs of a forward or a gradient: reply["target"] is f64 [N], reply["logits"] f64
    [N,C]; so are "probs" and "logprobs". A point has its own name, and reply["attentions", 3] is the
    fourth that the name stands for. Each is moved when it is asked for. The host keeps a reply while
    somebody holds it."""

    def __init__(self, host: _Host, handle: int) -> None:
        self._host = host
        self._handle = handle
        weakref.finalize(self, host.dropped.append, handle)

    def __getitem__(self, key: Union[str, Tuple[str, int]]) -> Tensor:
        name, index = (key, 0) if isinstance(key, str) else key
        return self._host.receive(self._get(name, index))

    def part(self, name: str, where: Sequence[Union[int, slice]], index: int = 0) -> Tensor:
        """A part of an output, of which nothing else is moved: an index or a slice for each
        dimension."""
        handle = self._get(name, index)
        dtype, shape = self._host.info(handle)
        if len(where) != len(shape):
            self._host.drop(handle)
            raise Error(Code.INVALID, f"{name} has {len(shape)} dimensions, and {len(where)} were given")
        try:
            grid = [range(n)[w if isinstance(w, slice) else slice(k := range(n)[w], k + 1)] for w, n in zip(where, shape)]
        except IndexError:
            self._host.drop(handle)
            raise Error(Code.RANGE, f"an index is outside of {name}, which is {list(shape)}") from None
        size = math.prod(map(len, grid)) * struct.calcsize(_DTYPES[dtype][1])
        spec = b"".join(_i64(g.start, len(g), g.step) for g in grid)
        try:
            data = self._host.call(_Event.TENSOR_READ_STRIDED, (1, _zigzag(handle)), (2, spec), (3, size))[1]
        finally:
            self._host.drop(handle)
        kept = tuple(len(g) for g, w in zip(grid, where) if isinstance(w, slice))
        return Tensor._of(dtype, kept, memoryview(data).cast(_DTYPES[dtype][1]))

    def _get(self, name: str, index: int) -> int:
        return self._host.call(_Event.REPLY_GET, (1, _zigzag(self._handle)), (2, _utf8(name)), (3, _zigzag(index)))[0]


# ---- The explanation ----


@dataclass
class Attribution:
    """One value a unit, or a token, in the scale of the target."""

    name: str
    values: Any
    over: str = "units"  # or "tokens"
    stderr: Any = None  # standard errors


@dataclass
class Explanation:
    """What a method returns."""

    attributions: Any  # one value a unit, or what over says
    over: str = "units"  # or "tokens"
    stderr: Any = None  # standard errors of the attributions
    units: Optional[Sequence[Unit]] = None  # in place of the request's, for a method that has its own
    baseline: Optional[float] = None  # the target's value at the method's baseline
    diagnostics: Mapping[str, float] = field(default_factory=dict)  # how far to trust the values
    more: Sequence[Attribution] = ()  # further ones
    tensors: Mapping[str, Tuple[Sequence[str], Any]] = field(default_factory=dict)
    """Further results: {"rollout": (["query", "key"], matrix)}, with one axis a dimension."""

    def _results(self) -> Iterator[Tuple[str, Tensor, bytes]]:
        """Name, tensor and meta of all."""
        for a in (Attribution("attributions", self.attributions, self.over, self.stderr), *self.more):
            axes = _field(_Tag.AXES, _strings([a.over]))
            units = b""
            if a.name == "attributions" and self.units is not None:
                units = _field(_Tag.RESULT_UNITS, _units(self.units))
            yield a.name, _named(a.name, a.values, "f64"), axes + units
            if a.stderr is not None:
                yield a.name + ".stderr", _named(a.name + ".stderr", a.stderr, "f64"), axes
        for name, (axes_of, values) in self.tensors.items():
            yield name, _named(name, values), _field(_Tag.AXES, _strings(axes_of)) if axes_of else b""
        if self.baseline is not None:
            yield "baseline", _named("baseline", self.baseline, "f64"), b""
        for name, value in self.diagnostics.items():
            yield f"diagnostics.{name}", _named(name, value, "f64"), b""


def _named(name: str, values: Any, dtype: Optional[str] = None) -> Tensor:
    try:
        return Tensor(values, dtype)
    except Error as e:
        raise Error(Code.INTERNAL, f"the method returned {name} that cannot be read: {e}") from None


# ---- What a method declares ----

_NEEDS = (
    "forward", "gradients", "attentions", "activations", "hidden_states", "generate", "embeddings", "tokenize", "patch",
)


@dataclass(frozen=True)
class Param:
    """A parameter, as Int, Float, Bool, String and Enum make it: functions with capital letters, since
    each stands for a type and returns a Param of it. The host prints it as help, and checks what it
    is given before the method runs."""

    name: str
    type: str
    default: ParamValue
    doc: str = ""
    min: Optional[float] = None  # inclusive
    max: Optional[float] = None
    values: Sequence[str] = ()  # of an Enum
    aliases: Sequence[str] = ()  # other names that people know it by
    compat: Mapping[str, ParamValue] = field(default_factory=dict)  # the default under a value of the parameter compat

    def _describe(self) -> Dict[str, Any]:
        optional = dict(aliases=list(self.aliases), min=self.min, max=self.max, values=list(self.values), compat=dict(self.compat))
        kept = {key: v for key, v in optional.items() if v is not None and v != [] and v != {}}
        return {"name": self.name, "type": self.type, "default": self.default, "doc": self.doc, **kept}


def Int(name: str, default: int, *, min: Optional[int] = None, max: Optional[int] = None, doc: str = "",
        aliases: Sequence[str] = (), compat: Mapping[str, int] = {}) -> Param:
    """An integer, with inclusive bounds."""
    return Param(name, "int", default, doc, min, max, aliases=aliases, compat=compat)


def Float(name: str, default: float, *, min: Optional[float] = None, max: Optional[float] = None, doc: str = "",
          aliases: Sequence[str] = (), compat: Mapping[str, float] = {}) -> Param:
    """A float64, with inclusive bounds."""
    return Param(name, "float", default, doc, min, max, aliases=aliases, compat=compat)


def Bool(name: str, default: bool, *, doc: str = "", aliases: Sequence[str] = (), compat: Mapping[str, bool] = {}) -> Param:
    """True or false."""
    return Param(name, "bool", default, doc, aliases=aliases, compat=compat)


def String(name: str, default: str, *, doc: str = "", aliases: Sequence[str] = (), compat: Mapping[str, str] = {}) -> Param:
    """Any text."""
    return Param(name, "string", default, doc, aliases=aliases, compat=compat)


def Enum(name: str, default: str, values: Sequence[str], *, doc: str = "", aliases: Sequence[str] = (),
         compat: Mapping[str, str] = {}) -> Param:
    """One of several words."""
    return Param(name, "enum", default, doc, values=values, aliases=aliases, compat=compat)


@dataclass(frozen=True)
class Method:
    """A function with what it declares. Calling it calls the function."""

    function: Callable[[Model, Request], Explanation]
    name: str
    version: str
    summary: str
    source: str
    needs: Sequence[str]
    params: Sequence[Param]

    def __call__(self, model: Model, request: Request) -> Explanation:
        return self.function(model, request)

    def describe(self) -> Dict[str, Any]:
        """The description that docs/ABI.md gives."""
        return {
            "name": self.name, "version": self.version, "summary": self.summary, "source": self.source,
            "abi": f"{ABI >> 16}.{ABI & 0xFFFF}", "needs": list(self.needs), "params": [p._describe() for p in self.params],
        }


def method(
    *,
    name: str,
    version: str,
    summary: str = "",
    source: str = "",
    needs: Sequence[str] = ("forward",),
    params: Sequence[Param] = (),
) -> Callable[[Callable[[Model, Request], Explanation]], Method]:
    """Declares that a function is a method: name is what users type, version a semantic one,
    summary one line, source the paper or program that defines it, and needs the powers that it
    uses: forward, gradients, attentions, activations, hidden_states, generate, embeddings, tokenize,
    patch."""
    if len(name) > 64 or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(
            f"{name!r} cannot be the name of a method: use lower-case letters and digits, with hyphens between them, 64 at most"
        )
    for need in needs:
        if need not in _NEEDS:
            raise ValueError(f"{need!r} is no need: use of {', '.join(_NEEDS)}")
    for p in params:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", p.name):
            raise ValueError(f"{p.name!r} cannot be the name of a parameter: use lower-case letters, digits and underscores")
    return lambda function: Method(function, name, version, summary, source, tuple(needs), tuple(params))


# ---- The host: protocol buffers, written by hand since they are flat ----


class _Event(enum.IntEnum):
    """The fields of Event, of sdk/process/wire/xai.proto."""

    STARTED = 1
    ENDED = 2
    TENSOR_NEW = 3
    TENSOR_INFO = 4
    TENSOR_READ = 5
    TENSOR_READ_STRIDED = 6
    TENSOR_WRITE = 7
    TENSOR_FREE = 8
    TOKENIZE = 9
    FORWARD = 10
    GRAD = 11
    GENERATE = 12
    REPLY_GET = 13
    OP = 14
    PARAM_GET = 15
    INPUT_GET = 16
    RNG_FILL = 17
    PROGRESS = 18
    LOG = 19
    ERROR = 20
    RESULT = 21


_Field = Tuple[int, Union[int, bytes, memoryview]]


def _varint(v: int) -> bytes:
    out = bytearray()
    while v > 0x7F:
        out.append(v & 0x7F | 0x80)
        v >>= 7
    out.append(v)
    return bytes(out)


def _zigzag(v: int) -> int:
    if not -1 << 63 <= v < 1 << 63:
        raise Error(Code.RANGE, f"{v} does not fit into 64 bits")
    return v << 1 if v >= 0 else (-v << 1) - 1


def _unzigzag(v: int) -> int:
    return v >> 1 if v & 1 == 0 else -(v >> 1) - 1


def _parts(fields: Sequence[_Field]) -> List[Union[bytes, memoryview]]:
    parts: List[Union[bytes, memoryview]] = []
    for number, value in fields:
        if isinstance(value, int):
            parts += (_varint(number << 3), _varint(value))
        else:
            parts += (_varint(number << 3 | 2), _varint(len(value)), value)
    return parts


def _message(*fields: _Field) -> bytes:
    """A message of unsigned varints and bytes."""
    return b"".join(_parts(fields))


def _event(number: int, *fields: _Field) -> bytes:
    """An event: a message whose one field is a message."""
    parts = _parts(fields)
    return b"".join([_varint(number << 3 | 2), _varint(sum(map(len, parts))), *parts])


def _fields(data: bytes) -> Dict[int, Any]:
    """The fields of a message by their numbers: ints and memoryviews."""
    view, at = memoryview(data), 0
    out: Dict[int, Any] = {}

    def varint() -> int:
        nonlocal at
        v = shift = 0
        while True:
            b = view[at]
            at += 1
            v |= (b & 0x7F) << shift
            if b < 0x80:
                return v
            shift += 7
            if shift > 63:
                raise IndexError

    try:
        while at < len(view):
            key = varint()
            kind = key & 7
            if kind == 0:
                out[key >> 3] = varint()
                continue
            size = varint() if kind == 2 else {1: 8, 5: 4}[kind]
            if size > len(view) - at:
                raise IndexError
            out[key >> 3] = view[at : at + size]
            at += size
    except LookupError:
        raise Error(Code.INTERNAL, "a message of the host is malformed") from None
    return out


class _Host:
    """The calls of one explanation, on its stream."""

    def __init__(self, stream: _Stream) -> None:
        self.stream = stream
        self.lock = threading.Lock()  # a call waits for the one before it
        self.busy = False  # in a call, which must not be interrupted
        self.over = False
        self.dropped: deque[int] = deque()  # handles to be freed with the next call

    def call(self, event: int, *fields: _Field) -> Tuple[int, bytearray]:
        """Makes a call, and returns the value and the data of its answer."""
        return self.exchange([_event(event, *fields)])

    def exchange(self, events: Iterable[bytes]) -> Tuple[int, bytearray]:
        """Sends the events of one call, and reads its answers."""
        with self.lock:
            if self.over:
                raise Error(Code.INTERNAL, "the explanation is over, and its model was used")
            self.busy = True
            try:
                frees = []
                while self.dropped:
                    frees.append(_event(_Event.TENSOR_FREE, (1, _zigzag(self.dropped.popleft()))))
                for event in frees:
                    self.stream.send(event)
                for event in events:
                    self.stream.send(event)
                for _ in frees:
                    self._answer()
                value, data, message = self._answer()
            finally:
                self.busy = False
        if value < 0:
            raise _host_error(value, message)
        return value, data

    def _answer(self) -> Tuple[int, bytearray, str]:
        value, message, data, more = 0, "", bytearray(), 1
        while more:
            received = self.stream.receive()
            if received is None:
                raise Error(Code.CANCELLED, "the run was cancelled")
            answer = _fields(_fields(received).get(2, b""))
            more = answer.get(4, 0)
            if value >= 0:
                value, message = _unzigzag(answer.get(1, 0)), _text(answer.get(3, b""))
                data += answer.get(2, b"")
        return value, data, message

    def drop(self, handle: int) -> None:
        """Has a tensor or a reply freed with the next call."""
        self.dropped.append(handle)

    def input(self, key: int) -> _Reader:
        return _Reader(self.call(_Event.INPUT_GET, (1, key))[1])

    def param(self, name: str) -> ParamValue:
        return _Reader(self.call(_Event.PARAM_GET, (1, _utf8(name)))[1]).param()

    def send(self, t: Tensor) -> int:
        """Copies a tensor to the host and returns its handle."""
        code, format = _DTYPES[t.dtype]
        handle = self.call(_Event.TENSOR_NEW, (1, code), (2, _i64(*t.shape)))[0]
        data = t.data.cast("B") if len(t.data) else memoryview(b"")
        chunks = range(0, len(data), _MAX_CHUNK)
        if chunks:
            try:
                self.exchange(
                    _event(
                        _Event.TENSOR_WRITE,
                        (1, _zigzag(handle)), (2, at), (3, data[at : at + _MAX_CHUNK]), (4, int(at != chunks[-1])),
                    )
                    for at in chunks
                )
            except Error:
                self.drop(handle)
                raise
        return handle

    def info(self, handle: int) -> Tuple[str, Tuple[int, ...]]:
        """The type and the shape of the host's tensor."""
        r = _Reader(self.call(_Event.TENSOR_INFO, (1, _zigzag(handle)))[1])
        code = r.u32()
        shape = tuple(r.list(lambda: int(r.number("<q"))))
        if code not in _DTYPE_OF_CODE:
            self.drop(handle)
            raise Error(Code.UNSUPPORTED, "the tensor holds bf16, which Python has no array for")
        return _DTYPE_OF_CODE[code], shape

    def receive(self, handle: int) -> Tensor:
        """Copies the host's tensor and frees it there."""
        dtype, shape = self.info(handle)
        format = _DTYPES[dtype][1]
        size = math.prod(shape) * struct.calcsize(format)
        data = bytearray()
        try:
            if size:
                data = self.call(_Event.TENSOR_READ, (1, _zigzag(handle)), (2, 0), (3, size))[1]
        finally:
            self.drop(handle)
        if len(data) != size:
            raise Error(Code.INTERNAL, "the host's tensor came in part")
        return Tensor._of(dtype, shape, memoryview(data).cast(format))

    def result(self, name: str, t: Tensor, meta: bytes) -> None:
        self.call(_Event.RESULT, (1, _utf8(name)), (2, _zigzag(self.send(t))), (3, meta))


class _Handles:
    """Tensors that are freed at the end of a with block."""

    def __init__(self, host: _Host) -> None:
        self.host = host
        self.handles: List[int] = []

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.dropped.extend(self.handles)

    def send(self, t: Tensor) -> int:
        self.handles.append(self.host.send(t))
        return self.handles[-1]


# ---- HTTP/2 and gRPC: the part of them that serves a few calls of one peer ----

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 8, 9
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY, _ACK = 1, 4, 8, 0x20, 1
_WINDOW = 1 << 24  # bytes that the peer may send ahead
_MAX_FRAME = 1 << 14
_MAX_HEADERS = 1 << 16
_MAX_MESSAGE = 1 << 30


class _Broken(Exception):
    """The peer does not speak the protocol."""


class _Stream:
    """One call of the peer's. All fields are the connection's to guard."""

    def __init__(self, connection: _Connection, id: int) -> None:
        self.connection = connection
        self.id = id
        self.window = connection.initial  # bytes that may be sent
        self.received = 0  # bytes since the last update of the peer's window
        self.buffer = bytearray()
        self.messages: deque[bytes] = deque()
        self.ended = False  # the peer sends no more
        self.cancelled = False  # the peer takes no more
        self.opened = False  # its answer has begun

    def feed(self, data: bytes) -> None:
        """Takes bytes of the peer's and cuts them into messages."""
        self.buffer += data
        while len(self.buffer) >= 5:
            size = int.from_bytes(self.buffer[1:5], "big")
            if self.buffer[0] != 0 or size > _MAX_MESSAGE:
                raise _Broken("a message is compressed or too long")
            if len(self.buffer) < 5 + size:
                return
            self.messages.append(bytes(memoryview(self.buffer)[5 : 5 + size]))
            del self.buffer[: 5 + size]

    def receive(self) -> Optional[bytes]:
        """The next message; None where there is none any more."""
        with self.connection.changed:
            while not self.messages and not self.ended and not self.cancelled:
                self.connection.changed.wait()
            return self.messages.popleft() if self.messages and not self.cancelled else None

    def send(self, message: bytes) -> None:
        """Sends a message, as fast as the peer takes it. Nothing is sent once it takes no more."""
        prefix, data = b"\0" + len(message).to_bytes(4, "big"), memoryview(message)
        c = self.connection
        parts: List[Union[bytes, memoryview]] = []
        with c.changed:
            if not self.opened:
                self.opened = True
                parts.append(_frame(_HEADERS, _END_HEADERS, self.id, b"\x88" + _header("content-type", "application/grpc")))
            while prefix or len(data) > 0:
                while (allowed := min(c.window, self.window, 1 << 18)) <= len(prefix) and not self.cancelled:
                    c.changed.wait()
                if self.cancelled:
                    return
                while (prefix or len(data) > 0) and allowed > len(prefix):
                    n = min(len(prefix) + len(data), allowed, c.frame)
                    payload, data = data[: n - len(prefix)], data[n - len(prefix) :]
                    parts += (n.to_bytes(3, "big"), bytes((_DATA, 0)), self.id.to_bytes(4, "big"), prefix, payload)
                    prefix = b""
                    allowed -= n
                    c.window -= n
                    self.window -= n
                c.write(b"".join(parts))
                parts = []

    def end(self, status: int = 0, message: str = "") -> None:
        """Ends the answer with a status of gRPC."""
        head = b"" if self.opened else b"\x88" + _header("content-type", "application/grpc")
        head += _header("grpc-status", str(status))
        if message:
            head += _header("grpc-message", message)
        c = self.connection
        with c.changed:
            if not self.cancelled:
                c.write(_frame(_HEADERS, _END_HEADERS | _END_STREAM, self.id, head))
            c.streams.pop(self.id, None)


def _frame(kind: int, flags: int, stream: int, payload: Union[bytes, memoryview] = b"") -> bytes:
    return b"".join((len(payload).to_bytes(3, "big"), bytes((kind, flags)), stream.to_bytes(4, "big"), payload))


class _Connection:
    """The server's side of a connection."""

    def __init__(self, channel: _Channel, accept: Callable[[_Stream, str], None], cancel: Callable[[_Stream], None]) -> None:
        self.channel = channel
        self.accept = accept  # is told of every call, with its path, and may not wait
        self.cancel = cancel  # is told of every call that the peer gives up
        self.changed = threading.Condition()  # guards what follows, the streams, and the order of what is sent
        self.streams: Dict[int, _Stream] = {}
        self.last = 0  # stream of the peer's
        self.window = self.initial = 65535  # bytes that may be sent
        self.frame = _MAX_FRAME
        self.received = 0  # bytes since the last update of the peer's window
        self.buffer = bytearray()
        self.block = bytearray()  # of headers
        self.opening = 0  # the flag of their end of stream
        self.table = _HeaderTable()

    def run(self) -> None:
        """Reads what the peer sends until it goes."""
        try:
            while len(self.buffer) < len(_PREFACE):
                self.receive()
            if not self.buffer.startswith(_PREFACE):
                raise _Broken("the peer does not speak HTTP/2")
            del self.buffer[: len(_PREFACE)]
            settings = struct.pack(">HIHI", 3, 100, 4, _WINDOW)
            with self.changed:
                self.write(_frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW)))
            while True:
                self.frames()
                self.receive()
        except (OSError, EOFError, _Broken, struct.error, LookupError, ValueError):
            pass  # either side is gone, or means something else
        except (MemoryError, RuntimeError):
            _end_without_memory()
        with self.changed:
            for stream in list(self.streams.values()):
                self.give_up(stream)
            self.changed.notify_all()
        self.channel.close()

    def receive(self) -> None:
        data = self.channel.receive()
        if not data:
            raise EOFError
        self.buffer += data

    def frames(self) -> None:
        """Handles all frames that are there."""
        at = 0
        with self.changed:
            while len(self.buffer) - at >= 9:
                size = int.from_bytes(self.buffer[at : at + 3], "big")
                if size > _MAX_FRAME:
                    raise _Broken("a frame is too long")
                end = at + 9 + size
                if len(self.buffer) < end:
                    break
                kind, flags, id = struct.unpack(">BBI", self.buffer[at + 3 : at + 9])
                self.handle(kind, flags, id & 0x7FFFFFFF, bytes(memoryview(self.buffer)[at + 9 : end]))
                at = end
            self.changed.notify_all()
        del self.buffer[:at]

    def write(self, data: bytes) -> None:
        try:
            self.channel.send(data)
        except OSError:
            pass  # the peer is gone, as run will notice

    def give_up(self, stream: _Stream) -> None:
        stream.cancelled = True
        self.streams.pop(stream.id, None)
        self.cancel(stream)

    def handle(self, kind: int, flags: int, id: int, payload: bytes) -> None:
        stream = self.streams.get(id)
        if kind == _DATA:
            size = len(payload)
            if flags & _PADDED:
                payload = payload[1 : size - payload[0]]
            self.received = self.credit(0, self.received + size)
            if stream:
                stream.feed(payload)
                stream.ended = bool(flags & _END_STREAM)
                if not stream.ended:
                    stream.received = self.credit(id, stream.received + size)
        elif kind == _HEADERS:
            if flags & _PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            if flags & _PRIORITY:
                payload = payload[5:]
            self.block = bytearray(payload)
            self.opening = flags & _END_STREAM
            if flags & _END_HEADERS:
                self.open(id)
        elif kind == _CONTINUATION:
            self.block += payload
            if len(self.block) > _MAX_HEADERS:
                raise _Broken("the headers are too long")
            if flags & _END_HEADERS:
                self.open(id)
        elif kind == _RST_STREAM and stream:
            self.give_up(stream)
        elif kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at : at + 6])
                if key == 4:
                    for s in self.streams.values():
                        s.window += value - self.initial
                    self.initial = value
                elif key == 5:
                    self.frame = value
            self.write(_frame(_SETTINGS, _ACK, 0))
        elif kind == _PING and not flags & _ACK:
            self.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE:
            n = int.from_bytes(payload, "big") & 0x7FFFFFFF
            if id == 0:
                self.window += n
            elif stream:
                stream.window += n

    def credit(self, id: int, received: int) -> int:
        """Lets the peer send again what was received, in large steps."""
        if received < _WINDOW // 4:
            return received
        self.write(_frame(_WINDOW_UPDATE, 0, id, struct.pack(">I", received)))
        return 0

    def open(self, id: int) -> None:
        headers = self.table.decode(bytes(self.block))
        if id in self.streams:
            self.streams[id].ended = True  # trailers
            return
        if id <= self.last:
            return
        self.last = id
        self.streams[id] = stream = _Stream(self, id)
        stream.ended = bool(self.opening)
        self.accept(stream, dict(headers).get(":path", ""))


# The static table of HPACK (RFC 7541, appendix A), from 1 on.
_STATIC = [
    tuple(entry.replace("_", " ").split("=", 1))
    for entry in (
        ":authority= :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https :status=200 "
        ":status=204 :status=206 :status=304 :status=400 :status=404 :status=500 accept-charset= "
        "accept-encoding=gzip,_deflate accept-language= accept-ranges= accept= access-control-allow-origin= age= allow= "
        "authorization= cache-control= content-disposition= content-encoding= content-language= content-length= "
        "content-location= content-range= content-type= cookie= date= etag= expect= expires= from= host= if-match= "
        "if-modified-since= if-none-match= if-range= if-unmodified-since= last-modified= link= location= max-forwards= "
        "proxy-authenticate= proxy-authorization= range= referer= refresh= retry-after= server= set-cookie= "
        "strict-transport-security= transfer-encoding= user-agent= vary= via= www-authenticate="
    ).split(" ")
]

# The lengths of HPACK's Huffman codes (appendix B), symbol by symbol, in base 36. Codes of one
# length follow each other in the order of their symbols, and longer ones those before them.
_LENGTHS = (
    "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad677777777777777777777"
    "77878djde6f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmo"
    "lmnnllmlnmnnkmmmnmmnqqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu"
)


def _huffman_codes() -> Dict[Tuple[int, int], int]:
    codes, code, before = {}, 0, 0
    for length, symbol in sorted((int(c, 36), i) for i, c in enumerate(_LENGTHS)):
        code <<= length - before
        codes[length, code] = symbol
        code, before = code + 1, length
    return codes


_HUFFMAN: Dict[Tuple[int, int], int] = {}


def _huffman(data: bytes) -> str:
    if not _HUFFMAN:
        _HUFFMAN.update(_huffman_codes())
    out, code, length = bytearray(), 0, 0
    for byte in data:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            symbol = _HUFFMAN.get((length, code))
            if symbol is not None and symbol < 256:
                out.append(symbol)
                code = length = 0
            elif length >= 30:
                raise _Broken("a header's code is unknown")
    return out.decode("latin-1")


class _HeaderTable:
    """Decodes header blocks (RFC 7541)."""

    def __init__(self) -> None:
        self.dynamic: deque[Tuple[str, str]] = deque()
        self.size = 0
        self.limit = 4096

    def decode(self, data: bytes) -> List[Tuple[str, str]]:
        at = 0

        def integer(bits: int) -> int:
            nonlocal at
            mask = (1 << bits) - 1
            v = data[at] & mask
            at += 1
            if v < mask:
                return v
            for shift in range(0, 28, 7):
                b = data[at]
                at += 1
                v += (b & 0x7F) << shift
                if b < 0x80:
                    return v
            raise _Broken("a number of a header is too long")

        def text() -> str:
            nonlocal at
            coded = data[at] & 0x80
            n = integer(7)
            part = data[at : at + n]
            if len(part) < n:
                raise _Broken("a header is cut")
            at += n
            return _huffman(part) if coded else part.decode("latin-1")

        out = []
        while at < len(data):
            b = data[at]
            if b & 0x80:
                out.append(self.entry(integer(7)))
            elif b & 0xE0 == 0x20:
                self.limit = integer(5)
                if self.limit > 4096:
                    raise _Broken("the table of headers is too large")
                self.evict()
            else:
                index = integer(6 if b & 0x40 else 4)
                name = self.entry(index)[0] if index else text()
                out.append((name, text()))
                if b & 0x40:
                    self.dynamic.appendleft(out[-1])
                    self.size += len(name) + len(out[-1][1]) + 32
                    self.evict()
        return out

    def entry(self, index: int) -> Tuple[str, str]:
        if not 1 <= index <= len(_STATIC) + len(self.dynamic):
            raise _Broken("a header's index is unknown")
        return _STATIC[index - 1] if index <= len(_STATIC) else self.dynamic[index - 1 - len(_STATIC)]  # type: ignore[return-value]

    def evict(self) -> None:
        while self.size > self.limit:
            name, value = self.dynamic.pop()
            self.size -= len(name) + len(value) + 32


def _header(name: str, value: str) -> bytes:
    """A header, in full."""

    def text(s: str) -> bytes:
        data = "".join(c if " " <= c <= "~" and c != "%" else "".join(f"%{b:02X}" for b in c.encode()) for c in s).encode()
        if len(data) < 127:
            return bytes((len(data),)) + data
        return b"\x7f" + _varint(len(data) - 127) + data

    return b"\0" + text(name) + text(value)


class _Channel:
    """A connected socket, with TLS where there is a context. One thread receives; those that send
    take turns."""

    def __init__(self, connected: socket.socket, context: Any = None) -> None:
        self.socket = connected
        self.lock = threading.Lock()  # of the state of TLS, which must not be used by two threads at once
        self.tls: Any = None
        if context:
            import ssl

            self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.want = ssl.SSLWantReadError
            self.tls = context.wrap_bio(self.coming, self.going, server_side=True)
            while not self._try(self.tls.do_handshake):
                self._more()

    def _try(self, step: Callable[[], Any]) -> Any:
        """Takes a step of TLS and sends what it has to say; None where it needs more of the peer."""
        with self.lock:
            try:
                return step() or True
            except self.want:
                return None
            finally:
                if out := self.going.read():
                    self.socket.sendall(out)

    def _more(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        with self.lock:
            self.coming.write(data)

    def receive(self) -> bytes:
        """Bytes of the peer's; none where there are no more."""
        if not self.tls:
            return self.socket.recv(1 << 18)
        while True:
            got = self._try(lambda: self.tls.read(1 << 18))
            if got:
                return got if isinstance(got, bytes) else b""
            self._more()

    def send(self, data: bytes) -> None:
        if not self.tls:
            self.socket.sendall(data)
        else:
            self._try(lambda: self.tls.write(data))

    def close(self) -> None:
        self.socket.close()


# ---- The certificate of a process ----
#
# go-plugin has both sides prove who they are with certificates that live as long as the process.
# Python makes none, and so the arithmetic of the curve P-256 stands here. The key signs once, is
# thrown away with the process, and guards a socket that nobody else can reach.

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _multiple(k: int) -> Tuple[int, int]:
    """k times the generator, by doubling and adding in Jacobian coordinates."""
    x, y, z = 0, 1, 0  # nothing yet
    for bit in bin(k)[2:]:
        if z:
            s, m = 4 * x * y * y % _P, 3 * (x - z * z) * (x + z * z) % _P
            t = (m * m - 2 * s) % _P
            x, y, z = t, (m * (s - t) - 8 * y**4) % _P, 2 * y * z % _P
        if bit == "1" and z:
            u, v = (_G[0] * z * z - x) % _P, (_G[1] * z**3 - y) % _P
            s, m = x * u * u % _P, u**3 % _P
            t = (v * v - m - 2 * s) % _P
            x, y, z = t, (v * (s - t) - y * m) % _P, z * u % _P
        elif bit == "1":
            x, y, z = _G[0], _G[1], 1
    i = pow(z, -1, _P)
    return x * i * i % _P, y * i**3 % _P


def _der(tag: int, *parts: bytes) -> bytes:
    value = b"".join(parts)
    n = len(value)
    size = bytes((n,)) if n < 128 else bytes((0x80 + (n.bit_length() + 7) // 8,)) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes((tag,)) + size + value


def _der_int(v: int) -> bytes:
    return _der(2, v.to_bytes(v.bit_length() // 8 + 1, "big"))


def _certificate() -> Tuple[bytes, bytes]:
    """A certificate of localhost in DER, and its key in PEM."""
    import base64
    import hashlib

    def scalar() -> int:
        return int.from_bytes(os.urandom(40), "big") % (_N - 1) + 1

    def date(seconds: float) -> bytes:
        return _der(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(seconds)).encode())

    key = scalar()
    point = b"\x04" + b"".join(v.to_bytes(32, "big") for v in _multiple(key))
    curve = bytes.fromhex("06082a8648ce3d030107")
    algorithm = _der(0x30, bytes.fromhex("06082a8648ce3d040302"))  # ECDSA with SHA-256
    name = _der(0x30, _der(0x31, _der(0x30, bytes.fromhex("0603550403"), _der(0x0C, b"localhost"))))
    alternative = _der(0x30, bytes.fromhex("0603551d11"), _der(4, _der(0x30, _der(0x82, b"localhost"))))
    now = time.time()
    body = _der(
        0x30, _der(0xA0, _der_int(2)), _der_int(int.from_bytes(os.urandom(15), "big") + 1), algorithm, name,
        _der(0x30, date(now - 3600), date(now + 30 * 86400)), name,
        _der(0x30, _der(0x30, bytes.fromhex("06072a8648ce3d0201"), curve), _der(3, b"\0", point)),
        _der(0xA3, _der(0x30, alternative)),
    )
    digest = int.from_bytes(hashlib.sha256(body).digest(), "big")
    r = s = 0
    while r == 0 or s == 0:
        k = scalar()
        r = _multiple(k)[0] % _N
        s = pow(k, -1, _N) * (digest + r * key) % _N
    certificate = _der(0x30, body, algorithm, _der(3, b"\0", _der(0x30, _der_int(r), _der_int(s))))
    private = _der(0x30, _der_int(1), _der(4, key.to_bytes(32, "big")), _der(0xA0, curve), _der(0xA1, _der(3, b"\0", point)))
    return certificate, b"-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(private) + b"-----END EC PRIVATE KEY-----\n"


def _tls(peer: str, folder: str) -> Tuple[Any, str]:
    """A context of TLS for a peer that has the given certificate, and what the peer is told of
    ours."""
    import base64
    import ssl

    der, key = _certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=peer)
    context.set_alpn_protocols(["h2"])
    # Python reads a key from files alone: here from pipes, since a confined process writes none.
    parts = (ssl.DER_cert_to_PEM_cert(der).encode(), key)
    if os.path.isdir("/dev/fd"):
        ends = []
        for part in parts:
            end, into = os.pipe()
            os.write(into, part)
            os.close(into)
            ends.append(end)
        context.load_cert_chain(*(f"/dev/fd/{end}" for end in ends))
        for end in ends:
            os.close(end)
    else:
        path = os.path.join(folder, f"key{os.urandom(8).hex()}")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, b"".join(parts))
            os.close(file)
            context.load_cert_chain(path)
        finally:
            os.remove(path)
    return context, base64.b64encode(der).decode().rstrip("=")


# ---- The program ----

_COOKIE = ("XAI_METHOD", "4f9b1d0c7a3e52688d1f")  # protects from mistakes alone
_PROTOCOL = 1
_CHECK = "/grpc.health.v1.Health/Check"
_DESCRIBE = "/xai.process.v1.Method/Describe"
_EXPLAIN = "/xai.process.v1.Method/Explain"


def serve(*methods: Method) -> None:
    """Serves methods to the xai that started this program, and returns when xai has no more use for
    it. It is all that a main does, on the main thread."""
    if len({m.name for m in methods}) != len(methods):
        raise ValueError("two methods have one name")
    if os.environ.get(_COOKIE[0]) != _COOKIE[1]:
        names = ", ".join(m.name for m in methods)
        sys.exit(
            f"This program is for xai, which starts it for the method {names}: "
            f"declare it in a methods.toml, and run xai explain -M {methods[0].name if methods else 'NAME'}"
        )
    _Program(methods).run()


class _Program:
    """What xai started."""

    def __init__(self, methods: Sequence[Method]) -> None:
        self.methods = {m.name: m for m in methods}
        self.calls: deque[Tuple[Optional[_Stream], str]] = deque()  # with their paths; None is the end
        self.called = threading.Semaphore(0)
        self.running: Optional[_Host] = None  # of the explanation that the main thread is in

    def run(self) -> None:
        # Standard output is the protocol's: what a method prints goes to its log.
        sys.stdout.flush()
        handshake = os.dup(1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        sys.stdin = None  # type: ignore[assignment]
        signal.signal(signal.SIGINT, self.interrupt)
        folder = os.environ.get("PLUGIN_UNIX_SOCKET_DIR") or _temporary()
        listener, address, path = _listen(folder)
        context, certificate = None, ""
        if peer := os.environ.get("PLUGIN_CLIENT_CERT"):
            context, certificate = _tls(peer, folder)
        threading.stack_size(1 << 20)  # of what counts against the memory of the method
        threading.Thread(target=_end_with_host, daemon=True).start()
        threading.Thread(target=self.accept, args=(listener, context), daemon=True).start()
        line = f"1|{_PROTOCOL}|{address}|grpc|{certificate}"
        if os.environ.get("PLUGIN_MULTIPLEX_GRPC"):
            line += "|false"
        os.write(handshake, line.encode() + b"\n")
        os.close(handshake)
        try:
            while True:
                self.called.acquire()
                stream, path = self.calls.popleft()
                if stream is None:
                    break
                try:
                    self.answer(stream, path)
                except MemoryError:
                    _end_without_memory()
                except Exception:
                    if not stream.cancelled:
                        traceback.print_exc()
                        stream.end(13, "the method's side of the protocol failed")
        finally:
            listener.close()
            if path:
                os.remove(path)
            sys.stderr.flush()
        os._exit(0)  # whatever threads the method has left

    def accept(self, listener: socket.socket, context: Any) -> None:
        """Takes connections until the program ends."""
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connection, args=(connected, context), daemon=True).start()
            threading.stack_size(0)

    def connection(self, connected: socket.socket, context: Any) -> None:
        try:
            _Connection(_Channel(connected, context), self.dispatch, self.cancelled).run()
        except (OSError, EOFError):
            connected.close()  # no TLS, or somebody else's
        except (MemoryError, RuntimeError):
            _end_without_memory()

    def dispatch(self, stream: _Stream, path: str) -> None:
        """Takes a call for the main thread, or answers it where that waits for nobody."""
        if path == "/plugin.GRPCController/Shutdown":
            if self.running:
                os._exit(0)  # without waiting for the method
            self.calls.append((None, path))
            self.called.release()
        elif path in (_CHECK, _DESCRIBE, _EXPLAIN):
            self.calls.append((stream, path))
            self.called.release()
        else:
            stream.end(12, "the method does not serve this")

    def answer(self, stream: _Stream, path: str) -> None:
        if path == _EXPLAIN:
            self.explain(stream)
            return
        if path == _CHECK:
            stream.send(_message((1, 1)))  # serving
        else:
            described = [m.describe() for m in self.methods.values()]
            text = json.dumps(described[0] if len(described) == 1 else described, ensure_ascii=False, allow_nan=False)
            stream.send(_message((1, _utf8(text))))
        stream.end()

    def cancelled(self, stream: _Stream) -> None:
        """Interrupts the method whose explanation was given up."""
        host = self.running
        if host and host.stream is stream:
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                import _thread

                _thread.interrupt_main()

    def interrupt(self, *_: object) -> None:
        """The handler of SIGINT, which is xai's to obey: it comes from a terminal too."""
        host = self.running
        if host and host.stream.cancelled and not host.busy:
            self.running = None
            raise Error(Code.CANCELLED, "the run was cancelled")

    def explain(self, stream: _Stream) -> None:
        request = _fields(_fields(stream.receive() or b"").get(1, b""))
        stream.send(_event(_Event.STARTED, (1, ABI)))
        host = _Host(stream)
        code, text = 0, ""
        try:
            self.running = host
            self.run_method(host, bytes(request.get(1, b"")))
        except Error as e:
            code, text = int(e.code), str(e)
        except MemoryError:
            code = int(Code.NO_MEM)  # of which the host has the sentence
        except BaseException as e:  # SystemExit and the like too: the program goes on
            traceback.print_exc()
            code, text = int(Code.INTERNAL), _sentence(e)
        finally:
            self.running = None
        if stream.cancelled:
            return
        if text:
            host.call(_Event.ERROR, (1, _zigzag(code)), (2, text.encode("utf-8", "replace")))
        host.over = True
        stream.send(_event(_Event.ENDED, (1, _zigzag(code))))
        stream.end()

    def run_method(self, host: _Host, frame: bytes) -> None:
        """Runs the method that the request frame names, and hands its results over."""
        if sys.byteorder != "little":
            raise Error(Code.UNSUPPORTED, "methods in Python run on little-endian machines alone")
        name = _Reader(frame).method()
        if name not in self.methods:
            raise Error(Code.NAME, f"the process has no method {name}")
        m = self.methods[name]
        e = m(Model(host), Request(host, m))
        if not isinstance(e, Explanation):
            raise Error(Code.INTERNAL, "the method returned something else than an Explanation")
        for result in e._results():
            host.result(*result)


def _sentence(e: BaseException) -> str:
    """What the user reads of an exception; the log has its traceback."""
    place = ""
    for frame in traceback.extract_tb(e.__traceback__):
        if frame.filename != __file__:
            place = f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
    said = " ".join(str(e).split())
    return f"the method failed: {type(e).__name__}{': ' + said if said else ''}{place}"


def _end_with_host() -> None:
    """Ends this process when the host has ended, however that came: it holds the other end of
    standard input."""
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    os._exit(1)


def _end_without_memory() -> None:
    """Ends this process where nothing else is possible any more, in words that the host knows."""
    os.write(2, b"MemoryError\n")
    os._exit(1)


def _temporary() -> str:
    import tempfile

    return tempfile.gettempdir()


def _listen(folder: str) -> Tuple[socket.socket, str, str]:
    """A listening socket, its network and address as the handshake has them, and its file."""
    if hasattr(socket, "AF_UNIX"):
        path = os.path.join(folder, f"plugin{os.urandom(8).hex()}")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        if group := os.environ.get("PLUGIN_UNIX_SOCKET_GROUP"):
            import grp

            os.chown(path, -1, int(group) if group.isdigit() else grp.getgrnam(group).gr_gid)
            os.chmod(path, 0o660)
        listener.listen()
        return listener, f"unix|{path}", path
    first, last = (int(os.environ.get(f"PLUGIN_{end}_PORT") or 0) for end in ("MIN", "MAX"))
    for port in range(first, last + 1):
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen()
        return listener, f"tcp|127.0.0.1:{listener.getsockname()[1]}", ""
    raise OSError(f"no port from {first} to {last} is free")


# ---- python3 xai.py pack ----


def _pack(sources: Sequence[str], out: str, python: str) -> None:
    """Writes an executable of a method's file, modules and packages that it imports, and this one.
    Equal sources give equal bytes, whatever Python packs them."""
    import zipfile

    files = {"xai.py": __file__}
    for source in sources:
        base = os.path.basename(os.path.normpath(source))
        if os.path.isdir(source):
            for folder, _, names in os.walk(source):
                for name in names:
                    if name.endswith(".py"):
                        path = os.path.join(folder, name)
                        inside = os.path.join(base, os.path.relpath(path, source))
                        files[inside.replace(os.sep, "/")] = path
        else:
            files[base] = source
    contents = {}
    for name, path in files.items():
        with open(path, "rb") as file:
            contents[name] = file.read()
    main = os.path.splitext(os.path.basename(sources[0]))[0]
    contents["__main__.py"] = f"import runpy\n\nrunpy.run_module({main!r}, run_name=\"__main__\", alter_sys=True)\n".encode()
    temporary = f"{out}.{os.urandom(4).hex()}"
    try:
        with open(temporary, "wb") as f:
            f.write(b"#!" + python.encode() + b"\n")
            with zipfile.ZipFile(f, "w") as z:
                for name, content in sorted(contents.items()):
                    entry = zipfile.ZipInfo(name)
                    entry.create_system, entry.external_attr = 3, 0o644 << 16
                    z.writestr(entry, content)
        os.chmod(temporary, 0o755)
        os.replace(temporary, out)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _main() -> None:
    import argparse

    parser = argparse.ArgumentParser(prog="xai.py", description="The SDK for explanation methods in Python.")
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="make one executable of a method and this file")
    pack.add_argument("method", help="the file whose main serves the method")
    pack.add_argument("files", nargs="*", help="modules and packages that it imports")
    pack.add_argument("-o", "--out", help="the executable; METHOD.pyz where it is left out")
    pack.add_argument("--python", default="/usr/bin/env python3", help="the interpreter (%(default)s)")
    arguments = parser.parse_args()
    out = arguments.out or os.path.splitext(arguments.method)[0] + ".pyz"
    try:
        _pack([arguments.method, *arguments.files], out, arguments.python)
    except OSError as e:
        sys.exit(f"xai.py: {e}")
    print(out)


if __name__ == "__main__":
    _main()
