"""The drawn graph in whatever room it has: no label over another, and no higher than what is drawn."""

import pytest
from fixtures.recorded import record_run
from settings import of_method

pytestmark = pytest.mark.browser
CHAIN = of_method(width=1, depth=20, frontier=1, merge_context=None, prob_threshold=0.0, budget=64)
DEEP = of_method(width=3, depth=20, frontier=3, merge_context=1, prob_threshold=0.0, sibling_threshold=0.1, budget=64)
WIDE = of_method(width=3, depth=14, frontier=4, merge_context=1, prob_threshold=0.0, sibling_threshold=0.1, budget=64)
LARGE = of_method(width=10, depth=6, frontier=30, merge_context=2, prob_threshold=0.0, sibling_threshold=0.0,
                  budget=200)  # fmt: skip

# Pairs of visible labels, and of numbers of hidden nodes, that overlap on screen. A label that slants is a thin band:
# two are apart where their boxes are in the frame of the one or of the other.
OVERLAPS = """(box) => {
  const view = box.querySelector(":scope > svg");
  const texts = [...view.querySelectorAll(".node > text, .node > .behind > text")];
  const shown = texts.filter((text) => getComputedStyle(text).display !== "none");
  const boxes = shown.map((text) => {
    const matrix = text.getScreenCTM(), box = text.getBBox(), turn = Math.atan2(matrix.b, matrix.a);
    const corners = [[box.x, box.y], [box.x + box.width, box.y], [box.x, box.y + box.height],
      [box.x + box.width, box.y + box.height]].map(([x, y]) => new DOMPoint(x, y).matrixTransform(matrix));
    const across = (angle) => corners.map(({ x, y }) => [x * Math.cos(angle) + y * Math.sin(angle),
      y * Math.cos(angle) - x * Math.sin(angle)]);
    return { text: text.textContent, turn, across };
  });
  const apart = (one, other, angle) => [0, 1].some((axis) => {
    const [a, b] = [one, other].map((box) => box.across(angle).map((point) => point[axis]));
    return Math.max(...a) <= Math.min(...b) + 2.5 || Math.max(...b) <= Math.min(...a) + 2.5; // letters fill less
  });
  const pairs = boxes.flatMap((one, i) => boxes.slice(i + 1).map((other) => [one, other]));
  return { labels: boxes.length, overlaps: pairs.filter(([one, other]) => !apart(one, other, one.turn)
    && !apart(one, other, other.turn)).map(([one, other]) => `${one.text} ${other.text}`) };
}"""
BELOW = """(box) => {
  const view = box.querySelector(":scope > svg").getBoundingClientRect();
  const foot = box.querySelector(".foot").getBoundingClientRect();
  return foot.top - view.bottom;
}"""


@pytest.fixture(scope="module")
def runs(folder):
    made = {"chain": CHAIN, "deep": DEEP, "large": LARGE, "wide": WIDE}
    return {name: record_run(folder / "runs", drafting=spec, max_new_tokens=200) for name, spec in made.items()}


def visit(page, address, run, width, view="graph", round=None):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{address}/{view}?run={run.name}" + (f"&round={round}" if round else ""))
    page.locator(".graph-view > svg .node .mark").first.wait_for()
    page.wait_for_selector('[data-test-script-state="notRunning"]')
    page.wait_for_timeout(400)  # nodes glide


@pytest.mark.parametrize("view", ["", "graph"])
@pytest.mark.parametrize("width", [520, 900, 1440])
@pytest.mark.parametrize("name", ["chain", "deep"])
def test_no_label_lies_over_another_or_under_the_legend(page, address, runs, name, width, view):
    visit(page, address, runs[name], width, view)
    found = page.locator(".graph-view").evaluate(OVERLAPS)
    assert found["overlaps"] == []
    assert found["labels"] >= 8
    assert page.locator(".graph-view").evaluate(BELOW) >= 0


def test_zoomed_in_no_label_lies_over_another(page, address, runs):
    visit(page, address, runs["deep"], 900)
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
        found = page.locator(".graph-view").evaluate(OVERLAPS)
        assert found["overlaps"] == [] and found["labels"] >= 8


def test_every_node_that_is_drawn_has_its_label_where_columns_are_narrow(page, address, runs):
    for round_ in (1, 2, 3, 4):
        visit(page, address, runs["deep"], 900, round=round_)
        page.locator(f".graph-view[data-round$=':{round_ - 1}']").wait_for()
        drawn = page.locator(".graph-view > svg .node").count()
        found = page.locator(".graph-view").evaluate(OVERLAPS)
        numbers = page.locator(".graph-view .behind").count()
        assert found == {"labels": drawn + numbers, "overlaps": []}


def test_labels_leave_the_numbers_of_hidden_nodes_free(page, address, runs):
    visit(page, address, runs["large"], 1440)
    found = page.locator(".graph-view").evaluate(OVERLAPS)
    assert page.locator(".graph-view .behind").count() > 10 and found["labels"] > 30
    assert found["overlaps"] == []


def test_a_number_of_hidden_nodes_takes_no_label_its_room(page, address, runs):
    """Round 4 is seen from afar, with labels that do not slant."""
    visit(page, address, runs["wide"], 1440)
    page.goto(f"{address}/graph?run={runs['wide'].name}&round=4")
    page.locator(".graph-view[data-round$=':3'] > svg.far").wait_for()
    assert page.locator(".graph-view > svg [transform*=rotate]").count() == 0
    drawn, numbers = page.locator(".graph-view > svg .node").count(), page.locator(".graph-view .behind").count()
    assert numbers > 10
    assert page.locator(".graph-view").evaluate(OVERLAPS) == {"labels": drawn + numbers, "overlaps": []}


def test_a_flat_graph_is_drawn_in_a_flat_field(page, address, runs):
    heights = {}
    for name in ("chain", "deep"):
        visit(page, address, runs[name], 1440)
        heights[name] = page.locator(".graph-view > svg").bounding_box()["height"]
    assert heights["chain"] < 160 < heights["deep"]
