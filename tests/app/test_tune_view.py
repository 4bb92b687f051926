"""Tune: without an atlas, on a hand-made one, on a broken one; its sliders, its address, its way to the Playground."""

import shlex
import shutil

import pytest
from fixtures.made_atlas import made_atlas, save_atlas
from fixtures.recorded import run_spec
from fixtures.waiting import wait_until
from settings import of_method

from analysis.survey import Survey
from app.components.page import head
from gsd.methods import known
from gsd.spec import Prompt


@pytest.fixture
def tune(app, tmp_path):
    """Opens the view on the atlas of that name; empty: with none of one's own."""

    def open_at(*, atlas: str = "made", **address: str):
        if atlas == "made":
            save_atlas(tmp_path / "runs" / "made")
        if atlas:
            address = {"atlas": atlas} | address
        page = app()
        for name, value in address.items():
            page.query_params[name] = value
        return page.switch_page("views/tune.py").run()

    return open_at


def figure(page, label):
    return next(metric for metric in page.metric if metric.label == label)


def tried(page, client):
    """The page once its trial is over."""
    wait_until(lambda: not client.job(page.session_state["trial"].job).pending)
    return page.run()


def test_without_an_atlas_the_page_says_how_to_make_one(tune, monkeypatch, tmp_path):
    monkeypatch.setattr("app.library.SAMPLES", tmp_path / "none")
    page = tune(atlas="")
    assert not page.exception
    assert page.code[0].value.startswith("gsd probe") and not page.slider


def test_an_atlas_that_cannot_be_read_is_told(tune, tmp_path):
    (tmp_path / "runs" / "broken").mkdir(parents=True)
    (tmp_path / "runs" / "broken" / "atlas.json").write_text("{")
    page = tune(atlas="")
    page.selectbox(key="atlas").set_value("broken").run()
    assert not page.exception
    assert "is no atlas" in page.error[0].value.replace("\\", "")


def test_an_atlas_whose_probing_broke_off_says_what_is_lacking_and_what_to_do(tune, tmp_path):
    """Two texts are there, one of three prompts is pending."""
    save_atlas(tmp_path / "runs" / "half", {"pending": [{"line": 3, "prompt": {"prompt": "P"}}]})
    page = tune(atlas="half")
    assert not page.exception
    assert "1 of 3 prompts" in page.warning[0].value and "fill" in page.warning[0].value
    assert {"half · 1 not probed", "six-kinds-atlas"} <= set(page.selectbox(key="atlas").options)
    assert not tune().warning


def test_a_slider_gives_the_figures_of_its_setting_at_once(tune):
    """Depth 2: two rounds for five tokens, one for two; depth 1: a round more."""
    page = tune()
    assert not page.exception
    assert (figure(page, "Rounds").value, figure(page, "Rounds").delta) == ("3", "")
    page.slider(key="tune depth").set_value(1).run()
    assert not page.exception
    assert (figure(page, "Rounds").value, figure(page, "Rounds").delta) == ("4", "+1")
    [told] = [caption.value for caption in page.caption if "Differences are" in caption.value]
    assert told.startswith("Of 2 texts, 7 tokens. Differences are from the defaults of graph")
    assert "*auto*" in told
    assert page.code[0].value == "gsd generate --prompt P --width 2 --depth 1 --frontier 2"
    assert page.code[0].language == "plaintext"  # colours of code are too light on a light page
    assert page.query_params["depth"] == "1"


def test_where_another_setting_changes_no_figure_that_is_said(tune):
    """Two levels of two nodes fit into either budget."""
    page = tune()
    for name, value, alike in (("budget", 50, True), ("depth", 1, False)):
        page.slider(key=f"tune {name}").set_value(value).run()
        told = "\n".join(caption.value for caption in page.caption)
        assert ("This setting has the same figures as the defaults of graph" in told) == alike
        assert ("Differences are from the defaults of graph" in told) != alike


def test_the_command_names_models_and_prompt_of_the_atlas(tune, tmp_path):
    """The made-up pair is named `tiny`; without one its models are."""
    spec = run_spec().model_dump(mode="json")
    atlas = made_atlas({"spec": spec})
    atlas.texts[0].given = "it's  two  words"
    atlas.save(tmp_path / "runs" / "named")
    made_atlas({"spec": spec | {"pair": None}}).save(tmp_path / "runs" / "own")
    page = tune(atlas="named")
    asked = ["--pair", "tiny", "--draft-quant", "none", "--max-new-tokens", "40", "--prompt", "it's  two  words"]
    assert shlex.split(page.code[0].value)[:10] == ["gsd", "generate", *asked]
    page.selectbox(key="trial text").set_value("ab-1").run()
    assert "--prompt P" in page.code[0].value
    page = tune(atlas="own")
    models = "--target made/up-target --draft made/up-draft --draft-quant none"
    assert page.code[0].value.startswith(f"gsd generate {models} --max-new-tokens 40 --prompt P")


