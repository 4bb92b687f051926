"""The three faces of a round drawn here, and what must hold for every recorded one.

The draft says, three levels deep, with merge context 0 (C behind B is the C behind A):

    P ─ A 0.5 ─ C 0.9 ─ E 0.8     5 nodes drawn with the root; as a tree B has a C and an E of its own.
     └─ B 0.4 ┄┄┘ 0.7

The target chose B C E and then D.
"""

import itertools
import math
from copy import deepcopy
from dataclasses import replace

import pytest
from fixtures.recorded import round_of, rounds, run_spec
from settings import of_method

from analysis.faces import GRAPH, TREE, VERIFIED, face, route, shared_by_merges, unrolled_nodes
from analysis.hypotheses import hypothesis_frame, through
from analysis.layout import Room, fitted, layout
from gsd.spec import SamplingSpec
from gsd.trace.recorded_round import AFTER_END

ROUND = round_of(
    graph={
        "token": [9, 1, 2, 3, 5], "text": list("PABCE"), "parent": [-1, 0, 0, 1, 3], "depth": [0, 1, 1, 2, 3],
        "path_logq": [0.0, *map(math.log, (0.5, 0.4, 0.45, 0.36))],
        "logq": [0.0, *map(math.log, (0.5, 0.4, 0.9, 0.8))],
    },
    merges={"parent": [2], "node": [3], "logq": [math.log(0.7)]},
    decisions={},
    tree={
        "token": [9, 1, 3, 2, 5, 3, 5], "text": list("PACBECE"), "node": [0, 1, 3, 2, 4, 3, 4],
        "parent": [-1, 0, 1, 0, 2, 3, 5], "depth": [0, 1, 2, 1, 3, 2, 3],
        "merged": [False, False, False, False, False, True, False],
        "logq": [0.0, *map(math.log, (0.5, 0.45, 0.4, 0.36, 0.28, 0.224))],
    },
    accepted=[3, 5, 6],
)  # fmt: skip


def recorded():
    for seed, context in itertools.product(range(2), (None, 0, 1)):
        drafting = of_method(width=5, depth=7, frontier=8, merge_context=context, prob_threshold=0.05, budget=40)
        spec = run_spec(drafting=drafting, sampling=SamplingSpec(seed=seed))
        yield from (made.round for made in itertools.islice(rounds(spec), 8))


ROUNDS = list(recorded())
DEPTH = 7


def shown(one):
    return [(one.parents[i], one.nodes[i]) for i in range(len(one))]


def test_the_graph_draws_each_node_once_and_merges_as_edges():
    one = face(ROUND, GRAPH)
    assert shown(one) == [(-1, 0), (0, 1), (0, 2), (1, 3), (3, 4)]
    assert one.joins == [(2, 3, 0)]
    assert one.spine == [0, 2, 3, 4]
    assert one.flat == [0, 1, 3, 5, 6]  # of the two copies the accepted one


def test_the_verified_tree_and_the_whole_tree_draw_copies():
    for one in (face(ROUND, VERIFIED), face(ROUND, TREE, 3)):
        assert shown(one) == [(-1, 0), (0, 1), (1, 3), (0, 2), (2, 4), (3, 3), (5, 4)]
        assert one.copies == [False] * 5 + [True] * 2
        assert one.edges == [-1] * 5 + [0, -1]  # C hangs below B by merge 0, its E by a tree edge
        assert one.ids() == ["n0", "n1", "n3", "n2", "n4", "n3.1", "n4.1"]
        assert one.spine == [0, 3, 5, 6]


def test_a_tree_ends_at_its_depth_and_so_does_the_accepted_path():
    one = face(ROUND, TREE, 2)
    assert sorted(one.nodes) == [0, 1, 2, 3, 3]
    assert [one.nodes[i] for i in one.spine] == [0, 2, 3]
    assert layout(ROUND, one).bonus is None


def test_how_many_nodes_the_graph_unrolled_holds_and_how_many_the_merge_shares():
    assert unrolled_nodes(ROUND, 3) == 6
    assert shared_by_merges(ROUND, 3) == [2]  # C and E
    assert shared_by_merges(ROUND, 2) == [1]


def test_what_hangs_behind_the_token_that_ended_the_text_is_neither_accepted_nor_rejected():
    """The text ends with B. Behind it hang a copy of C and one of E; the others were left aside before."""
    cut = replace(ROUND, accepted=[3], bonus=False)
    assert cut.verdicts == ["root", "rejected", "rejected", "accepted", "rejected", AFTER_END, AFTER_END]
    assert replace(cut, bonus=True).verdicts[5:] == ["rejected", "rejected"]  # the target's pick was another


