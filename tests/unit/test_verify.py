"""The match rule: the accepted path is the target's own text as far as the tree holds it."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gsd.drafting.graph import ROOT
from gsd.drafting.tree import FlatTree, flatten
from gsd.verifying.base import Tail, Verdict
from gsd.verifying.match import Match
from gsd.verifying.sampling import Choices
from tests.drafts import drafts


@settings(max_examples=1800)
@given(drafts(), st.integers(0, 2**32))
def test_an_accepted_path_is_a_path_of_the_graph_and_the_targets_own(grown, seed):
    graph = grown.graph
    tree = flatten(graph, grown.spec.budget, 8)
    rng = random.Random(seed)
    choices = Choices([rng.randrange(6) for _ in tree.tokens])
    verdict = Match().verdict(tree, choices)
    at, node = 0, ROOT
    for i in verdict.accepted:
        assert tree.parents[i] == at and tree.tokens[i] == choices.tokens[at]
        assert tree.nodes[i] in [child for child, _ in graph.out_edges[node]]
        at, node = i, tree.nodes[i]
    assert verdict.bonus == choices.tokens[at]
    children = [i for i in range(1, len(tree)) if tree.parents[i] == at]
    assert verdict.bonus not in [tree.tokens[i] for i in children]  # it stopped because it had to


def test_the_bare_root_emits_the_targets_token():
    verdict = Match().verdict(FlatTree([5], [-1], [0], [0], [False], [0.0]), Choices([3]))
    assert verdict.accepted == [] and verdict.bonus == 3


def test_of_several_tails_what_all_share_is_committed():
    """Beams: the path up to where they part, and the token behind it only where all end there with the same."""
    one, other = Tail([1, 2, 5], 7), Tail([1, 2, 6], 8)
    assert (Verdict((one,)).accepted, Verdict((one,)).bonus) == ([1, 2, 5], 7)
    assert (Verdict((one, other)).accepted, Verdict((one, other)).bonus) == ([1, 2], None)
    shorter = Tail([1], 9)
    assert (Verdict((shorter, other)).accepted, Verdict((shorter, other)).bonus) == ([1], None)
    assert (Verdict((Tail([], 3), Tail([], 3))).accepted, Verdict((Tail([], 3), Tail([], 3))).bonus) == ([], 3)
    assert Verdict((Tail([], 3), Tail([], 4))).bonus is None
