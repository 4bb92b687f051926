"""The match rule: the accepted path is the target's own text as far as the tree holds it."""

import random
from functools import partial

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gsd.drafting.choices import Choices
from gsd.drafting.graph import ROOT
from gsd.drafting.tree import FlatTree, flatten
from gsd.spec import SamplingSpec
from gsd.verifying.base import Tail, Verdict
from gsd.verifying.match import Match
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
    path, bonus = verdict.shared()
    for i in path:
        assert tree.parents[i] == at and tree.tokens[i] == choices.tokens[at]
        assert tree.nodes[i] in [child for child, _ in graph.out_edges[node]]
        at, node = i, tree.nodes[i]
    assert bonus == choices.tokens[at]
    children = [i for i in range(1, len(tree)) if tree.parents[i] == at]
    assert bonus not in [tree.tokens[i] for i in children]  # it stopped because it had to


def test_a_drafter_may_see_the_target_s_likeliest_tokens_of_every_node():
    logits = torch.tensor([[0.0, 3.0, 2.0, 1.0], [5.0, 0.0, 1.0, 4.0]])
    tree = FlatTree([1, 2], [-1, 0], [0, 1], [0, 1], [False, False], [0.0, -0.5])
    for detail in (False, True):
        reduce = partial(Match().reduce, logits, SamplingSpec(), [3, 4], tree, detail=detail)
        assert reduce(top=2).top == [[1, 2], [0, 3]]
        assert reduce(top=9).top == [[1, 2, 3, 0], [0, 3, 2, 1]]  # as many as there are
        assert reduce().top == []
        assert reduce(top=2).tokens == reduce().tokens == [1, 0]


def test_the_bare_root_emits_the_targets_token():
    verdict = Match().verdict(FlatTree([5], [-1], [0], [0], [False], [0.0]), Choices([3]))
    assert verdict.shared() == ([], 3)


def test_of_several_tails_what_all_share_is_committed():
    """Beams: the path up to where they part, and the token behind it only where all end there with the same."""
    one, other = Tail([1, 2, 5], 7), Tail([1, 2, 6], 8)
    assert Verdict((one,)).shared() == ([1, 2, 5], 7)
    assert Verdict((one, other)).shared() == ([1, 2], None)
    shorter = Tail([1], 9)
    assert Verdict((shorter, other)).shared() == ([1], None)
    assert Verdict((Tail([], 3), Tail([], 3))).shared() == ([], 3)
    assert Verdict((Tail([], 3), Tail([], 4))).shared() == ([], None)
