"""How long the app keeps one waiting, in headless Chromium: milliseconds from the act to the picture drawn.

    python -m benchmarks.app_speed --out benchmarks/results/app-speed.json

Decodes a few runs with the bundled pair, starts the app on them, and measures: the first view usable once the
server is up, each time of a new one, and in turn with it that of a page with nothing but a text field, which tells a
slow machine from a slow app; stepping to another round of about 100 nodes, and of about 1,000 whole ones; the switch of
faces; where there is an atlas, a slider of Tune; and stepping while another window decodes, with the tokens that it
decodes in a second meanwhile and with no window open. Each is repeated; the median and the worst are told.
Needs Chromium (`apt-get install chromium`) and playwright. Leave the machine alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
HUNDRED = {"--width": "6", "--depth": "6", "--frontier": "8", "--budget": "64", "--merge-context": "1",
           "--sibling-threshold": "0", "--prob-threshold": "0"}  # fmt: skip
THOUSAND = HUNDRED | {"--width": "10", "--depth": "8", "--frontier": "20", "--budget": "200", "--merge-context": "2"}
SETTLE_MS = 2500  # Streamlit is idle, and listens for keys
ALONE_S = 3.0  # of decoding without a window open
# From the key or click to the frame after the graph has been drawn anew; components live in shadow roots.
WATCH = """(what) => {
  const views = (root) => [...root.querySelectorAll("*")].flatMap((element) =>
    [...(element.matches(".graph-view") ? [element] : []), ...(element.shadowRoot ? views(element.shadowRoot) : [])]);
  const [view] = views(document);
  let started;
  for (const name of ["keydown", "click"])
    addEventListener(name, () => { started ??= performance.now(); }, { capture: true, once: true });
  window.drawn = new Promise((done) => new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - started)));
  }).observe(what === "round" ? view : view.querySelector("svg > g"),
    what === "round" ? { attributes: true, attributeFilter: ["data-round"] } : { childList: true }));
}"""


@contextlib.contextmanager
def served(runs: Path, script: Path = ROOT / "app" / "main.py") -> Iterator[str]:
    """The app, or another `script`, on a free port; yields its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true", "--server.port",
               str(port), "--server.fileWatcherType", "none"]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"GSD_RUNS": str(runs), "PYTHONPATH": str(ROOT)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        while process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
                break
            time.sleep(0.02)
        else:
            raise SystemExit(f"error: streamlit run {script.name} ended with {process.returncode}; run it to see why")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def decoded(runs: Path, settings: dict[str, str]) -> Path:
    """A run of the bundled pair."""
    options = [part for pair in settings.items() for part in pair]
    subprocess.run([sys.executable, "-m", "gsd", "generate", "--pair", "tiny", "--prompt", "class Stack:", "--out",
                    str(runs), *options], cwd=ROOT, check=True, capture_output=True)  # fmt: skip
    return max(runs.glob("*/run.json"), key=lambda path: path.stat().st_mtime).parent


def nodes(run: Path) -> dict[str, int]:
    """Drafted nodes of a run's rounds."""
    rounds = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    drafted = [round_["drafted_nodes"] for round_ in rounds if round_["type"] == "round"]
    return {"least": min(drafted), "median": int(statistics.median(drafted)), "most": max(drafted)}


def repeated(measure: Callable[[int], float], repeats: int) -> dict[str, float]:
    """Median and worst, in milliseconds; the first time warms up and does not count."""
    return summary([measure(i) for i in range(repeats + 1)][1:])


def summary(times: list[float]) -> dict[str, float]:
    """Median and worst, in milliseconds."""
    repeats = len(times)
    return {"median_ms": round(statistics.median(times), 1), "worst_ms": round(max(times), 1), "repeats": repeats}


def idle(page: Page) -> None:
    """Until the page has come to rest."""
    page.wait_for_selector('[data-test-script-state="notRunning"]')
    page.wait_for_timeout(250)


def timed(page: Page, what: str, act: Callable[[], None]) -> float:
    """Milliseconds from the act until the `round` or the `scene` is drawn anew, when all is at rest before."""
    idle(page)
    page.evaluate(WATCH, what)
    act()
    return page.evaluate("Promise.race([drawn, new Promise((_, fail) => setTimeout(() => fail('not drawn'), 30000))])")


def opened(page: Page, address: str, run: Path) -> None:
    """The Graph view on a run's second round."""
    page.goto(f"{address}/graph?run={run.name}&round=2")
    page.wait_for_selector(".graph-view .node")
    page.wait_for_timeout(SETTLE_MS)


def first_view(runs: Path, *, yardstick: bool = False) -> float:
    """From opening the address of a server that has just come up to a prompt that can be typed and a preview drawn.

    `yardstick`: in place of the app a page with nothing but the field for a prompt.
    """
    script = ROOT / "app" / "main.py"
    if yardstick:
        script = runs / "yardstick.py"
        script.write_text('import streamlit as st\nst.text_area("Prompt")\n')
    with served(runs, script) as address, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = window(chromium)
        started = time.perf_counter()
        page.goto(address)
        page.get_by_role("textbox", name="Prompt", exact=True).wait_for()
        if not yardstick:
            page.locator(".graph-view > svg .node").first.wait_for()
        taken = (time.perf_counter() - started) * 1e3
        chromium.close()
    return taken


