"""Tune and Compare in a real browser: a slider and a click on a map, two runs by arrow keys."""

import json
import re
from itertools import accumulate

import pytest
from browser.conftest import stepper
from fixtures.made_atlas import save_atlas
from fixtures.recorded import record_run

from gsd.config import DraftSpec, SamplingSpec

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("lab")
    save_atlas(made / "runs" / "made")
    return made


def figures(page):
    return page.locator(".st-key-tuned-figures")


def until_it_takes(page, act, figure):
    """Act, and act again where the page drew itself anew at that very moment."""
    for _ in range(5):
        page.wait_for_selector('[data-test-script-state="notRunning"]')
        act()
        try:
            expect(figures(page)).to_contain_text(re.compile(figure), timeout=5_000)
            return
        except AssertionError:
            continue
    expect(figures(page)).to_contain_text(re.compile(figure))


def test_a_slider_moves_the_figures_and_a_click_on_a_map_moves_the_slider(page, address):
    """Five tokens of one text and two of the other: three rounds at depth 2, four at depth 1."""
    page.goto(f"{address}/tune?atlas=made")
    expect(figures(page)).to_contain_text(re.compile(r"Rounds\s*3"))
    depth = page.get_by_role("slider", name="Depth")
    until_it_takes(page, lambda: depth.press("ArrowLeft"), r"Rounds\s*4")
    page.wait_for_function("/depth=1/.test(location.search)")
    expect(page.locator(".st-key-chart-maps .heatmaplayer").first).to_be_visible()
    page.get_by_role("button", name="Defaults", exact=False).first.click()
    expect(figures(page)).to_contain_text(re.compile(r"Rounds\s*3"))
    page.wait_for_selector('[data-test-script-state="notRunning"]')
    cells = page.locator(".st-key-chart-maps .heatmaplayer").first.bounding_box()
    cell = (cells["x"] + cells["width"] / 4, cells["y"] + 3 * cells["height"] / 4)
    until_it_takes(page, lambda: page.mouse.click(*cell), r"Rounds\s*4")
    page.wait_for_function("/width=1/.test(location.search) && /depth=1/.test(location.search)")


def test_two_runs_are_stepped_through_together_by_arrow_keys(page, address, folder):
    runs = [record_run(folder / "runs", drafting=DraftSpec(width=width, depth=4), sampling=SamplingSpec(seed=width))
            for width in (2, 3)]  # fmt: skip
    stops = sorted({*ends(runs[0]), *ends(runs[1])})
    page.goto(f"{address}/compare?a={runs[0].name}&b={runs[1].name}&at={stops[0]}")
    expect(page.locator(".graph-view")).to_have_count(2, timeout=45_000)
    page.wait_for_selector('[data-test-script-state="notRunning"]')
    stepper(page)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"/at={stops[1]}(&|$)/.test(location.search)")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(f"/at={stops[0]}(&|$)/.test(location.search)")


def ends(folder):
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return list(accumulate(len(line["new_tokens"]) for line in lines if line["type"] == "step"))
