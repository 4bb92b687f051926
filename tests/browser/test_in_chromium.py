"""From the prompt to an explained node in a real browser, with a made-up engine."""

import re
import zipfile
from pathlib import Path

import pytest
from browser.conftest import idle, stepper
from fixtures.recorded import PROMPT, record_run
from settings import of_method

from app.components.graph_view import manageable
from gsd.trace.read import read_run
from gsd.trace.tables import NAMES

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect


def fill(page, address, prompt):
    """Open the page and type a prompt."""
    page.goto(address)
    page.get_by_role("textbox", name="Prompt").fill(prompt)


def run(page):
    page.get_by_test_id("stMain").get_by_role("button", name="Run", exact=False).first.click()


def visit(page, address):
    """Open an address and wait until its script is done."""
    page.goto(address)
    expect(page.locator(".round")).to_be_visible()
    idle(page)


def marks(page):
    return page.locator(".graph-view > svg .node .mark")


def words(page):
    return page.locator(".words")


def test_prompt_run_graph_node_explanation_csv(page, address, tmp_path):
    fill(page, address, "def quicksort(items):")
    run(page)
    expect(page.locator(".token-text .token").first).to_be_visible()
    expect(page.get_by_test_id("stDownloadButton").get_by_role("button")).to_be_visible()
    page.locator(".graph-view .node.accepted .mark").first.click()
    expect(words(page)).to_contain_text("the draft gave it")
    expect(words(page)).to_contain_text("Accepted")
    page.wait_for_function(r"/run=.*&round=\d+&node=n\d+/.test(location.search)")
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button").click()
    download.value.save_as(tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as bundle:
        assert {f"{name}.csv" for name in NAMES} < set(bundle.namelist())
        assert b"def quicksort(items):" in bundle.read("runs.csv")


def test_a_node_of_the_preview_opens_its_run_with_that_node_explained(page, address):
    page.goto(address)
    page.locator(".graph-view > svg .node.accepted.merged .mark").first.click()
    expect(page.locator(".token-text .flow")).to_be_visible()
    expect(words(page)).to_contain_text("Accepted")
    expect(page.locator(".graph-view .node.chosen")).to_have_count(1)


def test_what_rerun_with_a_change_puts_into_the_form_stays_there(page, address, folder):
    """The button is in a fragment of the page, the form is not."""
    made = record_run(folder / "runs", drafting=of_method(width=7), max_new_tokens=33)
    visit(page, f"{address}/?run={made.name}")
    page.get_by_role("button", name="Rerun with a change").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value(PROMPT)
    idle(page)
    page.get_by_text("Measure a baseline", exact=True).click()  # all of the page is drawn anew
    idle(page)
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value(PROMPT)
    expect(page.get_by_role("spinbutton", name="Width")).to_have_value("7")


def test_an_address_opens_the_same_view_elsewhere(page, address, folder, browser):
    made = record_run(folder / "runs")
    visit(page, f"{address}/?run={made.name}&round=2&node=n1")
    expect(words(page)).to_contain_text("Node 1, depth 1")
    expect(page.locator(".graph-view .node.chosen")).to_have_count(1)
    rounds = read_run(made).rounds
    expect(marks(page)).to_have_count(len(manageable(rounds[1])) + 1)
    texts = [text.replace("\n", "↵\n") for round_ in rounds for text in round_.new_texts.raw]
    expect(page.locator(".flow .token")).to_have_count(len(texts))
    assert page.locator(".flow .token").all_inner_texts() == texts


def test_arrow_keys_and_tokens_step_through_the_rounds(page, address, folder):
    made = record_run(folder / "runs")
    visit(page, f"{address}/?run={made.name}&round=2")
    expect(page.locator(".round")).to_contain_text("Round 2")
    stepper(page)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".round")).to_contain_text("Round 3")
    idle(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".round")).to_contain_text("Round 2")
    idle(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".round")).to_contain_text("Round 1")
    page.wait_for_function("location.search.endsWith('round=1')")
    page.locator(".flow .token").last.click()
    expect(page.locator(".round")).to_contain_text("Round 6 of 6")


def test_a_long_text_goes_to_the_round_on_show(page, address, folder):
    made = record_run(folder / "runs", count=90, max_new_tokens=2000)
    chosen, flow = page.locator(".flow .token.chosen").first, page.locator(".flow")

    def in_view():
        at, seen = chosen.bounding_box(), flow.bounding_box()
        return seen["y"] <= at["y"] and at["y"] + at["height"] <= seen["y"] + seen["height"]

    visit(page, f"{address}/?run={made.name}&round=80")
    expect(chosen).to_be_attached()
    assert flow.evaluate("(flow) => flow.scrollTop") > 0 and in_view()
    stepper(page)
    page.locator('[class*="st-key-First"] button').first.click()
    expect(page.locator(".round")).to_contain_text("Round 1 of 90")
    page.wait_for_function("location.search.endsWith('round=1')")
    assert in_view()