def stepped(page: Page, i: int) -> float:
    """To the next round and back, in turn, by the arrow keys."""
    return timed(page, "round", lambda: page.keyboard.press("ArrowLeft" if i % 2 else "ArrowRight"))


def whole_stepped(page: Page, i: int) -> float:
    """All nodes of another round drawn: the time of the button that draws them."""
    stepped(page, i)
    idle(page)
    return timed(page, "scene", page.get_by_role("button", name="Draw all").click)


def face_changed(page: Page, i: int) -> float:
    """The other face."""
    return timed(page, "scene", page.get_by_role("radio", name="Graph" if i % 2 else "Verified").click)


def window(chromium: Browser) -> Page:
    """A page in a window of its own: one in the background would be drawn once a second."""
    page = chromium.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    return page


def events(run: Path) -> list[dict[str, Any]]:
    """A run's whole lines so far."""
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines(True) if line.endswith("\n")]


def start_long_run(page: Page, address: str, runs: Path) -> Path:
    """Decode on and on in this window; the run. At temperature 100 any token comes, an end of text hardly ever."""
    page.goto(address)
    page.wait_for_timeout(SETTLE_MS)
    page.get_by_text("Sampling and length").click()
    for name, value in (("New tokens", "2000"), ("Temperature", "100"), ("Seed", "2")):
        page.get_by_role("spinbutton", name=name, exact=True).fill(value)
        page.keyboard.press("Tab")
        idle(page)
    before = set(runs.glob("*/run.json"))
    page.get_by_role("textbox", name="Prompt", exact=True).fill("class Matrix:\n")
    page.get_by_role("textbox", name="Prompt", exact=True).press("Control+Enter")
    page.locator(".token-text .token").first.wait_for(timeout=120_000)
    (new,) = set(runs.glob("*/run.json")) - before
    return new.parent


def tokens_per_s(run: Path, act: Callable[[], Any]) -> float:
    """New tokens a second while something is done; the run must not end meanwhile."""
    before, started = len(events(run)), time.perf_counter()
    act()
    rounds, seconds = events(run)[before:], time.perf_counter() - started
    if not rounds or any(round_["type"] == "end" for round_ in rounds):
        raise SystemExit("the run ended before the measurement did: repeat less")
    return round(sum(len(round_["new_tokens"]) for round_ in rounds) / seconds, 1)


def while_decoding(chromium: Browser, page: Page, address: str, shown: Path, repeats: int) -> dict[str, Any]:
    """Rounds of the run `shown` while another window decodes; how fast that is, looked at and alone."""
    other, report = window(chromium), {}
    run = start_long_run(other, address, shown.parent)
    opened(page, address, shown)

    def round_() -> None:
        report["step_100_nodes_while_decoding"] = repeated(lambda i: stepped(page, i), repeats)

    report["tokens_per_s_looked_at"] = tokens_per_s(run, round_)
    for one in (page, other):
        one.goto("about:blank")
    report["tokens_per_s_alone"] = tokens_per_s(run, lambda: time.sleep(ALONE_S))
    other.close()
    return report


def tuned(page: Page, address: str, repeats: int) -> dict[str, float]:
    """A slider of Tune to figures that differ."""
    page.goto(f"{address}/tune")
    slider = page.get_by_role("slider", name="Width").first
    slider.wait_for(timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)

    def moved(i: int) -> float:
        idle(page)
        before = page.get_by_test_id("stMetricValue").all_inner_texts()
        slider.focus()
        started = time.perf_counter()
        page.keyboard.press("ArrowRight" if i % 2 else "ArrowLeft")
        page.wait_for_function(
            "(before) => [...document.querySelectorAll('[data-testid=stMetricValue]')]"
            ".some((element, i) => element.innerText !== before[i])", arg=before)  # fmt: skip
        return (time.perf_counter() - started) * 1e3

    return repeated(moved, repeats)


def measured(runs: Path, atlas: Path | None, repeats: int) -> dict[str, object]:
    """All figures."""
    hundred, thousand = decoded(runs, HUNDRED), decoded(runs, THOUSAND)
    if atlas:
        shutil.copytree(atlas, runs / "atlas")
    report: dict[str, object] = {"nodes": {"hundred": nodes(hundred), "thousand": nodes(thousand)}}
    opening = [(first_view(runs, yardstick=True), first_view(runs)) for _ in range(repeats + 1)][1:]
    report["first_view_of_a_text_field"], report["first_view"] = map(summary, zip(*opening, strict=True))
    with served(runs) as address, sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = window(chromium)
        opened(page, address, hundred)
        report["step_100_nodes"] = repeated(lambda i: stepped(page, i), repeats)
        report["face_100_nodes"] = repeated(lambda i: face_changed(page, i), repeats)
        opened(page, address, thousand)
        report["step_1000_nodes_likeliest"] = repeated(lambda i: stepped(page, i), repeats)
        report["all_1000_nodes"] = repeated(lambda i: whole_stepped(page, i), repeats)
        if atlas:
            report["tune_slider"] = tuned(page, address, repeats)
        report |= while_decoding(chromium, page, address, hundred, repeats)
        chromium.close()
    return report


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="also write the figures there, as JSON")
    parser.add_argument("--atlas", type=Path, help="an atlas folder, to measure Tune")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measured(Path(folder), options.atlas, options.repeats)
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
