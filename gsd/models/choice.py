"""How weights are best held on a CPU: chosen from what its products take, `gsd.models.weighing`. No torch.

A *way* is how a linear layer's weights are held: a number format, packed for the CPU's matrix kernels or unpacked, or
few bits. Which way is fast hangs on the instructions that a processor has: with AVX-512 BF16 bfloat16 halves the time
of float32, with AVX2 alone it takes four times as long for eight rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, TypeVar

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from gsd.spec import Dtype, Quantization, Spec

WHOLE: tuple[Dtype, ...] = ("float32", "bfloat16")  # what `auto` chooses from; float16 has no fast kernels on most CPUs
FEW_BITS: tuple[Quantization, ...] = ("int8", "int4")
PACKED, UNPACKED = "packed", "unpacked"
ROWS = (1, 4, 16)  # that are measured
VERIFIED = 12  # rows of a verification: what a round of 8 to 16 nodes costs most by
DRAFTED = (1, 4)  # rows of most draft forwards
FEW = 4  # rows that few bits take where nothing was measured
GAIN = 1.1  # how much faster another way must be than the exact or the simpler one to be chosen
Way = TypeVar("Way", bound=str)  # a number format, or how weights are laid out
SLOW = 1.3  # how much slower what was asked for must be to be told of


class Shape(Spec):
    """A linear layer."""

    inputs: PositiveInt
    outputs: PositiveInt

    def __str__(self) -> str:
        return f"{self.inputs} × {self.outputs}"


class Key(Spec):
    """What a table is of: another of any of these is measured anew."""

    processor: str
    instructions: tuple[str, ...]
    torch: str
    threads: PositiveInt
    shape: Shape


class Table(Spec):
    """Milliseconds of a product by way and rows, the least of several measured in turns, see `gsd.models.weighing`."""

    key: Key
    milliseconds: Annotated[dict[str, dict[int, PositiveFloat]], Field(min_length=1)]

    @field_validator("milliseconds")
    @classmethod
    def _all_rows(cls, found: dict[str, dict[int, float]]) -> dict[str, dict[int, float]]:
        lacking = {f"float32 {UNPACKED}", f"bfloat16 {UNPACKED}"} - found.keys()
        if lacking or any(tuple(times) != ROWS for times in found.values()):
            raise ValueError(f"ways {', '.join(sorted(lacking)) or 'all'}, each with rows {ROWS}, are wanted")
        return found

    def at(self, way: str, rows: float) -> float:
        """Between the measured rows a straight line; beyond them the nearest."""
        times = self.milliseconds[way]
        for low, high in pairwise(ROWS):
            if rows <= high:
                share = (max(rows, low) - low) / (high - low)
                return times[low] + share * (times[high] - times[low])
        return times[ROWS[-1]]

    @property
    def kinds(self) -> list[Quantization]:
        """How a draft's weights can be held: a layer of odd size is for no kernel of few bits."""
        return ["none", *(kind for kind in FEW_BITS if kind in self.milliseconds)]

    def whole(self, dtype: Dtype, packed: bool, rows: float) -> float:
        """Whole weights as loading holds them: packed where that is asked for and possible. See `has`."""
        way = f"{dtype} {PACKED}"
        return self.at(way if packed and way in self.milliseconds else f"{dtype} {UNPACKED}", rows)

    def has(self, dtype: Dtype) -> bool:
        """Whether whole weights of `dtype` were measured: those of `WHOLE` always are."""
        return f"{dtype} {UNPACKED}" in self.milliseconds


@dataclass(frozen=True, slots=True)
class Held:
    """How a quantised model is held beside its few bits: the dtype of its whole weights, and up to how many rows of
    a forward the few bits are used.
    """

    dtype: Dtype = "bfloat16"
    few: int = FEW


def best_dtype(table: Table, packed: bool) -> Dtype:
    """Of a target's whole weights, by the rows of a verification; float32, the exact one, unless another gains."""
    return _best({dtype: table.whole(dtype, packed, VERIFIED) for dtype in WHOLE})


