"""Tune and Compare in a real browser: a slider and a click on a map, two runs by arrow keys."""

import json
import re
from itertools import accumulate

import pytest
from browser.conftest import arrow, idle
from fixtures.made_atlas import save_atlas
from fixtures.recorded import record_run, run_spec
from settings import of_method

from gsd.spec import SamplingSpec

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect


@pytest.fixture(scope="module")
def folder(folder):
    save_atlas(folder / "runs" / "made")
    return folder


def figures(page):
    return page.locator(".st-key-tuned-figures")


def until_it_takes(page, act, figure):
    """Act, and act again where the page drew itself anew at that very moment."""
    for _ in range(5):
        idle(page)
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

    def click_the_lowest_cell_to_the_left():
        """Where it is now: what is drawn above the map moves it."""
        expect(page.get_by_text("Replaying settings")).to_have_count(0)
        cells = page.locator(".st-key-chart-maps .heatmaplayer").first.bounding_box()
        page.mouse.click(cells["x"] + cells["width"] / 4, cells["y"] + 3 * cells["height"] / 4)

    until_it_takes(page, click_the_lowest_cell_to_the_left, r"Rounds\s*4")
    page.wait_for_function("/width=1/.test(location.search) && /depth=1/.test(location.search)")


def test_a_measurement_ends_by_itself(page, address, folder):
    save_atlas(folder / "runs" / "real", {"spec": run_spec().model_dump(mode="json")})
    page.goto(f"{address}/tune?atlas=real")
    expect(figures(page)).to_contain_text("Rounds")
    idle(page)
    page.get_by_role("button", name="Measure").click()
    expect(page.locator(".st-key-trial")).to_contain_text("1.90×")


def test_a_slider_is_pressed_while_settings_are_replayed(page, address):
    """Around another frontier all is replayed anew, for seconds; what was pressed meanwhile holds at its end."""
    page.goto(f"{address}/tune?atlas=six-kinds-atlas")
    depth, frontier = (page.get_by_role("slider", name=name) for name in ("Depth", "Frontier"))
    expect(figures(page)).to_contain_text("Rounds")
    frontier.press("ArrowLeft")
    expect(page.get_by_text("Replaying settings")).to_be_visible()
    before = int(depth.input_value())
    for pressed in range(1, 5):
        depth.press("ArrowLeft")
        page.wait_for_function(f"/depth={before - pressed}(&|$)/.test(location.search)")
    expect(page.get_by_text("Replaying settings")).to_have_count(0, timeout=120_000)
    expect(page.locator('[class*="st-key-chart-box-"]')).to_have_count(3)
    assert depth.input_value() == str(before - 4)
    idle(page)


def test_two_runs_are_stepped_through_together_by_arrow_keys(page, address, folder):
    runs = [record_run(folder / "runs", drafting=of_method(width=width, depth=4), sampling=SamplingSpec(seed=width))
            for width in (2, 3)]  # fmt: skip
    stops = sorted({*ends(runs[0]), *ends(runs[1])})
    page.goto(f"{address}/compare?a={runs[0].name}&b={runs[1].name}&at={stops[0]}")
    expect(page.locator(".graph-view")).to_have_count(2, timeout=45_000)
    arrow(page, "ArrowRight", "Next end of a round", f"at={stops[1]}(&|$)")
    arrow(page, "ArrowLeft", "Previous end of a round", f"at={stops[0]}(&|$)")


def ends(folder):
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return list(accumulate(len(line["new_tokens"]) for line in lines if line["type"] == "round"))


@pytest.mark.parametrize("width, stacked", [(900, True), (1440, False)])
def test_on_a_narrow_page_two_runs_stand_one_above_the_other(page, address, folder, width, stacked):
    runs = [record_run(folder / "runs", drafting=of_method(width=size, depth=4)) for size in (2, 3)]
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}/compare?a={runs[0].name}&b={runs[1].name}")
    expect(page.locator(".graph-view")).to_have_count(2, timeout=45_000)
    idle(page)
    a, b = (page.locator(".graph-view").nth(i).bounding_box() for i in (0, 1))
    assert (a["x"] == b["x"]) == stacked
    assert (a["y"] + a["height"] < b["y"]) == stacked
