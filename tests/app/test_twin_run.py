"""The run that merging is measured against, decoded from where it is missing."""

import pytest
from fixtures.recorded import record_run, run_spec
from fixtures.waiting import wait_until
from settings import of_method

from analysis.twins import is_unmerged_twin
from app.components.twin_run import twin_of
from app.state import OpenRun
from gsd.spec import ModelSpec
from gsd.trace.read import read_run

HERE = ModelSpec(source="README.md")  # a file that is there stands for a model that is


def opened(tmp_path, **changes):
    return OpenRun.read(record_run(tmp_path / "runs", **({"target": HERE, "draft": HERE, "pair": None} | changes)))


def test_the_twin_is_the_same_run_that_never_merges(tmp_path):
    run = opened(tmp_path)
    twin = twin_of(run)
    assert twin.drafting == run_spec().drafting.model_copy(update={"merge_context": None})
    assert is_unmerged_twin(run.meta["spec"], twin.model_dump(mode="json"))


@pytest.mark.parametrize("changes", [
    {"drafting": of_method(method="tree")}, {"drafting": of_method(merge_context=None)},
    {"target": ModelSpec(source="made/up")}, {"end": "cancelled"},
], ids=["a tree", "never merges", "no model", "cancelled"])  # fmt: skip
def test_a_run_without_merges_models_or_end_has_none(tmp_path, changes):
    assert twin_of(opened(tmp_path, **changes)) is None


def test_overlap_decodes_it_where_its_figure_lacks_it(app, shared_client, tmp_path):
    page = app(run=opened(tmp_path).name).switch_page("views/overlap.py").run()
    assert {metric.label: metric.value for metric in page.metric}["Saved by merging"] == "–"
    page.button(key="twin").click().run()
    assert "twins" not in page.session_state  # its models are at a path, which is asked for first
    page.button(key="load and go on").click().run()
    [job] = page.session_state["twins"].values()
    wait_until(lambda: not shared_client.job(job).pending)
    page.run()
    assert not page.exception
    decoded = read_run(shared_client.job(job).folder)
    assert decoded.meta["spec"]["drafting"] == run_spec().drafting.model_dump(mode="json") | {"merge_context": None}
    assert {metric.label: metric.value for metric in page.metric}["Draft forwards"].split()[1] in ("fewer", "more")
    assert "twin" not in [button.key for button in page.button]
