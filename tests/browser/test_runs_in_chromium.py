"""The view of all runs in a real browser: found, ticked, renamed, exported, deleted, taken in again, opened."""

import json
import os
import zipfile

import pytest
from browser.conftest import idle
from fixtures.recorded import record_run

from gsd.spec import Prompt

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect
ROW = 36  # pixels of a row, the head's as well


def record(folder, prompt):
    run = record_run(folder / "runs", prompt=Prompt(prompt=prompt))
    os.utime(run / "events.jsonl", (1e9, 1e9))
    return run


def row(page, text):
    """A row's cells in the table that screen readers read; the one to be seen is a picture."""
    return page.locator("[data-testid=stDataFrame] tbody tr", has_text=text)


def press(page, number, at):
    """Click into a row of the table, so many pixels from its left."""
    idle(page)
    page.get_by_test_id("stDataFrame").click(position={"x": at, "y": ROW * (number + 1) + ROW / 2})


def tick(page, number):
    press(page, number, 17)
    expect(page.get_by_text("ticked ·")).to_be_visible()


def test_a_table_does_not_offer_to_write_its_cells_as_they_are(page, address, folder):
    record(folder, "=cmd|' /C calc'!A0")
    page.goto(f"{address}/runs")
    page.get_by_test_id("stDataFrame").hover()
    expect(page.get_by_role("button", name="Search")).to_be_visible()  # the toolbar is there
    expect(page.get_by_label("Download as CSV")).to_have_count(1)
    expect(page.get_by_label("Download as CSV")).to_be_hidden()


def test_a_run_is_found_renamed_exported_deleted_and_taken_in_again(page, address, folder, tmp_path):
    run = record(folder, "the red fox")
    record(folder, "the grey wolf")
    page.goto(f"{address}/runs")
    expect(row(page, "the grey wolf")).to_be_attached()
    page.get_by_role("searchbox", name="Search").fill("red FOX")
    expect(row(page, "the grey wolf")).to_have_count(0)
    page.wait_for_function("location.search.includes('q=red')")

    tick(page, 0)
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("textbox", name="Title").fill("<b>Reynard</b>")
    page.get_by_role("button", name="Save").click()
    expect(row(page, "<b>Reynard</b>")).to_be_attached()

    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "fox.zip")
    with zipfile.ZipFile(tmp_path / "fox.zip") as bundle:
        assert list(json.loads(bundle.read("bundle.json"))["runs"]) == [run.name]
        assert bundle.read(f"runs/{run.name}/events.jsonl") == (run / "events.jsonl").read_bytes()

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert run.exists()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted 1 run.")).to_be_visible()
    expect(page.get_by_text("No run fits")).to_be_visible()
    assert not run.exists()

    page.get_by_role("button", name="Import").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "fox.zip")
    expect(page.get_by_text("Imported 1 run.")).to_be_visible()
    expect(row(page, "<b>Reynard</b>")).to_be_attached()


def test_the_eye_opens_a_run_and_the_browser_goes_back_to_the_search(page, address, folder):
    run = record(folder, "the brown bear")
    page.goto(f"{address}/runs?q=brown+bear")
    expect(row(page, "the brown bear")).to_be_attached()
    press(page, 0, 55)
    expect(page.get_by_role("heading", name="Playground")).to_be_visible()
    page.wait_for_function(f"location.search.includes('run={run.name}')")
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("brown bear")