@pytest.mark.parametrize("width", [1440, 900])
def test_no_row_of_the_settings_is_cut(page, address, width):
    page.set_viewport_size({"width": width, "height": 1400})
    page.goto(address)
    idle(page)
    settings = page.get_by_test_id("stSidebar")
    settings.get_by_role("radio", name="graph").click()
    expect(settings.get_by_role("spinbutton", name="Frontier")).to_be_visible()
    for fold in settings.get_by_test_id("stExpander").all():
        fold.locator("summary").click()
    expect(settings.get_by_role("textbox", name="Device")).to_be_visible()
    idle(page)
    rows = settings.get_by_test_id("stColumn").locator("xpath=..").all()
    assert len(rows) >= 3
    for row in rows:
        assert row.evaluate("(row) => row.scrollWidth - row.clientWidth") <= 0


def test_on_a_narrow_page_nothing_of_the_first_view_is_cut_or_alone(page, address, folder):
    """The notes of the metrics are whole; without the sidebar all buttons stand in one row."""
    made = record_run(folder / "runs")
    page.set_viewport_size({"width": 900, "height": 900})
    visit(page, f"{address}/?run={made.name}&round=1")
    for note in page.get_by_test_id("stMetricDelta").locator("p").all():
        assert note.evaluate("(p) => p.scrollWidth <= p.parentElement.clientWidth")
    page.get_by_test_id("stSidebar").hover()  # which shows the button
    page.get_by_test_id("stSidebarCollapseButton").locator("button").click()
    expect(page.get_by_test_id("stSidebar")).not_to_be_in_viewport()
    tops = [page.locator(f".st-key-{key} button").first.bounding_box()["y"] for key in ("run", "pause", "cancel")]
    assert max(tops) - min(tops) < 4


def test_the_keyboard_reaches_nodes_and_leaves_the_round_alone(page, address, folder):
    made = record_run(folder / "runs")
    visit(page, f"{address}/?run={made.name}&round=2")
    expect(marks(page).first).to_be_visible()
    page.locator(".graph-view .node.root").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(words(page)).to_contain_text("depth 1")
    expect(page.locator(".round")).to_contain_text("Round 2")
    page.keyboard.press("Escape")
    expect(words(page)).to_contain_text("The draft proposed")


def test_a_merge_edge_can_be_clicked(page, address, folder):
    made = record_run(folder / "runs")
    visit(page, f"{address}/?run={made.name}&round=1")
    expect(marks(page).first).to_be_visible()
    page.locator(".graph-view .hit:not(.plain)").first.dispatch_event("click")
    expect(words(page)).to_contain_text("merge edge")
    expect(page.locator(".graph-view .edge.chosen")).to_have_count(1)


def test_zoom_is_kept_when_the_round_is_redrawn(page, address, folder):
    made = record_run(folder / "runs")
    page.goto(f"{address}/graph?run={made.name}&round=1")
    scene = page.locator(".graph-view > svg > g").first
    expect(marks(page).first).to_be_visible()
    page.get_by_role("button", name="Zoom in").click()
    zoomed = scene.get_attribute("transform")
    page.get_by_text("Pruned", exact=True).click()
    expect(page.locator(".graph-view .node.pruned").first).to_be_attached()
    assert scene.get_attribute("transform") == zoomed
    page.get_by_role("button", name="Fit the graph").click()
    assert scene.get_attribute("transform") != zoomed


def test_a_run_grows_under_ones_eyes_and_can_be_cancelled(page, address):
    fill(page, address, "slow")
    page.get_by_text("Sampling and length").click()
    page.get_by_role("spinbutton", name=re.compile("New tokens")).fill("5000")
    page.keyboard.press("Tab")
    run(page)
    tokens = page.locator(".token-text .token")
    expect(tokens.first).to_be_visible()
    before = tokens.count()
    expect(tokens.nth(before + 10)).to_be_attached()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("This run was cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled()


def test_a_killed_engine_is_told_and_the_next_run_works(page, address):
    fill(page, address, "slow crash")
    run(page)
    expect(page.get_by_text("was killed by signal 9")).to_be_visible()
    expect(page.get_by_text("This run is incomplete")).to_be_visible()
    page.get_by_text("The engine's last words").click()
    expect(page.get_by_text("about to die")).to_be_visible()
    page.get_by_role("textbox", name="Prompt").fill("fine")
    run(page)
    expect(page.get_by_text("was killed by signal 9")).to_have_count(0)
    expect(page.get_by_test_id("stDownloadButton").get_by_role("button")).to_be_visible()


def test_token_text_never_becomes_markup(page, address, folder):
    made = record_run(folder / "runs", count=20)
    assert "<b>" in Path(made / "events.jsonl").read_text()
    visit(page, f"{address}/?run={made.name}")
    expect(page.locator(".token-text .token").first).to_be_visible()
    assert page.locator(".token-text b, .graph-view b b, .round code b").count() == 0
    assert "<b>" in page.locator(".token-text .flow").inner_text()
