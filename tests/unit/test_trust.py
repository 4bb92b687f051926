"""Trust comes from the person at the keyboard alone: what a file names is asked for by name, and off by default."""

import json

import pytest
import yaml
from fixtures.recorded import record_run
from unit.test_cli import refused

from cli import output
from gsd.config import RunSpec
from gsd.decode.recorded import agreed, as_recorded, to_agree
from gsd.errors import InputError, ModelError
from gsd.lab.atlas import Atlas, Bounds
from gsd.lab.sweep import read_sweep
from gsd.models.places import BUNDLED, local_path, located
from gsd.spec import ModelSpec

WANTS = {"source": "made/up", "revision": "v1", "trust_remote_code": True}
PROMPT = {"prompt": "x"}


def recording(**models):
    """Settings of a run without a preset."""
    return {"target": {"source": "made/target"}, "draft": {"source": "made/draft"}, "prompt": PROMPT} | models


def bundle_of(gsd, tmp_path, **spec):
    run = record_run(tmp_path / "runs")
    head = json.loads((run / "run.json").read_text())
    head["spec"] |= {"pair": None, **spec}
    (run / "run.json").write_text(json.dumps(head))
    gsd("export", run, "--bundle", tmp_path / "run.zip")
    return tmp_path / "run.zip"


def test_settings_of_a_recording_trust_nothing_whatever_they_say():
    spec = as_recorded(recording(target=WANTS, draft=WANTS))
    assert not spec.target.trust_remote_code and not spec.draft.trust_remote_code
    assert spec.target == ModelSpec(source="made/up", revision="v1")


def test_a_path_of_this_machine_is_agreed_to_and_what_comes_with_the_package_is_not_asked_for(tmp_path):
    asked = as_recorded(recording(target={"source": str(tmp_path)}, draft={"source": str(BUNDLED / "draft")}))
    assert [model.source for model in to_agree(asked)] == [str(tmp_path)]
    assert to_agree(asked.model_copy(update={"pair": "tiny"})) == []


@pytest.mark.parametrize("source", ["~nobody-of-that-name/model", "a" * 5000, "a/" * 3000])
def test_a_source_that_can_be_no_path_is_none(source):
    assert located(ModelSpec(source=source)) is None


def test_a_source_with_a_zero_byte_is_none_and_none_is_made_of_it():
    assert local_path("zero\0byte") is None
    with pytest.raises(InputError, match="do not show"):
        as_recorded(recording(target={"source": "zero\0byte"}))


@pytest.mark.parametrize("revision", ["../../refs", "a b", "a\nb", ""])
def test_a_revision_that_git_could_not_have_is_refused(revision):
    with pytest.raises(InputError, match="revision"):
        as_recorded(recording(target={"source": "made/up", "revision": revision}))


def test_with_its_names_given_all_of_a_recording_is_agreed_to(tmp_path):
    settings = recording(target=WANTS, draft={"source": str(tmp_path)})
    spec = agreed(settings, ["made/up@v1", str(tmp_path)], trust=True)
    assert spec.target == ModelSpec(**WANTS) and spec.draft.trust_remote_code
    assert not agreed(recording(), ["made/target"]).target.trust_remote_code


@pytest.mark.parametrize(("target", "asked"), [
    ({"source": "made/up", "revision": "refs/pr/7", "trust_remote_code": True},
     "--load made/up@refs/pr/7 --trust-remote-code"),
    ({"source": "{here}"}, "--load {here}"),
])  # fmt: skip
def test_what_a_bundle_would_have_loaded_or_run_is_asked_for_by_name(gsd, tmp_path, target, asked):
    """The revision is part of the name: anybody can put a branch beside a known model's."""
    here = tmp_path / "somewhere"
    here.mkdir()
    target = {name: str(value).format(here=here) if name == "source" else value for name, value in target.items()}
    run = record_run(tmp_path / "runs")
    head = json.loads((run / "run.json").read_text())
    head["spec"] |= {"pair": None, "target": target, "draft": None, "drafting": {"method": "ar"}}
    (run / "run.json").write_text(json.dumps(head))
    gsd("export", run, "--bundle", tmp_path / "run.zip")
    refused(gsd("rerun", tmp_path / "run.zip"), asked.format(here=here))
    refused(gsd("rerun", tmp_path / "run.zip", "--trust-remote-code"), asked.format(here=here))
    refused(gsd("rerun", tmp_path / "run.zip", "--load", "made/up"), "--load made/up")


def test_a_model_that_was_named_is_loaded_and_its_code_is_run_where_that_was_said(gsd, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(output, "load", lambda spec: asked.append(spec) or (_ for _ in ()).throw(ModelError("enough")))
    run = record_run(tmp_path / "runs")
    head = json.loads((run / "run.json").read_text())
    head["spec"] |= {"pair": None, "target": {"source": "made/up", "revision": "v1", "trust_remote_code": True}}
    (run / "run.json").write_text(json.dumps(head))
    gsd("export", run, "--bundle", tmp_path / "run.zip")
    code, _, err = gsd("rerun", tmp_path / "run.zip", "--load", "made/up@v1", "--trust-remote-code")
    assert code == 2 and "made/up@v1 is not on this machine: it is downloaded from the Hugging Face hub" in err
    assert [model.trust_remote_code for model in (asked[0].target, asked[0].draft)] == [True, False]


def test_what_a_file_says_cannot_steer_the_terminal(gsd, tmp_path):
    refused(gsd("rerun", tmp_path / "\x1b]0;mine\x07.zip"), r"\x1b]0;mine\x07.zip: no such file")


def test_an_atlas_is_filled_by_the_models_that_were_named(gsd, tmp_path):
    spec = RunSpec(**recording(target={"source": str(tmp_path)}))
    Atlas(Bounds(8, 64, 8), 64, {"spec": spec.model_dump(mode="json")}, []).save(tmp_path / "atlas")
    fill = ("probe", "--out", tmp_path / "atlas", "--fill", "width=1,depth=1")
    refused(gsd(*fill), f"--load {tmp_path}")
    refused(gsd(*fill, "--load", tmp_path), f"{tmp_path} is no model folder")
    refused(gsd("probe", "--out", tmp_path / "new", "--prompts", "x", "--load", "a/b"), "--load", "--fill")


def test_a_sweep_file_alone_gives_no_trust(gsd, tmp_path):
    file = tmp_path / "sweep.yaml"
    pair = {"target": "made/up", "target_revision": "v1", "draft": "made/draft", "trust_remote_code": True}
    file.write_text(yaml.safe_dump({"pairs": ["tiny", pair], "prompts": [PROMPT], "out": "runs"}))
    asked = "--load made/up@v1 --load made/draft --trust-remote-code"
    refused(gsd("sweep", file), asked)
    refused(gsd("sweep", file, "--trust-remote-code"), asked)
    refused(gsd("sweep", file, "--load", "made/up@v1", "--trust-remote-code"), "give --load made/draft --trust")
    with pytest.raises(InputError, match="made/other"):
        read_sweep(file, ["made/up@v1", "made/draft", "made/other"], trust=True)
    spec = read_sweep(file, ["made/up@v1", "made/draft"], trust=True)
    assert [run.target.trust_remote_code for run in spec.cells().values()] == [False, True]


def test_a_sweep_file_cannot_ask_for_more_cells_than_memory_holds(gsd, tmp_path):
    grid = {name: list(range(1, 65)) for name in ("width", "depth", "frontier", "budget")}
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({"pairs": ["tiny"], "prompts": [PROMPT], "grid": grid, "out": "runs"}))
    refused(gsd("sweep", file), "16,777,216 cells")
