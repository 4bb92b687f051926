"""Where two texts part, and how near a tie the target was there, by made-up logits and by the bundled pair."""

from types import SimpleNamespace

import pytest
import torch

from gsd.lab.bench.divergence import ROUNDING_STEPS, Divergence, divergences, first_difference, number_step
from gsd.spec import Prompt


class Target:
    """Answers every text with the same logits, and notes what it was asked."""

    def __init__(self, *logits, dtype=torch.bfloat16):
        self._logits = torch.tensor(logits, dtype=dtype)
        self.asked = []

    def get_input_embeddings(self):
        return SimpleNamespace(weight=self._logits)

    def __call__(self, input_ids, **_):
        self.asked.append(input_ids[0].tolist())
        return SimpleNamespace(logits=self._logits[None, None])


def test_the_first_difference_may_be_the_end_of_the_shorter_text():
    assert first_difference([1, 2, 3], [1, 2, 3]) is None
    assert first_difference([1, 2, 3], [1, 0, 3]) == 1
    assert first_difference([1, 2], [1, 2, 3]) == 2


@pytest.mark.parametrize(("value", "step"), [(20.0, 0.125), (-20.0, 0.125), (1.0, 2**-7), (15.9, 2**-4)])
def test_a_step_of_bfloat16_is_2_to_the_minus_7_of_the_power_of_two_below(value, step):
    assert number_step(value, torch.bfloat16) == step


def test_the_gap_is_the_stock_targets_own_behind_the_text_that_both_share():
    """Behind [9, 1] greedy takes token 0 with logit 20.125; one text has token 1 (20.0, a tie), one token 2 (8.0)."""
    target = Target(20.125, 20.0, 8.0)
    texts = {"hf-greedy": [[1, 0, 5]], "graph": [[1, 1, 5]], "broken": [[1, 2]], "ar": [[1, 0, 5]]}
    found = divergences(target, [9], texts, [1, 0, 5])
    assert found == {
        "hf-greedy": None,
        "graph": Divergence(1, 0.125, 0.125, 0.5),
        "broken": Divergence(1, 12.125, 0.125, 0.5),
        "ar": None,
    }
    assert not found["graph"].beyond_rounding and found["broken"].beyond_rounding
    assert target.asked == [[9, 1]]  # one forward for one place


def test_a_text_that_just_ends_is_beyond_rounding():
    found = divergences(Target(1.0), [9], {"hf-greedy": [[1, 2]], "graph": [[1]]}, [1, 2])
    assert found["graph"] == Divergence(1) and found["graph"].beyond_rounding


def test_every_repeat_is_compared_and_what_rounding_does_not_explain_comes_first():
    """Repeats of graph: the text, a tie at 2, a tie at 1. Of broken: a tie at 1, token 2 at 2, which is no tie."""
    target = Target(20.125, 20.0, 8.0)
    texts = {"graph": [[1, 0, 0], [1, 0, 1], [1, 1, 0]], "broken": [[1, 1, 0], [1, 0, 2]], "ar": [[1, 0, 0]] * 2}
    found = divergences(target, [9], texts, [1, 0, 0])
    tie, wrong = Divergence(2, 0.125, 0.125, 0.5), Divergence(2, 12.125, 0.125, 0.5)
    assert found == {"graph": tie, "broken": wrong, "ar": None}
    assert target.asked == [[9, 1, 0], [9, 1]]


@pytest.mark.parametrize(("dtype", "beyond"), [(torch.bfloat16, True), (torch.float16, True), (torch.float32, False)])
def test_each_dtype_has_a_limit_of_its_own(dtype, beyond):
    """Ten steps apart: too much for two bytes, usual rounding for four, where the step is so much smaller."""
    target = Target(16 + 10 * number_step(16.0, dtype), 16.0, dtype=dtype)
    [found] = divergences(target, [9], {"graph": [[1]]}, [0]).values()
    assert found.gap == 10 * found.step and found.limit == ROUNDING_STEPS[dtype] * found.step
    assert found.beyond_rounding == beyond


def test_the_engine_s_forwards_round_within_the_limit_in_float32(tiny, stock):
    """Gaps of the two likeliest tokens: by the engine a token at a time, and by one stock forward over the text."""
    text = tiny.encode(Prompt(prompt="def quicksort(items):\n    if len(items) < 2:\n        return items\n" * 3))
    tiny.target.reset(len(text))
    for position, theirs in enumerate(stock(input_ids=torch.tensor([text]), use_cache=False).logits[0]):
        ours = tiny.target.forward([text[position]], [position], torch.clone)[0]
        [(first, one), (second, other)] = ((i, theirs[i].item()) for i in theirs.topk(2).indices.tolist())
        moved = abs((ours[first] - ours[second]).item() - (one - other))
        assert moved <= ROUNDING_STEPS[torch.float32] * number_step(max(abs(one), abs(other)), torch.float32)
