"""Random numbers keyed by (seed, stream, position, token): the noise that a draw adds to log-probabilities.

The target's own picks have the stream without a name. A draft that draws, and a rule that tests what was drawn, have
streams of their own: a draft that saw the target's noise would know its picks.

`argmax(log p − log E)`, with E independent exponential numbers of mean 1, is a draw from p; −log E is Gumbel noise
(Gumbel 1954; Maddison et al., 1411.0030). The noise of a token at a
position is always the same: on every device, for every batch, and whatever logits it is added to.

Noise is first drawn for blocks of tokens, so that it is never needed for a whole vocabulary. The least of n such E is
E'/n, with E' exponential again. It falls on each of the n tokens with equal probability. The others exceed it by
exponential numbers of their own, because these have no memory. So the number of a block bounds the noise of its tokens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch

BLOCK = 128  # tokens; a power of two


def _signed(bits: int) -> int:
    """64 bits as torch's int64 has them."""
    return bits - (1 << 64) if bits >> 63 else bits


# SplitMix64 (Steele, Lea, Flood 2014): number i of the stream of a key is a mix of key + (i + 1) · GAMMA.
_GAMMA, _FIRST, _SECOND = map(_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_STREAMS = 3  # the least E of each block, the token that has it, what others exceed it by


@dataclass(frozen=True)
class Noise:
    """Noise of all tokens at some positions, in blocks. `noise_at` makes it.

    `keys` [P, 3] int64, one of each stream a position; `blocks` of `BLOCK` tokens, as many as the vocabulary fills.
    """

    keys: torch.Tensor
    blocks: int

    @cached_property
    def least(self) -> torch.Tensor:
        """The least E of each block, [P, blocks] float64."""
        return exponential(self.keys[:, :1], self._numbers) / BLOCK

    @cached_property
    def place(self) -> torch.Tensor:
        """Which token of each block has it, [P, blocks], counted from the block's first."""
        return _bits(self.keys[:, 1:2], self._numbers) & (BLOCK - 1)

    @cached_property
    def most(self) -> torch.Tensor:
        """The most Gumbel noise that a token of each block has, [P, blocks] float64."""
        return -self.least.log()

    def gumbel(self, rows: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Gumbel noise of single tokens, float64; `rows` of the positions and `tokens`, [C] each, or broadcast."""
        block = tokens // BLOCK
        excess = exponential(self.keys[rows, 2], tokens)
        excess = excess.masked_fill_(tokens % BLOCK == self.place[rows, block], 0.0)
        return -(self.least[rows, block] + excess).log()

    @cached_property
    def _numbers(self) -> torch.Tensor:
        return torch.arange(self.blocks, device=self.keys.device)


def noise_at(
    seed: int, positions: list[int], vocabulary: int, device: torch.device | str = "cpu", stream: str = ""
) -> Noise:
    """Noise for a vocabulary of so many tokens. It does not depend on the size, for the tokens that two sizes share."""
    keys = torch.tensor([_keys(seed, position, stream) for position in positions], device=device)
    return Noise(keys, -(-vocabulary // BLOCK))


def uniform(seed: int, position: int, stream: str = "") -> float:
    """A number in [0, 1) with 53 random bits, a function of seed, stream and position alone."""
    digest = hashlib.blake2b(_named(seed, position, stream), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53


def exponential(key: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Exponential numbers of mean 1, float64, more than 0 and finite: −log u of u = (52 random bits + ½) / 2⁵²."""
    return -((_shifted(_bits(key, index), 12).double() + 0.5) * 2.0**-52).log()


def _bits(key: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """64 random bits for each key and index, int64; products wrap."""
    x = key + (index + 1) * _GAMMA
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: torch.Tensor, by: int) -> torch.Tensor:
    """Shifted to the right, zeros moving in; torch moves in the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def _keys(seed: int, position: int, stream: str = "") -> list[int]:
    digest = hashlib.blake2b(_named(seed, position, stream), digest_size=8 * _STREAMS).digest()
    return [_signed(int.from_bytes(digest[i : i + 8], "big")) for i in range(0, len(digest), 8)]


def _named(seed: int, position: int, stream: str) -> bytes:
    return f"{seed}:{position}:{stream}".removesuffix(":").encode()
