"""What the parts of method `auto` are worth, modelled: the same texts replayed, each forward priced by its size.

    GSD_MODELS=<folder> python -m benchmarks.replayed --pair qwen2.5-coder --draft-quant int4 --dtype bfloat16 \
        --out benchmarks/results/replayed.json

Timings scatter, and in bfloat16 two ways of decoding soon write two texts. Here every variant drafts with the real
draft and writes the target's own text, token for token. A forward takes what one of its size took when the cost curves
were measured, in the same process just before: for the figures as for what `auto` plans by. What is left between
variants is what they do. A variant's figure is its time over that of the whole, as in ablation.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ablation import VARIANTS, WHOLE, Held
from gsd.bench.rows import interval
from gsd.calibrate import calibrate
from gsd.config import DraftSpec, RunSpec, SamplingSpec
from gsd.cost import Costs, Curve
from gsd.drafters import DRAFTERS
from gsd.engine import Engine
from gsd.models.base import Counter, LanguageModel, T
from gsd.pace import LARGEST, LiveCurve, Pace
from gsd.pairs import pair
from gsd.prompts import read_prompts
from gsd.records import mean_acceptance_length
from gsd.runner import Runner
from gsd.stops import StopRules

DRAFTING = {name: variant.drafting for name, variant in VARIANTS.items() if variant.held == Held()}


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt's tokens and those that the target wrote behind them."""

    prompt: list[int]
    written: list[int]


@dataclass(frozen=True, slots=True)
class Replay:
    """One text, written by one variant. `ms` is modelled."""

    ms: float
    plain_ms: float
    tokens: int
    rounds: int
    draft_forwards: int
    verified_nodes: int


class StillCurve(LiveCurve):
    """Costs that no clock moves."""

    def __init__(self, curve: Curve, engine_ms: float) -> None:
        super().__init__()
        self._still = np.append(0.0, curve.at(range(1, LARGEST + 1)) + engine_ms)

    def observe(self, tokens: int, ms: float) -> None:
        """Nothing to learn."""

    def table(self) -> np.ndarray:
        """[LARGEST + 1] milliseconds by number of tokens."""
        return self._still


class Sized:
    """A model whose forwards' sizes are kept."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def forward(self, tokens: list[int], positions: list[int], reduce: Callable, **options: Any) -> Any:
        """The model's own."""
        self.sizes.append(len(tokens))
        return self._model.forward(tokens, positions, reduce, **options)


class ReplayedTarget:
    """A `LanguageModel` that says of every position what follows there in a text, whatever it is given."""

    def __init__(self, text: list[int], vocab_size: int) -> None:
        self.vocab_size, self.context_length = vocab_size, len(text)
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
        logits[range(rows), [self._text[position + 1] for position in positions[-rows:]]] = 1.0
        return reduce(logits)

    def keep(self, base: int, slots: list[int]) -> None:
        """Keep so many slots."""
        self.length = base + len(slots)


def replay(draft: LanguageModel, vocab_size: int, text: Text, spec: DraftSpec, pace: Pace, costs: Costs) -> Replay:
    """Write `text` once more, as `spec` drafts it."""
    drafting, target = Sized(draft), Sized(ReplayedTarget(text.prompt + text.written, vocab_size))
    drafter = DRAFTERS[spec.method](drafting, spec, vocab_size=vocab_size, record=False, pace=pace)
    engine = Engine(target, drafter, SamplingSpec(), detail=False)
    steps = list(engine.decode(text.prompt, spec, StopRules(len(text.written))))
    if [token for step in steps for token in step.new_tokens] != text.written:
        raise AssertionError("the text replayed is another one")
    return Replay(
        ms=costs.run_ms(drafting.sizes, target.sizes, sum(len(step.graph) - 1 for step in steps)),
        plain_ms=costs.plain_run_ms(len(text.prompt), len(text.written)),
        tokens=len(text.written),
        rounds=len(steps),
        draft_forwards=len(drafting.sizes),
        verified_nodes=sum(len(step.tree) - 1 for step in steps),
    )


def rows(replays: dict[str, list[Replay]]) -> dict[str, dict[str, Any]]:
    """By variant: its modelled time over that of the whole, with its interval, and what it did."""
    table = {}
    for name, mine in replays.items():
        ratios = [one.ms / whole.ms for one, whole in zip(mine, replays[WHOLE])]
        low, high = interval(ratios)
        tokens, rounds = sum(one.tokens for one in mine), sum(one.rounds for one in mine)
        table[name] = {
            "ratio": statistics.fmean(ratios), "low": low, "high": high,
            "modelled_speedup": statistics.fmean(one.plain_ms / one.ms for one in mine),
            "mean_acceptance_length": mean_acceptance_length(tokens - rounds, rounds),
            "draft_forwards": sum(one.draft_forwards for one in mine),
            "nodes_per_round": sum(one.verified_nodes for one in mine) / rounds,
            "ratios": ratios,
        }  # fmt: skip
    return table


def main() -> None:
    """Write the texts, measure the costs, replay, print a table, write the figures."""
    given = _arguments()
    chosen = pair(given.pair)
    draft = chosen.draft.model_copy(update={"quantization": given.draft_quant})
    prompts = read_prompts(given.prompts).prompts[: given.count]
    spec = RunSpec(target=chosen.target, draft=draft, prompt=prompts[0], dtype=given.dtype, detail="counters",
                   max_new_tokens=given.max_new_tokens)  # fmt: skip
    runner = Runner.of(spec)
    costs = calibrate(runner, spec, repeats=given.repeats)
    texts = [_written(runner, spec, runner.encode(prompt)) for prompt in prompts]
    replays = {name: _replays(runner, texts, drafting, costs) for name, drafting in DRAFTING.items()}
    table = rows(replays)
    print(_table(table))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({"modelled": True, "rows": table, "prompts": [prompt.id for prompt in prompts],
                                     "max_new_tokens": given.max_new_tokens, "costs": asdict(costs)},
                                    indent=1) + "\n")  # fmt: skip


def _written(runner: Runner, spec: RunSpec, prompt: list[int]) -> Text:
    return Text(prompt, [token for step in runner.steps(spec, prompt) for token in step.new_tokens])


def _replays(runner: Runner, texts: list[Text], spec: DraftSpec, costs: Costs) -> list[Replay]:
    """All texts in order, with what one taught of acceptance kept for the next, as in use."""
    own = costs.overhead
    pace = Pace(StillCurve(costs.draft, own.level_ms), StillCurve(costs.target, own.round_ms))
    return [replay(runner.draft, runner.target.vocab_size, text, spec, pace, costs) for text in texts]


def _table(table: dict[str, dict[str, Any]]) -> str:
    lines = ["| | whole is faster by (modelled) | 95 % | acceptance length | draft forwards | nodes a round |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, row in table.items():
        lines.append(
            f"| {name} | {row['ratio']:.3f} | {row['low']:.3f}–{row['high']:.3f} | {row['mean_acceptance_length']:.2f} "
            f"| {row['draft_forwards']} | {row['nodes_per_round']:.1f} |"
        )
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", default="tiny")
    parser.add_argument("--draft-quant", default="none", choices=["none", "int8", "int4"])
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--prompts", type=Path, default=Path(__file__).parent / "prompts" / "speed.jsonl")
    parser.add_argument("--count", type=int, help="prompts, the first ones of the file; without it all")
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5, help="of each forward whose cost is measured")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
