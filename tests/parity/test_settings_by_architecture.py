"""Every architecture under the odd settings, and long after a merge edge was crossed: the oracle's text."""

import pytest
import torch
from settings import of_method

from gsd.testing import oracle
from tests.models import CONFIGS, VOCABULARY, adapted, decode, half_agreeing, target_of, tokens_of

COUNT = 24
LOOSE = {"sibling_threshold": 0.0, "prob_threshold": 0.0, "frontier": 6}
CROSSING = of_method(method="graph", width=3, depth=5, merge_context=0, budget=40, **LOOSE)
SETTINGS = [
    of_method(method="chain", depth=1, budget=1),
    of_method(method="graph", width=2, depth=5, merge_context=3, budget=60, **LOOSE),
    of_method(method="graph", width=8, depth=2, merge_context=0, budget=7, frontier=1),
    of_method(method="graph", merge_context=0, prob_rule="local", prob_threshold=0.1, prob_action="drop"),
    of_method(method="graph", merge_context=0, prob_threshold=0.02, prob_action="drop", sibling_threshold=0.5),
    of_method(method="auto", merge_context=0),
]


def prompts(count: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(VOCABULARY, (3 + 5 * i,), generator=generator).tolist() for i in range(count)]


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request):
    target = target_of(request.param)
    return adapted(target, request.param), adapted(half_agreeing(target))


def repaired(rounds) -> list[int]:
    """Rounds whose accepted path crossed a merge edge."""
    return [round_.number for round_ in rounds if any(round_.tree.merged[i] for i in round_.accepted)]


def test_greedy_text_is_the_oracles_for_every_setting(pair):
    target, draft = pair
    prompt = prompts(2)[1]
    plain = oracle.generate(target.model, prompt, COUNT)
    for spec in SETTINGS:
        assert tokens_of(decode(target, draft, prompt, spec, count=COUNT)) == plain, spec


def test_accepted_paths_really_cross_merge_edges_with_rounds_behind_them(pair):
    """Else the tests above would say nothing of the repair of the draft's cache."""
    target, draft = pair
    spec = CROSSING
    crossed = followed = long = 0
    for prompt in prompts(4):
        rounds = decode(target, draft, prompt, spec, count=40)
        assert tokens_of(rounds) == oracle.generate(target.model, prompt, 40)
        crossing = repaired(rounds)
        crossed += len(crossing)
        followed += sum(len(rounds) - 1 - at >= 3 for at in crossing)
        long += sum(len(round_.accepted) >= 3 for round_ in rounds)
    assert crossed >= 4 and followed >= 3 and long >= 3
