"""Two runs at the same place of the text, on rounds short enough to draw.

A   a b c | d | e f          rounds end at 3, 4 and 6
B   a b | c d | e x y        rounds end at 2, 4 and 7; the texts differ behind `a b c d e`
"""

import math
from dataclasses import replace

import pytest
from fixtures.recorded import round_of

from analysis.figures.side_by_side import elapsed, rounds
from analysis.side_by_side import boundaries, differences, divergence, ends, lanes, round_at, so_far


def round_(tokens, ms=10.0):
    return round_of(new_tokens=[ord(one) for one in tokens], new_texts=list(tokens), accepted=[*range(1, len(tokens))],
                   draft_forwards=2, target_forwards=1, drafted_nodes=5, verified_nodes=4,
                   ms={"total": ms})  # fmt: skip


A = [round_("abc", 30.0), round_("d"), round_("ef")]
B = [round_("ab"), round_("cd"), round_("exy")]


def test_the_round_of_a_position_is_the_one_that_committed_it():
    assert ends(A) == [3, 4, 6]
    assert [round_at(A, position) for position in range(1, 7)] == [0, 0, 0, 1, 2, 2]
    assert [round_at(B, position) for position in range(1, 8)] == [0, 0, 1, 1, 2, 2, 2]


def test_beyond_the_shorter_text_its_last_round_stays():
    assert round_at(A, 7) == 2


def test_one_steps_through_the_ends_of_both():
    assert boundaries(A, B) == [2, 3, 4, 6, 7]


def test_the_divergence_is_what_both_have_in_common():
    assert divergence(A, B) == 5
    assert divergence(A, A) is None
    assert divergence(A, A[:2]) is None
    assert divergence([round_("x")], A) == 0


def test_tokens_that_read_the_same_and_are_not_the_same_differ():
    other = replace(round_("abc"), new_tokens=[1, 2, 3])
    assert divergence([round_("abc")], [other]) == 0


def test_what_was_done_up_to_a_round():
    found = so_far(A, 1)
    assert (found["tokens"], found["rounds"], found["draft forwards"], found["measured ms"]) == (4, 2, 4, 40.0)
    assert found["mean acceptance length"] == 1 + 2 / 2
    assert found["tokens per second"] == 100.0


def test_differences_are_b_minus_a_and_b_over_a():
    table = differences(so_far(A, 1), so_far(B, 1)).set_index("figure")
    assert table.loc["measured ms", ["A", "B", "B − A", "B ÷ A"]].tolist() == [40.0, 20.0, -20.0, 0.5]
    assert math.isnan(table.loc["merges", "B ÷ A"])


def test_lanes_cover_each_text_without_gaps():
    for run, of_run in (("A", A), ("B", B)):
        part = lanes(A, B)[lanes(A, B)["run"] == run]
        assert part["start"].tolist() == [0, *ends(of_run)[:-1]]
        assert part["end"].tolist() == ends(of_run)
    assert lanes(A, B)["elapsed_ms"].tolist() == [30.0, 40.0, 50.0, 10.0, 20.0, 30.0]


def test_the_figures_say_who_needed_what():
    rows = lanes(A, B)
    assert rounds(rows, 4, 5).layout.title.text == "3 rounds by A and 3 by B for the first 5 tokens"
    assert rounds(rows, 4, 0).layout.title.text == "A took 3 rounds for 6 tokens, B took 3 rounds for 7 tokens"
    assert rounds(rows, 4, None).data[0].customdata[0][0] == 3
    times = elapsed(rows, 4, None).layout.title
    assert (
        times.text.startswith("A took 1.67× as long as B for 6 tokens") and "one cold run each" in times.subtitle.text
    )


@pytest.mark.parametrize("differ_at", [None, 5])
def test_the_position_and_the_first_difference_are_marked(differ_at):
    lines = [shape.x0 for shape in rounds(lanes(A, B), 4, differ_at).layout.shapes]
    assert lines == [4] + ([5] if differ_at else [])
