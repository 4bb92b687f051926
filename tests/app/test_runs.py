"""The view of all runs through AppTest: empty, samples, search, ticks, rename, delete, import, what is broken."""

import json
import os
import time

import pytest
from fixtures.recorded import record_run, run_spec
from fixtures.waiting import wait_until
from settings import of_method

from analysis import bundle
from analysis.bundle import write_bundle
from app import library
from app.library import SAMPLES
from gsd.methods import PRESETS
from gsd.spec import Prompt, SamplingSpec
from gsd.trace.read import list_runs

LONG_AGO = time.time() - 3600
NARROW = 828  # pixels of the table on a page of 900
TICK_BOX = 33  # pixels of the column before the first


@pytest.fixture
def view(app, tmp_path):
    """Opens the view with the given address."""

    def open_at(**address):
        page = app(**address)
        page.switch_page("views/runs.py")
        for name, value in address.items():
            page.query_params[name] = value
        return page.run()

    return open_at


def record(tmp_path, **changes):
    run = record_run(tmp_path / "runs", **changes)
    os.utime(run / "events.jsonl", (LONG_AGO, LONG_AGO))
    return run


def table(page):
    [found] = page.dataframe
    return found.value


def tick(page, *rows):
    """Tick rows by number; the key of the table changes with what it lists."""
    page.session_state[f"run table {page.session_state['listed runs'][1]}"] = {"selection": {"rows": list(rows)}}
    return page.run()


def disabled(page):
    names = ("open one", "graph one", "rename", "export", "delete")
    found = {element.proto.id.split("-")[-1]: element.proto.disabled for element in page.get("download_button")}
    found |= {button.key: button.disabled for button in page.button}
    return [name for name in names if found[name]]


def test_without_runs_of_ones_own_the_samples_are_listed_and_stay(view):
    page = view()
    assert not page.exception
    assert "No run of yours yet" in page.markdown[0].value
    assert len(table(page)) == len(list_runs(SAMPLES))
    assert all(title.startswith("Sample · ") for title in table(page)["title"])
    page = tick(page, 0)
    assert disabled(page) == ["rename", "delete"]


def test_runs_are_listed_with_status_and_counts_newest_first(view, tmp_path):
    runs = [record(tmp_path, end=end, count=3) for end in ("complete", "cancelled", None)]
    page = view()
    found = table(page).iloc[:3]
    assert [status[2:] for status in found["status"]] == ["incomplete", "cancelled", "complete"]
    assert list(found["rounds"]) == [3, 3, 3]
    totals = json.loads((runs[0] / "events.jsonl").read_text().splitlines()[-1])["totals"]
    assert found["tokens"].iloc[2] == totals["new_tokens"]
    assert "3 of your own" in page.caption[-1].value


def test_runs_of_one_prompt_are_told_apart_in_the_list_and_before_they_are_deleted(view, tmp_path):
    """Context 0 is a setting, and none is another; a seed says nothing of greedy decoding."""
    chosen = [(of_method(), SamplingSpec(seed=3)), (of_method(), SamplingSpec(temperature=1.2)),
              (of_method(width=3, merge_context=None), SamplingSpec(temperature=6.0, seed=3)),
              (of_method(merge_context=0), SamplingSpec()), (of_method(**PRESETS["wide"]), SamplingSpec()),
              (of_method(method="auto", lookup=False, history=True), SamplingSpec())]  # fmt: skip
    for drafting, sampling in chosen:
        record(tmp_path, count=1, drafting=drafting, sampling=sampling)
    page = view()
    found = table(page).iloc[: len(chosen)][::-1]
    assert list(found["method"]) == ["graph", "graph T 1.2", "graph T 6", "graph", "graph", "auto"]
    settings = [
        "",
        "",
        "width 3 · merge context off · seed 3",
        "merge context 0",
        "preset wide",
        "lookup off · history on",
    ]
    assert list(found["settings"]) == settings
    page = tick(page, *range(len(chosen)))
    page.button(key="delete").click().run()
    told = [caption.value.replace("\\", "") for caption in page.caption if " tokens · " in caption.value]
    for line, method, words in zip(told[::-1], found["method"], settings, strict=True):
        assert " · ".join(filter(None, (method, words, ""))) in line


def test_the_list_is_by_time_samples_among_ones_own(view, tmp_path):
    """Also where names do not begin with the time, as those of a sweep."""
    for name in ("0aaa", "fbbb", "9ccc"):
        folder = record(tmp_path)
        folder.rename(folder.with_name(name))
    created = table(view())["created"]
    assert len(created) == 3 + len(list_runs(SAMPLES)) and created.is_monotonic_decreasing


