"""Speed in a real browser: sections open one by one, and every figure says what it is."""

import pytest
from browser.conftest import idle
from fixtures.recorded import record_run

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect

FIRST_CHART_MS = 40_000  # plotly is a large script


def test_sections_and_scopes_are_kept_by_the_address(page, address, folder):
    run = record_run(folder / "runs", count=8)
    page.goto(f"{address}/speed?run={run.name}")
    expect(page.get_by_text("of the time goes to").first).to_be_visible()
    page.get_by_role("tab", name="Acceptance").click()
    expect(page.get_by_text("Mean acceptance length").nth(1)).to_be_visible()
    page.wait_for_function("location.search.includes('tab=Acceptance')")
    page.get_by_role("radio", name="This round").click()
    page.wait_for_function("location.search.includes('scope=round')")
    page.reload()
    expect(page.locator(".round")).to_be_visible()
    expect(page.get_by_role("tab", name="Acceptance")).to_have_attribute("aria-selected", "true")


def test_the_scope_stays_marked_on_the_way_from_view_to_view(page, address, folder):
    run = record_run(folder / "runs", count=8)
    page.goto(f"{address}/overlap?run={run.name}")
    expect(page.get_by_role("radio", name="This run")).to_be_checked()
    page.get_by_test_id("stTopNavLink").filter(has_text="Speed").click()
    expect(page.get_by_role("heading", level=1, name="Speed")).to_be_visible()
    expect(page.get_by_role("radio", name="This run")).to_be_checked()


def test_every_view_can_be_reached_beside_the_open_sidebar_of_a_narrow_page(page, address):
    page.set_viewport_size({"width": 900, "height": 800})
    page.goto(address)
    expect(page.get_by_test_id("stSidebar").get_by_text("Settings of the next run")).to_be_visible()
    expect(page.get_by_test_id("stTopNavLink")).to_have_count(8)
    expect(page.get_by_test_id("stTopNavLink").last).to_be_in_viewport()
    page.wait_for_function("document.querySelector('[data-testid=stSidebar]').offsetWidth <= 320")  # once it is styled


@pytest.mark.parametrize("width", [1440, 900])
def test_nothing_is_wider_than_the_page(page, address, folder, width):
    run = record_run(folder / "runs", count=8)
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{address}/speed?run={run.name}&tab=Acceptance")
    expect(page.locator(".js-plotly-plot").nth(3)).to_be_visible(timeout=FIRST_CHART_MS)
    idle(page)
    boxes = page.locator("[class*=st-key-chart-box]").evaluate_all(
        "boxes => boxes.map(box => [box.scrollWidth - box.clientWidth, box.getBoundingClientRect().right])"
    )
    assert len(boxes) == 4
    for overflow, right in boxes:
        assert overflow <= 1
        assert right <= width
