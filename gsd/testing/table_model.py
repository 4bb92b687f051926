"""A `LanguageModel` without a network: the law after two tokens stands in a table.

It takes the mask and the positions at their word, and checks that together they show every new
token one whole text, positions 0, 1, 2 … up to its own: a wrong mask cannot pass unseen.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from gsd.models.base import Counter
from gsd.spec import SamplingSpec
from gsd.testing.oracle import written

GREEDY = SamplingSpec()


class TableModel:
    """`table` [V, V, V]: logits after (last token but one, last token)."""

    def __init__(self, table: torch.Tensor, context_length: int = 256) -> None:
        self.table = table
        self.vocab_size = len(table)
        self.context_length = context_length
        self.counter = Counter()
        self.slots: list[tuple[int, int]] = []  # (position, token)
        self.capacity = 0

    @property
    def length(self) -> int:
        return len(self.slots)

    def reset(self, capacity):
        self.slots, self.capacity = [], capacity

    def forward(self, tokens, positions, reduce, *, rows=1, mask=None):
        base, count = self.length, len(tokens)
        self.slots += zip(positions, tokens, strict=True)
        assert self.length <= self.capacity, f"{self.length} slots in a cache of {self.capacity}"
        contexts = [self._context(base, count, row, mask) for row in range(count)]
        self.counter.forwards += 1
        logits = torch.stack([self.table[one, two] for one, two in contexts])
        return reduce(logits[count - rows :])

    def _context(self, base: int, count: int, row: int, mask) -> tuple[int, int]:
        seen = list(range(base + row + 1))
        if mask is not None:
            first = base + count - mask.shape[1]
            seen = [*range(first), *(first + int(j) for j in np.flatnonzero(mask[row]))]
        text = sorted(self.slots[slot] for slot in seen)
        assert [position for position, _ in text] == list(range(self.slots[base + row][0] + 1))
        assert base + row in seen
        return text[-2][1] if len(text) > 1 else 0, text[-1][1]

    def keep(self, base, slots):
        self.slots = self.slots[:base] + [self.slots[base + slot] for slot in slots]


def random_table(vocabulary: int, seed: int, sharpness: float = 1.5) -> torch.Tensor:
    """A random law."""
    return sharpness * torch.randn((vocabulary,) * 3, generator=torch.Generator().manual_seed(seed))


def table_pair(vocabulary: int, seed: int, noise: float = 0.7) -> tuple[TableModel, TableModel]:
    """A target, and a draft that agrees with it in part."""
    table = random_table(vocabulary, seed)
    return TableModel(table), TableModel(table + noise * random_table(vocabulary, seed + 1, 1.0))


def logits_after(table: torch.Tensor, text: list[int]) -> np.ndarray:
    """Logits [V] of the token that follows, by one look-up."""
    return table[text[-2] if len(text) > 1 else 0, text[-1]].numpy()


def plain_text(table: torch.Tensor, prompt: list[int], count: int, spec: SamplingSpec = GREEDY) -> list[int]:
    """The oracle of a table."""
    return written(partial(logits_after, table), prompt, count, spec)
