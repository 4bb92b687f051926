"""Proves, when a model is loaded, that one forward over a tree of tokens is exact for its architecture.

Tree attention rests on a model going by the mask and the positions that it is given, whatever slots of the cache
tokens lie in. Some take positions from the cache's length, look back a number of slots, or read no mask. So a small
tree is run in one forward, at positions that differ from slots, and compared with its paths one by one. What decides
is the architecture and its configuration, not the weights: so this is asked of a miniature in float32, before any
weight is read; where no miniature can be made, of the loaded model.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import PreTrainedConfig

import gsd
from gsd.errors import GsdError, ModelError
from gsd.machine.environment import cache_folder
from gsd.models.hf import HFModel
from gsd.models.miniature import build, miniature
from gsd.spec import ModelSpec

PROOF = 1  # of what is kept in the user's folder; one more whenever the proof changes
PREFIX = [23, 51, 9, 40, 17]  # token ids, none of those that are often special; the last is the tree's root
DECOYS = [33, 12, 58, 45, 26, 61, 38, 19]  # children of the root that no other node sees
PATH = [47, 10, 55]  # a hypothesis behind the root
FORK = [36, 62]  # another one, behind its first token
NEXT = [29, 44]  # what follows once the path is accepted
# How far two rows of logits may be apart (RMS, as a share of their standard deviation). Rounding makes 1e-6 of it in
# float32; of Qwen2.5-Coder-0.5B in bfloat16 a median of 0.03, where wrong positions make 0.7 and a wrong mask 0.7.
FLOAT_TOLERANCE, HALF_TOLERANCE = 1e-3, 0.15

_proven: set[str] = set()


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known before the weights are read. `key` None: nothing to remember it by."""

    proven: bool
    key: str | None = None


def prove(config: PreTrainedConfig, spec: ModelSpec, *, native: bool) -> Proof:
    """Prove it with a miniature, unless it is proven. Raises `ModelError` with the reason where it does not hold.

    Not proven, with no error, is what cannot be made small: `prove_loaded` is to be asked.
    """
    try:
        small = miniature(config)
        key = None if spec.trust_remote_code else _key(small, native=native)
        if key is not None and _is_known(key):
            return Proof(True, key)
        model = build(small, trust=spec.trust_remote_code)
        reason = fault(HFModel(model, spec, native=native))
    except GsdError:
        raise
    except Exception:  # whatever a cut configuration makes a foreign model raise: the whole one will tell
        return Proof(False)
    _refuse(reason, config, spec)
    _remember(key, config)
    return Proof(True, key)


def prove_loaded(model: HFModel) -> None:
    """Prove it with the loaded model itself; raises `ModelError` with the reason where it does not hold."""
    try:
        reason = fault(model)
    except GsdError:
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        reason = f"its forward does not take what a tree needs ({said})"
    _refuse(reason, model.model.config, model.spec)


def fault(model: HFModel) -> str | None:
    """What makes a tree inexact for `model`, or None where it is exact. Whatever the model raises comes through."""
    with torch.inference_mode():
        return _Trial(model).fault()