def _room(nodes):
    return Room(columns=50, level=50, rows=50, slanted=50, nodes=nodes, reach=50)


def test_folding_keeps_the_accepted_path_and_says_how_many_hang_behind():
    one = fitted(face(ROUND, VERIFIED), _room(1))
    assert one.nodes == [0, 1, 2, 3, 4]  # A is the likeliest; B C E the accepted path
    assert one.behind == [0, 2, 0, 0, 0]  # C and E behind A
    assert one.hidden == 2
    opened = fitted(face(ROUND, VERIFIED), _room(1), opened={"n1"})
    assert opened.hidden == 0


def test_a_node_that_is_needed_is_drawn_with_the_way_to_it():
    one = fitted(face(ROUND, GRAPH), _room(1), needed=[4])
    assert one.nodes == [0, 1, 2, 3, 4]


def test_hypotheses_and_the_way_to_them_in_each_face():
    frame = hypothesis_frame(ROUND)
    assert frame[["leaf", "accepted", "length", "merged"]].to_numpy().tolist() == [[6, 3, 3, 1], [4, 0, 3, 0]]
    assert frame["probability"].tolist() == pytest.approx([0.224, 0.36])
    assert ROUND.tree.leaves == [4, 6]
    assert route(face(ROUND, GRAPH), ROUND, 6) == [0, 2, 3, 4]
    assert route(face(ROUND, VERIFIED), ROUND, 6) == [0, 3, 5, 6]


def test_the_hypothesis_of_a_node_is_the_accepted_one_or_else_the_likeliest():
    assert (through(ROUND, 4), through(ROUND, 1)) == (1, 0)
    unaccepted = replace(ROUND, accepted=[])
    assert through(unaccepted, 4) == 0
    assert through(ROUND, 9) is None


def test_the_hypothesis_of_a_node_is_the_one_accepted_farthest():
    """Of C's two ways, both accepted up to A, the target took the less likely one.

    flat  P ─ A 1 ─ C 2 ─ E 4 (q 0.4)   accepted  A 1, D 3, C 5
               └─── D 3 ─ C 5 (q 0.1)
    """
    tree = {"parent": [-1, 0, 1, 1, 2, 3], "node": [0, 1, 2, 3, 4, 2],
            "logq": [math.log(q) for q in (1, 0.9, 0.6, 0.2, 0.4, 0.1)]}  # fmt: skip
    round_ = round_of(tree=tree, accepted=[1, 3, 5])
    assert [round_.tree.leaves[through(round_, node)] for node in (1, 2, 3, 4)] == [5, 5, 5, 4]


def test_every_face_of_every_round_spells_the_accepted_path_and_counts_its_nodes():
    assert any(round_.merges.nodes for round_ in ROUNDS)
    for round_ in ROUNDS:
        walked = [round_.tree.nodes[i] for i in round_.accepted]
        for name in (GRAPH, VERIFIED, TREE):
            one = face(round_, name, DEPTH)
            spine = [one.nodes[i] for i in one.spine]
            assert spine == [0, *walked][: len(spine)]
            assert len(spine) == len(walked) + 1 or name == TREE
            assert all(one.parents[i] < i for i in range(len(one)))
            assert one.hidden == one.whole + 1 - len(one)
            assert len(set(one.ids())) == len(one)
        assert face(round_, TREE, DEPTH).whole == round_.drafted_nodes or round_.merges.nodes


def test_no_face_of_any_round_has_two_nodes_in_a_cell_or_an_edge_to_the_left():
    for round_, name, most in itertools.product(ROUNDS[::3], (GRAPH, VERIFIED, TREE), (6, 1000)):
        one = fitted(face(round_, name, DEPTH), _room(most))
        made = layout(round_, one)
        cells = [*made.nodes, *made.pruned.values(), *filter(None, [made.bonus])]
        assert len(cells) == len(set(cells))
        edges = [(parent, i) for i, parent in enumerate(one.parents) if parent >= 0] + [join[:2] for join in one.joins]
        assert all(made.nodes[a].column < made.nodes[b].column for a, b in edges)


def test_nothing_is_hidden_unsaid():
    for round_, name in itertools.product(ROUNDS, (GRAPH, VERIFIED, TREE)):
        whole = face(round_, name, DEPTH)
        one = fitted(whole, _room(5))
        assert sum(one.behind) == len(whole) - len(one)
        assert set(one.spine) <= set(range(len(one)))


def test_the_faces_leave_the_record_alone():
    before = deepcopy(ROUND)
    for name in (GRAPH, VERIFIED, TREE):
        layout(ROUND, fitted(face(ROUND, name, 3), _room(2)))
    assert before == ROUND