def held(table: Table, kind: Quantization, packed: bool) -> Held:
    """How a draft of few bits is held: whole weights by the most rows, few bits as long as they are the faster.

    Whole weights are bfloat16, which takes half the room, unless float32 gains.
    """
    if kind not in table.kinds:
        return Held()
    dtype = _best({dtype: table.whole(dtype, packed, ROWS[-1]) for dtype in reversed(WHOLE)})
    few = 0
    while few < ROWS[-1] and table.at(kind, few + 1) <= table.whole(dtype, packed, few + 1):
        few += 1
    return Held(dtype, max(few, 1))  # at least a row, or the name would be untrue


def best_quantization(table: Table, dtype: Dtype, packed: bool) -> Quantization:
    """Of a draft whose whole weights would be of `dtype`, by the rows of most draft forwards."""
    return _best({kind: draft_ms(table, kind, dtype, packed) for kind in table.kinds})


def draft_ms(table: Table, kind: Quantization, dtype: Dtype, packed: bool) -> float:
    """Mean milliseconds of a layer over `DRAFTED` rows."""
    beside = held(table, kind, packed) if kind != "none" else Held(dtype, 0)
    times = [table.at(kind, rows) if rows <= beside.few else table.whole(beside.dtype, packed, rows)
             for rows in DRAFTED]  # fmt: skip
    return sum(times) / len(times)


def slow_dtype(table: Table, dtype: Dtype, packed: bool) -> str | None:
    """One line where verifications in `dtype` take much longer than in another; else None."""
    if not table.has(dtype):
        return None
    times = {other: table.whole(other, packed, VERIFIED) for other in dict.fromkeys((*WHOLE, dtype))}
    return _slow(table, "dtype {0}: verifications take about {2:.1f} times as long in it as in {1}", dtype, times)


def slow_quantization(table: Table, kind: Quantization, dtype: Dtype, packed: bool) -> str | None:
    """The same of a draft's weights, whole ones in `dtype`."""
    if kind not in table.kinds:
        return None
    times = {other: draft_ms(table, other, dtype, packed) for other in table.kinds}
    return _slow(table, "draft weights {0}: drafting takes about {2:.1f} times as long as with {1}", kind, times)


def slow_rows(table: Table, dtype: Dtype) -> str | None:
    """The same of weights that are left unpacked."""
    if not table.has(dtype):
        return None
    times = {way: table.whole(dtype, way == PACKED, VERIFIED) for way in (UNPACKED, PACKED)}
    return _slow(table, "weights {0}: verifications take about {2:.1f} times as long as with {1} ones", UNPACKED, times)


def in_words(table: Table, packed: bool = True) -> str:
    """What `auto` comes to by this table."""
    dtype = best_dtype(table, packed)
    kind = best_quantization(table, dtype, packed)
    beside = held(table, kind, packed) if kind != "none" else None
    rows = beside and f"{beside.few} row{'s' * (beside.few > 1)}"
    draft = f"{kind} up to {rows} of a forward, whole {beside.dtype} beyond" if beside else f"whole {dtype}"
    return f"target {dtype}; draft {draft}"


def _best(costs: dict[Way, float]) -> Way:
    """The first, unless another is faster by `GAIN`; then the fastest."""
    first = next(iter(costs))
    best = min(costs, key=costs.__getitem__)
    return best if costs[first] > GAIN * costs[best] else first


def _slow(table: Table, words: str, asked: Way, times: dict[Way, float]) -> str | None:
    """`words` with what was asked for, the fastest, and the ratio of their times."""
    best = min(times, key=times.__getitem__)
    ratio = times[asked] / times[best]
    sets = ", ".join(table.key.instructions)
    return f"{words.format(asked, best, ratio)} on this CPU ({sets})" if ratio > SLOW else None