class _Trial:
    """One tree, run in one forward and path by path."""

    def __init__(self, model: HFModel) -> None:
        self._model = model
        self._half = model.dtype != torch.float32

    def fault(self) -> str | None:
        if self._differ(self._plain(PREFIX), self._plain(PREFIX + PATH)[: len(PREFIX)]):
            return "a token's logits depend on the tokens behind it, so it is no causal language model"
        if reason := self._beyond_its_table():
            return reason
        tree = self._tree(0)
        path, fork = self._plain(PREFIX + PATH + NEXT), self._plain(PREFIX + PATH[:1] + FORK)
        root, nodes = len(PREFIX) - 1, len(DECOYS) + 1  # of the plain rows; the tree's rows before the path
        found = torch.cat([tree[:1], tree[1:2], tree[nodes:]])
        decoy = self._plain([*PREFIX, DECOYS[0]])[-1:]
        expected = torch.cat([path[root : root + 1], decoy, path[root + 1 : root + 1 + len(PATH)], fork[root + 2 :]])
        if self._differ(found, expected):
            return self._reason(tree)
        self._model.keep(len(PREFIX), [len(DECOYS) + i for i in range(len(PATH))])
        after = [len(PREFIX) + len(PATH) + i for i in range(len(NEXT))]
        if self._differ(self._forward(NEXT, after, None), path[-len(NEXT) :]):
            return "what it keeps of a token in its cache cannot be moved to another slot"
        return None

    def _tree(self, shift: int) -> torch.Tensor:
        """The root's logits and those of all nodes, by one forward; all nodes' positions moved on by `shift`."""
        self._model.reset(len(PREFIX) + len(DECOYS) + len(PATH) + len(FORK) + len(NEXT))
        root = self._forward(PREFIX, list(range(len(PREFIX))), None)[-1:]
        first, decoys = len(PREFIX) + shift, len(DECOYS)
        positions = [first] * decoys + [first + i for i in range(len(PATH))] + [first + 1 + i for i in range(len(FORK))]
        inside = np.eye(len(positions), dtype=bool)
        for row in range(len(PATH)):
            inside[decoys + row, decoys : decoys + row + 1] = True
        for row in range(len(FORK)):
            at = decoys + len(PATH)
            inside[at + row, [decoys, *range(at, at + row + 1)]] = True
        return torch.cat([root, self._forward(DECOYS + PATH + FORK, positions, inside)])

    def _reason(self, tree: torch.Tensor) -> str:
        if not self._differ(tree[1:], self._tree(3)[1:]):
            return "it ignores the positions that it is given, so that a tree's branches would be taken for one text"
        return (
            "it does not go by the mask and the positions that it is given alone (a window over cache slots, or a bias "
            "by their distance), so that a tree's branches would be taken for one text"
        )

    def _beyond_its_table(self) -> str | None:
        """Whether it has no position of the last token of the longest text."""
        last = self._model.context_length - 1
        ids = torch.tensor([self._known(PREFIX[:1])], device=self._model.device)
        try:
            logits = self._model.model(input_ids=ids, position_ids=torch.full_like(ids, last)).logits
        except (IndexError, RuntimeError):
            return f"its table of positions ends before position {last}, the last of the context that it gives"
        return None if bool(logits.isfinite().all()) else f"its logits at position {last} are not finite"

    def _plain(self, tokens: list[int]) -> torch.Tensor:
        """[N, V] logits of a text by the model's own forward, without cache and mask, as generation calls it."""
        ids = torch.tensor([self._known(tokens)], device=self._model.device)
        places = torch.arange(len(tokens), device=self._model.device)[None]
        return self._model.model(input_ids=ids, position_ids=places).logits[0].float()

    def _forward(self, tokens: list[int], positions: list[int], mask: np.ndarray | None) -> torch.Tensor:
        return self._model.forward(self._known(tokens), positions, _copied, rows=len(tokens), mask=mask)

    def _known(self, tokens: list[int]) -> list[int]:
        """Ids that even a smaller vocabulary has."""
        return [token % self._model.vocab_size for token in tokens]

    def _differ(self, one: torch.Tensor, other: torch.Tensor) -> bool:
        """Whether rows [N, V] are further apart than rounding takes them; in half precision, whether most are.

        There a router may choose another expert for a token or two.
        """
        apart = (one - other).square().mean(-1).sqrt() / other.std(-1)  # [N]
        if not bool(apart.isfinite().all()):
            raise ArithmeticError("logits that are not finite, or all the same")
        return bool(apart.median() > HALF_TOLERANCE if self._half else apart.max() > FLOAT_TOLERANCE)


def _copied(logits: torch.Tensor) -> torch.Tensor:
    """[N, V] as float32, as a reduction that keeps all."""
    return logits.float().clone()


def _refuse(reason: str | None, config: PreTrainedConfig, spec: ModelSpec) -> None:
    if reason:
        raise ModelError(
            f"{spec.source}: {config.model_type} cannot verify a tree of tokens in one forward: {reason}; use a "
            "decoder-only model with full attention and rotary or learned positions"
        )


def _key(small: PreTrainedConfig, *, native: bool) -> str:
    """What a proof holds for: the cut configuration, which all sizes of a family share, and what computes it."""
    settings = {name: value for name, value in small.to_dict().items() if name not in ("dtype", "_name_or_path")}
    versions = [PROOF, gsd.__version__, transformers.__version__, torch.__version__, native]
    return hashlib.sha256(json.dumps([settings, versions], sort_keys=True, default=str).encode()).hexdigest()


def _folder() -> Path:
    return cache_folder() / "exact"


def _is_known(key: str) -> bool:
    if key in _proven:
        return True
    with contextlib.suppress(OSError):
        if (_folder() / key).exists():
            _proven.add(key)
    return key in _proven


def _remember(key: str | None, config: PreTrainedConfig) -> None:
    """In this process, and for later ones where the folder can be written: without it, they prove it again."""
    if key is None:
        return
    _proven.add(key)
    with contextlib.suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        (_folder() / key).write_text(f"{config.model_type}\n")
