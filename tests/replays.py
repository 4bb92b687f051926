"""A replay beside the real run of the same settings, count for count."""

from __future__ import annotations

import random

from settings import of_method

from analysis.replay import Replayer, TextReplay
from gsd.config import RunSpec
from gsd.decode.runner import Runner
from gsd.lab.atlas import Atlas, Bounds
from gsd.methods import MethodSettings
from gsd.trace.records import Tally

COUNTS = ("rounds", "draft_forwards", "drafted_nodes", "verified_nodes", "merges", "accepted", "new_tokens")


def random_settings(dice: random.Random, bounds: Bounds) -> MethodSettings:
    """Any setting within the bounds."""
    return of_method(
        method=dice.choice(["graph", "graph", "graph", "tree", "chain"]),
        width=dice.randint(1, bounds.width), depth=dice.randint(1, bounds.depth),
        merge_context=dice.choice([None, 0, 1, 2, 3]), sibling_threshold=dice.choice([0.0, 0.02, 0.1, 0.3]),
        prob_threshold=dice.choice([0.0, 0.001, 0.05, 0.3]), prob_rule=dice.choice(["path", "local"]),
        prob_action=dice.choice(["leaf", "drop"]), frontier=dice.randint(1, bounds.frontier),
        budget=dice.randint(1, 64),
    )  # fmt: skip


def really(runner: Runner, spec: RunSpec) -> tuple[dict[str, int], list[int]]:
    """Counts of a real run, and the accepted tokens of each round."""
    tally, accepted = Tally(), []
    for round_ in runner.rounds(spec, runner.encode(spec.prompt)):
        tally.add(round_)
        accepted.append(len(round_.accepted))
    return {name: getattr(tally, name) for name in COUNTS}, accepted


def replayed(replay: TextReplay) -> tuple[dict[str, int], list[int]]:
    """The same of a replay."""
    accepted = [one.accepted for one in replay.rounds]
    new_tokens = sum(one.new_tokens for one in replay.rounds)
    return {**replay.counts(), "accepted": sum(accepted), "new_tokens": new_tokens}, accepted


def compare(runner: Runner, atlas: Atlas, runs: list[RunSpec], settings: list[MethodSettings]) -> float:
    """Check every covered setting on every text of `runs` against a real run; the share that was covered."""
    replayer = Replayer(atlas)
    covered = 0
    for drafting in settings:
        replays = replayer.replay(drafting)
        covered += not any(replay.wanted for replay in replays)
        for run, replay in zip(runs, replays, strict=True):
            if not replay.wanted:
                spec = run.model_copy(update={"drafting": drafting, "detail": "counters"})
                assert replayed(replay) == really(runner, spec), drafting
                assert replay.coverage == 1.0
    return covered / len(settings)
