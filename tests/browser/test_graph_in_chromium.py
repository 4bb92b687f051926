"""The Graph view in a real browser: from round to round, a node, a hypothesis, faces, other settings, a large round."""

import pytest
from browser.conftest import stepper
from fixtures.recorded import record_run
from settings import of_method

from analysis.faces import face
from analysis.layout import fitted
from app.components.graph_view import LARGE as LARGE_ROOM
from app.components.graph_view import SMALL
from gsd.trace.read import read_run

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect
LARGE = of_method(width=10, depth=12, frontier=40, merge_context=2, prob_threshold=0.0, sibling_threshold=0.0,
                  budget=200)  # fmt: skip
LONG = of_method(width=3, depth=20, frontier=3, merge_context=0, prob_threshold=0.0, sibling_threshold=0.1, budget=64)


def visit(page, address, run, more="", round=2):
    page.goto(f"{address}/graph?run={run.name}&round={round}{more}")
    expect(marks(page).first).to_be_visible()
    page.wait_for_selector('[data-test-script-state="notRunning"]')


def marks(page):
    return page.locator(".graph-view > svg .node .mark")


def words(page):
    return page.locator(".words").last


def round_of(page):
    return page.locator(".round")


def test_from_round_to_round_by_key_strip_and_jump(page, address, folder):
    run = record_run(folder / "runs", count=9)
    visit(page, address, run)
    stepper(page)
    page.keyboard.press("ArrowRight")
    expect(round_of(page)).to_contain_text("Round 3 of 9")
    page.locator(".round-strip .slot").nth(6).click()
    expect(round_of(page)).to_contain_text("Round 7 of 9")
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Longest")).to_be_disabled()
    page.wait_for_function("/round=\\d/.test(location.search)")


def test_a_node_is_explained_and_its_hypothesis_marked_both_ways(page, address, folder):
    run = record_run(folder / "runs")
    visit(page, address, run, "&face=verified")
    page.locator(".graph-view > svg .node.copy .mark").first.click()
    expect(words(page)).to_contain_text("token id")
    expect(page.locator(".graph-view > svg .node.chosen").first).to_be_attached()
    expect(page.locator(".graph-view .edge.on-path").first).to_be_attached()
    page.wait_for_function("/node=n\\d+&face=verified/.test(location.search)")
    page.goto(f"{address}/graph?run={run.name}&round=2&node=h1")
    expect(words(page)).to_contain_text("Hypothesis 2")
    expect(page.locator(".graph-view .node.on-path").nth(1)).to_be_attached()


def test_faces_keep_the_root_where_it_is(page, address, folder):
    run = record_run(folder / "runs")
    visit(page, address, run)
    root = page.locator(".graph-view > svg .node.root .mark").first
    before = root.bounding_box()["x"]
    page.get_by_role("radio", name="Verified").click()
    expect(page.locator(".graph-view > svg .node.copy").first).to_be_attached()
    page.wait_for_timeout(400)  # nodes glide
    assert root.bounding_box()["x"] == pytest.approx(before, abs=30)


def test_other_settings_mark_what_is_lost_at_once(page, address, folder):
    run = record_run(folder / "runs")
    visit(page, address, run)
    page.get_by_text("What if", exact=True).click()
    page.get_by_role("slider", name="Depth").focus()
    page.keyboard.press("Home")
    lost = page.locator(".graph-view > svg .node.lost")
    expect(lost.first).to_be_attached()
    expect(page.locator(".before-after")).to_contain_text("−")
    page.get_by_role("button", name="Reset").click()
    expect(lost).to_have_count(0)


def test_a_large_round_opens_branch_by_branch_and_whole(page, address, folder):
    run = record_run(folder / "runs", count=3, drafting=LARGE)
    visit(page, address, run)
    expect(page.get_by_text("nodes drawn")).to_be_visible()
    before = marks(page).count()
    assert before < 120
    page.locator(".graph-view .behind").first.click()
    expect(marks(page).nth(before)).to_be_attached()
    page.get_by_role("button", name="Draw all").click()
    expect(marks(page).nth(900)).to_be_attached()


def test_the_keyboard_alone_reaches_a_node_and_its_words(page, address, folder):
    run = record_run(folder / "runs")
    visit(page, address, run)
    page.locator(".graph-view .node.root").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(words(page)).to_contain_text("depth 1")
    expect(round_of(page)).to_contain_text("Round 2")


