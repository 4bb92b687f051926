"""Texts decoded again: whatever is drafted, the text is written as it was, and every forward is priced by its size."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from settings import of_method

from benchmarks.ablation import WHOLE
from benchmarks.auto_parts import DRAFTING, Modelled, Redecoder, Sized, StillCurve, Text, rows
from gsd.lab.cost import Costs, Curve, Overhead
from tests.models import adapted, decode, half_agreeing, target_of, tokens_of

NEW = 40
DRAFT = Curve([1, 8], [2.0, 9.0], [2.0, 9.0], [2.0, 9.0])  # a token is a millisecond
TARGET = Curve([1, 8], [10.0, 17.0], [10.0, 17.0], [10.0, 17.0])
COSTS = Costs(draft=DRAFT, target=TARGET, overhead=Overhead(0.5, 0.25, 0.125), plain_ms=11.0, machine={})


@pytest.fixture(scope="module")
def runner():
    """A pair that half agrees."""
    model = target_of("llama")
    return SimpleNamespace(target=adapted(model), draft=adapted(half_agreeing(model)), eos=frozenset())


@pytest.fixture(scope="module")
def text(runner):
    """What the target wrote."""
    prompt = [3, 1, 4, 1, 5]
    return Text(prompt, tokens_of(decode(runner.target, runner.draft, prompt, of_method(method="ar"), count=NEW)))


@pytest.mark.parametrize("name", DRAFTING)
def test_every_variant_writes_the_text_and_takes_the_same_time_again(runner, text, name):
    first, again = (Redecoder(runner, COSTS).decode(text, DRAFTING[name], NEW) for _ in range(2))
    assert first == again and first.tokens == NEW and 1 <= first.rounds <= NEW


def test_a_forward_takes_what_one_of_its_size_does_and_the_prompt_s_are_left_out(runner, text):
    """A chain of two: the first forward runs the prompt and the root, the second a node; three are verified."""
    one = Redecoder(runner, COSTS).decode(text, of_method(method="chain", depth=2, prob_threshold=0.0), NEW)
    tokens = one.ms - one.draft_forwards - 9.0 * one.rounds
    assert tokens == pytest.approx(one.verified_nodes + one.rounds + one.draft_forwards + caught_up(runner, text))
    plain = Redecoder(runner, COSTS).decode(text, of_method(method="ar"), NEW)
    assert (plain.rounds, plain.draft_forwards, plain.verified_nodes, plain.ms) == (NEW, 0, 0, 10.0 * NEW)


def caught_up(runner, text) -> int:
    """Committed tokens that a chain of two runs beside the root: of a round that accepted both, the second."""
    spec = of_method(method="chain", depth=2, prob_threshold=0.0)
    rounds = decode(runner.target, runner.draft, text.prompt, spec, count=NEW)
    return sum(len(round_.new_tokens) == 3 for round_ in rounds[:-1])


def test_of_a_prompt_in_several_forwards_only_its_last_token_counts(runner):
    runner.draft.reset(9)
    sized = Sized(runner.draft, 6)
    for positions in ([0, 1, 2], [3, 4, 5], [6], [7, 8]):
        sized.forward([1] * len(positions), positions, lambda logits: None)
    assert sized.sizes == [1, 2] and sized.length == 9


def test_a_text_may_end_before_the_most_tokens_do(runner, text):
    ended = Text(text.prompt, [*text.written[:9], 39])
    runner = SimpleNamespace(**{**vars(runner), "eos": frozenset({39})})
    assert Redecoder(runner, COSTS).decode(ended, of_method(method="auto"), NEW).tokens == 10


def test_another_text_is_refused(runner, text):
    with pytest.raises(AssertionError, match="another"):
        Redecoder(runner, COSTS).decode(text, of_method(), NEW - 1)


def test_no_timing_moves_a_still_curve_and_a_larger_forward_is_never_cheaper():
    curve = StillCurve(Curve([1, 3, 8], [10.0, 14.0, 12.0], [0.0] * 3, [0.0] * 3))
    before = curve.table().tolist()
    curve.observe(1, 1e6)
    assert curve.table().tolist() == before
    assert before[:4] == [0.0, 10.0, pytest.approx(11.0), 12.0]


def test_what_one_text_teaches_is_kept_for_the_next(runner, text):
    redecoder = Redecoder(runner, COSTS)
    found = [redecoder.decode(text, of_method(method="auto"), NEW) for _ in range(3)]
    assert len(set(found)) > 1


def test_ratios_are_over_the_whole_and_speed_ups_over_plain_decoding():
    whole, slower = Modelled(100.0, 20, 5, 4, 10), Modelled(150.0, 20, 10, 8, 30)
    table = rows({WHOLE: [whole], "no merging": [slower]}, plain_ms=10.0)
    assert (table[WHOLE]["ratio"], table["no merging"]["ratio"]) == (1.0, 1.5)
    assert table[WHOLE]["modelled_speedup"] == 2.0
    assert (table["no merging"]["mean_acceptance_length"], table["no merging"]["nodes_per_round"]) == (2.0, 3.0)
