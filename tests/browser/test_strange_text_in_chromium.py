"""Token text is shown as text in every view: no script of it runs, and nothing of it breaks the page."""

import pytest
from browser.views import VIEWS, visit
from fixtures.strange import record_strange_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(folder):
    return record_strange_run(folder / "runs")


@pytest.mark.parametrize("view", VIEWS)
def test_strange_tokens_are_text_in_every_view(page, address, run, view):
    visit(page, address, view, run.name)
    assert page.get_by_test_id("stException").count() == 0
    assert page.evaluate("window.ran") is None
    assert page.locator('img[src="x"], svg[onload], a[href^="javascript"]').count() == 0
    main = page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0


def test_the_text_is_that_of_the_tokens(page, address, run):
    visit(page, address, "playground", run.name)
    text = page.locator(".token-text .flow").text_content()
    assert "<script>window.ran=1</script>" in text
    page.locator(".graph-view > svg .node .mark").nth(1).click()
    assert page.evaluate("window.ran") is None


def test_a_strange_title_is_renamed_and_deleted_by_that_name(page, address, run):
    visit(page, address, "runs")
    page.get_by_test_id("stDataFrame").click(position={"x": 17, "y": 54})
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_text("<img src=x onerror=window.ran=1> **title**").wait_for()
    assert page.evaluate("window.ran") is None
    page.get_by_role("button", name="Keep").click()
