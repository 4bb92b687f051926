"""The Graph view in a real browser: from round to round, a node, a hypothesis, faces, other settings, a large round."""

import pytest
from browser.conftest import stepper
from fixtures.recorded import record_run

from gsd.config import DraftSpec
from gsd.trace import read_run

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=15_000)
LARGE = DraftSpec(width=10, depth=12, frontier=40, merge_context=2, prob_threshold=0.0, sibling_threshold=0.0,
                  budget=200)  # fmt: skip


def visit(page, address, run, more="", step=2):
    page.goto(f"{address}/graph?run={run.name}&step={step}{more}")
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
    page.wait_for_function("/step=\\d/.test(location.search)")


def test_a_node_is_explained_and_its_hypothesis_marked_both_ways(page, address, folder):
    run = record_run(folder / "runs")
    visit(page, address, run, "&face=verified")
    page.locator(".graph-view > svg .node.copy .mark").first.click()
    expect(words(page)).to_contain_text("token id")
    expect(page.locator(".graph-view > svg .node.chosen").first).to_be_attached()
    expect(page.locator(".graph-view .edge.on-path").first).to_be_attached()
    page.wait_for_function("/node=n\\d+&face=verified/.test(location.search)")
    page.goto(f"{address}/graph?run={run.name}&step=2&node=h1")
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


def test_a_replay_shows_what_was_found_then_forward_by_forward_what_the_draft_added(page, address, folder):
    """In beats of one draft forward; best-first, a forward is no column."""
    run = record_run(folder / "runs", drafting=DraftSpec(method="auto"))
    steps = read_run(run).steps
    index = next(i for i, step in enumerate(steps) if "lookup" in step["graph"]["source"])
    visit(page, address, run, step=index + 1)
    times = page.get_by_role("button", name="Replay the draft forwards").evaluate("""button => {
        button.click();
        return [...button.closest(".graph-view").querySelectorAll(":scope > svg .node")].map(node => {
            const { delay, duration } = node.getAnimations()[0].effect.getTiming();
            return [node.getAttribute("class"), Math.round(delay / duration)];
        });
    }""")
    graph = steps[index]["graph"]
    expected = [graph["forward"][parent] if source == "draft" else 0
                for parent, source in zip(graph["parent"], graph["source"])]  # fmt: skip
    assert sorted(beat for kind, beat in times if "bonus" not in kind) == sorted(expected)
    assert [beat for kind, beat in times if "bonus" in kind] == [max(expected) + 2]
    assert {beat for kind, beat in times if "lookup" in kind} == {0}
