"""What the header of a GGUF file says of the file itself: whether it is a part of several, and how long it must be.

Source: the GGUF specification, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"GGUF"
ALIGNMENT = 32  # unless the header has another
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# What reading a header leads to where none stands.
UNLIKE = (OSError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError, RecursionError, struct.error)


class NotWhole(Exception):
    """The file ends within its header, or what stands there is no header."""


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """`part` of `parts`, from 1; `length_bytes` that the whole file has, None where a tensor's type is unknown."""

    part: int
    parts: int
    length_bytes: int | None


def gguf_facts(path: Path) -> GgufFacts:
    """Read a header; raises `NotWhole`."""
    with path.open("rb") as file:
        try:
            return _facts(file)
        except UNLIKE as error:
            raise NotWhole(str(error)) from error


def _facts(file: BinaryIO) -> GgufFacts:
    if file.read(4) != MAGIC:
        raise NotWhole("no GGUF")
    _, tensors, keys = _take(file, "IQQ")
    found: dict[str, Any] = {}
    for _ in range(keys):
        key, (kind,) = _string(file), _take(file, "I")
        found[key] = _value(file, kind)
    end: int | None = 0
    for _ in range(tensors):
        _string(file)
        (axes,) = _take(file, "I")
        *shape, kind, offset = _take(file, f"{axes}QIQ")
        size = _size(kind, math.prod(shape))
        end = None if size is None or end is None else max(end, offset + size)
    alignment = found.get("general.alignment", ALIGNMENT)
    start = -(-file.tell() // alignment) * alignment
    length = None if end is None else start + end if tensors else file.tell()
    return GgufFacts(found.get("split.no", 0) + 1, found.get("split.count", 0) or 1, length)


def _size(kind: int, elements: int) -> int | None:
    """Bytes of so many elements of a type; None where the type is unknown."""
    from gguf import GGML_QUANT_SIZES

    known = {int(one): sizes for one, sizes in GGML_QUANT_SIZES.items()}
    if kind not in known:
        return None
    block, block_bytes = known[kind]
    return elements // block * block_bytes


def _take(file: BinaryIO, layout: str) -> tuple:
    layout = "<" + layout
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _string(file: BinaryIO) -> str:
    (length,) = _take(file, "Q")
    text = file.read(length)
    if len(text) < length:
        raise struct.error("the file ends within a string")
    return text.decode()


def _value(file: BinaryIO, kind: int) -> object:
    """A value; an array is passed over."""
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _take(file, _FORMATS[kind])[0]
    inner, count = _take(file, "IQ")
    if inner in (_STRING, _ARRAY):
        for _ in range(count):
            _value(file, inner)
    else:
        file.seek(count * struct.calcsize(_FORMATS[inner]), 1)
    return None
