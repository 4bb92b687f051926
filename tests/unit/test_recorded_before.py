"""Recordings of earlier versions: they open, and what was drawn by an earlier rule is drawn by it again."""

import json
import shutil
from pathlib import Path

import pytest

from analysis.bundle import write_bundle
from analysis.catalog import read_head
from gsd.config import RunSpec
from gsd.lab.atlas import Atlas
from gsd.lab.rerun import rerun
from gsd.trace.read import READABLE, SCHEMA, read_run

FIRST = Path(__file__).parents[1] / "fixtures" / "schema_1"  # as gsd wrote them when SCHEMA was 1


@pytest.fixture
def sampled(tmp_path):
    return shutil.copytree(FIRST / "sampled", tmp_path / "sampled")


def test_a_sampled_trace_says_by_which_rule_it_was_drawn_and_keeps_its_digest(sampled):
    run = read_run(sampled)
    spec = RunSpec(**run.meta["spec"])
    assert run.status == "complete" and spec.sampling.draw == "inverse"
    assert spec.digest() == run.meta["digest"]
    assert read_head(sampled).spec["sampling"]["draw"] == "inverse"
    drawn_now = spec.model_copy(update={"sampling": spec.sampling.model_copy(update={"draw": "gumbel"})})
    assert drawn_now.digest() != spec.digest()


def test_a_sampled_trace_replays_to_its_own_tokens(sampled, tiny):
    again = rerun(sampled, tiny)
    assert again.same and again.draw == "inverse"


def test_replay_says_that_the_rule_is_an_earlier_one(sampled, tmp_path, gsd):
    write_bundle([sampled], tmp_path / "run.zip")
    code, out, _ = gsd("replay", tmp_path / "run.zip")
    assert code == 0 and "inverse cumulative law" in out
    assert json.loads(gsd("replay", tmp_path / "run.zip", "--json")[1])["runs"][0]["draw"] == "inverse"


def test_an_atlas_opens_with_the_rule_that_it_was_drawn_by():
    assert Atlas.load(FIRST / "atlas").meta["spec"]["sampling"]["draw"] == "inverse"


def test_the_version_of_now_is_readable():
    assert SCHEMA in READABLE and json.loads((FIRST / "sampled" / "run.json").read_text())["schema"] in READABLE
