"""CaPE: the number of a step's candidates goes by the q of its best."""

import math

import pytest
from settings import of_method

from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import flatten
from gsd.methods import METHODS
from gsd.methods.cape import offered


@pytest.mark.parametrize(("q", "count"), [
    (0.0, 8), (0.29, 8), (0.3, 6), (0.59, 6), (0.6, 4), (0.79, 4), (0.8, 2), (1.0, 2),
])  # fmt: skip
def test_a_surer_draft_offers_fewer(q, count):
    assert offered(q) == count


def test_the_example_of_the_paper_s_intervals():
    """Best q of .25, .55, .95 and .7: 8 + 6 + 2 + 4 nodes, 4 of them the chain, all to be verified."""
    settings = of_method("cape")
    graph = TokenGraph([0], None)
    growth = METHODS["cape"].growth(settings, graph, 20)
    for level, best in enumerate((0.25, 0.55, 0.95, 0.7)):
        [tip] = growth.wanted()
        assert graph.depths[tip] == level
        rest = (1 - best) / 20
        growth.give([list(range(10, 18))], [[math.log(q) for q in (best, *[rest] * 7)]])
    assert growth.wanted() == []
    assert len(graph) - 1 == 20 and sum(graph.expanded) == 4 and graph.merges == []
    assert [sum(depth == one for depth in graph.depths) for one in (1, 2, 3, 4)] == [8, 6, 2, 4]
    assert len(flatten(graph, settings.budget, 20)) == len(graph)
