"""The settings of the next run are all that a recorded run had, the ones that no field shows among them."""

import json
import time

import pytest
from fixtures.recorded import record_run
from settings import of_method

from app.components.settings import OWN as OWN_MODELS
from app.prompt_library import prompts
from gsd.spec import ModelSpec, Prompt, SamplingSpec

OWN = ModelSpec(source="made/up", revision="v1_2", trust_remote_code=True)


def taken(app, tmp_path, **changes):
    """The page with the settings of a recorded run in its form."""
    run = record_run(tmp_path / "runs", target=OWN, draft=OWN.model_copy(update={"quantization": "int8"}),
                     drafting=of_method(), pair=None, **changes)  # fmt: skip
    page = app(run=run.name)
    page.button(key="take").click().run()
    assert not page.exception
    return page, json.loads((run / "run.json").read_text())["spec"]


def run_asked(page, *trusted):
    """Run, and agree to the models that the recording names, trusting those."""
    page.button(key="run").click().run()
    for name in trusted:
        page.checkbox(key=f"trust {name}").check()
    return page.button(key="load and go on").click().run()


def spec_run_from(page, client, *trusted, asked=True):
    """What the engine was asked for, as it was recorded."""
    run_asked(page.run(), *trusted) if asked else page.run().button(key="run").click().run()
    [job] = page.session_state["session"].jobs
    deadline = time.monotonic() + 15
    while client.job(job).pending:
        assert time.monotonic() < deadline, "the run never ended"
        time.sleep(0.02)
    return json.loads((client.job(job).folder / "run.json").read_text())["spec"]


def test_a_recorded_run_is_run_again_with_the_models_it_had(app, shared_client, tmp_path):
    page, recorded = taken(app, tmp_path, packed=False)
    assert sum("revision" in caption.value and "code that comes" in caption.value for caption in page.caption) == 2
    again = spec_run_from(page, shared_client, "made/up@v1_2")
    assert again["prompt"]["prompt"] == recorded["prompt"]["prompt"]
    assert again | {"prompt": recorded["prompt"]} == recorded  # a prompt typed in has another id


def test_no_number_of_a_recorded_run_is_too_large_for_the_form(app, shared_client, tmp_path):
    """A number field of the browser holds 2^53 - 1 at most, and would begin anew at its least."""
    sampling = SamplingSpec(temperature=0.7, top_p=0.001, top_k=2_000_000, seed=2**63 - 1)
    page, recorded = taken(app, tmp_path, sampling=sampling)
    assert spec_run_from(page, shared_client)["sampling"] == recorded["sampling"] == sampling.model_dump()


@pytest.mark.parametrize(("seed", "said"), [("1.5", "seed '1\\.5'"), ("", "seed ''"), ("-1", "seed '\\-1'")])
def test_a_seed_that_is_none_is_refused(app, tmp_path, seed, said):
    page, _ = taken(app, tmp_path)
    page.text_input(key="seed").set_value(seed).run()
    page.button(key="run").click().run()
    assert not page.session_state["session"].jobs
    assert said in page.error[0].value


def test_a_prompt_of_the_library_that_begins_a_text_leaves_the_chat_template_on_for_the_next(app, tmp_path):
    known = next(one for one in prompts() if not one.chat)
    page, _ = taken(app, tmp_path, prompt=Prompt(prompt=known.prompt, chat=False))
    assert page.checkbox(key="chat").value
    page, _ = taken(app, tmp_path, prompt=Prompt(prompt="another text", chat=False))
    assert not page.checkbox(key="chat").value


def test_a_model_of_another_name_has_neither_the_revision_nor_the_trust(app, shared_client, tmp_path):
    page, _ = taken(app, tmp_path)
    page.text_input(key="own_target").set_value("made/another").run()
    again = spec_run_from(page, shared_client, "made/up@v1_2")
    assert again["target"] == ModelSpec(source="made/another").model_dump()
    assert (again["draft"]["revision"], again["draft"]["trust_remote_code"]) == ("v1_2", True)


def test_a_recording_s_models_are_loaded_once_that_was_said_and_their_code_is_run_only_where_it_was_ticked(
    app, shared_client, tmp_path
):  # fmt: skip
    page, _ = taken(app, tmp_path)
    page.button(key="run").click().run()
    assert not page.exception and not page.session_state["session"].jobs
    assert any(r"made/up" in said.value for said in page.markdown)
    said = [caption.value.replace("\\", "") for caption in page.caption]
    assert any("Revision v1_2. It is not on this machine: it is downloaded" in one for one in said)
    assert sum("Run downloads made/up@v1_2" in one.replace("*", "") for one in said) == 2
    [box] = [box for box in page.checkbox if box.key.startswith("trust ")]
    assert not box.value and r"made/up at revision v1\_2" in box.label
    again = spec_run_from(page, shared_client)
    assert [again[role]["trust_remote_code"] for role in ("target", "draft")] == [False, False]
    assert again["target"]["revision"] == "v1_2"
    again = spec_run_from(page, shared_client, asked=False)  # the answer holds until other settings are taken
    page.run().button(key="take").click().run()
    page.button(key="run").click().run()
    assert page.button(key="load and go on")


def test_a_path_of_this_machine_that_a_recording_names_is_shown_and_not_loaded_unasked(app, shared_client, tmp_path):
    folder = tmp_path / "models" / "foreign"
    folder.mkdir(parents=True)
    run = record_run(tmp_path / "runs", target=ModelSpec(source=str(folder)), draft=ModelSpec(source="~nobody/x"),
                     drafting=of_method(), pair=None)  # fmt: skip
    page = app(run=run.name)
    page.button(key="take").click().run()
    page.button(key="run").click().run()
    assert not page.exception and not page.session_state["session"].jobs
    assert any(f"from this machine: {folder}" in caption.value.replace("\\", "") for caption in page.caption)
    page.button(key="do not load").click().run()
    assert not page.session_state["session"].jobs
    assert spec_run_from(page, shared_client)["target"]["source"] == str(folder)


def test_what_is_typed_into_the_form_needs_no_second_word(app, shared_client, tmp_path):
    page = app()
    page.selectbox(key="pair").set_value(OWN_MODELS).run()
    page.text_input(key="own_target").set_value(str(tmp_path))
    page.text_input(key="own_draft").set_value(str(tmp_path))
    page.text_area(key="prompt").set_value("x").run()
    assert spec_run_from(page, shared_client, asked=False)["target"]["source"] == str(tmp_path)