def test_on_a_narrow_page_the_figures_come_behind_the_title_whole_and_the_first_cut_column_is_what_the_prompt_is(view):
    page = view()
    widths = {name: column.get("width") for name, column in json.loads(page.dataframe[0].proto.columns).items()}
    shown, room = [], NARROW - TICK_BOX
    for name in table(page).columns:
        if widths[name] > room:
            break
        shown.append(name)
        room -= widths[name]
    figures = ["tokens", "acceptance_length", "tokens_per_s", "rounds"]
    assert shown == ["open", "title", *figures, "method", "status"]
    assert room > 20


def test_words_and_filters_narrow_the_list_and_go_into_the_address(view, tmp_path):
    for method in ("graph", "tree"):
        for kind in ("code", "chat"):
            record(tmp_path, count=1, drafting=of_method(method=method), prompt=Prompt(prompt="fox", kind=kind))
    page = view()
    everything = len(table(page))
    page.text_input(key="runs search").set_value("FOX").run()
    assert len(table(page)) == 4 < everything
    page.selectbox(key="runs method").set_value("tree").run()
    page.selectbox(key="runs kind").set_value("chat").run()
    assert len(table(page)) == 1
    assert [page.query_params[name] for name in ("q", "method", "kind")] == ["FOX", "tree", "chat"]
    page.text_input(key="runs search").set_value("nonesuch").run()
    assert "No run fits" in page.info[0].value and not page.dataframe
    page.button(key="clear").click().run()
    assert len(table(page)) == everything


def test_an_address_filters_as_it_says(view, tmp_path):
    record(tmp_path, count=1, prompt=Prompt(prompt="fox"))
    page = view(q="fox", status="complete", method="nonesuch")
    assert not page.exception
    assert len(table(page)) == 1


def test_a_tick_stays_with_its_run_when_the_list_changes(view, tmp_path):
    first = record(tmp_path, count=1)
    page = tick(view(), 0)
    record(tmp_path, count=1)
    page.run()
    assert page.session_state["ticked runs"] == {first.name}
    page.text_input(key="runs search").set_value("nonesuch").run()
    page.text_input(key="runs search").set_value("").run()
    assert "Tick rows" in page.caption[0].value


def test_one_run_is_shown_in_words_and_opened(view, tmp_path):
    run = record(tmp_path, prompt=Prompt(prompt="<b>bold</b>"))
    page = tick(view(), 0)
    assert page.code[0].value == "<b>bold</b>"
    assert page.code[1].value == json.loads((run / "events.jsonl").read_text().splitlines()[-1])["text"]
    page.button(key="open one").click().run()
    assert not page.exception
    assert page.session_state["session"].run.name == run.name
    assert page.query_params["run"] == run.name


def test_what_ended_a_run_is_said_once(view, tmp_path):
    record(tmp_path, end="cancelled")
    assert tick(view(), 0).warning[0].value == r"Cancelled\: the rounds that were finished are kept"


