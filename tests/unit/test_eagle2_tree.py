"""The tree of EAGLE-2: k of k, and the likeliest of all levels."""

import itertools
import math
import random

from settings import of_method

from gsd.drafting.graph import TokenGraph
from gsd.drafting.tree import flatten
from gsd.methods import METHODS


def test_each_level_goes_on_from_the_likeliest_and_the_likeliest_of_all_are_verified():
    settings, dice = of_method("eagle2-tree", width=3, frontier=3, depth=3, budget=7), random.Random(1)
    graph = TokenGraph([0], None)
    growth = METHODS["eagle2-tree"].growth(settings, graph, 20)
    levels = []
    while nodes := growth.wanted():
        levels.append(nodes)
        rows = [sorted((math.log(dice.uniform(0.01, 0.4)) for _ in range(3)), reverse=True) for _ in nodes]
        growth.give([[1, 2, 3]] * len(nodes), rows)
    assert [len(level) for level in levels] == [1, 3, 3] and len(graph) == 1 + 3 + 9 + 9
    for above, level in itertools.pairwise(levels):
        offered = [node for node in range(len(graph)) if graph.parents[node] in above]
        assert level == sorted(offered, key=graph.path_logq.__getitem__, reverse=True)[:3]
    best = sorted(range(1, len(graph)), key=graph.path_logq.__getitem__, reverse=True)[:7]
    assert sorted(flatten(graph, settings.budget, 20).nodes[1:]) == sorted(best)
