"""What the engine's rounds are in a trace, and that made-up traces, which other tests read, have that form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures.recorded import record_run
from settings import of_method

from gsd.config import RunSpec
from gsd.models.pairs import PAIRS
from gsd.spec import Prompt
from gsd.testing.table_model import table_pair
from gsd.trace.read import read_run
from gsd.trace.records import Tally, _origins
from tests.models import decode

MERGING = of_method(
    width=3, depth=5, merge_context=0, prob_threshold=0, sibling_threshold=0, frontier=6, budget=60
)  # fmt: skip


def events(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def form(value: object) -> object:
    """The keys of dicts, and of those in them."""
    return {name: form(one) for name, one in value.items()} if isinstance(value, dict) else None


def test_a_made_up_run_has_the_form_of_a_real_one(tiny, tmp_path):
    pair = PAIRS["tiny"]
    spec = RunSpec(target=pair.target, draft=pair.draft, prompt=Prompt(prompt="def add(a, b):\n"), max_new_tokens=8)
    real, made = events(tiny.run(spec, tmp_path).folder), events(record_run(tmp_path / "made"))
    assert form(made[0]) == form(real[0])
    assert form(made[-1]) == form(real[-1])


@pytest.mark.parametrize("detail", ["full", "counters"])
def test_the_rounds_of_a_trace_add_up_to_its_totals(tiny, tmp_path, detail):
    """What is shown of a run that is still going is what its end will say."""
    pair = PAIRS["tiny"]
    spec = RunSpec(target=pair.target, draft=pair.draft, prompt=Prompt(prompt="def add(a, b):\n"), max_new_tokens=20,
                   detail=detail)  # fmt: skip
    trace, tally = read_run(tiny.run(spec, tmp_path).folder), Tally()
    for round_ in trace.rounds:
        tally.add_recorded(round_)
    totals, known = trace.end["totals"], tally.totals()
    if detail == "counters":  # no round says its longest path
        assert known.pop("acceptance_rate_longest_path") is None and totals.pop("acceptance_rate_longest_path")
    assert known == pytest.approx(totals)


def test_behind_a_merge_edge_every_token_is_owed_to_the_merge():
    crossed = 0
    for seed in range(20):
        target, draft = table_pair(3, seed)
        for round_ in decode(target, draft, [seed % 3, 1, 2], MERGING, count=30, detail=False):
            merged = [round_.tree.merged[i] for i in round_.accepted]
            first = merged.index(True) if any(merged) else len(merged)
            crossed += any(merged)
            own = [] if len(round_.new_tokens) == len(merged) else ["bonus" if len(round_.tree) > 1 else "target"]
            assert _origins(round_) == ["draft"] * first + ["merge"] * (len(merged) - first) + own
    assert crossed > 20


def test_what_was_looked_up_is_told_and_a_round_that_verified_nothing_is_the_target_s():
    """The prompt repeats itself, so that something is found."""
    spec, origins = of_method(method="auto", merge_context=None), []
    for seed, count in [*((seed, 40) for seed in range(6)), (0, 1)]:  # of one token nothing is drafted
        target, draft = table_pair(5, seed)
        for round_ in decode(target, draft, [1, 2, 3, 4, 1, 2, 3], spec, count=count, detail=False):
            sources = [round_.graph.sources[round_.tree.nodes[i]] for i in round_.accepted]
            own = [] if len(round_.new_tokens) == len(sources) else ["bonus" if len(round_.tree) > 1 else "target"]
            assert _origins(round_) == sources + own
            origins += _origins(round_)
    assert {"draft", "lookup", "bonus", "target"} <= set(origins)