def test_a_setting_is_called_as_in_the_playground(tune, app):
    def labels(page, prefix):
        widgets = (*page.slider, *page.select_slider, *page.number_input, *page.selectbox, *page.button_group)
        return {widget.key.removeprefix(prefix): widget.label for widget in widgets
                if (widget.key or "").removeprefix(prefix) in ("method", *known())}  # fmt: skip

    tuned, page = labels(tune(), "tune "), app()
    page.button_group(key="method").set_value("graph").run()  # which reads them all
    playground = labels(page, "")
    assert {"method", "width", "prob_rule", "prob_action"} < tuned.keys()
    assert tuned == {name: playground[name] for name in tuned}


def test_the_address_sets_the_sliders_and_nonsense_in_it_does_not(tune):
    page = tune(width="1", merge_context="none", depth="2")
    assert (page.slider(key="tune width").value, page.select_slider(key="tune merge_context").value) == (1, None)
    page = tune(width="many")
    assert not page.exception
    assert page.slider(key="tune width").value == 2


@pytest.mark.parametrize("method", ["auto", "ar"])
def test_a_method_that_no_atlas_replays_is_graph_here(tune, method):
    page = tune(method=method)
    assert not page.exception
    assert page.button_group(key="tune method").value == "graph"


def test_what_the_atlas_does_not_cover_has_no_figures_and_a_way_to_get_them(tune):
    page = tune(prob_threshold="0.0", sibling_threshold="0.0", merge_context="none")
    assert figure(page, "Speed-up, modelled").value == "–"
    assert "Not covered" in page.warning[0].value
    assert "--fill" in page.code[0].value
    assert "lookup" not in page.code[0].value and "width=2" in page.code[0].value
    assert "merge_context" not in tune(prob_threshold="0.0", sibling_threshold="0.0", method="tree").code[0].value


def test_one_line_says_what_the_figures_are_of(tune, tmp_path):
    page = tune(atlas="six-kinds-atlas")
    assert page.caption[0].value.replace("\\", "") == (
        "6 texts, 192 tokens together · Qwen2.5-Coder-1.5B-Instruct with Qwen2.5-Coder-0.5B-Instruct, bfloat16 on cpu"
        " · times measured on AMD EPYC, 2 threads, 20 repeats"
    )


def test_models_that_are_not_here_cannot_be_measured_nor_taken_along(tune, tmp_path, monkeypatch):
    """The sample's pair is a hub's; the bundled one is here."""
    monkeypatch.delenv("GSD_MODELS", raising=False)
    monkeypatch.setattr("gsd.models.places._in_hub_cache", lambda spec: None)
    page = tune(atlas="six-kinds-atlas")
    assert page.button(key="trial go").disabled
    assert any("Not on this machine: Qwen" in caption.value.replace("\\", "") for caption in page.caption)
    assert page.button(key="to playground").label == "Use settings in Playground"
    save_atlas(tmp_path / "runs" / "real", {"spec": run_spec().model_dump(mode="json")})
    page = tune(atlas="real")
    assert not page.button(key="trial go").disabled
    page.button(key="to playground").click().run()
    assert page.session_state["pair"] == "tiny"


def test_use_in_playground_takes_the_setting_there(tune):
    page = tune(width="1", budget="9")
    page.button(key="to playground").click().run()
    assert not page.exception
    assert (page.number_input(key="width").value, page.number_input(key="budget").value) == (1, 9)


def test_the_setting_survives_another_view(tune):
    page = tune()
    page.slider(key="tune budget").set_value(11).run()
    page.switch_page("views/guide.py").run()
    page.switch_page("views/tune.py").run()
    assert page.slider(key="tune budget").value == 11
    page.button(key="to defaults").click().run()
    assert page.slider(key="tune budget").value == of_method().budget


def test_maps_and_front_come_once_they_are_replayed(tune):
    page = tune()
    wait_until(lambda: len(page.run().get("plotly_chart")) >= 3 and not page.get("progress"))
    assert not page.exception


