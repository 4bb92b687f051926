"""Similarity of the hypotheses of a round, pair by pair. Formulas: docs/metrics.md.

A hypothesis is the way from the root (not counted) to a leaf of the verified tree; merging does not
shorten it, as the tree is the unrolled graph. Two hypotheses that fork late share their first tokens
as the same nodes; `prefix` says how many, so that what recurs behind the fork can be told from it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.load import Frames
from gsd.errors import InputError

MEASURES = {"lcs_ratio": "longest common subsequence / longer length", "jaccard": "shared tokens / all tokens"}
COLUMNS = {
    "run": "name: the run's folder",
    "round": "index: round of the run, from 0",
    "left": "index: hypothesis of the round",
    "right": "index: another one, greater than left",
    "prefix": "tokens: at the start of both, that is the nodes that they share",
    "lcs": "tokens: longest common subsequence, the prefix in it",
    "lcs_ratio": "share: lcs / length of the longer hypothesis",
    "jaccard": "share: distinct tokens in both / distinct tokens in either",
}

_CHUNK = 1 << 13  # pairs compared at a time: what a processor's cache holds


def hypothesis_pairs(frames: Frames) -> pd.DataFrame:
    """Every pair of hypotheses of every round: lcs_ratio = LCS(a, b) / max(|a|, |b|), jaccard = |A ∩ B| / |A ∪ B|.

    LCS is the length of the longest common subsequence (order kept, gaps allowed); A and B are the
    sets of the tokens of a and b. A round of H hypotheses has H (H - 1) / 2 rows.
    """
    hypotheses = frames.hypotheses
    left, right = _pairs(hypotheses)
    tokens = _padded(hypotheses["tokens"].tolist())
    lengths = hypotheses["length"].to_numpy()
    distinct = _is_new(tokens).sum(axis=0)
    parts = [_compare(tokens[:, left[i : i + _CHUNK]], tokens[:, right[i : i + _CHUNK]])
             for i in range(0, max(len(left), 1), _CHUNK)]  # fmt: skip
    prefix, lcs, common = np.concatenate(parts, axis=1)
    numbers = hypotheses["hypothesis"].to_numpy()
    return hypotheses[["run", "round"]].iloc[left].reset_index(drop=True).assign(
        left=numbers[left], right=numbers[right], prefix=prefix, lcs=lcs,
        lcs_ratio=lcs / np.maximum(lengths[left], lengths[right]),
        jaccard=common / (distinct[left] + distinct[right] - common),
    )  # fmt: skip


def similarity_matrix(pairs: pd.DataFrame, run: str, round: int, measure: str = "lcs_ratio") -> np.ndarray:
    """[H, H] symmetric, 1 on the diagonal: `measure` of the hypotheses of one round, from `hypothesis_pairs`.

    Raises `InputError` for an unknown measure, and where the round has fewer than two hypotheses.
    """
    if measure not in MEASURES:
        raise InputError(f"no similarity {measure!r}: choose one of {', '.join(MEASURES)}")
    rows = pairs[(pairs["run"] == run) & (pairs["round"] == round)]
    if rows.empty:
        raise InputError(f"round {round} of run {run} has no two hypotheses to compare: choose another round")
    left, right = rows["left"].to_numpy(), rows["right"].to_numpy()
    matrix = np.eye(right.max() + 1)
    matrix[left, right] = matrix[right, left] = rows[measure]
    return matrix


def _pairs(hypotheses: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the left and of the right hypothesis of each pair; the rows of a round stand together."""
    first = np.flatnonzero(hypotheses["hypothesis"].to_numpy() == 0)
    sizes = np.diff(np.append(first, len(hypotheses)))
    corners = {size: np.triu_indices(size, k=1) for size in set(sizes.tolist())}
    none = np.zeros((2, 0), dtype=np.int64)
    both = np.concatenate([none, *(start + np.stack(corners[size]) for start, size in zip(first, sizes))], axis=1)
    return both[0], both[1]


def _padded(hypotheses: list[np.ndarray]) -> np.ndarray:
    """[L, H] the tokens of each hypothesis downwards, -1 behind its end."""
    padded = np.full((len(hypotheses), max(map(len, hypotheses), default=0)), -1, dtype=np.int32)
    for row, tokens in zip(padded, hypotheses):
        row[: len(tokens)] = tokens
    return np.ascontiguousarray(padded.T)


def _compare(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[3, P] prefix, longest common subsequence and number of common tokens of each pair; both [L, P]."""
    right = np.where(right < 0, np.int32(-2), right)  # the padding of one side never equals that of the other
    prefix = np.logical_and.accumulate(left == right, axis=0).sum(axis=0)
    best = np.zeros((len(left) + 1, left.shape[1]), dtype=np.int16)  # LCS of what was read with right[:j]
    common = np.zeros(left.shape[1], dtype=np.int16)
    for token, new in zip(left, _is_new(left)):
        same = right == token
        common += new & same.any(axis=0)
        extended = np.maximum(best[1:], best[:-1] + same)
        for j in range(len(right)):  # ten times as fast as np.maximum.accumulate along this axis
            np.maximum(best[j], extended[j], out=best[j + 1])
    return np.stack([prefix, best[-1], common])


def _is_new(tokens: np.ndarray) -> np.ndarray:
    """[L, P] bool: the token stands here for the first time in its hypothesis."""
    seen_before = [(tokens[:i] == token).any(axis=0) for i, token in enumerate(tokens)]
    return (tokens >= 0) & ~np.array(seen_before, dtype=bool).reshape(tokens.shape)


METRICS: dict[str, Callable[[Frames], pd.DataFrame]] = {"hypothesis_pairs": hypothesis_pairs}