def test_a_bundle_is_written_when_it_is_asked_for_and_not_before(view, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(bundle, "write_bundle", lambda *given: written.append(given))
    record(tmp_path)
    page = tick(view(), 0)
    assert "export" not in disabled(page) and not page.exception
    assert written == []


def test_a_run_is_renamed_in_lists_alone(view, tmp_path):
    run = record(tmp_path)
    before = (run / "run.json").read_bytes()
    page = tick(view(), 0)
    page.button(key="rename").click().run()
    page.text_input(key=f"new title {run.name}").set_value("My best")
    page.button(key="save").click().run()
    assert not page.exception
    assert table(page)["title"].iloc[0] == "My best"
    assert (run / "run.json").read_bytes() == before


def test_deleting_asks_first_and_spares_samples_and_what_is_being_written(view, tmp_path):
    runs = [record(tmp_path, count=1) for _ in range(3)][::-1]
    growing = record_run(tmp_path / "runs", end=None)
    page = view(run=runs[0].name)
    page = tick(page, *range(len(table(page))))
    page.button(key="delete").click().run()
    assert all(run.exists() for run in runs)
    stay = len(list_runs(SAMPLES)) + 1
    assert any(f"{stay} runs of those ticked will stay" in caption.value for caption in page.caption)
    page.button(key="delete for good").click().run()
    assert not page.exception
    assert page.success[0].value == "Deleted 3 runs."
    assert not any(run.exists() for run in runs) and growing.exists()
    assert len(list_runs(SAMPLES)) == stay - 1
    assert page.session_state["session"].run is None


def test_an_eye_that_was_clicked_in_an_older_list_opens_its_own_run(view, tmp_path):
    """Another run has come since, and stands above it."""
    run = record(tmp_path)
    page = view()
    [row] = [i for i, name in enumerate(page.session_state["listed runs"][0]) if name == run.name]
    record(tmp_path)
    page.session_state["open of table"] = {"row": row}
    page.run()
    assert not page.exception
    assert page.session_state["session"].run.name == run.name


def test_where_the_run_that_was_followed_is_deleted_the_playground_is_empty(app, tmp_path, shared_client):
    page = app()
    page.session_state["session"].jobs = [shared_client.submit(run_spec(), tmp_path / "runs")]
    page.session_state["session"].following = True
    wait_until(lambda: not shared_client.job(page.session_state["session"].jobs[0]).pending)
    page.run()
    run = page.session_state["session"].run.folder
    os.utime(run / "events.jsonl", (LONG_AGO, LONG_AGO))
    page = tick(page.switch_page("views/runs.py").run(), 0)
    page.button(key="delete").click().run()
    page.button(key="delete for good").click().run()
    assert not run.exists()
    page.switch_page("views/playground.py").run()
    assert not page.exception and page.session_state["session"].run is None


def test_what_another_version_wrote_or_is_damaged_is_listed_and_cannot_be_opened(view, tmp_path):
    for change in ({"schema": 99}, {"spec": "x"}):
        run = record(tmp_path)
        (run / "run.json").write_text(json.dumps(json.loads((run / "run.json").read_text()) | change))
    page = view()
    assert [status[2:] for status in table(page)["status"][:2]] == ["unreadable", "other version"]
    page = tick(page, 1)
    assert "schema 99" in page.warning[0].value
    assert disabled(page) == ["open one", "graph one", "export"]


def test_a_bundle_is_taken_in_once_and_another_file_is_refused(view, tmp_path):
    runs = [record_run(tmp_path / "elsewhere", count=1) for _ in range(2)]
    packed = write_bundle(runs, tmp_path / "b.zip").read_bytes()
    page = view()
    page.file_uploader[0].set_value([("b.zip", packed, "application/zip"), ("c.zip", b"junk", "application/zip")]).run()
    assert not page.exception
    assert page.success[0].value == "Imported 2 runs."
    [told] = [error.value.replace("\\", "") for error in page.error]
    assert told.startswith("c.zip is no readable bundle") and told.endswith("Choose a file that Export made.")
    assert {run.name for run in runs} == {run.name for run in list_runs(tmp_path / "runs")}
    page.file_uploader[0].set_value([("b.zip", packed, "application/zip")]).run()
    assert page.success[0].value == "2 runs were here already and stayed as before."


def test_the_way_in_for_bundles_closes_once_runs_were_taken_in_and_stays_open_where_none_was(view, tmp_path):
    packed = write_bundle([record_run(tmp_path / "elsewhere", count=1)], tmp_path / "b.zip").read_bytes()
    page = view()
    page.session_state["import"] = True
    page.file_uploader[0].set_value([("c.zip", b"junk", "application/zip")]).run()
    assert page.session_state["import"] and len(page.error) == 1
    page.file_uploader[0].set_value([("b.zip", packed, "application/zip")]).run()
    assert not page.session_state["import"] and not page.error


def test_five_hundred_runs_are_read_once_and_then_listed_from_memory(view, tmp_path, monkeypatch):
    for _ in range(500):
        record_run(tmp_path / "runs", count=0, end=None, detail="counters")
    assert len(table(view())) >= 500
    read = []
    monkeypatch.setattr(library, "run_info", lambda head: read.append(head))
    monkeypatch.setattr(library, "read_head", read.append)
    assert len(table(view())) >= 500
    assert read == []


def test_notes_of_the_pair_and_of_the_run_stand_over_it(app, tmp_path):
    run = record(tmp_path)
    meta = json.loads((run / "run.json").read_text()) | {"notes": ["the target has a token of its own"]}
    (run / "run.json").write_text(json.dumps(meta))
    *rounds, end = (run / "events.jsonl").read_text().splitlines()
    end = json.dumps(json.loads(end) | {"notes": ["the draft guesses *badly*"]})
    (run / "events.jsonl").write_text("\n".join([*rounds, end]) + "\n")
    page = app(run=run.name)
    said = [caption.value for caption in page.caption]
    assert "Note: the target has a token of its own." in [one.replace("\\", "") for one in said]
    assert any(r"\*badly\*" in one for one in said)  # a file's words, not markup