def test_while_settings_are_replayed_the_page_is_not_run_anew(tune, monkeypatch):
    """A background that has done a quarter more whenever it is asked; drawn once the view still waits for the rest."""
    surveys, heads = {}, []

    class Quarters:
        def ask(self, key, *given):
            survey = surveys.setdefault(key, Survey(*given))
            for _ in range(0 if survey.finished else len(survey.settings) // 4):
                survey.advance()
            return survey

    monkeypatch.setattr("app.atlas._surveyor", Quarters)
    monkeypatch.setattr("app.components.page.head", lambda *given, real=head: (heads.append(given), real(*given)))
    page = tune()
    assert not page.exception
    assert page.get("progress") and sum(given[0] == "Tune" for given in heads) == 1


def test_without_cost_curves_there_is_no_speedup_but_everything_else(tune, tmp_path):
    made_atlas().save(tmp_path / "runs" / "bare")
    page = tune()
    page.selectbox(key="atlas").set_value("bare").run()
    assert not page.exception
    assert figure(page, "Speed-up, modelled").value == "–" and figure(page, "Rounds").value == "3"


def test_a_setting_is_tried_for_real_and_both_speedups_are_shown(tune, tmp_path, shared_client):
    """The made-up engine says 1.90; its counts are not those of the replay, which is said."""
    save_atlas(tmp_path / "runs" / "made-too")
    save_atlas(tmp_path / "runs" / "real", {"spec": run_spec().model_dump(mode="json")})
    page = tune(atlas="real")
    page.button(key="trial go").click().run()
    assert not page.exception and not page.error
    page = tried(page, shared_client)
    assert not page.exception
    assert figure(page, "Speed-up, measured").value == "1.90×"
    assert [metric.value for metric in page.metric if metric.label == "Speed-up, modelled"][1].endswith("×")
    assert page.session_state["trial"].text == "abc-1"
    page.selectbox(key="atlas").set_value("made-too").run()  # of which it is no trial
    assert not page.exception and "Speed-up, measured" not in [metric.label for metric in page.metric]
    page.selectbox(key="atlas").set_value("real").run()
    shutil.rmtree(shared_client.job(page.session_state["trial"].job).folder)
    page.run()
    assert not page.exception and "Speed-up, measured" not in [metric.label for metric in page.metric]


def test_the_run_of_a_trial_is_opened_in_the_graph_view(tune, tmp_path, shared_client):
    save_atlas(tmp_path / "runs" / "real", {"spec": run_spec().model_dump(mode="json")})
    page = tune(atlas="real")
    page.button(key="trial go").click().run()
    page = tried(page, shared_client)
    page.button(key="trial run").click().run()
    assert not page.exception
    folder = shared_client.job(page.session_state["trial"].job).folder
    assert page.session_state["session"].run.folder == folder


def test_a_trial_that_is_cancelled_before_it_starts_leaves_the_page_whole(tune, tmp_path, shared_client):
    """It waits behind another run, and has no trace."""
    other = shared_client.submit(run_spec(prompt=Prompt(prompt="slow"), max_new_tokens=100_000), tmp_path / "others")
    wait_until(lambda: shared_client.job(other).state == "running")
    save_atlas(tmp_path / "runs" / "real", {"spec": run_spec().model_dump(mode="json")})
    page = tune(atlas="real")
    page.button(key="trial go").click().run()
    page.button(key="trial stop").click().run()
    shared_client.cancel(other)
    page = tried(page, shared_client)
    assert shared_client.job(page.session_state["trial"].job).folder is None
    assert not page.exception and "cancelled" in page.info[0].value
    assert not page.button(key="trial go").disabled


def test_a_trial_that_is_cancelled_in_its_midst_is_not_compared(tune, tmp_path, shared_client):
    atlas = made_atlas({"spec": run_spec(max_new_tokens=100_000).model_dump(mode="json")})
    for text in atlas.texts:
        text.given = "slow"
    atlas.save(tmp_path / "runs" / "real")
    page = tune(atlas="real")
    page.button(key="trial go").click().run()
    wait_until(lambda: shared_client.job(page.session_state["trial"].job).state == "running")
    page.button(key="trial stop").click().run()
    page = tried(page, shared_client)
    assert not page.exception and "cancelled" in page.info[0].value
    assert "Speed-up, measured" not in [metric.label for metric in page.metric]


def test_an_atlas_that_does_not_say_its_prompts_cannot_be_tried(tune, tmp_path):
    atlas = made_atlas({"spec": run_spec().model_dump(mode="json")})
    for text in atlas.texts:
        text.given = None
    atlas.save(tmp_path / "runs" / "mute")
    page = tune()
    page.selectbox(key="atlas").set_value("mute").run()
    page.button(key="trial go").click().run()
    assert not page.exception
    assert "does not hold the text of its prompts" in page.error[0].value.replace("\\", "")
