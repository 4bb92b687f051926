"""What the parts of method `auto` are worth, modelled: the same texts decoded again, each forward priced by its size.

    GSD_MODELS=<folder> gsd calibrate --pair qwen2.5-coder --draft-quant int4 --dtype bfloat16 --out costs.json
    GSD_MODELS=<folder> python -m benchmarks.auto_parts --pair qwen2.5-coder --draft-quant int4 --dtype bfloat16 \
        --costs costs.json --out benchmarks/results/auto-parts.json

Timings scatter, and in bfloat16 two ways of decoding soon write two texts. Here every variant drafts with the real
draft and writes the text of plain decoding, token for token, and a forward takes what the curves say of one of its
size: for the figures as for what `auto` plans by. What is left between variants is what they do. Prompts are taken to
be in both caches, and the engine's own time is left out: 1 % on a pair of that size, too much on the bundled one. The
target's curve is measured behind a draft's forward, so that a round without a draft is priced too high.
A variant's figure is its time over that of `auto` as it is, as in ablation.py.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ablation import VARIANTS, WHOLE
from benchmarks.common import add_out, add_prompts, ends, over_prompts, parser, prompts_of, run_spec, told, write
from gsd.config import RunSpec
from gsd.decode.engine import Engine
from gsd.decode.runner import Runner
from gsd.decode.stops import StopRules
from gsd.drafting.base import Parts
from gsd.drafting.planner import LiveCurve, Planner
from gsd.errors import InputError
from gsd.lab.cost import Costs, Curve
from gsd.machine.environment import machine
from gsd.methods import METHODS, MethodSettings, drafting
from gsd.models.base import Counter, LanguageModel, T
from gsd.models.hf import HFModel
from gsd.spec import SamplingSpec
from gsd.trace.records import mean_acceptance_length

# Those of the ablation that differ in what is drafted, not in how models are held.
DRAFTING = {name: variant.drafting for name, variant in VARIANTS.items() if variant.held == VARIANTS[WHOLE].held}


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt's tokens and those that the target wrote behind them."""

    prompt: list[int]
    written: list[int]


@dataclass(frozen=True, slots=True)
class Modelled:
    """One text, written by one variant. `ms` is modelled."""

    ms: float
    tokens: int
    rounds: int
    draft_forwards: int
    verified_nodes: int


class StillCurve(LiveCurve):
    """Costs that were measured before, and that no clock moves."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        for tokens, ms in zip(curve.tokens, curve.ms):
            super().observe(tokens, ms)

    def observe(self, tokens: int, ms: float) -> None:
        """Nothing to learn."""


class Sized:
    """A model whose forwards' sizes are kept, in tokens from position `start` on; those of none are not."""

    def __init__(self, model: LanguageModel, start: int) -> None:
        self._model, self._start = model, start
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def forward(self, tokens: list[int], positions: list[int], reduce: Callable, **options: Any) -> Any:
        """The model's own."""
        if size := sum(position >= self._start for position in positions):
            self.sizes.append(size)
        return self._model.forward(tokens, positions, reduce, **options)


class RecordedTarget:
    """A `LanguageModel` that says of every position what follows there in a text, whatever it is given.

    Behind the text, that its last token follows: the one that ends it, where any does.
    """

    def __init__(self, text: list[int], like: HFModel) -> None:
        self.vocab_size, self.context_length = like.vocab_size, like.context_length
        self.counter = Counter()
        self.length = 0
        self._text = text

    def reset(self, capacity: int) -> None:
        """Begin anew."""
        self.length = 0

    def forward(
        self, tokens: list[int], positions: list[int], reduce: Callable[[torch.Tensor], T], *, rows: int = 1,
        mask: np.ndarray | None = None,
    ) -> T:  # fmt: skip
        """Logits of 1 for the token that follows, of 0 for all others."""
        self.length += len(tokens)
        logits = torch.zeros(rows, self.vocab_size)
        last = len(self._text) - 1
        logits[range(rows), [self._text[min(position + 1, last)] for position in positions[-rows:]]] = 1.0
        return reduce(logits)

    def keep(self, base: int, slots: list[int]) -> None:
        """Keep so many slots."""
        self.length = base + len(slots)


