"""The plain twin of the engine: one full forward a token, no cache, no mask, and a sampler of its own.

Slow and obvious on purpose; the engine must emit the same tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from transformers import PreTrainedModel

from gsd.spec import SamplingSpec

GREEDY = SamplingSpec()
BLOCK = 128


def law(logits: np.ndarray, spec: SamplingSpec) -> np.ndarray:
    """Probabilities [V] after temperature, top-k and top-p, by a full sort in float64."""
    logits = logits.astype(np.float64) / spec.temperature
    if spec.top_k:
        logits[logits < np.sort(logits)[-min(spec.top_k, len(logits))]] = -np.inf
    p = np.exp(logits - logits.max())
    p /= p.sum()
    if spec.top_p < 1.0:
        falling = np.sort(p)[::-1]
        size = int((np.cumsum(falling) < spec.top_p).sum()) + 1
        p[p < falling[size - 1]] = 0.0
        p /= p.sum()
    return p


def exponentials(key: int, count: int) -> np.ndarray:
    """The first `count` of a SplitMix64 stream as exponential numbers of mean 1, float64."""
    return -np.log(((splitmix64(key, count) >> np.uint64(12)).astype(np.float64) + 0.5) / 2**52)


def splitmix64(key: int, count: int) -> np.ndarray:
    """The first `count` numbers of the stream that begins at `key`, [count] uint64."""
    x = np.uint64(key) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def gumbel(seed: int, position: int, vocabulary: int) -> np.ndarray:
    """The noise of every token at a position, [V] float64."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=24).digest()
    least, place, excess = (int.from_bytes(digest[i : i + 8], "big") for i in (0, 8, 16))
    blocks = -(-vocabulary // BLOCK)
    more = exponentials(excess, blocks * BLOCK).reshape(blocks, BLOCK)
    more[np.arange(blocks), (splitmix64(place, blocks) % np.uint64(BLOCK)).astype(int)] = 0.0
    return -np.log(exponentials(least, blocks)[:, None] / BLOCK + more).reshape(-1)[:vocabulary]


def next_token(logits: np.ndarray, spec: SamplingSpec, position: int) -> int:
    """Argmax, or the draw that belongs to (seed, position): the argmax with noise added."""
    if spec.temperature == 0.0:
        return int(logits.argmax())
    with np.errstate(divide="ignore"):
        return int((np.log(law(logits, spec)) + gumbel(spec.seed, position, len(logits))).argmax())


@torch.inference_mode()
def logits_after(model: PreTrainedModel, text: list[int]) -> np.ndarray:
    """Logits [V] of the token that follows, by transformers' own forward over the whole text."""
    return model(input_ids=torch.tensor([text]), use_cache=False).logits[0, -1].float().numpy()


def generate(
    model: PreTrainedModel,
    prompt: list[int],
    count: int,
    spec: SamplingSpec = GREEDY,
    eos: frozenset[int] = frozenset(),
) -> list[int]:
    """`count` new tokens, or fewer where one of `eos` comes."""
    return written(partial(logits_after, model), prompt, count, spec, eos)


def written(
    after: Callable[[list[int]], np.ndarray],
    prompt: list[int],
    count: int,
    spec: SamplingSpec = GREEDY,
    eos: frozenset[int] = frozenset(),
) -> list[int]:
    """The same of any law: `after` gives the logits [V] behind a text."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(next_token(after(tokens), spec, len(tokens)))
        if tokens[-1] in eos:
            break
    return tokens[len(prompt) :]
