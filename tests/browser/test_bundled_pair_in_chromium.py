"""The main job with the bundled pair: from a prompt to an explained node, and back from a killed engine."""

import os
import re
import signal

import psutil
import pytest
from browser.conftest import ROOT, serve

pytestmark = pytest.mark.browser
expect = pytest.importorskip("playwright.sync_api").expect
FIRST_RUN_MS = 120_000  # imports and weights on a slow machine


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    yield from serve(ROOT / "app" / "main.py", tmp_path_factory.mktemp("lab"))


def start(page, address, new_tokens):
    page.goto(address)
    page.get_by_role("combobox", name="Prompt library").fill("palindrome")
    page.get_by_role("option", name=re.compile("palindrome", re.IGNORECASE)).first.click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value(re.compile("is_palindrome"))
    page.get_by_text("Sampling and length").click()
    page.get_by_role("spinbutton", name=re.compile("New tokens")).fill(str(new_tokens))
    page.keyboard.press("Tab")
    run(page)


def run(page):
    page.get_by_test_id("stMain").get_by_role("button", name="Run", exact=False).first.click()


def engines():
    """Engine processes that this test's server started."""
    return [child for child in psutil.Process().children(recursive=True) if "gsd.decode.worker" in child.cmdline()]


def test_prompt_to_explained_node_then_a_killed_engine_then_another_run(page, address):
    start(page, address, 24)
    expect(page.get_by_test_id("stDownloadButton")).to_be_visible(timeout=FIRST_RUN_MS)
    page.locator(".graph-view > svg .node.accepted .mark").first.click()
    expect(page.locator(".words")).to_contain_text("Accepted", timeout=20_000)
    assert 1 <= page.locator(".flow .token").count() <= 24

    page.wait_for_url(re.compile("run="))
    first = re.search("run=[^&]+", page.url)[0]

    [engine] = engines()
    os.kill(engine.pid, signal.SIGSTOP)  # the next run cannot end before it is killed
    run(page)
    expect(page.get_by_role("button", name="Cancel")).to_be_enabled(timeout=20_000)
    os.kill(engine.pid, signal.SIGKILL)
    expect(page.get_by_text("was killed by signal 9")).to_be_visible(timeout=20_000)

    page.wait_for_url(lambda url: first in url)  # what was open is open again

    run(page)
    page.wait_for_url(lambda url: "run=" in url and first not in url, timeout=FIRST_RUN_MS)
    expect(page.get_by_role("button", name="Cancel")).to_be_disabled(timeout=FIRST_RUN_MS)
    expect(page.get_by_test_id("stDownloadButton")).to_be_visible()
    [another] = engines()
    assert another.pid != engine.pid
