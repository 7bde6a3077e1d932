"""Values as one line of text, and back: what the grading and the locked process of a student say to each other.

`encode` writes plain values as JSON, and `decode` reads them strictly, for the other side may be hostile: whatever
the line holds, it gives plain values of the types below or raises ValueError. Nothing is unpickled, and nothing is
called. `plain` makes such values of what a function returned.

    None, True, 1, 0.5, "text"              as in JSON; floats may be NaN and infinite
    ["list", ...], ["tuple", ...], ["set", ...], ["frozenset", ...], ["dict", key, value, key, value, ...]
    ["tensor", dtype, shape, bytes in base64, whether it carries a gradient]
    ["generator", state]                    only from the grading to the student's process
    ["opaque", type, description]           anything else

Only PyTorch and the standard library are needed here: the student's process has nothing else to read this file.
"""

import base64
import json
import math
from numbers import Integral, Real
from typing import Any

import torch
from torch import Generator, Tensor

DEPTH = 16  # lists in lists of a value
MESSAGE = 4  # and of the message around it
ENTRIES = 1_000_000  # in all lists of a line together
DIFFERENT = 2_000  # in a set or a dict: many could be made to collide, which takes quadratic time
ROOM = 40_000_000  # bytes of all tensors of a value
DIGITS = 400  # of a whole number
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
COLLECTIONS = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}


class Opaque:
    """What cannot be sent. It can be printed; it equals nothing, and nothing can be done with it."""

    def __init__(self, text: str):
        self._text = text

    @classmethod
    def of(cls, kind: str, text: str) -> "Opaque":
        """One that bears the name of the type that it stands for."""
        return type(kind, (cls,), {})(text)

    def __repr__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise TypeError(f"{self._text} is neither true nor false here")


def encode(value: Any) -> bytes:
    """A plain value as a line. TypeError for any other."""
    return json.dumps(_tagged(value), separators=(",", ":")).encode() + b"\n"


def decode(line: bytes, *, generators: bool = False) -> Any:
    """The value of a line; ValueError if it has another form, or is nested too deeply or too long."""
    if line.count(b",") + line.count(b"[") + line.count(b"{") > ENTRIES:
        raise ValueError(f"a line of more than {ENTRIES} entries")
    try:
        return _untagged(json.loads(line.decode()), DEPTH + MESSAGE, generators)
    except (TypeError, RuntimeError, OverflowError, MemoryError) as error:  # also RecursionError
        raise ValueError(f"a line of a wrong form ({type(error).__name__})") from None


def plain(value: Any) -> Any:
    """The same, made of the types above alone; what has another type, or is too large, becomes opaque."""
    return _Plain().of(value, DEPTH)


class _Plain:
    """Makes values plain, as long as there is room."""

    def __init__(self):
        self.entries, self.room = ENTRIES, ROOM

    def of(self, value: Any, depth: int) -> Any:
        self.entries -= 10  # at most: brackets and commas
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, str):
            self.entries -= len(value)
            return str.__str__(value) if self.entries > 0 else Opaque.of("str", "too long to be sent")
        if isinstance(value, Integral):
            number = int(value)
            return number if abs(number) < 10**DIGITS else Opaque.of("int", f"more than {DIGITS} digits")
        if isinstance(value, Real):
            return float(value)
        kind = next((kind for kind in (*COLLECTIONS.values(), dict) if isinstance(value, kind)), None)
        most = self.entries / 10 if kind in (list, tuple) else DIFFERENT
        if kind is None or depth == 0 or len(value) > most:
            return _described(value)
        if kind is dict:
            return {self.of(key, depth - 1): self.of(item, depth - 1) for key, item in value.items()}
        return kind([self.of(item, depth - 1) for item in value])

    def _tensor(self, value: Tensor) -> Tensor | Opaque:
        value = value if type(value) is Tensor else value.as_subclass(Tensor)
        if value.layout != torch.strided or value.device.type != "cpu" or value.dtype not in DTYPES.values():
            return _described(value)
        self.room -= value.numel() * value.element_size()
        if self.room < 0:
            return Opaque.of("Tensor", f"a tensor of shape {tuple(value.shape)}, too large to be sent")
        return value


def _described(value: Any) -> Opaque:
    try:
        text = " ".join(repr(value).split())[:200]
    except Exception:
        text = "one that cannot be printed"
    return Opaque.of(type(value).__name__, text)


def _tagged(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is Tensor:
        numbers = value.detach().resolve_conj().resolve_neg()
        numbers = numbers.view(torch.int16) if value.dtype == torch.bfloat16 else numbers  # NumPy has no bfloat16
        text = base64.b64encode(numbers.numpy().tobytes()).decode()
        return ["tensor", str(value.dtype).removeprefix("torch."), list(value.shape), text, value.requires_grad]
    if kind is Generator:
        return ["generator", _tagged(value.get_state())]
    if kind in COLLECTIONS.values():
        return [kind.__name__, *map(_tagged, value)]
    if kind is dict:
        return ["dict", *(_tagged(part) for pair in value.items() for part in pair)]
    if isinstance(value, Opaque):
        return ["opaque", kind.__name__, repr(value)]
    raise TypeError(f"a value of the type {kind.__name__} cannot be sent")


def _untagged(value: Any, depth: int, generators: bool) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int() if abs(value) < 10**DIGITS:
            return value
        case str():
            return value.encode("utf-8", "replace").decode()  # half characters could not be written anywhere
        case ["tensor", str(name), [*shape], str(text), bool(gradient)] if name in DTYPES:
            return _tensor(DTYPES[name], shape, base64.b64decode(text, validate=True)).requires_grad_(gradient)
        case ["generator", state] if generators:
            return Generator().set_state(_untagged(state, depth, False))
        case ["opaque", str(kind), str(text)]:
            return Opaque.of(kind if kind.isidentifier() and len(kind) < 60 else "object", text[:200])
        case [str(kind), *items] if depth and kind in (*COLLECTIONS, "dict"):
            ordered = kind in ("list", "tuple")
            if not ordered and len(items) > DIFFERENT * (1 + (kind == "dict")):
                raise ValueError(f"a {kind} of more than {DIFFERENT} entries")
            items = [_untagged(item, depth - 1, generators) for item in items]
            made = COLLECTIONS[kind](items) if kind in COLLECTIONS else dict(zip(*[iter(items)] * 2, strict=True))
            if ordered or len(made) == len(items) / (1 + (kind == "dict")):
                return made
    raise ValueError("a line of a wrong form")


def _tensor(dtype: torch.dtype, shape: list, data: bytes) -> Tensor:
    """The tensor of these bytes, in memory of its own; ValueError if they do not fill its shape."""
    sizes = [size for size in shape if type(size) is int and size >= 0]
    values = math.prod(sizes) * dtype.itemsize
    if len(sizes) < len(shape) or len(shape) > 16 or values != len(data):
        raise ValueError(f"a tensor of shape {str(shape)[:60]} and {dtype} with {len(data)} bytes")
    if math.prod(filter(None, sizes)) * dtype.itemsize > ROOM:  # no values, but a sum of them might have many
        raise ValueError(f"a tensor of shape {str(shape)[:60]}")
    if not data:
        return torch.empty(sizes, dtype=dtype)
    numbers = torch.frombuffer(bytearray(data), dtype=torch.uint8 if dtype == torch.bool else dtype)
    return (numbers != 0 if dtype == torch.bool else numbers).reshape(sizes)
