"""Claims about the drawing that must hold for every recorded graph."""

import itertools
from copy import deepcopy
from dataclasses import replace

import pytest
from fixtures.recorded import round_of, rounds, run_spec
from settings import of_method

from analysis.faces import face
from analysis.layout import Room, fitted, layout
from gsd.spec import SamplingSpec


def recorded(count=12):
    """Rounds of differently shaped graphs, merges across depths included."""
    for seed, context in itertools.product(range(3), (None, 0, 1)):
        drafting = of_method(width=5, depth=7, frontier=8, merge_context=context, prob_threshold=0.05, budget=40)
        spec = run_spec(drafting=drafting, sampling=SamplingSpec(seed=seed))
        yield from (made.round for made in itertools.islice(rounds(spec), count))


ROUNDS = list(recorded())


def edges(round_):
    tree = [(parent, node) for node, parent in enumerate(round_.graph.parents) if parent >= 0]
    return tree + list(zip(round_.merges.parents, round_.merges.nodes))


def test_the_examples_cross_merge_edges_and_shift_depth():
    assert any("merge" in round_.origins for round_ in ROUNDS)
    assert any(shift < -1 for round_ in ROUNDS for shift in round_.merges.depth_shifts)


def test_no_two_things_share_a_cell():
    for round_ in ROUNDS:
        made = layout(round_)
        cells = [*made.nodes, *made.pruned.values(), *filter(None, [made.bonus])]
        assert len(cells) == len(set(cells))


def test_every_edge_points_right():
    for round_ in ROUNDS:
        nodes = layout(round_).nodes
        assert all(nodes[parent].column < nodes[node].column for parent, node in edges(round_))


def test_row_zero_holds_the_accepted_path_in_order_and_nothing_else():
    for round_ in ROUNDS:
        made = layout(round_)
        walked = [round_.tree.nodes[i] for i in round_.accepted]
        assert made.spine == [0, *walked]
        columns = [made.nodes[node].column for node in made.spine]
        assert columns == sorted(set(columns))
        assert {node for node, place in enumerate(made.nodes) if place.row == 0} == set(made.spine)
        assert made.bonus.row == 0
        assert made.bonus.column > columns[-1]


def test_without_merges_the_column_is_the_depth():
    rounds = [round_ for round_ in ROUNDS if not round_.merges.nodes]
    assert rounds
    for round_ in rounds:
        assert [place.column for place in layout(round_).nodes] == round_.graph.depths


def test_tree_edges_of_one_side_do_not_cross():
    for round_ in ROUNDS:
        nodes = layout(round_).nodes
        by_gap = {}
        for node, parent in enumerate(round_.graph.parents):
            if parent >= 0 and nodes[node].row > 0 and nodes[node].column == nodes[parent].column + 1:
                by_gap.setdefault(nodes[node].column, []).append((nodes[parent].row, nodes[node].row))
        for pairs in by_gap.values():
            inside = [pair for pair in pairs if pair[0] > 0]
            for (a, b), (c, d) in itertools.combinations(inside, 2):
                assert (a - c) * (b - d) >= 0, (a, b, c, d)


def test_pruned_candidates_move_no_node():
    for round_ in ROUNDS:
        bare = replace(round_, decisions=round_of(decisions={}).decisions)
        assert layout(bare).nodes == layout(round_).nodes
        assert layout(bare).pruned == {}
        assert len(layout(round_).pruned) == round_.decisions.kinds.count("pruned")


def test_the_same_round_gives_the_same_layout():
    for round_ in ROUNDS[:5]:
        assert layout(round_) == layout(deepcopy(round_))


def test_a_round_without_a_draft_is_a_root_and_a_bonus():
    made = layout(round_of(graph={"parent": [-1]}, merges={}, decisions={}, tree={"node": [0]}))
    assert (made.nodes[0].column, made.bonus.column, made.bonus.row) == (0, 1, 0)


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_path_cut_by_a_stop_rule_has_no_bonus(stopped):
    round_ = next(round_ for round_ in ROUNDS if len(round_.accepted) > 1)
    assert layout(replace(round_, accepted=round_.accepted[:stopped], bonus=False)).bonus is None


# A round as `auto` drafts them: after the accepted A B C the draft offered several others, and went on behind D.
#
#     P ─ A 0.9 ─ B 0.8 ─ C 0.7
#     │    └─ F 0.05
#     ├─ D 0.06 ─ E 0.04
#     └─ G 0.03
FORKS = round_of(
    graph={
        "token": list(range(8)), "text": list("PABCDEFG"), "parent": [-1, 0, 1, 2, 0, 4, 1, 0],
        "depth": [0, 1, 2, 3, 1, 2, 2, 1], "path_logq": [0.0, -0.1, -0.2, -0.3, -2.8, -3.2, -3.0, -3.5],
    },
    merges={}, decisions={}, tree={"node": [0, 1, 2, 3]}, accepted=[1, 2, 3],
)  # fmt: skip


def drawn_of(**room):
    values = {"columns": 9, "level": 9, "rows": 9, "slanted": 9, "nodes": 9} | room
    shown = fitted(face(FORKS), Room(**values))
    return "".join(FORKS.graph.texts.raw[node] for node in shown.nodes), shown.behind


def test_the_likeliest_beside_each_node_of_the_path_come_before_likelier_ones_further_off():
    assert drawn_of() == ("PABCDEFG", [0] * 8)
    assert drawn_of(nodes=2) == ("PABCDF", [1, 0, 0, 0, 1, 0])  # D and F beside the path, before E; G and E are folded
    assert drawn_of(nodes=3) == ("PABCDEF", [1, 0, 0, 0, 0, 0, 0])


def test_rows_are_fewer_where_labels_slant():
    """The path and its bonus take four columns: with labels level up to three, they slant."""
    assert drawn_of(rows=0)[0] == "PABC"
    assert drawn_of(level=3, rows=9, slanted=1)[0] == "PABCDF"  # E would stand in a second row, or over F's
    assert drawn_of(level=4, rows=9, slanted=0)[0] == "PABCDEFG"


def test_what_is_drawn_fits_unless_the_path_alone_does_not():
    room = Room(columns=9, level=5, rows=4, slanted=3, nodes=12)
    for round_ in ROUNDS:
        shown = fitted(face(round_), room)
        made = layout(round_, shown)
        rows, columns = [p.row for p in made.nodes], [p.column for p in made.nodes]
        least = layout(round_, fitted(face(round_), Room(0, 0, 0, 0, 0)))
        assert max(rows) - min(rows) <= max(4, *(abs(p.row) for p in least.nodes))
        assert max(columns) <= max(9, *(p.column for p in least.nodes))
        assert shown.hidden == sum(shown.behind)
