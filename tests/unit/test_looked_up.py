"""A run of method auto whose hypotheses were partly looked up, from decoding to tables and measures."""

from __future__ import annotations

import pytest
from settings import of_method

from analysis.acceptance import METRICS as ACCEPTANCE
from analysis.edges import METRICS as EDGES
from analysis.load import load
from analysis.overlap import METRICS as OVERLAP
from gsd.config import RunSpec
from gsd.models.pairs import PAIRS

FUNCTION = "def add_items(items):\n    total = 0\n    for item in items:\n        total += item\n    return total\n\n\n"
BEGUN = FUNCTION.partition("        total")[0]


@pytest.fixture(scope="module")
def frames(tiny, tmp_path_factory):
    """A text that says the same thing again and again; its first round already finds how it went on."""
    pair = PAIRS["tiny"]
    spec = RunSpec(
        target=pair.target, draft=pair.draft, prompt={"prompt": 3 * FUNCTION + BEGUN},
        drafting=of_method(method="auto"), max_new_tokens=40,
    )  # fmt: skip
    result = tiny.run(spec, tmp_path_factory.mktemp("runs"))
    return load([result.folder])


def test_looked_up_nodes_are_recorded_and_have_a_rank_where_the_draft_proposed_them(frames):
    found = frames.nodes[frames.nodes["source"] == "lookup"]
    assert len(found)
    assert (frames.nodes.loc[frames.nodes["source"] == "draft", "rank"] >= 0).all()
    assert (frames.nodes.loc[frames.nodes["depth"] == 0, "rank"] == -1).all()
    decided = frames.decisions[frames.decisions["rule"] == "source"]
    places = ["round", "node"]
    told = found.merge(decided[places].drop_duplicates(), on=places, how="left", indicator=True)
    assert ((told["_merge"] == "both") == (told["rank"] >= 0)).all()


def test_every_measure_takes_them(frames):
    for name, metric in {**ACCEPTANCE, **OVERLAP, **EDGES}.items():
        assert metric(frames) is not None, name
    assert (ACCEPTANCE["acceptance_by_rank"](frames)["rank"] >= 0).all()
    by_source = ACCEPTANCE["acceptance_by_source"](frames)
    judged = ACCEPTANCE["acceptance_by_q"](frames)["tested"].sum()
    assert judged == by_source.loc[by_source["source"].isin(["draft", "merge"]), "tested"].sum()
