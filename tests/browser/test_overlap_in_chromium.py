"""Overlap in a real browser: a bar clicked leads to the places of its sequence, and from there into the graph."""

import re

import pytest
from browser.conftest import idle
from fixtures.recorded import record_run
from settings import of_method

from analysis.figures.look import DARK, TEXT
from analysis.load import load
from analysis.merged import merged_sequences
from gsd.trace.csvfile import read_csv

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect

FIRST_CHART_MS = 40_000  # plotly is a large script


@pytest.fixture(scope="module")
def run(folder):
    drafting = of_method(width=4, depth=6, frontier=5, merge_context=0, prob_threshold=0.05, budget=24)
    return record_run(folder / "runs", count=10, drafting=drafting)


def test_a_bar_leads_to_its_places_and_a_place_into_the_graph(page, address, run):
    page.goto(f"{address}/overlap?run={run.name}")
    page.get_by_role("tab", name="Sequences").click()
    bars = page.locator(".barlayer .point path")
    expect(bars.nth(1)).to_be_visible(timeout=FIRST_CHART_MS)
    second = merged_sequences(load([run])).iloc[1]
    idle(page)
    bar = bars.nth(1).bounding_box()
    page.mouse.click(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)  # a layer for dragging lies above it
    expect(page.get_by_role("combobox", name=re.compile("Where does it stand"))).to_have_value(
        re.compile(rf"\({second['count']}×\)$")
    )
    places = page.locator(".st-key-place-list").get_by_role("button")
    expect(places).to_have_count(min(int(second["count"]), 12))
    places.first.click()
    page.wait_for_url(re.compile(r"/graph\?run=.*&round=\d+&node=m\d+"))
    expect(page.locator(".words")).to_contain_text("merge edge")


def test_a_link_restores_scope_and_section_and_the_table_comes_as_csv(page, address, run, tmp_path):
    page.goto(f"{address}/overlap?run={run.name}&round=3&scope=round&tab=Hypotheses")
    expect(page.locator(".round")).to_contain_text("Round 3")
    expect(page.get_by_text(re.compile("Two hypotheses of round 3"))).to_be_visible()
    page.get_by_text("Table, formula and CSV").click()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").first.click()  # behind it, the same for Excel
    download.value.save_as(tmp_path / "pairs.csv")
    assert download.value.suggested_filename == "hypothesis_pairs.csv"
    table = read_csv(tmp_path / "pairs.csv")
    assert list(table)[:4] == ["run", "round", "left", "right"]
    assert set(zip(table["run"], table["round"])) == {(run.name, 2)}


def test_no_token_becomes_markup(page, address, folder):
    made = record_run(folder / "runs", count=20)
    for tab in ("Sequences", "Hypotheses"):
        page.goto(f"{address}/overlap?run={made.name}&tab={tab}")
        expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=FIRST_CHART_MS)
        idle(page)
        assert page.locator(".place b b, .place code *, .chart-title b *").count() == 0


def test_charts_follow_the_theme_while_their_page_is_open(page, address, run):
    """Labels of an axis are in the ink of the palette for the paper that they stand on."""
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/overlap?run={run.name}")
    label = page.locator(".js-plotly-plot .xtick text").first
    for scheme, colour in (("light", TEXT), ("dark", DARK[TEXT]), ("light", TEXT)):
        page.emulate_media(color_scheme=scheme)
        red, green, blue = bytes.fromhex(colour.removeprefix("#"))
        expect(label).to_have_css("fill", f"rgb({red}, {green}, {blue})", timeout=FIRST_CHART_MS)