def test_a_click_leaves_the_arrow_keys_to_the_rounds_and_escape_gives_them_back(page, address, folder):
    run = record_run(folder / "runs", count=9)
    visit(page, address, run)
    stepper(page)
    page.locator(".graph-view > svg .node.accepted .mark").first.click()
    expect(words(page)).to_contain_text("token id")
    page.keyboard.press("ArrowRight")
    expect(round_of(page)).to_contain_text("Round 3 of 9")
    page.locator(".graph-view .node.root").focus()
    page.keyboard.press("ArrowRight")  # within the graph
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    expect(round_of(page)).to_contain_text("Round 4 of 9")


def test_what_has_the_keys_is_ringed_otherwise_than_what_is_selected(page, address, folder):
    visit(page, address, record_run(folder / "runs"))
    page.locator(".graph-view .node.root").focus()
    page.keyboard.press("ArrowRight")
    ring = "node => { const { stroke, strokeDasharray } = getComputedStyle(node); return [stroke, strokeDasharray]; }"
    focused = page.locator(".graph-view .node:focus-visible .focus").evaluate(ring)
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    selected = page.locator(".graph-view .node.chosen:not(:focus-visible) .focus").evaluate(ring)
    assert focused[0] != selected[0] and focused[1] != selected[1] == "none"


def test_the_tokens_of_a_round_break_between_chips_never_within_one(page, address, folder):
    page.set_viewport_size({"width": 1100, "height": 900})
    run = record_run(folder / "runs", count=20, drafting=LONG, max_new_tokens=90)
    counts = [len(round_.new_texts.raw) for round_ in read_run(run).rounds]
    visit(page, address, run, round=counts.index(max(counts)) + 1)
    chips = page.locator(".round code")
    assert chips.count() == max(counts) > 6
    heights = chips.evaluate_all("chips => chips.map(chip => chip.getBoundingClientRect().height)")
    assert max(heights) == min(heights)


def test_an_edge_over_other_nodes_stays_within_the_picture(page, address, folder):
    """Every drawn path, its bow included, lies within the field."""
    for name, drafting in {"long": LONG, "large": LARGE}.items():
        visit(page, address, record_run(folder / "runs", count=4, drafting=drafting, max_new_tokens=60), round=1)
        page.wait_for_timeout(400)  # nodes glide
        outside = page.locator(".graph-view").evaluate("""box => {
            const field = box.querySelector(":scope > svg").getBoundingClientRect();
            return [...box.querySelectorAll(":scope > svg .edge")].map(edge => edge.getBoundingClientRect())
                .filter(edge => edge.top < field.top || edge.bottom > field.bottom)
                .map(edge => [field.top, edge.top, edge.bottom, field.bottom]);
        }""")
        assert outside == [], name


def test_on_a_narrow_page_less_is_drawn_for_as_much_to_be_legible(page, address, folder):
    """The picture tells how wide it came out; rows that labels need are few where they slant."""
    run = record_run(folder / "runs", count=3, drafting=LARGE)
    round_ = read_run(run).rounds[1]
    for width, room in ((1440, LARGE_ROOM), (900, SMALL), (1440, LARGE_ROOM)):
        page.set_viewport_size({"width": width, "height": 900})
        visit(page, address, run)
        expect(marks(page)).to_have_count(len(fitted(face(round_), room)) + 1)


def test_playing_shows_what_was_found_then_forward_by_forward_what_the_draft_added(page, address, folder):
    """In beats of one draft forward; best-first, a forward is no column."""
    run = record_run(folder / "runs", drafting=of_method(method="auto"))
    rounds = read_run(run).rounds
    index = next(i for i, round_ in enumerate(rounds) if round_.graph.sources[1] == "lookup")
    visit(page, address, run, round=index + 1)
    times = page.get_by_role("button", name="Play the draft forwards").evaluate("""button => {
        button.click();
        return [...button.closest(".graph-view").querySelectorAll(":scope > svg .node")].map(node => {
            const { delay, duration } = node.getAnimations()[0].effect.getTiming();
            return [node.getAttribute("class"), Math.round(delay / duration)];
        });
    }""")
    graph, drawn = rounds[index].graph, fitted(face(rounds[index]), LARGE_ROOM).nodes
    expected = [graph.drafted_in[node] for node in drawn]
    assert sorted(beat for kind, beat in times if "bonus" not in kind) == sorted(expected)
    assert [beat for kind, beat in times if "bonus" in kind] == [max(expected) + 2]
    found = {graph.drafted_in[node] for node in drawn if graph.sources[node] == "lookup"}
    assert {beat for kind, beat in times if "lookup" in kind} == found and 0 in found
