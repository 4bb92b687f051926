"""A step under another setting, what merging saves, and shared continuations, each on a tree drawn here.

Behind the prompt P the draft says, two levels deep and then once more:

    P ─ A 0.5 ─ C 0.9 ─ E 0.8     With merge context 0 the C behind B (and its own E) is the C behind A.
     └─ B 0.4 ─ C 0.7 ─ F 0.6     There F is the likeliest continuation and E comes second, with 0.3.

The text is B C F D.
"""

import math

import pytest
from settings import of_method

from analysis.replay import Replayer
from analysis.whatif import difference, merging_saved, shared_continuations
from gsd.errors import InputError
from gsd.lab.atlas import Atlas, AtlasText, Bounds, DraftTree
from gsd.lab.cost import Costs, Curve, Overhead

P, A, B, C, D, E, F, X = 9, 1, 2, 3, 4, 5, 6, 7
GRAPH = of_method(width=2, depth=3, frontier=2, merge_context=0, sibling_threshold=0.5, prob_threshold=0.0)
TREE = GRAPH.model_copy(update={"method": "tree"})
FLAT = Costs(Curve([1, 64], [1.0, 1.0], [1.0] * 2, [1.0] * 2), Curve([1, 64], [10.0, 10.0], [10.0] * 2, [10.0] * 2),
             Overhead(0.0, 0.0, 0.0), 10.0, {})  # fmt: skip


def candidates(*pairs):
    return [token for token, _ in pairs], [math.log(q) for _, q in pairs]


def drawn() -> DraftTree:
    tree = DraftTree(P)
    tree.expand(0, *candidates((A, 0.5), (B, 0.4)))
    tree.expand(1, *candidates((C, 0.9), (X, 0.05)))
    tree.expand(2, *candidates((C, 0.7), (X, 0.1)))
    tree.expand(3, *candidates((E, 0.8), (X, 0.1)))
    tree.expand(5, *candidates((F, 0.6), (E, 0.3)))
    return tree


@pytest.fixture
def replayer():
    trees = [drawn(), *(DraftTree(token) for token in (B, C, F))]
    for tree in trees[1:3]:
        tree.expand(0, *candidates((X, 0.5), (P, 0.1)))
    text = AtlasText("one", "made", [P], [B, C, F, D], list("BCFD"), 5, trees)
    return Replayer(Atlas(Bounds(2, 3, 2), 64, {}, [text]))


def test_what_a_setting_gains_and_loses_node_by_node(replayer):
    """Merging trades F, which the text has, for a copy of E behind B C."""
    found = difference(replayer, 0, 0, TREE, GRAPH)
    assert (found.gained, found.lost) == ([(B, C, E)], [(B, C, F)])
    assert found.accepted == (3, 2)
    assert difference(replayer, 0, 0, GRAPH, GRAPH).gained == []


def test_a_step_that_wants_a_node_is_refused(replayer):
    wide = GRAPH.model_copy(update={"sibling_threshold": 0.0})
    with pytest.raises(InputError, match="fill"):
        difference(replayer, 0, 0, TREE, wide)


@pytest.mark.parametrize(("number", "at", "words"), [(1, 0, "holds 1"), (-1, 0, "text -1"), (0, 4, "from 0 to 3"),
                                                     (0, -1, "position -1")])  # fmt: skip
def test_a_step_that_there_is_not_is_refused_by_its_place(replayer, number, at, words):
    with pytest.raises(InputError, match=words):
        difference(replayer, number, at, TREE, GRAPH)


def test_what_merging_saved_is_tree_minus_graph(replayer):
    (row,) = merging_saved(replayer, GRAPH, FLAT).to_dict("records")
    (graph,), (tree,) = replayer.replay(GRAPH), replayer.replay(TREE)
    assert row["drafted_nodes"] == tree.counts()["drafted_nodes"] - graph.counts()["drafted_nodes"]
    assert row["rounds"] == tree.counts()["rounds"] - graph.counts()["rounds"] < 0  # here merging costs a round
    assert row["modelled_ms"] < 0


def test_without_a_merge_nothing_is_saved(replayer):
    (row,) = merging_saved(replayer, TREE, FLAT).to_dict("records")
    assert {row[name] for name in ("rounds", "draft_forwards", "drafted_nodes", "verified_nodes", "modelled_ms")} == {0}


def test_a_shared_continuation_has_its_own_q_under_the_new_prefix(replayer):
    """E was shared with 0.8; behind B C the draft gives it 0.3."""
    rows = shared_continuations(replayer, GRAPH)
    first = rows[rows["at"] == 0]
    assert first[["context", "depth_shift"]].to_numpy().tolist() == [[0, 0]]
    assert first[["q_shared", "q_own"]].to_numpy()[0] == pytest.approx([0.8, 0.3])
    assert shared_continuations(replayer, TREE).empty


def test_a_text_that_is_covered_in_part_has_no_shared_continuations(replayer):
    """The round behind the prompt can be replayed; with room for more, the next one wants the root behind B C F."""
    replayer.atlas.texts[0].capacity = 8
    (replay,) = replayer.replay(GRAPH)
    assert replay.rounds and replay.wanted
    assert shared_continuations(replayer, GRAPH).empty
