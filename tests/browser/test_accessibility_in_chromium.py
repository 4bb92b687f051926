"""No serious finding of axe in any view, light or dark."""

from importlib import resources

import pytest
from browser.conftest import idle
from browser.views import VIEWS, visit
from fixtures.recorded import record_run

pytestmark = pytest.mark.browser
axe = pytest.importorskip("axe_playwright_python")
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def run(folder):
    return record_run(folder / "runs")


def findings(page) -> list[str]:
    """What axe calls serious or critical: the rule, why, and the element."""
    page.evaluate(resources.files(axe).joinpath("axe.min.js").read_text())
    found = page.evaluate("tags => axe.run({runOnly: tags})", STANDARD)
    return [
        f"{one['id']}: {node['failureSummary']} {node['html'][:200]}"
        for one in found["violations"] if one["impact"] in ("serious", "critical") for node in one["nodes"]
    ]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_no_serious_finding(page, address, run, view, scheme):
    page.emulate_media(color_scheme=scheme)
    visit(page, address, view, run.name)
    assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_among_several_runs(page, address, run, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/speed?run={run.name}&scope=runs")
    page.locator("[data-tag]").first.wait_for()
    idle(page)
    assert findings(page) == []


def test_a_finding_is_found(page):
    page.set_content("<html lang=en><title>x</title><button></button><p style='color: #aaa; background: #fff'>grey</p>")
    assert {one.split(":")[0] for one in findings(page)} == {"button-name", "color-contrast"}
