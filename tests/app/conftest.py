"""The app against a made-up engine."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import engine_client

ROOT = Path(__file__).parents[2]
FAKE_WORKER = (sys.executable, str(ROOT / "tests" / "fixtures" / "fake_worker.py"))


@pytest.fixture
def client():
    """An engine client of its own; its process ends with the test."""
    client = engine_client.EngineClient(FAKE_WORKER)
    yield client
    client.close()


@pytest.fixture(scope="session")
def shared_client():
    """The engine client of all pages, as in the app."""
    client = engine_client.EngineClient(FAKE_WORKER)
    yield client
    client.close()


@pytest.fixture
def app(shared_client, tmp_path, monkeypatch):
    """Opens the app with the given address; returns the `AppTest` after its first run."""
    monkeypatch.setattr(engine_client, "engine", lambda: shared_client)
    monkeypatch.setenv("GSD_RUNS", str(tmp_path / "runs"))

    def open_at(**address: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=20)
        for name, value in address.items():
            test.query_params[name] = value
        return test.run()

    yield open_at
    for job in list(shared_client._jobs):  # behind an endless run, which a test that failed left, all others would wait
        shared_client.cancel(job)


def _view(name: str):
    """A fixture that opens a view with the given address, once the app has started with it."""

    @pytest.fixture
    def opened(app):
        def open_at(**address: str) -> AppTest:
            page = app(**address).switch_page(f"views/{name}.py")
            for key, value in address.items():
                page.query_params[key] = value
            return page.run()

        return open_at

    return opened


graph, overlap, speed = _view("graph"), _view("overlap"), _view("speed")
