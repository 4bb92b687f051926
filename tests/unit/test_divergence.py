"""Where two texts part, and how near a tie the target was there, by made-up logits."""

from types import SimpleNamespace

import pytest
import torch

from gsd.bench.divergence import Divergence, divergences, first_difference, number_step


class Target:
    """Answers every text with the same logits, and notes what it was asked."""

    def __init__(self, *logits):
        self._logits = torch.tensor(logits, dtype=torch.bfloat16)
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
        "graph": Divergence(1, 0.125, 0.125),
        "broken": Divergence(1, 12.125, 0.125),
        "ar": None,
    }
    assert not found["graph"].beyond_rounding and found["broken"].beyond_rounding
    assert target.asked == [[9, 1]]  # one forward for one place


def test_a_text_that_just_ends_is_beyond_rounding():
    found = divergences(Target(1.0), [9], {"hf-greedy": [[1, 2]], "graph": [[1]]}, [1, 2])
    assert found["graph"] == Divergence(1, None, None) and found["graph"].beyond_rounding


def test_every_repeat_is_compared_and_what_rounding_does_not_explain_comes_first():
    """Repeats of graph: the text, a tie at 2, a tie at 1. Of broken: a tie at 1, token 2 at 2, which is no tie."""
    target = Target(20.125, 20.0, 8.0)
    texts = {"graph": [[1, 0, 0], [1, 0, 1], [1, 1, 0]], "broken": [[1, 1, 0], [1, 0, 2]], "ar": [[1, 0, 0]] * 2}
    found = divergences(target, [9], texts, [1, 0, 0])
    assert found == {"graph": Divergence(2, 0.125, 0.125), "broken": Divergence(2, 12.125, 0.125), "ar": None}
    assert target.asked == [[9, 1, 0], [9, 1]]
