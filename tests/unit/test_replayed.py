"""Replayed texts: whatever is drafted, the text is written as it was, and every forward is priced by its size."""

from __future__ import annotations

import pytest

from benchmarks.ablation import WHOLE
from benchmarks.replayed import DRAFTING, StillCurve, Text, replay, rows
from gsd.config import DraftSpec
from gsd.cost import Costs, Curve, Overhead
from gsd.pace import LARGEST, Pace
from tests.models import VOCABULARY, adapted, decode, half_agreeing, target_of, tokens_of

COSTS = Costs(
    draft=Curve([1, 8], [2.0, 4.0], [2.0, 4.0], [2.0, 4.0]),
    target=Curve([1, 8], [10.0, 12.0], [10.0, 12.0], [10.0, 12.0]),
    overhead=Overhead(0.5, 0.25, 0.125),
    plain_ms=11.0,
    machine={},
)


@pytest.fixture(scope="module")
def written():
    """A draft that half agrees with a target, and what the target wrote."""
    model = target_of("llama")
    draft = adapted(half_agreeing(model))
    prompt = [3, 1, 4, 1, 5]
    return draft, Text(prompt, tokens_of(decode(adapted(model), draft, prompt, DraftSpec(), count=40)))


def still() -> Pace:
    return Pace(StillCurve(COSTS.draft, 0.25), StillCurve(COSTS.target, 0.5))


@pytest.mark.parametrize("name", DRAFTING)
def test_every_variant_writes_the_text_and_takes_the_same_time_again(written, name):
    draft, text = written
    first, again = (replay(draft, VOCABULARY, text, DRAFTING[name], still(), COSTS) for _ in range(2))
    assert first == again and first.tokens == 40 and 1 <= first.rounds <= 40


def test_without_a_draft_the_modelled_time_is_that_of_plain_decoding(written):
    draft, text = written
    plain = replay(draft, VOCABULARY, text, DraftSpec(method="ar"), still(), COSTS)
    prompt_ms = COSTS.target.at(len(text.prompt)) + 0.5
    assert (plain.rounds, plain.draft_forwards, plain.verified_nodes) == (40, 0, 0)
    assert plain.ms == plain.plain_ms == pytest.approx(prompt_ms + 39 * 11.0)


def test_no_timing_moves_a_still_curve():
    curve = StillCurve(COSTS.target, 0.5)
    curve.observe(1, 1e6)
    assert curve.table()[0] == 0.0 and curve.table()[1] == 10.5
    assert curve.table()[LARGEST] == pytest.approx(COSTS.target.at(LARGEST) + 0.5)


def test_the_whole_is_compared_with_itself_too(written):
    draft, text = written
    table = rows({name: [replay(draft, VOCABULARY, text, DRAFTING[name], still(), COSTS)] for name in DRAFTING})
    assert table[WHOLE]["ratio"] == 1.0 and table[WHOLE]["modelled_speedup"] > 0
    assert set(table) == set(DRAFTING) and len(DRAFTING) >= 6
