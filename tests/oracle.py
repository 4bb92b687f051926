"""The plain twin of the engine: one full forward a token, no cache, no mask, and a sampler of its own.

Slow and obvious on purpose; the engine must emit the same tokens.
"""

from __future__ import annotations

import numpy as np
import torch

from gsd.config import SamplingSpec
from gsd.sampling import uniform

GREEDY = SamplingSpec()


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


def next_token(logits: np.ndarray, spec: SamplingSpec, position: int) -> int:
    """Argmax, or the draw that belongs to (seed, position)."""
    if spec.temperature == 0.0:
        return int(logits.argmax())
    return int(np.searchsorted(np.cumsum(law(logits, spec)), uniform(spec.seed, position), side="right"))


@torch.inference_mode()
def generate(model, prompt: list[int], count: int, spec: SamplingSpec = GREEDY, eos: frozenset = frozenset()):
    """`count` new tokens, or fewer where one of `eos` comes."""
    tokens = list(prompt)
    for _ in range(count):
        logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1].float().numpy()
        tokens.append(next_token(logits, spec, len(tokens)))
        if tokens[-1] in eos:
            break
    return tokens[len(prompt) :]
