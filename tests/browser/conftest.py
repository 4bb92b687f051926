"""The app under `streamlit run`, and a real Chromium to drive it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
PATIENCE_MS = 45_000  # on a slow machine that others use; what comes is not waited for any longer


def serve(script: Path, folder: Path) -> Iterator[str]:
    """Serve the app, by `streamlit run` or by the script that makes up its engine, with its runs under `folder`.

    Yields the address.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (folder / "streamlit.log").open("w")
    launch = [str(script)] if script.name == "fake_app.py" else ["-m", "streamlit", "run", str(script)]
    process = subprocess.Popen(
        [sys.executable, *launch, "--server.headless", "true", "--server.port", str(port),
         "--server.fileWatcherType", "none"],
        cwd=ROOT, env=os.environ | {"GSD_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log.name)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def idle(page) -> None:
    """Wait until the page's script is done."""
    page.wait_for_selector('[data-test-script-state="notRunning"]', timeout=120_000)  # a busy machine reruns slowly


def stepper(page) -> None:
    """Wait until the arrow keys step: Streamlit loads what its buttons are made of after a page is said to be done."""
    page.locator('[class*="st-key-Next"] button').first.wait_for()


def arrow(page, key: str, label: str, address: str) -> None:
    """Press the arrow key of the button called `label`; the page's address then fits the pattern `address`.

    A key is lost while its button is not drawn or does not listen yet. So it is pressed again, but only where the page
    is at rest and its address is as it was: a key that was taken sets it to work.
    """
    button = page.locator(f'[class*="st-key-{label.replace(" ", "-")}"] button:enabled').first
    for _ in range(4):
        idle(page)
        button.wait_for()
        before = page.url
        page.keyboard.press(key)
        if _address_fits(page, address, seconds=10):
            return
        idle(page)
        if page.url != before:
            break
    assert _address_fits(page, address, seconds=PATIENCE_MS // 1000), page.url


def _address_fits(page, pattern: str, seconds: int) -> bool:
    for _ in range(10 * seconds):
        if re.search(pattern, page.url):
            return True
        page.wait_for_timeout(100)
    return False


def _wait_for(url: str, process: subprocess.Popen, log: str) -> None:
    for _ in range(200):
        assert process.poll() is None, Path(log).read_text()
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"no answer from {url}: {Path(log).read_text()}")


def chromium(driver) -> str | None:
    """The browser's program: $CHROMIUM, the system's, or Playwright's own; None where there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    own = driver.chromium.executable_path
    return found or (own if Path(own).exists() else None)


@pytest.fixture(scope="session")
def browser():
    """A Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE_MS)
    with playwright.sync_playwright() as driver:
        found = chromium(driver)
        if not found:
            pytest.skip("no Chromium here: `playwright install chromium`, or name one in $CHROMIUM")
        started = driver.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Path:
    """The folder of the app that the process's tests share."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def served(lab) -> Iterator[str]:
    """The app with a made-up engine, one for the process: it takes seconds to start, and its scripts to be fetched."""
    yield from serve(ROOT / "tests" / "fixtures" / "fake_app.py", lab)


@pytest.fixture(scope="module")
def folder(lab) -> Path:
    """Where the module's runs are, in `runs`; those of the module before are gone."""
    shutil.rmtree(lab / "runs", ignore_errors=True)
    return lab


@pytest.fixture(scope="module")
def address(folder, served) -> str:
    """The app with a made-up engine, which knows the samples and the module's runs alone."""
    return served


@pytest.fixture(scope="session")
def context(browser):
    """What the tests' tabs share: the scripts that were fetched, and nothing of what they left there."""
    shared = new_context(browser)
    yield shared
    shared.close()


@pytest.fixture
def page(context):
    """A tab; what went wrong in it is an error of the test."""
    context.set_offline(False)
    context.set_storage_state({"cookies": [], "origins": []})
    yield from new_page(context)


def new_context(browser):
    """A browser without a past: nothing is stored in it, no script is at hand."""
    return browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)


def new_page(context) -> Iterator:
    """A tab. An error in it, or a request to another machine, fails the test."""
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: problems.append(request.url) if _elsewhere(request.url) else None)
    yield page
    page.close()
    assert problems == []


def _elsewhere(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))