class Redecoder:
    """Writes texts once more, one after another; what one teaches of acceptance is kept for the next, as in use."""

    def __init__(self, runner: Runner, costs: Costs) -> None:
        self._runner = runner
        self._curves = StillCurve(costs.draft), StillCurve(costs.target)
        self._planner = Planner(*self._curves)

    def decode(self, text: Text, spec: MethodSettings, max_new_tokens: int) -> Modelled:
        """Write `text` as `spec` drafts it. Raises `AssertionError` where another one comes of it."""
        target = RecordedTarget(text.prompt + text.written, self._runner.target)
        draft = Sized(self._runner.draft, len(text.prompt) - 1)
        method = METHODS[spec.method]
        drafter = method.drafter(spec, Parts(None, draft, target.vocab_size, record=False, memory=self._planner))
        stops = StopRules(max_new_tokens, self._runner.eos)
        engine = Engine(target, drafter, method.rule(spec), SamplingSpec(), detail=False)
        rounds = list(engine.decode(text.prompt, stops))
        if [token for round_ in rounds for token in round_.new_tokens] != text.written:
            raise AssertionError("the text decoded again is another one")
        drafting, verifying = (curve.table() for curve in self._curves)
        return Modelled(
            ms=float(
                sum(drafting[size] for size in draft.sizes) + sum(verifying[len(round_.tree)] for round_ in rounds)
            ),
            tokens=len(text.written),
            rounds=len(rounds),
            draft_forwards=len(draft.sizes),
            verified_nodes=sum(len(round_.tree) - 1 for round_ in rounds),
        )


def rows(texts_by_name: dict[str, list[Modelled]], plain_ms: float) -> dict[str, dict[str, Any]]:
    """By variant: its modelled time over that of `auto` as it is, with its interval, and what it did.

    `plain_ms`: a token of plain decoding.
    """
    table = {}
    for name, mine in texts_by_name.items():
        ratios = [one.ms / whole.ms for one, whole in zip(mine, texts_by_name[WHOLE])]
        tokens, rounds = sum(one.tokens for one in mine), sum(one.rounds for one in mine)
        table[name] = {
            **over_prompts(ratios),
            "modelled_speedup": statistics.fmean(plain_ms * one.tokens / one.ms for one in mine),
            "mean_acceptance_length": mean_acceptance_length(tokens - rounds, rounds),
            "draft_forwards": sum(one.draft_forwards for one in mine),
            "nodes_per_round": sum(one.verified_nodes for one in mine) / rounds,
        }  # fmt: skip
    return table


def main() -> None:
    """Write the texts, decode them again, print a table, write the figures."""
    given = _arguments()
    costs = Costs.load(given.costs)
    prompts = prompts_of(given)
    spec = run_spec(given, drafting(method="ar"))
    runner = Runner.of(spec)
    models = {"target": runner.target.describe(), "draft": runner.draft.describe()}
    if unnamed := costs.check_models(models, given.costs):
        raise InputError(f"--costs {given.costs} does not name its {' and '.join(unnamed)}: run gsd calibrate anew")
    texts = [_written(runner, spec, runner.encode(prompt)) for prompt in prompts]
    texts_by_name = {}
    for name, own in DRAFTING.items():
        redecoder = Redecoder(runner, costs)
        texts_by_name[name] = [redecoder.decode(text, own, given.max_new_tokens) for text in texts]
    table = rows(texts_by_name, costs.plain_ms)
    print(_table(table))
    report = {"modelled": True, "rows": table, "prompts": [prompt.id for prompt in prompts],
              "max_new_tokens": given.max_new_tokens, "pair": given.pair, "draft": runner.draft.describe(),
              "target": runner.target.describe(), "costs": asdict(costs),
              "machine": machine(runner.target.devices)}  # fmt: skip
    write(report, given.out)


def _written(runner: Runner, spec: RunSpec, prompt: list[int]) -> Text:
    return Text(prompt, [token for round_ in runner.rounds(spec, prompt) for token in round_.new_tokens])


def _table(table: dict[str, dict[str, Any]]) -> str:
    lines = ["| | time over as it is | 95 % | median | modelled speed-up | acceptance length | draft forwards "
             "| nodes a round |", "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in table.items():
        lines.append(
            f"| {name} | {row['ratio']:.3f} | {ends(row, 3)} | {row['median']:.3f} "
            f"| {row['modelled_speedup']:.2f} | {row['mean_acceptance_length']:.2f} | {row['draft_forwards']} "
            f"| {row['nodes_per_round']:.1f} |"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    options = parser(__doc__, new_tokens=128)
    add_prompts(options)
    options.add_argument("--costs", type=Path, required=True, help="what gsd calibrate wrote of the same pair")
    add_out(options)
    return options.parse_args()


if __name__ == "__main__":
    told(main)
