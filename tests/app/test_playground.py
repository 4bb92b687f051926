"""The first page through AppTest: empty, with a run, with errors, and its address."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fixtures.recorded import record_run, run_spec
from fixtures.waiting import wait_until
from settings import of_method

from app.components import page as picker
from app.components import settings
from app.components.settings import LEARNED, METHOD_HELP
from app.library import SAMPLES, runs_folder
from app.prompt_library import prompts
from app.state import OpenRun
from gsd.config import RunSpec
from gsd.spec import ModelSpec, Prompt
from gsd.trace.read import list_runs

NO_TORCH = """
import pkgutil, sys, importlib
import app, analysis
for package in (app, analysis):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith(("app.views", "app.main")):
            importlib.import_module(module.name)
import streamlit.testing.v1 as testing
page = testing.AppTest.from_file(__import__("os").path.abspath("app/main.py"), default_timeout=30).run()
assert not page.exception, page.exception
print(sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "transformers")))
"""


def data_of(page, key):
    """What was sent to a component."""
    [found] = [
        json.loads(element.proto.json) for element in page.get("bidi_component") if element.proto.id.endswith(f"-{key}")
    ]
    return found


def labels(page, kind):
    return [element.label for element in page.get(kind)]


def html_of(page):
    return "\n".join(element.proto.body for element in page.get("html"))


def test_neither_app_nor_analysis_imports_torch():
    done = subprocess.run([sys.executable, "-c", NO_TORCH], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stdout + done.stderr


def test_an_empty_page_says_what_to_do_and_draws_no_graph(app):
    page = app()
    assert not page.exception
    assert "1 · Prompt" in html_of(page)
    assert [element for element in page.get("bidi_component") if "preview" not in element.proto.id] == []


def test_the_empty_page_offers_recorded_runs_that_open(app):
    page = app()
    samples = [button.key for button in page.button if button.key.startswith("sample ")]
    assert len(samples) == len(list_runs(SAMPLES)) >= 6
    assert len([one for one in page.caption if "I have a free weekend" in one.value]) == 1  # of the one that is drawn
    assert data_of(page, samples[0].replace("sample ", "preview "))["key"].startswith(
        samples[0].removeprefix("sample ")
    )
    merged = 0
    for key in samples:
        page = app()
        page.button(key=key).click().run()
        assert not page.exception
        assert not page.warning
        merged += True in data_of(page, "graph")["nodes"]["merged"]
        assert page.query_params["run"] == key.removeprefix("sample ")
        assert page.selectbox(key="open 0").value == key.removeprefix("sample ")
    assert merged >= 3


def test_a_prompt_of_the_library_fills_the_prompt_and_a_preset_fills_the_settings(app):
    page = app()
    chosen = prompts()[0]
    page.selectbox(key="from_library").set_value(chosen.id).run()
    assert page.text_area(key="prompt").value == chosen.prompt
    page.button_group(key="preset").set_value("paper").run()
    assert page.number_input(key="budget").value == 100
    assert page.number_input(key="prob_threshold").value == 0.3
    assert page.button_group(key="preset").value == "paper"
    page.number_input(key="budget").set_value(99).run()
    assert page.button_group(key="preset").value is None


def test_at_first_nothing_need_be_set_and_a_preset_asks_for_fixed_settings(app):
    page = app()
    assert page.button_group(key="method").value == "auto"
    drawn = {one.key for kind in ("number_input", "selectbox", "button_group") for one in getattr(page, kind)}
    assert drawn.isdisjoint({"width", "depth", "budget", "prob_threshold", "prob_rule", "prob_action"})
    assert not page.selectbox(key="merge_context").disabled
    assert page.button_group(key="preset").value is None
    page.button_group(key="preset").set_value("fast").run()
    assert page.button_group(key="method").value == "graph"
    assert page.button_group(key="preset").value == "fast"
    assert not page.number_input(key="width").disabled
    assert [one.key for one in page.checkbox if one.key == "lookup"] == []
    page.number_input(key="width").set_value(9).run()
    page.button_group(key="method").set_value("auto").run()
    page.button_group(key="method").set_value("graph").run()
    assert page.number_input(key="width").value == 9  # what auto does not show is kept


def test_what_auto_goes_by_can_be_switched_and_comes_back_with_its_run(app, shared_client):
    page = own_pair(app(), "def f(x):")
    page.checkbox(key="history").set_value(True)
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    drafting = page.session_state["session"].run.meta["spec"]["drafting"]
    assert (drafting["method"], drafting["lookup"], drafting["history"]) == ("auto", True, True)
    page.checkbox(key="history").set_value(False).run()
    page.button(key="take").click().run()
    assert page.checkbox(key="history").value


def test_settings_that_a_method_does_not_read_are_not_shown(app):
    page = app()
    page.button_group(key="method").set_value("chain").run()
    shown = {one.key for one in page.sidebar.number_input}
    assert "depth" in shown and "width" not in shown


@pytest.fixture
def run(tmp_path):
    return record_run(tmp_path / "runs")


def test_a_run_opens_by_its_address_at_its_most_telling_round(app, run):
    page = app(run=run.name)
    assert not page.exception
    graph, text = data_of(page, "graph"), data_of(page, "token_text")
    rounds = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()][:-1]
    crossing = [round_ for round_ in rounds if "merge" in round_["origins"]]
    longest = max(crossing, key=lambda round_: len(round_["accepted"]))
    assert graph["key"] == f"{run.name}:{longest['round']}"
    assert "".join(text["tokens"]["text"]) == "".join(t for round_ in rounds for t in round_["new_texts"])
    assert page.query_params["run"] == run.name
    assert page.selectbox(key="open 0").value == run.name
    assert [metric.value for metric in page.metric][3] == str(len(rounds))


def test_the_address_names_round_and_node_and_the_node_is_explained(app, run):
    page = app(run=run.name, round="2", node="n1")
    graph = data_of(page, "graph")
    assert (graph["key"], graph["selected"]) == (f"{run.name}:1", "n1")
    assert "the draft gave it" in html_of(page)
    assert "Round 2" in html_of(page)


def test_without_a_selection_the_round_is_told_beside_its_graph(app, run):
    page = app(run=run.name, round="2")
    assert "The draft proposed" in html_of(page) and "Click a node" in html_of(page)
    page = app(run=run.name, round="2", node="n1")
    assert "The draft proposed" not in html_of(page) and "Click a node" not in html_of(page)


def test_more_nodes_verified_than_drafted_are_said_to_be_so_as_a_tree(app, tmp_path):
    folder = record_run(tmp_path / "runs")
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()][:-1]
    merging = next(i for i, round_ in enumerate(lines) if round_["merged"])
    shown = html_of(app(run=folder.name, round=str(merging + 1)))
    assert ">as a tree</abbr>" in shown and "a merged node once for each path to it" in shown
    plain_tree = record_run(tmp_path / "runs", drafting=of_method(method="tree"))
    assert "as a tree" not in html_of(app(run=plain_tree.name, round="1"))


def test_runs_that_look_alike_can_be_told_apart(app, tmp_path):
    runs = [record_run(tmp_path / "runs", count=2) for _ in range(3)]
    page = app(run=runs[0].name)
    options = page.selectbox(key="open 0").options
    assert len(set(options)) == len(options) >= 3
    page.selectbox(key="open 0").set_value(runs[1].name).run()
    assert data_of(page, "graph")["key"].startswith(runs[1].name)


def test_stepping_moves_the_round_and_drops_the_selection(app, run):
    page = app(run=run.name, round="2", node="n1")
    page.button(key="Next round").click().run()
    graph = data_of(page, "graph")
    assert (graph["key"], graph["selected"]) == (f"{run.name}:2", None)
    assert page.query_params["round"] == "3"
    page.button(key="First round").click().run()
    assert page.button(key="Previous round").disabled
    page.button(key="Last round").click().run()
    assert page.button(key="Next round").disabled


@pytest.mark.parametrize("name", ["nonsense", "../runs", "/etc"])
def test_an_address_of_no_run_is_told(app, run, name):
    page = app(run=name)
    assert not page.exception
    assert [error.value.replace("\\", "")[:15] for error in page.error] == ["There is no run"]


@pytest.mark.parametrize("address", [{"round": "99"}, {"round": "x"}, {"round": "1", "node": "n999"}, {"round": "0"},
                                     {"round": "1", "node": "<b>"}, {"round": "1", "node": "m"}])  # fmt: skip
def test_a_round_or_node_that_is_not_there_shows_the_run_all_the_same(app, run, address):
    page = app(run=run.name, **address)
    assert not page.exception
    assert "Click a node" in html_of(page)


@pytest.mark.parametrize(("end", "words"), [(None, "incomplete"), ("cancelled", "cancelled"), ("failed", "failed")])
def test_a_run_that_did_not_end_well_says_so(app, tmp_path, end, words):
    run = record_run(tmp_path / "runs", end=end)
    page = app(run=run.name)
    shown = [element.value for kind in ("warning", "info", "error") for element in page.get(kind)]
    assert len(shown) == 1
    assert words in shown[0]


def test_counters_alone_show_text_and_figures_but_no_graph(app, tmp_path):
    run = record_run(tmp_path / "runs", detail="counters")
    page = app(run=run.name)
    assert not page.exception
    assert "no graph" in page.info[0].value
    assert len(page.metric) == 6


def own_pair(page, prompt, target="made/up"):
    page.selectbox(key="pair").set_value("own models").run()
    page.text_input(key="own_target").set_value(target)
    page.text_input(key="own_draft").set_value("made/up")
    page.text_area(key="prompt").set_value(prompt)
    return page


def until_done(page, client):
    wait_until(lambda: not client.current(page.session_state["session"].jobs).pending)
    return page.run()


def test_a_prompt_is_run_and_its_graph_drawn(app, shared_client):
    page = own_pair(app(), "def f(x):")
    page.checkbox(key="baseline").set_value(True)
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    assert not page.exception
    assert data_of(page, "token_text")["prompt"] == "def f(x):"
    assert data_of(page, "graph")["nodes"]["id"][0] == "n0"
    assert page.metric[5].value == "1.90×"


def test_a_run_that_is_going_is_taken_up_by_its_address(app, shared_client):
    first = own_pair(app(), "slow")
    first.number_input(key="max_new_tokens").set_value(5000)
    first.button(key="run").click().run()
    [job] = first.session_state["session"].jobs
    wait_until(lambda: shared_client.job(job).folder)
    second = app(run=shared_client.job(job).folder.name)
    assert not second.warning
    assert not second.button(key="cancel").disabled
    second.button(key="cancel").click().run()
    second = until_done(second, shared_client)
    assert "cancelled" in second.info[0].value


def test_several_prompts_are_taken_up_by_their_address_and_each_is_shown_as_it_starts(app, shared_client):
    jobs = shared_client.submit_all([run_spec(prompt=Prompt(prompt=text)) for text in ("slow", "x")], runs_folder())
    page = until_done(app(job=jobs[0]), shared_client)
    assert not page.exception
    assert page.session_state["session"].run.folder == shared_client.job(jobs[1]).folder
    assert list(page.get("progress")[0].proto.text.split())[:4] == ["2", "of", "2", "prompts"]
    assert "job" not in page.query_params


def test_a_run_that_has_not_started_yet_is_taken_up_by_its_address(app, shared_client):
    going = shared_client.submit(run_spec(prompt=Prompt(prompt="slow"), max_new_tokens=100_000), runs_folder())
    first = own_pair(app(), "waits")
    first.button(key="run").click().run()
    [job] = first.session_state["session"].jobs
    assert first.query_params["job"] == job
    second = app(job=job)
    assert not second.button(key="cancel").disabled
    assert any("1 other run" in markdown.value for markdown in second.markdown)
    shared_client.cancel(going)
    until_done(second, shared_client)
    assert second.session_state["session"].run.folder == shared_client.job(job).folder


def test_a_late_word_of_the_run_before_opens_nothing(monkeypatch):
    state, opened = {}, []
    monkeypatch.setattr(picker.st, "session_state", state)
    monkeypatch.setattr(picker, "open_run", opened.append)
    state[before := picker._key("a")] = "a"
    state[now := picker._key("b")] = "b"
    picker._open(before)
    assert opened == []
    state[now] = "c"
    picker._open(now)
    assert opened == ["c"]
    assert picker._key("c") == now


def test_without_a_prompt_or_with_a_model_that_is_none_the_page_says_so(app, shared_client):
    page = own_pair(app(), "")
    page.button(key="run").click().run()
    assert page.error[0].value.startswith("Type a prompt first")
    page = own_pair(page, "x", target="missing")
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    assert page.error[0].value == "missing\\: no such model"


def test_what_was_open_is_open_again_where_the_next_run_never_starts(app, shared_client, tmp_path):
    first, second = (record_run(tmp_path / "runs", count=count) for count in (6, 4))
    page = app(run=first.name, round="3", node="n1")
    page = own_pair(page, "x", target="missing")
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    assert [error.value for error in page.error] == ["missing\\: no such model"]
    assert {name: page.query_params[name] for name in ("run", "round", "node")} == {
        "run": first.name, "round": "3", "node": "n1"}  # fmt: skip
    picker = next(box for box in page.selectbox if box.label == "Run")
    picker.set_value(second.name).run()
    assert page.query_params["run"] == second.name and not page.error  # it was not that run that failed


def test_a_run_of_a_pair_that_is_not_here_comes_back_with_its_name(app, tmp_path, monkeypatch):
    monkeypatch.setattr("app.components.settings.available", lambda spec: spec.name == "tiny")
    settings._pairs_here.clear()
    run = record_run(tmp_path / "runs", pair="qwen3")
    page = app(run=run.name)
    page.button(key="take").click().run()
    settings._pairs_here.clear()
    assert not page.exception
    assert page.selectbox(key="pair").value == "qwen3"
    assert any("not on this machine" in option for option in page.selectbox(key="pair").options)


def test_of_a_batch_it_is_said_why_one_failed(app, shared_client, tmp_path):
    page = app()
    shared = {"target": ModelSpec(source="made/up"), "draft": ModelSpec(source="made/up")}
    jobs = shared_client.submit_all(
        [RunSpec(prompt=Prompt(id=text, prompt=text), max_new_tokens=8, **shared) for text in ("fail", "good")],
        runs_folder(),
    )
    page.session_state["session"].jobs = jobs
    page = until_done(page, shared_client)
    [batch] = [table.value for table in page.dataframe if "Why" in table.value]
    assert list(batch["State"]) == ["failed", "finished"]
    assert "vocabulary differs" in batch["Why"][0]


def said_while(page, shared_client, monkeypatch, **changes):
    """What the page says of a job that stands as `changes` say."""
    job = shared_client.submit(run_spec(prompt=Prompt(prompt="slow"), max_new_tokens=100_000), runs_folder())
    page.session_state["session"].jobs = [job]
    monkeypatch.setattr(shared_client, "current", lambda jobs: replace(shared_client.job(job), **changes))
    page.run()
    monkeypatch.undo()
    shared_client.cancel(job)
    assert not page.exception
    return " ".join(markdown.value for markdown in page.markdown)


@pytest.mark.parametrize(
    ("state", "words"), [("loading", "Loading the models · 4[2-9] s"), ("preparing", "Reading the")]
)
def test_what_has_no_known_end_is_told_with_the_time_that_it_takes(app, shared_client, monkeypatch, state, words):
    page = app()
    said = said_while(page, shared_client, monkeypatch, state=state, since=time.monotonic() - 42.2, folder=None)
    assert re.search(words, said)


@pytest.mark.parametrize(("baseline", "words"), [(True, "measuring the baseline"), (False, "writing its tables")])
def test_behind_the_text_it_is_told_what_is_done_and_since_when(app, shared_client, monkeypatch, run, baseline, words):
    lines = (run / "events.jsonl").read_text().splitlines()
    last = json.loads(lines[-2]) | {"stop": "length"}
    (run / "events.jsonl").write_text("\n".join([*lines[:-2], json.dumps(last)]) + "\n")
    os.utime(run / "events.jsonl", (time.time() - 75.2,) * 2)
    page = app(run=run.name)
    said = said_while(page, shared_client, monkeypatch, state="running", folder=run, baseline=baseline)
    assert words in said and re.search("7[5-9] s", said)


def test_why_a_run_failed_is_said_once_where_it_wrote_that_down(app, shared_client, tmp_path, monkeypatch):
    run = record_run(tmp_path / "runs", end="failed")
    page = app(run=run.name)
    said_while(page, shared_client, monkeypatch, state="failed", folder=run, error="made up")
    assert [error.value for error in page.error] == ["This run failed\\: made up"]


def test_a_crash_is_shown_with_the_engines_last_words_and_the_rounds_so_far(app, shared_client):
    page = own_pair(app(), "crash")
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    assert "signal 9" in page.error[0].value
    assert page.code[0].value.endswith("about to die")
    assert "Round" in html_of(page)
    page = own_pair(page, "fine")
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    assert [error.value for error in page.error] == []
    assert not page.exception


def test_several_prompts_are_decoded_in_one_go_and_each_can_be_opened(app, shared_client):
    page = own_pair(app(), "")
    page.segmented_control(key="mode").set_value("Several").run()
    page.button(key="run").click().run()
    assert page.error[0].value.startswith("Choose prompts")
    chosen = [prompt.id for prompt in prompts()[:3]]
    page.multiselect(key="several").set_value(chosen)
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    assert not page.exception and not page.error
    table = page.dataframe[0].value
    assert list(table["Prompt"]) == chosen and set(table["State"]) == {"finished"}
    jobs = [shared_client.job(name) for name in page.session_state["session"].jobs]
    assert page.query_params["run"] == jobs[-1].folder.name
    kinds = [json.loads((job.folder / "run.json").read_text())["spec"]["prompt"]["kind"] for job in jobs]
    assert kinds == [prompt.kind for prompt in prompts()[:3]]


def test_a_paused_run_holds_and_goes_on(app, shared_client):
    page = own_pair(app(), "slow")
    page.number_input(key="max_new_tokens").set_value(5000)
    page.button(key="run").click().run()
    [job] = page.session_state["session"].jobs
    wait_until(lambda: shared_client.job(job).state == "running")
    page.run()
    page.button(key="pause").click().run()
    assert page.button(key="pause").label == "Resume" and shared_client.job(job).held
    page.button(key="pause").click().run()
    assert page.button(key="pause").label == "Pause" and not shared_client.job(job).held
    page.button(key="cancel").click().run()
    page = until_done(page, shared_client)
    assert shared_client.job(job).state == "cancelled"


def test_a_pinned_run_gives_every_figure_its_difference_and_names_what_changed(app, tmp_path):
    runs = [record_run(tmp_path / "runs", drafting=of_method(width=width)) for width in (2, 3)]
    page = app(run=runs[0].name)
    page.button(key="pin").click().run()
    assert [metric.label for metric in page.metric if metric.delta] == ["Speed-up, measured"]  # how to get it
    page.selectbox(key="open 0").set_value(runs[1].name).run()
    assert page.metric[0].delta
    assert any("width 2 → 3" in caption.value for caption in page.caption)


def test_of_two_runs_of_auto_it_is_said_that_they_may_draft_otherwise(app, tmp_path):
    runs = [record_run(tmp_path / "runs", drafting=of_method(method=method)) for method in ("auto", "auto", "graph")]
    page = app(run=runs[0].name)
    page.button(key="pin").click().run()
    for run, told in zip(runs[1:], (True, False)):
        page.selectbox(key="open 0").set_value(run.name).run()
        [words] = [caption.value for caption in page.caption if caption.value.startswith("A is ")]
        assert ("Same settings. *auto* learns from measured times and outcomes" in words) == told
    assert LEARNED in METHOD_HELP.replace("It learns", "learns")  # a sentence there, part of one here


def test_of_two_methods_only_what_both_heed_is_said_to_have_changed(app, tmp_path):
    runs = [record_run(tmp_path / "runs", drafting=of_method(method=method, width=width))
            for method, width in (("graph", 3), ("auto", 5))]  # fmt: skip
    page = app(run=runs[0].name)
    page.button(key="pin").click().run()
    page.selectbox(key="open 0").set_value(runs[1].name).run()
    assert any("method graph → auto" in caption.value for caption in page.caption)
    assert not any("width" in caption.value for caption in page.caption)


@pytest.mark.parametrize(("drafting", "said"), [
    (of_method(width=3, depth=6, merge_context=None), "graph · width 3 · depth 6 · frontier"),
    (of_method(method="auto"), "tokens · auto · tiny"),
])  # fmt: skip
def test_above_the_text_stand_its_length_and_the_settings_that_the_method_heeds(app, tmp_path, drafting, said):
    run = record_run(tmp_path / "runs", drafting=drafting, max_new_tokens=1234)
    new = sum(map(len, (json.loads(line).get("new_tokens", []) for line in (run / "events.jsonl").open())))
    lines = [caption.value.replace("\\", "") for caption in app(run=run.name).caption]
    [line] = [line for line in lines if line.startswith(f"{new} of at most 1,234 tokens · ")]
    assert said in line


def test_beside_a_warm_speedup_the_speed_of_the_recorded_run_is_said_to_be_cold(app):
    sample = next(folder for folder in list_runs(SAMPLES) if '"speedup_low"' in (folder / "events.jsonl").read_text())
    shown = {metric.label: metric for metric in app(run=sample.name).metric}
    own, plain = re.fullmatch(r"cold; warm (\d+\.\d), ar (\d+\.\d)", shown["Tokens per second"].delta).groups()
    assert float(own) / float(plain) == pytest.approx(float(shown["Speed-up, measured"].value[:-1]), rel=0.02)
    assert "*Cold*" in shown["Tokens per second"].help
    assert re.fullmatch(r"\d\.\d\d–\d\.\d\d, 3 warm repeats", shown["Speed-up, measured"].delta)


@pytest.mark.parametrize(("end", "note"), [("complete", "tick “Measure a baseline”"), (None, "")])
def test_a_run_that_timed_no_ar_has_no_speedup_whatever_others_measured(app, tmp_path, end, note):
    """The other run, of the same settings, timed `ar`. One without an end may still do so."""
    run, other = (record_run(tmp_path / "runs", end=how) for how in (end, "complete"))
    *rounds, last = (other / "events.jsonl").read_text().splitlines()
    ratios = {"speedup": 2.0, "speedup_low": 2.0, "speedup_high": 2.0, "repeats": 1, "matches_baseline": True}
    last = json.loads(last)
    last["baseline"] = last["totals"] | ratios
    (other / "events.jsonl").write_text("\n".join([*rounds, json.dumps(last), ""]))
    [speedup] = [metric for metric in app(run=run.name).metric if "measured" in metric.label]
    assert (speedup.label, speedup.value, speedup.delta) == ("Speed-up, measured", "–", note)


def test_a_run_of_auto_shows_what_was_found_in_text_and_graph(app, tmp_path):
    run = record_run(tmp_path / "runs", drafting=of_method(method="auto"))
    rounds = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()][:-1]
    found = next(i for i, round_ in enumerate(rounds) if "lookup" in round_["origins"])
    page = app(run=run.name, round=str(found + 1), node="n1")
    assert not page.exception
    assert "lookup" in data_of(page, "token_text")["origins"]
    assert data_of(page, "graph")["nodes"]["source"][1] == "lookup"
    assert "Found in the text so far" in html_of(page)


def test_rerun_with_a_change_puts_the_runs_own_settings_into_the_form(app, tmp_path):
    run = record_run(tmp_path / "runs", drafting=of_method(width=7, merge_context=None), max_new_tokens=33)
    page = app(run=run.name)
    page.button(key="take").click().run()
    assert not page.exception
    assert page.number_input(key="width").value == 7
    assert page.selectbox(key="merge_context").value is None
    assert page.number_input(key="max_new_tokens").value == 33
    assert page.text_area(key="prompt").value == json.loads((run / "run.json").read_text())["spec"]["prompt"]["prompt"]


def test_several_prompts_give_way_to_the_one_that_is_run_again(app, tmp_path):
    run = record_run(
        tmp_path / "runs", stop=("\n\n", "  end", 'say "x"', '"', "a\u2028b"), drafting=of_method(merge_context=12)
    )
    page = app(run=run.name)
    page.segmented_control(key="mode").set_value("Several").run()
    page.button(key="take").click().run()
    assert not page.exception
    assert page.segmented_control(key="mode").value == "One prompt"
    assert page.selectbox(key="merge_context").value == 12
    assert page.text_area(key="stop").value.splitlines() == [r'"\n\n"', "  end", 'say "x"', r'"\""',
                                                              r'"a\u2028b"']  # fmt: skip


def test_a_run_whose_settings_cannot_be_read_is_told(app, tmp_path):
    run = record_run(tmp_path / "runs")
    head = json.loads((run / "run.json").read_text())
    head["spec"]["drafting"]["of a later version"] = 1
    (run / "run.json").write_text(json.dumps(head))
    page = app(run=run.name)
    assert not page.exception
    assert "its settings cannot be read" in page.error[0].value


def test_a_run_that_is_being_written_is_followed_though_others_were_run_before(app, tmp_path, shared_client):
    """As it is opened in the view of all runs."""
    page = own_pair(app(), "x")
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    other = shared_client.submit(run_spec(prompt=Prompt(prompt="slow"), max_new_tokens=100_000), runs_folder())
    wait_until(lambda: shared_client.job(other).folder and list(shared_client.job(other).folder.glob("events.jsonl")))
    state = page.session_state["session"]
    state.run, state.round = OpenRun.read(shared_client.job(other).folder), None  # it may have one round by now
    page.run()
    shared_client.cancel(other)
    assert not page.exception
    assert page.session_state["session"].jobs == [other] and page.session_state["session"].following


def test_the_drafts_weights_are_the_runs_and_come_back_with_it(app, shared_client):
    page = own_pair(app(), "def f(x):")
    page.segmented_control(key="draft_quant").set_value("int4")
    page.button(key="run").click().run()
    page = until_done(page, shared_client)
    spec = page.session_state["session"].run.meta["spec"]
    assert spec["draft"]["quantization"] == "int4" and spec["target"]["quantization"] == "none"
    page.segmented_control(key="draft_quant").set_value("none").run()
    page.button(key="take").click().run()
    assert page.segmented_control(key="draft_quant").value == "int4"


def test_settings_survive_another_view(app):
    page = app()
    page.button_group(key="method").set_value("tree").run()
    page.number_input(key="width").set_value(9).run()
    page.switch_page("views/guide.py").run()
    assert not page.exception
    page.switch_page("views/playground.py").run()
    assert page.number_input(key="width").value == 9
    assert page.button_group(key="method").value == "tree"
