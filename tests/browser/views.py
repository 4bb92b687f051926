"""The views, and how to wait for one of them to stand."""

from __future__ import annotations

from browser.conftest import idle

VIEWS = ("playground", "graph", "overlap", "speed", "tune", "compare", "runs", "guide")


def visit(page, address: str, view: str, run: str | None = None) -> None:
    """Open a view with a run and wait until all of it is drawn."""
    path = "" if view == "playground" else view
    page.goto(f"{address}/{path}" + (f"?run={run}" if run else ""))
    page.get_by_role("heading", level=1, name=view.capitalize()).wait_for()
    idle(page)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_timeout(500)  # charts and tables draw themselves once they are there
    idle(page)
