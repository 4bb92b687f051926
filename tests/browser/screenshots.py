"""Pictures of every view, light and dark, wide and narrow: `python tests/browser/screenshots.py FOLDER`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from browser.conftest import FLAGS, ROOT, chromium, serve  # noqa: E402
from browser.views import VIEWS, visit  # noqa: E402

SCHEMES = ("light", "dark")
WIDTHS = (1440, 900)
HEIGHT, TALLEST = 900, 2600  # pixels: of the window at first, and of a picture at most


def take(out: Path) -> list[Path]:
    """Write `<view>-<scheme>-<width>.png` for every view; returns the files."""
    out.mkdir(parents=True, exist_ok=True)
    samples = sorted(path.parent.name for path in (ROOT / "app" / "samples").glob("*/run.json")
                     if json.loads(path.read_text())["spec"]["drafting"]["method"] == "graph")  # fmt: skip
    files = []
    with _served() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(driver), args=FLAGS)
        for scheme in SCHEMES:
            for width in WIDTHS:
                page = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme).new_page()
                for view in VIEWS:
                    visit(page, address, view, samples[-1])
                    _whole(page, width)
                    files.append(out / f"{view}-{scheme}-{width}.png")
                    page.screenshot(path=files[-1])
                    page.set_viewport_size({"width": width, "height": HEIGHT})
                page.context.close()
    return files


@contextmanager
def _served() -> Iterator[str]:
    """The app with no run but the samples."""
    with tempfile.TemporaryDirectory() as folder:
        yield from serve(ROOT / "app" / "main.py", Path(folder))


def _whole(page: Page, width: int) -> None:
    """Make the window as tall as what is on it."""
    height = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": width, "height": max(HEIGHT, min(height, TALLEST))})
    page.wait_for_timeout(700)  # charts follow


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/browser/screenshots.py FOLDER")
    for file in take(Path(sys.argv[1])):
        print(file)
