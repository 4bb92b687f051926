"""The overlap report judges by its numbers: what merging saves against none, and what it costs."""

import math

import pandas as pd
import pytest
from fixtures.recorded import record_run
from settings import of_method

from analysis.load import load
from benchmarks.overlap_report import against_none, report, verdict, within
from gsd.errors import InputError
from gsd.lab.atlas import Atlas, AtlasText, Bounds, DraftTree
from gsd.lab.cost import Costs, Curve, Overhead

OVERLAP = pd.Series({1: 0.5, 2: 0.3, 3: 0.1})


def table(forwards, nodes, acceptance, speedup):
    """No merging, with 100 of each count, acceptance length 4 and speed-up 2, beside context 0 as given."""
    counts = {"rounds": [100, 100], "draft_forwards": [100, forwards], "drafted_nodes": [100, nodes],
              "verified_nodes": [100, 100], "merges": [0, 9]}  # fmt: skip
    return pd.DataFrame(
        {"context": ["none", "0"], **counts, "acceptance": [4.0, acceptance], "speedup": [2.0, speedup]}
    )


def test_savings_are_relative_to_no_merging():
    change = against_none(table(90, 50, 3.0, 2.5))
    assert change.loc["0", ["draft_forwards", "drafted_nodes", "acceptance", "speedup"]].tolist() == pytest.approx(
        [-0.1, -0.5, -0.25, 0.25]
    )
    assert (change.loc["none"] == 0).all()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((90, 50, 4.0, 2.1), "The claim holds: merging saves draft forwards and nodes"),
        ((100, 50, 4.0, 2.0), "The claim holds: merging saves draft nodes"),
        ((90, 50, 3.0, 2.1), "The claim holds in part: merging saves draft forwards and nodes, but costs"),
        ((90, 100, 4.0, 1.9), "The claim holds in part: merging saves draft forwards, but costs"),
        ((100, 100, 4.0, 2.0), "The claim does not hold"),
        ((110, 120, 3.0, 1.0), "The claim does not hold"),
    ],
)
def test_the_claim_is_judged_by_what_is_saved_and_what_it_costs(row, words):
    assert words in verdict(OVERLAP, {"made": table(*row)})


def test_hypotheses_recur_from_a_tenth_of_pairs_on():
    said = verdict(OVERLAP, {})
    assert said.startswith("**Hypotheses recur") and "50%" in said and "30%" in said
    assert verdict(OVERLAP / 10, {}).startswith("**Hypotheses hardly recur")


def test_a_setting_is_cut_to_the_atlas():
    cut = within(of_method(width=4, depth=20, frontier=3), Bounds(width=6, depth=8, frontier=2))
    assert (cut.width, cut.depth, cut.frontier) == (4, 8, 2)


@pytest.fixture
def atlas():
    """One text, A B C behind P; behind every root the draft says A or B twice in a row, so B A merges into A."""
    trees = [DraftTree(token) for token in (9, 1, 2)]
    for tree in trees:
        for node in (0, 1, 2):
            tree.expand(node, [1, 2], [math.log(0.5), math.log(0.4)])
    return Atlas(Bounds(2, 2, 2), 64, {}, [AtlasText("one", "made", [9], [1, 2, 3], list("ABC"), 9, trees)])


def flat(ms):
    return Curve([1, 64], [ms, ms], [ms, ms], [ms, ms])


def test_the_report_says_overlap_savings_and_precision(tmp_path, atlas):
    tree = record_run(tmp_path, drafting=of_method(method="tree", width=4, depth=6, frontier=5, budget=24))
    graph = record_run(tmp_path)
    page = report(load([tree, graph]), atlas, Costs(flat(1.0), flat(10.0), Overhead(0.0, 0.0, 0.0), 10.0, {}))
    assert "`fast` within the atlas: width 2, depth 2, frontier 2" in page
    for part in ("## Verdict", "| tree |", "| graph |", "| merge context |", "| merge, context 0 |", "| tree, all |"):
        assert part in page
    lines = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| none ")]
    assert len(lines) == 2 and all("(+0.0%)" in cell for line in lines for cell in line[2:6])


def test_without_unmerged_runs_there_is_no_overlap_to_speak_of(tmp_path, atlas):
    costs = Costs(flat(1.0), flat(10.0), Overhead(0.0, 0.0, 0.0), 10.0, {})
    with pytest.raises(InputError, match="--method tree"):
        report(load([record_run(tmp_path)]), atlas, costs)


def test_a_setting_that_covers_no_text_is_refused(tmp_path, atlas):
    atlas.texts[0].trees[0] = DraftTree(9)
    with pytest.raises(InputError, match="--fill"):
        report(load([record_run(tmp_path)]), atlas, Costs(flat(1.0), flat(10.0), Overhead(0.0, 0.0, 0.0), 10.0, {}))
